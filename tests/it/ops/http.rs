//! Routes and headers: every answer has an id, may be read from anywhere, and has a status that is true.

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use super::support::{busy_chain, ends};
use crate::support::postgres::TestDatabase;
use crate::support::program::{config, meikan};

#[tokio::test]
async fn every_answer_has_an_id_and_may_be_read_from_anywhere() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(3));
    let text = config(&[&chain.url()]).replace("[api]", "[api]\nmax_body_bytes = 1000");
    let mut running = meikan(&["run"]).config(&text).database(database.url()).start();
    let site = running.site().await;
    site.indexed(3).await;
    let html = [("accept", "text/html")];
    for (method, path, headers, status) in [
        (Method::GET, "/health", &[][..], 200),
        (Method::GET, "/ready", &[], 200),
        (Method::GET, "/metrics", &[], 200),
        (Method::GET, "/graphql", &html, 200),
        (Method::GET, "/graphql/167000", &html, 200),
        (Method::GET, "/nothing/here", &[], 404),
        (Method::POST, "/health", &[], 405),
        (Method::POST, "/graphql/nonsense", &[], 404),
        (Method::POST, "/graphql", &[("content-type", "application/json")], 400),
        (Method::POST, "/graphql", &[], 415),
        (Method::OPTIONS, "/graphql", &[], 204),
    ] {
        let answer = site.request(method.clone(), path, headers, String::new()).await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{method} {path}");
        assert!(answer.header("x-request-id").len() >= 8, "{method} {path}: {answer:?}");
    }
    assert!(site.get("/nothing").await.body.contains("GraphQL is at /graphql"));

    let answer = site.ask("{ agents { id } }").await;
    assert_eq!((answer.status, answer.header("x-block")), (200, "167000=3"));
    let own = [("content-type", "application/json"), ("x-request-id", "my-own.id:1")];
    let question = json!({"query": "{ __typename }"}).to_string();
    let answer = site.request(Method::POST, "/graphql/167000", &own, question).await.unwrap();
    assert_eq!(answer.header("x-request-id"), "my-own.id:1");
    let long = json!({ "query": format!("{{ agents {{ id }} }} #{}", "x".repeat(1_000)) }).to_string();
    let answer = site.request(Method::POST, "/graphql", &own, long).await.unwrap();
    assert_eq!((answer.status, answer.json()["errors"][0]["extensions"]["code"].as_str()), (413, Some("TOO_LARGE")));
    ends(running, Signal::TERM, 143).await;
}
