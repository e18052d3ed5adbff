//! What is kept of an audit: findings that are open, those that are the same, and how far all is verified.

use meikan::audit::{Audit, Pass, STRETCH_BLOCKS};
use meikan::block::Method;
use meikan::store::verification::{Audited, Finding, Recorded};
use tokio::time::timeout;

use super::support::{BLOCKS, CHAIN_ID, FOR_EVER, Stage, final_chain, found, network, open_kinds, said};
use crate::support::fake_chain::{Fault, RawLog};
use crate::support::node::{DEADLINE, LOOK_EVERY};
use crate::support::postgres::connect;

#[tokio::test]
async fn f5_what_receipts_proved_stays_open_until_receipts_say_otherwise() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::WithoutLog(12, 0))).await;
    stage.turn().await;
    chain.endpoint().lack("eth_getBlockReceipts").fail("eth_getLogs", FOR_EVER, Fault::WithoutLog(12, 0));
    stage.turn().await;
    assert_eq!((open_kinds(&stage).await, stage.verified_to().await), (vec!["LOG_MISSING".to_owned()], None));
}

#[tokio::test]
async fn findings_are_kept_until_the_blocks_agree_again() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE block SET hash = decode(repeat('09', 32), 'hex') WHERE number = 12").await;
    let client = connect(stage.node.database.url()).await;
    let open = async || {
        let select = "SELECT count(*) FILTER (WHERE repaired_at IS NULL), count(*) FROM verification_finding";
        let row = client.query_one(select, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    for _ in 0..3 {
        stage.turn().await;
        assert_eq!(open().await, (1, 1));
    }
    let hash = chain.block(12).hash;
    stage.sql(&format!("UPDATE block SET hash = decode('{hash:x}', 'hex') WHERE number = 12")).await;
    stage.turn().await;
    assert_eq!((open().await, stage.verified_to().await), ((0, 1), Some(BLOCKS)));
}

#[tokio::test]
async fn a_difference_that_another_endpoint_tells_is_the_same_finding() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await;
    stage.turn().await;
    let first = said(&stage).await;
    let second = chain.another_endpoint();
    chain.endpoint().lack("eth_getBlockReceipts");
    let stage = Stage::over(stage.node, &network(&[chain.url(), second.url()])).await;
    stage.turn().await;
    let then = said(&stage).await;
    assert_eq!(then.iter().map(|(_, open)| *open).collect::<Vec<_>>(), [true], "{then:?}");
    assert_ne!(then, first, "it is told in the newest words");
}

#[tokio::test]
async fn only_what_was_not_open_is_new_and_only_what_is_not_found_is_repaired() {
    let stage = Stage::ingested(&final_chain(), None).await;
    stage.store.begin_verification(CHAIN_ID).await.unwrap();
    let record = async |findings: &[Finding]| {
        let audited = Audited { from: 1, to: BLOCKS, findings: findings.to_vec(), verified: None, rewinds: 0 };
        stage.store.record(CHAIN_ID, &audited).await.unwrap().unwrap()
    };
    let (first, second) = (found("ROW", "feedback log 1", "some words"), found("ROW", "feedback log 2", "some words"));
    assert_eq!(record(std::slice::from_ref(&first)).await, Recorded { new: vec![first], repaired: 0 });
    // The hole in which the first is has become narrower, too.
    let again = Finding { from: 8, ..found("ROW", "feedback log 1", "other words") };
    let recorded = record(&[again.clone(), second.clone()]).await;
    assert_eq!(recorded, Recorded { new: vec![second.clone()], repaired: 0 });
    let held = stage.store.held(CHAIN_ID, 1, BLOCKS).await.unwrap();
    assert_eq!(held.open, [again, second.clone()]);
    assert_eq!(record(&[second]).await, Recorded { new: vec![], repaired: 1 });
}

