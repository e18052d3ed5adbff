//! The state digest: the same on every way to a block, computed here once more by a naive program, and another one as soon
//! as anything differs.

use meikan::block::{Block, DecodedLog};
use meikan::digest::{Emitted, StateDigest};
use meikan::fault::Fault;
use meikan::store::query::{Limits, QueryError, Snapshot};
use meikan::store::{Batch, Store, StoreError};
use std::time::{Duration, Instant};

use crate::graphql::support::{CHAIN, FIRST_BLOCK, Node, feedback, registered, revoked};
use crate::store::chain::{Chain, START, noise, said};
use crate::store::random::Random;
use crate::store::support::{Fixture, follow};

/// Logs from one checkpoint to the next.
const CHECKPOINT_LOGS: usize = 4_096;

/// What a node says of a block: digest and number of events, digest and number of logs.
pub(crate) type Said = (String, u64, String, u64);

/// The digests of a network's blocks, as the store tells them.
pub(crate) async fn digests(store: &Store, chain_id: u64, blocks: impl Iterator<Item = u64>) -> Vec<Said> {
    let limits = Limits { max_rows: 1, statement_timeout: Duration::from_secs(60), ..Limits::default() };
    let snapshot = Snapshot::open(store, limits).await.unwrap();
    let mut said = Vec::new();
    for block in blocks {
        let at = snapshot.state_digest(chain_id.cast_signed(), block.cast_signed()).await.unwrap();
        let hex = alloy::hex::encode;
        said.push((hex(at.events()), at.event_count(), hex(at.raw_logs()), at.log_count()));
    }
    snapshot.close().await;
    said
}

/// Digests by the document alone: an element's lanes are drawn and added with nothing of the node's own.
struct Naive {
    chain_id: u64,
    events: Vec<u16>,
    raw_logs: Vec<u16>,
    counts: (u64, u64),
}

impl Naive {
    fn new(chain_id: u64) -> Self {
        Self { chain_id, events: vec![0; 1024], raw_logs: vec![0; 1024], counts: (0, 0) }
    }

    fn add(&mut self, block: &Block) {
        for DecodedLog { log, event } in &block.logs {
            let element = |topics: &[alloy::primitives::B256], data: &[u8]| {
                let (number, index) = (block.header.number, log.log_index);
                let head = [&self.chain_id.to_be_bytes()[..], &number.to_be_bytes(), &block.header.hash[..]].concat();
                let place = [&index.to_be_bytes()[..], &log.transaction_hash[..], &log.address[..]].concat();
                let count = [u8::try_from(topics.len()).unwrap()];
                let length = u32::try_from(data.len()).unwrap().to_be_bytes();
                [&head[..], &place, &count, topics.concat().as_slice(), &length, data].concat()
            };
            let raw = [&element(&log.topics, &log.data)[..], &log.transaction_index.to_be_bytes()].concat();
            draw("raw logs", &raw, &mut self.raw_logs);
            self.counts.1 += 1;
            if let Ok(event) = event {
                let (topics, data) = event.encode();
                draw("events", &element(&topics, &data), &mut self.events);
                self.counts.0 += 1;
            }
        }
    }

    fn said(&self) -> Said {
        let show = |domain: &str, lanes: &[u16]| {
            let bytes: Vec<u8> = lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect();
            let context = format!("meikan state digest v1: summary of {domain}");
            alloy::hex::encode(blake3::derive_key(&context, &bytes))
        };
        (show("events", &self.events), self.counts.0, show("raw logs", &self.raw_logs), self.counts.1)
    }
}

fn draw(domain: &str, element: &[u8], lanes: &mut [u16]) {
    let context = format!("meikan state digest v1: element of {domain}");
    let mut stream = [0; 2048];
    blake3::Hasher::new_derive_key(&context).update(element).finalize_xof().fill(&mut stream);
    for (lane, pair) in lanes.iter_mut().zip(stream.chunks(2)) {
        *lane = lane.wrapping_add(u16::from(pair[0]) + 256 * u16::from(pair[1]));
    }
}

/// The digests of a chain's blocks, computed naively.
pub(crate) fn naive(chain_id: u64, chain: &Chain) -> Vec<Said> {
    let mut naive = Naive::new(chain_id);
    let said = chain.blocks.iter().map(|block| {
        naive.add(block);
        naive.said()
    });
    said.collect()
}

/// A chain of a few hundred blocks with more logs than two checkpoints.
fn long_chain() -> Chain {
    let mut random = Random(7);
    let mut chain = Chain::default();
    while chain.blocks.iter().map(|block| block.logs.len()).sum::<usize>() < 2 * CHECKPOINT_LOGS + 500 {
        let logs = (0..random.below(4) * 20).flat_map(|_| random.logs()).collect();
        chain.add(logs);
    }
    chain.empty();
    chain
}

