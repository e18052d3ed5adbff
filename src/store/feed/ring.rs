//! The newest changes of one network, as the log of changes has them, up to a number that is kept.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio_postgres::Row;

use crate::store::apply::ChangeOp;
use crate::store::query::QueryError;

/// Most changes of a network that are held in memory; older ones are read from the table. One takes some 200 bytes.
pub(in crate::store) const RING_CHANGES: usize = 65_536;

/// A row of `change`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Change {
    pub(in crate::store) seq: i64,
    pub(in crate::store) op: ChangeOp,
    /// The number of what it is about, which a newer writer may know alone.
    pub(in crate::store) entity: i16,
    pub(in crate::store) key: String,
    pub(in crate::store) block: i64,
    pub(in crate::store) hash: Vec<u8>,
}

impl Change {
    /// Its columns, in the order in which [`Change::read`] takes them.
    pub(in crate::store) const COLUMNS: &str = "seq, op, entity, key, block_number, block_hash";

    /// Reads a row whose columns begin at `offset`.
    ///
    /// # Errors
    /// [`QueryError::Corrupt`] for an `op` that no writer writes.
    pub(in crate::store) fn read(row: &Row, offset: usize) -> Result<Self, QueryError> {
        let code: i16 = row.try_get(offset + 1)?;
        let op = ChangeOp::of_code(code);
        Ok(Self {
            seq: row.try_get(offset)?,
            op: op.ok_or_else(|| QueryError::Corrupt(format!("the change log has the operation {code}")))?,
            entity: row.try_get(offset + 2)?,
            key: row.try_get(offset + 3)?,
            block: row.try_get(offset + 4)?,
            hash: row.try_get(offset + 5)?,
        })
    }
}

/// Every change of a network above `floor`, up to `head`.
#[derive(Debug)]
pub(super) struct Ring {
    floor: i64,
    head: i64,
    changes: VecDeque<Arc<Change>>,
}

impl Ring {
    /// One that knows nothing but where the network stands.
    pub(super) fn new(head: i64) -> Self {
        Self { floor: head, head, changes: VecDeque::new() }
    }

    pub(super) fn head(&self) -> i64 {
        self.head
    }

    /// Takes in what followed: the changes up to `head` in order, or the newest [`RING_CHANGES`] of them.
    pub(super) fn extend(&mut self, changes: Vec<Change>, head: i64) {
        if changes.len() >= RING_CHANGES {
            self.changes.clear();
            self.floor = changes.first().map_or(self.floor, |first| first.seq - 1);
        }
        self.changes.extend(changes.into_iter().map(Arc::new));
        while self.changes.len() > RING_CHANGES {
            self.floor = self.changes.pop_front().map_or(self.floor, |oldest| oldest.seq);
        }
        self.head = head;
    }

    /// How far somebody who is at `after` comes with so many changes; nothing where older ones are needed than are held.
    pub(super) fn reach(&self, after: i64, most: usize) -> Option<i64> {
        let first = self.first_behind(after)?;
        Some(self.changes.get(first + most).map_or(self.head, |next| next.seq - 1))
    }

    /// The changes behind `after` up to `to`; nothing where older ones are needed than are held.
    pub(super) fn between(&self, after: i64, to: i64) -> Option<Vec<Arc<Change>>> {
        let first = self.first_behind(after)?;
        let last = self.changes.partition_point(|change| change.seq <= to).max(first);
        Some(self.changes.range(first..last).cloned().collect())
    }

    fn first_behind(&self, after: i64) -> Option<usize> {
        (after >= self.floor).then(|| self.changes.partition_point(|change| change.seq <= after))
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, ChangeOp, RING_CHANGES, Ring};

    fn change(seq: i64) -> Change {
        Change { seq, op: ChangeOp::Insert, entity: 1, key: seq.to_string(), block: seq, hash: vec![] }
    }

    fn seqs(ring: &Ring, after: i64, to: i64) -> Option<Vec<i64>> {
        Some(ring.between(after, to)?.iter().map(|change| change.seq).collect())
    }

    #[test]
    fn what_came_before_it_began_is_not_in_it() {
        let mut ring = Ring::new(7);
        assert_eq!((ring.reach(6, 10), ring.reach(7, 10)), (None, Some(7)));
        ring.extend(vec![change(8), change(10)], 12);
        assert_eq!((seqs(&ring, 6, 12), seqs(&ring, 7, 12)), (None, Some(vec![8, 10])));
    }

    #[test]
    fn a_reach_ends_before_the_change_that_is_too_many() {
        let mut ring = Ring::new(0);
        ring.extend(vec![change(1), change(2), change(5), change(6)], 9);
        assert_eq!((ring.reach(0, 2), ring.reach(0, 4), ring.reach(5, 1)), (Some(4), Some(9), Some(9)));
        assert_eq!(seqs(&ring, 0, 4), Some(vec![1, 2]));
        assert_eq!(seqs(&ring, 6, 9), Some(vec![]));
    }

    #[test]
    fn the_oldest_are_let_go() {
        let many = i64::try_from(RING_CHANGES).expect("some thousands");
        let mut ring = Ring::new(0);
        ring.extend((1..=2).map(change).collect(), 2);
        ring.extend((3..=many).map(change).collect(), many);
        assert_eq!(ring.reach(0, 1), Some(1));
        ring.extend(vec![change(many + 1)], many + 1);
        assert_eq!((ring.reach(0, 1), ring.reach(1, 1)), (None, Some(2)));
        // A read that was cut off at its limit may have left older ones out.
        ring.extend((many + 9..many + 9 + many).map(change).collect(), 3 * many);
        assert_eq!((ring.reach(many + 7, 1), ring.reach(many + 8, 1)), (None, Some(many + 9)));
    }
}
