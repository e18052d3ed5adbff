//! The acceptance of signed documents: read, held against the signature and the clock, and handed to the store.
//!
//! What must always hold: nothing is taken that its signer did not sign; what cannot be checked now is refused, and may be
//! handed in again; every attempt is written down with what became of it.

mod desk;
mod endpoints;
mod payments;
mod pinning;
mod time;
mod trail;
mod wallet;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, hex};
use tokio::task::JoinSet;

use self::desk::Desk;
use self::endpoints::Endpoints;
use self::trail::Underway;
pub use self::wallet::Method;
use self::wallet::Wallets;
use crate::config::{self, Documents};
use crate::document::{AnyDocument, CycleReport, Kind, MAX_BYTES, Reason, Refusal, Uint};
use crate::id::{AccountId, ChainId};
use crate::sign::Payload;
use crate::store::{Attempt, Handed, Outcome, Sender, Store};

/// The longest signature, in bytes: one of a wallet that is not deployed yet brings its code.
const MAX_SIGNATURE_BYTES: usize = 32_768;

/// The longest text of a signer that is written down, in bytes.
const MAX_SIGNER_BYTES: usize = 128;

/// Where documents are handed in.
pub struct Submitter {
    store: Arc<Store>,
    rules: Documents,
    networks: HashMap<ChainId, Network>,
    /// What is done beside, for as long as documents are taken: it ends with the submitter.
    _chores: JoinSet<()>,
}

/// What documents of one network need.
struct Network {
    endpoints: Arc<Endpoints>,
    wallets: Wallets,
    desk: Desk,
}

/// A document with what is said to be its signature.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// The kind of document.
    pub kind: Kind,
    /// The document, as JSON.
    pub document: &'a str,
    /// Who is said to have signed it (CAIP-10).
    pub signer: &'a str,
    /// The signature, as hex.
    pub signature: &'a str,
}

/// A document that its signer signed, and that is yet to be taken.
#[derive(Debug)]
pub struct Checked {
    chain_id: ChainId,
    handed: Handed,
}

impl Checked {
    /// Who signed it.
    #[must_use]
    pub fn signer(&self) -> Address {
        self.handed.signer
    }
}

/// How what a document is about is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// By a document's digest: of feedback, the one that gave it first; of an answer, the request's.
    Digest(B256),
    /// By the agent: its registry and its number.
    Agent(Address, Uint),
}

/// A document that was taken, now or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The network.
    pub chain_id: ChainId,
    /// The document's digest.
    pub digest: B256,
    /// What it is about.
    pub about: About,
    /// Whether it came before.
    pub outcome: Outcome,
    /// The number of the network's commit from which on readers see it.
    pub seq: u64,
}

/// A document that was read, with what its signer signed.
struct Read {
    document: AnyDocument,
    signer: AccountId,
    payload: Payload,
    signature: Vec<u8>,
}

impl Submitter {
    /// Takes documents for these networks, whose endpoints are asked about wallets that are contracts.
    #[must_use]
    pub fn new(store: &Arc<Store>, rules: Documents, networks: &[config::Network]) -> Self {
        let mut chores = JoinSet::new();
        chores.spawn(trail::keep_forgetting(Arc::clone(store), rules.refused_days));
        if !rules.pinning_url.is_empty() {
            chores.spawn(pinning::keep_pinning(Arc::clone(store), rules.clone()));
        }
        let every = Duration::from_secs(rules.payment_look_seconds);
        let networks = networks.iter().map(|network| {
            let endpoints = Arc::new(Endpoints::new(network.clone()));
            chores.spawn(payments::keep_looking(Arc::clone(store), Arc::clone(&endpoints), every));
            let (wallets, desk) = (Wallets::new(Arc::clone(&endpoints)), Desk::new(Arc::clone(store), network));
            (network.chain_id, Network { endpoints, wallets, desk })
        });
        let networks = networks.collect();
        Self { store: Arc::clone(store), rules, networks, _chores: chores }
    }

