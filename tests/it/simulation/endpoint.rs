//! Endpoints that tell the chain within the process, as alloy transports: no sockets, no threads.
//!
//! What is wrong with an answer is drawn from seed, endpoint, request and attempt, so that the order in which concurrent
//! requests arrive does not change it. An endpoint may lie in every way that a node can find out: logs are left out only
//! above finality and only of blocks whose bloom tells; below finality that is for an audit to find (F5).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::primitives::{Address, B256, Bloom};
use alloy::rpc::json_rpc::SerializedRequest;
use alloy::rpc::json_rpc::{ErrorPayload, Id, RequestPacket, Response, ResponsePacket, ResponsePayload};
use alloy::transports::{BoxTransport, RpcError, TransportError, TransportErrorKind, TransportFut};
use meikan::block::Log;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tokio::time::sleep;
use tower_service::Service;

use super::chain::{SimBlock, Truth, View, hex};
use super::crash::Crash;
use super::draw::Draw;
use super::seal;
use super::traffic::Cast;

/// The longest that an answer takes, in milliseconds of the simulation's clock.
const MAX_LATENCY_MS: u64 = 40;

/// How an endpoint behaves for a while.
#[derive(Debug, Clone, Default)]
pub(super) struct Manners {
    /// One answer in so many is spoiled; none is when it is 0.
    pub(super) spoils_one_in: u64,
    /// Leaves out logs where a node can find out.
    pub(super) omits: bool,
    /// Leaves out and alters logs where only an audit can find out.
    pub(super) omits_unseen: bool,
    /// Leaves out and alters logs in receipts, which do not have the header's root then.
    pub(super) forges_receipts: bool,
    /// Blocks it is behind.
    pub(super) lag: u64,
    /// Stays on a chain that was.
    pub(super) stale: Option<View>,
    /// Most blocks of a range.
    pub(super) range_limit: Option<u64>,
    /// Most logs of an answer, beyond which it refuses.
    pub(super) log_limit: Option<usize>,
    /// Most logs of a range of several blocks, beyond which it is silent about the rest (F6).
    pub(super) cuts_at: Option<usize>,
    /// Most requests of a batch.
    pub(super) batch_limit: Option<usize>,
    pub(super) refuses_hashes: bool,
    pub(super) lacks_receipts: bool,
    pub(super) lacks_l1_origin: bool,
    pub(super) finality: ToldFinality,
    /// Serves headers with an empty bloom (F4).
    pub(super) hides_blooms: bool,
    /// Answers nothing at all.
    pub(super) down: bool,
}

/// What an endpoint says about finality: the truth, or less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum ToldFinality {
    #[default]
    Truth,
    /// A block so much lower.
    Behind(u64),
    Nothing,
}

/// Something that happens to the chain before a request.
pub(super) type Turn = Box<dyn FnOnce(&mut Net) + Send>;

/// The chain and everybody who tells it.
pub(super) struct Net {
    seed: u64,
    pub(super) cast: Cast,
    pub(super) truth: Truth,
    pub(super) manners: Vec<Manners>,
    /// Requests still to go, and what happens then.
    pub(super) turns: Vec<(u64, Turn)>,
    attempts: HashMap<(usize, String), u64>,
    pub(super) requests: u64,
    /// What was asked and answered so far, as one number.
    pub(super) trace: u64,
    pub(super) spoiled: u64,
}

impl Net {
    pub(super) fn new(seed: u64, cast: Cast, truth: Truth, endpoints: usize) -> Self {
        let manners = vec![Manners::default(); endpoints];
        let (turns, attempts) = (Vec::new(), HashMap::new());
        Self { seed, cast, truth, manners, turns, attempts, requests: 0, trace: 0, spoiled: 0 }
    }

    fn note(&mut self, parts: &[&[u8]]) {
        self.trace = Draw::of(self.trace, parts).next();
    }

    fn due_turns(&mut self) -> Vec<Turn> {
        for (requests, _) in &mut self.turns {
            *requests = requests.saturating_sub(1);
        }
        self.turns.extract_if(.., |(requests, _)| *requests == 0).map(|(_, turn)| turn).collect()
    }
}

/// An endpoint's end of the wire.
#[derive(Clone)]
pub(super) struct SimTransport {
    endpoint: usize,
    net: Arc<Mutex<Net>>,
    crash: Crash,
}

