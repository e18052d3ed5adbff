//! Re-indexing through the store's door: whatever is undone, below finality too, and brought again, from the chain or
//! from the raw logs, the tables are those of a store that saw the chain only once (F61 to F66).

use alloy::primitives::{Address, U256};
use meikan::block::Block;
use meikan::event::{Event, IdentityEvent, Undecoded};
use meikan::fault::Fault;
use meikan::store::{Batch, Rederived, Source, StoreError, Writer};
use serde_json::json;

use super::chain::{Chain, START, said};
use super::random::Random;
use super::support::{Fixture, follow};
use crate::support::tables::assert_same;

const CHAIN: u64 = 167_000;

/// Histories that are played; each has its seed as its chain id.
const HISTORIES: u64 = 12;

/// A chain of random logs.
fn chain_of(random: &mut Random, blocks: u64) -> Chain {
    let mut chain = Chain::default();
    for _ in 0..blocks {
        chain.add(random.logs());
    }
    chain
}

/// Ingests a chain as a node does that comes late: final blocks at once, the others one by one.
async fn ingest(writer: &mut Writer, chain: &Chain, finalized: Option<u64>) {
    if let Some(finalized) = finalized {
        follow(writer, chain, None, finalized, Some(finalized)).await.unwrap();
    }
    for to in finalized.map_or(START, |finalized| finalized + 1)..=chain.tip() {
        follow(writer, chain, None, to, None).await.unwrap();
    }
}

/// Rewinds to below a block, final or not, and brings some of the chain in its place.
async fn reingest(
    writer: &mut Writer,
    chain: &Chain,
    from: u64,
    to: u64,
    finalized: Option<u64>,
) -> Result<(), StoreError> {
    let tip = writer.cursor().await?.tip.map(|tip| tip.block());
    let mut blocks = chain.between(from, to);
    blocks.retain(|block| !block.logs.is_empty() || finalized.is_none_or(|finalized| block.header.number > finalized));
    let batch = Batch {
        expected_tip: tip,
        rewind_to: Some(from - 1),
        blocks,
        tip: chain.tip_at(to),
        finalized: finalized.map(|finalized| chain.block(finalized.min(to))),
        safe: None,
    };
    writer.reingest(batch, chain.block(from - 1)).await.map(|_applied| ())
}

/// Goes on until nothing is left to derive.
async fn to_the_end(writer: &mut Writer, first: Rederived) -> Rederived {
    let mut last = first;
    while let Some(next) = writer.resume().await.unwrap() {
        last = next;
    }
    assert!(last.is_done());
    last
}

#[tokio::test]
async fn f66_a_reindex_from_any_block_equals_a_fresh_store_from_both_sources() {
    let (used, fresh) = tokio::join!(Fixture::create(), Fixture::create());
    for seed in 1..=HISTORIES {
        let mut random = Random(seed);
        let blocks = random.between(5, 40);
        let chain = chain_of(&mut random, blocks);
        let finalized = (seed % 4 != 0).then(|| random.between(START, chain.tip()));
        let (mut writer, mut expected) = (used.writer(seed).await, fresh.writer(seed).await);
        ingest(&mut writer, &chain, finalized).await;
        ingest(&mut expected, &chain, finalized).await;
        let expected = fresh.dump(seed).await;
        for _ in 0..6 {
            let from = random.between(START, chain.tip() + 1);
            if random.below(2) == 0 {
                // All of it in one step, or in several.
                writer.set_reindex_step_logs(if random.below(2) == 0 { u64::MAX } else { random.between(1, 30) });
                let first = writer.rederive(from).await.unwrap();
                to_the_end(&mut writer, first).await;
            } else if from <= chain.tip() {
                let to = random.between(from, chain.tip());
                reingest(&mut writer, &chain, from, to, finalized.filter(|finalized| *finalized >= from))
                    .await
                    .unwrap();
                ingest_rest(&mut writer, &chain, finalized).await;
            }
            assert_same(&used.dump(seed).await, &expected);
        }
    }
}

