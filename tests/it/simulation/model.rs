//! What every table must hold, said by somebody who never saw the node's code: the events of the final chain, one after
//! the other, over maps.
//!
//! A thing is a key with spans: from the block that made it so to the block that made it otherwise. The docs of the data
//! model say what begins and ends one.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256, keccak256};
use meikan::event::Role;
use serde_json::Value;

use super::chain::{SimBlock, View};
use super::earlier::{self, Amount};
use super::traffic::{Actor, Cast, Fact, Meaning, known_uri};

/// A column's text as Postgres shows it, or NULL.
pub(super) type Cell = Option<String>;

/// A row by column.
pub(super) type Row = BTreeMap<&'static str, Cell>;

/// An agent: deployment and id.
pub(super) type AgentKey = (u16, U256);

/// Where an event stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct At {
    pub(super) block: u64,
    pub(super) log_index: u32,
    pub(super) time: u64,
    pub(super) transaction: B256,
}

/// From the block of its making to the block that ended it.
#[derive(Debug, Clone)]
pub(super) struct Span<T> {
    pub(super) begin: u64,
    pub(super) end: Option<u64>,
    pub(super) is: T,
}

/// What a key was over time; in one block it was only what the block left.
#[derive(Debug, Clone)]
pub(super) struct History<T>(pub(super) Vec<Span<T>>);

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> History<T> {
    pub(super) fn now(&self) -> Option<&T> {
        self.0.last().filter(|span| span.end.is_none()).map(|span| &span.is)
    }

    fn now_mut(&mut self) -> Option<&mut T> {
        self.0.last_mut().filter(|span| span.end.is_none()).map(|span| &mut span.is)
    }

    fn end(&mut self, block: u64) {
        if self.0.last().is_some_and(|span| span.end.is_none() && span.begin == block) {
            self.0.pop();
        } else if let Some(span) = self.0.last_mut() {
            span.end.get_or_insert(block);
        }
    }

    fn set(&mut self, block: u64, is: T) {
        self.end(block);
        self.0.push(Span { begin: block, end: None, is });
    }
}

#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) at: At,
    pub(super) registered: bool,
    pub(super) owner: Address,
    pub(super) approved: Option<Address>,
    pub(super) wallet: Option<Address>,
    pub(super) uri: Vec<u8>,
    pub(super) uri_set: Option<(u64, u32)>,
    pub(super) created: At,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    pub(super) feedback: i64,
    pub(super) revoked: i64,
    pub(super) responses: i64,
    pub(super) last_activity: u64,
    pub(super) updated_at: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Feedback {
    pub(super) at: At,
    pub(super) value: Amount,
    pub(super) decimals: u32,
    pub(super) tag1: Vec<u8>,
    /// Of a first tag whose text nobody tells.
    tag1_hash: Option<B256>,
    tag2: Vec<u8>,
    endpoint: Vec<u8>,
    uri: Vec<u8>,
    hash: B256,
    pub(super) revoked: Option<At>,
}

#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) response: u64,
    uri: Vec<u8>,
    hash: B256,
    tag: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(super) struct Validation {
    at: At,
    pub(super) agent: AgentKey,
    validator: Address,
    uri: Vec<u8>,
    created: At,
    pub(super) answers: u32,
    pub(super) answer: Option<Answer>,
}

/// A metadata entry: where it was set, its key and its value.
pub(super) type Entry = (At, Vec<u8>, Vec<u8>);

/// Agent, client and index.
pub(super) type FeedbackKey = (AgentKey, Address, U256);

/// The number of a contract and a request's hash.
pub(super) type ValidationKey = (usize, B256);

/// All that a chain says.
#[derive(Debug, Default, Clone)]
pub(super) struct Model {
    pub(super) agents: BTreeMap<AgentKey, History<Agent>>,
    pub(super) totals: BTreeMap<AgentKey, History<Total>>,
    pub(super) metadata: BTreeMap<(AgentKey, B256), History<Entry>>,
    approvals: BTreeMap<(u16, Address, Address), History<At>>,
    pub(super) feedback: BTreeMap<FeedbackKey, History<Feedback>>,
    pub(super) validations: BTreeMap<ValidationKey, History<Validation>>,
    /// Wallets' agents of intents.
    intents: BTreeMap<B256, B256>,
    /// Validations that the block under way asked for or answered.
    touched: BTreeMap<ValidationKey, At>,
    /// Rows that nothing changes once they are there.
    rows: BTreeMap<&'static str, Vec<Row>>,
    pub(super) audit_entries: usize,
}

