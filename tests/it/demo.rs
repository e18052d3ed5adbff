//! The demo's world on a real Anvil: our contracts as the build made them, and the traffic through them.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use meikan::demo::abi::Identity;
use meikan::demo::{self, Demo, Options, Step};
use meikan::event::{
    AgentRegistryEvent, AuditLogEvent, Event, ExecutorEvent, GovernanceEvent, IdentityEvent, PolicyEvent,
    ReputationEvent, Role, ValidationEvent,
};
use serde_json::{Value, json};

use crate::support::emitter::Emitter;

/// Events that no contract of ours emits: they are known because others' may.
const NOT_OURS: [&str; 3] = ["BatchMetadataUpdate", "EIP712DomainChanged", "RoleAdminChanged"];

/// More blocks than the tour takes where nothing waits for a timelock.
const MAX_TOUR_BLOCKS: usize = 40;

async fn start(seed: u64) -> Demo {
    demo::start(Options { seed, ..Options::TEST }).await.unwrap()
}

async fn tour(demo: &mut Demo) -> Vec<Step> {
    let mut steps = Vec::new();
    while !demo.traffic.is_tour_over() {
        assert!(steps.len() < MAX_TOUR_BLOCKS, "the tour takes too long");
        steps.push(demo.traffic.step().await.unwrap());
    }
    steps
}

fn reverted(steps: &[Step]) -> Vec<(u64, &'static str)> {
    let sent = steps.iter().flat_map(|step| step.sent.iter().map(move |sent| (step.block, sent)));
    sent.filter(|(_, sent)| !sent.succeeded).map(|(block, sent)| (block, sent.action)).collect()
}

/// What happened in each block. Hashes of transactions are left out: deadlines in them follow the clock.
fn actions(steps: &[Step]) -> Vec<(u64, Vec<&'static str>)> {
    steps.iter().map(|step| (step.block, step.sent.iter().map(|sent| sent.action).collect())).collect()
}

/// All events of our contracts up to the head, each with its block.
async fn events(demo: &Demo) -> Vec<(u64, Event)> {
    let rpc = demo::Rpc::connect(&demo.environment.rpc_url).unwrap();
    let contracts = &demo.environment.network.contracts;
    let roles: BTreeMap<Address, Role> = contracts.all().map(|(role, _, address)| (address, role)).collect();
    let mut events = Vec::new();
    for block in 0..=rpc.head().await.unwrap().0 {
        let receipts = rpc.receipts(block).await.unwrap();
        for log in receipts.iter().flat_map(|receipt| &receipt.logs) {
            if let Some(role) = roles.get(&log.address) {
                events.push((block, Event::decode(*role, &log.topics, &log.data).unwrap()));
            }
        }
    }
    events
}

fn all_event_names() -> BTreeSet<&'static str> {
    let all = [
        IdentityEvent::ALL,
        ReputationEvent::ALL,
        ValidationEvent::ALL,
        AuditLogEvent::ALL,
        AgentRegistryEvent::ALL,
        PolicyEvent::ALL,
        ExecutorEvent::ALL,
        GovernanceEvent::ALL,
    ];
    all.into_iter().flatten().map(|(name, _, _)| *name).collect()
}

#[tokio::test]
async fn every_kind_of_event_happens_on_the_tour() {
    let mut demo = start(1).await;
    let steps = tour(&mut demo).await;
    assert_eq!(reverted(&steps), [], "a transaction of the tour was reverted");
    let seen: BTreeSet<_> = events(&demo).await.iter().map(|(_, event)| event.name()).collect();
    let missing: Vec<_> = all_event_names().difference(&seen).copied().collect();
    assert_eq!(missing, NOT_OURS);
}

/// Sixteen blocks at one a second, and a few more for the timelock, are within the first twenty seconds.
#[tokio::test]
async fn the_tour_is_short() {
    let mut demo = start(2).await;
    assert!(tour(&mut demo).await.len() <= 16);
}

#[tokio::test]
async fn no_transaction_of_the_mix_is_reverted() {
    let mut demo = start(3).await;
    let mut steps = tour(&mut demo).await;
    for _ in 0..200 {
        steps.push(demo.traffic.step().await.unwrap());
    }
    assert_eq!(reverted(&steps), []);
    let actions: BTreeSet<_> = steps.iter().flat_map(|step| &step.sent).map(|sent| sent.action).collect();
    assert!(actions.len() > 40, "only {actions:?}");
}

