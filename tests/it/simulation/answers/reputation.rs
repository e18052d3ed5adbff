//! What feedback sums up to, as it must be answered.

use std::collections::BTreeMap;

use alloy::primitives::keccak256;
use num_bigint::BigInt;
use serde_json::{Value, json};

use super::super::model::standings::{RATINGS, Standing};
use super::super::model::{AgentKey, Model, readable};
use super::super::traffic::Cast;
use super::{agent_id, hex};

fn standing(model: &Model, agent: AgentKey, aspect: &[u8]) -> Standing {
    model.standings.of.get(&(agent, aspect.to_vec())).and_then(|history| history.now()).cloned().unwrap_or_default()
}

pub(super) fn of_agents(cast: &Cast, model: &Model) -> BTreeMap<String, Value> {
    let answer = |(key, _): (&AgentKey, _)| {
        let (all, ratings) = (standing(model, *key, &[]), standing(model, *key, RATINGS));
        let [average, voices, score] = ratings.shown(RATINGS);
        let id = agent_id(cast, *key);
        let entity = json!({
            "id": id, "given": all.given.to_string(), "revoked": all.revoked.to_string(),
            "active": all.active().to_string(), "responses": all.responses.to_string(),
            "clientCount": all.clients.to_string(), "lastAt": (all.last_at > 0).then(|| all.last_at.to_string()),
            "ratings": ratings.active().to_string(), "raters": ratings.clients.to_string(), "average": average,
            "perClientAverage": voices, "confidenceScore": score, "min": ratings.least, "max": ratings.greatest,
            "lastRating": ratings.last, "positive": ratings.positive.to_string(),
            "negative": ratings.negative.to_string(), "trustLevel": trust_level(model, *key, &ratings),
        });
        (id, entity)
    };
    model.agents.known.iter().map(answer).collect()
}

fn trust_level(model: &Model, agent: AgentKey, ratings: &Standing) -> &'static str {
    let cycle = &keccak256("payment_cycle")[..16];
    if standing(model, agent, cycle).active() > 0 {
        return "UNTRUSTED";
    }
    match ratings.active() {
        0 => "NEW",
        10.. if ratings.averages(80) => "EXCELLENT",
        5.. if ratings.averages(70) => "GOOD",
        _ if ratings.averages(60) => "FAIR",
        _ => "POOR",
    }
}

pub(super) fn of_tags(cast: &Cast, model: &Model) -> BTreeMap<String, Value> {
    let tags = model.standings.of.iter().filter(|((_, aspect), _)| aspect.len() == 16);
    let answer = |((agent, aspect), _): (&(AgentKey, Vec<u8>), _)| {
        let standing = standing(model, *agent, aspect);
        let [average, voices, _] = standing.shown(aspect);
        let told = model.standings.tags.get(aspect).map(|(_, text)| text);
        let clean = told.filter(|text| std::str::from_utf8(text).is_ok() && !text.contains(&0));
        let name = clean.map_or_else(|| format!("keccak256:{}", hex(aspect)), |text| readable(text));
        let id = format!("{}:{name}", agent_id(cast, *agent));
        let entity = json!({
            "id": id, "tag1": told.map(|text| readable(text)), "given": standing.given.to_string(),
            "revoked": standing.revoked.to_string(), "active": standing.active().to_string(),
            "responses": standing.responses.to_string(), "clientCount": standing.clients.to_string(),
            "lastAt": standing.last_at.to_string(), "average": average, "perClientAverage": voices,
            "min": standing.least, "max": standing.greatest, "lastValue": standing.last,
            "positive": standing.positive.to_string(), "negative": standing.negative.to_string(),
        });
        (id, entity)
    };
    tags.map(answer).collect()
}

/// The leaderboard of ratings: by score, then by agent, the greatest first.
pub(super) fn ranked(cast: &Cast, model: &Model) -> Vec<Value> {
    leaders(cast, model, RATINGS, |standing| standing.rank(RATINGS))
}

/// The leaderboard of a tag by the number of clients.
pub(super) fn heard(cast: &Cast, model: &Model, tag1: &str) -> Vec<Value> {
    leaders(cast, model, &keccak256(tag1)[..16], |standing| standing.clients.into())
}

fn leaders(cast: &Cast, model: &Model, of: &[u8], by: impl Fn(&Standing) -> BigInt) -> Vec<Value> {
    let of_aspect = model.standings.of.iter().filter(|((_, aspect), _)| aspect == of);
    let mut rows: Vec<(AgentKey, &Standing)> =
        of_aspect.filter_map(|((agent, _), history)| Some((*agent, history.now()?))).collect();
    rows.retain(|(_, standing)| standing.active() > 0);
    rows.sort_by_key(|(agent, standing)| (by(standing), *agent));
    let shown = rows.iter().rev().map(|(agent, standing)| {
        let [_, _, score] = standing.shown(of);
        json!({
            "agent": {"id": agent_id(cast, *agent)}, "score": score, "active": standing.active().to_string(),
            "clientCount": standing.clients.to_string(),
        })
    });
    shown.collect()
}
