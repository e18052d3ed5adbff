//! A chain node that serves the traffic from memory: a process of its own, so quick that it is nobody's limit.
//!
//! It answers what an indexer asks: heads, headers with blooms, logs by range and by block. Texts of logs are made
//! once; an answer is a copy of them. It can be told to refuse wide ranges, and to take its time, as endpoints do, to
//! grow, and to replace its newest blocks.

use std::fmt::Write;
use std::iter;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::{Duration, Instant};

use alloy::primitives::{B256, Bloom, hex};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::post;
use axum::serve::ListenerExt;
use clap::Args;
use meikan::block::{Block, Log};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::head::now_us;
use crate::load;
use crate::traffic::{CHAIN_ID, GENESIS, Size, Traffic, timestamp};

/// The method that tells how many requests were answered with how many bytes since it was last asked.
pub(crate) const SERVED: &str = "bench_served";

/// The method that lets the coming blocks come; it tells when that began, in microseconds since 1970.
pub(crate) const GROW: &str = "bench_grow";

/// The method that replaces the newest blocks by the next branch; it tells when that was done, and the new tip's hash.
pub(crate) const FORK: &str = "bench_fork";

/// The only subscription of a socket, and how often it looks for a new head: as often as the timer of tokio can.
const SUBSCRIPTION: &str = "0x1";
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How an endpoint behaves.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Behaviour {
    /// Which chain it says that this is
    #[arg(long, default_value_t = CHAIN_ID)]
    pub(crate) chain_id: u64,
    /// Most blocks of one eth_getLogs; 0: any number
    #[arg(long, default_value_t = 0)]
    pub(crate) range_limit: u64,
    /// How long each request takes longer than it must, in milliseconds
    #[arg(long, default_value_t = 0)]
    pub(crate) latency_ms: u64,
    /// Blocks at the top that are not final
    #[arg(long, default_value_t = 64)]
    pub(crate) not_final: u64,
    /// Blocks at the top that come one by one, once that is asked for, and how many of them in a second
    #[arg(long, default_value_t = 0)]
    pub(crate) coming: u64,
    #[arg(long, default_value_t = 10)]
    pub(crate) per_second: u64,
}

impl Behaviour {
    /// An endpoint that answers at once, whatever it is asked, of a chain that stands still.
    pub(crate) const QUICK: Self =
        Self { chain_id: CHAIN_ID, range_limit: 0, latency_ms: 0, not_final: 64, coming: 0, per_second: 0 };
}

/// A block, as it is told.
struct Told {
    hash: B256,
    /// The bloom and the logs, as JSON without the brackets; nothing where there are no logs.
    logs: Option<Box<(Bloom, String)>>,
}

impl Told {
    fn of(block: &Block) -> Self {
        let logs = (!block.logs.is_empty()).then(|| {
            let (mut bloom, mut text) = (Bloom::ZERO, String::new());
            for decoded in &block.logs {
                bloom.accrue_raw_log(decoded.log.address, &decoded.log.topics);
                if !text.is_empty() {
                    text.push(',');
                }
                write_log(&mut text, &decoded.log);
            }
            text.shrink_to_fit();
            Box::new((bloom, text))
        });
        Self { hash: block.header.hash, logs }
    }
}

/// The chain.
struct Chain {
    /// By height, from the genesis block on.
    blocks: Vec<Told>,
    /// The traffic at the last block that all branches share, and which one is told.
    fork: Traffic,
    branch: u64,
    behaviour: Behaviour,
    /// When the coming blocks began to come.
    growing_since: OnceLock<Instant>,
    /// HTTP requests, and bytes of their answers.
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// Makes the chain and serves it on a free port; it prints the address, and goes on until it is ended.
pub(crate) async fn serve(size: Size, behaviour: Behaviour) {
    let chain = Arc::new(RwLock::new(Chain::of(size, behaviour)));
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port is free");
    println!("{}", listener.local_addr().expect("it is bound"));
    let router = Router::new().route("/", post(answer).get(listen)).with_state(chain);
    // As a chain node does (Go switches Nagle's algorithm off for all it accepts).
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket takes options"));
    axum::serve(listener, router).await.expect("it serves");
}

/// What the chain node at an address answers to a method without parameters.
pub(crate) async fn ask(address: &str, method: &str) -> Value {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[]}}"#);
    let answer: Value = serde_json::from_slice(&load::ask_at(address, "/", body).await).expect("it is JSON");
    answer["result"].clone()
}

