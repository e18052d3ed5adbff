//! Re-indexing from a chosen block: below finality too, because an operator asks for it; the loop never does.
//!
//! From the chain, a rewind to any block and the first stretch that replaces it are one transaction
//! ([`Writer::reingest`]); the loop's ordinary steps bring the rest. From the store ([`Writer::rederive`]), headers and
//! raw logs stay, and all that derives from them is undone and derived again: in one transaction where it fits
//! [`STEP_LOGS`], so that readers see one swap, else in several, each of which leaves the tables as of the block that the
//! cursor names. What is under way is a row of `reindex`, written and ended in the transactions that it is about: after
//! a crash whoever becomes the writer goes on with it ([`Writer::resume`]).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio_postgres::Row;

use super::apply::{self, Applied, Batch, BlocksAre, Bounds, DERIVATION, Deriving, Tip, Undone};
use super::error::StoreError;
use super::generation;
use super::sql::{self, signed};
use super::step::{Cursor, Floor, Step, clamped};
use super::writer::Writer;
use crate::block::{Block, BlockRef};
use crate::id::ChainId;

/// Logs and headers that one transaction derives from, at most, where nothing else is set; and a segment of logs more.
pub(super) const STEP_LOGS: u64 = 200_000;

/// What is held in memory of them at a time.
const BOUNDS: Bounds = Bounds { logs: 10_000, segment_bytes: 8 << 20, headers: 10_000 };

/// Where the blocks of a re-index come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The chain: headers and logs are fetched again.
    Rpc,
    /// The raw logs that the store holds.
    Store,
}

impl Source {
    /// Its name on the command line and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rpc => "rpc",
            Self::Store => "store",
        }
    }
}

/// A re-index that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Job {
    /// Where the blocks come from.
    pub source: Source,
    /// The first block.
    pub from: u64,
    /// The newest block before it began: where it ends.
    pub target: Tip,
    /// The newest final block before it began.
    pub finalized: Option<BlockRef>,
    /// The newest block proposed on L1 before it began.
    pub safe: Option<u64>,
    /// Changes of blocks from this one on were taken back, and are told again.
    pub(super) told_from: Option<u64>,
    /// Of one from the store: where one from the chain ends that was half way when it began, and that goes on after it.
    pub(super) then: Option<Tip>,
    /// The number of the program that began it.
    pub(super) derivation: i16,
}

/// What a step of a re-index from the store did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rederived {
    /// The first block of the step.
    pub from: u64,
    /// Its last block, the tip now.
    pub to: u64,
    /// The tip at the end.
    pub target: u64,
    /// Events by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Logs that are no known event, or malformed.
    pub undecoded: u64,
    /// Rows inserted.
    pub rows: u64,
    /// The sequence number of the commit.
    pub seq: u64,
}

impl Rederived {
    /// Whether nothing is left to do; else [`Writer::resume`] goes on.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.to >= self.target
    }
}

/// What a re-index has left to derive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Headers that are held from the first block on.
    pub headers: u64,
    /// Raw logs in them.
    pub logs: u64,
}

impl Writer {
    /// As [`Writer::apply`] of a batch that undoes, but down to any block: final ones too. `kept` is the block that the
    /// batch rewinds to, as the chain shows it; what was final above it is so no longer.
    ///
    /// # Errors
    /// As [`Writer::apply`]; [`StoreError::TipMoved`] when another block is held in the place of `kept`.
    pub async fn reingest(&mut self, batch: Batch, kept: BlockRef) -> Result<Applied, StoreError> {
        debug_assert_eq!(batch.rewind_to, Some(kept.number));
        self.apply_above(batch, Floor::Asked(kept)).await
    }

    /// Lets a step of a re-index from the store derive from at most so many logs and headers. Where that does not fit
    /// all of them, the tables are as of earlier blocks meanwhile.
    pub fn set_reindex_step_logs(&mut self, logs: u64) {
        self.reindex_step_logs = logs.max(1);
    }

