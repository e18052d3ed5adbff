//! How somebody tells the chain: a server with its own lag, limits and faults.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use alloy::primitives::{Address, B256, Bloom};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use super::{CHANNEL_MESSAGES, FakeBlock, Truth, hex};

/// What an endpoint does wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A JSON-RPC error.
    Error(i64, String),
    /// Another HTTP status, with a `Retry-After` in seconds, and a body.
    Http(u16, Option<u64>, String),
    /// Status 200 and this text instead of JSON-RPC.
    Text(String),
    /// No answer, ever.
    Hang,
    /// The answer breaks off in the middle.
    CutOff,
    /// The answer has another request's id.
    WrongId,
    /// A batch lacks the answer.
    Missing,
    /// The result is null.
    Null,
    /// The result is this.
    Result(Value),
    /// No logs.
    EmptyLogs,
    /// Only the first so many logs.
    FirstLogs(usize),
    /// No logs of this block.
    WithoutBlock(u64),
    /// Not the log at this place of this block.
    WithoutLog(u64, u64),
    /// One log more than there is, behind the last one of the last block.
    ForgedLog,
    /// Every log twice.
    RepeatedLogs,
    /// The first log once more with other data.
    ConflictingLogs,
    /// The first log with other data.
    ForgedData,
    /// The first log with another first topic.
    ForgedTopic,
    /// Every log marked as removed.
    RemovedLogs,
    /// Logs without block number and hash.
    PendingLogs,
    /// Logs or header with another block hash.
    WrongHash,
    /// A header with an empty bloom.
    EmptyBloom,
    /// The header of this block names another parent.
    WrongParent(u64),
}

impl Fault {
    /// Whether it spoils the whole HTTP answer, not one entry.
    fn is_of_transport(&self) -> bool {
        matches!(self, Self::Http(..) | Self::Text(_) | Self::Hang | Self::CutOff)
    }
}

/// How an endpoint behaves.
#[derive(Debug, Default)]
struct Manners {
    /// Blocks it is behind.
    lag: u64,
    /// The highest block that it will ever see.
    frozen_at: Option<u64>,
    /// Blocks by which only its logs are behind: a load balancer with a backend that lags (F1).
    log_lag: u64,
    /// Answers with another chain id.
    chain_id: Option<u64>,
    /// Most blocks of a range, and the words for more; `{max}` is the number.
    range_limit: Option<(u64, String)>,
    /// Most logs of an answer, and the words for more; `{from}` and `{to}` are what was asked.
    log_limit: Option<(usize, String)>,
    /// Most requests of a batch, and the words for more.
    batch_limit: Option<(usize, String)>,
    /// Refuses queries by block hash with these words.
    hash_refusal: Option<String>,
    /// Contracts are called on the state of this block and newer ones only.
    oldest_state: u64,
    /// Calls its newest block final.
    finalizes_all: bool,
    unsupported: HashSet<String>,
    /// Method, how often still, and what.
    faults: Vec<(String, usize, Fault)>,
    /// Every request so far: method and parameters.
    requests: Vec<(String, Value)>,
    /// Most requests of a batch that was answered.
    largest_batch: usize,
    /// What happens before a request to come: requests still to go, and what.
    turns: Vec<(usize, Turn)>,
}

/// Something that happens to the chain between two requests.
struct Turn(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turn")
    }
}

impl Manners {
    fn saw_batch(&mut self, requests: usize) {
        self.largest_batch = self.largest_batch.max(requests);
    }

    /// What is to happen before the request that has come.
    fn due_turns(&mut self) -> Vec<Turn> {
        for (requests, _) in &mut self.turns {
            *requests = requests.saturating_sub(1);
        }
        self.turns.extract_if(.., |(requests, _)| *requests == 0).map(|(_, turn)| turn).collect()
    }
}

/// An endpoint; dropping it stops it.
#[derive(Debug)]
pub(crate) struct FakeEndpoint {
    address: SocketAddr,
    manners: Arc<Mutex<Manners>>,
    orders: broadcast::Sender<Order>,
    server: JoinHandle<()>,
}

