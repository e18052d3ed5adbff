//! What a client gives, to whom, and how far from what others say: an analyst's tool against Sybils.

use serde_json::json;

use super::entity::standing_join;
use super::error::{QueryError, bad_input};
use super::id;
use super::pin::{BoundScope, Scope};
use super::series::{ASPECTS, aspect, aspect_condition};
use super::snapshot::Snapshot;
use super::source::expand;
use super::sql::Statement;
use super::value;

/// Most rows of one answer.
const MAX_ROWS: i64 = 1_000;

/// Which client, and of what.
#[derive(Debug, Clone, Default)]
pub struct ClientQuestion {
    /// The client, in hex.
    pub client: String,
    /// The first tag; nothing or empty: ratings.
    pub tag1: Option<String>,
    /// Most agents that are listed: those of whom the client says most come first.
    pub first: i64,
}

/// A client as its feedback shows it. Decimals are as Postgres writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientReport {
    /// Feedback of any kind that it gave, revoked or not.
    pub given: i64,
    /// How much of it was revoked.
    pub revoked: i64,
    /// The agents that it is about.
    pub agents: i64,
    /// When the first was given, in seconds since 1970.
    pub first_at: Option<i64>,
    /// When the last was given.
    pub last_at: Option<i64>,
    /// The average distance of its averages from the others', over the agents of whom others say something too.
    pub average_deviation: Option<String>,
    /// Agent by agent.
    pub rows: Vec<ClientRow>,
}

/// What a client says of one agent, beside what others say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow {
    /// The agent's id.
    pub agent: String,
    /// The client's feedback that stands.
    pub count: i64,
    /// Its average.
    pub average: Option<String>,
    /// The others' feedback that stands.
    pub others_count: i64,
    /// Its average.
    pub others_average: Option<String>,
    /// How far the client's average is above the others'.
    pub deviation: Option<String>,
}

/// Two agents, and of what.
#[derive(Debug, Clone, Default)]
pub struct OverlapQuestion {
    /// The one agent's id.
    pub agent: String,
    /// The other agent's id.
    pub other: String,
    /// The first tag; nothing or empty: ratings.
    pub tag1: Option<String>,
    /// Most clients that are listed: those who say most come first.
    pub first: i64,
}

/// The clients that two agents share. Decimals are as Postgres writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientOverlap {
    /// Clients of the one.
    pub clients: i64,
    /// Clients of the other.
    pub other_clients: i64,
    /// Clients of both.
    pub shared: i64,
    /// Shared ones among all of either; nothing while there are none.
    pub jaccard: Option<String>,
    /// Client by client.
    pub rows: Vec<OverlapRow>,
}

/// A client of two agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlapRow {
    /// The client.
    pub client: Vec<u8>,
    /// Its feedback about the one that stands.
    pub count: i64,
    /// Its average.
    pub average: Option<String>,
    /// Its feedback about the other that stands.
    pub other_count: i64,
    /// Its average.
    pub other_average: Option<String>,
}

/// The client's agents of an aspect with what others say; `$client` and `$aspect` are conditions on `f`.
const ROWS: &str = "own AS ( \
         SELECT f.chain_id, f.deployment, f.agent_id, $key::bytea AS aspect, count(*) AS count, \
             sum(trunc(f.value, 60)) AS total FROM feedback f \
         WHERE $client AND {live f} AND NOT {reached f.revoked_block} AND $aspect GROUP BY 1, 2, 3), \
     compared AS ( \
         SELECT o.*, o_then.active - o.count AS others, o_then.total - o.total AS others_total FROM own o$standing), \
     averaged AS ( \
         SELECT *, div(total * 1e60, count) * 1e-60 AS average, \
             CASE WHEN others > 0 THEN div(others_total * 1e60, others) * 1e-60 END AS others_average FROM compared)";

