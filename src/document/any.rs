//! A document of whichever kind.

use super::{
    AgentCard, CycleReport, Document, Feedback, FeedbackRevision, FeedbackRevocation, ForwardReceipt, Kind, Manifest,
    ManifestRevocation, PaymentLink, Scheme, Uint, Unreadable, ValidationRequest, ValidationResponse, canonical, read,
};
use crate::id::ChainId;

/// A document of any kind. Kinds differ much in size.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyDocument {
    /// See [`Feedback`].
    Feedback(Box<Feedback>),
    /// See [`FeedbackRevision`].
    FeedbackRevision(Box<FeedbackRevision>),
    /// See [`FeedbackRevocation`].
    FeedbackRevocation(Box<FeedbackRevocation>),
    /// See [`AgentCard`].
    AgentCard(Box<AgentCard>),
    /// See [`ValidationRequest`].
    ValidationRequest(Box<ValidationRequest>),
    /// See [`ValidationResponse`].
    ValidationResponse(Box<ValidationResponse>),
    /// See [`Manifest`].
    Manifest(Box<Manifest>),
    /// See [`ManifestRevocation`].
    ManifestRevocation(Box<ManifestRevocation>),
    /// See [`ForwardReceipt`].
    ForwardReceipt(Box<ForwardReceipt>),
    /// See [`CycleReport`].
    CycleReport(Box<CycleReport>),
    /// See [`PaymentLink`].
    PaymentLink(Box<PaymentLink>),
}

/// Does the same with a document of any kind, as a reference to it.
macro_rules! with_document {
    ($any:expr, $document:ident => $do:expr) => {
        match $any {
            $crate::document::AnyDocument::Feedback(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::FeedbackRevision(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::FeedbackRevocation(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::AgentCard(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::ValidationRequest(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::ValidationResponse(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::Manifest(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::ManifestRevocation(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::ForwardReceipt(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::CycleReport(boxed) => {
                let $document = &**boxed;
                $do
            }
            $crate::document::AnyDocument::PaymentLink(boxed) => {
                let $document = &**boxed;
                $do
            }
        }
    };
}
pub(crate) use with_document;

impl AnyDocument {
    /// Reads a document of a kind.
    ///
    /// # Errors
    /// As [`read`].
    pub fn read(kind: Kind, text: &str) -> Result<Self, Unreadable> {
        Ok(match kind {
            Kind::Feedback => Self::Feedback(Box::new(read(text)?)),
            Kind::FeedbackRevision => Self::FeedbackRevision(Box::new(read(text)?)),
            Kind::FeedbackRevocation => Self::FeedbackRevocation(Box::new(read(text)?)),
            Kind::AgentCard => Self::AgentCard(Box::new(read(text)?)),
            Kind::ValidationRequest => Self::ValidationRequest(Box::new(read(text)?)),
            Kind::ValidationResponse => Self::ValidationResponse(Box::new(read(text)?)),
            Kind::Manifest => Self::Manifest(Box::new(read(text)?)),
            Kind::ManifestRevocation => Self::ManifestRevocation(Box::new(read(text)?)),
            Kind::ForwardReceipt => Self::ForwardReceipt(Box::new(read(text)?)),
            Kind::CycleReport => Self::CycleReport(Box::new(read(text)?)),
            Kind::PaymentLink => Self::PaymentLink(Box::new(read(text)?)),
        })
    }

    /// Its canonical form (RFC 8785), with every member that was left out.
    ///
    /// # Errors
    /// As [`canonical`].
    pub fn canonical(&self) -> Result<String, Unreadable> {
        with_document!(self, document => canonical(document))
    }

    /// How it is signed.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        fn of<D: Document>(_: &D) -> Scheme {
            D::SCHEME
        }
        with_document!(self, document => of(document))
    }

    /// See [`Document::chain_id`].
    #[must_use]
    pub fn chain_id(&self) -> Option<ChainId> {
        with_document!(self, document => document.chain_id())
    }

    /// See [`Document::nonce`].
    #[must_use]
    pub fn nonce(&self) -> &Uint {
        with_document!(self, document => document.nonce())
    }

    /// See [`Document::deadline`].
    #[must_use]
    pub fn deadline(&self) -> Option<&Uint> {
        with_document!(self, document => document.deadline())
    }
}
