//! Signed documents in the database: accepted one network at a time, in the order in which they come.
//!
//! What must always hold: a transaction that accepts documents holds the network's cursor, so what it checks them against
//! is one state of the chain, no two of them meet, and readers hear of it as of a block. A nonce is used up in the same
//! transaction. No document is ever changed or deleted: what the chain makes of it is found out when it is read.

mod agent;
mod card;
mod feedback;
mod file;
mod manifest;
mod payment;
mod receipt;
mod trail;
mod validation;
mod wave;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use alloy::primitives::{Address, B256};
use futures_util::future::try_join_all;

pub use self::card::ServedCard;
pub use self::file::{Pin, UnpinnedFile};
pub use self::payment::OpenPayment;
pub use self::trail::{Attempt, Outcome, Sender};
use self::wave::waves;
use super::Store;
use super::apply::FlipCount;
use super::error::StoreError;
use super::sql::{self, Sql, signed};
use super::step::CHANNEL;
use crate::block::Transaction;
use crate::document::{AnyDocument, Kind, Reason, Refusal};
use crate::id::{AgentId, ChainId};

/// A document that was handed in, with a signature that was checked.
#[derive(Debug, Clone)]
pub struct Handed {
    /// The document.
    pub document: AnyDocument,
    /// Its kind.
    pub kind: Kind,
    /// Its text, as it came.
    pub body: String,
    /// Its digest.
    pub digest: B256,
    /// Who signed it.
    pub signer: Address,
    /// The signature.
    pub signature: Vec<u8>,
    /// Why it comes at the wrong time; of no matter where it came before.
    pub untimely: Option<Refusal>,
    /// Of a payment link: the transaction that it names, or why it is not known.
    pub transaction: Option<Result<Transaction, Refusal>>,
    /// Who hands it in.
    pub sender: Sender,
}

/// What became of documents that were handed in together.
#[derive(Debug)]
pub struct Accepted {
    /// Of each of them, in their order: whether it was taken now, came before, or is refused.
    pub outcomes: Vec<Result<Outcome, Refusal>>,
    /// The number of the commit from which on readers see what was taken.
    pub seq: u64,
    /// How many flips the manifests among them made, by agent.
    pub flips: BTreeMap<AgentId, FlipCount>,
}

/// What is done with a document, or why not.
type Done = Result<Result<(), Refusal>, StoreError>;

/// A transaction on the documents of one network.
struct Acceptance<'a> {
    sql: Sql<'a>,
    /// The newest block as of which signers' rights are checked.
    block: u64,
    /// The flips so far.
    flips: Mutex<BTreeMap<AgentId, FlipCount>>,
}

impl<'a> Acceptance<'a> {
    fn new(sql: Sql<'a>, block: u64) -> Self {
        Self { sql, block, flips: Mutex::default() }
    }
}

impl Store {
    /// Takes documents of one network, or refuses them, each by itself; all that are taken in one commit.
    ///
    /// # Errors
    /// What the database says; then none is taken.
    pub async fn accept(&self, chain_id: ChainId, handed: &[Handed]) -> Result<Accepted, StoreError> {
        const OPERATION: &str = "accept documents";
        let mut connection = self.write().await?;
        let transaction = connection.transaction().await.map_err(StoreError::database(OPERATION))?;
        let sql = Sql::new(transaction, OPERATION, chain_id);
        // Every statement finds what it wants by keys: a plan of its own for each value would be the same one.
        sql.execute(
            "SELECT set_config('plan_cache_mode', 'force_generic_plan', TRUE) WHERE $1::bigint IS NOT NULL",
            &[],
        )
        .await?;
        let mut outcomes = Vec::with_capacity(handed.len());
        let (mut seq, acceptance) = match lock(&sql).await? {
            Ok((seq, block)) => (seq, Acceptance::new(sql, block)),
            Err(refusal) => {
                outcomes.resize(handed.len(), Err(refusal));
                (0, Acceptance::new(sql, 0))
            }
        };
        for wave in waves(&handed[outcomes.len()..]) {
            outcomes.extend(try_join_all(wave.iter().map(|one| acceptance.take(one))).await?);
        }
        let attempts = handed.iter().zip(&outcomes).map(|(one, outcome)| Attempt::of(one, chain_id, outcome));
        trail::note(acceptance.sql.transaction(), &attempts.collect::<Vec<_>>()).await?;
        if outcomes.contains(&Ok(Outcome::Accepted)) {
            seq += 1;
            acceptance.tell(seq).await?;
        }
        let Acceptance { sql, flips, .. } = acceptance;
        sql.commit().await?;
        Ok(Accepted { outcomes, seq, flips: flips.into_inner().unwrap_or_else(PoisonError::into_inner) })
    }
}

