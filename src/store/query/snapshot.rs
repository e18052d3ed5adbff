//! One state of the database, read for the whole of one request.
//!
//! A snapshot is a read-only REPEATABLE READ transaction (F73): everything that is read through it is of the same
//! commit, of all networks. It is opened with what every answer needs to know: how far each network is, how final, and
//! which contracts it has. Statements are prepared once per connection and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::error::QueryError;
use super::sql::Statement;
use crate::block::Finality;
use crate::metrics;
use crate::store::Store;
use crate::store::pool::{Canceller, KEPT_PLANS, PLANS_FOR_VALUES};

/// Most statements that a connection keeps prepared. Their number depends on the shapes of queries, which clients choose.
const MAX_PREPARED: usize = 500;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Bounds of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most rows that a request may read in all its lists.
    pub max_rows: u32,
    /// Longest time of one statement.
    pub statement_timeout: Duration,
    /// Age from which a validation without an answer is called expired.
    pub validation_expires_after: Duration,
}

/// A week for validations, and no time for anything else: who opens a snapshot says how much.
impl Default for Limits {
    fn default() -> Self {
        Self { max_rows: 0, statement_timeout: Duration::ZERO, validation_expires_after: Duration::from_secs(604_800) }
    }
}

/// One state of the database.
pub struct Snapshot {
    connection: Option<Object>,
    canceller: Canceller,
    statements: Arc<AtomicU64>,
    networks: Vec<Network>,
    contracts: Contracts,
    rows_left: AtomicI64,
    /// Whether the server may keep the plans of the transaction's statements, as it was last told.
    keeps_plans: AtomicBool,
    validation_expires_after: i64,
}

/// A block as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its height.
    pub number: i64,
    /// Its hash, where the header is held.
    pub hash: Option<Vec<u8>>,
    /// Seconds since 1970, where the header is held.
    pub timestamp: Option<i64>,
    /// The hash of the block below it, where the header is held and was read.
    pub parent_hash: Option<Vec<u8>>,
}

/// A network's state.
#[derive(Debug, Clone)]
pub struct Network {
    /// The chain's id.
    pub chain_id: i64,
    /// Its name in the configuration.
    pub name: String,
    /// The first block that is indexed.
    pub start_block: i64,
    /// The number of its newest commit, and of the newest change.
    pub seq: i64,
    /// The newest block whose data is committed.
    pub indexed: Option<BlockInfo>,
    /// The newest block that is safe, where the network tells.
    pub safe_number: Option<i64>,
    /// The newest block that is final.
    pub finalized_number: Option<i64>,
    /// The number of the program that derived all of its rows.
    pub derivation: i16,
    /// The block that a re-index from the store which is under way ends at.
    pub rederived_to: Option<i64>,
}

impl Network {
    /// How final a block of the network is.
    #[must_use]
    pub fn finality(&self, block: i64) -> Finality {
        let at_most = |limit: Option<i64>| limit.is_some_and(|limit| block <= limit);
        if at_most(self.finalized_number) {
            Finality::Finalized
        } else if at_most(self.safe_number) {
            Finality::Safe
        } else if self.safe_number.is_some() {
            Finality::Preconfirmed
        } else {
            Finality::Unsafe
        }
    }

    /// What is left to derive where the rows are of an older program than one of that number, in words behind the network's
    /// name; nothing where they are not.
    #[must_use]
    pub fn lacks_derivation(&self, needed: i16) -> Option<String> {
        let tip = self.indexed.as_ref().map(|block| block.number);
        let (Some(tip), true) = (tip, self.derivation < needed) else { return None };
        let done = match self.rederived_to {
            Some(target) => format!("up to block {tip} of {target} by now"),
            None => "once a follower of this version runs".to_owned(),
        };
        Some(format!("an older version derived what is stored; it is derived anew from the stored logs, {done}"))
    }

    /// The newest indexed block of at least that finality.
    #[must_use]
    pub fn newest_of(&self, finality: Finality) -> Option<i64> {
        let tip = self.indexed.as_ref()?.number;
        let known = match finality {
            Finality::Unsafe | Finality::Preconfirmed => Some(tip),
            Finality::Safe => self.safe_number.max(self.finalized_number),
            Finality::Finalized => self.finalized_number,
        };
        known.map(|number| number.min(tip))
    }
}

/// A watched contract.
#[derive(Debug, Clone)]
pub(super) struct Contract {
    pub(super) chain_id: i64,
    pub(super) contract_id: i64,
    pub(super) role: String,
    pub(super) address: Vec<u8>,
    pub(super) deployment: i64,
    pub(super) ordinal: i64,
    pub(super) generation: Option<String>,
}

/// The watched contracts of all networks.
#[derive(Debug, Clone, Default)]
pub struct Contracts(Vec<Contract>);