impl Drop for FakeEndpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeEndpoint {
    pub(super) fn serve(truth: Arc<Mutex<Truth>>, heads: broadcast::Sender<Value>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let address = listener.local_addr().expect("a bound listener has an address");
        let listener = tokio::net::TcpListener::from_std(listener).expect("there is a runtime");
        let manners = Arc::new(Mutex::new(Manners::default()));
        let (orders, _) = broadcast::channel(CHANNEL_MESSAGES);
        let teller = Teller { truth, manners: Arc::clone(&manners), heads, orders: orders.clone() };
        let router = Router::new().route("/ws", get(over_websocket)).fallback(post(over_http)).with_state(teller);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("the server runs") });
        Self { address, manners, orders, server }
    }

    fn manners(&self) -> MutexGuard<'_, Manners> {
        self.manners.lock().unwrap()
    }

    /// Its HTTP endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its WebSocket endpoint.
    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}/ws", self.address)
    }

    /// Spoils the next `times` requests of that method.
    pub(crate) fn fail(&self, method: &str, times: usize, fault: Fault) -> &Self {
        self.manners().faults.push((method.into(), times, fault));
        self
    }

    /// Does something just before the request that comes as the `nth` from now, entries of batches counted: the answers
    /// to one step are then of two chains.
    pub(crate) fn before_request(&self, nth: usize, turn: impl FnOnce() + Send + 'static) -> &Self {
        self.manners().turns.push((nth, Turn(Box::new(turn))));
        self
    }

    /// Takes all faults back.
    pub(crate) fn recover(&self) {
        let mut manners = self.manners();
        manners.faults.clear();
        manners.turns.clear();
    }

    /// Stays so many blocks behind.
    pub(crate) fn lag(&self, blocks: u64) -> &Self {
        self.manners().lag = blocks;
        self
    }

    /// Sees no block above this one any more, and goes on answering.
    pub(crate) fn freeze(&self, number: u64) -> &Self {
        self.manners().frozen_at = Some(number);
        self
    }

    /// Sees the chain grow again.
    pub(crate) fn thaw(&self) {
        self.manners().frozen_at = None;
    }

    /// Answers `eth_getLogs` from a backend that is so many blocks behind.
    pub(crate) fn lag_logs(&self, blocks: u64) -> &Self {
        self.manners().log_lag = blocks;
        self
    }

    /// Claims another chain id.
    pub(crate) fn claim_chain(&self, chain_id: u64) -> &Self {
        self.manners().chain_id = Some(chain_id);
        self
    }

    /// Refuses wider ranges, in these words.
    pub(crate) fn limit_range(&self, blocks: u64, words: &str) -> &Self {
        self.manners().range_limit = Some((blocks, words.into()));
        self
    }

    /// Refuses larger answers, in these words.
    pub(crate) fn limit_logs(&self, logs: usize, words: &str) -> &Self {
        self.manners().log_limit = Some((logs, words.into()));
        self
    }

    /// Refuses larger batches as a whole, in these words.
    pub(crate) fn limit_batch(&self, requests: usize, words: &str) -> &Self {
        self.manners().batch_limit = Some((requests, words.into()));
        self
    }

    /// Refuses queries by block hash, in these words.
    pub(crate) fn refuse_hash_queries(&self, words: &str) -> &Self {
        self.manners().hash_refusal = Some(words.into());
        self
    }

    /// Calls its newest block final, whatever the chain's finality is.
    pub(crate) fn finalize_all(&self) -> &Self {
        self.manners().finalizes_all = true;
        self
    }

    /// Forgets the state of all blocks below that one.
    pub(crate) fn prune_state(&self, below: u64) -> &Self {
        self.manners().oldest_state = below;
        self
    }

    /// Does not know the method.
    pub(crate) fn lack(&self, method: &str) -> &Self {
        self.manners().unsupported.insert(method.into());
        self
    }

    /// Closes every WebSocket.
    pub(crate) fn hang_up(&self) {
        let _ = self.orders.send(Order::HangUp);
    }

    /// Announces no more heads on the WebSockets that are open; new ones get them.
    pub(crate) fn mute(&self) {
        let _ = self.orders.send(Order::Mute);
    }

    /// Most requests in one HTTP request that was answered, since that was last forgotten.
    pub(crate) fn largest_batch(&self) -> usize {
        self.manners().largest_batch
    }

    pub(crate) fn forget_batches(&self) {
        self.manners().largest_batch = 0;
    }

    /// How many requests came since this was last asked; they are forgotten.
    pub(crate) fn take_requests(&self) -> usize {
        std::mem::take(&mut self.manners().requests).len()
    }

    /// The parameters of every request of that method so far.
    pub(crate) fn requests(&self, method: &str) -> Vec<Value> {
        let manners = self.manners();
        manners.requests.iter().filter(|(name, _)| name == method).map(|(_, params)| params.clone()).collect()
    }
}

