//! Several endpoints of one chain: who is asked, who is left, who is asked again.

use std::time::Duration;

use futures_util::future::join_all;
use meikan::chain::Chain;
use meikan::config::Network;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::timeout;

use crate::chain::support::{PATIENCE, busy_chain, header, network};
use crate::support::fake_chain::{FakeChain, FakeEndpoint, Fault};

/// A network whose endpoints are looked at each time the head is asked for.
fn watchful(urls: &[String]) -> Network {
    let mut network = network(urls);
    network.follow.head_check_interval_ms = 1;
    network
}

async fn connect(network: &Network) -> Chain {
    Chain::connect(network).await.expect("the endpoints are of the chain")
}

/// Asks for the head until it is of that height.
async fn until_head(chain: &Chain, number: u64) {
    let seen = async {
        while chain.head().await.expect("the head is answered").header.number != number {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("the head never was {number}"));
}

fn asked(endpoint: &FakeEndpoint) -> usize {
    endpoint.requests("eth_getBlockByNumber").len()
}

#[tokio::test]
async fn f28_an_endpoint_that_is_stuck_is_left_and_used_again_once_it_moves() {
    let fake = busy_chain(5);
    let other = fake.another_endpoint();
    let chain = connect(&watchful(&[fake.url(), other.url()])).await;
    until_head(&chain, 5).await;
    fake.endpoint().freeze(5);
    fake.mine_empty(20);
    until_head(&chain, 25).await;
    fake.endpoint().thaw();
    chain.head().await.expect("the head is answered");
    other.freeze(25);
    fake.mine_empty(20);
    until_head(&chain, 45).await;
}

#[tokio::test]
async fn f28_an_endpoint_that_lags_is_left_for_one_that_keeps_up() {
    let fake = busy_chain(9);
    let other = fake.another_endpoint();
    fake.endpoint().lag(4);
    let chain = connect(&watchful(&[fake.url(), other.url()])).await;
    until_head(&chain, 9).await;
}

#[tokio::test]
async fn f28_a_head_that_is_no_fact_does_not_make_the_others_look_stuck() {
    let fake = busy_chain(30);
    let liar = fake.another_endpoint();
    liar.fail("eth_blockNumber", usize::MAX, Fault::Result(serde_json::json!("0xffffffff")));
    let chain = connect(&watchful(&[fake.url(), liar.url()])).await;
    // It is believed until it cannot show a block below the head that it named.
    for _ in 0..3 {
        let _ = chain.headers(&[1_000]).await;
        chain.head().await.expect("the head is answered");
    }
    assert_eq!(header(&chain, 30).await.block(), fake.block(30).block());
    until_head(&chain, 30).await;
}

#[test]
fn f28_scores_and_lags_are_told_of_each_endpoint_and_a_change_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let other_url = metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let fake = busy_chain(5);
            let other = fake.another_endpoint();
            let chain = connect(&watchful(&[format!("{}/secret-key", fake.url()), other.url()])).await;
            fake.endpoint().freeze(5);
            fake.mine_empty(20);
            until_head(&chain, 25).await;
            other.url()
        })
    });
    let text = rendered.render();
    let value = |name: &str, label: &str| {
        let line = text.lines().find(|line| line.starts_with(name) && line.contains(label));
        line.and_then(|line| line.split(' ').next_back()?.parse::<f64>().ok())
            .unwrap_or_else(|| panic!("{name}: {text}"))
    };
    assert_eq!(value("rpc_endpoint_switches_total", "network=\"test\""), 1.0);
    assert_eq!(value("rpc_endpoint_stuck_total", "/…\""), 1.0);
    assert!(value("rpc_endpoint_lag_blocks", "/…\"") > 5.0 && value("rpc_endpoint_lag_blocks", &other_url) < 1.0);
    assert!(value("rpc_endpoint_score", "/…\"") < value("rpc_endpoint_score", &other_url));
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn f28_looks_at_idle_endpoints_are_few_and_small() {
    let fake = busy_chain(5);
    let other = fake.another_endpoint();
    let chain = connect(&network(&[fake.url(), other.url()])).await;
    let before = asked(&other);
    for _ in 0..20 {
        chain.head().await.expect("the head is answered");
    }
    assert!((1..=3).contains(&other.requests("eth_blockNumber").len()), "one, as long as ten seconds are not over");
    assert_eq!(asked(&other), before);
}

