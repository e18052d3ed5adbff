//! Totals per agent, kept because lists are filtered and ordered by them.
//!
//! The current ones are one row each. What they were before is kept above finality only, so that a rewind restores
//! them without counting anything again; a backfill of final blocks writes no versions.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;

use super::agents::{agent_key, arrays};
use super::change::{ChangeEntity, ChangeOp, Changes};
use super::timeline::{Place, Timeline};
use crate::id::AgentKey;
use crate::store::error::StoreError;
use crate::store::network::small;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, signed};

/// The totals of one agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Total {
    /// Feedback that holds, revoked or not.
    pub(super) feedback: i64,
    /// Revoked feedback that holds.
    pub(super) revoked: i64,
    /// Responses to feedback.
    pub(super) responses: i64,
    /// Time of the registration, or of the newest feedback, validation request or answer (agent0's `lastActivity`).
    pub(super) last_activity: u64,
    /// Time of the newest event that names the agent, responses left out (agent0's `updatedAt`).
    pub(super) updated_at: u64,
}

/// The totals that a batch changes.
#[derive(Default)]
pub(super) struct Totals {
    timelines: BTreeMap<AgentKey, Timeline<Total>>,
}

impl Totals {
    pub(super) async fn load(sql: &Sql<'_>, keys: &BTreeSet<AgentKey>) -> Result<Self, StoreError> {
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let (deployments, ids) = arrays(keys);
        let rows = sql
            .query(
                "SELECT t.* FROM unnest($2::smallint[], $3::numeric[]) AS key (deployment, agent_id) \
                 CROSS JOIN LATERAL (SELECT * FROM agent_total t WHERE t.chain_id = $1 \
                     AND t.deployment = key.deployment AND t.agent_id = key.agent_id OFFSET 0) t",
                &[&deployments, &ids],
            )
            .await?;
        let timelines = rows.iter().map(|row| {
            let total = Total {
                feedback: sql::column(row, "total_feedback")?,
                revoked: sql::column(row, "revoked")?,
                responses: sql::column(row, "responses")?,
                last_activity: sql::number(row, "last_activity")?,
                updated_at: sql::number(row, "updated_at")?,
            };
            Ok((agent_key(row)?, Timeline::stored(sql::number(row, "begin_block")?, total)))
        });
        Ok(Self { timelines: timelines.collect::<Result<_, StoreError>>()? })
    }

    /// Changes an agent's totals; its first event begins them.
    pub(super) fn change(
        &mut self,
        place: &Place,
        agent: AgentKey,
        changes: &mut Changes,
        change: impl FnOnce(&mut Total),
    ) {
        let timeline = self.timelines.entry(agent).or_default();
        let first = Total { feedback: 0, revoked: 0, responses: 0, last_activity: place.time, updated_at: place.time };
        let mut total = timeline.current().copied().unwrap_or(first);
        change(&mut total);
        timeline.set(place.block, total);
        changes.note_agent(ChangeOp::Update, ChangeEntity::Agent, agent, "");
    }

    /// Begins an agent's totals where it has none yet.
    pub(super) fn begin(&mut self, place: &Place, agent: AgentKey, changes: &mut Changes) {
        if self.timelines.get(&agent).and_then(Timeline::current).is_none() {
            self.change(place, agent, changes, |_| {});
        }
    }

    /// Whether an agent's totals began in this batch.
    pub(super) fn began(&self, agent: &AgentKey) -> bool {
        self.timelines.get(agent).is_some_and(|timeline| !timeline.is_stored() && timeline.current().is_some())
    }

    /// Writes the current totals, and what they were where that ended above finality.
    pub(super) async fn write(&self, sql: &Sql<'_>, finalized: Option<u64>) -> Result<u64, StoreError> {
        self.update(sql).await?;
        Ok(self.insert(sql).await? + self.insert_versions(sql, finalized).await?)
    }

