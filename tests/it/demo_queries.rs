//! What the demo and GraphiQL tell people to try, asked of the demo's own data.

use std::sync::Arc;

use meikan::chain::Chain;
use meikan::demo::{self, CHAIN_ID, Options};
use meikan::follow::{Follower, Outcome};
use serde_json::{Value, json};

use crate::graphql::support::Node;

/// More steps than a chain of this length needs.
const MAX_STEPS: usize = 200;

/// A node that has followed a demo through its tour and a little further.
pub(crate) async fn node() -> Node {
    let mut demo = demo::start(Options::TEST).await.unwrap();
    while !demo.traffic.is_tour_over() {
        demo.traffic.step().await.unwrap();
    }
    for _ in 0..40 {
        demo.traffic.step().await.unwrap();
    }
    let node = Node::start().await;
    let network = demo.environment.network.clone();
    let chain = Chain::connect(&network).await.unwrap();
    node.store.register(&network, chain.genesis_hash()).await.unwrap();
    let writer = node.store.writer(CHAIN_ID).await.unwrap().expect("nobody else writes");
    let mut follower = Follower::new(&network, Arc::new(chain), writer);
    for _ in 0..MAX_STEPS {
        if matches!(follower.step().await.unwrap(), Outcome::AtHead) {
            return node;
        }
    }
    panic!("not at the head after {MAX_STEPS} steps");
}

/// The rows of a list, of which there must be some.
#[track_caller]
fn rows(value: &Value) -> &[Value] {
    value.as_array().filter(|rows| !rows.is_empty()).unwrap_or_else(|| panic!("no rows in {value}"))
}

#[tokio::test]
async fn every_sample_query_shows_what_it_says() {
    let node = node().await;
    let mut answers = Vec::new();
    for (what, query) in demo::sample_queries() {
        let data = node.ask(query).await;
        let root = data.as_object().and_then(|roots| roots.values().next().cloned()).unwrap();
        answers.push((*what, root));
    }
    let answer = |beginning: &str| {
        let found = answers.iter().find(|(what, _)| what.starts_with(beginning));
        &found.unwrap_or_else(|| panic!("no sample is about {beginning}")).1
    };
    for agent in rows(answer("the newest agents")) {
        assert!(agent["registrationFile"]["name"].is_string(), "{agent}");
    }
    for agent in rows(answer("the agents with the most feedback")) {
        assert_ne!(agent["totalFeedback"], json!("0"));
        rows(&agent["feedback"]);
    }
    let summary = answer("an agent's reputation");
    let count: u64 = summary["count"].as_str().unwrap().parse().unwrap();
    let average: f64 = summary["average"].as_str().unwrap().parse().unwrap();
    assert!(count > 0 && (0.0..=100.0).contains(&average), "{summary}");
    for feedback in rows(answer("feedback that was answered")) {
        rows(&feedback["responses"]);
    }
    for agent in rows(answer("agents that speak MCP")) {
        assert!(agent["registrationFile"]["mcpEndpoint"].is_string(), "{agent}");
    }
    assert_eq!(rows(answer("the newest of what is audited")).len(), 5);
    let intents = rows(answer("wallets' agents")).iter().flat_map(|agent| rows(&agent["intents"]));
    assert!(intents.clone().any(|intent| intent["findings"].as_array().is_some_and(|found| !found.is_empty())));
    assert!(intents.clone().any(|intent| intent["status"] != "CREATED"));
    assert_eq!(rows(answer("how far the node is"))[0]["lagBlocks"], 0);
    assert_eq!(answers.len(), 8, "a sample is not looked at here");
}

#[tokio::test]
async fn the_queries_that_graphiql_opens_with_are_answered() {
    let node = node().await;
    let all = include_str!("../../web/src/queries/all-networks.graphql");
    let one = include_str!("../../web/src/queries/one-network.graphql");
    for (path, query) in [("/graphql".to_owned(), all), (format!("/graphql/{CHAIN_ID}"), one)] {
        let data = node.post(&path, json!({ "query": query }).to_string()).await.data();
        let agents = rows(&data["agents"]);
        assert!(agents.iter().any(|agent| agent["registrationFile"]["name"].is_string()), "{data}");
        rows(&agents[0]["feedback"]);
        let block = if path == "/graphql" { &data["networks"][0]["indexed"] } else { &data["_meta"]["block"] };
        assert!(block["hash"].is_string(), "{data}");
    }
}
