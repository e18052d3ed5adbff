//! Standings that are counted late: of a network that is backfilled without them, once its newest block is final.
//!
//! Feedback about an agent comes a few at a time, over its whole life, and each rewrites the agent's standings: a backfill
//! would write eight times as many as there are in the end. So they are counted agent by agent, when all feedback is there.
//! What a block did to a feedback follows from the rows of its versions and of its responses ([`history`]); from there on it is
//! counted as it is at the head, block by block, so that milestones and places in leaderboards are those that ingestion would have kept.
//!
//! A piece is all that was said of many agents, or, of an agent with much feedback, what was said in some blocks: so a piece
//! needs about as much memory as a batch of blocks does.

mod history;

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};

use self::history::{History, Version};
use super::agents::agent_key;
use super::feedback::stored_said;
use super::standings::{Spoken, StandingKey, Standings};
use super::totals;
use super::voices::Voices;
use crate::id::{AgentKey, Deployment};
use crate::store::aspect::Aspect;
use crate::store::error::StoreError;
use crate::store::network::small;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Parameter, Sql, signed};
use crate::task::Beside;

/// Pieces that are counted in one transaction, which takes a second or two: whoever hands in documents waits for it.
const PIECES: usize = 6;

/// Agents that are looked at for a piece.
const PIECE_AGENTS: i64 = 8_000;

/// How far standings are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct CountedTo {
    /// The last agent, in the order of their keys.
    pub(in crate::store) agent: AgentKey,
    /// The last block of what was counted of it; nothing: all was.
    pub(in crate::store) block: Option<u64>,
}

/// What is counted at once: of agents of a deployment, the first and the last; of one, maybe some blocks alone.
struct Piece {
    deployment: Deployment,
    first: U256,
    last: U256,
    /// Blocks above that one; nothing: from the beginning.
    above: Option<u64>,
    /// The last of them; nothing: all.
    to: Option<u64>,
}

/// The feedback of an agent, by client and index.
type Histories = BTreeMap<(Address, u64), History>;

/// Counts the standings of the next pieces, each of about so much feedback; returns how far they are counted then, or nothing
/// when all are. While one piece is counted the one before it is written.
pub(in crate::store) async fn count(
    sql: &Sql<'_>,
    mut counted: Option<CountedTo>,
    piece_rows: u64,
    finalized: Option<u64>,
) -> Result<Option<CountedTo>, StoreError> {
    let mut before: Option<Beside<Standings>> = None;
    for _ in 0..PIECES {
        let next = Piece::after(sql, counted, signed(piece_rows)).await?;
        counted = next.as_ref().map(Piece::end);
        let Some(piece) = next else { break };
        let spoken = piece.spoken(sql).await?;
        let standings = match piece.above {
            None => Standings::none(sql, finalized).await?,
            Some(above) => {
                // It goes on from what the piece before it writes.
                if let Some(before) = before.take() {
                    before.end().await.write(sql).await?;
                }
                let pairs = spoken.iter().map(|spoken| spoken.pair).collect();
                let voices = Voices::load_as_of(sql, &pairs, above).await?;
                Standings::load(sql, &keys(&spoken), voices, finalized).await?
            }
        };
        if let Some(before) = before.replace(standings.count_all(spoken)) {
            before.end().await.write(sql).await?;
        }
    }
    if let Some(last) = before {
        last.end().await.write(sql).await?;
    }
    Ok(counted)
}

fn keys(spoken: &[Spoken]) -> BTreeSet<StandingKey> {
    let of = |spoken: &Spoken| {
        let agent = spoken.pair.0;
        let said = [spoken.before, spoken.after].into_iter().flatten();
        said.flat_map(|said| said.aspects()).chain([Aspect::All]).map(move |aspect| (agent, aspect))
    };
    spoken.iter().flat_map(of).collect()
}

/// Forgets what was counted.
pub(in crate::store) async fn forget(sql: &Sql<'_>) -> Result<(), StoreError> {
    for table in ["standing", "standing_version", "ranking_version"] {
        sql.execute(&format!("DELETE FROM {table} WHERE chain_id = $1"), &[]).await?;
    }
    totals::forget(sql).await
}

/// The condition that a row is of the agents of a piece: one deployment, so that the planner can tell how many rows these are.
const OF_AGENTS: &str =
    "t.chain_id = $1 AND t.deployment = $2::smallint AND t.agent_id BETWEEN $3::numeric AND $4::numeric";

impl Piece {
    /// That behind what is counted; nothing when all is.
    async fn after(sql: &Sql<'_>, counted: Option<CountedTo>, rows: i64) -> Result<Option<Self>, StoreError> {
        if let Some(CountedTo { agent, block: Some(above) }) = counted {
            return Self::of_much(sql, agent, Some(above), rows).await.map(Some);
        }
        let behind = counted.map(|counted| counted.agent);
        let (deployment, agent_id) =
            (behind.map(|agent| small(agent.deployment)), behind.map(|agent| Numeric::from(agent.agent_id)));
        let select = format!(
            "SELECT t.deployment, t.agent_id, t.total_feedback + t.responses AS size FROM agent_total t \
             WHERE t.chain_id = $1 \
             AND ($2::smallint IS NULL OR (t.deployment, t.agent_id) > ($2::smallint, $3::numeric)) \
             ORDER BY t.deployment, t.agent_id LIMIT {PIECE_AGENTS}"
        );
        let mut size = 0;
        let mut piece: Option<Self> = None;
        for row in &sql.query(&select, &[&deployment, &agent_id]).await? {
            size += sql::column::<i64>(row, "size")?;
            let agent = agent_key(row)?;
            match &mut piece {
                None if size > rows => return Self::of_much(sql, agent, None, rows).await.map(Some),
                None => piece = Some(Self::of(agent)),
                Some(piece) if size > rows || agent.deployment != piece.deployment => break,
                Some(piece) => piece.last = agent.agent_id,
            }
        }
        Ok(piece)
    }

