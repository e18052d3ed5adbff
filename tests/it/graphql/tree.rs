//! An answer has the form of its query: names, order, fragments, and nothing that the schema excludes.

use alloy::primitives::{B256, U256};
use meikan::event::{Event, ExecutorEvent};
use serde_json::json;

use super::support::{CHAIN, Node, account, feedback, registered};
use crate::support::postgres::connect;

#[tokio::test]
async fn an_answer_has_the_names_and_the_order_of_its_query() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history
        .block([registered(0, 1, "a"), vec![feedback(0, 2, 1, (5, 0), "x"), feedback(0, 3, 1, (7, 0), "y")]].concat())
        .await;
    let query = "query Q($skipped: Boolean!) { \
          who: agents { __typename given: feedback(first: 1) { value } id ...Rest ... on Agent { id uri: agentURI } \
                        owner @skip(if: $skipped) given: feedback(first: 1) { tag1 agent { __typename agentId } } } } \
        fragment Rest on Agent { given: feedback(first: 1) { value isRevoked } all: feedback { tag1 } registrationFile { name } }";
    let body = json!({ "query": query, "variables": { "skipped": true } }).to_string();
    let request = reqwest::Client::new().post(format!("{}/graphql", node.address)).body(body);
    let text = request.header("content-type", "application/json").send().await.unwrap().text().await.unwrap();
    assert_eq!(
        text,
        "{\"data\":{\"who\":[{\"__typename\":\"Agent\",\"given\":[{\"value\":\"5\",\"isRevoked\":false,\"tag1\":\"x\",\
         \"agent\":{\"__typename\":\"Agent\",\"agentId\":\"0\"}}],\"id\":\"167000:0\",\"all\":[{\"tag1\":\"x\"},\
         {\"tag1\":\"y\"}],\"registrationFile\":null,\"uri\":\"a\"}]}}"
    );
    // Roots of one name are answered each, and what they give is one answer.
    let twice =
        "{ agents { id feedback { id } } agents { owner feedback { tag1 } } none: agent(id: \"167000:9\") { id } }";
    let data = node.ask(twice).await;
    assert_eq!((&data["none"], data["agents"].as_array().map(Vec::len)), (&json!(null), Some(1)), "{data}");
    let agent = &data["agents"][0];
    assert!(agent["id"].is_string() && agent["owner"].is_string(), "{data}");
    assert!(agent["feedback"][1]["id"].is_string() && agent["feedback"][1]["tag1"] == "y", "{data}");
}

#[tokio::test]
async fn what_the_schema_excludes_is_never_told() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let executed = ExecutorEvent::IntentExecuted { intent_id: B256::ZERO, executor: account(7), timestamp: U256::ZERO };
    history.block(vec![Event::Executor(executed)]).await;
    let query = "{ auditEntries { kind } }";
    assert_eq!(node.ask(query).await["auditEntries"][0]["kind"], "INTENT_EXECUTED");
    let client = connect(node.database.url()).await;
    client.batch_execute("UPDATE audit_event SET kind = 'HEARSAY'").await.unwrap();
    let answer = node.answer(query, json!({})).await;
    assert_eq!((answer.error().0.as_str(), &answer.body["data"]), ("INTERNAL", &json!(null)), "{}", answer.body);
    assert_eq!(answer.body["errors"][0]["path"], json!(["auditEntries"]));
}
