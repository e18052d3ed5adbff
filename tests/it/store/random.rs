//! Logs drawn from a seed, with agents, accounts and texts that meet often.

use alloy::primitives::{Address, B256, U256, keccak256};
use meikan::event::{
    AgentRegistryEvent, AuditLogEvent, Event, ExecutorEvent, GovernanceEvent, IdentityEvent, PolicyEvent, PolicyLimits,
    ReputationEvent, Text, ValidationEvent,
};

use super::chain::{Said, noise, said, said_by};

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

    /// A time near those of a chain's blocks.
    fn time(&mut self) -> U256 {
        if self.below(8) == 0 { self.agent() } else { U256::from(self.between(990, 1_060)) }
    }

    /// An event of the audit contracts.
    pub(crate) fn audit(&mut self) -> Event {
        match self.below(16) {
            0 => self.commitment(),
            1..=4 => self.wallet_agent(),
            5..=6 => self.policy(),
            7..=13 => self.executor(),
            14 => Event::Governance(GovernanceEvent::EIP712DomainChanged {}),
            _ => {
                let (role, account) = (self.word(), self.account());
                Event::Governance(GovernanceEvent::RoleGranted { role, account, sender: account })
            }
        }
    }

    fn commitment(&mut self) -> Event {
        Event::AuditLog(AuditLogEvent::CommitmentLogged {
            agent_id: self.word(),
            commitment_hash: self.word(),
            ipfs_cid: self.text(),
            submitter: self.account(),
            entry_index: self.agent(),
        })
    }

    fn wallet_agent(&mut self) -> Event {
        let (agent_id, by, owner, wallet) = (self.word(), self.account(), self.account(), self.account());
        let (reason, number) = (self.text(), self.below(3));
        Event::AgentRegistry(match self.below(6) {
            0 => AgentRegistryEvent::AgentRegistered { agent_id, owner, wallet, metadata_cid: reason },
            1 => AgentRegistryEvent::AgentUpdated { agent_id, owner, wallet, metadata_cid: reason, by },
            2 => AgentRegistryEvent::AgentDeactivated { agent_id, by, reason },
            3 => AgentRegistryEvent::AgentReactivated { agent_id, by, reason },
            _ => AgentRegistryEvent::PolicyUpdated {
                agent_id,
                policy: PolicyLimits {
                    max_spend_per_day: U256::from(number * 1_000),
                    max_tx_per_day: U256::from(number),
                    max_tx_per_hour: self.agent(),
                    max_value_per_tx: U256::from(number * 500),
                    allowed_chains: vec![self.agent(); usize::try_from(number).unwrap()],
                    whitelist: vec![by],
                    risk_level: 3,
                },
            },
        })
    }

    fn policy(&mut self) -> Event {
        let (agent_id, by, reason, timestamp) = (self.word(), self.account(), self.text(), self.agent());
        Event::Policy(match self.below(8) {
            0 => PolicyEvent::PolicyChecked { agent_id, allowed: self.below(2) == 0, reason },
            1 => PolicyEvent::CircuitBreakerTripped { timestamp, reason },
            2 => PolicyEvent::CircuitBreakerReset { timestamp },
            3 => PolicyEvent::CircuitBreakerTriggered { agent_id, reason, timestamp },
            4 => PolicyEvent::EmergencyPaused { by, reason },
            5 => PolicyEvent::EmergencyUnpaused { by, reason },
            6 => PolicyEvent::AgentPaused { agent_id, by, reason },
            _ => PolicyEvent::AgentUnpaused { agent_id, by, reason },
        })
    }

    fn executor(&mut self) -> Event {
        let (agent_id, intent_id, by) = (self.word(), self.word(), self.account());
        let (number, timestamp) = (self.agent(), self.time());
        Event::Executor(match self.below(10) {
            0..=2 => ExecutorEvent::IntentEmitted {
                intent_id,
                agent_id,
                dest_chain_id: number,
                action_hash: agent_id,
                nonce: self.pick(&[U256::ZERO, U256::from(1), U256::from(2), U256::MAX]),
                expiry: timestamp,
            },
            3 => ExecutorEvent::IntentDetails {
                intent_id,
                src_chain_id: number,
                value: self.agent(),
                recipient: by,
                action: self.text(),
            },
            4 => ExecutorEvent::IntentSubmitted { intent_id, relayer: by, timestamp },
            5 => ExecutorEvent::IntentExecuted { intent_id, executor: by, timestamp },
            6 => ExecutorEvent::IntentDisputed { intent_id, disputer: by, reason: self.text() },
            7 => ExecutorEvent::RelayerAuthorized { relayer: by },
            8 => ExecutorEvent::RelayerRevoked { relayer: by },
            _ => ExecutorEvent::BridgeMessageReceived {
                agent_id,
                intent_id,
                message_id: agent_id,
                src_chain_id: number,
                relayer: by,
            },
        })
    }
}