/// What an endpoint does to its open WebSockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    HangUp,
    Mute,
}

#[derive(Debug, Clone)]
struct Teller {
    truth: Arc<Mutex<Truth>>,
    manners: Arc<Mutex<Manners>>,
    heads: broadcast::Sender<Value>,
    orders: broadcast::Sender<Order>,
}

async fn over_http(State(teller): State<Teller>, body: String) -> Response<Body> {
    let request: Value = serde_json::from_str(&body).expect("requests are JSON");
    let (fault, answer) = teller.answer_all(&request);
    let answer = answer.to_string();
    match fault {
        None => answer.into_response(),
        Some(Fault::Http(status, retry_after, body)) => {
            let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
            if let Some(seconds) = retry_after {
                response = response.header("retry-after", seconds);
            }
            response.body(Body::from(body)).expect("a response")
        }
        Some(Fault::Text(text)) => text.into_response(),
        Some(Fault::CutOff) => answer[..answer.len() / 2].to_owned().into_response(),
        Some(_) => std::future::pending().await,
    }
}

async fn over_websocket(State(teller): State<Teller>, upgrade: WebSocketUpgrade) -> Response<Body> {
    upgrade.on_upgrade(move |socket| converse(teller, socket))
}

async fn converse(teller: Teller, mut socket: WebSocket) {
    let (mut heads, mut orders) = (teller.heads.subscribe(), teller.orders.subscribe());
    let (mut subscribed, mut muted) = (false, false);
    loop {
        let text = tokio::select! {
            // Orders come first, so that a head mined after one is not announced before it.
            biased;
            order = orders.recv() => {
                let Ok(Order::Mute) = order else { return };
                muted = true;
                continue;
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                let Message::Text(text) = message else { continue };
                let request: Value = serde_json::from_str(&text).expect("requests are JSON");
                subscribed |= request["method"] == "eth_subscribe";
                match teller.answer_all(&request) {
                    (None, answer) => answer.to_string(),
                    // Over a WebSocket every fault of the transport is silence.
                    (Some(_), _) => continue,
                }
            }
            head = heads.recv() => {
                if !subscribed || muted { continue }
                let Ok(head) = head else { return };
                let params = json!({"subscription": "0x1", "result": head});
                json!({"jsonrpc": "2.0", "method": "eth_subscription", "params": params}).to_string()
            }
        };
        if socket.send(Message::Text(text.into())).await.is_err() {
            return;
        }
    }
}

impl Teller {
    /// The answer to a request or a batch, and a fault that spoils it as a whole.
    fn answer_all(&self, request: &Value) -> (Option<Fault>, Value) {
        let Value::Array(requests) = request else {
            self.manners.lock().unwrap().saw_batch(1);
            let (fault, answer) = self.answer(request);
            return (fault, answer.unwrap_or(Value::Null));
        };
        if let Some((max, words)) = &self.manners.lock().unwrap().batch_limit
            && requests.len() > *max
        {
            let refusal = json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32_600, "message": words}});
            return (None, refusal);
        }
        self.manners.lock().unwrap().saw_batch(requests.len());
        let answers: Vec<_> = requests.iter().map(|request| self.answer(request)).collect();
        let fault = answers.iter().find_map(|(fault, _)| fault.clone());
        (fault, answers.into_iter().filter_map(|(_, answer)| answer).collect())
    }

    fn answer(&self, request: &Value) -> (Option<Fault>, Option<Value>) {
        let method = request["method"].as_str().expect("a request has a method");
        let params = &request["params"];
        let turns = self.manners.lock().unwrap().due_turns();
        turns.into_iter().for_each(|turn| (turn.0)());
        let mut manners = self.manners.lock().unwrap();
        manners.requests.push((method.into(), params.clone()));
        let fault = manners.faults.iter_mut().find(|(name, times, _)| name == method && *times > 0).map(|fault| {
            fault.1 -= 1;
            fault.2.clone()
        });
        let result = View { truth: &self.truth.lock().unwrap(), manners: &manners }.result(method, params);
        let mut id = request["id"].clone();
        let (of_transport, result) = match fault {
            Some(fault) if fault.is_of_transport() => (Some(fault), result),
            Some(Fault::Missing) => return (None, None),
            Some(Fault::WrongId) => {
                id = json!(987_654_321);
                (None, result)
            }
            Some(fault) => (None, result.and_then(|result| spoil(result, fault))),
            None => (None, result),
        };
        let answer = match result {
            Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
            Err((code, message)) => json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}}),
        };
        (of_transport, Some(answer))
    }
}