/// Brings what is above the tip.
async fn ingest_rest(writer: &mut Writer, chain: &Chain, finalized: Option<u64>) {
    let tip = writer.cursor().await.unwrap().tip.unwrap().number;
    if let Some(finalized) = finalized.filter(|finalized| *finalized > tip) {
        follow(writer, chain, None, finalized, Some(finalized)).await.unwrap();
    }
    follow(writer, chain, None, chain.tip(), finalized).await.unwrap();
}

/// A node that comes late: twenty blocks, of which fifteen are final.
async fn settled(seed: u64) -> (Fixture, Chain, Writer) {
    let fixture = Fixture::create().await;
    let chain = chain_of(&mut Random(seed), 20);
    let mut writer = fixture.writer(CHAIN).await;
    ingest(&mut writer, &chain, Some(START + 14)).await;
    (fixture, chain, writer)
}

/// The same events under a decoder that did not know those of the identity registry.
fn misread(mut block: Block) -> Block {
    for decoded in &mut block.logs {
        if matches!(decoded.event, Ok(Event::Identity(_))) {
            decoded.event = Err(Undecoded::Unknown);
        }
    }
    block
}

#[tokio::test]
async fn f50_what_an_older_decoder_could_not_read_becomes_facts_without_the_chain() {
    let (fixture, fresh) = tokio::join!(Fixture::create(), Fixture::create());
    let chain = chain_of(&mut Random(50), 30);
    let older = Chain { blocks: chain.blocks.iter().cloned().map(misread).collect(), ..chain.clone() };
    let (mut writer, mut expected) = (fixture.writer(CHAIN).await, fresh.writer(CHAIN).await);
    ingest(&mut writer, &older, Some(START + 20)).await;
    ingest(&mut expected, &chain, Some(START + 20)).await;
    let unread = fixture.count("undecoded_log", CHAIN).await;
    assert!(unread > fresh.count("undecoded_log", CHAIN).await, "the older decoder left {unread} logs unread");
    let done = writer.rederive(START).await.unwrap();
    assert!(done.is_done(), "it fits one step: readers see one swap");
    assert_same(&fixture.dump(CHAIN).await, &fresh.dump(CHAIN).await);
}

#[tokio::test]
async fn a_repair_brings_blocks_that_an_endpoint_left_out() {
    for left_out in [vec![2, 3], vec![0], vec![5, 9, 14], vec![1, 7, 8, 13]] {
        let (fixture, fresh) = tokio::join!(Fixture::create(), Fixture::create());
        let chain = chain_of(&mut Random(5), 20);
        let mut lying = chain.clone();
        for place in &left_out {
            // The block's first log, or all of them.
            let logs = &mut lying.blocks[*place].logs;
            logs.drain(..if place % 2 == 0 { logs.len().min(1) } else { logs.len() });
        }
        let (mut writer, mut expected) = (fixture.writer(CHAIN).await, fresh.writer(CHAIN).await);
        ingest(&mut writer, &lying, Some(START + 14)).await;
        ingest(&mut expected, &chain, Some(START + 14)).await;
        writer.set_reindex_step_logs(7);
        let blocks: Vec<_> = left_out.iter().map(|place| chain.blocks[*place].clone()).collect();
        let first = writer.repair(&blocks).await.unwrap();
        assert_eq!(first.from, blocks[0].header.number);
        to_the_end(&mut writer, first).await;
        assert_same(&fixture.dump(CHAIN).await, &fresh.dump(CHAIN).await);
    }
}