#[tokio::test]
async fn what_was_open_before_findings_had_subjects_stays_the_same_finding() {
    let stage = Stage::ingested(&final_chain(), Some(Fault::WithoutBlock(9))).await;
    stage
        .sql(
            "ALTER TABLE verification_finding DROP COLUMN subject; \
             CREATE UNIQUE INDEX verification_finding_open ON verification_finding \
                 (chain_id, kind, from_block, to_block, md5(description)) WHERE repaired_at IS NULL; \
             INSERT INTO verification_finding (chain_id, kind, from_block, to_block, description, method) \
             SELECT 167000, kind, 6, 9, description, method FROM (VALUES \
             ('LOG_MISSING', 'log 0 is on the chain and not stored, by a', 'LOGS_AGAIN'), \
             ('LOG_MISSING', 'logs 0, 2 are on the chain and not stored, by b', 'RECEIPTS_ROOT'), \
             ('LOG_DIFFERENT', 'log 3 is stored with another data, topic than on the chain, by a', 'LOGS_AGAIN'), \
             ('HEADER', 'the block is stored as 0x09, the chain shows 0x08', 'BLOOM'), \
             ('ROW', 'agent_metadata: the value is not what the raw log says, or not there (log 3)', 'BLOOM'), \
             ('AGENT_GAP', 'agent ids have a hole below 2, between block 6 and block 9', 'LOGS_AGAIN'), \
             ('FEEDBACK_GAP', 'feedback indexes of agent 1 and client 0xaB have a hole below 2, between block 6 and \
                 block 9', 'LOGS_AGAIN'), \
             ('CALL', 'getLastIndex(uint256,address) of agent 1 and client 0xaB answers 4 at block 30 where our rows \
                 give 3', 'LOGS_AGAIN')) AS told (kind, description, method)",
        )
        .await;
    stage.sql(include_str!("../../../migrations/0012_finding_subject.sql")).await;
    let held = stage.store.held(CHAIN_ID, 1, BLOCKS).await.unwrap();
    let open: Vec<_> = held.open.iter().map(|finding| (finding.kind, finding.subject.as_str())).collect();
    let expected = [
        ("LOG_MISSING", ""),
        ("LOG_DIFFERENT", "log 3"),
        ("HEADER", ""),
        ("ROW", "agent_metadata log 3"),
        ("AGENT_GAP", "agent ids below 2"),
        ("FEEDBACK_GAP", "agent 1 client 0xaB feedback indexes below 2"),
        ("CALL", "agent 1 client 0xaB getLastIndex(uint256,address)"),
    ];
    assert_eq!(open, expected);
    assert_eq!(held.open[0].method, Method::ReceiptsRoot);
}

#[tokio::test]
async fn a_rewind_lowers_what_is_verified_and_forgets_audits_that_began_before() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.turn().await;
    let before = stage.store.standing(CHAIN_ID).await.unwrap();
    assert_eq!(before.verified.map(|verified| verified.number), Some(BLOCKS));
    let Stage { node, auditor, store } = stage;
    let database = node.stop();
    let taken = async {
        loop {
            if let Some(writer) = store.writer(CHAIN_ID).await.unwrap() {
                break writer;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let mut writer = timeout(DEADLINE, taken).await.expect("nobody else writes");
    assert!(writer.rederive(21).await.unwrap().is_done());
    let late = Audited { from: 1, to: BLOCKS, findings: vec![], verified: before.verified, rewinds: before.rewinds };
    assert_eq!(store.record(CHAIN_ID, &late).await.unwrap(), None);
    let lowered = store.standing(CHAIN_ID).await.unwrap().verified.unwrap();
    assert_eq!((lowered.number, lowered.hash), (20, None));
    auditor.turn(&mut Pass::default(), &|_| std::future::ready(false)).await.unwrap();
    assert_eq!(store.standing(CHAIN_ID).await.unwrap().verified, before.verified);
    drop(database);
}

#[tokio::test]
async fn what_stays_open_is_looked_at_again_without_the_rest() {
    let chain = final_chain();
    chain.mine_empty(3 * STRETCH_BLOCKS);
    chain.finalize(3 * STRETCH_BLOCKS);
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE block SET hash = decode(repeat('09', 32), 'hex') WHERE number = 12").await;
    let mut pass = Pass::default();
    let mut looked = Vec::new();
    for _ in 0..7 {
        looked.push(match stage.auditor.turn(&mut pass, &|_| std::future::ready(false)).await.unwrap() {
            Audit::Looked { verdict, .. } => verdict.stretch.from,
            Audit::UpToDate { open } => {
                assert!(open);
                0
            }
        });
    }
    assert_eq!(looked, [1, 501, 1001, 0, 1, 0, 1]);
}

#[tokio::test]
async fn a_rewind_before_anything_is_verified_changes_nothing() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.store.begin_verification(CHAIN_ID).await.unwrap();
    let Stage { mut node, store, .. } = stage;
    chain.mine_empty(3);
    node.catch_up().await;
    chain.reorg(2, vec![Vec::<RawLog>::new(); 3]);
    node.catch_up().await;
    let standing = store.standing(CHAIN_ID).await.unwrap();
    assert_eq!((standing.verified, standing.rewinds), (None, 0));
}

#[tokio::test]
async fn an_ordinary_reorganisation_lets_an_audit_of_what_is_final_stand() {
    let chain = final_chain();
    let Stage { mut node, store, .. } = Stage::ingested(&chain, None).await;
    chain.mine_empty(3);
    node.catch_up().await;
    store.begin_verification(CHAIN_ID).await.unwrap();
    let before = store.standing(CHAIN_ID).await.unwrap().rewinds;
    chain.reorg(2, vec![Vec::<RawLog>::new(); 3]);
    node.catch_up().await;
    let audited = Audited { from: 1, to: BLOCKS, findings: vec![], verified: None, rewinds: before };
    assert!(store.record(CHAIN_ID, &audited).await.unwrap().is_some());
}
