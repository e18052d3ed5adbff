//! Metrics: what a node does, what chains and endpoints do to it, and what its audit finds.

use alloy::primitives::{Address, U256};
use meikan::event::{Event, IdentityEvent};
use rustix::process::Signal;
use serde_json::json;
use tokio::time::timeout;

use super::support::{ALWAYS, busy_chain, ends, node, registered, samples, sum};
use crate::support::fake_chain::{Fault, RawLog};
use crate::support::postgres::TestDatabase;
use crate::support::program::{Answer, CHAIN_ID, PATIENCE, REGISTRY, config, meikan};

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
async fn answers_are_counted_by_whether_they_were_kept() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(3));
    let mut running = node(&chain, &database).start();
    let site = running.site().await;
    site.indexed(3).await;
    let counted = |answer: &Answer, result: &str| sum(&answer.body, "cache_operations_total", result);
    // What is asked again is kept as soon as no commit comes in between.
    let text = timeout(PATIENCE, async {
        loop {
            site.ask("{ agents { id } }").await;
            let text = site.get("/metrics").await;
            if counted(&text, "result=\"hit\"") >= 1.0 {
                return text;
            }
        }
    });
    let text = text.await.expect("an answer is given again");
    assert!(counted(&text, "result=\"miss\"") >= 1.0, "{text:?}");
    let passed = counted(&text, "result=\"pass\"");
    site.ask("{ _meta { block { number } } }").await;
    assert_eq!(counted(&site.get("/metrics").await, "result=\"pass\""), passed + 1.0, "it is never kept");
    ends(running, Signal::TERM, 143).await;
}

#[tokio::test]
async fn manifest_flips_are_counted_by_network_and_agent() {
    let (database, chain) = (TestDatabase::create().await, busy_chain(3));
    let uri = |agent_id: u64, uri: &str| -> RawLog {
        let (agent_id, new_uri, updated_by) = (U256::from(agent_id), uri.into(), Address::repeat_byte(1));
        let event = Event::Identity(IdentityEvent::URIUpdated { agent_id, new_uri, updated_by });
        (REGISTRY.parse::<Address>().unwrap(), event).into()
    };
    chain.mine([uri(0, "moved"), uri(1, "ipfs://1")]);
    chain.mine([uri(0, "moved again")]);
    let mut running = node(&chain, &database).start();
    let site = running.site().await;
    site.indexed(5).await;
    let counted = |answer: &Answer| sum(&answer.body, "forward_path_churn_total", "network=\"test\"") == 3.0;
    let text = site.until("/metrics", counted).await.body;
    let of = |agent: u64| format!("agent=\"{CHAIN_ID}:{agent}\"");
    assert_eq!(sum(&text, "forward_path_churn_total", &of(0)), 2.0);
    assert_eq!(sum(&text, "forward_path_churn_total", &of(1)), 1.0);
    assert_eq!(sum(&text, "forward_path_churn_total", &of(2)), 0.0, "who only registered has no series");
    assert_eq!(samples(&text, "forward_path_churn_total").len(), 2);
    assert_eq!(sum(&text, "forward_path_churn_total", "source=\"ONCHAIN\""), 3.0);
    assert_eq!(sum(&text, "forward_path_suspicious_flips_total", &of(0)), 2.0);
    assert_eq!(sum(&text, "forward_path_suspicious_flips_total", &of(1)), 0.0);
    let help = "# HELP forward_path_churn_total Changes of agents' manifests committed";
    assert!(text.contains(help) && text.contains("what a reorganisation takes back stays counted"), "{text}");
    ends(running, Signal::TERM, 143).await;
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
