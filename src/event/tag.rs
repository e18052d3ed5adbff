//! The first tag of feedback: what its value measures.

use std::sync::LazyLock;

use alloy::primitives::{B256, keccak256};

use super::text::Text;

/// The first tag of feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tag {
    /// As it was told.
    Text(Text),
    /// Only the keccak256 of an unknown text was told.
    Hash(B256),
}

/// Tags in use, which are recognised by their hash.
const KNOWN_TAGS: [&str; 16] = [
    "",
    "starred",
    "reachable",
    "ownerVerified",
    "uptime",
    "successRate",
    "responseTime",
    "blocktimeFreshness",
    "revenues",
    "tradingYield",
    "miner-vouch",
    "payment_cycle",
    "day",
    "week",
    "month",
    "year",
];

/// Their hashes. Most feedback has one of them, and to hash it each time took a seventh of a backfill.
static KNOWN_HASHES: LazyLock<[B256; 16]> = LazyLock::new(|| KNOWN_TAGS.map(keccak256));

impl Tag {
    /// The tag of a hash: its text, where that is a known one.
    #[must_use]
    pub fn of_hash(hash: B256) -> Self {
        match KNOWN_HASHES.iter().position(|known| *known == hash) {
            Some(place) => Self::Text(Text::from(KNOWN_TAGS[place])),
            None => Self::Hash(hash),
        }
    }

    /// The keccak256 of its text.
    #[must_use]
    pub fn hash(&self) -> B256 {
        match self {
            Self::Text(text) => match KNOWN_TAGS.iter().position(|known| known.as_bytes() == text.0.as_ref()) {
                Some(place) => KNOWN_HASHES[place],
                None => keccak256(&text.0),
            },
            Self::Hash(hash) => *hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::keccak256;

    use super::{KNOWN_TAGS, Tag};

    #[test]
    fn a_tag_has_the_hash_of_its_text_known_or_not() {
        for text in KNOWN_TAGS.into_iter().chain(["none of ours", "Starred", "starred "]) {
            assert_eq!(Tag::Text(text.into()).hash(), keccak256(text), "{text}");
        }
        let hash = keccak256("none of ours");
        assert_eq!(Tag::Hash(hash).hash(), hash);
    }
}
