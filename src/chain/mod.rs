//! The chain as several endpoints tell it: heads, headers, logs of watched contracts, each checked before it is used.
//!
//! A request goes to one endpoint after the other until one answers (`pool`, `endpoint` with its `connection`, `health`
//! and `batch`). What endpoints say is held together: logs against headers, headers against heights and links, chain
//! and genesis before the first use and after each lost connection. What leaves this floor is [`crate::block`]'s
//! values: nothing of JSON-RPC. What an endpoint once refused is a `lesson`, and none is for good.
//!
//! Of several endpoints the one that fares best is asked (`look`, `score`, `rate`), by ingestion before the background
//! (`lane`); where a quorum is wanted they are held against each other (`quorum`, `compare`, `vote`), and doubts about one
//! answer are looked into (`doubt`).
//!
//! `classify` knows what a refusal means, `check` what belongs together, `range` how much to ask for, `finality` what
//! Taiko says about L1: all pure. `head` and `logs` ask for what their names say, `hint` listens, `transport` and
//! `wire` are the format below, `probe` is for an operator who wants to know what endpoints can do. `proof` is what a block's
//! hash proves, and `witness` asks for it: for an audit of what is stored already. `transaction` is one that somebody names.

mod batch;
mod check;
mod classify;
mod compare;
mod connection;
mod doubt;
mod endpoint;
mod error;
mod finality;
mod head;
mod health;
mod hint;
mod lane;
mod lesson;
mod logs;
mod look;
mod pool;
mod probe;
mod proof;
mod quorum;
mod range;
mod rate;
mod score;
mod transaction;
mod transport;
mod vote;
mod watch;
mod wire;
mod witness;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use alloy::primitives::{Address, B256, Bytes};
use alloy::transports::BoxTransport;
use futures_util::future::{join, try_join_all};
use serde_json::json;
use tokio::time::Instant;

use self::check::Watched;
use self::endpoint::{Call, Endpoint};
use self::head::Told;
use self::hint::Hint;
use self::logs::LogReader;
use self::pool::Pool;
use self::watch::Watches;
use self::wire::{header_by_number, quantity};
use crate::block::{Block, BlockRef, Header};
use crate::config;
use crate::dispute::Dispute;
use crate::id::ChainId;

pub use self::classify::{Kind, RangeHint};
pub use self::endpoint::EndpointRole;
pub use self::error::{ChainError, Failure};
pub use self::head::{Head, Promises};
pub use self::lane::in_background;
pub use self::probe::{Probe, Probed, probe};
pub use self::proof::Sealed;
pub use self::transport::install_tls;
pub use self::witness::{Doubt, Shown};

/// Headers asked for in one go; each go is repeated as a whole when it fails.
const HEADERS_PER_REQUEST: usize = 500;

/// Blocks whose logs are asked for in one go.
const BLOCKS_PER_REQUEST: usize = 32;

/// Bytes of logs after which [`Chain::blocks`] takes no further go: what one step holds in memory (F57).
const ROOMY_BYTES: usize = 8 * 1024 * 1024;

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

/// The state that a contract is called on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// That of the height, whichever block is there.
    Of(u64),
    /// That of exactly this block (EIP-1898); not every endpoint takes the question.
    After(BlockRef),
}

impl State {
    /// The height of its block.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Of(number) => number,
            Self::After(block) => block.number,
        }
    }

    fn json(self) -> serde_json::Value {
        match self {
            Self::Of(number) => quantity(number),
            Self::After(block) => json!({ "blockHash": block.hash }),
        }
    }
}

/// A network, through its endpoints.
#[derive(Debug)]
pub struct Chain {
    pool: Arc<Pool>,
    watched: Watched,
    told: Told,
    hint: Hint,
    /// An operator has heard of a suspicion that nobody could clear up.
    unresolved_told: AtomicBool,
    quorum: Quorum,
    /// Disputes that nobody has written down yet.
    disputes: Mutex<Vec<Dispute>>,
    watches: Mutex<Watches>,
}

/// How many endpoints must agree on logs (F12).
#[derive(Debug)]
struct Quorum {
    endpoints: usize,
    may_shrink: bool,
    /// How many answered where that was too few, as was last seen. An operator has heard of it.
    unmet: Mutex<Option<usize>>,
}

impl Chain {
    /// Connects to a network: every endpoint that can be reached must have its chain id, and one genesis block. An
    /// endpoint that is down is asked again later (F42).
    ///
    /// # Errors
    /// [`ChainError`] when a URL cannot be used, no endpoint can be reached, or one is of another chain.
    pub async fn connect(network: &config::Network) -> Result<Self, ChainError> {
        Ok(Self::of(network, Pool::connect(network).await?))
    }

    /// Connects over transports that the caller made, each with a name for words: a chain within the process.
    ///
    /// # Errors
    /// As [`Chain::connect`].
    pub async fn over(
        network: &config::Network,
        transports: impl IntoIterator<Item = (String, BoxTransport)>,
    ) -> Result<Self, ChainError> {
        let endpoints = transports.into_iter().map(|(label, transport)| Endpoint::given(network, label, transport));
        Ok(Self::of(network, Pool::of(network, endpoints.map(Arc::new).collect()).await?))
    }

