//! Reorganisations on a real chain: a node that lived through them holds what a node holds that never saw the fork.

use meikan::demo::CHAIN_ID;

use super::stage::Stage;
use crate::support::node::{Node, depths};
use crate::support::tables::assert_same;

/// Blocks before the first reorg: the deepest one stays above finality, which is 64 blocks below the head.
const BLOCKS: u64 = 80;

async fn mine_busy(stage: &Stage, blocks: u64, branch: u8) {
    for _ in 0..blocks {
        let number = stage.head().await + 1;
        stage.mine(stage.busy_block(number, branch)).await;
    }
}

/// The newest blocks are replaced by those of another branch, with other transactions in them.
async fn fork(stage: &Stage, depth: u64, branch: u8) {
    let head = stage.head().await;
    let blocks = (head - depth + 1..=head).map(|number| stage.busy_block(number, branch));
    stage.reorganise(blocks.collect()).await;
}

async fn busy_stage() -> Stage {
    let stage = Stage::start().await;
    stage.populate().await;
    mine_busy(&stage, BLOCKS, 1).await;
    stage
}

async fn assert_like_fresh(node: &Node) {
    let fresh = Node::fresh(node.networks()).await;
    assert_same(&node.tables(CHAIN_ID).await, &fresh.tables(CHAIN_ID).await);
    let (lived_through, never_saw) = tokio::join!(node.digests(CHAIN_ID, 0), fresh.digests(CHAIN_ID, 0));
    assert_eq!(lived_through, never_saw, "the state digests differ");
}

#[tokio::test]
async fn reorgs_of_depth_1_5_and_50_leave_the_tables_of_a_node_that_never_saw_them() {
    let stage = busy_stage().await;
    let mut node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    for (branch, depth) in (2..).zip([1, 5, 50]) {
        let before = node.tables(CHAIN_ID).await;
        fork(&stage, depth, branch).await;
        assert_eq!(depths(&node.catch_up().await), [depth]);
        let after = node.tables(CHAIN_ID).await;
        for table in ["feedback", "agent_metadata", "raw_logs"] {
            assert_ne!(before[table], after[table], "the fork of depth {depth} changed no {table}");
        }
        assert_like_fresh(&node).await;
        mine_busy(&stage, 3, branch).await;
        assert!(depths(&node.catch_up().await).is_empty());
        assert_like_fresh(&node).await;
    }
}

#[tokio::test]
async fn reorgs_that_follow_each_other_unseen_are_followed_as_one() {
    let stage = busy_stage().await;
    let mut node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    fork(&stage, 4, 2).await;
    mine_busy(&stage, 2, 2).await;
    fork(&stage, 9, 3).await;
    node.catch_up().await;
    assert_like_fresh(&node).await;
}

#[tokio::test]
async fn a_reorg_while_the_node_was_down_is_found_when_it_is_back() {
    let stage = busy_stage().await;
    let networks = [stage.network.clone()];
    let node = Node::fresh(&networks).await;
    let database = node.stop();
    fork(&stage, 20, 2).await;
    mine_busy(&stage, 5, 2).await;
    let mut node = Node::start_on(database, &networks).await;
    assert_eq!(depths(&node.catch_up().await), [20]);
    assert_like_fresh(&node).await;
}

#[tokio::test]
async fn what_a_reorg_took_back_is_answered_no_longer() {
    let stage = busy_stage().await;
    let mut node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    let client = stage.client(0);
    let tagged = |tag: &str| format!("{{ feedbacks(where: {{ tag1: \"{tag}\" }}) {{ value clientAddress }} }}");
    stage.mine([stage.give(client, 1, 77, 0, ["before", ""])]).await;
    node.catch_up().await;
    assert_eq!(node.ask(&tagged("before")).await["feedbacks"][0]["value"], "77");
    stage.reorganise(vec![vec![stage.give(client, 1, -78, 1, ["after", ""])]]).await;
    node.catch_up().await;
    assert_eq!(node.ask(&tagged("before")).await["feedbacks"], serde_json::json!([]));
    assert_eq!(node.ask(&tagged("after")).await["feedbacks"][0]["value"], "-7.8");
}
