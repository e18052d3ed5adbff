//! Agents in the order of what is said of them: by their ratings, or under one first tag.

use std::sync::Arc;

use serde_json::{Value, json};

use super::entity;
use super::error::QueryError;
use super::pin::Scope;
use super::select::{Page, Record, Selection};
use super::series::aspect;
use super::snapshot::Snapshot;
use super::sql::Datum;

/// Which agents, in which order.
#[derive(Debug, Clone, Default)]
pub struct LeaderboardQuestion {
    /// The first tag; nothing or empty: ratings, of all that feedback says.
    pub tag1: Option<String>,
    /// At least so much feedback that stands.
    pub min_feedback: Option<String>,
    /// By at least so many clients.
    pub min_clients: Option<String>,
    /// Such feedback was given at this time or later, in seconds since 1970.
    pub active_since: Option<String>,
    /// The page, with further conditions; without an order by `score`.
    pub page: Page,
}

impl Snapshot {
    /// A page of a leaderboard. Whoever has no such feedback that stands is not in it.
    ///
    /// # Errors
    /// As [`Snapshot::list`].
    pub async fn leaderboard(
        &self,
        scope: &Scope,
        question: &LeaderboardQuestion,
        selection: &Selection,
    ) -> Result<Vec<Arc<Record>>, QueryError> {
        let aspect = aspect(question.tag1.as_deref())?;
        let mut conditions = vec![json!({ "aspect": alloy::hex::encode_prefixed(aspect.bytes()) })];
        for (field, least) in [
            ("active_gte", &question.min_feedback),
            ("clientCount_gte", &question.min_clients),
            ("lastAt_gte", &question.active_since),
        ] {
            conditions.extend(least.as_ref().map(|least| json!({ field: least })));
        }
        if !question.page.filter.is_null() {
            conditions.push(question.page.filter.clone());
        }
        let order_by = question.page.order_by.clone().or_else(|| Some("score".to_owned()));
        debug_assert!(std::ptr::eq(selection.entity, entity::leaderboard()));
        let filter = json!({ "and": conditions.clone() });
        let page = Page { filter, order_by: order_by.clone(), ..question.page.clone() };
        if scope.is_newest() {
            return self.list(scope, &page, selection).await;
        }
        if order_by.as_deref() == Some("score") {
            // Planned for the block: close to the tip nearly all standings are as they were, far below it hardly any.
            return self.list(scope, &page, &selection.of(entity::scored_then())).await;
        }
        // First who is on the page, of all agents at once; then what is told of them.
        let entity = entity::ranked_then();
        let then = Selection { entity, fields: entity.field("id").into_iter().collect(), relations: vec![] };
        let ranked = self.list(&scope.ranked_by(aspect), &page, &then).await?;
        let ids = ranked.iter().map(|agent| match agent.value("id") {
            Some(Datum::Text(id)) => Value::from(id.clone()),
            _ => Value::Null,
        });
        conditions.push(json!({ "agent_in": ids.collect::<Vec<_>>() }));
        let page =
            Page { filter: json!({ "and": conditions }), order_by, after: None, skip: 0, ..question.page.clone() };
        self.list(scope, &page, selection).await
    }
}
