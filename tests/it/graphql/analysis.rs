//! What analysts ask: how an agent's reputation developed, what a client gives, and which clients agents share.

use serde_json::{Value, json};

use super::support::{CHAIN, FIRST_BLOCK, History, Node, feedback, hex, revoked};
use crate::store::random::Random;

#[tokio::test]
async fn a_series_tells_each_interval_and_what_stood_at_its_end() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.pause = 6 * 3_600;
    history.block(vec![feedback(0, 10, 1, (90, 0), "starred"), feedback(0, 10, 2, (70, 0), "")]).await;
    history.block(vec![feedback(0, 11, 1, (20, 0), "starred"), feedback(0, 11, 2, (500, 0), "responseTime")]).await;
    history.block(vec![revoked(0, 10, 2)]).await;
    // The same index again: the first one no longer stands.
    history.block(vec![feedback(0, 11, 1, (40, 0), "starred")]).await;
    let fields = "start given revoked givenAverage givenMin givenMax active average clientCount perClientAverage";
    let series = async |arguments: &str| {
        let query = format!("{{ reputationSeries(agent: \"167000:0\", {arguments}) {{ {fields} }} }}");
        node.ask(&query).await["reputationSeries"].clone()
    };
    let day = |start: u64, given: Value, stood: Value| {
        json!({ "start": start.to_string(), "given": given[0], "revoked": given[1], "givenAverage": given[2],
            "givenMin": given[3], "givenMax": given[4], "active": stood[0], "average": stood[1],
            "clientCount": stood[2], "perClientAverage": stood[3] })
    };
    // The first block is at 22:16 on 14 November 2023.
    let (first, second) = (1_699_920_000, 1_700_006_400);
    let of_first = day(first, json!(["2", "0", "80", "70", "90"]), json!(["2", "80", "1", "80"]));
    let of_second = day(second, json!(["2", "1", "30", "20", "40"]), json!(["2", "65", "2", "65"]));
    assert_eq!(series("interval: DAY").await, json!([of_first, of_second]));
    assert_eq!(series(&format!("interval: DAY, since: \"{second}\"")).await, json!([of_second]));
    assert_eq!(series(&format!("interval: DAY, until: \"{}\"", second - 1)).await, json!([of_first]));
    let week = series("interval: WEEK").await;
    assert_eq!((&week[0]["start"], week.as_array().unwrap().len()), (&json!("1699833600"), 1), "from Monday");
    let times = series("interval: HOUR, tag1: \"responseTime\"").await;
    assert_eq!((times.as_array().unwrap().len(), &times[0]["average"]), (1, &json!("500")));
    let then = series(&format!("interval: DAY, block: {{ number: {} }}", FIRST_BLOCK + 1)).await;
    assert_eq!((&then[1]["active"], &then[1]["average"]), (&json!("3"), &json!("60")));
}

#[tokio::test]
async fn what_stood_at_the_end_of_an_interval_is_the_reputation_as_of_then() {
    stood_as_told_then(256).await;
}

#[tokio::test]
async fn f71_a_series_of_milestones_is_the_reputation_as_of_the_end_of_each_interval() {
    stood_as_told_then(2).await;
}

/// Who has so much feedback has milestones.
async fn stood_as_told_then(hot_feedback: u32) {
    let node = Node::start().await;
    node.set_hot_feedback(hot_feedback).await;
    let (mut history, mut random) = (node.history(CHAIN).await, Random(9));
    history.pause = 1_200;
    let mut blocks = Vec::new();
    for _ in 0..40 {
        let events = (0..random.below(4)).map(|_| {
            let (client, index) = (10 + u8::try_from(random.below(3)).unwrap(), 1 + random.below(3));
            let tag = ["", "starred", "uptime"][usize::try_from(random.below(3)).unwrap()];
            match random.below(4) {
                0 => revoked(0, client, index),
                _ => feedback(0, client, index, (random.below(120).into(), 0), tag),
            }
        });
        blocks.push(history.block(events.collect()).await);
        history.finalized = blocks.last().copied();
    }
    let query = "{ reputationSeries(agent: \"167000:0\", interval: HOUR) { start active average clientCount perClientAverage } }";
    let series = node.ask(query).await["reputationSeries"].as_array().unwrap().clone();
    assert!(series.len() > 8, "{series:?}");
    for point in series {
        let end = point["start"].as_str().unwrap().parse::<u64>().unwrap() + 3_600;
        let time = |block: u64| History::time(block) + 1_200 * (block - FIRST_BLOCK);
        let last = blocks.iter().rev().find(|block| time(**block) < end).unwrap();
        let query = format!(
            "{{ agentReputation(id: \"167000:0\", block: {{ number: {last} }}) {{ ratings average raters perClientAverage }} }}"
        );
        let stood = node.ask(&query).await["agentReputation"].clone();
        let expected = json!({ "start": point["start"], "active": stood["ratings"], "average": stood["average"],
            "clientCount": stood["raters"], "perClientAverage": stood["perClientAverage"] });
        assert_eq!(point, expected, "at block {last}");
    }
}

