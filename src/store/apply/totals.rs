//! Totals per agent: what lists of agents are filtered and ordered by. A backfill counts them at its end, as it does
//! standings: it would rewrite an agent's with each event that names it.

use std::collections::BTreeSet;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::agents::{AGENT_COLUMNS, agent_cells, agent_key, arrays};
use super::change::{ChangeOp, Changes};
use super::kept::{self, Cell, Columns, Kept, KeptRows, Marks, Past};
use super::named::NamedAgents;
use super::timeline::Place;
use super::{Deriving, StandingsAre};
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
pub(super) enum Totals {
    /// They are kept up with the facts.
    Kept(KeptRows<Total>),
    /// They are counted later; what a batch needs to know of them is whose begin in it.
    Late { named: NamedAgents, began: BTreeSet<AgentKey> },
}

impl Totals {
    /// Those of agents; where they are counted later, all that there are.
    pub(super) async fn load(sql: &Sql<'_>, keys: &BTreeSet<AgentKey>, how: &Deriving) -> Result<Self, StoreError> {
        Ok(match how.standings_are {
            StandingsAre::Kept => Self::Kept(KeptRows::take(sql, keys, how.finalized).await?),
            StandingsAre::Late => {
                let named = match how.named.take() {
                    Some(named) => named,
                    None => NamedAgents::load(sql).await?,
                };
                Self::Late { named, began: BTreeSet::new() }
            }
        })
    }

    /// Changes an agent's totals; its first event begins them.
    pub(super) fn change(
        &mut self,
        place: &Place,
        agent: AgentKey,
        changes: &mut Changes,
        change: impl FnOnce(&mut Total),
    ) {
        match self {
            Self::Kept(rows) => {
                let time = place.time;
                let first = || Total { feedback: 0, revoked: 0, responses: 0, last_activity: time, updated_at: time };
                rows.change(agent, place.block, first, change, unmarked);
            }
            Self::Late { named, began } => {
                if named.add(agent) {
                    began.insert(agent);
                }
            }
        }
        changes.note_agent(ChangeOp::Update, agent);
    }

    /// Begins an agent's totals where it has none yet.
    pub(super) fn begin(&mut self, place: &Place, agent: AgentKey, changes: &mut Changes) {
        let is_there = match self {
            Self::Kept(rows) => rows.has(&agent),
            Self::Late { named, .. } => named.has(&agent),
        };
        if !is_there {
            self.change(place, agent, changes, |_| {});
        }
    }

    /// Whether an agent's totals began in this batch.
    pub(super) fn began(&self, agent: &AgentKey) -> bool {
        match self {
            Self::Kept(rows) => rows.began(agent),
            Self::Late { began, .. } => began.contains(agent),
        }
    }

    /// Writes the current totals, and what they were where that ended above finality.
    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        match self {
            Self::Kept(rows) => rows.write(sql, &unmarked).await,
            // What was counted before these blocks came says nothing any more.
            Self::Late { .. } => forget(sql).await.map(|()| 0),
        }
    }

    /// All agents that there are, where totals are counted later.
    pub(super) fn named(self) -> Option<NamedAgents> {
        match self {
            Self::Kept(_) => None,
            Self::Late { named, .. } => Some(named),
        }
    }
}

/// Totals have no milestones.
fn unmarked(_: &Past<'_, Total>) -> Marks {
    Marks::default()
}

/// Restores the totals as they were at a block; returns how many agents changed above it.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<u64, StoreError> {
    kept::rewind::<Total>(sql, to).await
}

/// What the rows of an agent (`m`, `f`, `r`, `v`: each noun's, summed up) and the agent `a` itself say of its totals.
const COUNTED: &str = "greatest(a.begin_block, m.block, f.block, f.revoked_block, r.block, v.block) AS begin_block, \
     coalesce(f.total_feedback, 0) AS total_feedback, coalesce(f.revoked, 0) AS revoked, \
     coalesce(r.responses, 0) AS responses, greatest(a.created_at, f.at, v.at) AS last_activity, \
     greatest(a.updated_at, m.at, f.at, f.revoked_at, v.at) AS updated_at";

/// The sums of each noun's rows.
const OF_METADATA: &str = "max(begin_block) AS block, max(updated_at) AS at";
const OF_FEEDBACK: &str = "count(*) FILTER (WHERE end_block IS NULL) AS total_feedback, \
     count(*) FILTER (WHERE end_block IS NULL AND revoked_block IS NOT NULL) AS revoked, \
     max(begin_block) AS block, max(created_at) AS at, max(revoked_block) AS revoked_block, max(revoked_at) AS revoked_at";
const OF_RESPONSES: &str = "count(*) AS responses, max(begin_block) AS block";
const OF_VALIDATIONS: &str = "max(begin_block) AS block, max(updated_at) AS at";

