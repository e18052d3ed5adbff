//! Answers that are kept: worked out once, given again, and never after the news of a commit.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::support::{CHAIN, Node, feedback, registered, revoked};
use crate::store::random::Random;
use crate::support::postgres::connect;

const QUESTION: &str = "{ agents(first: 9) { id totalFeedback feedback(first: 3) { value isRevoked finality } } \
                         reputationSummary(agent: \"167000:0\") { count average } \
                         leaderboard(first: 5) { score agent { id } } }";

/// A node that keeps answers, and hears of commits.
async fn keeping() -> Node {
    Node::with(|api| api.cache_megabytes = 8).await
}

impl Node {
    /// Waits until commits are heard of, and for the first one behind a state, if one is named; tells the state.
    async fn state_after(&self, before: Option<i64>) -> i64 {
        loop {
            if let Some(state) = self.store.state(None)
                && before.is_none_or(|before| before < state)
            {
                return state;
            }
            tokio::task::yield_now().await;
        }
    }

    /// How many statements the answers to a question take.
    async fn statements(&self, query: &str, times: usize) -> (Vec<Value>, u64) {
        let before = self.store.query_statements();
        let answers = join_all((0..times).map(|_| self.ask(query))).await;
        (answers, self.store.query_statements() - before)
    }
}

#[tokio::test]
async fn f72_what_many_ask_at_a_time_is_worked_out_once_until_a_commit() {
    let node = keeping().await;
    let mut history = node.history(CHAIN).await;
    history.block([registered(0, 1, ""), vec![feedback(0, 2, 1, (80, 0), "starred")]].concat()).await;
    let first = node.state_after(None).await;
    let alone = "{ agents(first: 9) { id totalFeedback } }";
    let (_, one) = node.statements(alone, 1).await;
    let (answers, many) = node.statements(&format!("{alone} "), 30).await;
    assert!(one > 1 && many == one, "thirty at a time took {many} statements, one takes {one}");
    assert!(answers.iter().all(|answer| answer["agents"][0]["totalFeedback"] == json!("1")));
    assert_eq!(node.statements(alone, 5).await.1, 0, "it was kept");
    let kept = node.answer(alone, json!({})).await;
    assert_eq!(kept.headers["x-block"], "167000=100");

    history.block(vec![feedback(0, 3, 1, (90, 0), "starred")]).await;
    node.state_after(Some(first)).await;
    let (answers, again) = node.statements(alone, 5).await;
    assert_eq!(again, one);
    assert!(answers.iter().all(|answer| answer["agents"][0]["totalFeedback"] == json!("2")));
}

/// Whatever is committed, rewound or final: what is kept is what would be worked out.
#[tokio::test]
async fn f66_what_is_kept_is_what_would_be_answered() {
    let node = keeping().await;
    let (mut history, mut random) = (node.history(CHAIN).await, Random(7));
    let mut state = node.state_after(None).await;
    let mut seen = BTreeSet::new();
    for round in 0..40 {
        let events = (0..random.below(3)).flat_map(|_| {
            let (agent, client) = (random.below(3), 10 + u8::try_from(random.below(3)).unwrap());
            match random.below(5) {
                0 => registered(agent, client, "https://a.example"),
                1 => vec![revoked(agent, client, 1 + random.below(3))],
                _ => vec![feedback(agent, client, 1 + random.below(3), (random.below(120).into(), 0), "starred")],
            }
        });
        let events = events.collect();
        let tip = if round > 0 { history.tip() } else { 0 };
        if round % 7 == 6 {
            history.reorg(tip - random.below(2), events).await;
        } else {
            history.block(events).await;
        }
        if round % 5 == 4 && round % 7 != 6 {
            history.finalized = Some(history.tip() - 2);
        }
        state = node.state_after(Some(state)).await;
        // What nobody asked before to the letter is worked out.
        let expected = node.ask(&format!("{QUESTION} # {round}")).await;
        for _ in 0..2 {
            assert_eq!(node.ask(QUESTION).await, expected, "round {round}");
        }
        seen.insert(expected.to_string());
    }
    assert!(seen.len() > 20, "the answers differed: {}", seen.len());
}