    /// Undoes all that derives from block `from` on, and derives it again from the raw logs that are held, with the
    /// present decoder: all of it, or the first step. Tip, finality and safety are in the end what they were.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::RawLogs`], [`StoreError::Fenced`], or what the database says; nothing
    /// is changed then.
    pub async fn rederive(&mut self, from: u64) -> Result<Rederived, StoreError> {
        let started = Instant::now();
        let (bounds, renaming) = (self.bounds(), self.renaming.clone());
        let step = self.begin_anew("reindex").await?;
        for contract in &renaming {
            generation::enter(&**step.sql.transaction(), step.sql.chain_id, contract)
                .await
                .map_err(StoreError::database("reindex"))?;
        }
        let rederived = Box::pin(step.rederive(from, &bounds)).await?;
        self.renaming.clear();
        self.measured("reindex", started, rederived.rows).await;
        Ok(rederived)
    }

    /// Goes on with what [`Writer::rederive`] or [`Writer::repair`] has left, by one step; nothing when nothing is. Where
    /// an older program derived the tables, or was about to, it begins to derive all of them anew.
    ///
    /// # Errors
    /// As [`Writer::rederive`].
    pub async fn resume(&mut self) -> Result<Option<Rederived>, StoreError> {
        let started = Instant::now();
        let bounds = self.bounds();
        let step = self.begin_anew("reindex").await?;
        let rederived = if step.cursor.is_outdated() {
            let start = step.start_block;
            Box::pin(step.rederive(start, &bounds)).await?
        } else if let Some(job) = step.cursor.rederiving() {
            Box::pin(step.resume(job, &bounds)).await?
        } else {
            return Ok(None);
        };
        self.measured("reindex", started, rederived.rows).await;
        Ok(Some(rederived))
    }

    /// Puts these final blocks in the place of what is held of them, raw logs and headers, and derives again from the
    /// lowest of them on, as [`Writer::rederive`] does. Blocks rise; one without logs says that it has none.
    ///
    /// # Errors
    /// [`StoreError::Batch`] when one is not final or they do not fit, [`StoreError::OtherFinal`] when another block is
    /// held at its height; else as [`Writer::rederive`].
    pub async fn repair(&mut self, blocks: &[Block]) -> Result<Rederived, StoreError> {
        let started = Instant::now();
        let (parts, bounds) = (self.missing_partitions(blocks), self.bounds());
        let step = self.begin_anew("repair").await?;
        let rederived = Box::pin(step.repair(blocks, &parts, &bounds)).await?;
        self.have_partitions(parts);
        self.measured("repair", started, rederived.rows).await;
        Ok(rederived)
    }

    /// Reads all raw logs from block `from` on and holds them against the headers; tells how many there are.
    ///
    /// # Errors
    /// [`StoreError::RawLogs`] when something is missing or damaged, or what the database says.
    pub async fn check_raw_logs(&mut self, from: u64) -> Result<Stock, StoreError> {
        let step = self.begin("check raw logs").await?;
        let Some(tip) = step.cursor.tip else { return Ok(Stock { headers: 0, logs: 0 }) };
        let target = step.held_to(tip);
        step.check_raw_logs(from, target.number).await
    }

    fn bounds(&self) -> StepBounds {
        let rows = self.reindex_step_logs;
        StepBounds {
            rows,
            stretch: Bounds { logs: BOUNDS.logs.min(rows), headers: BOUNDS.headers.min(rows), ..BOUNDS },
        }
    }
}

/// How much a step derives from, and how much of that is held in memory at a time.
struct StepBounds {
    rows: u64,
    stretch: Bounds,
}

