//! How many blocks to ask for at once: as many as make an answer of a few megabytes, fewer where an endpoint demands it.
//! Pure; one value per endpoint.
//!
//! An answer is held in memory several times over while it is read, and small ones are read while others are under way.
//! Only what the endpoint answers counts, not what its documentation says (F34). A limit that it names is kept, until
//! after many answers one block more is asked for: the words may have been a refusal in disguise. A halving only says
//! that these blocks were dense, so the size grows again.

use super::classify::RangeHint;

/// Blocks of the first range: how dense they are is not known yet.
const FIRST_BLOCKS: u64 = 1_000;

/// Bytes that an answer should have.
const WANTED_BYTES: usize = 2 * 1024 * 1024;

/// A range with an answer of fewer bytes may grow, and one of more shrinks.
const ROOMY_BYTES: usize = WANTED_BYTES / 2;
const FULL_BYTES: usize = WANTED_BYTES * 2;

/// The size doubles until a range was refused; then it grows by one part in this many.
const GROWTH_DIVISOR: u64 = 8;

/// So many ranges are answered at a limit that the endpoint named before it is asked for one block more.
const ANSWERS_AT_A_LIMIT: u32 = 500;

/// How many blocks an endpoint takes at once; at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    blocks: u64,
    /// The limit that the endpoint named, else the most.
    ceiling: u64,
    /// The most that the configuration allows.
    most: u64,
    /// Full ranges answered since the limit was named.
    answers_at_ceiling: u32,
    /// A range was refused as too large.
    was_refused: bool,
}

impl Span {
    /// Never more than the configuration allows.
    pub(super) fn new(max_blocks: u64) -> Self {
        let most = max_blocks.max(1);
        let blocks = most.min(FIRST_BLOCKS);
        Self { blocks, ceiling: most, most, answers_at_ceiling: 0, was_refused: false }
    }

    /// The end (included) of the range to ask for.
    pub(super) fn end(&self, from: u64, to: u64) -> u64 {
        to.min(from.saturating_add(self.blocks - 1))
    }

    /// The range was refused as too large. A hint is taken when it makes the range smaller and lies within what was
    /// asked (F36); else the size is halved.
    pub(super) fn refused(&mut self, from: u64, end: u64, hint: Option<RangeHint>) {
        let asked = (end - from).saturating_add(1);
        self.was_refused = true;
        let suggested = match hint {
            Some(RangeHint::Blocks(blocks)) if (1..asked).contains(&blocks) => {
                self.ceiling = self.ceiling.min(blocks);
                self.answers_at_ceiling = 0;
                Some(blocks)
            }
            Some(RangeHint::Range(first, last)) if first == from && (from..end).contains(&last) => {
                Some(last - first + 1)
            }
            _ => None,
        };
        self.blocks = suggested.unwrap_or((asked / 2).max(1)).min(self.ceiling);
    }

