//! As of which block: pins, finality, reorganisations, several networks, and what responses say about it.

use alloy::primitives::{B256, U256};
use meikan::event::{Event, IdentityEvent};
use serde_json::{Value, json};

use super::support::{
    CHAIN, FIRST_BLOCK, Node, account, feedback, hex, metadata, registered, requested, responded, revoked, validated,
};

/// A transfer of agent 0.
fn moved(from: u8, to: u8) -> Event {
    Event::Identity(IdentityEvent::Transfer { from: account(from), to: account(to), token_id: U256::ZERO })
}

const ALL: &str = "agents { id owner totalFeedback lastActivity updatedAt metadata { key value } } \
     feedbacks { id isRevoked revokedAt responses { id } } validations { id status response }";

fn all_as_of(block: u64) -> String {
    let pinned = ALL
        .replacen("agents", &format!("agents(block: {{number: {block}}})"), 1)
        .replacen("feedbacks", &format!("feedbacks(block: {{number: {block}}})"), 1)
        .replacen("validations", &format!("validations(block: {{number: {block}}})"), 1);
    format!("{{ {pinned} }}")
}

#[tokio::test]
async fn an_answer_as_of_a_block_is_the_answer_that_was_given_then() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let steps = vec![
        registered(0, 1, ""),
        vec![feedback(0, 10, 1, (5, 0), "a"), metadata(0, "color", b"red")],
        vec![moved(1, 2), requested(0, 5, 0x44)],
        vec![revoked(0, 10, 1), responded(0, 10, 1, 3), metadata(0, "color", b"blue")],
        vec![],
        vec![validated(0, 5, 0x44, 80), feedback(0, 11, 1, (6, 0), "b")],
        registered(1, 4, ""),
    ];
    let mut then: Vec<(u64, Value)> = Vec::new();
    for events in steps {
        let block = history.block(events).await;
        then.push((block, node.ask(&format!("{{ {ALL} }}")).await));
    }
    for (block, answer) in &then {
        assert_eq!(node.ask(&all_as_of(*block)).await, *answer, "as of {block}");
    }
    // Once versions are pruned below finality, the totals are counted from the facts.
    history.finalized = Some(then[5].0);
    history.block(vec![feedback(0, 12, 1, (7, 0), "c")]).await;
    for (block, answer) in &then {
        assert_eq!(node.ask(&all_as_of(*block)).await, *answer, "as of {block}, counted");
    }
    let hash = history.hash(then[1].0);
    let by_hash = node.ask(&format!("{{ agents(block: {{hash: \"{hash:#x}\"}}) {{ totalFeedback }} }}")).await;
    assert_eq!(by_hash["agents"][0]["totalFeedback"], json!("1"));
}

#[tokio::test]
async fn a_block_that_is_not_there_is_told() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let tip = history.block(registered(0, 1, "")).await;
    let error = async |pin: &str| node.answer(&format!("{{ agents(block: {pin}) {{ id }} }}"), json!({})).await.error();
    let beyond = error("{number: 5000}").await;
    assert_eq!(beyond.0, "NOT_YET_INDEXED");
    assert!(
        beyond.1.contains(&format!(
            "has only indexed up to block number {tip} and data for block number 5000 is therefore not yet available"
        )),
        "{}",
        beyond.1
    );
    assert_eq!(error("{number_gte: 5000}").await.0, "NOT_YET_INDEXED");
    assert_eq!(error(&format!("{{hash: \"{:#x}\"}}", B256::repeat_byte(1))).await.0, "NOT_FOUND");
    assert_eq!(error("{hash: \"0x12\"}").await.0, "BAD_INPUT");
    assert_eq!(error("{number: -1}").await.0, "BAD_INPUT");
    assert_eq!(error("{number: 100, number_gte: 100}").await.0, "BAD_INPUT");
    assert_eq!(node.list("{ agents(block: {number: 5}) { id } }", "agents", "id").await, Vec::<String>::new());
}