#[tokio::test]
async fn f28_one_failure_does_not_make_endpoints_take_turns() {
    let fake = busy_chain(5);
    let other = fake.another_endpoint();
    let chain = connect(&network(&[fake.url(), other.url()])).await;
    fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Http(503, None, String::new()));
    header(&chain, 5).await;
    let (before, at_other) = (asked(fake.endpoint()), asked(&other));
    let back = async {
        while asked(fake.endpoint()) == before {
            header(&chain, 5).await;
        }
    };
    timeout(PATIENCE, back).await.expect("the first endpoint is asked again once it has rested");
    let at_other = asked(&other) - at_other;
    for _ in 0..5 {
        header(&chain, 5).await;
    }
    assert!(asked(fake.endpoint()) >= before + 6, "{at_other} requests went elsewhere meanwhile");
}

#[tokio::test]
async fn f43_a_fallback_is_asked_only_while_no_other_endpoint_can_be() {
    let fake = busy_chain(5);
    let spare = fake.another_endpoint();
    let network = Network { fallback_rpc_urls: vec![spare.url()], ..network(&[fake.url()]) };
    let chain = connect(&network).await;
    let idle = asked(&spare);
    fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Http(503, None, String::new()));
    for _ in 0..10 {
        header(&chain, 5).await;
    }
    assert_eq!(asked(&spare), idle, "a short rest is waited for");
    fake.endpoint().fail("eth_getBlockByNumber", usize::MAX, Fault::Http(429, Some(60), String::new()));
    header(&chain, 5).await;
    assert_eq!(asked(&spare), idle + 1);
}

#[tokio::test]
async fn f43_the_order_of_equals_means_nothing_and_a_fallback_is_none() {
    let fake = busy_chain(5);
    let (second, spare) = (fake.another_endpoint(), fake.another_endpoint());
    let network = Network { fallback_rpc_urls: vec![spare.url()], ..watchful(&[fake.url(), second.url()]) };
    let chain = connect(&network).await;
    fake.endpoint().freeze(5);
    second.freeze(5);
    fake.mine_empty(20);
    // All equals are stuck: then the fallback is what there is.
    until_head(&chain, 25).await;
    second.thaw();
    let idle = async {
        loop {
            let before = asked(&spare);
            chain.head().await.expect("the head is answered");
            if asked(&spare) == before {
                break;
            }
        }
    };
    timeout(PATIENCE, idle).await.expect("the fallback is left as soon as an equal moves");
    until_head(&chain, 25).await;
}

/// Asks for a header that many times at once, and tells how many of the requests each endpoint got.
async fn spread(network: &Network, fake: &FakeChain, other: &FakeEndpoint, requests: usize) -> (usize, usize) {
    let chain = connect(network).await;
    let (first, second) = (asked(fake.endpoint()), asked(other));
    join_all((0..requests).map(|_| header(&chain, 1))).await;
    (asked(fake.endpoint()) - first, asked(other) - second)
}

#[tokio::test]
async fn what_is_beyond_the_limit_of_one_endpoint_goes_to_the_next() {
    let fake = busy_chain(1);
    let other = fake.another_endpoint();
    let mut limited = network(&[fake.url(), other.url()]);
    limited.follow.requests_per_second = 10;
    let (first, second) = spread(&limited, &fake, &other, 12).await;
    assert!(first + second == 12 && (7..=10).contains(&first), "{first} and {second}");
    let mut narrow = network(&[fake.url(), other.url()]);
    narrow.follow.concurrent_requests = 1;
    let (first, second) = spread(&narrow, &fake, &other, 2).await;
    assert_eq!((first, second), (1, 1));
}

