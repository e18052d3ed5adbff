//! The endpoints of a network as one: whom to ask, how often, and when to stop.
//!
//! A request goes to the preferred endpoint ([`super::look`] prefers by score); while that one rests, or its limits leave
//! no room, to the next best. Fallbacks are asked only while no other can be (F43). When a request fails in passing, the
//! endpoint rests, longer each time, and the next one is asked; the number of attempts and each wait are bounded. No
//! endpoint is used before its chain id and genesis block were checked, nor after its connection was lost (F31).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep_until};

use super::classify::Kind;
use super::endpoint::{Endpoint, EndpointRole, Identity};
use super::error::{ChainError, Failure};
use super::lesson::Lesson;
use super::look::Tier;
use super::wire::header_by_number;
use crate::config;

/// Fewest times a request is sent before it has failed; with many endpoints each gets two chances.
const MIN_ATTEMPTS: usize = 5;

/// Longest that a request waits for an endpoint to have rested; longer rests are the caller's to sit out.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long a rest of the others is waited for before a fallback or a stuck endpoint is asked.
const FALLBACK_PATIENCE: Duration = Duration::from_secs(1);

/// Failures of one request at one endpoint after which those go first that were not asked for it yet, fallbacks too: what
/// a moment does not heal, another endpoint may have.
const CHANCES: usize = 2;

/// Failures in a row after which an operator is told once.
const WARN_AFTER_FAILURES: u32 = 4;

/// The endpoints of a network.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) network: String,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) identity: Identity,
    /// The place of the endpoint that is asked first.
    pub(super) preferred: AtomicUsize,
    pub(super) head_check_interval: Duration,
}

/// The endpoints of the network: the name to show, a number behind it where several would look alike; the role; the URL.
pub(super) fn named(network: &config::Network) -> impl Iterator<Item = (String, EndpointRole, &str)> {
    let mut seen = HashMap::<String, usize>::new();
    let roles = std::iter::repeat_n(EndpointRole::Primary, network.rpc_urls.len());
    let roles = roles.chain(std::iter::repeat(EndpointRole::Fallback));
    network.endpoints().zip(roles).map(move |(url, role)| {
        let shown = config::redact(url);
        let times = seen.entry(shown.clone()).and_modify(|times| *times += 1).or_insert(1);
        let label = if *times == 1 { shown } else { format!("{shown} ({times})") };
        (label, role, url)
    })
}

impl Pool {
    /// The endpoints of the network, those that can be reached held against each other.
    pub(super) async fn connect(network: &config::Network) -> Result<Self, ChainError> {
        let endpoints = named(network).map(|(label, role, url)| {
            Endpoint::new(network, label.clone(), role, url).map(Arc::new).map_err(|reason| ChainError::Unusable {
                network: network.name.clone(),
                endpoint: label,
                reason,
            })
        });
        Self::of(network, endpoints.collect::<Result<_, _>>()?).await
    }

    /// These endpoints, those that can be reached held against each other.
    pub(super) async fn of(network: &config::Network, endpoints: Vec<Arc<Endpoint>>) -> Result<Self, ChainError> {
        let identity = agreed(network, &endpoints).await?;
        let preferred = AtomicUsize::new(0);
        let head_check_interval = Duration::from_millis(network.follow.head_check_interval_ms);
        Ok(Self { network: network.name.clone(), endpoints, identity, preferred, head_check_interval })
    }

    /// The endpoint that is asked first.
    pub(super) fn preferred(&self) -> &Endpoint {
        &self.endpoints[self.preferred.load(Ordering::Relaxed)]
    }

    /// The endpoints that may be asked right now.
    pub(super) fn available(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        let now = Instant::now();
        self.endpoints.iter().filter(move |endpoint| endpoint.health.available_at(now) == Some(now))
    }

    /// Does the work at one endpoint after the other until it succeeds, or the attempts are used up.
    pub(super) async fn ask<T, W, F>(&self, work: W) -> Result<T, ChainError>
    where
        W: Fn(Arc<Endpoint>) -> F,
        F: Future<Output = Result<T, Failure>>,
    {
        let attempts = MIN_ATTEMPTS.max(self.endpoints.len() * 2);
        let mut refused = vec![false; self.endpoints.len()];
        let mut failures = vec![0; self.endpoints.len()];
        let mut last = None;
        for _ in 0..attempts {
            let Some((index, from)) = self.pick(&refused, &failures) else { break };
            let wait = from.saturating_duration_since(Instant::now());
            let endpoint = Arc::clone(&self.endpoints[index]);
            if wait > LONGEST_WAIT {
                last = last.or_else(|| endpoint.health.resting(wait));
                break;
            }
            // A timer takes its time even when that is past, and others would take the room meanwhile.
            if !wait.is_zero() {
                sleep_until(from).await;
            }
            match self.ask_one(&endpoint, &work).await {
                Ok(value) => return Ok(value),
                Err(failure) => {
                    // The same words to the same endpoint get the same answer; another one may do better.
                    if matches!(failure.kind, Kind::Permanent | Kind::Unsupported) {
                        refused[index] = true;
                    } else if endpoint.health.rest(&failure) == WARN_AFTER_FAILURES {
                        tracing::warn!(network = self.network, %failure, "an endpoint keeps failing");
                    }
                    failures[index] += 1;
                    last = Some(failure);
                }
            }
        }
        let (network, endpoints) = (self.network.clone(), self.endpoints.len());
        Err(match last {
            Some(failure) if !self.endpoints.iter().all(|endpoint| endpoint.health.is_refused()) => {
                ChainError::after_retries(&self.network, failure)
            }
            last => {
                let failure = Box::new(last.unwrap_or_else(|| self.left_out()));
                ChainError::NoEndpoint { network, endpoints, failure }
            }
        })
    }

