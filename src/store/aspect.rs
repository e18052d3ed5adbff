//! Aspects: what of an agent feedback speaks of.
//!
//! An aspect is all feedback, the ratings among it, or the feedback of one first tag. Averages over mixed tags mean
//! nothing, so an agent's grade is of its ratings only: feedback whose first tag is empty or `starred`, of 0 to 100.

use alloy::hex;

use super::fixed::Fixed;
use crate::event::Tag;

/// An aspect of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Aspect {
    /// All feedback.
    All,
    /// Its ratings.
    Ratings,
    /// The feedback of one first tag: the beginning of the tag's keccak256.
    Tag([u8; 16]),
}

/// The first tags of ratings, none and `starred`; as in [`is_rating`].
const RATED: [Aspect; 2] =
    [Aspect::Tag(hex!("c5d2460186f7233c927e7db2dcc703c0")), Aspect::Tag(hex!("d6be4ef8f6e81499fcacb6176a8acae1"))];

/// The least value of a rating.
const LEAST_RATING: u8 = 0;
/// The greatest value of a rating.
const GREATEST_RATING: u8 = 100;
/// The least value of a positive rating.
const LEAST_POSITIVE: u8 = 80;
/// Ratings below this are negative.
const LEAST_NEUTRAL: u8 = 50;

impl Aspect {
    /// The aspect of a first tag.
    pub(super) fn of(tag: &Tag) -> Self {
        let hash = tag.hash();
        let (beginning, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
        Self::Tag(*beginning)
    }

    /// As the tables hold it.
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::All => &[],
            Self::Ratings => &[1],
            Self::Tag(bytes) => bytes,
        }
    }

    /// What the tables hold; nothing when it is no aspect.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [] => Some(Self::All),
            [1] => Some(Self::Ratings),
            _ => bytes.try_into().ok().map(Self::Tag),
        }
    }

    /// Whether feedback with this first tag and value is a rating.
    pub(super) fn rates(&self, value: Fixed) -> bool {
        RATED.contains(self) && (Fixed::whole(LEAST_RATING)..=Fixed::whole(GREATEST_RATING)).contains(&value)
    }
}

/// Whether a rating is positive.
pub(super) fn is_positive(rating: Fixed) -> bool {
    rating >= Fixed::whole(LEAST_POSITIVE)
}

/// Whether a rating is negative.
pub(super) fn is_negative(rating: Fixed) -> bool {
    rating < Fixed::whole(LEAST_NEUTRAL)
}

/// The condition that the feedback `f` is a rating. Values are cut at sixty places before they are counted; a comparison
/// of the values themselves says the same, and an index can serve it.
macro_rules! is_rating {
    () => {
        "(f.aspect IN ('\\xc5d2460186f7233c927e7db2dcc703c0', '\\xd6be4ef8f6e81499fcacb6176a8acae1') \
         AND f.value > -1e-60 AND f.value < 100 + 1e-60)"
    };
}
pub(super) use is_rating;

/// The condition that the feedback `f` is of the tag of the row `{k}`.
macro_rules! is_of_tag {
    () => {
        "f.aspect = {k}.aspect"
    };
}
pub(super) use is_of_tag;

#[cfg(test)]
mod tests {
    use alloy::hex;

    use super::{Aspect, RATED};
    use crate::event::{Tag, Text};
    use crate::store::fixed::Fixed;

    #[test]
    fn ratings_have_no_tag_or_are_starred() {
        let of = |tag: &str| Aspect::of(&Tag::Text(Text::from(tag)));
        assert_eq!(["", "starred"].map(of), RATED);
        for aspect in RATED {
            assert!(is_rating!().contains(&hex::encode(aspect.bytes())));
            assert!(aspect.rates(Fixed::whole(0)) && aspect.rates(Fixed::whole(100)));
            assert!(!aspect.rates(Fixed::whole(101)));
        }
        assert!(!of("uptime").rates(Fixed::whole(50)));
    }

    #[test]
    fn what_is_written_is_read() {
        for aspect in [Aspect::All, Aspect::Ratings, RATED[0]] {
            assert_eq!(Aspect::read(aspect.bytes()), Some(aspect));
        }
        assert_eq!(Aspect::read(&[2]), None);
    }
}
