//! What strangers put on a chain: it is kept, counted and shown, and the follower goes on.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::{Event, IdentityEvent, ReputationEvent, Text};
use meikan::follow::Outcome;
use serde_json::{Value, json};

use crate::support::fake_chain::{FakeChain, RawLog};
use crate::support::node::Node;
use crate::support::tables::assert_same;

const CHAIN_ID: u64 = 167_000;
const IDENTITY: Address = Address::repeat_byte(0x11);
const REPUTATION: Address = Address::repeat_byte(0x22);
const OWNER: Address = Address::repeat_byte(1);

/// NUL, bytes that are no UTF-8, and what a careless statement would run.
const HOSTILE: &[u8] = b"a\0b\xff\xfe'; DROP TABLE agent; --";

/// How that is shown.
const SHOWN: &str = "a\u{fffd}b\u{fffd}\u{fffd}'; DROP TABLE agent; --";

fn network(chain: &FakeChain) -> Network {
    Network {
        name: "taiko".into(),
        chain_id: CHAIN_ID,
        rpc_urls: vec![chain.url()],
        start_block: 0,
        contracts: Contracts {
            identity: Addresses(vec![IDENTITY]),
            reputation: Addresses(vec![REPUTATION]),
            ..Contracts::default()
        },
        follow: Follow::default(),
        ..Network::default()
    }
}

fn hostile() -> Text {
    Text::from(HOSTILE.to_vec())
}

fn registered(agent_id: U256, agent_uri: Text) -> Vec<RawLog> {
    let minted = IdentityEvent::Transfer { from: Address::ZERO, to: OWNER, token_id: agent_id };
    let registered = IdentityEvent::Registered { agent_id, agent_uri, owner: OWNER };
    [minted, registered].map(|event| (IDENTITY, Event::Identity(event)).into()).into()
}

fn metadata(agent_id: U256, key: Text, value: Bytes) -> RawLog {
    let indexed_metadata_key = keccak256(&key.0);
    let set = IdentityEvent::MetadataSet { agent_id, indexed_metadata_key, metadata_key: key, metadata_value: value };
    (IDENTITY, Event::Identity(set)).into()
}

fn feedback(agent_id: U256, feedback_index: u64, value: i128, value_decimals: u8, tag: Text) -> RawLog {
    let given = ReputationEvent::NewFeedback {
        agent_id,
        client_address: Address::repeat_byte(2),
        feedback_index,
        value,
        value_decimals,
        indexed_tag1: keccak256(&tag.0),
        tag1: tag.clone(),
        tag2: tag,
        endpoint: hostile(),
        feedback_uri: hostile(),
        feedback_hash: B256::ZERO,
    };
    (REPUTATION, Event::Reputation(given)).into()
}

async fn served(blocks: Vec<Vec<RawLog>>) -> (FakeChain, Node) {
    let chain = FakeChain::new(CHAIN_ID);
    for logs in blocks {
        chain.mine(logs);
    }
    let node = Node::fresh(&[network(&chain)]).await;
    (chain, node)
}

#[tokio::test]
async fn f45_f46_nul_and_bytes_that_are_no_text_are_shown_and_kept() {
    let agent = U256::from(7);
    let mut logs = registered(agent, hostile());
    logs.extend([metadata(agent, hostile(), HOSTILE.into()), feedback(agent, 1, 5, 0, hostile())]);
    let (_chain, node) = served(vec![logs]).await;
    let fields = "agentURI agentURIType metadata { id key value } feedback { tag1 tag2 endpoint feedbackURI }";
    let answer = node.ask(&format!("{{ agent(id: \"167000:7\") {{ {fields} }} }}")).await;
    let id = format!("167000:7:keccak256:{}", keccak256(HOSTILE));
    let expected = json!({
        "agentURI": SHOWN,
        "agentURIType": "unknown",
        "metadata": [{ "id": id, "key": SHOWN, "value": Bytes::from(HOSTILE) }],
        "feedback": [{ "tag1": SHOWN, "tag2": SHOWN, "endpoint": SHOWN, "feedbackURI": SHOWN }],
    });
    assert_eq!(answer["agent"], expected);
    assert_eq!(node.ask(&format!("{{ agentMetadata(id: \"{id}\") {{ key }} }}")).await["agentMetadata"]["key"], SHOWN);
    let tables = node.tables(CHAIN_ID).await;
    let bytes = format!("\\\\x{}", alloy::hex::encode(HOSTILE));
    for (table, times) in [("agent", 1), ("agent_metadata", 2), ("feedback", 4)] {
        assert_eq!(tables[table][0].matches(&bytes).count(), times, "{table} keeps the bytes: {:?}", tables[table]);
    }
}

