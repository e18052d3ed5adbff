//! Intents, and what they are held against: counted anew from plain lists of all that was said, each time that it is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::{Address, B256, U256};
use meikan::event::Role;
use serde_json::Value;

use super::super::traffic::{Actor, Fact};
use super::history::{At, History, Span};
use super::rows::{Row, Rows, bytea, canonical, number, placed, text};
use super::wallets::{Told, Wallet, marked, policy_row, versioned, wallet_row};
use super::watchdog::compared;

/// All that was said of an intent since it was stated, or since it was first told of.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    pub(crate) at: At,
    pub(crate) contract: usize,
    events: Vec<Told>,
    pub(crate) expired: Option<At>,
}

impl Intent {
    /// The first event of a kind.
    pub(crate) fn first(&self, event: &str) -> Option<&Told> {
        self.events.iter().find(|told| told.fact.event == event)
    }

    pub(crate) fn agent(&self) -> Option<B256> {
        self.first("IntentEmitted").map(|told| told.fact.word("agentId"))
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.first("IntentExecuted").is_some() {
            "EXECUTED"
        } else if self.first("IntentDisputed").is_some() {
            "DISPUTED"
        } else if self.expired.is_some() {
            "EXPIRED"
        } else if self.first("IntentSubmitted").is_some() {
            "SUBMITTED"
        } else {
            "CREATED"
        }
    }

    pub(super) fn is_over(&self, time: u64) -> bool {
        self.first("IntentEmitted").is_some_and(|told| U256::from(time) > told.fact.uint("expiry"))
    }

    pub(crate) fn executions(&self) -> usize {
        self.events.iter().filter(|told| told.fact.event == "IntentExecuted").count()
    }
}

/// What is wrong.
#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) at: At,
    pub(crate) rule: &'static str,
    pub(crate) subject: B256,
    pub(super) contract: usize,
    pub(crate) agent: Option<B256>,
    pub(crate) intent: Option<B256>,
    pub(crate) related: Option<At>,
    pub(super) details: Value,
}

/// A statement: whose, at which executor, and what of it counts.
#[derive(Debug, Clone)]
struct Stated {
    agent: B256,
    contract: usize,
    at: At,
    nonce: U256,
}

/// What an intent is to spend: whose, at which executor.
#[derive(Debug, Clone)]
struct Spent {
    agent: B256,
    contract: usize,
    at: At,
    value: U256,
}

/// All that is known.
#[derive(Debug, Default, Clone)]
pub(crate) struct Intents {
    pub(crate) wallets: BTreeMap<B256, History<Wallet>>,
    pub(crate) policies: BTreeMap<B256, History<Told>>,
    pub(super) relayers: BTreeMap<(usize, Address), History<(At, bool)>>,
    pub(super) halts: BTreeMap<(usize, &'static str), History<(At, bool)>>,
    /// The counters' rows: they say nothing that the lists below do not.
    counters: BTreeMap<(B256, usize), History<(At, Row)>>,
    pub(crate) intents: BTreeMap<B256, History<Intent>>,
    pub(super) commitments: Vec<Told>,
    stated: Vec<Stated>,
    spent: Vec<Spent>,
    pub(crate) findings: Vec<Finding>,
}

impl Intents {
    /// Each intent as it is now.
    pub(crate) fn now(&self) -> impl Iterator<Item = (&B256, &Intent)> {
        self.intents.iter().map(|(id, history)| (id, history.now().expect("intents do not end")))
    }

    /// The wallet of a wallet's agent, where that was told.
    pub(crate) fn wallet_of(&self, agent: B256) -> Option<Address> {
        Some(self.wallets.get(&agent)?.now()?.told.as_ref()?.fact.address("wallet"))
    }