/// Counts the totals anew as they were at a block below finality, of which no version is kept: of the agents that changed
/// above it, from their own rows, which must have been rewound already. Returns how many agents those are.
pub(super) async fn recount(sql: &Sql<'_>, to: u64) -> Result<u64, StoreError> {
    let of_agent = |alias: &str| {
        format!("{alias}.chain_id = $1 AND {alias}.deployment = a.deployment AND {alias}.agent_id = a.agent_id")
    };
    let (of_m, of_f, of_r, of_v) = (of_agent("m"), of_agent("f"), of_agent("r"), of_agent("v"));
    let update = format!(
        "UPDATE agent_total t SET begin_block = n.begin_block, total_feedback = n.total_feedback, \
             revoked = n.revoked, responses = n.responses, last_activity = n.last_activity, \
             updated_at = n.updated_at \
         FROM (SELECT a.deployment, a.agent_id, {COUNTED} FROM agent_total touched \
               CROSS JOIN LATERAL (SELECT * FROM agent a WHERE a.chain_id = $1 \
                   AND a.deployment = touched.deployment AND a.agent_id = touched.agent_id \
                   AND a.end_block IS NULL OFFSET 0) a \
               CROSS JOIN LATERAL (SELECT {OF_METADATA} FROM agent_metadata m WHERE {of_m}) m \
               CROSS JOIN LATERAL (SELECT {OF_FEEDBACK} FROM feedback f WHERE {of_f}) f \
               CROSS JOIN LATERAL (SELECT {OF_RESPONSES} FROM feedback_response r WHERE {of_r}) r \
               CROSS JOIN LATERAL (SELECT {OF_VALIDATIONS} \
                   FROM (SELECT begin_block, updated_at FROM validation v WHERE {of_v} AND v.end_block IS NULL \
                         UNION ALL \
                         SELECT begin_block, updated_at FROM validation v WHERE {of_v} AND v.end_block IS NOT NULL) v) v \
               WHERE touched.chain_id = $1 AND touched.begin_block > $2) n \
         WHERE t.chain_id = $1 AND t.deployment = n.deployment AND t.agent_id = n.agent_id"
    );
    let counted = sql.execute(&update, &[&signed(to)]).await?;
    // Who is no agent at the block has no totals at it.
    let begun = kept::delete_above::<Total>(sql, to).await?;
    kept::forget_versions::<Total>(sql, to).await?;
    Ok(counted + begun)
}

/// Counts the totals of all agents, of which there are none: each noun's rows are read once, and need no index.
pub(in crate::store) async fn count_all(sql: &Sql<'_>) -> Result<(), StoreError> {
    let summed = |alias: &str, table: &str, sums: &str| {
        format!(
            "LEFT JOIN (SELECT deployment, agent_id, {sums} FROM {table} WHERE chain_id = $1 GROUP BY 1, 2) {alias} \
             ON {alias}.deployment = a.deployment AND {alias}.agent_id = a.agent_id"
        )
    };
    let insert = format!(
        "INSERT INTO agent_total (chain_id, deployment, agent_id, begin_block, total_feedback, revoked, responses, \
             last_activity, updated_at) \
         SELECT a.chain_id, a.deployment, a.agent_id, {COUNTED} FROM agent a {} {} {} {} \
         WHERE a.chain_id = $1 AND a.end_block IS NULL",
        summed("m", "agent_metadata", OF_METADATA),
        summed("f", "feedback", OF_FEEDBACK),
        summed("r", "feedback_response", OF_RESPONSES),
        summed("v", "validation", OF_VALIDATIONS),
    );
    sql.execute(&insert, &[]).await?;
    Ok(())
}

/// How many agents something changed of in block `$2` or above it, counted from their rows alone, whether or not there are
/// totals.
pub(in crate::store) const CHANGED_FROM: &str = "SELECT count(*) FROM ( \
     SELECT deployment, agent_id FROM agent WHERE chain_id = $1 AND begin_block >= $2 \
     UNION SELECT deployment, agent_id FROM agent_metadata WHERE chain_id = $1 AND begin_block >= $2 \
     UNION SELECT deployment, agent_id FROM feedback WHERE chain_id = $1 AND (begin_block >= $2 OR revoked_block >= $2) \
     UNION SELECT deployment, agent_id FROM feedback_response WHERE chain_id = $1 AND begin_block >= $2 \
     UNION SELECT deployment, agent_id FROM validation WHERE chain_id = $1 AND begin_block >= $2) changed";

/// How many agents something changed of above a block.
pub(super) async fn changed_above(sql: &Sql<'_>, to: u64) -> Result<u64, StoreError> {
    let rows = sql.query(CHANGED_FROM, &[&signed(to + 1)]).await?;
    rows.first().map_or(Ok(0), |row| sql::number(row, "count"))
}

/// Forgets all totals, which are counted later.
pub(in crate::store) async fn forget(sql: &Sql<'_>) -> Result<(), StoreError> {
    sql.execute("DELETE FROM agent_total WHERE chain_id = $1", &[]).await?;
    Ok(())
}

/// Forgets versions that no rewind can need any more.
pub(super) async fn prune(sql: &Sql<'_>, finalized: u64) -> Result<(), StoreError> {
    kept::prune::<Total>(sql, finalized).await
}
