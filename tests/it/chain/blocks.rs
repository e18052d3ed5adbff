//! Blocks with their logs, by hash: in order, a few at a time, and of the block that was asked for.

use std::time::Duration;

use alloy::primitives::{Address, Bytes, bytes};
use meikan::chain::ChainError;
use meikan::fault::Fault as Outcome;

use super::support::{CHAIN_ID, LESSON_ENDS, REGISTRY, agents, all, busy_chain, connect, header, later, registered};
use crate::support::fake_chain::{FakeChain, Fault, RawLog};

#[tokio::test]
async fn blocks_come_with_their_logs_in_order() {
    let fake = FakeChain::new(CHAIN_ID);
    fake.mine([registered(0), registered(1)]);
    fake.mine_empty(1);
    fake.mine([RawLog { address: Address::ZERO, topics: vec![], data: Bytes::new() }, registered(2).into()]);
    fake.mine([RawLog { address: REGISTRY, topics: vec![], data: bytes!("ff") }]);
    let chain = connect(&[fake.url()]).await;
    let headers = chain.headers(&[1, 2, 3, 4]).await.expect("the headers are answered");
    let blocks = chain.blocks(&headers).await.expect("the blocks are answered");
    assert_eq!(blocks.iter().map(|block| block.logs.len()).collect::<Vec<_>>(), [2, 0, 1, 1]);
    assert_eq!(agents(&blocks[..3]), [0, 1, 2]);
    assert_eq!(blocks[2].logs[0].log.log_index, 1);
    assert!(blocks[3].logs[0].event.is_err(), "a log that is no event is kept");
    assert_eq!(chain.block(&headers[0]).await.expect("the block is answered"), blocks[0]);
}

#[tokio::test]
async fn f57_blocks_with_large_logs_come_a_few_at_a_time() {
    let fake = FakeChain::new(CHAIN_ID);
    for _ in 0..40 {
        let data = Bytes::from(vec![7; 300_000]);
        fake.mine([RawLog { address: REGISTRY, topics: vec![], data }]);
    }
    let chain = connect(&[fake.url()]).await;
    let headers = chain.headers(&(1..=40).collect::<Vec<_>>()).await.expect("the headers are answered");
    let blocks = chain.blocks(&headers).await.expect("the blocks are answered");
    assert!((1..40).contains(&blocks.len()), "{} blocks", blocks.len());
    assert!(blocks.iter().zip(&headers).all(|(block, header)| block.header == *header && block.logs.len() == 1));
}

#[tokio::test]
async fn f24_a_block_that_was_replaced_is_gone_and_the_loop_looks_again() {
    let fake = busy_chain(5);
    let chain = connect(&[fake.url()]).await;
    let orphan = header(&chain, 5).await;
    fake.reorg(1, vec![vec![registered(9)]]);
    let error = chain.block(&orphan).await.expect_err("the block is gone");
    assert!(matches!(error, ChainError::Gone { .. }), "{error}");
    assert_eq!(error.fault(), Outcome::Reorg);
}

#[tokio::test]
async fn f37_a_refused_query_by_hash_falls_back_to_a_range_of_one_block() {
    let fake = busy_chain(3);
    fake.endpoint().refuse_hash_queries("eth_getLogs is limited to a 10000 block range");
    let chain = connect(&[fake.url()]).await;
    let headers = chain.headers(&[1, 2, 3]).await.expect("the headers are answered");
    let blocks = chain.blocks(&headers).await.expect("the blocks are answered");
    assert_eq!(agents(&blocks), [0, 1, 2]);
    // The lesson is kept: no more queries by hash.
    let asked = fake.endpoint().requests("eth_getLogs").len();
    chain.block(&headers[0]).await.expect("the block is answered");
    let last = fake.endpoint().requests("eth_getLogs")[asked..].to_vec();
    assert!(last.len() == 1 && last[0][0].get("blockHash").is_none(), "{last:?}");
}

#[tokio::test]
async fn f37_queries_by_hash_that_were_refused_once_are_tried_again() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let third = header(&chain, 3).await;
    fake.endpoint().fail("eth_getLogs", 1, Fault::Error(-32_602, "invalid params".into()));
    for (expected, wait) in [(false, LESSON_ENDS), (true, Duration::ZERO), (true, Duration::ZERO)] {
        assert_eq!(agents(&[chain.block(&third).await.expect("the block is answered")]), [2]);
        let last = fake.endpoint().requests("eth_getLogs").pop().expect("logs were asked for");
        assert_eq!(last[0].get("blockHash").is_some(), expected, "{last}");
        later(wait).await;
    }
}

#[tokio::test]
async fn f37_the_fallback_checks_the_hash() {
    let fake = busy_chain(3);
    fake.endpoint().refuse_hash_queries("block range is too wide");
    let chain = connect(&[fake.url()]).await;
    let orphan = header(&chain, 3).await;
    fake.reorg(1, vec![vec![registered(9)]]);
    let error = chain.block(&orphan).await.expect_err("another block is there");
    assert!(matches!(error, ChainError::Gone { .. }), "{error}");
}

#[tokio::test]
async fn f36_a_single_block_that_is_too_large_is_read_from_its_receipts() {
    let fake = FakeChain::new(CHAIN_ID);
    fake.mine((0..20).map(registered));
    fake.mine([registered(20)]);
    fake.endpoint().limit_logs(10, "query returned more than 10 results");
    let chain = connect(&[fake.url()]).await;
    assert_eq!(agents(&all(&chain, 1, 2).await), (0..=20).collect::<Vec<_>>());
    let header = header(&chain, 1).await;
    assert_eq!(chain.block(&header).await.expect("the block is answered").logs.len(), 20);
}

#[tokio::test]
async fn a_chain_can_be_followed_by_a_task_of_its_own() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let following = tokio::spawn(async move {
        let head = chain.head().await?.header;
        let headers = chain.headers(&[1, 2, head.number]).await?;
        let blocks = chain.blocks(&headers).await?;
        let range = chain.range(1, head.number).await?;
        Ok::<_, ChainError>((agents(&blocks), agents(&range.blocks)))
    });
    let (by_hash, by_range) = following.await.expect("the task ends").expect("everything is answered");
    assert_eq!(by_hash, by_range);
}