impl Step<'_> {
    async fn rederive(self, from: u64, bounds: &StepBounds) -> Result<Rederived, StoreError> {
        let tip = self.reach(from)?;
        let from = self.or_start(from);
        self.check_raw_logs(from, self.held_to(tip).number).await?;
        let job = self.begin_job(from, tip).await?;
        let undone = self.underive(from).await?;
        self.derive(job, from.max(1), undone.seq, bounds).await
    }

    async fn repair(self, blocks: &[Block], parts: &[u64], bounds: &StepBounds) -> Result<Rederived, StoreError> {
        let Some(lowest) = blocks.first().map(|block| block.header.number) else {
            return Err(StoreError::Batch { reason: "no block is given to repair".into() });
        };
        let tip = self.reach(lowest)?;
        self.check_repair(blocks).await?;
        for part in parts {
            self.sql.execute("SELECT ensure_block_range($1, $2)", &[&signed(*part)]).await?;
        }
        // First what may be refused, then what costs: nothing is undone for the sake of logs that cannot be read.
        apply::replace_raw(&self.sql, blocks).await?;
        let from = self.or_start(lowest);
        self.check_raw_logs(from, self.held_to(tip).number).await?;
        let mut job = self.begin_job(from, tip).await?;
        if let Some(last) = blocks.last().filter(|last| last.header.number == job.target.number) {
            job.target.timestamp = last.header.timestamp;
        }
        let undone = self.underive(from).await?;
        self.derive(job, from.max(1), undone.seq, bounds).await
    }

    /// Where a re-index from the store begins that is to begin at that block: at the start where what is below is of an
    /// older program, so that no mixture is left.
    fn or_start(&self, from: u64) -> u64 {
        if !self.cursor.is_outdated() {
            return from;
        }
        tracing::info!(
            chain_id = self.sql.chain_id,
            from = self.start_block,
            by = self.cursor.derivation,
            now = DERIVATION,
            "an older version derived what is stored: all of it is derived anew from the raw logs"
        );
        self.start_block
    }

    fn reach(&self, from: u64) -> Result<Tip, StoreError> {
        reach(self.sql.chain_id, self.start_block, self.cursor.tip, from)
    }

    /// The newest block whose header and raw logs are held: the tip, or what will be the tip again.
    fn held_to(&self, tip: Tip) -> Tip {
        self.cursor.rederiving().map_or(tip, |job| job.target)
    }

    /// Blocks that are repaired are final, rise, and are the ones that are held, as far as they are.
    async fn check_repair(&self, blocks: &[Block]) -> Result<(), StoreError> {
        let finalized = self.cursor.finalized.map_or(0, |finalized| finalized.number);
        let rising = blocks.windows(2).all(|pair| pair[0].header.number < pair[1].header.number);
        let last = blocks.last().map_or(0, |block| block.header.number);
        if !rising || last > finalized {
            let reason = format!("blocks up to {last} cannot be repaired in rising order while {finalized} is final");
            return Err(StoreError::Batch { reason });
        }
        apply::check_blocks(blocks)?;
        for block in blocks {
            let held = self.held_hash(block.header.number).await?;
            if let Some(held) = held.filter(|held| *held != block.header.hash) {
                return Err(StoreError::OtherFinal { finalized: block.header.block(), held });
            }
        }
        Ok(())
    }

    async fn check_raw_logs(&self, from: u64, to: u64) -> Result<Stock, StoreError> {
        let mut stock = Stock { headers: 0, logs: 0 };
        let mut next = from;
        while next <= to {
            let stretch = apply::read_stretch(&self.sql, self.contracts, next, to, &BOUNDS).await?;
            stock.headers += stretch.blocks.len() as u64;
            stock.logs += stretch.logs();
            next = stretch.to + 1;
        }
        Ok(stock)
    }

    /// Undoes all that derives from that block on. Of the genesis block nothing derives, and nothing is below it.
    async fn underive(&self, from: u64) -> Result<Undone, StoreError> {
        let undoing = self.undoing(from.max(1) - 1, false);
        apply::underive(&self.sql, self.contracts, &undoing, BlocksAre::Held, self.cursor.seq).await
    }

    /// A re-index from the store, which takes up the one that is under way.
    async fn begin_job(&self, from: u64, tip: Tip) -> Result<Job, StoreError> {
        let told = [self.cursor.reindex.and_then(|job| job.told_from), self.told_from(from).await?];
        let told_from = told.into_iter().flatten().min();
        let Cursor { finalized, safe, .. } = self.cursor;
        let derivation = DERIVATION;
        Ok(match self.cursor.rederiving() {
            Some(job) => Job { from: from.min(job.from), told_from, derivation, ..job },
            None => {
                let then = self.cursor.reindex.map(|from_chain| from_chain.target);
                Job { source: Source::Store, from, target: tip, finalized, safe, told_from, then, derivation }
            }
        })
    }

    /// The lowest block from that one on of which changes were told.
    async fn told_from(&self, from: u64) -> Result<Option<u64>, StoreError> {
        apply::told_from(&self.sql, from.max(1) - 1).await
    }

    async fn resume(self, job: Job, bounds: &StepBounds) -> Result<Rederived, StoreError> {
        let (next, seq) = (self.cursor.tip.map_or(self.start_block, |tip| tip.number + 1), self.cursor.seq);
        self.derive(job, next, seq, bounds).await
    }

    /// Derives from block `from` on, as far as one transaction goes, and commits.
    async fn derive(self, job: Job, from: u64, mut seq: u64, bounds: &StepBounds) -> Result<Rederived, StoreError> {
        let target = job.target;
        let how = Deriving {
            finalized: job.finalized.map(|block| block.number),
            told_from: job.told_from,
            blocks_are: BlocksAre::Held,
            standings_are: self.standings_are,
            ever_given: self.ever_given.clone(),
            named: self.named.clone(),
        };
        let mut done = Rederived {
            from,
            to: from.saturating_sub(1),
            target: target.number,
            events: BTreeMap::new(),
            undecoded: 0,
            rows: 0,
            seq,
        };
        let mut tip = None;
        let mut derived = 0;
        while done.to < target.number && (derived < bounds.rows || tip.is_none()) {
            let stretch =
                apply::read_stretch(&self.sql, self.contracts, done.to + 1, target.number, &bounds.stretch).await?;
            let (logs, blocks) = (stretch.logs(), Arc::<[Block]>::from(stretch.blocks));
            let added = Box::pin(apply::derive(&self.sql, self.contracts, &blocks, &how, seq)).await?;
            for (event, count) in added.events {
                *done.events.entry(event).or_default() += count;
            }
            done.undecoded += added.undecoded;
            done.rows += added.rows;
            seq = added.seq;
            derived += logs + blocks.len() as u64;
            done.to = stretch.to;
            // The tip is a block whose hash is held: between it and the stretch's end nothing happened.
            tip = blocks
                .last()
                .map(|block| Tip {
                    number: block.header.number,
                    hash: block.header.hash,
                    timestamp: block.header.timestamp,
                })
                .or(tip);
        }
        done.seq = seq.max(self.cursor.seq + 1);
        let after = if done.is_done() {
            // What the one from the chain took back is not all told again yet.
            let reindex = job.then.map(|target| Job { source: Source::Rpc, target, then: None, ..job });
            let (tip, derivation) = (Some(target), job.derivation);
            Cursor { tip, finalized: job.finalized, safe: job.safe, seq: done.seq, reindex, derivation }
        } else {
            let tip = tip.expect("a step goes on until it has a block, or all is done");
            done.to = tip.number;
            let finalized = job.finalized.map(|block| if tip.number < block.number { tip.block() } else { block });
            let safe = job.safe.map(|safe| safe.min(tip.number));
            let derivation = self.cursor.derivation;
            Cursor { tip: Some(tip), finalized, safe, seq: done.seq, reindex: Some(job), derivation }
        };
        self.keep_job(after.reindex).await?;
        self.commit(&after).await?;
        Ok(done)
    }

    /// The re-index that is under way once a batch is applied: the one before, or the one that the batch begins.
    pub(super) async fn job_after(&self, batch: &Batch, floor: Floor) -> Result<Option<Job>, StoreError> {
        let before = self.cursor.reindex;
        let (Floor::Asked(kept), Some(tip)) = (floor, self.cursor.tip) else {
            return match before {
                // Raw logs and headers above the tip are held, on which nothing may be put.
                Some(Job { source: Source::Store, .. }) => Err(StoreError::Rederiving { chain_id: self.sql.chain_id }),
                before => Ok(before),
            };
        };
        debug_assert_eq!(batch.rewind_to, Some(kept.number));
        let told = [before.and_then(|job| job.told_from), self.told_from(kept.number + 1).await?];
        let target =
            before.map(|job| job.then.unwrap_or(job.target)).filter(|target| target.number > tip.number).unwrap_or(tip);
        Ok(Some(Job {
            source: Source::Rpc,
            from: kept.number + 1,
            target,
            finalized: self.cursor.finalized,
            safe: self.cursor.safe,
            told_from: told.into_iter().flatten().min(),
            then: None,
            derivation: DERIVATION,
        }))
    }

    /// Writes which re-index is under way, where that is another than before.
    pub(super) async fn keep_job(&self, job: Option<Job>) -> Result<(), StoreError> {
        if job == self.cursor.reindex {
            return Ok(());
        }
        self.sql.execute("DELETE FROM reindex WHERE chain_id = $1", &[]).await?;
        let Some(job) = job else { return Ok(()) };
        self.sql
            .execute(
                "INSERT INTO reindex (chain_id, source, from_block, target_number, target_hash, target_at, \
                     safe_number, finalized_number, finalized_hash, told_from, then_number, then_hash, then_at, \
                     derivation) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                &[
                    &job.source.name(),
                    &signed(job.from),
                    &signed(job.target.number),
                    &job.target.hash.as_slice(),
                    &signed(job.target.timestamp),
                    &job.safe.map(clamped),
                    &job.finalized.map(|block| signed(block.number)),
                    &job.finalized.as_ref().map(|block| block.hash.as_slice()),
                    &job.told_from.map(signed),
                    &job.then.map(|then| signed(then.number)),
                    &job.then.as_ref().map(|then| then.hash.as_slice()),
                    &job.then.map(|then| signed(then.timestamp)),
                    &job.derivation,
                ],
            )
            .await?;
        Ok(())
    }
}

