//! Proves that answers belong together: headers to what was asked, logs to their blocks. Pure.
//!
//! No answer is trusted on its own (F1 to F11). A message here says what contradicts what; the caller adds the two
//! requests. A bloom only adds suspicion, because some chains serve empty or stale ones (F4).

use std::collections::{BTreeMap, HashMap};

use alloy::primitives::{Address, B256, Bloom, BloomInput};

use super::wire::{WireHeader, WireLog};
use crate::block::{BlockRef, DecodedLog, Header, Log};
use crate::config::{Contracts, Generations};
use crate::event::{Event, Role};

/// Most topics of a log (the EVM has LOG0 to LOG4).
const MAX_TOPICS: usize = 4;

/// Highest block and latest second that an endpoint may name; more fits no table and is nonsense.
const MAX_QUANTITY: u64 = i64::MAX.unsigned_abs();

/// Highest place of a log or a transaction in its block; more fits no table and is nonsense.
const MAX_PLACE: u32 = i32::MAX.unsigned_abs();

/// The contracts whose logs are kept.
pub(super) struct Watched {
    /// Their addresses, as an endpoint is asked for them.
    pub(super) addresses: Vec<Address>,
    roles: HashMap<Address, Role>,
    generations: Generations,
    /// For each address the bloom of itself, and the blooms of the topics that its role emits.
    blooms: Vec<(Address, Bloom, Vec<Bloom>)>,
}

impl std::fmt::Debug for Watched {
    /// Without the blooms, which nobody can read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watched").field(&self.roles).finish()
    }
}

impl Watched {
    pub(super) fn new(contracts: &Contracts) -> Self {
        let roles: HashMap<_, _> = contracts.all().map(|(role, _, address)| (address, role)).collect();
        let blooms = contracts.all().map(|(role, _, address)| {
            let topics = Event::topics(role).map(|topic| bloom_of(topic.as_slice())).collect();
            (address, bloom_of(address.as_slice()), topics)
        });
        Self {
            addresses: contracts.all().map(|(_, _, address)| address).collect(),
            blooms: blooms.collect(),
            roles,
            generations: contracts.generations.clone(),
        }
    }

    /// Whether the logs of that contract are kept.
    pub(super) fn holds(&self, address: Address) -> bool {
        self.roles.contains_key(&address)
    }

    /// A log of a watched contract with what it says; nothing for another contract's.
    pub(super) fn decode(&self, log: Log) -> Option<DecodedLog> {
        let role = *self.roles.get(&log.address)?;
        let generation = self.generations.0.get(&log.address).copied();
        Some(DecodedLog { event: Event::decode_of(role, generation, &log.topics, &log.data), log })
    }
}

fn bloom_of(bytes: &[u8]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    bloom.accrue(BloomInput::Raw(bytes));
    bloom
}

/// The header, if it is one of a sealed block and of the height that was asked, in numbers that can be stored.
pub(super) fn header(asked: Option<u64>, wire: WireHeader) -> Result<Header, String> {
    let (Some(number), Some(hash)) = (wire.number, wire.hash) else { return Err("the block is pending".into()) };
    let (number, timestamp): (u64, u64) = (number.to(), wire.timestamp.to());
    match asked {
        Some(asked) if asked != number => Err(format!("the answer is block {number}")),
        _ if number > MAX_QUANTITY || timestamp > MAX_QUANTITY => {
            Err(format!("block {number} at {timestamp} is beyond 2^63"))
        }
        _ => Ok(Header { number, hash, parent_hash: wire.parent_hash, timestamp, logs_bloom: wire.logs_bloom }),
    }
}

/// Whether neighbours in height are parent and child. Headers of heights apart prove nothing.
pub(super) fn linked(headers: &[Header]) -> Result<(), String> {
    for pair in headers.windows(2) {
        if pair[1].number == pair[0].number + 1 && pair[1].parent_hash != pair[0].hash {
            return Err(format!(
                "block {} has the parent {} where block {} is {}",
                pair[1].number, pair[1].parent_hash, pair[0].number, pair[0].hash
            ));
        }
    }
    Ok(())
}

