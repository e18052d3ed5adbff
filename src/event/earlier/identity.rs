//! What identity registries emitted before January 2026, where it differs from what they emit now.

use alloy::primitives::{Address, B256, U256};

use crate::event::IdentityEvent;
use crate::event::text::Text;

crate::event::events! {
    /// An event of an earlier identity registry.
    EarlierIdentityEvent {
        /// The agent's URI changed (October 2025 to January 2026); now `URIUpdated`.
        UriUpdated = "UriUpdated(uint256,string,address)",
            "0xb41beef75d9f8d55b985319b459e96f82453580af381391f1ad531eb8f8b5a3a" {
            /// The agent.
            agent_id: U256 = topic,
            /// The new URI.
            new_uri: Text = data,
            /// Owner or operator that set it.
            updated_by: Address = topic,
        }
        /// A metadata entry was set, with a text for its value (November to December 2025).
        MetadataSet = "MetadataSet(uint256,string,string,string)",
            "0x2dbec70f51f7b79cc6a9d4ea913abc7d680b523e0763e3ad622612950757609c" {
            /// The agent.
            agent_id: U256 = topic,
            /// keccak256 of the key.
            indexed_metadata_key: B256 = topic,
            /// The key.
            metadata_key: Text = data,
            /// The value.
            metadata_value: Text = data,
        }
        /// An agent was registered (August 2025): an address with a domain, not yet a token.
        AgentRegistered = "AgentRegistered(uint256,string,address)",
            "0xaef1fcdf962a03943b677ae3b92ef1b34c972aeef794ed6e9ba5f599b461883b" {
            /// The agent.
            agent_id: U256 = topic,
            /// The domain at which its card is.
            agent_domain: Text = data,
            /// Its address.
            agent_address: Address = data,
        }
        /// An agent's domain or address changed (August 2025); both are told.
        AgentUpdated = "AgentUpdated(uint256,string,address)",
            "0x1b37db56c92268433e33fda6783791cb9e5f8ffababd3952ab40716443f1bf89" {
            /// The agent.
            agent_id: U256 = topic,
            /// The domain at which its card is.
            agent_domain: Text = data,
            /// Its address.
            agent_address: Address = data,
        }
    }
}

impl EarlierIdentityEvent {
    /// What a registry of today would have emitted for it, in order.
    #[must_use]
    pub fn as_today(&self) -> Vec<IdentityEvent> {
        match self {
            Self::UriUpdated { agent_id, new_uri, updated_by } => {
                vec![IdentityEvent::URIUpdated {
                    agent_id: *agent_id,
                    new_uri: new_uri.clone(),
                    updated_by: *updated_by,
                }]
            }
            Self::MetadataSet { agent_id, indexed_metadata_key, metadata_key, metadata_value } => {
                vec![IdentityEvent::MetadataSet {
                    agent_id: *agent_id,
                    indexed_metadata_key: *indexed_metadata_key,
                    metadata_key: metadata_key.clone(),
                    metadata_value: metadata_value.0.clone(),
                }]
            }
            Self::AgentRegistered { agent_id, agent_domain, agent_address } => {
                vec![IdentityEvent::Registered {
                    agent_id: *agent_id,
                    agent_uri: agent_domain.clone(),
                    owner: *agent_address,
                }]
            }
            // Whoever has the address has the agent.
            Self::AgentUpdated { agent_id, agent_domain, agent_address } => vec![
                IdentityEvent::URIUpdated {
                    agent_id: *agent_id,
                    new_uri: agent_domain.clone(),
                    updated_by: *agent_address,
                },
                IdentityEvent::Transfer { from: *agent_address, to: *agent_address, token_id: *agent_id },
            ],
        }
    }
}
