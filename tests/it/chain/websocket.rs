//! WebSockets: new heads as hints, sockets that close or fall silent, and requests over nothing else.

use std::time::Duration;

use meikan::chain::Chain;
use tokio::time::timeout;

use super::support::{PATIENCE, agents, all, busy_chain, connect, header, network};

#[tokio::test]
async fn f26_f27_new_heads_are_a_hint_that_survives_a_closed_socket() {
    let fake = busy_chain(1);
    let chain = connect(&[fake.url(), fake.endpoint().ws_url()]).await;
    // The first word is that the subscription stands.
    timeout(PATIENCE, chain.new_head()).await.expect("the subscription stands");
    fake.mine_empty(1);
    timeout(PATIENCE, chain.new_head()).await.expect("a head is announced");
    fake.endpoint().hang_up();
    let hinted = async {
        // A head in the moment of reconnecting may pass unheard, so they keep coming.
        while timeout(Duration::from_millis(100), chain.new_head()).await.is_err() {
            fake.mine_empty(1);
        }
    };
    timeout(PATIENCE, hinted).await.expect("heads are announced again");
}

#[tokio::test]
async fn f27_a_socket_that_is_open_but_silent_is_given_up() {
    let fake = busy_chain(1);
    let mut network = network(&[fake.url(), fake.endpoint().ws_url()]);
    network.follow.request_deadline_ms = 1_000;
    let chain = Chain::connect(&network).await.expect("the endpoints are of the chain");
    timeout(PATIENCE, chain.new_head()).await.expect("the subscription stands");
    fake.endpoint().mute();
    fake.mine_empty(1);
    timeout(PATIENCE, chain.new_head()).await.expect("a new subscription stands");
    assert_eq!(fake.endpoint().requests("eth_subscribe").len(), 2);
}

#[tokio::test]
async fn a_network_without_a_websocket_has_no_hints() {
    let fake = busy_chain(1);
    let chain = connect(&[fake.url()]).await;
    fake.mine_empty(1);
    tokio::select! {
        biased;
        _ = chain.new_head() => panic!("nobody could have announced it"),
        head = chain.head() => assert_eq!(head.expect("the head is answered").header.number, 2),
    }
}

#[tokio::test]
async fn requests_work_over_a_websocket_alone() {
    let fake = busy_chain(5);
    let chain = connect(&[fake.endpoint().ws_url()]).await;
    assert_eq!(agents(&all(&chain, 1, 5).await), (0..5).collect::<Vec<_>>());
    fake.endpoint().hang_up();
    assert_eq!(header(&chain, 5).await.block(), fake.block(5).block());
}
