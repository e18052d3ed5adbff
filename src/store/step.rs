//! One step of a writer: a transaction that holds the cursor's row, asserts that all is as planned, and moves the cursor.

use std::sync::Arc;

use alloy::primitives::B256;

use super::apply::{
    self, Added, Applied, Batch, BlocksAre, Contracts, DERIVATION, Deriving, EverGiven, NamedAgents, NamedSoFar,
    Rewound, StandingsAre, Tip, Undoing,
};
use super::error::StoreError;
use super::pool::KEPT_PLANS;
use super::reindex::Job;
use super::sql::{self, Amount, Sql, signed};
use crate::block::{Block, BlockRef};

/// The channel on which each commit is told: the payload is `chain_id seq`.
pub const CHANNEL: &str = "meikan";

/// The cursor of the network `$1`, for [`read_cursor`].
pub(super) const CURSOR: &str = "SELECT c.epoch, c.seq, c.tip_number, c.tip_hash, c.tip_at, c.safe_number, \
     c.finalized_number, c.finalized_hash, n.start_block, r.source AS reindex_source, \
     r.from_block AS reindex_from_block, r.target_number AS reindex_target_number, \
     r.target_hash AS reindex_target_hash, r.target_at AS reindex_target_at, r.safe_number AS reindex_safe_number, \
     r.finalized_number AS reindex_finalized_number, r.finalized_hash AS reindex_finalized_hash, \
     r.told_from AS reindex_told_from, r.then_number AS reindex_then_number, r.then_hash AS reindex_then_hash, \
     r.then_at AS reindex_then_at, r.derivation AS reindex_derivation, n.derivation, n.has_standings \
     FROM cursor c JOIN network n USING (chain_id) LEFT JOIN reindex r USING (chain_id) WHERE c.chain_id = $1";

/// How far a network is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The newest block whose data is committed; nothing before the first.
    pub tip: Option<Tip>,
    /// The newest block that is final, verified, and at or below the tip: nothing at or below it is undone.
    pub finalized: Option<BlockRef>,
    /// The newest block proposed on L1, at or below the tip; nothing where the network does not tell.
    pub safe: Option<u64>,
    /// Rises with every commit.
    pub seq: u64,
    /// The re-index that is under way.
    pub reindex: Option<Job>,
    /// The number of the program that derived all that is held.
    pub derivation: i16,
}

/// What a rise of finality did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finalized {
    /// The newest final block now.
    pub finalized: Option<BlockRef>,
    /// Whether it is another than before.
    pub moved: bool,
    /// The sequence number of the commit.
    pub seq: u64,
}

/// A transaction that holds the cursor's row, and the cursor as it was before.
pub(super) struct Step<'a> {
    pub(super) sql: Sql<'a>,
    pub(super) cursor: Cursor,
    pub(super) contracts: &'a Contracts,
    pub(super) start_block: u64,
    pub(super) standings_are: StandingsAre,
    /// What feedback was ever written, where the writer knows it.
    pub(super) ever_given: Option<Arc<EverGiven>>,
    /// Which agents there are, where the writer knows it.
    pub(super) named: NamedSoFar,
}

/// How far down a rewind may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Floor {
    /// To the finalized block: what is final is not undone.
    Finality,
    /// To this block, whatever was final: an operator asked for it.
    Asked(BlockRef),
}

impl<'a> Step<'a> {
    /// Locks the cursor's row and asserts that the writer is still the one of this epoch.
    pub(super) async fn begin(
        sql: Sql<'a>,
        epoch: i64,
        contracts: &'a Contracts,
        start_block: u64,
        ever_given: Option<Arc<EverGiven>>,
    ) -> Result<Self, StoreError> {
        let settings = match sql.amount {
            // What looks few keys up is planned once for all values, as long as the connection stands: to plan it takes ten
            // times as long as to do it. Such a plan is good however much the tables grow.
            Amount::Few => format!(
                ", set_config('plan_cache_mode', '{KEPT_PLANS}', TRUE), set_config('enable_seqscan', 'off', TRUE)"
            ),
            Amount::Many => String::new(),
        };
        let cursor = CURSOR.replacen(" FROM cursor", &format!("{settings} FROM cursor"), 1);
        let rows = sql.query(&format!("{cursor} FOR UPDATE OF c"), &[]).await?;
        let row = rows.first().ok_or_else(|| sql::corrupt("a network has no cursor"))?;
        if sql::column::<i64>(row, "epoch")? != epoch {
            return Err(StoreError::Fenced { chain_id: sql.chain_id });
        }
        let cursor = read_cursor(row)?;
        let standings_are = if sql::column(row, "has_standings")? { StandingsAre::Kept } else { StandingsAre::Late };
        let named = NamedSoFar::default();
        Ok(Self { sql, cursor, contracts, start_block, standings_are, ever_given, named })
    }

