//! Every line of SQL: the database's connections, its schema, what is written to it and what is read from it.
//!
//! What must always hold: data and cursor change in one transaction; no statement is built from text that came from
//! outside; a URL is never shown with its credentials.

mod apply;
mod aspect;
mod derivation;
mod digest;
mod document;
mod error;
mod feed;
mod fixed;
mod generation;
mod hours;
mod insert;
mod keys;
mod late;
mod migrate;
mod network;
mod numeric;
mod pool;
mod preview;
pub mod query;
pub mod raw;
mod reader_index;
mod reindex;
mod sql;
mod standing;
mod step;
mod tally;
mod tls;
pub mod verification;
mod wal;
mod writer;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use deadpool_postgres::Object;

pub use self::apply::{Applied, Batch, ChangeEntity, ChangeOp, DERIVATION, FlipCount, Rewound, Tip};
pub use self::document::{Accepted, Attempt, Handed, OpenPayment, Outcome, Pin, Sender, ServedCard, UnpinnedFile};
pub use self::error::StoreError;
use self::feed::Feed;
pub use self::keys::ApiKey;
pub use self::late::Counted;
pub use self::numeric::Numeric;
use self::pool::{Canceller, Connections, Target, WRITERS_NAME};
pub use self::preview::Preview;
pub use self::reader_index::MadeUp;
pub use self::reindex::{Job, Rederived, Source, Stock};
pub use self::step::{CHANNEL, Cursor, Finalized};
pub use self::tally::Tally;
pub use self::writer::{StoredHeader, Writer};
use crate::config::Database;

/// Connections that may write: migrations, registration, and one for each network's writer while it starts.
const WRITE_CONNECTIONS: usize = 4;

/// The database.
pub struct Store {
    write: Arc<Connections>,
    read: Connections,
    /// Longest statement on a connection for reading; zero: as long as it takes.
    longest_read: Duration,
    /// Where commits are told.
    primary: Target,
    /// News of commits, since somebody first waited for them.
    feed: OnceLock<Feed>,
    /// The networks in the newest state that a question was answered from.
    known: Mutex<Option<Arc<query::Networks>>>,
    /// Statements sent to answer questions.
    query_statements: Arc<AtomicU64>,
}

impl Store {
    /// Opens pools for writing and for reading, and proves that both databases answer.
    ///
    /// # Errors
    /// [`StoreError`] when a URL is not valid, or no connection can be had within the configured time.
    pub async fn connect(config: &Database) -> Result<Self, StoreError> {
        let acquire_timeout = Duration::from_millis(config.acquire_timeout_ms);
        let statement_timeout = Duration::from_millis(config.statement_timeout_ms);
        let read_url = if config.read_url.is_empty() { &config.url } else { &config.read_url };
        let read = Target::from_url(read_url)?;
        let primary = Target::from_url(&config.url)?;
        let store = Self {
            write: Arc::new(Connections::for_writing(primary.clone(), WRITE_CONNECTIONS, acquire_timeout)),
            read: Connections::for_reading(read, config.read_connections, acquire_timeout, statement_timeout),
            longest_read: statement_timeout,
            primary,
            feed: OnceLock::new(),
            known: Mutex::default(),
            query_statements: Arc::default(),
        };
        drop((store.write().await?, store.read().await?));
        Ok(store)
    }

    /// A connection for reading: the server refuses to write on it, and ends statements that take too long.
    ///
    /// # Errors
    /// [`StoreError`] when none can be had in time.
    pub async fn read(&self) -> Result<Object, StoreError> {
        self.read.get().await
    }

    /// How many statements were sent so far to answer questions: what a test of N+1 compares.
    #[must_use]
    pub fn query_statements(&self) -> u64 {
        self.query_statements.load(Ordering::Relaxed)
    }

    /// Most connections for reading.
    fn read_connections(&self) -> usize {
        self.read.limit()
    }

    /// What ends a statement on a connection for reading.
    fn canceller(&self, connection: &Object) -> Canceller {
        self.read.canceller(connection)
    }

    /// The networks in the newest state that a question was answered from; nothing before the first one.
    fn known(&self) -> Option<Arc<query::Networks>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn know(&self, networks: &Arc<query::Networks>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(networks));
    }

    /// A connection for writing.
    async fn write(&self) -> Result<Object, StoreError> {
        self.write.get().await
    }

    /// The server's processes that write for this program, and those that help them to build indexes. Nothing where the
    /// database's URL gives its connections a name of its own: they cannot be told from those that read.
    ///
    /// # Errors
    /// [`StoreError`] when no connection can be had in time, or what the database says.
    pub async fn writing_processes(&self) -> Result<Vec<u32>, StoreError> {
        let select = "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND usename = current_user";
        let rows = self.write().await?.query(select, &[&WRITERS_NAME]).await;
        let rows = rows.map_err(StoreError::database("tell the processes that write"))?;
        Ok(rows.iter().filter_map(|row| u32::try_from(row.get::<_, i32>(0)).ok()).collect())
    }

    /// News of commits, which are listened for from the first call on.
    fn feed(&self) -> &Feed {
        self.feed.get_or_init(|| Feed::start(self.primary.clone(), self.read.clone()))
    }

    /// The number of the state of a network that readers see, or of all networks: another one after every commit of it, or
    /// of any. Nothing while commits are not heard of, and until they are for the first time, which this begins.
    pub fn state(&self, chain_id: Option<i64>) -> Option<i64> {
        self.feed().state(chain_id)
    }

    /// Closes all connections as they become idle; further requests for one fail, and nobody hears of commits any more.
    pub fn close(&self) {
        if let Some(feed) = self.feed.get() {
            feed.stop();
        }
        self.write.close();
        self.read.close();
    }
}
