//! Looking at the heads of all endpoints, and preferring the one that fares best (F28).
//!
//! The endpoint in use is heard each time the head is asked for. The others are looked at with one small request at the
//! configured pace, less often the more they fail, so that one that is stuck, or well again, is seen without a storm.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::metrics::{counter, gauge};
use alloy::primitives::U64;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::classify::Kind;
use super::endpoint::{Call, Endpoint, EndpointRole};
use super::error::Failure;
use super::pool::Pool;
use super::score::Motion;
use crate::metrics;

/// Longest that a look at a head may take; asking for the head takes no longer on its account.
const LOOK_DEADLINE: Duration = Duration::from_secs(1);

/// The pause between looks is at most doubled so often for an endpoint that fails.
const MAX_DOUBLINGS: u32 = 4;

/// Who is asked before whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// An endpoint for all days.
    First,
    /// A fallback.
    Fallback,
    /// An endpoint whose head stands while those of others rise, or was disproved.
    Stuck,
}

impl Endpoint {
    /// Where it stands among the others.
    pub(super) fn tier(&self) -> Tier {
        let score = *self.score();
        match (score.is_stuck() || score.is_doubted(), self.role) {
            (true, _) => Tier::Stuck,
            (false, EndpointRole::Fallback) => Tier::Fallback,
            (false, EndpointRole::Primary) => Tier::First,
        }
    }

    /// The height of its head, by the smallest request there is.
    pub(super) async fn height(&self) -> Result<u64, Failure> {
        let call = Call { method: "eth_blockNumber", params: serde_json::json!([]) };
        let height = self.request::<U64>(&call).await?.to();
        self.set_confirmed_head(height);
        Ok(height)
    }

    /// Whether it is time for a look at its head; if so, the next one is later.
    fn is_look_due(&self, interval: Duration) -> bool {
        let now = Instant::now();
        if self.health.available_at(now) != Some(now) {
            return false;
        }
        let mut next = self.next_look.lock().unwrap_or_else(PoisonError::into_inner);
        if next.is_some_and(|next| next > now) {
            return false;
        }
        *next = Some(now + interval * (1 << self.health.failures().min(MAX_DOUBLINGS)));
        true
    }
}

impl Pool {
    /// Prefers another endpoint where one is clearly better than the one in use.
    pub(super) fn choose(&self) {
        let now = Instant::now();
        let in_use = self.preferred.load(Ordering::Relaxed);
        let ranked = self.endpoints.iter().enumerate().filter(|(_, endpoint)| {
            endpoint.health.available_at(now) == Some(now) && endpoint.role == EndpointRole::Primary
        });
        let cost = |endpoint: &Endpoint| (endpoint.tier(), endpoint.score().cost_ms());
        let best = ranked.min_by(|(_, one), (_, other)| {
            let (one, other) = (cost(one), cost(other));
            one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
        });
        let Some((place, best)) = best else { return };
        let used = *self.endpoints[in_use].score();
        let better = *best.score();
        if place == in_use || !better.is_clearly_better_than(&used) {
            return;
        }
        self.preferred.store(place, Ordering::Relaxed);
        counter!(metrics::ENDPOINT_SWITCHES, "network" => self.network.clone()).increment(1);
        tracing::info!(
            network = self.network,
            from = self.endpoints[in_use].label,
            to = best.label,
            from_score = used.value(),
            to_score = better.value(),
            "another endpoint fares better and is preferred now"
        );
    }

    /// Looks at the heads of endpoints that are not in use, those whose turn it is.
    pub(super) async fn look_around(&self) {
        let in_use = self.preferred.load(Ordering::Relaxed);
        let due = self.endpoints.iter().enumerate().filter(|(place, endpoint)| {
            // The one in use is asked anyway.
            *place != in_use && endpoint.is_look_due(self.head_check_interval)
        });
        join_all(due.map(|(_, endpoint)| self.look(endpoint))).await;
    }

    /// The heights of all heads that are told and move, from the highest down: one that stands while others rise would
    /// hold up a quorum for as long as it does.
    pub(super) async fn heights(&self) -> Vec<u64> {
        let looks = self.available().map(|endpoint| async move {
            let height = self.look(endpoint).await;
            height.filter(|_| !endpoint.score().is_stuck())
        });
        let looks = join_all(looks).await;
        let mut heights: Vec<u64> = looks.into_iter().flatten().collect();
        heights.sort_unstable_by(|one, other| other.cmp(one));
        heights
    }

    /// Looks at one endpoint's head: its height, if it tells.
    pub(super) async fn look(&self, endpoint: &Endpoint) -> Option<u64> {
        let started = Instant::now();
        // A limit of requests that we keep is no fault of the endpoint: what it said last has to do.
        if endpoint.room(started).0 > started {
            return endpoint.score().credible_head();
        }
        let looked = timeout(LOOK_DEADLINE, async {
            self.verify(endpoint).await?;
            let asked_at = Instant::now();
            Ok((endpoint.height().await?, asked_at.elapsed()))
        });
        let failure = match looked.await {
            Ok(Ok((height, latency))) => {
                endpoint.health.succeeded();
                self.saw_head(endpoint, height, latency);
                return Some(height);
            }
            Ok(Err(failure)) => failure,
            Err(_) => {
                let call = Call { method: "eth_blockNumber", params: serde_json::json!([]) };
                endpoint.failure(Kind::Timeout, &call, &format!("no answer within {:?}", started.elapsed()))
            }
        };
        tracing::debug!(network = self.network, %failure, "a look at an endpoint's head failed");
        endpoint.health.rest(&failure);
        endpoint.score().overlooked();
        self.show(endpoint);
        None
    }

    /// An endpoint named its head.
    pub(super) fn saw_head(&self, endpoint: &Endpoint, head: u64, latency: Duration) {
        let best = self.endpoints.iter().filter_map(|endpoint| endpoint.score().credible_head()).max();
        let motion = endpoint.score().looked(head, best, latency);
        match motion {
            Motion::Stuck => {
                counter!(metrics::ENDPOINT_STUCK, "network" => self.network.clone(), "endpoint" => endpoint.label.clone())
                    .increment(1);
                tracing::warn!(
                    network = self.network,
                    endpoint = endpoint.label,
                    head,
                    best,
                    "an endpoint's head stands while those of others rise; it is left until it moves"
                );
            }
            Motion::Moving => {
                tracing::info!(
                    network = self.network,
                    endpoint = endpoint.label,
                    head,
                    "an endpoint's head rises again"
                );
            }
            Motion::Usual => {}
        }
        self.show(endpoint);
    }

    /// The gauges of an endpoint.
    fn show(&self, endpoint: &Endpoint) {
        let score = *endpoint.score();
        let labels = [("network", self.network.clone()), ("endpoint", endpoint.label.clone())];
        gauge!(metrics::ENDPOINT_SCORE, &labels).set(score.value());
        gauge!(metrics::ENDPOINT_LAG, &labels).set(score.lag());
    }
}