/// Follows a chain in batches of some blocks; what is `behind` blocks below each batch's end is final.
async fn follow_in_batches(fixture: &Fixture, chain_id: u64, chain: &Chain, blocks: usize, behind: u64) {
    let mut writer = fixture.writer(chain_id).await;
    let ends = (START..=chain.tip()).skip(blocks - 1).step_by(blocks).chain([chain.tip()]);
    let mut at = START - 1;
    for to in ends.filter(|to| *to >= START) {
        if to > at {
            let finalized = Some(to.saturating_sub(behind)).filter(|finalized| *finalized >= START);
            follow(&mut writer, chain, None, to, finalized).await.unwrap();
            at = to;
        }
    }
}

#[tokio::test]
async fn checkpoints_do_not_depend_on_batches_and_lead_to_any_block() {
    let fixture = Fixture::create().await;
    let chain = long_chain();
    let expected = naive(1, &chain);
    let mut dumps = Vec::new();
    for (chain_id, blocks, behind) in [(1, 400, 0), (2, 7, 30), (3, 64, 64)] {
        follow_in_batches(&fixture, chain_id, &chain, blocks, behind).await;
        let mut writer = fixture.writer_again(chain_id).await;
        writer.finalize(Some(chain.block(chain.tip())), None).await.unwrap();
        let rows = "SELECT (block_number, checkpoint, event_count, log_count)::text FROM state_digest";
        let rows = fixture.texts(&format!("{rows} WHERE chain_id = {chain_id} ORDER BY block_number")).await;
        // Two checkpoints and the newest block with logs.
        assert_eq!(rows.len(), 3, "{rows:?}");
        dumps.push(rows);
    }
    assert!(dumps.windows(2).all(|pair| pair[0] == pair[1]), "{dumps:?}");
    let every = |step| (START..=chain.tip()).rev().step_by(step);
    let expected_of = |block: u64| expected[usize::try_from(block - START).unwrap()].clone();
    assert_eq!(digests(&fixture.store, 1, every(9)).await, every(9).map(expected_of).collect::<Vec<_>>());
    // Networks are apart, also where all that they say is the same.
    let other = digests(&fixture.store, 2, [chain.tip()].into_iter()).await;
    assert_ne!(other[0].0, expected.last().unwrap().0);
    assert_eq!(other, naive(2, &chain)[expected.len() - 1..]);
}

#[tokio::test]
async fn a_database_that_is_older_than_the_digest_is_caught_up_with() {
    let fixture = Fixture::create().await;
    let chain = long_chain();
    follow_in_batches(&fixture, 1, &chain, 20, 50).await;
    let rows = async || fixture.dump(1).await.remove("state_digest").unwrap();
    let before = rows().await;
    // All of it, or what is above a block: what is missing is added to what is there.
    for delete in ["DELETE FROM state_digest", "DELETE FROM state_digest WHERE block_number > 100"] {
        assert!(fixture.client.execute(delete, &[]).await.unwrap() > 0);
        fixture.writer_again(1).await.catch_up_digest().await.unwrap();
        assert!(rows().await == before, "after {delete}");
    }
}

#[tokio::test]
async fn a_damaged_segment_without_digest_keeps_no_reindex_out() {
    let fixture = Fixture::create().await;
    let chain = long_chain();
    follow_in_batches(&fixture, 1, &chain, 20, 50).await;
    let before = fixture.dump(1).await;
    let damage = "DELETE FROM state_digest; UPDATE raw_logs SET logs = substring(logs FOR 20) \
                  WHERE from_block = (SELECT min(from_block) FROM raw_logs)";
    fixture.client.batch_execute(damage).await.unwrap();
    let mut writer = fixture.writer_again(1).await;
    let error = writer.catch_up_digest().await.unwrap_err();
    assert!(error.to_string().contains("meikan reindex --source rpc"), "{error}");
    // What it says can be done, and what is above stays without digest until all below has one.
    let finalized = Some(chain.tip() - 50);
    let to = START + 30;
    let mut blocks = chain.between(START, to);
    blocks.retain(|block| !block.logs.is_empty());
    let tip = writer.cursor().await.unwrap().tip.map(|tip| tip.block());
    let batch = Batch {
        expected_tip: tip,
        rewind_to: Some(START - 1),
        blocks,
        tip: chain.tip_at(to),
        finalized: Some(chain.block(to)),
        safe: None,
    };
    writer.reingest(batch, chain.block(START - 1)).await.unwrap();
    follow(&mut writer, &chain, None, chain.tip(), finalized).await.unwrap();
    writer.catch_up_digest().await.unwrap();
    assert!(fixture.dump(1).await["agent"] == before["agent"]);
    let newest = naive(1, &chain).pop().unwrap();
    assert_eq!(digests(&fixture.store, 1, [chain.tip()].into_iter()).await, [newest]);
}

