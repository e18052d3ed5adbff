//! What is stored of a stretch of blocks: hashes, raw logs, and what of the rest does not follow from them.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::census::{self, Gap};
use super::facts::{self, Misfit};
use super::finding::{self, Finding};
use crate::block::{Block, Log};
use crate::id::ChainId;
use crate::store::sql::{self, Sql, signed};
use crate::store::{Store, StoreError, raw};

/// What is stored of a stretch of blocks, in one state of the database.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// The hashes of the blocks whose headers are held, by height.
    pub hashes: BTreeMap<u64, B256>,
    /// Their times, in seconds since 1970.
    pub times: BTreeMap<u64, u64>,
    /// The raw logs by block, in order, of blocks that have some.
    pub logs: BTreeMap<u64, Vec<Log>>,
    /// First and last block of segments of raw logs that cannot be read; they may reach beyond what was asked for.
    pub damaged: Vec<(u64, u64)>,
    /// Rows of other tables that do not follow from the raw logs.
    pub misfits: Vec<Misfit>,
    /// Places where a counter that the registries keep dense has a gap.
    pub gaps: Vec<Gap>,
    /// What was found there before and is open.
    pub open: Vec<Finding>,
}

impl Held {
    /// Whether this is what is stored of that block.
    #[must_use]
    pub fn is(&self, block: &Block) -> bool {
        let number = block.header.number;
        let ours = self.logs.get(&number).map_or(&[][..], Vec::as_slice);
        let same_hash = self.hashes.get(&number).map_or(block.logs.is_empty(), |hash| *hash == block.header.hash);
        let same_time = self.times.get(&number).is_none_or(|time| *time == block.header.timestamp);
        same_hash && same_time && ours.iter().eq(block.logs.iter().map(|decoded| &decoded.log))
    }
}

impl Store {
    /// What is stored from block `from` to block `to`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn held(&self, chain_id: ChainId, from: u64, to: u64) -> Result<Held, StoreError> {
        self.read_state(chain_id, async |sql, contracts| {
            let mut held = Held { open: finding::read_open(sql, from, to).await?, ..Held::default() };
            read_headers(sql, from, to, &mut held).await?;
            read_logs(sql, from, to, &mut held).await?;
            let events = facts::decode(contracts, &held.logs);
            held.misfits = facts::misfits(sql, &events, from, to).await?;
            held.gaps = census::gaps(sql, &events).await?;
            Ok(held)
        })
        .await
    }
}

impl Store {
    /// The blocks from `from` to `to` that have logs, by the headers that are held; at most so many, the lowest.
    ///
    /// # Errors
    /// What the database says.
    pub async fn blocks_with_logs(
        &self,
        chain_id: ChainId,
        (from, to): (u64, u64),
        limit: usize,
    ) -> Result<Vec<u64>, StoreError> {
        let select = "SELECT number FROM block WHERE chain_id = $1 AND number BETWEEN $2 AND $3 AND log_count > 0 \
                      ORDER BY number LIMIT $4";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let client = self.write().await?;
        let rows = client.query(select, &[&signed(chain_id), &signed(from), &signed(to), &limit]).await;
        let rows = rows.map_err(StoreError::database("audit"))?;
        rows.iter().map(|row| sql::number(row, "number")).collect()
    }
}

async fn read_headers(sql: &Sql<'_>, from: u64, to: u64, held: &mut Held) -> Result<(), StoreError> {
    let select = "SELECT number, hash, block_at FROM block WHERE chain_id = $1 AND number BETWEEN $2 AND $3";
    for row in &sql.query(select, &[&signed(from), &signed(to)]).await? {
        let number = sql::number(row, "number")?;
        held.hashes.insert(number, sql::hash(row, "hash")?);
        held.times.insert(number, sql::number(row, "block_at")?);
    }
    Ok(())
}

async fn read_logs(sql: &Sql<'_>, from: u64, to: u64, held: &mut Held) -> Result<(), StoreError> {
    let select = raw::select("from_block, to_block, log_count, codec, logs", "$1", "$2", "$3");
    for row in &sql.query(&select, &[&signed(from), &signed(to)]).await? {
        let count: i32 = sql::column(row, "log_count")?;
        let decoded = raw::decode(sql::column(row, "codec")?, sql::column(row, "logs")?);
        match decoded.ok().filter(|logs| i32::try_from(logs.len()) == Ok(count)) {
            Some(logs) => {
                for log in logs.into_iter().filter(|log| (from..=to).contains(&log.block.number)) {
                    held.logs.entry(log.block.number).or_default().push(log);
                }
            }
            None => {
                held.damaged.push((sql::number(row, "from_block")?, sql::number(row, "to_block")?));
            }
        }
    }
    Ok(())
}
