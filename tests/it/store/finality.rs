//! Finality: which block may become final, and what need not be kept once it is.

use meikan::fault::Fault;
use meikan::store::StoreError;
use serde_json::json;

use super::chain::{Chain, START};
use super::events::{BOB, given};
use super::support::{CHAIN, Fixture, follow, nowhere, play, wait_for_writer};

#[tokio::test]
async fn f15_a_final_block_that_is_not_ours_is_refused() {
    let (fixture, chain) = play(vec![vec![], vec![]]).await;
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    let error = writer.finalize(Some(nowhere(START)), None).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Reorg, "{error}");
    // F16: finality above the tip or below what is known changes nothing.
    assert!(!writer.finalize(Some(nowhere(START + 9)), None).await.unwrap().moved);
    assert!(writer.finalize(Some(chain.block(START + 1)), None).await.unwrap().moved);
    assert!(!writer.finalize(Some(chain.block(START)), None).await.unwrap().moved);
    let replaced = writer.finalize(Some(nowhere(START + 1)), None).await.unwrap_err();
    assert!(matches!(replaced, StoreError::OtherFinal { .. }), "a final block was replaced: {replaced}");
}

#[tokio::test]
async fn a_backfill_of_final_blocks_keeps_only_what_is_needed() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    for _ in 0..30 {
        chain.add(vec![given(1, BOB, 1)]).empty();
    }
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip(), Some(chain.tip())).await.unwrap();
    assert_eq!(fixture.count("agent_total_version", CHAIN).await, 0);
    assert_eq!(fixture.texts("SELECT op || ' ' || key FROM change").await, ["0 68"], "one gap for all blocks");
    assert_eq!(fixture.count("block", CHAIN).await, 30, "only headers with events");
    assert_eq!(fixture.count("raw_logs", CHAIN).await, 1, "one segment for all blocks");
    let storage = "SELECT DISTINCT attstorage::text FROM pg_attribute JOIN pg_partition_tree('raw_logs') \
                   ON attrelid = relid WHERE attname = 'logs'";
    assert_eq!(fixture.texts(storage).await, ["e"], "a segment is compressed once");
    assert_eq!(fixture.raw_logs(CHAIN).await.len(), 30);
}

#[tokio::test]
async fn finality_makes_raw_logs_dense_and_prunes_what_no_rewind_needs() {
    let (fixture, chain) = play((0..1_100).map(|_| vec![given(1, BOB, 1)]).collect()).await;
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    assert_eq!(fixture.count("raw_logs", CHAIN).await, 1_100);
    let before = fixture.raw_logs(CHAIN).await;
    writer.finalize(Some(chain.block(1_060)), None).await.unwrap();
    assert_eq!(fixture.count("raw_logs", CHAIN).await, 1_100 - (1_024 - i64::try_from(START).unwrap()) + 1);
    assert_eq!(fixture.raw_logs(CHAIN).await, before, "nothing is lost");
    let kept = fixture.value("SELECT min(end_block) FROM agent_total_version").await;
    assert_eq!(kept, json!(1_061));
}