/// Holds the network's cursor: its number, and the newest block.
async fn lock(sql: &Sql<'_>) -> Result<Result<(u64, u64), Refusal>, StoreError> {
    let select = "SELECT c.seq, c.tip_number, EXISTS (SELECT FROM reindex r WHERE r.chain_id = c.chain_id) AS is_rederived \
                  FROM cursor c WHERE c.chain_id = $1 FOR UPDATE";
    let rows = sql.query(select, &[]).await?;
    let Some(row) = rows.first() else {
        let message = format!("no network with chain id {} is indexed here", sql.chain_id);
        return Ok(Err(Reason::NotFound.because(message)));
    };
    if sql::column(row, "is_rederived")? {
        let message = "the network is being indexed again, so nobody's rights can be checked; try again later";
        return Ok(Err(Reason::Unavailable.because(message)));
    }
    match sql::optional_number(row, "tip_number")? {
        Some(block) => Ok(Ok((sql::number(row, "seq")?, block))),
        None => Ok(Err(Reason::Unavailable.because("no block of the network is indexed yet; try again later"))),
    }
}

impl Acceptance<'_> {
    /// Takes a document, unless it came before or is refused. Whatever refuses it comes before the first row.
    async fn take(&self, handed: &Handed) -> Result<Result<Outcome, Refusal>, StoreError> {
        if let Some(known) = self.known(handed).await? {
            return Ok(known);
        }
        if let Some(refusal) = &handed.untimely {
            return Ok(Err(refusal.clone()));
        }
        let taken = match &handed.document {
            AnyDocument::Feedback(document) => self.give(handed, &document.feedback).await?,
            AnyDocument::FeedbackRevision(document) => self.revise(handed, document).await?,
            AnyDocument::FeedbackRevocation(document) => self.revoke(handed, document).await?,
            AnyDocument::AgentCard(document) => self.publish_card(handed, document).await?,
            AnyDocument::ValidationRequest(document) => self.request(handed, document).await?,
            AnyDocument::ValidationResponse(document) => self.respond(handed, document).await?,
            AnyDocument::Manifest(document) => self.publish_manifest(handed, document).await?,
            AnyDocument::ManifestRevocation(document) => self.revoke_manifest(handed, document).await?,
            AnyDocument::ForwardReceipt(document) => self.record_forward(handed, document).await?,
            AnyDocument::CycleReport(document) => self.report_cycle(handed, document).await?,
            AnyDocument::PaymentLink(document) => self.link_payment(handed, document).await?,
        };
        if let Err(refusal) = taken {
            return Ok(Err(refusal));
        }
        self.sql
            .execute(
                "INSERT INTO document (chain_id, digest, kind, signer, nonce, body, signature, checked_block) \
                 VALUES ($1, $2, $3, $4, $5::text::numeric, $6, $7, $8)",
                &[
                    &handed.digest.as_slice(),
                    &handed.kind.name(),
                    &handed.signer.as_slice(),
                    &handed.document.nonce().to_string(),
                    &handed.body,
                    &handed.signature,
                    &signed(self.block),
                ],
            )
            .await?;
        Ok(Ok(Outcome::Accepted))
    }

    /// What is to be said of a document without a look at it: that it came before, or that its nonce was used.
    async fn known(&self, handed: &Handed) -> Result<Option<Result<Outcome, Refusal>>, StoreError> {
        let select = "SELECT digest = $2 AS is_same FROM document WHERE chain_id = $1 \
                      AND (digest = $2 OR (signer = $3 AND kind = $4 AND nonce = $5::text::numeric)) \
                      ORDER BY digest = $2 DESC LIMIT 1";
        let (digest, nonce) = (handed.digest.as_slice(), handed.document.nonce().to_string());
        let rows = self.sql.query(select, &[&digest, &handed.signer.as_slice(), &handed.kind.name(), &nonce]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if sql::column(row, "is_same")? {
            return Ok(Some(Ok(Outcome::Repeated)));
        }
        let message = format!("nonce {nonce} was used by the signer for another document of this kind; use a new one");
        Ok(Some(Err(Reason::NonceReplayed.because(message))))
    }

    /// Moves the network's number on and tells it.
    async fn tell(&self, seq: u64) -> Result<(), StoreError> {
        let payload = format!("{} {seq}", self.sql.chain_id);
        self.sql
            .execute(
                "WITH told AS (SELECT pg_notify($3, $4)) UPDATE cursor SET seq = $2 FROM told WHERE chain_id = $1",
                &[&signed(seq), &CHANNEL, &payload],
            )
            .await?;
        Ok(())
    }
}
