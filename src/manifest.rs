//! Manifests: where an agent can be reached and by which key, and how suspicious a change of that is.
//!
//! A manifest that takes the place of an earlier one of the same agent is a *flip*. Who moves an agent's endpoint and its
//! key at once may have taken it over; who does so within seconds may be hiding something. The rule is Kagami's, the same
//! for manifests on the chain and for signed ones.

/// A flip that follows the manifest before within fewer seconds than this is rapid.
pub const RAPID_SECONDS: u64 = 60;

/// A flip of at least this score is suspicious.
pub const SUSPICIOUS_SCORE: u8 = 70;

/// How one manifest of an agent differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flip {
    /// Seconds between the two.
    pub time_delta: u64,
    /// Whether the endpoint is another one.
    pub endpoint_changed: bool,
    /// Whether the key is another one, or gone.
    pub pubkey_changed: bool,
}

impl Flip {
    /// Whether it came soon after the manifest before.
    #[must_use]
    pub fn is_rapid(&self) -> bool {
        self.time_delta < RAPID_SECONDS
    }

    /// How suspicious it is, from 0 to 100: 50 for another endpoint, 30 for another key, 20 for haste.
    #[must_use]
    pub fn score(&self) -> u8 {
        50 * u8::from(self.endpoint_changed) + 30 * u8::from(self.pubkey_changed) + 20 * u8::from(self.is_rapid())
    }

    /// Whether it is worth an alert; a renewal that changes nothing never is.
    #[must_use]
    pub fn is_suspicious(&self) -> bool {
        self.score() >= SUSPICIOUS_SCORE
    }
}

#[cfg(test)]
mod tests {
    use super::Flip;

    #[test]
    fn the_score_weighs_endpoint_key_and_haste() {
        for (endpoint_changed, pubkey_changed, time_delta, score, is_suspicious) in [
            (true, true, 59, 100, true),
            (true, true, 60, 80, true),
            (true, false, 0, 70, true),
            (true, false, 3_600, 50, false),
            (false, true, 59, 50, false),
            (false, true, 60, 30, false),
            (false, false, 59, 20, false),
            (false, false, 60, 0, false),
        ] {
            let flip = Flip { time_delta, endpoint_changed, pubkey_changed };
            assert_eq!((flip.score(), flip.is_suspicious()), (score, is_suspicious), "{flip:?}");
            assert_eq!(flip.is_rapid(), time_delta < 60, "{flip:?}");
        }
    }
}
