//! Events of the reputation registry: feedback, its revocation, responses to it (ERC-8004, January 2026).

use alloy::primitives::{Address, B256, I256, U256};

use super::tag::Tag;
use super::text::Text;

super::events! {
    /// An event of the reputation registry.
    ReputationEvent {
        /// A client gave feedback about an agent.
        NewFeedback = "NewFeedback(uint256,address,uint64,int128,uint8,string,string,string,string,string,bytes32)",
            "0x6a4a61743519c9d648a14e6493f47dbe3ff1aa29e7785c96c8326a205e58febc" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who gave it.
            client_address: Address = topic,
            /// Counts from 1 per agent and client.
            feedback_index: u64 = data,
            /// The value in units of 10^-`value_decimals`; |value| ≤ 1e38.
            value: i128 = data,
            /// 0 to 18.
            value_decimals: u8 = data,
            /// keccak256 of `tag1`.
            indexed_tag1: B256 = topic,
            /// What the value measures, such as `starred`; may be empty.
            tag1: Text = data,
            /// Refines `tag1`, such as `day`; may be empty.
            tag2: Text = data,
            /// The agent's endpoint that was used; may be empty.
            endpoint: Text = data,
            /// Where the feedback file is; may be empty.
            feedback_uri: Text = data,
            /// keccak256 of that file, or zero.
            feedback_hash: B256 = data,
        }
        /// A client took its feedback back.
        FeedbackRevoked = "FeedbackRevoked(uint256,address,uint64)",
            "0x25156fd3288212246d8b008d5921fde376c71ed14ac2e072a506eb06fde6d09d" {
            /// The agent.
            agent_id: U256 = topic,
            /// Who had given it.
            client_address: Address = topic,
            /// Which one.
            feedback_index: u64 = topic,
        }
        /// Somebody (anybody may, repeatedly) answered feedback.
        ResponseAppended = "ResponseAppended(uint256,address,uint64,address,string,bytes32)",
            "0xb1c6be0b5b8aef6539e2fac0fd131a2faa7b49edf8e505b5eb0ad487d56051d4" {
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
            /// keccak256 of the answer, or zero.
            response_hash: B256 = data,
        }
    }
}

/// What an event of a reputation registry of any generation says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReputationFact {
    /// Feedback was given.
    Given(Feedback),
    /// Feedback was taken back.
    Revoked {
        /// The agent.
        agent_id: U256,
        /// Who had given it.
        client_address: Address,
        /// Which one.
        feedback_index: u64,
    },
    /// Feedback was answered.
    Answered {
        /// The agent.
        agent_id: U256,
        /// Who gave the feedback.
        client_address: Address,
        /// Which feedback.
        feedback_index: u64,
        /// Who answers.
        responder: Address,
        /// Where the answer is.
        response_uri: Text,
        /// keccak256 of the answer, or zero.
        response_hash: B256,
    },
}

/// Feedback, whatever generation of the registry told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The agent.
    pub agent_id: U256,
    /// Who gave it.
    pub client_address: Address,
    /// Counts from 1 per agent and client; nothing where the event does not tell, and the count has to be kept.
    pub feedback_index: Option<u64>,
    /// The value in units of 10^-`value_decimals`; a score of the older generations.
    pub value: Value,
    /// 0 to 18; 0 for a score.
    pub value_decimals: u8,
    /// What the value measures.
    pub tag1: Tag,
    /// Refines `tag1`.
    pub tag2: Text,
    /// The agent's endpoint that was used; empty where the event does not tell.
    pub endpoint: Text,
    /// Where the feedback file is.
    pub feedback_uri: Text,
    /// keccak256 of that file, or zero.
    pub feedback_hash: B256,
}

/// A value of any generation: an int128 today, an int256 or uint256 for some days, a uint8 before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Value {
    /// Whether it is below zero.
    pub is_negative: bool,
    /// How far it is from zero.
    pub magnitude: U256,
}

impl From<u8> for Value {
    fn from(score: u8) -> Self {
        Self::from(U256::from(score))
    }
}

impl From<U256> for Value {
    fn from(magnitude: U256) -> Self {
        Self { is_negative: false, magnitude }
    }
}

impl From<I256> for Value {
    fn from(value: I256) -> Self {
        Self { is_negative: value.is_negative(), magnitude: value.unsigned_abs() }
    }
}

impl From<i128> for Value {
    fn from(value: i128) -> Self {
        Self { is_negative: value < 0, magnitude: U256::from(value.unsigned_abs()) }
    }
}

impl ReputationEvent {
    /// What it says.
    #[must_use]
    pub fn fact(&self) -> ReputationFact {
        match self.clone() {
            Self::NewFeedback {
                agent_id,
                client_address,
                feedback_index,
                value,
                value_decimals,
                tag1,
                tag2,
                endpoint,
                feedback_uri,
                feedback_hash,
                ..
            } => ReputationFact::Given(Feedback {
                agent_id,
                client_address,
                feedback_index: Some(feedback_index),
                value: Value::from(value),
                value_decimals,
                tag1: Tag::Text(tag1),
                tag2,
                endpoint,
                feedback_uri,
                feedback_hash,
            }),
            Self::FeedbackRevoked { agent_id, client_address, feedback_index } => {
                ReputationFact::Revoked { agent_id, client_address, feedback_index }
            }
            Self::ResponseAppended {
                agent_id,
                client_address,
                feedback_index,
                responder,
                response_uri,
                response_hash,
            } => ReputationFact::Answered {
                agent_id,
                client_address,
                feedback_index,
                responder,
                response_uri,
                response_hash,
            },
        }
    }
}
