//! The state digest of a chain by `docs/digest.md` alone: a second implementation of its sum and of its encoding.

use std::sync::Arc;

use super::chain::{SimBlock, View};
use super::model::{Row, bytea, number};
use super::story::CHAIN_ID;
use super::traffic::{Cast, Emitted, Meaning};

/// Logs between two checkpoints.
const CHECKPOINT_LOGS: u64 = 4_096;

/// 1,024 lanes of 16 bits.
#[derive(Clone)]
struct Sum {
    lanes: Vec<u16>,
    hasher: blake3::Hasher,
    count: u64,
}

impl Sum {
    fn new(of: &str) -> Self {
        let hasher = blake3::Hasher::new_derive_key(&format!("meikan state digest v1: element of {of}"));
        Self { lanes: vec![0; 1_024], hasher, count: 0 }
    }

    fn add(&mut self, element: &[u8]) {
        let mut drawn = [0; 2_048];
        self.hasher.clone().update(element).finalize_xof().fill(&mut drawn);
        for (place, lane) in self.lanes.iter_mut().enumerate() {
            *lane = lane.wrapping_add(u16::from_le_bytes([drawn[2 * place], drawn[2 * place + 1]]));
        }
        self.count += 1;
    }

    fn bytes(&self) -> Vec<u8> {
        self.lanes.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }

    fn shown(&self, of: &str) -> String {
        let key = format!("meikan state digest v1: summary of {of}");
        let hash = blake3::Hasher::new_derive_key(&key).update(&self.bytes()).finalize();
        format!("0x{}", hash.to_hex())
    }
}

/// The digest of a chain up to a block.
#[derive(Clone)]
pub(super) struct Digest {
    events: Sum,
    raw_logs: Sum,
}

impl Digest {
    fn new() -> Self {
        Self { events: Sum::new("events"), raw_logs: Sum::new("raw logs") }
    }

    /// The digest up to and with a block.
    pub(super) fn at(cast: &Cast, view: &View, start: u64, to: u64) -> Self {
        let mut digest = Self::new();
        for block in view.blocks.iter().filter(|block| (start..=to).contains(&block.number)) {
            digest.add(cast, block);
        }
        digest
    }

    /// Its numbers as `stateDigest` shows them: events and raw logs, and how many of each.
    pub(super) fn shown(&self) -> [String; 4] {
        let (events, raw_logs) = (self.events.shown("events"), self.raw_logs.shown("raw logs"));
        [events, raw_logs, self.events.count.to_string(), self.raw_logs.count.to_string()]
    }

    fn add(&mut self, cast: &Cast, block: &SimBlock) {
        for (emitted, log) in block.emitted.iter().zip(&block.logs) {
            if !cast.watches(emitted.address) {
                continue;
            }
            let mut element = element(block, emitted, log);
            if matches!(emitted.meaning, Meaning::Event(_)) {
                self.events.add(&element);
            }
            element.extend(log.transaction_index.to_be_bytes());
            self.raw_logs.add(&element);
        }
    }

    fn row(&self, block: u64, checkpoint: bool) -> Row {
        Row::from([
            ("block_number", number(block)),
            ("checkpoint", number(checkpoint)),
            ("version", number(1)),
            ("event_count", number(self.events.count)),
            ("log_count", number(self.raw_logs.count)),
            ("events", bytea(self.events.bytes())),
            ("raw_logs", bytea(self.raw_logs.bytes())),
        ])
    }
}

fn element(block: &SimBlock, emitted: &Emitted, log: &meikan::block::Log) -> Vec<u8> {
    let mut element = Vec::new();
    element.extend(CHAIN_ID.to_be_bytes());
    element.extend(block.number.to_be_bytes());
    element.extend(block.hash);
    element.extend(log.log_index.to_be_bytes());
    element.extend(log.transaction_hash);
    element.extend(emitted.address);
    element.push(u8::try_from(emitted.topics.len()).expect("at most four"));
    emitted.topics.iter().for_each(|topic| element.extend(topic));
    element.extend(u32::try_from(emitted.data.len()).expect("data is short").to_be_bytes());
    element.extend(&emitted.data);
    element
}

/// The rows that are kept: of blocks with logs above finality, of the newest one with logs, and checkpoints.
pub(super) fn rows(cast: &Cast, blocks: &[Arc<SimBlock>], finalized: Option<u64>) -> Vec<Row> {
    let mut digest = Digest::new();
    let mut rows = Vec::new();
    let has_logs = |block: &&Arc<SimBlock>| block.logs.iter().any(|log| cast.watches(log.address));
    let newest = blocks.iter().rev().find(has_logs).map(|block| block.number);
    for block in blocks.iter().filter(has_logs) {
        let before = digest.raw_logs.count;
        digest.add(cast, block);
        let checkpoint = digest.raw_logs.count / CHECKPOINT_LOGS > before / CHECKPOINT_LOGS;
        let undoable = finalized.is_none_or(|finalized| block.number > finalized);
        if checkpoint || undoable || newest == Some(block.number) {
            rows.push(digest.row(block.number, checkpoint));
        }
    }
    rows
}