impl Contracts {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.0.iter()
    }

    /// The identity registry of a further deployment, which its agents' ids name.
    pub(super) fn registry_of(&self, chain_id: i64, deployment: i64) -> Option<&[u8]> {
        let of = |contract: &&Contract| {
            contract.chain_id == chain_id
                && contract.deployment == deployment
                && contract.role == crate::event::Role::Identity.name()
        };
        self.0.iter().find(of).filter(|_| deployment > 0).map(|contract| contract.address.as_slice())
    }

    /// The deployment that an identity registry is of.
    pub(super) fn deployment_of(&self, chain_id: i64, address: &[u8]) -> Option<i64> {
        let registry = self.0.iter().find(|contract| contract.chain_id == chain_id && contract.address == address)?;
        (registry.role == crate::event::Role::Identity.name()).then_some(registry.deployment)
    }
}

/// The networks with their contracts, a row for each. Every answer that is worked out begins with it, so it reads no more
/// than every answer needs, in one round trip; [`Snapshot::observed`] reads the rest.
const NETWORKS: &str = "SELECT n.chain_id, n.name, n.start_block, coalesce(c.seq, 0), c.tip_number, c.tip_hash, c.tip_at, \
     c.safe_number, c.finalized_number, n.derivation, CASE WHEN r.source = 'store' THEN r.target_number END, \
     k.contract_id::bigint, k.role, k.address, k.deployment::bigint, k.ordinal::bigint, k.generation \
     FROM network n LEFT JOIN cursor c USING (chain_id) LEFT JOIN reindex r USING (chain_id) \
     LEFT JOIN contract k USING (chain_id) ORDER BY n.chain_id, k.contract_id";

impl Snapshot {
    /// Opens a snapshot of the newest committed state.
    ///
    /// # Errors
    /// [`QueryError::Unavailable`] when no connection can be had, or any error of a statement.
    pub async fn open(store: &Store, limits: Limits) -> Result<Self, QueryError> {
        let connection = store.read().await?;
        if connection.statement_cache.size() > MAX_PREPARED {
            connection.statement_cache.clear();
        }
        let mut snapshot = Self {
            canceller: store.canceller(&connection),
            statements: Arc::clone(&store.query_statements),
            connection: Some(connection),
            networks: Vec::new(),
            contracts: Contracts::default(),
            rows_left: AtomicI64::new(limits.max_rows.into()),
            keeps_plans: AtomicBool::new(true),
            validation_expires_after: i64::try_from(limits.validation_expires_after.as_secs()).unwrap_or(i64::MAX),
        };
        // What every reading connection is limited to holds too; zero is no limit.
        let limit = limits.statement_timeout.max(Duration::from_millis(1));
        let begin = if store.longest_read.is_zero() || limit < store.longest_read {
            format!("{BEGIN}; SET LOCAL statement_timeout = {}", limit.as_millis())
        } else {
            BEGIN.to_owned()
        };
        snapshot.statements.fetch_add(1, Ordering::Relaxed);
        // Sent together: the server does one after the other, and nobody waits in between.
        let began = async { Ok(snapshot.connection().batch_execute(&begin).await?) };
        let ((), rows) = tokio::try_join!(biased; began, snapshot.query_text(NETWORKS))?;
        for row in &rows {
            let chain_id: i64 = row.try_get(0)?;
            if snapshot.networks.last().is_none_or(|network| network.chain_id != chain_id) {
                snapshot.networks.push(read_network(row)?);
            }
            if let Some(contract_id) = row.try_get(11)? {
                snapshot.contracts.0.push(read_contract(row, contract_id)?);
            }
        }
        Ok(snapshot)
    }

    /// Whether it is as new as any state that was seen: one of several replicas may be behind another. Not, while nobody
    /// looks for new ones.
    #[must_use]
    pub fn is_newest(&self, store: &Store) -> bool {
        let seqs = self.networks.iter().map(|network| (network.chain_id, network.seq)).collect();
        store.feed.get().is_some_and(|feed| feed.is_newest(&seqs))
    }

    /// Gives the connection back. A snapshot that is dropped without this closes its connection instead, because a
    /// statement may still be running on it.
    pub async fn close(mut self) {
        if let Some(connection) = self.connection.take()
            && connection.batch_execute("COMMIT").await.is_err()
        {
            drop(Object::take(connection));
        }
    }

    /// The networks, in the order of their chain ids.
    #[must_use]
    pub fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// A network by its chain id.
    #[must_use]
    pub fn network(&self, chain_id: i64) -> Option<&Network> {
        self.networks.iter().find(|network| network.chain_id == chain_id)
    }

    /// What is known of a block of the chain that is held.
    ///
    /// # Errors
    /// Any error of the statement.
    pub async fn block(&self, chain_id: i64, number: i64) -> Result<BlockInfo, QueryError> {
        let mut statement = Statement::default();
        let (chain_id, height) = (statement.bind(chain_id), statement.bind(number));
        statement.push(&format!(
            "SELECT hash, block_at, parent_hash FROM block WHERE chain_id = {chain_id} AND number = {height}"
        ));
        let rows = self.query(&statement).await?;
        let Some(row) = rows.first() else {
            return Ok(BlockInfo { number, hash: None, timestamp: None, parent_hash: None });
        };
        Ok(BlockInfo { number, hash: row.try_get(0)?, timestamp: row.try_get(1)?, parent_hash: row.try_get(2)? })
    }

