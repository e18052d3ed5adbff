//! One state of the database, read for the whole of one request (F73): everything that is read through a snapshot is of the
//! same commit, of all networks, of which it knows how far each is, how final, and which contracts it has.
//!
//! There are two ways to hold on to a state. One is a read-only REPEATABLE READ transaction, which begins by reading the
//! networks. The other one takes no message of its own: each statement tells, beside its rows, the number of the state that
//! it read, and the networks are known already of the state of that number. Most questions are one or two look-ups, between
//! which no commit comes. Where one does come, the statement fails with [`QueryError::Moved`], and whoever asks begins anew
//! in a transaction. Statements are prepared once per connection and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use alloy::primitives::Address;
use deadpool_postgres::Object;
use tokio_postgres::Row;

use super::error::QueryError;
use super::networks::{BlockInfo, Contracts, NETWORKS, NUMBER, Network, Networks};
use super::sql::Statement;
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
    networks: Arc<Networks>,
    rows_left: AtomicI64,
    /// Whether a transaction holds the state.
    is_transaction: AtomicBool,
    /// Whether any statement was answered.
    has_read: AtomicBool,
    /// Whether a statement read another state than the networks are of.
    has_moved: AtomicBool,
    /// Whether the server may keep the plans of the transaction's statements, as it was last told.
    keeps_plans: AtomicBool,
    validation_expires_after: i64,
}

impl Snapshot {
    /// Opens a snapshot of the newest committed state, in a transaction.
    ///
    /// # Errors
    /// [`QueryError::Unavailable`] when no connection can be had, or any error of a statement.
    pub async fn open(store: &Store, limits: Limits) -> Result<Self, QueryError> {
        let mut snapshot = Self::on_connection(store, limits, Arc::default()).await?;
        *snapshot.is_transaction.get_mut() = true;
        // What every reading connection is limited to holds too.
        let begin = match lower_limit(store, limits) {
            Some(limit) => format!("{BEGIN}; SET LOCAL statement_timeout = {}", limit.as_millis()),
            None => BEGIN.to_owned(),
        };
        snapshot.statements.fetch_add(1, Ordering::Relaxed);
        // Sent together: the server does one after the other, and nobody waits in between.
        let began = async { Ok(snapshot.connection().batch_execute(&begin).await?) };
        let networks = Statement::of(NETWORKS);
        let ((), (rows, number)) = tokio::try_join!(biased; began, snapshot.numbered(&networks))?;
        snapshot.networks = Arc::new(Networks::read(number, &rows)?);
        store.know(&snapshot.networks);
        Ok(snapshot)
    }

    /// Opens a snapshot of the state that is known, which is the newest one as long as its statements do not tell otherwise
    /// ([`QueryError::Moved`]). Where none is known it is opened in a transaction.
    ///
    /// # Errors
    /// As [`Snapshot::open`].
    pub async fn open_known(store: &Store, limits: Limits) -> Result<Self, QueryError> {
        // Only a transaction has limits of its own.
        match store.known().filter(|_| lower_limit(store, limits).is_none()) {
            Some(networks) => Self::on_connection(store, limits, networks).await,
            None => Self::open(store, limits).await,
        }
    }

    async fn on_connection(store: &Store, limits: Limits, networks: Arc<Networks>) -> Result<Self, QueryError> {
        let connection = store.read().await?;
        if connection.statement_cache.size() > MAX_PREPARED {
            connection.statement_cache.clear();
        }
        Ok(Self {
            canceller: store.canceller(&connection),
            statements: Arc::clone(&store.query_statements),
            connection: Some(connection),
            networks,
            rows_left: AtomicI64::new(limits.max_rows.into()),
            is_transaction: AtomicBool::new(false),
            has_read: AtomicBool::new(false),
            has_moved: AtomicBool::new(false),
            keeps_plans: AtomicBool::new(true),
            validation_expires_after: i64::try_from(limits.validation_expires_after.as_secs()).unwrap_or(i64::MAX),
        })
    }

    /// Whether a commit came before its last statement: then nothing that was read through it is an answer. What is known
    /// of the networks is held against the database here where no statement has done so.
    pub async fn has_moved(&self) -> bool {
        let is_proved = self.has_read.load(Ordering::Relaxed) || self.query(&Statement::of("SELECT")).await.is_ok();
        !is_proved || self.has_moved.load(Ordering::Relaxed)
    }

    /// Whether it is as new as any state that was seen, of a network or of all: one of several replicas may be behind
    /// another. Not, while nobody looks for new ones.
    #[must_use]
    pub fn is_newest(&self, store: &Store, chain_id: Option<i64>) -> bool {
        let seqs = self.networks().iter().map(|network| (network.chain_id, network.seq)).collect();
        store.feed.get().is_some_and(|feed| feed.is_newest(&seqs, chain_id))
    }

