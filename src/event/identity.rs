//! Events of the identity registry: an ERC-721 whose tokens are agents (ERC-8004, generation of January 2026).
//!
//! The owner of an agent follows `Transfer`, not `Registered`: a mint calls its receiver before `Registered` is
//! emitted, so other events of that agent can come first in the same transaction.

use alloy::primitives::{Address, B256, Bytes, U256};

use super::text::Text;

super::events! {
    /// An event of the identity registry.
    IdentityEvent {
        /// An agent was registered.
        Registered = "Registered(uint256,string,address)",
            "0xca52e62c367d81bb2e328eb795f7c7ba24afb478408a26c0e201d155c449bc4a" {
            /// The agent; ids are dense from 0.
            agent_id: U256 = topic,
            /// Where its registration file is; may be empty, or the file itself as a data: URI.
            agent_uri: Text = data,
            /// Who registered it.
            owner: Address = topic,
        }
        /// A metadata entry was set; an empty value clears it.
        MetadataSet = "MetadataSet(uint256,string,string,bytes)",
            "0x2c149ed548c6d2993cd73efe187df6eccabe4538091b33adbd25fafdb8a1468b" {
            /// The agent.
            agent_id: U256 = topic,
            /// keccak256 of the key.
            indexed_metadata_key: B256 = topic,
            /// The key; `agentWallet` is reserved to the registry itself.
            metadata_key: Text = data,
            /// The value; of `agentWallet`: 20 bytes, or none once it is unset.
            metadata_value: Bytes = data,
        }
        /// The agent's URI changed.
        URIUpdated = "URIUpdated(uint256,string,address)",
            "0x3a2c7fffc2cba7582c690e3b82c453ea02a308326a98a3ad7576c606336409fb" {
            /// The agent.
            agent_id: U256 = topic,
            /// The new URI.
            new_uri: Text = data,
            /// Owner or operator that set it.
            updated_by: Address = topic,
        }
        /// The agent's token moved (ERC-721); from zero: minted, to zero: burned.
        Transfer = "Transfer(address,address,uint256)",
            "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef" {
            /// The owner before.
            from: Address = topic,
            /// The owner after.
            to: Address = topic,
            /// The agent.
            token_id: U256 = topic,
        }
        /// One address may act for one agent (ERC-721); zero withdraws it, and so does a transfer.
        Approval = "Approval(address,address,uint256)",
            "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925" {
            /// The agent's owner.
            owner: Address = topic,
            /// Who may act for it.
            approved: Address = topic,
            /// The agent.
            token_id: U256 = topic,
        }
        /// An operator may act for all agents of an owner, or no longer (ERC-721).
        ApprovalForAll = "ApprovalForAll(address,address,bool)",
            "0x17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31" {
            /// The owner.
            owner: Address = topic,
            /// The operator.
            operator: Address = topic,
            /// Whether it may.
            approved: bool = data,
        }
        /// A token's metadata changed (ERC-4906); says nothing that `URIUpdated` does not.
        MetadataUpdate = "MetadataUpdate(uint256)",
            "0xf8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7" {
            /// The agent.
            token_id: U256 = data,
        }
        /// The metadata of a range of tokens changed (ERC-4906).
        BatchMetadataUpdate = "BatchMetadataUpdate(uint256,uint256)",
            "0x6bd5c950a8d8df17f772f5af37cb3655737899cbf903264b9795592da439661c" {
            /// The first of them.
            from_token_id: U256 = data,
            /// The last of them.
            to_token_id: U256 = data,
        }
    }
}
