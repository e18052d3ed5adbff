//! The audit trail's events folded into states, each judged first by the state before it.
//!
//! Events are taken in the order of the chain, and a block's clock ticks at its end: an intent that is open then, and
//! whose expiry the block's time is beyond, has lapsed. Only blocks with logs have a clock, because a backfill sees no
//! others: so it is the time of the newest block with logs of the watched contracts, the same whenever it is asked for.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, U256, hex};
use futures_util::FutureExt;

use super::At;
use super::change::{ChangeEntity, ChangeOp, Changes};
use super::counters::{self, Counter};
use super::findings::{self, Findings};
use super::intents::{Details, Intent, Statement, changed_intent};
use super::mark::Mark;
use super::policies;
use super::switches::{self, Halt, HaltKind, Relayer, RelayerKey};
use super::timeline::Place;
use super::versions::{self, Versions};
use super::wallets::{self, WalletAgent, changed_agent};
use super::watchdog::{Entry, State, judge, lapsed};
use crate::event::{AgentRegistryEvent, AuditLogEvent, Event, ExecutorEvent, PolicyLimits};
use crate::store::error::StoreError;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, sum, together};

/// What a batch's audit events name.
#[derive(Default)]
pub(super) struct OversightKeys {
    agents: BTreeSet<B256>,
    intents: BTreeSet<B256>,
    relayers: BTreeSet<RelayerKey>,
    commitments: BTreeSet<B256>,
    /// Whether anything is said of, or depends on, what stops all agents.
    halts: bool,
    /// The time of the newest block with logs.
    newest: Option<u64>,
}

impl OversightKeys {
    pub(super) fn add(&mut self, contract_id: i16, event: &Event) {
        self.agents.extend(named_agent(event));
        self.intents.extend(named_intent(event));
        self.relayers.extend(named_relayer(event).map(|relayer| (contract_id, relayer)));
        self.commitments.extend(commitment(event).map(|(_, hash)| hash));
        self.halts |= matches!(event, Event::Executor(_) | Event::Policy(_) | Event::Governance(_));
    }

    /// A block with logs was seen.
    pub(super) fn add_time(&mut self, time: u64) {
        self.newest = self.newest.max(Some(time));
    }
}

/// The agent that an event names, of all whose state counts.
fn named_agent(event: &Event) -> Option<B256> {
    match event {
        Event::AgentRegistry(AgentRegistryEvent::PolicyUpdated { agent_id, .. })
        | Event::Executor(ExecutorEvent::IntentEmitted { agent_id, .. }) => Some(*agent_id),
        _ => changed_agent(event),
    }
}

/// The intent that an event names.
fn named_intent(event: &Event) -> Option<B256> {
    match event {
        Event::Executor(ExecutorEvent::BridgeMessageReceived { intent_id, .. }) => Some(*intent_id),
        _ => changed_intent(event),
    }
}

/// Who an event says relays, or may.
fn named_relayer(event: &Event) -> Option<Address> {
    match event {
        Event::Executor(
            ExecutorEvent::IntentSubmitted { relayer, .. }
            | ExecutorEvent::IntentExecuted { executor: relayer, .. }
            | ExecutorEvent::RelayerAuthorized { relayer }
            | ExecutorEvent::RelayerRevoked { relayer }
            | ExecutorEvent::BridgeMessageReceived { relayer, .. },
        ) => Some(*relayer),
        _ => None,
    }
}

/// Whose commitment an event logs, and to what.
fn commitment(event: &Event) -> Option<(B256, B256)> {
    match event {
        Event::AuditLog(AuditLogEvent::CommitmentLogged { agent_id, commitment_hash, .. }) => {
            Some((*agent_id, *commitment_hash))
        }
        _ => None,
    }
}

