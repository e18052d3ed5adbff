//! One transaction of the writer: undo, then facts, totals, raw logs, headers, changes and the cursor, all or nothing.
//!
//! Each noun's file has the same verbs: `load` what the database holds of the keys that a batch touches, `fold` the
//! batch's events into it in memory, `write` the result (ends by one UPDATE, new rows by one binary COPY), and `rewind`,
//! the mirror of `write`. A load looks each key up by itself (`LATERAL … OFFSET 0`): free to choose, the planner joins
//! the wrong way round as long as a new network's tables have no statistics. So no row is touched twice (F54), the number of statements does not depend on the number of
//! rows, and "rewind to N, then apply" leaves what applying alone would have left (F66).

mod agents;
mod audit;
mod batch;
mod blocks;
mod change;
mod digest;
mod feedback;
mod files;
mod metadata;
mod timeline;
mod totals;
mod validations;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::{Address, B256};

pub use self::batch::{Applied, Batch, Rewound, Tip};
pub use self::change::{ChangeEntity, ChangeOp};

use self::agents::{AgentNames, Agents, changed_agent, named_agent};
use self::audit::AuditTrail;
use self::blocks::UndecodedLogs;
use self::change::Changes;
use self::digest::Digests;
use self::feedback::{Feedback, FeedbackKey, feedback_key};
use self::files::Files;
use self::metadata::{ApprovalKey, Approvals, Metadata, approval_key};
use self::timeline::Place;
use self::totals::Totals;
use self::validations::{ValidationKey, Validations, validation_key};
use super::error::StoreError;
use super::network::Contract;
use super::sql::Sql;
use super::verification;
use crate::block::{Block, DecodedLog, Log};
use crate::event::{Event, IdentityEvent};
use crate::id::AgentKey;

/// An event's place and the contract that emitted it.
struct At<'a> {
    place: Place,
    contract: &'a Contract,
}

/// A network's contracts by address.
pub(super) struct Contracts(HashMap<Address, Contract>);

impl Contracts {
    pub(super) fn new(contracts: &[Contract]) -> Self {
        Self(contracts.iter().map(|contract| (contract.address, *contract)).collect())
    }

    /// The event of a log, where it is one.
    fn decode(&self, log: &Log) -> Option<Event> {
        Event::decode(self.0.get(&log.address)?.role, &log.topics, &log.data).ok()
    }

    fn names(&self, sql: &Sql<'_>) -> AgentNames {
        AgentNames::new(sql.chain_id, &self.0.values().copied().collect::<Vec<_>>())
    }

    fn at(&self, block: &Block, decoded: &DecodedLog) -> Result<At<'_>, StoreError> {
        let log = &decoded.log;
        let contract = self.0.get(&log.address).ok_or_else(|| {
            batch::unfit(format!("block {} has a log of {}, which is not watched", log.block.number, log.address))
        })?;
        let place = Place {
            block: log.block.number,
            log_index: log.log_index,
            time: block.header.timestamp,
            transaction: log.transaction_hash,
        };
        Ok(At { place, contract })
    }
}

/// The keys that a batch touches, of everything whose stored state matters.
#[derive(Default)]
struct Keys {
    agents: BTreeSet<AgentKey>,
    totals: BTreeSet<AgentKey>,
    approvals: BTreeSet<ApprovalKey>,
    feedback: BTreeSet<FeedbackKey>,
    validations: BTreeSet<ValidationKey>,
    intents: BTreeSet<B256>,
}

impl Keys {
    fn add(&mut self, contract: &Contract, event: &Event) {
        let deployment = contract.deployment;
        match event {
            Event::Identity(event) => {
                self.agents.extend(changed_agent(deployment, event));
                self.totals.extend(named_agent(deployment, event));
                self.approvals.extend(approval_key(deployment, event));
            }
            Event::Reputation(event) => {
                self.totals.insert(feedback::named_agent(deployment, event));
                self.feedback.extend(feedback_key(deployment, event));
            }
            Event::Validation(event) => {
                self.totals.insert(validations::named_agent(deployment, event));
                self.validations.insert(validation_key(contract, event));
            }
            _ => {
                let audit = event.audit().filter(|audit| audit.wallet_agent.is_none());
                self.intents.extend(audit.and_then(|audit| audit.intent_id));
            }
        }
    }
}

/// A batch, folded over what the database holds.
struct Fold {
    agents: Agents,
    metadata: Metadata,
    approvals: Approvals,
    files: Files,
    feedback: Feedback,
    validations: Validations,
    audit: AuditTrail,
    totals: Totals,
    undecoded: UndecodedLogs,
    changes: Changes,
    events: BTreeMap<&'static str, u64>,
}

impl Fold {
    async fn load(sql: &Sql<'_>, keys: &Keys, changes: Changes) -> Result<Self, StoreError> {
        let validations = Validations::load(sql, &keys.validations).await?;
        let counted = keys.totals.iter().copied().chain(validations.agents()).collect();
        Ok(Self {
            agents: Agents::load(sql, &keys.agents).await?,
            metadata: Metadata::default(),
            approvals: Approvals::load(sql, &keys.approvals).await?,
            files: Files::default(),
            feedback: Feedback::load(sql, &keys.feedback).await?,
            validations,
            audit: AuditTrail::load(sql, &keys.intents).await?,
            totals: Totals::load(sql, &counted).await?,
            undecoded: UndecodedLogs::default(),
            changes,
            events: BTreeMap::new(),
        })
    }

