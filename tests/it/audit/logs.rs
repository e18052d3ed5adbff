//! Raw logs against what headers, blooms and receipts prove, or what other endpoints tell.

use std::sync::Arc;

use alloy::primitives::B256;
use meikan::audit::{Auditor, Settings};
use meikan::block::Method;
use meikan::chain::Chain;
use serde_json::json;

use super::support::{BLOCKS, FOR_EVER, Stage, final_chain, network, told};
use crate::support::fake_chain::Fault;

#[tokio::test]
async fn f5_a_clean_node_is_verified_by_receipts() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), &verdict.untold), (vec![], &vec![]));
    assert_eq!((verdict.method, verdict.proven_blocks), (Method::ReceiptsRoot, 19));
    assert_eq!(verdict.hash, Some(chain.block(BLOCKS).hash));
    stage.turn().await;
    assert_eq!(stage.verified_to().await, Some(BLOCKS));
}

#[tokio::test]
async fn f5_a_block_that_an_endpoint_dropped_is_found_by_its_bloom() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await;
    let verdict = stage.verdict().await;
    assert_eq!(told(&verdict.findings), [("LOG_MISSING", 9)]);
    assert_eq!(verdict.findings[0].method, Method::ReceiptsRoot);
    assert!(verdict.findings[0].description.contains("logs 0, 2 are on the chain and not stored"), "{verdict:#?}");
}

#[tokio::test]
async fn f5_a_log_whose_block_the_bloom_vouches_for_is_found_by_receipts() {
    let chain = final_chain();
    // The other log is of the same contract, so the bloom has nothing against the block.
    let stage = Stage::ingested(&chain, Some(Fault::WithoutLog(12, 0))).await;
    assert_eq!(told(&stage.verdict().await.findings), [("LOG_MISSING", 12)]);
    stage.turn().await;
    assert_eq!(stage.verified_to().await, None, "nothing is verified beyond what is open");
}

#[tokio::test]
async fn f5_a_sample_proves_less_and_says_so() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutLog(12, 0))).await.node;
    let network = network(&[chain.url()]);
    let verdict = async |receipts_percent, node| {
        let mut stage = Stage::over(node, &network).await;
        let settings = Settings { receipts_percent, ..Settings::thorough(&network) };
        let over = Arc::new(Chain::connect(&network).await.unwrap());
        stage.auditor = Auditor::new(&network, over, Arc::clone(&stage.store), settings);
        (stage.verdict().await, stage.node)
    };
    let (none, node) = verdict(0, node).await;
    assert_eq!((told(&none.findings), none.method, none.proven_blocks), (vec![], Method::Bloom, 0));
    let (some, node) = verdict(50, node).await;
    assert!((1..19).contains(&some.proven_blocks) && some.method == Method::Bloom, "{some:#?}");
    assert_eq!(told(&verdict(100, node).await.0.findings), [("LOG_MISSING", 12)]);
}

#[tokio::test]
async fn f5_a_whole_range_that_an_endpoint_dropped_is_found() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::EmptyLogs)).await;
    // All but the end of the range, whose header comes with it.
    assert_eq!(stage.verdict().await.findings.len(), 18);
}

#[tokio::test]
async fn f5_a_dropped_block_is_found_without_receipts_by_another_endpoint() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await.node;
    let second = chain.another_endpoint();
    second.lack("eth_getBlockReceipts");
    chain.endpoint().lack("eth_getBlockReceipts").fail("eth_getLogs", FOR_EVER, Fault::WithoutBlock(9));
    let stage = Stage::over(node, &network(&[chain.url(), second.url()])).await;
    let verdict = stage.verdict().await;
    assert_eq!(told(&verdict.findings), [("LOG_MISSING", 9)]);
    assert_eq!(verdict.method, Method::LogsAgain);
}

#[tokio::test]
async fn f12_a_log_that_an_endpoint_forged_below_finality_is_found() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::ForgedLog)).await;
    let verdict = stage.verdict().await;
    // The answer's last block with logs is the last one.
    assert_eq!(told(&verdict.findings), [("LOG_EXTRA", BLOCKS)]);
    assert_eq!(verdict.method, Method::ReceiptsRoot);
}

#[tokio::test]
async fn f9_null_receipts_and_those_of_another_block_are_asked_elsewhere() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutLog(12, 0))).await.node;
    let second = chain.another_endpoint();
    let stage = Stage::over(node, &network(&[chain.url(), second.url()])).await;
    let other = json!([{"status": "0x1", "blockHash": B256::repeat_byte(1), "logs": []}]);
    let foreign = json!([{"status": "0x1", "type": "0x2", "cumulativeGasUsed": "0x1", "logs": []}]);
    for fault in [Fault::Null, Fault::Result(json!([null])), Fault::Result(other), Fault::Result(foreign)] {
        chain.endpoint().fail("eth_getBlockReceipts", FOR_EVER, fault);
        let verdict = stage.verdict().await;
        assert_eq!((told(&verdict.findings), verdict.method), (vec![("LOG_MISSING", 12)], Method::ReceiptsRoot));
        chain.endpoint().recover();
    }
}

#[tokio::test]
async fn a_stored_hash_that_is_not_the_chain_s_is_found() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE block SET hash = decode(repeat('09', 32), 'hex') WHERE number = 12").await;
    assert_eq!(told(&stage.verdict().await.findings), [("HEADER", 12)]);
}

#[tokio::test]
async fn raw_logs_that_cannot_be_read_are_found() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE raw_logs SET logs = decode('0102', 'hex')").await;
    let findings = stage.verdict().await.findings;
    assert!(findings.iter().any(|finding| finding.kind == "SEGMENT"), "{findings:#?}");
    assert!(findings.iter().any(|finding| finding.kind == "LOG_MISSING"), "{findings:#?}");
}
