//! The watchdog's rules: an event held against the state before it.
//!
//! Judging is pure: it is given all that a rule asks about, and returns what is wrong. The contracts of this repository
//! refuse most of what is found here; what is found shows a contract that was changed, a limit that was tightened while
//! an intent was under way, or a relayer that let one lapse.
//!
//! Only what was seen counts: of an intent whose statement was not seen nothing is said that needs it. Days and hours are
//! those of blocks' times.

use alloy::primitives::{Address, B256, U256};
use serde_json::{Map, Value};

use super::counters::{Counter, Usage};
use super::intents::Intent;
use super::mark::Mark;
use super::switches::HaltKind;
use super::timeline::Place;
use super::wallets::WalletAgent;
use crate::event::{AuditLogEvent, Event, ExecutorEvent, PolicyLimits};

/// Seconds that must lie between an intent's submission and its execution (AI Agent Wallet, `CrossChainExecutor`).
pub(super) const TIMELOCK_SECONDS: u64 = 60;

/// What was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rule {
    ExecutedBeforeTimelock,
    ExecutedWithoutSubmission,
    ExecutedTwice,
    ExecutedAfterExpiry,
    ExecutedAfterDispute,
    NonceGap,
    NonceRepeated,
    RelayerUnauthorised,
    AgentInactive,
    AgentPaused,
    SystemPaused,
    DailySpend,
    DailyCount,
    HourlyCount,
    ValuePerTx,
    ChainNotAllowed,
    RecipientNotAllowed,
    OpenBeyondExpiry,
    DuplicateCommitment,
}

impl Rule {
    /// Its name in the database and in the API.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ExecutedBeforeTimelock => "EXECUTED_BEFORE_TIMELOCK",
            Self::ExecutedWithoutSubmission => "EXECUTED_WITHOUT_SUBMISSION",
            Self::ExecutedTwice => "EXECUTED_TWICE",
            Self::ExecutedAfterExpiry => "EXECUTED_AFTER_EXPIRY",
            Self::ExecutedAfterDispute => "EXECUTED_AFTER_DISPUTE",
            Self::NonceGap => "NONCE_GAP",
            Self::NonceRepeated => "NONCE_REPEATED",
            Self::RelayerUnauthorised => "RELAYER_UNAUTHORISED",
            Self::AgentInactive => "AGENT_INACTIVE",
            Self::AgentPaused => "AGENT_PAUSED",
            Self::SystemPaused => "SYSTEM_PAUSED",
            Self::DailySpend => "DAILY_SPEND",
            Self::DailyCount => "DAILY_COUNT",
            Self::HourlyCount => "HOURLY_COUNT",
            Self::ValuePerTx => "VALUE_PER_TX",
            Self::ChainNotAllowed => "CHAIN_NOT_ALLOWED",
            Self::RecipientNotAllowed => "RECIPIENT_NOT_ALLOWED",
            Self::OpenBeyondExpiry => "OPEN_BEYOND_EXPIRY",
            Self::DuplicateCommitment => "DUPLICATE_COMMITMENT",
        }
    }
}

/// What is wrong with an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Verdict {
    pub(super) rule: Rule,
    /// The intent's id, or the commitment's hash.
    pub(super) subject: B256,
    /// The other event that makes it wrong.
    pub(super) related: Option<Mark>,
    /// The figures that were compared.
    pub(super) details: Map<String, Value>,
}

/// An event to be judged.
pub(super) struct Entry<'a> {
    pub(super) place: &'a Place,
    pub(super) event: &'a Event,
}

/// What held before the event, of all that it names.
#[derive(Default)]
pub(super) struct State<'a> {
    /// The intent that it names.
    pub(super) intent: Option<&'a Intent>,
    /// The agent that it names, or that stated the intent.
    pub(super) agent: Option<&'a WalletAgent>,
    /// The agent's policy, and the event that set it.
    pub(super) policy: Option<(Mark, &'a PolicyLimits)>,
    /// What the agent stated on that day and in that hour.
    pub(super) usage: Usage,
    /// The agent's counters at this executor.
    pub(super) counter: Counter,
    /// Whether who relays may, and the event that said so last.
    pub(super) relayer: Option<(Mark, bool)>,
    /// What stops all agents.
    pub(super) halt: Option<(Mark, HaltKind)>,
    /// The first commitment to the same hash, and whose it is.
    pub(super) commitment: Option<(Mark, B256)>,
}