async fn answer(State(chain): State<Arc<RwLock<Chain>>>, body: Bytes) -> impl IntoResponse {
    let latency_ms = chain.read().expect("nobody panics with it").behaviour.latency_ms;
    if latency_ms > 0 {
        sleep(Duration::from_millis(latency_ms)).await;
    }
    let text = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Array(calls)) => {
            let chain = chain.read().expect("nobody panics with it");
            let answers: Vec<String> = calls.iter().map(|call| chain.answer(call)).collect();
            format!("[{}]", answers.join(","))
        }
        Ok(call) => {
            if call["method"] == FORK {
                chain.write().expect("nobody panics with it").fork();
            }
            chain.read().expect("nobody panics with it").answer(&call)
        }
        Err(error) => format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":-32700,"message":"{error}"}}}}"#),
    };
    let chain = chain.read().expect("nobody panics with it");
    chain.requests.fetch_add(1, Ordering::Relaxed);
    chain.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
    ([(CONTENT_TYPE, "application/json")], text)
}

/// The same over a WebSocket, and new heads as they come.
async fn listen(State(chain): State<Arc<RwLock<Chain>>>, upgrade: WebSocketUpgrade) -> impl IntoResponse {
    upgrade.on_upgrade(move |socket| talk(socket, chain))
}

async fn talk(mut socket: WebSocket, chain: Arc<RwLock<Chain>>) {
    let latency = Duration::from_millis(chain.read().expect("nobody panics with it").behaviour.latency_ms);
    // What is on its way: questions that were asked one after the other are under way at once.
    let (sender, mut arriving) = mpsc::unbounded_channel();
    let send = |text: String, after: Duration| {
        let sender = sender.clone();
        tokio::spawn(async move {
            sleep(after).await;
            // Whoever waited for it may be gone.
            let _ = sender.send(text);
        });
    };
    // The head that was told last, to whoever asked for heads.
    let mut told = None;
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let call: Value = serde_json::from_str(&text).unwrap_or_default();
                    let chain = chain.read().expect("nobody panics with it");
                    if call["method"] == "eth_subscribe" {
                        told = Some(chain.head());
                    }
                    send(chain.answer(&call), latency);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            () = sleep(LOOK_EVERY), if told.is_some() => {
                let chain = chain.read().expect("nobody panics with it");
                let head = chain.head();
                if told.replace(head) == Some(head) {
                    continue;
                }
                let header = chain.header(&format!("{head:#x}").into());
                // It goes one way only.
                send(format!(
                    r#"{{"jsonrpc":"2.0","method":"eth_subscription","params":{{"subscription":"{SUBSCRIPTION}","result":{header}}}}}"#
                ), latency / 2);
            }
            Some(text) = arriving.recv() => if socket.send(Message::text(text)).await.is_err() {
                return;
            },
        }
    }
}