impl Model {
    /// The model of a chain from a block on.
    pub(super) fn of(cast: &Cast, view: &View, start: u64, to: u64) -> Self {
        let mut model = Self::default();
        for block in view.blocks.iter().filter(|block| (start..=to).contains(&block.number)) {
            model.block(cast, block);
        }
        model
    }

    fn block(&mut self, cast: &Cast, block: &SimBlock) {
        for (emitted, log) in block.emitted.iter().zip(&block.logs) {
            let at = At {
                block: block.number,
                log_index: log.log_index,
                time: block.timestamp,
                transaction: log.transaction_hash,
            };
            match &emitted.meaning {
                Meaning::Foreign => {}
                Meaning::Undecoded(reason) => {
                    let contract = cast.0.iter().position(|actor| actor.address == log.address).expect("it is watched");
                    let mut row = placed(&at);
                    row.insert("contract_id", number(contract + 1));
                    row.insert("topic0", log.topics.first().and_then(bytea));
                    row.insert("reason", Some(reason.clone()));
                    row.remove("created_at");
                    self.put("undecoded_log", row);
                }
                Meaning::Event(fact) => self.event(&cast.0[fact.contract], fact, at),
            }
        }
        // Totals follow the validations as the block leaves them.
        for (key, at) in std::mem::take(&mut self.touched) {
            let agent = self.validations[&key].now().expect("what was touched stands").agent;
            self.count(agent, at, |total| (total.updated_at, total.last_activity) = (at.time, at.time));
        }
    }

    fn put(&mut self, table: &'static str, row: Row) {
        self.rows.entry(table).or_default().push(row);
    }

    fn event(&mut self, actor: &Actor, fact: &Fact, at: At) {
        let agent = |name: &str| (actor.deployment, fact.uint(name));
        match (actor.role, fact.event.as_str()) {
            (Role::Identity, "Transfer") => self.transfer(agent("tokenId"), fact.address("to"), at),
            (Role::Identity, "Approval") => {
                let approved = Some(fact.address("approved")).filter(|approved| !approved.is_zero());
                self.change(agent("tokenId"), at, |agent| agent.approved = approved);
                self.name(agent("tokenId"), at);
            }
            (Role::Identity, "ApprovalForAll") => {
                let key = (actor.deployment, fact.address("owner"), fact.address("operator"));
                let history = self.approvals.entry(key).or_default();
                match (history.now().is_some(), fact.flag("approved")) {
                    (false, true) => history.set(at.block, at),
                    (true, false) => history.end(at.block),
                    _ => {}
                }
            }
            (Role::Identity, "Registered") => {
                self.register(agent("agentId"), fact.bytes("agentUri"), fact.address("owner"), at);
            }
            (Role::Identity, "AgentRegistered") => {
                self.register(agent("agentId"), fact.bytes("agentDomain"), fact.address("agentAddress"), at);
            }
            (Role::Identity, "AgentUpdated") => {
                self.set_uri(agent("agentId"), fact.bytes("agentDomain"), at);
                self.transfer(agent("agentId"), fact.address("agentAddress"), at);
            }
            (Role::Identity, "URIUpdated" | "UriUpdated") => {
                self.set_uri(agent("agentId"), fact.bytes("newUri"), at);
            }
            (Role::Identity, "MetadataSet") => self.set_metadata(agent("agentId"), fact, at),
            (Role::Identity, "MetadataUpdate" | "BatchMetadataUpdate") => {}
            (Role::Reputation, "NewFeedback") => self.give(agent("agentId"), fact, at),
            (Role::Reputation, "FeedbackRevoked") => self.revoke(agent("agentId"), fact, at),
            (Role::Reputation, "ResponseAppended") => self.respond(agent("agentId"), fact, at),
            (Role::Validation, "ValidationRequest") => self.request(agent("agentId"), fact, at),
            (Role::Validation, "ValidationResponse") => self.answer(agent("agentId"), fact, at),
            _ => self.audit(fact, at),
        }
    }

