//! The facts of a batch: what its events say of every noun, from the keys that they touch to the rows that are written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy::primitives::B256;
use futures_util::FutureExt;

use super::agents::{Agents, changed_agent, manifest_agent, named_agent};
use super::audit::AuditTrail;
use super::blocks::UndecodedLogs;
use super::change::Changes;
use super::feedback::{self, Feedback, FeedbackKey, Pair, counted_pair, feedback_key, heard_pair};
use super::files::Files;
use super::flips::Flips;
use super::metadata::{ApprovalKey, Approvals, Metadata, approval_key};
use super::oversight::{Oversight, OversightKeys};
use super::standings::{Said, Spoken, StandingKey};
use super::tags::Tags;
use super::totals::Totals;
use super::validations::{self, ValidationKey, Validations, validation_key};
use super::voices::Voices;
use super::{At, Contracts, Deriving, StandingsAre, are_many};
use crate::block::{Block, DecodedLog};
use crate::event::{Event, Fact, IdentityEvent, ReputationFact};
use crate::id::AgentKey;
use crate::store::aspect::Aspect;
use crate::store::error::StoreError;
use crate::store::network::Contract;
use crate::store::sql::{Sql, sum, together};
use crate::task::Beside;

/// The keys that a batch touches, of everything whose stored state matters.
#[derive(Default)]
pub(super) struct Keys {
    agents: BTreeSet<AgentKey>,
    totals: BTreeSet<AgentKey>,
    approvals: BTreeSet<ApprovalKey>,
    feedback: BTreeSet<FeedbackKey>,
    counted: BTreeSet<Pair>,
    /// Of standings that are kept.
    heard: BTreeSet<Pair>,
    standings: BTreeSet<StandingKey>,
    tags: BTreeSet<Aspect>,
    validations: BTreeSet<ValidationKey>,
    intents: BTreeSet<B256>,
    oversight: OversightKeys,
    standings_are: StandingsAre,
}

impl Keys {
    /// Those of blocks.
    pub(super) fn of(contracts: &Contracts, blocks: &[Block], standings_are: StandingsAre) -> Result<Self, StoreError> {
        let mut keys = Self { standings_are, ..Self::default() };
        for block in blocks {
            for decoded in &block.logs {
                let at = contracts.at(block, decoded)?;
                if let Ok(event) = &decoded.event {
                    keys.add(at.contract, event);
                }
                keys.oversight.add_time(at.place.time);
            }
        }
        Ok(keys)
    }

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
                if self.standings_are == StandingsAre::Kept {
                    self.heard.extend(heard_pair(deployment, &fact));
                    self.standings.insert((agent, Aspect::All));
                }
                if let ReputationFact::Given(given) = &fact {
                    self.tags.insert(Aspect::of(&given.tag1));
                    if self.standings_are == StandingsAre::Kept {
                        let said = Said::new(&given.tag1, &given.value, given.value_decimals);
                        self.standings.extend(said.aspects().map(|aspect| (agent, aspect)));
                    }
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

/// What a batch tells, folded over what the database holds.
pub(super) struct Facts {
    agents: Agents,
    metadata: Metadata,
    approvals: Approvals,
    files: Files,
    pub(super) flips: Flips,
    feedback: Feedback,
    tags: Tags,
    validations: Validations,
    audit: AuditTrail,
    oversight: Oversight,
    pub(super) totals: Totals,
    pub(super) undecoded: UndecodedLogs,
    pub(super) changes: Changes,
    pub(super) events: BTreeMap<&'static str, u64>,
}

impl Facts {
    /// Loads what they build on; what clients say is told, too.
    pub(super) async fn load(
        sql: &Sql<'_>,
        keys: &Keys,
        changes: Changes,
        how: &Deriving,
    ) -> Result<(Self, Voices), StoreError> {
        let totalled = async {
            let validations = Validations::load(sql, &keys.validations).await?;
            let counted = keys.totals.iter().copied().chain(validations.agents()).collect();
            Ok((Totals::load(sql, &counted, how).await?, validations))
        };
        let said = async {
            let voices = Voices::load(sql, &keys.heard).await?;
            let feedback = Feedback::load(sql, &keys.feedback, &keys.counted, &voices, how.ever_given.clone()).await?;
            Ok((feedback, voices))
        };
        let ((totals, validations), (feedback, voices), agents, approvals, flips, tags, audit, oversight) = together!(
            sql,
            totalled,
            said,
            Agents::load(sql, &keys.agents),
            Approvals::load(sql, &keys.approvals),
            Flips::load(sql, &keys.agents),
            Tags::load(sql, &keys.tags),
            AuditTrail::load(sql, &keys.intents),
            Oversight::load(sql, &keys.oversight),
        )?;
        let facts = Self {
            agents,
            metadata: Metadata::default(),
            approvals,
            files: Files::default(),
            flips,
            feedback,
            tags,
            validations,
            audit,
            oversight,
            totals,
            undecoded: UndecodedLogs::default(),
            changes,
            events: BTreeMap::new(),
        };
        Ok((facts, voices))
    }

    /// The standings that the batch may change: of what it says, and of what was said before.
    pub(super) fn standings(&self, keys: &Keys) -> BTreeSet<StandingKey> {
        if keys.standings_are == StandingsAre::Late {
            return BTreeSet::new();
        }
        keys.standings.iter().copied().chain(self.feedback.aspects()).collect()
    }

    /// Begins to fold blocks; returns what each did to feedback, too.
    pub(super) fn fold(
        mut self,
        contracts: &Contracts,
        blocks: &Arc<[Block]>,
    ) -> Beside<Result<(Self, Vec<Spoken>), StoreError>> {
        let (contracts, blocks) = (contracts.clone(), Arc::clone(blocks));
        Beside::begin(are_many(&blocks), move || {
            let spoken = self.blocks(&contracts, &blocks)?;
            Ok((self, spoken))
        })
    }

    fn blocks(&mut self, contracts: &Contracts, blocks: &[Block]) -> Result<Vec<Spoken>, StoreError> {
        let mut spoken = Vec::new();
        for block in blocks {
            self.changes.begin_block(block.header.number, block.header.hash, !block.logs.is_empty());
            for decoded in &block.logs {
                self.log(&contracts.at(block, decoded)?, decoded);
            }
            self.validations.end_block(&mut self.totals, &mut self.changes);
            spoken.extend(self.feedback.end_block(block.header.number, block.header.timestamp));
            self.flips.end_block(&mut self.changes);
            if let Some(first) = block.logs.first() {
                self.oversight.end_block(&contracts.at(block, first)?, &mut self.changes);
            }
        }
        Ok(spoken)
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
                let agent = feedback::named_agent(at.contract.deployment, &fact);
                if let ReputationFact::Given(given) = &fact {
                    self.tags.fold(at.place.block, Aspect::of(&given.tag1), &given.tag1);
                }
                self.feedback.fold(at, fact, &mut self.totals, &mut self.changes);
                self.begin_agent(at, agent);
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

    /// Writes them; returns how many rows there are more.
    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        sum(
            sql,
            [
                self.agents.write(sql).boxed(),
                self.metadata.write(sql).boxed(),
                self.approvals.write(sql).boxed(),
                self.files.write(sql).boxed(),
                self.flips.write(sql).boxed(),
                self.feedback.write(sql).boxed(),
                self.tags.write(sql).boxed(),
                self.validations.write(sql).boxed(),
                self.audit.write(sql).boxed(),
                self.oversight.write(sql).boxed(),
                self.totals.write(sql).boxed(),
                self.undecoded.write(sql).boxed(),
            ],
        )
        .await
    }
}