    /// The step of a writer that knows which agents there are, if it does.
    pub(super) fn knowing(self, named: Option<NamedAgents>) -> Self {
        Self { named: NamedSoFar::of(named), ..self }
    }

    /// Undoes and adds what the batch says; also returns the cursor that it was committed with, and which agents there are
    /// then where that is known.
    pub(super) async fn apply(
        self,
        mut batch: Batch,
        parts: &[u64],
        floor: Floor,
    ) -> Result<(Applied, Cursor, Option<NamedAgents>), StoreError> {
        let before = self.cursor;
        if before.tip.map(|tip| tip.block()) != batch.expected_tip {
            let found = before.tip.map(|tip| tip.block());
            return Err(StoreError::TipMoved { expected: batch.expected_tip, found });
        }
        if self.cursor.is_outdated() && !self.takes_all(&batch) {
            return Err(StoreError::Rederiving { chain_id: self.sql.chain_id });
        }
        let base = self.base(&batch, floor)?;
        let known = self.known_final(floor);
        let finalized = rising(known, batch.finalized)?;
        batch.check(base, self.start_block, finalized.map(|block| block.number))?;
        self.check_link(&batch, base, floor).await?;
        let mut seq = before.seq;
        let job = self.job_after(&batch, floor).await?;
        let rewound = match batch.rewind_to.zip(before.tip) {
            Some((to, tip)) => Some(self.undo(tip, to, floor, &mut seq).await?),
            None => None,
        };
        for part in parts {
            self.sql.execute("SELECT ensure_block_range($1, $2)", &[&signed(*part)]).await?;
        }
        let how = Deriving {
            finalized: finalized.map(|block| block.number),
            told_from: job.and_then(|job| job.told_from),
            blocks_are: BlocksAre::New,
            standings_are: self.standings_are,
            ever_given: self.ever_given.clone(),
            named: self.named.clone(),
        };
        let blocks: Arc<[Block]> = std::mem::take(&mut batch.blocks).into();
        let added = Box::pin(apply::derive(&self.sql, self.contracts, &blocks, &how, seq)).await?;
        if let Some(finalized) = finalized.filter(|_| finalized != known) {
            self.check_final(finalized, &batch.tip, &blocks).await?;
            apply::prune(&self.sql, known.map(|block| block.number), base, finalized.number).await?;
        }
        // A commit without changes counts too: what is cached is cached under its number.
        let seq = added.seq.max(before.seq + 1);
        let safe = batch.safe.map(|safe| safe.min(batch.tip.number));
        let reindex = job.filter(|job| batch.tip.number < job.target.number);
        self.keep_job(reindex).await?;
        // Nothing is left that another program derived.
        let after = Cursor { tip: Some(batch.tip), finalized, safe, seq, reindex, derivation: DERIVATION };
        let (statements, named) = (self.sql.statements() + 1, self.named.take());
        self.commit(&after).await?;
        let Added { events, flips, undecoded, rows, .. } = added;
        Ok((Applied { events, flips, undecoded, rows, rewound, seq, statements }, after, named))
    }

    /// Whether all that is held is undone before the batch is added. Nothing derives from the genesis block.
    fn takes_all(&self, batch: &Batch) -> bool {
        batch.rewind_to.is_some_and(|kept| kept < self.start_block.max(1))
    }