    fn of(network: &config::Network, pool: Pool) -> Self {
        let pool = Arc::new(pool);
        let verifying = Arc::clone(&pool);
        let hint = Hint::listen(&pool.endpoints, move |endpoint| {
            let pool = Arc::clone(&verifying);
            async move { pool.verify(&endpoint).await }
        });
        Self {
            pool,
            watched: Watched::new(&network.contracts),
            told: Told::default(),
            hint,
            unresolved_told: AtomicBool::new(false),
            quorum: Quorum {
                endpoints: network.follow.quorum,
                may_shrink: network.follow.quorum_may_shrink,
                unmet: Mutex::default(),
            },
            disputes: Mutex::default(),
            watches: Mutex::default(),
        }
    }

    /// The chain id, as configured and as the endpoints answer.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        self.pool.identity.chain_id
    }

    /// The hash of block 0.
    #[must_use]
    pub fn genesis_hash(&self) -> B256 {
        self.pool.identity.genesis_hash
    }

    /// That fewer endpoints answered lately than the quorum wants, in a sentence for everybody; nothing when enough did.
    #[must_use]
    pub fn lacks_quorum(&self) -> Option<String> {
        let answered = (*self.quorum.unmet.lock().unwrap_or_else(PoisonError::into_inner))?;
        let wanted = self.quorum.endpoints;
        let effect =
            if self.quorum.may_shrink { "fewer are believed meanwhile" } else { "nothing is written meanwhile" };
        Some(format!("{answered} of the {wanted} endpoints that must agree answer (follow.quorum); {effect}"))
    }

    /// The newest block, and what the endpoint says about finality.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers.
    pub async fn head(&self) -> Result<Head, ChainError> {
        let head = head::newest(&self.pool, &self.told);
        let head = if self.quorum.endpoints < 2 {
            head.await?
        } else {
            let (head, heights) = join(head, self.pool.heights()).await;
            self.shared(head?, heights).await?
        };
        let head = self.with_shared_finality(head).await;
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.see(&self.pool.network, &head, Instant::now());
        Ok(head)
    }

    /// The header of that height; nothing when the chain is not that high yet.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers.
    pub async fn header(&self, number: u64) -> Result<Option<Header>, ChainError> {
        self.pool
            .ask(|endpoint| async move {
                let header = endpoint.header(number).await?;
                // A block below a head that was announced exists; this answer is of a backend that lags (F29).
                if header.is_none() && number <= endpoint.confirmed_head() {
                    return Err(endpoint.absent(number, &header_by_number(number), "null, although its head is above"));
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
            .map(|numbers| self.pool.ask(move |endpoint| async move { endpoint.headers(numbers).await }));
        let headers = try_join_all(parts).await?.concat();
        check::linked(&headers).map_err(|reason| self.pool.contradiction(numbers, &reason))?;
        Ok(headers)
    }

    /// A block with the logs of watched contracts in it.
    ///
    /// # Errors
    /// [`ChainError`]; `Gone` when no endpoint has the block (any more).
    pub async fn block(&self, header: &Header) -> Result<Block, ChainError> {
        let watched = &self.watched;
        let first = self
            .pool
            .ask(move |endpoint| async move {
                let logs = LogReader { endpoint: &endpoint, watched }.of_block(header).await?;
                Ok((endpoint, vec![logs]))
            })
            .await?;
        let logs = self.agreed_on_blocks(std::slice::from_ref(header), first).await?;
        self.assemble(header.clone(), logs.concat()).await
    }

    /// Blocks with their logs, in the order of the headers: all of them, or the first ones when logs are large.
    ///
    /// # Errors
    /// As [`Chain::block`].
    pub async fn blocks(&self, headers: &[Header]) -> Result<Vec<Block>, ChainError> {
        let watched = &self.watched;
        let mut blocks = Vec::with_capacity(headers.len());
        let mut bytes = 0;
        for headers in headers.chunks(BLOCKS_PER_REQUEST) {
            if bytes > ROOMY_BYTES {
                break;
            }
            let first = self
                .pool
                .ask(move |endpoint| async move {
                    let logs = LogReader { endpoint: &endpoint, watched }.of_blocks(headers).await?;
                    Ok((endpoint, logs))
                })
                .await?;
            let logs = self.agreed_on_blocks(headers, first).await?;
            let is_all = logs.len() == headers.len();
            bytes += logs.iter().flatten().map(|log| log.data.len()).sum::<usize>();
            let assembled = headers.iter().zip(logs).map(|(header, logs)| self.assemble(header.clone(), logs));
            blocks.extend(try_join_all(assembled).await?);
            if !is_all {
                break;
            }
        }
        Ok(blocks)
    }

    /// The blocks as they are, but for those without logs whose bloom shows some and of which an endpoint has them (F3).
    ///
    /// # Errors
    /// [`ChainError`] when a doubt about a block could not be looked into, because no endpoint answers at the moment.
    pub async fn hear_blooms(&self, blocks: Vec<Block>) -> Result<Vec<Block>, ChainError> {
        let heard = blocks.into_iter().map(|block| async move {
            if block.logs.is_empty() { self.assemble(block.header, vec![]).await } else { Ok(block) }
        });
        try_join_all(heard).await
    }

    /// The logs from block `from` on, as far towards `to` as one answer goes. `to` must not be above the head.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers, or the chain changed meanwhile.
    pub async fn range(&self, from: u64, to: u64) -> Result<Range, ChainError> {
        assert!(from <= to, "the range {from} to {to} is empty");
        let watched = &self.watched;
        let first = self
            .pool
            .ask(move |endpoint| async move {
                let covered = LogReader { endpoint: &endpoint, watched }.range(from, to).await?;
                Ok((endpoint, covered))
            })
            .await?;
        let covered = self.agreed_on_range(from, first).await?;
        let mut blocks = Vec::with_capacity(covered.blocks.len());
        let silent_end = covered.blocks.last().is_none_or(|(last, _)| last.number != covered.end.number);
        let end = silent_end.then(|| (covered.end.clone(), vec![]));
        for (header, logs) in covered.blocks.into_iter().chain(end) {
            blocks.push(self.assemble(header, logs).await?);
        }
        blocks.retain(|block| !block.logs.is_empty());
        Ok(Range { from, to: covered.end, blocks })
    }

    /// The block up to which one answer is expected to go from `from` on towards `to`, by what the endpoint that is asked
    /// first has taken so far.
    #[must_use]
    pub fn reach(&self, from: u64, to: u64) -> u64 {
        self.pool.preferred().span().end(from, to)
    }

    /// Resolves when a new head was announced since it last resolved: a hint to look, which may be wrong or missing.
    /// Never resolves on a network without a WebSocket endpoint. Returns the head that was announced where its block can be
    /// asked for at once: where the endpoint in use announced it, and no other one needs to know it too.
    pub async fn new_head(&self) -> Option<Header> {
        let announced = self.hint.new_head().await?;
        let is_known = self.quorum.endpoints < 2 && std::ptr::eq(&*announced.endpoint, self.pool.preferred());
        is_known.then_some(announced.header)
    }

    /// What a contract answers to a call on a state.
    ///
    /// # Errors
    /// [`ChainError`] when the call reverts or no endpoint answers.
    pub async fn call(&self, to: Address, data: Bytes, state: State) -> Result<Bytes, ChainError> {
        self.eth_call(json!({"to": to, "data": data}), state).await
    }

    /// What creation code answers when it is run on a state, with so much gas; nothing is created.
    ///
    /// # Errors
    /// As [`Chain::call`].
    pub async fn run(&self, code: Bytes, gas: u64, state: State) -> Result<Bytes, ChainError> {
        self.eth_call(json!({"data": code, "gas": quantity(gas)}), state).await
    }

    async fn eth_call(&self, transaction: serde_json::Value, state: State) -> Result<Bytes, ChainError> {
        let call = Call { method: "eth_call", params: json!([transaction, state.json()]) };
        let call = &call;
        let ask = move |endpoint: Arc<Endpoint>| async move {
            let answer = endpoint.request(call).await;
            // A contract that refuses has answered; a state that was forgotten says nothing about newer ones.
            match answer {
                Ok(answer) => Ok(Ok(answer)),
                Err(failure) if failure.kind == Kind::Permanent && failure.message.contains("revert") => {
                    Ok(Err(failure))
                }
                Err(failure) if is_about_state(&failure) => Err(Failure { kind: Kind::UnknownBlock, ..failure }),
                Err(failure) => Err(failure),
            }
        };
        let answer = self.pool.ask_optional(|endpoint| &endpoint.calls, ask).await?;
        answer.map_err(|failure| self.pool.failed(failure))
    }

    /// Whether there is a contract at that address after that block.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers, or none has the state any more.
    pub async fn had_code(&self, address: Address, block: u64) -> Result<bool, ChainError> {
        let call = Call { method: "eth_getCode", params: json!([address, quantity(block)]) };
        let call = &call;
        let code: Bytes = self.pool.ask(move |endpoint| async move { endpoint.request(call).await }).await?;
        Ok(!code.is_empty())
    }

    /// Whether there is a contract at that address at the head.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers.
    pub async fn has_code(&self, address: Address) -> Result<bool, ChainError> {
        let call = Call { method: "eth_getCode", params: json!([address, "latest"]) };
        let call = &call;
        let code: Bytes = self.pool.ask(move |endpoint| async move { endpoint.request(call).await }).await?;
        Ok(!code.is_empty())
    }
}

/// Whether a call failed because the endpoint has no state of that block, in the wording of some client.
fn is_about_state(failure: &Failure) -> bool {
    let words = failure.message.to_lowercase();
    ["state", "trie", "pruned", "archive"].iter().any(|word| words.contains(word))
}