/// The states that a batch's audit events change or are judged by.
#[derive(Default)]
pub(super) struct Oversight {
    agents: Versions<WalletAgent>,
    policies: Versions<PolicyLimits>,
    relayers: Versions<Relayer>,
    halts: Versions<Halt>,
    counters: Versions<Counter>,
    intents: Versions<Intent>,
    /// The first commitment to each hash, and whose it is.
    commitments: BTreeMap<B256, (Mark, B256)>,
    /// Intents that were open, by their expiry.
    open: BTreeSet<(U256, B256)>,
    findings: Findings,
}

impl Oversight {
    pub(super) async fn load(sql: &Sql<'_>, keys: &OversightKeys) -> Result<Self, StoreError> {
        let Some(newest) = keys.newest else { return Ok(Self::default()) };
        let (mut intents, lapsing) =
            together!(sql, Versions::<Intent>::load(sql, &keys.intents), lapsing(sql, newest))?;
        intents.take(&lapsing)?;
        let open = intents.all().filter(|(_, (_, intent))| intent.is_open());
        let open = open.filter_map(|(id, (_, intent))| Some((intent.expiry()?, *id))).collect();
        let stated = intents.all().filter_map(|(_, (_, intent))| intent.wallet_agent());
        let agents: BTreeSet<B256> = keys.agents.iter().copied().chain(stated).collect();
        let (policies, relayers, counters, commitments, agents, halts) = together!(
            sql,
            Versions::load(sql, &agents),
            Versions::load(sql, &keys.relayers),
            load_counters(sql, &agents),
            load_commitments(sql, &keys.commitments),
            Versions::load(sql, &agents),
            load_halts(sql, keys.halts),
        )?;
        Ok(Self {
            agents,
            policies,
            relayers,
            halts,
            counters,
            intents,
            commitments,
            open,
            findings: Findings::default(),
        })
    }

    /// Judges an event, then takes it in.
    pub(super) fn fold(&mut self, at: &At<'_>, event: &Event, changes: &mut Changes) {
        self.judge(at, event, changes);
        wallets::fold(&mut self.agents, at, event);
        policies::fold(&mut self.policies, at, event);
        switches::fold(&mut self.relayers, &mut self.halts, at, event);
        if let Some((agent, hash)) = commitment(event) {
            self.commitments.entry(hash).or_insert((Mark::from(&at.place), agent));
        }
        if let (Event::Executor(event), Some(intent_id)) = (event, changed_intent(event)) {
            self.intent(at, intent_id, event, changes);
        }
    }

    fn judge(&mut self, at: &At<'_>, event: &Event, changes: &mut Changes) {
        let intent_id = named_intent(event);
        let intent = intent_id.and_then(|id| self.intents.now(&id)).map(|(_, intent)| intent);
        let agent = named_agent(event).or_else(|| intent?.wallet_agent());
        let contract = at.contract.id;
        let state = State {
            intent,
            agent: agent.and_then(|agent| self.agents.now(&agent)).map(|(_, agent)| agent),
            policy: agent.and_then(|agent| self.policies.now(&agent)).map(|(set, policy)| (Mark::from(set), policy)),
            usage: agent.map(|agent| counters::usage(&self.counters, agent, at.place.time)).unwrap_or_default(),
            counter: agent.and_then(|agent| self.counters.now(&(agent, contract))).map(|(_, c)| *c).unwrap_or_default(),
            relayer: named_relayer(event)
                .and_then(|relayer| self.relayers.now(&(contract, relayer)))
                .map(|(said, relayer)| (Mark::from(said), relayer.is_authorised)),
            halt: self.halt(contract),
            commitment: commitment(event).and_then(|(_, hash)| self.commitments.get(&hash).copied()),
        };
        let agent = agent.or_else(|| commitment(event).map(|(agent, _)| agent)).or_else(|| messenger(event));
        for verdict in judge(&Entry { place: &at.place, event }, &state) {
            self.findings.add(&at.place, contract, agent, intent_id, verdict, changes);
        }
    }