    /// Judges an event, then takes it in.
    pub(super) fn fold(&mut self, actor: &Actor, fact: &Arc<Fact>, at: At) {
        let told = Told { at, fact: Arc::clone(fact) };
        self.judge(&told);
        match (actor.role, fact.event.as_str()) {
            (Role::AuditLog, "CommitmentLogged") => self.commitments.push(told),
            (Role::AgentRegistry, "AgentRegistered") => self.wallet(&told, |wallet, told| {
                wallet.told = Some(told.clone());
                wallet.switched = Some((told.at, true));
            }),
            (Role::AgentRegistry, "AgentUpdated") => {
                self.wallet(&told, |wallet, told| wallet.told = Some(told.clone()))
            }
            (Role::AgentRegistry, "AgentDeactivated") => {
                self.wallet(&told, |wallet, told| wallet.switched = Some((told.at, false)));
            }
            (Role::AgentRegistry, "AgentReactivated") => {
                self.wallet(&told, |wallet, told| wallet.switched = Some((told.at, true)));
            }
            (Role::PolicyEngine, "AgentPaused") => {
                self.wallet(&told, |wallet, told| wallet.paused = Some((told.at, true)));
            }
            (Role::PolicyEngine, "AgentUnpaused") => {
                self.wallet(&told, |wallet, told| wallet.paused = Some((told.at, false)));
            }
            (Role::AgentRegistry, "PolicyUpdated") => {
                self.policies.entry(fact.word("agentId")).or_default().set(at.block, told);
            }
            (Role::Executor, "RelayerAuthorized") => self.relayer(&told, true),
            (Role::Executor, "RelayerRevoked") => self.relayer(&told, false),
            (Role::Executor, "Paused") => self.halt(&told, "EXECUTOR", true),
            (Role::Executor, "Unpaused") => self.halt(&told, "EXECUTOR", false),
            (Role::PolicyEngine, "Paused" | "EmergencyPaused") => self.halt(&told, "EMERGENCY", true),
            (Role::PolicyEngine, "Unpaused" | "EmergencyUnpaused") => self.halt(&told, "EMERGENCY", false),
            (Role::PolicyEngine, "CircuitBreakerTripped") => self.halt(&told, "BREAKER", true),
            (Role::PolicyEngine, "CircuitBreakerReset") => self.halt(&told, "BREAKER", false),
            (
                Role::Executor,
                "IntentEmitted" | "IntentDetails" | "IntentSubmitted" | "IntentExecuted" | "IntentDisputed",
            ) => self.intent(told),
            _ => {}
        }
    }

    fn wallet(&mut self, told: &Told, change: impl FnOnce(&mut Wallet, &Told)) {
        let history = self.wallets.entry(told.fact.word("agentId")).or_default();
        let first = Wallet { at: told.at, told: None, switched: None, paused: None, created: told.at };
        let mut wallet = history.now().cloned().unwrap_or(first);
        change(&mut wallet, told);
        wallet.at = told.at;
        history.set(told.at.block, wallet);
    }

    fn relayer(&mut self, told: &Told, may: bool) {
        let key = (told.fact.contract, told.fact.address("relayer"));
        self.relayers.entry(key).or_default().set(told.at.block, (told.at, may));
    }

    fn halt(&mut self, told: &Told, kind: &'static str, is_on: bool) {
        self.halts.entry((told.fact.contract, kind)).or_default().set(told.at.block, (told.at, is_on));
    }

    fn intent(&mut self, told: Told) {
        let (at, contract, id) = (told.at, told.fact.contract, told.fact.word("intentId"));
        let known = self.intents.get(&id).and_then(History::now).cloned();
        let mut intent = known.unwrap_or(Intent { at, contract, events: Vec::new(), expired: None });
        match told.fact.event.as_str() {
            "IntentEmitted" => {
                intent = Intent { at, contract, events: Vec::new(), expired: None };
                let (agent, nonce) = (told.fact.word("agentId"), told.fact.uint("nonce"));
                self.stated.push(Stated { agent, contract, at, nonce });
                self.count(agent, contract, at);
            }
            "IntentDetails" if intent.first("IntentDetails").is_none() => {
                if let Some(agent) = intent.agent() {
                    self.spent.push(Spent { agent, contract, at, value: told.fact.uint("value") });
                    self.count(agent, contract, at);
                }
            }
            _ => {}
        }
        intent.events.push(told);
        intent.at = at;
        self.intents.entry(id).or_default().set(at.block, intent);
    }

    /// The row of an agent's counters at an executor, as the lists say.
    fn count(&mut self, agent: B256, contract: usize, at: At) {
        let (next, newest) = self.next_nonce(agent, contract);
        let here = |of: usize| of == contract;
        let row = Row::from([
            ("next_nonce", number(next)),
            ("nonce_block", newest.and_then(|at| number(at.block))),
            ("nonce_log_index", newest.and_then(|at| number(at.log_index))),
            ("day", number(at.time / 86_400)),
            ("day_count", number(self.stated_in(agent, at, 86_400, here))),
            ("day_spend", number(self.spent_on_day(agent, at, here))),
            ("hour", number(at.time / 3_600)),
            ("hour_count", number(self.stated_in(agent, at, 3_600, here))),
        ]);
        self.counters.entry((agent, contract)).or_default().set(at.block, (at, row));
    }