#[tokio::test]
async fn a_limit_of_requests_counts_what_is_in_a_batch() {
    let fake = busy_chain(40);
    let other = fake.another_endpoint();
    let mut limited = network(&[fake.url(), other.url()]);
    limited.follow.requests_per_second = 50;
    let chain = connect(&limited).await;
    let numbers: Vec<_> = (1..=40).collect();
    join_all((0..3).map(|_| async { chain.headers(&numbers).await.expect("the headers are answered") })).await;
    assert!(asked(&other) >= 40, "two batches of 40 are beyond 50 in a second");
}

#[tokio::test]
async fn f39_a_wait_that_an_endpoint_asks_for_is_kept_with_429_and_503() {
    for status in [429, 503] {
        let fake = busy_chain(2);
        let other = fake.another_endpoint();
        let chain = connect(&network(&[fake.url(), other.url()])).await;
        fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Http(status, Some(120), String::new()));
        for _ in 0..5 {
            header(&chain, 2).await;
        }
        assert_eq!(asked(fake.endpoint()), 2, "{status}: its genesis, and once");
    }
}

#[tokio::test]
async fn f41_a_batch_and_a_websocket_that_hang_end_at_their_deadline() {
    for websocket in [false, true] {
        let fake = busy_chain(5);
        let other = fake.another_endpoint();
        let first = if websocket { fake.endpoint().ws_url() } else { fake.url() };
        let mut network = network(&[first, other.url()]);
        network.follow.request_deadline_ms = 500;
        let chain = connect(&network).await;
        fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Hang);
        let headers = timeout(PATIENCE, chain.headers(&[1, 2, 3, 4])).await.expect("a batch has a deadline");
        assert_eq!(headers.expect("the headers are answered")[3].block(), fake.block(4).block());
    }
}

#[tokio::test]
async fn f43_a_fallback_is_asked_for_a_block_that_the_others_no_longer_have() {
    let fake = busy_chain(5);
    let archive = fake.another_endpoint();
    let network = Network { fallback_rpc_urls: vec![archive.url()], ..network(&[fake.url()]) };
    let chain = connect(&network).await;
    fake.endpoint().fail("eth_getLogs", usize::MAX, Fault::Error(-32_000, "header not found".into()));
    let range = chain.range(1, 5).await.expect("the archive has the blocks");
    assert_eq!(range.blocks.len(), 5);
}

#[tokio::test]
async fn f36_f39_an_endpoint_that_forbids_receipts_goes_on_serving_the_rest() {
    let fake = busy_chain(6);
    let chain = connect(&network(&[fake.url()])).await;
    fake.endpoint().fail("eth_getBlockReceipts", usize::MAX, Fault::Http(403, None, String::new()));
    let sealed = chain.sealed(1, 6).await.expect("the headers are answered");
    for sealed in &sealed {
        let shown = chain.shown(sealed).await.expect("the logs are told again");
        assert_eq!(shown[0].logs.len(), 1);
        header(&chain, 6).await;
    }
    assert_eq!(fake.endpoint().requests("eth_getBlockReceipts").len(), 1, "a refusal is believed for a while");
}

#[tokio::test]
async fn f3_a_doubt_is_settled_by_receipts_that_are_proven_only() {
    let fake = busy_chain(6);
    let other = fake.another_endpoint();
    let chain = connect(&network(&[fake.url(), other.url()])).await;
    let last = header(&chain, 6).await;
    // The endpoint lost the block's events, in its index and in its receipts.
    fake.endpoint().fail("eth_getLogs", usize::MAX, Fault::EmptyLogs);
    fake.endpoint().fail("eth_getBlockReceipts", usize::MAX, Fault::Result(serde_json::json!([])));
    assert_eq!(chain.block(&last).await.expect("the other one has them").logs.len(), 1);
}
