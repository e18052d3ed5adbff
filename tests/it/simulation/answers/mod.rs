//! A set of answers through the node's own router, as of the newest block and of earlier ones, against the model's.

mod analysis;
mod reputation;
mod statistics;
mod trail;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use meikan::api::{self, ApiState};
use meikan::config::Api;
use meikan::event::Role;
use meikan::store::Store;
use serde_json::{Value, json};
use tower_service::Service;

use super::decimal::Decimal;
use super::digest::Digest;
use super::model::{AgentKey, Flip, Model, readable};
use super::story::CHAIN_ID;
use super::traffic::{Cast, known_uri};
use trail::VALIDATION_EXPIRES_AFTER;

/// Most bytes of an answer.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Asks a node over its database.
pub(super) struct Asker(Router);

/// What is asked as of a block.
const QUESTION: &str = "query Q($at: Int!, $block: BigInt!) { \
    agents(first: 1000, block: { number: $at }) { id owner agentURI agentURIType registered agentWallet operators createdAt \
        updatedAt totalFeedback lastActivity } \
    feedbacks(first: 1000, block: { number: $at }) { id valueRaw valueDecimals tag1 isRevoked createdAt } \
    validations(first: 1000, block: { number: $at }) { id response responseCount } \
    agentReputations(first: 1000, block: { number: $at }) { id given revoked active responses clientCount lastAt ratings raters \
        average perClientAverage confidenceScore min max lastRating positive negative trustLevel } \
    tagReputations(first: 1000, block: { number: $at }) { id tag1 given revoked active responses clientCount lastAt average \
        perClientAverage min max lastValue positive negative } \
    leaderboard(first: 1000, block: { number: $at }) { agent { id } score active clientCount } \
    leaders: leaderboard(first: 2, block: { number: $at }) { agent { id } score active clientCount } \
    heard: leaderboard(first: 2, tag1: \"starred\", orderBy: clientCount, block: { number: $at }) { \
        agent { id } score active clientCount } \
    manifestFlips(first: 1000, block: { number: $at }) { id agent { id } source endpoint previousEndpoint ownerChanged \
        timeDelta suspicionScore suspicious rapid createdAt } \
    agentFlipMetrics_collection(first: 1000, block: { number: $at }) { id totalFlips rapidFlips endpointChanges \
        highSuspicionFlips averageSuspicionScore lastFlip { id } } \
    stateDigest(chainId: 167000, block: $block) { events rawLogs eventCount rawLogCount } }";

impl Asker {
    pub(super) fn new(store: Arc<Store>) -> Self {
        let config =
            Api { validation_expires_after_seconds: VALIDATION_EXPIRES_AFTER, cache_megabytes: 0, ..Api::default() };
        Self(api::router(ApiState::new(store, config), None))
    }

    pub(super) async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = Request::post("/graphql").header("content-type", "application/json").body(Body::from(body));
        let response = self.0.clone().call(request.expect("a request")).await.expect("a router answers");
        let body = to_bytes(response.into_body(), MAX_ANSWER_BYTES).await.expect("an answer has a body");
        let mut answer: Value = serde_json::from_slice(&body).expect("an answer is JSON");
        assert!(answer.get("errors").is_none(), "{query}: {}", answer["errors"]);
        answer["data"].take()
    }

    /// Asserts that what is answered as of a block is what the chain says up to there.
    pub(super) async fn assert_answers(&self, block: u64, cast: &Cast, model: &Model, digest: &Digest) {
        let variables = json!({"at": block, "block": block.to_string()});
        let answer = self.ask(QUESTION, variables).await;
        let (flips, flip_metrics) = flips(cast, model);
        for (root, expected) in [
            ("agents", agents(cast, model)),
            ("feedbacks", feedbacks(cast, model)),
            ("validations", validations(cast, model)),
            ("agentReputations", reputation::of_agents(cast, model)),
            ("tagReputations", reputation::of_tags(cast, model)),
            ("manifestFlips", flips),
            ("agentFlipMetrics_collection", flip_metrics),
        ] {
            let answered = answer[root].as_array().expect("a list").iter();
            let answered: BTreeMap<String, &Value> =
                answered.map(|entity| (entity["id"].as_str().expect("an id").to_owned(), entity)).collect();
            for (id, entity) in &expected {
                assert_eq!(answered.get(id).copied(), Some(entity), "{root} {id} as of block {block}");
            }
            let invented: Vec<_> = answered.keys().filter(|id| !expected.contains_key(*id)).collect();
            assert!(invented.is_empty(), "{root} as of block {block}: {invented:?}");
        }
        let ranked = reputation::ranked(cast, model);
        let heard = reputation::heard(cast, model, "starred");
        for (root, expected) in [
            ("leaderboard", ranked.as_slice()),
            ("leaders", &ranked[..ranked.len().min(2)]),
            ("heard", &heard[..heard.len().min(2)]),
        ] {
            assert_eq!(answer[root], json!(expected), "{root} as of block {block}");
        }
        // They take a fifth of the time of a seed: as of every third block, which may be the newest or an earlier one.
        if block.is_multiple_of(3) {
            analysis::assert_answers(self, block, cast, model).await;
        }
        trail::assert_answers(self, block, cast, model).await;
        let [events, raw_logs, event_count, log_count] = digest.shown();
        let expected =
            json!({"events": events, "rawLogs": raw_logs, "eventCount": event_count, "rawLogCount": log_count});
        assert_eq!(answer["stateDigest"], expected, "stateDigest as of block {block}");
        let question = format!("query Q($at: Int!) {{ {} }}", statistics::question());
        statistics::assert_told(block, &self.ask(&question, json!({ "at": block })).await, cast, model);
    }
}

