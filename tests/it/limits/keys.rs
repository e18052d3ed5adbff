//! API keys as their operator and their holders meet them.

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cli::{USAGE, refused};
use crate::ops::support::{ends, sum};
use crate::subscriptions::support::{Client, Said};
use crate::support::postgres::{TestDatabase, connect};
use crate::support::program::{Answer, Meikan, Site, config, meikan};
use crate::support::tables::texts;

const OWNER: &str = "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";

/// A program on a database whose schema is up to date.
struct Operator {
    database: TestDatabase,
    config: String,
}

impl Operator {
    async fn start() -> Self {
        let config = format!("{}\n[limits]\nkey_cache_seconds = 1\n", config(&["http://127.0.0.1:1"]));
        let operator = Self { database: TestDatabase::create().await, config };
        assert_eq!(operator.program(&["migrate"]).end().await.code, Some(0));
        operator
    }

    fn program(&self, arguments: &[&str]) -> Meikan {
        meikan(arguments).config(&self.config).database(self.database.url())
    }

    /// What a command prints.
    async fn says(&self, arguments: &[&str]) -> String {
        let ended = self.program(arguments).end().await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended.stdout
    }

    /// A new key: the whole of it, and its id.
    async fn key(&self, tier: &str) -> (String, String) {
        let printed = self.says(&["key", "create", "--tier", tier, "--owner", OWNER]).await;
        let key = printed.trim().to_owned();
        let id = key.strip_prefix("mk_").and_then(|rest| rest.split('_').next()).expect("mk_<id>_<secret>").to_owned();
        (key, id)
    }
}

async fn ask_with(site: &Site, authorization: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("authorization", authorization)];
    let body = json!({ "query": "{ __typename }" }).to_string();
    site.request(Method::POST, "/graphql", &headers, body).await.expect("the node answers")
}

fn code(answer: &Answer) -> Value {
    answer.json()["errors"][0]["extensions"]["code"].clone()
}

