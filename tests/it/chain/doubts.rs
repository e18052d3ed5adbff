//! Answers that look right and are not: logs that are cut off, left out, repeated, removed, pending or of another block.

use meikan::chain::ChainError;
use meikan::fault::Fault as Outcome;
use serde_json::json;

use super::support::{CHAIN_ID, REGISTRY, agents, all, busy_chain, connect, header, registered};
use crate::support::fake_chain::{FakeChain, Fault};

#[tokio::test]
async fn f6_a_silent_limit_is_found_out() {
    let fake = busy_chain(180);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getLogs", 1, Fault::FirstLogs(100));
    assert_eq!(agents(&all(&chain, 1, 180).await), (0..180).collect::<Vec<_>>());
    assert_eq!(agents(&all(&chain, 1, 100).await).len(), 100, "an honest hundred is believed");
}

#[tokio::test]
async fn f6_a_silent_limit_is_found_out_where_all_logs_are_in_one_half() {
    let fake = FakeChain::new(CHAIN_ID);
    for block in 0..15 {
        fake.mine((0..10).map(|log| registered(block * 10 + log)));
    }
    fake.mine_empty(15);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getLogs", 99, Fault::FirstLogs(100));
    assert_eq!(agents(&all(&chain, 1, 30).await), (0..150).collect::<Vec<_>>());
}

#[tokio::test]
async fn f6_a_single_block_that_is_cut_off_without_a_word_is_found_out() {
    for receipts in [true, false] {
        let fake = FakeChain::new(CHAIN_ID);
        fake.mine((0..130).map(registered));
        fake.mine((130..230).map(registered));
        let other = fake.another_endpoint();
        if !receipts {
            fake.endpoint().lack("eth_getBlockReceipts");
            other.lack("eth_getBlockReceipts");
        }
        fake.endpoint().fail("eth_getLogs", usize::MAX, Fault::FirstLogs(100));
        let chain = connect(&[fake.url(), other.url()]).await;
        let first = header(&chain, 1).await;
        assert_eq!(chain.block(&first).await.expect("the block is answered").logs.len(), 130);
        assert_eq!(agents(&all(&chain, 1, 1).await).len(), 130);
        let second = header(&chain, 2).await;
        assert_eq!(chain.block(&second).await.expect("the block is answered").logs.len(), 100, "an honest hundred");
    }
}

#[tokio::test]
async fn f10_a_block_whose_logs_are_marked_as_removed_is_never_taken_for_one_without_logs() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let third = header(&chain, 3).await;
    fake.endpoint().fail("eth_getLogs", usize::MAX, Fault::RemovedLogs);
    for error in [chain.block(&third).await.err(), chain.range(1, 3).await.err()] {
        let error = error.expect("the answer is of a branch that is gone");
        assert_eq!(error.fault(), Outcome::Reorg, "{error}");
        assert!(error.to_string().contains("marked as removed"), "{error}");
    }
    fake.endpoint().recover();
    assert_eq!(agents(&all(&chain, 1, 3).await), [0, 1, 2]);
}

#[tokio::test]
async fn f11_pending_logs_and_logs_above_the_head_are_asked_again() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let mut above = json!([{"address": REGISTRY, "topics": [], "data": "0x", "logIndex": "0x0"}]);
    above[0]["blockNumber"] = json!("0x63");
    above[0]["blockHash"] = json!(alloy::primitives::B256::repeat_byte(9));
    for fault in [Fault::PendingLogs, Fault::Result(above)] {
        fake.endpoint().fail("eth_getLogs", 1, fault);
        assert_eq!(agents(&all(&chain, 1, 3).await), [0, 1, 2]);
    }
}

#[tokio::test]
async fn f3_a_doubt_that_nobody_can_be_asked_about_at_the_moment_is_not_passed_over() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let third = header(&chain, 3).await;
    fake.endpoint().fail("eth_getLogs", 1, Fault::EmptyLogs);
    fake.endpoint().fail("eth_getBlockReceipts", usize::MAX, Fault::Error(-32_000, "internal error".into()));
    let error = chain.block(&third).await.expect_err("the block's bloom shows logs");
    assert_eq!(error.fault(), Outcome::Retry, "{error}");
}

#[tokio::test]
async fn f1_f3_logs_that_the_bloom_shows_are_not_lost() {
    let fake = busy_chain(6);
    let chain = connect(&[fake.url()]).await;
    let last = header(&chain, 6).await;
    fake.endpoint().fail("eth_getLogs", 2, Fault::EmptyLogs);
    assert_eq!(agents(&[chain.block(&last).await.expect("the block is answered")]), [5]);
    assert_eq!(agents(&all(&chain, 6, 6).await), [5]);
    fake.endpoint().lag_logs(1);
    assert_eq!(agents(&all(&chain, 4, 6).await), [3, 4, 5]);
}

#[tokio::test]
async fn f3_without_receipts_another_endpoint_is_asked() {
    let fake = busy_chain(6);
    let other = fake.another_endpoint();
    fake.endpoint().lack("eth_getBlockReceipts").fail("eth_getLogs", 2, Fault::EmptyLogs);
    let chain = connect(&[fake.url(), other.url()]).await;
    let last = header(&chain, 6).await;
    assert_eq!(agents(&[chain.block(&last).await.expect("the block is answered")]), [5]);
}

#[tokio::test]
async fn f3_a_suspicion_that_nothing_confirms_does_not_stop_the_node() {
    let fake = busy_chain(1);
    fake.endpoint().lack("eth_getBlockReceipts").fail("eth_getLogs", 5, Fault::EmptyLogs);
    let chain = connect(&[fake.url()]).await;
    let first = header(&chain, 1).await;
    assert!(chain.block(&first).await.expect("the block is answered").logs.is_empty());
}

#[tokio::test]
async fn f4_an_empty_bloom_hides_no_logs() {
    let fake = busy_chain(2);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getBlockByNumber", 2, Fault::EmptyBloom);
    let header = header(&chain, 2).await;
    assert_eq!(agents(&[chain.block(&header).await.expect("the block is answered")]), [1]);
    assert_eq!(agents(&all(&chain, 1, 2).await), [0, 1]);
}

#[tokio::test]
async fn f7_f10_f11_logs_that_are_repeated_removed_or_pending_do_no_harm() {
    let faults = [Fault::RepeatedLogs, Fault::ConflictingLogs, Fault::RemovedLogs, Fault::PendingLogs, Fault::Null];
    for fault in faults {
        let fake = busy_chain(3);
        let chain = connect(&[fake.url()]).await;
        let header = header(&chain, 3).await;
        fake.endpoint().fail("eth_getLogs", 1, fault.clone());
        assert_eq!(agents(&[chain.block(&header).await.expect("the block is answered")]), [2], "{fault:?}");
        fake.endpoint().fail("eth_getLogs", 1, fault.clone());
        let blocks = all(&chain, 3, 3).await;
        assert_eq!(agents(&blocks), [2], "{fault:?}");
    }
}

#[tokio::test]
async fn logs_of_another_block_are_a_contradiction_that_names_both_requests() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getLogs", 99, Fault::WrongHash);
    let error = chain.range(1, 3).await.expect_err("the logs do not fit");
    assert!(matches!(error, ChainError::Inconsistent { .. }), "{error}");
    assert_eq!(error.fault(), Outcome::Reorg);
    let text = error.to_string();
    assert!(text.contains("eth_getLogs") && text.contains("eth_getBlockByNumber"), "{text}");
}
