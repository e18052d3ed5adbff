//! What to do next, decided from values alone.
//!
//! The cases, each tested by name:
//! - nothing is committed and the chain has not reached the start block: wait for it
//! - the head is not above our tip: compare the hash at its height, because a lower head is no reorg (F13)
//! - the next block is final: take ranges of logs, without the headers between
//! - the next block can still be undone: take every header, and logs by range while far below the head
//! - the next block is one of the newest: take every header, and logs by block hash (F1, F38)

/// Most headers that one step takes above finality; bounds its memory and the length of its transaction.
const HEADERS_PER_STEP: u64 = 1_000;

/// Most blocks that one step takes by hash: one request each.
const BLOCKS_PER_STEP: u64 = 64;

/// Where we are and what the chain shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    /// The newest committed block.
    pub tip: Option<u64>,
    /// The first block to ingest.
    pub start: u64,
    /// The chain's newest block.
    pub head: u64,
    /// The chain's newest final block, where it tells.
    pub finalized: Option<u64>,
}

/// How much to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Most blocks of one range of logs.
    pub range_blocks: u64,
    /// Blocks below the head whose logs are asked for by hash.
    pub by_hash_blocks: u64,
    /// Final blocks ahead from which on a new network is filled without the indexes that only questions need; 0: never.
    pub postpone_blocks: u64,
}

/// What to do next. Ranges are inclusive at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// Wait until the chain has the start block.
    AwaitStart,
    /// Nothing is above our tip: see whether we hold the same block at this height.
    Compare {
        /// The head's height, at or below our tip.
        number: u64,
    },
    /// Final blocks: logs by ranges, several at a time.
    Final {
        /// First block.
        from: u64,
        /// The last block that is final.
        to: u64,
    },
    /// Blocks that can be undone, far below the head: every header, logs by range.
    Headers {
        /// First block.
        from: u64,
        /// Last block at the most.
        to: u64,
    },
    /// The newest blocks: every header, logs by hash.
    Blocks {
        /// First block.
        from: u64,
        /// Last block at the most.
        to: u64,
    },
}

/// Decides what to do next.
#[must_use]
pub(super) fn decide(view: &View, limits: &Limits) -> Plan {
    let from = match view.tip {
        None if view.head < view.start => return Plan::AwaitStart,
        None => view.start,
        Some(tip) if view.head <= tip => return Plan::Compare { number: view.head },
        Some(tip) => tip + 1,
    };
    if let Some(finalized) = view.finalized.map(|finalized| finalized.min(view.head))
        && from <= finalized
    {
        return Plan::Final { from, to: finalized };
    }
    let settled = view.head.saturating_sub(limits.by_hash_blocks);
    if from <= settled {
        return Plan::Headers { from, to: last(from, HEADERS_PER_STEP.min(limits.range_blocks), settled) };
    }
    Plan::Blocks { from, to: last(from, BLOCKS_PER_STEP, view.head) }
}

/// The last of `count` blocks from `from`, but none above `bound`.
fn last(from: u64, count: u64, bound: u64) -> u64 {
    from.saturating_add(count.saturating_sub(1)).min(bound)
}

#[cfg(test)]
mod tests {
    use super::{BLOCKS_PER_STEP, HEADERS_PER_STEP, Limits, Plan, View, decide};

    const LIMITS: Limits = Limits { range_blocks: 10_000, by_hash_blocks: 128, postpone_blocks: 0 };

    fn plan(tip: Option<u64>, head: u64, finalized: Option<u64>) -> Plan {
        decide(&View { tip, start: 100, head, finalized }, &LIMITS)
    }

    #[test]
    fn waits_for_the_start_block() {
        assert_eq!(plan(None, 99, Some(50)), Plan::AwaitStart);
    }

    #[test]
    fn begins_at_the_start_block() {
        assert_eq!(plan(None, 100, None), Plan::Blocks { from: 100, to: 100 });
    }

    #[test]
    fn f13_a_head_at_or_below_the_tip_is_compared() {
        assert_eq!(plan(Some(500), 500, None), Plan::Compare { number: 500 });
        assert_eq!(plan(Some(500), 499, None), Plan::Compare { number: 499 });
    }

    #[test]
    fn final_blocks_come_by_range_up_to_finality() {
        assert_eq!(plan(None, 50_000, Some(40_000)), Plan::Final { from: 100, to: 40_000 });
        assert_eq!(plan(Some(39_999), 50_000, Some(40_000)), Plan::Final { from: 40_000, to: 40_000 });
    }

    #[test]
    fn f16_a_finality_above_the_head_is_clamped() {
        assert_eq!(plan(Some(499), 510, Some(9_999)), Plan::Final { from: 500, to: 510 });
    }

    #[test]
    fn blocks_that_can_be_undone_come_with_every_header() {
        let to = 40_001 + HEADERS_PER_STEP - 1;
        assert_eq!(plan(Some(40_000), 50_000, Some(40_000)), Plan::Headers { from: 40_001, to });
        assert_eq!(plan(Some(49_800), 50_000, None), Plan::Headers { from: 49_801, to: 49_872 });
    }

    #[test]
    fn the_newest_blocks_come_by_hash() {
        let to = 49_873 + BLOCKS_PER_STEP - 1;
        assert_eq!(plan(Some(49_872), 50_000, Some(40_000)), Plan::Blocks { from: 49_873, to });
        assert_eq!(plan(Some(49_999), 50_000, Some(40_000)), Plan::Blocks { from: 50_000, to: 50_000 });
    }

    #[test]
    fn f38_a_range_ends_below_the_unstable_tip() {
        for head in 100..1_000 {
            if let Plan::Headers { to, .. } = plan(Some(99), head, None) {
                assert!(to + LIMITS.by_hash_blocks <= head);
            }
        }
    }
}
