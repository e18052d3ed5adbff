//! Events of the registries' earlier generations: each in the layout it was emitted in, and what it says in today's terms.
//!
//! An earlier event is decoded and encoded back in its own layout, so that nothing of it is lost; the store takes it as the
//! fact that a registry of today would have told. Dates are those of erc-8004/erc-8004-contracts' history; proxies change
//! generation at a block, so each log is read by its own topic0, never by the address' age.

mod identity;
mod reputation;
mod unused;
mod validation;

use alloy::primitives::{B256, Bytes};

pub use self::identity::EarlierIdentityEvent;
use self::reputation::is_described;
pub use self::reputation::{DescribedFeedback, EarlierReputationEvent};
pub use self::validation::EarlierValidationEvent;
use super::text::Text;
use super::{Role, Undecoded};

/// Which of two generations' layouts an address' logs have where the logs themselves do not tell.
///
/// `NewFeedback(uint256,address,uint8,string,string,string,string,bytes32)` was emitted with the texts tag1, tag2,
/// feedbackUri in November 2025, and with tag2, endpoint, feedbackUri under the text of January 2026, both times with the
/// hash of tag1 as a topic. A log is of the first kind if its first text has that hash. That fails only for the second
/// kind where both tags are the same: an address whose clients do that is to be named in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// November 2025: the first tag is told as text too.
    November2025,
    /// The text of January 2026, in contracts since December 2025: the endpoint is told, the first tag is not.
    January2026Text,
}

impl Generation {
    /// Every generation that can be named.
    pub const ALL: [Self; 2] = [Self::November2025, Self::January2026Text];

    /// Its name in configuration and database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::November2025 => "2025-11",
            Self::January2026Text => "2026-01-text",
        }
    }

    /// The generation of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|generation| generation.name() == name)
    }
}

/// An event of an earlier generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// Of an identity registry.
    Identity(EarlierIdentityEvent),
    /// Of a reputation registry.
    Reputation(EarlierReputationEvent),
    /// Of a reputation registry in the second layout of a signature.
    Described(DescribedFeedback),
    /// Of a validation registry.
    Validation(EarlierValidationEvent),
}

impl Earlier {
    /// Reads a log of a contract of that role; nothing when no earlier generation emits its topic.
    pub(super) fn decode(
        role: Role,
        generation: Option<Generation>,
        topic0: &B256,
        indexed: &[B256],
        data: &[u8],
    ) -> Option<Result<Self, Undecoded>> {
        let decoded = match role {
            Role::Identity => EarlierIdentityEvent::decode(topic0, indexed, data)?.map(Self::Identity),
            Role::Validation => match EarlierValidationEvent::decode(topic0, indexed, data) {
                Some(event) => event.map(Self::Validation),
                None => return unused::decode(role, topic0),
            },
            Role::Reputation => match EarlierReputationEvent::decode(topic0, indexed, data) {
                Some(Ok(event)) if is_described(generation, &event) => {
                    DescribedFeedback::decode(topic0, indexed, data)?.map(Self::Described)
                }
                Some(event) => event.map(Self::Reputation),
                None => return unused::decode(role, topic0),
            },
            Role::AuditLog | Role::AgentRegistry | Role::PolicyEngine | Role::Executor => return None,
        };
        Some(decoded)
    }

    /// Every topic0 of earlier contracts of that role.
    pub(super) fn topics(role: Role) -> &'static [(&'static str, &'static str, B256)] {
        match role {
            Role::Identity => EarlierIdentityEvent::ALL,
            Role::Reputation => EarlierReputationEvent::ALL,
            Role::Validation => EarlierValidationEvent::ALL,
            Role::AuditLog | Role::AgentRegistry | Role::PolicyEngine | Role::Executor => &[],
        }
    }

    /// The role of the contracts that emit it.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Identity(_) => Role::Identity,
            Self::Reputation(_) | Self::Described(_) => Role::Reputation,
            Self::Validation(_) => Role::Validation,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Identity(event) => event.name(),
            Self::Reputation(event) => event.name(),
            Self::Described(event) => event.name(),
            Self::Validation(event) => event.name(),
        }
    }

    pub(super) fn encode(&self) -> (Vec<B256>, Bytes) {
        match self {
            Self::Identity(event) => event.encode(),
            Self::Reputation(event) => event.encode(),
            Self::Described(event) => event.encode(),
            Self::Validation(event) => event.encode(),
        }
    }

    pub(super) fn fields(&self) -> serde_json::Map<String, serde_json::Value> {
        match self {
            Self::Identity(event) => event.fields(),
            Self::Reputation(event) => event.fields(),
            Self::Described(event) => event.fields(),
            Self::Validation(event) => event.fields(),
        }
    }
}

/// A text of at most 32 bytes that is kept in a word: without the zeros that fill the word up.
fn text_of_word(word: &B256) -> Text {
    let end = word.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    Text::from(word[..end].to_vec())
}
