//! Rewinds: what was above a block is gone, what it ended holds again, and nothing else is touched.

use alloy::primitives::Address;
use meikan::store::StoreError;

use super::chain::{Chain, START};
use super::events::{ALICE, BOB, given, metadata, operator, registered, revoked, transfer};
use super::random::Random;
use super::support::{CHAIN, Fixture, follow, hex, play, wait_for_writer};

#[tokio::test]
async fn f19_set_removed_and_set_again_in_replaced_blocks_leaves_no_phantom() {
    let (fixture, chain) = play(vec![
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "kept", ALICE), given(1, BOB, 1)],
        vec![operator(ALICE, BOB, true), metadata(1, "k", b"1"), revoked(1, BOB, 1)],
        vec![operator(ALICE, BOB, false), metadata(1, "k", b""), given(1, BOB, 1)],
        vec![operator(ALICE, BOB, true), metadata(1, "k", b"2"), revoked(1, BOB, 1)],
    ])
    .await;
    let (fresh, _) =
        play(vec![vec![transfer(Address::ZERO, ALICE, 1), registered(1, "kept", ALICE), given(1, BOB, 1)]]).await;
    drop(fixture.store.writer(CHAIN).await);
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    let applied = follow(&mut writer, &chain, Some(START), START, None).await.unwrap();
    let rewound = applied.rewound.unwrap();
    assert_eq!((rewound.from, rewound.to, rewound.depth, rewound.agents), (START + 3, START, 3, 1));
    assert_eq!(fixture.dump(CHAIN).await, fresh.dump(CHAIN).await);
}

#[tokio::test]
async fn f21_a_rewind_leaves_other_networks_alone() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    let mut random = Random(21);
    for _ in 0..12 {
        chain.add(random.logs());
    }
    let (mut one, mut two) = (fixture.writer(1).await, fixture.writer(2).await);
    for writer in [&mut one, &mut two] {
        follow(writer, &chain, None, chain.tip(), None).await.unwrap();
    }
    let before = fixture.dump(2).await;
    follow(&mut one, &chain, Some(START), START, None).await.unwrap();
    assert_eq!(fixture.dump(2).await, before);
    assert!(fixture.dump(1).await["block"].len() < before["block"].len());
}

#[tokio::test]
async fn f22_an_orphaned_block_gives_way_to_the_one_that_replaces_it() {
    let (fixture, chain) = play(vec![vec![registered(1, "old", ALICE)], vec![registered(2, "old", ALICE)]]).await;
    let mut fork = chain.fork(START, 7);
    // The same logs in another block, and one more.
    fork.add(vec![registered(2, "old", ALICE), registered(3, "new", ALICE)]);
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    follow(&mut writer, &fork, Some(START), fork.tip(), None).await.unwrap();
    let logs = fixture.raw_logs(CHAIN).await;
    let hash = fork.block(START + 1).hash;
    assert!(logs[1..].iter().all(|log| log.block.hash == hash) && logs.len() == 3);
    let transactions = fixture.texts("SELECT transaction_hash::text FROM agent WHERE agent_id = 2").await;
    assert_eq!(transactions, [hex(logs[1].transaction_hash).as_str().unwrap()]);
}

#[tokio::test]
async fn f61_f62_rewinds_forward_or_below_finality_are_refused() {
    let (fixture, chain) = play(vec![vec![], vec![], vec![], vec![]]).await;
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    writer.finalize(Some(chain.block(START + 1)), None).await.unwrap();
    let below = follow(&mut writer, &chain, Some(START), START, None).await.unwrap_err();
    assert_eq!(below.to_string(), "a rewind to block 10 would undo final blocks; the lowest that can be reached is 11");
    let forward = follow(&mut writer, &chain, Some(chain.tip() + 1), chain.tip(), None).await.unwrap_err();
    assert!(matches!(forward, StoreError::Batch { .. }), "{forward}");
}

#[tokio::test]
async fn f64_f65_a_rewind_to_the_start_leaves_nothing() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    let mut random = Random(65);
    for _ in 0..20 {
        chain.add(random.logs());
    }
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    follow(&mut writer, &chain, Some(START - 1), START - 1, None).await.unwrap();
    for (table, rows) in fixture.dump(CHAIN).await {
        assert!(rows.is_empty() || table == "cursor", "{table} has rows from above the rewind: {rows:?}");
    }
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    assert_eq!(fixture.count("block", CHAIN).await, 20);
}

#[tokio::test]
async fn a_rewind_into_a_segment_of_raw_logs_cuts_it() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    for _ in 0..10 {
        chain.add(vec![given(1, BOB, 1), given(2, BOB, 1)]);
    }
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip(), Some(chain.tip())).await.unwrap();
    assert_eq!(fixture.count("raw_logs", CHAIN).await, 1);
    // What an operator accepts who goes below finality.
    let accepted = "UPDATE cursor SET finalized_number = NULL, finalized_hash = NULL";
    fixture.client.batch_execute(accepted).await.unwrap();
    follow(&mut writer, &chain, Some(START + 4), START + 4, None).await.unwrap();
    let kept = chain.between(START, START + 4).into_iter().flat_map(|block| block.logs).map(|decoded| decoded.log);
    let kept: Vec<_> = kept.collect();
    let stored = fixture.raw_logs(CHAIN).await;
    assert_eq!(stored.len(), kept.len());
    assert!(stored == kept);
}
