//! Statistics by hour and day: agent0's aggregations in The Graph's dialect, and the churn of manifests.

use alloy::primitives::U256;
use meikan::event::{Event, IdentityEvent, Text};
use serde_json::{Value, json};

use super::support::{CHAIN, History, Node, account, feedback, registered, requested, revoked, validated};

/// An hour of the first block, and the day it is in, in microseconds since 1970.
const HOUR: u64 = 1_699_999_200_000_000;
const DAY: u64 = 1_699_920_000_000_000;
const MICROS_OF_HOUR: u64 = 3_600_000_000;

fn uri(agent: u64, uri: &str) -> Event {
    let (agent_id, new_uri) = (U256::from(agent), Text::from(uri));
    Event::Identity(IdentityEvent::URIUpdated { agent_id, new_uri, updated_by: account(1) })
}

/// What a history tells in one hour, in the next, and a day later.
fn steps() -> Vec<(u64, Vec<Event>)> {
    vec![
        (0, [registered(0, 1, "a"), registered(1, 2, "a")].concat()),
        (
            0,
            vec![feedback(0, 10, 1, (9977, 2), "starred"), feedback(1, 11, 1, (5, 0), "uptime"), requested(0, 5, 0x44)],
        ),
        (0, vec![]),
        (3_600, vec![revoked(0, 10, 1), validated(0, 5, 0x44, 80), uri(0, "b")]),
        (0, vec![uri(1, "b"), uri(0, "c"), validated(9, 5, 0x44, 0)]),
        (
            86_400,
            [vec![feedback(0, 10, 2, (-1, 0), "starred"), validated(1, 5, 0x55, 9)], registered(2, 1, "")].concat(),
        ),
        (0, registered(2, 1, "again")),
    ]
}

async fn told(history: &mut History) {
    for (later, events) in steps() {
        history.later += later;
        history.block(events).await;
    }
}

#[tokio::test]
async fn protocol_statistics_are_cumulative_and_begin_with_the_newest() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    told(&mut history).await;
    let query = "{ protocolFeedbackStats_collection(interval: hour, current: include, where: {protocol: \"167000\"}) \
         { timestamp protocol { id } feedbackCreated feedbackRevoked valueSum valueDeltaSum finality } \
         protocolAgentStats(interval: day, current: include) { timestamp agentRegistrations } \
         protocolValidationStats(interval: day, current: include) { validationRequests validationResponses scoreSum } }";
    let data = node.ask(query).await;
    let hour = |timestamp: u64, created: &str, revoked: &str, sum: &str, delta: &str| {
        json!({
            "timestamp": timestamp.to_string(), "protocol": { "id": "167000" }, "feedbackCreated": created,
            "feedbackRevoked": revoked, "valueSum": sum, "valueDeltaSum": delta, "finality": "UNSAFE",
        })
    };
    let expected = json!([
        hour(HOUR + 25 * MICROS_OF_HOUR, "3", "1", "103.77", "4"),
        hour(HOUR + MICROS_OF_HOUR, "2", "1", "104.77", "5"),
        hour(HOUR, "2", "0", "104.77", "104.77"),
    ]);
    assert_eq!(data["protocolFeedbackStats_collection"], expected);
    let day = |day: u64, count: &str| json!({ "timestamp": (DAY + day * 24 * MICROS_OF_HOUR).to_string(), "agentRegistrations": count });
    assert_eq!(data["protocolAgentStats"], json!([day(1, "3"), day(0, "2")]), "a second registration is none");
    // The answer that nobody asked for is not counted, so the second day has none.
    let expected = json!([{ "validationRequests": "1", "validationResponses": "2", "scoreSum": "80" }]);
    assert_eq!(data["protocolValidationStats"], expected);
}

/// The second answer names an agent that nobody ever saw: it is that of its request.
#[tokio::test]
async fn agents_have_statistics_of_their_own() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    told(&mut history).await;
    let query = "{ agentFeedbackStats(interval: day, current: include, where: {agent: \"167000:0\"}) { id timestamp \
         agent { id } protocol { id } feedbackCreated feedbackRevoked valueSum valueDeltaSum } \
         agentValidationStats(interval: hour, current: include, where: {agent: \"167000:0\"}) \
         { validationRequests validationResponses scoreSum } }";
    let data = node.ask(query).await;
    let day = |id: &str, day: u64, measures: [&str; 4]| {
        json!({
            "id": id, "timestamp": (DAY + day * 24 * MICROS_OF_HOUR).to_string(), "agent": { "id": "167000:0" },
            "protocol": { "id": "167000" }, "feedbackCreated": measures[0], "feedbackRevoked": measures[1],
            "valueSum": measures[2], "valueDeltaSum": measures[3],
        })
    };
    let expected =
        json!([day("105000000", 1, ["2", "1", "98.77", "-1"]), day("103000000", 0, ["1", "1", "99.77", "0"])]);
    assert_eq!(data["agentFeedbackStats"], expected);
    let hour = |requests: &str, responses: &str, sum: &str| json!({ "validationRequests": requests, "validationResponses": responses, "scoreSum": sum });
    assert_eq!(data["agentValidationStats"], json!([hour("1", "2", "80"), hour("1", "0", "0")]));
}

