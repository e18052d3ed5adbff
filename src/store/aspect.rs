//! Aspects: what of an agent feedback speaks of, and the SQL that counts one from the rows of facts.
//!
//! An aspect is all feedback, the ratings among it, or the feedback of one first tag. Averages over mixed tags mean
//! nothing, so an agent's grade is of its ratings only: feedback whose first tag is empty or `starred`, of 0 to 100.
//! The same text counts below finality what a rewind has to restore, and answers as of an earlier block.

use alloy::hex;
use alloy::primitives::keccak256;

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
        let hash = match tag {
            Tag::Text(text) => keccak256(&text.0),
            Tag::Hash(hash) => *hash,
        };
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

/// The statement that counts what feedback says of the agent of the row `{k}`: a row with the columns of `standing`, as of
/// the block that `{live x}`, `{begun x}` and `{reached c}` stand for. It takes the condition that feedback `f` is of the
/// aspect; without one it counts all.
macro_rules! counted {
    () => {
        $crate::store::aspect::counted!("TRUE", "")
    };
    ($is_of_aspect:expr) => {
        $crate::store::aspect::counted!(
            $is_of_aspect,
            concat!(
                // The feedback that held in the block of the response, whatever became of it.
                " AND EXISTS (SELECT FROM feedback f WHERE f.chain_id = r.chain_id AND f.deployment = r.deployment \
                 AND f.agent_id = r.agent_id AND f.client = r.client AND f.feedback_index = r.feedback_index \
                 AND f.begin_block <= r.begin_block AND (f.end_block IS NULL OR f.end_block > r.begin_block) AND ",
                $is_of_aspect,
                ")"
            )
        )
    };
    ($is_of_aspect:expr, $and_answers:expr) => {
        concat!(
            "WITH said AS (SELECT f.client, f.begin_block, f.end_block, f.revoked_block, f.created_at, \
                 f.value_decimals, trunc(f.value, 60) AS value, {live f} AS holds, \
                 {live f} AND NOT {reached f.revoked_block} AS stands, {reached f.revoked_block} AS is_revoked, \
                 {reached f.end_block} AS is_ended, ",
            $crate::store::aspect::is_rating!(),
            " AS is_rating FROM feedback f WHERE f.chain_id = {k}.chain_id AND f.deployment = {k}.deployment \
                 AND f.agent_id = {k}.agent_id AND {begun f} AND ",
            $is_of_aspect,
            "), answered AS (SELECT count(*) AS responses, max(r.begin_block) AS block FROM feedback_response r \
                 WHERE r.chain_id = {k}.chain_id AND r.deployment = {k}.deployment AND r.agent_id = {k}.agent_id \
                 AND {begun r}",
            $and_answers,
            "), places AS (SELECT value_decimals, count(*) AS times FROM said WHERE stands GROUP BY value_decimals), \
             voices AS (SELECT div(sum(value) * 1e60, count(*)) * 1e-60 AS mean FROM said WHERE stands GROUP BY client) \
             SELECT greatest(max(begin_block), max(revoked_block) FILTER (WHERE is_revoked), \
                 max(end_block) FILTER (WHERE is_ended), (SELECT block FROM answered)) AS begin_block, \
                 count(*) FILTER (WHERE holds) AS given, count(*) FILTER (WHERE holds AND is_revoked) AS revoked, \
                 (SELECT responses FROM answered) AS responses, coalesce(sum(value) FILTER (WHERE stands), 0) AS total, \
                 ARRAY(SELECT coalesce((SELECT times FROM places WHERE value_decimals = place), 0) \
                     FROM generate_series(0, (SELECT max(value_decimals) FROM places)) AS place ORDER BY place) AS counts, \
                 (SELECT count(*) FROM voices) AS clients, coalesce((SELECT sum(mean) FROM voices), 0) AS voices, \
                 count(*) FILTER (WHERE stands AND is_rating AND value >= 80) AS positive, \
                 count(*) FILTER (WHERE stands AND is_rating AND value < 50) AS negative, \
                 coalesce(max(created_at), 0) AS last_at FROM said"
        )
    };
}
pub(super) use counted;

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