/// The logs of watched contracts by block, in order and each once; the caller holds them against headers. An answer with
/// logs marked as removed is of a branch that is gone, and what is left without them would look like a block without
/// logs: it is refused, so that the chain is looked at again (F10).
pub(super) fn logs(
    watched: &Watched,
    from: u64,
    to: u64,
    wire: Vec<WireLog>,
) -> Result<BTreeMap<u64, Vec<Log>>, String> {
    let mut blocks = BTreeMap::<u64, Vec<Log>>::new();
    for log in wire {
        if !watched.roles.contains_key(&log.address) {
            continue;
        }
        if log.removed {
            return Err("a log is marked as removed: the chain changed while it was read".into());
        }
        let log = sealed(log)?;
        if !(from..=to).contains(&log.block.number) {
            return Err(format!("a log is of block {}", log.block.number));
        }
        blocks.entry(log.block.number).or_default().push(log);
    }
    for logs in blocks.values_mut() {
        logs.sort_by_key(|log| log.log_index);
        // The same log twice is one; two logs in one place are a contradiction (F7).
        logs.dedup();
        ordered(logs)?;
    }
    Ok(blocks)
}

/// A log of a sealed block (F11).
pub(super) fn sealed(log: WireLog) -> Result<Log, String> {
    let (Some(number), Some(hash), Some(log_index)) = (log.block_number, log.block_hash, log.log_index) else {
        return Err("a log is not of a sealed block".into());
    };
    if log.topics.len() > MAX_TOPICS {
        return Err(format!("a log has {} topics", log.topics.len()));
    }
    let narrow = |number: u64| match u32::try_from(number) {
        Ok(place) if place <= MAX_PLACE => Ok(place),
        _ => Err(format!("a log has the place {number} in its block")),
    };
    Ok(Log {
        address: log.address,
        topics: log.topics,
        data: log.data,
        block: BlockRef { number: number.to(), hash },
        transaction_hash: log.transaction_hash.unwrap_or(B256::ZERO),
        transaction_index: narrow(log.transaction_index.unwrap_or_default().to())?,
        log_index: narrow(log_index.to())?,
    })
}

/// One block, one log in one place, and transactions in the order of their logs (unless an endpoint hides them, F8).
fn ordered(logs: &[Log]) -> Result<(), String> {
    for pair in logs.windows(2) {
        let [first, second] = pair else { continue };
        if first.block.hash != second.block.hash {
            let (number, one, other) = (first.block.number, first.block.hash, second.block.hash);
            return Err(format!("the logs of block {number} are of two blocks, {one} and {other}"));
        }
        if first.log_index == second.log_index {
            return Err(format!("two logs of block {} have the place {}", first.block.number, first.log_index));
        }
        let hidden = first.transaction_hash.is_zero() || second.transaction_hash.is_zero();
        if !hidden && first.transaction_index > second.transaction_index {
            return Err(format!(
                "log {} of block {} is of a later transaction than log {}",
                first.log_index, first.block.number, second.log_index
            ));
        }
    }
    Ok(())
}

/// Whether the logs are of the header's block.
pub(super) fn belong(header: &Header, logs: &[Log]) -> Result<(), String> {
    match logs.iter().find(|log| log.block != header.block()) {
        Some(log) => Err(format!(
            "a log is of block {} {} where the header is of {} {}",
            log.block.number, log.block.hash, header.number, header.hash
        )),
        None => Ok(()),
    }
}

