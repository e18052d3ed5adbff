//! What a subscriber hears: changes in order, retractions before what replaces them, and the same after it was away.

use serde_json::json;

use super::support::{Client, MESSAGE, brief, code, cursor};
use crate::graphql::support::{CHAIN, History, Node, feedback, metadata, registered, revoked};

fn agents(after: Option<&str>) -> String {
    let after = after.map(|after| format!("(after: \"{after}\")")).unwrap_or_default();
    format!("subscription {{ agents{after} {{ {MESSAGE} node {{ id agentURI totalFeedback }} }} }}")
}

/// A node with a network of two blocks: an agent, and feedback about it.
async fn begun() -> (Node, History) {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "a")).await;
    history.block(vec![feedback(0, 10, 1, (5, 0), "x")]).await;
    (node, history)
}

#[tokio::test]
async fn changes_come_in_order_each_with_what_it_left() {
    let (node, mut history) = begun().await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.subscribe("1", &agents(Some("0"))).await;
    let told = client.several("1", 2).await;
    assert_eq!(brief(&told), ["INSERT 167000:0 100", "UPDATE 167000:0 101"]);
    assert_eq!(told[0]["node"], json!({ "id": "167000:0", "agentURI": "a", "totalFeedback": "0" }), "as it was then");
    assert_eq!(told[1]["node"]["totalFeedback"], "1");
    assert_eq!(told[1]["blockHash"], format!("{:#x}", history.hash(101)));
    let block = history.block([registered(1, 2, "b"), vec![feedback(0, 10, 2, (7, 0), "x")]].concat()).await;
    let told = client.several("1", 2).await;
    assert_eq!(brief(&told), [format!("INSERT 167000:1 {block}"), format!("UPDATE 167000:0 {block}")]);
    let cursors = told.iter().map(|message| cursor(message).parse::<u64>().unwrap()).collect::<Vec<_>>();
    assert!(cursors[0] < cursors[1], "{cursors:?}");
}

#[tokio::test]
async fn a_reorganisation_retracts_before_it_replaces() {
    let (node, mut history) = begun().await;
    let mut client = Client::connect(&node.address, "/graphql/167000").await;
    client.subscribe("1", &agents(Some("0"))).await;
    client.several("1", 2).await;
    history.block(vec![feedback(0, 10, 2, (7, 0), "x"), metadata(0, "color", b"red")]).await;
    client.several("1", 1).await;
    let gone = history.hash(101);
    history.reorg(100, registered(1, 2, "b")).await;
    let told = client.several("1", 3).await;
    // Newest first, then what came instead; each shows the agent as the block below the fork has it.
    assert_eq!(brief(&told), ["RETRACT 167000:0 102", "RETRACT 167000:0 101", "INSERT 167000:1 101"]);
    assert_eq!((&told[0]["node"]["totalFeedback"], &told[1]["node"]["totalFeedback"]), (&json!("0"), &json!("0")));
    assert_eq!(told[1]["blockHash"], format!("{gone:#x}"), "the block that is gone");
    // An agent that was never registered leaves nothing.
    history.reorg(100, vec![]).await;
    let told = client.several("1", 1).await;
    assert_eq!((brief(&told), &told[0]["node"]), (vec!["RETRACT 167000:1 101".to_owned()], &json!(null)));
}

#[tokio::test]
async fn a_client_that_was_away_during_two_reorganisations_hears_what_it_missed_and_no_more() {
    let (node, mut history) = begun().await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.subscribe("1", &agents(Some("0"))).await;
    let seen = cursor(client.several("1", 2).await.last().unwrap());
    drop(client);
    // Away: a block that comes and goes, a fork below what was seen, and a fork of that fork.
    history.block(registered(1, 1, "gone")).await;
    history.reorg(100, registered(2, 1, "gone too")).await;
    history.reorg(100, registered(3, 1, "stays")).await;
    history.block(vec![feedback(0, 10, 1, (9, 0), "y")]).await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.subscribe("1", &agents(Some(&seen))).await;
    let told = client.several("1", 3).await;
    assert_eq!(brief(&told), ["RETRACT 167000:0 101", "INSERT 167000:3 101", "UPDATE 167000:0 102"]);
    assert_eq!(told[0]["node"]["totalFeedback"], "0");
    // Who comes from the start hears only of what holds.
    client.subscribe("2", &agents(Some("0"))).await;
    let told = client.several("2", 3).await;
    assert_eq!(brief(&told), ["INSERT 167000:0 100", "INSERT 167000:3 101", "UPDATE 167000:0 102"]);
}

#[tokio::test]
async fn a_retraction_is_resumed_in_the_middle() {
    let (node, mut history) = begun().await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.subscribe("1", &agents(Some("0"))).await;
    client.several("1", 2).await;
    history.reorg(99, [registered(5, 1, "b"), registered(6, 1, "c")].concat()).await;
    let first = client.next("1").await;
    assert_eq!(brief(std::slice::from_ref(&first)), ["RETRACT 167000:0 101"]);
    let mut other = Client::connect(&node.address, "/graphql").await;
    other.subscribe("1", &agents(Some(&cursor(&first)))).await;
    let told = other.several("1", 3).await;
    assert_eq!(brief(&told), ["RETRACT 167000:0 100", "INSERT 167000:5 100", "INSERT 167000:6 100"]);
    assert_eq!(client.several("1", 3).await, told);
}

