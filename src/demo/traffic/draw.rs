//! Chance that a seed decides: SplitMix64 (Steele, Lea and Flood, 2014), small enough to be the same for ever.

use alloy::primitives::B256;

/// A stream of draws.
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below a bound, which is at least 1. The bias of the remainder does not matter here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.number() % bound.max(1)
    }

    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of the items; nothing when there are none.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        let index = self.below(items.len() as u64);
        items.get(usize::try_from(index).ok()?).copied()
    }

    /// One of some texts that are there.
    pub(super) fn text(&mut self, texts: &[&'static str]) -> &'static str {
        self.pick(texts).unwrap_or_default()
    }

    pub(super) fn hash(&mut self) -> B256 {
        let words = [self.number(), self.number(), self.number(), self.number()];
        B256::from_slice(&words.map(u64::to_be_bytes).concat())
    }
}

#[cfg(test)]
mod tests {
    use super::Draw;

    /// The first numbers of the reference implementation for seed 1234567.
    #[test]
    fn the_stream_is_splitmix64() {
        let mut draw = Draw::new(1_234_567);
        let numbers: Vec<_> = (0..3).map(|_| draw.number()).collect();
        assert_eq!(numbers, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }
}