/// A watched contract that, as the bloom has it, emitted a known event, but has no log here (F3). It may be chance: a
/// bloom has false positives. An empty bloom says nothing (F4).
pub(super) fn missing(watched: &Watched, header: &Header, logs: &[Log]) -> Option<Address> {
    let bloom = header.logs_bloom.as_deref().filter(|bloom| !bloom.is_zero())?;
    let suspicious = |(address, own, topics): &&(Address, Bloom, Vec<Bloom>)| {
        bloom.contains(own)
            && topics.iter().any(|topic| bloom.contains(topic))
            && !logs.iter().any(|log| log.address == *address)
    };
    watched.blooms.iter().find(suspicious).map(|(address, ..)| *address)
}

/// Whether there is a log whose contract or topic the bloom does not hold: it is of another block, or of none.
pub(super) fn stray(bloom: &Bloom, logs: &[Log]) -> bool {
    let holds = |bytes: &[u8]| bloom.contains(&bloom_of(bytes));
    logs.iter().any(|log| !holds(log.address.as_slice()) || !log.topics.iter().all(|topic| holds(topic.as_slice())))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, Bloom, BloomInput, Bytes, U64, address};

    use super::{Watched, belong, header as sealed_header, linked, logs, missing};
    use crate::block::{BlockRef, Header};
    use crate::chain::wire::{WireHeader, WireLog};
    use crate::config::{Addresses, Contracts};
    use crate::event::IdentityEvent;

    const REGISTRY: Address = address!("8004A169FB4a3325136EB29fA0ceB6D2e539a432");

    fn watched() -> Watched {
        Watched::new(&Contracts { identity: Addresses(vec![REGISTRY]), ..Contracts::default() })
    }

    fn hash(number: u8) -> B256 {
        B256::repeat_byte(number)
    }

    fn header(number: u8) -> Header {
        let parent_hash = hash(number.wrapping_sub(1));
        Header { number: number.into(), hash: hash(number), parent_hash, timestamp: 0, logs_bloom: None }
    }

    fn log(block: u8, index: u64) -> WireLog {
        WireLog {
            address: REGISTRY,
            topics: vec![IdentityEvent::ALL[0].2],
            data: Bytes::new(),
            block_number: Some(U64::from(block)),
            block_hash: Some(hash(block)),
            transaction_hash: Some(B256::repeat_byte(9)),
            transaction_index: Some(U64::from(index / 10)),
            log_index: Some(U64::from(index)),
            removed: false,
        }
    }

    fn places(wire: Vec<WireLog>) -> Result<Vec<(u64, u32)>, String> {
        let blocks = logs(&watched(), 1, 9, wire)?;
        Ok(blocks.into_values().flatten().map(|log| (log.block.number, log.log_index)).collect())
    }

    #[test]
    fn logs_come_in_order_by_block() {
        assert_eq!(places(vec![log(5, 3), log(2, 7), log(5, 1)]), Ok(vec![(2, 7), (5, 1), (5, 3)]));
    }

    #[test]
    fn f7_identical_duplicates_are_one_and_others_a_contradiction() {
        assert_eq!(places(vec![log(5, 3), log(5, 3)]), Ok(vec![(5, 3)]));
        let other = WireLog { data: Bytes::from_static(b"x"), ..log(5, 3) };
        assert!(places(vec![log(5, 3), other]).is_err());
    }

    #[test]
    fn f8_a_hidden_transaction_is_not_fatal() {
        let hidden = WireLog { transaction_hash: Some(B256::ZERO), transaction_index: None, ..log(5, 30) };
        assert_eq!(places(vec![log(5, 20), hidden]), Ok(vec![(5, 20), (5, 30)]));
        let late = WireLog { transaction_index: Some(U64::from(0)), ..log(5, 30) };
        assert!(places(vec![log(5, 20), late]).is_err());
    }

    #[test]
    fn f10_an_answer_with_removed_logs_is_refused() {
        assert!(places(vec![WireLog { removed: true, ..log(5, 3) }, log(5, 4)]).is_err());
        let of_another = WireLog { removed: true, address: Address::ZERO, ..log(5, 3) };
        assert_eq!(places(vec![of_another, log(5, 4)]), Ok(vec![(5, 4)]));
    }

    #[test]
    fn f11_logs_of_no_sealed_block_or_outside_the_range_are_refused() {
        assert!(places(vec![WireLog { block_number: None, ..log(5, 3) }]).is_err());
        assert!(places(vec![WireLog { block_hash: None, ..log(5, 3) }]).is_err());
        assert!(places(vec![log(10, 0)]).is_err());
    }

    #[test]
    fn logs_of_two_blocks_at_one_height_are_a_contradiction() {
        assert!(places(vec![log(5, 3), WireLog { block_hash: Some(hash(6)), ..log(5, 4) }]).is_err());
    }

    #[test]
    fn logs_of_other_contracts_and_hostile_numbers() {
        assert_eq!(places(vec![WireLog { address: Address::ZERO, ..log(5, 3) }]), Ok(vec![]));
        for nonsense in [1 << 31, u64::MAX] {
            assert!(places(vec![WireLog { log_index: Some(U64::from(nonsense)), ..log(5, 3) }]).is_err());
            assert!(places(vec![WireLog { transaction_index: Some(U64::from(nonsense)), ..log(5, 3) }]).is_err());
        }
        assert!(places(vec![WireLog { topics: vec![B256::ZERO; 5], ..log(5, 3) }]).is_err());
    }

    #[test]
    fn a_header_that_fits_no_table_is_refused() {
        let wire = |number: u64, timestamp: u64| WireHeader {
            number: Some(U64::from(number)),
            hash: Some(hash(1)),
            parent_hash: hash(0),
            timestamp: U64::from(timestamp),
            logs_bloom: None,
        };
        assert!(sealed_header(None, wire(1, 1)).is_ok());
        assert!(sealed_header(None, wire(1 << 63, 1)).is_err());
        assert!(sealed_header(None, wire(1, 1 << 63)).is_err());
    }

    #[test]
    fn membership_is_by_hash() {
        let blocks = logs(&watched(), 1, 9, vec![log(5, 3)]).expect("the log is sound");
        assert_eq!(belong(&header(5), &blocks[&5]), Ok(()));
        assert!(belong(&Header { hash: hash(6), ..header(5) }, &blocks[&5]).is_err());
    }

    #[test]
    fn neighbours_must_be_linked() {
        assert_eq!(linked(&[header(1), header(2), header(7)]), Ok(()));
        assert!(linked(&[header(1), Header { parent_hash: hash(9), ..header(2) }]).is_err());
    }

    #[test]
    fn f3_a_bloom_with_our_contract_but_no_logs_is_suspicious() {
        let mut bloom = Bloom::ZERO;
        bloom.accrue(BloomInput::Raw(REGISTRY.as_slice()));
        let only_address = Header { logs_bloom: Some(Box::new(bloom)), ..header(5) };
        assert_eq!(missing(&watched(), &only_address, &[]), None);
        bloom.accrue(BloomInput::Raw(IdentityEvent::ALL[0].2.as_slice()));
        let both = Header { logs_bloom: Some(Box::new(bloom)), ..header(5) };
        assert_eq!(missing(&watched(), &both, &[]), Some(REGISTRY));
        let present = logs(&watched(), 1, 9, vec![log(5, 3)]).expect("the log is sound");
        assert_eq!(missing(&watched(), &both, &present[&5]), None);
    }

    #[test]
    fn f4_an_empty_bloom_says_nothing() {
        let empty = Header { logs_bloom: Some(Box::new(Bloom::ZERO)), ..header(5) };
        assert_eq!(missing(&watched(), &empty, &[]), None);
        assert_eq!(missing(&watched(), &header(5), &[]), None);
        let block = BlockRef { number: 5, hash: hash(5) };
        assert_eq!(header(5).block(), block);
    }
}
