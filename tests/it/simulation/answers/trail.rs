//! Answers about wallets' agents, policies, intents, findings and validations, as of a block, against the model's.

use std::collections::BTreeMap;

use alloy::primitives::{B256, U256, U512};
use serde_json::{Value, json};

use super::super::model::{Intent, Model, readable};
use super::super::story::CHAIN_ID;
use super::super::traffic::Cast;
use super::{Asker, agent_id, hex};

/// Seconds after which the asker's node calls a validation expired.
pub(super) const VALIDATION_EXPIRES_AFTER: u64 = 40;

const QUESTION: &str = "query Q($at: Int!, $agent: ID!) { \
    walletAgents(first: 1000, block: { number: $at }) { id owner wallet metadataCid registered active paused createdAt \
        blockNumber agents(first: 1000) { id } policies(first: 1000, where: { inForce: true }) { id } } \
    policies(first: 1000, block: { number: $at }) { id maxSpendPerDay allowedChains whitelist riskLevel inForce \
        replacedBlock createdAt } \
    intents(first: 1000, block: { number: $at }) { id status walletAgent nonce value action submittedAt executedAt \
        executionCount secondsToExecution disputeReason expiredAt createdAt updatedAt wallet { id } \
        findings(first: 1000) { id } } \
    findings(first: 1000, block: { number: $at }) { id walletAgent intentId relatedBlock relatedLogIndex createdAt \
        auditEntry { id } } \
    validations(first: 1000, block: { number: $at }) { id status responses(first: 1000) { response createdAt } } \
    lapsed: validations(first: 1000, where: { status: EXPIRED }, block: { number: $at }) { id } \
    intentSummary(chainId: 167000, block: { number: $at }) { count created submitted executed disputed expired volume \
        statedVolume medianSecondsToExecution p95SecondsToExecution } \
    ofAgent: intentSummary(agent: $agent, block: { number: $at }) { count executed } \
    validationSummary(agent: $agent, block: { number: $at }) { count averageResponse requested completed pending expired \
        validatorCount } }";

/// Entities by id.
type Entities = BTreeMap<String, Value>;

/// Asserts that what is answered as of a block is what the chain says up to there.
pub(super) async fn assert_answers(asker: &Asker, block: u64, cast: &Cast, model: &Model) {
    let agent = (0, U256::from(block % 7));
    let answer = asker.ask(QUESTION, json!({"at": block, "agent": agent_id(cast, agent)})).await;
    for (root, expected) in [
        ("walletAgents", wallet_agents(cast, model)),
        ("policies", policies(model)),
        ("intents", intents(model)),
        ("findings", findings(model)),
        ("validations", validations(cast, model)),
    ] {
        let answered = answer[root].as_array().expect("a list").iter();
        let answered: Entities =
            answered.map(|entity| (entity["id"].as_str().expect("an id").to_owned(), entity.clone())).collect();
        for (id, entity) in &expected {
            assert_eq!(answered.get(id), Some(entity), "{root} {id} as of block {block}");
        }
        assert_eq!(answered.len(), expected.len(), "{root} as of block {block}");
    }
    let lapsed = answer["lapsed"].as_array().expect("a list").iter().map(|entity| entity["id"].as_str());
    let mut lapsed: Vec<_> = lapsed.collect();
    lapsed.sort_unstable();
    let validations = validations(cast, model);
    let expected = validations.iter().filter(|(_, entity)| entity["status"] == "EXPIRED");
    let expected: Vec<_> = expected.map(|(id, _)| Some(id.as_str())).collect();
    assert_eq!(lapsed, expected, "expired validations as of block {block}");
    assert_eq!(answer["intentSummary"], summary(model.intents.now()), "intentSummary as of block {block}");
    let wallet = model.agents.known.get(&agent).and_then(|history| history.now()?.wallet);
    let shared = |id: &B256| wallet.is_some() && model.intents.wallet_of(*id) == wallet;
    let theirs = summary(model.intents.now().filter(|(_, intent)| intent.agent().is_some_and(|id| shared(&id))));
    let theirs = json!({"count": theirs["count"], "executed": theirs["executed"]});
    assert_eq!(answer["ofAgent"], theirs, "intentSummary of {agent:?} as of block {block}");
    let asked = model.validations.summary(agent, model.clock, VALIDATION_EXPIRES_AFTER);
    assert_eq!(answer["validationSummary"], asked, "validationSummary of {agent:?} as of block {block}");
}

