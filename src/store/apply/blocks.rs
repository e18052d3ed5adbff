//! Headers, raw logs and the list of logs that could not be decoded.
//!
//! Above finality every header is kept, and each block's logs are a segment of their own, which a rewind deletes; below
//! it headers are kept where they carry events, and segments span many blocks.

use futures_util::FutureExt;
use tokio_postgres::types::Type;

use super::At;
use crate::block::{Block, Log};
use crate::event::Undecoded;
use crate::store::error::StoreError;
use crate::store::raw::{self, CODEC, MAX_SEGMENT_BYTES};
use crate::store::sql::{self, Sql, index, signed, sum};

/// Segments below finality are merged within stretches of this many blocks, each once.
const MERGE_BLOCKS: u64 = 1_024;

/// Most stretches merged in one transaction; what is left stays as it is, which is only less dense.
const MAX_MERGES: u64 = 64;

/// Writes the headers and the raw logs of blocks.
pub(super) async fn write(sql: &Sql<'_>, blocks: &[Block], finalized: Option<u64>) -> Result<u64, StoreError> {
    sum(sql, [write_headers(sql, blocks, finalized).boxed(), write_raw(sql, blocks, finalized).boxed()]).await
}

/// Writes headers: of blocks above finality, and of those with logs.
pub(super) async fn write_headers(sql: &Sql<'_>, blocks: &[Block], finalized: Option<u64>) -> Result<u64, StoreError> {
    let is_final = |block: &Block| finalized.is_some_and(|finalized| block.header.number <= finalized);
    let kept: Vec<&Block> = blocks.iter().filter(|block| !block.logs.is_empty() || !is_final(block)).collect();
    if kept.is_empty() {
        return Ok(0);
    }
    let mut insert = sql
        .insert(
            "block",
            &[
                ("number", Type::INT8),
                ("hash", Type::BYTEA),
                ("parent_hash", Type::BYTEA),
                ("block_at", Type::INT8),
                ("log_count", Type::INT4),
            ],
        )
        .await?;
    for block in kept {
        let header = &block.header;
        insert
            .row(&[
                &signed(header.number),
                &header.hash.as_slice(),
                &header.parent_hash.as_slice(),
                &signed(header.timestamp),
                &log_count(block.logs.len()),
            ])
            .await?;
    }
    insert.finish().await
}

/// Writes raw logs: one segment a block above finality, one for many blocks below it.
async fn write_raw(sql: &Sql<'_>, blocks: &[Block], finalized: Option<u64>) -> Result<u64, StoreError> {
    let segments = segments(blocks, finalized);
    if segments.is_empty() { Ok(0) } else { insert_segments(sql, &segments).await }
}

/// Cuts the logs of blocks into segments.
fn segments(blocks: &[Block], finalized: Option<u64>) -> Vec<Vec<&Log>> {
    let mut segments: Vec<Vec<&Log>> = Vec::new();
    let mut open_bytes = None;
    for block in blocks.iter().filter(|block| !block.logs.is_empty()) {
        let logs = block.logs.iter().map(|decoded| &decoded.log);
        let bytes: usize = logs.clone().map(raw::encoded_bytes).sum();
        let is_final = finalized.is_some_and(|finalized| block.header.number <= finalized);
        match (open_bytes, segments.last_mut()) {
            (Some(open), Some(last)) if is_final && open + bytes <= MAX_SEGMENT_BYTES => {
                last.extend(logs);
                open_bytes = Some(open + bytes);
            }
            _ => {
                segments.push(logs.collect());
                open_bytes = Some(bytes).filter(|_| is_final);
            }
        }
    }
    segments
}

pub(super) async fn insert_segments(sql: &Sql<'_>, segments: &[Vec<&Log>]) -> Result<u64, StoreError> {
    let mut insert = sql
        .insert(
            "raw_logs",
            &[
                ("from_block", Type::INT8),
                ("to_block", Type::INT8),
                ("log_count", Type::INT4),
                ("codec", Type::INT2),
                ("logs", Type::BYTEA),
            ],
        )
        .await?;
    for logs in segments {
        let (Some(first), Some(last)) = (logs.first(), logs.last()) else { continue };
        insert
            .row(&[
                &signed(first.block.number),
                &signed(last.block.number),
                &log_count(logs.len()),
                &CODEC,
                &raw::encode(logs.iter().copied()),
            ])
            .await?;
    }
    insert.finish().await
}

fn log_count(count: usize) -> i32 {
    i32::try_from(count).expect("a batch of 2^31 logs does not fit memory")
}

/// The logs of a batch that are no known event.
#[derive(Default)]
pub(super) struct UndecodedLogs {
    rows: Vec<(super::timeline::Place, i16, Option<alloy::primitives::B256>, String)>,
}

impl UndecodedLogs {
    pub(super) fn fold(&mut self, at: &At<'_>, log: &Log, reason: &Undecoded) {
        self.rows.push((at.place, at.contract.id, log.topics.first().copied(), reason.to_string()));
    }

