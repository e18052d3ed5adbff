//! What the traffic knows of the chain: read from the events that it caused, like any indexer would.
//!
//! Only what decides which action is possible is kept, and only so much of it. A reorg is undone by replay: the world
//! as it was before the newest blocks is kept beside them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy::primitives::{Address, B256, Bytes, U256};

use crate::event::{
    AgentRegistryEvent, Event, ExecutorEvent, IdentityEvent, PolicyEvent, ReputationEvent, ValidationEvent,
};

/// The most agents, and the most of anything about them, that are remembered; the oldest are forgotten first.
const MAX_REMEMBERED: usize = 2_000;

/// The metadata key of an agent's wallet, which only its own functions write.
const WALLET_KEY: &str = "agentWallet";

#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) id: U256,
    pub(super) owner: Address,
    pub(super) approved: Option<Address>,
    pub(super) wallet: Option<Address>,
    /// Keys with a value, other than the wallet's.
    pub(super) metadata: BTreeSet<Bytes>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Feedback {
    pub(super) agent: U256,
    pub(super) client: Address,
    pub(super) index: u64,
    pub(super) is_revoked: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) hash: B256,
    pub(super) validator: Address,
    /// The last answer.
    pub(super) response: Option<u8>,
}

#[derive(Debug, Clone)]
pub(super) struct WalletAgent {
    pub(super) id: B256,
    pub(super) owner: Address,
    pub(super) wallet: Address,
    pub(super) is_active: bool,
    /// Who paused it.
    pub(super) paused_by: Option<Address>,
    pub(super) max_value_per_tx: U256,
}

