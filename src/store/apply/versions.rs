//! Nouns whose rows are versions, one for each block in which they changed, told apart by a key of one or two columns.
//!
//! What they share is written once: a row's key, its span, the event that began it; how rows are looked up, ended,
//! inserted and taken back. A noun says which columns it has besides, and how they are read and written.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::B256;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::timeline::{Place, Timeline};
use crate::store::error::StoreError;
use crate::store::sql::{self, Parameter, Sql, index, signed};

/// A value of a column, or an array of them.
pub(super) type Cell = Box<dyn ToSql + Sync + Send>;

/// Puts a value into a cell.
pub(super) fn cell(value: impl ToSql + Sync + Send + 'static) -> Cell {
    Box::new(value)
}

/// What tells the rows of a noun apart.
pub(super) trait Key: Ord + Copy {
    /// Reads it out of the columns of these names.
    fn read(row: &Row, columns: &[(&str, Type)]) -> Result<Self, StoreError>;

    /// Its columns' values.
    fn cells(&self) -> Vec<Cell>;

    /// The values of many keys: an array for each column.
    fn arrays(keys: &[Self]) -> Vec<Cell>;
}

/// A noun whose rows are versions.
pub(super) trait Versioned {
    /// What tells its rows apart.
    type Key: Key;

    /// Its table.
    const TABLE: &'static str;

    /// The key's columns, in the order of the primary key.
    const KEY: &'static [(&'static str, Type)];

    /// Its columns besides the key, the span and the event that began the row.
    const COLUMNS: &'static [(&'static str, Type)];

    /// Reads those columns.
    fn read(row: &Row) -> Result<Self, StoreError>
    where
        Self: Sized;

    /// Those columns' values.
    fn cells(&self) -> Vec<Cell>;
}

/// The versions of a noun that a batch reads or begins.
pub(super) struct Versions<T: Versioned> {
    timelines: BTreeMap<T::Key, Timeline<(Place, T)>>,
}

impl<T: Versioned> Default for Versions<T> {
    fn default() -> Self {
        Self { timelines: BTreeMap::new() }
    }
}

/// Columns of every such row, behind its key.
const SPAN: [(&str, Type); 5] = [
    ("begin_block", Type::INT8),
    ("end_block", Type::INT8),
    ("log_index", Type::INT4),
    ("transaction_hash", Type::BYTEA),
    ("updated_at", Type::INT8),
];

impl<T: Versioned> Versions<T> {
    /// The rows of these keys that hold.
    pub(super) async fn load(sql: &Sql<'_>, keys: &BTreeSet<T::Key>) -> Result<Self, StoreError> {
        let mut versions = Self::default();
        versions.load_more(sql, keys).await?;
        Ok(versions)
    }

    /// The rows of further keys that hold.
    pub(super) async fn load_more(&mut self, sql: &Sql<'_>, keys: &BTreeSet<T::Key>) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        let keys: Vec<T::Key> = keys.iter().copied().collect();
        let arrays = T::Key::arrays(&keys);
        let select = format!(
            "SELECT v.* FROM {} CROSS JOIN LATERAL (SELECT * FROM {} v WHERE v.chain_id = $1 AND {} \
             AND v.end_block IS NULL OFFSET 0) v",
            unnest::<T>(None),
            T::TABLE,
            is_key::<T>(),
        );
        let rows = sql.query(&select, &borrowed(&arrays)).await?;
        self.take(&rows)
    }

    /// Takes in rows that hold, read by another condition than their key.
    pub(super) fn take(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        for row in rows {
            let place = Place {
                block: sql::number(row, "begin_block")?,
                log_index: sql::unsigned_index(sql::column(row, "log_index")?)?,
                time: sql::number(row, "updated_at")?,
                transaction: sql::hash(row, "transaction_hash")?,
            };
            let stored = Timeline::stored(place.block, (place, T::read(row)?));
            self.timelines.entry(T::Key::read(row, T::KEY)?).or_insert(stored);
        }
        Ok(())
    }

    /// What holds of a key now, and the event that made it so.
    pub(super) fn now(&self, key: &T::Key) -> Option<&(Place, T)> {
        self.timelines.get(key)?.current()
    }

