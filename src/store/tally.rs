//! How many rows there are of each kind: for the demo's line of progress. It counts, so it is for small databases.

use super::sql;
use super::{Store, StoreError};

/// How much a database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// The newest committed block of any network.
    pub block: u64,
    /// Agents that any event named.
    pub agents: u64,
    /// Feedback given.
    pub feedback: u64,
    /// Responses to feedback.
    pub responses: u64,
    /// Validations asked for.
    pub validations: u64,
    /// Entries of the audit trail.
    pub audit: u64,
}

impl Store {
    /// Counts what the database holds.
    ///
    /// # Errors
    /// What the database says.
    pub async fn tally(&self) -> Result<Tally, StoreError> {
        let counted = self
            .read()
            .await?
            .query_one(
                "SELECT coalesce((SELECT max(tip_number) FROM cursor), 0) AS block, \
                     (SELECT count(*) FROM agent WHERE end_block IS NULL) AS agents, \
                     (SELECT count(*) FROM feedback WHERE end_block IS NULL) AS feedback, \
                     (SELECT count(*) FROM feedback_response) AS responses, \
                     (SELECT count(*) FROM validation WHERE end_block IS NULL) AS validations, \
                     (SELECT count(*) FROM audit_event) AS audit",
                &[],
            )
            .await
            .map_err(StoreError::database("tally"))?;
        Ok(Tally {
            block: sql::number(&counted, "block")?,
            agents: sql::number(&counted, "agents")?,
            feedback: sql::number(&counted, "feedback")?,
            responses: sql::number(&counted, "responses")?,
            validations: sql::number(&counted, "validations")?,
            audit: sql::number(&counted, "audit")?,
        })
    }
}