impl Snapshot {
    /// What a client gives, and how it differs from what others give.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] for a client or a tag that is none, or too many rows.
    pub async fn client_report(&self, scope: &Scope, question: &ClientQuestion) -> Result<ClientReport, QueryError> {
        check_first(question.first)?;
        self.check_derived(scope, "clientReport", ASPECTS)?;
        self.check_standings(scope, "clientReport")?;
        let client = value::bytes("client", &json!(question.client))?;
        let mut statement = Statement::default();
        let bound = BoundScope::bind(scope, &mut statement);
        let of_client = format!("{} AND f.client = {}::bytea", bound.of_networks("f"), statement.bind(client));
        let aspect_of = aspect(question.tag1.as_deref())?;
        let condition = aspect_condition(question.tag1.as_deref(), &mut statement)?;
        let key = statement.bind(aspect_of.bytes().to_vec());
        let first = statement.bind(question.first);
        let text = format!(
            "WITH {ROWS}, told AS ( \
                 SELECT count(*) AS given, count(*) FILTER (WHERE {{reached f.revoked_block}}) AS revoked, \
                     count(DISTINCT (f.chain_id, f.deployment, f.agent_id)) AS agents, min(f.created_at) AS first_at, \
                     max(f.created_at) AS last_at FROM feedback f WHERE $client AND {{live f}}), \
             page AS (SELECT * FROM averaged ORDER BY count DESC, chain_id, deployment, agent_id LIMIT {first}::bigint) \
             SELECT t.given, t.revoked, t.agents, t.first_at, t.last_at, \
                 (SELECT avg(abs(average - others_average)) FROM averaged)::text, \
                 p.chain_id, p.deployment::bigint, p.agent_id::text, p.count, p.average::text, p.others, \
                 p.others_average::text, (p.average - p.others_average)::text \
             FROM told t LEFT JOIN page p ON TRUE ORDER BY p.count DESC, p.chain_id, p.deployment, p.agent_id"
        );
        let text = text
            .replace("$standing", &standing_join(aspect_of, bound.is_pinned()).replace("{t}", "o"))
            .replace("$client", &of_client)
            .replace("$aspect", &condition)
            .replace("$key", &key);
        statement.push(&expand(&text, "o", &bound));
        let rows = self.query(&statement).await?;
        self.count_rows(rows.len())?;
        let Some(told) = rows.first() else { return Ok(ClientReport::default()) };
        let mut report = ClientReport {
            given: told.try_get(0)?,
            revoked: told.try_get(1)?,
            agents: told.try_get(2)?,
            first_at: told.try_get(3)?,
            last_at: told.try_get(4)?,
            average_deviation: told.try_get(5)?,
            rows: Vec::new(),
        };
        for row in &rows {
            let Some(chain_id) = row.try_get::<_, Option<i64>>(6)? else { break };
            report.rows.push(ClientRow {
                agent: self.agent_name(chain_id, row.try_get(7)?, row.try_get(8)?),
                count: row.try_get(9)?,
                average: row.try_get(10)?,
                others_count: row.try_get(11)?,
                others_average: row.try_get(12)?,
                deviation: row.try_get(13)?,
            });
        }
        Ok(report)
    }

    /// The clients that speak of two agents.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] for an id or a tag that is none, or too many rows.
    pub async fn client_overlap(&self, scope: &Scope, question: &OverlapQuestion) -> Result<ClientOverlap, QueryError> {
        check_first(question.first)?;
        self.check_derived(scope, "clientOverlap", ASPECTS)?;
        let mut statement = Statement::default();
        let bound = BoundScope::bind(scope, &mut statement);
        let condition = aspect_condition(question.tag1.as_deref(), &mut statement)?;
        let mut clients = Vec::new();
        for (name, id) in [("agent", &question.agent), ("other", &question.other)] {
            let agent = id::agent(id, self.contracts())
                .ok_or_else(|| bad_input(name, "an agent's id, such as \"167000:42\""))?;
            let mut of_agent = bound.of_networks("f");
            for (column, part) in ["chain_id", "deployment", "agent_id"].iter().zip(agent.iter().flatten()) {
                of_agent = format!("{of_agent} AND f.{column} = {}", statement.bind_datum(part));
            }
            clients.push(format!(
                "SELECT f.client, count(*) AS count, div(sum(trunc(f.value, 60)) * 1e60, count(*)) * 1e-60 AS average \
                 FROM feedback f WHERE {of_agent} AND {{live f}} AND NOT {{reached f.revoked_block}} AND {condition} \
                 GROUP BY f.client"
            ));
        }
        let first = statement.bind(question.first);
        let text = format!(
            "WITH one AS ({}), other AS ({}), \
             both_of AS (SELECT client, one.count, one.average, other.count AS other_count, \
                 other.average AS other_average FROM one JOIN other USING (client)), \
             told AS (SELECT (SELECT count(*) FROM one) AS clients, (SELECT count(*) FROM other) AS others, \
                 (SELECT count(*) FROM both_of) AS shared), \
             page AS (SELECT * FROM both_of ORDER BY count + other_count DESC, client LIMIT {first}::bigint) \
             SELECT t.clients, t.others, t.shared, \
                 (t.shared::numeric / NULLIF(t.clients + t.others - t.shared, 0))::text, \
                 p.client, p.count, p.average::text, p.other_count, p.other_average::text \
             FROM told t LEFT JOIN page p ON TRUE ORDER BY p.count + p.other_count DESC, p.client",
            clients[0], clients[1]
        );
        statement.push(&expand(&text, "f", &bound));
        let rows = self.query(&statement).await?;
        self.count_rows(rows.len())?;
        let Some(told) = rows.first() else { return Ok(ClientOverlap::default()) };
        let mut overlap = ClientOverlap {
            clients: told.try_get(0)?,
            other_clients: told.try_get(1)?,
            shared: told.try_get(2)?,
            jaccard: told.try_get(3)?,
            rows: Vec::new(),
        };
        for row in &rows {
            let Some(client) = row.try_get(4)? else { break };
            overlap.rows.push(OverlapRow {
                client,
                count: row.try_get(5)?,
                average: row.try_get(6)?,
                other_count: row.try_get(7)?,
                other_average: row.try_get(8)?,
            });
        }
        Ok(overlap)
    }

    /// An agent's id.
    fn agent_name(&self, chain_id: i64, deployment: i64, agent_id: String) -> String {
        match self.contracts().registry_of(chain_id, deployment) {
            Some(registry) => format!("{chain_id}:{}:{agent_id}", alloy::hex::encode_prefixed(registry)),
            None => format!("{chain_id}:{agent_id}"),
        }
    }
}

fn check_first(first: i64) -> Result<(), QueryError> {
    if (0..=MAX_ROWS).contains(&first) {
        return Ok(());
    }
    Err(QueryError::BadInput(format!("The `first` argument must be between 0 and {MAX_ROWS}, but is {first}")))
}
