//! The same from a real node: an anvil that mines, announces, finalizes and reorganises.

use alloy::primitives::{Bytes, U256, bytes};
use meikan::chain::Chain;
use meikan::config::Network;
use meikan::event::{Event, IdentityEvent};
use serde_json::json;
use tokio::time::timeout;

use super::support::{CHAIN_ID, PATIENCE, REGISTRY, all, header, network};
use crate::support::anvil::{Anvil, AnvilOptions};

/// A contract that emits its call data: the first word as topic0, the rest as data.
const EMITTER: Bytes = bytes!("6020360380602060003760003590" "6000a100");

/// A real node with a contract at the registry's address, and a network that watches it.
async fn anvil_network(options: &AnvilOptions, websocket: bool) -> (Anvil, Network) {
    let anvil = AnvilOptions { chain_id: Some(CHAIN_ID), ..options.clone() }.start();
    anvil.set_code(REGISTRY, EMITTER).await;
    let network = network(&[if websocket { anvil.ws_url() } else { anvil.url() }]);
    (anvil, network)
}

async fn emit(anvil: &Anvil, token_id: u64) -> Event {
    let event = Event::Identity(IdentityEvent::MetadataUpdate { token_id: U256::from(token_id) });
    let (topics, data) = event.encode();
    anvil.send(REGISTRY, [topics[0].as_slice(), data.as_ref()].concat().into()).await;
    event
}

#[tokio::test]
async fn anvil_is_read_over_http_and_websocket() {
    for websocket in [false, true] {
        let (anvil, network) = anvil_network(&AnvilOptions::default(), websocket).await;
        let chain = Chain::connect(&network).await.expect("anvil is of the chain");
        let first = emit(&anvil, 7).await;
        anvil.mine(10).await;
        let second = emit(&anvil, 8).await;

        let head = chain.head().await.expect("the head is answered");
        assert_eq!(head.header.number, 12);
        let numbers: Vec<_> = (0..=12).collect();
        let headers = chain.headers(&numbers).await.expect("the headers are answered");
        assert_eq!((headers[0].hash, &headers[12]), (chain.genesis_hash(), &head.header));

        let blocks = chain.blocks(&headers).await.expect("the blocks are answered");
        let with_logs: Vec<_> = blocks.into_iter().filter(|block| !block.logs.is_empty()).collect();
        let events: Vec<_> = with_logs.iter().map(|block| block.logs[0].event.clone()).collect();
        assert_eq!(events, [Ok(first), Ok(second)]);
        assert_eq!(all(&chain, 0, 12).await, with_logs);
        assert!(chain.has_code(REGISTRY).await.expect("the code is answered"));
    }
}

#[tokio::test]
async fn anvil_tells_what_is_final() {
    let options = AnvilOptions { slots_in_an_epoch: Some(2), ..AnvilOptions::default() };
    let (anvil, network) = anvil_network(&options, false).await;
    anvil.mine(10).await;
    let head =
        Chain::connect(&network).await.expect("anvil is of the chain").head().await.expect("the head is answered");
    let finalized = head.finalized.expect("anvil knows the tag");
    assert!(finalized.number > 0 && finalized.number < head.header.number, "{}", finalized.number);
    assert!(head.promises.finalized && !head.promises.safe);
}

#[tokio::test]
async fn anvil_announces_heads_over_websocket() {
    let (anvil, network) = anvil_network(&AnvilOptions { no_mining: true, ..AnvilOptions::default() }, true).await;
    let chain = Chain::connect(&network).await.expect("anvil is of the chain");
    timeout(PATIENCE, chain.new_head()).await.expect("the subscription stands");
    anvil.mine(1).await;
    timeout(PATIENCE, chain.new_head()).await.expect("a head is announced");
    assert_eq!(chain.head().await.expect("the head is answered").header.number, 1);
}

#[tokio::test]
async fn anvil_reorganises_and_the_old_block_is_gone() {
    let (anvil, network) = anvil_network(&AnvilOptions::default(), false).await;
    let chain = Chain::connect(&network).await.expect("anvil is of the chain");
    anvil.mine(5).await;
    emit(&anvil, 1).await;
    let old = header(&chain, 6).await;
    anvil.request("anvil_reorg", json!([3, []])).await;
    let new = header(&chain, 6).await;
    assert_ne!(old.hash, new.hash);
    assert_eq!(header(&chain, 3).await.hash, header(&chain, 4).await.parent_hash);
    assert!(chain.block(&new).await.expect("the block is answered").logs.is_empty());
}
