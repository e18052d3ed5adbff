//! Feedback, its revocation, and responses to it.
//!
//! A revocation marks the feedback that it names, once; what it names and is not there stays a raw log. Feedback that
//! repeats agent, client and index supersedes the earlier one, which the registries' own code rules out, but which must
//! not stop the node.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, Bytes, hex};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::At;
use super::agents::agent_key;
use super::change::{ChangeEntity, ChangeOp, Changes, event_key};
use super::standings::{Said, Spoken, StandingKey, Standings, fixed};
use super::timeline::{Place, Timeline};
use super::totals::Totals;
use crate::event::{ReputationFact, Tag, Text, Value};
use crate::id::{AgentKey, Deployment};
use crate::store::aspect::Aspect;
use crate::store::error::StoreError;
use crate::store::network::small;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, index, signed};

/// What names feedback within a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    stored: Option<Stored>,
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

/// What is shown of a tag of which only the hash is known.
static NO_TAG: Text = Text(Bytes::new());

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
}

impl Feedback {
    pub(super) async fn load(
        sql: &Sql<'_>,
        keys: &BTreeSet<FeedbackKey>,
        counted: &BTreeSet<Pair>,
    ) -> Result<Self, StoreError> {
        let (slots, newest) = (load_slots(sql, keys).await?, load_newest(sql, counted).await?);
        Ok(Self { slots, newest, ..Self::default() })
    }

    /// The aspects that the stored feedback speaks of.
    pub(super) fn aspects(&self) -> impl Iterator<Item = StandingKey> {
        let stored = self.slots.iter().filter_map(|(key, slot)| Some((key.agent, slot.stored.as_ref()?.said)));
        stored.flat_map(|(agent, said)| said.aspects().map(move |aspect| (agent, aspect)))
    }

    fn touch(&mut self, key: FeedbackKey) -> &mut Touched {
        let slots = &self.slots;
        self.touched
            .entry(key)
            .or_insert_with(|| Touched { before: slots.get(&key).and_then(Slot::said), responses: 0 })
    }

    /// Counts what a block, of that time, did.
    pub(super) fn end_block(&mut self, block: u64, time: u64, standings: &mut Standings) {
        for (key, touched) in std::mem::take(&mut self.touched) {
            let slot = self.slots.get(&key);
            standings.end_block(
                block,
                time,
                &Spoken {
                    pair: (key.agent, key.client),
                    before: touched.before,
                    after: slot.and_then(Slot::said),
                    given: slot.is_some_and(|slot| slot.was_given_in(block)),
                    responses: touched.responses,
                },
            );
        }
    }

