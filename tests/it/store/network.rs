//! Networks as they are registered: what of one may change later, and what is refused because rows would be wrong.

use alloy::primitives::B256;
use meikan::store::StoreError;

use super::chain::{Chain, GENESIS, START, network};
use super::support::{CHAIN, Fixture, follow, play};

#[tokio::test]
async fn f31_another_genesis_under_the_same_chain_id_is_refused() {
    let fixture = Fixture::create().await;
    fixture.store.register(&network(CHAIN), GENESIS).await.unwrap();
    fixture.store.register(&network(CHAIN), GENESIS).await.unwrap();
    let error = fixture.store.register(&network(CHAIN), B256::ZERO).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherGenesis { chain_id: CHAIN, .. }), "{error}");
}

#[tokio::test]
async fn contracts_may_be_added_but_not_taken_away_or_turned_around() {
    let fixture = Fixture::create().await;
    let full = network(CHAIN);
    let mut fewer = full.clone();
    fewer.contracts.executor.0.clear();
    fixture.store.register(&fewer, GENESIS).await.unwrap();
    fixture.store.register(&full, GENESIS).await.unwrap();
    let error = fixture.store.register(&fewer, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("is no longer listed"), "{error}");
    let mut turned = full.clone();
    turned.contracts.identity.0.reverse();
    let error = fixture.store.register(&turned, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("put it back"), "{error}");
    let mut renamed = network(CHAIN + 1);
    renamed.name = full.name.clone();
    let error = fixture.store.register(&renamed, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("the name is taken"), "{error}");
}

#[tokio::test]
async fn the_start_block_is_bound_once_blocks_are_indexed() {
    let (fixture, _) = play(vec![vec![]]).await;
    let mut moved = network(CHAIN);
    moved.start_block += 1;
    let error = fixture.store.register(&moved, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("set start_block back"), "{error}");
}

#[tokio::test]
async fn a_contract_that_comes_late_is_refused_because_its_logs_would_be_missing() {
    let fixture = Fixture::create().await;
    let full = network(CHAIN);
    let mut fewer = full.clone();
    fewer.contracts.executor.0.clear();
    fixture.store.register(&fewer, GENESIS).await.unwrap();
    let mut chain = Chain::default();
    chain.empty();
    let mut writer = fixture.store.writer(CHAIN).await.unwrap().unwrap();
    follow(&mut writer, &chain, None, START, None).await.unwrap();
    let error = fixture.store.register(&full, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("blocks up to 10 are indexed without its logs"), "{error}");
    assert!(error.to_string().contains("`meikan reindex --network "), "{error}");
    fixture.store.register(&fewer, GENESIS).await.unwrap();
}
