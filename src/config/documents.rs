//! Signed documents: how long before their deadline they are taken, and how often what they name is looked at again.

use serde::Deserialize;

/// What signed documents are held against.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
        }
    }
}
