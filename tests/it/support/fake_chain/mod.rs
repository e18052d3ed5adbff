//! A deterministic chain in memory, served over real HTTP and WebSocket on free loopback ports.
//!
//! A [`FakeChain`] is what is true: blocks with logs, forks, finality. A [`FakeEndpoint`] is how somebody tells it:
//! each has its own lag, limits and faults. Hashes depend only on what was mined, so a story gives the same chain each time.
//!
//! ```ignore
//! let chain = FakeChain::new(167_000);
//! chain.mine([(REGISTRY, registered(0))]);
//! chain.endpoint().fail("eth_getLogs", 2, Fault::EmptyLogs);
//! chain.reorg(3, vec![vec![], vec![(REGISTRY, registered(1))]]);
//! ```

mod endpoint;
pub(crate) mod trie;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use alloy::primitives::{Address, B256, Bloom, BloomInput, Bytes, keccak256};
use meikan::block::BlockRef;
use meikan::event::Event;
use serde_json::{Value, json};
use tokio::sync::broadcast;

pub(crate) use self::endpoint::{FakeEndpoint, Fault};

/// Seconds since 1970 of block 0.
const GENESIS_AT: u64 = 1_700_000_000;

/// Seconds between blocks.
const BLOCK_TIME_S: u64 = 2;

/// Heads and orders that a slow WebSocket may be behind.
const CHANNEL_MESSAGES: usize = 1_024;

/// A log as a contract emits it; an event, or bytes that are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawLog {
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
}

impl From<(Address, Event)> for RawLog {
    fn from((address, event): (Address, Event)) -> Self {
        let (topics, data) = event.encode();
        Self { address, topics, data }
    }
}

/// A block of the fake chain.
#[derive(Debug, Clone)]
pub(crate) struct FakeBlock {
    pub(crate) number: u64,
    pub(crate) hash: B256,
    pub(crate) parent_hash: B256,
    pub(crate) timestamp: u64,
    pub(crate) logs: Vec<RawLog>,
    /// Names the chain and the fork, so that no two blocks of different branches are alike.
    extra_data: Bytes,
    receipts_root: B256,
}

/// Gas that each transaction is said to have used.
const GAS: u64 = 21_000;

impl FakeBlock {
    pub(crate) fn block(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }

    fn header_json(&self) -> Value {
        json!({
            "number": hex(self.number), "hash": self.hash, "parentHash": self.parent_hash,
            "timestamp": hex(self.timestamp), "logsBloom": bloom(&self.logs), "receiptsRoot": self.receipts_root,
            "extraData": self.extra_data, "sha3Uncles": B256::ZERO, "miner": Address::ZERO, "stateRoot": B256::ZERO,
            "transactionsRoot": B256::ZERO, "difficulty": "0x0", "gasLimit": hex(GAS),
            "gasUsed": hex(self.logs.len() as u64 * GAS), "mixHash": B256::ZERO, "nonce": "0x0000000000000000",
            "baseFeePerGas": "0x7", "transactions": [],
        })
    }

    /// The hash of the header's fields, as every client makes it.
    fn seal(&self) -> B256 {
        let word = |word: B256| trie::string(word.as_slice());
        keccak256(trie::list(&[
            word(self.parent_hash),
            word(B256::ZERO),
            trie::string(Address::ZERO.as_slice()),
            word(B256::ZERO),
            word(B256::ZERO),
            word(self.receipts_root),
            trie::string(bloom(&self.logs).as_slice()),
            trie::number(0),
            trie::number(self.number),
            trie::number(GAS),
            trie::number(self.logs.len() as u64 * GAS),
            trie::number(self.timestamp),
            trie::string(&self.extra_data),
            word(B256::ZERO),
            trie::string(&[0; 8]),
            trie::number(7),
        ]))
    }

    /// The receipt of the log's transaction, of a type that depends on its place.
    fn receipt_json(&self, index: usize) -> Value {
        json!({
            "status": "0x1", "type": hex(receipt_type(index).into()), "cumulativeGasUsed": hex((index as u64 + 1) * GAS),
            "blockHash": self.hash, "blockNumber": hex(self.number), "transactionIndex": hex(index as u64),
            "logsBloom": bloom(&self.logs[index..=index]), "logs": [self.log_json(index)],
        })
    }

    /// Each log is of a transaction of its own.
    fn log_json(&self, index: usize) -> Value {
        let log = &self.logs[index];
        let index = index as u64;
        let transaction_hash = keccak256([self.hash.as_slice(), &index.to_be_bytes()].concat());
        json!({
            "address": log.address, "topics": log.topics, "data": log.data, "removed": false,
            "blockNumber": hex(self.number), "blockHash": self.hash, "logIndex": hex(index),
            "transactionIndex": hex(index), "transactionHash": transaction_hash,
        })
    }
}

fn bloom(logs: &[RawLog]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        bloom.accrue(BloomInput::Raw(log.address.as_slice()));
        for topic in &log.topics {
            bloom.accrue(BloomInput::Raw(topic.as_slice()));
        }
    }
    bloom
}

fn receipt_type(index: usize) -> u8 {
    [0, 2, 1, 4, 3][index % 5]
}

/// The root of the trie over the receipts of these logs, each of a transaction of its own.
fn receipts_root(logs: &[RawLog]) -> B256 {
    let receipts = logs.iter().enumerate().map(|(index, log)| {
        let topics: Vec<_> = log.topics.iter().map(|topic| trie::string(topic.as_slice())).collect();
        let log_item =
            trie::list(&[trie::string(log.address.as_slice()), trie::list(&topics), trie::string(&log.data)]);
        let body = trie::list(&[
            trie::number(1),
            trie::number((index as u64 + 1) * GAS),
            trie::string(bloom(std::slice::from_ref(log)).as_slice()),
            trie::list(&[log_item]),
        ]);
        if receipt_type(index) == 0 { body } else { [vec![receipt_type(index)], body].concat() }
    });
    trie::root(&receipts.collect::<Vec<_>>())
}

