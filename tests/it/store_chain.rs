//! A chain made by hand or by a seed: blocks that link, with logs that the contracts would have emitted.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use meikan::block::{Block, BlockRef, DecodedLog, Header, Log};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::{
    AgentRegistryEvent, AuditLogEvent, EarlierReputationEvent, Event, ExecutorEvent, GovernanceEvent, IdentityEvent,
    PolicyEvent, PolicyLimits, ReputationEvent, Role, Text, ValidationEvent,
};
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
        rpc_urls_file: None,
        fallback_rpc_urls: vec![],
        fallback_rpc_urls_file: None,
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
    }
}

/// What a contract of a role says.
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

/// Numbers from a seed (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()].clone()
    }

    fn agent(&mut self) -> U256 {
        self.pick(&[U256::ZERO, U256::from(1), U256::from(20_000), U256::MAX])
    }

    fn account(&mut self) -> Address {
        let byte = self.pick(&[0, 1, 2, 3]);
        Address::with_last_byte(byte)
    }

    fn word(&mut self) -> B256 {
        let byte = self.pick(&[1, 2, 3]);
        B256::with_last_byte(byte)
    }

    fn text(&mut self) -> Text {
        self.pick(&[
            Text::default(),
            Text::from("starred"),
            Text::from("https://agent.example/名鑑"),
            Text::from("nul\0inside"),
            Text::from("nul\u{fffd}inside"),
            Text::from(vec![0xff, b'x']),
            Text::from(
                r#"data:application/json,{"name":"a\u0000b","services":[{"name":"MCP","endpoint":"https://m"}]}"#,
            ),
            Text::from(r#"{"name":"plain","active":true,"x402Support":false}"#),
        ])
    }

    /// One to a few blocks' worth of logs; sometimes none.
    pub(crate) fn logs(&mut self) -> Vec<Said> {
        let count = self.pick(&[0, 0, 1, 2, 5]);
        (0..count).map(|_| self.log()).collect()
    }

    fn log(&mut self) -> Said {
        let deployment = self.pick(&[0, 0, 0, 1]);
        match self.below(12) {
            0..=3 => {
                let event = self.identity();
                said_by(event, deployment)
            }
            4..=6 => {
                let event = self.reputation();
                said_by(event, deployment)
            }
            7..=8 => {
                let event = self.validation();
                said_by(event, deployment)
            }
            9..=10 => said(self.audit()),
            _ => match self.below(3) {
                0 => noise(vec![]),
                1 => noise(vec![B256::repeat_byte(0xee)]),
                // The right topic, the wrong layout (F49).
                _ => noise(vec![IdentityEvent::ALL[0].2, B256::ZERO, B256::ZERO]),
            },
        }
    }

    fn identity(&mut self) -> Event {
        let (agent_id, token_id) = (self.agent(), self.agent());
        Event::Identity(match self.below(9) {
            0 => IdentityEvent::Registered { agent_id, agent_uri: self.text(), owner: self.account() },
            1 => IdentityEvent::URIUpdated { agent_id, new_uri: self.text(), updated_by: self.account() },
            2 | 3 => IdentityEvent::Transfer { from: self.account(), to: self.account(), token_id },
            4 => IdentityEvent::Approval { owner: self.account(), approved: self.account(), token_id },
            5 => IdentityEvent::ApprovalForAll {
                owner: self.account(),
                operator: self.account(),
                approved: self.below(2) == 0,
            },
            6 => IdentityEvent::MetadataUpdate { token_id },
            _ => {
                let metadata_key = if self.below(2) == 0 { Text::from("agentWallet") } else { self.text() };
                let length = self.pick(&[0, 20, 32, 33]);
                IdentityEvent::MetadataSet {
                    agent_id,
                    indexed_metadata_key: keccak256(&metadata_key.0),
                    metadata_key,
                    metadata_value: vec![self.next().to_be_bytes()[0]; length].into(),
                }
            }
        })
    }

    fn reputation(&mut self) -> Event {
        let (agent_id, client_address, feedback_index) =
            (self.agent(), self.account(), self.pick(&[0, 1, 2, u64::MAX]));
        Event::Reputation(match self.below(4) {
            0 | 1 => {
                let tag1 = self.text();
                ReputationEvent::NewFeedback {
                    agent_id,
                    client_address,
                    feedback_index,
                    value: self.pick(&[i128::MIN, -1, 0, 9_977, 10_i128.pow(38), i128::MAX]),
                    value_decimals: self.pick(&[0, 2, 18, 255]),
                    indexed_tag1: keccak256(&tag1.0),
                    tag1,
                    tag2: self.text(),
                    endpoint: self.text(),
                    feedback_uri: self.text(),
                    feedback_hash: self.word(),
                }
            }
            2 => ReputationEvent::FeedbackRevoked { agent_id, client_address, feedback_index },
            _ => ReputationEvent::ResponseAppended {
                agent_id,
                client_address,
                feedback_index,
                responder: self.account(),
                response_uri: self.text(),
                response_hash: self.word(),
            },
        })
    }

    fn validation(&mut self) -> Event {
        let (validator_address, agent_id, request_hash) = (self.account(), self.agent(), self.word());
        Event::Validation(match self.below(3) {
            0 => ValidationEvent::ValidationRequest {
                validator_address,
                agent_id,
                request_uri: self.text(),
                request_hash,
            },
            _ => ValidationEvent::ValidationResponse {
                validator_address,
                agent_id,
                request_hash,
                response: self.pick(&[0, 50, 100, 255]),
                response_uri: self.text(),
                response_hash: self.word(),
                tag: self.text(),
            },
        })
    }

    fn audit(&mut self) -> Event {
        let (agent_id, intent_id, by) = (self.word(), self.word(), self.account());
        let (reason, number) = (self.text(), self.agent());
        match self.below(10) {
            0 => Event::AuditLog(AuditLogEvent::CommitmentLogged {
                agent_id,
                commitment_hash: intent_id,
                ipfs_cid: reason,
                submitter: by,
                entry_index: number,
            }),
            1 => Event::AgentRegistry(AgentRegistryEvent::AgentDeactivated { agent_id, by, reason }),
            2 => Event::AgentRegistry(AgentRegistryEvent::PolicyUpdated {
                agent_id,
                policy: PolicyLimits {
                    max_spend_per_day: number,
                    max_tx_per_day: number,
                    max_tx_per_hour: number,
                    max_value_per_tx: number,
                    allowed_chains: vec![number; 2],
                    whitelist: vec![by],
                    risk_level: 3,
                },
            }),
            3 => Event::Policy(PolicyEvent::PolicyChecked { agent_id, allowed: self.below(2) == 0, reason }),
            4 => Event::Executor(ExecutorEvent::IntentEmitted {
                intent_id,
                agent_id,
                dest_chain_id: number,
                action_hash: agent_id,
                nonce: number,
                expiry: number,
            }),
            5 => Event::Executor(ExecutorEvent::IntentSubmitted { intent_id, relayer: by, timestamp: number }),
            6 => Event::Executor(ExecutorEvent::IntentDisputed { intent_id, disputer: by, reason }),
            7 => Event::Executor(ExecutorEvent::RelayerAuthorized { relayer: by }),
            8 => Event::Governance(GovernanceEvent::EIP712DomainChanged {}),
            _ => Event::Governance(GovernanceEvent::RoleGranted { role: agent_id, account: by, sender: by }),
        }
    }
}
