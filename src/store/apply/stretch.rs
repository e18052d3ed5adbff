//! Blocks out of the store's own raw logs and headers, decoded anew: what a re-index from the store derives from.
//!
//! They are read in stretches of bounded size. What is read is held against itself first: a segment must decode, a block
//! that has logs must have its header, under the same hash, and a header must have as many logs as it says. So a gap or
//! a damage is found before anything is derived from it.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use tokio_postgres::Row;

use super::{Contracts, blocks};
use crate::block::{Block, Header, Log};
use crate::store::error::StoreError;
use crate::store::raw;
use crate::store::sql::{self, Sql, signed};

/// Bounds of a stretch. It has at least one segment, or one header, whatever the bounds.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Bounds {
    /// Most logs.
    pub(in crate::store) logs: u64,
    /// Most bytes of their segments, compressed.
    pub(in crate::store) segment_bytes: u64,
    /// Most headers.
    pub(in crate::store) headers: u64,
}

/// Blocks that follow each other, of which those that are final and have no logs are left out.
pub(in crate::store) struct Stretch {
    pub(in crate::store) blocks: Vec<Block>,
    /// The last block covered.
    pub(in crate::store) to: u64,
}

impl Stretch {
    /// Its logs.
    pub(in crate::store) fn logs(&self) -> u64 {
        self.blocks.iter().map(|block| block.logs.len() as u64).sum()
    }
}

/// The blocks from `from` on, at most up to `end`, as far as the bounds go.
pub(in crate::store) async fn read(
    sql: &Sql<'_>,
    contracts: &Contracts,
    from: u64,
    end: u64,
    bounds: &Bounds,
) -> Result<Stretch, StoreError> {
    let segments = segments(sql, from, end, bounds).await?;
    // Where the bounds cut, the stretch ends with the last segment that is whole; else it goes to the end.
    let to = if segments.is_cut { segments.to.min(end) } else { end };
    let (headers, to) = headers(sql, from, to, bounds).await?;
    let mut logs = segments.logs;
    let mut blocks = Vec::with_capacity(headers.len());
    for (header, log_count) in headers {
        let logs = logs.remove(&header.number).unwrap_or_default();
        if logs.len() != log_count {
            let number = header.number;
            return Err(unusable(number, &format!("block {number} has {} of its {log_count} raw logs", logs.len())));
        }
        if logs.iter().any(|log| log.block.hash != header.hash) {
            return Err(unusable(header.number, &format!("the raw logs of block {} are another's", header.number)));
        }
        let logs = logs.into_iter().map(|log| contracts.decoded(log)).collect::<Result<_, _>>()?;
        blocks.push(Block { header, logs });
    }
    match logs.range(..=to).next() {
        Some((number, _)) => Err(unusable(*number, &format!("block {number} has raw logs and no header"))),
        None => Ok(Stretch { blocks, to }),
    }
}

/// What segments hold.
struct Segments {
    /// By block, from the wanted one on.
    logs: BTreeMap<u64, Vec<Log>>,
    /// The last block of the last segment.
    to: u64,
    /// Whether there may be more.
    is_cut: bool,
}

/// The segments that reach block `from` or follow it, as many as the bounds allow, and one more than is seen of them to
/// know whether they cut.
async fn segments(sql: &Sql<'_>, from: u64, end: u64, bounds: &Bounds) -> Result<Segments, StoreError> {
    // No row per segment is read before it is known to fit; of most only the place in the index is.
    let select = format!(
        "SELECT from_block, to_block, codec, logs FROM ( \
             SELECT *, sum(log_count) OVER so_far - log_count AS logs_before, \
                 sum(octet_length(logs)) OVER so_far - octet_length(logs) AS bytes_before, \
                 row_number() OVER so_far AS place \
             FROM ({} LIMIT $4) near \
             WINDOW so_far AS (ORDER BY from_block)) counted \
         WHERE place = 1 OR (logs_before < $4 AND bytes_before < $5) ORDER BY from_block",
        raw::select("*", "$1", "$2", "$3")
    );
    let bounds = [from, end, bounds.logs, bounds.segment_bytes].map(signed);
    let rows = sql.query(&select, &[&bounds[0], &bounds[1], &bounds[2], &bounds[3]]).await?;
    let mut segments = Segments { logs: BTreeMap::new(), to: end, is_cut: false };
    for row in &rows {
        let (first, last) = (sql::number(row, "from_block")?, sql::number(row, "to_block")?);
        for log in decode(row, first, last)? {
            if (from..=end).contains(&log.block.number) {
                segments.logs.entry(log.block.number).or_default().push(log);
            }
        }
        segments.to = last;
    }
    segments.is_cut = segments.to < end && !rows.is_empty();
    Ok(segments)
}

fn decode(row: &Row, first: u64, last: u64) -> Result<Vec<Log>, StoreError> {
    let logs = blocks::decode(row).map_err(|error| {
        unusable(first, &format!("the raw logs of blocks {first} to {last} cannot be read: {error}"))
    })?;
    let within = logs.iter().all(|log| (first..=last).contains(&log.block.number));
    if within { Ok(logs) } else { Err(unusable(first, &format!("a segment has logs from outside {first} to {last}"))) }
}

