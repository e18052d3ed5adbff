//! What the log says of attempts to write: the same that the database keeps, for whoever watches.

use crate::metrics;
use crate::store::Attempt;

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