    /// What is known of those of these blocks whose headers are held.
    pub(super) async fn blocks(&self, chain_id: i64, numbers: Vec<i64>) -> Result<Vec<BlockInfo>, QueryError> {
        let mut statement = Statement::default();
        let (chain_id, numbers) = (statement.bind(chain_id), statement.bind(numbers));
        statement.push(&format!(
            "SELECT number, hash, block_at, parent_hash FROM block WHERE chain_id = {chain_id} AND number = ANY({numbers})"
        ));
        let block = |row: &Row| {
            Ok(BlockInfo {
                number: row.try_get(0)?,
                hash: row.try_get(1)?,
                timestamp: row.try_get(2)?,
                parent_hash: row.try_get(3)?,
            })
        };
        self.query(&statement).await?.iter().map(block).collect()
    }

    /// Where a block of a hash is held: chain id and height.
    pub(super) async fn block_of_hash(&self, hash: &[u8]) -> Result<Option<(i64, i64)>, QueryError> {
        let mut statement = Statement::default();
        let hash = statement.bind(hash.to_vec());
        statement.push(&format!("SELECT chain_id, number FROM block WHERE hash = {hash} ORDER BY chain_id LIMIT 1"));
        let rows = self.query(&statement).await?;
        rows.first().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }

    /// Age in seconds from which a validation without an answer is called expired.
    pub(super) fn validation_expires_after(&self) -> i64 {
        self.validation_expires_after
    }

    pub(super) fn contracts(&self) -> &Contracts {
        &self.contracts
    }

    /// Runs a statement.
    pub(super) async fn query(&self, statement: &Statement) -> Result<Vec<Row>, QueryError> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let connection = self.connection();
        let started = Instant::now();
        let prepared = connection.prepare_cached(&statement.text).await?;
        let parameters = statement.parameters();
        let asked = async { Ok(connection.query(&prepared, &parameters).await?) };
        // Sent right in front of the statement, so that no other one comes in between, and nobody waits for its answer.
        let ((), rows) = tokio::try_join!(biased; self.let_plans_be_kept(statement), asked)?;
        ::metrics::histogram!(metrics::SQL_DURATION, "operation" => "query").record(started.elapsed());
        Ok(rows)
    }

    /// Tells the server whether it may keep the statement's plan, where that is another answer than before.
    async fn let_plans_be_kept(&self, statement: &Statement) -> Result<(), QueryError> {
        // Without parameters there is nothing to plan for, and a plan is kept anyway.
        if statement.has_parameters() && self.keeps_plans.swap(statement.keyed, Ordering::Relaxed) != statement.keyed {
            let mode = if statement.keyed { KEPT_PLANS } else { PLANS_FOR_VALUES };
            self.connection().batch_execute(&format!("SET LOCAL plan_cache_mode = {mode}")).await?;
        }
        Ok(())
    }

    /// How many more rows the request may read.
    pub(super) fn rows_left(&self) -> i64 {
        self.rows_left.load(Ordering::Relaxed).max(0)
    }

    /// Counts rows that were read.
    ///
    /// # Errors
    /// [`QueryError::TooComplex`] when the request has read more than it may.
    pub(super) fn count_rows(&self, rows: usize) -> Result<(), QueryError> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        if self.rows_left.fetch_sub(rows, Ordering::Relaxed) < rows {
            return Err(QueryError::TooComplex(
                "the query reaches too many rows; ask for fewer with `first`, at the top and in nested lists"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Runs a statement without parameters.
    pub(super) async fn query_text(&self, text: &str) -> Result<Vec<Row>, QueryError> {
        let mut statement = Statement::default();
        statement.push(text);
        self.query(&statement).await
    }

    fn connection(&self) -> &Object {
        self.connection.as_ref().expect("the connection is taken only by close, which consumes the snapshot")
    }
}

impl Drop for Snapshot {
    /// An abandoned snapshot: the client went away, or the request took too long. What still runs is ended, and the
    /// connection is closed, because an open transaction must not go back to the pool.
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        drop(Object::take(connection));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(self.canceller.clone().cancel());
        }
    }
}

fn read_network(row: &Row) -> Result<Network, tokio_postgres::Error> {
    let tip: Option<i64> = row.try_get(4)?;
    let (hash, timestamp) = (row.try_get(5)?, row.try_get(6)?);
    Ok(Network {
        chain_id: row.try_get(0)?,
        name: row.try_get(1)?,
        start_block: row.try_get(2)?,
        seq: row.try_get(3)?,
        indexed: tip.map(|number| BlockInfo { number, hash, timestamp, parent_hash: None }),
        safe_number: row.try_get(7)?,
        finalized_number: row.try_get(8)?,
        derivation: row.try_get(9)?,
        rederived_to: row.try_get(10)?,
    })
}

fn read_contract(row: &Row, contract_id: i64) -> Result<Contract, tokio_postgres::Error> {
    Ok(Contract {
        chain_id: row.try_get(0)?,
        contract_id,
        role: row.try_get(12)?,
        address: row.try_get(13)?,
        deployment: row.try_get(14)?,
        ordinal: row.try_get(15)?,
        generation: row.try_get(16)?,
    })
}