    /// Changes an agent as the identity registry says.
    fn change(&mut self, key: AgentKey, at: At, change: impl FnOnce(&mut Agent)) {
        let history = self.agents.entry(key).or_default();
        let mut agent = history.now().cloned().unwrap_or_else(|| unknown(at));
        change(&mut agent);
        agent.at = at;
        history.set(at.block, agent);
    }

    /// Counts an event for an agent; whoever is counted is there.
    fn count(&mut self, key: AgentKey, at: At, count: impl FnOnce(&mut Total)) {
        let history = self.totals.entry(key).or_default();
        let first = Total { last_activity: at.time, updated_at: at.time, ..Total::default() };
        let mut total = history.now().copied().unwrap_or(first);
        count(&mut total);
        history.set(at.block, total);
        let agents = self.agents.entry(key).or_default();
        if agents.now().is_none() {
            agents.set(at.block, unknown(at));
        }
    }

    /// An event names an agent.
    fn name(&mut self, key: AgentKey, at: At) {
        self.count(key, at, |total| total.updated_at = at.time);
    }

    fn transfer(&mut self, key: AgentKey, to: Address, at: At) {
        self.change(key, at, |agent| (agent.owner, agent.approved) = (to, None));
        self.name(key, at);
    }

    fn register(&mut self, key: AgentKey, uri: &[u8], owner: Address, at: At) {
        let known = self.agents.get(&key).and_then(History::now).cloned();
        self.change(key, at, |agent| {
            agent.registered = true;
            agent.uri = uri.to_vec();
            agent.uri_set = Some((at.block, at.log_index));
            // Only of a registry that tells no Transfer the owner is taken from here.
            let untold =
                known.as_ref().is_none_or(|known| known.owner.is_zero() && known.at.transaction != at.transaction);
            if untold {
                agent.owner = owner;
            }
            if known.as_ref().is_some_and(|known| known.created.block < at.block) {
                agent.created = at;
            }
        });
        self.file(key, uri, at);
        self.count(key, at, |total| (total.updated_at, total.last_activity) = (at.time, at.time));
    }

    fn set_uri(&mut self, key: AgentKey, uri: &[u8], at: At) {
        self.change(key, at, |agent| {
            agent.uri = uri.to_vec();
            agent.uri_set = Some((at.block, at.log_index));
        });
        self.file(key, uri, at);
        self.name(key, at);
    }

    fn file(&mut self, key: AgentKey, uri: &[u8], at: At) {
        let Some(file) = known_uri(uri).file else { return };
        let mut row = of_agent(key, placed(&at));
        row.insert("cid", Some("datauri".into()));
        for text in FILE_TEXTS {
            row.insert(text, None);
        }
        for list in FILE_LISTS {
            row.insert(list, Some("[]".into()));
        }
        for (column, says) in file {
            row.insert(column, Some((*says).into()));
        }
        self.put("registration_file", row);
    }

    fn set_metadata(&mut self, key: AgentKey, fact: &Fact, at: At) {
        let (name, value) = (fact.bytes("metadataKey"), fact.bytes("metadataValue"));
        if name == b"agentWallet" {
            let wallet = match value.len() {
                20 => Some(Address::from_slice(value)),
                32 if value[..12] == [0; 12] => Some(Address::from_slice(&value[12..])),
                _ => None,
            };
            self.change(key, at, |agent| agent.wallet = wallet);
        }
        let entry = (at, name.to_vec(), value.to_vec());
        self.metadata.entry((key, keccak256(name))).or_default().set(at.block, entry);
        self.name(key, at);
    }

    fn give(&mut self, agent: AgentKey, fact: &Fact, at: At) {
        let client = fact.address("clientAddress");
        let index = match fact.get("feedbackIndex") {
            Some(_) => fact.uint("feedbackIndex"),
            // Those registries counted from 1 and did not say so.
            None => self.newest_index(agent, client).saturating_add(U256::ONE).min(U256::from(u64::MAX)),
        };
        let history = self.feedback.entry((agent, client, index)).or_default();
        let before = history.now().map(|given| given.revoked.is_some());
        let ((value, decimals), (tag1, tag1_hash)) = (earlier::amount(fact), earlier::first_tag(fact));
        let given = Feedback {
            at,
            value,
            decimals,
            tag1,
            tag1_hash,
            tag2: fact.get("tag2").map(earlier::short_text).unwrap_or_default(),
            endpoint: fact.get("endpoint").map(earlier::short_text).unwrap_or_default(),
            uri: fact.bytes("feedbackUri").to_vec(),
            hash: fact.word("feedbackHash"),
            revoked: None,
        };
        history.set(at.block, given);
        self.count(agent, at, |total| {
            match before {
                None => total.feedback += 1,
                Some(true) => total.revoked -= 1,
                Some(false) => {}
            }
            (total.updated_at, total.last_activity) = (at.time, at.time);
        });
    }

