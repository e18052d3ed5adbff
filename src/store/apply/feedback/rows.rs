//! The statements of feedback: what is loaded, written and undone.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::Bytes;
use futures_util::FutureExt;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Feedback, FeedbackKey, Pair, Response, Slot, Stored};
use crate::event::{Tag, Text};
use crate::store::apply::agents::agent_key;
use crate::store::apply::standings::{Said, fixed};
use crate::store::apply::timeline::Timeline;
use crate::store::aspect::Aspect;
use crate::store::error::StoreError;
use crate::store::network::small;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, index, signed, sum};

/// What is shown of a tag of which only the hash is known.
static NO_TAG: Text = Text(Bytes::new());

impl Feedback {
    pub(in crate::store::apply) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        // First what a revocation marks, while it still holds; then what is superseded.
        self.mark_revoked(sql).await?;
        self.end_superseded(sql).await?;
        sum(sql, [self.insert(sql).boxed(), self.insert_responses(sql).boxed()]).await
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
        let mut insert = sql.insert("feedback", COLUMNS).await?;
        for (key, slot) in &self.slots {
            if let (Some(given), false) = (&self.ever_given, slot.given.versions().is_empty()) {
                given.remember(key);
            }
            for version in slot.given.versions() {
                let given = &version.row;
                let (tag1, tag1_hash) = match &given.tag1 {
                    Tag::Text(text) => (text, None),
                    Tag::Hash(hash) => (&NO_TAG, Some(hash.as_slice())),
                };
                insert
                    .row(&[
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
        insert.finish().await
    }

    async fn insert_responses(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.responses.is_empty() {
            return Ok(0);
        }
        let mut insert = sql.insert("feedback_response", RESPONSE_COLUMNS).await?;
        for response in &self.responses {
            let Response { key, place, responder, uri, hash } = response;
            insert
                .row(&[
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
        insert.finish().await
    }
}

pub(super) async fn load_slots(
    sql: &Sql<'_>,
    keys: &[&FeedbackKey],
) -> Result<BTreeMap<FeedbackKey, Slot>, StoreError> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys = Arrays::of(keys.iter().copied());
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
        Ok((key, Slot { stored: Some(Box::new(stored)), given: Timeline::default() }))
    });
    slots.collect()
}

/// What feedback says, of a row of it.
pub(in crate::store::apply) fn stored_said(row: &Row) -> Result<Said, StoreError> {
    let decimals: i16 = sql::column(row, "value_decimals")?;
    Ok(Said {
        aspect: Aspect::read(sql::column(row, "aspect")?).ok_or_else(|| sql::corrupt("feedback is of no aspect"))?,
        value: fixed(row, "value")?,
        decimals: u8::try_from(decimals).map_err(|_| sql::corrupt("feedback has too many decimal places"))?,
        revoked: sql::column(row, "revoked")?,
    })
}

/// The newest index that is held of each pair; 0 where there is none.
pub(super) async fn load_newest(sql: &Sql<'_>, pairs: &BTreeSet<Pair>) -> Result<BTreeMap<Pair, u64>, StoreError> {
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
pub(in crate::store::apply) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
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