    /// One more than the highest nonce of an agent at an executor, and who had it.
    pub(super) fn next_nonce(&self, agent: B256, contract: usize) -> (U256, Option<At>) {
        let mut next = (U256::ZERO, None);
        for stated in self.stated.iter().filter(|stated| (stated.agent, stated.contract) == (agent, contract)) {
            if stated.nonce >= next.0 {
                next = (stated.nonce.saturating_add(U256::ONE), Some(stated.at));
            }
        }
        next
    }

    /// How much an agent stated in the same day or hour.
    pub(super) fn stated_in(&self, agent: B256, at: At, seconds: u64, here: impl Fn(usize) -> bool) -> usize {
        let same = |stated: &&Stated| {
            stated.agent == agent && stated.at.time / seconds == at.time / seconds && here(stated.contract)
        };
        self.stated.iter().filter(same).count()
    }

    pub(super) fn spent_on_day(&self, agent: B256, at: At, here: impl Fn(usize) -> bool) -> U256 {
        let same =
            |spent: &&Spent| spent.agent == agent && spent.at.time / 86_400 == at.time / 86_400 && here(spent.contract);
        self.spent.iter().filter(same).fold(U256::ZERO, |sum, spent| sum.saturating_add(spent.value))
    }

    /// What a block leaves open that should not be.
    pub(super) fn end_block(&mut self, first: At, contract: usize) {
        let open: Vec<B256> = self
            .intents
            .iter()
            .filter(|(_, history)| {
                let intent = history.now().expect("intents do not end");
                matches!(intent.status(), "CREATED" | "SUBMITTED") && intent.is_over(first.time)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in open {
            let history = self.intents.get_mut(&id).expect("it was found");
            let mut intent = history.now().expect("intents do not end").clone();
            let stated = intent.first("IntentEmitted").expect("it has an expiry").clone();
            self.findings.push(Finding {
                at: first,
                rule: "OPEN_BEYOND_EXPIRY",
                subject: id,
                contract,
                agent: intent.agent(),
                intent: Some(id),
                related: Some(stated.at),
                details: compared(first.time, stated.fact.uint("expiry")),
            });
            intent.expired = Some(first);
            intent.at = first;
            history.set(first.block, intent);
        }
    }
}

impl Intents {
    pub(super) fn rows(&self, rows: &mut Rows) {
        for (agent, history) in &self.wallets {
            rows.put_all("wallet_agent", history.0.iter().map(|span| wallet_row(*agent, span)));
        }
        for (agent, history) in &self.policies {
            rows.put_all("policy", history.0.iter().map(|span| policy_row(*agent, span)));
        }
        for ((contract, relayer), history) in &self.relayers {
            let key = || [("contract_id", number(contract + 1)), ("relayer", bytea(relayer))];
            rows.put_all(
                "relayer",
                history.0.iter().map(|span| {
                    let (at, may) = span.is;
                    let mut row = versioned(span, &at, key());
                    row.insert("is_authorised", number(may));
                    row
                }),
            );
        }
        for ((contract, kind), history) in &self.halts {
            let key = || [("contract_id", number(contract + 1)), ("kind", Some((*kind).to_owned()))];
            rows.put_all(
                "halt",
                history.0.iter().map(|span| {
                    let (at, is_on) = span.is;
                    let mut row = versioned(span, &at, key());
                    row.insert("is_on", number(is_on));
                    row
                }),
            );
        }
        for ((agent, contract), history) in &self.counters {
            let key = || [("contract_id", number(contract + 1)), ("wallet_agent", bytea(agent))];
            rows.put_all(
                "intent_counter",
                history.0.iter().map(|span| {
                    let (at, counted) = &span.is;
                    let mut row = versioned(span, at, key());
                    row.extend(counted.clone());
                    row
                }),
            );
        }
        for (id, history) in &self.intents {
            rows.put_all("intent", history.0.iter().map(|span| self.intent_row(*id, span)));
        }
        rows.put_all("finding", self.findings.iter().map(finding_row));
    }

    fn intent_row(&self, id: B256, span: &Span<Intent>) -> Row {
        let intent = &span.is;
        let mut row = versioned(span, &intent.at, [("intent_id", bytea(id))]);
        row.insert("contract_id", number(intent.contract + 1));
        row.insert("status", Some(intent.status().to_owned()));
        let stated = intent.first("IntentEmitted");
        marked(&mut row, ["created_block", "created_log_index"], stated.map(|told| told.at));
        row.insert("created_at", stated.and_then(|told| number(told.at.time)));
        let uint = |told: Option<&Told>, name: &str| told.and_then(|told| number(told.fact.uint(name)));
        row.insert("wallet_agent", intent.agent().and_then(bytea));
        row.insert("dest_chain_id", uint(stated, "destChainId"));
        row.insert("action_hash", stated.and_then(|told| bytea(told.fact.word("actionHash"))));
        row.insert("nonce", uint(stated, "nonce"));
        row.insert("expiry", uint(stated, "expiry"));
        let counted = |seconds| stated.and_then(|told| number(self.stated_up_to(told, seconds)));
        row.insert("day_count", counted(86_400));
        row.insert("hour_count", counted(3_600));
        let details = intent.first("IntentDetails");
        row.insert("src_chain_id", uint(details, "srcChainId"));
        row.insert("value", uint(details, "value"));
        row.insert("recipient", details.and_then(|told| bytea(told.fact.address("recipient"))));
        text(&mut row, "action", "action_raw", details.map(|told| told.fact.bytes("action")));
        let spent = intent.agent().zip(details).map(|(agent, told)| self.spent_up_to(agent, told.at));
        row.insert("day_spend", spent.and_then(number));
        for (event, by, columns) in [
            ("IntentSubmitted", "relayer", ["submitted_block", "submitted_log_index", "submitted_at", "submitted_by"]),
            ("IntentExecuted", "executor", ["executed_block", "executed_log_index", "executed_at", "executed_by"]),
            ("IntentDisputed", "disputer", ["disputed_block", "disputed_log_index", "disputed_at", "disputed_by"]),
        ] {
            let act = intent.first(event);
            marked(&mut row, [columns[0], columns[1]], act.map(|told| told.at));
            row.insert(columns[2], act.and_then(|told| number(told.at.time)));
            row.insert(columns[3], act.and_then(|told| bytea(told.fact.address(by))));
        }
        row.insert("execution_count", number(intent.executions()));
        let reason = intent.first("IntentDisputed").map(|told| told.fact.bytes("reason"));
        text(&mut row, "dispute_reason", "dispute_reason_raw", reason);
        row.insert("expired_block", intent.expired.and_then(|at| number(at.block)));
        row.insert("expired_at", intent.expired.and_then(|at| number(at.time)));
        row
    }

    /// What the agent of a statement had stated in the same day or hour, up to and with it.
    fn stated_up_to(&self, told: &Told, seconds: u64) -> usize {
        let agent = told.fact.word("agentId");
        let before = |at: At| (at.block, at.log_index) <= (told.at.block, told.at.log_index);
        let same = |stated: &&Stated| {
            stated.agent == agent && stated.at.time / seconds == told.at.time / seconds && before(stated.at)
        };
        self.stated.iter().filter(same).count()
    }

    fn spent_up_to(&self, agent: B256, at: At) -> U256 {
        let same = |spent: &&Spent| {
            let before = (spent.at.block, spent.at.log_index) <= (at.block, at.log_index);
            spent.agent == agent && spent.at.time / 86_400 == at.time / 86_400 && before
        };
        self.spent.iter().filter(same).fold(U256::ZERO, |sum, spent| sum.saturating_add(spent.value))
    }
}

fn finding_row(finding: &Finding) -> Row {
    let mut row = placed(&finding.at);
    row.insert("rule", Some(finding.rule.to_owned()));
    row.insert("subject", bytea(finding.subject));
    row.insert("contract_id", number(finding.contract + 1));
    row.insert("wallet_agent", finding.agent.and_then(bytea));
    row.insert("intent_id", finding.intent.and_then(bytea));
    marked(&mut row, ["related_block", "related_log_index"], finding.related);
    row.insert("details", Some(canonical(&finding.details)));
    row
}
