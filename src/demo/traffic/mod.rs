//! Traffic: real transactions of many people about our contracts, drawn from a seed, for as long as somebody steps.
//!
//! [`Traffic::step`] plans some actions from what the chain's events tell, sends them, mines them in one block and
//! reads what became of them. It begins with a tour on which every kind of event happens, and goes on with a steady
//! mix. Plans are made so that none is reverted, whatever else is in their block; a reorg takes back what was known.

mod action;
mod draw;
mod files;
mod governance;
mod identity;
mod intents;
mod policy;
mod reputation;
mod scene;
mod validation;
mod wallets;
mod world;

use std::collections::{HashMap, VecDeque};

use alloy::primitives::{Address, B256};

use self::action::Action;
use self::draw::Draw;
use self::scene::{Cast, Plan, Scene, Subject};
use self::world::History;
use super::{Contracts, DemoError, Deployment, Receipt, Rpc};
use crate::event::{Event, Role};

/// The most actions in a block of the tour: it is over within about ten blocks.
const TOUR_ACTIONS_PER_BLOCK: usize = 10;

/// Fewest and most transactions in a block after the tour; an action that shares its block with no other may have more
/// or fewer.
const TRANSACTIONS_PER_BLOCK: (u64, u64) = (3, 6);

/// The most actions that are drawn for a block: some of them are not possible, or not beside the others.
const DRAWS_PER_BLOCK: usize = 30;

/// The most blocks of the tour: more than a demo's timelocks need.
const TOUR_BLOCKS: u64 = 100;

/// The deepest reorg that is drawn, in blocks.
const DRAWN_REORG_DEPTH_BLOCKS: u64 = 8;

/// The deepest reorg that can be asked for, in blocks: what lies deeper Anvil calls finalized.
const MAX_REORG_DEPTH_BLOCKS: u64 = 63;

/// Blocks between two reorgs, on average.
const BLOCKS_PER_REORG: u64 = 25;

/// Ongoing transactions on a local chain.
#[derive(Debug)]
pub struct Traffic {
    rpc: Rpc,
    deployment: Deployment,
    roles: HashMap<Address, Role>,
    cast: Cast,
    draw: Draw,
    history: History,
    /// What is left of the tour.
    tour: VecDeque<Action>,
    tour_blocks: u64,
    reorgs: bool,
    /// Number and time of the newest block.
    head: (u64, u64),
    /// The block below which nothing is ever reorganised: the deployment.
    lowest: u64,
}

/// What a step brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The block that it mined.
    pub block: u64,
    /// The transactions in it, in their order.
    pub sent: Vec<Sent>,
    /// How many blocks were replaced by empty ones before it.
    pub reorg_depth: Option<u64>,
}

/// One transaction of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The action that it belongs to.
    pub action: &'static str,
    /// The transaction.
    pub transaction_hash: B256,
    /// Whether it is in the block and was not reverted.
    pub succeeded: bool,
}

impl Traffic {
    /// Traffic for a deployment, drawn from a seed. Nothing happens before the first step.
    ///
    /// # Errors
    /// [`DemoError`] when the chain does not answer or has too few accounts.
    pub async fn connect(rpc_url: &str, deployment: Deployment, seed: u64) -> Result<Self, DemoError> {
        let rpc = Rpc::connect(rpc_url)?;
        let cast = Cast::of(&rpc.accounts().await?)?;
        let head = rpc.head().await?;
        Ok(Self {
            roles: deployment.contracts().all().map(|(role, _, address)| (address, role)).collect(),
            rpc,
            deployment,
            cast,
            draw: Draw::new(seed),
            history: History::new(MAX_REORG_DEPTH_BLOCKS),
            tour: Action::tour().into(),
            tour_blocks: 0,
            reorgs: false,
            head,
            lowest: head.0,
        })
    }

    /// Lets the chain reorganise now and then, by 1 to 8 blocks, once the tour is over.
    pub fn allow_reorgs(&mut self) {
        self.reorgs = true;
    }

    /// The contracts that the traffic is about, to be asked.
    #[must_use]
    pub fn contracts(&self) -> Contracts {
        Contracts::new(self.rpc.clone(), self.deployment.clone())
    }

    /// Whether every kind of event has happened.
    #[must_use]
    pub fn is_tour_over(&self) -> bool {
        self.tour.is_empty()
    }

