//! Why a document is not taken.

use std::fmt;

/// A document that is not taken: what kind of reason, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of reason.
    pub reason: Reason,
    /// A sentence for whoever handed it in.
    pub message: String,
}

/// What kind of reason a refusal has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The document is not one of its kind.
    BadInput,
    /// It is larger than documents may be.
    TooLarge,
    /// The signer did not sign it.
    InvalidSignature,
    /// The signer used the nonce before, for something else.
    NonceReplayed,
    /// A higher nonce was used before.
    NonceTooLow,
    /// Its time is over, or not yet near.
    Expired,
    /// The signer may not say this.
    Forbidden,
    /// What it is about is not held.
    NotFound,
    /// It contradicts what was said before.
    Conflict,
    /// It would lead back to an agent that had the request before.
    CircularDependency {
        /// The agents of the circle, by their ids.
        agents: Vec<String>,
    },
    /// Whether it may be taken cannot be found out now.
    Unavailable,
}

impl Reason {
    /// Its code in the API, in the database and in logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadInput => "BAD_INPUT",
            Self::TooLarge => "TOO_LARGE",
            Self::InvalidSignature => "INVALID_SIGNATURE",
            Self::NonceReplayed => "NONCE_REPLAYED",
            Self::NonceTooLow => "NONCE_TOO_LOW",
            Self::Expired => "EXPIRED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::Conflict => "CONFLICT",
            Self::CircularDependency { .. } => "CIRCULAR_DEPENDENCY",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// The refusal for this reason.
    #[must_use]
    pub fn because(self, message: impl Into<String>) -> Refusal {
        Refusal { reason: self, message: message.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
