//! Every kind of event, from the transaction that causes it to the answer that shows it.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{B256, U256};
use meikan::demo::{self, CHAIN_ID, Demo, Options, Rpc};
use meikan::event::{Event, GovernanceEvent, IdentityEvent, Role};
use serde_json::Value;

use super::model::{Entities, Model, ROOTS};
use super::witness;
use crate::support::emitter::Emitter;
use crate::support::node::{Node, depths};
use crate::support::tables::assert_same;

/// Blocks of traffic after the tour.
const MORE_BLOCKS: usize = 60;

/// Blocks of the story of pinned answers, and between those whose answers are remembered: the oldest ones are final in
/// the end.
const PINNED_STEPS: u64 = 90;
const PINNED_EVERY: u64 = 9;

/// Most blocks of the tour.
const MAX_TOUR_BLOCKS: usize = 40;

/// Blocks between two looks of the node that lives through it.
const LOOK_EVERY_BLOCKS: u64 = 7;

/// Plays the tour, and the mix after it. The node looks now and then.
async fn play(demo: &mut Demo, node: &mut Node) {
    let mut blocks = 0;
    while !demo.traffic.is_tour_over() || blocks < MORE_BLOCKS {
        assert!(demo.traffic.is_tour_over() || blocks < MAX_TOUR_BLOCKS, "the tour takes too long");
        let step = demo.traffic.step().await.unwrap();
        if step.block % LOOK_EVERY_BLOCKS == 0 {
            node.catch_up().await;
        }
        blocks += 1;
    }
}

/// What no contract of ours emits.
fn events_of_others() -> [(Role, Event); 3] {
    let (one, two, three) = (B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(3));
    let range = IdentityEvent::BatchMetadataUpdate { from_token_id: U256::ZERO, to_token_id: U256::from(9) };
    let admin = GovernanceEvent::RoleAdminChanged { role: one, previous_admin_role: two, new_admin_role: three };
    [
        (Role::Identity, Event::Identity(range)),
        (Role::AuditLog, Event::Governance(GovernanceEvent::EIP712DomainChanged {})),
        (Role::Executor, Event::Governance(admin)),
    ]
}

/// Names of the events that our contracts can emit; those of earlier generations are in no ABI of theirs.
fn all_event_names() -> BTreeSet<String> {
    let topics: BTreeSet<(Role, B256)> =
        Role::ALL.into_iter().flat_map(|role| Event::topics(role).map(move |topic| (role, topic))).collect();
    let names = topics.iter().filter_map(|(role, topic)| witness::Events::of(*role).name(topic));
    names.collect()
}

/// Entities by id; the parameters of an audit entry are read.
async fn answers(node: &Node, root: &str, fields: &str) -> Entities {
    let mut entities = Entities::new();
    for mut entity in node.all(root, fields).await {
        if let Some(text) = entity.get("fields").and_then(Value::as_str) {
            entity["fields"] = serde_json::from_str(text).unwrap();
        }
        let id = entity["id"].as_str().unwrap().to_owned();
        assert!(entities.insert(id.clone(), entity).is_none(), "{root}: {id} is answered twice");
    }
    entities
}

fn assert_equal(root: &str, answered: &Entities, expected: &Entities) {
    for (id, entity) in expected {
        let answer = answered.get(id).unwrap_or_else(|| panic!("{root}: {id} is not answered: {entity}"));
        for (field, value) in entity.as_object().unwrap() {
            assert_eq!(&answer[field], value, "{root}: {field} of {id}");
        }
        assert_eq!(answer, entity, "{root}");
    }
    let invented: Vec<_> = answered.keys().filter(|id| !expected.contains_key(*id)).collect();
    assert!(invented.is_empty(), "{root}: {invented:?}");
}

