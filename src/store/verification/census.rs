//! The census: counters that the registries keep dense, so that a hole in them is a lost event whatever an endpoint says.
//!
//! Agent ids count from 0 per identity registry, feedback indexes from 1 per agent and client (domain paper, §1 and §3). A
//! stretch is looked at with what is stored below it: each number in it must have its predecessor, in the stretch or
//! before. So every hole is found where it ends, and the cost is that of the stretch.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};

use super::facts::Decoded;
use super::finding;
use crate::event::{Event, Feedback, IdentityEvent, ReputationFact, Role};
use crate::id::{ChainId, Deployment};
use crate::store::error::StoreError;
use crate::store::network::small;
use crate::store::numeric::Numeric;
use crate::store::query::{DecimalsGroup, contract_summary};
use crate::store::sql::{self, Sql, signed};
use crate::store::{Store, network};

/// A hole in a counter: something between two blocks is missing, or the contract does not keep the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Of which deployment.
    pub deployment: Deployment,
    /// Of which counter.
    pub counter: Counter,
    /// The block with the number below the hole; nothing where none is stored.
    pub after: Option<u64>,
    /// The block with the number above it.
    pub before: u64,
    /// The number above the hole.
    pub number: U256,
}

impl Gap {
    /// Which hole of the block it is.
    #[must_use]
    pub fn subject(&self) -> String {
        let counter = match &self.counter {
            Counter::Agents => "agent ids".to_owned(),
            Counter::Feedback { agent, client } => format!("agent {agent} client {client} feedback indexes"),
        };
        format!("{}{counter} below {}", finding::within(self.deployment), self.number)
    }
}

/// A counter without holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counter {
    /// Ids of agents.
    Agents,
    /// Indexes of what a client says about an agent.
    Feedback {
        /// The agent.
        agent: U256,
        /// The client.
        client: Address,
    },
}

/// What a reputation registry must answer, by our rows as of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The registry.
    pub registry: Address,
    /// Its deployment.
    pub deployment: Deployment,
    /// The agent.
    pub agent: U256,
    /// The client.
    pub client: Address,
    /// The block in which the feedback was given that the sample was drawn by.
    pub block: u64,
    /// `getLastIndex(agent, client)`.
    pub last_index: u64,
    /// `getSummary(agent, [client], "", "")`.
    pub summary: (u64, i128, u8),
}

impl Sample {
    /// Which answer of the registry it is: that of this function.
    #[must_use]
    pub fn subject(&self, function: &str) -> String {
        format!("{}agent {} client {} {function}", finding::within(self.deployment), self.agent, self.client)
    }
}

/// The holes that end in these events.
pub(super) async fn gaps(sql: &Sql<'_>, events: &[Decoded<'_>]) -> Result<Vec<Gap>, StoreError> {
    let mut gaps = agent_gaps(sql, events).await?;
    gaps.extend(feedback_gaps(sql, events).await?);
    Ok(gaps)
}

/// Numbers of a set whose predecessors are not in it, but for the first that may be there.
fn beginnings(numbers: &BTreeMap<U256, u64>, first: U256) -> impl Iterator<Item = (U256, u64)> {
    numbers
        .iter()
        .filter(move |(number, _)| **number > first && !numbers.contains_key(&(**number - U256::ONE)))
        .map(|(number, block)| (*number, *block))
}