type Answer = Result<Value, (i64, String)>;

/// The result as the fault has it.
fn spoil(mut result: Value, fault: Fault) -> Answer {
    let logs = result.as_array_mut();
    match (fault, logs) {
        (Fault::Error(code, message), _) => return Err((code, message)),
        (Fault::Null, _) => return Ok(Value::Null),
        (Fault::Result(result), _) => return Ok(result),
        (Fault::EmptyLogs, _) => return Ok(json!([])),
        (Fault::FirstLogs(count), Some(logs)) => logs.truncate(count),
        (Fault::WithoutBlock(block), Some(logs)) => logs.retain(|log| log["blockNumber"] != json!(hex(block))),
        (Fault::WithoutLog(block, index), Some(logs)) => {
            logs.retain(|log| log["blockNumber"] != json!(hex(block)) || log["logIndex"] != json!(hex(index)));
        }
        (Fault::ForgedLog, Some(logs)) => {
            if let Some(mut forged) = logs.last().cloned() {
                forged["logIndex"] = json!("0x40");
                forged["transactionIndex"] = json!("0x40");
                logs.push(forged);
            }
        }
        (Fault::RepeatedLogs, Some(logs)) => logs.extend(logs.clone()),
        (Fault::ConflictingLogs, Some(logs)) => {
            let mut other = logs[0].clone();
            other["data"] = json!("0xdeadbeef");
            logs.push(other);
        }
        (Fault::ForgedData, Some(logs)) => logs.iter_mut().take(1).for_each(|log| log["data"] = json!("0xdeadbeef")),
        (Fault::ForgedTopic, Some(logs)) => {
            logs.iter_mut().take(1).for_each(|log| log["topics"][0] = json!(B256::repeat_byte(0xab)));
        }
        (Fault::RemovedLogs, Some(logs)) => logs.iter_mut().for_each(|log| log["removed"] = json!(true)),
        (Fault::PendingLogs, Some(logs)) => {
            for log in logs {
                log["blockNumber"] = Value::Null;
                log["blockHash"] = Value::Null;
            }
        }
        (Fault::WrongHash, Some(logs)) => {
            logs.iter_mut().for_each(|log| log["blockHash"] = json!(B256::repeat_byte(0xee)))
        }
        (Fault::WrongHash, None) => result["hash"] = json!(B256::repeat_byte(0xee)),
        (Fault::EmptyBloom, _) => result["logsBloom"] = json!(Bloom::ZERO),
        (Fault::WrongParent(number), None) => {
            if result["number"] == json!(hex(number)) {
                result["parentHash"] = json!(B256::repeat_byte(0xee));
            }
        }
        (fault, _) => panic!("{fault:?} does not fit the result {result}"),
    }
    Ok(result)
}

/// What one endpoint sees of the chain.
struct View<'a> {
    truth: &'a Truth,
    manners: &'a Manners,
}

