//! How well an endpoint fares: a score of its lag, its errors and its latency. Pure; one value per endpoint.
//!
//! All three are exponentially weighted, so that what is long ago is forgotten. They add up to a cost, the time that a
//! request to the endpoint is expected to take or waste; the score is between 0 and 1, the higher the better. Latency is
//! measured on looks at the head alone: they are alike for all, while a range of logs takes longer than a number, and
//! whoever does the work would look slow. An endpoint is left only for one that is clearly better (hysteresis), because
//! endpoints that take turns help nobody.

use std::time::Duration;

/// What one request counts in the error rate.
const ERROR_WEIGHT: f64 = 0.05;

/// What one look at the head counts in latency, and in the error rate: all that is heard of an endpoint that was left.
const LOOK_WEIGHT: f64 = 0.2;

/// What one look at the head counts in the lag.
const LAG_WEIGHT: f64 = 0.5;

/// Looks at the head before latency counts: the first ones pay for the connection.
const SETTLED_LOOKS: u32 = 8;

/// What a request that fails wastes, in milliseconds.
const ERROR_COST_MS: f64 = 3_000.0;

/// What a block of lag costs, in milliseconds.
const LAG_COST_MS: f64 = 250.0;

/// Blocks of lag that cost nothing: heads are looked at one after the other.
const TOLERATED_LAG: f64 = 1.0;

/// Most blocks of lag that count.
const MAX_LAG: f64 = 64.0;

/// What a lost dispute costs at first, in milliseconds; each look at the head takes a hundredth off.
const DISPUTE_COST_MS: f64 = 4_000.0;

/// Most lost disputes that count.
const MAX_DISPUTES: f64 = 8.0;

/// What is left of a lost dispute after a look at the head.
const DISPUTE_DECAY: f64 = 0.99;

/// Blocks that others have to gain on a head that stands before its endpoint counts as stuck.
const STUCK_BLOCKS: u64 = 10;

/// By how much another endpoint has to be cheaper: by this, in milliseconds, and by a part of the cost.
const SWITCH_MARGIN_MS: f64 = 250.0;

/// The part of its cost by which another endpoint has to be cheaper.
const SWITCH_PART: f64 = 0.25;

/// Looks at the head for which an endpoint's word about it counts for nothing, after it was disproved.
const DOUBTED_LOOKS: u32 = 60;

/// An error rate above which an endpoint's word about the head counts for nothing.
const CREDIBLE_ERROR_RATE: f64 = 0.5;

/// What was measured of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Score {
    error_rate: f64,
    latency_ms: f64,
    looks: u32,
    lag: f64,
    head: Option<u64>,
    /// The highest head of the network when this endpoint's last rose.
    best_when_risen: u64,
    stuck: bool,
    /// Looks until its word about its head counts again.
    doubted: u32,
    disputes: f64,
}

/// What a look at the head showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Motion {
    /// Nothing that was not so before.
    Usual,
    /// Its head has begun to stand while those of others rise.
    Stuck,
    /// Its head rises again.
    Moving,
}

impl Score {
    /// A request was answered.
    pub(super) fn answered(&mut self) {
        self.error_rate = weighted(self.error_rate, 0.0, ERROR_WEIGHT);
    }

    /// A request failed through the endpoint's fault.
    pub(super) fn failed(&mut self) {
        self.error_rate = weighted(self.error_rate, 1.0, ERROR_WEIGHT);
    }

    /// It named its head, where the network's highest was `best` before.
    pub(super) fn looked(&mut self, head: u64, best: Option<u64>, latency: Duration) -> Motion {
        let latency_ms = latency.as_secs_f64() * 1_000.0;
        self.latency_ms =
            if self.looks < SETTLED_LOOKS { latency_ms } else { weighted(self.latency_ms, latency_ms, LOOK_WEIGHT) };
        self.looks = self.looks.saturating_add(1);
        self.error_rate = weighted(self.error_rate, 0.0, LOOK_WEIGHT);
        self.disputes *= DISPUTE_DECAY;
        self.doubted = self.doubted.saturating_sub(1);
        let best = best.unwrap_or(head).max(head);
        let lag = blocks(best - head);
        self.lag = weighted(self.lag, lag, LAG_WEIGHT);
        if self.head.is_none_or(|before| head > before) {
            self.best_when_risen = best;
        }
        self.head = Some(head);
        let was_stuck = std::mem::replace(&mut self.stuck, best.saturating_sub(self.best_when_risen) >= STUCK_BLOCKS);
        match (was_stuck, self.stuck) {
            (false, true) => Motion::Stuck,
            (true, false) => Motion::Moving,
            _ => Motion::Usual,
        }
    }

    /// A look at the head failed.
    pub(super) fn overlooked(&mut self) {
        self.error_rate = weighted(self.error_rate, 1.0, LOOK_WEIGHT);
    }

    /// It does not have a block below the head that it named: that head was no fact.
    pub(super) fn disproved(&mut self) {
        self.head = None;
        self.doubted = DOUBTED_LOOKS;
        self.failed();
    }

    /// Other endpoints were right about logs, and it was not (F12).
    pub(super) fn lost_dispute(&mut self) {
        self.disputes = (self.disputes + 1.0).min(MAX_DISPUTES);
    }

    /// The head that it last named, if its word counts.
    pub(super) fn credible_head(&self) -> Option<u64> {
        self.head.filter(|_| self.doubted == 0 && self.error_rate < CREDIBLE_ERROR_RATE)
    }

