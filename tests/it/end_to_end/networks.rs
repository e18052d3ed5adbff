//! Several networks in one process and one database.

use alloy::primitives::{Address, U256};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::{Event, IdentityEvent};
use serde_json::{Value, json};

use crate::support::fake_chain::{FakeChain, RawLog};
use crate::support::node::{Node, depths};
use crate::support::tables::assert_same;

const TAIKO: u64 = 167_000;
const HOODI: u64 = 167_013;

/// The same address on both.
const IDENTITY: Address = Address::repeat_byte(0x11);

fn network(name: &str, chain_id: u64, chain: &FakeChain) -> Network {
    Network {
        name: name.into(),
        chain_id,
        rpc_urls: vec![chain.url()],
        start_block: 0,
        contracts: Contracts { identity: Addresses(vec![IDENTITY]), ..Contracts::default() },
        follow: Follow::default(),
        ..Network::default()
    }
}

fn registered(agent: u64, uri: &str) -> Vec<RawLog> {
    let (agent_id, owner) = (U256::from(agent), Address::repeat_byte(1));
    let minted = IdentityEvent::Transfer { from: Address::ZERO, to: owner, token_id: agent_id };
    let registered = IdentityEvent::Registered { agent_id, agent_uri: uri.into(), owner };
    [minted, registered].map(|event| (IDENTITY, Event::Identity(event)).into()).into()
}

/// Two chains that know the same agent ids, with others behind them.
struct World {
    taiko: FakeChain,
    hoodi: FakeChain,
    node: Node,
}

impl World {
    async fn start() -> Self {
        let (taiko, hoodi) = (FakeChain::new(TAIKO), FakeChain::new(HOODI));
        for agent in 0..12 {
            taiko.mine(registered(agent, &format!("https://taiko.example/{agent}")));
        }
        for agent in 0..5 {
            hoodi.mine(registered(agent, &format!("https://hoodi.example/{agent}")));
        }
        let networks = [network("taiko", TAIKO, &taiko), network("hoodi", HOODI, &hoodi)];
        Self { taiko, hoodi, node: Node::fresh(&networks).await }
    }

    async fn ids(&self, path: &str, arguments: &str) -> Vec<String> {
        let mut data = self.node.ask_at(path, &format!("{{ agents{arguments} {{ id }} }}")).await;
        let Value::Array(agents) = data["agents"].take() else { panic!("a list") };
        agents.iter().map(|agent| agent["id"].as_str().unwrap().to_owned()).collect()
    }
}

fn ids_of(chain_id: u64, agents: u64) -> Vec<String> {
    (0..agents).map(|agent| format!("{chain_id}:{agent}")).collect()
}

#[tokio::test]
async fn each_address_answers_for_its_networks() {
    let world = World::start().await;
    assert_eq!(world.ids("", "").await, [ids_of(TAIKO, 12), ids_of(HOODI, 5)].concat());
    assert_eq!(world.ids("", "(chainId: 167013)").await, ids_of(HOODI, 5));
    assert_eq!(world.ids("/167000", "").await, ids_of(TAIKO, 12));
    assert_eq!(world.ids("/167013", "").await, ids_of(HOODI, 5));
    let uri = |data: Value| data["agent"]["agentURI"].clone();
    assert_eq!(uri(world.node.ask("{ agent(id: \"167013:3\") { agentURI } }").await), "https://hoodi.example/3");
    assert_eq!(
        uri(world.node.ask_at("/167000", "{ agent(id: \"167000:3\") { agentURI } }").await),
        "https://taiko.example/3"
    );
    let foreign = world.node.ask_at("/167000", "{ agent(id: \"167013:3\") { agentURI } }").await;
    assert_eq!(foreign["agent"], Value::Null, "an address answers for no other network");
}

#[tokio::test]
async fn what_needs_one_network_asks_for_it() {
    let world = World::start().await;
    for query in ["{ _meta { block { number } } }", "{ agents(block: { number: 3 }) { id } }"] {
        let answer = world.node.answer("", query).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_INPUT", "{query}: {answer}");
    }
    let number = |data: Value| data["_meta"]["block"]["number"].clone();
    assert_eq!(number(world.node.ask("{ _meta(chainId: 167000) { block { number } } }").await), 12);
    assert_eq!(number(world.node.ask_at("/167013", "{ _meta { block { number } } }").await), 5);
    assert_eq!(world.ids("", "(chainId: 167000, block: { number: 3 })").await, ids_of(TAIKO, 3));
    assert_eq!(world.ids("/167013", "(block: { number: 2 })").await, ids_of(HOODI, 2));
}

#[tokio::test]
async fn networks_are_listed_with_their_own_heads() {
    let world = World::start().await;
    world.hoodi.mine_empty(3);
    let networks = world.node.ask("{ networks { name chainId head { number } indexed { number } } }").await;
    let expected = json!([
        { "name": "taiko", "chainId": TAIKO, "head": { "number": 12 }, "indexed": { "number": 12 } },
        { "name": "hoodi", "chainId": HOODI, "head": { "number": 5 }, "indexed": { "number": 5 } },
    ]);
    assert_eq!(networks["networks"], expected);
}

#[tokio::test]
async fn f21_a_reorg_of_one_network_leaves_the_other_untouched() {
    let mut world = World::start().await;
    let before = world.node.tables(TAIKO).await;
    world.hoodi.reorg(4, vec![registered(1, "https://fork.example/1"), vec![], vec![], vec![], registered(2, "")]);
    assert_eq!(depths(&world.node.catch_up().await), [4]);
    assert_same(&world.node.tables(TAIKO).await, &before);
    assert_eq!(world.ids("/167013", "").await, ids_of(HOODI, 3));
    let fresh = Node::fresh(world.node.networks()).await;
    for chain_id in [TAIKO, HOODI] {
        assert_same(&world.node.tables(chain_id).await, &fresh.tables(chain_id).await);
    }
    world.taiko.mine(registered(12, ""));
    world.node.catch_up().await;
    assert_eq!(world.ids("/167000", "").await, ids_of(TAIKO, 13));
}