/// The transports of all endpoints, with their names.
pub(super) fn transports(net: &Arc<Mutex<Net>>, crash: &Crash) -> Vec<(String, BoxTransport)> {
    let endpoints = net.lock().unwrap().manners.len();
    let transport = |endpoint| SimTransport { endpoint, net: Arc::clone(net), crash: crash.clone() };
    (0..endpoints).map(|endpoint| (format!("endpoint {endpoint}"), BoxTransport::new(transport(endpoint)))).collect()
}

impl Service<RequestPacket> for SimTransport {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        Box::pin(self.clone().exchange(packet))
    }
}

/// What spoils all of an answer.
enum Outage {
    Silence,
    Error(TransportError),
}

impl SimTransport {
    fn net(&self) -> MutexGuard<'_, Net> {
        self.net.lock().unwrap()
    }

    async fn exchange(self, packet: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let mut draw = {
            let mut net = self.net();
            let first = match &packet {
                RequestPacket::Single(request) => Some(request),
                RequestPacket::Batch(requests) => requests.first(),
            };
            let asked = first.map(words).unwrap_or_default();
            let attempt = net.attempts.entry((self.endpoint, asked.clone())).or_default();
            *attempt += 1;
            let attempt = attempt.to_be_bytes();
            let draw = Draw::of(net.seed, &[&[0, self.index()], asked.as_bytes(), &attempt]);
            net.note(&[&[self.index()], asked.as_bytes()]);
            draw
        };
        // The request is under way.
        sleep(Duration::from_millis(draw.below(MAX_LATENCY_MS))).await;
        if self.crash.passes() {
            std::future::pending::<()>().await;
        }
        let turns = self.net().due_turns();
        turns.into_iter().for_each(|turn| turn(&mut self.net()));
        let answer = self.answer(&mut draw, &packet);
        sleep(Duration::from_millis(draw.below(MAX_LATENCY_MS))).await;
        match answer {
            Ok(answer) => Ok(answer),
            Err(Outage::Error(error)) => Err(error),
            Err(Outage::Silence) => std::future::pending().await,
        }
    }

    fn index(&self) -> u8 {
        u8::try_from(self.endpoint).expect("there are few endpoints")
    }

    fn answer(&self, draw: &mut Draw, packet: &RequestPacket) -> Result<ResponsePacket, Outage> {
        let mut net = self.net();
        net.requests += 1;
        let manners = net.manners[self.endpoint].clone();
        if manners.down {
            return Err(Outage::Error(TransportErrorKind::custom_str("connection refused")));
        }
        if let Some(outage) = outage(draw, &manners) {
            net.spoiled += 1;
            return Err(outage);
        }
        // Behind one URL are several backends, some of which lag: one for this answer, or another for each entry.
        let mut lag = manners.lag;
        if manners.spoils_one_in > 0 && draw.one_in(manners.spoils_one_in) {
            lag += draw.below(4);
        }
        match packet {
            RequestPacket::Single(request) => Ok(ResponsePacket::Single(self.entry(&mut net, request, &manners, lag))),
            RequestPacket::Batch(requests) => {
                if manners.batch_limit.is_some_and(|most| requests.len() > most) {
                    let payload = error_payload(-32_600, "batch too large");
                    return Err(Outage::Error(RpcError::ErrorResp(payload)));
                }
                let mut responses: Vec<_> =
                    requests.iter().map(|request| self.entry(&mut net, request, &manners, lag)).collect();
                if manners.spoils_one_in > 0 && draw.one_in(manners.spoils_one_in) {
                    net.spoiled += 1;
                    let place = draw.index(responses.len());
                    match draw.below(3) {
                        // An answer is missing; one comes twice; one belongs to nobody (F40).
                        0 => drop(responses.remove(place)),
                        1 => responses.push(responses[place].clone()),
                        _ => responses[place].id = Id::Number(u64::MAX),
                    }
                    responses.rotate_left(place);
                }
                Ok(ResponsePacket::Batch(responses))
            }
        }
    }

    /// The answer to one request.
    fn entry(&self, net: &mut Net, request: &SerializedRequest, manners: &Manners, lag: u64) -> Response {
        let asked = words(request);
        let attempt = net.attempts.entry((self.endpoint, format!("entry {asked}"))).or_default();
        *attempt += 1;
        let attempt = attempt.to_be_bytes();
        let mut draw = Draw::of(net.seed, &[&[1, self.index()], asked.as_bytes(), &attempt]);
        let params: Value = request.params().map_or(Value::Null, |params| serde_json::from_str(params.get()).unwrap());
        let spoiled = manners.spoils_one_in > 0 && draw.one_in(manners.spoils_one_in);
        let base = manners.stale.as_ref().unwrap_or(&net.truth.view);
        let teller = Teller { net, view: base, blocks: base.behind(lag), manners, params: &params };
        let mut result = teller.result(request.method(), if spoiled { Some(&mut draw) } else { None });
        if spoiled {
            result = spoil(&mut draw, request.method(), result, net.truth.settled);
            net.spoiled += 1;
        }
        let payload = match result {
            Ok(result) => ResponsePayload::Success(to_raw_value(&result).expect("values are JSON")),
            Err((code, message)) => ResponsePayload::Failure(error_payload(code, &message)),
        };
        Response { id: request.id().clone(), payload }
    }
}