/// What is wrong with an event, by the state before it.
pub(super) fn judge(entry: &Entry<'_>, state: &State<'_>) -> Vec<Verdict> {
    let mut found = Found(Vec::new());
    match entry.event {
        Event::AuditLog(AuditLogEvent::CommitmentLogged { commitment_hash, .. }) => {
            if let Some((first, agent)) = state.commitment {
                let details = [("firstWalletAgent", agent.to_string())];
                found.add(Rule::DuplicateCommitment, *commitment_hash, Some(first), details);
            }
        }
        Event::Executor(event) => judge_executor(entry.place, event, state, &mut found),
        _ => {}
    }
    found.0
}

fn judge_executor(place: &Place, event: &ExecutorEvent, state: &State<'_>, found: &mut Found) {
    match event {
        ExecutorEvent::IntentEmitted { intent_id, dest_chain_id, nonce, .. } => {
            nonce_in_order(*intent_id, *nonce, state, found);
            agent_may_act(*intent_id, state, found);
            often(*intent_id, state, found);
            chain_allowed(*intent_id, *dest_chain_id, state, found);
        }
        // Of details the first count.
        ExecutorEvent::IntentDetails { intent_id, value, recipient, .. }
            if state.intent.is_some_and(|intent| intent.details.is_none()) =>
        {
            value_allowed(*intent_id, *value, state, found);
            recipient_allowed(*intent_id, *recipient, state, found);
            spent(*intent_id, *value, state, found);
        }
        ExecutorEvent::IntentSubmitted { intent_id, relayer, .. }
        | ExecutorEvent::BridgeMessageReceived { intent_id, relayer, .. } => {
            relayer_authorised(*intent_id, *relayer, state, found);
        }
        ExecutorEvent::IntentExecuted { intent_id, executor, .. } => {
            relayer_authorised(*intent_id, *executor, state, found);
            if let Some(intent) = state.intent {
                execution_due(*intent_id, place, intent, found);
                agent_may_act(*intent_id, state, found);
                still_allowed(*intent_id, intent, state, found);
            }
        }
        _ => {}
    }
}

fn nonce_in_order(intent_id: B256, nonce: U256, state: &State<'_>, found: &mut Found) {
    let expected = state.counter.next_nonce;
    let details = [("expected", expected.to_string()), ("nonce", nonce.to_string())];
    if nonce > expected {
        found.add(Rule::NonceGap, intent_id, state.counter.newest, details);
    } else if nonce < expected {
        found.add(Rule::NonceRepeated, intent_id, state.counter.newest, details);
    }
}

/// Nobody acts who is switched off or paused, or while all are stopped.
fn agent_may_act(intent_id: B256, state: &State<'_>, found: &mut Found) {
    if let Some(agent) = state.agent {
        if !agent.is_active {
            found.add(Rule::AgentInactive, intent_id, agent.switched, []);
        }
        if agent.is_paused {
            found.add(Rule::AgentPaused, intent_id, agent.paused, []);
        }
    }
    if let Some((since, kind)) = state.halt {
        found.add(Rule::SystemPaused, intent_id, Some(since), [("halt", kind.name().to_owned())]);
    }
}

fn often(intent_id: B256, state: &State<'_>, found: &mut Found) {
    let Some((since, policy)) = state.policy else { return };
    for (rule, before, limit) in [
        (Rule::DailyCount, state.usage.day_count, policy.max_tx_per_day),
        (Rule::HourlyCount, state.usage.hour_count, policy.max_tx_per_hour),
    ] {
        let count = before + 1;
        if U256::from(count) > limit {
            found.add(rule, intent_id, Some(since), compared(count, limit));
        }
    }
}

fn spent(intent_id: B256, value: U256, state: &State<'_>, found: &mut Found) {
    let Some((since, policy)) = state.policy else { return };
    let (limit, spent) = (policy.max_spend_per_day, state.usage.day_spend.saturating_add(value));
    if spent > limit {
        found.add(Rule::DailySpend, intent_id, Some(since), compared(spent, limit));
    }
}

fn value_allowed(intent_id: B256, value: U256, state: &State<'_>, found: &mut Found) {
    let Some((since, policy)) = state.policy else { return };
    if value > policy.max_value_per_tx {
        found.add(Rule::ValuePerTx, intent_id, Some(since), compared(value, policy.max_value_per_tx));
    }
}

