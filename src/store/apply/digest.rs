//! The state digest in the writer's transaction: added by apply, subtracted by rewind.

use std::sync::Arc;

use tokio_postgres::types::Type;

use super::{Contracts, are_many};
use crate::block::{Block, Log};
use crate::digest::{StateDigest, VERSION};
use crate::id::ChainId;
use crate::store::digest::{self, CHECKPOINT_LOGS, COLUMNS, Held, RawRange};
use crate::store::error::StoreError;
use crate::store::raw;
use crate::store::sql::{self, Sql, signed};
use crate::task::Beside;

/// A rewind of at most this many logs subtracts them one by one and compares the result with what is kept.
const MAX_CHECKED_LOGS: u64 = 16_384;

/// Most segments of raw logs that are added in one transaction where digests are missing.
const MAX_CAUGHT_UP_SEGMENTS: i64 = 64;

/// A row to be written.
struct New {
    block: u64,
    checkpoint: bool,
    digest: StateDigest,
}

/// The digests of a batch's blocks.
pub(super) struct Digests {
    current: Held,
    finalized: Option<u64>,
    rows: Vec<New>,
    /// Whether the newest block's row is among `rows`.
    is_written: bool,
    /// Whether logs below have no digest yet: then these get theirs with them, when the digest is caught up with.
    is_behind: bool,
}

impl Digests {
    /// Begins with the newest digest, where the batch has logs at all.
    pub(super) async fn load(sql: &Sql<'_>, blocks: &[Block], finalized: Option<u64>) -> Result<Self, StoreError> {
        let needed = blocks.iter().any(|block| !block.logs.is_empty());
        let current = if needed { held_at(sql, i64::MAX).await? } else { Held::default() };
        let is_behind = needed && is_behind(sql, &current, blocks).await?;
        Ok(Self { is_behind, ..Self::upon(current, finalized) })
    }

    /// Begins to add the logs of blocks.
    pub(super) fn fold(mut self, chain_id: ChainId, blocks: &Arc<[Block]>) -> Beside<Self> {
        let blocks = Arc::clone(blocks);
        Beside::begin(are_many(&blocks), move || {
            if !self.is_behind {
                blocks.iter().for_each(|block| self.add(chain_id, block));
            }
            self
        })
    }

    fn upon(current: Held, finalized: Option<u64>) -> Self {
        Self { current, finalized, rows: Vec::new(), is_written: true, is_behind: false }
    }

    fn add(&mut self, chain_id: ChainId, block: &Block) {
        let before = self.current.digest.log_count;
        for decoded in &block.logs {
            let event = decoded.event.as_ref().ok();
            self.current.digest.add(&digest::emitted(chain_id, &decoded.log), event);
        }
        if !block.logs.is_empty() {
            self.end_block(block.header.number, before);
        }
    }

    /// Keeps the digest at a block whose logs are all in it; `before` is how many there were below.
    fn end_block(&mut self, block: u64, before: u64) {
        self.current.block = Some(block);
        let checkpoint = self.current.digest.log_count / CHECKPOINT_LOGS > before / CHECKPOINT_LOGS;
        self.is_written = checkpoint || self.finalized.is_none_or(|finalized| block > finalized);
        if self.is_written {
            self.rows.push(New { block, checkpoint, digest: self.current.digest.clone() });
        }
    }

    /// Writes the rows, and takes away the one that was the newest if nothing else keeps it.
    pub(super) async fn write(mut self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if let Some(block) = self.current.block.filter(|_| !self.is_written) {
            self.rows.push(New { block, checkpoint: false, digest: self.current.digest });
        }
        if self.rows.is_empty() {
            return Ok(0);
        }
        let written = insert(sql, &self.rows).await?;
        if let Some(finalized) = self.finalized {
            prune(sql, finalized).await?;
        }
        Ok(written)
    }
}

/// Whether blocks with logs lie between a digest and these blocks.
async fn is_behind(sql: &Sql<'_>, current: &Held, blocks: &[Block]) -> Result<bool, StoreError> {
    let Some(first) = blocks.first() else { return Ok(false) };
    let select = "SELECT FROM block WHERE chain_id = $1 AND number > $2 AND number < $3 AND log_count > 0 LIMIT 1";
    Ok(!sql.query(select, &[&current.height(), &signed(first.header.number)]).await?.is_empty())
}

async fn insert(sql: &Sql<'_>, rows: &[New]) -> Result<u64, StoreError> {
    let mut insert = sql
        .insert(
            "state_digest",
            &[
                ("block_number", Type::INT8),
                ("checkpoint", Type::BOOL),
                ("version", Type::INT2),
                ("event_count", Type::INT8),
                ("log_count", Type::INT8),
                ("events", Type::BYTEA),
                ("raw_logs", Type::BYTEA),
            ],
        )
        .await?;
    for New { block, checkpoint, digest } in rows {
        insert
            .row(&[
                &signed(*block),
                checkpoint,
                &VERSION,
                &signed(digest.event_count),
                &signed(digest.log_count),
                &&digest.events.to_bytes()[..],
                &&digest.raw_logs.to_bytes()[..],
            ])
            .await?;
    }
    insert.finish().await
}