pub(super) fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", alloy::hex::encode(bytes))
}

pub(super) fn agent_id(cast: &Cast, (deployment, id): AgentKey) -> String {
    if deployment == 0 {
        return format!("{CHAIN_ID}:{id}");
    }
    let registry = cast.0.iter().find(|actor| actor.role == Role::Identity && actor.deployment == deployment);
    format!("{CHAIN_ID}:{}:{id}", hex(registry.expect("each deployment has one").address))
}

fn agents(cast: &Cast, model: &Model) -> BTreeMap<String, Value> {
    let mut agents = BTreeMap::new();
    for (key, history) in &model.agents.known {
        let agent = history.now().expect("agents do not end");
        let total = model.agents.totals.of(*key).expect("totals do not end");
        let mut operators = model.approvals.operators(key.0, agent.owner);
        operators.extend(agent.approved);
        let id = agent_id(cast, *key);
        let kind = if agent.uri_set.is_some() { known_uri(&agent.uri).kind } else { "unknown" };
        let entity = json!({
            "id": id, "owner": hex(agent.owner), "agentURI": readable(&agent.uri), "agentURIType": kind,
            "registered": agent.registered, "agentWallet": agent.wallet.map(hex),
            "operators": operators.iter().map(hex).collect::<Vec<_>>(), "createdAt": agent.created.time.to_string(),
            "updatedAt": total.updated_at.to_string(), "totalFeedback": (total.feedback - total.revoked).to_string(),
            "lastActivity": total.last_activity.to_string(),
        });
        agents.insert(id, entity);
    }
    agents
}

fn feedbacks(cast: &Cast, model: &Model) -> BTreeMap<String, Value> {
    let mut feedbacks = BTreeMap::new();
    for ((agent, client, index), history) in &model.feedback.given {
        let Some(given) = history.now() else { continue };
        let id = format!("{}:{}:{index}", agent_id(cast, *agent), hex(client));
        let entity = json!({
            "id": id, "valueRaw": given.value.to_string(), "valueDecimals": given.decimals,
            "tag1": readable(&given.tag1), "isRevoked": given.revoked.is_some(), "createdAt": given.at.time.to_string(),
        });
        feedbacks.insert(id, entity);
    }
    feedbacks
}

/// All flips, and what those of each agent add up to.
fn flips(cast: &Cast, model: &Model) -> (BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let (mut flips, mut metrics) = (BTreeMap::new(), BTreeMap::new());
    for (key, of_agent) in model.agents.flips.all() {
        let agent = agent_id(cast, key);
        for flip in &of_agent {
            let at = flip.after.at;
            let id = format!("{agent}:{}:{}", at.block, at.log_index);
            let previous = Some(readable(&flip.before.endpoint)).filter(|_| flip.endpoint_changed());
            let entity = json!({
                "id": id, "agent": { "id": agent }, "source": "ONCHAIN", "endpoint": readable(&flip.after.endpoint),
                "previousEndpoint": previous, "ownerChanged": flip.owner_changed(),
                "timeDelta": flip.seconds().to_string(), "suspicionScore": flip.score(),
                "suspicious": flip.is_suspicious(), "rapid": flip.is_rapid(), "createdAt": at.time.to_string(),
            });
            flips.insert(id, entity);
        }
        let Some(last) = of_agent.last().map(|flip| flip.after.at) else { continue };
        let id = format!("{agent}:ONCHAIN");
        let count = |which: fn(&Flip) -> bool| of_agent.iter().filter(|flip| which(flip)).count().to_string();
        let score = of_agent.iter().map(|flip| flip.score() as u64).sum::<u64>();
        let entity = json!({
            "id": id, "totalFlips": of_agent.len().to_string(), "rapidFlips": count(Flip::is_rapid),
            "endpointChanges": count(Flip::endpoint_changed), "highSuspicionFlips": count(Flip::is_suspicious),
            "averageSuspicionScore": Decimal::from(score).per(of_agent.len()).shown(),
            "lastFlip": { "id": format!("{agent}:{}:{}", last.block, last.log_index) },
        });
        metrics.insert(id, entity);
    }
    (flips, metrics)
}

fn validations(cast: &Cast, model: &Model) -> BTreeMap<String, Value> {
    let mut validations = BTreeMap::new();
    for ((contract, hash), history) in &model.validations.asked {
        let Some(validation) = history.now() else { continue };
        let actor = &cast.0[*contract];
        let registry = if actor.ordinal == 0 { String::new() } else { format!("{}:", hex(actor.address)) };
        let id = format!("{registry}{}", hex(hash));
        let response = validation.answer.as_ref().map(|answer| answer.response);
        let entity = json!({"id": id, "response": response, "responseCount": validation.answers});
        validations.insert(id, entity);
    }
    validations
}