fn wallet_agents(cast: &Cast, model: &Model) -> Entities {
    let mut entities = Entities::new();
    for (id, history) in &model.intents.wallets {
        let wallet = history.now().expect("wallets' agents do not end");
        let told = wallet.told.as_ref().map(|told| &told.fact);
        let address = told.map(|fact| fact.address("wallet"));
        let mut agents: Vec<_> = model
            .agents
            .known
            .iter()
            .filter(|(_, history)| address.is_some() && history.now().expect("agents do not end").wallet == address)
            .map(|(key, _)| *key)
            .collect();
        agents.sort();
        let policy = model.intents.policies.get(id).and_then(|history| history.0.last());
        let name = format!("{CHAIN_ID}:{id:#x}");
        let entity = json!({
            "id": name, "owner": told.map(|fact| hex(fact.address("owner"))), "wallet": address.map(hex),
            "metadataCid": told.map(|fact| readable(fact.bytes("metadataCid"))), "registered": told.is_some(),
            "active": wallet.is_active(), "paused": wallet.is_paused(), "createdAt": wallet.created.time.to_string(),
            "blockNumber": wallet.at.block.to_string(),
            "agents": agents.iter().map(|key| json!({"id": agent_id(cast, *key)})).collect::<Vec<_>>(),
            "policies": policy.iter().map(|span| json!({"id": format!("{name}:{}", span.begin)})).collect::<Vec<_>>(),
        });
        entities.insert(name, entity);
    }
    entities
}

fn policies(model: &Model) -> Entities {
    let mut entities = Entities::new();
    for (agent, history) in &model.intents.policies {
        for span in &history.0 {
            let id = format!("{CHAIN_ID}:{agent:#x}:{}", span.begin);
            let mut shown = span.is.fact.shown()["policy"].take();
            let entity = json!({
                "id": id, "maxSpendPerDay": shown["maxSpendPerDay"], "allowedChains": shown["allowedChains"].take(),
                "whitelist": shown["whitelist"].take(), "riskLevel": shown["riskLevel"], "inForce": span.end.is_none(),
                "replacedBlock": span.end.map(|block| block.to_string()), "createdAt": span.is.at.time.to_string(),
            });
            entities.insert(id, entity);
        }
    }
    entities
}

fn intents(model: &Model) -> Entities {
    let mut entities = Entities::new();
    for (id, intent) in model.intents.now() {
        let [stated, details, submitted, executed, disputed] =
            ["IntentEmitted", "IntentDetails", "IntentSubmitted", "IntentExecuted", "IntentDisputed"]
                .map(|event| intent.first(event));
        let name = format!("{CHAIN_ID}:{id:#x}");
        let wallet = intent.agent().filter(|agent| model.intents.wallets.contains_key(agent));
        let mut found: Vec<_> = model.intents.findings.iter().filter(|finding| finding.intent == Some(*id)).collect();
        found.sort_by_key(|finding| (finding.at.block, finding.at.log_index, finding.rule, finding.subject));
        let entity = json!({
            "id": name, "status": intent.status(), "walletAgent": intent.agent().map(hex),
            "nonce": stated.map(|told| told.fact.uint("nonce").to_string()),
            "value": details.map(|told| told.fact.uint("value").to_string()),
            "action": details.map(|told| readable(told.fact.bytes("action"))),
            "submittedAt": submitted.map(|told| told.at.time.to_string()),
            "executedAt": executed.map(|told| told.at.time.to_string()), "executionCount": intent.executions(),
            "secondsToExecution": took(intent).map(|seconds| seconds.to_string()),
            "disputeReason": disputed.map(|told| readable(told.fact.bytes("reason"))),
            "expiredAt": intent.expired.map(|at| at.time.to_string()),
            "createdAt": stated.map(|told| told.at.time.to_string()), "updatedAt": intent.at.time.to_string(),
            "wallet": wallet.map(|agent| json!({"id": format!("{CHAIN_ID}:{agent:#x}")})),
            "findings": found.iter().map(|finding| json!({"id": finding_id(finding)})).collect::<Vec<_>>(),
        });
        entities.insert(name, entity);
    }
    entities
}