    /// What stops all agents at an executor: an engine, or its own pause.
    fn halt(&self, executor: i16) -> Option<(Mark, HaltKind)> {
        let on = self.halts.all().filter(|(_, (_, halt))| halt.is_on);
        let mut stopping = on.filter(|((contract, kind), _)| *kind != HaltKind::Executor || *contract == executor);
        stopping.next().map(|((_, kind), (said, _))| (Mark::from(said), *kind))
    }

    fn intent(&mut self, at: &At<'_>, intent_id: B256, event: &ExecutorEvent, changes: &mut Changes) {
        let place = &at.place;
        let known = self.intents.now(&intent_id).map(|(_, intent)| intent.clone());
        let op = if known.is_none() { ChangeOp::Insert } else { ChangeOp::Update };
        let intent = match event {
            ExecutorEvent::IntentEmitted { .. } => self.stated(at, event),
            _ => {
                let mut intent = known.unwrap_or_else(|| Intent::untold(at.contract.id));
                self.tell_details(at, &mut intent, event);
                intent.act(place, event);
                intent
            }
        };
        self.set(place, intent_id, intent, op, changes);
    }

    fn set(&mut self, place: &Place, intent_id: B256, intent: Intent, op: ChangeOp, changes: &mut Changes) {
        if let Some(expiry) = intent.expiry().filter(|_| intent.is_open()) {
            self.open.insert((expiry, intent_id));
        }
        self.intents.set(place, intent_id, intent);
        let chain = changes.names.chain_id();
        changes.note(op, ChangeEntity::Intent, || format!("{chain}:{}", hex::encode_prefixed(intent_id)));
    }

    /// The intent as its statement says, counted for its agent.
    fn stated(&mut self, at: &At<'_>, event: &ExecutorEvent) -> Intent {
        let mut intent = Intent::untold(at.contract.id);
        let ExecutorEvent::IntentEmitted { agent_id, dest_chain_id, action_hash, nonce, expiry, .. } = event else {
            return intent;
        };
        counters::state(&mut self.counters, &at.place, (*agent_id, at.contract.id), *nonce);
        let usage = counters::usage(&self.counters, *agent_id, at.place.time);
        intent.statement = Some(Statement {
            mark: Mark::from(&at.place),
            time: at.place.time,
            wallet_agent: *agent_id,
            dest_chain_id: *dest_chain_id,
            action_hash: *action_hash,
            nonce: *nonce,
            expiry: *expiry,
            day_count: usage.day_count,
            hour_count: usage.hour_count,
        });
        intent
    }

    /// What an intent is about, if the event tells it and none did before.
    fn tell_details(&mut self, at: &At<'_>, intent: &mut Intent, event: &ExecutorEvent) {
        let ExecutorEvent::IntentDetails { src_chain_id, value, recipient, action, .. } = event else { return };
        if intent.details.is_some() {
            return;
        }
        let day_spend = intent.wallet_agent().map(|agent| {
            counters::spend(&mut self.counters, &at.place, (agent, at.contract.id), *value);
            counters::usage(&self.counters, agent, at.place.time).day_spend
        });
        intent.details = Some(Details {
            src_chain_id: *src_chain_id,
            value: *value,
            recipient: *recipient,
            action: action.clone(),
            day_spend,
        });
    }

    /// The clock ticks: what is still open at a block's end, and should not be, has lapsed. The event is the block's first
    /// log, whatever it says.
    pub(super) fn end_block(&mut self, first: &At<'_>, changes: &mut Changes) {
        let place = &first.place;
        while let Some((expiry, intent_id)) = self.open.first().copied() {
            if expiry >= U256::from(place.time) {
                return;
            }
            self.open.pop_first();
            let Some((_, intent)) = self.intents.now(&intent_id) else { continue };
            let Some(verdict) = lapsed(intent_id, place.time, intent) else { continue };
            let mut intent = intent.clone();
            intent.expired = Some((place.block, place.time));
            let agent = intent.wallet_agent();
            self.findings.add(place, first.contract.id, agent, Some(intent_id), verdict, changes);
            self.set(place, intent_id, intent, ChangeOp::Update, changes);
        }
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        sum(
            sql,
            [
                self.agents.write(sql).boxed(),
                self.policies.write(sql).boxed(),
                self.relayers.write(sql).boxed(),
                self.halts.write(sql).boxed(),
                self.counters.write(sql).boxed(),
                self.intents.write(sql).boxed(),
                self.findings.write(sql).boxed(),
            ],
        )
        .await
    }
}

