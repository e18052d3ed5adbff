//! What feedback sums up to: of agents, of tags, ranked, and as of any block.

use serde_json::{Value, json};

use super::support::{CHAIN, FIRST_BLOCK, Node, feedback, hex, registered, responded, revoked};
use crate::store::random::Random;

#[tokio::test]
async fn a_reputation_tells_all_feedback_apart_from_ratings() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block([registered(0, 1, ""), registered(1, 1, "")].concat()).await;
    history.block(vec![feedback(0, 10, 1, (9_000, 2), "starred"), feedback(0, 10, 2, (40, 0), "")]).await;
    history.block(vec![feedback(0, 11, 1, (100, 0), "starred"), feedback(0, 11, 2, (250, 0), "responseTime")]).await;
    history.block(vec![revoked(0, 10, 2), responded(0, 11, 2, 3)]).await;
    let fields = "id given revoked active responses clientCount lastAt ratings raters average perClientAverage min max \
                  lastRating positive negative confidenceScore trustLevel trustReason finality agent { agentId }";
    let answer = node.ask(&format!("{{ agentReputations {{ {fields} }} }}")).await;
    let expected = json!({
        "id": "167000:0", "given": "4", "revoked": "1", "active": "3", "responses": "1", "clientCount": "2",
        "lastAt": "1700000204", "ratings": "2", "raters": "2", "average": "95", "perClientAverage": "95", "min": "90",
        "max": "100", "lastRating": "100", "positive": "2", "negative": "0", "confidenceScore": "59",
        "trustLevel": "FAIR", "trustReason": "2 ratings average 95: at least 60", "finality": "UNSAFE",
        "agent": { "agentId": "0" },
    });
    assert_eq!(answer["agentReputations"][0], expected);
    let nobody = &answer["agentReputations"][1];
    let shown = ["given", "ratings", "average", "min", "lastAt", "confidenceScore", "trustLevel", "trustReason"];
    let shown: Vec<&Value> = shown.iter().map(|field| &nobody[field]).collect();
    assert_eq!(
        json!(shown),
        json!(["0", "0", null, null, null, "50", "NEW", "no rating stands and no payment is linked"])
    );
    let tags = node
        .ask(
            "{ agent(id: \"167000:0\") { tagReputations(orderBy: average) { id tag1 given revoked active responses \
             clientCount average min max lastValue } } }",
        )
        .await;
    let tag = |id: &str, tag1: &str, counts: [&str; 5], values: Value| {
        json!({ "id": id, "tag1": tag1, "given": counts[0], "revoked": counts[1], "active": counts[2],
            "responses": counts[3], "clientCount": counts[4], "average": values, "min": values, "max": values,
            "lastValue": values })
    };
    let mut starred = tag("167000:0:starred", "starred", ["2", "0", "2", "0", "2"], json!("95"));
    starred["min"] = json!("90");
    starred["max"] = json!("100");
    starred["lastValue"] = json!("100");
    let timed = tag("167000:0:responseTime", "responseTime", ["1", "0", "1", "1", "1"], json!("250"));
    let untagged = tag("167000:0:", "", ["1", "1", "0", "0", "0"], Value::Null);
    assert_eq!(tags["agent"]["tagReputations"], json!([starred, timed, untagged]));
    let one = node.ask("{ tagReputation(id: \"167000:0:responseTime\") { average agent { id } } }").await;
    assert_eq!(one["tagReputation"], json!({ "average": "250", "agent": { "id": "167000:0" } }));
}

#[tokio::test]
async fn trust_is_graded_by_the_first_rule_that_fits() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let ratings: [&[i128]; 6] = [&[80; 10], &[90; 9], &[70; 5], &[60], &[59], &[100; 10]];
    for (agent, values) in (0_u64..).zip(ratings) {
        let given = (1_u64..).zip(values).map(|(index, value)| feedback(agent, 10, index, (*value, 0), "starred"));
        history.block(given.collect()).await;
    }
    history.block(vec![feedback(5, 11, 1, (1, 0), "payment_cycle"), feedback(0, 11, 1, (1, 0), "payment_cycle")]).await;
    history.block(vec![revoked(0, 11, 1)]).await;
    let levels = node.list("{ agentReputations { trustLevel } }", "agentReputations", "trustLevel").await;
    assert_eq!(levels, ["EXCELLENT", "GOOD", "GOOD", "FAIR", "POOR", "UNTRUSTED"]);
    let untrusted = node.list(
        "{ agentReputations(where: { trustLevel: UNTRUSTED }) { trustReason } }",
        "agentReputations",
        "trustReason",
    );
    assert_eq!(untrusted.await, ["feedback that stands names it in a payment cycle"]);
}

