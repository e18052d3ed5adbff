//! What an endpoint was heard to refuse, and for how long that is believed.
//!
//! A refusal may be a rate limit in disguise or one backend's mood, so none is believed for good: the question is asked
//! again after a while, each time a longer one, up to a bound. An endpoint that answered the question before is believed
//! to have lost the answer only after several refusals in a row.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the first refusal is believed; each further one doubles it.
const FIRST_BELIEF: Duration = Duration::from_secs(10);

/// Longest that a refusal is believed: one request in this time is what being wrong about an endpoint costs.
const LONGEST_BELIEF: Duration = Duration::from_secs(600);

/// Refusals in a row before an endpoint that answered before is believed.
const REFUSALS_AFTER_ANSWERS: u32 = 3;

/// Failures in a row, each of which might pass by itself, that are as good as a refusal.
const FAILURES_LIKE_A_REFUSAL: u32 = 3;

/// One question that an endpoint may not answer.
#[derive(Debug, Default)]
pub(super) struct Lesson(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The endpoint answered the question at least once.
    answered: bool,
    /// Refusals since the last answer; those during a belief are not counted.
    refusals: u32,
    /// Passing failures since the last answer or refusal.
    failures: u32,
    /// The question is not asked before this moment.
    until: Option<Instant>,
}

impl Lesson {
    /// Whether the endpoint is believed to refuse the question, so that it is not asked now.
    pub(super) fn holds(&self) -> bool {
        self.state().until.is_some_and(|until| until > Instant::now())
    }

    /// The endpoint answered the question.
    pub(super) fn answered(&self) {
        *self.state() = State { answered: true, ..State::default() };
    }

    /// The endpoint refused the question.
    pub(super) fn refused(&self) {
        let now = Instant::now();
        let mut state = self.state();
        if state.until.is_some_and(|until| until > now) {
            return;
        }
        state.refusals = state.refusals.saturating_add(1);
        let doubted = if state.answered { REFUSALS_AFTER_ANSWERS - 1 } else { 0 };
        if let Some(doublings) = state.refusals.checked_sub(1 + doubted) {
            state.until = Some(now + FIRST_BELIEF.saturating_mul(1 << doublings.min(16)).min(LONGEST_BELIEF));
        }
    }

    /// The question failed in a way that passes by itself, at most so often in a row: then it counts as refused.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        state.failures += 1;
        if state.failures < FAILURES_LIKE_A_REFUSAL {
            return;
        }
        // They stand for as many refusals as it takes to be believed.
        let enough = if state.answered { REFUSALS_AFTER_ANSWERS - 1 } else { 0 };
        state.refusals = state.refusals.max(enough);
        state.failures = 0;
        drop(state);
        self.refused();
    }

    /// The endpoint wants to be left alone with the question for that long.
    pub(super) fn postponed(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_BELIEF);
        let mut state = self.state();
        state.until = state.until.max(Some(until));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::{FIRST_BELIEF, LONGEST_BELIEF, Lesson};

    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn f39_a_refusal_is_believed_for_a_while_only() {
        let lesson = Lesson::default();
        lesson.refused();
        advance(FIRST_BELIEF - MOMENT).await;
        assert!(lesson.holds());
        advance(MOMENT).await;
        assert!(!lesson.holds());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_repeats_is_believed_longer_up_to_a_bound() {
        let lesson = Lesson::default();
        let mut beliefs = Vec::new();
        for _ in 0..20 {
            lesson.refused();
            let began = Instant::now();
            while lesson.holds() {
                // Refusals of requests that were under way are the same one.
                lesson.refused();
                advance(FIRST_BELIEF).await;
            }
            beliefs.push(began.elapsed());
        }
        assert_eq!(beliefs[..3], [FIRST_BELIEF, FIRST_BELIEF * 2, FIRST_BELIEF * 4]);
        assert_eq!(beliefs[19], LONGEST_BELIEF);
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_ever_fails_is_as_good_as_refused_until_it_is_asked_again() {
        for answered in [false, true] {
            let lesson = Lesson::default();
            if answered {
                lesson.answered();
            }
            lesson.failed();
            lesson.failed();
            assert!(!lesson.holds());
            lesson.failed();
            assert!(lesson.holds());
            advance(FIRST_BELIEF).await;
            assert!(!lesson.holds());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_answered_before_is_not_believed_at_once() {
        let lesson = Lesson::default();
        for _ in 0..3 {
            lesson.answered();
            lesson.refused();
            lesson.refused();
            assert!(!lesson.holds());
        }
        lesson.refused();
        assert!(lesson.holds());
    }
}
