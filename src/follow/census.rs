//! Before a range of final blocks is committed: do the registries' counters have a hole in it?
//!
//! Agent ids and feedback indexes rise by one. Between two of them in one range nothing may be missing, so a hole is a
//! reason to ask everybody for the range once more (F5). It is a suspicion only: what nobody else shows either is
//! committed as it is, and a contract that does not keep count is soon asked about no more.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::{Address, U256};
use tracing::{debug, warn};

use crate::block::Block;
use crate::chain::Range;
use crate::event::{Event, IdentityEvent, ReputationEvent};

use super::{FollowError, Follower, unstable};

/// Suspicions in vain after which this process looks for holes of a contract no more.
const MAX_VAIN: u32 = 3;

/// Suspicions that came to nothing, by contract.
#[derive(Debug, Default)]
pub(super) struct VainSuspicions(BTreeMap<Address, u32>);

impl VainSuspicions {
    /// Whether a contract is known not to keep count.
    fn is_given_up(&self, contract: Address) -> bool {
        self.0.get(&contract).is_some_and(|vain| *vain >= MAX_VAIN)
    }

    /// Counts one more; tells the contracts that are given up by it.
    fn count(&mut self, contracts: &BTreeSet<Address>) -> Vec<Address> {
        let mut given_up = Vec::new();
        for contract in contracts {
            let vain = self.0.entry(*contract).or_default();
            *vain += 1;
            if *vain == MAX_VAIN {
                given_up.push(*contract);
            }
        }
        given_up
    }
}

/// Most blocks of one range that are fetched by themselves; what differs in more is left to the audit.
const MAX_FILLED: usize = 200;

impl Follower {
    /// The range with what its answer left out, where a hole in a counter showed that something is missing and
    /// somebody has it.
    pub(super) async fn without_holes(&mut self, mut range: Range) -> Result<Range, FollowError> {
        let mut suspicious = with_holes(&range.blocks);
        suspicious.retain(|contract| !self.vain_suspicions.is_given_up(*contract));
        if suspicious.is_empty() {
            return Ok(range);
        }
        let (from, to) = (range.from, range.to.number);
        let shown = match self.chain.logs_again(from, to).await {
            Ok(shown) => shown,
            Err(error) => {
                warn!(from, to, %error, "a counter has a hole and nobody can be asked about it; the audit will look again");
                return Ok(range);
            }
        };
        let held: HashMap<u64, usize> =
            range.blocks.iter().map(|block| (block.header.number, block.logs.len())).collect();
        let told = shown.iter().flat_map(|shown| &shown.logs);
        let fuller: BTreeSet<u64> = told
            .filter(|(number, logs)| logs.len() > held.get(number).copied().unwrap_or(0))
            .map(|(number, _)| *number)
            .take(MAX_FILLED)
            .collect();
        if fuller.is_empty() {
            for contract in self.vain_suspicions.count(&suspicious) {
                warn!(%contract, "the contract's numbers have holes that no endpoint fills; they are looked into no more");
            }
            debug!(from, to, "a counter has a hole that no endpoint fills");
            return Ok(range);
        }
        warn!(from, to, blocks = fuller.len(), "an endpoint left out logs that a counter misses and others have");
        for number in fuller {
            let Some(block) = self.whole_block(number, &range).await? else {
                warn!(block = number, "nothing proves what was left out of the block; it is left to the audit");
                continue;
            };
            let place = range.blocks.binary_search_by_key(&number, |block| block.header.number);
            match place {
                Ok(place) => range.blocks[place] = block,
                Err(place) => range.blocks.insert(place, block),
            }
        }
        Ok(range)
    }

    /// The block with all its logs, where that is settled, and nobody knows it under another hash.
    async fn whole_block(&self, number: u64, range: &Range) -> Result<Option<Block>, FollowError> {
        let sealed = self.chain.sealed(number, number).await?;
        let Some(sealed) = sealed.first() else { return Ok(None) };
        let hash = sealed.header.hash;
        let known = range.blocks.iter().map(|block| &block.header).chain([&range.to]);
        for header in known {
            let changed = header.number == number && header.hash != hash;
            if changed || (header.number == number + 1 && header.parent_hash != hash) {
                return Err(unstable(format!("block {number} changed")));
            }
        }
        if self.chain.settle_hash(sealed.header.block()).await.is_err() {
            return Ok(None);
        }
        Ok(self.chain.settled_block(sealed).await?)
    }
}

