//! One transaction of the writer: statements by name, inserts, and the plain types of the tables.
//!
//! It counts its statements, because an apply must take the same number of them whatever the number of its rows. In a step
//! of few rows, those that do not build on each other are sent together ([`together`]): the server answers one after the
//! other, but nobody waits in between. A COPY is of a step of many rows, where it is alone, because the driver takes the two
//! answers to one that is refused for those of two requests.

use std::sync::atomic::{AtomicU32, Ordering};

use alloy::primitives::{Address, B256};
use deadpool_postgres::Transaction;
use futures_util::future::{BoxFuture, join_all};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Row, Statement};

use super::error::StoreError;
use super::insert::Insert;
use crate::event::Text;
use crate::id::ChainId;

/// A parameter of a statement.
pub(super) type Parameter<'a> = &'a (dyn ToSql + Sync);

/// How many keys a step looks up, and how many rows it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// As many as a block at the head has: what costs time is to wait for answers.
    Few,
    /// As many as there may be.
    Many,
}

/// A transaction on one network's data. Its network is `$1` in every statement.
pub(super) struct Sql<'a> {
    transaction: Transaction<'a>,
    /// What the transaction is for: in errors and metrics.
    operation: &'static str,
    /// The network.
    pub(super) chain_id: ChainId,
    chain: i64,
    pub(super) amount: Amount,
    statements: AtomicU32,
}

impl<'a> Sql<'a> {
    pub(super) fn new(transaction: Transaction<'a>, operation: &'static str, chain_id: ChainId) -> Self {
        Self {
            transaction,
            operation,
            chain_id,
            chain: signed(chain_id),
            amount: Amount::Many,
            statements: AtomicU32::new(0),
        }
    }

    /// The same, for a step of that size.
    pub(super) fn of(self, amount: Amount) -> Self {
        Self { amount, ..self }
    }

    /// Statements so far.
    pub(super) fn statements(&self) -> u32 {
        self.statements.load(Ordering::Relaxed)
    }

    fn failed(&self) -> impl FnOnce(tokio_postgres::Error) -> StoreError + use<> {
        self.statements.fetch_add(1, Ordering::Relaxed);
        self.wrong()
    }

    /// An error that is no statement's own.
    pub(super) fn wrong(&self) -> impl FnOnce(tokio_postgres::Error) -> StoreError + use<> {
        StoreError::database(self.operation)
    }

    /// Prepares a statement, in which the network is written out: a plan that is kept would else lock the tables of all
    /// networks, and wait for an index that one of them is given.
    async fn prepare(&self, statement: &str) -> Result<Statement, StoreError> {
        let text = with_network(statement, self.chain);
        self.transaction.prepare_typed_cached(&text, &[Type::INT8]).await.map_err(self.wrong())
    }

    /// Values behind that of the network.
    pub(super) fn with_chain<'p>(&'p self, values: &[Parameter<'p>]) -> Vec<Parameter<'p>> {
        let chain: Parameter<'p> = &self.chain;
        std::iter::once(chain).chain(values.iter().copied()).collect()
    }

    /// Runs a statement; `$1` is the network, the parameters begin at `$2`. Returns the number of rows it touched.
    pub(super) async fn execute(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<u64, StoreError> {
        let prepared = self.prepare(statement).await?;
        self.transaction.execute(&prepared, &self.with_chain(parameters)).await.map_err(self.failed())
    }

    /// The transaction itself, for statements that are run outside of a writer's steps, too.
    pub(super) fn transaction(&self) -> &Transaction<'a> {
        &self.transaction
    }

    /// Runs a query; parameters as in [`Sql::execute`].
    pub(super) async fn query(&self, statement: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, StoreError> {
        let prepared = self.prepare(statement).await?;
        self.transaction.query(&prepared, &self.with_chain(parameters)).await.map_err(self.failed())
    }

    /// Begins to insert rows; the first column is `chain_id` and is filled in.
    pub(super) async fn insert(&self, table: &str, columns: &[(&str, Type)]) -> Result<Insert<'_, 'a>, StoreError> {
        if self.amount == Amount::Few {
            return Ok(Insert::arrays(self, table, columns));
        }
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let types: Vec<Type> =
            std::iter::once(Type::INT8).chain(columns.iter().map(|(_, column_type)| column_type.clone())).collect();
        let statement = format!("COPY {table} (chain_id, {}) FROM STDIN BINARY", names.join(", "));
        let prepared = self.transaction.prepare_cached(&statement).await.map_err(self.wrong())?;
        let sink = self.transaction.copy_in(&prepared).await.map_err(self.failed())?;
        Ok(Insert::copy(self, BinaryCopyInWriter::new(sink, &types)))
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let wrong = self.wrong();
        self.transaction.commit().await.map_err(wrong)
    }
}

/// Waits for several futures whose statements do not build on each other. In a step of few rows they are sent together, and
/// it fails with the error that is the cause of all others. In one of many they follow each other in their order: the server
/// is busy anyway, and what is computed beside it begins as early as possible.
macro_rules! together {
    ($sql:expr, $($future:expr),+ $(,)?) => {
        $crate::store::sql::together!(@ $sql, [] $($future,)+)
    };
    // Each future is given a name, which is that of its result then.
    (@ $sql:expr, [$(($name:ident $named:expr))*] $next:expr, $($rest:expr,)*) => {
        $crate::store::sql::together!(@ $sql, [$(($name $named))* (each $next)] $($rest,)*)
    };
    (@ $sql:expr, [$(($name:ident $future:expr))*]) => {{
        use $crate::store::{error::StoreError, sql::Amount};
        let ($($name,)*) = ($($future,)*);
        match $sql.amount {
            Amount::Many => async { Ok::<_, StoreError>(($($name.await?,)*)) }.await,
            Amount::Few => match ::tokio::join!($($name),*) {
                ($(Ok($name),)*) => Ok(($($name,)*)),
                ($($name,)*) => Err(StoreError::cause([$($name.err(),)*].into_iter().flatten())),
            },
        }
    }};
}
pub(super) use together;

/// The sum of what several futures tell, which are waited for as by [`together`].
pub(super) async fn sum<const N: usize>(
    sql: &Sql<'_>,
    futures: [BoxFuture<'_, Result<u64, StoreError>>; N],
) -> Result<u64, StoreError> {
    let mut sum = 0;
    if sql.amount == Amount::Many {
        for future in futures {
            sum += future.await?;
        }
        return Ok(sum);
    }
    let mut failed = Vec::new();
    for ended in join_all(futures).await {
        match ended {
            Ok(told) => sum += told,
            Err(error) => failed.push(error),
        }
    }
    if failed.is_empty() { Ok(sum) } else { Err(StoreError::cause(failed)) }
}

/// A statement with its `$1` written out.
fn with_network(statement: &str, chain: i64) -> String {
    let mut parts = statement.split("$1");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // `$10` is another parameter.
        let is_longer = part.starts_with(|next: char| next.is_ascii_digit());
        text.push_str(&if is_longer { "$1".to_owned() } else { format!("{chain}::bigint") });
        text.push_str(part);
    }
    text
}

/// A height, time or id as BIGINT. What comes from outside is checked where it enters (`Batch::check`).
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).expect("heights, times and ids were checked to be below 2^63")
}

