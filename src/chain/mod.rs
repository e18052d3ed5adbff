//! The chain as several endpoints tell it: heads, headers, logs of watched contracts, each checked before it is believed.
//!
//! A request goes to the first endpoint in the configuration's order that is not resting; when that fails in passing it
//! rests and the next one is asked, a bounded number of times. What endpoints say is held together: logs against
//! headers, headers against heights and links, chain and genesis before the first use and after each lost connection.
//! What leaves this floor is [`crate::block`]'s values: nothing of JSON-RPC.
//!
//! [`classify`](self) knows what a refusal means, `check` what belongs together, `range` how much to ask for, `finality`
//! what Taiko says about L1: all pure. `transport`, `endpoint`, `logs` and `hint` do the talking.

mod check;
mod classify;
mod endpoint;
mod error;
mod finality;
mod hint;
mod logs;
mod range;
mod transport;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::metrics::counter;
use alloy::primitives::{Address, B256, Bytes};
use futures_util::future::{join_all, try_join_all};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use self::check::Watched;
use self::endpoint::{Call, Endpoint, Identity};
use self::finality::{L1Origin, clamp_finalized, clamp_safe, head_l1_origin};
use self::hint::Hint;
use self::logs::LogReader;
use self::wire::{WireHeader, header_by_number, header_by_tag, quantity};
use crate::block::{Block, BlockRef, Header, Log};
use crate::config;
use crate::id::ChainId;
use crate::metrics;

pub use self::classify::{Kind, RangeHint};
pub use self::error::{ChainError, Failure};
pub use self::transport::install_tls;

/// Fewest times a request is sent before it has failed; with many endpoints each gets two chances.
const MIN_ATTEMPTS: usize = 5;

/// Longest that a request waits for an endpoint to have rested; longer rests are the caller's to sit out.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Headers asked for in one go; each go is repeated as a whole when it fails.
const HEADERS_PER_REQUEST: usize = 500;

/// Blocks whose logs are asked for in one go.
const BLOCKS_PER_REQUEST: usize = 64;

/// The newest block, and what is known about finality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The newest block that the endpoint names. It may be lower than one seen before: that is a lagging endpoint (F13).
    pub header: Header,
    /// Taiko: the newest block proposed on L1, at most the head. Nothing when unknown at the moment.
    pub safe: Option<BlockRef>,
    /// The newest proof-finalized block, at most the head. Nothing when unknown at the moment.
    pub finalized: Option<Header>,
    /// Which of the two this network can tell at all.
    pub promises: Promises,
}

/// Which labels of finality this network's endpoints can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promises {
    /// An endpoint knows `taiko_headL1Origin`: what is above the safe block is preconfirmed.
    pub safe: bool,
    /// An endpoint knows the tag `finalized`.
    pub finalized: bool,
}

/// A stretch of blocks with its logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The first block covered.
    pub from: u64,
    /// The header of the last block covered; it may be lower than what was asked for.
    pub to: Header,
    /// The blocks with logs of watched contracts, rising.
    pub blocks: Vec<Block>,
}

/// A network, through its endpoints.
#[derive(Debug)]
pub struct Chain {
    shared: Arc<Shared>,
    watched: Watched,
    hint: Hint,
    tells_safe: AtomicBool,
    tells_finalized: AtomicBool,
}

/// What requests and the listening tasks share.
#[derive(Debug)]
struct Shared {
    network: String,
    endpoints: Vec<Arc<Endpoint>>,
    identity: Identity,
}