#[tokio::test]
async fn keys_that_look_alike_stay_two() {
    let agent = U256::from(7);
    let mut logs = registered(agent, "".into());
    logs.extend([
        metadata(agent, Text::from(b"a\0".to_vec()), Bytes::from_static(b"1")),
        metadata(agent, Text::from(b"a\xff".to_vec()), Bytes::from_static(b"2")),
        metadata(agent, "a\u{fffd}".into(), Bytes::from_static(b"3")),
    ]);
    let (_chain, node) = served(vec![logs]).await;
    let entries = node.all("agentMetadatas", "id key value").await;
    assert_eq!(entries.len(), 3);
    assert!(entries.iter().all(|entry| entry["key"] == "a\u{fffd}"));
    let values: std::collections::BTreeSet<_> = entries.iter().map(|entry| entry["value"].to_string()).collect();
    assert_eq!(values.len(), 3);
}

#[tokio::test]
async fn a_uri_of_100_kb_is_served_whole() {
    let file = format!(r#"{{"name": "large", "description": "{}"}}"#, "名".repeat(33_000));
    let uri = format!("data:application/json,{}", file.replace(' ', "%20"));
    assert!(uri.len() > 99_000);
    let (_chain, node) = served(vec![registered(U256::ZERO, uri.as_str().into())]).await;
    let agent = node.ask("{ agent(id: \"167000:0\") { agentURI registrationFile { name description } } }").await;
    assert_eq!(agent["agent"]["agentURI"], uri);
    assert_eq!(agent["agent"]["registrationFile"]["name"], "large");
    assert_eq!(agent["agent"]["registrationFile"]["description"].as_str().unwrap().chars().count(), 33_000);
}

#[tokio::test]
async fn extreme_numbers_are_exact() {
    let mut logs = registered(U256::MAX, "https://max.example".into());
    logs.push(feedback(U256::MAX, u64::MAX, i128::MIN, 0, "min".into()));
    logs.push(feedback(U256::MAX, u64::MAX - 1, i128::MAX, 18, "max".into()));
    logs.push(feedback(U256::MAX, 0, -1, 255, "places".into()));
    let (chain, mut node) = served(vec![logs]).await;
    let id = format!("{CHAIN_ID}:{}", U256::MAX);
    let asked = format!(
        "{{ agent(id: \"{id}\") {{ agentId totalFeedback feedback {{ feedbackIndex valueRaw valueDecimals tag1 }} }} }}"
    );
    let given = |index: u64, value: i128, decimals: u8, tag: &str| {
        json!({
            "feedbackIndex": index.to_string(), "valueRaw": value.to_string(), "valueDecimals": decimals, "tag1": tag,
        })
    };
    let expected = json!({
        "agentId": U256::MAX.to_string(),
        "totalFeedback": "3",
        "feedback": [
            given(0, -1, 255, "places"),
            given(u64::MAX - 1, i128::MAX, 18, "max"),
            given(u64::MAX, i128::MIN, 0, "min"),
        ],
    });
    assert_eq!(node.ask(&asked).await["agent"], expected);
    let above = format!("{{ feedbacks(where: {{ feedbackIndex_gte: \"{}\" }}) {{ tag1 }} }}", u64::MAX);
    assert_eq!(node.ask(&above).await["feedbacks"], json!([{ "tag1": "min" }]));
    let revoked = ReputationEvent::FeedbackRevoked {
        agent_id: U256::MAX,
        client_address: Address::repeat_byte(2),
        feedback_index: u64::MAX,
    };
    chain.mine([(REPUTATION, Event::Reputation(revoked))]);
    node.catch_up().await;
    assert_eq!(node.ask(&asked).await["agent"]["totalFeedback"], "2");
}

#[tokio::test]
async fn logs_that_are_no_events_are_kept_and_counted_and_the_follower_goes_on() {
    let log = |topics: Vec<B256>, data: &'static [u8]| RawLog { address: IDENTITY, topics, data: data.into() };
    let (registered_topics, _) =
        Event::Identity(IdentityEvent::Registered { agent_id: U256::ZERO, agent_uri: "".into(), owner: OWNER })
            .encode();
    let undecodable = vec![
        log(vec![], b""),
        log(vec![B256::repeat_byte(9)], b"unknown"),
        log(registered_topics.clone(), b"too short"),
        log(registered_topics[..2].to_vec(), &[0; 64]),
        log(registered_topics.clone(), &[0xff; 96]),
        log(vec![registered_topics[0], B256::ZERO, B256::repeat_byte(0xff)], &[0; 64]),
    ];
    let chain = FakeChain::new(CHAIN_ID);
    let mut node = Node::start(&[network(&chain)]).await;
    node.catch_up().await;
    let mut block = undecodable.clone();
    block.extend(registered(U256::from(3), "https://after.example".into()));
    chain.mine(block);
    let outcomes = node.catch_up().await;
    let counted = outcomes.iter().map(|outcome| match outcome {
        Outcome::Advanced { applied, .. } => applied.undecoded,
        other => panic!("{other:?}"),
    });
    assert_eq!(counted.sum::<u64>(), undecodable.len() as u64);
    let tables = node.tables(CHAIN_ID).await;
    assert_eq!(tables["undecoded_log"].len(), undecodable.len());
    assert_eq!(tables["raw_logs"].len(), undecodable.len() + 2);
    let reasons: Vec<Value> = tables["undecoded_log"].iter().map(|row| serde_json::from_str(row).unwrap()).collect();
    assert!(reasons.iter().any(|row| row["reason"] == "unknown topic"), "{reasons:?}");
    assert!(reasons.iter().any(|row| row["reason"].as_str().unwrap().starts_with("malformed Registered")));
    chain.mine(registered(U256::from(4), "https://later.example".into()));
    node.catch_up().await;
    assert_eq!(node.tip(), 2);
    assert_eq!(node.all("agents", "id").await, [json!({ "id": "167000:3" }), json!({ "id": "167000:4" })]);
}

/// Feedback in blocks of one time, page by page in the order of that time.
async fn pages(node: &Node, direction: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after = String::new();
    // One page more than there can be.
    for _ in 0..20 {
        let query = format!(
            "{{ feedbacks(first: 2, orderBy: createdAt, orderDirection: {direction}{after}) {{ id cursor createdAt }} }}"
        );
        let page = node.ask(&query).await["feedbacks"].take();
        let Some(last) = page.as_array().unwrap().last() else { return ids };
        after = format!(", after: {}", last["cursor"]);
        ids.extend(page.as_array().unwrap().iter().map(|given| given["id"].as_str().unwrap().to_owned()));
    }
    panic!("the pages do not end: {ids:?}");
}

/// How much feedback there was as of a block.
async fn feedback_at(node: &Node, block: u64) -> usize {
    let query = format!("{{ feedbacks(first: 100, block: {{ number: {block} }}) {{ valueRaw }} }}");
    node.ask(&query).await["feedbacks"].as_array().unwrap().len()
}

#[tokio::test]
async fn f30_blocks_of_one_time_are_told_apart_by_block_and_log_index() {
    let chain = FakeChain::new(CHAIN_ID);
    chain.mine(registered(U256::ZERO, "".into()));
    chain.stop_the_clock();
    let given =
        |first: u64, value: i128| (first..first + 3).map(move |index| feedback(U256::ZERO, index, value, 0, "".into()));
    for block in 0..4 {
        chain.mine(given(1 + 3 * block, 50));
    }
    let mut node = Node::fresh(&[network(&chain)]).await;
    let ascending = pages(&node, "asc").await;
    assert_eq!(ascending.len(), 12, "each is on one page: {ascending:?}");
    assert!(ascending.iter().all(|id| ascending.iter().filter(|other| *other == id).count() == 1));
    let descending: Vec<String> = pages(&node, "desc").await.into_iter().rev().collect();
    assert_eq!(ascending, descending);
    let times = node.ask("{ feedbacks(first: 100) { createdAt } }").await["feedbacks"].take();
    assert!(times.as_array().unwrap().iter().all(|given| *given == times[0]), "all have one time: {times}");

    // As of a block is by height, and a reorganisation within that time undoes the right blocks.
    assert_eq!((feedback_at(&node, 3).await, feedback_at(&node, 5).await), (6, 12));
    chain.reorg(2, vec![given(7, 60).collect::<Vec<_>>(), vec![], vec![]]);
    node.catch_up().await;
    assert_eq!((feedback_at(&node, 3).await, feedback_at(&node, 4).await), (6, 9));
    assert_same(&node.tables(CHAIN_ID).await, &Node::fresh(&[network(&chain)]).await.tables(CHAIN_ID).await);
}

/// A host that takes connections and says nothing, ever.
struct SilentHost {
    listener: std::net::TcpListener,
}

impl SilentHost {
    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { listener }
    }

    fn uri(&self, scheme: &str) -> String {
        format!("{scheme}://{}/card.json", self.listener.local_addr().unwrap())
    }

    /// Whether anybody has ever asked it.
    fn was_asked(&self) -> bool {
        self.listener.accept().is_ok()
    }
}

