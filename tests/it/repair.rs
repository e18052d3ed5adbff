//! A repair that takes several transactions: the writer goes on with its other work between them.

use meikan::block::Block;
use meikan::config::Follow;

use crate::follow::{Node, busy_block, busy_chain};
use crate::support::fake_chain::Fault;
use crate::support::postgres::connect;

/// What the chain has of a block.
async fn shown(node: &Node, number: u64) -> Block {
    let chain = node.follower.chain();
    let header = chain.header(number).await.unwrap().expect("the block is there");
    chain.block(&header).await.unwrap()
}

#[tokio::test]
async fn a_repair_of_several_parts_looks_at_the_head_between_them() {
    let chain = busy_chain(60);
    chain.finalize(40);
    let mut node = Node::with(&[chain.url()], Follow { reindex_step_logs: 9, ..Follow::default() }).await;
    node.sync().await;
    let block = shown(&node, 7).await;
    chain.mine(busy_block(61, 1));
    let repaired = node.follower.repair(&[block]).await.unwrap();
    assert!(repaired.is_done() && repaired.from > 7, "it took several parts: {repaired:?}");
    assert_eq!((node.tip(), node.follower.head().unwrap().number), (60, 61));
    let client = connect(node.database.url()).await;
    let noted: i64 = client.query_one("SELECT number FROM head", &[]).await.unwrap().get(0);
    assert_eq!(noted, 61, "everybody sees how far the tables are behind");
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f41_a_repair_does_not_wait_for_an_endpoint_that_hangs() {
    let chain = busy_chain(60);
    chain.finalize(40);
    let mut node = Node::with(&[chain.url()], Follow { reindex_step_logs: 60, ..Follow::default() }).await;
    node.sync().await;
    let block = shown(&node, 7).await;
    chain.endpoint().fail("eth_getBlockByNumber", usize::MAX, Fault::Hang);
    let repaired = node.follower.repair(&[block]).await.unwrap();
    assert!(repaired.is_done() && repaired.from > 7, "it took several parts: {repaired:?}");
    chain.endpoint().recover();
    node.sync().await;
    node.equals_fresh(&chain).await;
}