    /// Mines one block with some transactions in it, perhaps after a reorg.
    ///
    /// # Errors
    /// [`DemoError`] when the chain does not answer, or when the tour cannot go on.
    pub async fn step(&mut self) -> Result<Step, DemoError> {
        let depth = self.draw_reorg();
        if let Some(depth) = depth {
            self.reorganise(depth).await?;
        }
        let planned = if self.tour.is_empty() { self.plan_mix().await? } else { self.plan_tour().await? };
        let mut sent = Vec::new();
        for (action, plan) in &planned {
            for call in &plan.calls {
                let transaction_hash = self.rpc.send(call).await?;
                sent.push(Sent { action: action.name(), transaction_hash, succeeded: false });
            }
        }
        let receipts = self.mine().await?;
        for sent in &mut sent {
            sent.succeeded =
                receipts.iter().any(|receipt| receipt.transaction_hash == sent.transaction_hash && receipt.succeeded());
        }
        Ok(Step { block: self.head.0, sent, reorg_depth: depth })
    }

    /// Replaces the newest blocks by empty ones, as [`Traffic::step`] does now and then: at most 63, none of the
    /// deployment's, and not more than the chain keeps the states of.
    ///
    /// # Errors
    /// [`DemoError`] when the chain does not answer.
    pub async fn reorganise(&mut self, depth: u64) -> Result<(), DemoError> {
        let depth = depth.min(MAX_REORG_DEPTH_BLOCKS).min(self.head.0 - self.lowest);
        self.rpc.reorganise(depth).await?;
        self.history.rewind(self.head.0 - depth);
        self.head = self.rpc.head().await?;
        Ok(())
    }

    fn draw_reorg(&mut self) -> Option<u64> {
        let is_due = self.reorgs && self.tour.is_empty() && self.draw.one_in(BLOCKS_PER_REORG);
        is_due.then(|| 1 + self.draw.below(DRAWN_REORG_DEPTH_BLOCKS))
    }

    /// As much of the rest of the tour as is possible now and goes together, in its order.
    async fn plan_tour(&mut self) -> Result<Vec<(Action, Plan)>, DemoError> {
        self.tour_blocks += 1;
        if self.tour_blocks > TOUR_BLOCKS {
            return Err(DemoError::Stuck { actions: self.tour.iter().map(|action| action.name()).collect() });
        }
        let mut planned = Vec::new();
        let mut taken = Vec::new();
        for action in std::mem::take(&mut self.tour) {
            let is_full = planned.len() == TOUR_ACTIONS_PER_BLOCK;
            match if is_full { None } else { self.plan(action, &taken).await? } {
                Some(plan) => {
                    taken.extend(plan.subjects.iter().copied());
                    planned.push((action, plan));
                }
                None => self.tour.push_back(action),
            }
        }
        Ok(planned)
    }

    /// Some actions by their weights. One that is not possible now, or has too many transactions for the rest of the
    /// block, is left out.
    async fn plan_mix(&mut self) -> Result<Vec<(Action, Plan)>, DemoError> {
        let (fewest, most) = TRANSACTIONS_PER_BLOCK;
        let wanted = fewest + self.draw.below(most - fewest + 1);
        let mut transactions = 0;
        let mut planned = Vec::new();
        let mut taken = Vec::new();
        for _ in 0..DRAWS_PER_BLOCK {
            if transactions >= wanted || taken.contains(&Subject::Everything) {
                break;
            }
            let action = Action::draw(&mut self.draw);
            let Some(plan) = self.plan(action, &taken).await? else { continue };
            let calls = plan.calls.len() as u64;
            if planned.is_empty() || transactions + calls <= most {
                transactions += calls;
                taken.extend(plan.subjects.iter().copied());
                planned.push((action, plan));
            }
        }
        Ok(planned)
    }

    async fn plan(&mut self, action: Action, taken: &[Subject]) -> Result<Option<Plan>, DemoError> {
        let mut scene = Scene {
            rpc: &self.rpc,
            deployment: &self.deployment,
            cast: &self.cast,
            world: self.history.now(),
            draw: &mut self.draw,
            now: self.head.1,
        };
        Ok(action.plan(&mut scene).await?.filter(|plan| plan.fits(taken)))
    }

    /// Mines what was sent, and learns from its events.
    async fn mine(&mut self) -> Result<Vec<Receipt>, DemoError> {
        self.head = self.rpc.mine().await?;
        let receipts = self.rpc.receipts(self.head.0).await?;
        for log in receipts.iter().flat_map(|receipt| &receipt.logs) {
            let Some(role) = self.roles.get(&log.address) else { continue };
            if let Ok(event) = Event::decode(*role, &log.topics, &log.data) {
                self.history.fold(self.head.0, event);
            }
        }
        Ok(receipts)
    }
}