    pub(super) fn count(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.rows.is_empty() {
            return Ok(0);
        }
        let mut insert = sql
            .insert(
                "undecoded_log",
                &[
                    ("begin_block", Type::INT8),
                    ("log_index", Type::INT4),
                    ("transaction_hash", Type::BYTEA),
                    ("contract_id", Type::INT2),
                    ("topic0", Type::BYTEA),
                    ("reason", Type::TEXT),
                ],
            )
            .await?;
        for (place, contract_id, topic0, reason) in &self.rows {
            insert
                .row(&[
                    &signed(place.block),
                    &index(place.log_index),
                    &place.transaction.as_slice(),
                    contract_id,
                    &topic0.as_ref().map(|topic| topic.as_slice()),
                    reason,
                ])
                .await?;
        }
        insert.finish().await
    }
}

/// Undoes the list of logs that could not be decoded.
pub(super) async fn rewind_undecoded(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM undecoded_log WHERE chain_id = $1 AND begin_block > $2", &[&signed(to)]).await?;
    Ok(())
}

/// Forgets the headers and the raw logs above a block; a segment that spans it is cut.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM raw_logs WHERE chain_id = $1 AND from_block > $2",
        "DELETE FROM block WHERE chain_id = $1 AND number > $2",
    ] {
        sql.execute(statement, &[&signed(to)]).await?;
    }
    let spanning = sql
        .query(
            "DELETE FROM raw_logs WHERE chain_id = $1 AND from_block <= $2 AND to_block > $2 RETURNING codec, logs",
            &[&signed(to)],
        )
        .await?;
    let mut kept = Vec::new();
    for row in &spanning {
        kept.extend(decode(row)?.into_iter().filter(|log| log.block.number <= to));
    }
    if !kept.is_empty() {
        insert_segments(sql, &[kept.iter().collect()]).await?;
    }
    Ok(())
}

/// The logs of a segment.
pub(super) fn decode(row: &tokio_postgres::Row) -> Result<Vec<Log>, StoreError> {
    raw::decode(sql::column(row, "codec")?, sql::column(row, "logs")?)
        .map_err(|error| StoreError::Corrupt { reason: error.to_string() })
}

/// Forgets headers without events between two finalities, and merges the raw logs of the blocks that were held above
/// the first one, `held_to` the newest of them.
pub(super) async fn prune(
    sql: &Sql<'_>,
    before: Option<u64>,
    held_to: Option<u64>,
    finalized: u64,
) -> Result<(), StoreError> {
    let first = before.map_or(0, |before| before + 1);
    sql.execute(
        "DELETE FROM block WHERE chain_id = $1 AND number BETWEEN $2 AND $3 AND log_count = 0",
        &[&signed(first), &signed(finalized)],
    )
    .await?;
    let Some(held_to) = held_to.filter(|held_to| first <= *held_to) else { return Ok(()) };
    // A stretch is merged when finality passes its end; stretches whose blocks came by range need no merging.
    let lowest = (first / MERGE_BLOCKS).max((finalized / MERGE_BLOCKS).saturating_sub(MAX_MERGES));
    let end = ((finalized + 1) / MERGE_BLOCKS).min(held_to / MERGE_BLOCKS + 1);
    if lowest < end {
        merge(sql, lowest * MERGE_BLOCKS, end * MERGE_BLOCKS - 1).await?;
    }
    Ok(())
}

/// Merges segments that begin and end between two heights, stretch by stretch.
async fn merge(sql: &Sql<'_>, from: u64, to: u64) -> Result<(), StoreError> {
    let rows = sql
        .query(
            "DELETE FROM raw_logs WHERE chain_id = $1 AND from_block >= $2 AND to_block <= $3 \
             RETURNING from_block, codec, logs",
            &[&signed(from), &signed(to)],
        )
        .await?;
    let mut logs = Vec::new();
    for row in &rows {
        logs.push((sql::number(row, "from_block")?, decode(row)?));
    }
    logs.sort_by_key(|(from_block, _)| *from_block);
    let mut segments: Vec<(u64, usize, Vec<&Log>)> = Vec::new();
    for (from_block, logs) in &logs {
        let stretch = from_block / MERGE_BLOCKS;
        let bytes: usize = logs.iter().map(raw::encoded_bytes).sum();
        match segments.last_mut() {
            Some((last, open, segment)) if *last == stretch && *open + bytes <= MAX_SEGMENT_BYTES => {
                *open += bytes;
                segment.extend(logs);
            }
            _ => segments.push((stretch, bytes, logs.iter().collect())),
        }
    }
    let segments: Vec<Vec<&Log>> = segments.into_iter().map(|(_, _, logs)| logs).collect();
    if !segments.is_empty() {
        insert_segments(sql, &segments).await?;
    }
    Ok(())
}
