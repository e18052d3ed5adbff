//! Writes: signed feedback that many clients hand in at a time, beside the plain INSERT of the rows that it made.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, hex, keccak256};
use k256::ecdsa::SigningKey;
use meikan::document::{AnyDocument, Kind};
use meikan::event::Role;
use meikan::sign::Payload;
use serde_json::json;

use crate::load::{self, Load};
use crate::node::Node;
use crate::sql::{self, Floor};
use crate::traffic::{CHAIN_ID, Size, contract, mixed};

/// The tables that feedback makes a row of.
const TABLES: [&str; 4] = ["document", "offchain_feedback", "served_file", "write_audit"];

/// Who gives feedback.
const CLIENTS: u64 = 256;

/// Documents for each second that questions are asked for.
const PER_SECOND: u64 = 2_000;

/// The least share of the plain INSERT.
const GOAL: f64 = 0.25;

const MUTATION: &str = "mutation($document: String!, $signer: String!, $signature: Bytes!) { \
     submitFeedback(document: $document, signer: $signer, signature: $signature) { id } }";

/// Hands in as many documents as fit the time, all of them signed before, and lets pgbench insert their rows again. Returns a
/// section of the report.
pub(crate) async fn measure(url: &str, size: Size, connections: usize, seconds: u64) -> String {
    let bodies = bodies(size, PER_SECOND * seconds);
    let documents = bodies.len();
    let node = Node::serve(url, 16, 0, "warn,meikan=info,security_event=warn").await;
    let load = load::send(&node.address, bodies, connections).await;
    node.end().await;
    let floor = sql::pgbench_inserts(url, &TABLES, connections).await;
    told(documents, connections, load, floor)
}

/// Requests that nobody has sent before.
fn bodies(size: Size, count: u64) -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    let first = u64::try_from(now.as_micros()).expect("the clock is near");
    let keys: Vec<SigningKey> = (1..=CLIENTS)
        .map(|number| SigningKey::from_slice(keccak256(number.to_be_bytes()).as_slice()).expect("a hash is a key"))
        .collect();
    let body = |number: u64| {
        let key = &keys[usize::try_from(number % CLIENTS).expect("there are few")];
        let public = key.verifying_key().to_encoded_point(false);
        let address = Address::from_slice(&keccak256(&public.as_bytes()[1..])[12..]);
        let account = format!("eip155:{CHAIN_ID}:{address:#x}");
        let document = json!({
            "feedback": {
                "agentRegistry": format!("eip155:{CHAIN_ID}:{:#x}", contract(Role::Identity)),
                "agentId": mixed(number) % size.agents, "clientAddress": account, "createdAt": "2026-01-31T12:00:00Z",
                "value": number % 101, "valueDecimals": 0, "tag1": "starred", "endpoint": "https://agent.example/a2a",
                "text": format!("Task {number} was done, and in time."),
            },
            "nonce": first + number, "deadline": now.as_secs() + 3_000,
        })
        .to_string();
        let read = AnyDocument::read(Kind::Feedback, &document).expect("it is one");
        let payload = Payload::of_any(&read, CHAIN_ID).expect("it fits its types");
        let (signature, id) = key.sign_prehash_recoverable(payload.hash.as_slice()).expect("32 bytes are signed");
        let signature = hex::encode_prefixed([&signature.to_bytes()[..], &[27 + id.to_byte()]].concat());
        let variables = json!({ "document": document, "signer": account, "signature": signature });
        json!({ "query": MUTATION, "variables": variables }).to_string()
    };
    (0..count).map(body).collect()
}

fn told(documents: usize, connections: usize, load: Load, floor: Option<Floor>) -> String {
    let Load { per_second, p50_ms, p99_ms, .. } = load;
    let mut text = format!(
        "\n## Writes\n\n{documents} signed feedback documents, {connections} at a time, each checked (its signature, its signer's \
         rights), kept with its file and its trail, and read back; beside the plain INSERT of the same {} rows each, one \
         transaction a document.\n\n| documents/s | p50 ms | p99 ms | INSERT/s, p99 ms | share |\n|---|---|---|---|---|\n",
        TABLES.len()
    );
    let (floor, share) = match floor {
        Some(floor) => {
            let share = per_second / floor.per_second;
            let missed = if share < GOAL { " (missed)" } else { "" };
            (format!("{:.0}, {:.2}", floor.per_second, floor.p99_ms), format!("{share:.2}{missed}"))
        }
        None => (String::new(), String::new()),
    };
    let _ = writeln!(text, "| {per_second:.0} | {p50_ms:.2} | {p99_ms:.2} | {floor} | {share} |");
    text
}
