//! What a query may be: how long, how renamed, in which form it comes, and named by its hash.

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::graphql::support::{CHAIN, Node, registered};
use crate::subscriptions::support::{Client, code};

#[tokio::test]
async fn a_query_with_too_many_aliases_or_tokens_is_refused_over_http_and_sockets() {
    let node = Node::with(|api| (api.max_aliases, api.max_tokens) = (3, 60)).await;
    let renamed = |count: usize| (0..count).map(|number| format!("a{number}: agents {{ id }} ")).collect::<String>();
    let long = |count: usize| format!("{{ agents {{ {} }} }}", "id ".repeat(count));
    let spread = "{ agents { ...F } feedbacks { agent { ...F } } } fragment F on Agent { a: id b: owner }".to_owned();
    let mut client = Client::connect(&node.address, "/graphql").await;
    for (query, refused) in [
        (format!("{{ {} }}", renamed(3)), None),
        (format!("{{ {} }}", renamed(4)), Some("more than 3 aliases")),
        (spread, Some("more than 3 aliases")),
        (long(55), None),
        (long(56), Some("more than 60 tokens")),
        // What cannot be parsed is not parsed.
        (format!("{} and not closed", "{ ".repeat(60)), Some("more than 60 tokens")),
    ] {
        let answer = node.answer(&query, json!({})).await;
        client.subscribe("1", &query).await;
        match refused {
            None => {
                answer.data();
                client.next("1").await;
                client.hear().await;
            }
            Some(said) => {
                let (told, message) = answer.error();
                assert!(told == "TOO_COMPLEX" && message.contains(said), "{query}: {message}");
                let error = client.error("1").await;
                assert_eq!((code(&error), error["message"].as_str()), ("TOO_COMPLEX", Some(message.as_str())));
            }
        }
    }
    // Comments and values in variables are no part of it.
    let filter = json!({ "ids": vec!["167000:1"; 500] });
    let query = format!("query($ids: [ID!]) {{ agents(where: {{ id_in: $ids }}) {{ id }} }} # {}", "x ".repeat(500));
    node.answer(&query, filter).await.data();
}

#[tokio::test]
async fn lists_of_queries_are_refused_by_name() {
    let node = Node::start().await;
    let one = json!({ "query": "{ __typename }" });
    for body in [json!([one]), json!([one, one]), json!([])] {
        let answer = node.post("/graphql", body.to_string()).await;
        assert_eq!((answer.status, answer.error().0.as_str()), (400, "BAD_INPUT"), "{body}");
        assert!(answer.error().1.contains("lists of queries are not taken"), "{}", answer.body);
    }
}

#[tokio::test]
async fn nothing_is_done_by_a_get_or_by_a_body_that_is_not_said_to_be_json() {
    let node = Node::start().await;
    let body = json!({ "query": "mutation { x }" }).to_string();
    for types in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "multipart/form-data; boundary=x")],
        &[("content-type", "application/jsonp")],
        &[("content-type", "text/plain; application/json")],
    ] {
        let answer = node.send(Method::POST, "/graphql", types, body.clone()).await;
        assert_eq!((answer.status, answer.error().0.as_str()), (415, "BAD_INPUT"), "{types:?}");
    }
    for query in ["mutation%20%7Bx%7D", "%7B__typename%7D"] {
        for accept in ["application/json", "text/html"] {
            let path = format!("/graphql?query={query}");
            let answer = node.send(Method::GET, &path, &[("accept", accept)], String::new()).await;
            assert_eq!(answer.body, Value::Null, "a GET is a page or nothing");
            assert_eq!(answer.status, if accept == "text/html" { 200 } else { 406 });
        }
    }
    let taken =
        node.send(Method::POST, "/graphql", &[("content-type", "Application/JSON ; charset=utf-8")], body).await;
    assert_eq!(taken.status, 200);
}

/// A request with the hash of a text, and the text where there is one.
fn persisted(hash: &str, query: Option<&str>, variables: &Value) -> Value {
    let mut request =
        json!({ "variables": variables, "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } });
    if let Some(query) = query {
        request["query"] = json!(query);
    }
    request
}

fn sha256(text: &str) -> String {
    alloy::hex::encode(Sha256::digest(text))
}

#[tokio::test]
async fn a_text_is_named_by_its_hash_once_it_was_sent() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block([registered(0, 1, "a"), registered(1, 2, "b")].concat()).await;
    let text = "query($agent: ID!) { agent(id: $agent) { agentURI } }";
    let ask = async |body: Value| node.post("/graphql", body.to_string()).await;
    let agent = |number: u64| json!({ "agent": format!("167000:{number}") });
    let unknown = ask(persisted(&sha256(text), None, &agent(0))).await;
    assert_eq!((unknown.status, unknown.error()), (200, ("NOT_FOUND".into(), "PersistedQueryNotFound".into())));
    let sent = ask(persisted(&sha256(text), Some(text), &agent(0))).await;
    assert_eq!(sent.data()["agent"]["agentURI"], "a");
    for (number, uri) in [(1, "b"), (0, "a")] {
        assert_eq!(ask(persisted(&sha256(text), None, &agent(number))).await.data()["agent"]["agentURI"], uri);
    }
    // Over a socket, too.
    let mut client = Client::connect(&node.address, "/graphql").await;
    let request = persisted(&sha256(text).to_uppercase(), None, &agent(1));
    client.say(&json!({ "type": "subscribe", "id": "1", "payload": request })).await;
    assert_eq!(client.next("1").await["agentURI"], "b");
}

#[tokio::test]
async fn a_hash_never_means_another_text() {
    let node = Node::start().await;
    let (text, other, wrong) = ("{ agents { id } }", "{ feedbacks { id } }", "{ agents {");
    let ask = async |body: Value| node.post("/graphql", body.to_string()).await.error();
    let (told, message) = ask(persisted(&sha256(text), Some(other), &json!({}))).await;
    assert!(told == "BAD_INPUT" && message.contains("sha256Hash"), "{message}");
    assert_eq!(ask(persisted(&sha256(text), None, &json!({}))).await.1, "PersistedQueryNotFound");
    // What cannot be answered is not kept.
    assert_eq!(ask(persisted(&sha256(wrong), Some(wrong), &json!({}))).await.0, "BAD_INPUT");
    assert_eq!(ask(persisted(&sha256(wrong), None, &json!({}))).await.1, "PersistedQueryNotFound");
    for named in [
        json!({ "version": 2, "sha256Hash": sha256(text) }),
        json!({ "version": 1, "sha256Hash": "00" }),
        json!({ "version": 1 }),
        json!("x"),
    ] {
        let (told, message) = ask(json!({ "query": text, "extensions": { "persistedQuery": named } })).await;
        assert!(told == "BAD_INPUT" && message.contains("persistedQuery"), "{message}");
    }
}
