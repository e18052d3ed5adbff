//! The trail of writes: who wanted to write what, and what became of it.

use alloy::primitives::B256;
use deadpool_postgres::GenericClient;

use super::Handed;
use crate::document::Refusal;
use crate::id::ChainId;
use crate::store::Store;
use crate::store::error::StoreError;

/// What became of a document that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken.
    Accepted,
    /// It was taken before.
    Repeated,
}

impl Outcome {
    /// Its name in the table and in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Repeated => "REPEATED",
        }
    }
}

/// Who hands a document in, and what they say it is: as it was told, proved or not.
#[derive(Debug, Clone, Default)]
pub struct Sender {
    /// The signer, as it was named.
    pub signer: String,
    /// The request's id.
    pub request_id: String,
    /// The address that the request came from; empty where that is not known.
    pub address: String,
}

/// An attempt to write.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The kind of document.
    pub kind: &'static str,
    /// The network, where one was named.
    pub chain_id: Option<ChainId>,
    /// The document's digest, where it could be read.
    pub digest: Option<B256>,
    /// [`Outcome::name`], or the code of the refusal.
    pub outcome: &'static str,
    /// Why it was refused; empty where it was not.
    pub reason: String,
    /// Who made it.
    pub sender: Sender,
}

impl Attempt {
    /// What became of a document that was handed in.
    #[must_use]
    pub fn of(handed: &Handed, chain_id: ChainId, outcome: &Result<Outcome, Refusal>) -> Self {
        let (outcome, reason) = match outcome {
            Ok(outcome) => (outcome.name(), String::new()),
            Err(refusal) => (refusal.reason.code(), refusal.message.clone()),
        };
        let (kind, digest) = (handed.kind.name(), Some(handed.digest));
        Self { kind, chain_id: Some(chain_id), digest, outcome, reason, sender: handed.sender.clone() }
    }
}

impl Store {
    /// Writes an attempt down that ended before it came to the database.
    ///
    /// # Errors
    /// What the database says.
    pub async fn note_attempt(&self, attempt: &Attempt) -> Result<(), StoreError> {
        note(&self.write().await?, std::slice::from_ref(attempt)).await
    }
}

/// Most rows that are forgotten in one transaction.
const MOST: i64 = 10_000;

impl Store {
    /// Forgets refused attempts that are older than so many days, a part of them at a time; returns how many.
    ///
    /// # Errors
    /// What the database says.
    pub async fn forget_refused(&self, days: u32) -> Result<u64, StoreError> {
        let failed = || StoreError::database("forget refused attempts");
        let connection = self.write().await?;
        let delete = "DELETE FROM write_audit WHERE id IN (SELECT id FROM write_audit \
                      WHERE at < now() - make_interval(days => $1) AND outcome NOT IN ('ACCEPTED', 'REPEATED') \
                      ORDER BY at LIMIT $2)";
        let statement = connection.prepare_cached(delete).await.map_err(failed())?;
        let days = i32::try_from(days).unwrap_or(i32::MAX);
        let mut forgotten = 0;
        loop {
            let rows = connection.execute(&statement, &[&days, &MOST]).await.map_err(failed())?;
            forgotten += rows;
            if rows < u64::try_from(MOST).unwrap_or_default() {
                return Ok(forgotten);
            }
        }
    }
}

/// Writes attempts down.
pub(super) async fn note(client: &impl GenericClient, attempts: &[Attempt]) -> Result<(), StoreError> {
    let failed = || StoreError::database("note attempts to write");
    let insert = "INSERT INTO write_audit (kind, chain_id, signer, digest, outcome, reason, request_id, sender) \
                  SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::text[], \
                  $7::text[], $8::text[])";
    let statement = client.prepare_cached(insert).await.map_err(failed())?;
    let of = |read: fn(&Attempt) -> &str| attempts.iter().map(read).collect::<Vec<_>>();
    // A chain id that no network can have is left out.
    let chain = |attempt: &Attempt| attempt.chain_id.and_then(|chain_id| i64::try_from(chain_id).ok());
    let digest = |attempt: &Attempt| attempt.digest.map(|digest| digest.to_vec());
    client
        .execute(
            &statement,
            &[
                &of(|attempt| attempt.kind),
                &attempts.iter().map(chain).collect::<Vec<_>>(),
                &of(|attempt| &attempt.sender.signer),
                &attempts.iter().map(digest).collect::<Vec<_>>(),
                &of(|attempt| attempt.outcome),
                &of(|attempt| &attempt.reason),
                &of(|attempt| &attempt.sender.request_id),
                &of(|attempt| &attempt.sender.address),
            ],
        )
        .await
        .map_err(failed())?;
    Ok(())
}
