//! Tables that an older program derived: a writer derives them anew before anything else, and whatever happens on the way,
//! they are those of a store that only this program ever wrote to.

use meikan::fault::Fault;
use meikan::store::{Batch, DERIVATION, StoreError, Writer};
use serde_json::{Value, json};

use super::chain::{Chain, GENESIS, START, network};
use super::random::Random;
use super::support::{CHAIN, Fixture, follow, wait_for_writer};
use crate::support::node::LOOK_EVERY;
use crate::support::tables::{Dump, assert_same};

/// Blocks of a story, and the newest final one.
const BLOCKS: u64 = 24;
const FINALIZED: u64 = START + 15;

/// Steps to the end at most; more go in circles.
const MAX_STEPS: usize = 100;

fn chain_of(seed: u64) -> Chain {
    let (mut chain, mut random) = (Chain::default(), Random(seed));
    for _ in 0..BLOCKS {
        chain.add(random.logs());
    }
    chain
}

/// A store that this program filled, and what it holds.
async fn filled(seed: u64) -> (Fixture, Chain, Dump) {
    let (fixture, chain) = (Fixture::create().await, chain_of(seed));
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, FINALIZED, Some(FINALIZED)).await.unwrap();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    drop(writer);
    let held = fixture.dump(CHAIN).await;
    (fixture, chain, held)
}

/// The tables of what is derived: all but the headers.
fn derived(held: &Dump) -> Vec<&String> {
    let kept = ["block", "cursor", "raw_logs", "reindex"];
    let derived: Vec<&String> = held
        .iter()
        .filter(|(table, rows)| !kept.contains(&table.as_str()) && !rows.is_empty())
        .map(|(table, _)| table)
        .collect();
    assert!(derived.len() > 8, "{derived:?}");
    derived
}

/// Leaves a store as a program of a lower number would that knew nothing of these tables.
async fn age(fixture: &Fixture, tables: &[&String]) {
    let set_back = format!("UPDATE network SET derivation = {} WHERE chain_id = {CHAIN}", DERIVATION - 1);
    assert_eq!(fixture.client.execute(&set_back, &[]).await.unwrap(), 1);
    for table in tables {
        fixture.client.execute(&format!("DELETE FROM {table} WHERE chain_id = {CHAIN}"), &[]).await.unwrap();
    }
}

/// The writer of a process that starts now, with steps that are that small.
async fn started(fixture: &Fixture, step_logs: u64) -> Writer {
    fixture.store.register(&network(CHAIN), GENESIS).await.unwrap();
    let mut writer = wait_for_writer(fixture, CHAIN).await;
    writer.set_reindex_step_logs(step_logs);
    writer
}

/// Goes on until nothing is left to derive; the first block of each step.
async fn to_the_end(writer: &mut Writer) -> Vec<u64> {
    let mut began = Vec::new();
    while let Some(step) = writer.resume().await.unwrap() {
        began.push(step.from);
        assert!(began.len() < MAX_STEPS, "{began:?}");
    }
    began
}

async fn number(fixture: &Fixture) -> Value {
    fixture.value(&format!("SELECT derivation FROM network WHERE chain_id = {CHAIN}")).await
}

#[tokio::test]
async fn a_new_network_has_the_number_of_who_enters_it() {
    let (fixture, _, _) = filled(1).await;
    assert_eq!(number(&fixture).await, json!(DERIVATION));
    let mut writer = started(&fixture, 5).await;
    assert_eq!(writer.resume().await.unwrap(), None, "nothing is to be derived anew");
    // One that an older program entered and brought nothing into has nothing that it derived.
    let fixture = Fixture::create().await;
    let chain = chain_of(1);
    drop(fixture.writer(CHAIN).await);
    age(&fixture, &[]).await;
    let mut writer = started(&fixture, 5).await;
    assert_eq!(writer.resume().await.unwrap(), None);
    follow(&mut writer, &chain, None, START, None).await.unwrap();
    assert_eq!(number(&fixture).await, json!(DERIVATION));
}

#[tokio::test]
async fn f66_what_an_older_program_derived_is_derived_anew_and_equals_a_fresh_store() {
    for seed in 1..=4 {
        let (fixture, chain, held) = filled(seed).await;
        let tables = derived(&held);
        // Some of them are tables that the older program did not have.
        let mut random = Random(seed);
        let missing: Vec<&String> = tables.iter().copied().filter(|_| random.below(2) == 0).collect();
        age(&fixture, &missing).await;
        let mut writer = started(&fixture, if seed % 2 == 0 { u64::MAX } else { 6 }).await;
        let began = to_the_end(&mut writer).await;
        assert_eq!(began[0], START, "all of it");
        assert_eq!(began.len() > 2, seed % 2 == 1, "{began:?}");
        assert_same(&fixture.dump(CHAIN).await, &held);
        assert_eq!(number(&fixture).await, json!(DERIVATION));
        let cursor = writer.cursor().await.unwrap();
        assert_eq!((cursor.tip.unwrap().number, cursor.reindex), (chain.tip(), None));
    }
}

#[tokio::test]
async fn f60_who_dies_half_way_is_gone_on_with_by_a_program_of_the_same_number() {
    let (fixture, _, held) = filled(5).await;
    age(&fixture, &derived(&held)).await;
    let mut writer = started(&fixture, 6).await;
    let first = writer.resume().await.unwrap().expect("there is something to derive");
    assert!(!first.is_done());
    assert_eq!(number(&fixture).await, json!(DERIVATION - 1), "not before the end");
    drop(writer);
    let mut writer = started(&fixture, 6).await;
    assert_eq!(to_the_end(&mut writer).await[0], first.to + 1, "what was derived is not derived again");
    assert_same(&fixture.dump(CHAIN).await, &held);
    assert_eq!(number(&fixture).await, json!(DERIVATION));
}

