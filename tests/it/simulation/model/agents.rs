//! Agents: who owns them, where they say what they are, and all who are named by any event.

use std::collections::BTreeMap;

use alloy::primitives::Address;

use super::AgentKey;
use super::files::Files;
use super::flips::Flips;
use super::history::{At, History, Span};
use super::rows::{Row, Rows, bytea, number, of_agent, spanned, text};
use super::totals::{Total, Totals};

#[derive(Debug, Clone)]
pub(crate) struct Agent {
    pub(crate) at: At,
    pub(crate) registered: bool,
    pub(crate) owner: Address,
    pub(crate) approved: Option<Address>,
    pub(crate) wallet: Option<Address>,
    pub(crate) uri: Vec<u8>,
    pub(crate) uri_set: Option<(u64, u32)>,
    /// When its URI, its wallet or its owner was last told.
    manifest_at: Option<u64>,
    pub(crate) created: At,
}

/// All agents, their totals, their manifests and their registration files.
#[derive(Debug, Default, Clone)]
pub(crate) struct Agents {
    pub(crate) known: BTreeMap<AgentKey, History<Agent>>,
    pub(crate) totals: Totals,
    pub(crate) flips: Flips,
    files: Files,
}

impl Agents {
    /// Changes an agent's manifest as the identity registry says.
    pub(super) fn tell(&mut self, key: AgentKey, at: At, change: impl FnOnce(&mut Agent)) {
        self.change(key, at, |agent| {
            change(agent);
            agent.manifest_at = Some(at.time);
        });
        self.flips.tell(key, at, self.known[&key].now().expect("it was changed"));
    }

    /// Changes an agent as the identity registry says.
    fn change(&mut self, key: AgentKey, at: At, change: impl FnOnce(&mut Agent)) {
        let history = self.known.entry(key).or_default();
        let mut agent = history.now().cloned().unwrap_or_else(|| unknown(at));
        change(&mut agent);
        agent.at = at;
        history.set(at.block, agent);
    }

    /// Counts an event for an agent; whoever is counted is there.
    pub(super) fn count(&mut self, key: AgentKey, at: At, count: impl FnOnce(&mut Total)) {
        self.totals.count(key, at, count);
        let history = self.known.entry(key).or_default();
        if history.now().is_none() {
            history.set(at.block, unknown(at));
        }
    }

    /// An event names an agent.
    pub(super) fn name(&mut self, key: AgentKey, at: At) {
        self.count(key, at, |total| total.updated_at = at.time);
    }

    pub(super) fn transfer(&mut self, key: AgentKey, to: Address, at: At) {
        self.tell(key, at, |agent| (agent.owner, agent.approved) = (to, None));
        self.name(key, at);
    }

    pub(super) fn approve(&mut self, key: AgentKey, approved: Address, at: At) {
        let approved = Some(approved).filter(|approved| !approved.is_zero());
        self.change(key, at, |agent| agent.approved = approved);
        self.name(key, at);
    }

    pub(super) fn register(&mut self, key: AgentKey, uri: &[u8], owner: Address, at: At) {
        let known = self.known.get(&key).and_then(History::now).cloned();
        self.tell(key, at, |agent| {
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
        self.files.set(key, uri, at);
        self.count(key, at, |total| (total.updated_at, total.last_activity) = (at.time, at.time));
    }

    pub(super) fn set_uri(&mut self, key: AgentKey, uri: &[u8], at: At) {
        self.tell(key, at, |agent| {
            agent.uri = uri.to_vec();
            agent.uri_set = Some((at.block, at.log_index));
        });
        self.files.set(key, uri, at);
        self.name(key, at);
    }

    pub(super) fn rows(&self, rows: &mut Rows, finalized: Option<u64>) {
        for (key, history) in &self.known {
            rows.put_all("agent", history.0.iter().map(|span| of_agent(*key, agent_row(span))));
        }
        self.totals.rows(rows, finalized);
        self.flips.rows(rows);
        self.files.rows(rows);
    }
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
        manifest_at: None,
        created: at,
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
    row.insert("manifest_at", agent.manifest_at.and_then(number));
    row.insert("created_block", number(agent.created.block));
    row.insert("created_at", number(agent.created.time));
    row.insert("created_log_index", number(agent.created.log_index));
    row.insert("created_transaction_hash", bytea(agent.created.transaction));
    row
}
