//! Fills a database through the store's own door, as a follower that catches up does.
//!
//! A fill that was ended goes on from the cursor: the traffic up to there is made again and passed over.

use std::time::{Duration, Instant};

use meikan::config::Database;
use meikan::store::{Batch, Store, Tip};

use crate::traffic::{CHAIN_ID, GENESIS, Size, Traffic, network};

/// Logs of one commit, about: as in a backfill.
const BATCH_LOGS: usize = 10_000;
/// Blocks at the top that are not final yet: the versions of what changed in them are held.
const NOT_FINAL: u64 = 100;
/// Between two lines about the progress.
const NEWS_EVERY: Duration = Duration::from_secs(10);

/// How fast a database was filled.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Filled {
    pub(crate) logs: u64,
    pub(crate) seconds: f64,
}

/// The name of the database of a size. It holds the traffic of all three numbers: another traffic cannot go on where this
/// one ended.
pub(crate) fn database(size: Size) -> String {
    format!("bench_{}_{}_{}", size.agents, size.feedback, size.intents)
}

/// Makes a database hold all of the traffic.
pub(crate) async fn fill(url: &str, size: Size) -> Filled {
    let config = Database { url: url.into(), ..Database::default() };
    let store = Store::connect(&config).await.expect("the database answers");
    store.migrate().await.expect("the schema is ours");
    store.register(&network(), GENESIS).await.expect("the network is the same");
    let mut writer = store.writer(CHAIN_ID).await.expect("the database answers").expect("nobody else writes");
    let reached = writer.cursor().await.expect("the cursor can be read").tip.map_or(0, |tip| tip.number);
    let mut traffic = Traffic::new(size);
    let (mut filled, mut told, began) = (Filled::default(), Instant::now(), Instant::now());
    let mut expected_tip = None;
    loop {
        let (mut blocks, mut logs) = (Vec::new(), 0);
        while logs < BATCH_LOGS
            && let Some(block) = traffic.next_block()
        {
            if block.header.number <= reached {
                expected_tip = Some(block.header.block());
                continue;
            }
            logs += block.logs.len();
            blocks.push(block);
        }
        let Some(last) = blocks.last().map(|block| block.header.clone()) else { break };
        let final_to = last.number.min(size.blocks().saturating_sub(NOT_FINAL));
        let finalized = blocks.iter().rev().map(|block| block.header.block()).find(|block| block.number <= final_to);
        let batch = Batch {
            expected_tip,
            rewind_to: None,
            blocks,
            tip: Tip { number: last.number, hash: last.hash, timestamp: last.timestamp },
            finalized,
            safe: None,
        };
        writer.apply(batch).await.expect("the traffic fits together");
        expected_tip = Some(last.block());
        filled.logs += logs as u64;
        if told.elapsed() >= NEWS_EVERY {
            told = Instant::now();
            let rate = filled.logs as f64 / began.elapsed().as_secs_f64();
            eprintln!("  block {} of {}, {rate:.0} logs a second", last.number, size.blocks());
        }
    }
    filled.seconds = began.elapsed().as_secs_f64();
    filled
}
