//! Blocks and logs as this node holds them: plain values, apart from any wire format.
//!
//! A [`Block`] owns the logs of watched contracts in it, in log order, each with what it decoded to. A [`Transaction`] is one
//! that somebody named, with all of its logs; [`payments`] are what it paid.

mod payment;

use alloy::primitives::{Address, B256, Bloom, Bytes, U256};

use crate::event::{Event, Undecoded};

pub use self::payment::{Means, Payment, payments};

/// A block, named so that another block of the same height cannot be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlockRef {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// What is needed of a block's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block below it.
    pub parent_hash: B256,
    /// Seconds since 1970; consecutive blocks may share one.
    pub timestamp: u64,
    /// The bloom over its logs; some endpoints leave it out.
    pub logs_bloom: Option<Box<Bloom>>,
}

impl Header {
    /// The block's name.
    #[must_use]
    pub fn block(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }
}

/// Bytes of a log in an endpoint's answer, about, besides its data: topics, hashes, and their names.
const JSON_BYTES_BESIDE_DATA: usize = 700;

/// A log, as the chain has it: of a watched contract, or of a transaction that somebody named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The contract.
    pub address: Address,
    /// None to four topics.
    pub topics: Vec<B256>,
    /// The data.
    pub data: Bytes,
    /// The block it is in.
    pub block: BlockRef,
    /// The transaction; zero where an endpoint does not tell (F8).
    pub transaction_hash: B256,
    /// The transaction's place in the block.
    pub transaction_index: u32,
    /// The log's place in the block: with the block's hash its identity.
    pub log_index: u32,
}

impl Log {
    /// Bytes of it in an endpoint's answer, about.
    #[must_use]
    pub fn json_bytes(&self) -> usize {
        JSON_BYTES_BESIDE_DATA + 2 * self.data.len()
    }
}

/// A log and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedLog {
    /// The log itself, kept whatever it says.
    pub log: Log,
    /// Its event, or why it is none.
    pub event: Result<Event, Undecoded>,
}

/// A block with the logs of watched contracts in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its header.
    pub header: Header,
    /// Its logs in rising order of `log_index`.
    pub logs: Vec<DecodedLog>,
}

/// A transaction that a block holds, with what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Its hash.
    pub hash: B256,
    /// The block it is in.
    pub block: BlockRef,
    /// When that block was made, in seconds since 1970.
    pub timestamp: u64,
    /// Who sent it.
    pub from: Address,
    /// Whom it calls or pays; nothing where it makes a contract.
    pub to: Option<Address>,
    /// How much of the chain's own coin it moves to that account, in its smallest unit.
    pub value: U256,
    /// What it calls with.
    pub input: Bytes,
    /// Whether it did what it says; else all of it was undone.
    pub succeeded: bool,
    /// The logs that it left, of whatever contracts, in rising order of `log_index`; none where it failed.
    pub logs: Vec<Log>,
}

/// How sure it is that a block stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Finality {
    /// Above `finalized` on a network that tells no more.
    Unsafe,
    /// Taiko: sequenced on L2, not yet proposed on L1.
    Preconfirmed,
    /// Proposed on L1: only an L1 reorg moves it.
    Safe,
    /// Proof-finalized: does not move.
    Finalized,
}

/// How it was shown that what is stored of a block is what the chain has, from the weakest way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// The logs were asked for once more, of every endpoint: as good as the best of them.
    LogsAgain,
    /// Headers that hash to linked hashes, and their blooms: that a contract has no log in a block is proven, that it
    /// has exactly these is not.
    Bloom,
    /// Receipts that hash to the header's receipts root: proven, log by log.
    ReceiptsRoot,
}

impl Method {
    /// Its name in the database, in GraphQL and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LogsAgain => "LOGS_AGAIN",
            Self::Bloom => "BLOOM",
            Self::ReceiptsRoot => "RECEIPTS_ROOT",
        }
    }

    /// The method of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::LogsAgain, Self::Bloom, Self::ReceiptsRoot].into_iter().find(|method| method.name() == name)
    }
}
