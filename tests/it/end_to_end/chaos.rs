//! Chance decides what happens on a chain and how its endpoint behaves; in the end the node holds what a node holds that
//! comes only then, and answers the same.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256, keccak256};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::{Event, GovernanceEvent, IdentityEvent, ReputationEvent, Text, ValidationEvent};
use tokio::task::JoinSet;

use super::draw::Draw;
use super::model::ROOTS;
use crate::support::fake_chain::{FakeChain, Fault, RawLog};
use crate::support::node::Node;
use crate::support::tables::assert_same;

const CHAIN_ID: u64 = 167_000;
const IDENTITY: Address = Address::repeat_byte(0x11);
const REPUTATION: Address = Address::repeat_byte(0x22);
const VALIDATION: Address = Address::repeat_byte(0x33);

/// Each is another story.
const SEEDS: std::ops::Range<u64> = 0..4;

/// Things that happen in a story.
const TURNS: u64 = 80;

/// The deepest reorg.
const MAX_DEPTH: u64 = 14;

/// Blocks that end each story: more than any branch was longer than its replacement, so that nothing looks like a lower
/// head for ever.
const LAST_BLOCKS: u64 = 40;

/// Few agents, people and keys, so that events meet.
fn log(draw: &mut Draw) -> RawLog {
    let agent_id = U256::from(draw.below(6));
    let somebody = |draw: &mut Draw| Address::with_last_byte(u8::try_from(draw.below(4)).unwrap());
    let (one, other) = (somebody(draw), somebody(draw));
    let text = Text::from(draw.pick(&["", "a", "b", r#"{"name": "c"}"#, "data:,{\"name\": \"d\"}", "e\0"]));
    let hash = B256::with_last_byte(u8::try_from(draw.below(8)).unwrap());
    let feedback_index = 1 + draw.below(3);
    let identity = |event| (IDENTITY, Event::Identity(event)).into();
    let reputation = |event| (REPUTATION, Event::Reputation(event)).into();
    let validation = |event| (VALIDATION, Event::Validation(event)).into();
    match draw.below(14) {
        0 => identity(IdentityEvent::Registered { agent_id, agent_uri: text, owner: one }),
        1 | 2 => identity(IdentityEvent::Transfer { from: one, to: other, token_id: agent_id }),
        3 => identity(IdentityEvent::URIUpdated { agent_id, new_uri: text, updated_by: one }),
        4 => identity(IdentityEvent::Approval { owner: one, approved: other, token_id: agent_id }),
        5 => identity(IdentityEvent::ApprovalForAll { owner: one, operator: other, approved: draw.below(2) == 0 }),
        6 => identity(IdentityEvent::MetadataSet {
            agent_id,
            indexed_metadata_key: keccak256(&text.0),
            metadata_key: text,
            metadata_value: vec![1; usize::try_from(draw.below(3)).unwrap()].into(),
        }),
        7 | 8 => reputation(ReputationEvent::NewFeedback {
            agent_id,
            client_address: one,
            feedback_index,
            value: i128::from(draw.below(100)) - 50,
            value_decimals: u8::try_from(draw.below(19)).unwrap(),
            indexed_tag1: keccak256(&text.0),
            tag1: text.clone(),
            tag2: text.clone(),
            endpoint: text.clone(),
            feedback_uri: text,
            feedback_hash: hash,
        }),
        9 => reputation(ReputationEvent::FeedbackRevoked { agent_id, client_address: one, feedback_index }),
        10 => reputation(ReputationEvent::ResponseAppended {
            agent_id,
            client_address: one,
            feedback_index,
            responder: other,
            response_uri: text,
            response_hash: hash,
        }),
        11 => validation(ValidationEvent::ValidationRequest {
            validator_address: one,
            agent_id,
            request_uri: text,
            request_hash: hash,
        }),
        12 => validation(ValidationEvent::ValidationResponse {
            validator_address: one,
            agent_id,
            request_hash: hash,
            response: u8::try_from(draw.below(101)).unwrap(),
            response_uri: text.clone(),
            response_hash: hash,
            tag: text,
        }),
        _ if draw.below(2) == 0 => RawLog { address: IDENTITY, topics: vec![hash], data: vec![7].into() },
        _ => (REPUTATION, Event::Governance(GovernanceEvent::Paused { account: one })).into(),
    }
}

fn block(draw: &mut Draw) -> Vec<RawLog> {
    (0..draw.below(5)).map(|_| log(draw)).collect()
}

/// A chain, a node that follows it, and what chance has done to both.
struct World {
    draw: Draw,
    chain: FakeChain,
    finalized: u64,
    node: Node,
}

impl World {
    async fn start(seed: u64) -> Self {
        let mut draw = Draw::new(seed);
        let chain = FakeChain::new(CHAIN_ID);
        let follow = Follow {
            max_range_blocks: 1 + draw.below(20),
            by_hash_blocks: draw.below(10),
            batch_requests: draw.pick(&[1, 7, 100]),
            ..Follow::default()
        };
        let network = Network {
            name: "taiko".into(),
            chain_id: CHAIN_ID,
            rpc_urls: vec![chain.url()],
            start_block: draw.below(3),
            contracts: Contracts {
                identity: Addresses(vec![IDENTITY]),
                reputation: Addresses(vec![REPUTATION]),
                validation: Addresses(vec![VALIDATION]),
                ..Contracts::default()
            },
            follow,
            ..Network::default()
        };
        let node = Node::start(&[network]).await;
        Self { draw, chain, finalized: 0, node }
    }

    async fn turn(mut self) -> Self {
        match self.draw.below(12) {
            0..=2 => {
                let blocks = 1 + self.draw.below(4);
                self.mine(blocks);
            }
            3 | 4 => self.fork(),
            5 => self.finalize(),
            6 => {
                self.chain.endpoint().lag(self.draw.pick(&[0, 0, 1, 5]));
            }
            7 => {
                let method = self.draw.pick(&["eth_getLogs", "eth_getBlockByNumber", "eth_getBlockByHash"]);
                let times = usize::try_from(1 + self.draw.below(3)).unwrap();
                let fault = self.draw.pick(&[0, 1, 2, 3]);
                let faults = [Fault::Error(-32_000, "busy".into()), Fault::Null, Fault::EmptyLogs, Fault::CutOff];
                self.chain.endpoint().fail(method, times, faults[fault].clone());
            }
            8 => {
                let networks = self.node.networks().to_vec();
                let database = self.node.stop();
                self.chain.endpoint().recover();
                self.node = Node::start_on(Arc::clone(&database), &networks).await;
            }
            9 => {
                self.chain.endpoint().recover();
                self.node.catch_up().await;
            }
            _ => self.node.step().await,
        }
        self
    }

    fn mine(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.chain.mine(block(&mut self.draw));
        }
    }

    /// A branch that is a little shorter, as long, or longer.
    fn fork(&mut self) {
        let depth = self.draw.below(MAX_DEPTH.min(self.chain.head().number - self.finalized) + 1);
        let blocks = (depth + self.draw.below(4)).saturating_sub(1);
        let blocks = (0..blocks).map(|_| block(&mut self.draw)).collect();
        self.chain.reorg(depth, blocks);
    }

    fn finalize(&mut self) {
        let depth = 1 + self.draw.below(12);
        self.finalized = self.finalized.max(self.chain.head().number.saturating_sub(depth));
        self.chain.finalize(self.finalized);
    }
}

/// A story of its own.
async fn play(seed: u64) {
    let mut world = World::start(seed).await;
    for _ in 0..TURNS {
        world = world.turn().await;
    }
    world.chain.endpoint().lag(0).recover();
    world.mine(LAST_BLOCKS);
    world.node.catch_up().await;
    let fresh = Node::fresh(world.node.networks()).await;
    assert_same(&world.node.tables(CHAIN_ID).await, &fresh.tables(CHAIN_ID).await);
    for (root, fields) in ROOTS {
        // Here, as on no real chain, feedback names agents that are not there.
        let fields = fields.replace(" agent { id }", "").replace(" feedback { id }", "");
        assert_eq!(world.node.all(root, &fields).await, fresh.all(root, &fields).await, "{root} of seed {seed}");
    }
}

/// A thread for each story: dropping a database blocks one, while the server may wait for another story to read.
#[tokio::test(flavor = "multi_thread", worker_threads = 5)]
async fn whatever_happens_the_end_is_that_of_a_fresh_node() {
    let mut stories: JoinSet<()> = SEEDS.map(play).collect();
    while let Some(story) = stories.join_next().await {
        story.expect("the tables of a story equal a fresh node's");
    }
}