    /// The highest index of what a client ever said about an agent; 0 where it said nothing.
    fn newest_index(&self, agent: AgentKey, client: Address) -> U256 {
        let mut said = self.feedback.range((agent, client, U256::ZERO)..=(agent, client, U256::MAX));
        said.next_back().map_or(U256::ZERO, |((.., index), _)| *index)
    }

    fn revoke(&mut self, agent: AgentKey, fact: &Fact, at: At) {
        let key = (agent, fact.address("clientAddress"), fact.uint("feedbackIndex"));
        let given = self.feedback.get_mut(&key).and_then(History::now_mut);
        let Some(given) = given.filter(|given| given.revoked.is_none()) else { return };
        given.revoked = Some(at);
        self.count(agent, at, |total| {
            total.revoked += 1;
            total.updated_at = at.time;
        });
    }

    fn respond(&mut self, agent: AgentKey, fact: &Fact, at: At) {
        let mut row = of_agent(agent, placed(&at));
        row.insert("client", bytea(fact.address("clientAddress")));
        row.insert("feedback_index", number(fact.uint("feedbackIndex")));
        row.insert("responder", bytea(fact.address("responder")));
        text(&mut row, "response_uri", "response_uri_raw", Some(fact.bytes("responseUri")));
        row.insert("response_hash", bytea(hash_or_zero(fact, "responseHash")));
        self.put("feedback_response", row);
        self.count(agent, at, |total| total.responses += 1);
    }

    fn request(&mut self, agent: AgentKey, fact: &Fact, at: At) {
        let validation = Validation {
            at,
            agent,
            validator: fact.address("validatorAddress"),
            uri: fact.bytes("requestUri").to_vec(),
            created: at,
            answers: 0,
            answer: None,
        };
        let key = (fact.contract, fact.word("requestHash"));
        self.validations.entry(key).or_default().set(at.block, validation);
        self.touched.insert(key, at);
        if self.totals.get(&agent).is_none_or(|history| history.now().is_none()) {
            self.count(agent, at, |_| {});
        }
    }

    fn answer(&mut self, agent: AgentKey, fact: &Fact, at: At) {
        let answer = Answer {
            response: fact.uint("response").to(),
            uri: fact.bytes("responseUri").to_vec(),
            hash: hash_or_zero(fact, "responseHash"),
            tag: fact.get("tag").map(earlier::short_text).unwrap_or_default(),
        };
        let key = (fact.contract, fact.word("requestHash"));
        let mut row = of_agent(agent, placed(&at));
        row.insert("contract_id", number(fact.contract + 1));
        row.insert("request_hash", bytea(key.1));
        row.insert("validator", bytea(fact.address("validatorAddress")));
        answer_cells(&mut row, Some(&answer));
        self.put("validation_response", row);
        let history = self.validations.entry(key).or_default();
        let Some(mut validation) = history.now().cloned() else { return };
        validation.at = at;
        validation.answers += 1;
        validation.answer = Some(answer);
        history.set(at.block, validation);
        self.touched.insert(key, at);
    }

    fn audit(&mut self, fact: &Fact, at: At) {
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
        self.put("audit_event", row);
        self.audit_entries += 1;
    }
}

/// A hash that earlier generations did not tell.
fn hash_or_zero(fact: &Fact, name: &str) -> B256 {
    fact.get(name).map_or(B256::ZERO, |_| fact.word(name))
}

/// An agent of whom nothing but an event is known.
fn unknown(at: At) -> Agent {
    Agent {
        at,
        registered: false,
        owner: Address::ZERO,
        approved: None,
        wallet: None,
        uri: Vec::new(),
        uri_set: None,
        created: at,
    }
}

