//! Kept rows: what derives from facts and is kept beside them, because lists are filtered and ordered by it.
//!
//! There is one current row for each key, in which `begin_block` is the block of its last change. What a row was before is
//! kept above finality only, with the block that ended it, so that a rewind restores it without counting anything again;
//! a backfill of final blocks writes no versions but milestones, where a noun has those. A kept row says nothing that the
//! facts do not say at the end of a block, or it could not be counted anew below finality.

mod rows;

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

pub(super) use self::rows::{KeptRows, Past};
use crate::store::error::StoreError;
use crate::store::sql::{Parameter, Sql, signed};

/// A value of a column, or an array of such values.
pub(super) type Cell = Box<dyn ToSql + Sync + Send>;

/// Columns with their types.
pub(super) type Columns = &'static [(&'static str, Type)];

/// A kind of kept row.
pub(super) trait Kept: Clone {
    /// What a row is of, within a network.
    type Key: Ord + Copy;
    /// The current rows.
    const TABLE: &'static str;
    /// What they were, above finality.
    const VERSIONS: &'static str;
    /// The columns of the key.
    const KEY: Columns;
    /// The columns of what is kept.
    const VALUES: Columns;
    /// Columns of the current rows alone, which follow from the others, each with its expression.
    const DERIVED: &'static [(&'static str, Type, &'static str)] = &[];
    /// Whether versions are marked: the table of versions has a column for each of [`Marks`].
    const IS_MARKED: bool = false;

    /// The key's values, in the order of its columns.
    fn key_cells(key: &Self::Key) -> Vec<Cell>;
    /// The values of many keys, an array for each column.
    fn key_arrays(keys: &[Self::Key]) -> Vec<Cell>;
    /// What is kept, in the order of its columns.
    fn cells(&self) -> Vec<Cell>;
    /// What follows from it, in the order of those columns.
    fn derived_cells(_: &Self::Key, _: &Self) -> Vec<Cell> {
        Vec::new()
    }
    /// Reads a current row.
    fn read(row: &Row) -> Result<(Self::Key, Self), StoreError>;
}

/// What a version is marked by.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Marks {
    /// Whether it stays below finality.
    pub(super) is_milestone: bool,
    /// Whether it was the last of its hour.
    pub(super) ends_hour: bool,
}

/// Restores the rows as they were at a block above finality; returns how many changed above it.
pub(super) async fn rewind<T: Kept>(sql: &Sql<'_>, to: u64) -> Result<u64, StoreError> {
    let changed = delete_above::<T>(sql, to).await?;
    let names: Vec<&str> = columns::<T>(&[("begin_block", Type::INT8)]).iter().map(|(name, _)| *name).collect();
    let (derived, expressions): (Vec<&str>, Vec<&str>) =
        T::DERIVED.iter().map(|(name, _, expression)| (*name, *expression)).unzip();
    let restore = format!(
        "INSERT INTO {} (chain_id, {}) SELECT chain_id, {} FROM {} \
         WHERE chain_id = $1 AND begin_block <= $2 AND end_block > $2",
        T::TABLE,
        [&names[..], &derived].concat().join(", "),
        [&names[..], &expressions].concat().join(", "),
        T::VERSIONS
    );
    sql.execute(&restore, &[&signed(to)]).await?;
    forget_versions::<T>(sql, to).await?;
    Ok(changed)
}

/// Deletes the current rows that changed above a block.
pub(super) async fn delete_above<T: Kept>(sql: &Sql<'_>, to: u64) -> Result<u64, StoreError> {
    sql.execute(&format!("DELETE FROM {} WHERE chain_id = $1 AND begin_block > $2", T::TABLE), &[&signed(to)]).await
}

/// Deletes what is kept of rows that ended above a block.
pub(super) async fn forget_versions<T: Kept>(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute(&format!("DELETE FROM {} WHERE chain_id = $1 AND end_block > $2", T::VERSIONS), &[&signed(to)]).await?;
    Ok(())
}

/// Forgets versions that no rewind can need any more.
pub(super) async fn prune<T: Kept>(sql: &Sql<'_>, finalized: u64) -> Result<(), StoreError> {
    let but_milestones = if T::IS_MARKED { " AND NOT is_milestone" } else { "" };
    let delete = format!("DELETE FROM {} WHERE chain_id = $1 AND end_block <= $2{but_milestones}", T::VERSIONS);
    sql.execute(&delete, &[&signed(finalized)]).await?;
    Ok(())
}

fn columns<T: Kept>(span: &[(&'static str, Type)]) -> Vec<(&'static str, Type)> {
    T::KEY.iter().chain(span).chain(T::VALUES).cloned().collect()
}

/// The keys as rows of `key`, from `$2` on.
fn key_list<T: Kept>() -> String {
    let (names, arrays): (Vec<&str>, Vec<String>) = T::KEY
        .iter()
        .enumerate()
        .map(|(place, (name, column_type))| (*name, format!("${}::{}[]", place + 2, column_type.name())))
        .unzip();
    format!("unnest({}) AS key ({})", arrays.join(", "), names.join(", "))
}

fn is_of_key<T: Kept>() -> String {
    let equal: Vec<String> = T::KEY.iter().map(|(name, _)| format!("t.{name} = key.{name}")).collect();
    equal.join(" AND ")
}

fn parameters(cells: &[Cell]) -> Vec<Parameter<'_>> {
    cells.iter().map(|cell| &**cell as Parameter<'_>).collect()
}
