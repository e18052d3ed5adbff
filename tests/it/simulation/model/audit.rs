//! The audit trail: what wallets' agents, policies, intents and those who govern contracts did. Entries do not change.

use std::collections::BTreeMap;

use alloy::primitives::B256;

use super::super::traffic::Fact;
use super::history::At;
use super::rows::{Row, Rows, bytea, canonical, number, placed};

/// All entries.
#[derive(Debug, Default, Clone)]
pub(crate) struct Audit {
    /// Wallets' agents of intents.
    intents: BTreeMap<B256, B256>,
    entries: Vec<Row>,
}

impl Audit {
    pub(super) fn fold(&mut self, fact: &Fact, at: At) {
        let (kind, actor) = audit_kind(&fact.event);
        let word = |name| fact.get(name).map(|_| fact.word(name));
        let intent = word("intentId");
        let agent = word("agentId").or_else(|| self.intents.get(&intent?).copied());
        if let (Some(intent), Some(agent)) = (intent, word("agentId")) {
            self.intents.entry(intent).or_insert(agent);
        }
        let mut row = placed(&at);
        row.insert("contract_id", number(fact.contract + 1));
        row.insert("kind", Some(kind.into()));
        row.insert("event", Some(fact.event.clone()));
        row.insert("wallet_agent", agent.and_then(bytea));
        row.insert("intent_id", intent.and_then(bytea));
        row.insert("commitment_hash", word("commitmentHash").and_then(bytea));
        row.insert("actor", fact.get(actor).and_then(|_| bytea(fact.address(actor))));
        row.insert("fields", Some(canonical(&fact.shown())));
        self.entries.push(row);
    }

    /// Whether there is an entry of an event.
    pub(crate) fn has(&self, at: At) -> bool {
        let [block, log_index] = [number(at.block), number(at.log_index)];
        self.entries.iter().any(|row| row["begin_block"] == block && row["log_index"] == log_index)
    }

    pub(super) fn rows(&self, rows: &mut Rows) {
        rows.put_all("audit_event", self.entries.iter().cloned());
    }
}

/// The kind of an audit entry, and the parameter that names who acted.
fn audit_kind(event: &str) -> (&'static str, &'static str) {
    match event {
        "CommitmentLogged" => ("COMMITMENT", "submitter"),
        "AgentRegistered" => ("AGENT_STATUS_CHANGED", "owner"),
        "AgentUpdated" | "AgentDeactivated" | "AgentReactivated" | "AgentPaused" | "AgentUnpaused" => {
            ("AGENT_STATUS_CHANGED", "by")
        }
        "PolicyUpdated" => ("POLICY_UPDATED", ""),
        "PolicyChecked" => ("POLICY_CHECKED", ""),
        "CircuitBreakerTripped" | "CircuitBreakerReset" | "CircuitBreakerTriggered" => {
            ("CIRCUIT_BREAKER_TRIGGERED", "")
        }
        "IntentEmitted" | "IntentDetails" => ("INTENT_CREATED", ""),
        "IntentSubmitted" => ("INTENT_SUBMITTED", "relayer"),
        "IntentExecuted" => ("INTENT_EXECUTED", "executor"),
        "IntentDisputed" => ("INTENT_DISPUTED", "disputer"),
        "RelayerAuthorized" | "RelayerRevoked" => ("RELAYER_CHANGED", "relayer"),
        "BridgeMessageSent" | "BridgeMessageReceived" => ("BRIDGE_MESSAGE", "relayer"),
        "EmergencyPaused" | "EmergencyUnpaused" => ("GOVERNANCE", "by"),
        "OwnershipTransferred" => ("GOVERNANCE", "previousOwner"),
        "Paused" | "Unpaused" => ("GOVERNANCE", "account"),
        "RoleGranted" | "RoleRevoked" => ("GOVERNANCE", "sender"),
        "Upgraded" | "Initialized" | "EIP712DomainChanged" | "RoleAdminChanged" => ("GOVERNANCE", ""),
        other => panic!("nobody has said where {other} is served"),
    }
}