    fn log(&mut self, at: &At<'_>, decoded: &DecodedLog) {
        let event = match &decoded.event {
            Ok(event) => event,
            Err(reason) => return self.undecoded.fold(at, &decoded.log, reason),
        };
        *self.events.entry(event.name()).or_default() += 1;
        match event {
            Event::Identity(event) => self.identity(at, event),
            Event::Reputation(event) => {
                self.feedback.fold(at, event, &mut self.totals, &mut self.changes);
                self.begin_agent(at, feedback::named_agent(at.contract.deployment, event));
            }
            Event::Validation(event) => {
                self.validations.fold(at, event, &mut self.totals, &mut self.changes);
                self.begin_agent(at, validations::named_agent(at.contract.deployment, event));
            }
            _ => self.audit.fold(at, event, &mut self.changes),
        }
    }

    fn identity(&mut self, at: &At<'_>, event: &IdentityEvent) {
        self.agents.fold(at, event, &mut self.changes);
        self.metadata.fold(at, event, &mut self.changes);
        self.approvals.fold(at, event, &mut self.changes);
        self.files.fold(at, event, &mut self.changes);
        if let Some(agent) = named_agent(at.contract.deployment, event) {
            let registered = matches!(event, IdentityEvent::Registered { .. });
            self.totals.change(&at.place, agent, &mut self.changes, |total| {
                total.updated_at = at.place.time;
                if registered {
                    total.last_activity = at.place.time;
                }
            });
            self.begin_agent(at, agent);
        }
    }

    /// Whoever has totals is an agent: one whose totals begin here, and whom no event of the identity registry brought,
    /// begins with what is known of it, so that whatever names an agent finds one. No read tells more than the totals.
    fn begin_agent(&mut self, at: &At<'_>, agent: AgentKey) {
        if self.totals.began(&agent) {
            self.agents.begin(&at.place, agent, &mut self.changes);
        }
    }

    async fn write(&self, sql: &Sql<'_>, finalized: Option<u64>) -> Result<u64, StoreError> {
        Ok(self.agents.write(sql).await?
            + self.metadata.write(sql).await?
            + self.approvals.write(sql).await?
            + self.files.write(sql).await?
            + self.feedback.write(sql).await?
            + self.validations.write(sql).await?
            + self.audit.write(sql).await?
            + self.totals.write(sql, finalized).await?
            + self.undecoded.write(sql).await?)
    }
}

/// What adding blocks did.
pub(super) struct Added {
    pub(super) events: BTreeMap<&'static str, u64>,
    pub(super) undecoded: u64,
    pub(super) rows: u64,
    pub(super) seq: u64,
}

/// Adds blocks, of which those up to `finalized` are final; `seq` is the newest sequence number before.
pub(super) async fn add(
    sql: &Sql<'_>,
    contracts: &Contracts,
    blocks: &[Block],
    finalized: Option<u64>,
    seq: u64,
) -> Result<Added, StoreError> {
    let mut keys = Keys::default();
    for block in blocks {
        for decoded in &block.logs {
            let at = contracts.at(block, decoded)?;
            if let Ok(event) = &decoded.event {
                keys.add(at.contract, event);
            }
        }
    }
    let mut fold = Fold::load(sql, &keys, Changes::new(contracts.names(sql), finalized)).await?;
    let mut digests = Digests::load(sql, blocks, finalized).await?;
    for block in blocks {
        digests.fold(sql, block);
        fold.changes.begin_block(block.header.number, block.header.hash);
        for decoded in &block.logs {
            fold.log(&contracts.at(block, decoded)?, decoded);
        }
        fold.validations.end_block(&mut fold.totals, &mut fold.changes);
    }
    let rows = fold.write(sql, finalized).await?
        + blocks::write_headers(sql, blocks, finalized).await?
        + blocks::write_raw(sql, blocks, finalized).await?
        + digests.write(sql).await?;
    let seq = fold.changes.write(sql, seq).await?;
    Ok(Added { undecoded: fold.undecoded.count(), events: fold.events, rows, seq })
}

/// What undoing blocks did.
pub(super) struct Undone {
    pub(super) agents: u64,
    pub(super) seq: u64,
}

/// Undoes every block above `to`: rows that began there go, rows that ended there hold again.
pub(super) async fn undo(sql: &Sql<'_>, contracts: &Contracts, to: u64, seq: u64) -> Result<Undone, StoreError> {
    // First: it reads the raw logs that the last one deletes.
    digest::rewind(sql, contracts, to).await?;
    let seq = change::rewind(sql, to, seq).await?;
    agents::rewind(sql, to).await?;
    metadata::rewind(sql, to).await?;
    files::rewind(sql, to).await?;
    feedback::rewind(sql, to).await?;
    validations::rewind(sql, to).await?;
    audit::rewind(sql, to).await?;
    let agents = totals::rewind(sql, to).await?;
    blocks::rewind(sql, to).await?;
    verification::rewind(sql, to).await?;
    Ok(Undone { agents, seq })
}

/// Forgets what finality makes superfluous, once it rose from `before` to `finalized` while blocks up to `held_to` were
/// held already.
pub(super) async fn prune(
    sql: &Sql<'_>,
    before: Option<u64>,
    held_to: Option<u64>,
    finalized: u64,
) -> Result<(), StoreError> {
    totals::prune(sql, finalized).await?;
    change::prune(sql, finalized).await?;
    digest::prune(sql, finalized).await?;
    blocks::prune(sql, before, held_to, finalized).await
}

/// Computes digests of stored logs that have none, a bounded piece at a time; returns whether there may be more.
pub(super) async fn catch_up_digest(
    sql: &Sql<'_>,
    contracts: &Contracts,
    finalized: Option<u64>,
) -> Result<bool, StoreError> {
    digest::catch_up(sql, contracts, finalized).await
}
