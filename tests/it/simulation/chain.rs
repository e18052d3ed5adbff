//! What is true in a simulation: a chain in memory, its forks and its finality.
//!
//! A [`View`] is a chain as one endpoint may see it; clones share their blocks, so that an endpoint can stay on a branch
//! that everybody else has left.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use alloy::primitives::{B256, Bloom, BloomInput};
use meikan::block::{BlockRef, Log};
use serde_json::{Value, json};

use super::draw::Draw;
use super::model::{Row, bytea, number};
use super::seal;
use super::traffic::{Cast, Emitted, is_known};

/// Seconds since 1970 of block 0.
const GENESIS_AT: u64 = 1_700_000_000;

/// A block.
#[derive(Debug)]
pub(super) struct SimBlock {
    pub(super) number: u64,
    pub(super) hash: B256,
    pub(super) parent_hash: B256,
    pub(super) timestamp: u64,
    pub(super) emitted: Vec<Emitted>,
    /// Its logs as plain values, in order.
    pub(super) logs: Vec<Log>,
    /// The header as JSON.
    pub(super) header: Value,
    /// Whether a node that is told none of its logs can know that it is lied to: the bloom shows a watched contract and
    /// an event that it is known to emit.
    pub(super) shows_in_bloom: bool,
}

impl SimBlock {
    pub(super) fn block(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }

    /// The logs of these addresses as JSON.
    pub(super) fn logs_json(&self, watched: impl Fn(&Log) -> bool) -> Vec<Value> {
        self.logs.iter().filter(|log| watched(log)).map(log_json).collect()
    }
}

fn log_json(log: &Log) -> Value {
    json!({
        "address": log.address, "topics": log.topics, "data": log.data, "removed": false,
        "blockNumber": hex(log.block.number), "blockHash": log.block.hash, "logIndex": hex(log.log_index.into()),
        "transactionIndex": hex(log.transaction_index.into()), "transactionHash": log.transaction_hash,
    })
}

pub(super) fn hex(number: u64) -> String {
    format!("{number:#x}")
}

/// A chain as somebody sees it.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) blocks: Vec<Arc<SimBlock>>,
    pub(super) finalized: Option<u64>,
    pub(super) proposed: Option<u64>,
}

impl View {
    pub(super) fn head(&self) -> &SimBlock {
        self.blocks.last().expect("there is a genesis block")
    }

    /// All blocks but the newest ones.
    pub(super) fn behind(&self, lag: u64) -> &[Arc<SimBlock>] {
        let kept = self.blocks.len().saturating_sub(usize::try_from(lag).expect("lags are small")).max(1);
        &self.blocks[..kept]
    }
}

/// The chain, and what makes new blocks differ.
#[derive(Debug)]
pub(super) struct Truth {
    pub(super) chain_id: u64,
    pub(super) view: View,
    /// Headers hash to their hashes, and receipts to their root.
    pub(super) sealed: bool,
    /// The highest block that was ever called final: forks stay above it.
    pub(super) settled: u64,
    /// The highest head that there ever was, on whatever branch.
    pub(super) highest: u64,
    forks: u64,
}

impl Truth {
    pub(super) fn new(chain_id: u64, cast: &Cast, sealed: bool) -> Self {
        let view = View { blocks: Vec::new(), finalized: None, proposed: None };
        let mut truth = Self { chain_id, view, sealed, settled: 0, highest: 0, forks: 0 };
        truth.mine(cast, Vec::new(), 0);
        truth
    }

