//! One endpoint of a network: its connection, its health, and what was learnt about it.
//!
//! Every request has a total deadline (F41), is counted by method and outcome, and fails with a [`Failure`] that names
//! the endpoint without its credentials, even when the endpoint's own words repeat them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::metrics::{counter, histogram};
use alloy::primitives::{B256, U64};
use alloy::rpc::client::RpcClient;
use alloy::transports::{BoxTransport, TransportError};
use futures_util::future::try_join_all;
use reqwest::Url;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use super::check;
use super::classify::{Kind, classify, shorten};
use super::error::Failure;
use super::range::Span;
use super::transport::{ConnectOnce, HttpTransport, install_tls};
use super::wire::{WireHeader, header_by_number};
use crate::block::Header;
use crate::config::{self, redact};
use crate::id::ChainId;
use crate::metrics;

/// First rest after a failure; each further one doubles it.
const FIRST_REST: Duration = Duration::from_millis(100);

/// Longest rest after an answer that did not fit the moment.
const SHORT_REST: Duration = Duration::from_millis(800);

/// Longest rest after failures that pass by themselves.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Rest after a failure that an operator or a new day must cure.
const LONG_REST: Duration = Duration::from_secs(60);

/// Most failed entries of a batch that are asked again alone; more go into smaller batches.
const MAX_ASKED_ALONE: usize = 8;

/// Most times that the entries of a batch are asked, as long as some of them are answered.
const MAX_BATCH_ROUNDS: usize = 5;

/// A batch that was refused, or answered in part, is made smaller by this factor.
const BATCH_DIVISOR: usize = 4;

/// Shortest part of a URL that is held to be a secret when an endpoint's words repeat it.
const SECRET_CHARS: usize = 6;

/// A request: method and parameters.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) params: Value,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The list of watched contracts is long and always the same.
        let mut params = self.params.clone();
        if let Some(filter) = params.get_mut(0).and_then(Value::as_object_mut) {
            filter.remove("address");
        }
        write!(f, "{} {}", self.method, shorten(&params.to_string()))
    }
}

/// The answer to one call of a batch.
pub(super) type Answer = Result<Box<RawValue>, Failure>;

/// Whether asking again may help at once.
fn is_passing(answer: &Answer) -> bool {
    let Err(failure) = answer else { return false };
    matches!(failure.kind, Kind::Transient | Kind::Timeout | Kind::Inconsistent | Kind::Rate(None))
}

/// Which chain an endpoint is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) chain_id: ChainId,
    pub(super) genesis_hash: B256,
}

enum Wire {
    /// Requests and their answers, over HTTP or over a transport that was handed in.
    Exchange(RpcClient),
    /// The connection is made when it is first needed, and anew after it broke.
    WebSocket { url: String, client: tokio::sync::Mutex<Option<RpcClient>> },
}

#[derive(Debug, Default)]
struct Health {
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

/// An endpoint.
pub(super) struct Endpoint {
    /// Its URL without credentials.
    pub(super) label: String,
    network: String,
    wire: Wire,
    secrets: Vec<String>,
    /// The longest that one request may take.
    pub(super) deadline: Duration,
    /// Most requests of a batch, as configured or as learnt.
    batch_requests: AtomicUsize,
    permits: Semaphore,
    health: Mutex<Health>,
    span: Mutex<Span>,
    /// The head that it last named (F2).
    confirmed_head: AtomicU64,
    /// It refused a query by block hash although one by range worked (F37).
    pub(super) refuses_hash_queries: AtomicBool,
    /// It does not know `taiko_headL1Origin`.
    pub(super) lacks_l1_origin: AtomicBool,
}

impl std::fmt::Debug for Endpoint {
    /// The label only: the URL and the secrets in it must not reach a log by way of a debug print.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Endpoint").field(&self.label).finish()
    }
}

