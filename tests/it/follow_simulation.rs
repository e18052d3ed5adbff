//! A seed draws a history: blocks, forks, finality, lags, faults, restarts, and forks between two requests of one step.
//! Whatever happened, at the end the tables are those of a node that sees the chain only now.
//!
//! Endpoints leave logs out only above finality, where blooms tell: a range of final blocks comes without headers, and what
//! an endpoint drops there is for an audit to find (F5).
//!
//! A seed that fails becomes a story in `follow.rs`.

use alloy::primitives::keccak256;
use meikan::config::Follow;
use meikan::fault::Fault as Meaning;

use crate::follow::{Node, busy_block, busy_chain, fork};
use crate::support::fake_chain::{FakeChain, FakeEndpoint, Fault};

/// Things that happen in one history.
const EVENTS: usize = 30;

/// Requests of a step within which something may happen to the chain.
const REQUESTS: u64 = 40;

/// Numbers that depend on the seed alone.
struct Draw {
    seed: u64,
    drawn: u64,
}

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        let hash = keccak256([self.seed.to_be_bytes(), self.drawn.to_be_bytes()].concat());
        u64::from_be_bytes(hash[..8].try_into().unwrap()) % bound
    }
}

/// A chain with two endpoints, and what is drawn to happen to them.
struct World {
    draw: Draw,
    chain: FakeChain,
    second: FakeEndpoint,
    finalized: u64,
    branch: u8,
    /// Endpoints leave out logs of blocks that are not final.
    lying: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let chain = busy_chain(30);
        let second = chain.another_endpoint();
        chain.endpoint().be_honest_about_final();
        second.be_honest_about_final();
        Self { draw: Draw { seed, drawn: 0 }, chain, second, finalized: 0, branch: 1, lying: seed.is_multiple_of(2) }
    }

    fn endpoint(&mut self) -> &FakeEndpoint {
        if self.draw.below(2) == 0 { self.chain.endpoint() } else { &self.second }
    }

    /// A fork above finality, as deep and as long as is drawn.
    fn drawn_fork(&mut self) -> impl FnOnce() + Send + 'static {
        self.branch = self.branch.wrapping_add(1).max(1);
        let (chain, finalized, branch) = (self.chain.clone(), self.finalized, self.branch);
        let (depth, more) = (1 + self.draw.below(40), self.draw.below(8));
        move || {
            let deepest = chain.head().number - finalized;
            if deepest > 0 {
                fork(&chain, depth.min(deepest), more, branch);
            }
        }
    }

    /// Lets one thing happen; a fault is mostly over after a few requests.
    fn happen(&mut self) {
        match self.draw.below(9) {
            0 | 1 => {
                let first = self.chain.head().number + 1;
                for number in first..=first + self.draw.below(25) {
                    self.chain.mine(busy_block(number, self.branch));
                }
            }
            2 => self.drawn_fork()(),
            3 => {
                let (turn, nth) = (self.drawn_fork(), self.draw.below(REQUESTS));
                self.endpoint().before_request(usize::try_from(nth).unwrap() + 1, turn);
            }
            4 => {
                // A fork that is still to come goes down to what was final when it was drawn.
                self.chain.endpoint().recover();
                self.second.recover();
                self.finalized += self.draw.below(self.chain.head().number - self.finalized + 1);
                self.chain.finalize(self.finalized);
            }
            5 => {
                let lag = self.draw.below(12);
                self.endpoint().lag(lag);
            }
            6 if self.lying => {
                let lag = self.draw.below(3);
                self.endpoint().lag_logs(lag);
            }
            7 => {
                let fault = match self.draw.below(if self.lying { 6 } else { 4 }) {
                    0 => Fault::RepeatedLogs,
                    1 => Fault::WrongHash,
                    2 => Fault::Error(-32_000, "internal error".into()),
                    3 => Fault::Missing,
                    4 => Fault::RemovedLogs,
                    _ => Fault::EmptyLogs,
                };
                self.endpoint().fail("eth_getLogs", 1, fault);
            }
            _ => {
                let fault = if self.draw.below(2) == 0 { Fault::Null } else { Fault::CutOff };
                self.endpoint().fail("eth_getBlockByNumber", 1, fault);
            }
        }
    }

    /// Nothing happens any more, and all endpoints tell the truth.
    fn calm(&self) {
        for endpoint in [self.chain.endpoint(), &self.second] {
            endpoint.recover();
            endpoint.lag(0).lag_logs(0);
        }
    }
}

async fn live_through(seed: u64) {
    println!("seed {seed}");
    let mut world = World::new(seed);
    let follow = Follow { max_range_blocks: 20, by_hash_blocks: 8, ..Follow::default() };
    let mut node = Node::with(&[world.chain.url(), world.second.url()], follow).await;
    for _ in 0..EVENTS {
        world.happen();
        if world.draw.below(8) == 0 {
            // A start needs an endpoint that answers, which is another story (F42).
            world.chain.endpoint().recover();
            node = node.restarted().await;
        }
        for _ in 0..world.draw.below(4) {
            if let Err(error) = node.follower.step().await {
                assert_ne!(error.fault(), Meaning::Fatal, "seed {seed}: {error}");
            }
        }
    }
    world.calm();
    node.sync().await;
    node.equals_fresh(&world.chain).await;
}

#[tokio::test]
async fn f66_whatever_happened_the_tables_are_those_of_a_fresh_node() {
    for seed in 1..=2 {
        live_through(seed).await;
    }
}
