//! What reputation registries emitted before the end of January 2026, where it differs from what they emit now.
//!
//! `NewFeedback` had nine layouts in four months. Two of them, of November 2025 and of the text of January 2026, share
//! signature and number of topics: [`Generation`] tells how they are told apart.

use alloy::primitives::{Address, B256, I256, U256, keccak256};

use super::{Generation, text_of_word};
use crate::event::reputation::{Feedback, ReputationFact, Value};
use crate::event::tag::Tag;
use crate::event::text::Text;

crate::event::events! {
    /// An event of an earlier reputation registry.
    EarlierReputationEvent {
        /// Feedback of October 2025: tags are words, no index.
        WordTags = "NewFeedback(uint256,address,uint8,bytes32,bytes32,string,bytes32)",
            "0x54b3254e4cc01969e70376d20390cc2f6af90539d9adaa78a53ebcda17f78154" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave it.
            client_address: Address = topic,
            /// 0 to 100.
            score: u8 = data,
            /// What the score measures.
            tag1: B256 = topic,
            /// Refines `tag1`.
            tag2: B256 = data,
            /// Where the feedback file is; may be empty.
            feedback_uri: Text = data,
            /// keccak256 of that file, or zero.
            feedback_hash: B256 = data,
        }
        /// Feedback of 6 to 11 November 2025: tags are texts, no index.
        TextTags = "NewFeedback(uint256,address,uint8,string,string,string,string,bytes32)",
            "0x425311b4692766f8739eaeea31a86b5756c7c315d17abc22bc9e67628405d6a7" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave it.
            client_address: Address = topic,
            /// 0 to 100.
            score: u8 = data,
            /// keccak256 of `tag1`.
            indexed_tag1: B256 = topic,
            /// What the score measures.
            tag1: Text = data,
            /// Refines `tag1`.
            tag2: Text = data,
            /// Where the feedback file is; may be empty.
            feedback_uri: Text = data,
            /// keccak256 of that file, or zero.
            feedback_hash: B256 = data,
        }
        /// Feedback of 12 November 2025 to 4 January 2026: of the first tag only the hash is told; no index.
        HashedTag = "NewFeedback(uint256,address,uint8,string,string,string,bytes32)",
            "0x744ec89483257dd170f417f1c3aef90840a2d763449395ba4f09e37f78a0c98b" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave it.
            client_address: Address = topic,
            /// 0 to 100.
            score: u8 = data,
            /// keccak256 of the first tag, whose text is not told.
            tag1: B256 = topic,
            /// Refines the first tag.
            tag2: Text = data,
            /// Where the feedback file is; may be empty.
            feedback_uri: Text = data,
            /// keccak256 of that file, or zero.
            feedback_hash: B256 = data,
        }
        /// Feedback of 8 to 10 January 2026 (1.1.0): of the first tag only the hash is told.
        IndexedHashedTag = "NewFeedback(uint256,address,uint64,uint8,string,string,string,string,bytes32)",
            "0x801d7d4264128f6f43835850f1fabb91902c3543c3738f1f62fbf7e9fd80531d" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave it.
            client_address: Address = topic,
            /// Counts from 1 per agent and client.
            feedback_index: u64 = data,
            /// 0 to 100.
            score: u8 = data,
            /// keccak256 of the first tag, whose text is not told.
            tag1: B256 = topic,
            /// Refines the first tag.
            tag2: Text = data,
            /// The agent's endpoint that was used; may be empty.
            endpoint: Text = data,
            /// Where the feedback file is; may be empty.
            feedback_uri: Text = data,
            /// keccak256 of that file, or zero.
            feedback_hash: B256 = data,
        }
        /// Feedback of 11 to 17 January 2026.
        Score = "NewFeedback(uint256,address,uint64,uint8,string,string,string,string,string,bytes32)",
            "0x31f01d2aa5cdbe0619011211e9ffc39d678bc82e46d60c35953396ae61e896d8" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave it.
            client_address: Address = topic,
            /// Counts from 1 per agent and client.
            feedback_index: u64 = data,
            /// 0 to 100.
            score: u8 = data,
            /// keccak256 of `tag1`.
            indexed_tag1: B256 = topic,
            /// What the score measures.
            tag1: Text = data,
            /// Refines `tag1`.
            tag2: Text = data,
            /// The agent's endpoint that was used; may be empty.
            endpoint: Text = data,
            /// Where the feedback file is; may be empty.
            feedback_uri: Text = data,
            /// keccak256 of that file, or zero.
            feedback_hash: B256 = data,
        }
        /// Feedback of 18 January 2026, on test networks: the value is a uint256.
        Unsigned = "NewFeedback(uint256,address,uint64,uint256,uint8,string,string,string,string,string,bytes32)",
            "0xa96589249279e205e9aa2d2299594d8c5c745cf90e49514145db5dbdea256240" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave it.
            client_address: Address = topic,
            /// Counts from 1 per agent and client.
            feedback_index: u64 = data,
            /// The value in units of 10^-`value_decimals`.
            value: U256 = data,
            /// 0 to 18.
            value_decimals: u8 = data,
            /// keccak256 of `tag1`.
            indexed_tag1: B256 = topic,
            /// What the value measures.
            tag1: Text = data,
            /// Refines `tag1`.
            tag2: Text = data,
            /// The agent's endpoint that was used; may be empty.
            endpoint: Text = data,
            /// Where the feedback file is; may be empty.
            feedback_uri: Text = data,
            /// keccak256 of that file, or zero.
            feedback_hash: B256 = data,
        }
        /// Feedback of 19 to 22 January 2026, on test networks: the value is an int256.
        Signed = "NewFeedback(uint256,address,uint64,int256,uint8,string,string,string,string,string,bytes32)",
            "0x413f2d30fdbc0b49e55537333a7c6287556f671f40c7e2dc00fc7ca1ced350da" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave it.
            client_address: Address = topic,
            /// Counts from 1 per agent and client.
            feedback_index: u64 = data,
            /// The value in units of 10^-`value_decimals`.
            value: I256 = data,
            /// 0 to 18.
            value_decimals: u8 = data,
            /// keccak256 of `tag1`.
            indexed_tag1: B256 = topic,
            /// What the value measures.
            tag1: Text = data,
            /// Refines `tag1`.
            tag2: Text = data,
            /// The agent's endpoint that was used; may be empty.
            endpoint: Text = data,
            /// Where the feedback file is; may be empty.
            feedback_uri: Text = data,
            /// keccak256 of that file, or zero.
            feedback_hash: B256 = data,
        }
        /// Somebody answered feedback (8 October 2025): no hash of the answer.
        ResponseWithoutHash = "ResponseAppended(uint256,address,uint64,address,string)",
            "0x91a4f57c12b47a488ba7365f0e60d24a1348fc94afddf6c60e0e22b018365408" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave the feedback.
            client_address: Address = topic,
            /// Which feedback.
            feedback_index: u64 = data,
            /// Who answers.
            responder: Address = topic,
            /// Where the answer is.
            response_uri: Text = data,
        }
    }
}