    /// Asks for something that an endpoint need not have, of each endpoint that is not believed to lack it, once. A failure
    /// is remembered as a lesson about this question; the endpoint neither rests nor loses score, because whoever does
    /// without this answer still needs the others. Fallbacks are asked behind the others.
    ///
    /// # Errors
    /// [`ChainError`]: of kind `Unsupported` when nobody has it, now or later; otherwise the request is to be repeated.
    pub(super) async fn ask_optional<T, L, W, F>(&self, lesson: L, work: W) -> Result<T, ChainError>
    where
        L: Fn(&Endpoint) -> &Lesson,
        W: Fn(Arc<Endpoint>) -> F,
        F: Future<Output = Result<T, Failure>>,
    {
        let available = self.by_rank();
        let resting = self.endpoints.iter().filter(|endpoint| {
            !endpoint.health.is_refused()
                && !lesson(endpoint).holds()
                && !available.iter().any(|other| Arc::ptr_eq(other, endpoint))
        });
        // What counts most in the end: an endpoint that may have it at another time.
        let mut later = resting.filter_map(|endpoint| endpoint.health.resting(Duration::ZERO)).next();
        let mut never = None;
        for endpoint in available.iter().filter(|endpoint| !lesson(endpoint).holds()) {
            let answer = match self.verify(endpoint).await {
                Ok(()) => work(Arc::clone(endpoint)).await,
                Err(failure) => Err(failure),
            };
            let failure = match answer {
                Ok(value) => {
                    lesson(endpoint).answered();
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            tracing::debug!(network = self.network, %failure, "an endpoint does not answer what it need not");
            match failure.kind {
                Kind::Permanent | Kind::Unsupported | Kind::Auth | Kind::Quota => lesson(endpoint).refused(),
                Kind::Rate(Some(wait)) => lesson(endpoint).postponed(wait),
                Kind::Rate(None) | Kind::Transient | Kind::Timeout => lesson(endpoint).failed(),
                Kind::Unreachable => {
                    endpoint.health.unverify();
                }
                Kind::TooLarge(_) | Kind::UnknownBlock | Kind::Inconsistent | Kind::WrongChain => {}
            }
            match failure.kind {
                Kind::Permanent | Kind::Unsupported | Kind::Auth | Kind::Quota | Kind::WrongChain => {
                    never = Some(failure);
                }
                _ => later = Some(failure),
            }
        }
        let nobody = || Failure { kind: Kind::Unsupported, message: "no endpoint serves it".into(), ..self.left_out() };
        let never = never.map(|failure| match failure.kind {
            Kind::Auth | Kind::Quota => Failure { kind: Kind::Unsupported, ..failure },
            _ => failure,
        });
        let last = later.or(never).unwrap_or_else(nobody);
        Err(ChainError::after_retries(&self.network, last))
    }

    /// The endpoints that may be asked right now, the best first, fallbacks behind the others.
    pub(super) fn by_rank(&self) -> Vec<Arc<Endpoint>> {
        let mut ranked: Vec<_> = self.available().cloned().collect();
        ranked.sort_by_cached_key(|endpoint| (endpoint.tier(), OrderedCost(endpoint.score().cost_ms())));
        ranked
    }

    /// Does the work at one endpoint, once.
    pub(super) async fn ask_one<T, W, F>(&self, endpoint: &Arc<Endpoint>, work: &W) -> Result<T, Failure>
    where
        W: Fn(Arc<Endpoint>) -> F,
        F: Future<Output = Result<T, Failure>>,
    {
        let result = match self.verify(endpoint).await {
            Ok(()) => work(Arc::clone(endpoint)).await,
            Err(failure) => Err(failure),
        };
        match &result {
            Ok(_) => {
                endpoint.health.succeeded();
                endpoint.score().answered();
            }
            Err(failure) => {
                tracing::debug!(network = self.network, %failure, "a request failed");
                if failure.kind.is_of_the_endpoint() {
                    endpoint.score().failed();
                }
            }
        }
        result
    }

    /// The endpoint to ask next and from when: of those that may be asked first, the preferred one if it has room, else
    /// the best that has. A fallback, or an endpoint that is stuck, has to wait a little longer than the others. Behind
    /// them are those that had their chances with this request, and last those that rest too long to be waited for.
    fn pick(&self, refused: &[bool], failures: &[usize]) -> Option<(usize, Instant)> {
        let now = Instant::now();
        let preferred = self.preferred.load(Ordering::Relaxed);
        let candidates = self.endpoints.iter().enumerate().filter(|(index, _)| !refused[*index]);
        let ranked = candidates.filter_map(|(index, endpoint)| {
            let from = endpoint.health.available_at(now)?;
            let tier = endpoint.tier();
            let patience = if tier == Tier::First { Duration::ZERO } else { FALLBACK_PATIENCE };
            let (due, has_permit) = endpoint.room(now);
            let cost = OrderedCost(endpoint.score().cost_ms());
            let is_out = (from > now + LONGEST_WAIT, failures[index] >= CHANCES);
            Some(((is_out, from + patience, tier, due, !has_permit, index != preferred, cost, index), from))
        });
        ranked.min_by(|(one, _), (other, _)| one.cmp(other)).map(|(rank, from)| (rank.7, from))
    }

    /// Makes sure of the endpoint's chain before its first use and after its connection was lost (F31).
    pub(super) async fn verify(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        if endpoint.health.is_verified() {
            return Ok(());
        }
        if endpoint.health.is_refused() {
            return Err(self.left_out());
        }
        let found = endpoint.identify().await?;
        match check_identity(&self.network, endpoint, self.identity, found) {
            Ok(()) => {
                endpoint.health.verify();
                Ok(())
            }
            Err(error) => {
                tracing::error!("{error}; the endpoint is left out");
                endpoint.health.refuse();
                Err(endpoint.failure(Kind::WrongChain, &header_by_number(0), &error.to_string()))
            }
        }
    }

    /// Every endpoint turned out to be of another chain.
    fn left_out(&self) -> Failure {
        Failure {
            endpoint: format!("each of {} endpoint(s)", self.endpoints.len()),
            request: "(not asked)".into(),
            kind: Kind::WrongChain,
            message: "it is of another chain by now".into(),
        }
    }

    /// A failure that no retry cured.
    pub(super) fn failed(&self, failure: Failure) -> ChainError {
        ChainError::after_retries(&self.network, failure)
    }

    /// Answers of several requests that do not fit each other.
    pub(super) fn contradiction(&self, numbers: &[u64], reason: &str) -> ChainError {
        let bounds = (numbers.first().copied().unwrap_or_default(), numbers.last().copied().unwrap_or_default());
        let failure = Failure {
            endpoint: "the endpoints together".into(),
            request: format!("eth_getBlockByNumber {} to {}", bounds.0, bounds.1),
            kind: Kind::Inconsistent,
            message: reason.into(),
        };
        ChainError::after_retries(&self.network, failure)
    }
}

/// A cost that is a number, and can be compared.
#[derive(Debug, Clone, Copy, PartialEq)]
struct OrderedCost(f64);

impl Eq for OrderedCost {}

impl PartialOrd for OrderedCost {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedCost {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The identity that all reachable endpoints share.
async fn agreed(network: &config::Network, endpoints: &[Arc<Endpoint>]) -> Result<Identity, ChainError> {
    let identities = join_all(endpoints.iter().map(|endpoint| endpoint.identify())).await;
    let mut agreed: Option<Identity> = None;
    let mut down = None;
    for (endpoint, identity) in endpoints.iter().zip(identities) {
        match identity {
            Ok(identity) => {
                let expected = Identity {
                    chain_id: network.chain_id,
                    genesis_hash: agreed.map_or(identity.genesis_hash, |agreed| agreed.genesis_hash),
                };
                check_identity(&network.name, endpoint, expected, identity)?;
                endpoint.health.verify();
                agreed = Some(identity);
            }
            Err(failure) => {
                tracing::warn!(network = network.name, %failure, "starting without this endpoint, it is tried later");
                endpoint.health.rest(&failure);
                down = Some(failure);
            }
        }
    }
    match (agreed, down) {
        (Some(identity), _) => Ok(identity),
        (None, Some(failure)) => Err(ChainError::NoEndpoint {
            network: network.name.clone(),
            endpoints: endpoints.len(),
            failure: Box::new(failure),
        }),
        (None, None) => Err(ChainError::Unusable {
            network: network.name.clone(),
            endpoint: "(none)".into(),
            reason: "rpc_urls is empty".into(),
        }),
    }
}

pub(super) fn check_identity(
    network: &str,
    endpoint: &Endpoint,
    expected: Identity,
    found: Identity,
) -> Result<(), ChainError> {
    let (network, label) = (network.to_owned(), endpoint.label.clone());
    if found.chain_id != expected.chain_id {
        let (expected, found) = (expected.chain_id, found.chain_id);
        return Err(ChainError::WrongChain { network, endpoint: label, expected, found });
    }
    if found.genesis_hash != expected.genesis_hash {
        let (expected, found) = (expected.genesis_hash, found.genesis_hash);
        return Err(ChainError::WrongGenesis { network, endpoint: label, expected, found });
    }
    Ok(())
}
