//! Validations of one agent, summed up as their registry does it, and counted by how far they are.

use serde_json::json;

use super::entity::validation::STATUS;
use super::error::{QueryError, bad_input};
use super::id;
use super::pin::{BoundScope, Scope};
use super::snapshot::Snapshot;
use super::source::expand;
use super::sql::{Datum, SqlType, Statement};
use super::value;

/// Which validations are summed up.
#[derive(Debug, Clone, Default)]
pub struct ValidationQuestion {
    /// The agent's id.
    pub agent: String,
    /// Only by these validators, as hex; nothing or an empty list: by all, as the contract has it.
    pub validators: Option<Vec<String>>,
    /// Of answers only those with this tag; nothing or empty: with any.
    pub tag: Option<String>,
    /// Only of this registry, as hex.
    pub registry: Option<String>,
}

/// What validations sum up to. Decimals are as Postgres writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidationSummary {
    /// How many were answered with the tag that was asked for, each by its last answer.
    pub count: i64,
    /// The mean of those answers, cut to a whole number.
    pub average_response: i64,
    /// The mean of those answers, to sixty decimal places.
    pub average: Option<String>,
    /// How many were asked for.
    pub requested: i64,
    /// How many were answered, with whatever tag.
    pub completed: i64,
    /// How many wait for an answer.
    pub pending: i64,
    /// How many have waited for too long.
    pub expired: i64,
    /// How many validators were asked.
    pub validators: i64,
}

impl Snapshot {
    /// Sums up the validations of an agent.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] for an id or an address that is none.
    pub async fn validation_summary(
        &self,
        scope: &Scope,
        question: &ValidationQuestion,
    ) -> Result<ValidationSummary, QueryError> {
        let agent = id::agent(&question.agent, self.contracts())
            .ok_or_else(|| bad_input("agent", "an agent's id, such as \"167000:42\""))?;
        let mut statement = Statement::default();
        let bound = BoundScope::bind(scope, &mut statement);
        let mut conditions = vec![bound.of_networks("v"), bound.live("v")];
        for (column, part) in ["chain_id", "deployment", "agent_id"].iter().zip(agent.iter().flatten()) {
            conditions.push(format!("v.{column} = {}", statement.bind_datum(part)));
        }
        if let Some(validators) = question.validators.as_ref().filter(|validators| !validators.is_empty()) {
            let validators = validators.iter().map(|one| value::bytes("validators", &json!(one)).map(Datum::Bytes));
            let validators: Vec<Datum> = validators.collect::<Result<_, _>>()?;
            conditions.push(format!("v.validator = ANY({})", statement.bind_array(SqlType::Bytes, validators.iter())));
        }
        if let Some(registry) = &question.registry {
            let registry = statement.bind(value::bytes("registry", &json!(registry))?);
            conditions.push(format!(
                "(v.chain_id, v.contract_id) IN (SELECT k.chain_id, k.contract_id FROM contract k \
                 WHERE k.address = {registry}::bytea)"
            ));
        }
        let tagged = match question.tag.as_deref().filter(|tag| !tag.is_empty()) {
            None => "TRUE".to_owned(),
            Some(tag) => {
                // The contract compares bytes: an unreadable tag's readable form is another tag.
                let tag = statement.bind(value::text("tag", &json!(tag))?);
                format!("v.tag = {tag}::text AND v.tag_raw IS NULL")
            }
        };
        statement.push(&text_of(&expand(STATUS, "v", &bound), &tagged, &conditions.join(" AND ")));
        let rows = self.query(&statement).await?;
        let Some(row) = rows.first() else { return Ok(ValidationSummary::default()) };
        Ok(ValidationSummary {
            count: row.try_get(0)?,
            average_response: row.try_get(1)?,
            average: row.try_get(2)?,
            requested: row.try_get(3)?,
            completed: row.try_get(4)?,
            pending: row.try_get(5)?,
            expired: row.try_get(6)?,
            validators: row.try_get(7)?,
        })
    }
}

fn text_of(status: &str, tagged: &str, conditions: &str) -> String {
    let answered = "s.status = 'COMPLETED' AND s.tagged";
    format!(
        "SELECT count(*) FILTER (WHERE {answered}), \
         coalesce(div(sum(s.response) FILTER (WHERE {answered}), nullif(count(*) FILTER (WHERE {answered}), 0)), 0)::bigint, \
         (round((sum(s.response) FILTER (WHERE {answered}))::numeric, 60) \
             / nullif(count(*) FILTER (WHERE {answered}), 0))::text, \
         count(*), count(*) FILTER (WHERE s.status = 'COMPLETED'), count(*) FILTER (WHERE s.status = 'PENDING'), \
         count(*) FILTER (WHERE s.status = 'EXPIRED'), count(DISTINCT s.validator) \
         FROM (SELECT v.validator, v.response::bigint AS response, {status} AS status, ({tagged}) AS tagged \
             FROM validation v WHERE {conditions} OFFSET 0) s"
    )
}