    pub(super) fn fold(&mut self, at: &At<'_>, fact: &ReputationFact, totals: &mut Totals, changes: &mut Changes) {
        let place = at.place;
        let agent = named_agent(at.contract.deployment, fact);
        match fact {
            ReputationFact::Given(given) => {
                let client = given.client_address;
                let index = given.feedback_index.unwrap_or_else(|| self.next_index((agent, client)));
                if let Some(newest) = self.newest.get_mut(&(agent, client)) {
                    *newest = index.max(*newest);
                }
                let given = Given {
                    place,
                    value: given.value,
                    decimals: given.value_decimals,
                    tag1: given.tag1.clone(),
                    tag2: given.tag2.clone(),
                    endpoint: given.endpoint.clone(),
                    uri: given.feedback_uri.clone(),
                    hash: given.feedback_hash,
                    said: Said::new(&given.tag1, &given.value, given.value_decimals),
                    revoked: None,
                };
                self.give(FeedbackKey { agent, client, index }, given, totals, changes);
            }
            ReputationFact::Revoked { client_address, feedback_index, .. } => {
                let key = FeedbackKey { agent, client: *client_address, index: *feedback_index };
                self.revoke(key, place, totals, changes);
            }
            ReputationFact::Answered {
                client_address, feedback_index, responder, response_uri, response_hash, ..
            } => {
                let key = FeedbackKey { agent, client: *client_address, index: *feedback_index };
                let (uri, hash) = (response_uri.clone(), *response_hash);
                self.touch(key).responses += 1;
                self.responses.push(Response { key, place, responder: *responder, uri, hash });
                totals.change(&place, agent, changes, |total| total.responses += 1);
                let rest = format!("{}{}", key.rest(), event_key(&place));
                changes.note_agent(ChangeOp::Insert, ChangeEntity::Response, agent, &rest);
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
        changes.note_agent(op, ChangeEntity::Feedback, key.agent, &key.rest());
    }

    fn revoke(&mut self, key: FeedbackKey, place: Place, totals: &mut Totals, changes: &mut Changes) {
        if self.slots.get(&key).and_then(Slot::revoked) != Some(false) {
            return;
        }
        self.touch(key);
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
        changes.note_agent(ChangeOp::Update, ChangeEntity::Feedback, key.agent, &key.rest());
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        // First what a revocation marks, while it still holds; then what is superseded.
        self.mark_revoked(sql).await?;
        self.end_superseded(sql).await?;
        Ok(self.insert(sql).await? + self.insert_responses(sql).await?)
    }

    async fn mark_revoked(&self, sql: &Sql<'_>) -> Result<(), StoreError> {
        let revoked: Vec<_> =
            self.slots.iter().filter_map(|(key, slot)| Some((key, slot.stored.as_ref()?.revoked_now?))).collect();
        if revoked.is_empty() {
            return Ok(());
        }
        let keys = Arrays::of(revoked.iter().map(|(key, _)| *key));
        let blocks: Vec<i64> = revoked.iter().map(|(_, place)| signed(place.block)).collect();
        let indexes: Vec<i32> = revoked.iter().map(|(_, place)| index(place.log_index)).collect();
        let times: Vec<i64> = revoked.iter().map(|(_, place)| signed(place.time)).collect();
        let transactions: Vec<&[u8]> = revoked.iter().map(|(_, place)| place.transaction.as_slice()).collect();
        sql.execute(
            "UPDATE feedback f SET revoked_block = key.block, revoked_log_index = key.log_index, \
                 revoked_at = key.at, revoked_transaction_hash = key.transaction \
             FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::numeric[], \
                         $6::bigint[], $7::integer[], $8::bigint[], $9::bytea[]) \
                 AS key (deployment, agent_id, client, feedback_index, block, log_index, at, transaction) \
             WHERE f.chain_id = $1 AND f.deployment = key.deployment AND f.agent_id = key.agent_id \
             AND f.client = key.client AND f.feedback_index = key.feedback_index AND f.end_block IS NULL",
            &[&keys.deployments, &keys.agents, &keys.clients, &keys.indexes, &blocks, &indexes, &times, &transactions],
        )
        .await?;
        Ok(())
    }

    async fn end_superseded(&self, sql: &Sql<'_>) -> Result<(), StoreError> {
        let ended: Vec<_> =
            self.slots.iter().filter_map(|(key, slot)| Some((key, slot.stored.as_ref()?.superseded?))).collect();
        if ended.is_empty() {
            return Ok(());
        }
        let keys = Arrays::of(ended.iter().map(|(key, _)| *key));
        let ends: Vec<i64> = ended.iter().map(|(_, end)| signed(*end)).collect();
        sql.execute(
            "UPDATE feedback f SET end_block = key.end_block \
             FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::numeric[], $6::bigint[]) \
                 AS key (deployment, agent_id, client, feedback_index, end_block) \
             WHERE f.chain_id = $1 AND f.deployment = key.deployment AND f.agent_id = key.agent_id \
             AND f.client = key.client AND f.feedback_index = key.feedback_index AND f.end_block IS NULL",
            &[&keys.deployments, &keys.agents, &keys.clients, &keys.indexes, &ends],
        )
        .await?;
        Ok(())
    }

    async fn insert(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.slots.values().all(|slot| slot.given.versions().is_empty()) {
            return Ok(0);
        }
        let mut copy = sql.copy("feedback", COLUMNS).await?;
        for (key, slot) in &self.slots {
            for version in slot.given.versions() {
                let given = &version.row;
                let (tag1, tag1_hash) = match &given.tag1 {
                    Tag::Text(text) => (text, None),
                    Tag::Hash(hash) => (&NO_TAG, Some(hash.as_slice())),
                };
                copy.row(&[
                    &small(key.agent.deployment),
                    &Numeric::from(key.agent.agent_id),
                    &key.client.as_slice(),
                    &Numeric::from(key.index),
                    &signed(version.begin),
                    &version.end.map(signed),
                    &index(given.place.log_index),
                    &given.place.transaction.as_slice(),
                    &signed(given.place.time),
                    &Numeric::from_value(&given.value, 0),
                    &i16::from(given.decimals),
                    &Numeric::from_value(&given.value, given.decimals),
                    &tag1.readable(),
                    &tag1.raw_if_unclean(),
                    &tag1_hash,
                    &given.tag2.readable(),
                    &given.tag2.raw_if_unclean(),
                    &given.endpoint.readable(),
                    &given.endpoint.raw_if_unclean(),
                    &given.uri.readable(),
                    &given.uri.raw_if_unclean(),
                    &given.hash.as_slice(),
                    &given.revoked.map(|place| signed(place.block)),
                    &given.revoked.map(|place| index(place.log_index)),
                    &given.revoked.map(|place| signed(place.time)),
                    &given.revoked.as_ref().map(|place| place.transaction.as_slice()),
                    &given.said.aspect.bytes(),
                ])
                .await?;
            }
        }
        copy.finish().await
    }

    async fn insert_responses(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.responses.is_empty() {
            return Ok(0);
        }
        let mut copy = sql.copy("feedback_response", RESPONSE_COLUMNS).await?;
        for response in &self.responses {
            let Response { key, place, responder, uri, hash } = response;
            copy.row(&[
                &small(key.agent.deployment),
                &Numeric::from(key.agent.agent_id),
                &key.client.as_slice(),
                &Numeric::from(key.index),
                &signed(place.block),
                &index(place.log_index),
                &place.transaction.as_slice(),
                &signed(place.time),
                &responder.as_slice(),
                &uri.readable(),
                &uri.raw_if_unclean(),
                &hash.as_slice(),
            ])
            .await?;
        }
        copy.finish().await
    }
}

async fn load_slots(sql: &Sql<'_>, keys: &BTreeSet<FeedbackKey>) -> Result<BTreeMap<FeedbackKey, Slot>, StoreError> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys = Arrays::of(keys);
    let rows = sql
        .query(
            "SELECT f.deployment, f.agent_id, f.client, f.feedback_index, f.aspect, trunc(f.value, 60) AS value, \
                 f.value_decimals, f.revoked_block IS NOT NULL AS revoked \
             FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::numeric[]) \
                 AS key (deployment, agent_id, client, feedback_index) \
             CROSS JOIN LATERAL (SELECT * FROM feedback f WHERE f.chain_id = $1 \
                 AND f.deployment = key.deployment AND f.agent_id = key.agent_id AND f.client = key.client \
                 AND f.feedback_index = key.feedback_index AND f.end_block IS NULL OFFSET 0) f",
            &[&keys.deployments, &keys.agents, &keys.clients, &keys.indexes],
        )
        .await?;
    let slots = rows.iter().map(|row| {
        let feedback_index: Numeric = sql::column(row, "feedback_index")?;
        let key = FeedbackKey {
            agent: agent_key(row)?,
            client: sql::address(row, "client")?,
            index: feedback_index.to_u64().ok_or_else(|| sql::corrupt("a feedback's index is no uint64"))?,
        };
        let stored = Stored { said: stored_said(row)?, revoked_now: None, superseded: None };
        Ok((key, Slot { stored: Some(stored), given: Timeline::default() }))
    });
    slots.collect()
}

fn stored_said(row: &Row) -> Result<Said, StoreError> {
    let decimals: i16 = sql::column(row, "value_decimals")?;
    Ok(Said {
        aspect: Aspect::read(sql::column(row, "aspect")?).ok_or_else(|| sql::corrupt("feedback is of no aspect"))?,
        value: fixed(row, "value")?,
        decimals: u8::try_from(decimals).map_err(|_| sql::corrupt("feedback has too many decimal places"))?,
        revoked: sql::column(row, "revoked")?,
    })
}

/// The newest index that is held of each pair; 0 where there is none.
async fn load_newest(sql: &Sql<'_>, pairs: &BTreeSet<Pair>) -> Result<BTreeMap<Pair, u64>, StoreError> {
    if pairs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let deployments: Vec<i16> = pairs.iter().map(|(agent, _)| small(agent.deployment)).collect();
    let agents: Vec<Numeric> = pairs.iter().map(|(agent, _)| Numeric::from(agent.agent_id)).collect();
    let clients: Vec<&[u8]> = pairs.iter().map(|(_, client)| client.as_slice()).collect();
    let rows = sql
        .query(
            "SELECT coalesce(f.newest, 0) AS newest FROM unnest($2::smallint[], $3::numeric[], $4::bytea[]) \
                 WITH ORDINALITY AS key (deployment, agent_id, client, place) \
             CROSS JOIN LATERAL (SELECT max(f.feedback_index) AS newest FROM feedback f WHERE f.chain_id = $1 \
                 AND f.deployment = key.deployment AND f.agent_id = key.agent_id AND f.client = key.client \
                 OFFSET 0) f ORDER BY key.place",
            &[&deployments, &agents, &clients],
        )
        .await?;
    let newest = rows.iter().map(|row| {
        let newest: Numeric = sql::column(row, "newest")?;
        newest.to_u64().ok_or_else(|| sql::corrupt("a feedback's index is no uint64"))
    });
    pairs.iter().zip(newest).map(|(pair, newest)| Ok((*pair, newest?))).collect()
}

const COLUMNS: &[(&str, Type)] = &[
    ("deployment", Type::INT2),
    ("agent_id", Type::NUMERIC),
    ("client", Type::BYTEA),
    ("feedback_index", Type::NUMERIC),
    ("begin_block", Type::INT8),
    ("end_block", Type::INT8),
    ("log_index", Type::INT4),
    ("transaction_hash", Type::BYTEA),
    ("created_at", Type::INT8),
    ("value_raw", Type::NUMERIC),
    ("value_decimals", Type::INT2),
    ("value", Type::NUMERIC),
    ("tag1", Type::TEXT),
    ("tag1_raw", Type::BYTEA),
    ("tag1_hash", Type::BYTEA),
    ("tag2", Type::TEXT),
    ("tag2_raw", Type::BYTEA),
    ("endpoint", Type::TEXT),
    ("endpoint_raw", Type::BYTEA),
    ("feedback_uri", Type::TEXT),
    ("feedback_uri_raw", Type::BYTEA),
    ("feedback_hash", Type::BYTEA),
    ("revoked_block", Type::INT8),
    ("revoked_log_index", Type::INT4),
    ("revoked_at", Type::INT8),
    ("revoked_transaction_hash", Type::BYTEA),
    ("aspect", Type::BYTEA),
];

const RESPONSE_COLUMNS: &[(&str, Type)] = &[
    ("deployment", Type::INT2),
    ("agent_id", Type::NUMERIC),
    ("client", Type::BYTEA),
    ("feedback_index", Type::NUMERIC),
    ("begin_block", Type::INT8),
    ("log_index", Type::INT4),
    ("transaction_hash", Type::BYTEA),
    ("created_at", Type::INT8),
    ("responder", Type::BYTEA),
    ("response_uri", Type::TEXT),
    ("response_uri_raw", Type::BYTEA),
    ("response_hash", Type::BYTEA),
];

/// Feedback keys as the arrays that statements take.
struct Arrays<'a> {
    deployments: Vec<i16>,
    agents: Vec<Numeric>,
    clients: Vec<&'a [u8]>,
    indexes: Vec<Numeric>,
}

impl<'a> Arrays<'a> {
    fn of(keys: impl IntoIterator<Item = &'a FeedbackKey>) -> Self {
        let mut arrays = Self { deployments: vec![], agents: vec![], clients: vec![], indexes: vec![] };
        for key in keys {
            arrays.deployments.push(small(key.agent.deployment));
            arrays.agents.push(Numeric::from(key.agent.agent_id));
            arrays.clients.push(key.client.as_slice());
            arrays.indexes.push(Numeric::from(key.index));
        }
        arrays
    }
}

/// Undoes what happened above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM feedback_response WHERE chain_id = $1 AND begin_block > $2",
        "DELETE FROM feedback WHERE chain_id = $1 AND begin_block > $2",
        "UPDATE feedback SET end_block = NULL WHERE chain_id = $1 AND end_block > $2",
        "UPDATE feedback SET revoked_block = NULL, revoked_log_index = NULL, revoked_at = NULL, \
             revoked_transaction_hash = NULL \
         WHERE chain_id = $1 AND revoked_block > $2",
    ] {
        sql.execute(statement, &[&signed(to)]).await?;
    }
    Ok(())
}