#[tokio::test]
async fn a_key_is_shown_once_holds_until_it_is_revoked_and_is_kept_as_a_hash() {
    let operator = Operator::start().await;
    let ((key, id), (other, other_id)) = (operator.key("pro").await, operator.key("free").await);
    let listed = operator.says(&["key", "list"]).await;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    for words in [&id, "pro", &OWNER.to_lowercase(), &other_id, "free"] {
        assert!(listed.contains(words), "{words} is missing: {listed}");
    }
    let secret = key.rsplit_once(&format!("{id}_")).unwrap().1;
    let client = connect(operator.database.url()).await;
    let rows = texts(&client, "SELECT to_jsonb(k)::text FROM api_key k").await.concat();
    assert!(!rows.contains(secret) && !listed.contains(secret), "{rows} {listed}");

    let mut running = operator.program(&["serve"]).env("RUST_LOG", "trace").start();
    let site = running.site().await;
    for authorization in [format!("Bearer {key}"), format!("bearer {other}")] {
        assert_eq!(ask_with(&site, &authorization).await.json()["data"]["__typename"], "Query");
    }
    let revoked = operator.says(&["key", "revoke", &id]).await;
    assert!(revoked.starts_with(&id) && !revoked.trim_end().ends_with('-'), "{revoked}");
    assert_eq!(operator.says(&["key", "revoke", &id]).await, revoked, "it was revoked once");
    // It is remembered for a second.
    let deadline = std::time::Instant::now() + crate::support::program::PATIENCE;
    let refused = loop {
        let answer = ask_with(&site, &format!("Bearer {key}")).await;
        if answer.status != 200 {
            break answer;
        }
        assert!(std::time::Instant::now() < deadline, "a revoked key holds for ever");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!((refused.status, code(&refused)), (401, json!("UNAUTHENTICATED")), "{refused:?}");
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    assert_eq!(ask_with(&site, &format!("Bearer {other}")).await.status, 200, "the other one holds");
    let metrics = site.get("/metrics").await.body;
    assert!(sum(&metrics, "auth_failures_total", "reason=\"revoked\"") >= 1.0, "{metrics}");
    let ended = ends(running, Signal::TERM, 143).await;
    assert!(!ended.stderr.contains(secret), "the log tells the secret");
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_counted() {
    let operator = Operator::start().await;
    let (key, id) = operator.key("enterprise").await;
    let mut running = operator.program(&["serve"]).start();
    let site = running.site().await;
    let forged = key.replace(&id, "0123456789ab");
    let other = if key.ends_with('A') { "E" } else { "A" };
    let guessed = format!("{}{other}", &key[..key.len() - 1]);
    for (authorization, reason) in [
        (String::new(), "malformed"),
        ("Basic dXNlcjpzZWNyZXQ=".into(), "malformed"),
        (format!("Bearer {key}x"), "malformed"),
        (format!("Bearer {forged}"), "unknown"),
        (format!("Bearer {guessed}"), "unknown"),
    ] {
        let count = |text: &str| sum(text, "auth_failures_total", &format!("reason=\"{reason}\""));
        let before = count(&site.get("/metrics").await.body);
        let answer = ask_with(&site, &authorization).await;
        assert_eq!((answer.status, code(&answer)), (401, json!("UNAUTHENTICATED")), "{authorization}: {answer:?}");
        assert!(answer.json()["data"].is_null());
        assert!(count(&site.get("/metrics").await.body) > before, "{authorization}");
    }
    // Whoever shows nothing reads, and so does who shows the key.
    assert_eq!(site.ask("{ __typename }").await.status, 200);
    assert_eq!(ask_with(&site, &format!("Bearer {key}")).await.status, 200);
    ends(running, Signal::TERM, 143).await;
}

#[tokio::test]
async fn a_key_that_cannot_be_looked_up_is_not_taken() {
    let operator = Operator::start().await;
    let (key, _) = operator.key("free").await;
    let mut running = operator.program(&["serve"]).start();
    let site = running.site().await;
    assert_eq!(ask_with(&site, &format!("Bearer {key}")).await.status, 200);
    let client = connect(operator.database.url()).await;
    client.batch_execute("ALTER TABLE api_key RENAME TO gone").await.unwrap();
    let deadline = std::time::Instant::now() + crate::support::program::PATIENCE;
    let refused = loop {
        let answer = ask_with(&site, &format!("Bearer {key}")).await;
        if answer.status != 200 {
            break answer;
        }
        assert!(std::time::Instant::now() < deadline, "a key is believed for ever");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!((refused.status, code(&refused)), (503, json!("UNAVAILABLE")), "{refused:?}");
    assert!(!refused.body.contains("api_key"), "{refused:?}");
    // Nobody needs a key to read.
    assert_eq!(site.ask("{ __typename }").await.status, 200);
    client.batch_execute("ALTER TABLE gone RENAME TO api_key").await.unwrap();
    assert_eq!(ask_with(&site, &format!("Bearer {key}")).await.status, 200, "a failure is not remembered");
    ends(running, Signal::TERM, 143).await;
}

#[tokio::test]
async fn a_socket_shows_its_key_in_its_first_message() {
    let operator = Operator::start().await;
    let (key, id) = operator.key("free").await;
    let mut running = operator.program(&["serve"]).start();
    let site = running.site().await;
    let address = format!("http://{}", site.address());
    for (payload, taken) in [
        (json!({ "authorization": format!("Bearer {key}") }), true),
        (json!({ "Authorization": format!("Bearer {key}") }), true),
        (json!({ "authorization": "Bearer mk_0" }), false),
        (json!({ "authorization": 7 }), false),
        (json!({ "other": 7 }), true),
        (Value::Null, true),
    ] {
        let mut client = Client::open(&address, "/graphql", "graphql-transport-ws").await;
        client.say(&json!({ "type": "connection_init", "payload": payload })).await;
        let expected = if taken { Said::Json(json!({ "type": "connection_ack" })) } else { Said::Closed(4403) };
        assert_eq!(client.hear().await, expected, "{payload}");
    }
    // One that is revoked ends the connection with one of the next pings.
    let mut client = Client::open(&address, "/graphql", "graphql-transport-ws").await;
    client.say(&json!({ "type": "connection_init", "payload": { "authorization": format!("Bearer {key}") } })).await;
    assert_eq!(client.hear().await, Said::Json(json!({ "type": "connection_ack" })));
    operator.says(&["key", "revoke", &id]).await;
    assert_eq!(client.hear().await, Said::Closed(4403));
    let (key, _) = operator.key("free").await;
    let with = async |authorization: &str| Client::refused(&address, &[("authorization", authorization)]).await;
    assert_eq!(with(&format!("Bearer {key}")).await, None);
    assert_eq!(with("Bearer mk_0").await, Some(401));
    ends(running, Signal::TERM, 143).await;
}

#[tokio::test]
async fn a_mistyped_order_about_keys_is_refused() {
    let operator = Operator::start().await;
    let (key, _) = operator.key("free").await;
    for (arguments, said) in [
        (&["key"][..], "--help"),
        (&["key", "create", "--tier", "gold", "--owner", OWNER], "'gold'"),
        (&["key", "create", "--tier", "free"], "--owner"),
        (&["key", "create", "--tier", "free", "--owner", "0x12"], "0x12"),
        (&["key", "revoke", "0123456789ab"], "there is no key 0123456789ab; `meikan key list` lists the ids"),
        (&["key", "revoke", &key], "an id has 12 hexadecimal digits"),
    ] {
        refused(operator.program(arguments), USAGE, &[said]).await;
    }
}
