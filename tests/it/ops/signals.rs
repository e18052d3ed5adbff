//! Signals: whatever it is doing, a node ends in time, in order, and leaves nothing running.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, test_kill_process};

use super::support::{ALWAYS, agents, busy_chain, ends, node, postmaster};
use crate::support::fake_chain::Fault;
use crate::support::postgres::{TestDatabase, connect};
use crate::support::program::{PATIENCE, config, meikan, processes_of};

fn is_alive(pid: i32) -> bool {
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what} never happens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_node_with_its_own_postgres_ends_in_order_and_keeps_its_data() {
    let chain = busy_chain(5);
    let start = || meikan(&["run"]).config(&config(&[&chain.url()]));
    let mut running = start().start();
    let folder = Arc::clone(running.folder());
    let site = running.site().await;
    site.indexed(5).await;
    let server = postmaster(&folder);
    assert!(is_alive(server));
    let ended = ends(running, Signal::INT, 130).await;
    assert!(!is_alive(server) && processes_of(folder.path()).is_empty(), "{ended:#?}");
    assert!(!folder.path().join("meikan-data/postgres/cluster/postmaster.pid").exists(), "it was stopped in order");

    chain.endpoint().fail("eth_getBlockByNumber", ALWAYS, Fault::Error(-32_000, "not now".into()));
    let mut running = meikan(&["serve"]).inside(&folder).config(&config(&[&chain.url()])).start();
    let site = running.site().await;
    assert_eq!(agents(&site).await, 5, "what was committed is still there");
    ends(running, Signal::TERM, 143).await;
    assert!(processes_of(folder.path()).is_empty());
}

#[tokio::test]
async fn a_signal_while_postgres_is_being_set_up_leaves_nothing_running() {
    let chain = busy_chain(1);
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        for command in ["run", "migrate"] {
            let running = meikan(&[command]).config(&config(&[&chain.url()])).start();
            let folder = Arc::clone(running.folder());
            let cluster = folder.path().join("meikan-data/postgres");
            until("the set-up", async || cluster.exists() && !processes_of(&cluster).is_empty()).await;
            let ended = ends(running, signal, code).await;
            until("the end of Postgres", async || processes_of(&cluster).is_empty()).await;
            assert!(ended.stderr.lines().all(|line| line.starts_with("20")), "{ended:#?}");
            let again = meikan(&["migrate"]).inside(&folder).end().await;
            assert_eq!(again.code, Some(0), "{again:#?}");
        }
    }
}

#[tokio::test]
async fn a_signal_in_the_middle_of_a_backfill_loses_nothing() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(300));
    let text = format!("{}max_range_blocks = 10\nby_hash_blocks = 1\n", config(&[&chain.url()]));
    let start = || meikan(&["run"]).config(&text).database(database.url());
    // What is above the middle is not answered, so the backfill is under way until the signal comes.
    let mut running = start().start();
    let site = running.site().await;
    site.indexed(20).await;
    chain.endpoint().fail("eth_getLogs", ALWAYS, Fault::Hang);
    let ended = ends(running, Signal::TERM, 143).await;
    assert!(ended.stderr.contains("stopping"), "{ended:#?}");
    let client = connect(database.url()).await;
    let held = "SELECT (SELECT max(tip_number) FROM cursor), (SELECT count(*) FROM agent)";
    let row = client.query_one(held, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1), "one agent a block: cursor and data are of one commit");
    chain.endpoint().recover();
    let mut running = start().start();
    let site = running.site().await;
    site.indexed(300).await;
    assert_eq!(agents(&site).await, 300);
    ends(running, Signal::INT, 130).await;
}

#[tokio::test]
async fn a_signal_at_the_head_ends_it_although_clients_are_connected() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(3));
    let mut running = node(&chain, &database).start();
    let site = running.site().await;
    site.indexed(3).await;
    // A client that asked, and stays; and one whose question waits for a block that does not come.
    let _idle = tokio::net::TcpStream::connect(site.address()).await.unwrap();
    let waiting = site.clone();
    let waiting = tokio::spawn(async move { waiting.ask("{ agents(block: {number_gte: 99}) { id } }").await });
    tokio::task::yield_now().await;
    ends(running, Signal::TERM, 143).await;
    waiting.abort();
}
