//! The 158 real logs of Ethereum mainnet, put on a chain of the same id and served.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::primitives::{Address, B256, Bytes, address};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::Role;
use serde::Deserialize;
use serde_json::Value;

use super::files::document;
use super::witness::Events;
use crate::support::fake_chain::{FakeChain, RawLog};
use crate::support::node::Node;

const CHAIN_ID: u64 = 1;
const IDENTITY: Address = address!("8004A169FB4a3325136EB29fA0ceB6D2e539a432");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fixture {
    registered_logs: Vec<Log>,
    uri_updated_logs: Vec<Log>,
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "camelCase")]
struct Log {
    block_number: u64,
    log_index: u64,
    topics: Vec<B256>,
    data: Bytes,
}

/// All logs in the order in which they happened.
fn real_logs() -> Vec<Log> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/real/mainnet-event-logs.json");
    let fixture: Fixture = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut logs = [fixture.registered_logs, fixture.uri_updated_logs].concat();
    logs.sort_by_key(|log| (log.block_number, log.log_index));
    logs
}

/// A chain with the logs of each real block in a block of their own.
fn chain_of(logs: &[Log]) -> FakeChain {
    let chain = FakeChain::new(CHAIN_ID);
    for block in logs.chunk_by(|one, next| one.block_number == next.block_number) {
        chain.mine(block.iter().map(|log| RawLog {
            address: IDENTITY,
            topics: log.topics.clone(),
            data: log.data.clone(),
        }));
    }
    chain
}

fn network(chain: &FakeChain) -> Network {
    Network {
        name: "mainnet".into(),
        chain_id: CHAIN_ID,
        rpc_urls: vec![chain.url()],
        start_block: 0,
        contracts: Contracts { identity: Addresses(vec![IDENTITY]), ..Contracts::default() },
        follow: Follow::default(),
        ..Network::default()
    }
}

/// The URI that each agent has in the end.
fn last_uris(logs: &[Log]) -> BTreeMap<String, String> {
    let events = Events::of(Role::Identity);
    let mut uris = BTreeMap::new();
    for log in logs {
        let (event, fields) = events.decode(&log.topics, &log.data);
        let uri = if event == "Registered" { &fields["agentUri"] } else { &fields["newUri"] };
        let id = format!("{CHAIN_ID}:{}", fields["agentId"].as_str().unwrap());
        uris.insert(id, uri.as_str().unwrap().to_owned());
    }
    uris
}

#[tokio::test]
async fn all_158_real_logs_are_served() {
    let logs = real_logs();
    assert_eq!(logs.len(), 158);
    let chain = chain_of(&logs);
    let node = Node::fresh(&[network(&chain)]).await;
    let uris = last_uris(&logs);
    let fields = "id owner agentURI agentURIType registrationFile { agentId name description image active }";
    let agents = node.all("agents", fields).await;
    assert_eq!(agents.len(), uris.len());
    let mut types = BTreeMap::<String, usize>::new();
    for agent in &agents {
        let id = agent["id"].as_str().unwrap();
        let uri = &uris[id];
        assert_eq!(agent["agentURI"], *uri, "{id}");
        *types.entry(agent["agentURIType"].as_str().unwrap().to_owned()).or_default() += 1;
        assert_file(id, uri, &agent["registrationFile"]);
    }
    // The kinds of the agents' last URIs; a well-known gateway's URL of a CID counts as IPFS.
    let expected = [("data", 65), ("https", 44), ("ipfs", 9), ("json", 3), ("unknown", 5)];
    assert_eq!(types, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
    let files = logs.iter().filter(|log| says_itself(log)).count();
    assert_eq!(node.all("agentRegistrationFiles", "id").await.len(), files, "a file for each URI that has one");
}

fn says_itself(log: &Log) -> bool {
    let (_, fields) = Events::of(Role::Identity).decode(&log.topics, &log.data);
    let uri = fields.get("agentUri").or(fields.get("newUri")).unwrap();
    document(uri.as_str().unwrap()).is_some()
}

fn assert_file(id: &str, uri: &str, file: &Value) {
    let Some(document) = document(uri) else {
        assert_eq!(*file, Value::Null, "{id}: {uri}");
        return;
    };
    assert_eq!(file["agentId"], id, "{uri}");
    for field in ["name", "description", "image"] {
        let expected = document.get(field).filter(|value| value.is_string()).cloned().unwrap_or_default();
        assert_eq!(file[field], expected, "{field} of {id}: {document}");
    }
    if let Some(active) = document.get("active").filter(|active| active.is_boolean()) {
        assert_eq!(file["active"], *active, "{id}");
    }
}
