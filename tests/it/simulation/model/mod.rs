//! What every table must hold, said by somebody who never saw the node's code: the events of the final chain, one after
//! the other, over maps.
//!
//! A thing is a key with spans: from the block that made it so to the block that made it otherwise. The docs of the data
//! model say what begins and ends one. Each noun has a file: what is known of it, how an event or the end of a block
//! changes that, and the rows that its tables must hold.

mod agents;
mod analysis;
mod approvals;
mod audit;
mod feedback;
mod files;
mod flips;
mod history;
mod hours;
mod intents;
mod metadata;
mod rows;
pub(crate) mod standings;
mod totals;
mod validations;
mod wallets;
mod watchdog;

use alloy::primitives::{B256, U256};
use meikan::event::Role;

use super::chain::{SimBlock, View};
use super::traffic::{Actor, Cast, Fact, Meaning};
use agents::Agents;
use approvals::Approvals;
use audit::Audit;
use feedback::Feedbacks;
pub(crate) use flips::Flip;
use history::At;
pub(crate) use hours::{Measure, Point};
use intents::Intents;
pub(crate) use intents::{Finding, Intent};
use metadata::Metadata;
pub(crate) use rows::{Cell, Row, Rows, bytea, canonical, number, readable};
use standings::Standings;
use validations::Validations;

/// An agent: deployment and id.
pub(crate) type AgentKey = (u16, U256);

/// All that a chain says.
#[derive(Debug, Default, Clone)]
pub(crate) struct Model {
    pub(crate) agents: Agents,
    pub(crate) approvals: Approvals,
    metadata: Metadata,
    pub(crate) feedback: Feedbacks,
    pub(crate) standings: Standings,
    pub(crate) validations: Validations,
    pub(crate) audit: Audit,
    pub(crate) intents: Intents,
    undecoded: Vec<Row>,
    /// The time of the newest block with logs of the cast.
    pub(crate) clock: Option<u64>,
}

impl Model {
    /// The model of a chain from a block on.
    pub(crate) fn of(cast: &Cast, view: &View, start: u64, to: u64) -> Self {
        let mut model = Self::default();
        for block in view.blocks.iter().filter(|block| (start..=to).contains(&block.number)) {
            model.block(cast, block);
        }
        model
    }

    fn block(&mut self, cast: &Cast, block: &SimBlock) {
        let mut first = None;
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
                    let topic0 = log.topics.first();
                    self.undecoded.push(undecoded(contract, topic0, reason, &at));
                }
                Meaning::Event(fact) => {
                    self.event(&cast.0[fact.contract], fact, at);
                    self.intents.fold(&cast.0[fact.contract], fact, at);
                }
            }
            if let Some(contract) = cast.0.iter().position(|actor| actor.address == log.address) {
                first.get_or_insert((at, contract));
            }
        }
        self.end_block(block.number, block.timestamp);
        if let Some((at, contract)) = first {
            self.intents.end_block(at, contract);
            self.clock = Some(at.time);
        }
    }

    fn event(&mut self, actor: &Actor, fact: &Fact, at: At) {
        let agent = |name: &str| (actor.deployment, fact.uint(name));
        let agents = &mut self.agents;
        match (actor.role, fact.event.as_str()) {
            (Role::Identity, "Transfer") => agents.transfer(agent("tokenId"), fact.address("to"), at),
            (Role::Identity, "Approval") => agents.approve(agent("tokenId"), fact.address("approved"), at),
            (Role::Identity, "ApprovalForAll") => self.approvals.fold(actor.deployment, fact, at),
            (Role::Identity, "Registered") => {
                agents.register(agent("agentId"), fact.bytes("agentUri"), fact.address("owner"), at);
            }
            (Role::Identity, "AgentRegistered") => {
                agents.register(agent("agentId"), fact.bytes("agentDomain"), fact.address("agentAddress"), at);
            }
            (Role::Identity, "AgentUpdated") => {
                agents.set_uri(agent("agentId"), fact.bytes("agentDomain"), at);
                agents.transfer(agent("agentId"), fact.address("agentAddress"), at);
            }
            (Role::Identity, "URIUpdated" | "UriUpdated") => {
                agents.set_uri(agent("agentId"), fact.bytes("newUri"), at);
            }
            (Role::Identity, "MetadataSet") => self.metadata.fold(agents, agent("agentId"), fact, at),
            (Role::Identity, "MetadataUpdate" | "BatchMetadataUpdate") => {}
            (Role::Reputation, "NewFeedback") => {
                let given = self.feedback.give(agents, agent("agentId"), fact, at);
                self.standings.tell(at.block, given);
            }
            (Role::Reputation, "FeedbackRevoked") => self.feedback.revoke(agents, agent("agentId"), fact, at),
            (Role::Reputation, "ResponseAppended") => self.feedback.respond(agents, agent("agentId"), fact, at),
            (Role::Validation, "ValidationRequest") => self.validations.request(agents, agent("agentId"), fact, at),
            (Role::Validation, "ValidationResponse") => self.validations.answer(agent("agentId"), fact, at),
            _ => self.audit.fold(fact, at),
        }
    }

    /// What follows from a block as it leaves things, and not from one of its events.
    fn end_block(&mut self, block: u64, time: u64) {
        self.validations.end_block(&mut self.agents);
        self.standings.end_block(block, time, &self.feedback);
    }

    /// Every table's rows, where blocks up to `finalized` are final.
    pub(crate) fn rows(&self, finalized: Option<u64>) -> Rows {
        let mut rows = Rows::default();
        self.agents.rows(&mut rows, finalized);
        self.approvals.rows(&mut rows);
        self.metadata.rows(&mut rows);
        self.feedback.rows(&mut rows);
        self.standings.rows(&mut rows, finalized);
        self.validations.rows(&mut rows);
        self.audit.rows(&mut rows);
        self.intents.rows(&mut rows);
        self.hour_rows(&mut rows);
        rows.put_all("undecoded_log", self.undecoded.iter().cloned());
        rows
    }
}

/// The row of a log that nobody can read.
fn undecoded(contract: usize, topic0: Option<&B256>, reason: &str, at: &At) -> Row {
    let mut row = rows::placed(at);
    row.insert("contract_id", number(contract + 1));
    row.insert("topic0", topic0.and_then(bytea));
    row.insert("reason", Some(reason.to_owned()));
    row.remove("created_at");
    row
}

/// A hash that earlier generations did not tell.
fn hash_or_zero(fact: &Fact, name: &str) -> B256 {
    fact.get(name).map_or(B256::ZERO, |_| fact.word(name))
}
