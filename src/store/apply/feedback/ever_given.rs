//! Which feedback a backfill has written since its network was empty: what is surely new is not looked for.
//!
//! Feedback may repeat earlier one, be revoked or be answered, so a batch looks for all that it names; nearly all of it is
//! new, and to learn that from the database was a tenth of a backfill. A filter that may only err towards "perhaps" tells it
//! in no time. Its memory is fixed: once it is full, more is looked for in vain, and nothing else changes.

use fastbloom::AtomicBloomFilter;

use super::FeedbackKey;

/// 8 MiB.
const BITS: usize = 1 << 26;

/// With so much feedback it is wrong about one in 25; with a tenth of that, next to never.
const EXPECTED: usize = 10_000_000;

/// All feedback that was written to a network, as long as this exists since it was empty.
pub(in crate::store) struct EverGiven(AtomicBloomFilter);

impl EverGiven {
    /// Of a network without feedback.
    pub(in crate::store) fn nothing() -> Self {
        Self(AtomicBloomFilter::with_num_bits(BITS).expected_items(EXPECTED))
    }

    /// Whether feedback of that key may have been written.
    pub(super) fn may_have(&self, key: &FeedbackKey) -> bool {
        self.0.contains(key)
    }

    /// Remembers feedback that is written now, or would have been, had its transaction been committed.
    pub(super) fn remember(&self, key: &FeedbackKey) {
        self.0.insert(key);
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256};

    use super::{EverGiven, FeedbackKey};
    use crate::id::AgentKey;

    #[test]
    fn what_was_given_is_remembered_and_nearly_nothing_else() {
        let key = |index: u64| FeedbackKey {
            agent: AgentKey { deployment: 0, agent_id: U256::from(index % 7) },
            client: Address::repeat_byte(1),
            index,
        };
        let given = EverGiven::nothing();
        (0..10_000).for_each(|index| given.remember(&key(index)));
        assert!((0..10_000).all(|index| given.may_have(&key(index))));
        assert!((10_000..20_000).filter(|index| given.may_have(&key(*index))).count() < 10);
    }
}
