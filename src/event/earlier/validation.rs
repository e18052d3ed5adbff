//! What validation registries emitted before January 2026, where it differs from what they emit now.

use alloy::primitives::{Address, B256, U256};

use super::text_of_word;
use crate::event::ValidationEvent;
use crate::event::text::Text;

crate::event::events! {
    /// An event of an earlier validation registry.
    EarlierValidationEvent {
        /// The validator answered (October and November 2025): the tag is one word.
        WordTag = "ValidationResponse(address,uint256,bytes32,uint8,string,bytes32,bytes32)",
            "0xf224d3d5ad74301be48e4d51ca5f1b24c7946875887327585becc59165297dcf" {
            /// Who answers.
            validator_address: Address = topic,
            /// The agent.
            agent_id: U256 = topic,
            /// Which request.
            request_hash: B256 = topic,
            /// 0 to 100.
            response: u8 = data,
            /// Where the evidence is; may be empty.
            response_uri: Text = data,
            /// keccak256 of the evidence, or zero.
            response_hash: B256 = data,
            /// What the answer is about; may be zero.
            tag: B256 = data,
        }
        /// The validator answered (8 October 2025): no hash of the evidence.
        WithoutHash = "ValidationResponse(address,uint256,bytes32,uint8,string,bytes32)",
            "0xcc61e07d65464186112fdaddb4b11ccef1928644b11f17e2864b38b451195671" {
            /// Who answers.
            validator_address: Address = topic,
            /// The agent.
            agent_id: U256 = topic,
            /// Which request.
            request_hash: B256 = topic,
            /// 0 to 100.
            response: u8 = data,
            /// Where the evidence is; may be empty.
            response_uri: Text = data,
            /// What the answer is about; may be zero.
            tag: B256 = data,
        }
    }
}

impl EarlierValidationEvent {
    /// What a registry of today would have emitted for it.
    #[must_use]
    pub fn as_today(&self) -> ValidationEvent {
        let (Self::WordTag { validator_address, agent_id, request_hash, response, response_uri, tag, .. }
        | Self::WithoutHash { validator_address, agent_id, request_hash, response, response_uri, tag }) = self;
        let response_hash = match self {
            Self::WordTag { response_hash, .. } => *response_hash,
            Self::WithoutHash { .. } => B256::ZERO,
        };
        ValidationEvent::ValidationResponse {
            validator_address: *validator_address,
            agent_id: *agent_id,
            request_hash: *request_hash,
            response: *response,
            response_uri: response_uri.clone(),
            response_hash,
            tag: text_of_word(tag),
        }
    }
}