#[tokio::test]
async fn a_repair_replaces_a_damaged_segment_when_all_its_blocks_with_logs_are_given() {
    let (fixture, chain, mut writer) = settled(11).await;
    let before = fixture.dump(CHAIN).await;
    let select = "SELECT to_block - from_block FROM raw_logs ORDER BY from_block LIMIT 1";
    assert!(fixture.value(select).await.as_i64().unwrap() > 10, "a backfill's segment spans many blocks");
    let damage = "UPDATE raw_logs SET logs = substring(logs FOR 20) WHERE to_block <= $1";
    let finalized = START + 14;
    fixture.client.execute(damage, &[&finalized.cast_signed()]).await.unwrap();
    let mut blocks = chain.between(START, finalized);
    blocks.retain(|block| !block.logs.is_empty());
    assert!(blocks.len() < 15, "some blocks have no logs, and no header");
    let derived = fixture.value("SELECT count(*) FROM feedback").await;
    let too_few = writer.repair(&blocks[1..]).await.unwrap_err();
    assert!(too_few.to_string().contains(&format!("--from-block {}", blocks[0].header.number)), "{too_few}");
    assert_eq!(fixture.value("SELECT count(*) FROM feedback").await, derived);
    let first = writer.repair(&blocks).await.unwrap();
    to_the_end(&mut writer, first).await;
    assert_same(&fixture.dump(CHAIN).await, &before);
}

#[tokio::test]
async fn a_repair_amid_a_reindex_from_the_chain_keeps_what_is_to_be_told_again() {
    for repaired in [true, false] {
        let fixture = Fixture::create().await;
        let chain = chain_of(&mut Random(12), 20);
        let mut writer = fixture.writer(CHAIN).await;
        ingest(&mut writer, &chain, None).await;
        writer.finalize(Some(chain.block(START + 14)), None).await.unwrap();
        let mut told = fixture.changes(CHAIN, 0).await;
        let cut = START + 5;
        reingest(&mut writer, &chain, START + 3, cut, Some(cut)).await.unwrap();
        let from_chain = writer.cursor().await.unwrap().reindex.expect("it is half way");
        // Of several steps, or of one.
        writer.set_reindex_step_logs(if repaired { 2 } else { u64::MAX });
        let first = if repaired {
            writer.repair(&chain.between(START + 1, START + 1)).await.unwrap()
        } else {
            writer.rederive(START + 1).await.unwrap()
        };
        to_the_end(&mut writer, first).await;
        let job = writer.cursor().await.unwrap().reindex.expect("the one from the chain goes on");
        assert_eq!((job.source, job.target), (Source::Rpc, from_chain.target));
        ingest_rest(&mut writer, &chain, Some(START + 14)).await;
        assert_eq!(writer.cursor().await.unwrap().reindex, None);
        let mut again = fixture.changes(CHAIN, 0).await;
        for changes in [&mut again, &mut told] {
            // Of final blocks without logs nobody asks the chain, so nobody tells of them.
            changes.retain(|change| !change.starts_with("(1,1,"));
            changes.sort();
        }
        assert_eq!(again, told, "repaired: {repaired}");
    }
}

#[tokio::test]
async fn a_repair_of_blocks_that_are_not_final_or_not_ours_is_refused() {
    let (fixture, chain, mut writer) = settled(6).await;
    let before = fixture.dump(CHAIN).await;
    let above = writer.repair(&chain.between(START + 15, START + 15)).await.unwrap_err();
    assert!(matches!(above, StoreError::Batch { .. }), "{above}");
    let mut fork = Chain { blocks: vec![], salt: 9 };
    for block in &chain.blocks[..3] {
        assert!(!block.logs.is_empty(), "its header is held");
        fork.empty();
    }
    let other = writer.repair(&fork.between(START + 1, START + 1)).await.unwrap_err();
    assert!(matches!(other, StoreError::OtherFinal { .. }), "{other}");
    assert_eq!(fixture.dump(CHAIN).await, before);
}

#[tokio::test]
async fn f61_f62_a_reindex_forward_or_below_the_start_is_refused_with_what_is_possible() {
    let (fixture, chain, mut writer) = settled(61).await;
    let before = fixture.dump(CHAIN).await;
    let forward = writer.rederive(chain.tip() + 2).await.unwrap_err();
    assert!(forward.to_string().contains("the highest block that it can begin at is 30"), "{forward}");
    let below = writer.rederive(START - 1).await.unwrap_err();
    assert!(below.to_string().contains("the lowest block that a re-index can begin at is 10"), "{below}");
    assert_eq!(fixture.dump(CHAIN).await, before);
    let empty = Fixture::create().await;
    let nothing = empty.writer(CHAIN).await.rederive(START).await.unwrap_err();
    assert!(nothing.to_string().contains("nothing of chain 167000 is indexed yet"), "{nothing}");
}

