//! Which events belong to the audit trail, under one vocabulary for all of its contracts.
//!
//! The mapping is pure: what an event names is taken from the event alone. The kinds are a closed list that clients
//! filter by; the event's own name tells what a kind lumps together.

use alloy::primitives::{Address, B256};

use super::{AgentRegistryEvent, AuditLogEvent, Event, ExecutorEvent, GovernanceEvent, PolicyEvent};

/// What an entry of the audit trail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuditKind {
    /// A commitment to an off-chain record.
    Commitment,
    /// An intent was stated, or what it is about was told.
    IntentCreated,
    /// A relayer took an intent up.
    IntentSubmitted,
    /// An intent was executed.
    IntentExecuted,
    /// An intent was stopped.
    IntentDisputed,
    /// A circuit breaker tripped, of one agent or of all, or was reset.
    CircuitBreakerTriggered,
    /// A wallet's agent was registered, changed, switched on or off, paused or unpaused.
    AgentStatusChanged,
    /// A policy was replaced.
    PolicyUpdated,
    /// A transaction was checked against a policy.
    PolicyChecked,
    /// An address may relay, or no longer.
    RelayerChanged,
    /// An intent left for, or came from, another chain.
    BridgeMessage,
    /// A contract was paused, upgraded, or its roles or owner changed.
    Governance,
}

impl AuditKind {
    /// The kind's name in the database and in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Commitment => "COMMITMENT",
            Self::IntentCreated => "INTENT_CREATED",
            Self::IntentSubmitted => "INTENT_SUBMITTED",
            Self::IntentExecuted => "INTENT_EXECUTED",
            Self::IntentDisputed => "INTENT_DISPUTED",
            Self::CircuitBreakerTriggered => "CIRCUIT_BREAKER_TRIGGERED",
            Self::AgentStatusChanged => "AGENT_STATUS_CHANGED",
            Self::PolicyUpdated => "POLICY_UPDATED",
            Self::PolicyChecked => "POLICY_CHECKED",
            Self::RelayerChanged => "RELAYER_CHANGED",
            Self::BridgeMessage => "BRIDGE_MESSAGE",
            Self::Governance => "GOVERNANCE",
        }
    }
}

/// What an audit event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audit {
    /// What it is about.
    pub kind: AuditKind,
    /// The wallet's agent.
    pub wallet_agent: Option<B256>,
    /// The intent.
    pub intent_id: Option<B256>,
    /// The hash that was committed to.
    pub commitment_hash: Option<B256>,
    /// Who acted.
    pub actor: Option<Address>,
}

impl Audit {
    fn of(kind: AuditKind) -> Self {
        Self { kind, wallet_agent: None, intent_id: None, commitment_hash: None, actor: None }
    }

    fn agent(self, agent: B256) -> Self {
        Self { wallet_agent: Some(agent), ..self }
    }

    fn intent(self, intent: B256) -> Self {
        Self { intent_id: Some(intent), ..self }
    }

    fn by(self, actor: Address) -> Self {
        Self { actor: Some(actor), ..self }
    }
}

impl Event {
    /// The event as an entry of the audit trail; nothing for what is told elsewhere (agents, feedback, validations).
    #[must_use]
    pub fn audit(&self) -> Option<Audit> {
        match self {
            Self::Identity(_) | Self::Reputation(_) | Self::Validation(_) | Self::Earlier(_) => None,
            Self::AuditLog(event) => Some(of_audit_log(event)),
            Self::AgentRegistry(event) => Some(of_agent_registry(event)),
            Self::Policy(event) => Some(of_policy(event)),
            Self::Executor(event) => Some(of_executor(event)),
            Self::Governance(event) => Some(of_governance(event)),
        }
    }
}

fn of_audit_log(event: &AuditLogEvent) -> Audit {
    let AuditLogEvent::CommitmentLogged { agent_id, commitment_hash, submitter, .. } = event;
    let audit = Audit::of(AuditKind::Commitment).agent(*agent_id).by(*submitter);
    Audit { commitment_hash: Some(*commitment_hash), ..audit }
}

fn of_agent_registry(event: &AgentRegistryEvent) -> Audit {
    let status = Audit::of(AuditKind::AgentStatusChanged);
    match event {
        AgentRegistryEvent::AgentRegistered { agent_id, owner, .. } => status.agent(*agent_id).by(*owner),
        AgentRegistryEvent::AgentUpdated { agent_id, by, .. }
        | AgentRegistryEvent::AgentDeactivated { agent_id, by, .. }
        | AgentRegistryEvent::AgentReactivated { agent_id, by, .. } => status.agent(*agent_id).by(*by),
        AgentRegistryEvent::PolicyUpdated { agent_id, .. } => Audit::of(AuditKind::PolicyUpdated).agent(*agent_id),
    }
}

