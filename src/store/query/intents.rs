//! Intents summed up: how many are how far, how much they moved, how long they took.

use serde_json::json;

use super::error::{QueryError, bad_input};
use super::id;
use super::pin::{BoundScope, Scope};
use super::snapshot::Snapshot;
use super::sql::{SqlType, Statement};
use super::value;

/// The derivation that keeps intents.
const INTENTS: i16 = 1;

/// Which intents are summed up.
#[derive(Debug, Clone, Default)]
pub struct IntentQuestion {
    /// Only those of this wallet's agent, by its id.
    pub wallet_agent: Option<String>,
    /// Only those of the wallets' agents that share this agent's wallet, as of the block that is read.
    pub agent: Option<String>,
    /// Only stated at or after this time, in seconds since 1970.
    pub since: Option<String>,
    /// Only stated at or before this time, in seconds since 1970.
    pub until: Option<String>,
}

/// What intents sum up to. Decimals are as Postgres writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IntentSummary {
    /// How many there are.
    pub count: i64,
    /// How many were only stated.
    pub created: i64,
    /// How many a relayer took up.
    pub submitted: i64,
    /// How many were executed.
    pub executed: i64,
    /// How many were disputed.
    pub disputed: i64,
    /// How many lapsed.
    pub expired: i64,
    /// The share of those executed among those that came to an end, to sixty decimal places.
    pub success_rate: Option<String>,
    /// What the executed ones add up to.
    pub volume: String,
    /// What all of them add up to.
    pub stated_volume: String,
    /// Seconds from statement to execution, to sixty decimal places.
    pub average_seconds: Option<String>,
    /// The least number of seconds within which half of the executions came.
    pub median_seconds: Option<i64>,
    /// The least number of seconds within which 95 of 100 executions came.
    pub p95_seconds: Option<i64>,
}

impl Snapshot {
    /// Sums up intents.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] for an id or a time that is none.
    pub async fn intent_summary(&self, scope: &Scope, question: &IntentQuestion) -> Result<IntentSummary, QueryError> {
        self.check_derived(scope, "intentSummary", INTENTS)?;
        let mut statement = Statement::default();
        let bound = BoundScope::bind(scope, &mut statement);
        let mut conditions = vec![bound.of_networks("i"), bound.live("i")];
        if let Some(wallet_agent) = &question.wallet_agent {
            let parts = id::wallet_agent(wallet_agent, self.contracts())
                .ok_or_else(|| bad_input("walletAgent", "the id of a WalletAgent, such as \"167000:0x12ab…\""))?;
            for (column, part) in ["chain_id", "wallet_agent"].iter().zip(parts.iter().flatten()) {
                conditions.push(format!("i.{column} = {}", statement.bind_datum(part)));
            }
        }
        if let Some(agent) = &question.agent {
            conditions.push(self.of_agent(agent, &bound, &mut statement)?);
        }
        for (name, sign, bound_at) in [("since", ">=", &question.since), ("until", "<=", &question.until)] {
            if let Some(time) = bound_at {
                let time = value::whole_number(name, SqlType::Integer, &json!(time))?;
                conditions.push(format!("i.created_at {sign} {}", statement.bind_datum(&time)));
            }
        }
        statement.push(&text_of(&conditions.join(" AND ")));
        let rows = self.query(&statement).await?;
        let Some(row) = rows.first() else { return Ok(IntentSummary::default()) };
        Ok(IntentSummary {
            count: row.try_get(0)?,
            created: row.try_get(1)?,
            submitted: row.try_get(2)?,
            executed: row.try_get(3)?,
            disputed: row.try_get(4)?,
            expired: row.try_get(5)?,
            success_rate: row.try_get(6)?,
            volume: row.try_get(7)?,
            stated_volume: row.try_get(8)?,
            average_seconds: row.try_get(9)?,
            median_seconds: row.try_get(10)?,
            p95_seconds: row.try_get(11)?,
        })
    }

    /// The condition that an intent is of a wallet's agent that shares an agent's wallet.
    fn of_agent(&self, agent: &str, bound: &BoundScope, statement: &mut Statement) -> Result<String, QueryError> {
        let parts = id::agent(agent, self.contracts())
            .ok_or_else(|| bad_input("agent", "an agent's id, such as \"167000:42\""))?;
        let mut conditions = vec![bound.live("a"), bound.live("w")];
        for (column, part) in ["chain_id", "deployment", "agent_id"].iter().zip(parts.iter().flatten()) {
            conditions.push(format!("a.{column} = {}", statement.bind_datum(part)));
        }
        Ok(format!(
            "(i.chain_id, i.wallet_agent) IN (SELECT w.chain_id, w.wallet_agent FROM agent a JOIN wallet_agent w \
             ON w.chain_id = a.chain_id AND w.wallet = a.agent_wallet WHERE {})",
            conditions.join(" AND ")
        ))
    }
}

fn text_of(conditions: &str) -> String {
    let of = |status: &str| format!("count(*) FILTER (WHERE i.status = '{status}')");
    let (executed, disputed, expired) = (of("EXECUTED"), of("DISPUTED"), of("EXPIRED"));
    format!(
        "SELECT count(*), {}, {}, {executed}, {disputed}, {expired}, \
         (round({executed}::numeric, 60) / nullif({executed} + {disputed} + {expired}, 0))::text, \
         coalesce(sum(i.value) FILTER (WHERE i.status = 'EXECUTED'), 0)::text, coalesce(sum(i.value), 0)::text, \
         (round(sum(took.seconds)::numeric, 60) / nullif(count(took.seconds), 0))::text, \
         percentile_disc(0.5) WITHIN GROUP (ORDER BY took.seconds), \
         percentile_disc(0.95) WITHIN GROUP (ORDER BY took.seconds) \
         FROM intent i CROSS JOIN LATERAL (SELECT i.executed_at - i.created_at AS seconds) took WHERE {conditions}",
        of("CREATED"),
        of("SUBMITTED"),
    )
}