#[tokio::test]
async fn f64_f65_a_reindex_from_the_start_leaves_nothing_from_before() {
    let (fixture, chain, mut writer) = settled(64).await;
    let other = Fixture::create().await;
    let mut fork = Chain { blocks: vec![], salt: 3 };
    let mut random = Random(65);
    for _ in 0..20 {
        fork.add(random.logs());
    }
    reingest(&mut writer, &fork, START, fork.tip(), Some(START + 14)).await.unwrap();
    let mut expected = other.writer(CHAIN).await;
    ingest(&mut expected, &fork, Some(START + 14)).await;
    assert_same(&fixture.dump(CHAIN).await, &other.dump(CHAIN).await);
    assert_ne!(chain.block(START).hash, fork.block(START).hash);
}

#[tokio::test]
async fn raw_logs_that_are_missing_damaged_or_too_new_are_refused_before_anything_changes() {
    let (fixture, _, mut writer) = settled(7).await;
    let damage = [
        ("UPDATE raw_logs SET codec = 9 WHERE from_block = 26", "codec 9"),
        ("UPDATE raw_logs SET logs = substring(logs FOR 20) WHERE from_block = 26", "damaged"),
        ("DELETE FROM raw_logs WHERE from_block = 26", "block 26 has 0 of its"),
        ("DELETE FROM block WHERE number = 26", "block 26 has raw logs and no header"),
    ];
    for (statement, said) in damage {
        let keep = "CREATE TABLE kept_logs AS TABLE raw_logs; CREATE TABLE kept_blocks AS TABLE block";
        fixture.client.batch_execute(keep).await.unwrap();
        assert_eq!(fixture.client.execute(statement, &[]).await.unwrap(), 1, "{statement}");
        let derived = "SELECT count(*) FROM feedback";
        let before = fixture.value(derived).await;
        for step in [u64::MAX, 3] {
            writer.set_reindex_step_logs(step);
            let error = writer.rederive(START + 2).await.unwrap_err();
            assert!(error.to_string().contains(said) && error.to_string().contains("--source rpc"), "{error}");
            assert_eq!(error.fault(), Fault::Fatal);
        }
        assert_eq!(fixture.value(derived).await, before);
        let restore = "DELETE FROM raw_logs; DELETE FROM block; INSERT INTO raw_logs TABLE kept_logs; \
                       INSERT INTO block TABLE kept_blocks; DROP TABLE kept_logs, kept_blocks";
        fixture.client.batch_execute(restore).await.unwrap();
    }
    // From above the damage it goes.
    fixture.client.execute("UPDATE raw_logs SET codec = 9 WHERE from_block = 26", &[]).await.unwrap();
    writer.rederive(START + 17).await.unwrap();
}

#[tokio::test]
async fn a_reindex_of_several_steps_names_the_block_it_is_at_and_lets_nothing_come_between() {
    let (fixture, chain, mut writer) = settled(8).await;
    let before = fixture.dump(CHAIN).await;
    writer.set_reindex_step_logs(5);
    let first = writer.rederive(START).await.unwrap();
    assert!(!first.is_done());
    let cursor = writer.cursor().await.unwrap();
    assert_eq!(cursor.tip.map(|tip| tip.block()), Some(chain.block(first.to)));
    assert_eq!(cursor.finalized, Some(chain.block(first.to)));
    let beyond = format!("SELECT count(*) FROM agent WHERE begin_block > {}", first.to);
    assert_eq!(fixture.value(&beyond).await, json!(0));
    // Raw logs above the tip are held: nothing may be put on top, and finality waits.
    let error = follow(&mut writer, &chain, None, first.to + 1, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Rederiving { .. }), "{error}");
    let error = writer.finalize(Some(chain.block(first.to)), None).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Reorg, "the loop looks again, and goes on with it: {error}");
    // The process dies; the next writer goes on.
    drop(writer);
    let mut writer = super::support::wait_for_writer(&fixture, CHAIN).await;
    assert_eq!(writer.cursor().await.unwrap().reindex.map(|job| job.from), Some(START));
    let next = writer.resume().await.unwrap().expect("there is more");
    assert_eq!(next.from, first.to + 1);
    to_the_end(&mut writer, next).await;
    assert_same(&fixture.dump(CHAIN).await, &before);
    assert_eq!(writer.resume().await.unwrap(), None);
}

