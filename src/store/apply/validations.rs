//! Validations: a request to a validator, with the newest answer to it, and every answer in a table of its own.
//!
//! A request hash is unique within its registry. An answer to a request that was never seen is kept as an answer; no
//! request is invented for it, and no total counts it. An answer of 0 is an answer.
//!
//! Totals follow what stands at a block's end: the agent of each validation that the block changed. So they can be
//! counted anew from the rows alone, whatever a registry says twice in one block or of two agents.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, hex};
use futures_util::FutureExt;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::At;
use super::agents::agent_key;
use super::change::{ChangeEntity, ChangeOp, Changes};
use super::timeline::{Place, Timeline};
use super::totals::Totals;
use crate::event::{Text, ValidationEvent};
use crate::id::{AgentKey, Deployment};
use crate::store::error::StoreError;
use crate::store::network::{Contract, small};
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, index, signed, sum};

/// A registry's contract id and a request hash.
pub(super) type ValidationKey = (i16, B256);

/// The validation that an event is about.
pub(super) fn validation_key(contract: &Contract, event: &ValidationEvent) -> ValidationKey {
    let (ValidationEvent::ValidationRequest { request_hash, .. }
    | ValidationEvent::ValidationResponse { request_hash, .. }) = event;
    (contract.id, *request_hash)
}

/// The agent that an event is about.
pub(super) fn named_agent(deployment: Deployment, event: &ValidationEvent) -> AgentKey {
    let (ValidationEvent::ValidationRequest { agent_id, .. } | ValidationEvent::ValidationResponse { agent_id, .. }) =
        event;
    AgentKey { deployment, agent_id: *agent_id }
}

#[derive(Debug, Clone)]
struct Answer {
    response: u8,
    uri: Text,
    hash: B256,
    tag: Text,
}

#[derive(Debug, Clone)]
struct Validation {
    log_index: u32,
    transaction: B256,
    updated_at: u64,
    agent: AgentKey,
    validator: Address,
    request_uri: Text,
    created_block: u64,
    created_at: u64,
    answers: u32,
    answer: Option<Answer>,
}

impl Validation {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let answer = match sql::column::<Option<i16>>(row, "response")? {
            None => None,
            Some(response) => Some(Answer {
                response: u8::try_from(response).map_err(|_| sql::corrupt("a validator's answer is no uint8"))?,
                uri: sql::text(row, "response_uri", "response_uri_raw")?,
                hash: sql::hash(row, "response_hash")?,
                tag: sql::text(row, "tag", "tag_raw")?,
            }),
        };
        Ok(Self {
            log_index: sql::unsigned_index(sql::column(row, "log_index")?)?,
            transaction: sql::hash(row, "transaction_hash")?,
            updated_at: sql::number(row, "updated_at")?,
            agent: agent_key(row)?,
            validator: sql::address(row, "validator")?,
            request_uri: sql::text(row, "request_uri", "request_uri_raw")?,
            created_block: sql::number(row, "created_block")?,
            created_at: sql::number(row, "created_at")?,
            answers: sql::unsigned_index(sql::column(row, "response_count")?)?,
            answer,
        })
    }
}

struct Response {
    key: ValidationKey,
    place: Place,
    agent: AgentKey,
    validator: Address,
    answer: Answer,
}

/// The validations that a batch requests or answers.
#[derive(Default)]
pub(super) struct Validations {
    timelines: BTreeMap<ValidationKey, Timeline<Validation>>,
    responses: Vec<Response>,
    /// What the block under way changed, and where last.
    changed: BTreeMap<ValidationKey, Place>,
}

impl Validations {
    pub(super) async fn load(sql: &Sql<'_>, keys: &BTreeSet<ValidationKey>) -> Result<Self, StoreError> {
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let (contracts, hashes): (Vec<i16>, Vec<&[u8]>) = keys.iter().map(|(id, hash)| (*id, hash.as_slice())).unzip();
        let rows = sql
            .query(
                "SELECT v.* FROM unnest($2::smallint[], $3::bytea[]) AS key (contract_id, request_hash) \
                 CROSS JOIN LATERAL (SELECT * FROM validation v WHERE v.chain_id = $1 \
                     AND v.contract_id = key.contract_id AND v.request_hash = key.request_hash \
                     AND v.end_block IS NULL OFFSET 0) v",
                &[&contracts, &hashes],
            )
            .await?;
        let timelines = rows.iter().map(|row| {
            let key = (sql::column(row, "contract_id")?, sql::hash(row, "request_hash")?);
            Ok((key, Timeline::stored(sql::number(row, "begin_block")?, Validation::read(row)?)))
        });
        Ok(Self { timelines: timelines.collect::<Result<_, StoreError>>()?, ..Self::default() })
    }

