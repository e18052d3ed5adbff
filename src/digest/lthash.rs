//! LtHash16: a hash of a multiset that is the sum of its elements' hashes.
//!
//! An element's hash is 1,024 lanes of 16 bits, little-endian, drawn from BLAKE3's extendable output; the sum is taken
//! lane by lane, modulo 2^16. Finding two multisets with one sum is as hard as a short-vector problem on lattices, at
//! more than 200 bits. Source: Lewi, Kim, Maykov, Weis, "Securing Update Propagation with Homomorphic Hashing" (2019),
//! sections 4 and 5, with BLAKE3 in the place of BLAKE2. What must always hold: an element is added at most once, because
//! 65,536 times the same one is nothing; a log's identity is part of its element.

use std::sync::LazyLock;

use super::Domain;

/// Lanes of the sum.
const LANES: usize = 1_024;

/// Bytes of the sum.
pub const STATE_BYTES: usize = 2 * LANES;

/// A hasher that has its domain's key: BLAKE3 derives it from the context, which names the purpose and the version.
struct Keys {
    element: blake3::Hasher,
    summary: blake3::Hasher,
}

static EVENTS: LazyLock<Keys> = LazyLock::new(|| Keys {
    element: blake3::Hasher::new_derive_key("meikan state digest v1: element of events"),
    summary: blake3::Hasher::new_derive_key("meikan state digest v1: summary of events"),
});

static RAW_LOGS: LazyLock<Keys> = LazyLock::new(|| Keys {
    element: blake3::Hasher::new_derive_key("meikan state digest v1: element of raw logs"),
    summary: blake3::Hasher::new_derive_key("meikan state digest v1: summary of raw logs"),
});

impl Domain {
    fn keys(self) -> &'static Keys {
        match self {
            Self::Events => &EVENTS,
            Self::RawLogs => &RAW_LOGS,
        }
    }
}

/// A sum of elements.
#[derive(Clone, PartialEq, Eq)]
pub struct LtHash(Box<[u16; LANES]>);

impl LtHash {
    /// Adds an element.
    pub fn add(&mut self, domain: Domain, element: &[u8]) {
        self.with(&expand(domain, element), u16::wrapping_add);
    }

    /// Takes an element away.
    pub fn subtract(&mut self, domain: Domain, element: &[u8]) {
        self.with(&expand(domain, element), u16::wrapping_sub);
    }

    /// Written as one loop over slices, which the compiler makes one of vectors: it runs twice for each log.
    fn with(&mut self, bytes: &[u8; STATE_BYTES], operation: impl Fn(u16, u16) -> u16) {
        for (lane, pair) in self.0.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *lane = operation(*lane, u16::from_le_bytes(*pair));
        }
    }

    /// Adds all elements of another sum.
    pub fn add_all(&mut self, other: &Self) {
        for (lane, more) in self.0.iter_mut().zip(other.0.iter()) {
            *lane = lane.wrapping_add(*more);
        }
    }

    /// The sum as it is stored: the lanes in order, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Box<[u8; STATE_BYTES]> {
        let mut bytes = Box::new([0; STATE_BYTES]);
        for (pair, lane) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(self.0.iter()) {
            *pair = lane.to_le_bytes();
        }
        bytes
    }

    /// The sum that [`LtHash::to_bytes`] gave; nothing for another number of bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; STATE_BYTES] = bytes.try_into().ok()?;
        let mut sum = Self::default();
        sum.with(bytes, |_, stored| stored);
        Some(sum)
    }

    /// The sum in 32 bytes, to be shown and compared; it cannot be added.
    #[must_use]
    pub fn summary(&self, domain: Domain) -> [u8; 32] {
        *domain.keys().summary.clone().update(&self.to_bytes()[..]).finalize().as_bytes()
    }
}

/// The sum of nothing.
impl Default for LtHash {
    fn default() -> Self {
        Self(Box::new([0; LANES]))
    }
}

/// In short: the lanes would fill screens.
impl std::fmt::Debug for LtHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LtHash({:04x} {:04x} {:04x} {:04x} …)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// An element's hash, in the bytes of its lanes.
fn expand(domain: Domain, element: &[u8]) -> [u8; STATE_BYTES] {
    let mut drawn = [0; STATE_BYTES];
    domain.keys().element.clone().update(element).finalize_xof().fill(&mut drawn);
    drawn
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::{LtHash, STATE_BYTES};
    use crate::digest::Domain;

    fn sum(elements: &[Vec<u8>]) -> LtHash {
        let mut sum = LtHash::default();
        elements.iter().for_each(|element| sum.add(Domain::Events, element));
        sum
    }

    fn elements() -> impl Strategy<Value = Vec<Vec<u8>>> {
        vec(vec(any::<u8>(), 0..80), 0..12)
    }

    proptest! {
        #[test]
        fn order_does_not_matter((given, shuffled) in elements().prop_flat_map(|given| (Just(given.clone()), Just(given).prop_shuffle()))) {
            prop_assert_eq!(sum(&given), sum(&shuffled));
        }

        #[test]
        fn what_is_added_and_subtracted_never_was(given in elements(), passing in elements()) {
            let mut there_and_back = sum(&given);
            passing.iter().for_each(|element| there_and_back.add(Domain::Events, element));
            passing.iter().rev().for_each(|element| there_and_back.subtract(Domain::Events, element));
            prop_assert_eq!(there_and_back, sum(&given));
        }

        #[test]
        fn the_union_is_the_sum(one in elements(), other in elements()) {
            let mut union = sum(&one);
            union.add_all(&sum(&other));
            prop_assert_eq!(union, sum(&[one, other].concat()));
        }

        #[test]
        fn one_more_element_is_seen(given in elements(), more in vec(any::<u8>(), 0..80)) {
            let with = sum(&[given.clone(), vec![more]].concat());
            prop_assert!(with != sum(&given));
            prop_assert!(with.summary(Domain::Events) != sum(&given).summary(Domain::Events));
        }

        #[test]
        fn a_sum_comes_back_from_its_bytes(given in elements()) {
            let sum = sum(&given);
            prop_assert_eq!(LtHash::from_bytes(&sum.to_bytes()[..]), Some(sum));
        }
    }

    #[test]
    fn domains_are_apart() {
        let mut raw = LtHash::default();
        raw.add(Domain::RawLogs, b"element");
        assert_ne!(raw, sum(&[b"element".to_vec()]));
        let nothing = LtHash::default();
        assert_ne!(nothing.summary(Domain::RawLogs), nothing.summary(Domain::Events));
    }

    #[test]
    fn a_sum_has_one_length() {
        assert_eq!(LtHash::from_bytes(&[0; STATE_BYTES]), Some(LtHash::default()));
        assert_eq!(LtHash::from_bytes(&[0; STATE_BYTES - 1]), None);
        assert_eq!(LtHash::from_bytes(&[]), None);
    }
}