    /// What holds now of the keys between two, both included.
    pub(super) fn between(&self, low: T::Key, high: T::Key) -> impl Iterator<Item = (&T::Key, &(Place, T))> {
        self.timelines.range(low..=high).filter_map(|(key, timeline)| Some((key, timeline.current()?)))
    }

    /// All that holds now.
    pub(super) fn all(&self) -> impl Iterator<Item = (&T::Key, &(Place, T))> {
        self.timelines.iter().filter_map(|(key, timeline)| Some((key, timeline.current()?)))
    }

    /// Begins a version and ends the one that held.
    pub(super) fn set(&mut self, place: &Place, key: T::Key, row: T) {
        self.timelines.entry(key).or_default().set(place.block, (*place, row));
    }

    /// Ends the rows that the batch ended, and inserts those that it began.
    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        let ended: (Vec<T::Key>, Vec<i64>) =
            self.timelines.iter().filter_map(|(key, timeline)| Some((*key, signed(timeline.ended()?.1)))).unzip();
        if !ended.0.is_empty() {
            let mut arrays = T::Key::arrays(&ended.0);
            arrays.push(cell(ended.1));
            let update = format!(
                "UPDATE {} v SET end_block = key.end_block FROM {} WHERE v.chain_id = $1 AND {} AND v.end_block IS NULL",
                T::TABLE,
                unnest::<T>(Some("end_block")),
                is_key::<T>(),
            );
            sql.execute(&update, &borrowed(&arrays)).await?;
        }
        self.insert(sql).await
    }

    async fn insert(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.timelines.values().all(|timeline| timeline.versions().is_empty()) {
            return Ok(0);
        }
        let columns: Vec<(&str, Type)> = [T::KEY, &SPAN, T::COLUMNS].concat();
        let mut insert = sql.insert(T::TABLE, &columns).await?;
        for (key, timeline) in &self.timelines {
            for version in timeline.versions() {
                let (place, row) = &version.row;
                let mut cells = key.cells();
                cells.push(cell(signed(version.begin)));
                cells.push(cell(version.end.map(signed)));
                cells.push(cell(index(place.log_index)));
                cells.push(cell(place.transaction.to_vec()));
                cells.push(cell(signed(place.time)));
                cells.extend(row.cells());
                insert.row(&borrowed(&cells)).await?;
            }
        }
        insert.finish().await
    }
}

/// The id of a wallet's agent, or of an intent.
impl Key for B256 {
    fn read(row: &Row, columns: &[(&str, Type)]) -> Result<Self, StoreError> {
        sql::hash(row, columns[0].0)
    }

    fn cells(&self) -> Vec<Cell> {
        vec![cell(self.to_vec())]
    }

    fn arrays(keys: &[Self]) -> Vec<Cell> {
        vec![cell(keys.iter().map(|key| key.to_vec()).collect::<Vec<_>>())]
    }
}

/// Undoes what happened above a block.
pub(super) async fn rewind<T: Versioned>(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    let table = T::TABLE;
    for statement in [
        format!("DELETE FROM {table} WHERE chain_id = $1 AND begin_block > $2"),
        format!("UPDATE {table} SET end_block = NULL WHERE chain_id = $1 AND end_block > $2"),
    ] {
        sql.execute(&statement, &[&signed(to)]).await?;
    }
    Ok(())
}

fn borrowed(cells: &[Cell]) -> Vec<Parameter<'_>> {
    cells.iter().map(|cell| -> Parameter<'_> { &**cell }).collect()
}

/// The keys as rows of `key`, their arrays being the parameters from `$2` on, with a BIGINT behind them where one is named.
fn unnest<T: Versioned>(with: Option<&'static str>) -> String {
    let columns: Vec<(&str, Type)> = T::KEY.iter().cloned().chain(with.map(|name| (name, Type::INT8))).collect();
    let arrays: Vec<String> =
        columns.iter().zip(2..).map(|((_, ty), number)| format!("${number}::{}[]", ty.name())).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    format!("unnest({}) AS key ({})", arrays.join(", "), names.join(", "))
}

/// The condition that a row is of a key.
fn is_key<T: Versioned>() -> String {
    let pairs: Vec<String> = T::KEY.iter().map(|(name, _)| format!("v.{name} = key.{name}")).collect();
    pairs.join(" AND ")
}
