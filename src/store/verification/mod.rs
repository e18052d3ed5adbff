//! What an audit reads of the tables, and what it leaves there: how far everything was verified, and what was found.
//!
//! An audit reads one state of the database for each stretch of blocks, and never while it waits for the chain. What it
//! records is an observation: it survives rewinds, but a rewind lowers `verified_number` in its own transaction and
//! counts, so that an audit which began before it cannot raise it again.

mod census;
mod facts;
mod feedback;
mod finding;
mod held;

use alloy::primitives::B256;
use tokio_postgres::IsolationLevel;

pub use self::census::{Counter, Gap, Sample};
pub use self::facts::Misfit;
pub use self::finding::{Finding, Identity};
pub use self::held::Held;
use super::Store;
use super::apply::DERIVATION;
use super::error::StoreError;
use super::network;
use super::sql::{self, Sql, signed};
use crate::block::{BlockRef, Method};
use crate::id::ChainId;

/// How far a network is audited, and how far it could be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The first block that is ingested.
    pub start: u64,
    /// The newest block that is committed.
    pub tip: Option<BlockRef>,
    /// The newest block that is committed and final.
    pub finalized: Option<BlockRef>,
    /// The newest block up to which everything was verified.
    pub verified: Option<Verified>,
    /// Rewinds below finality so far, to be handed back with what is recorded.
    pub rewinds: u64,
}

/// The end of what was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Its height.
    pub number: u64,
    /// Its hash, where it is known.
    pub hash: Option<B256>,
    /// The weakest method used on the way.
    pub method: Method,
}

/// What an audit of a stretch of blocks came to.
#[derive(Debug, Clone)]
pub struct Audited {
    /// The first block looked at.
    pub from: u64,
    /// The last one.
    pub to: u64,
    /// What was found; those that were open there and are not among them are repaired.
    pub findings: Vec<Finding>,
    /// The new end of what is verified; nothing where it stays.
    pub verified: Option<Verified>,
    /// [`Standing::rewinds`] when it began.
    pub rewinds: u64,
}

/// What recording did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Findings that were not open before.
    pub new: Vec<Finding>,
    /// Findings that were open and are repaired.
    pub repaired: u64,
}

impl Store {
    /// How far a network is audited.
    ///
    /// # Errors
    /// [`StoreError::Network`] when it is not registered, [`StoreError::Rederiving`] when an older program derived what
    /// would be audited, or what the database says.
    pub async fn standing(&self, chain_id: ChainId) -> Result<Standing, StoreError> {
        let failed = || StoreError::database("audit");
        let client = self.write().await?;
        let select = "SELECT n.start_block, c.tip_number, c.tip_hash, c.finalized_number, c.finalized_hash, \
                      v.verified_number, v.verified_hash, v.method, coalesce(v.rewinds, 0) AS rewinds, \
                      greatest(n.derivation, r.derivation) < $2 AND c.tip_number IS NOT NULL AS outdated \
                      FROM network n JOIN cursor c USING (chain_id) LEFT JOIN verification v USING (chain_id) \
                      LEFT JOIN reindex r ON r.chain_id = c.chain_id AND r.source = 'store' WHERE c.chain_id = $1";
        let row = client.query_opt(select, &[&signed(chain_id), &DERIVATION]).await.map_err(failed())?;
        let row = row.ok_or_else(|| {
            let reason = format!("chain {chain_id} is not in this database; follow it first");
            StoreError::Network { reason }
        })?;
        // Its rows are another program's: what this one expects of them is not there yet.
        if sql::column(&row, "outdated")? {
            return Err(StoreError::Rederiving { chain_id });
        }
        let block = |number, hash| match sql::column::<Option<i64>>(&row, number)? {
            None => Ok(None),
            Some(number) => Ok(Some(BlockRef { number: sql::unsigned(number)?, hash: sql::hash(&row, hash)? })),
        };
        let verified = match sql::column::<Option<i64>>(&row, "verified_number")? {
            None => None,
            Some(number) => {
                let hash = sql::column::<Option<&[u8]>>(&row, "verified_hash")?.map(B256::try_from).transpose();
                Some(Verified {
                    number: sql::unsigned(number)?,
                    hash: hash.map_err(|_| sql::corrupt("a verified hash is not of 32 bytes"))?,
                    method: Method::from_name(sql::column(&row, "method")?)
                        .ok_or_else(|| sql::corrupt("a method of verification is unknown"))?,
                })
            }
        };
        Ok(Standing {
            start: sql::number(&row, "start_block")?,
            tip: block("tip_number", "tip_hash")?,
            finalized: block("finalized_number", "finalized_hash")?,
            verified,
            rewinds: sql::number(&row, "rewinds")?,
        })
    }