fn words(request: &SerializedRequest) -> String {
    format!("{} {}", request.method(), request.params().map_or("", |params| params.get()))
}

fn error_payload(code: i64, message: &str) -> ErrorPayload {
    ErrorPayload { code, message: message.to_owned().into(), data: None }
}

fn outage(draw: &mut Draw, manners: &Manners) -> Option<Outage> {
    if manners.spoils_one_in == 0 || !draw.one_in(2 * manners.spoils_one_in) {
        return None;
    }
    let html = "<html><body><h1>429 Too Many Requests</h1></body></html>";
    let not_json = |text: &str| {
        let error = serde_json::from_str::<Value>(text).expect_err("it is no JSON");
        Outage::Error(RpcError::deser_err(error, text))
    };
    Some(match draw.below(8) {
        0 => Outage::Silence,
        1 => Outage::Error(TransportErrorKind::http_error_with_retry_after(
            429,
            "slow down".into(),
            Some(Duration::from_secs(draw.below(5))),
        )),
        2 => Outage::Error(TransportErrorKind::http_error(502, "<html>bad gateway</html>".into())),
        3 => not_json(html),
        4 => not_json(r#"[{"jsonrpc":"2.0","id":1,"result":[{"addr"#),
        5 => Outage::Error(TransportErrorKind::custom_str("connection reset by peer")),
        6 => Outage::Error(TransportErrorKind::http_error(402, "payment required".into())),
        _ => Outage::Error(TransportErrorKind::http_error(503, String::new())),
    })
}

type Answer = Result<Value, (i64, String)>;

/// Errors in disguise: wordings of many kinds behind a status of 200 (F39).
const DISGUISED: [(i64, &str); 10] = [
    (-32_005, "daily request count exceeded, request rate limited"),
    (-32_029, "rate limit"),
    (-32_016, "over the limit"),
    (-32_000, "429 Too Many Requests"),
    (-32_000, "internal error"),
    (-32_603, "Internal JSON-RPC error."),
    (-32_000, "header not found"),
    (-32_000, "execution aborted (timeout = 10s)"),
    (-32_001, "resource not found"),
    (-32_602, "invalid argument 0"),
];

/// The result as an endpoint spoils it: never so that a node could not tell.
fn spoil(draw: &mut Draw, method: &str, result: Answer, settled: u64) -> Answer {
    let Ok(mut result) = result else { return result };
    if draw.one_in(3) {
        let (code, message) = *draw.pick(&DISGUISED);
        return Err((code, message.into()));
    }
    match (method, &mut result) {
        ("eth_getLogs", Value::Array(logs)) if !logs.is_empty() => match draw.below(5) {
            // The same log twice is harmless, another one in its place is not (F7).
            0 => logs.extend(logs.clone()),
            1 => {
                let mut other = draw.pick(logs).clone();
                other["data"] = json!("0xdeadbeef");
                logs.push(other);
            }
            2 => {
                for log in logs {
                    (log["blockNumber"], log["blockHash"]) = (Value::Null, Value::Null);
                }
            }
            3 => logs.iter_mut().for_each(|log| log["blockHash"] = json!(B256::random_with(&mut Noise(draw)))),
            _ => logs.reverse(),
        },
        ("eth_getBlockByNumber", Value::Object(header)) => {
            let number = header["number"].as_str().map_or(0, quantity);
            match draw.below(3) {
                0 => return Ok(Value::Null),
                1 if number > settled => {
                    header.insert("parentHash".into(), json!(B256::random_with(&mut Noise(draw))));
                }
                _ if number > settled => {
                    header.insert("hash".into(), json!(B256::random_with(&mut Noise(draw))));
                }
                _ => return Ok(Value::Null),
            }
        }
        // Null receipts, and those of another block (F9).
        ("eth_getBlockReceipts", Value::Array(receipts)) if !receipts.is_empty() && draw.one_in(2) => {
            let place = draw.index(receipts.len());
            match receipts[place]["logs"].as_array_mut().filter(|logs| !logs.is_empty() && draw.one_in(2)) {
                Some(logs) => {
                    logs.iter_mut().for_each(|log| log["blockHash"] = json!(B256::random_with(&mut Noise(draw))));
                }
                None => receipts[place] = Value::Null,
            }
        }
        ("eth_getBlockReceipts" | "taiko_headL1Origin" | "eth_blockNumber", _) if draw.one_in(2) => {
            return Ok(Value::Null);
        }
        _ => return Err((-32_000, "server error".into())),
    }
    Ok(result)
}

/// Draws as a source of random bytes.
struct Noise<'a>(&'a mut Draw);

