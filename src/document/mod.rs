//! Signed documents: what people say of agents without a transaction, each kind as it is written and as it is signed.
//!
//! A document is a JSON object. It is read strictly: a member that is unknown, missing, said twice or out of its bounds is
//! refused, and the refusal names it. What must always hold: two documents that mean different things have different
//! digests, and what was read is written out again with all that was signed.
//!
//! Documents about feedback, cards, validations and payments are signed as typed data (EIP-712): their members are
//! exactly those of [`Document::TYPES`]. Manifests, receipts and reports are signed as text (EIP-191): the text is the document in
//! canonical form (RFC 8785), and nothing else is accepted as it. Whole numbers beyond 2^53 are strings of digits, because
//! programs that read JSON round them.

mod any;
mod card;
mod cid;
mod cycle;
mod feedback;
mod field;
mod json;
mod manifest;
mod payment;
mod receipt;
mod refusal;
#[cfg(test)]
mod tests;
mod validation;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::id::ChainId;

pub use self::any::AnyDocument;
pub(crate) use self::any::with_document;
pub use self::card::{AgentCard, CARD_VERSION};
pub use self::cid::Cid;
pub use self::cycle::CycleReport;
pub use self::feedback::{Content, Feedback, FeedbackRevision, FeedbackRevocation};
pub use self::field::{Int, Uint};
pub use self::json::canonical;
pub use self::manifest::{Manifest, ManifestRevocation};
pub use self::payment::PaymentLink;
pub use self::receipt::{ForwardReceipt, MAX_HOP};
pub use self::refusal::{Reason, Refusal};
pub use self::validation::{ValidationRequest, ValidationResponse};

/// The largest document, in bytes (the standard's own limit for a feedback file).
pub const MAX_BYTES: usize = 100_000;

/// What kind of document it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Feedback about an agent.
    Feedback,
    /// A new version of feedback that was given before.
    FeedbackRevision,
    /// The end of feedback that was given before.
    FeedbackRevocation,
    /// What an agent says of itself (A2A).
    AgentCard,
    /// A wish that a validator looks at something.
    ValidationRequest,
    /// What the validator found.
    ValidationResponse,
    /// Where an agent can be reached, and by which key.
    Manifest,
    /// The end of a manifest before its time.
    ManifestRevocation,
    /// That an agent took over a request from another one.
    ForwardReceipt,
    /// That requests went in a circle.
    CycleReport,
    /// That a transaction paid an agent.
    PaymentLink,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Feedback,
        Self::FeedbackRevision,
        Self::FeedbackRevocation,
        Self::AgentCard,
        Self::ValidationRequest,
        Self::ValidationResponse,
        Self::Manifest,
        Self::ManifestRevocation,
        Self::ForwardReceipt,
        Self::CycleReport,
        Self::PaymentLink,
    ];

    /// Its name in the API, in the database and in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Feedback => "FEEDBACK",
            Self::FeedbackRevision => "FEEDBACK_REVISION",
            Self::FeedbackRevocation => "FEEDBACK_REVOCATION",
            Self::AgentCard => "AGENT_CARD",
            Self::ValidationRequest => "VALIDATION_REQUEST",
            Self::ValidationResponse => "VALIDATION_RESPONSE",
            Self::Manifest => "MANIFEST",
            Self::ManifestRevocation => "MANIFEST_REVOCATION",
            Self::ForwardReceipt => "FORWARD_RECEIPT",
            Self::CycleReport => "CYCLE_REPORT",
            Self::PaymentLink => "PAYMENT_LINK",
        }
    }

    /// What a document of the kind says, in a sentence.
    #[must_use]
    pub fn doc(self) -> &'static str {
        match self {
            Self::Feedback => "Feedback about an agent, signed by the client (EIP-712).",
            Self::FeedbackRevision => "A new version of feedback, signed by the same client (EIP-712).",
            Self::FeedbackRevocation => "The end of feedback, signed by the same client (EIP-712).",
            Self::AgentCard => "What an agent says of itself (A2A), signed by its owner or wallet (EIP-712).",
            Self::ValidationRequest => {
                "A wish that a validator looks at something, signed by the agent's owner or wallet (EIP-712)."
            }
            Self::ValidationResponse => "What a validator found, signed by that validator (EIP-712).",
            Self::Manifest => "Where an agent is and by which key, signed by its owner or wallet (EIP-191).",
            Self::ManifestRevocation => {
                "The end of a manifest before its time, signed by the agent's owner or wallet (EIP-191)."
            }
            Self::ForwardReceipt => "That an agent took over a request, signed by its owner or wallet (EIP-191).",
            Self::CycleReport => "That requests went in a circle, signed by anybody (EIP-191).",
            Self::PaymentLink => {
                "That a transaction paid an agent, signed by who paid or by the agent's owner or wallet (EIP-712)."
            }
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How a kind of document is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// As typed data (EIP-712).
    Typed {
        /// The type of the document itself.
        primary: &'static str,
        /// That type and those of its parts, in EIP-712's `encodeType`, each in one string.
        types: &'static [&'static str],
    },
    /// As text (EIP-191, `personal_sign`): its canonical form.
    Text,
}

/// What every kind of document has.
pub trait Document: Serialize + DeserializeOwned {
    /// Its kind.
    const KIND: Kind;
    /// How it is signed.
    const SCHEME: Scheme;

    /// Whatever no single member can tell.
    ///
    /// # Errors
    /// [`Unreadable`], naming the member.
    fn check(&self) -> Result<(), Unreadable>;

    /// The chain that it names; nothing where it is the signer's.
    fn chain_id(&self) -> Option<ChainId>;

    /// The number that the signer uses once for documents of this kind.
    fn nonce(&self) -> &Uint;

    /// Until when it may be handed in, in seconds since 1970; nothing where it is bounded otherwise.
    fn deadline(&self) -> Option<&Uint>;

    /// The message that is signed: the document with every member written out, or what stands for it.
    fn message(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Why a text is not a document of its kind: what is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

/// That a member is not what it must be.
fn wrong(member: &str, must_be: &str) -> Unreadable {
    Unreadable(format!("`{member}` must be {must_be}"))
}

/// Reads a document.
///
/// # Errors
/// [`Unreadable`] where it is not one of the kind, or where a text to be signed is not in its canonical form.
pub fn read<D: Document>(text: &str) -> Result<D, Unreadable> {
    let value = json::strict(text)?;
    let document: D = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner();
        Unreadable(if path == "." { reason.to_string() } else { format!("`{path}`: {reason}") })
    })?;
    document.check()?;
    if D::SCHEME == Scheme::Text && canonical(&document)? != text {
        return Err(Unreadable(
            "the document is not in its canonical form (RFC 8785): members sorted, no spaces, whole numbers beyond 2^53 as \
             strings; `signingPayload` gives the text to sign"
                .to_owned(),
        ));
    }
    Ok(document)
}
