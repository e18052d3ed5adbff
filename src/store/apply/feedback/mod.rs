//! Feedback, its revocation, and responses to it.
//!
//! A revocation marks the feedback that it names, once; what it names and is not there stays a raw log. Feedback that
//! repeats agent, client and index supersedes the earlier one, which the registries' own code rules out, but which must
//! not stop the node.

mod ever_given;
mod rows;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy::primitives::{Address, B256, hex};

pub(in crate::store) use self::ever_given::EverGiven;
use self::rows::{load_newest, load_slots};
pub(super) use self::rows::{rewind, stored_said};
use super::At;
use super::change::{ChangeEntity, ChangeOp, Changes, event_key};
use super::standings::{Said, Spoken, StandingKey};
use super::timeline::{Place, Timeline};
use super::totals::Totals;
use super::voices::Voices;
use crate::event::{ReputationFact, Tag, Text, Value};
use crate::id::{AgentKey, Deployment};
use crate::store::error::StoreError;
use crate::store::sql::{Sql, together};

/// What names feedback within a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FeedbackKey {
    agent: AgentKey,
    client: Address,
    index: u64,
}

impl FeedbackKey {
    /// What follows the agent's id in the feedback's.
    fn rest(&self) -> String {
        format!(":{}:{}", hex::encode_prefixed(self.client), self.index)
    }
}

/// A client of an agent.
pub(super) type Pair = (AgentKey, Address);

/// The feedback that an event gives, revokes or answers, as far as it can be there already: what has to be counted is new.
pub(super) fn feedback_key(deployment: Deployment, fact: &ReputationFact) -> FeedbackKey {
    let (client, index) = match fact {
        // A count that has come to its end goes no further: what is there is superseded.
        ReputationFact::Given(given) => (given.client_address, given.feedback_index.unwrap_or(u64::MAX)),
        ReputationFact::Revoked { client_address, feedback_index, .. }
        | ReputationFact::Answered { client_address, feedback_index, .. } => (*client_address, *feedback_index),
    };
    FeedbackKey { agent: named_agent(deployment, fact), client, index }
}

/// The client whose voice an event changes.
pub(super) fn heard_pair(deployment: Deployment, fact: &ReputationFact) -> Option<Pair> {
    let client = match fact {
        ReputationFact::Given(given) => given.client_address,
        ReputationFact::Revoked { client_address, .. } => *client_address,
        ReputationFact::Answered { .. } => return None,
    };
    Some((named_agent(deployment, fact), client))
}

/// Whose feedback has to be counted, because the event does not tell its index.
pub(super) fn counted_pair(deployment: Deployment, fact: &ReputationFact) -> Option<Pair> {
    match fact {
        ReputationFact::Given(given) if given.feedback_index.is_none() => {
            Some((named_agent(deployment, fact), given.client_address))
        }
        _ => None,
    }
}

/// The agent that an event is about.
pub(super) fn named_agent(deployment: Deployment, fact: &ReputationFact) -> AgentKey {
    let agent_id = match fact {
        ReputationFact::Given(given) => given.agent_id,
        ReputationFact::Revoked { agent_id, .. } | ReputationFact::Answered { agent_id, .. } => *agent_id,
    };
    AgentKey { deployment, agent_id }
}

struct Given {
    place: Place,
    value: Value,
    decimals: u8,
    tag1: Tag,
    tag2: Text,
    endpoint: Text,
    uri: Text,
    hash: B256,
    said: Said,
    revoked: Option<Place>,
}

/// Feedback that the database holds.
struct Stored {
    said: Said,
    /// The revocation by this batch.
    revoked_now: Option<Place>,
    superseded: Option<u64>,
}

#[derive(Default)]
struct Slot {
    /// Boxed, because most feedback is new.
    stored: Option<Box<Stored>>,
    given: Timeline<Given>,
}

impl Slot {
    /// Whether there is feedback that holds, and whether that is revoked.
    fn revoked(&self) -> Option<bool> {
        self.said().map(|said| said.revoked)
    }

    /// What the feedback that holds says.
    fn said(&self) -> Option<Said> {
        if let Some(given) = self.given.current() {
            return Some(Said { revoked: given.revoked.is_some(), ..given.said });
        }
        let stored = self.stored.as_ref().filter(|stored| stored.superseded.is_none())?;
        Some(Said { revoked: stored.said.revoked || stored.revoked_now.is_some(), ..stored.said })
    }

    /// Whether what holds was given in a block.
    fn was_given_in(&self, block: u64) -> bool {
        self.given.current().is_some_and(|given| given.place.block == block)
    }
}

struct Response {
    key: FeedbackKey,
    place: Place,
    responder: Address,
    uri: Text,
    hash: B256,
}

/// What the block that is folded has done to one feedback so far.
struct Touched {
    before: Option<Said>,
    /// Whether the block took that back.
    taken_back: bool,
    responses: i64,
}

/// The feedback that a batch gives or revokes, and its responses.
#[derive(Default)]
pub(super) struct Feedback {
    slots: BTreeMap<FeedbackKey, Slot>,
    /// What the present block touched.
    touched: BTreeMap<FeedbackKey, Touched>,
    /// The newest index of those whose feedback has to be counted.
    newest: BTreeMap<Pair, u64>,
    responses: Vec<Response>,
    /// Where what is written is remembered.
    ever_given: Option<Arc<EverGiven>>,
}

