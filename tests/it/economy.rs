//! What fixed work costs, in numbers that no clock and no neighbour changes: requests to the chain, statements, and pieces
//! of memory that are asked for.
//!
//! A number may be a tenth away from the one that is written here. One that rose says where the node got slower; one that
//! fell is to be written down, so that it stays.

use allocation_counter::measure;
use meikan::config::Follow;
use meikan::follow::Outcome;
use tokio::runtime::{Builder, Runtime};

use crate::follow::{Node, busy_block, busy_chain, fork};
use crate::support::fake_chain::FakeChain;

/// How far a number may be from the one here, in parts of a hundred.
const SLACK_PERCENT: u64 = 10;

/// Blocks that are final, those above them, and how deep the chain is reorganised.
const FINAL_BLOCKS: u64 = 120;
const BLOCKS: u64 = 300;
const DEPTH: u64 = 10;

/// What a piece of work costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    /// Requests, each of a batch counted.
    requests: u64,
    statements: u64,
    /// Allocations of the node, its driver, and of the chain that serves it.
    allocations: u64,
}

impl Cost {
    fn is_near(&self, expected: &Self) -> bool {
        let near = |cost: u64, expected: u64| cost.abs_diff(expected) * 100 <= expected * SLACK_PERCENT;
        near(self.requests, expected.requests)
            && near(self.statements, expected.statements)
            && near(self.allocations, expected.allocations)
    }
}

/// What one step costs. All tasks run on this thread, whose allocations are counted.
fn step(runtime: &Runtime, node: &mut Node, chain: &FakeChain) -> (Outcome, Cost) {
    chain.endpoint().take_requests();
    let mut outcome = None;
    let memory = measure(|| outcome = Some(runtime.block_on(node.follower.step()).unwrap()));
    let outcome = outcome.unwrap();
    let statements = match &outcome {
        Outcome::Advanced { applied, .. } | Outcome::Reorganised { applied, .. } => applied.statements.into(),
        _ => 0,
    };
    let requests = chain.endpoint().take_requests() as u64;
    (outcome, Cost { requests, statements, allocations: memory.count_total })
}

#[test]
fn fixed_work_costs_what_it_did() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let chain = busy_chain(BLOCKS);
    chain.finalize(FINAL_BLOCKS);
    let mut node = runtime.block_on(Node::with(&[chain.url()], Follow::default()));

    let (outcome, backfill) = step(&runtime, &mut node, &chain);
    assert!(matches!(outcome, Outcome::Advanced { from: 1, to: FINAL_BLOCKS, .. }), "{outcome:?}");
    runtime.block_on(node.sync());
    chain.mine(busy_block(BLOCKS + 1, 1));
    runtime.block_on(node.sync());
    chain.mine(busy_block(BLOCKS + 3, 1));
    let (outcome, head) = step(&runtime, &mut node, &chain);
    assert!(matches!(outcome, Outcome::Advanced { .. }), "{outcome:?}");
    fork(&chain, DEPTH, 1, 2);
    let (outcome, reorganisation) = step(&runtime, &mut node, &chain);
    assert!(matches!(outcome, Outcome::Reorganised { depth: DEPTH, .. }), "{outcome:?}");

    let costs = [("backfill", backfill), ("head", head), ("reorganisation", reorganisation)];
    let expected = [
        ("backfill", Cost { requests: 83, statements: 32, allocations: 32_200 }),
        ("head", Cost { requests: 3, statements: 23, allocations: 2_740 }),
        ("reorganisation", Cost { requests: 152, statements: 80, allocations: 22_600 }),
    ];
    let is_near = costs.iter().zip(&expected).all(|((_, cost), (_, expected))| cost.is_near(expected));
    assert!(is_near, "work costs {costs:#?}, where it was {expected:#?}");
}