const FILE_TEXTS: [&str; 16] = [
    "name",
    "description",
    "image",
    "active",
    "x402_support",
    "endpoints_raw_json",
    "mcp_endpoint",
    "mcp_version",
    "a2a_endpoint",
    "a2a_version",
    "web_endpoint",
    "oasf_endpoint",
    "oasf_version",
    "email_endpoint",
    "ens",
    "did",
];

const FILE_LISTS: [&str; 7] =
    ["supported_trusts", "oasf_skills", "oasf_domains", "mcp_tools", "mcp_prompts", "mcp_resources", "a2a_skills"];

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

pub(super) fn number(value: impl ToString) -> Cell {
    Some(value.to_string())
}

pub(super) fn bytea(bytes: impl AsRef<[u8]>) -> Cell {
    Some(format!("\\x{}", alloy::hex::encode(bytes)))
}

/// What can be shown of a string of the chain.
pub(super) fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// A string of the chain: what can be shown, and the bytes where that is not all.
fn text(row: &mut Row, shown: &'static str, raw: &'static str, bytes: Option<&[u8]>) {
    let lost = |bytes: &&[u8]| std::str::from_utf8(bytes).map_or(true, |text| text.contains('\0'));
    row.insert(shown, bytes.map(readable));
    row.insert(raw, bytes.filter(lost).and_then(bytea));
}

/// JSON with the keys in order, whoever wrote it.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, String> =
                members.iter().map(|(key, value)| (key, canonical(value))).collect();
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The columns that say where an event stands.
fn placed(at: &At) -> Row {
    Row::from([
        ("begin_block", number(at.block)),
        ("log_index", number(at.log_index)),
        ("transaction_hash", bytea(at.transaction)),
        ("created_at", number(at.time)),
    ])
}

fn of_agent((deployment, agent_id): AgentKey, mut row: Row) -> Row {
    row.insert("deployment", number(deployment));
    row.insert("agent_id", number(agent_id));
    row
}

/// The columns of a span.
fn spanned<T>(span: &Span<T>, at: &At) -> Row {
    Row::from([
        ("begin_block", number(span.begin)),
        ("end_block", span.end.and_then(number)),
        ("log_index", number(at.log_index)),
        ("transaction_hash", bytea(at.transaction)),
    ])
}

fn answer_cells(row: &mut Row, answer: Option<&Answer>) {
    row.insert("response", answer.and_then(|answer| number(answer.response)));
    text(row, "response_uri", "response_uri_raw", answer.map(|answer| answer.uri.as_slice()));
    row.insert("response_hash", answer.and_then(|answer| bytea(answer.hash)));
    text(row, "tag", "tag_raw", answer.map(|answer| answer.tag.as_slice()));
}

/// A number with so many digits behind the point.
pub(super) fn decimal(unscaled: Amount, decimals: u32) -> String {
    let places = usize::try_from(decimals).expect("a byte");
    let digits = format!("{:0>width$}", unscaled.magnitude.to_string(), width = places + 1);
    let sign = if unscaled.is_negative { "-" } else { "" };
    let (whole, rest) = digits.split_at(digits.len() - places);
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

impl Model {
    /// Every table's rows, where blocks up to `finalized` are final.
    pub(super) fn tables(&self, finalized: Option<u64>) -> BTreeMap<&'static str, Vec<Row>> {
        let mut tables = self.rows.clone();
        let mut put = |table, row| tables.entry(table).or_default().push(row);
        for (key, history) in &self.agents {
            for span in &history.0 {
                put("agent", of_agent(*key, agent_row(span)));
            }
        }
        for (key, history) in &self.totals {
            let (last, past) = history.0.split_last().expect("a total was counted");
            put("agent_total", of_agent(*key, total_row(last)));
            for span in past.iter().filter(|span| finalized.is_none_or(|finalized| span.end > Some(finalized))) {
                let mut row = of_agent(*key, total_row(span));
                row.insert("end_block", span.end.and_then(number));
                put("agent_total_version", row);
            }
        }
        for ((agent, hash), history) in &self.metadata {
            for span in &history.0 {
                let (at, key, value) = &span.is;
                let mut row = of_agent(*agent, spanned(span, at));
                row.insert("key_hash", bytea(hash));
                row.insert("updated_at", number(at.time));
                text(&mut row, "key", "key_raw", Some(key));
                row.insert("value", bytea(value));
                put("agent_metadata", row);
            }
        }
        for ((deployment, owner, operator), history) in &self.approvals {
            for span in &history.0 {
                let mut row = spanned(span, &span.is);
                row.insert("deployment", number(deployment));
                row.insert("owner", bytea(owner));
                row.insert("operator", bytea(operator));
                put("operator_approval", row);
            }
        }
        for (key, history) in &self.feedback {
            for span in &history.0 {
                put("feedback", feedback_row(key, span));
            }
        }
        for ((contract, hash), history) in &self.validations {
            for span in &history.0 {
                let mut row = of_agent(span.is.agent, validation_row(span));
                row.insert("contract_id", number(contract + 1));
                row.insert("request_hash", bytea(hash));
                put("validation", row);
            }
        }
        tables
    }

    /// The operators that may act for an owner's agents.
    pub(super) fn operators(&self, deployment: u16, owner: Address) -> BTreeSet<Address> {
        let given = self
            .approvals
            .iter()
            .filter(|((of, by, _), history)| (*of, *by) == (deployment, owner) && history.now().is_some());
        given.map(|((.., operator), _)| *operator).collect()
    }
}