    /// The agents of the validations that the database holds.
    pub(super) fn agents(&self) -> impl Iterator<Item = AgentKey> {
        self.timelines.values().filter_map(Timeline::current).map(|validation| validation.agent)
    }

    pub(super) fn fold(&mut self, at: &At<'_>, event: &ValidationEvent, totals: &mut Totals, changes: &mut Changes) {
        let place = at.place;
        let key = validation_key(at.contract, event);
        let agent = named_agent(at.contract.deployment, event);
        let op = match event {
            ValidationEvent::ValidationRequest { validator_address, request_uri, .. } => {
                totals.begin(&place, agent, changes);
                let timeline = self.timelines.entry(key).or_default();
                let op = if timeline.current().is_none() { ChangeOp::Insert } else { ChangeOp::Update };
                timeline.set(
                    place.block,
                    Validation {
                        log_index: place.log_index,
                        transaction: place.transaction,
                        updated_at: place.time,
                        agent,
                        validator: *validator_address,
                        request_uri: request_uri.clone(),
                        created_block: place.block,
                        created_at: place.time,
                        answers: 0,
                        answer: None,
                    },
                );
                Some(op)
            }
            ValidationEvent::ValidationResponse {
                validator_address,
                response,
                response_uri,
                response_hash,
                tag,
                ..
            } => {
                let answer =
                    Answer { response: *response, uri: response_uri.clone(), hash: *response_hash, tag: tag.clone() };
                self.responses.push(Response {
                    key,
                    place,
                    agent,
                    validator: *validator_address,
                    answer: answer.clone(),
                });
                self.answer(key, &place, answer)
            }
        };
        let Some(op) = op else { return };
        self.changed.insert(key, place);
        let registry = if at.contract.ordinal == 0 {
            String::new()
        } else {
            format!("{}:", hex::encode_prefixed(at.contract.address))
        };
        changes.note(op, ChangeEntity::Validation, || format!("{registry}{}", hex::encode_prefixed(key.1)));
    }

    fn answer(&mut self, key: ValidationKey, place: &Place, answer: Answer) -> Option<ChangeOp> {
        let timeline = self.timelines.get_mut(&key)?;
        let mut validation = timeline.current()?.clone();
        validation.log_index = place.log_index;
        validation.transaction = place.transaction;
        validation.updated_at = place.time;
        validation.answers += 1;
        validation.answer = Some(answer);
        timeline.set(place.block, validation);
        Some(ChangeOp::Update)
    }

    /// Moves the totals of those whose validations the block changed.
    pub(super) fn end_block(&mut self, totals: &mut Totals, changes: &mut Changes) {
        for (key, place) in std::mem::take(&mut self.changed) {
            let Some(validation) = self.timelines.get(&key).and_then(Timeline::current) else { continue };
            totals.change(&place, validation.agent, changes, |total| {
                total.last_activity = place.time;
                total.updated_at = place.time;
            });
        }
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        let ended: Vec<_> =
            self.timelines.iter().filter_map(|(key, timeline)| Some((key, timeline.ended()?.1))).collect();
        if !ended.is_empty() {
            let contracts: Vec<i16> = ended.iter().map(|(key, _)| key.0).collect();
            let hashes: Vec<&[u8]> = ended.iter().map(|(key, _)| key.1.as_slice()).collect();
            let ends: Vec<i64> = ended.iter().map(|(_, end)| signed(*end)).collect();
            sql.execute(
                "UPDATE validation v SET end_block = key.end_block \
                 FROM unnest($2::smallint[], $3::bytea[], $4::bigint[]) AS key (contract_id, request_hash, end_block) \
                 WHERE v.chain_id = $1 AND v.contract_id = key.contract_id AND v.request_hash = key.request_hash \
                 AND v.end_block IS NULL",
                &[&contracts, &hashes, &ends],
            )
            .await?;
        }
        sum(sql, [self.insert(sql).boxed(), self.insert_responses(sql).boxed()]).await
    }