#[tokio::test]
async fn blocks_above_logs_without_digest_wait_for_theirs() {
    let fixture = Fixture::create().await;
    let chain = long_chain();
    let middle = START + 40;
    let mut writer = fixture.writer(1).await;
    follow(&mut writer, &chain, None, middle, Some(middle)).await.unwrap();
    fixture.client.execute("DELETE FROM state_digest", &[]).await.unwrap();
    follow(&mut writer, &chain, None, middle + 20, Some(middle)).await.unwrap();
    assert_eq!(fixture.count("state_digest", 1).await, 0);
    writer.catch_up_digest().await.unwrap();
    let expected = naive(1, &chain)[usize::try_from(middle + 20 - START).unwrap()].clone();
    assert_eq!(digests(&fixture.store, 1, [middle + 20].into_iter()).await, [expected]);
}

#[tokio::test]
async fn a_digest_that_is_not_caught_up_with_is_refused_before_segments_are_read() {
    let fixture = Fixture::create().await;
    let chain = long_chain();
    follow_in_batches(&fixture, 1, &chain, 20, 50).await;
    // Who reads them notices.
    let damage = "DELETE FROM state_digest; UPDATE raw_logs SET logs = substring(logs FOR 20)";
    fixture.client.batch_execute(damage).await.unwrap();
    let limits = Limits { max_rows: 1, statement_timeout: Duration::from_secs(60), ..Limits::default() };
    let snapshot = Snapshot::open(&fixture.store, limits).await.unwrap();
    let refused = snapshot.state_digest(1, chain.tip().cast_signed()).await.unwrap_err();
    assert!(matches!(refused, QueryError::Unavailable(_)), "{refused:?}");
    snapshot.close().await;
}

#[tokio::test]
async fn a_rewind_that_finds_another_digest_than_was_kept_stops_loudly() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    let mut random = Random(3);
    for _ in 0..6 {
        chain.add((0..5).flat_map(|_| random.logs()).collect());
    }
    let mut writer = fixture.writer(1).await;
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    let before = fixture.dump(1).await;
    let damage = "UPDATE state_digest SET events = set_byte(events, 77, (get_byte(events, 77) + 1) % 256) \
                  WHERE block_number = $1";
    let to = chain.tip() - 3;
    fixture.client.execute(damage, &[&to.cast_signed()]).await.unwrap();
    let fork = chain.fork(to, 9);
    let error = follow(&mut writer, &fork, Some(to), to, None).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { reason } if reason.contains("state digest")), "{error}");
    assert_eq!(error.fault(), Fault::Fatal);
    let after = fixture.dump(1).await;
    assert!(after.iter().all(|(table, rows)| table == "state_digest" || *rows == before[table]), "nothing was undone");
}

/// The digest of a chain's newest block.
fn newest(chain: &Chain) -> Said {
    naive(1, chain).pop().unwrap()
}

#[tokio::test]
async fn one_event_missing_altered_repeated_or_moved_is_another_digest() {
    let uri = |agent: u64, text: &str| {
        let mut logs = registered(agent, 1, text).into_iter().map(said).collect::<Vec<_>>();
        logs.push(noise(vec![]));
        logs
    };
    let told = |logs: Vec<Vec<_>>| {
        let mut chain = Chain::default();
        for logs in logs {
            chain.add(logs);
        }
        chain
    };
    let honest = told(vec![uri(0, "a"), uri(1, "b"), vec![]]);
    let mut missing = honest.clone();
    missing.blocks[1].logs.remove(0);
    let mut altered = honest.clone();
    altered.blocks[1].logs[1] = told(vec![vec![], uri(1, "B")]).blocks[1].logs[1].clone();
    altered.blocks[1].logs[1].log.block = altered.blocks[1].header.block();
    let mut repeated = honest.clone();
    let mut again = repeated.blocks[1].logs[0].clone();
    again.log.log_index = 1_000;
    repeated.blocks[1].logs.push(again);
    let mut moved = honest.clone();
    let mut log = moved.blocks[0].logs.remove(0);
    log.log.block = moved.blocks[2].header.block();
    moved.blocks[2].logs.push(log);
    let mut swapped = honest.clone();
    let (one, two) = (swapped.blocks[1].logs[0].log.log_index, swapped.blocks[1].logs[1].log.log_index);
    swapped.blocks[1].logs.swap(0, 1);
    (swapped.blocks[1].logs[0].log.log_index, swapped.blocks[1].logs[1].log.log_index) = (one, two);

    let mut all = Vec::new();
    for (chain, name) in [
        (honest, "honest"),
        (missing, "missing"),
        (altered, "altered"),
        (repeated, "repeated"),
        (moved, "moved"),
        (swapped, "swapped"),
    ] {
        let node = Fixture::create().await;
        let mut writer = node.writer(1).await;
        follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
        let said = digests(&node.store, 1, [chain.tip()].into_iter()).await.remove(0);
        assert_eq!(said, newest(&chain), "{name}");
        all.push((said.0, said.2));
    }
    for (place, one) in all.iter().enumerate() {
        assert!(all[..place].iter().all(|other| other.0 != one.0 && other.1 != one.1), "two of {all:?} are alike");
    }
}