impl Chain {
    /// Connects to a network: every endpoint that can be reached must have its chain id, and one genesis block. An
    /// endpoint that is down is asked again later (F42).
    ///
    /// # Errors
    /// [`ChainError`] when a URL is not one, no endpoint can be reached, or one is of another chain.
    pub async fn connect(network: &config::Network) -> Result<Self, ChainError> {
        let endpoints = network.rpc_urls.iter().map(|url| {
            Endpoint::new(network, url).map(Arc::new).map_err(|reason| ChainError::InvalidUrl {
                network: network.name.clone(),
                endpoint: config::redact(url),
                reason,
            })
        });
        let endpoints = endpoints.collect::<Result<Vec<_>, _>>()?;
        let identity = agreed(network, &endpoints).await?;
        let shared = Arc::new(Shared { network: network.name.clone(), endpoints, identity });
        let verifying = Arc::clone(&shared);
        let hint = Hint::listen(&shared.endpoints, move |endpoint| {
            let shared = Arc::clone(&verifying);
            async move { shared.verify(&endpoint).await }
        });
        Ok(Self {
            watched: Watched::new(&network.contracts),
            hint,
            tells_safe: AtomicBool::new(false),
            tells_finalized: AtomicBool::new(false),
            shared,
        })
    }

    /// The chain id, as configured and as the endpoints answer.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        self.shared.identity.chain_id
    }

    /// The hash of block 0.
    #[must_use]
    pub fn genesis_hash(&self) -> B256 {
        self.shared.identity.genesis_hash
    }

    /// The newest block, and what the endpoint says about finality.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers.
    pub async fn head(&self) -> Result<Head, ChainError> {
        let (endpoint, header, finalized) = self
            .shared
            .ask(|endpoint| async move {
                let header = endpoint.latest().await?;
                let finalized = endpoint.finalized().await;
                Ok((endpoint, header, finalized))
            })
            .await?;
        let safe = self.safe(&endpoint).await.and_then(|safe| clamp_safe(safe, &header));
        let finalized = finalized.map(|finalized| clamp_finalized(finalized, &header));
        self.tells_finalized.fetch_or(finalized.is_some(), Ordering::Relaxed);
        let promises = Promises {
            safe: self.tells_safe.load(Ordering::Relaxed),
            finalized: self.tells_finalized.load(Ordering::Relaxed),
        };
        Ok(Head { header, safe, finalized, promises })
    }

    /// The newest block proposed on L1, from the endpoint of the head or, where it does not forward the question, from
    /// another one.
    async fn safe(&self, first: &Arc<Endpoint>) -> Option<BlockRef> {
        let others = self.shared.endpoints.iter().filter(|endpoint| !Arc::ptr_eq(endpoint, first));
        let now = Instant::now();
        for endpoint in std::iter::once(first).chain(others.filter(|other| other.available_at(now) == Some(now))) {
            if endpoint.lacks_l1_origin.load(Ordering::Relaxed) || self.shared.verify(endpoint).await.is_err() {
                continue;
            }
            match endpoint.request::<Option<L1Origin>>(&head_l1_origin()).await {
                Ok(origin) => {
                    self.tells_safe.store(true, Ordering::Relaxed);
                    return origin.and_then(|origin| origin.proposed());
                }
                // The endpoint knows the question, but not the answer.
                Err(failure) if failure.message.to_lowercase().contains("not found") && is_answer(failure.kind) => {
                    self.tells_safe.store(true, Ordering::Relaxed);
                    return None;
                }
                Err(failure) if matches!(failure.kind, Kind::Unsupported | Kind::Permanent) => {
                    endpoint.lacks_l1_origin.store(true, Ordering::Relaxed);
                }
                Err(_) => return None,
            }
        }
        None
    }

    /// The header of that height; nothing when the chain is not that high yet.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers.
    pub async fn header(&self, number: u64) -> Result<Option<Header>, ChainError> {
        self.shared
            .ask(|endpoint| async move {
                let header = endpoint.header(number).await?;
                // A block just below a head that was announced is there; the answer comes from a backend that lags (F29).
                if header.is_none() && number <= endpoint.confirmed_head() {
                    let call = header_by_number(number);
                    return Err(endpoint.failure(Kind::UnknownBlock, &call, "null, although its head is above"));
                }
                Ok(header)
            })
            .await
    }

    /// The headers of those heights, in their order. Neighbours are linked.
    ///
    /// # Errors
    /// [`ChainError`] when a block is missing, no endpoint answers, or the chain changed meanwhile.
    pub async fn headers(&self, numbers: &[u64]) -> Result<Vec<Header>, ChainError> {
        let parts = numbers
            .chunks(HEADERS_PER_REQUEST)
            .map(|numbers| self.shared.ask(move |endpoint| async move { endpoint.headers(numbers).await }));
        let headers = try_join_all(parts).await?.concat();
        check::linked(&headers).map_err(|reason| self.shared.contradiction(numbers, &reason))?;
        Ok(headers)
    }

    /// A block with the logs of watched contracts in it.
    ///
    /// # Errors
    /// [`ChainError`]; `Gone` when no endpoint has the block (any more).
    pub async fn block(&self, header: &Header) -> Result<Block, ChainError> {
        let watched = &self.watched;
        let logs = self
            .shared
            .ask(move |endpoint| async move { LogReader { endpoint: &endpoint, watched }.of_block(header).await })
            .await?;
        Ok(self.assemble(header.clone(), logs).await)
    }

    /// Several blocks with their logs, in the order of the headers.
    ///
    /// # Errors
    /// As [`Chain::block`].
    pub async fn blocks(&self, headers: &[Header]) -> Result<Vec<Block>, ChainError> {
        let watched = &self.watched;
        let parts = headers.chunks(BLOCKS_PER_REQUEST).map(|headers| {
            self.shared
                .ask(move |endpoint| async move { LogReader { endpoint: &endpoint, watched }.of_blocks(headers).await })
        });
        let logs = try_join_all(parts).await?.concat();
        let mut blocks = Vec::with_capacity(headers.len());
        for (header, logs) in headers.iter().zip(logs) {
            blocks.push(self.assemble(header.clone(), logs).await);
        }
        Ok(blocks)
    }

    /// The logs from block `from` on, as far towards `to` as one answer goes. `to` must not be above the head.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers, or the chain changed meanwhile.
    pub async fn range(&self, from: u64, to: u64) -> Result<Range, ChainError> {
        assert!(from <= to, "the range {from} to {to} is empty");
        let watched = &self.watched;
        let covered = self
            .shared
            .ask(move |endpoint| async move { LogReader { endpoint: &endpoint, watched }.range(from, to).await })
            .await?;
        let mut blocks = Vec::with_capacity(covered.blocks.len());
        let silent_end = covered.blocks.last().is_none_or(|(last, _)| last.number != covered.end.number);
        let end = silent_end.then(|| (covered.end.clone(), vec![]));
        for (header, logs) in covered.blocks.into_iter().chain(end) {
            blocks.push(self.assemble(header, logs).await);
        }
        blocks.retain(|block| !block.logs.is_empty());
        Ok(Range { from, to: covered.end, blocks })
    }

    /// Resolves when a new head was announced since it last resolved: a hint to look, which may be wrong or missing.
    /// Never resolves on a network without a WebSocket endpoint.
    pub async fn new_head(&self) {
        self.hint.new_head().await;
    }

    /// What a contract answers to a call on the state of that block.
    ///
    /// # Errors
    /// [`ChainError`] when the call reverts or no endpoint answers.
    pub async fn call(&self, to: Address, data: Bytes, block: u64) -> Result<Bytes, ChainError> {
        let call = Call { method: "eth_call", params: json!([{"to": to, "data": data}, quantity(block)]) };
        let call = &call;
        self.shared.ask(move |endpoint| async move { endpoint.request(call).await }).await
    }

    /// Whether there is a contract at that address at the head.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers.
    pub async fn has_code(&self, address: Address) -> Result<bool, ChainError> {
        let call = Call { method: "eth_getCode", params: json!([address, "latest"]) };
        let call = &call;
        let code: Bytes = self.shared.ask(move |endpoint| async move { endpoint.request(call).await }).await?;
        Ok(!code.is_empty())
    }

    /// The block of these logs, once its bloom has been heard.
    async fn assemble(&self, header: Header, mut logs: Vec<Log>) -> Block {
        if let Some(contract) = check::missing(&self.watched, &header, &logs) {
            counter!(metrics::BLOOM_SUSPICIONS, "network" => self.shared.network.clone()).increment(1);
            if let Some(found) = self.search(&header, logs.len()).await {
                tracing::warn!(
                    network = self.shared.network, block = header.number, %contract,
                    "an endpoint left logs out that the block's bloom and another answer show; the fuller answer is used"
                );
                logs = found;
            }
        }
        Block { logs: logs.into_iter().filter_map(|log| self.watched.decode(log)).collect(), header }
    }

    /// Looks for more logs of a block than one answer gave: at every endpoint, again and by receipts (F3). Receipts
    /// that show no more end the search: a bloom may be wrong by chance.
    async fn search(&self, header: &Header, known: usize) -> Option<Vec<Log>> {
        let mut confirmed = false;
        let now = Instant::now();
        for endpoint in &self.shared.endpoints {
            if endpoint.available_at(now) != Some(now) || self.shared.verify(endpoint).await.is_err() {
                continue;
            }
            let reader = LogReader { endpoint, watched: &self.watched };
            if let Ok(logs) = reader.out_of_receipts(header).await {
                if logs.len() > known {
                    return Some(logs);
                }
                confirmed = true;
                break;
            }
            if let Ok(logs) = reader.of_block(header).await
                && logs.len() > known
            {
                return Some(logs);
            }
        }
        if !confirmed {
            counter!(metrics::BLOOM_UNRESOLVED, "network" => self.shared.network.clone()).increment(1);
            tracing::warn!(
                network = self.shared.network,
                block = header.number,
                "the block's bloom shows logs that no endpoint returns, and none serves receipts to tell; going on"
            );
        }
        None
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
                endpoint.verify();
                agreed = Some(identity);
            }
            Err(failure) => {
                tracing::warn!(network = network.name, %failure, "starting without this endpoint; it is tried again later");
                endpoint.rest(failure.kind);
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
        (None, None) => Err(ChainError::InvalidUrl {
            network: network.name.clone(),
            endpoint: "(none)".into(),
            reason: "rpc_urls is empty".into(),
        }),
    }
}