async fn agent_gaps(sql: &Sql<'_>, events: &[Decoded<'_>]) -> Result<Vec<Gap>, StoreError> {
    let mut registered: BTreeMap<Deployment, BTreeMap<U256, u64>> = BTreeMap::new();
    for Decoded { log, contract, event, .. } in events {
        if let Some(Event::Identity(IdentityEvent::Registered { agent_id, .. })) = event {
            let ids = registered.entry(contract.deployment).or_default();
            ids.entry(*agent_id).or_insert(log.block.number);
        }
    }
    let (mut deployments, mut ids, mut blocks) = (vec![], vec![], vec![]);
    let mut starts = vec![];
    for (deployment, numbers) in &registered {
        for (number, block) in beginnings(numbers, U256::ZERO) {
            deployments.push(small(*deployment));
            ids.push(Numeric::from(number));
            blocks.push(signed(block));
            starts.push((*deployment, Counter::Agents, number, block));
        }
    }
    if starts.is_empty() {
        return Ok(vec![]);
    }
    let rows = sql
        .query(
            "SELECT due.place, below.agent_id = due.agent_id - 1 AS dense, below.created_block AS block \
             FROM unnest($2::smallint[], $3::numeric[], $4::bigint[]) \
                 WITH ORDINALITY AS due (deployment, agent_id, block, place) \
             LEFT JOIN LATERAL (SELECT a.agent_id, a.created_block FROM agent a WHERE a.chain_id = $1 \
                 AND a.deployment = due.deployment AND a.agent_id < due.agent_id AND a.registered \
                 AND a.end_block IS NULL AND a.created_block <= due.block \
                 ORDER BY a.agent_id DESC LIMIT 1) below ON TRUE ORDER BY due.place",
            &[&deployments, &ids, &blocks],
        )
        .await?;
    tell(&rows, starts.into_iter())
}

async fn feedback_gaps(sql: &Sql<'_>, events: &[Decoded<'_>]) -> Result<Vec<Gap>, StoreError> {
    let mut given: BTreeMap<(Deployment, U256, Address), BTreeMap<U256, u64>> = BTreeMap::new();
    for Decoded { log, contract, fact, .. } in events {
        let Some(ReputationFact::Given(Feedback { agent_id, client_address, feedback_index: Some(index), .. })) = fact
        else {
            continue;
        };
        let key = (contract.deployment, *agent_id, *client_address);
        given.entry(key).or_default().entry(U256::from(*index)).or_insert(log.block.number);
    }
    let (mut deployments, mut ids, mut clients, mut indexes) = (vec![], vec![], vec![], vec![]);
    let mut starts = vec![];
    for (key @ (deployment, agent, client), numbers) in &given {
        for (number, block) in beginnings(numbers, U256::ONE) {
            deployments.push(small(*deployment));
            ids.push(Numeric::from(*agent));
            clients.push(key.2.as_slice());
            indexes.push(Numeric::from(number));
            starts.push((*deployment, Counter::Feedback { agent: *agent, client: *client }, number, block));
        }
    }
    if starts.is_empty() {
        return Ok(vec![]);
    }
    let rows = sql
        .query(
            "SELECT due.place, below.feedback_index = due.feedback_index - 1 AS dense, below.begin_block AS block \
             FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::numeric[]) \
                 WITH ORDINALITY AS due (deployment, agent_id, client, feedback_index, place) \
             LEFT JOIN LATERAL (SELECT f.feedback_index, f.begin_block FROM feedback f WHERE f.chain_id = $1 \
                 AND f.deployment = due.deployment AND f.agent_id = due.agent_id AND f.client = due.client \
                 AND f.feedback_index < due.feedback_index \
                 ORDER BY f.feedback_index DESC LIMIT 1) below ON TRUE ORDER BY due.place",
            &[&deployments, &ids, &clients, &indexes],
        )
        .await?;
    tell(&rows, starts.into_iter())
}

fn tell(
    rows: &[tokio_postgres::Row],
    starts: impl Iterator<Item = (Deployment, Counter, U256, u64)>,
) -> Result<Vec<Gap>, StoreError> {
    let mut gaps = Vec::new();
    for (row, (deployment, counter, number, before)) in rows.iter().zip(starts) {
        if sql::column::<Option<bool>>(row, "dense")? == Some(true) {
            continue;
        }
        let after = sql::column::<Option<i64>>(row, "block")?.map(sql::unsigned).transpose()?;
        gaps.push(Gap { deployment, counter, after, before, number });
    }
    Ok(gaps)
}

