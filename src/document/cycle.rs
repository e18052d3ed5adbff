//! Cycle reports: that the receipts of one transaction lead back to an agent that had the request before.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::field::Uint;
use super::receipt::MAX_HOP;
use super::{Document, Kind, Scheme, Unreadable, wrong};
use crate::id::{AccountId, ChainId};

/// A report by anybody. It is taken when the receipts that are held say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CycleReport {
    /// The identity registry that numbered the agents (CAIP-10).
    pub agent_registry: AccountId,
    /// The transaction that the path begins with.
    pub root_tx_hash: B256,
    /// The agents of the circle, in the order of the path, each once, beginning with the one that it leads back to.
    pub agent_ids: Vec<Uint>,
    /// Used once by the signer.
    pub nonce: Uint,
}

impl Document for CycleReport {
    const KIND: Kind = Kind::CycleReport;
    const SCHEME: Scheme = Scheme::Text;

    fn check(&self) -> Result<(), Unreadable> {
        let most = usize::from(MAX_HOP) + 1;
        if self.agent_ids.is_empty() || self.agent_ids.len() > most {
            return Err(wrong("agentIds", &format!("a list of 1 to {most} agents")));
        }
        if self.agent_ids.iter().enumerate().any(|(place, agent)| self.agent_ids[..place].contains(agent)) {
            return Err(wrong("agentIds", "a list that names each agent once"));
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
