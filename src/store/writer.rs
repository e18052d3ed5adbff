//! The one writer of a network: elected by a lock, fenced by an epoch, moving the cursor.
//!
//! The advisory lock lives on the writer's own connection and dies with it. Because a writer can outlive its lock
//! without knowing (a connection that hangs, a proxy in between), every transaction also locks the cursor's row and
//! asks whether the epoch is still its own: an old writer cannot commit anything (F55).

use std::collections::HashSet;
use std::time::Instant;

use alloy::primitives::B256;
use deadpool_postgres::{ClientWrapper, Object};

use super::Store;
use super::apply::{self, Applied, Batch, Contracts, Rewound, Tip};
use super::error::StoreError;
use super::network;
use super::sql::{self, Sql, signed};
use crate::block::{Block, BlockRef};
use crate::id::ChainId;
use crate::metrics;

/// The channel on which each commit is told: the payload is `chain_id seq`.
pub const CHANNEL: &str = "meikan";

/// A range of blocks whose partitions exist: `number / 2^24`.
const PARTITION_BITS: u32 = 24;

/// Rows inserted by a writer before it refreshes the planner's statistics for the first time.
const FIRST_ANALYZE_ROWS: u64 = 2_000;

/// How much larger the tables are each time. The planner scales what it knows by the size of the tables, so the shape of
/// small ones does; twice as large each time, ANALYZE was more than a quarter of a backfill of 200,000 events.
const ANALYZE_GROWTH: u64 = 8;

/// How long a writer's statement waits for a lock that somebody holds on a table; then the step fails, is told, and is
/// tried again, in the place of a stall that nobody sees.
const LOCK_TIMEOUT_MS: u32 = 30_000;

/// The tables that an apply looks up or ends rows in.
const ANALYZED: [&str; 7] =
    ["agent", "agent_metadata", "operator_approval", "agent_total", "feedback", "validation", "audit_event"];

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
}

/// A header as it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredHeader {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block below it.
    pub parent_hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
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

/// The right to write one network's data.
pub struct Writer {
    client: ClientWrapper,
    chain_id: ChainId,
    epoch: i64,
    start_block: u64,
    contracts: Contracts,
    /// Ranges of blocks that are known to have partitions.
    partitions: HashSet<u64>,
    /// Rows inserted since the planner's statistics were last brought up to date, and how many of them bring that on.
    unanalyzed_rows: u64,
    analyze_at_rows: u64,
}

impl Store {
    /// Becomes the writer of a registered network; nothing while another process is.
    ///
    /// # Errors
    /// [`StoreError::Network`] when the network is not registered, or what the database says.
    pub async fn writer(&self, chain_id: ChainId) -> Result<Option<Writer>, StoreError> {
        let failed = || StoreError::database("become the writer");
        // The connection leaves the pool: it lives and dies with the writer.
        let client = Object::take(self.write().await?);
        let locked = client
            .query_one(
                "SELECT pg_try_advisory_lock(hashtextextended('meikan writer ' || $1::bigint, 0))",
                &[&signed(chain_id)],
            )
            .await
            .map_err(failed())?;
        if !locked.get::<_, bool>(0) {
            return Ok(None);
        }
        let raised = "UPDATE cursor SET epoch = epoch + 1 FROM network \
                      WHERE network.chain_id = $1 AND cursor.chain_id = $1 RETURNING epoch, start_block";
        let row = client.query_opt(raised, &[&signed(chain_id)]).await.map_err(failed())?;
        let Some(row) = row else {
            let reason = format!("chain {chain_id} is not registered in this database; list it in the configuration");
            return Err(StoreError::Network { reason });
        };
        client.batch_execute(&format!("SET lock_timeout = {LOCK_TIMEOUT_MS}")).await.map_err(failed())?;
        let contracts = Contracts::new(&network::contracts(&*client, chain_id).await?);
        let analyzed_rows = analyzed_rows(&client, chain_id).await?;
        Ok(Some(Writer {
            chain_id,
            epoch: sql::column(&row, "epoch")?,
            start_block: sql::number(&row, "start_block")?,
            contracts,
            partitions: HashSet::new(),
            unanalyzed_rows: 0,
            analyze_at_rows: analyzed_rows.max(FIRST_ANALYZE_ROWS),
            client,
        }))
    }
}