/// A gzip stream that inflates to a thousand times its size.
fn bomb() -> String {
    use base64::Engine;
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(br#"{"name":""#).unwrap();
    packed.write_all(&vec![b'a'; 64 << 20]).unwrap();
    packed.write_all(br#""}"#).unwrap();
    let packed = base64::engine::general_purpose::STANDARD.encode(packed.finish().unwrap());
    format!("data:application/json;enc=gzip;level=9;base64,{packed}")
}

#[tokio::test]
async fn f52_hostile_and_slow_files_neither_delay_nor_break_ingestion() {
    let host = SilentHost::start();
    let deep = format!("data:application/json,{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let junk = vec![b'd', b'a', b't', b'a', b':', 0xff, 0, b','];
    let uris: Vec<Text> = vec![
        Text::from(host.uri("http").as_str()),
        Text::from(host.uri("https").as_str()),
        Text::from(format!("ipfs://{}", host.listener.local_addr().unwrap()).as_str()),
        Text::from(bomb().as_str()),
        Text::from(deep.as_str()),
        Text::from(junk),
        Text::from(r#"data:application/json,{"name":"good"}"#),
    ];
    let agents = uris.len();
    let chain = FakeChain::new(CHAIN_ID);
    for (agent, uri) in (0_u64..).zip(uris) {
        chain.mine(registered(U256::from(agent), uri));
    }
    let node = Node::fresh(&[network(&chain)]).await;
    assert_eq!(node.tip(), chain.head().number);
    assert_eq!(node.all("agents", "id").await.len(), agents, "each agent is there, whatever its file is");
    let files = node.all("agentRegistrationFiles", "name").await;
    assert_eq!(files, [json!({"name": "good"})]);
    assert!(!host.was_asked(), "ingestion asks nobody for files");
}