crate::event::events! {
    /// Feedback as the text of January 2026 had it before it was given an index; from 18 December 2025 on.
    DescribedFeedback {
        /// Of the first tag only the hash is told; no index.
        HashedTagEndpoint = "NewFeedback(uint256,address,uint8,string,string,string,string,bytes32)",
            "0x425311b4692766f8739eaeea31a86b5756c7c315d17abc22bc9e67628405d6a7" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave it.
            client_address: Address = topic,
            /// 0 to 100.
            score: u8 = data,
            /// keccak256 of the first tag, whose text is not told.
            tag1: B256 = topic,
            /// Refines the first tag.
            tag2: Text = data,
            /// The agent's endpoint that was used; may be empty.
            endpoint: Text = data,
            /// Where the feedback file is; may be empty.
            feedback_uri: Text = data,
            /// keccak256 of that file, or zero.
            feedback_hash: B256 = data,
        }
    }
}

/// Whether a log of the signature that two generations share is read as [`DescribedFeedback`]: as the configuration says
/// or, where it does not, unless the text that would be the first tag has the hash that is told of it.
pub(in crate::event) fn is_described(generation: Option<Generation>, event: &EarlierReputationEvent) -> bool {
    match (generation, event) {
        (Some(generation), EarlierReputationEvent::TextTags { .. }) => generation == Generation::January2026Text,
        (None, EarlierReputationEvent::TextTags { indexed_tag1, tag1, .. }) => keccak256(&tag1.0) != *indexed_tag1,
        _ => false,
    }
}

impl DescribedFeedback {
    /// What it says.
    #[must_use]
    pub fn fact(&self) -> ReputationFact {
        let Self::HashedTagEndpoint {
            agent_id,
            client_address,
            score,
            tag1,
            tag2,
            endpoint,
            feedback_uri,
            feedback_hash,
        } = self;
        ReputationFact::Given(Feedback {
            agent_id: *agent_id,
            client_address: *client_address,
            feedback_index: None,
            value: Value::from(*score),
            value_decimals: 0,
            tag1: Tag::of_hash(*tag1),
            tag2: tag2.clone(),
            endpoint: endpoint.clone(),
            feedback_uri: feedback_uri.clone(),
            feedback_hash: *feedback_hash,
        })
    }
}