#[tokio::test]
async fn a_client_shows_by_how_far_it_is_from_the_others() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(vec![feedback(0, 10, 1, (100, 0), "starred"), feedback(0, 10, 2, (90, 0), "starred")]).await;
    let at = history.block(vec![feedback(0, 11, 1, (50, 0), "starred"), feedback(0, 12, 1, (60, 0), "")]).await;
    history.block(vec![feedback(1, 10, 1, (80, 0), ""), feedback(2, 10, 1, (7, 0), "uptime"), revoked(2, 10, 1)]).await;
    let fields = "given revoked agents firstAt lastAt averageDeviation rows { agent count average othersCount othersAverage \
                  deviation }";
    let report = async |arguments: &str| {
        let query = format!("{{ clientReport(client: \"{}\"{arguments}) {{ {fields} }} }}", hex(10));
        node.ask(&query).await["clientReport"].clone()
    };
    let praised = json!({ "agent": "167000:0", "count": "2", "average": "95", "othersCount": "2", "othersAverage": "55",
        "deviation": "40" });
    let alone = json!({ "agent": "167000:1", "count": "1", "average": "80", "othersCount": "0", "othersAverage": null,
        "deviation": null });
    let expected = json!({ "given": "4", "revoked": "1", "agents": "3", "firstAt": "1700000200", "lastAt": "1700000204",
        "averageDeviation": "40", "rows": [praised, alone] });
    assert_eq!(report("").await, expected);
    let pinned = report(&format!(", first: 1, block: {{ number: {at} }}")).await;
    assert_eq!((&pinned["given"], &pinned["rows"]), (&json!("2"), &json!([praised])));
    assert_eq!(report(", tag1: \"uptime\"").await["rows"], json!([]), "what is revoked says nothing");
    let nobody =
        node.ask(&format!("{{ clientReport(client: \"{}\") {{ given firstAt rows {{ agent }} }} }}", hex(99))).await;
    assert_eq!(nobody["clientReport"], json!({ "given": "0", "firstAt": null, "rows": [] }));
}

#[tokio::test]
async fn agents_that_are_rated_by_the_same_crowd_show_it() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let rated = |agent, client: u8| feedback(agent, client, 1, (i128::from(client), 0), "starred");
    history
        .block((10..14).map(|client| rated(0, client)).chain((12..17).map(|client| rated(1, client))).collect())
        .await;
    history.block(vec![feedback(1, 12, 2, (20, 0), "starred")]).await;
    let query = "{ clientOverlap(agent: \"167000:0\", other: \"167000:1\") { clients otherClients shared jaccard \
                 rows { client count average otherCount otherAverage } } }";
    let row = |client: u8, average: &str, other_count: &str, other_average: &str| {
        json!({ "client": hex(client), "count": "1", "average": average, "otherCount": other_count,
            "otherAverage": other_average })
    };
    let overlap = node.ask(query).await["clientOverlap"].clone();
    let rows = json!([row(12, "12", "2", "16"), row(13, "13", "1", "13")]);
    assert_eq!(overlap["rows"], rows);
    let counts = ["clients", "otherClients", "shared"].map(|field| overlap[field].as_str().unwrap());
    assert_eq!(counts, ["4", "5", "2"]);
    assert!(overlap["jaccard"].as_str().unwrap().starts_with("0.285714"), "{overlap}");
}

#[tokio::test]
async fn an_older_voice_counts_less_in_the_decayed_average() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.pause = 3_598;
    for value in [0, 100, 100] {
        history.block(vec![feedback(0, 10, 1 + u64::from(history.salt), (value, 0), "starred")]).await;
        history.salt += 1;
    }
    let decayed = async |hours: i64| {
        let query = format!(
            "{{ reputationSummary(agent: \"167000:0\", halfLifeHours: {hours}) {{ average decayedAverage }} }}"
        );
        node.ask(&query).await["reputationSummary"].clone()
    };
    // Weights 1/4, 1/2 and 1.
    let one = decayed(1).await["decayedAverage"].as_str().unwrap().parse::<f64>().unwrap();
    assert!((one - 150.0 / 1.75).abs() < 1e-9, "{one}");
    let long = decayed(1_000_000).await["decayedAverage"].as_str().unwrap().parse::<f64>().unwrap();
    assert!((long - 200.0 / 3.0).abs() < 1e-3, "{long}");
    let refused =
        node.answer("{ reputationSummary(agent: \"167000:0\", halfLifeHours: 0) { count } }", json!({})).await.error();
    assert_eq!((refused.0.as_str(), refused.1.contains("halfLifeHours")), ("BAD_INPUT", true), "{}", refused.1);
}
