//! Kept rows while a batch is folded: what they are, and what of what they were is to be written.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;

use super::{Cell, Kept, Marks, columns, is_of_key, key_list, parameters};
use crate::store::error::StoreError;
use crate::store::sql::{self, Sql, signed, together};

/// Marks what a row was, once what followed it is complete.
pub(in crate::store::apply) type Marking<'a, T> = &'a (dyn Fn(&Past<'_, T>) -> Marks + Sync);

/// What a row was, from block to block.
pub(in crate::store::apply) struct Past<'a, T: Kept> {
    pub(in crate::store::apply) key: &'a T::Key,
    pub(in crate::store::apply) begin: u64,
    /// The block that it held no longer in.
    pub(in crate::store::apply) end: u64,
    pub(in crate::store::apply) kept: &'a T,
    /// What followed it, as of the end of its block.
    pub(in crate::store::apply) next: &'a T,
}

/// A row while a batch is folded.
struct Latest<T> {
    is_stored: bool,
    /// What ended when the newest began. What becomes of it is decided once its follower is complete.
    before: Option<(u64, T)>,
    /// The block that the newest began in.
    begin: u64,
    newest: T,
}

impl<T: Kept> Latest<T> {
    fn past<'a>(&'a self, key: &'a T::Key) -> Option<Past<'a, T>> {
        let (begin, kept) = self.before.as_ref()?;
        Some(Past { key, begin: *begin, end: self.begin, kept, next: &self.newest })
    }
}

/// What a row was, which is to be written.
struct Ended<T: Kept> {
    key: T::Key,
    begin: u64,
    end: u64,
    kept: T,
    marks: Marks,
}

/// The kept rows that a batch changes. Of what they were it holds no more than is to be written: much-changed rows of final
/// blocks are many, and large.
pub(in crate::store::apply) struct KeptRows<T: Kept> {
    /// Blocks up to this one are final: of what ended in them milestones are written alone.
    finalized: Option<u64>,
    rows: BTreeMap<T::Key, Latest<T>>,
    ended: Vec<Ended<T>>,
}

impl<T: Kept> KeptRows<T> {
    /// None, in front of blocks of which those up to one are final.
    pub(in crate::store::apply) fn none(finalized: Option<u64>) -> Self {
        Self { finalized, rows: BTreeMap::new(), ended: Vec::new() }
    }

    /// Takes the rows of keys out of the table; whoever takes them writes them all again.
    pub(in crate::store::apply) async fn take(
        sql: &Sql<'_>,
        keys: &BTreeSet<T::Key>,
        finalized: Option<u64>,
    ) -> Result<Self, StoreError> {
        let mut taken = Self::none(finalized);
        if keys.is_empty() {
            return Ok(taken);
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
        for row in &sql.query(&take, &parameters(&arrays)).await? {
            let (key, newest) = T::read(row)?;
            let begin = sql::number(row, "begin_block")?;
            taken.rows.insert(key, Latest { is_stored: true, before: None, begin, newest });
        }
        Ok(taken)
    }

    /// Whether there is a row of a key now.
    pub(in crate::store::apply) fn has(&self, key: &T::Key) -> bool {
        self.rows.contains_key(key)
    }

    /// Whether the row of a key began in this batch.
    pub(in crate::store::apply) fn began(&self, key: &T::Key) -> bool {
        self.rows.get(key).is_some_and(|row| !row.is_stored)
    }

    /// Changes what holds of a key from a block on, which is not below one that changed it before; a key of which nothing is
    /// known begins with `first`. `mark` marks what ended with the change before, of which it is known now what followed.
    pub(in crate::store::apply) fn change(
        &mut self,
        key: T::Key,
        block: u64,
        first: impl FnOnce() -> T,
        change: impl FnOnce(&mut T),
        mark: impl FnOnce(&Past<'_, T>) -> Marks,
    ) {
        let row = match self.rows.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(Latest { is_stored: false, before: None, begin: block, newest: first() })
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        if row.begin != block {
            let decided = row.past(&key).map(|past| (mark(&past), past.end));
            let ended = row.before.replace((row.begin, row.newest.clone()));
            row.begin = block;
            if let Some(((marks, end), (begin, kept))) = decided.zip(ended)
                && is_written(&marks, end, self.finalized)
            {
                self.ended.push(Ended { key, begin, end, kept, marks });
            }
        }
        change(&mut row.newest);
    }

    /// What rows were before the newest, where that began in the batch.
    pub(in crate::store::apply) fn past(&self) -> impl Iterator<Item = Past<'_, T>> {
        self.rows.iter().filter_map(|(key, row)| row.past(key))
    }

    /// Writes the current rows, and what they were where that ended above finality or is a milestone; returns how many rows
    /// there are more.
    pub(in crate::store::apply) async fn write(
        &self,
        sql: &Sql<'_>,
        marking: Marking<'_, T>,
    ) -> Result<u64, StoreError> {
        let taken = self.rows.values().filter(|row| row.is_stored).count();
        let (written, versions) = together!(sql, self.insert(sql), self.insert_versions(sql, marking))?;
        Ok(written.saturating_sub(taken as u64) + versions)
    }

    /// Writes what holds now, of keys that the batch left as they were too.
    async fn insert(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.rows.is_empty() {
            return Ok(0);
        }
        let mut names = columns::<T>(&[("begin_block", Type::INT8)]);
        names.extend(T::DERIVED.iter().map(|(name, column_type, _)| (*name, column_type.clone())));
        let mut insert = sql.insert(T::TABLE, &names).await?;
        for (key, row) in &self.rows {
            let mut cells = T::key_cells(key);
            cells.push(Box::new(signed(row.begin)));
            cells.extend(row.newest.cells());
            cells.extend(T::derived_cells(key, &row.newest));
            insert.row(&parameters(&cells)).await?;
        }
        insert.finish().await
    }

    async fn insert_versions(&self, sql: &Sql<'_>, marking: Marking<'_, T>) -> Result<u64, StoreError> {
        let decided = self.ended.iter().map(|Ended { key, begin, end, kept, marks }| (key, *begin, *end, kept, *marks));
        let past = self.past().map(|past| (past.key, past.begin, past.end, past.kept, marking(&past)));
        let mut ended: Vec<_> =
            decided.chain(past.filter(|(_, _, end, _, marks)| is_written(marks, *end, self.finalized))).collect();
        if ended.is_empty() {
            return Ok(0);
        }
        // What is of one key stands side by side.
        ended.sort_by_key(|(key, begin, ..)| (*key, *begin));
        let spans = [("begin_block", Type::INT8), ("end_block", Type::INT8)];
        let mut names = columns::<T>(&spans);
        if T::IS_MARKED {
            names.extend([("is_milestone", Type::BOOL), ("ends_hour", Type::BOOL)]);
        }
        let mut insert = sql.insert(T::VERSIONS, &names).await?;
        for (key, begin, end, kept, marks) in ended {
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

/// Whether what ended in a block is written.
fn is_written(marks: &Marks, end: u64, finalized: Option<u64>) -> bool {
    marks.is_milestone || finalized.is_none_or(|finalized| end > finalized)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio_postgres::Row;

    use super::super::{Cell, Columns, Kept, Marks};
    use super::{KeptRows, Latest, Past};
    use crate::store::error::StoreError;

    impl Kept for char {
        type Key = u8;
        const TABLE: &'static str = "";
        const VERSIONS: &'static str = "";
        const KEY: Columns = &[];
        const VALUES: Columns = &[];

        fn key_cells(_: &u8) -> Vec<Cell> {
            Vec::new()
        }

        fn key_arrays(_: &[u8]) -> Vec<Cell> {
            Vec::new()
        }

        fn cells(&self) -> Vec<Cell> {
            Vec::new()
        }

        fn read(_: &Row) -> Result<(u8, Self), StoreError> {
            unreachable!("nothing is read")
        }
    }

    /// Upper case stays, and is the last of its kind where another letter follows.
    fn mark(past: &Past<'_, char>) -> Marks {
        Marks { is_milestone: past.kept.is_uppercase(), ends_hour: !past.kept.eq_ignore_ascii_case(past.next) }
    }

    /// The blocks that a letter began and ended in.
    type Span = (u64, u64, char);

    /// Changes row 1 in blocks to letters; returns what is decided to be written, and what row 1 was before it is what it is.
    fn folded(mut rows: KeptRows<char>, changes: &[(u64, char)]) -> (Vec<(u64, u64, char, bool)>, Span) {
        for (block, letter) in changes {
            rows.change(1, *block, || ' ', |row| *row = *letter, mark);
        }
        let ended = rows.ended.iter().map(|ended| (ended.begin, ended.end, ended.kept, ended.marks.ends_hour));
        let past = rows.past().next().expect("it was something before");
        (ended.collect(), (past.begin, past.end, *past.kept))
    }

    fn stored(finalized: u64) -> KeptRows<char> {
        let row = Latest { is_stored: true, before: None, begin: 1, newest: 'S' };
        KeptRows { rows: BTreeMap::from([(1, row)]), ..KeptRows::none(Some(finalized)) }
    }

    #[test]
    fn what_was_is_marked_by_what_followed_as_of_the_end_of_its_block() {
        // Within a block it is many things.
        let changes = [(5, 'S'), (5, 'x'), (6, 'A'), (7, 'a'), (8, 'B'), (9, 'c')];
        let (ended, past) = folded(stored(9), &changes);
        assert_eq!(ended, [(1, 5, 'S', true), (6, 7, 'A', false)]);
        assert_eq!(past, (8, 9, 'B'));
    }

    #[test]
    fn all_is_kept_that_ended_above_finality() {
        let changes = [(5, 'a'), (6, 'b'), (7, 'c'), (8, 'd')];
        assert_eq!(folded(KeptRows::none(Some(6)), &changes), (vec![(6, 7, 'b', true)], (7, 8, 'c')));
        assert_eq!(folded(KeptRows::none(None), &changes), (vec![(5, 6, 'a', true), (6, 7, 'b', true)], (7, 8, 'c')));
    }

    #[test]
    fn a_row_begins_in_the_batch_unless_it_is_stored() {
        let mut rows = stored(9);
        rows.change(1, 5, || ' ', |_| {}, mark);
        rows.change(2, 5, || 'a', |_| {}, mark);
        assert_eq!(
            [1, 2, 3].map(|key| (rows.has(&key), rows.began(&key))),
            [(true, false), (true, true), (false, false)]
        );
        assert_eq!(rows.rows[&2].newest, 'a');
    }
}