impl Feedback {
    /// The feedback of these keys, and the newest index of those that have to be counted; nothing is looked for of clients
    /// who have not spoken, or of what was never given.
    pub(super) async fn load(
        sql: &Sql<'_>,
        keys: &BTreeSet<FeedbackKey>,
        counted: &BTreeSet<Pair>,
        voices: &Voices,
        ever_given: Option<Arc<EverGiven>>,
    ) -> Result<Self, StoreError> {
        let may_be_held = |key: &&FeedbackKey| {
            !voices.was_silent(&(key.agent, key.client)) && ever_given.as_ref().is_none_or(|given| given.may_have(key))
        };
        let held: Vec<&FeedbackKey> = keys.iter().filter(may_be_held).collect();
        let (slots, newest) = together!(sql, load_slots(sql, &held), load_newest(sql, counted))?;
        Ok(Self { slots, newest, ever_given, ..Self::default() })
    }

    /// The aspects that the stored feedback speaks of.
    pub(super) fn aspects(&self) -> impl Iterator<Item = StandingKey> {
        let stored = self.slots.iter().filter_map(|(key, slot)| Some((key.agent, slot.stored.as_ref()?.said)));
        stored.flat_map(|(agent, said)| said.aspects().map(move |aspect| (agent, aspect)))
    }

    fn touch(&mut self, key: FeedbackKey) -> &mut Touched {
        let slots = &self.slots;
        self.touched.entry(key).or_insert_with(|| Touched {
            before: slots.get(&key).and_then(Slot::said),
            taken_back: false,
            responses: 0,
        })
    }

    /// What a block, of that time, did to each feedback.
    pub(super) fn end_block(&mut self, block: u64, time: u64) -> impl Iterator<Item = Spoken> {
        let slots = &self.slots;
        std::mem::take(&mut self.touched).into_iter().map(move |(key, touched)| {
            let slot = slots.get(&key);
            Spoken {
                block,
                time,
                pair: (key.agent, key.client),
                before: touched.before,
                after: slot.and_then(Slot::said),
                given: slot.is_some_and(|slot| slot.was_given_in(block)),
                taken_back: touched.taken_back,
                responses: touched.responses,
            }
        })
    }

    pub(super) fn fold(&mut self, at: &At<'_>, fact: ReputationFact, totals: &mut Totals, changes: &mut Changes) {
        let place = at.place;
        let agent = named_agent(at.contract.deployment, &fact);
        match fact {
            ReputationFact::Given(given) => {
                let client = given.client_address;
                let index = given.feedback_index.unwrap_or_else(|| self.next_index((agent, client)));
                if let Some(newest) = self.newest.get_mut(&(agent, client)) {
                    *newest = index.max(*newest);
                }
                let said = Said::new(&given.tag1, &given.value, given.value_decimals);
                let given = Given {
                    place,
                    value: given.value,
                    decimals: given.value_decimals,
                    tag1: given.tag1,
                    tag2: given.tag2,
                    endpoint: given.endpoint,
                    uri: given.feedback_uri,
                    hash: given.feedback_hash,
                    said,
                    revoked: None,
                };
                self.give(FeedbackKey { agent, client, index }, given, totals, changes);
            }
            ReputationFact::Revoked { client_address, feedback_index, .. } => {
                let key = FeedbackKey { agent, client: client_address, index: feedback_index };
                self.revoke(key, place, totals, changes);
            }
            ReputationFact::Answered {
                client_address, feedback_index, responder, response_uri, response_hash, ..
            } => {
                let key = FeedbackKey { agent, client: client_address, index: feedback_index };
                let (uri, hash) = (response_uri, response_hash);
                self.touch(key).responses += 1;
                self.responses.push(Response { key, place, responder, uri, hash });
                totals.change(&place, agent, changes, |total| total.responses += 1);
                let rest = || format!("{}{}", key.rest(), event_key(&place));
                changes.note_of_agent(ChangeOp::Insert, ChangeEntity::Response, agent, rest);
            }
        }
    }

    /// The index of feedback whose event does not tell it: one more than the newest of that agent and client, because
    /// those registries counted from 1 without gaps.
    fn next_index(&self, pair: Pair) -> u64 {
        self.newest.get(&pair).map_or(1, |newest| newest.saturating_add(1))
    }

    fn give(&mut self, key: FeedbackKey, given: Given, totals: &mut Totals, changes: &mut Changes) {
        let place = given.place;
        self.touch(key);
        let slot = self.slots.entry(key).or_default();
        let superseded = slot.revoked();
        if let Some(stored) = &mut slot.stored {
            stored.superseded.get_or_insert(place.block);
        }
        slot.given.set(place.block, given);
        totals.change(&place, key.agent, changes, |total| {
            match superseded {
                None => total.feedback += 1,
                Some(true) => total.revoked -= 1,
                Some(false) => {}
            }
            total.last_activity = place.time;
            total.updated_at = place.time;
        });
        let op = if superseded.is_none() { ChangeOp::Insert } else { ChangeOp::Update };
        changes.note_of_agent(op, ChangeEntity::Feedback, key.agent, || key.rest());
    }

    fn revoke(&mut self, key: FeedbackKey, place: Place, totals: &mut Totals, changes: &mut Changes) {
        if self.slots.get(&key).and_then(Slot::revoked) != Some(false) {
            return;
        }
        let is_new = self.slots.get(&key).is_some_and(|slot| slot.was_given_in(place.block));
        self.touch(key).taken_back |= !is_new;
        let slot = self.slots.entry(key).or_default();
        if let Some(given) = slot.given.current_mut() {
            given.revoked = Some(place);
        } else if let Some(stored) = &mut slot.stored {
            stored.revoked_now = Some(place);
        }
        totals.change(&place, key.agent, changes, |total| {
            total.revoked += 1;
            total.updated_at = place.time;
        });
        changes.note_of_agent(ChangeOp::Update, ChangeEntity::Feedback, key.agent, || key.rest());
    }
}
