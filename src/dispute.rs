//! Disputes: endpoints of one network that told different logs of the same blocks (F12).
//!
//! A dispute is an observation about endpoints, no part of the chain's data: it survives rewinds. Endpoints are named
//! without their credentials.

/// What endpoints disagreed about, and how that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// The first block that they told differently.
    pub from: u64,
    /// The last one; they may have agreed on blocks between.
    pub to: u64,
    /// Who was asked, each with how many logs it told of these blocks.
    pub told: Vec<(String, u64)>,
    /// Those of them whose word was not taken; none while nothing is settled.
    pub wrong: Vec<String>,
    /// The first difference, in words.
    pub difference: String,
    /// How it was settled.
    pub settlement: Settlement,
}

/// How a dispute was settled, the strongest way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Settlement {
    /// By receipts that hash to the header's receipts root: a proof.
    Receipts,
    /// By the header's bloom, which does not hold what the others told.
    Bloom,
    /// By the word of most endpoints.
    Majority,
    /// Not at all: the blocks are not taken until it is.
    Unsettled,
}

impl Settlement {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Receipts, Self::Bloom, Self::Majority, Self::Unsettled];

    /// Its name in the database and in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Receipts => "RECEIPTS",
            Self::Bloom => "BLOOM",
            Self::Majority => "MAJORITY",
            Self::Unsettled => "UNSETTLED",
        }
    }
}
