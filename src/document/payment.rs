//! Payment links: that a transaction paid an agent.

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use super::field::{Uint, is_at_most};
use super::{Document, Kind, Scheme, Unreadable, wrong};
use crate::id::{AccountId, ChainId};

/// The longest endpoint, in bytes.
const MAX_ENDPOINT_BYTES: usize = 2_048;

/// A link, signed by whoever paid, or by the agent's owner or wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PaymentLink {
    /// The identity registry that numbered the agent (CAIP-10).
    pub agent_registry: AccountId,
    /// The agent's number.
    pub agent_id: Uint,
    /// The transaction.
    pub tx_hash: B256,
    /// The token that was paid with (ERC-20); zero: the chain's own coin.
    #[serde(default)]
    pub token: Address,
    /// How much was paid, in the token's smallest unit.
    pub amount: Uint,
    /// The endpoint that was paid for.
    #[serde(default)]
    pub endpoint: String,
    /// Used once by the signer.
    pub nonce: Uint,
    /// Until when it may be handed in.
    pub deadline: Uint,
}

impl Document for PaymentLink {
    const KIND: Kind = Kind::PaymentLink;
    const SCHEME: Scheme = Scheme::Typed {
        primary: "PaymentLink",
        types: &["PaymentLink(string agentRegistry,uint256 agentId,bytes32 txHash,address token,uint256 amount,\
             string endpoint,uint256 nonce,uint256 deadline)"],
    };

    fn check(&self) -> Result<(), Unreadable> {
        if self.tx_hash.is_zero() {
            return Err(wrong("txHash", "the hash of a transaction, not zero"));
        }
        if self.amount == Uint::default() {
            return Err(wrong("amount", "more than nothing"));
        }
        if !is_at_most(&self.endpoint, MAX_ENDPOINT_BYTES) {
            return Err(wrong("endpoint", "at most 2048 bytes long"));
        }
        Ok(())
    }

    fn chain_id(&self) -> Option<ChainId> {
        Some(self.agent_registry.chain_id)
    }

    fn nonce(&self) -> &Uint {
        &self.nonce
    }

    fn deadline(&self) -> Option<&Uint> {
        Some(&self.deadline)
    }
}
