//! Signatures: what exactly is signed of a document, and whether somebody signed it.
//!
//! What must always hold: what a wallet is shown ([`Payload`]) is what is checked; a signature counts for one document of
//! one kind on one chain; of the two spellings that each signature has, one is taken (EIP-2).

mod contract;
mod recover;
#[cfg(test)]
mod tests;
mod typed;

use alloy::primitives::{B256, eip191_hash_message};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::document::{AnyDocument, Document, Scheme, Unreadable, canonical, with_document};
use crate::id::ChainId;

pub use self::contract::{GAS, VALIDATOR, is_wrapped, question, says_yes};
pub use self::recover::{NotASignature, recover};

/// What is signed of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// The document's name, by which it is referred to: of typed data the hash that is signed (EIP-712), of a text its
    /// SHA-256.
    pub digest: B256,
    /// The 32 bytes that the key signs.
    pub hash: B256,
    /// What a wallet shows.
    pub shown: Shown,
}

/// What a wallet is given to sign.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// Typed data, for `eth_signTypedData_v4`.
    Typed(Value),
    /// A text, for `personal_sign`.
    Text(String),
}

impl Payload {
    /// What is signed of a document on a chain.
    ///
    /// # Errors
    /// [`Unreadable`] where a member does not fit its type.
    pub fn of<D: Document>(document: &D, chain_id: ChainId) -> Result<Self, Unreadable> {
        match D::SCHEME {
            Scheme::Typed { primary, types } => {
                let types = typed::types(D::KIND, primary, types);
                let message = document.message();
                let hash = types.hash(&message, chain_id)?;
                Ok(Self { digest: hash, hash, shown: Shown::Typed(types.shown(message, chain_id)) })
            }
            Scheme::Text => {
                let text = canonical(document)?;
                let digest: [u8; 32] = Sha256::digest(&text).into();
                Ok(Self { digest: digest.into(), hash: eip191_hash_message(&text), shown: Shown::Text(text) })
            }
        }
    }

    /// The same, of a document of any kind.
    ///
    /// # Errors
    /// As [`Payload::of`].
    pub fn of_any(document: &AnyDocument, chain_id: ChainId) -> Result<Self, Unreadable> {
        with_document!(document, document => Self::of(document, chain_id))
    }

    /// What a wallet is shown, as one JSON value.
    #[must_use]
    pub fn json(&self) -> Value {
        match &self.shown {
            Shown::Typed(data) => data.clone(),
            Shown::Text(text) => json!(text),
        }
    }
}
