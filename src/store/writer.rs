//! The one writer of a network: elected by a lock, fenced by an epoch, moving the cursor.
//!
//! The advisory lock lives on the writer's own connection and dies with it. Because a writer can outlive its lock
//! without knowing (a connection that hangs, a proxy in between), every transaction also locks the cursor's row and
//! asks whether the epoch is still its own: an old writer cannot commit anything (F55).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use alloy::primitives::{B256, keccak256};
use deadpool_postgres::{ClientWrapper, Object};

use super::Store;
use super::apply::{Applied, Batch, Contracts, EverGiven, NamedAgents, Tip};
use super::derivation;
use super::error::StoreError;
use super::late;
use super::network::{self, Contract};
use super::pool::Connections;
use super::reindex::STEP_LOGS;
use super::sql::{self, Amount, Sql, signed};
use super::step::{Cursor, Finalized, Floor, Step, clamped};
use super::wal;
use crate::block::{Block, BlockRef};
use crate::config::Network;
use crate::dispute::Dispute;
use crate::id::ChainId;
use crate::metrics;

/// A range of blocks whose partitions exist: `number / 2^24`.
const PARTITION_BITS: u32 = 24;

/// Rows inserted by a writer before it refreshes the planner's statistics for the first time.
const FIRST_ANALYZE_ROWS: u64 = 2_000;

/// How much larger the tables are each time. The planner scales what it knows by the size of the tables, so the shape of
/// small ones does; twice as large each time, ANALYZE was more than a quarter of a backfill of 200,000 events.
const ANALYZE_GROWTH: u64 = 8;

/// How large a sample it reads while indexes are postponed, in units of 300 rows; a tenth of what it is otherwise.
const ROUGH_STATISTICS: &str = "10";

/// How long a writer's statement waits for a lock that somebody holds on a table; then the step fails, is told, and is
/// tried again, in the place of a stall that nobody sees.
const LOCK_TIMEOUT_MS: u32 = 30_000;

/// Logs of a step that looks few keys up: one at the head, or a bit behind it.
const FEW_LOGS: usize = 1_000;

/// Disputes of a network that are kept: the newest.
const MAX_DISPUTES: i64 = 10_000;

/// The tables that an apply looks up or ends rows in.
const ANALYZED: [&str; 12] = [
    "agent",
    "agent_metadata",
    "operator_approval",
    "agent_total",
    "feedback",
    "standing",
    "manifest_flip",
    "tag",
    "validation",
    "audit_event",
    "intent",
    "intent_counter",
];

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

/// The right to write one network's data.
pub struct Writer {
    pub(super) client: ClientWrapper,
    /// Where further connections come from.
    pub(super) connections: Arc<Connections>,
    /// How many of them build indexes.
    pub(super) index_connections: usize,
    chain_id: ChainId,
    epoch: i64,
    start_block: u64,
    contracts: Contracts,
    /// Contracts that the next re-index from the chain enters.
    entering: Vec<Contract>,
    /// Contracts whose generation the next re-index from the store changes.
    pub(super) renaming: Vec<Contract>,
    /// Ranges of blocks that are known to have partitions.
    partitions: HashSet<u64>,
    /// Logs and headers that one step of a re-index from the store derives from, at most.
    pub(super) reindex_step_logs: u64,
    /// Rows inserted since the planner's statistics were last brought up to date, and how many of them bring that on.
    unanalyzed_rows: u64,
    analyze_at_rows: u64,
    /// Whether indexes that only questions need are postponed.
    pub(super) without_indexes: bool,
    /// What feedback was ever written, while a network is backfilled that was empty when this writer began.
    pub(super) ever_given: Option<Arc<EverGiven>>,
    /// Which agents there are, while their totals are counted late and as of the last commit.
    named: Option<NamedAgents>,
    /// Whether standings and totals are counted late, and how far they are.
    pub(super) without_standings: bool,
    pub(super) counted: Option<late::Progress>,
    /// The cursor of the last commit, until it was told or something else was begun.
    committed: Option<Cursor>,
}