impl Store {
    /// Up to `count` agents and clients with feedback given between two blocks, spread by `seed`, those of open
    /// findings first, with what their registry must answer as of block `at`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn samples(
        &self,
        chain_id: ChainId,
        (from, to): (u64, u64),
        at: u64,
        count: u32,
        seed: u64,
    ) -> Result<Vec<Sample>, StoreError> {
        self.read_state(chain_id, async |sql, contracts| {
            let select = "SELECT deployment, agent_id, client, min(begin_block) AS block FROM feedback \
                          WHERE chain_id = $1 AND begin_block BETWEEN $2 AND $3 GROUP BY deployment, agent_id, client \
                          ORDER BY NOT EXISTS (SELECT FROM verification_finding v WHERE v.chain_id = $1 \
                              AND v.kind = 'CALL' AND v.repaired_at IS NULL AND v.to_block BETWEEN $2 AND $3 \
                              AND starts_with(lower(v.subject), CASE WHEN deployment > 0 \
                                      THEN 'deployment ' || deployment || ' ' ELSE '' END \
                                  || 'agent ' || agent_id || ' client 0x' || encode(client, 'hex') || ' ')), \
                          md5($4 || agent_id::text || encode(client, 'hex')) LIMIT $5";
            let (seed, count) = (seed.to_string(), i64::from(count));
            let rows = sql.query(select, &[&signed(from), &signed(to), &seed, &count]).await?;
            let mut samples = Vec::with_capacity(rows.len());
            for row in &rows {
                samples.extend(sample(sql, contracts, row, at).await?);
            }
            Ok(samples)
        })
        .await
    }
}

/// What a client says first about an agent has this index.
const FIRST_INDEX: u64 = 1;

/// Nothing where our rows do not begin where the registry's count does.
async fn sample(
    sql: &Sql<'_>,
    contracts: &[network::Contract],
    row: &tokio_postgres::Row,
    at: u64,
) -> Result<Option<Sample>, StoreError> {
    let deployment: i16 = sql::column(row, "deployment")?;
    let (agent, client): (Numeric, Vec<u8>) = (sql::column(row, "agent_id")?, sql::column(row, "client")?);
    let registry =
        contracts.iter().find(|contract| contract.role == Role::Reputation && contract.deployment() == deployment);
    let (Some(registry), Some(agent_id)) = (registry, agent.to_u256()) else { return Ok(None) };
    let rows = sql
        .query(
            "SELECT value_decimals::integer AS decimals, min(feedback_index) AS first, max(feedback_index) AS last, \
                 count(*) FILTER (WHERE stands) AS count, \
                 coalesce(trunc(sum(value) FILTER (WHERE stands) * 1000000000000000000), 0)::text AS sum \
             FROM (SELECT *, revoked_block IS NULL OR revoked_block > $5 AS stands FROM feedback \
                 WHERE chain_id = $1 AND deployment = $2 AND agent_id = $3 AND client = $4 AND begin_block <= $5 \
                 AND (end_block IS NULL OR end_block > $5)) f GROUP BY value_decimals",
            &[&deployment, &agent, &client, &signed(at)],
        )
        .await?;
    let (mut first_index, mut last_index) = (u64::MAX, 0);
    let mut groups = Vec::new();
    for row in &rows {
        let (first, last): (Numeric, Numeric) = (sql::column(row, "first")?, sql::column(row, "last")?);
        first_index = first_index.min(first.to_u64().unwrap_or(u64::MAX));
        last_index = last_index.max(last.to_u64().unwrap_or(u64::MAX));
        let (decimals, count): (i32, i64) = (sql::column(row, "decimals")?, sql::column(row, "count")?);
        let Ok(sum) = alloy::primitives::I256::from_dec_str(sql::column(row, "sum")?) else { return Ok(None) };
        if count > 0 {
            let decimals = u8::try_from(decimals).map_err(|_| sql::corrupt("decimals are not of 0 to 18"))?;
            groups.push(DecimalsGroup { decimals, count: count.unsigned_abs(), sum });
        }
    }
    if first_index > FIRST_INDEX {
        // What was said before the start block counts for the registry and is not ours to know.
        return Ok(None);
    }
    Ok(Some(Sample {
        registry: registry.address,
        deployment: registry.deployment,
        agent: agent_id,
        client: Address::try_from(client.as_slice()).map_err(|_| sql::corrupt("an address is not of 20 bytes"))?,
        block: sql::number(row, "block")?,
        last_index,
        summary: contract_summary(&groups),
    }))
}
