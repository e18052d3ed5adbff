//! What can go wrong in the store, each with what to do about it.
//!
//! Database URLs appear only in their redacted form, and the server's own words are kept in one line.

use std::path::PathBuf;
use std::time::Duration;

use alloy::primitives::B256;
use tokio_postgres::error::SqlState;

use crate::block::BlockRef;
use crate::fault::Fault;
use crate::id::ChainId;

/// Why the store could not do what was asked.
#[derive(Debug)]
pub enum StoreError {
    /// The database URL is not one.
    Url {
        /// What is wrong with it, without its text.
        reason: String,
    },
    /// Root certificates cannot be had.
    Certificates {
        /// Where they were looked for; nothing: the system's.
        path: Option<PathBuf>,
        /// Why not.
        reason: String,
    },
    /// No connection could be opened.
    Connect {
        /// The database, redacted.
        url: String,
        /// Why not.
        source: tokio_postgres::Error,
    },
    /// All connections were in use for too long.
    Busy {
        /// The database, redacted.
        url: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The server did not answer in time.
    Unanswered {
        /// The database, redacted.
        url: String,
        /// How long was waited.
        waited: Duration,
    },
    /// The server is older than the oldest one that this node is tested with.
    ServerTooOld {
        /// Its version as it says it, such as 140011.
        version_number: i32,
    },
    /// A statement failed.
    Database {
        /// What was being done.
        operation: &'static str,
        /// What the server or the connection said.
        source: tokio_postgres::Error,
    },
    /// A migration that was run is not the one that this binary has.
    MigrationEdited {
        /// Its number.
        number: i32,
        /// The name it was run under.
        name: String,
    },
    /// The database has a migration that this binary does not know.
    DatabaseNewer {
        /// The newest migration in the database.
        database: i32,
        /// The newest migration that the binary knows.
        binary: i32,
    },
    /// The database lacks migrations that this binary needs.
    DatabaseOlder {
        /// The newest migration in the database; 0 for none.
        database: i32,
        /// The newest migration that the binary knows.
        binary: i32,
    },
    /// A newer program derived the tables of a network, or began to.
    DerivedByNewer {
        /// The network.
        chain_id: ChainId,
        /// The number of that program.
        database: i16,
        /// The number of this one.
        binary: i16,
    },
    /// Another chain was indexed under this chain id (F31).
    OtherGenesis {
        /// The chain id.
        chain_id: ChainId,
        /// The genesis hash in the database.
        stored: B256,
        /// The genesis hash of the endpoint.
        found: B256,
    },
    /// The network's configuration contradicts what was indexed.
    Network {
        /// What contradicts, in one sentence that says what to do.
        reason: String,
    },
    /// Another writer took the network over: this one must not write any more (F55).
    Fenced {
        /// The network.
        chain_id: ChainId,
    },
    /// The cursor is not where the caller thought.
    TipMoved {
        /// Where the caller thought it is.
        expected: Option<BlockRef>,
        /// Where it is.
        found: Option<BlockRef>,
    },
    /// A rewind would undo final blocks.
    BelowFinality {
        /// The block to keep as the newest.
        rewind_to: u64,
        /// The newest finalized block.
        finalized: u64,
    },
    /// Raw logs from which nothing can be derived: missing, damaged, or of a codec that is not known.
    RawLogs {
        /// What is wrong with them, and what to do.
        reason: String,
    },
    /// A re-index from that block is not possible (F61, F62).
    Unreachable {
        /// Why, with the blocks that are possible.
        reason: String,
    },
    /// A re-index from the store is under way, or must begin because an older program derived the tables: it must be
    /// ended first.
    Rederiving {
        /// The network.
        chain_id: ChainId,
    },
    /// The chain calls a block final that is not the one we hold (F15).
    OtherFinal {
        /// The block that is called final.
        finalized: BlockRef,
        /// The hash that we hold at its height.
        held: B256,
    },
    /// The caller's blocks do not fit together: a defect of this program.
    Batch {
        /// What does not fit.
        reason: String,
    },
    /// The database holds what this node never writes.
    Corrupt {
        /// What was found.
        reason: String,
    },
}

impl StoreError {
    /// Wraps a driver's error with what was being done; for `map_err`.
    pub(super) fn database(operation: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Self {
        move |source| Self::Database { operation, source }
    }

    /// Of the errors of statements that were under way at once, the one that tells why: to each that comes after a failed one
    /// the server only says that the transaction has failed.
    pub(super) fn cause(errors: impl IntoIterator<Item = Self>) -> Self {
        let (consequences, causes): (Vec<_>, Vec<_>) = errors.into_iter().partition(Self::is_consequence);
        causes.into_iter().chain(consequences).next().expect("one of the statements failed")
    }

    fn is_consequence(&self) -> bool {
        let Self::Database { source, .. } = self else { return false };
        source.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION)
    }

    /// Whether the connection that it happened on can serve nothing any more.
    #[must_use]
    pub fn spoils_connection(&self) -> bool {
        matches!(self, Self::Database { source, .. } if is_out_of_step(source))
    }

    /// What the loop around the failed step is to do.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Connect { source, .. } | Self::Database { source, .. } => fault_of(source),
            Self::Busy { .. } | Self::Unanswered { .. } | Self::Fenced { .. } => Fault::Retry,
            Self::TipMoved { .. } | Self::OtherFinal { .. } | Self::Rederiving { .. } => Fault::Reorg,
            _ => Fault::Fatal,
        }
    }
}