#[tokio::test]
async fn churn_is_counted_by_interval() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    told(&mut history).await;
    let query = "{ hours: flipChurns(interval: hour, current: include) { timestamp source flips suspiciousFlips \
         endpointChanges averageInterval } days: flipChurns(interval: day, current: include, where: {flips_gt: 1}) { flips } }";
    let data = node.ask(query).await;
    // Agent 0 after 3,606 and 2 seconds, agent 1 after 3,608; a day later a renewed registration.
    let expected = json!([
        {
            "timestamp": (HOUR + 25 * MICROS_OF_HOUR).to_string(), "source": "ONCHAIN", "flips": "1",
            "suspiciousFlips": "1", "endpointChanges": "1", "averageInterval": "2",
        },
        {
            "timestamp": (HOUR + MICROS_OF_HOUR).to_string(), "source": "ONCHAIN", "flips": "3", "suspiciousFlips": "1",
            "endpointChanges": "3", "averageInterval": "2405.33",
        },
    ]);
    assert_eq!(data["hours"], expected);
    assert_eq!(data["days"], json!([{ "flips": "3" }]));
}

#[tokio::test]
async fn the_interval_under_way_is_told_only_where_that_is_asked_for() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    told(&mut history).await;
    let stamps = |arguments: &'static str| {
        let (node, root) = (&node, "protocolFeedbackStats");
        async move { node.list(&format!("{{ {root}({arguments}) {{ timestamp }} }}"), root, "timestamp").await }
    };
    let [first, second, last] = [0, 1, 25].map(|hours| (HOUR + hours * MICROS_OF_HOUR).to_string());
    assert_eq!(stamps("interval: hour").await, [second.clone(), first.clone()]);
    assert_eq!(stamps("interval: hour, current: exclude, orderDirection: asc").await, [first.clone(), second.clone()]);
    assert_eq!(stamps("interval: hour, current: include, first: 1").await, [last]);
    assert_eq!(stamps("interval: hour, block: {number: 104}").await, std::slice::from_ref(&first), "as it was then");
    assert_eq!(
        stamps("interval: hour, where: {timestamp_lt: \"1700002800000000\"}").await,
        std::slice::from_ref(&first)
    );
    assert_eq!(stamps("interval: day").await, [DAY.to_string()]);
    // Written as a text, as agent0's examples have it.
    assert_eq!(stamps("interval: \"day\"").await, [DAY.to_string()]);
    let page = node.ask("{ protocolFeedbackStats(interval: hour, first: 1) { cursor } }").await;
    let cursor = page["protocolFeedbackStats"][0]["cursor"].as_str().unwrap();
    let next = format!("{{ protocolFeedbackStats(interval: hour, after: \"{cursor}\") {{ timestamp }} }}");
    assert_eq!(node.list(&next, "protocolFeedbackStats", "timestamp").await, [first]);
    let (code, message) = node.answer("{ protocolFeedbackStats { timestamp } }", json!({})).await.error();
    assert_eq!(code, "BAD_INPUT", "{message}");
    assert!(message.contains("interval"), "{message}");
}

/// Everything by both intervals.
fn all(block: Option<u64>) -> String {
    let pin = block.map_or(String::new(), |block| format!(", block: {{number: {block}}}"));
    let of = |root: &str, fields: &str| {
        let list =
            |name: &str, arguments: &str| format!("{name}_{root}: {root}({arguments}{pin}) {{ timestamp {fields} }} ");
        list("hours", "interval: hour, current: include") + &list("days", "interval: day")
    };
    let feedback = "feedbackCreated feedbackRevoked valueSum valueDeltaSum";
    let validations = "validationRequests validationResponses scoreSum";
    let roots = [
        ("protocolAgentStats", "agentRegistrations"),
        ("protocolFeedbackStats", feedback),
        ("agentFeedbackStats", feedback),
        ("protocolValidationStats", validations),
        ("agentValidationStats", validations),
        ("flipChurns", "flips suspiciousFlips endpointChanges averageInterval"),
    ];
    format!("{{ {} }}", roots.map(|(root, fields)| of(root, fields)).concat())
}

#[tokio::test]
async fn statistics_as_of_a_block_are_those_that_were_told_then() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let mut then: Vec<(u64, Value)> = Vec::new();
    for (later, events) in steps() {
        history.later += later;
        let block = history.block(events).await;
        then.push((block, node.ask(&all(None)).await));
    }
    for (block, answer) in &then {
        assert_eq!(node.ask(&all(Some(*block))).await, *answer, "as of {block}");
    }
    // A reorg into an hour leaves what the hour had added by then.
    for (block, answer) in then.iter().rev().skip(1).step_by(2) {
        history.reorg(*block, vec![]).await;
        assert_eq!(node.ask(&all(None)).await, *answer, "after a reorg down to {block}");
    }
}
