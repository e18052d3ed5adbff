//! Limits by address, key and operation, and what a client is told of them.

use meikan::config::{Limits, Quota, TrustedProxies};
use meikan::key::{Tier, Token};
use reqwest::Method;
use serde_json::{Value, json};

use crate::graphql::support::{Answer, CHAIN, Node, account, registered};
use crate::subscriptions::support::{Client, Said, code};

const AGENTS: &str = "{ agents { id } }";

fn public(quota: Quota) -> Limits {
    Limits { public: quota, ..Limits::default() }
}

fn behind(proxies: &[&str], quota: Quota) -> Limits {
    let proxies: Vec<String> = proxies.iter().map(|proxy| (*proxy).to_owned()).collect();
    Limits { trusted_proxies: TrustedProxies::try_from(proxies).unwrap(), ..public(quota) }
}

async fn ask(node: &Node, query: &str, headers: &[(&str, &str)]) -> Answer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    node.send(Method::POST, "/graphql", &headers, json!({ "query": query }).to_string()).await
}

/// A header that is a whole number.
fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.headers.get(name).unwrap_or_else(|| panic!("no {name}: {:?}", answer.headers));
    value.to_str().unwrap().parse().unwrap_or_else(|_| panic!("{name} is {value:?}"))
}

/// Asserts that it was refused because of a limit, and that headers and body say when to ask again.
#[track_caller]
fn assert_limited(answer: &Answer, limit: u64) {
    assert_eq!((answer.status, answer.error().0.as_str()), (429, "RATE_LIMITED"), "{}", answer.body);
    let retry_after = number(answer, "retry-after");
    assert_eq!(answer.body["errors"][0]["extensions"]["retryAfter"], json!(retry_after));
    assert!((1..=3_661).contains(&retry_after), "{retry_after}");
    assert_eq!((number(answer, "x-ratelimit-limit"), number(answer, "x-ratelimit-remaining")), (limit, 0));
    assert_eq!(number(answer, "x-ratelimit-reset"), retry_after);
    assert_eq!(answer.body["data"], Value::Null);
}

#[tokio::test]
async fn an_address_has_so_many_requests_a_minute_and_is_told_how_many_are_left() {
    let node = Node::gated(public(Quota { requests_per_minute: 5, ..Quota::default() })).await;
    for left in (0..5).rev() {
        // Also what is wrong is a request.
        let answer = ask(&node, if left == 2 { "{ nonsense }" } else { AGENTS }, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!((number(&answer, "x-ratelimit-limit"), number(&answer, "x-ratelimit-remaining")), (5, left));
        assert!((1..=61).contains(&number(&answer, "x-ratelimit-reset")));
        assert!(answer.headers.get("retry-after").is_none());
    }
    let refused = ask(&node, AGENTS, &[]).await;
    assert_limited(&refused, 5);
    let exposed = refused.headers["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("x-ratelimit-remaining") && exposed.contains("retry-after"), "{exposed}");
    // What operators ask, and the page, have no limit.
    for (path, status) in [("/health", 200), ("/ready", 503), ("/metrics", 503), ("/graphql", 200)] {
        let answer = node.send(Method::GET, path, &[("accept", "text/html")], String::new()).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.headers.get("x-ratelimit-limit").is_none(), "{path}");
    }
}

#[tokio::test]
async fn without_a_limit_nothing_is_told_of_one() {
    let node = Node::start().await;
    let answer = ask(&node, AGENTS, &[]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("x-ratelimit")), "{:?}", answer.headers);
}