    /// The newest block that is kept below the batch's.
    fn base(&self, batch: &Batch, floor: Floor) -> Result<Option<u64>, StoreError> {
        let tip = self.cursor.tip.map(|tip| tip.number);
        let Some(to) = batch.rewind_to else { return Ok(tip) };
        if let (Floor::Finality, Some(finalized)) = (floor, self.cursor.finalized)
            && to < finalized.number
        {
            return Err(StoreError::BelowFinality { rewind_to: to, finalized: finalized.number });
        }
        match tip {
            Some(tip) if to <= tip => Ok(Some(to)),
            // A rewind that moves forward would skip what lies between (F61).
            _ => Err(StoreError::Batch { reason: format!("cannot rewind to block {to}, which is not indexed yet") }),
        }
    }

    /// The newest final block that a rewind leaves.
    fn known_final(&self, floor: Floor) -> Option<BlockRef> {
        match floor {
            Floor::Asked(kept) if self.is_below_finality(kept.number) => {
                Some(kept).filter(|kept| kept.number >= self.start_block)
            }
            _ => self.cursor.finalized,
        }
    }

    pub(super) fn is_below_finality(&self, to: u64) -> bool {
        self.cursor.finalized.is_some_and(|finalized| to < finalized.number)
    }

    /// The first new block must stand on the one that is kept, where that one's hash is held.
    async fn check_link(&self, batch: &Batch, base: Option<u64>, floor: Floor) -> Result<(), StoreError> {
        let Some(base) = base else { return Ok(()) };
        let Some(held) = self.held_hash(base).await? else { return Ok(()) };
        let new = match (batch.blocks.first(), floor) {
            (Some(first), _) if first.header.number == base + 1 => first.header.parent_hash,
            (None, _) if batch.tip.number == base => batch.tip.hash,
            (_, Floor::Asked(kept)) => kept.hash,
            _ => return Ok(()),
        };
        if new == held {
            return Ok(());
        }
        let expected = Some(BlockRef { number: base, hash: new });
        Err(StoreError::TipMoved { expected, found: Some(BlockRef { number: base, hash: held }) })
    }