impl Noise<'_> {
    fn word(&mut self) -> B256 {
        let mut word = B256::ZERO;
        for part in word.0.chunks_mut(8) {
            part.copy_from_slice(&self.0.next().to_be_bytes());
        }
        word
    }
}

/// A hash of nothing.
trait RandomHash {
    fn random_with(noise: &mut Noise<'_>) -> Self;
}

impl RandomHash for B256 {
    fn random_with(noise: &mut Noise<'_>) -> Self {
        noise.word()
    }
}

/// What one endpoint sees of the chain.
struct Teller<'a> {
    net: &'a Net,
    view: &'a View,
    /// The blocks that it has.
    blocks: &'a [Arc<SimBlock>],
    manners: &'a Manners,
    params: &'a Value,
}

impl Teller<'_> {
    fn head(&self) -> u64 {
        self.blocks.last().expect("there is a genesis block").number
    }

    fn at(&self, number: u64) -> Option<&Arc<SimBlock>> {
        self.blocks.get(usize::try_from(number).ok()?)
    }

    fn by_hash(&self, hash: &Value) -> Option<&Arc<SimBlock>> {
        let hash: B256 = parse(hash);
        self.blocks.iter().rev().find(|block| block.hash == hash)
    }

    fn result(&self, method: &str, lying: Option<&mut Draw>) -> Answer {
        let unsupported = || Err((-32_601, format!("the method {method} does not exist/is not available")));
        match method {
            "eth_chainId" => Ok(json!(hex(self.net.truth.chain_id))),
            "eth_blockNumber" => Ok(json!(hex(self.head()))),
            "eth_getBlockByNumber" => Ok(self.tagged().map_or(Value::Null, |block| self.header(block))),
            "eth_getBlockByHash" => {
                let block = self.by_hash(&self.params[0]);
                Ok(block.map_or(Value::Null, |block| self.header(block)))
            }
            "eth_getLogs" => self.logs(lying),
            "eth_getBlockReceipts" if self.manners.lacks_receipts => unsupported(),
            "eth_getBlockReceipts" => Ok(self.receipts(lying)),
            "taiko_headL1Origin" if !self.manners.lacks_l1_origin => self.l1_origin(),
            _ => unsupported(),
        }
    }

    fn header(&self, block: &SimBlock) -> Value {
        let mut header = block.header.clone();
        if self.manners.hides_blooms {
            header["logsBloom"] = json!(Bloom::ZERO);
        }
        header
    }

    fn tagged(&self) -> Option<&SimBlock> {
        let block = match self.params[0].as_str().expect("a tag is text") {
            "latest" => self.blocks.last(),
            "finalized" => {
                let finalized = match self.manners.finality {
                    ToldFinality::Truth => self.view.finalized?,
                    ToldFinality::Behind(blocks) => self.view.finalized?.saturating_sub(blocks),
                    ToldFinality::Nothing => return None,
                };
                // A backend may lag behind its own finality: it is of the same chain.
                self.at(finalized)
            }
            "safe" | "pending" => None,
            number => self.at(quantity(number)),
        };
        block.map(AsRef::as_ref)
    }

    /// The logs of a filter. An endpoint that lies leaves out those of some blocks.
    fn logs(&self, mut lying: Option<&mut Draw>) -> Answer {
        let filter = &self.params[0];
        let addresses: Vec<Address> = parse(&filter["address"]);
        let watched = |log: &Log| addresses.contains(&log.address);
        let mut omitted = |block: &SimBlock| {
            let can_be_found_out = block.shows_in_bloom && block.number > self.net.truth.settled;
            let Some(draw) = lying.as_mut().filter(|_| self.manners.omits && can_be_found_out) else { return false };
            draw.one_in(2)
        };
        if filter.get("blockHash").is_some() {
            if self.manners.refuses_hashes {
                return Err((-32_000, "eth_getLogs is limited to a 10,000 block range".into()));
            }
            let block = self.by_hash(&filter["blockHash"]).ok_or((-32_000, "unknown block".to_owned()))?;
            let mut logs = if omitted(block) { Vec::new() } else { block.logs_json(watched) };
            if let Some(draw) = lying.filter(|_| self.manners.omits_unseen) {
                lie(draw, &mut logs);
            }
            return Ok(Value::Array(logs));
        }
        let bound = |name: &str| quantity(filter[name].as_str().expect("a bound is text"));
        let (from, to) = (bound("fromBlock"), bound("toBlock"));
        if let Some(most) = self.manners.range_limit
            && to - from + 1 > most
        {
            return Err((-32_000, range_words(from, to, most)));
        }
        let end = to.min(self.head());
        let blocks = (from..=end).filter_map(|number| self.at(number));
        let mut logs: Vec<Value> =
            blocks.filter(|block| !omitted(block)).flat_map(|block| block.logs_json(watched)).collect();
        if let Some(draw) = lying.filter(|_| self.manners.omits_unseen) {
            lie(draw, &mut logs);
        }
        if let Some(most) = self.manners.log_limit
            && logs.len() > most
        {
            return Err((-32_005, log_words(from, most)));
        }
        if let Some(most) = self.manners.cuts_at
            && from < to
        {
            logs.truncate(most);
        }
        Ok(Value::Array(logs))
    }

    fn receipts(&self, lying: Option<&mut Draw>) -> Value {
        let Some(block) = self.by_hash(&self.params[0]) else { return Value::Null };
        let mut logs = block.logs_json(|_| true);
        if let Some(draw) = lying.filter(|_| self.manners.forges_receipts) {
            lie(draw, &mut logs);
        }
        seal::receipts(&block.logs, logs.into_iter())
    }

    fn l1_origin(&self) -> Answer {
        let Some(proposed) = self.view.proposed else { return Err((-32_000, "not found".into())) };
        let block = self.at(proposed).ok_or((-32_000, "not found".to_owned()))?;
        Ok(if proposed.is_multiple_of(2) {
            json!({"blockID": hex(block.number), "l2BlockHash": block.hash, "l1BlockHeight": "0x64"})
        } else {
            json!({"blockId": block.number, "l2BlockHash": block.hash, "l1BlockHeight": 100})
        })
    }
}

