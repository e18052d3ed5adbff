//! A chain made by hand: blocks that link, with logs that the contracts would have emitted.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use meikan::block::{Block, BlockRef, DecodedLog, Header, Log};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::{EarlierReputationEvent, Event, ReputationEvent, Role};
use meikan::store::Tip;

/// The genesis of every test network.
pub(crate) const GENESIS: B256 = B256::repeat_byte(0x9e);
/// The block that test networks start at.
pub(crate) const START: u64 = 10;
/// The hash of the block below the first.
const ROOT: B256 = B256::repeat_byte(0x01);

/// The contract of a role: the first of them, or the second.
pub(crate) fn contract(role: Role, ordinal: u8) -> Address {
    let number = Role::ALL.iter().position(|other| *other == role).unwrap();
    Address::with_last_byte(0x80 + 16 * ordinal + u8::try_from(number).unwrap())
}

/// A network with two deployments of the registries, and one audit contract of each kind.
pub(crate) fn network(chain_id: u64) -> Network {
    let two = |role| Addresses(vec![contract(role, 0), contract(role, 1)]);
    let one = |role| Addresses(vec![contract(role, 0)]);
    Network {
        name: format!("net-{chain_id}"),
        chain_id,
        rpc_urls: vec!["http://localhost:1".into()],
        start_block: START,
        contracts: Contracts {
            identity: two(Role::Identity),
            reputation: two(Role::Reputation),
            validation: two(Role::Validation),
            audit_log: one(Role::AuditLog),
            agent_registry: one(Role::AgentRegistry),
            policy_engine: one(Role::PolicyEngine),
            executor: one(Role::Executor),
            ..Contracts::default()
        },
        follow: Follow::default(),
        ..Network::default()
    }
}

/// What a contract of a role says.
#[derive(Clone)]
pub(crate) struct Said {
    address: Address,
    role: Role,
    topics: Vec<B256>,
    data: Bytes,
}

/// An event of the primary deployment's contract of its kind.
pub(crate) fn said(event: Event) -> Said {
    said_by(event, 0)
}

pub(crate) fn said_by(event: Event, ordinal: u8) -> Said {
    let role = match &event {
        Event::Identity(_) | Event::Governance(_) => Role::Identity,
        Event::Reputation(_) => Role::Reputation,
        Event::Validation(_) => Role::Validation,
        Event::AuditLog(_) => Role::AuditLog,
        Event::AgentRegistry(_) => Role::AgentRegistry,
        Event::Policy(_) => Role::PolicyEngine,
        Event::Executor(_) => Role::Executor,
        Event::Earlier(event) => event.role(),
    };
    let (topics, data) = event.encode();
    Said { address: contract(role, ordinal), role, topics, data }
}

/// An event that any contract may emit about itself, of the primary contract of a role.
pub(crate) fn said_of(event: Event, role: Role) -> Said {
    let (topics, data) = event.encode();
    Said { address: contract(role, 0), role, topics, data }
}

/// A log that is no event.
pub(crate) fn noise(topics: Vec<B256>) -> Said {
    Said { address: contract(Role::Identity, 0), role: Role::Identity, topics, data: Bytes::from_static(b"noise") }
}

/// Some feedback as registries of earlier generations would have told it: without an index, or with 256 bits.
pub(crate) fn aged(said: Said) -> Said {
    let Ok(Event::Reputation(ReputationEvent::NewFeedback {
        agent_id,
        client_address,
        feedback_index,
        value,
        value_decimals,
        indexed_tag1,
        tag1,
        tag2,
        endpoint,
        feedback_uri,
        feedback_hash,
    })) = Event::decode(said.role, &said.topics, &said.data)
    else {
        return said;
    };
    let score = value_decimals;
    let event = match value {
        0 => EarlierReputationEvent::WordTags {
            agent_id,
            client_address,
            score,
            tag1: indexed_tag1,
            tag2: feedback_hash,
            feedback_uri,
            feedback_hash,
        },
        -1 => EarlierReputationEvent::HashedTag {
            agent_id,
            client_address,
            score,
            tag1: indexed_tag1,
            tag2,
            feedback_uri,
            feedback_hash,
        },
        i128::MAX => EarlierReputationEvent::Unsigned {
            agent_id,
            client_address,
            feedback_index,
            value: U256::MAX,
            value_decimals,
            indexed_tag1,
            tag1,
            tag2,
            endpoint,
            feedback_uri,
            feedback_hash,
        },
        _ => return said,
    };
    let (topics, data) = event.encode();
    Said { topics, data, ..said }
}

/// Blocks from [`START`] up.
#[derive(Clone, Default)]
pub(crate) struct Chain {
    pub(crate) blocks: Vec<Block>,
    /// Makes blocks of one height differ between branches.
    pub(crate) salt: u64,
}

impl Chain {
    /// Adds a block with these logs.
    pub(crate) fn add(&mut self, logs: Vec<Said>) -> &mut Self {
        let number = START + self.blocks.len() as u64;
        let parent_hash = self.blocks.last().map_or(ROOT, |block| block.header.hash);
        let hash = keccak256([parent_hash.as_slice(), &number.to_be_bytes(), &self.salt.to_be_bytes()].concat());
        let block = BlockRef { number, hash };
        let logs = logs.into_iter().zip(0_u32..).map(|(said, index)| {
            let log = Log {
                address: said.address,
                block,
                // Two logs share a transaction, and indexes have gaps.
                transaction_hash: keccak256([hash.as_slice(), &(index / 2).to_be_bytes()].concat()),
                transaction_index: index / 2,
                log_index: index * 3,
                topics: said.topics,
                data: said.data,
            };
            let event = Event::decode(said.role, &log.topics, &log.data);
            DecodedLog { log, event }
        });
        let logs = logs.collect();
        // Every second block shares its timestamp with the one before (F30).
        let header = Header { number, hash, parent_hash, timestamp: 1_000 + number / 2 * 2, logs_bloom: None };
        self.blocks.push(Block { header, logs });
        self
    }

    /// Adds a block without logs.
    pub(crate) fn empty(&mut self) -> &mut Self {
        self.add(vec![])
    }

    /// Keeps the blocks up to a height, and makes those that follow other ones.
    pub(crate) fn fork(&self, keep_to: u64, salt: u64) -> Self {
        Self { blocks: self.between(START, keep_to), salt }
    }

    /// The newest block.
    pub(crate) fn tip(&self) -> u64 {
        START + self.blocks.len() as u64 - 1
    }

    pub(crate) fn between(&self, from: u64, to: u64) -> Vec<Block> {
        let wanted = |block: &&Block| (from..=to).contains(&block.header.number);
        self.blocks.iter().filter(wanted).cloned().collect()
    }

    pub(crate) fn block(&self, number: u64) -> BlockRef {
        self.tip_at(number).block()
    }

    pub(crate) fn tip_at(&self, number: u64) -> Tip {
        if number < START {
            return Tip { number, hash: ROOT, timestamp: 0 };
        }
        let header = &self.blocks[usize::try_from(number - START).unwrap()].header;
        Tip { number, hash: header.hash, timestamp: header.timestamp }
    }
}