impl EarlierReputationEvent {
    /// What it says.
    #[must_use]
    pub fn fact(&self) -> ReputationFact {
        if let Self::ResponseWithoutHash { agent_id, client_address, feedback_index, responder, response_uri } = self {
            return ReputationFact::Answered {
                agent_id: *agent_id,
                client_address: *client_address,
                feedback_index: *feedback_index,
                responder: *responder,
                response_uri: response_uri.clone(),
                response_hash: B256::ZERO,
            };
        }
        let (agent_id, client_address, feedback_uri, feedback_hash) = self.common();
        ReputationFact::Given(Feedback {
            agent_id,
            client_address,
            feedback_index: self.index(),
            value: self.value(),
            value_decimals: match self {
                Self::Unsigned { value_decimals, .. } | Self::Signed { value_decimals, .. } => *value_decimals,
                _ => 0,
            },
            tag1: self.tag1(),
            tag2: self.tag2(),
            endpoint: self.endpoint(),
            feedback_uri,
            feedback_hash,
        })
    }

    /// What all generations tell: the agent, the client, the file and its hash.
    fn common(&self) -> (U256, Address, Text, B256) {
        match self {
            Self::WordTags { agent_id, client_address, feedback_uri, feedback_hash, .. }
            | Self::TextTags { agent_id, client_address, feedback_uri, feedback_hash, .. }
            | Self::HashedTag { agent_id, client_address, feedback_uri, feedback_hash, .. }
            | Self::IndexedHashedTag { agent_id, client_address, feedback_uri, feedback_hash, .. }
            | Self::Score { agent_id, client_address, feedback_uri, feedback_hash, .. }
            | Self::Unsigned { agent_id, client_address, feedback_uri, feedback_hash, .. }
            | Self::Signed { agent_id, client_address, feedback_uri, feedback_hash, .. } => {
                (*agent_id, *client_address, feedback_uri.clone(), *feedback_hash)
            }
            Self::ResponseWithoutHash { agent_id, client_address, response_uri, .. } => {
                (*agent_id, *client_address, response_uri.clone(), B256::ZERO)
            }
        }
    }

    fn index(&self) -> Option<u64> {
        match self {
            Self::WordTags { .. } | Self::TextTags { .. } | Self::HashedTag { .. } => None,
            Self::IndexedHashedTag { feedback_index, .. }
            | Self::Score { feedback_index, .. }
            | Self::Unsigned { feedback_index, .. }
            | Self::Signed { feedback_index, .. }
            | Self::ResponseWithoutHash { feedback_index, .. } => Some(*feedback_index),
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::WordTags { score, .. }
            | Self::TextTags { score, .. }
            | Self::HashedTag { score, .. }
            | Self::IndexedHashedTag { score, .. }
            | Self::Score { score, .. } => Value::from(*score),
            Self::Unsigned { value, .. } => Value::from(*value),
            Self::Signed { value, .. } => Value::from(*value),
            Self::ResponseWithoutHash { .. } => Value::default(),
        }
    }

    fn tag1(&self) -> Tag {
        match self {
            Self::WordTags { tag1, .. } => Tag::Text(text_of_word(tag1)),
            Self::HashedTag { tag1, .. } | Self::IndexedHashedTag { tag1, .. } => Tag::of_hash(*tag1),
            Self::TextTags { tag1, .. }
            | Self::Score { tag1, .. }
            | Self::Unsigned { tag1, .. }
            | Self::Signed { tag1, .. } => Tag::Text(tag1.clone()),
            Self::ResponseWithoutHash { .. } => Tag::Text(Text::default()),
        }
    }

    fn tag2(&self) -> Text {
        match self {
            Self::WordTags { tag2, .. } => text_of_word(tag2),
            Self::TextTags { tag2, .. }
            | Self::HashedTag { tag2, .. }
            | Self::IndexedHashedTag { tag2, .. }
            | Self::Score { tag2, .. }
            | Self::Unsigned { tag2, .. }
            | Self::Signed { tag2, .. } => tag2.clone(),
            Self::ResponseWithoutHash { .. } => Text::default(),
        }
    }

    fn endpoint(&self) -> Text {
        match self {
            Self::IndexedHashedTag { endpoint, .. }
            | Self::Score { endpoint, .. }
            | Self::Unsigned { endpoint, .. }
            | Self::Signed { endpoint, .. } => endpoint.clone(),
            _ => Text::default(),
        }
    }
}
