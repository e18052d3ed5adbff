//! Metadata entries of agents, and operators' approvals: both keep every version, both are ended without being read.
//!
//! Metadata is keyed by the hash of the key's bytes: two keys that read alike stay two (F45), and a long key fits an
//! index (F47).

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, Bytes, hex, keccak256};
use tokio_postgres::types::Type;

use super::At;
use super::agents::arrays;
use super::change::{ChangeEntity, ChangeOp, Changes};
use super::timeline::{Place, Timeline};
use crate::event::{IdentityEvent, Text};
use crate::id::{AgentKey, Deployment};
use crate::store::error::StoreError;
use crate::store::network::small;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, index, signed};

struct Entry {
    place: Place,
    key: Text,
    value: Bytes,
}

/// The metadata entries that a batch sets.
#[derive(Default)]
pub(super) struct Metadata {
    timelines: BTreeMap<(AgentKey, B256), Timeline<Entry>>,
}

impl Metadata {
    pub(super) fn fold(&mut self, at: &At<'_>, event: &IdentityEvent, changes: &mut Changes) {
        let IdentityEvent::MetadataSet { agent_id, metadata_key, metadata_value, .. } = event else { return };
        let agent = AgentKey { deployment: at.contract.deployment, agent_id: *agent_id };
        let key_hash = keccak256(&metadata_key.0);
        let entry = Entry { place: at.place, key: metadata_key.clone(), value: metadata_value.clone() };
        self.timelines.entry((agent, key_hash)).or_default().set(at.place.block, entry);
        let rest = || format!(":{}", hex::encode_prefixed(key_hash));
        changes.note_of_agent(ChangeOp::Update, ChangeEntity::Metadata, agent, rest);
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.timelines.is_empty() {
            return Ok(0);
        }
        let (deployments, ids) = arrays(self.timelines.keys().map(|(agent, _)| agent));
        let hashes: Vec<&[u8]> = self.timelines.keys().map(|(_, hash)| hash.as_slice()).collect();
        let ends: Vec<i64> =
            self.timelines.values().filter_map(|timeline| timeline.first_change().map(signed)).collect();
        sql.execute(
            "UPDATE agent_metadata m SET end_block = key.end_block \
             FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::bigint[]) \
                 AS key (deployment, agent_id, key_hash, end_block) \
             WHERE m.chain_id = $1 AND m.deployment = key.deployment AND m.agent_id = key.agent_id \
             AND m.key_hash = key.key_hash AND m.end_block IS NULL",
            &[&deployments, &ids, &hashes, &ends],
        )
        .await?;
        let mut insert = sql
            .insert(
                "agent_metadata",
                &[
                    ("deployment", Type::INT2),
                    ("agent_id", Type::NUMERIC),
                    ("key_hash", Type::BYTEA),
                    ("begin_block", Type::INT8),
                    ("end_block", Type::INT8),
                    ("log_index", Type::INT4),
                    ("transaction_hash", Type::BYTEA),
                    ("updated_at", Type::INT8),
                    ("key", Type::TEXT),
                    ("key_raw", Type::BYTEA),
                    ("value", Type::BYTEA),
                ],
            )
            .await?;
        for ((agent, key_hash), timeline) in &self.timelines {
            for version in timeline.versions() {
                let entry = &version.row;
                insert
                    .row(&[
                        &small(agent.deployment),
                        &Numeric::from(agent.agent_id),
                        &key_hash.as_slice(),
                        &signed(version.begin),
                        &version.end.map(signed),
                        &index(entry.place.log_index),
                        &entry.place.transaction.as_slice(),
                        &signed(entry.place.time),
                        &entry.key.readable(),
                        &entry.key.raw_if_unclean(),
                        &entry.value.as_ref(),
                    ])
                    .await?;
            }
        }
        insert.finish().await
    }
}

/// An owner and an operator within a deployment.
pub(super) type ApprovalKey = (Deployment, Address, Address);

/// The operators' approvals that a batch gives or withdraws.
#[derive(Default)]
pub(super) struct Approvals {
    /// A stored version's row is not read: that it holds is all that counts.
    timelines: BTreeMap<ApprovalKey, Timeline<Option<Place>>>,
}

/// The approval that an event gives or withdraws.
pub(super) fn approval_key(deployment: Deployment, event: &IdentityEvent) -> Option<ApprovalKey> {
    match event {
        IdentityEvent::ApprovalForAll { owner, operator, .. } => Some((deployment, *owner, *operator)),
        _ => None,
    }
}