/// How many rows the planner believes a network's tables to have: a writer that starts on a large database has nothing to
/// tell it until the tables have doubled.
async fn analyzed_rows(client: &ClientWrapper, chain_id: ChainId) -> Result<u64, StoreError> {
    let select = "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows FROM unnest($1::text[]) AS t (name) \
                  CROSS JOIN LATERAL pg_partition_tree(t.name::regclass) p JOIN pg_class c ON c.oid = p.relid \
                  WHERE p.isleaf";
    let tables = ANALYZED.map(|table| format!("{table}_{chain_id}")).to_vec();
    let row = client.query_one(select, &[&tables]).await.map_err(StoreError::database("become the writer"))?;
    sql::number(&row, "rows")
}

impl Writer {
    /// The network.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        self.chain_id
    }

    /// Whether the connection is gone, and the lock with it: another writer must be asked for.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// How far the network is committed.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another writer took over, or what the database says.
    pub async fn cursor(&mut self) -> Result<Cursor, StoreError> {
        let step = self.begin("cursor").await?;
        Ok(step.cursor)
    }

    /// The headers that are held between two heights, both included, from the highest down.
    ///
    /// # Errors
    /// What the database says.
    pub async fn headers(&mut self, from: u64, to: u64) -> Result<Vec<StoredHeader>, StoreError> {
        let rows = self
            .client
            .query(
                "SELECT number, hash, parent_hash, block_at FROM block \
                 WHERE chain_id = $1 AND number BETWEEN $2 AND $3 ORDER BY number DESC",
                &[&signed(self.chain_id), &clamped(from), &clamped(to)],
            )
            .await
            .map_err(StoreError::database("headers"))?;
        let header = |row| {
            Ok(StoredHeader {
                number: sql::number(row, "number")?,
                hash: sql::hash(row, "hash")?,
                parent_hash: sql::hash(row, "parent_hash")?,
                timestamp: sql::number(row, "block_at")?,
            })
        };
        rows.iter().map(header).collect()
    }

    /// Undoes blocks where that is asked for, then adds the batch's: all of it, with the cursor, or nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::TipMoved`], [`StoreError::BelowFinality`], [`StoreError::OtherFinal`],
    /// [`StoreError::Batch`], or what the database says.
    pub async fn apply(&mut self, batch: Batch) -> Result<Applied, StoreError> {
        let started = Instant::now();
        let parts: Vec<u64> = self.missing_partitions(&batch);
        let step = self.begin("apply").await?;
        let applied = step.apply(&batch, &parts).await?;
        self.partitions.extend(parts);
        self.measure("apply", started);
        self.unanalyzed_rows += applied.rows;
        if self.unanalyzed_rows >= self.analyze_at_rows {
            self.analyze().await;
        }
        Ok(applied)
    }

    /// Brings the planner's statistics up to date while a backfill fills empty tables: the server's own turn comes once a
    /// minute, and until then it believes the tables to be empty. Seldom, because it reads samples of every partition,
    /// which takes seconds once they are large.
    async fn analyze(&mut self) {
        let started = Instant::now();
        self.analyze_at_rows = self.analyze_at_rows.saturating_mul(ANALYZE_GROWTH);
        self.unanalyzed_rows = 0;
        let tables = ANALYZED.map(|table| format!("{table}_{}", self.chain_id)).join(", ");
        // What was committed stays committed, whether or not this works.
        if let Err(error) = self.client.batch_execute(&format!("ANALYZE {tables}")).await {
            tracing::warn!(chain_id = self.chain_id, %error, "the planner's statistics could not be refreshed");
        }
        self.measure("analyze", started);
    }

    /// Notes the chain's head and finality as seen; an observation, no part of the data.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the database says.
    pub async fn observe_head(
        &mut self,
        head: Tip,
        safe: Option<u64>,
        finalized: Option<u64>,
    ) -> Result<(), StoreError> {
        let written = self
            .client
            .execute(
                "INSERT INTO head (chain_id, number, hash, block_at, safe_number, finalized_number, seen_at) \
                 SELECT $1, $2, $3, $4, $5, $6, now() FROM cursor WHERE chain_id = $1 AND epoch = $7 \
                 ON CONFLICT (chain_id) DO UPDATE SET number = excluded.number, hash = excluded.hash, \
                     block_at = excluded.block_at, safe_number = excluded.safe_number, \
                     finalized_number = excluded.finalized_number, seen_at = excluded.seen_at",
                &[
                    &signed(self.chain_id),
                    &clamped(head.number),
                    &head.hash.as_slice(),
                    &clamped(head.timestamp),
                    &safe.map(clamped),
                    &finalized.map(clamped),
                    &self.epoch,
                ],
            )
            .await
            .map_err(StoreError::database("observe the head"))?;
        if written == 0 { Err(StoreError::Fenced { chain_id: self.chain_id }) } else { Ok(()) }
    }

    /// Moves finality and safety without new blocks, and forgets what finality makes superfluous: versions of totals,
    /// headers without events, old changes; raw logs become dense. A finality that is not above the one known, or above
    /// the tip, changes nothing (F16).
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::OtherFinal`], or what the database says.
    pub async fn finalize(&mut self, finalized: Option<BlockRef>, safe: Option<u64>) -> Result<Finalized, StoreError> {
        let started = Instant::now();
        let step = self.begin("finalize").await?;
        let finalized = step.finalize(finalized, safe).await?;
        self.measure("finalize", started);
        Ok(finalized)
    }

    /// Ranges of blocks that the batch writes to and that may lack partitions.
    fn missing_partitions(&self, batch: &Batch) -> Vec<u64> {
        let parts: HashSet<u64> = batch.blocks.iter().map(|block| block.header.number >> PARTITION_BITS).collect();
        parts.difference(&self.partitions).copied().collect()
    }

    /// Begins a transaction that holds the cursor's row.
    async fn begin(&mut self, operation: &'static str) -> Result<Step<'_>, StoreError> {
        let transaction = self.client.transaction().await.map_err(StoreError::database(operation))?;
        let sql = Sql::new(transaction, operation, self.chain_id);
        let rows = sql
            .query(
                "SELECT epoch, seq, tip_number, tip_hash, tip_at, safe_number, finalized_number, finalized_hash \
                 FROM cursor WHERE chain_id = $1 FOR UPDATE",
                &[],
            )
            .await?;
        let row = rows.first().ok_or_else(|| sql::corrupt("a network has no cursor"))?;
        if sql::column::<i64>(row, "epoch")? != self.epoch {
            return Err(StoreError::Fenced { chain_id: self.chain_id });
        }
        let cursor = read_cursor(row)?;
        Ok(Step { sql, cursor, contracts: &self.contracts, start_block: self.start_block })
    }

    fn measure(&self, operation: &'static str, started: Instant) {
        ::metrics::histogram!(metrics::SQL_DURATION, "operation" => operation).record(started.elapsed());
    }
}

/// A height that may come from anywhere: beyond 2^63 is as good as 2^63.
fn clamped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn read_cursor(row: &tokio_postgres::Row) -> Result<Cursor, StoreError> {
    let optional = |name| sql::column::<Option<i64>>(row, name)?.map(sql::unsigned).transpose();
    let tip = match optional("tip_number")? {
        None => None,
        Some(number) => Some(Tip { number, hash: sql::hash(row, "tip_hash")?, timestamp: sql::number(row, "tip_at")? }),
    };
    let finalized = match optional("finalized_number")? {
        None => None,
        Some(number) => Some(BlockRef { number, hash: sql::hash(row, "finalized_hash")? }),
    };
    Ok(Cursor { tip, finalized, safe: optional("safe_number")?, seq: sql::number(row, "seq")? })
}

/// A transaction that holds the cursor's row, and the cursor as it was before.
struct Step<'a> {
    sql: Sql<'a>,
    cursor: Cursor,
    contracts: &'a Contracts,
    start_block: u64,
}

impl Step<'_> {
    async fn apply(self, batch: &Batch, parts: &[u64]) -> Result<Applied, StoreError> {
        let before = self.cursor;
        if before.tip.map(|tip| tip.block()) != batch.expected_tip {
            let found = before.tip.map(|tip| tip.block());
            return Err(StoreError::TipMoved { expected: batch.expected_tip, found });
        }
        let base = self.base(batch)?;
        let finalized = rising(before.finalized, batch.finalized)?;
        batch.check(base, self.start_block, finalized.map(|block| block.number))?;
        self.check_link(batch, base).await?;
        let mut seq = before.seq;
        let rewound = match batch.rewind_to.zip(before.tip) {
            Some((to, tip)) => Some(self.undo(tip, to, &mut seq).await?),
            None => None,
        };
        for part in parts {
            self.sql.execute("SELECT ensure_block_range($1, $2)", &[&signed(*part)]).await?;
        }
        let final_number = finalized.map(|block| block.number);
        let added = apply::add(&self.sql, self.contracts, &batch.blocks, final_number, seq).await?;
        if let Some(finalized) = finalized.filter(|_| finalized != before.finalized) {
            self.check_final(finalized, &batch.tip, &batch.blocks).await?;
            apply::prune(&self.sql, before.finalized.map(|block| block.number), base, finalized.number).await?;
        }
        // A commit without changes counts too: what is cached is cached under its number.
        let seq = added.seq.max(before.seq + 1);
        let safe = batch.safe.map(|safe| safe.min(batch.tip.number));
        let after = Cursor { tip: Some(batch.tip), finalized, safe, seq };
        let statements = self.sql.statements() + 1;
        self.commit(&after).await?;
        Ok(Applied { events: added.events, undecoded: added.undecoded, rows: added.rows, rewound, seq, statements })
    }

    /// The newest block that is kept below the batch's.
    fn base(&self, batch: &Batch) -> Result<Option<u64>, StoreError> {
        let tip = self.cursor.tip.map(|tip| tip.number);
        let Some(to) = batch.rewind_to else { return Ok(tip) };
        if let Some(finalized) = self.cursor.finalized.filter(|finalized| to < finalized.number) {
            return Err(StoreError::BelowFinality { rewind_to: to, finalized: finalized.number });
        }
        match tip {
            Some(tip) if to <= tip => Ok(Some(to)),
            // A rewind that moves forward would skip what lies between (F61).
            _ => Err(StoreError::Batch { reason: format!("cannot rewind to block {to}, which is not indexed yet") }),
        }
    }

    /// The first new block must stand on the one that is kept, where that one's hash is held.
    async fn check_link(&self, batch: &Batch, base: Option<u64>) -> Result<(), StoreError> {
        let Some(base) = base else { return Ok(()) };
        let Some(held) = self.held_hash(base).await? else { return Ok(()) };
        let new = match batch.blocks.first() {
            Some(first) if first.header.number == base + 1 => first.header.parent_hash,
            None if batch.tip.number == base => batch.tip.hash,
            _ => return Ok(()),
        };
        if new == held {
            return Ok(());
        }
        let expected = Some(BlockRef { number: base, hash: new });
        Err(StoreError::TipMoved { expected, found: Some(BlockRef { number: base, hash: held }) })
    }

    /// The hash at a height, as far as it is held.
    async fn held_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        let cursor = &self.cursor;
        let known = [cursor.tip.map(|tip| tip.block()), cursor.finalized];
        if let Some(block) = known.into_iter().flatten().find(|block| block.number == number) {
            return Ok(Some(block.hash));
        }
        self.stored_hash(number).await
    }

    async fn stored_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        let select = "SELECT hash FROM block WHERE chain_id = $1 AND number = $2";
        let rows = self.sql.query(select, &[&signed(number)]).await?;
        rows.first().map(|row| sql::hash(row, "hash")).transpose()
    }

    async fn undo(&self, tip: Tip, to: u64, seq: &mut u64) -> Result<Rewound, StoreError> {
        let undone = apply::undo(&self.sql, to, *seq).await?;
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

    async fn finalize(self, finalized: Option<BlockRef>, safe: Option<u64>) -> Result<Finalized, StoreError> {
        let before = self.cursor;
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

    /// Moves the cursor, tells it, and commits.
    async fn commit(self, after: &Cursor) -> Result<(), StoreError> {
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
