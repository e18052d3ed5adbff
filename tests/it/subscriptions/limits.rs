//! How many: operations of a connection, subscriptions and connections of a node, and what a thousand of them cost.

use serde_json::json;

use super::support::{Client, Said, brief, code};
use crate::graphql::support::{CHAIN, Node, registered};

const AGENTS: &str =
    "subscription { agents(after: \"0\") { op id blockNumber cursor node { id owner feedback { id } } } }";

#[tokio::test]
async fn a_connection_has_sixteen_operations_at_a_time() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "a")).await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    for operation in 0..16 {
        client.subscribe(&operation.to_string(), AGENTS).await;
    }
    client.subscribe("one too many", AGENTS).await;
    let mut refused = 0;
    for _ in 0..17 {
        let Said::Json(message) = client.hear().await else { panic!("the node hung up") };
        if message["type"] == "error" {
            assert_eq!((&message["id"], code(&message["payload"][0])), (&json!("one too many"), "TOO_COMPLEX"));
            refused += 1;
        }
    }
    assert_eq!(refused, 1);
    // One that is over makes room.
    client.say(&json!({ "type": "complete", "id": "3" })).await;
    client.subscribe("next", AGENTS).await;
    client.next("next").await;
}

#[tokio::test]
async fn a_node_has_so_many_subscriptions_and_connections() {
    let node = Node::with(|api| api.max_subscriptions = 2).await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "a")).await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    let mut other = Client::connect(&node.address, "/graphql").await;
    for id in ["1", "2"] {
        client.subscribe(id, AGENTS).await;
        client.next(id).await;
    }
    other.subscribe("1", AGENTS).await;
    assert_eq!(code(&other.error("1").await), "UNAVAILABLE");
    // Questions need no place.
    other.subscribe("1", "{ agents { id } }").await;
    other.next("1").await;
    let full = tokio_tungstenite::connect_async(format!("{}/graphql", node.address.replace("http", "ws"))).await;
    assert!(full.expect_err("there are two").to_string().contains("503"));
    // Places come back with the connection that had them.
    drop(client);
    let taken = async {
        loop {
            other.subscribe("2", AGENTS).await;
            loop {
                match other.hear().await {
                    Said::Json(message) if message["id"] == "1" => {}
                    Said::Json(message) if message["type"] == "error" => break,
                    said => return said,
                }
            }
        }
    };
    let told = tokio::time::timeout(crate::support::node::DEADLINE, taken).await.expect("a place is free");
    assert!(matches!(&told, Said::Json(message) if message["type"] == "next"), "{told:?}");
}

/// One agent registered while so many listen; returns the statements that it took to tell all of them.
async fn statements(
    node: &Node,
    history: &mut crate::graphql::support::History,
    clients: &mut [Client],
    agent: u64,
) -> u64 {
    let before = node.store.query_statements();
    let block = history.block(registered(agent, 1, "")).await;
    for client in clients {
        for _ in 0..16 {
            let Said::Json(message) = client.hear().await else { panic!("the node hung up") };
            let told = message["payload"]["data"]["agents"].clone();
            assert_eq!(brief(&[told]), [format!("INSERT 167000:{agent} {block}")]);
        }
    }
    node.store.query_statements() - before
}

async fn listening(node: &Node, clients: usize) -> Vec<Client> {
    let mut listening = Vec::new();
    for _ in 0..clients {
        let mut client = Client::connect(&node.address, "/graphql").await;
        for operation in 0..16 {
            client.subscribe(&operation.to_string(), AGENTS).await;
        }
        for _ in 0..16 {
            let Said::Json(message) = client.hear().await else { panic!("the node hung up") };
            assert_eq!(message["type"], "next", "{message}");
        }
        listening.push(client);
    }
    listening
}

#[tokio::test]
async fn f71_f72_a_thousand_subscribers_cost_the_questions_of_sixteen() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "a")).await;
    let mut clients = listening(&node, 1).await;
    let few = statements(&node, &mut history, &mut clients, 1).await;
    drop(clients);
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "a")).await;
    let mut clients = listening(&node, 63).await;
    let many = statements(&node, &mut history, &mut clients, 1).await;
    assert_eq!(few, many, "1,008 subscribers");
    assert!(many <= 6, "a snapshot, and one statement for each relation: {many}");
}