/// Most of what a viewer sees is registrations and feedback; what is audited is a steady minority.
#[tokio::test]
async fn reputation_grows_before_ones_eyes() {
    let mut demo = start(16).await;
    tour(&mut demo).await;
    let mut steps = Vec::new();
    for _ in 0..100 {
        steps.push(demo.traffic.step().await.unwrap());
    }
    // What shares its block with nothing has as many transactions as it needs.
    let lively = steps.iter().filter(|step| (3..=6).contains(&step.sent.len())).count();
    assert!(lively >= 95, "{lively} of 100 blocks have 3 to 6 transactions");
    let first = steps[0].block;
    let events = events(&demo).await;
    let of_mix: Vec<&Event> = events.iter().filter(|(block, _)| *block >= first).map(|(_, event)| event).collect();
    let feedback = of_mix.iter().filter(|event| matches!(event, Event::Reputation(_))).count();
    let registered = of_mix.iter().filter(|event| event.name() == "Registered").count();
    let is_audited = |event: &&&Event| {
        matches!(event, Event::AuditLog(_) | Event::AgentRegistry(_) | Event::Policy(_) | Event::Executor(_))
    };
    let audited = of_mix.iter().filter(is_audited).count();
    assert!(feedback > 3 * registered && registered > 20, "{feedback} about feedback, {registered} registrations");
    assert!(audited > 20 && 2 * audited < feedback, "{audited} audited beside {feedback} about feedback");
    let mut given = BTreeMap::<U256, usize>::new();
    for event in of_mix {
        if let Event::Reputation(ReputationEvent::NewFeedback { agent_id, .. }) = event {
            *given.entry(*agent_id).or_default() += 1;
        }
    }
    assert!(given.values().any(|count| *count >= 10), "nobody's reputation grows: {given:?}");
}

#[tokio::test]
async fn feedback_has_many_tags_decimals_and_signs() {
    let mut demo = start(15).await;
    tour(&mut demo).await;
    for _ in 0..150 {
        demo.traffic.step().await.unwrap();
    }
    let (mut tags, mut decimals, mut signs) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (_, event) in events(&demo).await {
        if let Event::Reputation(ReputationEvent::NewFeedback { value, value_decimals, tag1, .. }) = event {
            tags.insert(tag1);
            decimals.insert(value_decimals);
            signs.insert(value.signum());
        }
    }
    assert!(tags.len() >= 8 && decimals.len() >= 5 && signs.len() == 3, "{tags:?} {decimals:?} {signs:?}");
}

#[tokio::test]
async fn a_seed_decides_what_happens() {
    let (mut one, mut same, mut other) = (start(4).await, start(4).await, start(5).await);
    let actions = actions(&tour(&mut one).await);
    assert_eq!(actions, self::actions(&tour(&mut same).await));
    assert_ne!(actions, self::actions(&tour(&mut other).await));
}

#[tokio::test]
async fn traffic_goes_on_after_reorgs() {
    let mut demo = start(6).await;
    tour(&mut demo).await;
    demo.traffic.allow_reorgs();
    let mut steps = Vec::new();
    while steps.iter().filter(|step: &&Step| step.reorg_depth.is_some()).count() < 5 {
        assert!(steps.len() < 1_000, "five reorgs are overdue");
        steps.push(demo.traffic.step().await.unwrap());
    }
    for _ in 0..20 {
        steps.push(demo.traffic.step().await.unwrap());
    }
    assert_eq!(reverted(&steps), []);
}

/// A reorg takes blocks' transactions back, and the nonces of their senders with them.
#[tokio::test]
async fn a_reorg_replaces_blocks_and_leaves_the_accounts_usable() {
    let mut demo = start(7).await;
    let mut steps = tour(&mut demo).await;
    for depth in [1, 5, 50] {
        for _ in 0..60 {
            steps.push(demo.traffic.step().await.unwrap());
        }
        let head = steps.last().unwrap().block;
        let before = events(&demo).await;
        demo.traffic.reorganise(depth).await.unwrap();
        let stayed: Vec<_> = before.into_iter().filter(|(block, _)| *block <= head - depth).collect();
        assert_eq!(events(&demo).await, stayed);
        steps.push(demo.traffic.step().await.unwrap());
        assert_eq!(steps.last().unwrap().block, head + 1);
    }
    assert_eq!(reverted(&steps), []);
}