    /// Gives the connection back. A snapshot that is dropped without this closes its connection instead, because a
    /// statement may still be running on it.
    pub async fn close(mut self) {
        let Some(connection) = self.connection.take() else { return };
        if *self.is_transaction.get_mut() && connection.batch_execute("COMMIT").await.is_err() {
            drop(Object::take(connection));
        }
    }

    /// The networks, in the order of their chain ids.
    #[must_use]
    pub fn networks(&self) -> &[Network] {
        &self.networks.all
    }

    /// A network by its chain id.
    #[must_use]
    pub fn network(&self, chain_id: i64) -> Option<&Network> {
        self.networks().iter().find(|network| network.chain_id == chain_id)
    }

    /// The id of an agent that a registry of a network numbered: without the registry, where that is of the primary
    /// deployment.
    #[must_use]
    pub fn agent_id(&self, chain_id: i64, registry: Address, agent_id: &str) -> String {
        match self.contracts().deployment_of(chain_id, registry.as_slice()) {
            None | Some(0) => format!("{chain_id}:{agent_id}"),
            Some(_) => format!("{chain_id}:{registry:#x}:{agent_id}"),
        }
    }

    /// What is known of a block of the chain that is held.
    ///
    /// # Errors
    /// Any error of the statement.
    pub async fn block(&self, chain_id: i64, number: i64) -> Result<BlockInfo, QueryError> {
        let mut statement = Statement::by_key();
        let height = statement.bind(number);
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
        let mut statement = Statement::by_key();
        let numbers = statement.bind(numbers);
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
        let mut statement = Statement::by_key();
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
        &self.networks.contracts
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// [`QueryError::Moved`] when it read another state than the snapshot is of, and any error of the statement.
    pub(super) async fn query(&self, statement: &Statement) -> Result<Vec<Row>, QueryError> {
        let (rows, number) = self.numbered(statement).await?;
        if number == self.networks.number {
            return Ok(rows);
        }
        self.has_moved.store(true, Ordering::Relaxed);
        Err(QueryError::Moved)
    }

    /// Runs a statement; its rows, and the number of the state that it read. There are two columns more behind its own.
    async fn numbered(&self, statement: &Statement) -> Result<(Vec<Row>, i64), QueryError> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        let connection = self.connection();
        let started = Instant::now();
        // There is a row to tell the number where the statement has none; one row joined to others keeps their order.
        let text = format!(
            "SELECT q.*, n.number FROM ({NUMBER}) n (number) \
             LEFT JOIN (SELECT q.*, TRUE AS is_there FROM ({}) q) q ON TRUE",
            statement.text
        );
        let prepared = connection.prepare_cached(&text).await?;
        let parameters = statement.parameters();
        let asked = async { Ok(connection.query(&prepared, &parameters).await?) };
        // Sent right in front of the statement, so that no other one comes in between, and nobody waits for its answer.
        let ((), mut rows) = tokio::try_join!(biased; self.let_plans_be_kept(statement), asked)?;
        ::metrics::histogram!(metrics::SQL_DURATION, "operation" => "query").record(started.elapsed());
        self.has_read.store(true, Ordering::Relaxed);
        let number_at = prepared.columns().len() - 1;
        let last = rows.last().ok_or_else(|| QueryError::Corrupt("a statement told no number".to_owned()))?;
        let is_there: Option<bool> = last.try_get(number_at - 1)?;
        // There is none before the first network is registered.
        let number: Option<i64> = last.try_get(number_at)?;
        if is_there.is_none() {
            rows.clear();
        }
        Ok((rows, number.unwrap_or_default()))
    }

    /// Tells the server whether it may keep the statement's plan, where that is another answer than before. It is told for a
    /// transaction: the statement begins one where there is none.
    async fn let_plans_be_kept(&self, statement: &Statement) -> Result<(), QueryError> {
        // Without parameters there is nothing to plan for, and a plan is kept anyway.
        if statement.has_parameters() && self.keeps_plans.swap(statement.keyed, Ordering::Relaxed) != statement.keyed {
            let mode = if statement.keyed { KEPT_PLANS } else { PLANS_FOR_VALUES };
            let is_transaction = self.is_transaction.swap(true, Ordering::Relaxed);
            let begin = if is_transaction { String::new() } else { format!("{BEGIN}; ") };
            self.connection().batch_execute(&format!("{begin}SET LOCAL plan_cache_mode = {mode}")).await?;
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
        self.query(&Statement::of(text)).await
    }

    fn connection(&self) -> &Object {
        self.connection.as_ref().expect("the connection is taken only by close, which consumes the snapshot")
    }
}

/// The time that a statement may take, where that is less than any reading connection gives it. Zero of a connection is no limit.
fn lower_limit(store: &Store, limits: Limits) -> Option<Duration> {
    let limit = limits.statement_timeout.max(Duration::from_millis(1));
    (store.longest_read.is_zero() || limit < store.longest_read).then_some(limit)
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