/// The row nearest to a height, at or below it.
async fn held_at(sql: &Sql<'_>, height: i64) -> Result<Held, StoreError> {
    let select = format!(
        "SELECT {COLUMNS} FROM state_digest WHERE chain_id = $1 AND block_number <= $2 \
         ORDER BY block_number DESC LIMIT 1"
    );
    let rows = sql.query(&select, &[&height]).await?;
    rows.first().map_or_else(|| Ok(Held::default()), digest::read)
}

/// The raw logs above a height, up to another one.
async fn range(sql: &Sql<'_>, after: i64, to: u64) -> Result<RawRange, StoreError> {
    let segments = sql.query(&raw::select("codec, logs", "$1", "$2", "$3"), &[&(after + 1), &signed(to)]).await?;
    let undecoded = sql
        .query(
            "SELECT begin_block, log_index FROM undecoded_log WHERE chain_id = $1 AND begin_block > $2 \
             AND begin_block <= $3",
            &[&after, &signed(to)],
        )
        .await?;
    RawRange::read(&segments, &undecoded, after, to)
}

/// Takes the logs above a block away. It must run before they are gone: what was kept at the block, or is computed there
/// from the nearest checkpoint, has to be what subtracting them leaves, where they are trusted.
pub(super) async fn rewind(sql: &Sql<'_>, contracts: &Contracts, to: u64, is_trusted: bool) -> Result<(), StoreError> {
    let newest = held_at(sql, i64::MAX).await?;
    if newest.block.is_none_or(|block| block <= to) {
        return Ok(());
    }
    let mut kept = held_at(sql, signed(to)).await?;
    let row = kept.block;
    let above = range(sql, kept.height(), to).await?;
    digest::add_range(&mut kept, sql.chain_id, &above, |log| contracts.decode(log))?;
    if is_trusted && newest.digest.log_count.saturating_sub(kept.digest.log_count) <= MAX_CHECKED_LOGS {
        check(sql, contracts, newest, &kept, to).await?;
    }
    sql.execute("DELETE FROM state_digest WHERE chain_id = $1 AND block_number > $2", &[&signed(to)]).await?;
    match kept.block.filter(|_| kept.block != row) {
        // The newest block with logs has a row; a checkpoint would have kept its own.
        Some(block) => insert(sql, &[New { block, checkpoint: false, digest: kept.digest }]).await.map(|_| ()),
        None => Ok(()),
    }
}

async fn check(sql: &Sql<'_>, contracts: &Contracts, newest: Held, kept: &Held, to: u64) -> Result<(), StoreError> {
    let Some(tip) = newest.block else { return Ok(()) };
    let undone = range(sql, signed(to), tip).await?;
    let mut left = newest.digest;
    for log in &undone.logs {
        let event = undone.event(log, |log| contracts.decode(log))?;
        left.subtract(&digest::emitted(sql.chain_id, log), event.as_ref());
    }
    if left == kept.digest {
        return Ok(());
    }
    Err(sql::corrupt(&format!(
        "the state digest of block {tip} less the logs above block {to} is not the digest of block {to}"
    )))
}

/// Forgets the rows at or below finality that are neither checkpoints nor the newest.
pub(super) async fn prune(sql: &Sql<'_>, finalized: u64) -> Result<(), StoreError> {
    sql.execute(
        "DELETE FROM state_digest WHERE chain_id = $1 AND NOT checkpoint AND block_number <= $2 \
         AND block_number < (SELECT max(block_number) FROM state_digest WHERE chain_id = $1)",
        &[&signed(finalized)],
    )
    .await?;
    Ok(())
}

/// Adds raw logs that have no digest yet, of a database that is older than the digest: a bounded piece of them. Returns
/// whether there may be more.
pub(super) async fn catch_up(sql: &Sql<'_>, contracts: &Contracts, finalized: Option<u64>) -> Result<bool, StoreError> {
    let newest = held_at(sql, i64::MAX).await?;
    let ends = sql
        .query(
            "SELECT to_block FROM raw_logs WHERE chain_id = $1 AND from_block > $2 ORDER BY from_block LIMIT $3",
            &[&newest.height(), &MAX_CAUGHT_UP_SEGMENTS],
        )
        .await?;
    let Some(to) = ends.last().map(|row| sql::number(row, "to_block")).transpose()? else { return Ok(false) };
    let range = range(sql, newest.height(), to).await?;
    let mut digests = Digests::upon(newest, finalized);
    for logs in range.logs.chunk_by(|one, next| one.block == next.block) {
        digests.add_stored(sql, contracts, &range, logs)?;
    }
    digests.write(sql).await?;
    Ok(true)
}

impl Digests {
    fn add_stored(
        &mut self,
        sql: &Sql<'_>,
        contracts: &Contracts,
        range: &RawRange,
        logs: &[Log],
    ) -> Result<(), StoreError> {
        let before = self.current.digest.log_count;
        for log in logs {
            let event = range.event(log, |log| contracts.decode(log))?;
            self.current.digest.add(&digest::emitted(sql.chain_id, log), event.as_ref());
        }
        if let Some(log) = logs.first() {
            self.end_block(log.block.number, before);
        }
        Ok(())
    }
}
