//! How an endpoint fares: whether its chain was checked, how often it failed in a row, and how long it rests.
//!
//! A rest is the longer the more often it failed, or as long as the endpoint asks for. An endpoint of another chain is
//! refused for good (F31).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::classify::Kind;
use super::error::Failure;

/// First rest after a failure; each further one doubles it.
pub(super) const FIRST_REST: Duration = Duration::from_millis(100);

/// Longest rest after an answer that did not fit the moment.
const SHORT_REST: Duration = Duration::from_millis(800);

/// Longest rest after failures that pass by themselves.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Rest after a failure that an operator or a new day must cure.
const LONG_REST: Duration = Duration::from_secs(60);

/// An endpoint's health.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Failures since the last success.
    failures: u32,
    /// No requests before this moment, if there is another endpoint.
    resting_until: Option<Instant>,
    /// The failure that it rests from.
    last: Option<Failure>,
    /// Its chain was checked since it was last lost.
    verified: bool,
    /// It is of another chain.
    refused: bool,
}

impl Health {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it may be asked again; nothing for an endpoint of another chain.
    pub(super) fn available_at(&self, now: Instant) -> Option<Instant> {
        let state = self.state();
        (!state.refused).then(|| state.resting_until.map_or(now, |until| until.max(now)))
    }

    pub(super) fn is_verified(&self) -> bool {
        self.state().verified
    }

    /// Its chain is the network's.
    pub(super) fn verify(&self) {
        self.state().verified = true;
    }

    /// Its connection was lost: behind its URL may be another chain by now (F31).
    pub(super) fn unverify(&self) {
        self.state().verified = false;
    }

    /// Its chain is another: it is never asked again.
    pub(super) fn refuse(&self) {
        self.state().refused = true;
    }

    pub(super) fn is_refused(&self) -> bool {
        self.state().refused
    }

    /// How often it failed in a row.
    pub(super) fn failures(&self) -> u32 {
        self.state().failures
    }

    /// It answered. A rest that it asked for meanwhile, in answer to another request, still counts.
    pub(super) fn succeeded(&self) {
        self.state().failures = 0;
    }

    /// It failed: it rests the longer the more often it did in a row, or as long as it says. Returns how often it did.
    pub(super) fn rest(&self, failure: &Failure) -> u32 {
        let mut state = self.state();
        let now = Instant::now();
        if failure.kind == Kind::Unreachable {
            state.verified = false;
        }
        // Requests that failed at the same time are one failure.
        if state.resting_until.is_some_and(|until| until > now) && !matches!(failure.kind, Kind::Rate(Some(_))) {
            return state.failures;
        }
        let doubled = FIRST_REST.saturating_mul(1 << state.failures.min(16));
        let rest = match failure.kind {
            Kind::Rate(Some(wait)) => wait.max(FIRST_REST),
            Kind::Quota | Kind::Auth => LONG_REST,
            // A chain that moves is no fault of the endpoint.
            Kind::UnknownBlock | Kind::Inconsistent | Kind::TooLarge(_) => doubled.min(SHORT_REST),
            _ => doubled.min(LONGEST_REST),
        };
        state.failures = state.failures.saturating_add(1);
        state.resting_until = Some(now + rest);
        state.last = Some(failure.clone());
        state.failures
    }

    /// Why it is not asked although it rests for that long.
    pub(super) fn resting(&self, wait: Duration) -> Option<Failure> {
        let failure = self.state().last.clone()?;
        let message = format!("{}, and rests for another {} s", failure.message, wait.as_secs().max(1));
        // The block or the answer of that time is not what is asked for now.
        let kind = match failure.kind {
            Kind::UnknownBlock | Kind::Inconsistent | Kind::TooLarge(_) => Kind::Transient,
            kind => kind,
        };
        Some(Failure { kind, message, ..failure })
    }
}
