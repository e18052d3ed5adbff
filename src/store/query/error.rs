//! What can go wrong when a question is answered, told apart by who has to do something about it.

/// Why there is no answer.
#[derive(Debug)]
pub enum QueryError {
    /// The question is not one: the sentence names the field or argument and what it takes.
    BadInput(String),
    /// What was asked for by name is not held.
    NotFound(String),
    /// The block asked for is not reached yet.
    NotYetIndexed(String),
    /// The cursor points into a history that is gone.
    CursorExpired(String),
    /// A commit came while the question was answered, so that there is no one state to answer from: ask again.
    Moved,
    /// The question reaches too many rows.
    TooComplex(String),
    /// The database took longer than the request may.
    Timeout,
    /// What is asked for is yet to be derived: the tables are of an older program.
    NotDerived(String),
    /// No connection to the database can be had.
    Unavailable(String),
    /// The database holds what this node never writes.
    Corrupt(String),
    /// A statement failed: a mistake of this crate, or a broken database.
    Database(tokio_postgres::Error),
}

impl std::fmt::Display for QueryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BadInput(reason)
            | Self::NotFound(reason)
            | Self::NotYetIndexed(reason)
            | Self::CursorExpired(reason)
            | Self::TooComplex(reason)
            | Self::NotDerived(reason)
            | Self::Corrupt(reason) => f.write_str(reason),
            Self::Moved => f.write_str("a block came while the query was answered; try again"),
            Self::Timeout => f.write_str("the query took too long; ask for fewer rows or add a filter"),
            Self::Unavailable(reason) => write!(f, "the database cannot be reached ({reason}); try again"),
            Self::Database(error) => write!(f, "a query failed: {error}; see the database's log"),
        }
    }
}

impl std::error::Error for QueryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<tokio_postgres::Error> for QueryError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) if code.code() == "57014" => Self::Timeout,
            // A value that is well formed but beyond what the database can hold or compute with.
            Some(code) if matches!(code.code(), "22003" | "22P02" | "22012") => {
                Self::BadInput("a number is out of range; use one that the field can have".to_owned())
            }
            // The server is shutting down, is starting, or has no connection left.
            Some(code) if code.code().starts_with("57P") || code.code().starts_with("53") => {
                Self::Unavailable("it is busy or restarting".to_owned())
            }
            None if error.is_closed() => Self::Unavailable("the connection was closed".to_owned()),
            _ => Self::Database(error),
        }
    }
}

impl From<deadpool_postgres::PoolError> for QueryError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Timeout(_) => Self::Unavailable("all connections are in use".to_owned()),
            deadpool_postgres::PoolError::Backend(_) => Self::Unavailable("connecting failed".to_owned()),
            _ => Self::Unavailable("the pool is closed".to_owned()),
        }
    }
}

/// The sentence of a wrong value: which field, and what it takes.
pub(super) fn bad_input(name: &str, expected: &str) -> QueryError {
    QueryError::BadInput(format!("`{name}` must be {expected}"))
}
