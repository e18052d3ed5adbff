//! Requests that fail: whom they go to next, when they are tried again, when they end, and how they are counted.

use alloy::primitives::{Address, bytes};
use meikan::chain::{Chain, ChainError, Kind, State};
use meikan::fault::Fault as Outcome;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;

use super::support::{REGISTRY, agents, all, busy_chain, connect, header, network};
use crate::support::fake_chain::Fault;

#[tokio::test]
async fn f2_an_endpoint_is_not_asked_beyond_its_own_head() {
    let fake = busy_chain(9);
    let behind = fake.another_endpoint();
    behind.lag(5);
    let chain = connect(&[behind.url(), fake.url()]).await;
    assert_eq!(agents(&all(&chain, 1, 9).await), (0..9).collect::<Vec<_>>());
    assert_eq!(behind.requests("eth_getLogs").len(), 0);

    let alone = connect(&[behind.url()]).await;
    let error = alone.range(1, 9).await.expect_err("nobody has block 9");
    assert!(matches!(error, ChainError::Gone { .. }), "{error}");
}

#[tokio::test]
async fn f28_a_failing_endpoint_is_left_for_the_next_one() {
    let faults = [
        Fault::Http(429, Some(60), "slow down".into()),
        Fault::Http(402, None, String::new()),
        Fault::Http(502, None, "<html>Bad gateway</html>".into()),
        Fault::Text("<html>Too many requests</html>".into()),
        Fault::Text("garbage".into()),
        Fault::Error(-32_005, "limit exceeded".into()),
        Fault::Error(-32_602, "invalid params".into()),
        Fault::Result(json!({"number": 5})),
        Fault::WrongId,
    ];
    for fault in faults {
        let fake = busy_chain(2);
        let other = fake.another_endpoint();
        let chain = connect(&[fake.url(), other.url()]).await;
        fake.endpoint().fail("eth_getBlockByNumber", 1, fault.clone());
        assert_eq!(header(&chain, 2).await.block(), fake.block(2).block(), "{fault:?}");
        assert_eq!(other.requests("eth_getBlockByNumber").len(), 2, "{fault:?}: its genesis and this one");
    }
}

#[tokio::test]
async fn f39_an_endpoint_that_asks_for_a_long_rest_gets_it() {
    let fake = busy_chain(2);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Http(429, Some(60), String::new()));
    for _ in 0..2 {
        let error = chain.header(2).await.expect_err("the endpoint rests");
        let ChainError::Failed { failure, .. } = &error else { panic!("{error}") };
        assert!(matches!(failure.kind, Kind::Rate(Some(_))), "{error}");
        assert_eq!(error.fault(), Outcome::Retry);
    }
    assert_eq!(fake.endpoint().requests("eth_getBlockByNumber").len(), 2, "genesis, and once");
}

#[tokio::test]
async fn f41_a_request_that_hangs_ends_at_its_deadline() {
    let fake = busy_chain(2);
    let other = fake.another_endpoint();
    let mut network = network(&[fake.url(), other.url()]);
    network.follow.request_deadline_ms = 1_000;
    let chain = Chain::connect(&network).await.expect("the endpoints are of the chain");
    fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Hang);
    assert_eq!(header(&chain, 2).await.block(), fake.block(2).block());
}

#[tokio::test]
async fn a_fault_that_passes_is_survived_by_a_single_endpoint() {
    let fake = busy_chain(2);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getBlockByNumber", 3, Fault::Http(503, None, String::new()));
    assert_eq!(header(&chain, 2).await.block(), fake.block(2).block());
    fake.endpoint().fail("eth_getBlockByNumber", 99, Fault::Http(503, None, String::new()));
    let error = chain.header(2).await.expect_err("the endpoint is down");
    assert_eq!(error.fault(), Outcome::Retry);
    fake.endpoint().recover();
    assert_eq!(header(&chain, 2).await.block(), fake.block(2).block());
}

#[test]
fn requests_are_counted_by_method_and_outcome_without_urls() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    // The recorder is this thread's, so everything must run on it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let fake = busy_chain(2);
            let chain = connect(&[format!("{}/secret-key", fake.url())]).await;
            fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Http(429, None, String::new()));
            chain.headers(&[1, 2]).await.expect("the headers are answered");
        });
    });
    let text = rendered.render();
    let line = |name: &str, labels: &[&str]| {
        let mut lines =
            text.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        lines.next().and_then(|line| line.split(' ').next_back()?.parse::<f64>().ok())
    };
    let (network, method) = ("network=\"test\"", "method=\"eth_getBlockByNumber\"");
    assert_eq!(line("rpc_requests_total", &[network, method]), Some(5.0), "genesis, two, two again: {text}");
    assert_eq!(line("rpc_errors_total", &[network, method, "kind=\"rate\""]), Some(1.0), "{text}");
    assert!(line("rpc_request_duration_seconds_count", &["method=\"eth_chainId\""]).is_some(), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn contracts_are_called_and_found() {
    let fake = busy_chain(2);
    fake.deploy(REGISTRY);
    fake.answer_call(REGISTRY, bytes!("bc4d861b"), bytes!("2a"));
    let chain = connect(&[fake.url()]).await;
    assert_eq!(
        chain.call(REGISTRY, bytes!("bc4d861b"), State::Of(2)).await.expect("the call is answered"),
        bytes!("2a")
    );
    assert!(chain.call(REGISTRY, bytes!("ff"), State::Of(2)).await.is_err());
    assert!(chain.has_code(REGISTRY).await.expect("the code is answered"));
    assert!(!chain.has_code(Address::ZERO).await.expect("the code is answered"));
}
