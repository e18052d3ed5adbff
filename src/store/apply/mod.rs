//! One transaction of the writer: undo, then facts, totals, raw logs, headers, changes and the cursor, all or nothing.
//!
//! Each noun's file has the same verbs: `load` what the database holds of the keys that a batch touches, `fold` the
//! batch's events into it in memory, `write` the result (ends by one UPDATE, new rows by one binary COPY), and `rewind`,
//! the mirror of `write`. A load looks each key up by itself (`LATERAL … OFFSET 0`): free to choose, the planner joins
//! the wrong way round as long as a new network's tables have no statistics. Rows that nearly always change are taken
//! instead, deleted and written again (`kept`). So no row is touched twice (F54), the number of statements does not depend
//! on the number of rows, and "rewind to N, then apply" leaves what applying alone would have left (F66).

mod agents;
mod audit;
mod batch;
mod blocks;
mod change;
mod counters;
mod digest;
mod feedback;
mod files;
mod findings;
mod flips;
mod hours;
mod intents;
mod kept;
mod mark;
mod metadata;
mod oversight;
mod policies;
mod rankings;
mod standings;
mod stretch;
mod switches;
mod tags;
mod timeline;
mod totals;
mod validations;
mod versions;
mod voices;
mod wallets;
mod watchdog;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::{Address, B256};

pub(super) use self::batch::check_blocks;
pub use self::batch::{Applied, Batch, Rewound, Tip};
pub(super) use self::change::BlocksAre;
pub use self::change::{ChangeEntity, ChangeOp};
pub use self::flips::FlipCount;
pub(super) use self::stretch::{Bounds, held_hash, read as read_stretch, replace as replace_raw};

use self::agents::{AgentNames, Agents, changed_agent, manifest_agent, named_agent};
use self::audit::AuditTrail;
use self::blocks::UndecodedLogs;
use self::change::{Changes, Told};
use self::digest::Digests;
use self::feedback::{Feedback, FeedbackKey, Pair, counted_pair, feedback_key, heard_pair};
use self::files::Files;
use self::flips::Flips;
use self::metadata::{ApprovalKey, Approvals, Metadata, approval_key};
use self::oversight::{Oversight, OversightKeys};
use self::standings::{Said, StandingKey, Standings};
use self::tags::Tags;
use self::timeline::Place;
use self::totals::Totals;
use self::validations::{ValidationKey, Validations, validation_key};
use self::voices::Voices;
use super::aspect::Aspect;
use super::error::StoreError;
use super::network::Contract;
use super::sql::{self, Sql};
use super::verification;
use crate::block::{Block, DecodedLog, Log};
use crate::event::{Event, Fact, IdentityEvent, ReputationFact};
use crate::id::{AgentId, AgentKey};

/// The number of what this program derives from logs. Whatever makes it derive more, or otherwise, raises it: then each
/// network is derived anew from its raw logs before anything else (`super::derivation`).
///
/// | number | since then |
/// |---|---|
/// | 1 | networks have a number; standings, and the audit trail as states, with findings |
/// | 2 | standings have milestones, and say what they add to their hour |
/// | 3 | what agents' scores were is held, and milestones say whether they end their hour |
pub const DERIVATION: i16 = 3;

/// The tables whose rows begin with a log, in `begin_block`.
pub(super) const FACT_TABLES: [&str; 18] = [
    "agent",
    "agent_metadata",
    "operator_approval",
    "registration_file",
    "manifest_flip",
    "feedback",
    "feedback_response",
    "validation",
    "validation_response",
    "audit_event",
    "wallet_agent",
    "policy",
    "relayer",
    "halt",
    "intent_counter",
    "intent",
    "finding",
    "undecoded_log",
];

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
        self.0.get(&log.address)?.decode(log).ok()
    }

    fn names(&self, sql: &Sql<'_>) -> AgentNames {
        AgentNames::new(sql.chain_id, &self.0.values().copied().collect::<Vec<_>>())
    }

    /// What a log that was kept says to the present decoder.
    fn decoded(&self, log: Log) -> Result<DecodedLog, StoreError> {
        let contract = self.0.get(&log.address).ok_or_else(|| sql::corrupt("a raw log is of no contract"))?;
        Ok(DecodedLog { event: contract.decode(&log), log })
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
    counted: BTreeSet<Pair>,
    heard: BTreeSet<Pair>,
    standings: BTreeSet<StandingKey>,
    tags: BTreeSet<Aspect>,
    validations: BTreeSet<ValidationKey>,
    intents: BTreeSet<B256>,
    oversight: OversightKeys,
}