/// Whether the driver hears answers to other statements than it sent: after a COPY that the server refuses to begin it
/// sends one message more than it waits for. Such a connection serves nothing any more.
fn is_out_of_step(error: &tokio_postgres::Error) -> bool {
    error.to_string() == "unexpected message from server"
}

/// A failure of the connection or of the server's resources passes (F59); what the server says about a statement or
/// about who we are does not.
fn fault_of(error: &tokio_postgres::Error) -> Fault {
    // An error without a code is one of the connection itself, or a value that the driver refused to send or read.
    let Some(state) = error.code() else {
        let driver = std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>());
        return if error.is_closed() || driver || is_out_of_step(error) || error.to_string().contains("timeout") {
            Fault::Retry
        } else {
            Fault::Fatal
        };
    };
    if *state == SqlState::READ_ONLY_SQL_TRANSACTION {
        return Fault::Retry;
    }
    match &state.code()[..2] {
        // Connection, serialization or deadlock, resources (disk full), locks and time-outs, shutdown, I/O.
        "08" | "40" | "53" | "55" | "57" | "58" => Fault::Retry,
        _ => Fault::Fatal,
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url { reason } => {
                write!(
                    f,
                    "the database URL is not valid: {reason}; write it as postgres://user:password@host:5432/name"
                )
            }
            Self::Certificates { path: Some(path), reason } => {
                write!(f, "cannot read the root certificates in {}: {reason}; check sslrootcert", path.display())
            }
            Self::Certificates { path: None, reason } => {
                write!(f, "the system has no usable root certificates ({reason}); name a file with sslrootcert=")
            }
            Self::Connect { url, source } => {
                write!(f, "cannot connect to the database {url}: {}; {}", one_line(source), advice(source))
            }
            Self::Busy { url, waited } => write!(
                f,
                "all connections to the database {url} were in use for {} ms; raise database.read_connections",
                waited.as_millis()
            ),
            Self::Unanswered { url, waited } => {
                write!(
                    f,
                    "the database {url} did not answer in {} ms; check the URL and the server",
                    waited.as_millis()
                )
            }
            Self::ServerTooOld { version_number } => {
                let version = version_number / 10_000;
                write!(f, "the database server is Postgres {version}; this node needs Postgres 15 or newer")
            }
            Self::Database { operation, source } => {
                write!(f, "the database failed in {operation}: {}", one_line(source))
            }
            Self::MigrationEdited { number, name } => write!(
                f,
                "migration {number} ({name}) was run on this database with another text; restore the file, and put \
                 changes into a new migration"
            ),
            Self::DatabaseNewer { database, binary } => write!(
                f,
                "the database is at migration {database}, this program knows only {binary}; run a newer version of it"
            ),
            Self::DatabaseOlder { database, binary } => write!(
                f,
                "the database is at migration {database}, this program needs {binary}; run `meikan migrate` first"
            ),
            Self::DerivedByNewer { chain_id, database, binary } => write!(
                f,
                "what is stored of chain {chain_id} was derived by a newer version of this program (derivation {database}, \
                 this one knows {binary}), and this one would mix its own with it; run the newer version, or use another \
                 database"
            ),
            Self::OtherGenesis { chain_id, stored, found } => write!(
                f,
                "chain {chain_id} was indexed with genesis block {stored}, the endpoint's is {found}: it is another \
                 chain; check rpc_urls, or use another database"
            ),
            Self::Network { reason }
            | Self::Batch { reason }
            | Self::Corrupt { reason }
            | Self::RawLogs { reason }
            | Self::Unreachable { reason } => f.write_str(reason),
            Self::Rederiving { chain_id } => {
                write!(
                    f,
                    "chain {chain_id} is re-indexed from its raw logs before anything else; whoever follows it does so"
                )
            }
            Self::Fenced { chain_id } => {
                write!(f, "another process took over the writing of chain {chain_id}; this one stands by")
            }
            Self::TipMoved { expected, found } => write!(
                f,
                "the newest block in the database is {}, not {} as planned; plan again from the database",
                block_name(*found),
                block_name(*expected)
            ),
            Self::OtherFinal { finalized, held } => write!(
                f,
                "the chain calls block {} ({}) final, the database holds {held} at that height; compare with the chain",
                finalized.number, finalized.hash
            ),
            Self::BelowFinality { rewind_to, finalized } => write!(
                f,
                "a rewind to block {rewind_to} would undo final blocks; the lowest that can be reached is {finalized}"
            ),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } | Self::Database { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// What to do where no connection can be opened.
fn advice(error: &tokio_postgres::Error) -> &'static str {
    match error.code() {
        Some(state) if state.code().starts_with("28") => "check user and password in the URL",
        Some(state) if *state == SqlState::INVALID_CATALOG_NAME => "create it, or check the URL's path",
        // The driver tells a failed handshake only by its words.
        None if error.to_string().contains("TLS") => {
            "check sslmode and sslrootcert in the URL, and the server's certificate"
        }
        _ => "check the URL and the server",
    }
}

fn block_name(block: Option<BlockRef>) -> String {
    block.map_or_else(|| "none".into(), |block| format!("{} ({})", block.number, block.hash))
}

/// The driver's error and the reasons below it in one line, without the parameters of the statement.
fn one_line(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} (SQLSTATE {})", server.message(), server.code().code());
    }
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(reason) = next {
        text = format!("{text}: {reason}");
        next = reason.source();
    }
    text.replace('\n', " ")
}