    /// The range was answered with about so many bytes.
    pub(super) fn answered(&mut self, from: u64, end: u64, bytes: usize) {
        let answered = (end - from).saturating_add(1);
        if answered > self.ceiling {
            // What it answers counts, and not the limit that it named.
            self.ceiling = self.most;
        }
        if bytes > FULL_BYTES {
            let parts = u64::try_from(bytes.div_ceil(WANTED_BYTES)).unwrap_or(u64::MAX);
            self.blocks = self.blocks.min((answered / parts).max(1));
            return;
        }
        if answered < self.blocks || bytes >= ROOMY_BYTES {
            return;
        }
        let step = if self.was_refused { (self.blocks / GROWTH_DIVISOR).max(1) } else { self.blocks };
        self.blocks = self.blocks.saturating_add(step).min(self.ceiling);
        if answered == self.ceiling && self.ceiling < self.most {
            self.answers_at_ceiling += 1;
            if self.answers_at_ceiling == ANSWERS_AT_A_LIMIT {
                self.answers_at_ceiling = 0;
                self.blocks = self.ceiling + 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWERS_AT_A_LIMIT, FULL_BYTES, ROOMY_BYTES, RangeHint, Span, WANTED_BYTES};

    fn refused(hint: Option<RangeHint>) -> u64 {
        let mut span = Span::new(1_000);
        span.refused(100, 1_099, hint);
        span.blocks
    }

    #[test]
    fn f33_a_range_shrinks_to_the_hint() {
        assert_eq!(refused(Some(RangeHint::Blocks(10))), 10);
        assert_eq!(refused(Some(RangeHint::Range(100, 149))), 50);
    }

    #[test]
    fn f33_a_range_without_a_hint_is_halved_down_to_one_block() {
        assert_eq!(refused(None), 500);
        let mut span = Span::new(1);
        span.refused(7, 7, None);
        assert_eq!(span.end(7, 100), 7);
    }

    #[test]
    fn f36_a_hint_that_does_not_help_is_ignored() {
        for hint in [
            RangeHint::Blocks(1_000),
            RangeHint::Blocks(0),
            RangeHint::Range(149, 100),
            RangeHint::Range(0, 49),
            RangeHint::Range(100, 2_000),
            RangeHint::Range(100, 1_099),
        ] {
            assert_eq!(refused(Some(hint)), 500, "{hint:?}");
        }
    }

    #[test]
    fn f33_a_named_limit_is_remembered_and_a_halving_is_outgrown() {
        let mut named = Span::new(1_000);
        named.refused(0, 999, Some(RangeHint::Blocks(10)));
        let mut halved = Span::new(1_000);
        halved.refused(0, 999, None);
        for span in [&mut named, &mut halved] {
            for _ in 0..100 {
                let end = span.end(0, u64::MAX);
                span.answered(0, end, 0);
            }
        }
        assert_eq!((named.blocks, halved.blocks), (10, 1_000));
    }

    #[test]
    fn f34_a_limit_that_was_named_once_and_is_none_is_outgrown() {
        let mut span = Span::new(1_000);
        span.refused(0, 999, Some(RangeHint::Blocks(1)));
        for _ in 0..ANSWERS_AT_A_LIMIT + 100 {
            let end = span.end(0, u64::MAX);
            span.answered(0, end, 0);
        }
        assert_eq!(span.blocks, 1_000);
    }

    #[test]
    fn f33_a_limit_that_is_one_costs_a_refusal_in_many_answers() {
        let mut span = Span::new(1_000);
        let mut refusals = 0;
        for _ in 0..10 * ANSWERS_AT_A_LIMIT {
            match span.end(0, u64::MAX) {
                end if end > 9 => {
                    refusals += 1;
                    span.refused(0, end, Some(RangeHint::Blocks(10)));
                }
                end => span.answered(0, end, 0),
            }
        }
        assert_eq!(refusals, 10);
    }

    #[test]
    fn a_dense_range_does_not_grow() {
        let mut span = Span::new(1_000);
        span.refused(0, 999, None);
        span.answered(0, 499, WANTED_BYTES);
        assert_eq!(span.blocks, 500);
    }

    #[test]
    fn a_range_finds_the_size_of_a_good_answer() {
        for bytes_per_block in [1, 130, 13_000, 1_300_000, 40_000_000] {
            let mut span = Span::new(10_000);
            for _ in 0..20 {
                let end = span.end(0, u64::MAX);
                let answered = usize::try_from(end + 1).unwrap();
                span.answered(0, end, answered.saturating_mul(bytes_per_block));
            }
            let bytes = usize::try_from(span.blocks).unwrap() * bytes_per_block;
            let is_good = (ROOMY_BYTES..=FULL_BYTES).contains(&bytes);
            let is_extreme = (span.blocks == 10_000 && bytes < ROOMY_BYTES) || (span.blocks == 1 && bytes > FULL_BYTES);
            assert!(is_good || is_extreme, "{} blocks of {bytes_per_block}", span.blocks);
        }
    }

    #[test]
    fn the_end_does_not_overflow() {
        let grown = Span { blocks: u64::MAX, ..Span::new(u64::MAX) };
        assert_eq!(grown.end(5, u64::MAX), u64::MAX);
        assert_eq!(Span::new(10).end(u64::MAX - 2, u64::MAX), u64::MAX);
    }
}
