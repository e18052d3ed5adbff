//! One endpoint of a network: its connection, its health, and what was learnt about it.
//!
//! Every request has a total deadline (F41), is counted by method and outcome, and fails with a [`Failure`] that names
//! the endpoint without its credentials, even when the endpoint's own words repeat them. Every request waits for its turn
//! here, and those of the background for what the others leave of the endpoint's limits.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::metrics::{counter, histogram};
use alloy::primitives::{B256, U64};
use alloy::rpc::client::RpcClient;
use alloy::transports::{BoxTransport, TransportError};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};

use super::check;
use super::classify::{Kind, classify, shorten};
use super::connection::Connection;
use super::error::Failure;
use super::health::Health;
use super::lane::is_in_background;
use super::lesson::Lesson;
use super::range::Span;
use super::rate::Bucket;
use super::score::Score;
use super::wire::{WireHeader, header_by_number};
use crate::block::Header;
use crate::config;
use crate::id::ChainId;
use crate::metrics;

/// Characters of an answer that cannot be read that are looked at for an error; the error is shortened later.
const RAW_CHARS: usize = 2_000;

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

/// Which chain an endpoint is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) chain_id: ChainId,
    pub(super) genesis_hash: B256,
}

/// What an endpoint is for (F43).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndpointRole {
    /// One of `rpc_urls`: equals, of which the one that fares best is asked.
    Primary,
    /// One of `fallback_rpc_urls`: asked only while no other can be.
    Fallback,
}

/// An endpoint.
pub(super) struct Endpoint {
    /// Its URL without credentials.
    pub(super) label: String,
    pub(super) role: EndpointRole,
    pub(super) network: String,
    connection: Connection,
    /// The longest that one request may take.
    pub(super) deadline: Duration,
    /// Most requests of a batch, as configured.
    pub(super) most_batch_requests: usize,
    /// Most requests of a batch while larger ones are refused.
    pub(super) batch_requests: AtomicUsize,
    /// Batches of more were refused.
    pub(super) large_batches: Lesson,
    permits: Semaphore,
    /// Of the permits, those that the background may have or wait for: not all, so that others find one.
    background_permits: Semaphore,
    bucket: Mutex<Bucket>,
    pub(super) health: Health,
    score: Mutex<Score>,
    /// When its head is looked at again, if nobody asks it anyway.
    pub(super) next_look: Mutex<Option<Instant>>,
    span: Mutex<Span>,
    /// The head that it last named (F2).
    confirmed_head: AtomicU64,
    /// It refused a query by block hash although one by range worked (F37).
    pub(super) hash_queries: Lesson,
    /// It did not know `taiko_headL1Origin`.
    pub(super) l1_origin: Lesson,
    /// Whether it serves the receipts of a block (F36).
    pub(super) receipts: Lesson,
    /// Whether it calls contracts on the state of a block below its head.
    pub(super) calls: Lesson,
}

impl std::fmt::Debug for Endpoint {
    /// The label only: the URL and the secrets in it must not reach a log by way of a debug print.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Endpoint").field(&self.label).finish()
    }
}

impl Endpoint {
    /// Prepares an endpoint of the network; nothing is sent. Fails with the reason when the URL is not one.
    pub(super) fn new(network: &config::Network, label: String, role: EndpointRole, url: &str) -> Result<Self, String> {
        Ok(Self::over(network, label, role, Connection::to(url)?))
    }

    /// An endpoint behind a transport that somebody else made; `label` is its name in words.
    pub(super) fn given(network: &config::Network, label: String, transport: BoxTransport) -> Self {
        Self::over(network, label, EndpointRole::Primary, Connection::given(transport))
    }

    fn over(network: &config::Network, label: String, role: EndpointRole, connection: Connection) -> Self {
        let follow = &network.follow;
        // A batch is at most what may be sent at once.
        let batch_requests = match follow.requests_per_second {
            0 => follow.batch_requests,
            limit => follow.batch_requests.min(usize::try_from(limit).unwrap_or(usize::MAX)),
        };
        Self {
            label,
            role,
            network: network.name.clone(),
            connection,
            deadline: Duration::from_millis(follow.request_deadline_ms),
            most_batch_requests: batch_requests.max(1),
            batch_requests: AtomicUsize::new(batch_requests.max(1)),
            large_batches: Lesson::default(),
            permits: Semaphore::new(follow.concurrent_requests),
            background_permits: Semaphore::new((follow.concurrent_requests / 2).max(1)),
            bucket: Mutex::new(Bucket::new(follow.requests_per_second)),
            health: Health::default(),
            score: Mutex::default(),
            next_look: Mutex::default(),
            span: Mutex::new(Span::new(follow.max_range_blocks)),
            confirmed_head: AtomicU64::new(0),
            hash_queries: Lesson::default(),
            l1_origin: Lesson::default(),
            receipts: Lesson::default(),
            calls: Lesson::default(),
        }
    }

