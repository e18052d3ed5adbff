//! What the stories of reading a chain begin with: a chain in memory, and a reader of its endpoints.

use std::time::Duration;

use alloy::primitives::{Address, U256, address};
use meikan::block::{Block, Header};
use meikan::chain::{Chain, ChainError};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::{Event, IdentityEvent};

use crate::support::fake_chain::FakeChain;

pub(crate) const CHAIN_ID: u64 = 167_000;
pub(crate) const REGISTRY: Address = address!("8004A169FB4a3325136EB29fA0ceB6D2e539a432");

/// Longest that a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Longer than an endpoint's refusal is believed.
pub(crate) const LESSON_ENDS: Duration = Duration::from_secs(3_600);

pub(crate) fn registered(agent_id: u64) -> (Address, Event) {
    let event = IdentityEvent::Registered {
        agent_id: U256::from(agent_id),
        agent_uri: format!("ipfs://{agent_id}").as_str().into(),
        owner: Address::repeat_byte(1),
    };
    (REGISTRY, Event::Identity(event))
}

pub(crate) fn network(urls: &[String]) -> Network {
    Network {
        name: "test".into(),
        chain_id: CHAIN_ID,
        rpc_urls: urls.to_vec(),
        start_block: 0,
        contracts: Contracts { identity: Addresses(vec![REGISTRY]), ..Contracts::default() },
        follow: Follow::default(),
        ..Network::default()
    }
}

pub(crate) async fn connect(urls: &[String]) -> Chain {
    Chain::connect(&network(urls)).await.expect("the endpoints are of the chain")
}

pub(crate) async fn refused(urls: &[String]) -> ChainError {
    Chain::connect(&network(urls)).await.expect_err("the endpoints are refused")
}

/// A chain of `blocks` blocks above genesis, each with one registration.
pub(crate) fn busy_chain(blocks: u64) -> FakeChain {
    let fake = FakeChain::new(CHAIN_ID);
    for agent_id in 0..blocks {
        fake.mine([registered(agent_id)]);
    }
    fake
}

pub(crate) async fn header(chain: &Chain, number: u64) -> Header {
    chain.header(number).await.expect("the header is answered").expect("the block is there")
}

pub(crate) fn agents(blocks: &[Block]) -> Vec<u64> {
    let logs = blocks.iter().flat_map(|block| &block.logs);
    let agents = logs.map(|log| match &log.event {
        Ok(Event::Identity(IdentityEvent::Registered { agent_id, .. })) => agent_id.to(),
        other => panic!("{other:?} is not a registration"),
    });
    agents.collect()
}

/// Everything from `from` to `to`, range by range.
pub(crate) async fn all(chain: &Chain, mut from: u64, to: u64) -> Vec<Block> {
    let mut blocks = Vec::new();
    while from <= to {
        let range = chain.range(from, to).await.expect("the range is answered");
        assert_eq!(range.from, from);
        from = range.to.number + 1;
        blocks.extend(range.blocks);
    }
    blocks
}

/// Lets time pass without waiting for it.
pub(crate) async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// An address where nobody listens.
pub(crate) fn dead_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    format!("http://{}", listener.local_addr().expect("it is bound"))
}