#[tokio::test]
async fn f69_number_gte_waits_for_the_block() {
    let node = Node::with(|api| api.wait_for_block_ms = 20_000).await;
    let mut history = node.history(CHAIN).await;
    let tip = history.block(registered(0, 1, "")).await;
    let query = "query($block: Block_height) { agents(block: $block) { id } _meta { block { number } } }";
    let (answer, _) = tokio::join!(
        node.answer(query, json!({ "block": { "number_gte": tip + 1 } })),
        history.block(registered(1, 1, "")),
    );
    let data = answer.data();
    assert_eq!(data["agents"].as_array().unwrap().len(), 2);
    assert_eq!(data["_meta"]["block"]["number"], json!(tip + 1));
}

#[tokio::test]
async fn finality_is_told_and_asked_for() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    for agent in 0..4 {
        history.block(registered(agent, 1, "")).await;
    }
    history.finalized = Some(101);
    history.safe = Some(102);
    history.block(vec![feedback(0, 10, 1, (1, 0), "")]).await;
    let finalities = node.list("{ agents { finality } }", "agents", "finality").await;
    assert_eq!(finalities, ["PRECONFIRMED", "FINALIZED", "SAFE", "PRECONFIRMED"]);
    let count = async |finality: &str| {
        node.list(&format!("{{ agents(minFinality: {finality}) {{ id }} }}"), "agents", "id").await.len()
    };
    assert_eq!((count("FINALIZED").await, count("SAFE").await, count("PRECONFIRMED").await), (2, 3, 4));
    let error = node.answer("{ agents(minFinality: FINALIZED, block: {number: 103}) { id } }", json!({})).await.error();
    assert_eq!(error.0, "NOT_YET_INDEXED");
    let networks = node
        .ask("{ networks { name chainId indexed { number hash } safe { number } finalized { number } synced } }")
        .await;
    assert_eq!(
        networks["networks"][0],
        json!({ "name": "net-167000", "chainId": 167000,
                "indexed": { "number": 104, "hash": format!("{:#x}", history.hash(104)) },
                "safe": { "number": 102 }, "finalized": { "number": 101 }, "synced": false })
    );
}

#[tokio::test]
async fn f67_a_reorganisation_keeps_cursors_of_fixed_orders_and_refuses_those_that_move() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    for agent in 0..3 {
        history.block(registered(agent, 1, "")).await;
    }
    history.block(vec![feedback(1, 10, 1, (1, 0), "")]).await;
    let cursor = async |order: &str| {
        let data = node.ask(&format!("{{ agents(first: 1, orderBy: {order}) {{ cursor }} }}")).await;
        data["agents"][0]["cursor"].as_str().unwrap().to_owned()
    };
    let (fixed, moving) = (cursor("createdAt").await, cursor("totalFeedback").await);
    let next =
        |order: &str, after: &str| format!("{{ agents(first: 1, orderBy: {order}, after: \"{after}\") {{ id }} }}");
    assert_eq!(node.list(&next("totalFeedback", &moving), "agents", "id").await, ["167000:2"]);
    history.block(vec![feedback(2, 10, 1, (1, 0), "")]).await;
    assert_eq!(node.list(&next("totalFeedback", &moving), "agents", "id").await, ["167000:1"]);
    history.reorg(102, vec![feedback(0, 10, 1, (1, 0), "")]).await;
    assert_eq!(node.list(&next("createdAt", &fixed), "agents", "id").await, ["167000:1"]);
    assert_eq!(node.answer(&next("totalFeedback", &moving), json!({})).await.error().0, "CURSOR_EXPIRED");
    let other_order = node.answer(&next("owner", &fixed), json!({})).await.error();
    assert_eq!(other_order.0, "BAD_INPUT");
}