#[tokio::test]
async fn f67_a_leaderboard_is_paged_by_cursors_in_any_order() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    for agent in 0..5_u64 {
        let value = i128::from(20 * agent);
        let mut events = vec![feedback(agent, 10, 1, (value, 0), "starred"), feedback(agent, 10, 2, (1, 0), "uptime")];
        events.extend((0..agent).map(|client| feedback(agent, u8::try_from(client).unwrap() + 11, 1, (50, 0), "")));
        history.block(events).await;
    }
    history.block(vec![revoked(0, 10, 1)]).await;
    let ranked = async |arguments: &str| {
        let query = format!("{{ leaderboard{arguments} {{ agent {{ agentId }} cursor }} }}");
        let answer = node.ask(&query).await;
        let rows = answer["leaderboard"].as_array().unwrap().clone();
        let agents: Vec<String> = rows.iter().map(|row| row["agent"]["agentId"].as_str().unwrap().to_owned()).collect();
        (agents.join(" "), rows.last().map(|row| row["cursor"].as_str().unwrap().to_owned()))
    };
    assert_eq!(ranked("").await.0, "4 3 2 1", "by score; agent 0 has no rating that stands");
    assert_eq!(ranked("(orderBy: perClientAverage, orderDirection: asc)").await.0, "1 2 3 4");
    assert_eq!(ranked("(orderBy: clientCount, minClients: 3)").await.0, "4 3 2");
    assert_eq!(ranked("(minFeedback: 4, where: { negative_gt: 0 })").await.0, "");
    assert_eq!(ranked("(tag1: \"uptime\", orderDirection: asc)").await.0, "0 1 2 3 4");
    let (mut pages, mut after) = (Vec::new(), String::new());
    for _ in 0..2 {
        let (agents, cursor) = ranked(&format!("(first: 2{after})")).await;
        pages.push(agents);
        after = format!(", after: \"{}\"", cursor.unwrap());
    }
    assert_eq!(pages, ["4 3", "2 1"]);
    let (agents, _) = ranked("(block: { number: 102 })").await;
    assert_eq!(agents, "2 1 0", "as of a block before");
    let (agents, _) = ranked("(block: { number: 102 }, where: { _change_block: { number_gte: 102 } })").await;
    let (all, _) = ranked("(block: { number: 102 }, where: { _change_block: { number_gte: 0 } })").await;
    assert_eq!((agents.as_str(), all.as_str()), ("2", "2 1 0"), "whose standing changed in that block");
}

/// As of an earlier block too a page is read in its order: nobody ranks all agents for it.
#[tokio::test]
async fn f67_a_leaderboard_of_an_earlier_block_reads_its_page_and_not_all_agents() {
    const AGENTS: u64 = 1_000;
    const PAGES: u64 = 3;
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    // What one client says of every agent, the same for some of them; then the other way round.
    let score = |agent: u64, round: u64| i128::from(if round == 1 { agent / 20 } else { 50 - agent / 20 });
    for round in 1..=2 {
        let given = (0..AGENTS).map(|agent| feedback(agent, 10, round, (score(agent, round), 0), "starred"));
        history.block(given.collect()).await;
    }
    let ranked = async |after: &str| {
        let pin = format!("block: {{ number: {} }}", FIRST_BLOCK + 1);
        let query = format!("{{ leaderboard(first: 7, {pin}{after}) {{ agent {{ agentId }} cursor }} }}");
        node.ask(&query).await["leaderboard"].as_array().unwrap().clone()
    };
    let (mut agents, mut after) = (Vec::new(), String::new());
    for _ in 0..PAGES {
        let rows = ranked(&after).await;
        agents.extend(rows.iter().map(|row| row["agent"]["agentId"].as_str().unwrap().parse::<u64>().unwrap()));
        after = format!(", after: {}", rows.last().unwrap()["cursor"]);
    }
    assert_eq!(agents, (0..AGENTS).rev().take(21).collect::<Vec<_>>());
    drop(history);
    let query = format!("{{ leaderboard(first: 7, block: {{ number: {} }}) {{ score active }} }}", FIRST_BLOCK + 1);
    let read = node.rows_read("%", &query, 10).await;
    assert!(read / 10 < 200, "{} rows were read for a page of seven", read / 10);
}

/// Everything that sums feedback up, of agents 0 to 2.
fn all(block: Option<u64>) -> String {
    let pin = block.map_or(String::new(), |block| format!("block: {{ number: {block} }}"));
    let reputation =
        "given revoked active responses clientCount lastAt average perClientAverage min max positive negative";
    let tag = |tag1: &str| format!("tag1: \"{tag1}\"");
    let summary = |name: &str, agent: u64, tag1: &str| {
        format!(
            "{name}: reputationSummary(agent: \"167000:{agent}\", {tag1} {pin}) {{ count summaryValue \
             summaryValueDecimals average perClientAverage clientCount min max }}"
        )
    };
    format!(
        "{{ agentReputations(first: 9, {pin}) {{ id ratings raters lastRating confidenceScore trustLevel trustReason \
             {reputation} }} \
         tagReputations(first: 99, {pin}) {{ id tag1 lastValue {reputation} }} \
         ratings: leaderboard(first: 9, {pin}) {{ agent {{ id }} score average perClientAverage active positive lastAt }} \
         starred: leaderboard(first: 9, tag1: \"starred\", orderBy: clientCount, {pin}) {{ agent {{ id }} score }} \
         {} {} {} }}",
        summary("zero", 0, ""),
        summary("one", 1, &tag("starred")),
        summary("two", 2, &tag(""))
    )
}

