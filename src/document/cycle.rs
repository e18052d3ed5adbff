//! Cycle reports: that a request went in a circle, shown by the receipt of whoever had it before and took it again.

use alloy::primitives::Bytes;
use serde::{Deserialize, Serialize};

use super::field::Uint;
use super::receipt::{ForwardReceipt, MAX_HOP};
use super::{Document, Kind, Scheme, Unreadable, wrong};
use crate::id::{AccountId, ChainId};

/// The longest signature of the receipt, in bytes: one of a wallet that is not deployed yet brings its code.
const MAX_SIGNATURE_BYTES: usize = 32_768;

/// A report by anybody who holds the receipt that closes the circle. Each agent that it names has signed that it took the
/// request over: the receipts before are held already, and the last one stands here. That it passed the request on is said
/// by the agent after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CycleReport {
    /// The agents of the circle, in the order of the path, each once, beginning with the one that it leads back to.
    pub agent_ids: Vec<Uint>,
    /// The receipt by which that one took the request over again, from the last of them.
    pub receipt: ForwardReceipt,
    /// Who signed the receipt.
    pub receipt_signer: AccountId,
    /// What they signed it with.
    pub receipt_signature: Bytes,
    /// Used once by the signer of the report.
    pub nonce: Uint,
}

impl Document for CycleReport {
    const KIND: Kind = Kind::CycleReport;
    const SCHEME: Scheme = Scheme::Text;

    fn check(&self) -> Result<(), Unreadable> {
        self.receipt.check().map_err(|reason| Unreadable(format!("`receipt`: {reason}")))?;
        let most = usize::from(MAX_HOP) + 1;
        if self.agent_ids.is_empty() || self.agent_ids.len() > most {
            return Err(wrong("agentIds", &format!("a list of 1 to {most} agents")));
        }
        if self.agent_ids.iter().enumerate().any(|(place, agent)| self.agent_ids[..place].contains(agent)) {
            return Err(wrong("agentIds", "a list that names each agent once"));
        }
        let ends = (self.agent_ids.first(), self.agent_ids.last());
        if ends != (Some(&self.receipt.destination_agent_id), Some(&self.receipt.source_agent_id)) {
            let must_be = "the circle from the receipt's `destinationAgentId` to its `sourceAgentId`";
            return Err(wrong("agentIds", must_be));
        }
        if self.receipt_signer.chain_id != self.receipt.agent_registry.chain_id {
            return Err(wrong("receiptSigner", "an account of the receipt's chain"));
        }
        if self.receipt_signature.len() > MAX_SIGNATURE_BYTES {
            return Err(wrong("receiptSignature", &format!("at most {MAX_SIGNATURE_BYTES} bytes long")));
        }
        Ok(())
    }

    fn chain_id(&self) -> Option<ChainId> {
        self.receipt.chain_id()
    }

    fn nonce(&self) -> &Uint {
        &self.nonce
    }

    fn deadline(&self) -> Option<&Uint> {
        None
    }
}