    /// Appends a block, so many seconds after the one before; none is a time that two blocks share (F30).
    pub(super) fn mine(&mut self, cast: &Cast, emitted: Vec<Emitted>, seconds: u64) {
        let number = self.view.blocks.len() as u64;
        let parent = self.view.blocks.last();
        let parent_hash = parent.map_or(B256::ZERO, |parent| parent.hash);
        let timestamp = parent.map_or(GENESIS_AT, |parent| parent.timestamp + seconds);
        // Its place on its branch tells a block from all others.
        let place = [parent_hash.as_slice(), &self.chain_id.to_be_bytes(), &self.forks.to_be_bytes()];
        let hash = name(&place);
        let unsealed = logs(BlockRef { number, hash }, &emitted);
        let bloom = bloom(&unsealed);
        let (hash, header, logs) = if self.sealed {
            let (receipts_root, extra_data) = (seal::receipts_root(&unsealed), hash.as_slice());
            let fields = seal::Fields { number, parent_hash, timestamp, extra_data, bloom, receipts_root };
            let (hash, header) = fields.sealed();
            (hash, header, logs(BlockRef { number, hash }, &emitted))
        } else {
            let header = json!({
                "number": hex(number), "hash": hash, "parentHash": parent_hash, "timestamp": hex(timestamp),
                "logsBloom": bloom, "transactions": [],
            });
            (hash, header, unsealed)
        };
        let shows_in_bloom = logs.iter().any(|log| {
            let actor = cast.0.iter().find(|actor| actor.address == log.address);
            actor.zip(log.topics.first()).is_some_and(|(actor, topic)| is_known(actor.role, topic))
        });
        let block = SimBlock { number, hash, parent_hash, timestamp, emitted, logs, header, shows_in_bloom };
        self.view.blocks.push(Arc::new(block));
        self.highest = self.highest.max(number);
    }

    /// Takes the newest blocks away.
    pub(super) fn cut(&mut self, depth: u64) {
        let kept = self.view.head().number.saturating_sub(depth).max(self.settled);
        self.view.blocks.truncate(usize::try_from(kept + 1).expect("chains are short"));
        self.view.proposed = self.view.proposed.map(|proposed| proposed.min(kept));
        self.forks += 1;
    }
}

fn logs(block: BlockRef, emitted: &[Emitted]) -> Vec<Log> {
    let mut transaction_index = 0;
    let mut logs = Vec::with_capacity(emitted.len());
    for (place, log) in emitted.iter().enumerate() {
        if place > 0 && log.new_transaction {
            transaction_index += 1;
        }
        let transaction_hash =
            if log.hidden_transaction { B256::ZERO } else { name(&[block.hash.as_slice(), &[transaction_index]]) };
        logs.push(Log {
            address: log.address,
            topics: log.topics.clone(),
            data: log.data.clone(),
            block,
            transaction_hash,
            transaction_index: transaction_index.into(),
            log_index: u32::try_from(place).expect("blocks are small"),
        });
    }
    logs
}

/// 32 bytes that no other parts have: quicker than a hash that withstands an enemy.
fn name(parts: &[&[u8]]) -> B256 {
    let mut draw = Draw::of(0, parts);
    let mut name = B256::ZERO;
    name.chunks_mut(8).for_each(|word| word.copy_from_slice(&draw.next().to_be_bytes()));
    name
}

pub(super) fn bloom(logs: &[Log]) -> Bloom {
    thread_local! {
        /// Few things are drawn, and often: a hash for each would be a third of a story.
        static BLOOMS: RefCell<HashMap<Vec<u8>, Bloom>> = RefCell::default();
    }
    let mut bloom = Bloom::ZERO;
    BLOOMS.with_borrow_mut(|blooms| {
        for log in logs {
            for input in std::iter::once(log.address.as_slice()).chain(log.topics.iter().map(B256::as_slice)) {
                if !blooms.contains_key(input) {
                    let mut one = Bloom::ZERO;
                    one.accrue(BloomInput::Raw(input));
                    blooms.insert(input.to_vec(), one);
                }
                bloom.accrue_bloom(&blooms[input]);
            }
        }
    });
    bloom
}

impl SimBlock {
    /// The row of its header, with the number of its watched logs.
    pub(super) fn row(&self, logs: usize) -> Row {
        Row::from([
            ("number", number(self.number)),
            ("hash", bytea(self.hash)),
            ("parent_hash", bytea(self.parent_hash)),
            ("block_at", number(self.timestamp)),
            ("log_count", number(logs)),
        ])
    }
}
