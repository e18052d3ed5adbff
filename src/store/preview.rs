//! What a re-index would touch, counted beside a running writer and without a change: one snapshot, read only.

use deadpool_postgres::Transaction;
use tokio_postgres::IsolationLevel;

use super::Store;
use super::apply::{CHANGED_FROM, FACT_TABLES};
use super::error::StoreError;
use super::reindex::reach;
use super::sql::{self, signed};
use super::step::{CURSOR, Cursor, clamped, read_cursor};
use super::writer::{StoredHeader, read_header};
use crate::block::BlockRef;
use crate::id::ChainId;

/// What is indexed from a block on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// The first block.
    pub from: u64,
    /// The newest committed block.
    pub tip: u64,
    /// The newest final block.
    pub finalized: Option<BlockRef>,
    /// Blocks from the first to the newest, with or without logs.
    pub blocks: u64,
    /// Raw logs in them.
    pub logs: u64,
    /// Agents that they name.
    pub agents: u64,
    /// Rows that began in them, by table.
    pub rows: Vec<(&'static str, u64)>,
}

impl Store {
    /// How far a network is committed, without the right to write.
    ///
    /// # Errors
    /// [`StoreError::Network`] when it is not registered, or what the database says.
    pub async fn cursor(&self, chain_id: ChainId) -> Result<Cursor, StoreError> {
        let client = self.write().await?;
        let row = client.query_opt(CURSOR, &[&signed(chain_id)]).await.map_err(StoreError::database("cursor"))?;
        read_cursor(&row.ok_or_else(|| unregistered(chain_id))?)
    }

    /// The newest header that is held at or below a height. Below finality only those of blocks with logs are.
    ///
    /// # Errors
    /// What the database says.
    pub async fn newest_held(&self, chain_id: ChainId, at_or_below: u64) -> Result<Option<StoredHeader>, StoreError> {
        let select = "SELECT number, hash, parent_hash, block_at FROM block \
                      WHERE chain_id = $1 AND number <= $2 ORDER BY number DESC LIMIT 1";
        let client = self.write().await?;
        let row = client
            .query_opt(select, &[&signed(chain_id), &clamped(at_or_below)])
            .await
            .map_err(StoreError::database("headers"))?;
        row.as_ref().map(read_header).transpose()
    }

    /// Counts what is indexed from a block on.
    ///
    /// # Errors
    /// [`StoreError::Network`] when the network is not registered, [`StoreError::Unreachable`] when a re-index cannot
    /// begin at that block, or what the database says.
    pub async fn preview(&self, chain_id: ChainId, from: u64) -> Result<Preview, StoreError> {
        let failed = || StoreError::database("preview");
        let mut client = self.write().await?;
        let snapshot = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let snapshot = snapshot.start().await.map_err(failed())?;
        let row = snapshot.query_opt(CURSOR, &[&signed(chain_id)]).await.map_err(failed())?;
        let row = row.ok_or_else(|| unregistered(chain_id))?;
        let (cursor, start) = (read_cursor(&row)?, sql::number(&row, "start_block")?);
        let tip = reach(chain_id, start, cursor.tip, from)?.number;
        let mut rows = Vec::with_capacity(FACT_TABLES.len());
        for table in FACT_TABLES {
            rows.push((
                table,
                count(&snapshot, &format!("count(*) FROM {table}"), "begin_block", chain_id, from).await?,
            ));
        }
        let logs = count(&snapshot, "coalesce(sum(log_count), 0) FROM block", "number", chain_id, from).await?;
        let agents = number(&snapshot, CHANGED_FROM, chain_id, from).await?;
        let blocks = (tip + 1).saturating_sub(from);
        Ok(Preview { from, tip, finalized: cursor.finalized, blocks, logs, agents, rows })
    }
}

async fn count(
    snapshot: &Transaction<'_>,
    what: &str,
    height: &str,
    chain_id: ChainId,
    from: u64,
) -> Result<u64, StoreError> {
    number(snapshot, &format!("SELECT {what} WHERE chain_id = $1 AND {height} >= $2"), chain_id, from).await
}

async fn number(snapshot: &Transaction<'_>, select: &str, chain_id: ChainId, from: u64) -> Result<u64, StoreError> {
    let row = snapshot
        .query_one(&format!("SELECT ({select})::bigint AS number"), &[&signed(chain_id), &signed(from)])
        .await
        .map_err(StoreError::database("preview"))?;
    sql::number(&row, "number")
}

fn unregistered(chain_id: ChainId) -> StoreError {
    let reason = format!("chain {chain_id} is not in this database; `meikan follow` begins with it");
    StoreError::Network { reason }
}