impl Approvals {
    pub(super) async fn load(sql: &Sql<'_>, keys: &BTreeSet<ApprovalKey>) -> Result<Self, StoreError> {
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let (deployments, owners, operators) = approval_arrays(keys);
        let rows = sql
            .query(
                "SELECT a.deployment, a.owner, a.operator, a.begin_block \
                 FROM unnest($2::smallint[], $3::bytea[], $4::bytea[]) AS key (deployment, owner, operator) \
                 CROSS JOIN LATERAL (SELECT * FROM operator_approval a WHERE a.chain_id = $1 \
                     AND a.deployment = key.deployment AND a.owner = key.owner AND a.operator = key.operator \
                     AND a.end_block IS NULL OFFSET 0) a",
                &[&deployments, &owners, &operators],
            )
            .await?;
        let timelines = rows.iter().map(|row| {
            let deployment: i16 = sql::column(row, "deployment")?;
            let deployment = Deployment::try_from(deployment).map_err(|_| sql::corrupt("a deployment is negative"))?;
            let key = (deployment, sql::address(row, "owner")?, sql::address(row, "operator")?);
            Ok((key, Timeline::stored(sql::number(row, "begin_block")?, None)))
        });
        Ok(Self { timelines: timelines.collect::<Result<_, StoreError>>()? })
    }

    pub(super) fn fold(&mut self, at: &At<'_>, event: &IdentityEvent, changes: &mut Changes) {
        let Some(key) = approval_key(at.contract.deployment, event) else { return };
        let IdentityEvent::ApprovalForAll { owner, operator, approved } = event else { return };
        let timeline = self.timelines.entry(key).or_default();
        let op = match (timeline.current().is_some(), approved) {
            (false, true) => {
                timeline.set(at.place.block, Some(at.place));
                ChangeOp::Insert
            }
            (true, false) => {
                timeline.end(at.place.block);
                ChangeOp::Update
            }
            // Approving twice, or withdrawing what never was, changes nothing.
            (true, true) | (false, false) => return,
        };
        let registry = hex::encode_prefixed(at.contract.address);
        let (owner, operator) = (hex::encode_prefixed(owner), hex::encode_prefixed(operator));
        changes.note(op, ChangeEntity::Approval, || format!("{registry}:{owner}:{operator}"));
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        let ended: Vec<_> =
            self.timelines.iter().filter_map(|(key, timeline)| Some((key, timeline.ended()?.1))).collect();
        if !ended.is_empty() {
            let (deployments, owners, operators) = approval_arrays(ended.iter().map(|(key, _)| *key));
            let ends: Vec<i64> = ended.iter().map(|(_, end)| signed(*end)).collect();
            sql.execute(
                "UPDATE operator_approval a SET end_block = key.end_block \
                 FROM unnest($2::smallint[], $3::bytea[], $4::bytea[], $5::bigint[]) \
                     AS key (deployment, owner, operator, end_block) \
                 WHERE a.chain_id = $1 AND a.deployment = key.deployment AND a.owner = key.owner \
                 AND a.operator = key.operator AND a.end_block IS NULL",
                &[&deployments, &owners, &operators, &ends],
            )
            .await?;
        }
        self.insert(sql).await
    }

    async fn insert(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.timelines.values().all(|timeline| timeline.versions().is_empty()) {
            return Ok(0);
        }
        let mut insert = sql
            .insert(
                "operator_approval",
                &[
                    ("deployment", Type::INT2),
                    ("owner", Type::BYTEA),
                    ("operator", Type::BYTEA),
                    ("begin_block", Type::INT8),
                    ("end_block", Type::INT8),
                    ("log_index", Type::INT4),
                    ("transaction_hash", Type::BYTEA),
                ],
            )
            .await?;
        for ((deployment, owner, operator), timeline) in &self.timelines {
            for version in timeline.versions() {
                let Some(place) = &version.row else { continue };
                insert
                    .row(&[
                        &small(*deployment),
                        &owner.as_slice(),
                        &operator.as_slice(),
                        &signed(version.begin),
                        &version.end.map(signed),
                        &index(place.log_index),
                        &place.transaction.as_slice(),
                    ])
                    .await?;
            }
        }
        insert.finish().await
    }
}

fn approval_arrays<'a>(keys: impl IntoIterator<Item = &'a ApprovalKey>) -> (Vec<i16>, Vec<&'a [u8]>, Vec<&'a [u8]>) {
    keys.into_iter()
        .map(|(deployment, owner, operator)| (small(*deployment), owner.as_slice(), operator.as_slice()))
        .collect()
}

/// Undoes what happened above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM agent_metadata WHERE chain_id = $1 AND begin_block > $2",
        "UPDATE agent_metadata SET end_block = NULL WHERE chain_id = $1 AND end_block > $2",
        "DELETE FROM operator_approval WHERE chain_id = $1 AND begin_block > $2",
        "UPDATE operator_approval SET end_block = NULL WHERE chain_id = $1 AND end_block > $2",
    ] {
        sql.execute(statement, &[&signed(to)]).await?;
    }
    Ok(())
}
