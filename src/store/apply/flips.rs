//! Manifest flips: what each transaction changed of an agent's endpoint, key and owner.
//!
//! All that one transaction tells of an agent is one change, judged by what it leaves. The agent's first is its first
//! manifest and no flip. A row is written once, with what the agent's flips add up to by then, and ended by the next one:
//! so it is a fact, and a version of these sums. Agents tell what was there before, so nothing of earlier flips but the
//! newest sums is read.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::agents::{AgentNames, Manifest, agent_key, arrays};
use super::change::{ChangeEntity, ChangeOp, Changes};
use super::timeline::Place;
use crate::id::{AgentId, AgentKey};
use crate::manifest::Flip;
use crate::store::error::StoreError;
use crate::store::network::small;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, index, signed};

/// What the flips of an agent add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    flips: i64,
    rapid: i64,
    endpoint_changes: i64,
    suspicious: i64,
    score: i64,
}

impl Sums {
    fn and(self, flip: &Flip) -> Self {
        Self {
            flips: self.flips + 1,
            rapid: self.rapid + i64::from(flip.is_rapid()),
            endpoint_changes: self.endpoint_changes + i64::from(flip.endpoint_changed),
            suspicious: self.suspicious + i64::from(flip.is_suspicious()),
            score: self.score + i64::from(flip.score()),
        }
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            flips: sql::column(row, "flips")?,
            rapid: sql::column(row, "rapid")?,
            endpoint_changes: sql::column(row, "endpoint_changes")?,
            suspicious: sql::column(row, "suspicious")?,
            score: sql::column(row, "score_sum")?,
        })
    }
}

/// What a transaction leaves of an agent's manifest, and what it found.
struct Change {
    /// The last event that told something.
    place: Place,
    /// Nothing for the first manifest.
    before: Option<Manifest>,
    after: Manifest,
}

impl Change {
    fn flip(&self, before: &Manifest) -> Flip {
        Flip {
            time_delta: self.place.time.saturating_sub(before.told_at),
            endpoint_changed: self.after.endpoint != before.endpoint,
            pubkey_changed: self.after.pubkey != before.pubkey,
        }
    }
}

/// A flip to be written.
struct New {
    change: Change,
    before: Manifest,
    flip: Flip,
    sums: Sums,
}

/// How many flips an agent made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FlipCount {
    /// All of them.
    pub flips: u64,
    /// Those that are suspicious.
    pub suspicious: u64,
}

/// The flips of a batch.
#[derive(Default)]
pub(super) struct Flips {
    /// What the flips that the database holds add up to.
    stored: BTreeMap<AgentKey, Sums>,
    /// What the block under way tells, by agent: one change for each transaction, in order.
    changes: BTreeMap<AgentKey, Vec<Change>>,
    /// The flips of the batch by agent, in order.
    new: BTreeMap<AgentKey, Vec<New>>,
}

impl Flips {
    pub(super) async fn load(sql: &Sql<'_>, keys: &BTreeSet<AgentKey>) -> Result<Self, StoreError> {
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let (deployments, ids) = arrays(keys);
        let rows = sql
            .query(
                "SELECT f.* FROM unnest($2::smallint[], $3::numeric[]) AS key (deployment, agent_id) \
                 CROSS JOIN LATERAL (SELECT deployment, agent_id, flips, rapid, endpoint_changes, suspicious, score_sum \
                     FROM manifest_flip f WHERE f.chain_id = $1 AND f.deployment = key.deployment \
                     AND f.agent_id = key.agent_id AND f.end_block IS NULL OFFSET 0) f",
                &[&deployments, &ids],
            )
            .await?;
        let stored = rows.iter().map(|row| Ok((agent_key(row)?, Sums::read(row)?)));
        Ok(Self { stored: stored.collect::<Result<_, StoreError>>()?, ..Self::default() })
    }

    /// An event told an agent's manifest, which was `before` and is `after` it.
    pub(super) fn fold(&mut self, place: &Place, agent: AgentKey, before: Option<Manifest>, after: Manifest) {
        let told = self.changes.entry(agent).or_default();
        match told.last_mut().filter(|change| change.place.transaction == place.transaction) {
            Some(change) => (change.place, change.after) = (*place, after),
            None => told.push(Change { place: *place, before, after }),
        }
    }

    /// Judges what the block told, in the order of the last events.
    pub(super) fn end_block(&mut self, changes: &mut Changes) {
        let told = std::mem::take(&mut self.changes).into_iter();
        let mut told: Vec<_> =
            told.flat_map(|(agent, told)| told.into_iter().map(move |change| (agent, change))).collect();
        told.sort_by_key(|(_, change)| change.place.log_index);
        for (agent, mut change) in told {
            let Some(before) = change.before.take() else { continue };
            let flip = change.flip(&before);
            let new = self.new.entry(agent).or_default();
            let sums =
                new.last().map_or_else(|| self.stored.get(&agent).copied().unwrap_or_default(), |last| last.sums);
            let rest = || format!(":{}:{}", change.place.block, change.place.log_index);
            changes.note_of_agent(ChangeOp::Insert, ChangeEntity::Flip, agent, rest);
            new.push(New { before, flip, sums: sums.and(&flip), change });
        }
    }

