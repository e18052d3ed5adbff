//! Labels of finality through GraphQL, where endpoints differ in what they tell.

use meikan::config::Network;
use serde_json::{Value, json};

use crate::chain::support::{CHAIN_ID, busy_chain, network, registered};
use crate::support::fake_chain::{FakeChain, Fault};
use crate::support::node::Node;

/// What the node says of the agents registered in those blocks of a network.
async fn labels(node: &Node, chain_id: u64, blocks: [u64; 4]) -> Vec<Value> {
    let agent = |block: &u64| {
        let agent_id = block - 1;
        format!("b{block}: agents(chainId: {chain_id}, where: {{ agentId: \"{agent_id}\" }}) {{ finality }}")
    };
    let query = format!("{{ {} }}", blocks.iter().map(agent).collect::<Vec<_>>().join(" "));
    let answer = node.ask(&query).await;
    blocks.iter().map(|block| answer[format!("b{block}")][0]["finality"].clone()).collect()
}

#[tokio::test]
async fn f16_labels_are_told_where_only_one_of_two_endpoints_forwards_taiko_methods() {
    let chain = busy_chain(20);
    chain.finalize(5);
    chain.propose(10);
    let forwarding = chain.another_endpoint();
    chain.endpoint().lack("taiko_headL1Origin");
    let taiko = network(&[chain.url(), forwarding.url()]);
    let other_chain = FakeChain::new(1);
    for agent in 0..20 {
        other_chain.mine([registered(agent)]);
    }
    other_chain.finalize(5);
    let other = Network { name: "other".into(), chain_id: 1, ..network(&[other_chain.url()]) };
    let mut node = Node::fresh(&[taiko, other]).await;

    let blocks = [5, 6, 11, 20];
    let expected = |labels: [&str; 4]| labels.map(|label| json!(label)).to_vec();
    let told = expected(["FINALIZED", "SAFE", "PRECONFIRMED", "PRECONFIRMED"]);
    assert_eq!(labels(&node, CHAIN_ID, blocks).await, told);
    assert_eq!(labels(&node, 1, blocks).await, expected(["FINALIZED", "UNSAFE", "UNSAFE", "UNSAFE"]));

    // One refusal of the endpoint that forwards takes no label away, and what is proposed later is told.
    forwarding.fail("taiko_headL1Origin", 1, Fault::Error(-32_602, "invalid params".into()));
    node.catch_up().await;
    assert_eq!(labels(&node, CHAIN_ID, blocks).await, told);
    chain.propose(19);
    node.catch_up().await;
    let told = expected(["FINALIZED", "SAFE", "SAFE", "PRECONFIRMED"]);
    assert_eq!(labels(&node, CHAIN_ID, blocks).await, told);
}
