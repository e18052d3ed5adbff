//! What is wrong with a configuration.

use std::path::PathBuf;

/// What is wrong with the configuration, each in one sentence that says what to do.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that holds a secret cannot be read.
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    Parse {
        /// The file.
        path: PathBuf,
        /// Line and reason, in one line.
        reason: String,
    },
    /// The keys contradict each other or the world.
    Invalid(String),
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(f, "cannot read the configuration {}: {source}; name a file with --config", path.display())
            }
            Self::Secret { path, source } => {
                write!(f, "cannot read the secret in {}: {source}; check the file's name and rights", path.display())
            }
            Self::Parse { path, reason } => write!(f, "the configuration {} is not valid: {reason}", path.display()),
            Self::Invalid(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A contradiction.
pub(super) fn invalid(reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid(reason.into())
}
