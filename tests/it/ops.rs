//! What operators and their machines rely on: signals, readiness, metrics, headers, secrets that stay secret, databases
//! over TLS, and every Postgres that is supported.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::primitives::{Address, U256};
use meikan::event::{Event, IdentityEvent};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::json;

use crate::support::fake_chain::{FakeChain, Fault, RawLog};
use crate::support::folder::Folder;
use crate::support::postgres::{self, TestDatabase, connect};
use crate::support::program::{
    Answer, CHAIN_ID, Ended, Meikan, PATIENCE, REGISTRY, Running, Site, config, dead_address, meikan, processes_of,
};
use crate::support::tcp_postgres::{Authority, TcpPostgres};

/// Longest time that an orderly end may take: the promised 5 s, and as much again for a busy machine.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// Times that any request is spoiled: more than a node sends in a test.
const ALWAYS: usize = 1_000_000;

fn registered(agent_id: u64) -> RawLog {
    let event = IdentityEvent::Registered {
        agent_id: U256::from(agent_id),
        agent_uri: format!("ipfs://{agent_id}").as_str().into(),
        owner: Address::repeat_byte(1),
    };
    (REGISTRY.parse::<Address>().unwrap(), Event::Identity(event)).into()
}

/// A chain of that many blocks above genesis, each with one registration.
fn busy_chain(blocks: u64) -> FakeChain {
    let chain = FakeChain::new(CHAIN_ID);
    for agent_id in 0..blocks {
        chain.mine([registered(agent_id)]);
    }
    chain
}

/// A node that follows and serves.
fn node(chain: &FakeChain, database: &TestDatabase) -> Meikan {
    meikan(&["run"]).config(&config(&[&chain.url()])).database(database.url())
}

/// Asks it to end; it must, in time and with that code.
async fn ends(running: Running, signal: Signal, code: i32) -> Ended {
    let asked = Instant::now();
    running.signal(signal);
    let ended = running.end().await;
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert!(asked.elapsed() < STOP_LIMIT, "it took {:?}: {ended:#?}", asked.elapsed());
    ended
}

async fn agents(site: &Site) -> usize {
    site.ask("{ agents(first: 1000) { id } }").await.json()["data"]["agents"].as_array().expect("agents").len()
}

/// The process id of the server in a data directory.
fn postmaster(folder: &Folder) -> i32 {
    let path = folder.path().join("meikan-data/postgres/cluster/postmaster.pid");
    std::fs::read_to_string(path).unwrap().lines().next().unwrap().trim().parse().unwrap()
}

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

#[tokio::test]
async fn a_postgres_that_dies_ends_the_node_with_a_sentence() {
    let chain = busy_chain(3);
    let mut running = meikan(&["run"]).config(&config(&[&chain.url()])).start();
    let site = running.site().await;
    site.indexed(3).await;
    kill_process(Pid::from_raw(postmaster(running.folder())).unwrap(), Signal::KILL).unwrap();
    let ended = running.end().await;
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert!(ended.sentence().contains("Postgres"), "{ended:#?}");
}

#[tokio::test]
async fn f59_a_node_outlives_its_database() {
    let mut server = TcpPostgres::start(&postgres::bin_dir(), "word").await;
    let chain = busy_chain(5);
    let text = config(&[&chain.url()]).replace("[api]", "[database]\nacquire_timeout_ms = 500\n[api]");
    let mut running = meikan(&["run"]).config(&text).database(&server.url()).start();
    let site = running.site().await;
    site.indexed(5).await;
    for round in 1..=2 {
        server.stop();
        chain.mine([registered(100 + round)]);
        site.until("/ready", |answer| answer.body.contains("the database does not answer")).await;
        assert!(site.ask("{ agents { id } }").await.body.contains("UNAVAILABLE"));
        server.resume().await;
        site.indexed(5 + round).await;
        site.until("/ready", |answer| answer.status == 200).await;
        assert_eq!(agents(&site).await as u64, 5 + round, "no gap and no double");
    }
    ends(running, Signal::TERM, 143).await;
}

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
async fn f16_finality_that_moves_back_is_counted_where_operators_look() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(9));
    chain.finalize(7);
    let mut running = node(&chain, &database).start();
    let site = running.site().await;
    site.indexed(9).await;
    site.until("/metrics", |answer| sum(&answer.body, "finalized_block", "network=\"test\"") == 7.0).await;
    chain.finalize(5);
    let moved_back = "network=\"test\",kind=\"moved_back\"";
    let told = |answer: &Answer| sum(&answer.body, "chain_finality_faults_total", moved_back) >= 1.0;
    let text = site.until("/metrics", told).await.body;
    assert_eq!(sum(&text, "finalized_block", "network=\"test\""), 7.0, "what was final stays so");
    assert!(!samples(&text, "chain_finality_standing_seconds").is_empty(), "{text}");
    assert!(!samples(&text, "chain_head_standing_seconds").is_empty(), "{text}");
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

