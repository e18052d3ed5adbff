//! The state digest as it is stored: rows at some blocks, and what lies between two of them computed from raw logs.
//!
//! A row is kept for every block with logs above finality, for the newest block with logs, and for checkpoints: the first
//! block at which the number of logs passes a multiple of [`CHECKPOINT_LOGS`]. So the digest of any block is that of the
//! nearest row at or below, and fewer than that many logs on top. What counts as an event is what was stored as one: a
//! log that is listed in `undecoded_log` is none, even when this binary could decode it.

use std::collections::HashSet;

use tokio_postgres::Row;

use super::error::StoreError;
use super::raw;
use super::sql;
use crate::block::Log;
use crate::digest::{Emitted, LtHash, StateDigest, VERSION};
use crate::event::Event;
use crate::id::ChainId;

/// Logs from one checkpoint to the next: 4 KiB in the database for as many logs, and some milliseconds of hashing at most
/// for the digest of any block.
pub(super) const CHECKPOINT_LOGS: u64 = 4_096;

/// The columns of a row, for [`read`].
pub(super) const COLUMNS: &str = "block_number, version, event_count, log_count, events, raw_logs";

/// A digest and the newest block with logs that is in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    /// The block; nothing where the digest is that of no logs.
    pub(super) block: Option<u64>,
    pub(super) digest: StateDigest,
}

impl Held {
    /// Behind which block logs are not in the digest yet, as BIGINT.
    pub(super) fn height(&self) -> i64 {
        self.block.map_or(-1, sql::signed)
    }
}

/// Reads a row.
pub(super) fn read(row: &Row) -> Result<Held, StoreError> {
    let version: i16 = sql::column(row, "version")?;
    if version != VERSION {
        let reason = format!(
            "the state digest is stored in version {version} of its encoding, this program knows version {VERSION}; \
             delete the rows of state_digest while no node runs, and the next one computes them again"
        );
        return Err(StoreError::Corrupt { reason });
    }
    let sum = |name| {
        LtHash::from_bytes(sql::column(row, name)?).ok_or_else(|| sql::corrupt("a state digest is not of 2,048 bytes"))
    };
    Ok(Held {
        block: Some(sql::number(row, "block_number")?),
        digest: StateDigest {
            events: sum("events")?,
            event_count: sql::number(row, "event_count")?,
            raw_logs: sum("raw_logs")?,
            log_count: sql::number(row, "log_count")?,
        },
    })
}

/// Raw logs of a range of blocks, with what tells events from logs that were not decoded.
pub(super) struct RawRange {
    /// In the order of the chain.
    pub(super) logs: Vec<Log>,
    undecoded: HashSet<(u64, u32)>,
}

impl RawRange {
    /// Reads rows of `codec, logs` and of `begin_block, log_index`, and keeps what lies above `after`, up to `to`.
    pub(super) fn read(segments: &[Row], undecoded: &[Row], after: i64, to: u64) -> Result<Self, StoreError> {
        let mut logs = Vec::new();
        for row in segments {
            let segment = raw::decode(sql::column(row, "codec")?, sql::column(row, "logs")?)
                .map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
            let wanted = |log: &Log| {
                i64::try_from(log.block.number).is_ok_and(|number| number > after) && log.block.number <= to
            };
            logs.extend(segment.into_iter().filter(wanted));
        }
        let listed = |row| {
            let index = sql::unsigned_index(sql::column(row, "log_index")?)?;
            Ok::<_, StoreError>((sql::number(row, "begin_block")?, index))
        };
        Ok(Self { logs, undecoded: undecoded.iter().map(listed).collect::<Result<_, _>>()? })
    }

    /// The event that a log was stored as; nothing where it was stored as undecoded.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it was stored as an event that `decode` does not find.
    pub(super) fn event(
        &self,
        log: &Log,
        decode: impl FnOnce(&Log) -> Option<Event>,
    ) -> Result<Option<Event>, StoreError> {
        if self.undecoded.contains(&(log.block.number, log.log_index)) {
            return Ok(None);
        }
        decode(log).map(Some).ok_or_else(|| StoreError::Corrupt {
            reason: format!(
                "log {} of block {} was stored as an event and cannot be decoded now; run `meikan reindex \
                 --source store` from that block",
                log.log_index, log.block.number
            ),
        })
    }
}

/// Adds the logs of a range to a digest.
pub(super) fn add_range(
    held: &mut Held,
    chain_id: ChainId,
    range: &RawRange,
    decode: impl Fn(&Log) -> Option<Event>,
) -> Result<(), StoreError> {
    for log in &range.logs {
        let event = range.event(log, &decode)?;
        held.digest.add(&emitted(chain_id, log), event.as_ref());
        held.block = Some(log.block.number);
    }
    Ok(())
}

/// A log as the digest takes it.
pub(super) fn emitted(chain_id: ChainId, log: &Log) -> Emitted<'_> {
    Emitted {
        chain_id,
        block_number: log.block.number,
        block_hash: log.block.hash,
        transaction_hash: log.transaction_hash,
        transaction_index: log.transaction_index,
        log_index: log.log_index,
        address: log.address,
        topics: &log.topics,
        data: &log.data,
    }
}
