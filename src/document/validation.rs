//! Validations that are not on the chain: a request to a validator, and what it found.

use alloy::primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use super::field::{Uint, is_at_most};
use super::{Document, Kind, Scheme, Unreadable, wrong};
use crate::id::{AccountId, ChainId};

/// The longest URI, in bytes.
const MAX_URI_BYTES: usize = 2_048;
/// The longest tag, in bytes.
const MAX_TAG_BYTES: usize = 256;
/// The best response.
const MAX_RESPONSE: u8 = 100;

/// A request that a validator looks at something, made by the agent's owner or wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidationRequest {
    /// The identity registry that numbered the agent (CAIP-10).
    pub agent_registry: AccountId,
    /// The agent's number.
    pub agent_id: Uint,
    /// Who is asked.
    pub validator: Address,
    /// The hash of what is to be validated; a request on the chain with this hash is linked.
    pub data_hash: B256,
    /// Where that is.
    #[serde(rename = "dataURI")]
    pub data_uri: String,
    /// Until when it can be answered, in seconds since 1970.
    pub expires_at: Uint,
    /// Used once by the signer.
    pub nonce: Uint,
    /// Until when it may be handed in.
    pub deadline: Uint,
}

impl Document for ValidationRequest {
    const KIND: Kind = Kind::ValidationRequest;
    const SCHEME: Scheme = Scheme::Typed {
        primary: "ValidationRequest",
        types: &["ValidationRequest(string agentRegistry,uint256 agentId,address validator,bytes32 dataHash,\
             string dataURI,uint256 expiresAt,uint256 nonce,uint256 deadline)"],
    };

    fn check(&self) -> Result<(), Unreadable> {
        if self.data_hash.is_zero() {
            return Err(wrong("dataHash", "the hash of something, not zero"));
        }
        if self.validator.is_zero() {
            return Err(wrong("validator", "somebody's address, not zero"));
        }
        if self.data_uri.is_empty() || !is_at_most(&self.data_uri, MAX_URI_BYTES) {
            return Err(wrong("dataURI", "a URI of 1 to 2048 bytes"));
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

/// What the validator that was asked found. It may come several times; the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidationResponse {
    /// The digest of the request.
    pub request: B256,
    /// From 0 (failed) to 100 (passed).
    pub response: u8,
    /// Where more about it is.
    #[serde(default, rename = "responseURI")]
    pub response_uri: String,
    /// The hash of what is there; zero: none is told.
    #[serde(default)]
    pub response_hash: B256,
    /// What kind of validation it was.
    #[serde(default)]
    pub tag: String,
    /// Used once by the signer.
    pub nonce: Uint,
    /// Until when it may be handed in.
    pub deadline: Uint,
}

impl Document for ValidationResponse {
    const KIND: Kind = Kind::ValidationResponse;
    const SCHEME: Scheme = Scheme::Typed {
        primary: "ValidationResponse",
        types: &[
            "ValidationResponse(bytes32 request,uint8 response,string responseURI,bytes32 responseHash,string tag,\
             uint256 nonce,uint256 deadline)",
        ],
    };

    fn check(&self) -> Result<(), Unreadable> {
        if self.response > MAX_RESPONSE {
            return Err(wrong("response", "from 0 to 100"));
        }
        if !is_at_most(&self.response_uri, MAX_URI_BYTES) {
            return Err(wrong("responseURI", "at most 2048 bytes long"));
        }
        if !is_at_most(&self.tag, MAX_TAG_BYTES) {
            return Err(wrong("tag", "at most 256 bytes long"));
        }
        Ok(())
    }

    fn chain_id(&self) -> Option<ChainId> {
        None
    }

    fn nonce(&self) -> &Uint {
        &self.nonce
    }

    fn deadline(&self) -> Option<&Uint> {
        Some(&self.deadline)
    }
}
