//! The writer and its step: one at a time, all or nothing, of bounded cost, and onto the block that it expects.

use alloy::primitives::{Address, B256, U256};
use meikan::event::{Event, GovernanceEvent};
use meikan::fault::Fault;
use meikan::store::{Batch, StoreError};
use serde_json::json;

use super::chain::{Chain, START, Said, said};
use super::events::{ALICE, BOB, answer, given, metadata, operator, registered, request, revoked, transfer};
use super::support::{CHAIN, Fixture, follow, nowhere, play, wait_for_writer};

#[tokio::test]
async fn f20_a_step_that_fails_leaves_nothing_and_can_be_repeated() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    chain.add(vec![transfer(Address::ZERO, ALICE, 1)]).add(vec![given(1, BOB, 1)]);
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, START, None).await.unwrap();
    let before = fixture.dump(CHAIN).await;
    // A trigger in the way of the last table that is written: everything before it is done already.
    let obstacle = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk' USING ERRCODE = \
                    '53100'; END $$; CREATE TRIGGER fail BEFORE INSERT ON change FOR EACH ROW EXECUTE FUNCTION fail()";
    fixture.client.batch_execute(obstacle).await.unwrap();
    let error = follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Retry, "{error}");
    assert_eq!(fixture.dump(CHAIN).await, before);
    fixture.client.batch_execute("DROP TRIGGER fail ON change").await.unwrap();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    assert_eq!(fixture.count("feedback", CHAIN).await, 1);
}

#[tokio::test]
async fn f54_what_a_batch_touches_often_is_written_once() {
    let busy = |_| vec![registered(1, "u", ALICE), metadata(1, "k", b"v"), given(1, BOB, 1), revoked(1, BOB, 1)];
    let many = |_| (0..50).flat_map(busy).collect();
    let (fixture, _) = play((0..20).map(many).collect()).await;
    for table in ["agent", "agent_metadata", "feedback"] {
        assert_eq!(fixture.count(table, CHAIN).await, 20, "{table} has one version a block");
    }
}

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_number_of_rows() {
    let fixture = Fixture::create().await;
    let mut writer = fixture.writer(CHAIN).await;
    let mut chain = Chain::default();
    let everything = |count: u64| -> Vec<Said> {
        let of = |agent| {
            let hash = B256::from(U256::from(agent));
            vec![
                transfer(Address::ZERO, ALICE, agent),
                registered(agent, r#"{"name":"a"}"#, ALICE),
                metadata(agent, "k", b"v"),
                operator(ALICE, Address::from_word(hash), true),
                given(agent, BOB, 1),
                request(agent, hash),
                answer(agent, hash, 5),
                said(Event::Governance(GovernanceEvent::Paused { account: ALICE })),
            ]
        };
        (0..count).flat_map(of).collect()
    };
    // Twice before it is counted: an agent's first registration is no flip, and its first flip ends none.
    chain.add(everything(200)).add(everything(200)).add(everything(1)).add(everything(200));
    let mut statements = Vec::new();
    for to in START..=chain.tip() {
        statements.push(follow(&mut writer, &chain, None, to, None).await.unwrap().statements);
    }
    assert_eq!(statements[2], statements[3], "one agent takes as many statements as two hundred");
}

#[tokio::test]
async fn f55_a_second_writer_stands_by_and_an_old_one_cannot_commit() {
    let (fixture, chain) = play(vec![vec![]]).await;
    let mut first = wait_for_writer(&fixture, CHAIN).await;
    assert!(fixture.store.writer(CHAIN).await.unwrap().is_none(), "the lock is held");
    // The lock is lost without the writer's knowledge: another one is elected and raises the epoch.
    fixture.client.batch_execute("UPDATE cursor SET epoch = epoch + 1").await.unwrap();
    let before = fixture.dump(CHAIN).await;
    let mut longer = chain.clone();
    longer.add(vec![registered(1, "late", ALICE)]);
    let batch = Batch {
        expected_tip: Some(chain.block(START)),
        rewind_to: None,
        blocks: longer.between(START + 1, START + 1),
        tip: longer.tip_at(START + 1),
        finalized: None,
        safe: None,
    };
    assert!(matches!(first.apply(batch).await, Err(StoreError::Fenced { chain_id: CHAIN })));
    assert!(matches!(first.finalize(Some(chain.block(START)), None).await, Err(StoreError::Fenced { .. })));
    assert!(matches!(first.observe_head(chain.tip_at(START), None, None).await, Err(StoreError::Fenced { .. })));
    assert_eq!(fixture.dump(CHAIN).await, before);
    // A writer whose connection ends loses its lock with it.
    let end = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
               WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()";
    fixture.client.batch_execute(end).await.unwrap();
    wait_for_writer(&fixture, CHAIN).await;
    let lost = first.cursor().await.unwrap_err();
    assert_eq!(lost.fault(), Fault::Retry, "{lost}");
}

#[tokio::test]
async fn a_writer_that_starts_on_a_known_database_does_not_analyze_it_again() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    let all = |client| (0..2_500).map(|agent| given(agent, client, 1)).collect();
    chain.add(all(ALICE)).add(all(BOB));
    let mut writer = fixture.writer(CHAIN).await;
    let alone = "DO $$ DECLARE leaf regclass; BEGIN FOR leaf IN SELECT relid FROM pg_partition_tree('feedback') WHERE \
                 isleaf LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', leaf); END LOOP; END $$";
    fixture.client.batch_execute(alone).await.unwrap();
    follow(&mut writer, &chain, None, START, None).await.unwrap();
    drop(writer);
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    follow(&mut writer, &chain, None, START + 1, None).await.unwrap();
    let believed = "SELECT sum(c.reltuples)::bigint FROM pg_partition_tree('feedback') p \
                    JOIN pg_class c ON c.oid = p.relid WHERE p.isleaf";
    assert_eq!(fixture.value(believed).await, json!(2_500), "once, not at every start");
}

