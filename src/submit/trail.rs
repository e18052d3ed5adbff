//! What the log says of attempts to write, for whoever watches: the same that the database keeps, which forgets what was
//! refused long ago.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use crate::metrics;
use crate::store::{Attempt, Store};

/// How often is looked for what is to be forgotten.
const EVERY: Duration = Duration::from_secs(3_600);

/// Says what became of an attempt.
pub(super) fn tell(attempt: &Attempt) {
    ::metrics::counter!(metrics::DOCUMENTS, "kind" => attempt.kind, "outcome" => attempt.outcome).increment(1);
    tracing::info!(
        target: "security_event",
        kind = attempt.kind,
        chain_id = attempt.chain_id,
        signer = attempt.sender.signer,
        digest = attempt.digest.map(tracing::field::display),
        outcome = attempt.outcome,
        reason = attempt.reason,
        request = attempt.sender.request_id,
        address = attempt.sender.address,
        "a document was handed in"
    );
}

/// Forgets refused attempts of so many days ago, again and again.
pub(super) async fn keep_forgetting(store: Arc<Store>, days: u32) {
    let mut clock = interval(EVERY);
    loop {
        clock.tick().await;
        match store.forget_refused(days).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, days, "old refused attempts to write are forgotten"),
            Err(error) => {
                tracing::warn!(%error, "old refused attempts to write cannot be forgotten; it is tried again")
            }
        }
    }
}