/// The headers that are held, each with the number of its logs, and the block up to which these are all.
async fn headers(
    sql: &Sql<'_>,
    from: u64,
    to: u64,
    bounds: &Bounds,
) -> Result<(Vec<(Header, usize)>, u64), StoreError> {
    let rows = sql
        .query(
            "SELECT number, hash, parent_hash, block_at, log_count FROM block \
             WHERE chain_id = $1 AND number BETWEEN $2 AND $3 ORDER BY number LIMIT $4",
            &[&signed(from), &signed(to), &signed(bounds.headers)],
        )
        .await?;
    let headers = rows.iter().map(|row| {
        let header = Header {
            number: sql::number(row, "number")?,
            hash: sql::hash(row, "hash")?,
            parent_hash: sql::hash(row, "parent_hash")?,
            timestamp: sql::number(row, "block_at")?,
            logs_bloom: None,
        };
        let log_count = sql::unsigned_index(sql::column(row, "log_count")?)?;
        Ok((header, usize::try_from(log_count).expect("a usize has 32 bits at least")))
    });
    let headers = headers.collect::<Result<Vec<_>, StoreError>>()?;
    let is_cut = headers.len() as u64 >= bounds.headers;
    let covered = headers.last().filter(|_| is_cut).map_or(to, |(last, _)| last.number);
    Ok((headers, covered))
}

/// Puts the logs of blocks in the place of those that are held of the same blocks, and the headers of those that have
/// logs in the place of theirs; all of them are final.
pub(in crate::store) async fn replace(sql: &Sql<'_>, new: &[Block]) -> Result<(), StoreError> {
    let numbers: Vec<i64> = new.iter().map(|block| signed(block.header.number)).collect();
    sql.execute("DELETE FROM block WHERE chain_id = $1 AND number = ANY($2)", &[&numbers]).await?;
    blocks::write_headers(sql, new, Some(u64::MAX)).await?;
    let rows = sql
        .query(
            "DELETE FROM raw_logs r USING (SELECT DISTINCT s.from_block FROM unnest($2::bigint[]) AS wanted (number) \
                 CROSS JOIN LATERAL (SELECT from_block, to_block FROM raw_logs \
                     WHERE chain_id = $1 AND from_block <= wanted.number \
                     ORDER BY from_block DESC LIMIT 1) s \
                 WHERE s.to_block >= wanted.number) hit \
             WHERE r.chain_id = $1 AND r.from_block = hit.from_block \
             RETURNING r.from_block, r.to_block, r.codec, r.logs",
            &[&numbers],
        )
        .await?;
    let mut left: BTreeMap<u64, &Block> = new.iter().map(|block| (block.header.number, block)).collect();
    let mut segments: Vec<Vec<Log>> = Vec::new();
    for row in &rows {
        let (first, last) = (sql::number(row, "from_block")?, sql::number(row, "to_block")?);
        let kept = match decode(row, first, last) {
            Ok(logs) => logs,
            // Whatever is damaged of blocks that are replaced whole is no loss.
            Err(_) if !has_others(sql, first, last, &numbers).await? => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut logs: BTreeMap<u64, Vec<Log>> = BTreeMap::new();
        for log in kept.into_iter().filter(|log| !left.contains_key(&log.block.number)) {
            logs.entry(log.block.number).or_default().push(log);
        }
        let inside: Vec<u64> = left.range(first..=last).map(|(number, _)| *number).collect();
        for number in inside {
            let block = left.remove(&number).expect("it was found just now");
            logs.insert(number, block.logs.iter().map(|decoded| decoded.log.clone()).collect());
        }
        segments.push(logs.into_values().flatten().collect());
    }
    for block in left.into_values() {
        segments.push(block.logs.iter().map(|decoded| decoded.log.clone()).collect());
    }
    let segments: Vec<Vec<&Log>> =
        segments.iter().filter(|logs| !logs.is_empty()).map(|logs| logs.iter().collect()).collect();
    if segments.is_empty() { Ok(()) } else { blocks::insert_segments(sql, &segments).await.map(|_rows| ()) }
}

/// Whether blocks between two heights have logs, besides these. Of every block with logs the header is held.
async fn has_others(sql: &Sql<'_>, first: u64, last: u64, numbers: &[i64]) -> Result<bool, StoreError> {
    let select = "SELECT FROM block WHERE chain_id = $1 AND number BETWEEN $2 AND $3 AND log_count > 0 \
                  AND number <> ALL($4) LIMIT 1";
    Ok(!sql.query(select, &[&signed(first), &signed(last), &numbers]).await?.is_empty())
}

/// The hash that is held of a block.
pub(in crate::store) async fn held_hash(sql: &Sql<'_>, number: u64) -> Result<Option<B256>, StoreError> {
    let select = "SELECT hash FROM block WHERE chain_id = $1 AND number = $2";
    let rows = sql.query(select, &[&signed(number)]).await?;
    rows.first().map(|row| sql::hash(row, "hash")).transpose()
}

/// Raw logs that nothing can be derived from.
fn unusable(from: u64, what: &str) -> StoreError {
    StoreError::RawLogs {
        reason: format!(
            "{what}; nothing was changed, `meikan reindex --source rpc --from-block {from}` fetches them again"
        ),
    }
}