    async fn insert(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.timelines.values().all(|timeline| timeline.versions().is_empty()) {
            return Ok(0);
        }
        let mut insert = sql.insert("validation", COLUMNS).await?;
        for ((contract_id, request_hash), timeline) in &self.timelines {
            for version in timeline.versions() {
                let validation = &version.row;
                let answer = validation.answer.as_ref();
                insert
                    .row(&[
                        contract_id,
                        &request_hash.as_slice(),
                        &signed(version.begin),
                        &version.end.map(signed),
                        &index(validation.log_index),
                        &validation.transaction.as_slice(),
                        &signed(validation.updated_at),
                        &small(validation.agent.deployment),
                        &Numeric::from(validation.agent.agent_id),
                        &validation.validator.as_slice(),
                        &validation.request_uri.readable(),
                        &validation.request_uri.raw_if_unclean(),
                        &signed(validation.created_block),
                        &signed(validation.created_at),
                        &index(validation.answers),
                        &answer.map(|answer| i16::from(answer.response)),
                        &answer.map(|answer| answer.uri.readable()),
                        &answer.and_then(|answer| answer.uri.raw_if_unclean()),
                        &answer.map(|answer| answer.hash.as_slice()),
                        &answer.map(|answer| answer.tag.readable()),
                        &answer.and_then(|answer| answer.tag.raw_if_unclean()),
                    ])
                    .await?;
            }
        }
        insert.finish().await
    }

    async fn insert_responses(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.responses.is_empty() {
            return Ok(0);
        }
        let mut insert = sql.insert("validation_response", RESPONSE_COLUMNS).await?;
        for response in &self.responses {
            let Response { key: (contract_id, request_hash), place, agent, validator, answer } = response;
            insert
                .row(&[
                    contract_id,
                    &request_hash.as_slice(),
                    &signed(place.block),
                    &index(place.log_index),
                    &place.transaction.as_slice(),
                    &signed(place.time),
                    &small(agent.deployment),
                    &Numeric::from(agent.agent_id),
                    &validator.as_slice(),
                    &i16::from(answer.response),
                    &answer.uri.readable(),
                    &answer.uri.raw_if_unclean(),
                    &answer.hash.as_slice(),
                    &answer.tag.readable(),
                    &answer.tag.raw_if_unclean(),
                ])
                .await?;
        }
        insert.finish().await
    }
}

const COLUMNS: &[(&str, Type)] = &[
    ("contract_id", Type::INT2),
    ("request_hash", Type::BYTEA),
    ("begin_block", Type::INT8),
    ("end_block", Type::INT8),
    ("log_index", Type::INT4),
    ("transaction_hash", Type::BYTEA),
    ("updated_at", Type::INT8),
    ("deployment", Type::INT2),
    ("agent_id", Type::NUMERIC),
    ("validator", Type::BYTEA),
    ("request_uri", Type::TEXT),
    ("request_uri_raw", Type::BYTEA),
    ("created_block", Type::INT8),
    ("created_at", Type::INT8),
    ("response_count", Type::INT4),
    ("response", Type::INT2),
    ("response_uri", Type::TEXT),
    ("response_uri_raw", Type::BYTEA),
    ("response_hash", Type::BYTEA),
    ("tag", Type::TEXT),
    ("tag_raw", Type::BYTEA),
];

const RESPONSE_COLUMNS: &[(&str, Type)] = &[
    ("contract_id", Type::INT2),
    ("request_hash", Type::BYTEA),
    ("begin_block", Type::INT8),
    ("log_index", Type::INT4),
    ("transaction_hash", Type::BYTEA),
    ("created_at", Type::INT8),
    ("deployment", Type::INT2),
    ("agent_id", Type::NUMERIC),
    ("validator", Type::BYTEA),
    ("response", Type::INT2),
    ("response_uri", Type::TEXT),
    ("response_uri_raw", Type::BYTEA),
    ("response_hash", Type::BYTEA),
    ("tag", Type::TEXT),
    ("tag_raw", Type::BYTEA),
];

/// Undoes what happened above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM validation_response WHERE chain_id = $1 AND begin_block > $2",
        "DELETE FROM validation WHERE chain_id = $1 AND begin_block > $2",
        "UPDATE validation SET end_block = NULL WHERE chain_id = $1 AND end_block > $2",
    ] {
        sql.execute(statement, &[&signed(to)]).await?;
    }
    Ok(())
}
