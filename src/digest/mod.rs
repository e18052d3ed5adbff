//! The state digest: what a network's history says up to a block, as two numbers that any order of events gives.
//!
//! [`StateDigest`] adds up the canonical encodings of all logs of watched contracts (`raw_logs`) and of the events that
//! they decoded to (`events`). Adding is commutative and can be undone, so that a rewind subtracts what an apply added,
//! and two nodes agree at a block exactly when they hold the same logs and the same events up to it. The encoding is
//! written down in `docs/digest.md` and numbered by [`VERSION`]; it is changed only together with that number.

mod encoding;
mod lthash;

pub use self::encoding::Emitted;
pub use self::lthash::{LtHash, STATE_BYTES};
use crate::event::Event;

/// The version of the canonical encoding; it is part of every hash.
pub const VERSION: i16 = 1;

/// What a digest is of: each has its own hashes, so that no log can stand for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Decoded events.
    Events,
    /// Logs as they are, decodable or not.
    RawLogs,
}

/// The digest of a network's history up to a block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StateDigest {
    /// Of all decoded events.
    pub events: LtHash,
    /// How many events that are.
    pub event_count: u64,
    /// Of all logs of watched contracts.
    pub raw_logs: LtHash,
    /// How many logs that are.
    pub log_count: u64,
}

impl StateDigest {
    /// Adds a log and the event that it decoded to, if it did.
    pub fn add(&mut self, emitted: &Emitted<'_>, event: Option<&Event>) {
        self.raw_logs.add(Domain::RawLogs, &emitted.encode_log());
        self.log_count += 1;
        if let Some(event) = event {
            self.events.add(Domain::Events, &emitted.encode_event(event));
            self.event_count += 1;
        }
    }

    /// Takes a log and its event away again; both must have been added.
    pub fn subtract(&mut self, emitted: &Emitted<'_>, event: Option<&Event>) {
        self.raw_logs.subtract(Domain::RawLogs, &emitted.encode_log());
        self.log_count = self.log_count.wrapping_sub(1);
        if let Some(event) = event {
            self.events.subtract(Domain::Events, &emitted.encode_event(event));
            self.event_count = self.event_count.wrapping_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, Bytes};
    use serde_json::Value;

    use super::{Emitted, StateDigest};
    use crate::event::{Event, Role};

    /// What `tests/data/digest/vectors.py`, a program of its own, computed.
    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/data/digest/vectors.json")).expect("the vectors are JSON")
    }

    fn hex<const N: usize>(value: &Value) -> [u8; N] {
        let bytes = alloy::hex::decode(value.as_str().expect("hex")).expect("hex");
        bytes.try_into().expect("of that length")
    }

    struct VectorLog {
        number: u64,
        hash: B256,
        transaction: B256,
        transaction_index: u32,
        log_index: u32,
        address: Address,
        topics: Vec<B256>,
        data: Bytes,
    }

    impl VectorLog {
        fn read(log: &Value) -> Self {
            let number = |name: &str| log[name].as_u64().expect("a number");
            let small = |name: &str| u32::try_from(number(name)).expect("32 bits");
            Self {
                number: number("blockNumber"),
                hash: hex(&log["blockHash"]).into(),
                transaction: hex(&log["transactionHash"]).into(),
                transaction_index: small("transactionIndex"),
                log_index: small("logIndex"),
                address: hex(&log["address"]).into(),
                topics: log["topics"].as_array().expect("topics").iter().map(|topic| hex(topic).into()).collect(),
                data: alloy::hex::decode(log["data"].as_str().expect("hex")).expect("hex").into(),
            }
        }

        fn emitted(&self) -> Emitted<'_> {
            Emitted {
                chain_id: 167_000,
                block_number: self.number,
                block_hash: self.hash,
                transaction_hash: self.transaction,
                transaction_index: self.transaction_index,
                log_index: self.log_index,
                address: self.address,
                topics: &self.topics,
                data: &self.data,
            }
        }

        fn event(&self, role: &Value) -> Option<Event> {
            let role = Role::from_name(role.as_str()?).expect("a role");
            Event::decode(role, &self.topics, &self.data).ok()
        }
    }

    #[test]
    fn the_vectors_of_an_independent_program_are_met() {
        let vectors = vectors();
        let mut digest = StateDigest::default();
        let steps = vectors["steps"].as_array().expect("a list");
        assert!(steps.len() >= 4);
        for step in steps {
            let log = VectorLog::read(&step["log"]);
            let event = log.event(&step["role"]);
            assert_eq!(event.is_some(), step["eventElement"].is_string(), "the vector says what decodes");
            assert_eq!(alloy::hex::encode(log.emitted().encode_log()), step["rawElement"].as_str().expect("hex"));
            if let Some(event) = &event {
                let element = alloy::hex::encode(log.emitted().encode_event(event));
                assert_eq!(element, step["eventElement"].as_str().expect("hex"));
            }
            digest.add(&log.emitted(), event.as_ref());
            assert_eq!(alloy::hex::encode(digest.events.summary(super::Domain::Events)), step["events"]);
            assert_eq!(alloy::hex::encode(digest.raw_logs.summary(super::Domain::RawLogs)), step["rawLogs"]);
        }
        assert_eq!(alloy::hex::encode(&digest.events.to_bytes()[..]), vectors["eventsState"]);
        for step in steps {
            let log = VectorLog::read(&step["log"]);
            digest.subtract(&log.emitted(), log.event(&step["role"]).as_ref());
        }
        assert_eq!(digest, StateDigest::default());
    }
}