    async fn update(&self, sql: &Sql<'_>) -> Result<(), StoreError> {
        let known = self.timelines.iter().filter(|(_, timeline)| timeline.is_stored());
        let changed: Vec<_> = known.filter_map(|(key, timeline)| Some((key, timeline.versions().last()?))).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let (deployments, ids) = arrays(changed.iter().map(|(key, _)| *key));
        let column = |of: fn(&Total) -> i64| changed.iter().map(|(_, version)| of(&version.row)).collect::<Vec<i64>>();
        let begins: Vec<i64> = changed.iter().map(|(_, version)| signed(version.begin)).collect();
        sql.execute(
            "UPDATE agent_total t SET begin_block = new.begin_block, total_feedback = new.total_feedback, \
                 revoked = new.revoked, responses = new.responses, last_activity = new.last_activity, \
                 updated_at = new.updated_at \
             FROM unnest($2::smallint[], $3::numeric[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
                         $8::bigint[], $9::bigint[]) \
                 AS new (deployment, agent_id, begin_block, total_feedback, revoked, responses, last_activity, \
                         updated_at) \
             WHERE t.chain_id = $1 AND t.deployment = new.deployment AND t.agent_id = new.agent_id",
            &[
                &deployments,
                &ids,
                &begins,
                &column(|total| total.feedback),
                &column(|total| total.revoked),
                &column(|total| total.responses),
                &column(|total| signed(total.last_activity)),
                &column(|total| signed(total.updated_at)),
            ],
        )
        .await?;
        Ok(())
    }

    async fn insert(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        let new = self.timelines.iter().filter(|(_, timeline)| !timeline.is_stored());
        let new: Vec<_> = new.filter_map(|(key, timeline)| Some((key, timeline.versions().last()?))).collect();
        if new.is_empty() {
            return Ok(0);
        }
        let mut columns = vec![("deployment", Type::INT2), ("agent_id", Type::NUMERIC), ("begin_block", Type::INT8)];
        columns.extend(TOTALS);
        let mut copy = sql.copy("agent_total", &columns).await?;
        for (key, version) in new {
            let total = &version.row;
            copy.row(&[
                &small(key.deployment),
                &Numeric::from(key.agent_id),
                &signed(version.begin),
                &total.feedback,
                &total.revoked,
                &total.responses,
                &signed(total.last_activity),
                &signed(total.updated_at),
            ])
            .await?;
        }
        copy.finish().await
    }

    async fn insert_versions(&self, sql: &Sql<'_>, finalized: Option<u64>) -> Result<u64, StoreError> {
        let undoable = |end: u64| finalized.is_none_or(|finalized| end > finalized);
        let mut past = Vec::new();
        for (key, timeline) in &self.timelines {
            if let Some(((begin, total), end)) = timeline.ended().filter(|(_, end)| undoable(*end)) {
                past.push((key, *begin, end, total));
            }
            for version in timeline.versions() {
                if let Some(end) = version.end.filter(|end| undoable(*end)) {
                    past.push((key, version.begin, end, &version.row));
                }
            }
        }
        if past.is_empty() {
            return Ok(0);
        }
        let mut columns = vec![
            ("deployment", Type::INT2),
            ("agent_id", Type::NUMERIC),
            ("begin_block", Type::INT8),
            ("end_block", Type::INT8),
        ];
        columns.extend(TOTALS);
        let mut copy = sql.copy("agent_total_version", &columns).await?;
        for (key, begin, end, total) in past {
            copy.row(&[
                &small(key.deployment),
                &Numeric::from(key.agent_id),
                &signed(begin),
                &signed(end),
                &total.feedback,
                &total.revoked,
                &total.responses,
                &signed(total.last_activity),
                &signed(total.updated_at),
            ])
            .await?;
        }
        copy.finish().await
    }
}

const TOTALS: [(&str, Type); 5] = [
    ("total_feedback", Type::INT8),
    ("revoked", Type::INT8),
    ("responses", Type::INT8),
    ("last_activity", Type::INT8),
    ("updated_at", Type::INT8),
];