impl Chain {
    fn of(size: Size, behaviour: Behaviour) -> Self {
        let mut traffic = Traffic::new(size);
        let mut fork = traffic.clone();
        let mut blocks = vec![Told { hash: GENESIS, logs: None }];
        while let Some(block) = traffic.next_block() {
            blocks.push(Told::of(&block));
            if traffic.is_at_fork() {
                fork = traffic.clone();
            }
        }
        Self {
            blocks,
            fork,
            branch: 0,
            behaviour,
            growing_since: OnceLock::new(),
            requests: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Replaces the newest blocks by those of the next branch.
    fn fork(&mut self) {
        self.branch += 1;
        let mut branch = self.fork.clone().on_branch(self.branch);
        let told: Vec<Told> = iter::from_fn(|| branch.next_block()).map(|block| Told::of(&block)).collect();
        self.blocks.truncate(self.blocks.len() - told.len());
        self.blocks.extend(told);
    }

    fn head(&self) -> usize {
        let Behaviour { coming, per_second, .. } = self.behaviour;
        let time = self.growing_since.get().map_or(Duration::ZERO, Instant::elapsed);
        let come = u128::from(per_second) * time.as_micros() / 1_000_000;
        let still_to_come = u128::from(coming).saturating_sub(come);
        self.blocks.len() - 1 - usize::try_from(still_to_come).expect("no more than there are")
    }

    /// The answer to a call, as JSON.
    fn answer(&self, call: &Value) -> String {
        let (id, params) = (&call["id"], &call["params"]);
        let result = match call["method"].as_str().unwrap_or_default() {
            "eth_chainId" => Ok(format!("\"{:#x}\"", self.behaviour.chain_id)),
            "eth_blockNumber" => Ok(format!("\"{:#x}\"", self.head())),
            "eth_subscribe" => Ok(format!("\"{SUBSCRIPTION}\"")),
            "eth_getCode" => Ok("\"0x01\"".to_owned()),
            "eth_getBlockByNumber" => Ok(self.header(&params[0])),
            "eth_getLogs" => self.logs(&params[0]),
            GROW => {
                self.growing_since.get_or_init(Instant::now);
                Ok(now_us().to_string())
            }
            // By now it is on that branch.
            FORK => Ok(format!("[{},\"{}\"]", now_us(), self.blocks[self.head()].hash)),
            SERVED => {
                Ok(format!("[{},{}]", self.requests.swap(0, Ordering::Relaxed), self.bytes.swap(0, Ordering::Relaxed)))
            }
            method => Err((-32_601, format!("the method {method} does not exist"))),
        };
        match result {
            Ok(result) => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
            Err((code, message)) => {
                format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#)
            }
        }
    }

    fn height(&self, named: &Value) -> Option<usize> {
        let final_height = self.head().saturating_sub(usize::try_from(self.behaviour.not_final).unwrap_or_default());
        match named.as_str()? {
            "latest" => Some(self.head()),
            "earliest" => Some(0),
            "finalized" | "safe" => Some(final_height),
            number => usize::from_str_radix(number.strip_prefix("0x")?, 16).ok(),
        }
    }

    fn header(&self, named: &Value) -> String {
        let Some(height) = self.height(named).filter(|height| *height <= self.head()) else {
            return "null".to_owned();
        };
        let block = &self.blocks[height];
        let parent = height.checked_sub(1).map_or(B256::ZERO, |below| self.blocks[below].hash);
        let bloom = block.logs.as_ref().map_or(Bloom::ZERO, |logs| logs.0);
        format!(
            r#"{{"number":"{height:#x}","hash":"{}","parentHash":"{parent}","timestamp":"{:#x}","logsBloom":"{bloom}"}}"#,
            block.hash,
            timestamp(height as u64)
        )
    }

    fn logs(&self, filter: &Value) -> Result<String, (i32, String)> {
        let (from, to) = if let Some(hash) = filter["blockHash"].as_str() {
            let hash: B256 = hash.parse().unwrap_or_default();
            // What is asked for by hash is near the head, most of the time.
            let at = self.blocks.iter().rposition(|block| block.hash == hash);
            let at = at.ok_or((-32_000, "unknown block".to_owned()))?;
            (at, at)
        } else {
            let (from, to) = (self.height(&filter["fromBlock"]), self.height(&filter["toBlock"]));
            (from.unwrap_or_default(), to.unwrap_or_else(|| self.head()).min(self.head()))
        };
        let limit = usize::try_from(self.behaviour.range_limit).unwrap_or_default();
        if limit > 0 && to + 1 > from + limit {
            return Err((-32_602, format!("query exceeds max block range {limit}")));
        }
        let blocks = self.blocks.get(from..=to).unwrap_or_default();
        let told = || blocks.iter().filter_map(|block| block.logs.as_deref());
        let mut text = String::with_capacity(told().map(|logs| logs.1.len() + 1).sum::<usize>() + 2);
        text.push('[');
        for logs in told() {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&logs.1);
        }
        text.push(']');
        Ok(text)
    }
}

fn write_log(text: &mut String, log: &Log) {
    let topics: Vec<String> = log.topics.iter().map(|topic| format!("\"{topic}\"")).collect();
    let _ = write!(
        text,
        r#"{{"address":"{:#x}","topics":[{}],"data":"{}","blockNumber":"{:#x}","blockHash":"{}","transactionHash":"{}","transactionIndex":"{:#x}","logIndex":"{:#x}","removed":false}}"#,
        log.address,
        topics.join(","),
        hex::encode_prefixed(&log.data),
        log.block.number,
        log.block.hash,
        log.transaction_hash,
        log.transaction_index,
        log.log_index
    );
}
