//! Whether a document comes in time, by this node's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::Documents;
use crate::document::{AnyDocument, Reason, Refusal};

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

/// Why a document comes at the wrong time.
pub(super) fn untimely(rules: &Documents, document: &AnyDocument, now: u64) -> Option<Refusal> {
    let (latest, earliest) =
        (now.saturating_add(rules.clock_skew_seconds), now.saturating_sub(rules.clock_skew_seconds));
    match document {
        AnyDocument::ValidationRequest(request) => {
            let (end, ahead) = (request.expires_at.as_u64(), rules.max_validation_seconds);
            if end < now || end > now.saturating_add(ahead) {
                let message = format!("`expiresAt` must be a time to come, at most {ahead} seconds ahead");
                return Some(Reason::Expired.because(message));
            }
        }
        AnyDocument::Manifest(manifest) => {
            let (from, until, most) =
                (manifest.valid_from.as_u64(), manifest.valid_until.as_u64(), rules.max_manifest_seconds);
            if until.saturating_sub(from) > most {
                let message = format!("`validUntil` must be at most {most} seconds after `validFrom`");
                return Some(Reason::BadInput.because(message));
            }
            if until < earliest || from > latest.saturating_add(most) {
                let message = format!("the manifest must be in force within the next {most} seconds, and not be over");
                return Some(Reason::Expired.because(message));
            }
        }
        _ => {}
    }
    let deadline = document.deadline()?.as_u64();
    let ahead = rules.max_deadline_seconds;
    if deadline < earliest {
        return Some(Reason::Expired.because("`deadline` is over; sign the document again with a later one"));
    }
    if deadline > latest.saturating_add(ahead) {
        let message =
            format!("`deadline` is more than {ahead} seconds ahead; sign the document again with an earlier one");
        return Some(Reason::Expired.because(message));
    }
    None
}