    /// Makes room for what will be recorded, so that rewinds are counted from now on.
    ///
    /// # Errors
    /// What the database says.
    pub async fn begin_verification(&self, chain_id: ChainId) -> Result<(), StoreError> {
        let insert = "INSERT INTO verification (chain_id) VALUES ($1) ON CONFLICT (chain_id) DO NOTHING";
        let client = self.write().await?;
        client.execute(insert, &[&signed(chain_id)]).await.map_err(StoreError::database("audit"))?;
        Ok(())
    }

    /// Records an audit: findings, what is repaired, and how far everything is verified. Nothing at all when a rewind
    /// came between.
    ///
    /// # Errors
    /// What the database says.
    pub async fn record(&self, chain_id: ChainId, audited: &Audited) -> Result<Option<Recorded>, StoreError> {
        let failed = || StoreError::database("record an audit");
        let mut client = self.write().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        let sql = Sql::new(transaction, "record an audit", chain_id);
        let verified = audited.verified;
        let moved = sql
            .execute(
                "UPDATE verification SET audited_at = now(), verified_number = coalesce($3, verified_number), \
                     verified_hash = CASE WHEN $3::bigint IS NULL THEN verified_hash ELSE $4 END, \
                     method = coalesce($5, method) \
                 WHERE chain_id = $1 AND rewinds = $2",
                &[
                    &signed(audited.rewinds),
                    &verified.map(|verified| signed(verified.number)),
                    &verified.as_ref().and_then(|verified| verified.hash.as_ref()).map(|hash| hash.as_slice()),
                    &verified.map(|verified| verified.method.name()),
                ],
            )
            .await?;
        if moved == 0 {
            return Ok(None);
        }
        let recorded = finding::record(&sql, audited).await?;
        sql.commit().await?;
        Ok(Some(recorded))
    }

    /// One state of the database, to be read.
    async fn read_state<T>(
        &self,
        chain_id: ChainId,
        read: impl AsyncFnOnce(&Sql<'_>, &[network::Contract]) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let failed = || StoreError::database("audit");
        let mut client = self.write().await?;
        let contracts = network::contracts(&**client, chain_id).await?;
        let transaction = client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead);
        let sql = Sql::new(transaction.start().await.map_err(failed())?, "audit", chain_id);
        let state = read(&sql, &contracts).await?;
        sql.commit().await?;
        Ok(state)
    }
}

/// Undoes what was verified above a block, and counts the rewind where it reaches below finality: only what is final is
/// audited, and an ordinary reorganisation is no reason to audit it again.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute(
        // Not least(): it would take the block for a number that is not there.
        "UPDATE verification v SET rewinds = rewinds + (SELECT count(*) FROM cursor c \
                 WHERE c.chain_id = v.chain_id AND c.finalized_number > $2), \
             verified_number = CASE WHEN verified_number > $2 THEN $2 ELSE verified_number END, \
             verified_hash = CASE WHEN verified_number > $2 THEN NULL ELSE verified_hash END WHERE chain_id = $1",
        &[&signed(to)],
    )
    .await?;
    Ok(())
}