/// Restores the totals as they were at a block; returns how many agents changed above it.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<u64, StoreError> {
    let restored = sql
        .execute(
            "UPDATE agent_total t SET begin_block = v.begin_block, total_feedback = v.total_feedback, \
                 revoked = v.revoked, responses = v.responses, last_activity = v.last_activity, \
                 updated_at = v.updated_at \
             FROM agent_total_version v \
             WHERE v.chain_id = $1 AND v.begin_block <= $2 AND v.end_block > $2 \
             AND t.chain_id = $1 AND t.deployment = v.deployment AND t.agent_id = v.agent_id",
            &[&signed(to)],
        )
        .await?;
    // What still begins above the block had no totals at it.
    let begun = sql.execute("DELETE FROM agent_total WHERE chain_id = $1 AND begin_block > $2", &[&signed(to)]).await?;
    sql.execute("DELETE FROM agent_total_version WHERE chain_id = $1 AND end_block > $2", &[&signed(to)]).await?;
    Ok(restored + begun)
}

/// Counts the totals anew as they were at a block below finality, of which no version is kept: of the agents that changed
/// above it, from their own rows, which must have been rewound already. Returns how many agents those are.
pub(super) async fn recount(sql: &Sql<'_>, to: u64) -> Result<u64, StoreError> {
    let counted = sql
        .execute(
            "UPDATE agent_total t SET begin_block = n.begin_block, total_feedback = n.total_feedback, \
                 revoked = n.revoked, responses = n.responses, last_activity = n.last_activity, \
                 updated_at = n.updated_at \
             FROM (SELECT a.deployment, a.agent_id, f.total_feedback, f.revoked, r.responses, \
                       greatest(a.begin_block, m.block, f.block, f.revoked_block, r.block, v.block) AS begin_block, \
                       greatest(a.created_at, f.at, v.at) AS last_activity, \
                       greatest(a.updated_at, m.at, f.at, f.revoked_at, v.at) AS updated_at \
                   FROM agent_total touched \
                   CROSS JOIN LATERAL (SELECT * FROM agent a WHERE a.chain_id = $1 \
                       AND a.deployment = touched.deployment AND a.agent_id = touched.agent_id \
                       AND a.end_block IS NULL OFFSET 0) a \
                   CROSS JOIN LATERAL (SELECT max(begin_block) AS block, max(updated_at) AS at \
                       FROM agent_metadata m WHERE m.chain_id = $1 \
                       AND m.deployment = a.deployment AND m.agent_id = a.agent_id) m \
                   CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE end_block IS NULL) AS total_feedback, \
                           count(*) FILTER (WHERE end_block IS NULL AND revoked_block IS NOT NULL) AS revoked, \
                           max(begin_block) AS block, max(created_at) AS at, \
                           max(revoked_block) AS revoked_block, max(revoked_at) AS revoked_at \
                       FROM feedback f WHERE f.chain_id = $1 \
                       AND f.deployment = a.deployment AND f.agent_id = a.agent_id) f \
                   CROSS JOIN LATERAL (SELECT count(*) AS responses, max(begin_block) AS block \
                       FROM feedback_response r WHERE r.chain_id = $1 \
                       AND r.deployment = a.deployment AND r.agent_id = a.agent_id) r \
                   CROSS JOIN LATERAL (SELECT max(begin_block) AS block, max(updated_at) AS at \
                       FROM (SELECT begin_block, updated_at FROM validation v WHERE v.chain_id = $1 \
                                 AND v.deployment = a.deployment AND v.agent_id = a.agent_id AND v.end_block IS NULL \
                             UNION ALL \
                             SELECT begin_block, updated_at FROM validation v WHERE v.chain_id = $1 \
                                 AND v.deployment = a.deployment AND v.agent_id = a.agent_id \
                                 AND v.end_block IS NOT NULL) v) v \
                   WHERE touched.chain_id = $1 AND touched.begin_block > $2) n \
             WHERE t.chain_id = $1 AND t.deployment = n.deployment AND t.agent_id = n.agent_id",
            &[&signed(to)],
        )
        .await?;
    // Who is no agent at the block has no totals at it.
    let begun = sql.execute("DELETE FROM agent_total WHERE chain_id = $1 AND begin_block > $2", &[&signed(to)]).await?;
    sql.execute("DELETE FROM agent_total_version WHERE chain_id = $1 AND end_block > $2", &[&signed(to)]).await?;
    Ok(counted + begun)
}

/// Forgets versions that no rewind can need any more.
pub(super) async fn prune(sql: &Sql<'_>, finalized: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM agent_total_version WHERE chain_id = $1 AND end_block <= $2", &[&signed(finalized)])
        .await?;
    Ok(())
}