/// A metric's values with their labels, from the text of `/metrics`.
fn samples<'a>(text: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let parsed = lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let (series_name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("labels end nowhere: {line}"));
        (series_name, labels, value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
    });
    // Every line is parsed, whichever is wanted.
    let parsed: Vec<(&str, &str, f64)> = parsed.collect();
    parsed.into_iter().filter(|(found, ..)| *found == name).map(|(_, labels, value)| (labels, value)).collect()
}

fn sum(text: &str, name: &str, label: &str) -> f64 {
    let wanted = samples(text, name);
    wanted.into_iter().filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value).sum()
}

#[tokio::test]
async fn the_metrics_tell_what_the_node_does() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(10));
    let unknown = RawLog {
        address: REGISTRY.parse().unwrap(),
        topics: vec![alloy::primitives::B256::ZERO],
        data: "0x".parse().unwrap(),
    };
    chain.mine([unknown]);
    chain.finalize(4);
    chain.endpoint().fail("eth_getLogs", ALWAYS, Fault::Error(-32_000, "not now".into()));
    let mut running = node(&chain, &database).start();
    let site = running.site().await;
    running.logged("a step failed; it is repeated").await;
    chain.endpoint().recover();
    site.indexed(11).await;
    chain.reorg(3, (0..5).map(|agent_id| vec![registered(100 + agent_id)]).collect());
    site.indexed(13).await;
    site.ask("{ nonsense }").await;
    site.get("/nothing").await;
    let text = site.until("/metrics", |answer| sum(&answer.body, "indexed_block", "network=\"test\"") == 13.0).await;
    assert!(text.header("content-type").starts_with("text/plain"), "{text:?}");
    let text = text.body;
    for (name, label, value) in [
        ("chain_head_block", "network=\"test\"", 13.0),
        ("indexed_block", "network=\"test\"", 13.0),
        ("finalized_block", "network=\"test\"", 4.0),
        ("indexing_lag_blocks", "network=\"test\"", 0.0),
        ("indexing_lag_seconds", "network=\"test\"", 0.0),
        ("follow_writer", "network=\"test\"", 1.0),
        ("reorgs_total", "network=\"test\"", 1.0),
        ("reorg_depth_blocks_sum", "network=\"test\"", 3.0),
        ("reorg_depth_blocks_count", "network=\"test\"", 1.0),
        ("indexed_blocks_total", "network=\"test\"", 17.0),
        ("indexed_events_total", "event=\"Registered\"", 15.0),
    ] {
        let samples = samples(&text, name);
        assert!(samples.iter().any(|(labels, _)| labels.contains(label)), "{name} lacks {label}: {samples:?}");
        assert_eq!(sum(&text, name, label), value, "{name}: {samples:?}");
    }
    for (name, label) in [
        ("rpc_requests_total", "method=\"eth_getLogs\""),
        ("rpc_requests_total", "method=\"eth_getBlockByNumber\""),
        ("undecoded_logs_total", "network=\"test\""),
        ("rpc_errors_total", "method=\"eth_getLogs\""),
        ("graphql_errors_total", "code=\"BAD_INPUT\""),
        ("follow_steps_total", "outcome=\"advanced\""),
        ("follow_steps_total", "outcome=\"reorganised\""),
        ("follow_steps_total", "outcome=\"failed\""),
        ("rpc_request_duration_seconds_count", "method="),
        ("sql_duration_seconds_count", "operation=\"apply\""),
        ("sql_duration_seconds_count", "operation=\"query\""),
        ("http_request_duration_seconds_count", "route=\"/graphql\""),
        ("http_request_duration_seconds_count", "route=\"none\",status=\"404\""),
        ("http_request_duration_seconds_bucket", "le=\"+Inf\""),
    ] {
        assert!(sum(&text, name, label) >= 1.0, "{name} of {label}: {:?}", samples(&text, name));
    }
    let described = text.lines().filter(|line| line.starts_with("# HELP")).count();
    let typed = text.lines().filter(|line| line.starts_with("# TYPE")).count();
    assert_eq!(described, typed, "each metric says what it means");
    ends(running, Signal::TERM, 143).await;
}

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
        (Method::POST, "/graphql", &[], 400),
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