impl View<'_> {
    fn blocks(&self, lag: u64) -> &[FakeBlock] {
        let behind = usize::try_from(lag).expect("the lag is small");
        let seen = self.truth.blocks.len().saturating_sub(behind).max(1);
        let highest = self.manners.frozen_at.map_or(seen, |number| usize::try_from(number + 1).expect("small"));
        &self.truth.blocks[..seen.min(highest)]
    }

    fn seen(&self) -> &[FakeBlock] {
        self.blocks(self.manners.lag)
    }

    fn by_number(&self, number: u64) -> Option<&FakeBlock> {
        self.seen().get(usize::try_from(number).ok()?)
    }

    fn result(&self, method: &str, params: &Value) -> Answer {
        if self.manners.unsupported.contains(method) {
            return Err((-32_601, format!("the method {method} does not exist/is not available")));
        }
        let head = self.seen().last().expect("there is a genesis block");
        match method {
            "eth_chainId" => Ok(json!(hex(self.manners.chain_id.unwrap_or(self.truth.chain_id)))),
            "eth_blockNumber" => Ok(json!(hex(head.number))),
            "eth_getBlockByNumber" => Ok(self.tagged(&params[0]).map_or(Value::Null, FakeBlock::header_json)),
            "eth_getBlockByHash" => Ok(self.by_hash(&params[0]).map_or(Value::Null, FakeBlock::header_json)),
            "eth_getLogs" => self.logs(&params[0]),
            "eth_getBlockReceipts" => Ok(self.receipts(&params[0])),
            // Who wants a transaction gives it, as a result.
            "eth_getTransactionReceipt" | "eth_getTransactionByHash" => Ok(Value::Null),
            "eth_getCode" => {
                let block = self.tagged(&params[1]).ok_or((-32_000, "header not found".to_owned()))?.number;
                if block < self.manners.oldest_state {
                    return Err((-32_000, format!("missing trie node of block {block}: state is not available")));
                }
                let deployed = self.truth.code.get(&parse::<Address>(&params[0]));
                Ok(json!(if deployed.is_some_and(|deployed| *deployed <= block) { "0x60" } else { "0x" }))
            }
            "eth_call" => {
                let block = match params[1].get("blockHash") {
                    Some(hash) => self.by_hash(hash),
                    None => self.tagged(&params[1]),
                };
                let block = block.ok_or((-32_000, "header not found".to_owned()))?;
                if block.number < self.manners.oldest_state {
                    return Err((
                        -32_000,
                        format!("missing trie node of block {}: state is not available", block.number),
                    ));
                }
                let call = (parse(&params[0]["to"]), parse(&params[0]["data"]));
                self.truth.calls.get(&call).map(|answer| json!(answer)).ok_or((3, "execution reverted".into()))
            }
            "eth_subscribe" => Ok(json!("0x1")),
            "taiko_headL1Origin" => self.l1_origin(),
            other => Err((-32_601, format!("the method {other} does not exist/is not available"))),
        }
    }

    fn tagged(&self, tag: &Value) -> Option<&FakeBlock> {
        match tag.as_str().expect("a tag is text") {
            "latest" => self.seen().last(),
            "finalized" if self.manners.finalizes_all => self.seen().last(),
            "finalized" => self.truth.blocks.get(usize::try_from(self.truth.finalized?).ok()?),
            "earliest" => self.seen().first(),
            number => self.by_number(quantity(number)),
        }
    }

    fn by_hash(&self, hash: &Value) -> Option<&FakeBlock> {
        let hash: B256 = parse(hash);
        self.seen().iter().find(|block| block.hash == hash)
    }

    fn logs(&self, filter: &Value) -> Answer {
        let seen = self.blocks(self.manners.lag + self.manners.log_lag);
        let addresses: HashSet<Address> = parse(&filter["address"]);
        let blocks: Vec<&FakeBlock> = if filter.get("blockHash").is_some() {
            if let Some(words) = &self.manners.hash_refusal {
                return Err((-32_000, words.clone()));
            }
            let hash: B256 = parse(&filter["blockHash"]);
            let block = seen.iter().find(|block| block.hash == hash);
            vec![block.ok_or((-32_000, "unknown block".to_owned()))?]
        } else {
            let bound = |name: &str| quantity(filter[name].as_str().expect("a bound is text"));
            let (from, to) = (bound("fromBlock"), bound("toBlock"));
            if let Some((max, words)) = &self.manners.range_limit
                && to - from + 1 > *max
            {
                return Err((-32_000, words.replace("{max}", &max.to_string())));
            }
            seen.iter().filter(|block| (from..=to).contains(&block.number)).collect()
        };
        let logs: Vec<_> = blocks
            .iter()
            .flat_map(|block| (0..block.logs.len()).map(move |index| (block, index)))
            .filter(|(block, index)| addresses.contains(&block.logs[*index].address))
            .map(|(block, index)| block.log_json(index))
            .collect();
        match &self.manners.log_limit {
            Some((max, words)) if logs.len() > *max => Err((-32_005, words.clone())),
            _ => Ok(Value::Array(logs)),
        }
    }

    fn receipts(&self, block: &Value) -> Value {
        let Some(block) = self.by_hash(block) else { return Value::Null };
        (0..block.logs.len()).map(|index| block.receipt_json(index)).collect()
    }

    fn l1_origin(&self) -> Answer {
        let Some(proposed) = self.truth.proposed else {
            return Err((-32_601, "the method taiko_headL1Origin does not exist/is not available".into()));
        };
        let block = &self.truth.blocks[usize::try_from(proposed).expect("the height is small")];
        Ok(json!({"blockID": hex(block.number), "l2BlockHash": block.hash, "l1BlockHeight": "0x64"}))
    }
}

fn quantity(text: &str) -> u64 {
    u64::from_str_radix(text.strip_prefix("0x").expect("a quantity is hexadecimal"), 16).expect("a quantity")
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}
