//! Endpoint manifests (after Kagami): where an agent can be reached for a while, and by which key.

use alloy::primitives::B256;
use serde::{Deserialize, Serialize};

use super::field::{Uint, is_at_most};
use super::{Document, Kind, Scheme, Unreadable, wrong};
use crate::id::{AccountId, ChainId};

/// The longest endpoint, in bytes.
const MAX_ENDPOINT_BYTES: usize = 2_048;
/// The longest key, in bytes.
const MAX_PUBKEY_BYTES: usize = 512;

/// A manifest, signed by the agent's owner or its wallet. Each one takes the place of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// The identity registry that numbered the agent (CAIP-10).
    pub agent_registry: AccountId,
    /// The agent's number.
    pub agent_id: Uint,
    /// Where the agent is.
    pub endpoint_uri: String,
    /// The key that its answers are signed with, as the agent writes it.
    pub pubkey: String,
    /// Higher than that of every manifest of the agent before.
    pub nonce: Uint,
    /// From when on it holds, in seconds since 1970.
    pub valid_from: Uint,
    /// Until when it holds, that second included.
    pub valid_until: Uint,
}

impl Document for Manifest {
    const KIND: Kind = Kind::Manifest;
    const SCHEME: Scheme = Scheme::Text;

    fn check(&self) -> Result<(), Unreadable> {
        if self.endpoint_uri.is_empty() || !is_at_most(&self.endpoint_uri, MAX_ENDPOINT_BYTES) {
            return Err(wrong("endpointUri", "a URI of 1 to 2048 bytes"));
        }
        if self.pubkey.is_empty() || !is_at_most(&self.pubkey, MAX_PUBKEY_BYTES) {
            return Err(wrong("pubkey", "a key of 1 to 512 bytes"));
        }
        if self.valid_until <= self.valid_from {
            return Err(wrong("validUntil", "later than validFrom"));
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

/// The end of a manifest before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestRevocation {
    /// The identity registry that numbered the agent (CAIP-10).
    pub agent_registry: AccountId,
    /// The agent's number.
    pub agent_id: Uint,
    /// The digest of the manifest.
    pub manifest_hash: B256,
    /// Used once by the signer.
    pub nonce: Uint,
}

impl Document for ManifestRevocation {
    const KIND: Kind = Kind::ManifestRevocation;
    const SCHEME: Scheme = Scheme::Text;

    fn check(&self) -> Result<(), Unreadable> {
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