impl Endpoint {
    /// Prepares an endpoint of the network; nothing is sent. Fails with the reason when the URL is not one.
    pub(super) fn new(network: &config::Network, url: &str) -> Result<Self, String> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        let wire = match parsed.scheme() {
            "ws" | "wss" => {
                install_tls();
                Wire::WebSocket { url: url.into(), client: tokio::sync::Mutex::default() }
            }
            _ => Wire::Exchange(RpcClient::new(HttpTransport::new(parsed.clone())?, false)),
        };
        Ok(Self::over(network, redact(url), wire, secrets(&parsed)))
    }

    /// An endpoint behind a transport that somebody else made; `label` is its name in words.
    pub(super) fn given(network: &config::Network, label: String, transport: BoxTransport) -> Self {
        Self::over(network, label, Wire::Exchange(RpcClient::new(transport, false)), vec![])
    }

    fn over(network: &config::Network, label: String, wire: Wire, secrets: Vec<String>) -> Self {
        let follow = &network.follow;
        Self {
            label,
            network: network.name.clone(),
            wire,
            secrets,
            deadline: Duration::from_millis(follow.request_deadline_ms),
            batch_requests: AtomicUsize::new(follow.batch_requests.max(1)),
            permits: Semaphore::new(follow.concurrent_requests),
            health: Mutex::default(),
            span: Mutex::new(Span::new(follow.max_range_blocks)),
            confirmed_head: AtomicU64::new(0),
            refuses_hash_queries: AtomicBool::new(false),
            lacks_l1_origin: AtomicBool::new(false),
        }
    }

    pub(super) fn is_websocket(&self) -> bool {
        matches!(self.wire, Wire::WebSocket { .. })
    }

    /// Which chain it is of.
    pub(super) async fn identify(&self) -> Result<Identity, Failure> {
        let chain_id: U64 = self.request(&Call { method: "eth_chainId", params: Value::Array(vec![]) }).await?;
        let genesis = self.header(0).await?;
        let missing = || self.failure(Kind::UnknownBlock, &header_by_number(0), "there is no block 0");
        Ok(Identity { chain_id: chain_id.to(), genesis_hash: genesis.ok_or_else(missing)?.hash })
    }

    /// The header of that height, if the endpoint has it.
    pub(super) async fn header(&self, number: u64) -> Result<Option<Header>, Failure> {
        let call = header_by_number(number);
        let Some(wire) = self.request::<Option<WireHeader>>(&call).await? else { return Ok(None) };
        check::header(Some(number), wire).map(Some).map_err(|reason| self.failure(Kind::Inconsistent, &call, &reason))
    }

    /// Makes sure that the endpoint has named a head at or above `number` (F2).
    pub(super) async fn confirm(&self, number: u64) -> Result<(), Failure> {
        if self.confirmed_head.load(Ordering::Relaxed) >= number {
            return Ok(());
        }
        let call = Call { method: "eth_blockNumber", params: Value::Array(vec![]) };
        let head = self.request::<U64>(&call).await?.to();
        self.set_confirmed_head(head);
        if head >= number {
            return Ok(());
        }
        Err(self.failure(Kind::UnknownBlock, &call, &format!("its head is {head}, block {number} is wanted")))
    }

    pub(super) fn set_confirmed_head(&self, number: u64) {
        self.confirmed_head.store(number, Ordering::Relaxed);
    }

    pub(super) fn confirmed_head(&self) -> u64 {
        self.confirmed_head.load(Ordering::Relaxed)
    }

    /// One request.
    pub(super) async fn request<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        let raw = self.raw(call).await?;
        self.read(call, &raw)
    }

    /// An answer as the type that is due.
    pub(super) fn read<T: DeserializeOwned>(&self, call: &Call, raw: &RawValue) -> Result<T, Failure> {
        serde_json::from_str(raw.get())
            .map_err(|error| self.failure(Kind::Inconsistent, call, &format!("{error} in {}", shorten(raw.get()))))
    }

    /// Many requests, in JSON-RPC batches, answers in their order. Entries that failed in passing are asked again, few
    /// of them alone, many in smaller batches (F40); a refusal of the batch as such makes batches smaller for good.
    pub(super) async fn batch(&self, calls: &[Call]) -> Result<Vec<Answer>, Failure> {
        let mut answers: Vec<Option<Answer>> = calls.iter().map(|_| None).collect();
        let mut size = self.batch_requests.load(Ordering::Relaxed);
        for round in 0..MAX_BATCH_ROUNDS {
            let due: Vec<_> =
                (0..calls.len()).filter(|index| answers[*index].as_ref().is_none_or(is_passing)).collect();
            if due.is_empty() {
                break;
            }
            if round > 0 {
                size = if due.len() <= MAX_ASKED_ALONE { 1 } else { (size / BATCH_DIVISOR).max(1) };
                // Where the rate was the reason, a little patience is the cure.
                sleep(FIRST_REST).await;
            }
            // All at once: the permits bound how many are under way.
            let batches = try_join_all(due.chunks(size).map(|chunk| self.batch_or_halves(calls, chunk))).await?;
            let mut progress = false;
            for (index, answer) in due.iter().zip(batches.into_iter().flatten()) {
                progress |= !is_passing(&answer);
                answers[*index] = Some(answer);
            }
            if !progress {
                break;
            }
        }
        let missing = |call: &Call| Err(self.failure(Kind::Transient, call, "not asked"));
        Ok(answers.into_iter().zip(calls).map(|(answer, call)| answer.unwrap_or_else(|| missing(call))).collect())
    }

    /// One batch of these calls, split for as long as it is refused as a batch.
    async fn batch_or_halves(&self, calls: &[Call], chunk: &[usize]) -> Result<Vec<Answer>, Failure> {
        let mut answers = Vec::with_capacity(chunk.len());
        let mut size = chunk.len();
        while answers.len() < chunk.len() {
            let rest = &chunk[answers.len()..];
            let part: Vec<_> = rest[..size.min(rest.len())].iter().map(|index| calls[*index].clone()).collect();
            match self.batch_once(&part).await {
                Ok(part) => answers.extend(part),
                Err(failure) if part.len() > 1 && matches!(failure.kind, Kind::Permanent | Kind::Unsupported) => {
                    size = (part.len() / BATCH_DIVISOR).max(1);
                    self.batch_requests.fetch_min(size, Ordering::Relaxed);
                    tracing::info!(%failure, size, "the endpoint refuses batches of this size; they are smaller now");
                }
                // Two entries are a range and its end: there the range is what is too large.
                Err(failure) if part.len() > 2 && matches!(failure.kind, Kind::TooLarge(_)) => {
                    size = (part.len() / BATCH_DIVISOR).max(1);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(answers)
    }

    /// One batch, as it is answered.
    async fn batch_once(&self, calls: &[Call]) -> Result<Vec<Answer>, Failure> {
        if let [call] = calls {
            return Ok(vec![self.raw(call).await]);
        }
        let Some(first) = calls.first() else { return Ok(vec![]) };
        let answers = async {
            let client = self.client().await?;
            let mut batch = client.new_batch();
            let mut waiters = Vec::with_capacity(calls.len());
            for call in calls {
                waiters.push(batch.add_call::<_, Box<RawValue>>(call.method, &call.params)?);
            }
            batch.send().await?;
            let mut answers = Vec::with_capacity(calls.len());
            for waiter in waiters {
                answers.push(waiter.await);
            }
            Ok(answers)
        };
        for call in calls {
            counter!(metrics::RPC_REQUESTS, "network" => self.network.clone(), "method" => call.method).increment(1);
        }
        let answers = self.within_deadline("batch", first, answers).await?;
        let classified =
            |(answer, call): (Result<_, TransportError>, &Call)| answer.map_err(|error| self.failed(call, &error));
        Ok(answers.into_iter().zip(calls).map(classified).collect())
    }

    async fn raw(&self, call: &Call) -> Result<Box<RawValue>, Failure> {
        counter!(metrics::RPC_REQUESTS, "network" => self.network.clone(), "method" => call.method).increment(1);
        let answer = async {
            let client = self.client().await?;
            client.request::<_, Box<RawValue>>(call.method, call.params.clone()).await
        };
        self.within_deadline(call.method, call, answer).await
    }

    async fn within_deadline<T>(
        &self,
        method: &'static str,
        call: &Call,
        answer: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, Failure> {
        let _permit = self.permits.acquire().await;
        let started = Instant::now();
        let answer = timeout(self.deadline, answer).await;
        histogram!(metrics::RPC_DURATION, "method" => method).record(started.elapsed());
        let failure = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => self.failed(call, &error),
            Err(_) => self.counted(self.failure(Kind::Timeout, call, &format!("no answer within {:?}", self.deadline))),
        };
        if matches!(failure.kind, Kind::Timeout | Kind::Unreachable) {
            self.disconnect().await;
        }
        Err(failure)
    }

    /// The client of its connection; a WebSocket is connected if need be.
    pub(super) async fn client(&self) -> Result<RpcClient, TransportError> {
        match &self.wire {
            Wire::Exchange(client) => Ok(client.clone()),
            Wire::WebSocket { url, client } => {
                let mut client = client.lock().await;
                if let Some(client) = client.as_ref() {
                    return Ok(client.clone());
                }
                // On the heap: connecting is rare, its state is large, and every request's future would carry it.
                let connected = Box::pin(RpcClient::connect_pubsub(ConnectOnce::new(url))).await?;
                *client = Some(connected.clone());
                Ok(connected)
            }
        }
    }

    /// Drops a WebSocket that broke or fell silent (F27); the next request makes a new one.
    pub(super) async fn disconnect(&self) {
        if let Wire::WebSocket { client, .. } = &self.wire {
            *client.lock().await = None;
            self.health().verified = false;
        }
    }

    /// A failure of this endpoint in a transport's words.
    pub(super) fn failed(&self, call: &Call, error: &TransportError) -> Failure {
        let (kind, message) = classify(error);
        self.counted(self.failure(kind, call, &message))
    }

    fn counted(&self, failure: Failure) -> Failure {
        let method = failure.request.split(' ').next().unwrap_or_default().to_owned();
        let labels = [("network", self.network.clone()), ("method", method), ("kind", failure.kind.name().to_owned())];
        counter!(metrics::RPC_ERRORS, &labels).increment(1);
        failure
    }

    /// A failure of this endpoint in our words.
    pub(super) fn failure(&self, kind: Kind, request: &Call, message: &str) -> Failure {
        let mut message = shorten(message);
        for secret in &self.secrets {
            message = message.replace(secret, "…");
        }
        Failure { endpoint: self.label.clone(), request: request.to_string(), kind, message }
    }

    /// How many blocks it takes at once.
    pub(super) fn span(&self) -> MutexGuard<'_, Span> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When it may be asked again; nothing for an endpoint of another chain.
    pub(super) fn available_at(&self, now: Instant) -> Option<Instant> {
        let health = self.health();
        (!health.refused).then(|| health.resting_until.map_or(now, |until| until.max(now)))
    }

    pub(super) fn is_verified(&self) -> bool {
        self.health().verified
    }

    /// Its chain is the network's.
    pub(super) fn verify(&self) {
        self.health().verified = true;
    }

    /// Its chain is another: it is never asked again.
    pub(super) fn refuse(&self) {
        self.health().refused = true;
    }

    pub(super) fn is_refused(&self) -> bool {
        self.health().refused
    }

    /// It answered. A rest that it asked for meanwhile, in answer to another request, still counts.
    pub(super) fn succeeded(&self) {
        self.health().failures = 0;
    }

    /// It failed: it rests the longer the more often it did in a row, or as long as it says. Returns how often it did.
    pub(super) fn rest(&self, failure: &Failure) -> u32 {
        let mut health = self.health();
        let now = Instant::now();
        if failure.kind == Kind::Unreachable {
            health.verified = false;
        }
        // Requests that failed at the same time are one failure.
        if health.resting_until.is_some_and(|until| until > now) && !matches!(failure.kind, Kind::Rate(Some(_))) {
            return health.failures;
        }
        let doubled = FIRST_REST.saturating_mul(1 << health.failures.min(16));
        let rest = match failure.kind {
            Kind::Rate(Some(wait)) => wait.max(FIRST_REST),
            Kind::Quota | Kind::Auth => LONG_REST,
            // A chain that moves is no fault of the endpoint.
            Kind::UnknownBlock | Kind::Inconsistent | Kind::TooLarge(_) => doubled.min(SHORT_REST),
            _ => doubled.min(LONGEST_REST),
        };
        health.failures = health.failures.saturating_add(1);
        health.resting_until = Some(now + rest);
        health.last = Some(failure.clone());
        health.failures
    }

    /// Why it is not asked although it rests for that long.
    pub(super) fn resting(&self, wait: Duration) -> Option<Failure> {
        let failure = self.health().last.clone()?;
        let message = format!("{}, and rests for another {} s", failure.message, wait.as_secs().max(1));
        // The block or the answer of that time is not what is asked for now.
        let kind = match failure.kind {
            Kind::UnknownBlock | Kind::Inconsistent | Kind::TooLarge(_) => Kind::Transient,
            kind => kind,
        };
        Some(Failure { kind, message, ..failure })
    }
}

/// The parts of a URL that may be keys: user, password, long parts of the path, values of the query.
fn secrets(url: &Url) -> Vec<String> {
    let path = url.path_segments().into_iter().flatten().map(str::to_owned);
    let query = url.query_pairs().map(|(_, value)| value.into_owned());
    let user = [Some(url.username()), url.password()].into_iter().flatten().map(str::to_owned);
    let mut secrets: Vec<_> = path.chain(query).chain(user).filter(|part| part.len() >= SECRET_CHARS).collect();
    // A longer secret may hold a shorter one.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets
}

#[cfg(test)]
mod tests {
    use super::{Call, Endpoint, Kind};
    use crate::config::Network;

    fn endpoint(url: &str) -> Endpoint {
        let network: Network = toml::from_str("name = \"test\"\nchain_id = 1").expect("the network is valid");
        Endpoint::new(&network, url).expect("the URL is valid")
    }

    #[test]
    fn a_failure_never_shows_credentials() {
        let endpoint = endpoint("https://user:password@rpc.example.com/v2/0123456789abcdef?token=sesame-open");
        let call = Call { method: "eth_chainId", params: serde_json::json!([]) };
        let words = "key 0123456789abcdef of user:password with sesame-open is over its limit";
        let failure = endpoint.failure(Kind::Quota, &call, words).to_string();
        for secret in ["0123456789abcdef", "password", "sesame"] {
            assert!(!failure.contains(secret), "{failure}");
        }
        assert!(failure.contains("https://rpc.example.com/…"), "{failure}");
        assert_eq!(format!("{endpoint:?}"), r#"Endpoint("https://rpc.example.com/…")"#);
    }

    #[test]
    fn requests_are_named_without_the_long_list_of_contracts() {
        let params = serde_json::json!([{"address": ["0x01", "0x02"], "fromBlock": "0x1"}]);
        assert_eq!(Call { method: "eth_getLogs", params }.to_string(), r#"eth_getLogs [{"fromBlock":"0x1"}]"#);
    }
}
