//! Series, reports of clients and what two agents share, as they must be answered.

use alloy::primitives::{U256, keccak256};
use serde_json::json;

use super::super::model::Model;
use super::super::model::standings::RATINGS;
use super::super::traffic::Cast;
use super::{Asker, agent_id, hex};

const QUESTION: &str = "query Q($at: Int!, $agent: ID!, $other: ID!, $client: Bytes!, $interval: ReputationInterval!) { \
    ratings: reputationSeries(agent: $agent, interval: $interval, block: { number: $at }) { ...Point } \
    starred: reputationSeries(agent: $agent, interval: $interval, tag1: \"starred\", block: { number: $at }) { ...Point } \
    clientReport(client: $client, first: 1000, block: { number: $at }) { given revoked agents firstAt lastAt averageDeviation \
        rows { agent count average othersCount othersAverage deviation } } \
    clientOverlap(agent: $agent, other: $other, first: 1000, block: { number: $at }) { clients otherClients shared jaccard \
        rows { client count average otherCount otherAverage } } } \
    fragment Point on ReputationPoint { start given revoked givenAverage givenMin givenMax active average clientCount \
        perClientAverage }";

/// The intervals, with their seconds, and how long before 1970 the first one began.
const INTERVALS: [(&str, (u64, u64)); 3] =
    [("HOUR", (3_600, 0)), ("DAY", (86_400, 0)), ("WEEK", (7 * 86_400, 3 * 86_400))];

/// Asserts that what is answered as of a block, of agents, a client and an interval that follow from it, is what the chain
/// says up to there.
pub(super) async fn assert_answers(asker: &Asker, block: u64, cast: &Cast, model: &Model) {
    let place = usize::try_from(block).expect("blocks are few");
    // Of those of whom something was said, if there are any.
    let mut agents: Vec<_> = model.feedback.given.keys().map(|(agent, ..)| *agent).collect();
    agents.dedup();
    let agent = |place: usize| agents.get(place % agents.len().max(1)).copied().unwrap_or((0, U256::ZERO));
    let (agent, other) = (agent(place), agent(place + 1));
    let clients: Vec<_> = model.clients().into_iter().collect();
    let client = clients.get(place % clients.len().max(1)).copied().unwrap_or_default();
    let (interval, seconds) = INTERVALS[place % INTERVALS.len()];
    let asked = json!({
        "at": block, "agent": agent_id(cast, agent), "other": agent_id(cast, other), "client": hex(client),
        "interval": interval,
    });
    let answer = asker.ask(QUESTION, asked).await;
    let starred = &keccak256("starred")[..16];
    for (root, expected) in [
        ("ratings", model.series(agent, RATINGS, seconds)),
        ("starred", model.series(agent, starred, seconds)),
        ("clientReport", model.report(client, RATINGS, |agent| agent_id(cast, agent))),
        ("clientOverlap", model.overlap(agent, other, RATINGS)),
    ] {
        assert_eq!(
            answer[root], expected,
            "{root} of {agent:?}, {other:?}, {client}, by {interval}, as of block {block}"
        );
    }
}
