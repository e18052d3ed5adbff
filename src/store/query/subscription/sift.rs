//! Which changes of a stretch of the log are told to somebody who comes from below it.
//!
//! A change whose retraction is also ahead is left out with it: its block is gone, so nobody can read what it said. What
//! is left of the retractions are those of changes that were told already.

use std::collections::HashSet;
use std::sync::Arc;

use crate::store::apply::{ChangeEntity, ChangeOp};
use crate::store::feed::Change;

/// A change that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept<'a> {
    pub(super) change: &'a Change,
    /// The block that shows what it left: its own; of a retraction the one that the chain was taken back to, by all the
    /// rewinds from it on.
    pub(super) as_of: i64,
}

/// Sifts the changes of one kind of entity out of a stretch. `ahead` is the lowest block that retractions beyond the
/// stretch take back.
///
/// Every rewind takes back all that was told of the blocks above the one it keeps. So a change was taken back if any
/// retraction behind it is of its block or of a lower one. Blocks themselves stay where only what derives from them is
/// taken back: for them the retractions of blocks alone count.
pub(super) fn sift(changes: &[Arc<Change>], entity: ChangeEntity, ahead: Option<i64>) -> Vec<Kept<'_>> {
    let is_wanted = |change: &Change| change.entity == entity.code();
    let mut open = HashSet::new();
    let mut answered = HashSet::new();
    for change in changes.iter().filter(|change| is_wanted(change)) {
        let what = (change.key.as_str(), change.hash.as_slice());
        match change.op {
            ChangeOp::Gap => {}
            ChangeOp::Insert | ChangeOp::Update => {
                open.insert(what);
            }
            ChangeOp::Retract => {
                if open.remove(&what) {
                    answered.insert(change.seq);
                }
            }
        }
    }
    let mut lowest = ahead;
    let mut kept = Vec::new();
    for change in changes.iter().rev() {
        let counts = entity != ChangeEntity::Block || is_wanted(change);
        if change.op == ChangeOp::Retract && counts {
            lowest = Some(lowest.map_or(change.block, |lowest| lowest.min(change.block)));
        }
        let as_of = match change.op {
            ChangeOp::Gap => None,
            ChangeOp::Insert | ChangeOp::Update => {
                Some(change.block).filter(|block| lowest.is_none_or(|lowest| *block < lowest))
            }
            ChangeOp::Retract => lowest.map(|lowest| lowest - 1).filter(|_| !answered.contains(&change.seq)),
        };
        if let Some(as_of) = as_of.filter(|_| is_wanted(change)) {
            kept.push(Kept { change, as_of });
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Change, ChangeEntity, ChangeOp, sift};

    const AGENT: i16 = ChangeEntity::Agent as i16;
    const BLOCK: i16 = ChangeEntity::Block as i16;
    use ChangeOp::{Insert, Retract, Update};

    /// Rows of (operation, entity, block, branch).
    fn log(rows: &[(ChangeOp, i16, i64, u8)]) -> Vec<Arc<Change>> {
        let change = |(seq, (op, entity, block, branch)): (i64, &(ChangeOp, i16, i64, u8))| {
            let key = if *entity == BLOCK { block.to_string() } else { "1:7".to_owned() };
            Arc::new(Change { seq, op: *op, entity: *entity, key, block: *block, hash: vec![*branch] })
        };
        (1..).zip(rows).map(change).collect()
    }

    fn told(rows: &[(ChangeOp, i16, i64, u8)], entity: ChangeEntity, ahead: Option<i64>) -> Vec<(i64, i64)> {
        sift(&log(rows), entity, ahead).iter().map(|kept| (kept.change.seq, kept.as_of)).collect()
    }

    #[test]
    fn a_change_that_holds_is_told_as_of_its_block() {
        let rows = [(Insert, BLOCK, 5, 0), (Insert, AGENT, 5, 0), (Insert, BLOCK, 6, 0), (Update, AGENT, 6, 0)];
        assert_eq!(told(&rows, ChangeEntity::Agent, None), [(2, 5), (4, 6)]);
        assert_eq!(told(&rows, ChangeEntity::Block, None), [(1, 5), (3, 6)]);
        assert_eq!(told(&rows, ChangeEntity::Feedback, None), []);
    }

    #[test]
    fn a_change_that_is_taken_back_ahead_is_left_out_with_its_retraction() {
        let rows = [
            (Update, AGENT, 6, 0),
            (Retract, AGENT, 6, 0),
            (Update, AGENT, 6, 1),
            // The block came back, and left again.
            (Retract, AGENT, 6, 1),
            (Update, AGENT, 6, 0),
        ];
        assert_eq!(told(&rows, ChangeEntity::Agent, None), [(5, 6)]);
        assert_eq!(told(&rows, ChangeEntity::Agent, Some(6)), []);
        assert_eq!(told(&rows, ChangeEntity::Agent, Some(7)), [(5, 6)]);
    }

    #[test]
    fn a_retraction_of_what_was_told_shows_what_all_rewinds_leave() {
        // Away during two reorganisations, the second one deeper.
        let rows = [
            (Retract, AGENT, 9, 0),
            (Retract, BLOCK, 9, 0),
            (Insert, BLOCK, 9, 1),
            (Update, AGENT, 9, 1),
            (Retract, AGENT, 9, 1),
            (Retract, BLOCK, 9, 1),
            (Retract, AGENT, 8, 0),
            (Retract, BLOCK, 8, 0),
            (Insert, BLOCK, 8, 2),
            (Update, AGENT, 8, 2),
        ];
        assert_eq!(told(&rows, ChangeEntity::Agent, None), [(1, 7), (7, 7), (10, 8)]);
        assert_eq!(told(&rows, ChangeEntity::Block, None), [(2, 7), (8, 7), (9, 8)]);
        // A third one is ahead of the stretch.
        assert_eq!(told(&rows, ChangeEntity::Agent, Some(6)), [(1, 5), (7, 5)]);
    }

    #[test]
    fn blocks_stay_where_only_what_derives_from_them_is_taken_back() {
        let rows = [(Insert, BLOCK, 5, 0), (Insert, AGENT, 5, 0), (Retract, AGENT, 5, 0), (Insert, AGENT, 5, 0)];
        assert_eq!(told(&rows, ChangeEntity::Block, None), [(1, 5)]);
        assert_eq!(told(&rows, ChangeEntity::Agent, None), [(4, 5)]);
    }
}
