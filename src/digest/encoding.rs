//! The canonical encoding of logs and events, version 1: the bytes that are hashed. `docs/digest.md` has it in words.
//!
//! Both encodings have one layout, and no two logs share one: everything of variable length comes behind its length.
//! An event is encoded as the log that a Solidity contract emits for it, under the signature of its own generation; so
//! its encoding differs from its log's only where the contract did not encode canonically.

use alloy::primitives::{Address, B256};

use crate::event::Event;

/// Bytes of an encoding besides topics and data.
const FIXED_BYTES: usize = 8 + 8 + 32 + 4 + 32 + 20 + 1 + 4 + 4;

/// A log of a watched contract and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Emitted<'a> {
    /// The network (EIP-155).
    pub chain_id: u64,
    /// The block's height.
    pub block_number: u64,
    /// The block's hash.
    pub block_hash: B256,
    /// The transaction; zero where an endpoint does not tell.
    pub transaction_hash: B256,
    /// The transaction's place in the block.
    pub transaction_index: u32,
    /// The log's place in the block.
    pub log_index: u32,
    /// The contract.
    pub address: Address,
    /// None to four topics.
    pub topics: &'a [B256],
    /// The data.
    pub data: &'a [u8],
}

impl Emitted<'_> {
    /// The element of the log itself.
    #[must_use]
    pub fn encode_log(&self) -> Vec<u8> {
        let mut out = self.encode(self.topics, self.data);
        out.extend_from_slice(&self.transaction_index.to_be_bytes());
        out
    }

    /// The element of the event that the log decoded to.
    #[must_use]
    pub fn encode_event(&self, event: &Event) -> Vec<u8> {
        let (topics, data) = event.encode();
        self.encode(&topics, &data)
    }

    fn encode(&self, topics: &[B256], data: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES + 32 * topics.len() + data.len());
        out.extend_from_slice(&self.chain_id.to_be_bytes());
        out.extend_from_slice(&self.block_number.to_be_bytes());
        out.extend_from_slice(self.block_hash.as_slice());
        out.extend_from_slice(&self.log_index.to_be_bytes());
        out.extend_from_slice(self.transaction_hash.as_slice());
        out.extend_from_slice(self.address.as_slice());
        out.push(u8::try_from(topics.len()).expect("the EVM has logs of up to four topics"));
        for topic in topics {
            out.extend_from_slice(topic.as_slice());
        }
        out.extend_from_slice(&u32::try_from(data.len()).expect("a log of 4 GiB fits no block").to_be_bytes());
        out.extend_from_slice(data);
        out
    }
}