/// A log's index as INTEGER; checked like [`signed`].
pub(super) fn index(value: u32) -> i32 {
    i32::try_from(value).expect("log indexes were checked to be below 2^31")
}

/// A BIGINT that is never negative.
pub(super) fn unsigned(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| corrupt("a height, a time or a count is negative"))
}

/// An INTEGER that is never negative.
pub(super) fn unsigned_index(value: i32) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| corrupt("a log index is negative"))
}

/// The database holds what this node never writes.
pub(super) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt { reason: format!("the database is damaged: {what}; restore it from a backup") }
}

/// A column of a row; a type that does not fit is a damaged or foreign schema.
pub(super) fn column<'r, T: FromSql<'r>>(row: &'r Row, name: &str) -> Result<T, StoreError> {
    row.try_get(name).map_err(StoreError::database("read a row"))
}

/// A height or a time.
pub(super) fn number(row: &Row, name: &str) -> Result<u64, StoreError> {
    unsigned(column(row, name)?)
}

/// A height or a time, where there is one.
pub(super) fn optional_number(row: &Row, name: &str) -> Result<Option<u64>, StoreError> {
    column::<Option<i64>>(row, name)?.map(unsigned).transpose()
}

/// A hash.
pub(super) fn hash(row: &Row, name: &str) -> Result<B256, StoreError> {
    B256::try_from(column::<&[u8]>(row, name)?).map_err(|_| corrupt("a hash is not of 32 bytes"))
}

/// An address.
pub(super) fn address(row: &Row, name: &str) -> Result<Address, StoreError> {
    Address::try_from(column::<&[u8]>(row, name)?).map_err(|_| corrupt("an address is not of 20 bytes"))
}

/// An address, where there is one.
pub(super) fn optional_address(row: &Row, name: &str) -> Result<Option<Address>, StoreError> {
    let bytes = column::<Option<&[u8]>>(row, name)?;
    bytes.map(|bytes| Address::try_from(bytes).map_err(|_| corrupt("an address is not of 20 bytes"))).transpose()
}

/// A string of the chain out of its readable column and the column of its bytes.
pub(super) fn text(row: &Row, name: &str, raw_name: &str) -> Result<Text, StoreError> {
    Ok(match column::<Option<Vec<u8>>>(row, raw_name)? {
        Some(bytes) => Text::from(bytes),
        None => Text::from(column::<&str>(row, name)?),
    })
}

#[cfg(test)]
mod tests {
    use super::with_network;

    #[test]
    fn the_network_is_written_out_and_no_other_parameter() {
        let text = "UPDATE t SET a = $10, b = $2 WHERE chain_id = $1 AND c = $11 AND f($1)";
        let expected = "UPDATE t SET a = $10, b = $2 WHERE chain_id = 167000::bigint AND c = $11 AND f(167000::bigint)";
        assert_eq!(with_network(text, 167_000), expected);
    }
}