    /// How many flips the batch has, by agent.
    pub(super) fn counts(&self, names: &AgentNames) -> BTreeMap<AgentId, FlipCount> {
        let count = |new: &[New]| FlipCount {
            flips: new.len() as u64,
            suspicious: new.iter().filter(|new| new.flip.is_suspicious()).count() as u64,
        };
        self.new.iter().map(|(agent, new)| (names.name(*agent), count(new))).collect()
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        self.end_stored(sql).await?;
        if self.new.is_empty() {
            return Ok(0);
        }
        let mut insert = sql.insert("manifest_flip", COLUMNS).await?;
        for (agent, new) in &self.new {
            let ends = new.iter().skip(1).map(|next| Some(signed(next.change.place.block))).chain([None]);
            for (New { change: Change { place, after, .. }, before, flip, sums }, end) in new.iter().zip(ends) {
                let previous = Some(&before.endpoint).filter(|_| flip.endpoint_changed);
                insert
                    .row(&[
                        &small(agent.deployment),
                        &Numeric::from(agent.agent_id),
                        &signed(place.block),
                        &end,
                        &index(place.log_index),
                        &place.transaction.as_slice(),
                        &signed(place.time),
                        &signed(flip.time_delta),
                        &after.endpoint.readable(),
                        &after.endpoint.raw_if_unclean(),
                        &previous.map(|endpoint| endpoint.readable()),
                        &previous.and_then(|endpoint| endpoint.raw_if_unclean()),
                        &after.pubkey.as_ref().map(|address| address.as_slice()),
                        &before.pubkey.as_ref().map(|address| address.as_slice()),
                        &after.owner.as_slice(),
                        &before.owner.as_slice(),
                        &flip.endpoint_changed,
                        &flip.pubkey_changed,
                        &(after.owner != before.owner),
                        &i16::from(flip.score()),
                        &sums.flips,
                        &sums.rapid,
                        &sums.endpoint_changes,
                        &sums.suspicious,
                        &sums.score,
                    ])
                    .await?;
            }
        }
        insert.finish().await
    }

    /// Ends the newest stored flip of each agent that flipped again.
    async fn end_stored(&self, sql: &Sql<'_>) -> Result<(), StoreError> {
        let ended = self.new.iter().filter(|(agent, _)| self.stored.contains_key(agent));
        let ended: Vec<_> = ended.filter_map(|(agent, new)| Some((agent, new.first()?.change.place.block))).collect();
        if ended.is_empty() {
            return Ok(());
        }
        let (deployments, ids) = arrays(ended.iter().map(|(agent, _)| *agent));
        let ends: Vec<i64> = ended.iter().map(|(_, end)| signed(*end)).collect();
        sql.execute(
            "UPDATE manifest_flip f SET end_block = key.end_block \
             FROM unnest($2::smallint[], $3::numeric[], $4::bigint[]) AS key (deployment, agent_id, end_block) \
             WHERE f.chain_id = $1 AND f.deployment = key.deployment AND f.agent_id = key.agent_id \
             AND f.end_block IS NULL",
            &[&deployments, &ids, &ends],
        )
        .await?;
        Ok(())
    }
}

const COLUMNS: &[(&str, Type)] = &[
    ("deployment", Type::INT2),
    ("agent_id", Type::NUMERIC),
    ("begin_block", Type::INT8),
    ("end_block", Type::INT8),
    ("log_index", Type::INT4),
    ("transaction_hash", Type::BYTEA),
    ("created_at", Type::INT8),
    ("time_delta", Type::INT8),
    ("endpoint", Type::TEXT),
    ("endpoint_raw", Type::BYTEA),
    ("previous_endpoint", Type::TEXT),
    ("previous_endpoint_raw", Type::BYTEA),
    ("pubkey", Type::BYTEA),
    ("previous_pubkey", Type::BYTEA),
    ("owner", Type::BYTEA),
    ("previous_owner", Type::BYTEA),
    ("endpoint_changed", Type::BOOL),
    ("pubkey_changed", Type::BOOL),
    ("owner_changed", Type::BOOL),
    ("score", Type::INT2),
    ("flips", Type::INT8),
    ("rapid", Type::INT8),
    ("endpoint_changes", Type::INT8),
    ("suspicious", Type::INT8),
    ("score_sum", Type::INT8),
];

/// Undoes what happened above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM manifest_flip WHERE chain_id = $1 AND begin_block > $2", &[&signed(to)]).await?;
    sql.execute("UPDATE manifest_flip SET end_block = NULL WHERE chain_id = $1 AND end_block > $2", &[&signed(to)])
        .await?;
    Ok(())
}