#[tokio::test]
async fn blocks_come_and_go() {
    let (node, mut history) = begun().await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    let query = format!("subscription {{ blocks {{ {MESSAGE} node {{ number hash timestamp parentHash }} }} }}");
    let data = node.ask("{ _meta { cursor } }").await;
    client.subscribe("1", &query.replace("blocks", &format!("blocks(after: {})", data["_meta"]["cursor"]))).await;
    history.block(vec![]).await;
    let hash = |number| format!("{:#x}", history.hash(number));
    let told = client.next("1").await;
    let block = json!({ "number": 102, "hash": hash(102), "timestamp": History::time(102), "parentHash": hash(101) });
    assert_eq!((&told["op"], &told["id"], &told["node"]), (&json!("INSERT"), &json!("102"), &block));
    let gone = hash(102);
    history.reorg(100, vec![]).await;
    let told = client.several("1", 3).await;
    assert_eq!(brief(&told), ["RETRACT 102 102", "RETRACT 101 101", "INSERT 101 101"]);
    assert_eq!((&told[0]["blockHash"], &told[0]["node"]), (&json!(gone), &json!(null)));
}

#[tokio::test]
async fn a_query_says_what_a_subscription_goes_on_from() {
    let (node, mut history) = begun().await;
    let data = node.ask("{ _meta { cursor } agents { id } }").await;
    // What is committed between the query and the subscription is not lost.
    history.block(registered(7, 1, "between")).await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.subscribe("1", &agents(data["_meta"]["cursor"].as_str())).await;
    assert_eq!(brief(&client.several("1", 1).await), ["INSERT 167000:7 102"]);
    let pinned = node.ask("{ _meta(block: {number: 100}) { cursor } }").await;
    assert_eq!(pinned["_meta"]["cursor"], json!(null));
}

#[tokio::test]
async fn without_a_cursor_it_begins_with_what_comes() {
    let (node, mut history) = begun().await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.subscribe("1", &agents(None)).await;
    // That it has begun is known when another one, asked for behind it, is answered.
    client.subscribe("2", "{ _meta { deployment } }").await;
    client.next("2").await;
    history.block(registered(1, 1, "new")).await;
    let mut heard = Vec::new();
    while heard.is_empty() {
        if let super::support::Said::Json(message) = client.hear().await
            && message["type"] == "next"
        {
            heard.push(message["payload"]["data"]["agents"].clone());
        }
    }
    assert_eq!(brief(&heard), ["INSERT 167000:1 102"]);
}

#[tokio::test]
async fn a_cursor_that_is_older_than_what_is_kept_expires() {
    let (node, mut history) = begun().await;
    let client = crate::support::postgres::connect(node.database.url()).await;
    client.batch_execute("DELETE FROM change WHERE seq <= 2").await.unwrap();
    let mut socket = Client::connect(&node.address, "/graphql").await;
    socket.subscribe("1", &agents(Some("1"))).await;
    let error = socket.error("1").await;
    assert_eq!(code(&error), "CURSOR_EXPIRED", "{error}");
    // The newest one that is gone is the oldest that one can go on from.
    socket.subscribe("2", &agents(Some("2"))).await;
    assert_eq!(brief(&socket.several("2", 1).await), ["UPDATE 167000:0 101"]);
    // One that is ahead is another node's.
    socket.subscribe("3", &agents(Some("999"))).await;
    let error = socket.error("3").await;
    assert_eq!(code(&error), "CURSOR_EXPIRED", "{error}");
    // Final blocks that were taken up while the node was away are told by no change.
    history.finalized = Some(101);
    let place = cursor(&json!({ "cursor": node.ask("{ _meta { cursor } }").await["_meta"]["cursor"] }));
    client.batch_execute("INSERT INTO change SELECT 167000, max(seq) + 1, 0, 1, '101', 101, '\\x00' FROM change; UPDATE cursor SET seq = seq + 1").await.unwrap();
    history.block(registered(1, 1, "b")).await;
    let error = socket.error("2").await;
    assert_eq!(
        (code(&error), error["extensions"]["cursor"].as_str()),
        ("CURSOR_EXPIRED", Some(place.as_str())),
        "{error}"
    );
}

#[tokio::test]
async fn a_listening_connection_that_is_cut_is_made_again_and_nothing_is_missed() {
    let (node, mut history) = begun().await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.subscribe("1", &agents(Some("0"))).await;
    client.several("1", 2).await;
    let postgres = crate::support::postgres::connect(node.database.url()).await;
    let listening = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN meikan'";
    let listener = async || {
        let found = async {
            loop {
                if let [row] = postgres.query(listening, &[]).await.unwrap().as_slice() {
                    return row.get::<_, i32>(0);
                }
                tokio::time::sleep(crate::support::node::LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(crate::support::node::DEADLINE, found).await.expect("one connection listens")
    };
    let first = listener().await;
    for agent in 1..4 {
        postgres.execute("SELECT pg_terminate_backend($1)", &[&listener().await]).await.unwrap();
        let block = history.block(registered(agent, 1, "")).await;
        assert_eq!(brief(&client.several("1", 1).await), [format!("INSERT 167000:{agent} {block}")]);
    }
    assert_ne!(listener().await, first);
    history.block(vec![revoked(0, 10, 1)]).await;
    assert_eq!(brief(&client.several("1", 1).await), ["UPDATE 167000:0 105"]);
}
