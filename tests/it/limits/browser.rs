//! What browsers may do: which origins read and connect, and what a response tells a browser to leave alone.

use meikan::config::Origins;
use reqwest::Method;
use serde_json::json;

use crate::graphql::support::{Answer, Node};
use crate::subscriptions::support::Client;

const OURS: &str = "https://app.example";
const THEIRS: &str = "https://evil.example";

async fn ask(node: &Node, method: Method, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    node.send(method, "/graphql", &headers, json!({ "query": "{ __typename }" }).to_string()).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn any_origin_reads_and_connects_unless_some_are_listed() {
    let node = Node::start().await;
    for origin in [&[][..], &[("origin", THEIRS)], &[("origin", "null")]] {
        let answer = ask(&node, Method::POST, origin).await;
        assert_eq!((answer.status, header(&answer, "access-control-allow-origin")), (200, Some("*")));
        assert_eq!(header(&answer, "vary"), None);
    }
    assert_eq!(Client::refused(&node.address, &[("origin", THEIRS)]).await, None);
}

#[tokio::test]
async fn where_origins_are_listed_no_other_one_reads_or_connects() {
    let origins = Origins::try_from(vec![OURS.to_owned(), "http://localhost:3000".to_owned()]).unwrap();
    let node = Node::with(|api| api.allowed_origins = origins).await;
    for (origin, leave) in [
        (&[][..], None),
        (&[("origin", OURS)], Some(OURS)),
        (&[("origin", "http://localhost:3000")], Some("http://localhost:3000")),
        (&[("origin", THEIRS)], None),
        (&[("origin", "null")], None),
        (&[("origin", "https://app.example.evil.example")], None),
        (&[("origin", "http://app.example")], None),
    ] {
        for method in [Method::POST, Method::OPTIONS] {
            let answer = ask(&node, method.clone(), origin).await;
            assert_eq!(header(&answer, "access-control-allow-origin"), leave, "{method} {origin:?}");
            assert_eq!(header(&answer, "vary"), Some("origin"));
        }
        // Who is no browser sends no origin.
        let refused = if origin.is_empty() || leave.is_some() { None } else { Some(403) };
        assert_eq!(Client::refused(&node.address, origin).await, refused, "{origin:?}");
    }
}

#[tokio::test]
async fn every_response_is_guarded() {
    let node = Node::start().await;
    for (method, path, accept) in [
        (Method::POST, "/graphql", "*/*"),
        (Method::POST, "/graphql/x", "*/*"),
        (Method::OPTIONS, "/graphql", "*/*"),
        (Method::GET, "/graphql", "text/html"),
        (Method::GET, "/graphql", "application/json"),
        (Method::GET, "/health", "*/*"),
        (Method::GET, "/metrics", "*/*"),
        (Method::GET, "/nothing", "*/*"),
    ] {
        let answer = node.send(method.clone(), path, &[("accept", accept)], String::new()).await;
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY")]
        {
            assert_eq!(header(&answer, name), Some(value), "{method} {path}");
        }
        let policy = header(&answer, "content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        // The page loads its own code.
        let is_page = accept != "*/*";
        assert_eq!(policy.contains("script-src 'self'"), is_page, "{method} {path}: {policy}");
    }
}