impl WalletAgent {
    /// Whether nothing of its own stops it.
    pub(super) fn may_act(&self) -> bool {
        self.is_active && self.paused_by.is_none()
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Intent {
    pub(super) id: B256,
    pub(super) agent: B256,
    /// Seconds since 1970.
    pub(super) expiry: u64,
    /// Seconds since 1970; nothing before it is submitted.
    pub(super) submitted_at: Option<u64>,
}

/// What is known.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) agents: BTreeMap<U256, Agent>,
    /// Operators for all agents of an owner: (owner, operator).
    pub(super) operators: BTreeSet<(Address, Address)>,
    pub(super) feedback: VecDeque<Feedback>,
    pub(super) requests: VecDeque<Request>,
    pub(super) wallet_agents: BTreeMap<B256, WalletAgent>,
    /// Intents that are neither executed nor disputed.
    pub(super) intents: VecDeque<Intent>,
    pub(super) relayers: BTreeSet<Address>,
}

impl World {
    /// Takes an event in.
    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::Identity(event) => self.fold_identity(event),
            Event::Reputation(event) => self.fold_reputation(event),
            Event::Validation(event) => self.fold_validation(event),
            Event::AgentRegistry(event) => self.fold_agent_registry(event),
            Event::Policy(event) => self.fold_policy(event),
            Event::Executor(event) => self.fold_executor(event),
            Event::AuditLog(_) | Event::Governance(_) | Event::Earlier(_) => {}
        }
    }

    fn fold_identity(&mut self, event: &IdentityEvent) {
        match event {
            IdentityEvent::Transfer { to, token_id, .. } => {
                let agent = self.agents.entry(*token_id).or_insert_with(|| Agent {
                    id: *token_id,
                    owner: *to,
                    approved: None,
                    wallet: None,
                    metadata: BTreeSet::new(),
                });
                agent.owner = *to;
                agent.approved = None;
                if self.agents.len() > MAX_REMEMBERED {
                    self.agents.pop_first();
                }
            }
            IdentityEvent::Approval { approved, token_id, .. } => {
                if let Some(agent) = self.agents.get_mut(token_id) {
                    agent.approved = Some(*approved).filter(|approved| !approved.is_zero());
                }
            }
            IdentityEvent::ApprovalForAll { owner, operator, approved } => {
                if *approved {
                    self.operators.insert((*owner, *operator));
                } else {
                    self.operators.remove(&(*owner, *operator));
                }
            }
            IdentityEvent::MetadataSet { agent_id, metadata_key, metadata_value, .. } => {
                let Some(agent) = self.agents.get_mut(agent_id) else { return };
                if *metadata_key.0 == *WALLET_KEY.as_bytes() {
                    agent.wallet = (metadata_value.len() == 20).then(|| Address::from_slice(metadata_value));
                } else if metadata_value.is_empty() {
                    agent.metadata.remove(&metadata_key.0);
                } else {
                    agent.metadata.insert(metadata_key.0.clone());
                }
            }
            IdentityEvent::Registered { .. }
            | IdentityEvent::URIUpdated { .. }
            | IdentityEvent::MetadataUpdate { .. }
            | IdentityEvent::BatchMetadataUpdate { .. } => {}
        }
    }

    fn fold_reputation(&mut self, event: &ReputationEvent) {
        match event {
            ReputationEvent::NewFeedback { agent_id, client_address, feedback_index, .. } => remember(
                &mut self.feedback,
                Feedback { agent: *agent_id, client: *client_address, index: *feedback_index, is_revoked: false },
            ),
            ReputationEvent::FeedbackRevoked { agent_id, client_address, feedback_index } => {
                let revoked = (*agent_id, *client_address, *feedback_index);
                let mut all = self.feedback.iter_mut();
                if let Some(feedback) =
                    all.find(|feedback| (feedback.agent, feedback.client, feedback.index) == revoked)
                {
                    feedback.is_revoked = true;
                }
            }
            ReputationEvent::ResponseAppended { .. } => {}
        }
    }

    fn fold_validation(&mut self, event: &ValidationEvent) {
        match event {
            ValidationEvent::ValidationRequest { validator_address, request_hash, .. } => remember(
                &mut self.requests,
                Request { hash: *request_hash, validator: *validator_address, response: None },
            ),
            ValidationEvent::ValidationResponse { request_hash, response, .. } => {
                if let Some(request) = self.requests.iter_mut().find(|request| request.hash == *request_hash) {
                    request.response = Some(*response);
                }
            }
        }
    }

    fn fold_agent_registry(&mut self, event: &AgentRegistryEvent) {
        if let AgentRegistryEvent::AgentRegistered { agent_id, owner, wallet, .. } = event {
            let agent = WalletAgent {
                id: *agent_id,
                owner: *owner,
                wallet: *wallet,
                is_active: true,
                paused_by: None,
                max_value_per_tx: U256::ZERO,
            };
            self.wallet_agents.insert(*agent_id, agent);
            return;
        }
        let agents = &mut self.wallet_agents;
        match event {
            AgentRegistryEvent::AgentRegistered { .. } => {}
            AgentRegistryEvent::AgentUpdated { agent_id, owner, wallet, .. } => change(agents, agent_id, |agent| {
                (agent.owner, agent.wallet) = (*owner, *wallet);
            }),
            AgentRegistryEvent::AgentDeactivated { agent_id, .. } => {
                change(agents, agent_id, |agent| agent.is_active = false);
            }
            AgentRegistryEvent::AgentReactivated { agent_id, .. } => {
                change(agents, agent_id, |agent| agent.is_active = true);
            }
            AgentRegistryEvent::PolicyUpdated { agent_id, policy } => {
                change(agents, agent_id, |agent| agent.max_value_per_tx = policy.max_value_per_tx);
            }
        }
    }

    fn fold_policy(&mut self, event: &PolicyEvent) {
        match event {
            PolicyEvent::AgentPaused { agent_id, by, .. } => {
                change(&mut self.wallet_agents, agent_id, |agent| agent.paused_by = Some(*by));
            }
            PolicyEvent::AgentUnpaused { agent_id, .. } => {
                change(&mut self.wallet_agents, agent_id, |agent| agent.paused_by = None);
            }
            // Breakers and emergencies are over within the block in which they begin.
            _ => {}
        }
    }

    fn fold_executor(&mut self, event: &ExecutorEvent) {
        match event {
            ExecutorEvent::IntentEmitted { intent_id, agent_id, expiry, .. } => remember(
                &mut self.intents,
                Intent { id: *intent_id, agent: *agent_id, expiry: seconds(expiry), submitted_at: None },
            ),
            ExecutorEvent::IntentSubmitted { intent_id, timestamp, .. } => {
                if let Some(intent) = self.intents.iter_mut().find(|intent| intent.id == *intent_id) {
                    intent.submitted_at = Some(seconds(timestamp));
                }
            }
            ExecutorEvent::IntentExecuted { intent_id, .. } | ExecutorEvent::IntentDisputed { intent_id, .. } => {
                self.intents.retain(|intent| intent.id != *intent_id);
            }
            ExecutorEvent::RelayerAuthorized { relayer } => {
                self.relayers.insert(*relayer);
            }
            ExecutorEvent::RelayerRevoked { relayer } => {
                self.relayers.remove(relayer);
            }
            ExecutorEvent::IntentDetails { .. }
            | ExecutorEvent::BridgeMessageSent { .. }
            | ExecutorEvent::BridgeMessageReceived { .. } => {}
        }
    }
}

