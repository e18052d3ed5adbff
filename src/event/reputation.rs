//! Events of the reputation registry: feedback, its revocation, responses to it (ERC-8004, January 2026).

use alloy::primitives::{Address, B256, U256};

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
