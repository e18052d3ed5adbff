//! What clients say about agents, and what is answered.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::files::cid;
use super::scene::{Plan, Scene, Subject};
use super::world::Agent;
use crate::demo::Call;
use crate::demo::anvil::CHAIN_ID;
use crate::demo::contracts::abi::Reputation;

/// The most that the registry takes, up or down.
const MAX_VALUE: i128 = 10_i128.pow(38);

/// What feedback measures: tag, its refinements, lowest and highest value, decimals.
struct Scale(&'static str, &'static [&'static str], i64, i64, &'static [u8]);

/// The tags of the standard and of the networks.
const SCALES: [Scale; 10] = [
    Scale("starred", &["", "quality", "speed", "support"], 0, 100, &[0, 1, 2]),
    Scale("", &["", "review"], 0, 100, &[0]),
    Scale("reachable", &[""], 0, 1, &[0]),
    Scale("ownerVerified", &[""], 0, 1, &[0]),
    Scale("uptime", &["day", "week", "month"], 90, 100, &[2, 4]),
    Scale("successRate", &["day", "week"], 60, 100, &[1, 2]),
    Scale("responseTime", &["", "p99"], 20, 5_000, &[0, 3]),
    Scale("revenues", &["day", "month"], 0, 90_000, &[6, 18]),
    Scale("tradingYield", &["day", "week", "month", "year"], -40, 60, &[2, 4, 18]),
    Scale("miner-vouch", &[""], 1, 1, &[0]),
];

/// Which of them is `starred`.
const STARRED: usize = 0;

/// The agent that was registered first.
const FIRST: U256 = U256::ZERO;

/// How many of the first agents are known by all, and of how many feedbacks one is about them.
const BEST_KNOWN: u64 = 5;
const ONE_ABOUT_THE_BEST_KNOWN_IN: u64 = 3;

struct Feedback<'a> {
    value: i128,
    decimals: u8,
    tags: [&'a [u8]; 2],
    endpoint: &'a [u8],
    uri: String,
    hash: B256,
}

/// The first agent is given stars before anything else, so that there is an agent to show.
pub(super) fn give(scene: &mut Scene<'_>) -> Option<Plan> {
    let first = scene.world.agents.get(&FIRST).filter(|_| !scene.world.feedback.iter().any(|one| one.agent == FIRST));
    let (client, agent, index) = match first.cloned() {
        Some(agent) => (client_of(scene, &agent)?, agent, STARRED),
        None => {
            let (client, agent) = client_and_known_agent(scene)?;
            (client, agent, usize::try_from(scene.draw.below(SCALES.len() as u64)).ok()?)
        }
    };
    let Scale(tag1, tag2s, lowest, highest, decimals) = &SCALES[index];
    let decimals = scene.draw.pick(decimals)?;
    let tag2 = scene.draw.text(tag2s);
    let value = scaled(scene, *lowest, *highest, decimals);
    let (uri, hash) = file(scene, &agent, client, value, decimals);
    let endpoint = scene.draw.text(&["", "", "https://agent.example/mcp", "https://agent.example/a2a"]);
    let feedback = Feedback {
        value,
        decimals,
        tags: [tag1.as_bytes(), tag2.as_bytes()],
        endpoint: endpoint.as_bytes(),
        uri,
        hash,
    };
    Some(plan(scene, client, &agent, feedback))
}

/// A value between two whole numbers, with digits behind the point.
fn scaled(scene: &mut Scene<'_>, lowest: i64, highest: i64, decimals: u8) -> i128 {
    let unit = 10_i128.pow(u32::from(decimals));
    let steps = (i128::from(highest) - i128::from(lowest)) * unit + 1;
    let drawn = (u128::from(scene.draw.number()) << 64 | u128::from(scene.draw.number())) % steps.unsigned_abs().max(1);
    i128::from(lowest) * unit + i128::try_from(drawn).unwrap_or_default()
}

/// The ends of the range, with as many decimals as there can be.
pub(super) fn give_extreme(scene: &mut Scene<'_>) -> Option<Plan> {
    let (client, agent) = client_and_unknown_agent(scene)?;
    let value = scene.draw.pick(&[MAX_VALUE, -MAX_VALUE, MAX_VALUE - 1, -1, 0])?;
    let decimals = scene.draw.pick(&[0, 18])?;
    let feedback =
        Feedback { value, decimals, tags: [b"extreme", b""], endpoint: b"", uri: String::new(), hash: B256::ZERO };
    Some(plan(scene, client, &agent, feedback))
}

/// Tags and an endpoint that are no text (F45, F46).
pub(super) fn give_hostile(scene: &mut Scene<'_>) -> Option<Plan> {
    let (client, agent) = client_and_agent(scene)?;
    let tags =
        scene.draw.pick(&[[&b"nul\0tag"[..], b"\xff\xfe"], [b"starred\0", b"' OR 1=1 --"], [b"\xed\xa0\x80", b"%"]])?;
    let feedback =
        Feedback { value: 1, decimals: 0, tags, endpoint: b"\0", uri: "ar://\u{202e}".into(), hash: B256::ZERO };
    Some(plan(scene, client, &agent, feedback))
}

pub(super) fn revoke(scene: &mut Scene<'_>) -> Option<Plan> {
    let standing: Vec<_> = scene.world.feedback.iter().filter(|feedback| !feedback.is_revoked).copied().collect();
    let feedback = scene.draw.pick(&standing)?;
    let call = Reputation::revokeFeedbackCall { agentId: feedback.agent, feedbackIndex: feedback.index };
    let subject = Subject::Feedback(feedback.agent, feedback.client, feedback.index);
    Some(Plan::call(feedback.client, scene.deployment.reputation, &call, subject))
}

/// Anybody answers, the agent's owner and revoked feedback included.
pub(super) fn respond(scene: &mut Scene<'_>) -> Option<Plan> {
    let all: Vec<_> = scene.world.feedback.iter().copied().collect();
    let feedback = scene.draw.pick(&all)?;
    let responder = scene.person()?;
    let uri = format!("ipfs://{}", cid(scene.draw));
    let call = Reputation::appendResponseCall {
        agentId: feedback.agent,
        clientAddress: feedback.client,
        feedbackIndex: feedback.index,
        responseHash: keccak256(&uri),
        responseURI: uri,
    };
    let subject = Subject::Feedback(feedback.agent, feedback.client, feedback.index);
    Some(Plan::call(responder, scene.deployment.reputation, &call, subject))
}

/// Some agents are known by all: theirs is the reputation that grows.
fn client_and_known_agent(scene: &mut Scene<'_>) -> Option<(Address, Agent)> {
    if !scene.draw.one_in(ONE_ABOUT_THE_BEST_KNOWN_IN) {
        return client_and_agent(scene);
    }
    let agent = scene.agent(|agent| agent.id < U256::from(BEST_KNOWN))?;
    Some((client_of(scene, &agent)?, agent))
}

/// What is far out of range is said about agents whose averages nobody looks at.
fn client_and_unknown_agent(scene: &mut Scene<'_>) -> Option<(Address, Agent)> {
    let client = scene.person()?;
    let agent = scene.agent(|agent| agent.owner != client && agent.id >= U256::from(BEST_KNOWN))?;
    Some((client, agent))
}

/// Anybody but its owner.
fn client_of(scene: &mut Scene<'_>, agent: &Agent) -> Option<Address> {
    let others: Vec<Address> = scene.cast.people.iter().copied().filter(|person| *person != agent.owner).collect();
    scene.draw.pick(&others)
}

/// Nobody may rate an agent of its own.
fn client_and_agent(scene: &mut Scene<'_>) -> Option<(Address, Agent)> {
    let client = scene.person()?;
    let agent = scene.agent(|agent| agent.owner != client)?;
    Some((client, agent))
}

/// A feedback file in the URI, elsewhere, or none; with its hash where the standard wants one.
fn file(scene: &mut Scene<'_>, agent: &Agent, client: Address, value: i128, decimals: u8) -> (String, B256) {
    match scene.draw.below(4) {
        0 => {
            let file = json!({
                "agentRegistry": format!("eip155:{CHAIN_ID}:{}", scene.deployment.identity),
                "agentId": agent.id.to_string(),
                "clientAddress": format!("eip155:{CHAIN_ID}:{client}"),
                "value": value.to_string(),
                "valueDecimals": decimals,
                "a2a": {"skills": ["negotiation"], "taskId": format!("task-{}", scene.draw.below(1_000))},
            })
            .to_string();
            (format!("data:application/json;base64,{}", STANDARD.encode(&file)), keccak256(file))
        }
        1 => (format!("ipfs://{}", cid(scene.draw)), B256::ZERO),
        2 => ("https://client.example/feedback.json".into(), scene.draw.hash()),
        _ => (String::new(), B256::ZERO),
    }
}

/// The ABI encodes a string like bytes, so that a tag can be anything.
fn plan(scene: &Scene<'_>, client: Address, agent: &Agent, feedback: Feedback<'_>) -> Plan {
    let bytes = Bytes::copy_from_slice;
    let arguments = (
        agent.id,
        feedback.value,
        u16::from(feedback.decimals),
        bytes(feedback.tags[0]),
        bytes(feedback.tags[1]),
        bytes(feedback.endpoint),
        bytes(feedback.uri.as_bytes()),
        feedback.hash,
    );
    let data = [Reputation::giveFeedbackCall::SELECTOR.as_slice(), &arguments.abi_encode_params()].concat();
    // The index of the next feedback depends on this one, but nothing that is planned does.
    let call = Call::new(client, scene.deployment.reputation, data);
    Plan { calls: vec![call], subjects: vec![Subject::Agent(agent.id)] }
}