/// Which counter of a contract: its agents, or what a client says about one of them.
type Counter = (Address, Option<(U256, Address)>);

/// The contracts of which a counter leaves out a number in these blocks.
fn with_holes(blocks: &[Block]) -> BTreeSet<Address> {
    let mut counters: BTreeMap<Counter, BTreeSet<U256>> = BTreeMap::new();
    for decoded in blocks.iter().flat_map(|block| &block.logs) {
        let (of, number) = match &decoded.event {
            Ok(Event::Identity(IdentityEvent::Registered { agent_id, .. })) => (None, *agent_id),
            Ok(Event::Reputation(ReputationEvent::NewFeedback {
                agent_id, client_address, feedback_index, ..
            })) => (Some((*agent_id, *client_address)), U256::from(*feedback_index)),
            _ => continue,
        };
        counters.entry((decoded.log.address, of)).or_default().insert(number);
    }
    let has_hole = |numbers: &BTreeSet<U256>| match (numbers.first(), numbers.last()) {
        (Some(first), Some(last)) => last - first >= U256::from(numbers.len()),
        _ => false,
    };
    counters.iter().filter(|(_, numbers)| has_hole(numbers)).map(|((contract, _), _)| *contract).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alloy::primitives::{Address, B256, Bytes, U256};

    use super::{MAX_VAIN, VainSuspicions, with_holes};
    use crate::block::{Block, BlockRef, DecodedLog, Header, Log};
    use crate::event::{Event, IdentityEvent, Text};

    fn registered(contract: u8, agents: &[u64]) -> Vec<DecodedLog> {
        let decoded = |agent: &u64| {
            let (agent_id, agent_uri, owner) = (U256::from(*agent), Text::default(), Address::ZERO);
            let log = Log {
                address: Address::repeat_byte(contract),
                topics: vec![],
                data: Bytes::new(),
                block: BlockRef { number: 1, hash: B256::ZERO },
                transaction_hash: B256::ZERO,
                transaction_index: 0,
                log_index: 0,
            };
            DecodedLog { log, event: Ok(Event::Identity(IdentityEvent::Registered { agent_id, agent_uri, owner })) }
        };
        agents.iter().map(decoded).collect()
    }

    fn block(logs: Vec<DecodedLog>) -> Block {
        let (hash, parent_hash) = (B256::ZERO, B256::ZERO);
        Block { header: Header { number: 1, hash, parent_hash, timestamp: 0, logs_bloom: None }, logs }
    }

    #[test]
    fn f5_a_number_that_is_left_out_is_a_hole() {
        for (agents, hole) in [
            (&[][..], false),
            (&[7], false),
            (&[7, 8, 9], false),
            (&[7, 9], true),
            (&[0, 1, 2, 4], true),
            (&[7, 7, 8], false),
        ] {
            assert_eq!(!with_holes(&[block(registered(1, agents))]).is_empty(), hole, "{agents:?}");
        }
        let (one, other) = (block(registered(1, &[1, 2])), block(registered(2, &[40, 41])));
        assert!(with_holes(&[one, other]).is_empty(), "each registry counts by itself");
    }

    #[test]
    fn f5_a_contract_that_does_not_keep_count_is_given_up_by_itself() {
        let (odd, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        assert_eq!(with_holes(&[block(registered(1, &[1, 5])), block(registered(2, &[1, 2]))]), BTreeSet::from([odd]));
        let mut vain = VainSuspicions::default();
        let given_up: Vec<_> = (0..=MAX_VAIN).map(|_| vain.count(&BTreeSet::from([odd]))).collect();
        assert_eq!(given_up, [vec![], vec![], vec![odd], vec![]], "it is told once");
        assert!(vain.is_given_up(odd) && !vain.is_given_up(other));
    }
}