/// Of a message from another chain, the agent that it names.
fn messenger(event: &Event) -> Option<B256> {
    match event {
        Event::Executor(ExecutorEvent::BridgeMessageReceived { agent_id, .. }) => Some(*agent_id),
        _ => None,
    }
}

/// Intents that are open and lapse before a time.
async fn lapsing(sql: &Sql<'_>, time: u64) -> Result<Vec<tokio_postgres::Row>, StoreError> {
    let select = "SELECT * FROM intent WHERE chain_id = $1 AND end_block IS NULL \
                  AND status IN ('CREATED', 'SUBMITTED') AND expiry < $2";
    sql.query(select, &[&Numeric::from(time)]).await
}

/// What stops agents now, where that is needed.
async fn load_halts(sql: &Sql<'_>, are_needed: bool) -> Result<Versions<Halt>, StoreError> {
    let mut halts = Versions::default();
    if are_needed {
        let select = "SELECT * FROM halt WHERE chain_id = $1 AND end_block IS NULL";
        halts.take(&sql.query(select, &[]).await?)?;
    }
    Ok(halts)
}

/// The counters of agents, at all executors.
async fn load_counters(sql: &Sql<'_>, agents: &BTreeSet<B256>) -> Result<Versions<Counter>, StoreError> {
    let mut counters = Versions::default();
    if agents.is_empty() {
        return Ok(counters);
    }
    let agents: Vec<&[u8]> = agents.iter().map(|agent| agent.as_slice()).collect();
    let select = "SELECT c.* FROM unnest($2::bytea[]) AS key (wallet_agent) \
                  CROSS JOIN LATERAL (SELECT * FROM intent_counter c WHERE c.chain_id = $1 \
                      AND c.wallet_agent = key.wallet_agent AND c.end_block IS NULL OFFSET 0) c";
    counters.take(&sql.query(select, &[&agents]).await?)?;
    Ok(counters)
}

/// The first commitments to hashes.
async fn load_commitments(sql: &Sql<'_>, hashes: &BTreeSet<B256>) -> Result<BTreeMap<B256, (Mark, B256)>, StoreError> {
    if hashes.is_empty() {
        return Ok(BTreeMap::new());
    }
    let hashes: Vec<&[u8]> = hashes.iter().map(|hash| hash.as_slice()).collect();
    let rows = sql
        .query(
            "SELECT key.hash, e.* FROM unnest($2::bytea[]) AS key (hash) \
             CROSS JOIN LATERAL (SELECT begin_block, log_index, wallet_agent FROM audit_event e \
                 WHERE e.chain_id = $1 AND e.commitment_hash = key.hash \
                 ORDER BY e.begin_block, e.log_index LIMIT 1) e",
            &[&hashes],
        )
        .await?;
    let firsts = rows.iter().map(|row| {
        let mark = Mark::read(row, "begin_block", "log_index")?.ok_or_else(|| sql::corrupt("an entry has no place"))?;
        Ok((sql::hash(row, "hash")?, (mark, sql::hash(row, "wallet_agent")?)))
    });
    firsts.collect()
}

/// Undoes what happened above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    versions::rewind::<WalletAgent>(sql, to).await?;
    versions::rewind::<PolicyLimits>(sql, to).await?;
    versions::rewind::<Relayer>(sql, to).await?;
    versions::rewind::<Halt>(sql, to).await?;
    versions::rewind::<Counter>(sql, to).await?;
    versions::rewind::<Intent>(sql, to).await?;
    findings::rewind(sql, to).await
}