#[tokio::test]
async fn a_forged_header_changes_nothing() {
    let node = Node::gated(public(Quota { requests_per_minute: 3, ..Quota::default() })).await;
    for round in 0..3 {
        let forged = format!("198.51.100.{round}");
        assert_eq!(ask(&node, AGENTS, &[("x-forwarded-for", &forged)]).await.status, 200);
    }
    for forged in ["203.0.113.9", "127.0.0.2", "::1", "10.0.0.1, 203.0.113.9", "nonsense"] {
        assert_limited(&ask(&node, AGENTS, &[("x-forwarded-for", forged), ("x-real-ip", forged)]).await, 3);
    }
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_counts_for_itself_whatever_it_writes() {
    let quota = Quota { requests_per_minute: 2, ..Quota::default() };
    let node = Node::gated(behind(&["127.0.0.0/8", "10.0.0.0/8"], quota)).await;
    let from = async |forwarded: &str| ask(&node, AGENTS, &[("x-forwarded-for", forwarded)]).await;
    // The proxy puts its peer at the end of what the client wrote.
    for forged in ["", "203.0.113.1, "] {
        assert_eq!(from(&format!("{forged}198.51.100.7")).await.status, 200);
    }
    for forged in ["", "203.0.113.2, ", "10.0.0.1, 203.0.113.3,", "nonsense, "] {
        assert_limited(&from(&format!("{forged}198.51.100.7")).await, 2);
        assert_limited(&from(&format!("{forged}198.51.100.7, 10.1.2.3")).await, 2);
    }
    assert_eq!(from("198.51.100.8").await.status, 200, "another client");
    // A client of IPv6 has a whole network of addresses.
    assert_eq!(from("2001:db8:1:2::1").await.status, 200);
    assert_eq!(from("2001:db8:1:2:ffff::2").await.status, 200);
    assert_limited(&from("2001:db8:1:2::3").await, 2);
    assert_eq!(from("2001:db8:1:3::1").await.status, 200);
}

#[tokio::test]
async fn a_key_has_the_limits_of_its_tier_in_the_place_of_its_address() {
    let per_minute = |requests_per_minute| Quota { requests_per_minute, ..Quota::default() };
    let mut limits = Limits { key_cache_seconds: 600, ..public(per_minute(5)) };
    limits.tier.free = per_minute(2);
    limits.tier.pro = per_minute(4);
    let node = Node::gated(limits).await;
    for (tier, most) in [(Tier::Free, 2), (Tier::Free, 2), (Tier::Pro, 4)] {
        let token = Token::draw().unwrap();
        node.store.create_key(&token, tier, account(1)).await.unwrap();
        let authorization = format!("Bearer {}", token.reveal());
        let header = [("authorization", authorization.as_str())];
        for left in (0..most).rev() {
            let answer = ask(&node, AGENTS, &header).await;
            assert_eq!((answer.status, number(&answer, "x-ratelimit-remaining")), (200, left), "{}", answer.body);
        }
        assert_limited(&ask(&node, AGENTS, &header).await, most);
    }
    let token = Token::draw().unwrap();
    node.store.create_key(&token, Tier::Enterprise, account(1)).await.unwrap();
    for _ in 0..8 {
        let answer = ask(&node, AGENTS, &[("authorization", &format!("Bearer {}", token.reveal()))]).await;
        assert!(answer.status == 200 && answer.headers.get("x-ratelimit-limit").is_none(), "{}", answer.body);
    }
    // None of it was counted of the address.
    for _ in 0..5 {
        assert_eq!(ask(&node, AGENTS, &[]).await.status, 200);
    }
    assert_limited(&ask(&node, AGENTS, &[]).await, 5);
}

#[tokio::test]
async fn guesses_of_keys_are_limited_by_address() {
    let node = Node::gated(public(Quota { requests_per_minute: 3, ..Quota::default() })).await;
    let guess = async || {
        let authorization = format!("Bearer {}", Token::draw().unwrap().reveal());
        ask(&node, AGENTS, &[("authorization", &authorization)]).await
    };
    for _ in 0..3 {
        assert_eq!(guess().await.status, 401);
    }
    assert_limited(&guess().await, 3);
    assert_limited(&ask(&node, AGENTS, &[("authorization", "Bearer nonsense")]).await, 3);
}

#[tokio::test]
async fn lookups_and_searches_are_counted_by_root_and_answers_that_are_kept_too() {
    let node = Node::gated(public(Quota { lookups_per_hour: 6, ..Quota::default() })).await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    // Commits are heard of from now on: the same question is answered from what is kept.
    while node.store.state(None).is_none() {
        tokio::task::yield_now().await;
    }
    for left in [5, 4] {
        let answer = ask(&node, AGENTS, &[]).await;
        assert_eq!((answer.status, number(&answer, "x-ratelimit-remaining")), (200, left));
    }
    let two = ask(&node, "{ a: agents { id } b: agents { id owner } __typename _meta { cursor } }", &[]).await;
    assert_eq!((two.status, number(&two, "x-ratelimit-remaining")), (200, 2));
    // Three are more than are left, and take nothing.
    assert_eq!(ask(&node, "{ a: agents { id } b: agents { id } c: agents { id } }", &[]).await.status, 429);
    for _ in 0..2 {
        assert_eq!(ask(&node, AGENTS, &[]).await.status, 200);
    }
    assert_limited(&ask(&node, AGENTS, &[]).await, 6);
    let free = ask(&node, "{ __typename _meta { cursor } }", &[]).await;
    assert_eq!(free.status, 200, "what tells of the node is free: {}", free.body);
}

#[tokio::test]
async fn operations_of_a_socket_count_as_requests() {
    let quota = Quota { requests_per_minute: 4, lookups_per_hour: 2, ..Quota::default() };
    let node = Node::gated(public(quota)).await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    // The handshake is a request, too.
    let mut client = Client::connect(&node.address, "/graphql").await;
    client.subscribe("1", "subscription { agents(after: \"0\") { id } }").await;
    client.next("1").await;
    client.subscribe("2", AGENTS).await;
    client.next("2").await;
    assert_eq!(client.hear().await, Said::Json(json!({ "type": "complete", "id": "2" })));
    for _ in 0..2 {
        client.subscribe("3", AGENTS).await;
        let error = client.error("3").await;
        assert_eq!(code(&error), "RATE_LIMITED", "{error}");
        assert!(error["extensions"]["retryAfter"].as_u64() >= Some(1), "{error}");
    }
    assert_eq!(Client::refused(&node.address, &[]).await, Some(429));
}
