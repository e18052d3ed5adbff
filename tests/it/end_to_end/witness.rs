//! What a chain's logs say, read without the node: by `eth_getLogs`, the published ABIs and a second implementation of
//! the ABI.

use std::collections::HashMap;
use std::path::Path;

use alloy::hex::encode_prefixed;
use alloy::json_abi::{Event, JsonAbi, Param};
use alloy::primitives::{Address, B256, Bytes, U64};
use alloy_dyn_abi::{DynSolValue, EventExt};
use meikan::config::Contracts;
use meikan::demo::Rpc;
use meikan::event::Role;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A log and what it says.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) block: u64,
    /// Seconds since 1970.
    pub(super) time: u64,
    pub(super) log_index: u64,
    pub(super) transaction: String,
    pub(super) contract: String,
    /// The event's name in the ABI.
    pub(super) event: String,
    /// Its parameters by name.
    pub(super) fields: Map<String, Value>,
}

impl Seen {
    /// A parameter that is a text, a number of more than 32 bits, or bytes.
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields[name].as_str().unwrap_or_else(|| panic!("{name} of {self:?} is no text"))
    }

    /// Where and when, as every entity tells it.
    pub(super) fn place(&self) -> [(&'static str, Value); 3] {
        [
            ("blockNumber", json!(self.block.to_string())),
            ("logIndex", json!(self.log_index)),
            ("transactionHash", json!(self.transaction)),
        ]
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Log {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    block_number: U64,
    log_index: U64,
    transaction_hash: B256,
}

/// All logs of the contracts, in the chain's order.
pub(super) async fn read(rpc: &Rpc, contracts: &Contracts) -> Vec<Seen> {
    let events: HashMap<Address, Events> = contracts.all().map(|(role, _, at)| (at, Events::of(role))).collect();
    let addresses: Vec<&Address> = events.keys().collect();
    let filter = json!([{"fromBlock": "0x0", "toBlock": "latest", "address": addresses}]);
    let logs: Value = rpc.request("eth_getLogs", filter).await.unwrap();
    let logs: Vec<Log> = serde_json::from_value(logs).unwrap();
    let mut times = HashMap::new();
    let mut seen = Vec::new();
    for log in logs {
        let block: u64 = log.block_number.to();
        if let std::collections::hash_map::Entry::Vacant(unknown) = times.entry(block) {
            let header: Value = rpc.request("eth_getBlockByNumber", json!([log.block_number, false])).await.unwrap();
            unknown.insert(serde_json::from_value::<U64>(header["timestamp"].clone()).unwrap().to::<u64>());
        }
        let (event, fields) = events[&log.address].decode(&log.topics, &log.data);
        seen.push(Seen {
            block,
            time: times[&block],
            log_index: log.log_index.to(),
            transaction: encode_prefixed(log.transaction_hash),
            contract: encode_prefixed(log.address),
            event,
            fields,
        });
    }
    seen
}

/// The events that one kind of contract may emit, by topic0.
pub(super) struct Events(HashMap<B256, Event>);

impl Events {
    /// Its own events before those of the others: each of them may emit what any of them emits about itself.
    pub(super) fn of(role: Role) -> Self {
        let others = Role::ALL.into_iter().filter(|other| *other != role);
        let events = others.chain([role]).flat_map(|role| abi(role).events().cloned().collect::<Vec<_>>());
        Self(events.map(|event| (event.selector(), event)).collect())
    }

    /// The name of the event with this topic0, if it is in one of the ABIs.
    pub(super) fn name(&self, topic0: &B256) -> Option<String> {
        self.0.get(topic0).map(|event| event.name.clone())
    }

    /// Name and parameters of an event.
    pub(super) fn decode(&self, topics: &[B256], data: &[u8]) -> (String, Map<String, Value>) {
        let event = &self.0[&topics[0]];
        let decoded = event.decode_log_parts(topics.iter().copied(), data).unwrap();
        let (mut indexed, mut body) = (decoded.indexed.into_iter(), decoded.body.into_iter());
        let fields = event.inputs.iter().map(|input| {
            let value = if input.indexed { indexed.next() } else { body.next() }.unwrap();
            (camel_case(&input.name), as_json(&value, &input.components))
        });
        (event.name.clone(), fields.collect())
    }
}

fn abi(role: Role) -> JsonAbi {
    let contract = match role {
        Role::Identity => "IdentityRegistry",
        Role::Reputation => "ReputationRegistry",
        Role::Validation => "ValidationRegistry",
        Role::AuditLog => "AuditLog",
        Role::AgentRegistry => "AgentRegistry",
        Role::PolicyEngine => "PolicyEngine",
        Role::Executor => "CrossChainExecutor",
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("abi/{contract}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// `agentURI` as `agentUri`, `_tokenId` as `tokenId`.
fn camel_case(name: &str) -> String {
    let mut after_capital = false;
    let letters = name.trim_start_matches('_').chars().map(|letter| {
        let shown = if after_capital { letter.to_ascii_lowercase() } else { letter };
        after_capital = letter.is_ascii_uppercase();
        shown
    });
    letters.collect()
}

/// Numbers of more than 32 bits as text, bytes as hex, text without what cannot be shown.
fn as_json(value: &DynSolValue, components: &[Param]) -> Value {
    match value {
        DynSolValue::Bool(value) => json!(value),
        DynSolValue::Uint(value, bits) if *bits <= 32 => json!(value.to::<u32>()),
        DynSolValue::Uint(value, _) => json!(value.to_string()),
        DynSolValue::Int(value, _) => json!(value.to_string()),
        DynSolValue::Address(value) => json!(encode_prefixed(value)),
        DynSolValue::FixedBytes(value, size) => json!(encode_prefixed(&value[..*size])),
        DynSolValue::Bytes(value) => json!(encode_prefixed(value)),
        DynSolValue::String(value) => json!(value.replace('\0', "\u{fffd}")),
        DynSolValue::Array(values) => values.iter().map(|value| as_json(value, components)).collect(),
        DynSolValue::Tuple(values) | DynSolValue::CustomStruct { tuple: values, .. } => {
            let members = values.iter().zip(components);
            Value::Object(members.map(|(value, of)| (camel_case(&of.name), as_json(value, &of.components))).collect())
        }
        other => panic!("no event has a {other:?}"),
    }
}
