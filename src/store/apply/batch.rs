//! What the follower hands over for one transaction, and what it hears back.
//!
//! A batch is checked as a whole before the database is touched: heights rise, neighbours link, every block above
//! finality is there, logs are in order and belong to their block. A batch that does not fit is a defect of the caller.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::flips::FlipCount;
use crate::block::{Block, BlockRef};
use crate::id::AgentId;
use crate::store::error::StoreError;

/// The newest block of a batch or of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

impl Tip {
    /// The block's name.
    #[must_use]
    pub fn block(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }
}

/// A step of a network's history: what to undo, then what to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Where the caller thinks the cursor is.
    pub expected_tip: Option<BlockRef>,
    /// Undo all blocks above this one first.
    pub rewind_to: Option<u64>,
    /// The blocks to add, rising: above finality every one, below it only those with logs.
    pub blocks: Vec<Block>,
    /// The newest block afterwards; at or above the last of `blocks`, above it only where that is final.
    pub tip: Tip,
    /// The newest block known to be final, not above `tip`; nothing or a lower one than before changes nothing (F16).
    pub finalized: Option<BlockRef>,
    /// The newest block known to be proposed on L1; nothing where the network does not tell.
    pub safe: Option<u64>,
}

impl Batch {
    /// Checks that the blocks fit together on top of `base`, the newest block that is kept, where blocks up to
    /// `finalized` are final.
    pub(in crate::store) fn check(
        &self,
        base: Option<u64>,
        start: u64,
        finalized: Option<u64>,
    ) -> Result<(), StoreError> {
        self.check_numbers()?;
        let tip = self.tip.block();
        if base.is_some_and(|base| self.tip.number < base) {
            return Err(unfit(format!("the new tip {} is below what is kept", tip.number)));
        }
        if self.finalized.is_some_and(|finalized| finalized.number > tip.number) {
            return Err(unfit(format!("a block above the new tip {} is said to be final", tip.number)));
        }
        if let Some(first) = self.blocks.first()
            && base.is_some_and(|base| first.header.number <= base)
        {
            return Err(unfit(format!("block {} is added below what is kept", first.header.number)));
        }
        for pair in self.blocks.windows(2) {
            let (low, high) = (&pair[0].header, &pair[1].header);
            if high.number <= low.number || (high.number == low.number + 1 && high.parent_hash != low.hash) {
                return Err(unfit(format!("block {} does not follow block {}", high.number, low.number)));
            }
        }
        if let Some(last) = self.blocks.last()
            && (last.header.number > tip.number || (last.header.number == tip.number && last.header.hash != tip.hash))
        {
            return Err(unfit(format!("block {} does not fit below the tip {}", last.header.number, tip.number)));
        }
        // Above finality a missing header would leave a reorg unseen (F18).
        let lowest = [base.map(|base| base + 1), finalized.map(|finalized| finalized + 1)].into_iter().flatten().max();
        let lowest = lowest.unwrap_or(start);
        let needed = (tip.number + 1).saturating_sub(lowest);
        let given = self.blocks.iter().filter(|block| block.header.number >= lowest).count() as u64;
        if given != needed {
            return Err(unfit(format!("{given} of the {needed} blocks from {lowest} to {} are given", tip.number)));
        }
        self.blocks.iter().try_for_each(check_logs)
    }

    /// Whatever the tables hold as BIGINT or INTEGER must fit.
    fn check_numbers(&self) -> Result<(), StoreError> {
        check_heights(&self.blocks)?;
        check_height(self.tip.number, self.tip.timestamp)
    }
}

/// Checks each block by itself: its numbers fit the tables, its logs are its own and in order.
pub(in crate::store) fn check_blocks(blocks: &[Block]) -> Result<(), StoreError> {
    check_heights(blocks)?;
    blocks.iter().try_for_each(check_logs)
}

fn check_heights(blocks: &[Block]) -> Result<(), StoreError> {
    blocks.iter().try_for_each(|block| check_height(block.header.number, block.header.timestamp))
}

fn check_height(number: u64, timestamp: u64) -> Result<(), StoreError> {
    if i64::try_from(number).is_err() || i64::try_from(timestamp).is_err() {
        return Err(unfit(format!("block {number} at {timestamp} is beyond 2^63")));
    }
    Ok(())
}

fn check_logs(block: &Block) -> Result<(), StoreError> {
    let name = block.header.block();
    if let Some(stray) = block.logs.iter().find(|decoded| decoded.log.block != name) {
        return Err(unfit(format!("a log of block {} is listed in block {}", stray.log.block.number, name.number)));
    }
    let indexes: Vec<u32> = block.logs.iter().map(|decoded| decoded.log.log_index).collect();
    let rising = indexes.windows(2).all(|pair| pair[0] < pair[1]);
    if !rising || indexes.last().is_some_and(|last| i32::try_from(*last).is_err()) {
        return Err(unfit(format!("the logs of block {} are not in rising order", name.number)));
    }
    match block.logs.iter().find(|decoded| decoded.log.topics.len() > 4) {
        Some(_) => Err(unfit(format!("a log of block {} has more than four topics", name.number))),
        None => Ok(()),
    }
}

pub(super) fn unfit(reason: String) -> StoreError {
    StoreError::Batch { reason: format!("blocks do not fit together ({reason}); this is a defect, please report it") }
}

/// What a transaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Events by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Manifest flips by agent.
    pub flips: BTreeMap<AgentId, FlipCount>,
    /// Logs that are no known event, or malformed.
    pub undecoded: u64,
    /// Rows inserted.
    pub rows: u64,
    /// What was undone, where that was asked for.
    pub rewound: Option<Rewound>,
    /// The sequence number of the commit.
    pub seq: u64,
    /// SQL statements sent: the same number whatever the number of rows.
    pub statements: u32,
}

/// What a rewind undid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rewound {
    /// The newest block before.
    pub from: u64,
    /// The newest block kept.
    pub to: u64,
    /// Blocks undone.
    pub depth: u64,
    /// Agents that an undone block had named.
    pub agents: u64,
}
