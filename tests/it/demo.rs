//! The demo's world on a real Anvil: our contracts as the build made them.

use alloy::primitives::{Address, B256, Bytes, U256};
use meikan::demo::{self, Demo, Options};
use meikan::event::{Event, GovernanceEvent, IdentityEvent, Role};

use crate::support::emitter::Emitter;

async fn start() -> Demo {
    demo::start(Options::TEST).await.unwrap()
}

/// Anvil's own reorg turns its clock back; ours does not.
#[tokio::test]
async fn time_does_not_go_back_in_a_reorg() {
    let demo = start().await;
    let rpc = demo::Rpc::connect(&demo.environment.rpc_url).unwrap();
    rpc.request::<serde_json::Value>("evm_increaseTime", serde_json::json!([1_000])).await.unwrap();
    let (_, before) = rpc.mine().await.unwrap();
    rpc.reorganise(3).await.unwrap();
    let (_, after) = rpc.mine().await.unwrap();
    assert!(after >= before, "{after} after {before}");
}

/// What our contracts never emit, and what nobody should, can be had on a real chain all the same.
#[tokio::test]
async fn the_emitter_emits_any_log() {
    let demo = start().await;
    let emitter = Emitter::deploy(&demo::Rpc::connect(&demo.environment.rpc_url).unwrap()).await;
    let one = U256::from(1);
    for event in [
        Event::Identity(IdentityEvent::BatchMetadataUpdate { from_token_id: U256::ZERO, to_token_id: one }),
        Event::Governance(GovernanceEvent::EIP712DomainChanged {}),
        Event::Governance(GovernanceEvent::RoleAdminChanged {
            role: B256::repeat_byte(1),
            previous_admin_role: B256::repeat_byte(2),
            new_admin_role: B256::repeat_byte(3),
        }),
    ] {
        let (topics, data) = event.encode();
        let log = emitter.emit(&topics, &data).await;
        assert_eq!(Event::decode(Role::Identity, &log.topics, &log.data), Ok(event));
        assert_eq!(log.address, emitter.address);
    }
    for topics in 0..=4 {
        let log = emitter.emit(&vec![B256::repeat_byte(7); topics], &Bytes::from_static(b"junk")).await;
        assert_eq!((log.topics.len(), log.data.as_ref()), (topics, b"junk".as_slice()));
    }
}

#[tokio::test]
async fn an_ended_demo_leaves_no_chain_behind() {
    let demo = start().await;
    let rpc = demo::Rpc::connect(&demo.environment.rpc_url).unwrap();
    rpc.head().await.unwrap();
    drop(demo);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while rpc.head().await.is_ok() {
        assert!(std::time::Instant::now() < deadline, "the chain still answers");
    }
}

#[tokio::test]
async fn the_environment_is_a_valid_configuration() {
    let demo = start().await;
    let config = meikan::config::Config { networks: vec![demo.environment.network.clone()], ..Default::default() };
    config.check().unwrap();
    assert!(demo.environment.ws_url.starts_with("ws://127.0.0.1:"));
}

#[tokio::test]
async fn the_contracts_answer() {
    let demo = start().await;
    assert_eq!(demo.contracts.clients(U256::ZERO, None).await.unwrap(), [Address::ZERO; 0]);
}