fn of_policy(event: &PolicyEvent) -> Audit {
    let breaker = Audit::of(AuditKind::CircuitBreakerTriggered);
    match event {
        PolicyEvent::PolicyChecked { agent_id, .. } => Audit::of(AuditKind::PolicyChecked).agent(*agent_id),
        PolicyEvent::CircuitBreakerTripped { .. } | PolicyEvent::CircuitBreakerReset { .. } => breaker,
        PolicyEvent::CircuitBreakerTriggered { agent_id, .. } => breaker.agent(*agent_id),
        PolicyEvent::EmergencyPaused { by, .. } | PolicyEvent::EmergencyUnpaused { by, .. } => {
            Audit::of(AuditKind::Governance).by(*by)
        }
        PolicyEvent::AgentPaused { agent_id, by, .. } | PolicyEvent::AgentUnpaused { agent_id, by, .. } => {
            Audit::of(AuditKind::AgentStatusChanged).agent(*agent_id).by(*by)
        }
    }
}

fn of_executor(event: &ExecutorEvent) -> Audit {
    let created = Audit::of(AuditKind::IntentCreated);
    match event {
        ExecutorEvent::IntentEmitted { intent_id, agent_id, .. } => created.intent(*intent_id).agent(*agent_id),
        ExecutorEvent::IntentDetails { intent_id, .. } => created.intent(*intent_id),
        ExecutorEvent::IntentSubmitted { intent_id, relayer, .. } => {
            Audit::of(AuditKind::IntentSubmitted).intent(*intent_id).by(*relayer)
        }
        ExecutorEvent::IntentExecuted { intent_id, executor, .. } => {
            Audit::of(AuditKind::IntentExecuted).intent(*intent_id).by(*executor)
        }
        ExecutorEvent::IntentDisputed { intent_id, disputer, .. } => {
            Audit::of(AuditKind::IntentDisputed).intent(*intent_id).by(*disputer)
        }
        ExecutorEvent::RelayerAuthorized { relayer } | ExecutorEvent::RelayerRevoked { relayer } => {
            Audit::of(AuditKind::RelayerChanged).by(*relayer)
        }
        ExecutorEvent::BridgeMessageSent { agent_id, intent_id, relayer, .. }
        | ExecutorEvent::BridgeMessageReceived { agent_id, intent_id, relayer, .. } => {
            Audit::of(AuditKind::BridgeMessage).agent(*agent_id).intent(*intent_id).by(*relayer)
        }
    }
}

fn of_governance(event: &GovernanceEvent) -> Audit {
    let governance = Audit::of(AuditKind::Governance);
    match event {
        GovernanceEvent::OwnershipTransferred { previous_owner, .. } => governance.by(*previous_owner),
        GovernanceEvent::Paused { account } | GovernanceEvent::Unpaused { account } => governance.by(*account),
        GovernanceEvent::RoleGranted { sender, .. } | GovernanceEvent::RoleRevoked { sender, .. } => {
            governance.by(*sender)
        }
        GovernanceEvent::Upgraded { .. }
        | GovernanceEvent::Initialized { .. }
        | GovernanceEvent::EIP712DomainChanged {}
        | GovernanceEvent::RoleAdminChanged { .. } => governance,
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, U256};

    use super::{Audit, AuditKind};
    use crate::event::{AuditLogEvent, Event, ExecutorEvent, GovernanceEvent, IdentityEvent};

    #[test]
    fn a_commitment_names_agent_hash_and_submitter() {
        let (agent, hash, submitter) = (B256::repeat_byte(1), B256::repeat_byte(2), Address::repeat_byte(3));
        let event = Event::AuditLog(AuditLogEvent::CommitmentLogged {
            agent_id: agent,
            commitment_hash: hash,
            ipfs_cid: "bafy".into(),
            submitter,
            entry_index: U256::ZERO,
        });
        let expected = Audit {
            kind: AuditKind::Commitment,
            wallet_agent: Some(agent),
            intent_id: None,
            commitment_hash: Some(hash),
            actor: Some(submitter),
        };
        assert_eq!(event.audit(), Some(expected));
    }

    #[test]
    fn an_intent_is_followed_by_its_id() {
        let intent_id = B256::repeat_byte(7);
        let relayer = Address::repeat_byte(8);
        let event = Event::Executor(ExecutorEvent::IntentSubmitted { intent_id, relayer, timestamp: U256::ZERO });
        let audit = event.audit().expect("it is an audit event");
        assert_eq!(
            (audit.kind, audit.intent_id, audit.actor),
            (AuditKind::IntentSubmitted, Some(intent_id), Some(relayer))
        );
    }

    #[test]
    fn governance_of_any_contract_is_audited_and_agents_are_not() {
        let paused = Event::Governance(GovernanceEvent::Paused { account: Address::ZERO });
        assert_eq!(paused.audit().map(|audit| audit.kind.name()), Some("GOVERNANCE"));
        let update = Event::Identity(IdentityEvent::MetadataUpdate { token_id: U256::ZERO });
        assert_eq!(update.audit(), None);
    }
}