impl Store {
    /// Becomes the writer of a registered network; nothing while another process is.
    ///
    /// # Errors
    /// [`StoreError::Network`] when the network is not registered, [`StoreError::DerivedByNewer`], or what the database
    /// says.
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
        derivation::check_not_newer(&*client, chain_id).await?;
        let raised = "UPDATE cursor SET epoch = epoch + 1 FROM network \
                      WHERE network.chain_id = $1 AND cursor.chain_id = $1 \
                      RETURNING epoch, start_block, has_reader_indexes, has_standings";
        let row = client.query_opt(raised, &[&signed(chain_id)]).await.map_err(failed())?;
        let Some(row) = row else {
            let reason = format!("chain {chain_id} is not registered in this database; list it in the configuration");
            return Err(StoreError::Network { reason });
        };
        client.batch_execute(&format!("SET lock_timeout = {LOCK_TIMEOUT_MS}")).await.map_err(failed())?;
        let without_indexes = !sql::column::<bool>(&row, "has_reader_indexes")?;
        if without_indexes {
            wal::leave_unfilled(&client).await?;
        }
        let contracts = Contracts::new(&network::contracts(&*client, chain_id).await?);
        let analyzed_rows = analyzed_rows(&client, chain_id).await?;
        Ok(Some(Writer {
            chain_id,
            epoch: sql::column(&row, "epoch")?,
            start_block: sql::number(&row, "start_block")?,
            contracts,
            entering: vec![],
            renaming: vec![],
            partitions: HashSet::new(),
            reindex_step_logs: STEP_LOGS,
            unanalyzed_rows: 0,
            analyze_at_rows: analyzed_rows.max(FIRST_ANALYZE_ROWS),
            without_indexes,
            without_standings: !sql::column::<bool>(&row, "has_standings")?,
            ever_given: None,
            named: None,
            counted: None,
            committed: None,
            connections: Arc::clone(&self.write),
            index_connections: 0,
            client,
        }))
    }
}