#[tokio::test]
async fn what_feedback_sums_up_to_as_of_a_block_is_what_was_told_then() {
    sums_up_as_told_then(256).await;
}

#[tokio::test]
async fn what_much_feedback_sums_up_to_as_of_a_block_is_what_was_told_then() {
    sums_up_as_told_then(6).await;
}

/// Who has so much feedback has milestones.
async fn sums_up_as_told_then(hot_feedback: u32) {
    let node = Node::start().await;
    node.set_hot_feedback(hot_feedback).await;
    let (mut history, mut random) = (node.history(CHAIN).await, Random(4));
    history.pause = 300;
    let mut then: Vec<(u64, Value)> = Vec::new();
    for _ in 0..40 {
        let events = (0..random.below(4)).map(|_| {
            let agent = random.below(3);
            let (client, index) = (10 + u8::try_from(random.below(3)).unwrap(), 1 + random.below(4));
            let tag = ["", "starred", "starred", "uptime", "payment_cycle"][usize::try_from(random.below(5)).unwrap()];
            let value = [(0, 0), (85, 0), (9_977, 2), (-5, 0), (10_i128.pow(38), 18), (49, 0), (90, 0), (1, 0)];
            match random.below(6) {
                0 => revoked(agent, client, index),
                1 => responded(agent, client, index, 3),
                _ => feedback(agent, client, index, value[usize::try_from(random.below(8)).unwrap()], tag),
            }
        });
        let block = history.block(events.collect()).await;
        then.push((block, node.ask(&all(None)).await));
    }
    for (block, answer) in then.iter().step_by(3) {
        assert_eq!(node.ask(&all(Some(*block))).await, *answer, "as of {block}");
    }
    // Once versions are pruned, standings are counted from the facts, where there are milestones from those on.
    history.finalized = Some(then[35].0);
    history.block(vec![feedback(0, 12, 9, (7, 0), "starred"), feedback(1, 12, 9, (7, 0), "uptime")]).await;
    for (block, answer) in then.iter().step_by(2) {
        assert_eq!(node.ask(&all(Some(*block))).await, *answer, "as of {block}, counted");
    }
}

/// An agent with much feedback has milestones: whatever block is asked for, no more is read than follows one of them.
#[tokio::test]
async fn f71_an_earlier_block_takes_an_hour_of_feedback_and_not_all_of_it() {
    const ROUNDS: u64 = 60;
    let node = Node::start().await;
    node.set_hot_feedback(8).await;
    let mut history = node.history(CHAIN).await;
    history.pause = 600;
    for round in 1..=ROUNDS {
        let given = (10..20).map(|client| feedback(0, client, round, ((round % 100).into(), 0), "starred"));
        let mut events: Vec<_> = given.collect();
        events.extend((round > 9).then(|| revoked(0, 10, round - 9)));
        let block = history.block(events).await;
        history.finalized = Some(block);
    }
    let early = FIRST_BLOCK + 30;
    let query = format!(
        "{{ reputationSummary(agent: \"167000:0\", block: {{ number: {early} }}) {{ count average min max }} \
         agentReputation(id: \"167000:0\", block: {{ number: {early} }}) {{ given raters trustLevel }} \
         agent(id: \"167000:0\", block: {{ number: {early} }}) {{ totalFeedback lastActivity updatedAt }} \
         reputationSeries(agent: \"167000:0\", interval: HOUR) {{ start given active }} }}"
    );
    let answer = node.ask(&query).await;
    assert_eq!(answer["agentReputation"]["given"], json!("310"));
    assert_eq!(answer["agent"]["totalFeedback"], json!("288"));
    assert_eq!(answer["reputationSummary"]["count"], json!("288"));
    drop(history);
    let read = node.rows_read("feedback%", &query, 10).await;
    // Of ten clients who spoke since the last milestone, all that they had said by then: 31 each, and a few looked up.
    assert!(read / 10 < 1_500, "{} rows of feedback were read for an answer", read / 10);
}

#[tokio::test]
async fn a_kept_summary_is_the_summary_of_everybody() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let values = [(10_i128.pow(38), 0), (5, 18), (5, 18), (9_977, 2), (-87, 0)];
    let given = (0_u8..).zip(values).map(|(client, value)| feedback(0, 10 + client, 1, value, "starred"));
    history.block(given.collect()).await;
    let fields = "{ count summaryValue summaryValueDecimals average perClientAverage clientCount min max }";
    let clients: Vec<String> = (10..15).map(|client| format!("\"{}\"", hex(client))).collect();
    let query = format!(
        "{{ kept: reputationSummary(agent: \"167000:0\") {fields} \
         counted: reputationSummary(agent: \"167000:0\", clients: [{}]) {fields} }}",
        clients.join(", ")
    );
    let answer = node.ask(&query).await;
    assert_eq!(answer["kept"], answer["counted"]);
    assert_eq!(answer["kept"]["count"], json!("5"));
}
