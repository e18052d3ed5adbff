//! Everything that ends the process, with its exit code (0 done, 1 a check found a difference, 2 usage or configuration,
//! 3 database, 4 chain, 130 and 143 on signals).

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;

use crate::audit::AuditError;
use crate::config::ConfigError;
use crate::demo::DemoError;
use crate::embedded::EmbeddedError;
use crate::follow::{FollowError, ReindexError};
use crate::limit::LimitError;
use crate::store::StoreError;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what was asked.
    Done,
    /// A check found a difference; it has been printed.
    Difference,
    /// Interrupted (Ctrl-C).
    Interrupted,
    /// Terminated (SIGTERM).
    Terminated,
}

impl Exit {
    /// The process' exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Difference => 1,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

/// Why a command failed: one sentence that says what to do.
#[derive(Debug)]
pub enum AppError {
    /// Configuration or usage.
    Config(ConfigError),
    /// The address to serve at cannot be had.
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The server ended.
    Serve(io::Error),
    /// The embedded Postgres.
    Embedded(EmbeddedError),
    /// The database.
    Store(StoreError),
    /// The server of shared limits.
    Limit(LimitError),
    /// A network cannot be followed.
    Follow {
        /// Its name.
        network: String,
        /// Why.
        source: Box<FollowError>,
    },
    /// A network cannot be audited.
    Audit {
        /// Its name.
        network: String,
        /// Why.
        source: Box<AuditError>,
    },
    /// What was asked for contradicts the configuration.
    Usage {
        /// Why, and what to do.
        reason: String,
    },
    /// A network cannot be re-indexed.
    Reindex {
        /// Its name.
        network: String,
        /// Why.
        source: Box<ReindexError>,
    },
    /// The demo's own parts.
    Demo(DemoError),
}

impl AppError {
    /// The process' exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::Listen { .. } | Self::Usage { .. } => 2,
            Self::Serve(_) => 1,
            Self::Embedded(_) | Self::Store(_) | Self::Limit(_) => 3,
            Self::Follow { source, .. } => of_follow(source),
            Self::Reindex { source, .. } => match &**source {
                ReindexError::Refused { .. } => 2,
                ReindexError::Busy { .. } | ReindexError::Lost { .. } => 3,
                ReindexError::Unserved { source, .. } => of_follow(source),
                ReindexError::Follow(source) => of_follow(source),
            },
            Self::Audit { source, .. } if matches!(**source, AuditError::Store(_)) => 3,
            Self::Audit { .. } | Self::Demo(_) => 4,
        }
    }
}

fn of_follow(error: &FollowError) -> u8 {
    if matches!(error, FollowError::Store(_)) { 3 } else { 4 }
}

/// The error of a network, which some name themselves.
fn write_follow(f: &mut std::fmt::Formatter<'_>, network: &str, error: &FollowError) -> std::fmt::Result {
    match error {
        FollowError::Chain(error) => error.fmt(f),
        FollowError::Store(error @ StoreError::Network { .. }) => error.fmt(f),
        error => write!(f, "network {network}: {error}"),
    }
}

impl Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Listen { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{address} is in use by another program; choose another address with --listen")
            }
            Self::Listen { address, source } => {
                write!(f, "cannot listen at {address}: {source}; choose another address with --listen")
            }
            Self::Serve(error) => write!(f, "the server ended: {error}; start it again"),
            Self::Embedded(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Limit(error) => error.fmt(f),
            Self::Follow { network, source } => write_follow(f, network, source),
            Self::Usage { reason } => f.write_str(reason),
            Self::Reindex { network, source } => match &**source {
                ReindexError::Follow(error) => write_follow(f, network, error),
                // These name it themselves.
                error @ (ReindexError::Busy { .. } | ReindexError::Lost { .. }) => error.fmt(f),
                error => write!(f, "network {network}: {error}"),
            },
            Self::Audit { network, source } => match &**source {
                AuditError::Chain(error) => error.fmt(f),
                AuditError::Store(error @ StoreError::Network { .. }) => error.fmt(f),
                AuditError::Store(error) => write!(f, "network {network}: {error}"),
            },
            Self::Demo(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AppError {}

impl From<ConfigError> for AppError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<EmbeddedError> for AppError {
    fn from(error: EmbeddedError) -> Self {
        Self::Embedded(error)
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<LimitError> for AppError {
    fn from(error: LimitError) -> Self {
        Self::Limit(error)
    }
}

impl From<DemoError> for AppError {
    fn from(error: DemoError) -> Self {
        Self::Demo(error)
    }
}
