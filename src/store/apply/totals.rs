//! Totals per agent: what lists of agents are filtered and ordered by.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::agents::{AGENT_COLUMNS, agent_cells, agent_key, arrays};
use super::change::{ChangeOp, Changes};
use super::kept::{self, Cell, Columns, Kept, KeptRows};
use super::timeline::Place;
use crate::id::AgentKey;
use crate::store::error::StoreError;
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

impl Kept for Total {
    type Key = AgentKey;
    const TABLE: &'static str = "agent_total";
    const VERSIONS: &'static str = "agent_total_version";
    const KEY: Columns = AGENT_COLUMNS;
    const VALUES: Columns = &[
        ("total_feedback", Type::INT8),
        ("revoked", Type::INT8),
        ("responses", Type::INT8),
        ("last_activity", Type::INT8),
        ("updated_at", Type::INT8),
    ];

    fn key_cells(key: &AgentKey) -> Vec<Cell> {
        agent_cells(key)
    }

    fn key_arrays(keys: &[AgentKey]) -> Vec<Cell> {
        let (deployments, ids) = arrays(keys);
        vec![Box::new(deployments), Box::new(ids)]
    }

    fn cells(&self) -> Vec<Cell> {
        let times = [self.last_activity, self.updated_at].map(signed);
        [self.feedback, self.revoked, self.responses]
            .into_iter()
            .chain(times)
            .map(|value| Box::new(value) as Cell)
            .collect()
    }

    fn read(row: &Row) -> Result<(AgentKey, Self), StoreError> {
        let total = Self {
            feedback: sql::column(row, "total_feedback")?,
            revoked: sql::column(row, "revoked")?,
            responses: sql::column(row, "responses")?,
            last_activity: sql::number(row, "last_activity")?,
            updated_at: sql::number(row, "updated_at")?,
        };
        Ok((agent_key(row)?, total))
    }
}

/// The totals that a batch changes.
#[derive(Default)]
pub(super) struct Totals(KeptRows<Total>);

impl Totals {
    pub(super) async fn load(sql: &Sql<'_>, keys: &BTreeSet<AgentKey>) -> Result<Self, StoreError> {
        KeptRows::take(sql, keys).await.map(Self)
    }

    /// Changes an agent's totals; its first event begins them.
    pub(super) fn change(
        &mut self,
        place: &Place,
        agent: AgentKey,
        changes: &mut Changes,
        change: impl FnOnce(&mut Total),
    ) {
        let time = place.time;
        let first = || Total { feedback: 0, revoked: 0, responses: 0, last_activity: time, updated_at: time };
        self.0.change(agent, place.block, first, change);
        changes.note_agent(ChangeOp::Update, agent);
    }

    /// Begins an agent's totals where it has none yet.
    pub(super) fn begin(&mut self, place: &Place, agent: AgentKey, changes: &mut Changes) {
        if self.0.current(&agent).is_none() {
            self.change(place, agent, changes, |_| {});
        }
    }

    /// Whether an agent's totals began in this batch.
    pub(super) fn began(&self, agent: &AgentKey) -> bool {
        self.0.began(agent)
    }

    /// Writes the current totals, and what they were where that ended above finality.
    pub(super) async fn write(&self, sql: &Sql<'_>, finalized: Option<u64>) -> Result<u64, StoreError> {
        self.0.write(sql, finalized).await
    }
}

/// Restores the totals as they were at a block; returns how many agents changed above it.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<u64, StoreError> {
    kept::rewind::<Total>(sql, to).await
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
    let begun = kept::delete_above::<Total>(sql, to).await?;
    kept::forget_versions::<Total>(sql, to).await?;
    Ok(counted + begun)
}

/// Forgets versions that no rewind can need any more.
pub(super) async fn prune(sql: &Sql<'_>, finalized: u64) -> Result<(), StoreError> {
    kept::prune::<Total>(sql, finalized).await
}