#[tokio::test]
async fn the_digest_is_asked_over_graphql() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let ask = |block: u64| {
        format!(
            "{{ stateDigest(chainId: {CHAIN}, block: \"{block}\") {{ chainId blockNumber blockHash finality \
             encodingVersion events eventCount rawLogs rawLogCount }} networks {{ stateDigest }} }}"
        )
    };
    let first = history.block(registered(0, 1, "")).await;
    history.block(vec![feedback(0, 9, 1, (5, 0), "a")]).await;
    history.finalized = Some(first + 1);
    let tip = history.block(vec![]).await;
    let data = node.ask(&ask(first)).await;
    let at = &data["stateDigest"];
    assert_eq!((&at["chainId"], at["blockNumber"].as_str()), (&CHAIN.into(), Some(first.to_string().as_str())));
    assert_eq!(at["blockHash"], format!("{:#x}", history.hash(first)));
    assert_eq!((at["finality"].as_str(), at["encodingVersion"].as_i64()), (Some("FINALIZED"), Some(1)));
    assert_eq!((at["eventCount"].as_str(), at["rawLogCount"].as_str()), (Some("3"), Some("3")));
    let newest = node.ask(&ask(tip)).await;
    assert_ne!(newest["stateDigest"]["events"], at["events"]);
    assert_eq!(newest["stateDigest"]["finality"], "UNSAFE");
    assert_eq!(newest["networks"][0]["stateDigest"], newest["stateDigest"]["events"]);
    // A fork and back: the digest is what it was.
    history.reorg(first + 1, vec![revoked(0, 9, 1)]).await;
    let forked = node.ask(&ask(tip)).await;
    assert_ne!(forked["stateDigest"]["events"], newest["stateDigest"]["events"]);
    history.salt = 0;
    history.block_by(vec![], Some(first + 1)).await;
    assert_eq!(node.ask(&ask(tip)).await, newest);
}

#[tokio::test]
async fn a_block_that_has_no_digest_is_told() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let code = async |chain: u64, block: &str| {
        let query = format!("{{ stateDigest(chainId: {chain}, block: {block}) {{ events }} }}");
        node.answer(&query, serde_json::json!({})).await.error().0
    };
    assert_eq!(code(CHAIN, &FIRST_BLOCK.to_string()).await, "NOT_YET_INDEXED");
    let newest = node.ask("{ networks { stateDigest } }").await;
    assert!(newest["networks"][0]["stateDigest"].is_null());
    let tip = history.block(vec![]).await;
    assert_eq!(code(CHAIN, &(tip + 1).to_string()).await, "NOT_YET_INDEXED");
    assert_eq!(code(CHAIN, &(FIRST_BLOCK - 1).to_string()).await, "BAD_INPUT");
    assert_eq!(code(CHAIN, "\"-1\"").await, "BAD_INPUT");
    assert_eq!(code(CHAIN, "\"0x10\"").await, "BAD_INPUT");
    assert_eq!(code(CHAIN, "\"99999999999999999999999\"").await, "BAD_INPUT");
    assert_eq!(code(1, "5").await, "NOT_FOUND");
}

/// Prints what an element costs: `cargo test --release --test it -- --ignored --nocapture what_an_element_costs`.
#[test]
#[ignore = "a measurement"]
fn what_an_element_costs() {
    /// Elements that are measured.
    const ELEMENTS: u32 = 100_000;
    let event = feedback(5, 9, 1, (9_977, 2), "starred");
    let (topics, data) = event.encode();
    let mut digest = StateDigest::default();
    let started = Instant::now();
    for log_index in 0..ELEMENTS {
        let hash = alloy::primitives::B256::repeat_byte(7);
        let emitted = Emitted {
            chain_id: CHAIN,
            block_number: 1,
            block_hash: hash,
            transaction_hash: hash,
            transaction_index: 0,
            log_index,
            address: alloy::primitives::Address::ZERO,
            topics: &topics,
            data: &data,
        };
        digest.add(&emitted, Some(&event));
    }
    println!("{:?} per log with its event ({} events)", started.elapsed() / ELEMENTS, digest.event_count);
    assert_ne!(digest, StateDigest::default());
}