/// The tip, when a re-index may begin at that block.
pub(super) fn reach(chain_id: ChainId, start: u64, tip: Option<Tip>, from: u64) -> Result<Tip, StoreError> {
    let unreachable = |reason: String| Err(StoreError::Unreachable { reason });
    let Some(tip) = tip else {
        return unreachable(format!("nothing of chain {chain_id} is indexed yet; `meikan follow` begins with it"));
    };
    if from < start {
        return unreachable(format!(
            "block {from} is below the start block; the lowest block that a re-index can begin at is {start}"
        ));
    }
    let highest = tip.number + 1;
    if from > highest {
        return unreachable(format!(
            "block {from} is not indexed yet, and a re-index never moves forward; the highest block that it can begin \
             at is {highest}"
        ));
    }
    Ok(tip)
}

impl Job {
    /// The job beside a cursor, in columns that begin with `reindex_`.
    pub(super) fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let source = match sql::column::<Option<&str>>(row, "reindex_source")? {
            None => return Ok(None),
            Some("rpc") => Source::Rpc,
            Some("store") => Source::Store,
            Some(_) => return Err(sql::corrupt("a re-index has an unknown source")),
        };
        let optional = |name| sql::optional_number(row, name);
        let finalized = match optional("reindex_finalized_number")? {
            None => None,
            Some(number) => Some(BlockRef { number, hash: sql::hash(row, "reindex_finalized_hash")? }),
        };
        let then = match optional("reindex_then_number")? {
            None => None,
            Some(number) => {
                let (hash, timestamp) = (sql::hash(row, "reindex_then_hash")?, sql::number(row, "reindex_then_at")?);
                Some(Tip { number, hash, timestamp })
            }
        };
        Ok(Some(Self {
            source,
            from: sql::number(row, "reindex_from_block")?,
            target: Tip {
                number: sql::number(row, "reindex_target_number")?,
                hash: sql::hash(row, "reindex_target_hash")?,
                timestamp: sql::number(row, "reindex_target_at")?,
            },
            finalized,
            safe: optional("reindex_safe_number")?,
            told_from: optional("reindex_told_from")?,
            then,
            derivation: sql::column(row, "reindex_derivation")?,
        }))
    }
}