/// What must not be seen: in the user, path and query of endpoints, and as the database's password.
const SECRETS: [&str; 5] = ["sesame-user-1", "sesame-word-1", "sesame-path-2", "sesame-query-3", "sesame-word-4"];

/// The same endpoint with secrets in every part of its URL.
fn with_secrets(url: &str) -> String {
    let [user, word, path, key, _] = SECRETS;
    url.replacen("://", &format!("://{user}:{word}@"), 1) + &format!("/{path}?key={key}")
}

fn assert_no_secret(what: &str, text: &str) {
    for secret in SECRETS {
        if let Some(at) = text.find(secret) {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            panic!("{secret} is in {what}: {}", text[line..].lines().next().unwrap_or_default());
        }
    }
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    for format in ["text", "json"] {
        let mut server = TcpPostgres::start(&postgres::bin_dir(), SECRETS[4]).await;
        let url = server.url();
        let chain = busy_chain(5);
        let broken = chain.another_endpoint();
        for method in ["eth_chainId", "eth_getBlockByNumber"] {
            let echo = format!("{} and {} of {}", SECRETS[1], SECRETS[2], with_secrets(&broken.url()));
            broken.fail(method, ALWAYS, Fault::Http(401, None, echo));
        }
        let dead = dead_address();
        let urls = [
            format!("http://{dead}"),
            format!("ws://{dead}"),
            broken.url(),
            "http://nowhere.invalid".into(),
            chain.url(),
            chain.endpoint().ws_url().replace("/ws", ""),
        ]
        .map(|url| with_secrets(&url));
        let text = config(&urls.each_ref().map(String::as_str)).replace("[api]", "[api]\nready_lag_seconds = 1");
        let program = |command: &str| {
            let level = "meikan=trace,warn";
            meikan(&[command, "--log-format", format]).config(&text).database(&url).env("RUST_LOG", level)
        };
        let checked = program("check").end().await;
        assert_eq!(checked.code, Some(4), "{checked:#?}");
        assert_no_secret("check", &format!("{checked:?}"));

        let mut running = program("run").start();
        let site = running.site().await;
        site.indexed(5).await;
        let mut answers = String::new();
        // The chain fails in passing and for good, then the database's tables, then the database.
        let words = format!("limit of {} reached, see {}", SECRETS[3], with_secrets("https://rpc.example"));
        chain.endpoint().fail("eth_getLogs", 2, Fault::Http(429, Some(0), words.clone()));
        chain.endpoint().fail("eth_getLogs", 2, Fault::Error(-32_000, words.clone()));
        chain.endpoint().fail("eth_getLogs", 2, Fault::Text(words.clone()));
        chain.mine([registered(50)]);
        running.logged("a step failed").await;
        site.indexed(6).await;
        answers += &site.ask("{ nonsense }").await.body;
        answers += &site.get("/metrics").await.body;
        let client = connect(&server.url()).await;
        client
            .batch_execute("ALTER TABLE feedback RENAME TO gone; ALTER TABLE agent RENAME TO gone_too")
            .await
            .unwrap();
        let failed = site.ask("{ agents { id } feedbacks { id } }").await;
        assert!(failed.body.contains("INTERNAL"), "{failed:?}");
        answers += &failed.body;
        client
            .batch_execute("ALTER TABLE gone RENAME TO feedback; ALTER TABLE gone_too RENAME TO agent")
            .await
            .unwrap();
        drop(client);
        server.stop();
        let red = site.until("/ready", |answer| answer.body.contains("the database does not answer")).await;
        answers += &red.body;
        let unavailable = site.ask("{ agents { id } }").await;
        assert!(unavailable.body.contains("UNAVAILABLE"), "{unavailable:?}");
        answers += &unavailable.body;
        answers += &site.get("/metrics").await.body;
        running.logged("cannot become the writer yet").await;
        assert_no_secret("answers", &answers);
        let ended = ends(running, Signal::TERM, 143).await;
        let is_json = |line: &str| serde_json::from_str::<serde_json::Value>(line).is_ok();
        assert!(ended.stderr.lines().all(|line| is_json(line) == (format == "json")), "{ended:#?}");
        assert_no_secret("the log", &format!("{}{}", ended.stdout, ended.stderr));
        assert!(ended.stderr.contains(&dead) && ended.stderr.contains("nowhere.invalid"), "the endpoints are named");

        let refused = program("run").end().await;
        assert_eq!(refused.code, Some(3), "{refused:#?}");
        assert_no_secret("the refusal", &format!("{refused:?}"));
    }
}