/// A backfill of one network commits every second: whoever asks the address of another one has its answers as long as before.
#[tokio::test]
async fn a_commit_of_another_network_makes_no_answer_of_this_one_old() {
    let node = keeping().await;
    let (mut ours, mut other) = (node.history(CHAIN).await, node.history(CHAIN + 1).await);
    ours.block(registered(0, 1, "")).await;
    other.block(registered(0, 1, "")).await;
    let mut state = node.state_after(None).await;
    while ![CHAIN, CHAIN + 1].iter().all(|chain_id| node.store.state(Some((*chain_id).cast_signed())) > Some(0)) {
        state = node.state_after(Some(state)).await;
    }
    let body = json!({ "query": "{ agents { id } feedbacks { value } }" }).to_string();
    let asked = async |address: &str| {
        let before = node.store.query_statements();
        let answer = node.post(address, body.clone()).await;
        (answer.data(), node.store.query_statements() - before)
    };
    let (own, all) = (format!("/graphql/{CHAIN}"), "/graphql");
    let (first, _) = asked(&own).await;
    asked(all).await;
    assert_eq!((asked(&own).await, asked(all).await.1), ((first.clone(), 0), 0), "both are kept");

    other.block(vec![feedback(0, 2, 1, (90, 0), "starred")]).await;
    state = node.state_after(Some(state)).await;
    assert_eq!(asked(&own).await, (first.clone(), 0), "nothing of ours has changed");
    let (both, statements) = asked(all).await;
    assert!(statements > 0 && both["feedbacks"][0]["value"] == json!("90"), "the address of all has news: {both}");

    ours.block(vec![feedback(0, 2, 1, (80, 0), "starred")]).await;
    node.state_after(Some(state)).await;
    let (ours, statements) = asked(&own).await;
    assert!(statements > 0 && ours["feedbacks"][0]["value"] == json!("80"), "ours has news: {ours}");
}

#[tokio::test]
async fn errors_and_what_no_commit_tells_are_not_kept() {
    let node = keeping().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    node.state_after(None).await;
    for query in ["{ _meta { block { number } } }", "{ agents { id } networks { name } }"] {
        let (_, one) = node.statements(query, 1).await;
        assert_eq!(node.statements(query, 1).await.1, one, "{query}");
    }
    let wrong = "{ agents(block: { number: 100000 }) { id } }";
    for _ in 0..2 {
        assert_eq!(node.answer(wrong, json!({})).await.error().0, "NOT_YET_INDEXED");
    }
}

#[tokio::test]
async fn nothing_is_kept_while_commits_are_not_heard_of() {
    let node = keeping().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    node.state_after(None).await;
    let query = "{ agents { id } }";
    let (_, one) = node.statements(query, 1).await;
    assert_eq!(node.statements(query, 1).await.1, 0);
    // All that read are connected, whoever asks next.
    let readers = join_all((0..4).map(|_| node.store.read())).await;
    assert!(readers.iter().all(Result::is_ok));
    drop(readers);
    // Nobody can listen: the one who does is ended, and no other connection is let in.
    let name: String = {
        let client = connect(node.database.url()).await;
        client.query_one("SELECT current_database()", &[]).await.unwrap().get(0)
    };
    let client = connect(&node.database.url().replace(&name, "postgres")).await;
    client.batch_execute(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS FALSE")).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'LISTEN%'";
    assert_eq!(client.execute(end, &[&name]).await.unwrap(), 1);
    while node.store.state(None).is_some() {
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        assert_eq!(node.statements(query, 1).await.1, one, "worked out each time");
    }
    client.batch_execute(&format!("ALTER DATABASE \"{name}\" ALLOW_CONNECTIONS TRUE")).await.unwrap();
    node.state_after(None).await;
    node.ask(query).await;
    assert_eq!(node.statements(query, 1).await.1, 0, "kept again");
}