    /// Reads a document and makes sure that its signer signed it, which is the first half of handing it in.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing is kept of it but the attempt.
    pub async fn check(&self, submission: Submission<'_>, mut sender: Sender) -> Result<Checked, Refusal> {
        sender.signer = submission.signer.chars().filter(|letter| *letter != '\0').take(MAX_SIGNER_BYTES).collect();
        let kind = submission.kind;
        let chain_id = submission.signer.parse::<AccountId>().ok().map(|signer| signer.chain_id);
        let underway = Underway::new(&self.store, kind, chain_id, &sender);
        let checked = self.checked(submission).await;
        underway.ended();
        match checked {
            Ok(read) => Ok(Checked {
                chain_id: read.signer.chain_id,
                handed: Handed {
                    kind,
                    body: submission.document.to_owned(),
                    digest: read.payload.digest,
                    signer: read.signer.address,
                    untimely: time::untimely(&self.rules, &read.document, time::now()),
                    document: read.document,
                    transaction: None,
                    signature: read.signature,
                    sender,
                },
            }),
            Err((refusal, digest)) => {
                let (outcome, reason) = (refusal.reason.code(), refusal.message.clone());
                self.note(Attempt { kind: kind.name(), chain_id, digest, outcome, reason, sender }).await?;
                Err(refusal)
            }
        }
    }

    /// Takes a document that was checked, which is the second half.
    ///
    /// # Errors
    /// As [`Submitter::check`].
    pub async fn take(&self, checked: Checked) -> Result<Receipt, Refusal> {
        let Checked { chain_id, mut handed } = checked;
        let (digest, about) = (handed.digest, about(&handed.document, handed.digest));
        let network = self.network(chain_id)?;
        if let AnyDocument::PaymentLink(link) = &handed.document {
            let underway = Underway::new(&self.store, handed.kind, Some(chain_id), &handed.sender);
            handed.transaction = Some(payments::transaction(&network.endpoints, link).await);
            underway.ended();
        }
        let (outcome, seq) = network.desk.hand_in(handed).await?;
        Ok(Receipt { chain_id, digest, about, outcome, seq })
    }

    /// Writes down that a document that was checked is not taken, because its signer, or whoever sends it, has handed in too
    /// many.
    ///
    /// # Errors
    /// [`Refusal`] where that cannot be written down.
    pub async fn turn_away(&self, checked: Checked, reason: String) -> Result<(), Refusal> {
        let Checked { chain_id, handed } = checked;
        let (kind, digest) = (handed.kind.name(), Some(handed.digest));
        let chain_id = Some(chain_id);
        self.note(Attempt { kind, chain_id, digest, outcome: "RATE_LIMITED", reason, sender: handed.sender }).await
    }

    async fn note(&self, attempt: Attempt) -> Result<(), Refusal> {
        trail::tell(&attempt);
        self.store.note_attempt(&attempt).await.map_err(|error| away(&error))
    }

    /// What is signed of a document; nothing is kept.
    ///
    /// # Errors
    /// [`Refusal`] where it is not one of the kind, or where neither it nor anybody says on which chain.
    pub fn payload(&self, kind: Kind, document: &str, chain_id: Option<ChainId>) -> Result<Payload, Refusal> {
        let document = read_document(kind, document)?;
        let chain_id = match (document.chain_id(), chain_id) {
            (Some(named), None) => named,
            (Some(named), Some(chain_id)) if named == chain_id => named,
            (Some(named), Some(_)) => {
                return Err(Reason::BadInput.because(format!("the document is for chain {named}, not for `chainId`")));
            }
            (None, Some(chain_id)) => chain_id,
            (None, None) => match self.networks.keys().copied().collect::<Vec<_>>()[..] {
                [only] => only,
                _ => {
                    return Err(
                        Reason::BadInput.because("documents of this kind name no chain: say which by `chainId`")
                    );
                }
            },
        };
        Payload::of_any(&document, chain_id).map_err(|reason| Reason::BadInput.because(reason.to_string()))
    }

    /// Whether somebody signed a document, and how that is known; nothing is kept.
    ///
    /// # Errors
    /// [`Refusal`] where they did not, or where that cannot be found out.
    pub async fn verify(&self, submission: Submission<'_>) -> Result<Method, Refusal> {
        let read = self.read(submission)?;
        self.signed(&read).await
    }

