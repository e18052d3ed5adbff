//! The head: how long it takes from the moment that the chain node has a block until a subscription tells it, committed.
//!
//! Beside it stand a round trip to the chain node and a durable commit, of the same run: a step at the head needs both.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::chain::{self, Behaviour, GROW};
use crate::ingest::{check, start_chain};
use crate::load::{self, Load};
use crate::node::Node;
use crate::sql;
use crate::traffic::{self, CHAIN_ID, Size, Traffic};

/// Ten logs a block; the last blocks come one by one while somebody listens.
pub(crate) const SIZE: Size = Size { agents: 10_000, feedback: 75_000, intents: 500, blocks: 10_000 };

/// How far away the chain node is, how many blocks come, and how many of them in a second: from afar as many as can be
/// followed one by one.
const PLACES: [(u64, u64, u64); 2] = [(0, 600, 10), (50, 120, 2)];

/// How often the node looks at the head where it is not told.
pub(crate) const POLL_MS: u64 = 10;

/// How often a round trip and a commit are measured.
const TIMES: usize = 500;

/// Longest wait for a message; blocks come ten times a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause before it is asked again how far the node is.
const AGAIN: Duration = Duration::from_millis(200);

/// What was measured, in milliseconds.
pub(crate) struct Head {
    latency_ms: u64,
    per_second: u64,
    told: Load,
    round_trip: Load,
    commit: Load,
}

impl Head {
    /// How much longer the 99th percentile is than that of what cannot be saved.
    fn factor(&self) -> f64 {
        self.told.p99_ms / (self.round_trip.p99_ms + self.commit.p99_ms)
    }

    pub(crate) fn text(&self) -> String {
        let Self { latency_ms, per_second, told, round_trip, commit } = self;
        let far = if *latency_ms > 0 { format!(", {latency_ms} ms away") } else { String::new() };
        format!(
            "\n| at the head, {per_second} blocks/s, told by a WebSocket{far} | p50 ms | p99 ms |\n|---|---|---|\n\
             | a block, from the chain node to the message of a subscription | {:.1} | {:.1} |\n\
             | one request to the chain node | {:.1} | {:.1} |\n\
             | one durable commit of a row | {:.1} | {:.1} |\n\
             | p99 beside the sum of both | | {:.1} times |\n",
            told.p50_ms,
            told.p99_ms,
            round_trip.p50_ms,
            round_trip.p99_ms,
            commit.p50_ms,
            commit.p99_ms,
            self.factor()
        )
    }

    pub(crate) fn figure(&self) -> Value {
        let of = |load: &Load| json!({ "p50Ms": load.p50_ms, "p99Ms": load.p99_ms });
        json!({
            "latencyMs": self.latency_ms,
            "blocksPerSecond": self.per_second,
            "toldAfter": of(&self.told),
            "roundTrip": of(&self.round_trip),
            "commit": of(&self.commit),
        })
    }
}

/// Measures it for a chain node beside the node, and for one that is far away.
pub(crate) async fn measure(server: &str) -> Vec<Head> {
    let mut measured = Vec::new();
    for (latency_ms, coming, per_second) in PLACES {
        let behaviour = Behaviour { latency_ms, coming, per_second, ..Behaviour::QUICK };
        measured.push(measure_at(server, behaviour).await);
    }
    measured
}

/// Lets a node follow a chain that grows, and listens.
async fn measure_at(server: &str, behaviour: Behaviour) -> Head {
    let (chain, address) = start_chain(SIZE, &behaviour).await;
    sql::drop_database(server, "bench_head").await;
    let url = sql::database(server, "bench_head").await;
    // It is told of new heads by a WebSocket, and looks seldom.
    let configuration = traffic::config(CHAIN_ID, &address).replace("http://", "ws://");
    let node = Node::start(&url, "run", &configuration, "warn,meikan=info").await;
    let first = SIZE.blocks() - behaviour.coming;
    reaches(&node.address, first, AGAIN).await;
    let mut socket = subscribe(&node.address).await;
    let began_us = grow(&address).await;
    let mut took = Vec::new();
    for number in first + 1..=SIZE.blocks() {
        let is_it = |block: &Value| {
            block["blockNumber"].as_str().and_then(|told| told.parse::<u64>().ok()).is_some_and(|told| told >= number)
        };
        assert!(hears(&mut socket, is_it).await, "block {number} is not told");
        let there_us = began_us + (number - first) * 1_000_000 / behaviour.per_second;
        took.push(Duration::from_micros(now_us().saturating_sub(there_us)));
    }
    node.end().await;
    let told = load::measured(took, 0, PATIENCE);
    check(&url, CHAIN_ID, Traffic::new(SIZE), SIZE.blocks()).await;
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}"#;
    let round_trip = load::send_to(&address, "/", vec![request.to_owned(); TIMES], 1).await;
    drop(chain);
    let Behaviour { latency_ms, per_second, .. } = behaviour;
    Head { latency_ms, per_second, told, round_trip, commit: sql::commits(&url, TIMES).await }
}

/// A configuration that looks at the head often.
pub(crate) fn config(address: &str) -> String {
    format!("{}poll_interval_ms = {POLL_MS}\n", traffic::config(CHAIN_ID, address))
}

/// Waits until a node answers as of a block, or one above it; it is asked as often as that.
pub(crate) async fn reaches(node: &str, number: u64, every: Duration) {
    let asked = json!({ "query": "{ _meta { block { number } } }" }).to_string();
    loop {
        let answer: Value = serde_json::from_slice(&load::ask_once(node, asked.clone()).await).expect("it is JSON");
        if answer["data"]["_meta"]["block"]["number"].as_u64() >= Some(number) {
            return;
        }
        sleep(every).await;
    }
}

pub(crate) type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// Listens to the blocks that a node commits.
pub(crate) async fn subscribe(address: &str) -> Socket {
    let mut request = format!("ws://{address}/graphql").into_client_request().expect("a URL");
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
    let (mut socket, _) = connect_async(request).await.expect("the node takes sockets");
    let query = json!({ "query": "subscription { blocks { blockNumber blockHash } }" });
    for message in [json!({ "type": "connection_init" }), json!({ "type": "subscribe", "id": "1", "payload": query })] {
        socket.send(Message::text(message.to_string())).await.expect("the node listens");
    }
    socket
}

/// Waits until the block is told that is waited for; whether it was, and not an error.
pub(crate) async fn hears(socket: &mut Socket, is_it: impl Fn(&Value) -> bool) -> bool {
    loop {
        let heard = timeout(PATIENCE, socket.next()).await.expect("blocks come").expect("it stays").expect("it stands");
        let Message::Text(text) = heard else { continue };
        let message: Value = serde_json::from_str(&text).expect("it is JSON");
        if message["type"] == "error" {
            return false;
        }
        if is_it(&message["payload"]["data"]["blocks"]) {
            return true;
        }
    }
}

/// Lets the chain grow; when that began, in microseconds since 1970.
pub(crate) async fn grow(address: &str) -> u64 {
    chain::ask(address, GROW).await.as_u64().expect("a time")
}

pub(crate) fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    u64::try_from(now.as_micros()).expect("it is earlier than the year 586,000")
}
