//! Events of a validation registry: a request to a validator, and its answers (ERC-8004, January 2026).
//!
//! A request may be answered several times; the last answer counts. An answer of 0 is an answer.

use alloy::primitives::{Address, B256, U256};

use super::text::Text;

super::events! {
    /// An event of a validation registry.
    ValidationEvent {
        /// A validator was asked to validate an agent's work.
        ValidationRequest = "ValidationRequest(address,uint256,string,bytes32)",
            "0x530436c3634a98e1e626b0898be2f1e9980cc1bd2a78c07a0aba52d0a48a5059" {
            /// Who is asked.
            validator_address: Address = topic,
            /// The agent.
            agent_id: U256 = topic,
            /// Where the material is.
            request_uri: Text = data,
            /// Identifies the request within its registry.
            request_hash: B256 = topic,
        }
        /// The validator answered.
        ValidationResponse = "ValidationResponse(address,uint256,bytes32,uint8,string,bytes32,string)",
            "0xafddf629e874ccc3963b6a888c477bd464a6c8525024fc88759ea3b2326349ae" {
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
            /// What the answer is about; may be empty.
            tag: Text = data,
        }
    }
}
