//! Limits that nodes share in Redis, and what becomes of them without it.

use super::redis::Redis;
use crate::support::fake_chain::FakeChain;
use crate::support::postgres::TestDatabase;
use crate::support::program::{CHAIN_ID, Meikan, config, meikan};

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
