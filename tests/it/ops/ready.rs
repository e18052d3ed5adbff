//! Readiness: green at the head, and otherwise red with the reason.

use rustix::process::Signal;
use serde_json::json;

use super::support::{ALWAYS, agents, busy_chain, ends, registered};
use crate::support::fake_chain::Fault;
use crate::support::postgres::TestDatabase;
use crate::support::program::{Answer, config, meikan};

#[tokio::test]
async fn ready_is_green_at_the_head_and_red_with_a_reason_otherwise() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(3));
    let text = config(&[&chain.url()]).replace("[api]", "[api]\nready_lag_seconds = 2");
    let migrated = meikan(&["migrate"]).config(&text).database(database.url()).end().await;
    assert_eq!(migrated.code, Some(0));
    let mut server = meikan(&["serve"]).config(&text).database(database.url()).start();
    let site = server.site().await;
    assert_eq!(site.get("/health").await.status, 200);
    let red = |said: &'static str| {
        move |answer: &Answer| answer.status == 503 && answer.json()["reasons"].to_string().contains(said)
    };
    site.until("/ready", red("no network has been followed into this database yet")).await;

    let follower = meikan(&["follow"]).config(&text).database(database.url()).start();
    let green = site.until("/ready", |answer| answer.status == 200).await;
    assert_eq!(green.json(), json!({"ready": true, "reasons": []}));

    follower.signal(Signal::KILL);
    follower.end().await;
    site.until("/ready", red("the chain was last seen")).await;
    site.until("/ready", red("is a follower running")).await;
    assert_eq!(site.get("/health").await.status, 200, "alive is not ready");
    ends(server, Signal::TERM, 143).await;
}

#[tokio::test]
async fn ready_turns_red_when_the_follower_or_the_chain_is_stuck() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(3));
    let text = config(&[&chain.url()]).replace("[api]", "[api]\nready_lag_blocks = 4\nready_lag_seconds = 3600");
    let mut running = meikan(&["run"]).config(&text).database(database.url()).start();
    let site = running.site().await;
    site.indexed(3).await;
    site.until("/ready", |answer| answer.status == 200).await;
    chain.endpoint().fail("eth_getLogs", ALWAYS, Fault::Error(-32_000, "not now".into()));
    chain.mine_empty(9);
    chain.mine([registered(99)]);
    let red = site.until("/ready", |answer| answer.status == 503).await;
    assert!(red.body.contains("test: 10 blocks behind, 4 are allowed"), "{red:?}");
    chain.endpoint().recover();
    site.until("/ready", |answer| answer.status == 200).await;
    ends(running, Signal::TERM, 143).await;

    let stuck = text.replace("ready_head_age_seconds = 4000000000", "ready_head_age_seconds = 600");
    let mut running = meikan(&["run"]).config(&stuck).database(database.url()).start();
    let site = running.site().await;
    let red = site.until("/ready", |answer| answer.body.contains("the chain's newest block is")).await;
    assert!(red.status == 503 && red.body.contains("the endpoints may be stuck"), "{red:?}");
    ends(running, Signal::TERM, 143).await;
}

#[tokio::test]
async fn f12_f70_ready_says_that_too_few_endpoints_answer_for_the_quorum() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(3));
    let other = chain.another_endpoint();
    let text = config(&[&chain.url(), &other.url()]) + "quorum = 2\n";
    let mut running = meikan(&["run"]).config(&text).database(database.url()).start();
    let site = running.site().await;
    site.indexed(3).await;
    site.until("/ready", |answer| answer.json() == json!({"ready": true, "reasons": []})).await;
    for method in ["eth_blockNumber", "eth_getBlockByNumber", "eth_getLogs"] {
        other.fail(method, ALWAYS, Fault::Http(503, None, String::new()));
    }
    let said = "test: 1 of the 2 endpoints that must agree answer (follow.quorum); nothing is written meanwhile";
    site.until("/ready", |answer| answer.json()["degraded"] == json!([said])).await;
    other.recover();
    site.until("/ready", |answer| answer.json() == json!({"ready": true, "reasons": []})).await;
    ends(running, Signal::TERM, 143).await;
}

#[tokio::test]
async fn f15_a_replaced_final_block_stops_the_writing_and_not_the_serving() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(9));
    chain.finalize(7);
    let text = config(&[&chain.url()]).replace("[api]", "[api]\nready_lag_seconds = 1");
    let mut running = meikan(&["run"]).config(&text).database(database.url()).start();
    let site = running.site().await;
    site.indexed(9).await;
    chain.finalize(5);
    chain.reorg(5, (0..7).map(|agent_id| vec![registered(100 + agent_id)]).collect());
    running.logged("writing has stopped; what is stored is still served").await;
    assert_eq!(agents(&site).await, 9);
    site.until("/ready", |answer| answer.status == 503).await;
    ends(running, Signal::TERM, 143).await;
}