#[tokio::test]
async fn blocks_that_do_not_fit_are_refused() {
    let (fixture, chain) = play(vec![vec![], vec![]]).await;
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    let mut longer = chain.clone();
    longer.empty().empty().empty();
    let batch = |blocks: Vec<_>, tip: u64| Batch {
        expected_tip: Some(chain.block(START + 1)),
        rewind_to: None,
        blocks,
        tip: longer.tip_at(tip),
        finalized: None,
        safe: None,
    };
    let mut gap = longer.between(START + 2, START + 4);
    gap.remove(1);
    let mut unlinked = longer.between(START + 2, START + 3);
    unlinked[1].header.parent_hash = B256::ZERO;
    for (blocks, tip) in [(gap, START + 4), (unlinked, START + 3), (longer.between(START + 1, START + 2), START + 2)] {
        let error = writer.apply(batch(blocks, tip)).await.unwrap_err();
        assert!(matches!(error, StoreError::Batch { .. }), "{error}");
    }
    let mut stranger = longer.between(START + 2, START + 2);
    stranger[0].header.parent_hash = B256::ZERO;
    let error = writer.apply(batch(stranger, START + 2)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Reorg, "a block that stands on another one is a reorg: {error}");
    let moved = Batch { expected_tip: Some(nowhere(START)), ..batch(vec![], START + 1) };
    assert!(matches!(writer.apply(moved).await, Err(StoreError::TipMoved { .. })));
}

#[tokio::test]
async fn the_head_is_noted_and_headers_are_told_from_the_highest_down() {
    let (fixture, chain) = play(vec![vec![], vec![], vec![]]).await;
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    for number in [START + 1, START + 2] {
        writer.observe_head(chain.tip_at(number), Some(START), Some(u64::MAX)).await.unwrap();
    }
    let head = "SELECT (number, safe_number, finalized_number) FROM head";
    assert_eq!(fixture.value(head).await, json!({"f1": START + 2, "f2": START, "f3": i64::MAX}));
    let headers = writer.headers(0, START + 1).await.unwrap();
    let blocks: Vec<_> = headers.iter().map(|header| (header.number, header.hash)).collect();
    assert_eq!(blocks, [START + 1, START].map(|number| (number, chain.block(number).hash)));
    // Safety may step back, and is told no higher than what is indexed.
    writer.finalize(None, Some(START + 9)).await.unwrap();
    assert_eq!(writer.cursor().await.unwrap().safe, Some(START + 2));
    writer.finalize(None, Some(START)).await.unwrap();
    assert_eq!(writer.cursor().await.unwrap().safe, Some(START));
}