#[tokio::test]
async fn what_a_reindex_takes_back_it_tells_again_also_of_blocks_that_became_final() {
    for from_store in [true, false] {
        let fixture = Fixture::create().await;
        let chain = chain_of(&mut Random(9), 20);
        let mut writer = fixture.writer(CHAIN).await;
        ingest(&mut writer, &chain, None).await;
        writer.finalize(Some(chain.block(START + 14)), None).await.unwrap();
        let mut told = fixture.changes(CHAIN, 0).await;
        told.sort();
        if from_store {
            writer.set_reindex_step_logs(9);
            let first = writer.rederive(START + 3).await.unwrap();
            to_the_end(&mut writer, first).await;
        } else {
            let cut = START + 5;
            reingest(&mut writer, &chain, START + 3, cut, Some(cut)).await.unwrap();
            ingest_rest(&mut writer, &chain, Some(START + 14)).await;
        }
        let mut again = fixture.changes(CHAIN, 0).await;
        again.sort();
        if !from_store {
            // Of final blocks without logs nobody asks the chain, so nobody tells of them.
            for changes in [&mut again, &mut told] {
                changes.retain(|change| !change.starts_with("(1,1,"));
            }
        }
        assert_eq!(again, told, "from the store: {from_store}");
        // From the store the blocks themselves stay.
        let entities = if from_store { "entity <> 1" } else { "TRUE" };
        let first = format!(
            "SELECT min(block_number) FROM change WHERE op <> 3 AND block_number >= {} AND {entities}",
            START + 3
        );
        let retracted = "SELECT min(block_number) FROM change WHERE op = 3";
        assert_eq!(fixture.value(retracted).await, fixture.value(&first).await);
    }
}

#[tokio::test]
async fn f21_a_reindex_leaves_other_networks_alone() {
    let fixture = Fixture::create().await;
    let chain = chain_of(&mut Random(21), 12);
    let (mut one, mut two) = (fixture.writer(1).await, fixture.writer(2).await);
    for writer in [&mut one, &mut two] {
        ingest(writer, &chain, Some(START + 8)).await;
    }
    let before = fixture.dump(2).await;
    one.rederive(START).await.unwrap();
    reingest(&mut one, &chain, START + 2, START + 4, Some(START + 4)).await.unwrap();
    assert_eq!(fixture.dump(2).await, before);
}

#[tokio::test]
async fn f23_another_block_than_the_chain_shows_is_no_place_to_go_back_to() {
    let has_header = |seed: &u64| !chain_of(&mut Random(*seed), 20).blocks[4].logs.is_empty();
    let (fixture, chain, mut writer) = settled((10..).find(has_header).unwrap()).await;
    let before = fixture.dump(CHAIN).await;
    let mut fork = Chain { blocks: vec![], salt: 4 };
    for _ in 0..20 {
        fork.add(vec![said(Event::Identity(IdentityEvent::Transfer {
            from: Address::ZERO,
            to: Address::repeat_byte(1),
            token_id: U256::from(1),
        }))]);
    }
    assert!(!chain.blocks[4].logs.is_empty(), "its header is held");
    let error = reingest(&mut writer, &fork, START + 5, fork.tip(), Some(fork.tip())).await.unwrap_err();
    assert!(matches!(error, StoreError::TipMoved { .. }), "{error}");
    assert_eq!(fixture.dump(CHAIN).await, before);
}