fn change(agents: &mut BTreeMap<B256, WalletAgent>, id: &B256, change: impl FnOnce(&mut WalletAgent)) {
    if let Some(agent) = agents.get_mut(id) {
        change(agent);
    }
}

fn remember<T>(all: &mut VecDeque<T>, item: T) {
    if all.len() == MAX_REMEMBERED {
        all.pop_front();
    }
    all.push_back(item);
}

fn seconds(timestamp: &U256) -> u64 {
    timestamp.saturating_to()
}

/// The world with the newest blocks' events beside it, so that they can be taken back.
#[derive(Debug)]
pub(super) struct History {
    depth_blocks: u64,
    /// The world before the blocks that are kept.
    base: World,
    /// Block numbers with events, rising.
    recent: VecDeque<(u64, Event)>,
    now: World,
}

impl History {
    /// A history that can take back as many blocks as `depth_blocks`.
    pub(super) fn new(depth_blocks: u64) -> Self {
        Self { depth_blocks, base: World::default(), recent: VecDeque::new(), now: World::default() }
    }

    pub(super) fn now(&self) -> &World {
        &self.now
    }

    /// Takes an event of the newest block in.
    pub(super) fn fold(&mut self, block: u64, event: Event) {
        self.now.fold(&event);
        self.recent.push_back((block, event));
        while let Some((_, event)) = self.recent.pop_front_if(|(old, _)| *old + self.depth_blocks < block) {
            self.base.fold(&event);
        }
    }

    /// Takes back everything above a block.
    pub(super) fn rewind(&mut self, block: u64) {
        while self.recent.pop_back_if(|(number, _)| *number > block).is_some() {}
        self.now = self.base.clone();
        for (_, event) in &self.recent {
            self.now.fold(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256};

    use super::History;
    use crate::event::{Event, IdentityEvent};

    fn transfer(id: u64, to: Address) -> Event {
        Event::Identity(IdentityEvent::Transfer { from: Address::ZERO, to, token_id: U256::from(id) })
    }

    #[test]
    fn a_rewind_takes_back_the_newest_blocks_and_no_more() {
        let (first, second) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let mut history = History::new(3);
        for block in 0..10 {
            history.fold(block, transfer(block, first));
        }
        history.fold(10, transfer(0, second));
        history.rewind(8);
        assert_eq!(history.now().agents.len(), 9);
        assert_eq!(history.now().agents[&U256::ZERO].owner, first);
        history.fold(9, transfer(0, second));
        assert_eq!(history.now().agents[&U256::ZERO].owner, second);
    }
}