/// Every Postgres on this machine: those of the system, and the package's.
fn every_postgres() -> Vec<PathBuf> {
    let system = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = system.map(|entry| entry.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file());
    found.push(postgres::bin_dir());
    found
}

#[tokio::test]
async fn every_supported_postgres_on_the_machine_is_followed_into() {
    let chain = busy_chain(40);
    chain.finalize(20);
    for bin_dir in every_postgres() {
        let server = TcpPostgres::start(&bin_dir, "word").await;
        let follow =
            || meikan(&["follow", "--until", "head"]).config(&config(&[&chain.url()])).database(&server.url()).end();
        let ended = follow().await;
        assert_eq!(ended.code, Some(0), "Postgres {}: {ended:#?}", server.major());
        let client = connect(&server.url()).await;
        let agents = client.query_one("SELECT count(*) FROM agent", &[]).await.unwrap().get::<_, i64>(0);
        assert_eq!(agents, 40, "Postgres {}", server.major());
        let mut serving = meikan(&["serve"]).config(&config(&[&chain.url()])).database(&server.url()).start();
        let site = serving.site().await;
        assert_eq!(self::agents(&site).await, 40, "Postgres {}", server.major());
        ends(serving, Signal::TERM, 143).await;
    }
}

#[tokio::test]
async fn a_database_over_tls_is_verified() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let root = |authority: &Authority| format!("sslrootcert={}", authority.certificate().display());
    for bin_dir in every_postgres() {
        let server = TcpPostgres::start_with_tls(&bin_dir, "word", &authority, "localhost").await;
        let migrate = |url: String| meikan(&["migrate"]).config(&config(&["http://127.0.0.1:1"])).database(&url).end();
        for (host, parameters) in [
            ("localhost", format!("sslmode=verify-full&{}", root(&authority))),
            ("127.0.0.1", format!("sslmode=verify-ca&{}", root(&authority))),
            ("127.0.0.1", "sslmode=require".into()),
            ("127.0.0.1", "sslmode=prefer".into()),
            ("127.0.0.1", "sslmode=disable".into()),
        ] {
            let ended = migrate(server.url_with(host, &parameters)).await;
            assert_eq!(ended.code, Some(0), "Postgres {} {parameters}: {ended:#?}", server.major());
        }
        for (host, parameters, said) in [
            ("127.0.0.1", format!("sslmode=verify-full&{}", root(&authority)), "not valid for name"),
            ("localhost", format!("sslmode=verify-full&{}", root(&stranger)), "sslrootcert"),
            ("localhost", format!("sslmode=verify-ca&{}", root(&stranger)), "sslrootcert"),
            ("localhost", format!("sslmode=require&{}", root(&stranger)), "sslrootcert"),
            ("localhost", "sslmode=verify-full".into(), "sslrootcert"),
            ("localhost", "sslmode=verify-full&sslrootcert=/no/such.pem".into(), "/no/such.pem"),
        ] {
            let ended = migrate(server.url_with(host, &parameters)).await;
            assert_eq!(ended.code, Some(3), "Postgres {} {parameters}: {ended:#?}", server.major());
            assert!(ended.sentence().contains(said), "{parameters}: {}", ended.sentence());
        }
        assert!(encrypted(&server, &authority).await, "Postgres {}", server.major());
    }
}