#[tokio::test]
async fn f60_who_dies_half_way_is_not_gone_on_with_by_a_newer_program() {
    let (fixture, _, held) = filled(6).await;
    let tables = derived(&held);
    age(&fixture, &tables).await;
    let mut writer = started(&fixture, 6).await;
    writer.resume().await.unwrap();
    writer.resume().await.unwrap();
    drop(writer);
    // It was a program between the two, which did not know all tables either.
    let began_by = format!("UPDATE reindex SET derivation = {}", DERIVATION - 1);
    assert_eq!(fixture.client.execute(&began_by, &[]).await.unwrap(), 1);
    age(&fixture, &tables[..tables.len() / 2]).await;
    let mut writer = started(&fixture, 6).await;
    assert_eq!(to_the_end(&mut writer).await[0], START, "it starts over");
    assert_same(&fixture.dump(CHAIN).await, &held);
    assert_eq!(number(&fixture).await, json!(DERIVATION));
}

#[tokio::test]
async fn nothing_is_put_on_top_of_what_an_older_program_derived() {
    let (fixture, mut chain, held) = filled(7).await;
    age(&fixture, &derived(&held)).await;
    chain.add(Random(8).logs());
    let mut writer = started(&fixture, u64::MAX).await;
    let added = follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap_err();
    assert!(matches!(added, StoreError::Rederiving { .. }), "{added}");
    assert_eq!(added.fault(), Fault::Reorg, "the loop looks again, and derives");
    let finalized = writer.finalize(Some(chain.block(FINALIZED + 1)), None).await.unwrap_err();
    assert!(matches!(finalized, StoreError::Rederiving { .. }), "{finalized}");
    let audited = fixture.store.standing(CHAIN).await.unwrap_err();
    assert!(matches!(audited, StoreError::Rederiving { .. }), "what this program expects is not there: {audited}");
    to_the_end(&mut writer).await;
    fixture.store.standing(CHAIN).await.unwrap();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
}

#[tokio::test]
async fn a_reindex_or_a_repair_of_some_blocks_takes_all_of_them() {
    for repaired in [false, true] {
        let (fixture, chain, held) = filled(9).await;
        age(&fixture, &derived(&held)).await;
        let mut writer = started(&fixture, 6).await;
        let first = if repaired {
            writer.repair(&chain.between(START + 9, START + 9)).await.unwrap()
        } else {
            writer.rederive(START + 9).await.unwrap()
        };
        assert_eq!(first.from, START);
        to_the_end(&mut writer).await;
        assert_same(&fixture.dump(CHAIN).await, &held);
        assert_eq!(number(&fixture).await, json!(DERIVATION));
        // Once all is of one program, some are enough.
        assert_eq!(writer.rederive(START + 9).await.unwrap().from, START + 9);
    }
}

#[tokio::test]
async fn a_reindex_from_the_chain_takes_all_or_nothing_of_what_an_older_program_derived() {
    let (fixture, chain, held) = filled(10).await;
    age(&fixture, &derived(&held)).await;
    let mut writer = started(&fixture, 6).await;
    let batch = |from: u64| Batch {
        expected_tip: Some(chain.block(chain.tip())),
        rewind_to: Some(from - 1),
        blocks: chain.between(from, chain.tip()),
        tip: chain.tip_at(chain.tip()),
        finalized: None,
        safe: None,
    };
    let some = writer.reingest(batch(START + 9), chain.block(START + 8)).await.unwrap_err();
    assert!(matches!(some, StoreError::Rederiving { .. }), "{some}");
    writer.reingest(batch(START), chain.block(START - 1)).await.unwrap();
    assert_eq!(number(&fixture).await, json!(DERIVATION));
    assert_eq!(writer.resume().await.unwrap(), None);
    writer.finalize(Some(chain.block(FINALIZED)), None).await.unwrap();
    assert_same(&fixture.dump(CHAIN).await, &held);
}

#[tokio::test]
async fn what_a_newer_program_derived_or_began_to_derive_is_not_written_to() {
    let (fixture, _, _) = filled(11).await;
    let newer = DERIVATION + 1;
    let refused = async || loop {
        match fixture.store.writer(CHAIN).await {
            Ok(Some(_)) => panic!("a program that knows less became the writer"),
            // The lock of the one before has not fallen yet.
            Ok(None) => tokio::time::sleep(LOOK_EVERY).await,
            Err(error) => break error,
        }
    };
    fixture.client.execute("UPDATE network SET derivation = $1", &[&newer]).await.unwrap();
    let error = refused().await;
    assert_eq!(error.fault(), Fault::Fatal);
    let said = error.to_string();
    assert!(said.contains(&format!("derivation {newer}, this one knows {DERIVATION}")), "{said}");
    assert!(said.ends_with("run the newer version, or use another database"), "{said}");
    fixture.client.execute("UPDATE network SET derivation = $1", &[&(DERIVATION - 1)]).await.unwrap();
    let mut writer = started(&fixture, 6).await;
    writer.resume().await.unwrap();
    drop(writer);
    fixture.client.execute("UPDATE reindex SET derivation = $1", &[&newer]).await.unwrap();
    assert!(matches!(refused().await, StoreError::DerivedByNewer { .. }));
}
