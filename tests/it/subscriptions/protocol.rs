//! The protocol: what opens and ends a connection and an operation, and what is refused.

use serde_json::json;

use super::support::{Client, MESSAGE, Said, code};
use crate::graphql::support::{CHAIN, Node, registered};

async fn node() -> Node {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "a")).await;
    node
}

#[tokio::test]
async fn a_query_is_answered_over_the_socket_too() {
    let node = node().await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.subscribe("1", "{ agents { id agentURI } }").await;
    assert_eq!(client.next("1").await, json!([{ "id": "167000:0", "agentURI": "a" }]));
    assert_eq!(client.hear().await, Said::Json(json!({ "type": "complete", "id": "1" })));
    // The name is free again.
    client.subscribe("1", "{ agents(first: 5000) { id } }").await;
    assert_eq!(code(&client.error("1").await), "BAD_INPUT");
    client.say(&json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(client.hear().await, Said::Json(json!({ "type": "pong", "payload": { "n": 1 } })));
    client.say(&json!({ "type": "ping" })).await;
    assert_eq!(client.hear().await, Said::Json(json!({ "type": "pong" })));
}

#[tokio::test]
async fn a_subscription_that_is_none_is_refused_by_name() {
    let node = node().await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    let root = |arguments: &str| format!("subscription {{ agents({arguments}) {{ {MESSAGE} node {{ id }} }} }}");
    for (query, said) in [
        (root("after: \"x\""), "`after`"),
        (root("after: \"-1\""), "`after`"),
        (root("after: \"99999999999999999999\""), "`after`"),
        (root("where: {createdAt_gt: \"soon\"}"), "`createdAt_gt`"),
        (root("where: {nonsense: 1}"), "nonsense"),
        (root("chainId: 1"), "no network with `chainId` 1"),
        ("subscription { agents { id } blocks { id } }".into(), "one root field"),
        ("subscription { ... { agents { id } } }".into(), "one root field"),
        ("subscription { ...F } fragment F on Subscription { agents { id } }".into(), "one root field"),
        ("subscription { agents { a: node { id } b: node { owner } } }".into(), "`node`"),
        ("subscription { agents { node { feedback(first: 5000) { id } } } }".into(), "`first`"),
        ("subscription { agents { salary } }".into(), "salary"),
        ("subscription { nothing { id } }".into(), "nothing"),
        ("subscription { agents {".into(), "cannot be read"),
        ("mutation { agents { id } }".into(), "`Mutation` has no field `agents`"),
    ] {
        client.subscribe("1", &query).await;
        let error = client.error("1").await;
        assert!(["BAD_INPUT", "NOT_FOUND"].contains(&code(&error)), "{query}: {error}");
        assert!(error["message"].as_str().unwrap().contains(said), "{query}: {error}");
    }
    // Over HTTP there is nothing to follow.
    let error = node.answer(&root("after: \"0\""), json!({})).await.error();
    assert_eq!(error.0, "BAD_INPUT", "{error:?}");
}

#[tokio::test]
async fn what_breaks_the_protocol_ends_the_connection() {
    let node = node().await;
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": "subscription { blocks { id } }" } });
    let mut client = Client::open(&node.address, "/graphql", "graphql-transport-ws").await;
    client.say(&subscribe).await;
    assert_eq!(client.hear().await, Said::Closed(4401));
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.say(&json!({ "type": "connection_init" })).await;
    assert_eq!(client.hear().await, Said::Closed(4429));
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.say(&subscribe).await;
    client.say(&subscribe).await;
    assert_eq!(client.hear().await, Said::Closed(4409));
    for text in [
        "{",
        "[]",
        "{\"type\":\"start\"}",
        "{\"type\":\"subscribe\",\"id\":\"1\"}",
        "{\"type\":\"subscribe\",\"id\":\"\",\"payload\":{\"query\":\"\"}}",
    ] {
        let mut client = Client::connect(&node.address, "/graphql").await;
        client.say_text(text).await;
        assert_eq!(client.hear().await, Said::Closed(4400), "{text}");
    }
    let mut silent = Client::open(&node.address, "/graphql", "graphql-transport-ws").await;
    assert_eq!(silent.hear().await, Said::Closed(4408));
}

#[tokio::test]
async fn another_protocol_or_address_is_refused() {
    let node = node().await;
    let refused = tokio_tungstenite::connect_async(format!("{}/graphql", node.address.replace("http", "ws"))).await;
    let (mut socket, _) = refused.expect("the refusal is a frame");
    let frame = futures_util::StreamExt::next(&mut socket).await.unwrap().unwrap();
    assert!(
        matches!(&frame, tokio_tungstenite::tungstenite::Message::Close(Some(close)) if u16::from(close.code) == 4406),
        "{frame}"
    );
    let refused = tokio_tungstenite::connect_async(format!("{}/graphql/x", node.address.replace("http", "ws"))).await;
    let error = refused.expect_err("there is no such network").to_string();
    assert!(error.contains("404"), "{error}");
}

#[tokio::test]
async fn an_operation_that_its_client_completes_says_nothing_more() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "a")).await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    let query = format!("subscription {{ agents(after: \"0\") {{ {MESSAGE} }} }}");
    client.subscribe("1", &query).await;
    client.next("1").await;
    client.say(&json!({ "type": "complete", "id": "1" })).await;
    client.subscribe("2", &query).await;
    client.next("2").await;
    history.block(registered(1, 1, "b")).await;
    client.next("2").await;
    history.block(registered(2, 1, "c")).await;
    client.next("2").await;
}
