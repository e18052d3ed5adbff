//! What the log says of attempts to write, for whoever watches: the same that the database keeps, which forgets what was
//! refused long ago.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::interval;

use crate::document::Kind;
use crate::id::ChainId;
use crate::metrics;
use crate::store::{Attempt, Sender, Store};

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

/// An attempt under way. If whoever makes it goes, or their time is up, before it came to an end, that is its end.
pub(super) struct Underway {
    store: Arc<Store>,
    attempt: Option<Attempt>,
}

impl Underway {
    pub(super) fn new(store: &Arc<Store>, kind: Kind, chain_id: Option<ChainId>, sender: &Sender) -> Self {
        let reason = "the request ended before it was known whether the document may be taken".to_owned();
        let (kind, sender) = (kind.name(), sender.clone());
        let attempt = Attempt { kind, chain_id, digest: None, outcome: "TIMEOUT", reason, sender };
        Self { store: Arc::clone(store), attempt: Some(attempt) }
    }

    /// It came to an end, which is written down by itself.
    pub(super) fn ended(mut self) {
        self.attempt = None;
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let Some(attempt) = self.attempt.take() else { return };
        tell(&attempt);
        // While the process ends there is nobody left to write it down.
        let Ok(runtime) = Handle::try_current() else { return };
        let store = Arc::clone(&self.store);
        // Nobody waits for it any more.
        runtime.spawn(async move {
            if let Err(error) = store.note_attempt(&attempt).await {
                tracing::warn!(%error, "an attempt that was given up could not be written down");
            }
        });
    }
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