    /// All of one agent.
    fn of(agent: AgentKey) -> Self {
        let AgentKey { deployment, agent_id } = agent;
        Self { deployment, first: agent_id, last: agent_id, above: None, to: None }
    }

    /// The next blocks of an agent with much feedback.
    async fn of_much(sql: &Sql<'_>, agent: AgentKey, above: Option<u64>, rows: i64) -> Result<Self, StoreError> {
        let of_agent = "t.chain_id = $1 AND t.deployment = $2::smallint AND t.agent_id = $3::numeric";
        let select = format!(
            "SELECT block FROM (SELECT t.begin_block AS block FROM feedback t WHERE {of_agent} \
                 UNION ALL SELECT t.revoked_block FROM feedback t WHERE {of_agent} \
                 UNION ALL SELECT t.begin_block FROM feedback_response t WHERE {of_agent}) spoken \
             WHERE block > coalesce($4::bigint, -1) ORDER BY block LIMIT 1 OFFSET $5::bigint"
        );
        let of: [Parameter<'_>; 4] =
            [&small(agent.deployment), &Numeric::from(agent.agent_id), &above.map(signed), &rows];
        let rows = sql.query(&select, &of).await?;
        let to = rows.first().map(|row| sql::number(row, "block")).transpose()?;
        Ok(Self { above, to, ..Self::of(agent) })
    }

    /// How far standings are counted with it.
    fn end(&self) -> CountedTo {
        CountedTo { agent: AgentKey { deployment: self.deployment, agent_id: self.last }, block: self.to }
    }

    /// What its blocks did to feedback about its agents, as blocks come.
    async fn spoken(&self, sql: &Sql<'_>) -> Result<Vec<Spoken>, StoreError> {
        let mut spoken = Vec::new();
        for (agent, histories) in self.load(sql).await? {
            for ((client, _), history) in histories {
                spoken.extend(history.spoken(agent, client).filter(|spoken| self.has(spoken.block)));
            }
        }
        spoken.sort_by_key(|spoken| spoken.block);
        Ok(spoken)
    }

    /// Whether it is about what a block did.
    fn has(&self, block: u64) -> bool {
        self.above.is_none_or(|above| block > above) && self.to.is_none_or(|to| block <= to)
    }

    /// The feedback that its blocks did something to, the versions that tell it, with the responses.
    async fn load(&self, sql: &Sql<'_>) -> Result<BTreeMap<AgentKey, Histories>, StoreError> {
        let (deployment, first, last) = (small(self.deployment), Numeric::from(self.first), Numeric::from(self.last));
        let (above, to) = (self.above.map_or(-1, signed), self.to.map_or(i64::MAX, signed));
        let of: [Parameter<'_>; 5] = [&deployment, &first, &last, &above, &to];
        let in_blocks = |column: &str| format!("t.{column} > $5::bigint AND t.{column} <= $6::bigint");
        let (begun, ended, revoked) = (in_blocks("begin_block"), in_blocks("end_block"), in_blocks("revoked_block"));
        // What held before a version that began is the one that ended then; a response may be to any.
        let touched = format!(
            "AND (({begun}) OR ({ended}) OR ({revoked}) OR (t.client, t.feedback_index) IN \
                 (SELECT t.client, t.feedback_index FROM feedback_response t WHERE {OF_AGENTS} AND {begun}))"
        );
        let is_all = self.above.is_none() && self.to.is_none();
        let (touched, of_versions) = if is_all { ("", &of[..3]) } else { (touched.as_str(), &of[..]) };
        let mut loaded: BTreeMap<AgentKey, Histories> = BTreeMap::new();
        let versions = format!(
            "SELECT t.deployment, t.agent_id, t.client, t.feedback_index, t.begin_block, t.end_block, t.created_at, \
                 t.revoked_block, t.revoked_at, t.aspect, trunc(t.value, 60) AS value, t.value_decimals, FALSE AS revoked \
             FROM feedback t WHERE {OF_AGENTS} {touched}"
        );
        for row in sql.query(&versions, of_versions).await? {
            let revoked_block = sql::optional_number(&row, "revoked_block")?;
            let version = Version {
                begin: sql::number(&row, "begin_block")?,
                end: sql::optional_number(&row, "end_block")?,
                revoked_at: revoked_block.zip(sql::optional_number(&row, "revoked_at")?),
                time: sql::number(&row, "created_at")?,
                said: stored_said(&row)?,
            };
            history(&mut loaded, &row)?.versions.push(version);
        }
        let responses = format!(
            "SELECT t.deployment, t.agent_id, t.client, t.feedback_index, t.begin_block, t.created_at \
             FROM feedback_response t WHERE {OF_AGENTS} AND {begun}"
        );
        for row in sql.query(&responses, &of).await? {
            let (block, time) = (sql::number(&row, "begin_block")?, sql::number(&row, "created_at")?);
            history(&mut loaded, &row)?.responses.entry(block).or_insert((time, 0)).1 += 1;
        }
        Ok(loaded)
    }
}

/// That of the feedback that a row names.
fn history<'a>(
    agents: &'a mut BTreeMap<AgentKey, Histories>,
    row: &tokio_postgres::Row,
) -> Result<&'a mut History, StoreError> {
    let index: Numeric = sql::column(row, "feedback_index")?;
    let index = index.to_u64().ok_or_else(|| sql::corrupt("a feedback's index is no uint64"))?;
    let key = (sql::address(row, "client")?, index);
    Ok(agents.entry(agent_key(row)?).or_default().entry(key).or_default())
}
