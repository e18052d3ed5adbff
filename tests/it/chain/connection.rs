//! Connecting: which endpoints are taken, which are refused or left out as another chain, what each can do, and that
//! none of their secrets is shown.

use meikan::chain::{ChainError, probe};
use meikan::fault::Fault as Outcome;

use super::support::{REGISTRY, busy_chain, connect, dead_url, header, network, refused};
use crate::support::fake_chain::Fault;

#[tokio::test]
async fn f42_a_start_with_one_endpoint_down_is_degraded_not_refused() {
    let fake = busy_chain(1);
    let chain = connect(&[dead_url(), fake.url()]).await;
    assert_eq!(chain.head().await.expect("the head is answered").header.number, 1);
    let error = refused(&[dead_url(), dead_url()]).await;
    assert!(matches!(error, ChainError::NoEndpoint { endpoints: 2, .. }), "{error}");
    assert_eq!(error.fault(), Outcome::Fatal);
}

#[tokio::test]
async fn a_url_that_is_none_is_named_without_its_path() {
    let error = refused(&["http://:80/secret-key".into()]).await;
    let text = error.to_string();
    assert!(matches!(error, ChainError::Unusable { .. }) && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn f31_another_chain_is_refused_in_one_sentence() {
    let fake = busy_chain(1);
    let other = fake.another_endpoint();
    other.claim_chain(1);
    let error = refused(&[fake.url(), format!("{}/v2/secret-key", other.url())]).await;
    assert_eq!(
        error.to_string(),
        format!(
            "network test: {}/… answers chain id 1 where 167000 is configured; correct chain_id or rpc_urls",
            other.url()
        )
    );
    assert_eq!(error.fault(), Outcome::Fatal);
}

#[tokio::test]
async fn f31_another_genesis_is_refused() {
    let fake = busy_chain(1);
    let other = fake.another_endpoint();
    other.fail("eth_getBlockByNumber", 1, Fault::WrongHash);
    let error = refused(&[fake.url(), other.url()]).await;
    assert!(matches!(error, ChainError::WrongGenesis { .. }), "{error}");
}

#[tokio::test]
async fn f31_an_endpoint_that_comes_back_as_another_chain_is_left_out() {
    let fake = busy_chain(1);
    let other = fake.another_endpoint();
    other.fail("eth_chainId", 1, Fault::Http(503, None, String::new())).claim_chain(1);
    let chain = connect(&[other.url(), fake.url()]).await;
    assert_eq!(header(&chain, 1).await.block(), fake.block(1).block());
    fake.endpoint().fail("eth_getBlockByNumber", 2, Fault::Http(503, None, String::new()));
    assert_eq!(header(&chain, 1).await.block(), fake.block(1).block());
    assert!(other.requests("eth_getBlockByNumber").len() <= 1, "only its genesis block was asked");
}

#[tokio::test]
async fn f31_when_every_endpoint_has_become_another_chain_the_node_stops() {
    let fake = busy_chain(1);
    let chain = connect(&[fake.endpoint().ws_url()]).await;
    fake.endpoint().claim_chain(1).hang_up();
    let error = chain.header(1).await.expect_err("the endpoint is of another chain by now");
    assert!(matches!(error, ChainError::NoEndpoint { .. }), "{error}");
    assert_eq!(error.fault(), Outcome::Fatal);
}

#[tokio::test]
async fn credentials_of_an_endpoint_are_never_shown() {
    let url = dead_url().replace("http://", "http://user:hunter2hunter2@");
    let error = refused(&[format!("{url}/v3/0123456789abcdef?key=open-sesame")]).await;
    for text in [error.to_string(), format!("{error:?}")] {
        for secret in ["hunter2", "0123456789abcdef", "sesame"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[tokio::test]
async fn a_probe_tells_what_each_endpoint_can_do() {
    let fake = busy_chain(3);
    fake.finalize(1);
    fake.propose(2);
    let poor = fake.another_endpoint();
    poor.lack("eth_getBlockReceipts").lack("taiko_headL1Origin").refuse_hash_queries("not here").lag(1);
    let network = network(&[fake.endpoint().ws_url(), format!("{}/secret-key", poor.url()), dead_url()]);
    let probes = probe(&network).await;
    let labels: Vec<_> = probes.iter().map(|probed| probed.label.clone()).collect();
    assert!(labels[0].starts_with("ws://") && labels[1].ends_with("/…"), "{labels:?}");
    let rich = probes[0].outcome.as_ref().expect("the first endpoint is up");
    assert_eq!((rich.head, rich.finalized), (fake.head().block(), Some(1)));
    assert!(rich.announces_heads && rich.logs_by_hash.is_ok() && rich.receipts && rich.l1_origin);
    let poor = probes[1].outcome.as_ref().expect("the second endpoint is up");
    assert_eq!((poor.head, poor.without_code.as_slice()), (fake.block(2).block(), &[REGISTRY][..]));
    assert!(!poor.announces_heads && poor.logs_by_hash.is_err() && !poor.receipts && !poor.l1_origin);
    assert!(matches!(probes[2].outcome, Err(ChainError::NoEndpoint { .. })));
}