    /// Its head stands while those of others rise (F28).
    pub(super) fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// Its word about its head was disproved a while ago: what it says is not to be built on.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted > 0
    }

    /// Blocks by which it is behind the others, smoothed.
    pub(super) fn lag(&self) -> f64 {
        self.lag
    }

    /// What a request to it is expected to take or waste, in milliseconds.
    pub(super) fn cost_ms(&self) -> f64 {
        let latency = if self.looks < SETTLED_LOOKS { 0.0 } else { self.latency_ms };
        let lag = (self.lag - TOLERATED_LAG).max(0.0) * LAG_COST_MS;
        latency + self.error_rate * ERROR_COST_MS + lag + self.disputes * DISPUTE_COST_MS
    }

    /// Between 0, useless, and 1, perfect: half of it is lost with each second of cost, at first.
    pub(super) fn value(&self) -> f64 {
        1_000.0 / (1_000.0 + self.cost_ms())
    }

    /// Whether it is so much better than the endpoint in use that it is worth a change.
    pub(super) fn is_clearly_better_than(&self, in_use: &Self) -> bool {
        match (self.stuck || self.is_doubted(), in_use.stuck || in_use.is_doubted()) {
            (true, false) => false,
            (false, true) => true,
            _ => self.cost_ms() + SWITCH_MARGIN_MS < in_use.cost_ms() * (1.0 - SWITCH_PART),
        }
    }
}

fn weighted(before: f64, now: f64, weight: f64) -> f64 {
    before + (now - before) * weight
}

#[allow(clippy::cast_precision_loss, reason = "what is above the most that counts is cut off")]
fn blocks(lag: u64) -> f64 {
    (lag as f64).min(MAX_LAG)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Motion, SETTLED_LOOKS, Score};

    const FAST: Duration = Duration::from_millis(40);
    const SLOW: Duration = Duration::from_millis(900);

    /// An endpoint that keeps up, with that latency.
    fn settled(latency: Duration) -> Score {
        let mut score = Score::default();
        for head in 0..u64::from(SETTLED_LOOKS) * 4 {
            score.looked(head, Some(head), latency);
        }
        score
    }

    #[test]
    fn f28_an_endpoint_that_lags_fails_or_is_slow_scores_less() {
        let good = settled(FAST);
        let (mut lagging, mut failing) = (good, good);
        for head in 100..110 {
            lagging.looked(head, Some(head + 5), FAST);
            failing.failed();
        }
        for worse in [lagging, failing, settled(SLOW)] {
            assert!(worse.value() < good.value() && good.is_clearly_better_than(&worse), "{worse:?}");
            assert!(!worse.is_clearly_better_than(&good), "{worse:?}");
        }
    }

    #[test]
    fn f28_a_small_difference_changes_nothing() {
        let (one, other) = (settled(FAST), settled(FAST * 4));
        assert!(!one.is_clearly_better_than(&other) && !other.is_clearly_better_than(&one));
        let mut failed_once = one;
        failed_once.failed();
        assert!(!one.is_clearly_better_than(&failed_once));
    }

    #[test]
    fn f28_the_first_latencies_are_those_of_connecting_and_do_not_count() {
        let mut score = Score::default();
        score.looked(1, None, SLOW);
        assert!(score.value() > 0.999, "{score:?}");
    }

    #[test]
    fn f28_a_head_that_stands_while_others_rise_is_stuck_until_it_moves() {
        let mut score = settled(FAST);
        let head = 31;
        assert_eq!(score.looked(head, Some(head), FAST), Motion::Usual, "all stand");
        assert_eq!(score.looked(head, Some(head + 9), FAST), Motion::Usual);
        assert_eq!(score.looked(head, Some(head + 10), FAST), Motion::Stuck);
        assert_eq!(score.looked(head, Some(head + 11), FAST), Motion::Usual, "it is told once");
        assert!(score.is_stuck() && settled(SLOW).is_clearly_better_than(&score));
        assert_eq!(score.looked(head + 12, Some(head + 12), FAST), Motion::Moving);
        assert!(!score.is_stuck());
    }

    #[test]
    fn f28_what_is_long_ago_is_forgotten() {
        let good = settled(FAST);
        let mut score = good;
        for _ in 0..200 {
            score.failed();
        }
        score.lost_dispute();
        score.looked(32, Some(900), FAST);
        assert!(good.is_clearly_better_than(&score));
        for head in 900..1_900 {
            score.looked(head, Some(head), FAST);
        }
        assert!(!good.is_clearly_better_than(&score), "{score:?}");
    }

    #[test]
    fn f28_a_head_that_was_disproved_or_comes_with_errors_counts_for_nothing() {
        let mut liar = settled(FAST);
        liar.looked(1 << 40, Some(50), FAST);
        assert_eq!(liar.credible_head(), Some(1 << 40));
        liar.disproved();
        liar.looked(1 << 40, Some(50), FAST);
        assert_eq!(liar.credible_head(), None);
        let mut failing = settled(FAST);
        for _ in 0..20 {
            failing.failed();
        }
        assert_eq!(failing.credible_head(), None);
    }

    #[test]
    fn f13_an_endpoint_whose_head_was_invented_is_left_for_any_other() {
        let mut liar = settled(FAST);
        liar.disproved();
        assert!(settled(SLOW).is_clearly_better_than(&liar) && !liar.is_clearly_better_than(&settled(SLOW)));
    }

    #[test]
    fn f12_an_endpoint_that_lost_a_dispute_is_left() {
        let mut liar = settled(FAST);
        liar.lost_dispute();
        assert!(settled(SLOW).is_clearly_better_than(&liar));
    }
}
