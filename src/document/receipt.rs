//! Forward receipts (after Kagami): that an agent took over a request that another one passed on.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::field::Uint;
use super::{Document, Kind, Scheme, Unreadable, wrong};
use crate::id::{AccountId, ChainId};

/// The last hop of a path, counted from 0.
pub const MAX_HOP: u8 = 10;

/// A receipt, signed by the owner or the wallet of the agent that took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForwardReceipt {
    /// The identity registry that numbered both agents (CAIP-10).
    pub agent_registry: AccountId,
    /// The transaction that the path begins with.
    pub root_tx_hash: B256,
    /// Which step of the path it is, from 0 to 10.
    pub hop: u8,
    /// Who passed the request on.
    pub source_agent_id: Uint,
    /// Who took it over.
    pub destination_agent_id: Uint,
    /// The digest of the destination's manifest that was in force.
    pub manifest_hash: B256,
    /// The hash of what is passed on next; zero at the end of the path.
    #[serde(default)]
    pub next_hop_hash: B256,
    /// Used once by the signer.
    pub nonce: Uint,
}

impl Document for ForwardReceipt {
    const KIND: Kind = Kind::ForwardReceipt;
    const SCHEME: Scheme = Scheme::Text;

    fn check(&self) -> Result<(), Unreadable> {
        if self.hop > MAX_HOP {
            return Err(wrong("hop", "from 0 to 10"));
        }
        if self.root_tx_hash.is_zero() {
            return Err(wrong("rootTxHash", "the hash of a transaction, not zero"));
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
        None
    }
}