fn finding_id(finding: &super::super::model::Finding) -> String {
    let (block, log_index) = (finding.at.block, finding.at.log_index);
    format!("{CHAIN_ID}:{block}:{log_index}:{}:{:#x}", finding.rule, finding.subject)
}

fn findings(model: &Model) -> Entities {
    let entity = |finding: &super::super::model::Finding| {
        let (id, at) = (finding_id(finding), finding.at);
        let entry = model.audit.has(at).then(|| json!({"id": format!("{CHAIN_ID}:{}:{}", at.block, at.log_index)}));
        let entity = json!({
            "id": id, "walletAgent": finding.agent.map(hex), "intentId": finding.intent.map(hex),
            "relatedBlock": finding.related.map(|at| at.block.to_string()),
            "relatedLogIndex": finding.related.map(|at| at.log_index), "createdAt": at.time.to_string(),
            "auditEntry": entry,
        });
        (id, entity)
    };
    model.intents.findings.iter().map(entity).collect()
}

fn validations(cast: &Cast, model: &Model) -> Entities {
    let mut entities = Entities::new();
    for ((contract, hash), history) in &model.validations.asked {
        let Some(validation) = history.now() else { continue };
        let actor = &cast.0[*contract];
        let registry = if actor.ordinal == 0 { String::new() } else { format!("{}:", hex(actor.address)) };
        let id = format!("{registry}{}", hex(hash));
        let responses = model.validations.responses_to((*contract, *hash));
        let entity = json!({
            "id": id, "status": validation.status(model.clock, VALIDATION_EXPIRES_AFTER),
            "responses": responses
                .map(|(at, response)| json!({"response": response, "createdAt": at.time.to_string()}))
                .collect::<Vec<_>>(),
        });
        entities.insert(id, entity);
    }
    entities
}

/// Seconds from an intent's statement to its first execution.
fn took(intent: &Intent) -> Option<i128> {
    let time = |event| intent.first(event).map(|told| i128::from(told.at.time));
    Some(time("IntentExecuted")? - time("IntentEmitted")?)
}

fn summary<'a>(intents: impl Iterator<Item = (&'a B256, &'a Intent)>) -> Value {
    let intents: Vec<&Intent> = intents.map(|(_, intent)| intent).collect();
    let of = |status: &str| intents.iter().filter(|intent| intent.status() == status).count().to_string();
    let value = |intent: &&Intent| intent.first("IntentDetails").map(|told| told.fact.uint("value"));
    // Sums may have more than 256 bits.
    let sum = |executed: bool| {
        let counted = intents.iter().filter(|intent| !executed || intent.status() == "EXECUTED");
        counted.filter_map(value).fold((U256::ZERO, U256::ZERO), |(high, low), value| {
            let (low, carry) = low.overflowing_add(value);
            (high + U256::from(carry), low)
        })
    };
    let shown = |(high, low): (U256, U256)| {
        let wide: U512 = U512::from(high) << 256;
        (wide | U512::from(low)).to_string()
    };
    let mut times: Vec<i128> = intents.iter().filter_map(|intent| took(intent)).collect();
    times.sort_unstable();
    // The least that so many of a hundred do not exceed.
    let within = |percent: usize| {
        let place = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(place).map(ToString::to_string)
    };
    json!({
        "count": intents.len().to_string(), "created": of("CREATED"), "submitted": of("SUBMITTED"),
        "executed": of("EXECUTED"), "disputed": of("DISPUTED"), "expired": of("EXPIRED"), "volume": shown(sum(true)),
        "statedVolume": shown(sum(false)), "medianSecondsToExecution": within(50), "p95SecondsToExecution": within(95),
    })
}
