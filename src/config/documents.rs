//! Signed documents: how long before their deadline they are taken, how often what they name is looked at again, and
//! where the files that they make are pinned.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use super::error::{ConfigError, invalid};
use super::redact;

/// What signed documents are held against.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Documents {
    /// How far ahead a document's deadline may be, in seconds.
    pub max_deadline_seconds: u64,
    /// How far ahead the end of a request for validation may be, in seconds.
    pub max_validation_seconds: u64,
    /// How long a manifest may hold, in seconds.
    pub max_manifest_seconds: u64,
    /// How often payments that are not final are looked for that the chain has moved, in seconds.
    pub payment_look_seconds: u64,
    /// For how many days attempts that were refused are kept in the trail; what was taken is kept for ever.
    pub refused_days: u32,
    /// How far the signer's clock may be from ours, in seconds.
    pub clock_skew_seconds: u64,
    /// An IPFS Pinning Service to which the files that documents make are pushed; empty: none.
    pub pinning_url: String,
    /// Its bearer token (a secret).
    pub pinning_token: String,
    /// Reads `pinning_token` from a file instead.
    pub pinning_token_file: Option<PathBuf>,
    /// Where the service can fetch this node's files, such as `api.public_url`; empty: from the network.
    pub pinning_origin: String,
    /// How often files that are not pinned yet are looked for, in seconds; one that fails rests twice as long each time.
    pub pinning_seconds: u64,
}

impl fmt::Debug for Documents {
    /// Without the token, which must not reach a log by way of a debug print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").field("pinning_url", &redact(&self.pinning_url)).finish_non_exhaustive()
    }
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            max_deadline_seconds: 3_600,
            max_validation_seconds: 2_592_000,
            max_manifest_seconds: 86_400,
            payment_look_seconds: 15,
            refused_days: 90,
            clock_skew_seconds: 300,
            pinning_url: String::new(),
            pinning_token: String::new(),
            pinning_token_file: None,
            pinning_origin: String::new(),
            pinning_seconds: 15,
        }
    }
}

impl Documents {
    /// Checks what one key alone cannot tell.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (name, url) in [("pinning_url", &self.pinning_url), ("pinning_origin", &self.pinning_origin)] {
            if !url.is_empty() && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
                let url = redact(url);
                return Err(invalid(format!("documents.{name} {url} does not begin with http:// or https://")));
            }
        }
        if self.payment_look_seconds == 0 || self.pinning_seconds == 0 {
            return Err(invalid("documents.payment_look_seconds and documents.pinning_seconds must be at least 1"));
        }
        Ok(())
    }
}