/// Reads a row of `number, hash, parent_hash, block_at`.
pub(super) fn read_header(row: &tokio_postgres::Row) -> Result<StoredHeader, StoreError> {
    Ok(StoredHeader {
        number: sql::number(row, "number")?,
        hash: sql::hash(row, "hash")?,
        parent_hash: sql::hash(row, "parent_hash")?,
        timestamp: sql::number(row, "block_at")?,
    })
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

    /// How far the network is committed: read, where the last thing that was done is not a commit of blocks.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when another writer took over, or what the database says.
    pub async fn cursor(&mut self) -> Result<Cursor, StoreError> {
        if let Some(cursor) = self.committed.take() {
            return Ok(cursor);
        }
        let step = self.begin("cursor").await?;
        Ok(step.cursor)
    }

    /// Adds what the state digest lacks of the raw logs that are held: those of a database that is older than it, or whose
    /// digests were deleted. Each piece is a commit, so that an end in between loses none. Not before a re-index, which
    /// may replace what cannot be read.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when raw logs are not what was stored, [`StoreError::Fenced`], or what the database says.
    pub async fn catch_up_digest(&mut self) -> Result<(), StoreError> {
        let select = "SELECT coalesce(sum(log_count), 0)::bigint AS logs FROM raw_logs WHERE chain_id = $1 \
                      AND from_block > coalesce((SELECT max(block_number) FROM state_digest WHERE chain_id = $1), -1)";
        let row = self.client.query_one(select, &[&signed(self.chain_id)]).await;
        let logs = sql::number(&row.map_err(StoreError::database("catch up the digest"))?, "logs")?;
        if logs == 0 {
            return Ok(());
        }
        tracing::info!(chain_id = self.chain_id, logs, "computing the state digest of logs that have none yet");
        while self.begin("catch up the digest").await?.catch_up_digest().await? {}
        Ok(())
    }

    /// The headers that are held between two heights, both included, from the highest down.
    ///
    /// # Errors
    /// What the database says.
    pub async fn headers(&mut self, from: u64, to: u64) -> Result<Vec<StoredHeader>, StoreError> {
        let failed = || StoreError::database("headers");
        let select = "SELECT number, hash, parent_hash, block_at FROM block \
                      WHERE chain_id = $1 AND number BETWEEN $2 AND $3 ORDER BY number DESC";
        let statement = self.client.prepare_cached(select).await.map_err(failed())?;
        let rows = self
            .client
            .query(&statement, &[&signed(self.chain_id), &clamped(from), &clamped(to)])
            .await
            .map_err(failed())?;
        rows.iter().map(read_header).collect()
    }

    /// Undoes blocks where that is asked for, then adds the batch's: all of it, with the cursor, or nothing.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], [`StoreError::TipMoved`], [`StoreError::BelowFinality`], [`StoreError::OtherFinal`],
    /// [`StoreError::Batch`], or what the database says.
    pub async fn apply(&mut self, batch: Batch) -> Result<Applied, StoreError> {
        self.apply_above(batch, Floor::Finality).await
    }

    /// Takes up the contracts that the configuration has more than the database. They are entered in the transaction of
    /// the next batch, which must begin at or below the first block with logs of theirs.
    ///
    /// # Errors
    /// What the database says.
    pub async fn enter_contracts(&mut self, network: &Network) -> Result<(), StoreError> {
        let stored = network::contracts(&*self.client, self.chain_id).await?;
        self.entering = network::new_contracts(&stored, network);
        self.contracts = Contracts::new(&[stored, self.entering.clone()].concat());
        Ok(())
    }

    /// The connection, outside of a step, and the network that it is for.
    pub(super) fn connection(&self) -> (&tokio_postgres::Client, ChainId) {
        (&self.client, self.chain_id)
    }

    /// Reads logs by these contracts from now on; those of them whose generation changes are entered by the next re-index
    /// from the store.
    pub(super) fn rename(&mut self, contracts: Contracts, renaming: Vec<Contract>) {
        (self.contracts, self.renaming) = (contracts, renaming);
    }

    /// [`Writer::apply`], where a rewind may go down to that floor.
    pub(super) async fn apply_above(&mut self, batch: Batch, floor: Floor) -> Result<Applied, StoreError> {
        let started = Instant::now();
        let parts: Vec<u64> = self.missing_partitions(&batch.blocks);
        let entering = self.entering.clone();
        let is_small = batch.blocks.iter().map(|block| block.logs.len()).sum::<usize>() <= FEW_LOGS;
        let amount = if is_small && batch.rewind_to.is_none() { Amount::Few } else { Amount::Many };
        // Whoever is cut does not know what was committed, and reads them anew.
        let named = self.named.take();
        let step = self.begin_with("apply", amount).await?.knowing(named);
        for contract in &entering {
            network::enter(&**step.sql.transaction(), step.sql.chain_id, contract)
                .await
                .map_err(StoreError::database("apply"))?;
        }
        let (applied, cursor, named) = Box::pin(step.apply(batch, &parts, floor)).await?;
        (self.committed, self.named) = (Some(cursor), named);
        self.entering.clear();
        self.have_partitions(parts);
        self.measured("apply", started, applied.rows).await;
        Ok(applied)
    }

    /// Takes down how long a commit took, and keeps the planner's statistics up with its rows.
    pub(super) async fn measured(&mut self, operation: &'static str, started: Instant, rows: u64) {
        self.measure(operation, started);
        self.unanalyzed_rows += rows;
        if self.unanalyzed_rows >= self.analyze_at_rows {
            self.analyze().await;
        }
    }

    /// Brings the planner's statistics up to date while a backfill fills empty tables: the server's own turn comes once a
    /// minute, and until then it believes the tables to be empty. Seldom, because it reads samples of every partition,
    /// which takes seconds once they are large.
    pub(super) async fn analyze(&mut self) {
        let started = Instant::now();
        self.analyze_at_rows = self.analyze_at_rows.saturating_mul(ANALYZE_GROWTH);
        self.unanalyzed_rows = 0;
        let tables = ANALYZED.map(|table| format!("{table}_{}", self.chain_id)).join(", ");
        // Whoever fills tables looks rows up by their keys alone: a small sample tells their shape.
        let target = if self.without_indexes { ROUGH_STATISTICS } else { "DEFAULT" };
        let analyze =
            format!("SET default_statistics_target = {target}; ANALYZE {tables}; RESET default_statistics_target");
        // What was committed stays committed, whether or not this works.
        if let Err(error) = self.client.batch_execute(&analyze).await {
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
        let insert = "INSERT INTO head (chain_id, number, hash, block_at, safe_number, finalized_number, seen_at) \
                      SELECT $1, $2, $3, $4, $5, $6, now() FROM cursor WHERE chain_id = $1 AND epoch = $7 \
                      ON CONFLICT (chain_id) DO UPDATE SET number = excluded.number, hash = excluded.hash, \
                          block_at = excluded.block_at, safe_number = excluded.safe_number, \
                          finalized_number = excluded.finalized_number, seen_at = excluded.seen_at";
        let statement = self.client.prepare_cached(insert).await.map_err(StoreError::database("observe the head"))?;
        let written = self
            .client
            .execute(
                &statement,
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

    /// Writes down what the follower lacks at the moment, or that it lacks nothing; an observation, no part of the data.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the database says.
    pub async fn record_trouble(&mut self, trouble: Option<&str>) -> Result<(), StoreError> {
        let update = "UPDATE network SET trouble = $2 FROM cursor \
                      WHERE network.chain_id = $1 AND cursor.chain_id = $1 AND cursor.epoch = $3";
        let written = self
            .client
            .execute(update, &[&signed(self.chain_id), &trouble, &self.epoch])
            .await
            .map_err(StoreError::database("record what is lacking"))?;
        if written == 0 { Err(StoreError::Fenced { chain_id: self.chain_id }) } else { Ok(()) }
    }

    /// Writes down what endpoints disagreed about; an observation, no part of the data. The same dispute again is counted,
    /// and only the newest are kept, so that a bad endpoint cannot fill the table.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the database says. What was written before it stays.
    pub async fn record_disputes(&mut self, disputes: &[Dispute]) -> Result<(), StoreError> {
        let failed = || StoreError::database("record disputes");
        for dispute in disputes {
            let endpoints: Vec<&str> = dispute.told.iter().map(|(endpoint, _)| endpoint.as_str()).collect();
            let counts: Vec<i64> = dispute.told.iter().map(|(_, logs)| clamped(*logs)).collect();
            let written = self
                .client
                .execute(
                    "INSERT INTO dispute (chain_id, identity, from_block, to_block, endpoints, log_counts, wrong, \
                         difference, settlement) \
                     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM cursor WHERE chain_id = $1 AND epoch = $10 \
                     ON CONFLICT (chain_id, identity) DO UPDATE SET times = dispute.times + 1, last_at = now()",
                    &[
                        &signed(self.chain_id),
                        &identity(dispute).as_slice(),
                        &clamped(dispute.from),
                        &clamped(dispute.to),
                        &endpoints,
                        &counts,
                        &dispute.wrong,
                        &dispute.difference,
                        &dispute.settlement.name(),
                        &self.epoch,
                    ],
                )
                .await
                .map_err(failed())?;
            if written == 0 {
                return Err(StoreError::Fenced { chain_id: self.chain_id });
            }
        }
        if disputes.is_empty() {
            return Ok(());
        }
        let oldest = "DELETE FROM dispute WHERE chain_id = $1 AND dispute_id IN (SELECT dispute_id FROM dispute \
                      WHERE chain_id = $1 ORDER BY last_at DESC, dispute_id DESC OFFSET $2)";
        self.client.execute(oldest, &[&signed(self.chain_id), &MAX_DISPUTES]).await.map_err(failed())?;
        Ok(())
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
        let finalized = Box::pin(step.finalize(finalized, safe)).await?;
        self.measure("finalize", started);
        Ok(finalized)
    }

    /// Ranges of blocks that are written to and that may lack partitions.
    pub(super) fn missing_partitions(&self, blocks: &[Block]) -> Vec<u64> {
        let parts: HashSet<u64> = blocks.iter().map(|block| block.header.number >> PARTITION_BITS).collect();
        parts.difference(&self.partitions).copied().collect()
    }

    /// Remembers that these ranges have partitions.
    pub(super) fn have_partitions(&mut self, parts: Vec<u64>) {
        self.partitions.extend(parts);
    }

    /// Begins a transaction that holds the cursor's row.
    pub(super) async fn begin(&mut self, operation: &'static str) -> Result<Step<'_>, StoreError> {
        self.begin_with(operation, Amount::Many).await
    }

    /// [`Writer::begin`], of a step that derives what was derived before: agents may go.
    pub(super) async fn begin_anew(&mut self, operation: &'static str) -> Result<Step<'_>, StoreError> {
        self.named = None;
        self.begin(operation).await
    }

    async fn begin_with(&mut self, operation: &'static str, amount: Amount) -> Result<Step<'_>, StoreError> {
        self.committed = None;
        let transaction = self.client.transaction().await.map_err(StoreError::database(operation))?;
        let sql = Sql::new(transaction, operation, self.chain_id).of(amount);
        Step::begin(sql, self.epoch, &self.contracts, self.start_block, self.ever_given.clone()).await
    }

    fn measure(&self, operation: &'static str, started: Instant) {
        ::metrics::histogram!(metrics::SQL_DURATION, "operation" => operation).record(started.elapsed());
    }
}

/// What makes two disputes the same.
fn identity(dispute: &Dispute) -> B256 {
    let numbers = [dispute.from, dispute.to].map(|number| number.to_string());
    let told = dispute.told.iter().flat_map(|(endpoint, logs)| [endpoint.clone(), logs.to_string()]);
    let words = [dispute.difference.clone(), dispute.settlement.name().to_owned()];
    let parts: Vec<String> =
        numbers.into_iter().chain(words).chain(told).chain(dispute.wrong.iter().cloned()).collect();
    keccak256(parts.join("\u{0}"))
}