fn check_identity(network: &str, endpoint: &Endpoint, expected: Identity, found: Identity) -> Result<(), ChainError> {
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

impl Shared {
    /// Does the work at one endpoint after the other until it succeeds, or the attempts are used up.
    async fn ask<T, W, F>(&self, work: W) -> Result<T, ChainError>
    where
        W: Fn(Arc<Endpoint>) -> F,
        F: Future<Output = Result<T, Failure>>,
    {
        let attempts = MIN_ATTEMPTS.max(self.endpoints.len() * 2);
        let mut refused = vec![false; self.endpoints.len()];
        let mut last = None;
        for _ in 0..attempts {
            let Some((index, from)) = self.pick(&refused) else { break };
            let wait = from.saturating_duration_since(Instant::now());
            if wait > LONGEST_WAIT {
                last = last.or_else(|| Some(self.resting(wait)));
                break;
            }
            sleep_until(from).await;
            let endpoint = Arc::clone(&self.endpoints[index]);
            let result = match self.verify(&endpoint).await {
                Ok(()) => work(Arc::clone(&endpoint)).await,
                Err(failure) => Err(failure),
            };
            match result {
                Ok(value) => {
                    endpoint.succeeded();
                    return Ok(value);
                }
                Err(failure) => {
                    tracing::debug!(network = self.network, %failure, "a request failed");
                    // The same words to the same endpoint get the same answer; another one may do better.
                    if matches!(failure.kind, Kind::Permanent | Kind::Unsupported | Kind::TooLarge(_)) {
                        refused[index] = true;
                    } else {
                        endpoint.rest(failure.kind);
                    }
                    last = Some(failure);
                }
            }
        }
        let left_out = || self.nobody_asked(Kind::WrongChain, "of another chain by now".into());
        let failure = last.unwrap_or_else(left_out);
        Err(ChainError::after_retries(&self.network, failure))
    }

    /// The endpoint to ask next and from when: the first in order that is not resting, else the first to have rested.
    fn pick(&self, refused: &[bool]) -> Option<(usize, Instant)> {
        let now = Instant::now();
        let available = self.endpoints.iter().enumerate().filter(|(index, _)| !refused[*index]);
        available
            .filter_map(|(index, endpoint)| Some((index, endpoint.available_at(now)?)))
            .min_by_key(|(index, from)| (*from, *index))
    }

    /// Makes sure of the endpoint's chain before its first use and after its connection was lost (F31).
    async fn verify(&self, endpoint: &Endpoint) -> Result<(), Failure> {
        if endpoint.is_verified() {
            return Ok(());
        }
        let found = endpoint.identify().await?;
        match check_identity(&self.network, endpoint, self.identity, found) {
            Ok(()) => {
                endpoint.verify();
                Ok(())
            }
            Err(error) => {
                tracing::error!("{error}; the endpoint is left out");
                endpoint.refuse();
                Err(endpoint.failure(Kind::WrongChain, &header_by_number(0), &error.to_string()))
            }
        }
    }

    /// Every endpoint rests for longer than a request waits, because of an earlier failure.
    fn resting(&self, wait: Duration) -> Failure {
        self.nobody_asked(Kind::Rate(Some(wait)), format!("resting for another {} s", wait.as_secs().max(1)))
    }

    fn nobody_asked(&self, kind: Kind, message: String) -> Failure {
        let endpoint = format!("each of {} endpoint(s)", self.endpoints.len());
        Failure { endpoint, request: "(not asked)".into(), kind, message }
    }

    /// Answers of several requests that do not fit each other.
    fn contradiction(&self, numbers: &[u64], reason: &str) -> ChainError {
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

/// Whether the endpoint answered, with an error.
fn is_answer(kind: Kind) -> bool {
    matches!(kind, Kind::Transient | Kind::UnknownBlock | Kind::Permanent)
}

impl Endpoint {
    /// The newest block; remembered as the endpoint's confirmed head.
    async fn latest(&self) -> Result<Header, Failure> {
        let call = header_by_tag("latest");
        let wire: Option<WireHeader> = self.request(&call).await?;
        let wire = wire.ok_or_else(|| self.failure(Kind::UnknownBlock, &call, "there is no newest block"))?;
        let header = check::header(None, wire).map_err(|reason| self.failure(Kind::Inconsistent, &call, &reason))?;
        self.set_confirmed_head(header.number);
        Ok(header)
    }

    /// The block tagged `finalized`; nothing when the endpoint does not tell (F16).
    async fn finalized(&self) -> Option<Header> {
        let wire: Option<WireHeader> = self.request(&header_by_tag("finalized")).await.ok()?;
        check::header(None, wire?).ok()
    }

    /// The headers of those heights, in their order; neighbours are linked.
    async fn headers(&self, numbers: &[u64]) -> Result<Vec<Header>, Failure> {
        let calls: Vec<_> = numbers.iter().map(|number| header_by_number(*number)).collect();
        let answers = self.batch(&calls).await?;
        let mut headers = Vec::with_capacity(numbers.len());
        for ((number, call), answer) in numbers.iter().zip(&calls).zip(answers) {
            let wire: Option<WireHeader> = self.read(call, &answer?)?;
            let wire = wire.ok_or_else(|| self.failure(Kind::UnknownBlock, call, "there is no such block"))?;
            let header = check::header(Some(*number), wire);
            headers.push(header.map_err(|reason| self.failure(Kind::Inconsistent, call, &reason))?);
        }
        check::linked(&headers).map_err(|reason| {
            let last = calls.last().map(ToString::to_string).unwrap_or_default();
            let first = &calls[0];
            self.failure(Kind::Inconsistent, first, &format!("{reason}, in answers up to {last}"))
        })?;
        Ok(headers)
    }
}