fn hex(number: u64) -> String {
    format!("{number:#x}")
}

/// What is true.
#[derive(Debug)]
struct Truth {
    chain_id: u64,
    blocks: Vec<FakeBlock>,
    finalized: Option<u64>,
    proposed: Option<u64>,
    /// Contracts, and the block in which each was deployed.
    code: HashMap<Address, u64>,
    calls: HashMap<(Address, Bytes), Bytes>,
    /// Forks so far: makes the blocks of a fork differ from those that they replace.
    forks: u64,
    /// The block from which on all have one time.
    stopped_at: Option<u64>,
}

impl Truth {
    fn append(&mut self, logs: Vec<RawLog>) -> BlockRef {
        let number = self.blocks.len() as u64;
        let parent_hash = self.blocks.last().map_or(B256::ZERO, |parent| parent.hash);
        let timestamp = GENESIS_AT + number.min(self.stopped_at.unwrap_or(number)) * BLOCK_TIME_S;
        let extra_data = [self.chain_id.to_be_bytes(), self.forks.to_be_bytes()].concat().into();
        let receipts_root = receipts_root(&logs);
        let unsealed = FakeBlock { number, hash: B256::ZERO, parent_hash, timestamp, logs, extra_data, receipts_root };
        let block = FakeBlock { hash: unsealed.seal(), ..unsealed };
        let named = block.block();
        self.blocks.push(block);
        named
    }
}

/// A chain. Clones are the same chain.
#[derive(Debug, Clone)]
pub(crate) struct FakeChain {
    truth: Arc<Mutex<Truth>>,
    heads: broadcast::Sender<Value>,
    first: Arc<FakeEndpoint>,
}

impl FakeChain {
    /// A chain with a genesis block and one endpoint. Needs a tokio runtime.
    pub(crate) fn new(chain_id: u64) -> Self {
        let truth = Truth {
            chain_id,
            blocks: vec![],
            finalized: None,
            proposed: None,
            code: HashMap::new(),
            calls: HashMap::new(),
            forks: 0,
            stopped_at: None,
        };
        let truth = Arc::new(Mutex::new(truth));
        truth.lock().unwrap().append(vec![]);
        let (heads, _) = broadcast::channel(CHANNEL_MESSAGES);
        let first = Arc::new(FakeEndpoint::serve(Arc::clone(&truth), heads.clone()));
        Self { truth, heads, first }
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().unwrap()
    }

    /// The first endpoint, which tells the truth until it is told otherwise.
    pub(crate) fn endpoint(&self) -> &FakeEndpoint {
        &self.first
    }

    /// The URL of the first endpoint.
    pub(crate) fn url(&self) -> String {
        self.first.url()
    }

    /// One more endpoint of the same chain.
    pub(crate) fn another_endpoint(&self) -> FakeEndpoint {
        FakeEndpoint::serve(Arc::clone(&self.truth), self.heads.clone())
    }

    /// Appends a block with these logs.
    pub(crate) fn mine<L: Into<RawLog>>(&self, logs: impl IntoIterator<Item = L>) -> BlockRef {
        let mut truth = self.truth();
        let block = truth.append(logs.into_iter().map(Into::into).collect());
        let head = truth.blocks.last().expect("a block was appended").header_json();
        // Nobody may be listening.
        let _ = self.heads.send(head);
        block
    }

    /// Appends blocks without logs.
    pub(crate) fn mine_empty(&self, blocks: u64) {
        for _ in 0..blocks {
            self.mine(Vec::<RawLog>::new());
        }
    }

    /// Replaces the newest `depth` blocks by these.
    pub(crate) fn reorg<L: Into<RawLog>>(&self, depth: u64, blocks: Vec<Vec<L>>) {
        {
            let mut truth = self.truth();
            let kept = truth.blocks.len() - usize::try_from(depth).expect("the depth is small");
            assert!(kept > 0, "the genesis block stays");
            truth.blocks.truncate(kept);
            truth.forks += 1;
        }
        for logs in blocks {
            self.mine(logs);
        }
    }

    /// Gives all blocks from now on the time of the newest one.
    pub(crate) fn stop_the_clock(&self) {
        let mut truth = self.truth();
        truth.stopped_at = Some(truth.blocks.len() as u64 - 1);
    }

    /// Calls this block and all below it final.
    pub(crate) fn finalize(&self, number: u64) {
        self.truth().finalized = Some(number);
    }

    /// Makes it a Taiko: this is the newest block proposed on L1.
    pub(crate) fn propose(&self, number: u64) {
        self.truth().proposed = Some(number);
    }

    /// Puts code at an address.
    pub(crate) fn deploy(&self, address: Address) {
        self.deploy_in(0, address);
    }

    /// Puts code at an address from that block on.
    pub(crate) fn deploy_in(&self, block: u64, address: Address) {
        self.truth().code.insert(address, block);
    }

    /// What a contract answers to a call; other calls revert.
    pub(crate) fn answer_call(&self, to: Address, data: Bytes, answer: Bytes) {
        self.truth().calls.insert((to, data), answer);
    }

    /// The block of that height.
    pub(crate) fn block(&self, number: u64) -> FakeBlock {
        self.truth().blocks[usize::try_from(number).expect("the height is small")].clone()
    }

    /// The newest block.
    pub(crate) fn head(&self) -> FakeBlock {
        self.truth().blocks.last().expect("there is a genesis block").clone()
    }
}