#[tokio::test]
async fn several_networks_are_answered_together_or_apart() {
    const OTHER: u64 = 167_013;
    let node = Node::start().await;
    let mut first = node.history(CHAIN).await;
    let mut second = node.history(OTHER).await;
    first.block(registered(0, 1, "")).await;
    second.block(registered(0, 2, "")).await;
    second.block(registered(5, 2, "")).await;
    assert_eq!(node.agents("{}").await, ["167000:0", "167013:0", "167013:5"]);
    let of_other = node.list("{ agents(chainId: 167013) { id } }", "agents", "id").await;
    assert_eq!(of_other, ["167013:0", "167013:5"]);
    let answer = node
        .post("/graphql/167013", json!({ "query": "{ agents { id } _meta { block { number } } }" }).to_string())
        .await;
    assert_eq!(answer.headers["x-block"], "167013=101");
    assert_eq!(
        answer.data(),
        json!({ "agents": [{ "id": "167013:0" }, { "id": "167013:5" }], "_meta": { "block": { "number": 101 } } })
    );
    let both = node.answer("{ agents { id } }", json!({})).await;
    assert_eq!(both.headers["x-block"], "167000=100, 167013=101");
    for query in [
        "{ _meta { deployment } }",
        "{ agents(block: {number: 100}) { id } }",
        "{ agents(block: {number_gte: 100}) { id } }",
    ] {
        assert_eq!(node.answer(query, json!({})).await.error().0, "BAD_INPUT", "{query}");
    }
    assert_eq!(
        node.ask("{ _meta(chainId: 167000) { deployment hasIndexingErrors } }").await["_meta"],
        json!({ "deployment": "eip155:167000", "hasIndexingErrors": false })
    );
    assert_eq!(node.answer("{ agents(chainId: 1) { id } }", json!({})).await.error().0, "NOT_FOUND");
    assert_eq!(
        node.post("/graphql/1", json!({ "query": "{ agents { id } }" }).to_string()).await.error().0,
        "NOT_FOUND"
    );
    let final_ones = node.answer("{ agents(minFinality: FINALIZED) { id } }", json!({})).await;
    assert_eq!(final_ones.error().0, "NOT_YET_INDEXED");
    first.finalized = Some(100);
    second.finalized = Some(100);
    first.block(vec![]).await;
    second.block(vec![]).await;
    let final_ones = node.list("{ agents(minFinality: FINALIZED) { id totalFeedback } }", "agents", "id").await;
    assert_eq!(final_ones, ["167000:0", "167013:0"]);
}

#[tokio::test]
async fn f73_all_roots_of_a_request_see_one_state_also_while_blocks_are_taken_back() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    // A list is read in a transaction; look-ups are not, as long as no commit comes between them.
    let list = "{ a: _meta { block { number } } agents { totalFeedback } feedbacks(first: 1000) { id } b: _meta { block { number } } }";
    let look_up = "{ a: _meta { block { number } } agents: agent(id: \"167000:0\") { totalFeedback feedback(first: 1000) { id } } \
                   b: _meta { block { number } } }";
    let writing = async {
        let mut tip = FIRST_BLOCK;
        for round in 1..=40 {
            // One feedback a block, so that its number tells how many there are; now and then the newest three go.
            let keep = if round % 5 == 0 { tip - 3 } else { tip };
            let given = vec![feedback(0, 10, keep + 1 - FIRST_BLOCK, (1, 0), "")];
            tip = if keep < tip { history.reorg(keep, given).await } else { history.block(given).await };
        }
    };
    let reading = async {
        for _ in 0..40 {
            let data = node.ask(list).await;
            let count = data["feedbacks"].as_array().unwrap().len();
            assert_eq!(data["agents"][0]["totalFeedback"], json!(count.to_string()));
            assert_eq!(data["a"]["block"]["number"], json!(100 + count));
            assert_eq!(data["a"], data["b"]);
        }
    };
    let looking_up = async {
        for _ in 0..40 {
            let data = node.ask(look_up).await;
            let count = data["agents"]["feedback"].as_array().unwrap().len();
            assert_eq!(data["agents"]["totalFeedback"], json!(count.to_string()));
            assert_eq!(data["a"]["block"]["number"], json!(100 + count));
            assert_eq!(data["a"], data["b"]);
        }
    };
    tokio::join!(writing, reading, looking_up);
    assert_eq!(node.ask("{ agents { owner } }").await["agents"][0]["owner"], json!(hex(1)));
}
