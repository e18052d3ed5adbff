//! The program itself: a client that takes nothing is cut off, and one that stays is sent away in order; both go on where
//! they were.

use alloy::primitives::{Address, U256};
use meikan::event::{Event, IdentityEvent};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::support::{Client, Said, brief, code, cursor};
use crate::ops::support::{busy_chain, ends, node, registered, sum};
use crate::support::fake_chain::RawLog;
use crate::support::postgres::TestDatabase;
use crate::support::program::{REGISTRY, config, meikan};

/// Registrations whose URIs fill every buffer between a node and a client that does not read.
const LARGE: u64 = 160;
const LARGE_URI_BYTES: usize = 100_000;

fn large(agent_id: u64) -> RawLog {
    let event = IdentityEvent::Registered {
        agent_id: U256::from(agent_id),
        agent_uri: format!("ipfs://{}", "a".repeat(LARGE_URI_BYTES)).as_str().into(),
        owner: Address::repeat_byte(1),
    };
    (REGISTRY.parse::<Address>().unwrap(), Event::Identity(event)).into()
}

fn agents(after: &str) -> String {
    format!("subscription {{ agents(after: \"{after}\") {{ op id blockNumber cursor node {{ agentURI }} }} }}")
}

fn id_of(message: &Value) -> String {
    message["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off_and_goes_on_without_loss() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(1));
    for block in 0..LARGE / 8 {
        chain.mine((0..8).map(|place| large(100 + 8 * block + place)));
    }
    let text = config(&[&chain.url()]).replacen("[api]", "[api]\nslow_client_ms = 2000", 1);
    let mut running = meikan(&["run"]).config(&text).database(database.url()).start();
    let site = running.site().await;
    site.indexed(1 + LARGE / 8).await;
    let mut client = Client::connect(&format!("http://{}", site.address()), "/graphql").await;
    client.subscribe("1", &agents("0")).await;
    // Not a message is read until the node has given up.
    site.until("/metrics", |answer| sum(&answer.body, "subscriptions_cut_total", "") >= 1.0).await;
    let mut heard = Vec::new();
    let error = loop {
        match client.hear().await {
            Said::Json(message) if message["type"] == "next" => {
                heard.push(message["payload"]["data"]["agents"].clone());
            }
            Said::Json(message) => break message["payload"][0].clone(),
            said => panic!("it was told nothing to go on from: {said:?}"),
        }
    };
    assert_eq!(code(&error), "TIMEOUT", "{error}");
    assert_eq!(cursor(&error), cursor(heard.last().expect("buffers hold some")), "it got all up to there");
    assert_eq!(client.hear().await, Said::Closed(1013));
    let before = heard.len();
    let mut client = Client::connect(&format!("http://{}", site.address()), "/graphql").await;
    client.subscribe("1", &agents(&cursor(&error))).await;
    let all = usize::try_from(LARGE + 1).unwrap();
    assert!(before < all, "buffers held everything: the test needs more");
    heard.extend(client.several("1", all - before).await);
    let ids: Vec<String> = heard.iter().map(id_of).collect();
    let expected = std::iter::once(0).chain(100..100 + LARGE).map(|agent| format!("167000:{agent}"));
    assert_eq!(ids, expected.collect::<Vec<_>>());
    drop(client);
    site.until("/metrics", |answer| sum(&answer.body, "subscriptions", "") == 0.0).await;
    let text = site.get("/metrics").await.body;
    assert!(sum(&text, "subscription_messages_total", "") >= 160.0, "{text}");
    ends(running, Signal::TERM, 143).await;
}

#[tokio::test]
async fn a_node_that_stops_tells_what_to_go_on_from() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(2));
    let mut running = node(&chain, &database).start();
    let site = running.site().await;
    let mut client = Client::connect(&format!("http://{}", site.address()), "/graphql").await;
    site.indexed(2).await;
    client.subscribe("1", &agents("0")).await;
    assert_eq!(brief(&client.several("1", 2).await), ["INSERT 167000:0 1", "INSERT 167000:1 2"]);
    let farewell = async {
        let error = client.error("1").await;
        assert_eq!(code(&error), "UNAVAILABLE", "{error}");
        assert_eq!(client.hear().await, Said::Closed(1001));
        cursor(&error)
    };
    let (ended, place) = tokio::join!(ends(running, Signal::TERM, 143), farewell);
    assert!(!ended.stderr.contains("cut off"), "{ended:#?}");
    chain.reorg(1, vec![vec![registered(7)], vec![registered(8)]]);
    let mut running = node(&chain, &database).start();
    let site = running.site().await;
    let mut client = Client::connect(&format!("http://{}", site.address()), "/graphql").await;
    client.subscribe("1", &agents(&place)).await;
    let told = client.several("1", 3).await;
    assert_eq!(brief(&told), ["RETRACT 167000:1 2", "INSERT 167000:7 2", "INSERT 167000:8 3"]);
    assert_eq!(told[0]["node"], json!(null));
    ends(running, Signal::INT, 130).await;
}