    pub(super) fn is_websocket(&self) -> bool {
        self.connection.is_websocket()
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
        serde_json::from_str(raw.get()).map_err(|error| {
            self.failure(
                Kind::Inconsistent,
                call,
                &format!("{error} in {}", raw.get().chars().take(RAW_CHARS).collect::<String>()),
            )
        })
    }

    pub(super) async fn raw(&self, call: &Call) -> Result<Box<RawValue>, Failure> {
        counter!(metrics::RPC_REQUESTS, "network" => self.network.clone(), "method" => call.method).increment(1);
        let answer = async {
            let client = self.client().await?;
            client.request::<_, Box<RawValue>>(call.method, call.params.clone()).await
        };
        self.within_deadline(call.method, 1, call, answer).await
    }

    pub(super) async fn within_deadline<T>(
        &self,
        method: &'static str,
        requests: usize,
        call: &Call,
        answer: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, Failure> {
        let _background = if is_in_background() { Some(self.background_permits.acquire().await) } else { None };
        let (due, now) = self.turn(requests).await;
        if due > now {
            sleep_until(due).await;
        }
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

    /// Takes these requests from what may be sent: when they may be, and when that was said. The background waits here
    /// until ingestion has left something, or its share is due: it books nothing ahead.
    async fn turn(&self, requests: usize) -> (Instant, Instant) {
        let since = Instant::now();
        if !is_in_background() {
            return (self.bucket().take(requests, since), since);
        }
        // Ends with the share at the latest, which only another request of the background puts off.
        loop {
            let now = Instant::now();
            let taken = self.bucket().take_in_background(requests, since, now);
            match taken {
                Ok(due) => return (due, now),
                Err(again) => sleep_until(again).await,
            }
        }
    }

    /// The client of its connection; a WebSocket is connected if need be.
    pub(super) async fn client(&self) -> Result<RpcClient, TransportError> {
        self.connection.client().await
    }

    /// Drops a WebSocket that broke or fell silent (F27); the next request makes a new one.
    pub(super) async fn disconnect(&self) {
        if self.connection.disconnect().await {
            self.health.unverify();
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
        // A secret that is cut in two is not recognised any more.
        let message = shorten(&self.connection.hide(message.to_owned()));
        Failure { endpoint: self.label.clone(), request: request.to_string(), kind, message }
    }

    /// A block that it does not have, although it may have named a head above it: then that head was no fact (F29).
    pub(super) fn absent(&self, number: u64, call: &Call, message: &str) -> Failure {
        if number <= self.confirmed_head() {
            self.set_confirmed_head(0);
            self.score().disproved();
        }
        self.failure(Kind::UnknownBlock, call, message)
    }

    /// From when on its limit of requests lets one more pass, and whether it has a free permit.
    pub(super) fn room(&self, now: Instant) -> (Instant, bool) {
        let due =
            if is_in_background() { self.bucket().due_in_background(1, now, now) } else { self.bucket().due(now) };
        (due, self.permits.available_permits() > 0)
    }

    /// Most requests of a batch, for who asks.
    pub(super) fn most_of_a_batch(&self) -> usize {
        if is_in_background() { self.bucket().background_batch() } else { usize::MAX }
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How well it fares.
    pub(super) fn score(&self) -> MutexGuard<'_, Score> {
        self.score.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many blocks it takes at once.
    pub(super) fn span(&self) -> MutexGuard<'_, Span> {
        self.span.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Call, Endpoint, EndpointRole, Kind};
    use crate::config::{Network, redact};

    fn endpoint(url: &str) -> Endpoint {
        let network: Network = toml::from_str("name = \"test\"\nchain_id = 1").expect("the network is valid");
        Endpoint::new(&network, redact(url), EndpointRole::Primary, url).expect("the URL is valid")
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
    fn f41_a_credential_that_straddles_the_cut_does_not_show() {
        let endpoint = endpoint("https://rpc.example.com/v2/0123456789abcdef");
        let call = Call { method: "eth_chainId", params: serde_json::json!([]) };
        for before in 270..310 {
            let words = format!("{} 0123456789abcdef is over its limit", "x".repeat(before));
            let failure = endpoint.failure(Kind::Quota, &call, &words).to_string();
            assert!(!failure.contains("0123"), "{failure}");
        }
    }

    #[test]
    fn requests_are_named_without_the_long_list_of_contracts() {
        let params = serde_json::json!([{"address": ["0x01", "0x02"], "fromBlock": "0x1"}]);
        assert_eq!(Call { method: "eth_getLogs", params }.to_string(), r#"eth_getLogs [{"fromBlock":"0x1"}]"#);
    }
}