    /// The hash at a height, as far as it is held.
    pub(super) async fn held_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        let cursor = &self.cursor;
        let known = [cursor.tip.map(|tip| tip.block()), cursor.finalized];
        if let Some(block) = known.into_iter().flatten().find(|block| block.number == number) {
            return Ok(Some(block.hash));
        }
        self.stored_hash(number).await
    }

    pub(super) async fn stored_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        apply::held_hash(&self.sql, number).await
    }

    /// How what is above a block is undone.
    pub(super) fn undoing(&self, to: u64, is_trusted: bool) -> Undoing {
        let below_finality = self.is_below_finality(to);
        Undoing { to, below_finality, is_trusted, standings_are: self.standings_are }
    }

    async fn undo(&self, tip: Tip, to: u64, floor: Floor, seq: &mut u64) -> Result<Rewound, StoreError> {
        // Some of them may go.
        self.named.take();
        let undoing = self.undoing(to, floor == Floor::Finality);
        let undone = apply::undo(&self.sql, self.contracts, &undoing, *seq).await?;
        *seq = undone.seq;
        Ok(Rewound { from: tip.number, to, depth: tip.number - to, agents: undone.agents })
    }

    /// A block that is called final must be the one that we hold, or have just added.
    async fn check_final(&self, finalized: BlockRef, tip: &Tip, added: &[Block]) -> Result<(), StoreError> {
        let number = finalized.number;
        let new = added.iter().map(|block| block.header.block()).chain([tip.block()]);
        let held = match new.into_iter().find(|block| block.number == number) {
            Some(block) => Some(block.hash),
            None => self.stored_hash(number).await?,
        };
        match held {
            Some(held) if held != finalized.hash => Err(StoreError::OtherFinal { finalized, held }),
            _ => Ok(()),
        }
    }

    pub(super) async fn finalize(
        self,
        finalized: Option<BlockRef>,
        safe: Option<u64>,
    ) -> Result<Finalized, StoreError> {
        let before = self.cursor;
        if before.is_outdated() || before.rederiving().is_some() {
            return Err(StoreError::Rederiving { chain_id: self.sql.chain_id });
        }
        let Some(tip) = before.tip else {
            return Ok(Finalized { finalized: before.finalized, moved: false, seq: before.seq });
        };
        let reached = rising(before.finalized, finalized.filter(|block| block.number <= tip.number))?;
        let moved = reached != before.finalized;
        let safe = safe.map(|safe| safe.min(tip.number));
        if !moved && safe == before.safe {
            return Ok(Finalized { finalized: reached, moved, seq: before.seq });
        }
        if let Some(reached) = reached.filter(|_| moved) {
            self.check_final(reached, &tip, &[]).await?;
            let from = before.finalized.map(|block| block.number);
            apply::prune(&self.sql, from, Some(tip.number), reached.number).await?;
        }
        let seq = before.seq + 1;
        self.commit(&Cursor { finalized: reached, safe, seq, ..before }).await?;
        Ok(Finalized { finalized: reached, moved, seq })
    }

    /// Computes digests of stored logs that have none, a bounded piece of them; returns whether there may be more.
    pub(super) async fn catch_up_digest(self) -> Result<bool, StoreError> {
        if self.cursor.rederiving().is_some() {
            // What is above the tip is added as it is derived.
            return Ok(false);
        }
        let finalized = self.cursor.finalized.map(|block| block.number);
        let more = apply::catch_up_digest(&self.sql, self.contracts, finalized).await?;
        self.sql.commit().await?;
        Ok(more)
    }

    /// Moves the cursor, tells it, and commits.
    pub(super) async fn commit(self, after: &Cursor) -> Result<(), StoreError> {
        if after.derivation != self.cursor.derivation {
            let update = "UPDATE network SET derivation = $2 WHERE chain_id = $1";
            self.sql.execute(update, &[&after.derivation]).await?;
        }
        let payload = format!("{} {}", self.sql.chain_id, after.seq);
        self.sql
            .execute(
                "WITH told AS (SELECT pg_notify($9, $10)) \
                 UPDATE cursor SET tip_number = $2, tip_hash = $3, tip_at = $4, safe_number = $5, \
                     finalized_number = $6, finalized_hash = $7, seq = $8 \
                 FROM told WHERE chain_id = $1",
                &[
                    &after.tip.map(|tip| signed(tip.number)),
                    &after.tip.as_ref().map(|tip| tip.hash.as_slice()),
                    &after.tip.map(|tip| signed(tip.timestamp)),
                    &after.safe.map(clamped),
                    &after.finalized.map(|block| signed(block.number)),
                    &after.finalized.as_ref().map(|block| block.hash.as_slice()),
                    &signed(after.seq),
                    &CHANNEL,
                    &payload,
                ],
            )
            .await?;
        self.sql.commit().await
    }
}

/// Reads a row of [`CURSOR`].
pub(super) fn read_cursor(row: &tokio_postgres::Row) -> Result<Cursor, StoreError> {
    let optional = |name| sql::optional_number(row, name);
    let tip = match optional("tip_number")? {
        None => None,
        Some(number) => Some(Tip { number, hash: sql::hash(row, "tip_hash")?, timestamp: sql::number(row, "tip_at")? }),
    };
    let finalized = match optional("finalized_number")? {
        None => None,
        Some(number) => Some(BlockRef { number, hash: sql::hash(row, "finalized_hash")? }),
    };
    let (safe, seq) = (optional("safe_number")?, sql::number(row, "seq")?);
    let (reindex, derivation) = (Job::read(row)?, sql::column(row, "derivation")?);
    Ok(Cursor { tip, finalized, safe, seq, reindex, derivation })
}

/// Finality only rises: a lower or a missing one changes nothing (F16). Another block at the same height is a chain that
/// broke its word (F15).
fn rising(before: Option<BlockRef>, now: Option<BlockRef>) -> Result<Option<BlockRef>, StoreError> {
    match (before, now) {
        (Some(before), Some(now)) if now.number == before.number && now.hash != before.hash => {
            Err(StoreError::OtherFinal { finalized: now, held: before.hash })
        }
        (Some(before), Some(now)) if now.number <= before.number => Ok(Some(before)),
        (before, now) => Ok(now.or(before)),
    }
}

/// A height that may come from anywhere: beyond 2^63 is as good as 2^63.
pub(super) fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
