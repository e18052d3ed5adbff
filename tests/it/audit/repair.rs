//! What is written in the place of what differs, and by whose word.

use alloy::primitives::{Bytes, U256};
use meikan::audit::{Pass, STRETCH_BLOCKS};
use meikan::block::Block;

use super::calls::last_index_of;
use super::support::{BLOCKS, CHAIN_ID, FOR_EVER, REPUTATION, Stage, final_chain, network, registered, told};
use crate::support::fake_chain::Fault;
use crate::support::node::Node;
use crate::support::postgres::connect;
use crate::support::tables::{assert_same, dump};

#[tokio::test]
async fn f5_what_was_dropped_is_repaired_and_the_tables_are_a_fresh_node_s() {
    for fault in [Fault::WithoutLog(12, 0), Fault::WithoutBlock(9), Fault::EmptyLogs, Fault::ForgedLog] {
        let chain = final_chain();
        let network = network(&[chain.url()]);
        let stage = Stage::ingested(&chain, Some(fault)).await;
        let database = stage.repaired(&network).await;
        let repaired = dump(&connect(database.url()).await, CHAIN_ID).await;
        assert_same(&repaired, &Node::fresh(&[network]).await.tables(CHAIN_ID).await);
        let select = "SELECT count(*), count(*) FILTER (WHERE repaired_at IS NULL) FROM verification_finding";
        let row = connect(database.url()).await.query_one(select, &[]).await.unwrap();
        assert!(row.get::<_, i64>(0) > 0 && row.get::<_, i64>(1) == 0);
    }
}

/// A turn's repairs: the lists of blocks that were ordered.
#[derive(Default)]
struct Orders(std::sync::Mutex<Vec<Vec<u64>>>);

impl Orders {
    /// Turns so often, with somebody who says that each repair was done and does nothing.
    async fn of_turns(stage: &Stage, turns: usize) -> Vec<Vec<u64>> {
        let (orders, mut pass) = (Self::default(), Pass::default());
        let repair = |blocks: Vec<Block>| {
            orders.0.lock().unwrap().push(blocks.iter().map(|block| block.header.number).collect());
            std::future::ready(true)
        };
        for _ in 0..turns {
            stage.auditor.turn(&mut pass, &repair).await.unwrap();
        }
        orders.0.into_inner().unwrap()
    }
}

#[tokio::test]
async fn a_finding_that_no_repair_cures_is_repaired_once() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE feedback SET value_raw = 8 WHERE feedback_index = 4").await;
    assert_eq!(Orders::of_turns(&stage, 6).await, [vec![13]]);
    assert_eq!(stage.verified_to().await, None);
}

#[tokio::test]
async fn a_hash_that_is_not_the_chain_s_and_a_registry_s_other_word_are_not_repaired() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await.node;
    let mut network = network(&[chain.url()]);
    network.follow.audit_call_samples = 5;
    let stage = Stage::over(node, &network).await;
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), Bytes::from(U256::from(44).to_be_bytes::<32>()));
    stage.sql("UPDATE block SET hash = decode(repeat('09', 32), 'hex') WHERE number = 12").await;
    let mut kinds: Vec<_> = told(&stage.verdict().await.findings);
    kinds.sort_unstable();
    assert_eq!(kinds, [("CALL", 4), ("HEADER", 12), ("LOG_MISSING", 9)]);
    assert_eq!(Orders::of_turns(&stage, 4).await, [vec![9]], "neither keeps the other from its repair");
}

#[tokio::test]
async fn f12_a_log_that_one_of_three_forges_is_not_written_by_a_repair() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, None).await.node;
    let (second, liar) = (chain.another_endpoint(), chain.another_endpoint());
    for endpoint in [chain.endpoint(), &second, &liar] {
        endpoint.lack("eth_getBlockReceipts");
        endpoint.fail("eth_getBlockByNumber", FOR_EVER, Fault::EmptyBloom);
    }
    liar.fail("eth_getLogs", FOR_EVER, Fault::ForgedLog);
    let stage = Stage::over(node, &network(&[liar.url(), chain.url(), second.url()])).await;
    let missing: Vec<_> = told(&stage.verdict().await.findings);
    assert!(missing.contains(&("LOG_MISSING", BLOCKS)), "{missing:?}");
    assert_eq!(Orders::of_turns(&stage, 3).await, Vec::<Vec<u64>>::new());
    assert_eq!(stage.verified_to().await, None);
}

#[tokio::test]
async fn f12_what_most_endpoints_tell_is_written_by_a_repair_where_nothing_proves() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await.node;
    let (second, third) = (chain.another_endpoint(), chain.another_endpoint());
    for endpoint in [chain.endpoint(), &second, &third] {
        endpoint.lack("eth_getBlockReceipts");
    }
    third.fail("eth_getLogs", FOR_EVER, Fault::WithoutBlock(9));
    let one = Stage::over(node, &network(&[chain.url(), third.url()])).await;
    assert_eq!(Orders::of_turns(&one, 2).await, Vec::<Vec<u64>>::new(), "one against one settles nothing");
    let most = Stage::over(one.node, &network(&[chain.url(), second.url(), third.url()])).await;
    assert_eq!(Orders::of_turns(&most, 1).await, [vec![9]]);
}

#[tokio::test]
async fn f12_a_hole_is_not_filled_with_what_one_endpoint_tells() {
    let chain = final_chain();
    let honest = chain.another_endpoint();
    for endpoint in [chain.endpoint(), &honest] {
        endpoint.lack("eth_getBlockReceipts");
    }
    chain.endpoint().fail("eth_getLogs", FOR_EVER, Fault::WithoutBlock(9));
    let node = Node::fresh(&[network(&[chain.url(), honest.url()])]).await;
    chain.endpoint().recover();
    let stage = Stage::over(node, &network(&[chain.url()])).await;
    assert_eq!(told(&stage.verdict().await.findings), [("LOG_MISSING", 9)]);
}

#[tokio::test]
async fn raw_logs_of_a_backfill_that_cannot_be_read_are_repaired_whole() {
    let chain = final_chain();
    // The segment reaches over more blocks than a stretch, and than are repaired at once.
    chain.mine_empty(3 * STRETCH_BLOCKS / 2);
    let last = chain.mine(registered(10)).number;
    chain.finalize(last);
    let network = network(&[chain.url()]);
    let stage = Stage::ingested(&chain, None).await;
    let expected = stage.node.tables(CHAIN_ID).await;
    stage.sql("UPDATE raw_logs SET logs = decode('0102', 'hex')").await;
    let database = stage.repaired(&network).await;
    assert_same(&dump(&connect(database.url()).await, CHAIN_ID).await, &expected);
}