/// Whether a node that is asked to verify fully talks TLS, as the server sees it.
async fn encrypted(server: &TcpPostgres, authority: &Authority) -> bool {
    let url =
        server.url_with("localhost", &format!("sslmode=verify-full&sslrootcert={}", authority.certificate().display()));
    let mut serving = meikan(&["serve"]).config(&config(&["http://127.0.0.1:1"])).database(&url).start();
    serving.site().await;
    let connections = "SELECT count(*) FILTER (WHERE ssl), count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                       WHERE application_name = 'meikan'";
    let row = connect(&server.url()).await.query_one(connections, &[]).await.unwrap();
    ends(serving, Signal::TERM, 143).await;
    let (encrypted, all): (i64, i64) = (row.get(0), row.get(1));
    all > 0 && encrypted == all
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let server = TcpPostgres::start(&postgres::bin_dir(), "word").await;
    for mode in ["require", "verify-ca&sslrootcert=system", "verify-full&sslrootcert=system"] {
        let url = server.url_with("localhost", &format!("sslmode={mode}"));
        let ended = meikan(&["migrate"]).config(&config(&["http://127.0.0.1:1"])).database(&url).end().await;
        assert_eq!(ended.code, Some(3), "{mode}: {ended:#?}");
        let sentence = ended.sentence();
        assert!(sentence.contains("does not support TLS") && sentence.contains("check sslmode"), "{sentence}");
    }
}

/// A demo with what `make contracts` built.
fn demo(arguments: &[&str]) -> Meikan {
    let contracts = concat!(env!("CARGO_MANIFEST_DIR"), "/contracts");
    meikan(&["demo", "--listen", "127.0.0.1:0"]).arguments(arguments).env("MEIKAN_CONTRACTS_DIR", contracts)
}

#[tokio::test]
async fn a_demo_plays_answers_and_tells_where_it_is_until_it_is_interrupted() {
    let mut demo = demo(&["--reorgs"]).start();
    let site = demo.site().await;
    // The contracts are some fifteen blocks; ten more, a second each, hold at least one line of progress.
    site.indexed(25).await;
    let agents = site.ask("{ agents(where: {totalFeedback_gt: 0}) { id feedback { value } } }").await;
    assert!(agents.json()["data"]["agents"].as_array().is_some_and(|agents| !agents.is_empty()), "{agents:?}");
    demo.signal(Signal::INT);
    let ended = demo.end().await;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    for said in ["Meikan answers at http://127.0.0.1:", "agents, ", "feedbacks, ", "The demo is over; "] {
        assert!(ended.stdout.contains(said), "{said:?} is missing: {}", ended.stdout);
    }
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_demo_for_a_while_ends_by_itself() {
    let ended = demo(&["--for", "1"]).end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("The demo is over; "), "{}", ended.stdout);
}

#[tokio::test]
async fn f5_what_an_endpoint_dropped_is_found_and_repaired_in_the_background() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(40));
    chain.finalize(40);
    chain.endpoint().fail("eth_getLogs", ALWAYS, Fault::WithoutBlock(12));
    let text = config(&[&chain.url()]);
    let follow = meikan(&["follow", "--until", "head"]).config(&format!("{text}audit = false\n"));
    assert_eq!(follow.database(database.url()).end().await.code, Some(0));
    chain.endpoint().recover();

    let mut run = meikan(&["run"]).config(&text).database(database.url()).start();
    let site = run.site().await;
    let found = run.logged("the audit found: log 0 is on the chain and not stored").await;
    assert!(found.contains("LOG_MISSING") && found.contains("RECEIPTS_ROOT"), "{found}");
    run.logged("what differed is repaired").await;
    let verified = |answer: &Answer| sum(&answer.body, "verified_to_block", "network=\"test\"") == 40.0;
    let metrics = site.until("/metrics", verified).await.body;
    for (name, label) in [
        ("audit_findings_total", "kind=\"LOG_MISSING\""),
        ("audit_repaired_total", "network=\"test\""),
        ("verification_method", "method=\"RECEIPTS_ROOT\""),
    ] {
        assert_eq!(sum(&metrics, name, label), 1.0, "{name}: {metrics}");
    }
    let said = site.ask("{ networks { verifiedTo verificationMethod openFindings } agents { id } }").await.json();
    let network = json!({"verifiedTo": 40, "verificationMethod": "RECEIPTS_ROOT", "openFindings": 0});
    assert_eq!(said["data"]["networks"][0], network, "{said}");
    assert_eq!(said["data"]["agents"].as_array().unwrap().len(), 40);
    run.signal(Signal::TERM);
    assert_eq!(run.end().await.code, Some(143));
}
