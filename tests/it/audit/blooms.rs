//! Blooms that lie, or say nothing (F4).

use alloy::primitives::keccak256;
use meikan::block::Method;

use super::support::{BLOCKS, CHAIN_ID, FOR_EVER, SOMEBODY, Stage, final_chain, network, told};
use crate::support::fake_chain::{FakeChain, Fault, RawLog};

#[tokio::test]
async fn f4_blooms_that_lie_are_no_cry_for_ever() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    chain.endpoint().fail("eth_getBlockByNumber", FOR_EVER, Fault::EmptyBloom);
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.method), (vec![], Method::LogsAgain));
    assert!(verdict.untold.iter().any(|said| said.contains("do not hash to their hashes")), "{verdict:#?}");
    stage.turn().await;
    assert_eq!(stage.verified_to().await, Some(BLOCKS));
}

#[tokio::test]
async fn f4_a_bloom_that_lies_is_replaced_by_another_endpoint_s() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await.node;
    let second = chain.another_endpoint();
    let stage = Stage::over(node, &network(&[chain.url(), second.url()])).await;
    chain.endpoint().fail("eth_getBlockByNumber", FOR_EVER, Fault::EmptyBloom);
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.method), (vec![("LOG_MISSING", 9)], Method::ReceiptsRoot));
}

#[tokio::test]
async fn f4_a_bloom_that_is_full_of_others_is_no_finding() {
    let chain = FakeChain::new(CHAIN_ID);
    let topic = |log: u64, place: u64| keccak256([log.to_be_bytes(), place.to_be_bytes()].concat());
    let foreign = |log| RawLog {
        address: SOMEBODY,
        topics: (0..4).map(|place| topic(log, place)).collect(),
        data: vec![].into(),
    };
    chain.mine((0..800).map(foreign));
    chain.mine_empty(BLOCKS - 1);
    chain.finalize(BLOCKS);
    let stage = Stage::ingested(&chain, None).await;
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.method, verdict.proven_blocks), (vec![], Method::ReceiptsRoot, 1));
    chain.endpoint().lack("eth_getBlockReceipts");
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.method), (vec![], Method::LogsAgain));
    assert!(verdict.untold[0].contains("no receipts settle it (first in block 1)"), "{verdict:#?}");
}