#[tokio::test]
async fn every_kind_of_event_is_answered_as_the_chain_tells_it() {
    let mut demo = demo::start(Options { seed: 2, ..Options::TEST }).await.unwrap();
    let rpc = Rpc::connect(&demo.environment.rpc_url).unwrap();
    let mut network = demo.environment.network.clone();
    for (role, event) in events_of_others() {
        let emitter = Emitter::deploy(&rpc).await;
        let (topics, data) = event.encode();
        emitter.emit(&topics, &data).await;
        let addresses = match role {
            Role::Identity => &mut network.contracts.identity,
            Role::AuditLog => &mut network.contracts.audit_log,
            _ => &mut network.contracts.executor,
        };
        addresses.0.push(emitter.address);
    }
    let mut node = Node::start(std::slice::from_ref(&network)).await;
    play(&mut demo, &mut node).await;
    node.catch_up().await;

    let seen = witness::read(&rpc, &network.contracts).await;
    let happened: BTreeSet<String> = seen.iter().map(|seen| seen.event.clone()).collect();
    assert_eq!(happened, all_event_names());
    let model = Model::of(&seen);
    for (root, _) in ROOTS {
        assert!(!model.entities(root).is_empty(), "the traffic brought no {root}");
    }
    assert_as_the_chain_tells(&node, &rpc).await;
    assert_finality(&node, rpc.head().await.unwrap().0).await;
    let fresh = Node::fresh(&[network]).await;
    assert_same(&node.tables(CHAIN_ID).await, &fresh.tables(CHAIN_ID).await);
}

/// Asserts that all entities are what the chain tells now.
async fn assert_as_the_chain_tells(node: &Node, rpc: &Rpc) {
    let model = Model::of(&witness::read(rpc, &node.networks()[0].contracts).await);
    for (root, fields) in ROOTS {
        assert_equal(root, &answers(node, root, fields).await, &model.entities(root));
    }
}

#[tokio::test]
async fn after_each_reorg_the_answers_are_what_the_chain_tells_then() {
    let mut demo = demo::start(Options { seed: 5, ..Options::TEST }).await.unwrap();
    let rpc = Rpc::connect(&demo.environment.rpc_url).unwrap();
    let mut node = Node::start(std::slice::from_ref(&demo.environment.network)).await;
    play(&mut demo, &mut node).await;
    node.catch_up().await;
    for depth in [1, 3, 8] {
        demo.traffic.reorganise(depth).await.unwrap();
        for _ in 0..depth {
            demo.traffic.step().await.unwrap();
        }
        assert_eq!(depths(&node.catch_up().await), [depth]);
        assert_as_the_chain_tells(&node, &rpc).await;
    }
}

/// An answer as of a block is the one that was given when that block was the newest, also once it is final and what
/// was only kept for reorgs is gone.
#[tokio::test]
async fn pinned_answers_are_those_that_were_given_then() {
    let mut demo = demo::start(Options { seed: 9, ..Options::TEST }).await.unwrap();
    let mut node = Node::start(std::slice::from_ref(&demo.environment.network)).await;
    let mut given = Vec::new();
    for step in 0..PINNED_STEPS {
        demo.traffic.step().await.unwrap();
        if step % PINNED_EVERY == 0 {
            node.catch_up().await;
            for (root, fields) in ROOTS {
                given.push((node.tip(), root, fields, node.all(root, fields).await));
            }
        }
    }
    node.catch_up().await;
    for (block, root, fields, then) in given {
        let now = node.all_at(block, root, fields).await;
        for (now, then) in now.iter().zip(&then) {
            assert_eq!(now, then, "{root} as of block {block}");
        }
        assert_eq!(now.len(), then.len(), "{root} as of block {block}");
    }
}

/// Anvil calls the block 64 below the head final.
async fn assert_finality(node: &Node, head: u64) {
    let mut counts = BTreeMap::<bool, usize>::new();
    for entry in node.all("auditEntries", "blockNumber finality").await {
        let is_final = entry["blockNumber"].as_str().unwrap().parse::<u64>().unwrap() <= head - 64;
        assert_eq!(entry["finality"], if is_final { "FINALIZED" } else { "UNSAFE" }, "{entry} at head {head}");
        *counts.entry(is_final).or_default() += 1;
    }
    assert_eq!(counts.len(), 2, "both are seen");
    let networks = node.ask("{ networks { name chainId head { number } indexed { number } lagBlocks synced } }").await;
    let network = &networks["networks"][0];
    assert_eq!(network["indexed"]["number"], head);
    assert_eq!(network["lagBlocks"], 0);
}
