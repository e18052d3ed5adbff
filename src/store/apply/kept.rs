//! Kept rows: what derives from facts and is kept beside them, because lists are filtered and ordered by it.
//!
//! There is one current row for each key, in which `begin_block` is the block of its last change. What a row was before is
//! kept above finality only, with the block that ended it, so that a rewind restores it without counting anything again;
//! a backfill of final blocks writes no versions but milestones, where a noun has those. A kept row says nothing that the facts do not say at the end of a block,
//! or it could not be counted anew below finality.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::timeline::Timeline;
use crate::store::error::StoreError;
use crate::store::sql::{self, Parameter, Sql, signed, together};

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
#[derive(Default)]
pub(super) struct Marks {
    /// Whether it stays below finality.
    pub(super) is_milestone: bool,
    /// Whether it was the last of its hour.
    pub(super) ends_hour: bool,
}

/// The marks of a row, once the other one followed it.
pub(super) type Marking<'a, T> = &'a (dyn Fn(&T, &T) -> Marks + Sync);

/// What a row was, from block to block.
pub(super) struct Past<'a, T: Kept> {
    pub(super) key: &'a T::Key,
    pub(super) begin: u64,
    /// The block that it held no longer in.
    pub(super) end: u64,
    pub(super) kept: &'a T,
    /// What followed it.
    next: &'a T,
}

/// The kept rows that a batch changes.
pub(super) struct KeptRows<T: Kept> {
    timelines: BTreeMap<T::Key, Timeline<T>>,
}

impl<T: Kept> Default for KeptRows<T> {
    fn default() -> Self {
        Self { timelines: BTreeMap::new() }
    }
}

impl<T: Kept> KeptRows<T> {
    /// Takes the rows of keys out of the table; whoever takes them writes them all again.
    pub(super) async fn take(sql: &Sql<'_>, keys: &BTreeSet<T::Key>) -> Result<Self, StoreError> {
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let keys: Vec<T::Key> = keys.iter().copied().collect();
        // Nearly every row that a batch looks at changes, and moves an indexed column: to delete and insert it costs what
        // updating it does, and it is found once.
        let take = format!(
            "DELETE FROM {} t USING {} WHERE t.chain_id = $1 AND {} RETURNING t.*",
            T::TABLE,
            key_list::<T>(),
            is_of_key::<T>()
        );
        let arrays = T::key_arrays(&keys);
        let rows = sql.query(&take, &parameters(&arrays)).await?;
        let timelines = rows.iter().map(|row| {
            let (key, kept) = T::read(row)?;
            Ok((key, Timeline::stored(sql::number(row, "begin_block")?, kept)))
        });
        Ok(Self { timelines: timelines.collect::<Result<_, StoreError>>()? })
    }

    /// What holds of a key now.
    pub(super) fn current(&self, key: &T::Key) -> Option<&T> {
        self.timelines.get(key)?.current()
    }

    /// Whether the row of a key began in this batch.
    pub(super) fn began(&self, key: &T::Key) -> bool {
        self.timelines.get(key).is_some_and(|timeline| !timeline.is_stored() && timeline.current().is_some())
    }

    /// Changes what holds of a key from a block on; a key of which nothing is known begins with `first`.
    pub(super) fn change(&mut self, key: T::Key, block: u64, first: impl FnOnce() -> T, change: impl FnOnce(&mut T)) {
        change(self.timelines.entry(key).or_default().in_block(block, first));
    }

    /// Writes the current rows, and what they were where that ended above finality; returns how many rows there are more.
    pub(super) async fn write(&self, sql: &Sql<'_>, finalized: Option<u64>) -> Result<u64, StoreError> {
        self.write_marked(sql, finalized, &|_, _| Marks::default()).await
    }

    /// As [`KeptRows::write`], with marks; milestones stay below finality too.
    pub(super) async fn write_marked(
        &self,
        sql: &Sql<'_>,
        finalized: Option<u64>,
        marking: Marking<'_, T>,
    ) -> Result<u64, StoreError> {
        let taken = self.timelines.values().filter(|timeline| timeline.is_stored()).count();
        let (written, versions) = together!(sql, self.insert(sql), self.insert_versions(sql, finalized, marking))?;
        Ok(written.saturating_sub(taken as u64) + versions)
    }

    /// Writes what holds now, of keys that the batch left as they were too.
    async fn insert(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        let current: Vec<_> =
            self.timelines.iter().filter_map(|(key, timeline)| Some((key, timeline.current_since()?))).collect();
        if current.is_empty() {
            return Ok(0);
        }
        let mut names = columns::<T>(&[("begin_block", Type::INT8)]);
        names.extend(T::DERIVED.iter().map(|(name, column_type, _)| (*name, column_type.clone())));
        let mut insert = sql.insert(T::TABLE, &names).await?;
        for (key, (begin, kept)) in current {
            let mut cells = T::key_cells(key);
            cells.push(Box::new(signed(begin)));
            cells.extend(kept.cells());
            cells.extend(T::derived_cells(key, kept));
            insert.row(&parameters(&cells)).await?;
        }
        insert.finish().await
    }

    /// What rows were, where the batch ended that.
    pub(super) fn past(&self) -> impl Iterator<Item = Past<'_, T>> {
        self.timelines.iter().flat_map(|(key, timeline)| {
            let stored = timeline.ended().map(|((begin, kept), end)| (*begin, end, kept));
            let ended =
                timeline.versions().iter().filter_map(|version| Some((version.begin, version.end?, &version.row)));
            // Each was followed by the next version of the batch.
            let began = timeline.versions().iter().skip(usize::from(stored.is_none()));
            let past = stored.into_iter().chain(ended).zip(began);
            past.map(move |((begin, end, kept), next)| Past { key, begin, end, kept, next: &next.row })
        })
    }

    async fn insert_versions(
        &self,
        sql: &Sql<'_>,
        finalized: Option<u64>,
        marking: Marking<'_, T>,
    ) -> Result<u64, StoreError> {
        let past = self.past().map(|past| (marking(past.kept, past.next), past));
        let past: Vec<_> = past
            .filter(|(marks, past)| marks.is_milestone || finalized.is_none_or(|finalized| past.end > finalized))
            .collect();
        if past.is_empty() {
            return Ok(0);
        }
        let spans = [("begin_block", Type::INT8), ("end_block", Type::INT8)];
        let mut names = columns::<T>(&spans);
        if T::IS_MARKED {
            names.extend([("is_milestone", Type::BOOL), ("ends_hour", Type::BOOL)]);
        }
        let mut insert = sql.insert(T::VERSIONS, &names).await?;
        for (marks, Past { key, begin, end, kept, .. }) in past {
            let mut cells = T::key_cells(key);
            cells.extend([signed(begin), signed(end)].map(|block| Box::new(block) as Cell));
            cells.extend(kept.cells());
            if T::IS_MARKED {
                cells.extend([marks.is_milestone, marks.ends_hour].map(|mark| Box::new(mark) as Cell));
            }
            insert.row(&parameters(&cells)).await?;
        }
        insert.finish().await
    }
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