fn chain_allowed(intent_id: B256, chain: U256, state: &State<'_>, found: &mut Found) {
    let Some((since, policy)) = state.policy else { return };
    if !policy.allowed_chains.is_empty() && !policy.allowed_chains.contains(&chain) {
        found.add(Rule::ChainNotAllowed, intent_id, Some(since), [("destChainId", chain.to_string())]);
    }
}

fn recipient_allowed(intent_id: B256, recipient: Address, state: &State<'_>, found: &mut Found) {
    let Some((since, policy)) = state.policy else { return };
    if !policy.whitelist.is_empty() && !policy.whitelist.contains(&recipient) {
        found.add(Rule::RecipientNotAllowed, intent_id, Some(since), [("recipient", hex(recipient))]);
    }
}

/// What was stated under another policy is held against the one that is in force when it is executed.
fn still_allowed(intent_id: B256, intent: &Intent, state: &State<'_>, found: &mut Found) {
    if let Some(statement) = &intent.statement {
        chain_allowed(intent_id, statement.dest_chain_id, state, found);
    }
    if let Some(details) = &intent.details {
        value_allowed(intent_id, details.value, state, found);
        recipient_allowed(intent_id, details.recipient, state, found);
    }
}

fn relayer_authorised(intent_id: B256, relayer: Address, state: &State<'_>, found: &mut Found) {
    if !state.relayer.is_some_and(|(_, is_authorised)| is_authorised) {
        let since = state.relayer.map(|(since, _)| since);
        found.add(Rule::RelayerUnauthorised, intent_id, since, [("relayer", hex(relayer))]);
    }
}

fn execution_due(intent_id: B256, place: &Place, intent: &Intent, found: &mut Found) {
    if let Some(first) = intent.executed {
        found.add(Rule::ExecutedTwice, intent_id, Some(first.mark), [("executedAt", first.time.to_string())]);
    }
    if let Some((dispute, _)) = &intent.disputed {
        found.add(Rule::ExecutedAfterDispute, intent_id, Some(dispute.mark), []);
    }
    match (intent.submitted, &intent.statement) {
        (Some(submitted), _) if place.time < submitted.time.saturating_add(TIMELOCK_SECONDS) => {
            let waited = place.time.saturating_sub(submitted.time);
            let details = compared(waited, TIMELOCK_SECONDS);
            found.add(Rule::ExecutedBeforeTimelock, intent_id, Some(submitted.mark), details);
        }
        (None, Some(statement)) => {
            found.add(Rule::ExecutedWithoutSubmission, intent_id, Some(statement.mark), []);
        }
        _ => {}
    }
    if let Some(statement) = &intent.statement
        && U256::from(place.time) > statement.expiry
    {
        let details = compared(place.time, statement.expiry);
        found.add(Rule::ExecutedAfterExpiry, intent_id, Some(statement.mark), details);
    }
}

/// What is wrong with an intent that nobody executed or disputed when its time was over.
pub(super) fn lapsed(intent_id: B256, time: u64, intent: &Intent) -> Option<Verdict> {
    let statement = intent.statement.as_ref()?;
    let is_over = intent.is_open() && U256::from(time) > statement.expiry;
    is_over.then(|| {
        let mut found = Found(Vec::with_capacity(1));
        let details = compared(time, statement.expiry);
        found.add(Rule::OpenBeyondExpiry, intent_id, Some(statement.mark), details);
        found.0.remove(0)
    })
}

struct Found(Vec<Verdict>);

impl Found {
    fn add(
        &mut self,
        rule: Rule,
        subject: B256,
        related: Option<Mark>,
        details: impl IntoIterator<Item = (&'static str, String)>,
    ) {
        let details = details.into_iter().map(|(name, text)| (name.to_owned(), Value::String(text))).collect();
        self.0.push(Verdict { rule, subject, related, details });
    }
}

/// What is, and what the limit was.
fn compared(is: impl ToString, limit: impl ToString) -> [(&'static str, String); 2] {
    [("is", is.to_string()), ("limit", limit.to_string())]
}

fn hex(address: Address) -> String {
    alloy::hex::encode_prefixed(address)
}

#[cfg(test)]
mod tests;
