//! Limits that nodes share in Redis, and what becomes of them without it.

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use super::redis::Redis;
use crate::ops::support::{ends, sum};
use crate::support::fake_chain::FakeChain;
use crate::support::postgres::TestDatabase;
use crate::support::program::{Answer, CHAIN_ID, Meikan, PATIENCE, Site, config, meikan};

/// Nodes on one database that share a Redis and five requests a minute.
struct Service {
    redis: Redis,
    database: TestDatabase,
    config: String,
}

impl Service {
    async fn start() -> Self {
        let (redis, database) = (Redis::start().await, TestDatabase::create().await);
        let config = format!(
            "{}[limits]\nredis_url = \"{}\"\nredis_timeout_ms = 20000\ntrusted_proxies = [\"127.0.0.1\"]\n\
             [limits.public]\nrequests_per_minute = 5\nlookups_per_hour = 100\n",
            config(&["http://127.0.0.1:1"]),
            redis.url()
        );
        let service = Self { redis, database, config };
        assert_eq!(service.program("migrate").end().await.code, Some(0));
        service
    }

    fn program(&self, command: &str) -> Meikan {
        meikan(&[command]).config(&self.config).database(self.database.url())
    }
}

async fn ask(site: &Site, client: &str) -> Answer {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", client)];
    let body = json!({ "query": "{ agents { id } }" }).to_string();
    site.request(Method::POST, "/graphql", &headers, body).await.expect("the node answers")
}

#[tokio::test]
async fn nodes_count_together_and_go_on_alone_while_redis_is_away() {
    let mut service = Service::start().await;
    let (mut one, mut other) = (service.program("serve").start(), service.program("serve").start());
    let (first, second) = (one.site().await, other.site().await);
    for (site, left) in [(&first, "4"), (&second, "3"), (&first, "2"), (&second, "1"), (&first, "0")] {
        let answer = ask(site, "192.0.2.1").await;
        assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, left), "{answer:?}");
    }
    for site in [&first, &second] {
        let refused = ask(site, "192.0.2.1").await;
        assert_eq!((refused.status, refused.header("x-ratelimit-limit")), (429, "5"), "{refused:?}");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=61).contains(&seconds), "{refused:?}");
        assert_eq!(ask(site, "192.0.2.2").await.status, 200, "another client");
        assert_eq!(sum(&site.get("/metrics").await.body, "rate_limit_fallbacks_total", ""), 0.0);
    }
    let held = service.redis.held().await;
    let names: Vec<&str> = held.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["ip:192.0.2.1", "ip:192.0.2.2", "lookups:ip:192.0.2.1", "lookups:ip:192.0.2.2"];
    assert_eq!(names, expected.map(|name| format!("meikan:limit:{name}")));
    assert!(held.iter().all(|(_, seconds)| (1..=3_660).contains(seconds)), "all of it goes by itself: {held:?}");

    service.redis.kill().await;
    // Each node counts for itself, from nothing; nobody is let through uncounted.
    for (running, site) in [(&mut one, &first), (&mut other, &second)] {
        for _ in 0..5 {
            assert_eq!(ask(site, "192.0.2.1").await.status, 200);
        }
        assert_eq!(ask(site, "192.0.2.1").await.status, 429);
        running.logged("the server of shared limits is away").await;
        let metrics = site.get("/metrics").await.body;
        assert!(sum(&metrics, "rate_limit_fallbacks_total", "") >= 6.0, "{metrics}");
        assert!(sum(&metrics, "rate_limit_hits_total", "kind=\"ip\"") >= 2.0, "{metrics}");
        assert_eq!(site.get("/health").await.status, 200);
    }

    service.redis.start_again().await;
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut client = 0;
    while service.redis.held().await.is_empty() {
        assert!(std::time::Instant::now() < deadline, "the nodes never come back:\n{}", one.log());
        client += 1;
        ask(&first, &format!("198.51.100.{}", client % 250)).await;
    }
    one.logged("the server of shared limits answers again").await;
    for running in [one, other] {
        let ended = ends(running, Signal::TERM, 143).await;
        let away = ended.stderr.lines().filter(|line| line.contains("server of shared limits is away"));
        assert_eq!(away.count(), 1, "it is told once: {ended:#?}");
    }
}

#[tokio::test]
async fn check_tells_whether_redis_answers() {
    let mut service = Service::start().await;
    let chain = FakeChain::new(CHAIN_ID);
    service.config = service.config.replace("http://127.0.0.1:1", &chain.url());
    let ended = service.program("check").end().await;
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let said = ended.stdout.lines().find(|line| line.contains("shared limits")).expect("it is told");
    assert!(said.starts_with("ok ") && said.contains(" is Redis "), "{said}");
    service.redis.kill().await;
    let ended = service.program("check").end().await;
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert!(ended.stdout.contains("failed  shared limits"), "{ended:#?}");
    assert!(ended.sentence().contains("look at limits.redis_url"), "{ended:#?}");
}