    /// Reads a document and makes sure of its signature. A refusal comes with the digest, once there is one.
    async fn checked(&self, submission: Submission<'_>) -> Result<Read, (Refusal, Option<B256>)> {
        let read = self.read(submission).map_err(|refusal| (refusal, None))?;
        self.signed(&read).await.map_err(|refusal| (refusal, Some(read.payload.digest)))?;
        Ok(read)
    }

    fn read(&self, submission: Submission<'_>) -> Result<Read, Refusal> {
        let bad_input = |reason: String| Reason::BadInput.because(reason);
        let document = read_document(submission.kind, submission.document)?;
        let signer: AccountId = submission.signer.parse().map_err(|reason| bad_input(format!("`signer`: {reason}")))?;
        let chain_id = signer.chain_id;
        if document.chain_id().is_some_and(|named| named != chain_id) {
            return Err(bad_input(format!(
                "`signer` is an account of chain {chain_id}, and the document of another chain"
            )));
        }
        self.network(chain_id)?;
        let is_long = submission.signature.len() > 2 * MAX_SIGNATURE_BYTES + 2;
        let signature = submission.signature.strip_prefix("0x").filter(|_| !is_long);
        let signature = signature.and_then(|text| hex::decode(text).ok()).ok_or_else(|| {
            bad_input(format!("`signature` must be hex with 0x, of at most {MAX_SIGNATURE_BYTES} bytes"))
        })?;
        let payload = Payload::of_any(&document, chain_id).map_err(|reason| bad_input(reason.to_string()))?;
        Ok(Read { document, signer, payload, signature })
    }

    /// Makes sure that the signer signed it.
    async fn signed(&self, read: &Read) -> Result<Method, Refusal> {
        let network = self.network(read.signer.chain_id)?;
        if let AnyDocument::CycleReport(report) = &read.document {
            self.receipt_signed(network, report).await?;
        }
        network.wallets.check(&self.store, read.signer.address, read.payload.hash, &read.signature).await
    }

    /// Makes sure that whoever is said to have signed the receipt of a report did.
    async fn receipt_signed(&self, network: &Network, report: &CycleReport) -> Result<(), Refusal> {
        let signer = &report.receipt_signer;
        let payload = Payload::of(&report.receipt, signer.chain_id)
            .map_err(|reason| Reason::BadInput.because(format!("`document`: `receipt`: {reason}")))?;
        let checked = network.wallets.check(&self.store, signer.address, payload.hash, &report.receipt_signature).await;
        let named = |refusal: Refusal| match refusal.reason {
            Reason::InvalidSignature => refusal.reason.because("`receiptSignature` is not that of `receiptSigner`"),
            _ => refusal,
        };
        checked.map(|_| ()).map_err(named)
    }

    fn network(&self, chain_id: ChainId) -> Result<&Network, Refusal> {
        let unknown = || Reason::NotFound.because(format!("documents of chain {chain_id} are not taken here"));
        self.networks.get(&chain_id).ok_or_else(unknown)
    }
}

fn read_document(kind: Kind, document: &str) -> Result<AnyDocument, Refusal> {
    if document.len() > MAX_BYTES {
        return Err(Reason::TooLarge.because(format!("`document` is larger than {MAX_BYTES} bytes")));
    }
    AnyDocument::read(kind, document).map_err(|reason| Reason::BadInput.because(format!("`document`: {reason}")))
}

/// What a document is about.
fn about(document: &AnyDocument, digest: B256) -> About {
    match document {
        AnyDocument::FeedbackRevision(revision) => About::Digest(revision.revises),
        AnyDocument::FeedbackRevocation(revocation) => About::Digest(revocation.revokes),
        AnyDocument::ValidationResponse(response) => About::Digest(response.request),
        AnyDocument::ManifestRevocation(revocation) => About::Digest(revocation.manifest_hash),
        AnyDocument::AgentCard(card) => About::Agent(card.agent_registry.address, card.agent_id),
        _ => About::Digest(digest),
    }
}

/// The refusal where the database cannot be asked.
fn away(error: &crate::store::StoreError) -> Refusal {
    tracing::error!(%error, "a document could not be kept");
    Reason::Unavailable.because("the database cannot be reached; hand the document in again later")
}