fn agent_row(span: &Span<Agent>) -> Row {
    let agent = &span.is;
    let mut row = spanned(span, &agent.at);
    row.insert("updated_at", number(agent.at.time));
    row.insert("registered", number(agent.registered));
    row.insert("owner", bytea(agent.owner));
    row.insert("approved", agent.approved.and_then(bytea));
    row.insert("agent_wallet", agent.wallet.and_then(bytea));
    text(&mut row, "agent_uri", "agent_uri_raw", Some(&agent.uri));
    row.insert("uri_block", agent.uri_set.and_then(|(block, _)| number(block)));
    row.insert("uri_log_index", agent.uri_set.and_then(|(_, log_index)| number(log_index)));
    row.insert("created_block", number(agent.created.block));
    row.insert("created_at", number(agent.created.time));
    row.insert("created_log_index", number(agent.created.log_index));
    row.insert("created_transaction_hash", bytea(agent.created.transaction));
    row
}

fn total_row(span: &Span<Total>) -> Row {
    let total = &span.is;
    Row::from([
        ("begin_block", number(span.begin)),
        ("total_feedback", number(total.feedback)),
        ("revoked", number(total.revoked)),
        ("responses", number(total.responses)),
        ("last_activity", number(total.last_activity)),
        ("updated_at", number(total.updated_at)),
    ])
}

fn feedback_row((agent, client, index): &FeedbackKey, span: &Span<Feedback>) -> Row {
    let given = &span.is;
    let mut row = of_agent(*agent, spanned(span, &given.at));
    row.insert("client", bytea(client));
    row.insert("feedback_index", number(index));
    row.insert("created_at", number(given.at.time));
    row.insert("value_raw", number(given.value));
    row.insert("value_decimals", number(given.decimals));
    row.insert("value", Some(decimal(given.value, given.decimals)));
    text(&mut row, "tag1", "tag1_raw", Some(&given.tag1));
    row.insert("tag1_hash", given.tag1_hash.and_then(bytea));
    text(&mut row, "tag2", "tag2_raw", Some(&given.tag2));
    text(&mut row, "endpoint", "endpoint_raw", Some(&given.endpoint));
    text(&mut row, "feedback_uri", "feedback_uri_raw", Some(&given.uri));
    row.insert("feedback_hash", bytea(given.hash));
    let revoked = given.revoked;
    row.insert("revoked_block", revoked.and_then(|at| number(at.block)));
    row.insert("revoked_log_index", revoked.and_then(|at| number(at.log_index)));
    row.insert("revoked_at", revoked.and_then(|at| number(at.time)));
    row.insert("revoked_transaction_hash", revoked.and_then(|at| bytea(at.transaction)));
    row
}

fn validation_row(span: &Span<Validation>) -> Row {
    let validation = &span.is;
    let mut row = spanned(span, &validation.at);
    row.insert("updated_at", number(validation.at.time));
    row.insert("validator", bytea(validation.validator));
    text(&mut row, "request_uri", "request_uri_raw", Some(&validation.uri));
    row.insert("created_block", number(validation.created.block));
    row.insert("created_at", number(validation.created.time));
    row.insert("response_count", number(validation.answers));
    answer_cells(&mut row, validation.answer.as_ref());
    row
}