impl Keys {
    fn add(&mut self, contract: &Contract, event: &Event) {
        let deployment = contract.deployment;
        match event.fact() {
            Some(Fact::Identity(events)) => events.iter().for_each(|event| {
                self.agents.extend(changed_agent(deployment, event));
                self.totals.extend(named_agent(deployment, event));
                self.approvals.extend(approval_key(deployment, event));
            }),
            Some(Fact::Reputation(fact)) => {
                let agent = feedback::named_agent(deployment, &fact);
                self.totals.insert(agent);
                self.feedback.insert(feedback_key(deployment, &fact));
                self.counted.extend(counted_pair(deployment, &fact));
                self.heard.extend(heard_pair(deployment, &fact));
                self.standings.insert((agent, Aspect::All));
                if let ReputationFact::Given(given) = &fact {
                    let said = Said::new(&given.tag1, &given.value, given.value_decimals);
                    self.standings.extend(said.aspects().map(|aspect| (agent, aspect)));
                    self.tags.insert(said.aspect);
                }
            }
            Some(Fact::Validation(event)) => {
                self.totals.insert(validations::named_agent(deployment, &event));
                self.validations.insert(validation_key(contract, &event));
            }
            None => {
                let audit = event.audit().filter(|audit| audit.wallet_agent.is_none());
                self.intents.extend(audit.and_then(|audit| audit.intent_id));
                self.oversight.add(contract.id, event);
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
    flips: Flips,
    feedback: Feedback,
    standings: Standings,
    tags: Tags,
    validations: Validations,
    audit: AuditTrail,
    oversight: Oversight,
    totals: Totals,
    undecoded: UndecodedLogs,
    changes: Changes,
    events: BTreeMap<&'static str, u64>,
}

impl Fold {
    async fn load(sql: &Sql<'_>, keys: &Keys, changes: Changes) -> Result<Self, StoreError> {
        let validations = Validations::load(sql, &keys.validations).await?;
        let counted = keys.totals.iter().copied().chain(validations.agents()).collect();
        let voices = Voices::load(sql, &keys.heard).await?;
        let feedback = Feedback::load(sql, &keys.feedback, &keys.counted, &voices).await?;
        let standings = keys.standings.iter().copied().chain(feedback.aspects()).collect();
        Ok(Self {
            agents: Agents::load(sql, &keys.agents).await?,
            metadata: Metadata::default(),
            approvals: Approvals::load(sql, &keys.approvals).await?,
            files: Files::default(),
            feedback,
            standings: Standings::load(sql, &standings, voices).await?,
            tags: Tags::load(sql, &keys.tags).await?,
            flips: Flips::load(sql, &keys.agents).await?,
            validations,
            audit: AuditTrail::load(sql, &keys.intents).await?,
            oversight: Oversight::load(sql, &keys.oversight).await?,
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
        match event.fact() {
            Some(Fact::Identity(events)) => events.iter().for_each(|event| self.identity(at, event)),
            Some(Fact::Reputation(fact)) => {
                self.feedback.fold(at, &fact, &mut self.totals, &mut self.changes);
                if let ReputationFact::Given(given) = &fact {
                    self.tags.fold(at.place.block, Aspect::of(&given.tag1), &given.tag1);
                }
                self.begin_agent(at, feedback::named_agent(at.contract.deployment, &fact));
            }
            Some(Fact::Validation(event)) => {
                self.validations.fold(at, &event, &mut self.totals, &mut self.changes);
                self.begin_agent(at, validations::named_agent(at.contract.deployment, &event));
            }
            None => {
                self.audit.fold(at, event, &mut self.changes);
                self.oversight.fold(at, event, &mut self.changes);
            }
        }
    }

    fn identity(&mut self, at: &At<'_>, event: &IdentityEvent) {
        let told = manifest_agent(at.contract.deployment, event);
        let before = told.and_then(|agent| self.agents.manifest(&agent));
        self.agents.fold(at, event, &mut self.changes);
        if let Some((agent, after)) = told.and_then(|agent| Some((agent, self.agents.manifest(&agent)?))) {
            self.flips.fold(&at.place, agent, before, after);
        }
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
            + self.flips.write(sql).await?
            + self.feedback.write(sql).await?
            + self.standings.write(sql, finalized).await?
            + self.tags.write(sql).await?
            + self.validations.write(sql).await?
            + self.audit.write(sql).await?
            + self.oversight.write(sql).await?
            + self.totals.write(sql, finalized).await?
            + self.undecoded.write(sql).await?)
    }
}

/// What adding blocks did.
pub(super) struct Added {
    pub(super) events: BTreeMap<&'static str, u64>,
    pub(super) flips: BTreeMap<AgentId, FlipCount>,
    pub(super) undecoded: u64,
    pub(super) rows: u64,
    pub(super) seq: u64,
}

/// Adds blocks, of which those up to `finalized` are final: what they hold, and what derives from it. `seq` is the newest
/// sequence number before.
pub(super) async fn add(
    sql: &Sql<'_>,
    contracts: &Contracts,
    blocks: &[Block],
    heights: &Heights,
    seq: u64,
) -> Result<Added, StoreError> {
    let mut added = derive(sql, contracts, blocks, heights, BlocksAre::New, seq).await?;
    added.rows += blocks::write_headers(sql, blocks, heights.finalized).await?;
    added.rows += blocks::write_raw(sql, blocks, heights.finalized).await?;
    Ok(added)
}

/// What the height of a block decides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heights {
    /// Blocks up to this one are final: nothing is kept to undo them.
    pub(super) finalized: Option<u64>,
    /// The changes of blocks from this one on are told though they are final, because they were taken back.
    pub(super) told_from: Option<u64>,
}

impl Heights {
    /// The last block whose changes nobody waits for.
    fn untold(&self) -> Option<u64> {
        let Some(told_from) = self.told_from else { return self.finalized };
        self.finalized.map(|finalized| finalized.min(told_from.saturating_sub(1)))
    }
}

/// Writes what derives from the logs of blocks: facts, totals, changes.
pub(super) async fn derive(
    sql: &Sql<'_>,
    contracts: &Contracts,
    blocks: &[Block],
    heights: &Heights,
    blocks_are: BlocksAre,
    seq: u64,
) -> Result<Added, StoreError> {
    let mut keys = Keys::default();
    for block in blocks {
        for decoded in &block.logs {
            let at = contracts.at(block, decoded)?;
            if let Ok(event) = &decoded.event {
                keys.add(at.contract, event);
            }
            keys.oversight.add_time(at.place.time);
        }
    }
    let told = Told { above: heights.untold(), blocks: blocks_are };
    // Boxed, because the futures of whoever steps would hold those of every noun.
    let mut fold = Box::pin(Fold::load(sql, &keys, Changes::new(contracts.names(sql), told))).await?;
    let mut digests = Digests::load(sql, blocks, heights.finalized).await?;
    for block in blocks {
        digests.fold(sql, block);
        fold.changes.begin_block(block.header.number, block.header.hash, !block.logs.is_empty());
        for decoded in &block.logs {
            fold.log(&contracts.at(block, decoded)?, decoded);
        }
        fold.validations.end_block(&mut fold.totals, &mut fold.changes);
        fold.feedback.end_block(block.header.number, block.header.timestamp, &mut fold.standings);
        fold.flips.end_block(&mut fold.changes);
        if let Some(first) = block.logs.first() {
            fold.oversight.end_block(&contracts.at(block, first)?, &mut fold.changes);
        }
    }
    let rows = Box::pin(fold.write(sql, heights.finalized)).await? + digests.write(sql).await?;
    // Last, because they are counted from what the others wrote.
    hours::add(sql, blocks).await?;
    let seq = fold.changes.write(sql, seq).await?;
    let flips = fold.flips.counts(&fold.changes.names);
    Ok(Added { undecoded: fold.undecoded.count(), events: fold.events, flips, rows, seq })
}

/// What undoing blocks did.
pub(super) struct Undone {
    pub(super) agents: u64,
    pub(super) seq: u64,
}

/// How blocks are undone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undoing {
    /// The newest block that is kept.
    pub(super) to: u64,
    /// Whether that is below finality, of which no versions of totals are kept: they are counted anew.
    pub(super) below_finality: bool,
    /// Whether what is undone is trusted: then it is held against the digest. Who re-indexes may do so because it is
    /// damaged.
    pub(super) is_trusted: bool,
}

/// Undoes every block above one: rows that began there go, rows that ended there hold again.
pub(super) async fn undo(
    sql: &Sql<'_>,
    contracts: &Contracts,
    undoing: &Undoing,
    seq: u64,
) -> Result<Undone, StoreError> {
    let undone = underive(sql, contracts, undoing, BlocksAre::New, seq).await?;
    blocks::rewind(sql, undoing.to).await?;
    Ok(undone)
}

/// Undoes all that derives from the blocks above one; their headers and raw logs stay.
pub(super) async fn underive(
    sql: &Sql<'_>,
    contracts: &Contracts,
    undoing: &Undoing,
    blocks_are: BlocksAre,
    seq: u64,
) -> Result<Undone, StoreError> {
    let to = undoing.to;
    // First: it reads what tells events from logs that could not be decoded.
    digest::rewind(sql, contracts, to, undoing.is_trusted).await?;
    let seq = change::rewind(sql, to, blocks_are, seq).await?;
    agents::rewind(sql, to).await?;
    metadata::rewind(sql, to).await?;
    files::rewind(sql, to).await?;
    flips::rewind(sql, to).await?;
    feedback::rewind(sql, to).await?;
    tags::rewind(sql, to).await?;
    validations::rewind(sql, to).await?;
    audit::rewind(sql, to).await?;
    oversight::rewind(sql, to).await?;
    blocks::rewind_undecoded(sql, to).await?;
    // Last, because they are counted from what the others leave.
    hours::rewind(sql, to).await?;
    let agents = if undoing.below_finality {
        standings::recount(sql, to).await?;
        totals::recount(sql, to).await?
    } else {
        standings::rewind(sql, to).await?;
        totals::rewind(sql, to).await?
    };
    // Rows that are derived again are to be looked at again, whether or not their raw logs stay.
    verification::rewind(sql, to).await?;
    Ok(Undone { agents, seq })
}

/// The lowest block above `to` of which a change was told.
pub(super) async fn told_from(sql: &Sql<'_>, to: u64) -> Result<Option<u64>, StoreError> {
    change::told_from(sql, to).await
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
    standings::prune(sql, finalized).await?;
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
