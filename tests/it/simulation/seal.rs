//! Headers whose fields hash to their hash, and receipts whose trie has the header's root: what an audit proves with
//! (yellow paper, §4.3).

use alloy::primitives::{Address, B256, Bloom, keccak256};
use meikan::block::Log;
use serde_json::{Value, json};

use super::chain::{bloom, hex};
use crate::support::fake_chain::trie;

/// Gas that each transaction is said to have used.
const GAS: u64 = 21_000;

/// What a header says.
pub(super) struct Fields<'a> {
    pub(super) number: u64,
    pub(super) parent_hash: B256,
    pub(super) timestamp: u64,
    /// Names chain and branch.
    pub(super) extra_data: &'a [u8],
    pub(super) bloom: Bloom,
    pub(super) receipts_root: B256,
}

impl Fields<'_> {
    /// The header as JSON, with its hash.
    pub(super) fn sealed(&self) -> (B256, Value) {
        let word = |word: B256| trie::string(word.as_slice());
        let hash = keccak256(trie::list(&[
            word(self.parent_hash),
            word(B256::ZERO),
            trie::string(Address::ZERO.as_slice()),
            word(B256::ZERO),
            word(B256::ZERO),
            word(self.receipts_root),
            trie::string(self.bloom.as_slice()),
            trie::number(0),
            trie::number(self.number),
            trie::number(GAS),
            trie::number(GAS),
            trie::number(self.timestamp),
            trie::string(self.extra_data),
            word(B256::ZERO),
            trie::string(&[0; 8]),
            trie::number(7),
        ]));
        let header = json!({
            "number": hex(self.number), "hash": hash, "parentHash": self.parent_hash, "timestamp": hex(self.timestamp),
            "logsBloom": self.bloom, "receiptsRoot": self.receipts_root, "sha3Uncles": B256::ZERO,
            "miner": Address::ZERO, "stateRoot": B256::ZERO, "transactionsRoot": B256::ZERO, "difficulty": "0x0",
            "gasLimit": hex(GAS), "gasUsed": hex(GAS), "mixHash": B256::ZERO, "nonce": "0x0000000000000000",
            "extraData": format!("0x{}", alloy::hex::encode(self.extra_data)), "baseFeePerGas": "0x7",
            "transactions": [],
        });
        (hash, header)
    }
}

/// The logs by transaction.
fn transactions(logs: &[Log]) -> impl Iterator<Item = (u64, &[Log])> {
    logs.chunk_by(|one, next| one.transaction_index == next.transaction_index)
        .zip(0..)
        .map(|(logs, index)| (index, logs))
}

fn kind(index: u64) -> u8 {
    [0, 2, 1, 4, 3][usize::try_from(index % 5).expect("below five")]
}

/// The root of the trie over the receipts.
pub(super) fn receipts_root(logs: &[Log]) -> B256 {
    let receipts = transactions(logs).map(|(index, logs)| {
        let items: Vec<Vec<u8>> = logs.iter().map(log_item).collect();
        let body = trie::list(&[
            trie::number(1),
            trie::number((index + 1) * GAS),
            trie::string(bloom(logs).as_slice()),
            trie::list(&items),
        ]);
        if kind(index) == 0 { body } else { [vec![kind(index)], body].concat() }
    });
    trie::root(&receipts.collect::<Vec<_>>())
}

fn log_item(log: &Log) -> Vec<u8> {
    let topics: Vec<_> = log.topics.iter().map(|topic| trie::string(topic.as_slice())).collect();
    trie::list(&[trie::string(log.address.as_slice()), trie::list(&topics), trie::string(&log.data)])
}

/// The receipts of a block, with these logs as they are shown.
pub(super) fn receipts(logs: &[Log], mut shown: impl Iterator<Item = Value>) -> Value {
    let receipts = transactions(logs).map(|(index, logs)| {
        let shown: Vec<Value> = shown.by_ref().take(logs.len()).collect();
        json!({
            "status": "0x1", "type": hex(kind(index).into()), "cumulativeGasUsed": hex((index + 1) * GAS),
            "transactionIndex": hex(index), "logsBloom": bloom(logs), "logs": shown,
        })
    });
    receipts.collect()
}