/// Leaves logs out, or says something else of one.
fn lie(draw: &mut Draw, logs: &mut Vec<Value>) {
    if draw.one_in(3) {
        logs.retain(|_| !draw.one_in(3));
    } else if !logs.is_empty() {
        let place = draw.index(logs.len());
        let data = logs[place]["data"].as_str().expect("data is text");
        let forged = format!("{}0", &data[..data.len().max(3) - 1]);
        if forged.len() == data.len() {
            logs[place]["data"] = json!(forged);
        }
    }
}

/// A range is too wide, in one of many wordings.
fn range_words(from: u64, to: u64, most: u64) -> String {
    match (from + to) % 5 {
        0 => format!("requested too many blocks from {from} to {to}, maximum is set to {most}"),
        1 => format!("Try with this block range [{}, {}]", hex(from), hex(from + most - 1)),
        2 => "block range is too wide".into(),
        3 => format!("eth_getLogs is limited to a {most} range"),
        _ => "Block range limit exceeded.".into(),
    }
}

/// An answer is too large, in one of many wordings.
fn log_words(from: u64, most: usize) -> String {
    match from % 3 {
        0 => format!("query returned more than {most} results"),
        1 => format!("More than {most} logs returned"),
        _ => "backend response too large".into(),
    }
}

pub(super) fn quantity(text: &str) -> u64 {
    u64::from_str_radix(text.strip_prefix("0x").expect("a quantity is hexadecimal"), 16).expect("a quantity")
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}