/// Anvil's own reorg turns its clock back; ours does not.
#[tokio::test]
async fn time_does_not_go_back_in_a_reorg() {
    let demo = start(12).await;
    let rpc = demo::Rpc::connect(&demo.environment.rpc_url).unwrap();
    rpc.request::<Value>("evm_increaseTime", json!([1_000])).await.unwrap();
    let (_, before) = rpc.mine().await.unwrap();
    rpc.reorganise(3).await.unwrap();
    let (_, after) = rpc.mine().await.unwrap();
    assert!(after >= before, "{after} after {before}");
}

#[tokio::test]
async fn the_timelock_of_the_demo_is_waited_for() {
    let mut demo = demo::start(Options { seed: 8, ..Options::LIVE }).await.unwrap();
    let rpc = demo::Rpc::connect(&demo.environment.rpc_url).unwrap();
    let mut steps = Vec::new();
    while !demo.traffic.is_tour_over() {
        assert!(steps.len() < MAX_TOUR_BLOCKS, "the tour takes too long");
        steps.push(demo.traffic.step().await.unwrap());
        // The chain's clock goes on by one second for each block, as it does in a demo.
        let next = rpc.head().await.unwrap().1 + 1;
        rpc.request::<Value>("evm_setNextBlockTimestamp", json!([next])).await.unwrap();
    }
    assert_eq!(reverted(&steps), []);
    assert!(steps.len() <= 20, "{} seconds", steps.len());
}

/// What our contracts never emit, and what nobody should, can be had on a real chain all the same.
#[tokio::test]
async fn the_emitter_emits_any_log() {
    let demo = start(13).await;
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
async fn play_mines_block_after_block() {
    let mut demo = start(14).await;
    let (sender, mut blocks) = tokio::sync::mpsc::unbounded_channel();
    let interval = std::time::Duration::from_millis(1);
    let play = demo::play(&mut demo.traffic, interval, |step| sender.send(step.block).unwrap());
    tokio::select! {
        Err(error) = play => panic!("{error}"),
        (first, second) = async { (blocks.recv().await.unwrap(), blocks.recv().await.unwrap()) } => {
            assert_eq!(second, first + 1);
        }
    }
}

#[tokio::test]
async fn the_contract_summarises_feedback() {
    let mut demo = start(9).await;
    tour(&mut demo).await;
    let rated = events(&demo).await.into_iter().find_map(|(_, event)| match event {
        Event::Reputation(ReputationEvent::NewFeedback { agent_id, .. }) => Some(agent_id),
        _ => None,
    });
    let contracts = demo.contracts();
    let clients = contracts.clients(rated.unwrap(), None).await.unwrap();
    let summary = contracts.get_summary(rated.unwrap(), &clients, "", "", None).await.unwrap();
    assert!(summary.count > 0);
    assert!(contracts.get_summary(U256::ZERO, &[], "", "", None).await.is_err(), "without clients it reverts");
}

#[tokio::test]
async fn an_ended_demo_leaves_no_chain_behind() {
    let demo = start(10).await;
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
    let demo = start(11).await;
    let config = meikan::config::Config { networks: vec![demo.environment.network.clone()], ..Default::default() };
    config.check().unwrap();
    assert!(demo.environment.ws_url.starts_with("ws://127.0.0.1:"));
}

/// Whoever tries the demo registers agents with keys of their own, which the chain does not hold.
#[tokio::test]
async fn a_stranger_s_agents_are_left_alone() {
    let mut demo = start(5).await;
    tour(&mut demo).await;
    let rpc = demo::Rpc::connect(&demo.environment.rpc_url).unwrap();
    let (_, _, registry) = demo.environment.network.contracts.all().find(|(role, ..)| *role == Role::Identity).unwrap();
    for stranger in (1..=16).map(Address::repeat_byte) {
        let balance = U256::from(10_u64.pow(18));
        rpc.request::<Value>("anvil_setBalance", json!([stranger, balance])).await.unwrap();
        rpc.request::<Value>("anvil_impersonateAccount", json!([stranger])).await.unwrap();
        rpc.send(&demo::Call::new(stranger, registry, Identity::register_0Call {}.abi_encode())).await.unwrap();
        demo.traffic.step().await.unwrap();
        rpc.request::<Value>("anvil_stopImpersonatingAccount", json!([stranger])).await.unwrap();
    }
    for _ in 0..40 {
        demo.traffic.step().await.unwrap();
    }
}
