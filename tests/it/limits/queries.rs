//! What a query may be: in which form it comes.

use reqwest::Method;
use serde_json::{Value, json};

use crate::graphql::support::Node;

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
