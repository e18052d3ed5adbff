//! The loop around the step: it sleeps, counts, backs off, and stops.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::B256;
use metrics::{counter, gauge, histogram};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::block::Block;
use crate::chain::Chain;
use crate::config::{self, redact};
use crate::fault::Fault;
use crate::metrics as names;
use crate::store::{Applied, Store, StoreError, Writer};

use super::progress::Progress;
use super::{FollowError, Follower, Outcome};

/// First pause after a failed step, doubled with each further one.
const BACKOFF_START: Duration = Duration::from_millis(250);

/// Longest pause between failed steps.
const BACKOFF_LIMIT: Duration = Duration::from_secs(15);

/// Pause between a standby's attempts to take over.
const STANDBY_PAUSE: Duration = Duration::from_secs(2);

/// When to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Never: follow the chain.
    Forever,
    /// Once the block that was the head at the start is committed.
    Head,
    /// Once this block is committed.
    Block(u64),
}

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The wanted block is committed.
    Reached(u64),
    /// It was asked to end.
    Cancelled,
}

/// Orders for a network's writer that wait at most; who gives one waits for its end.
const MAX_ORDERS: usize = 1;

/// An order for a network's writer: to put final blocks in the place of what is stored of them.
#[derive(Debug)]
pub struct Repair {
    /// The blocks as the chain proves them, rising.
    pub blocks: Vec<Block>,
    /// Hears whether it was done.
    pub done: oneshot::Sender<bool>,
}

/// Where a follower shows that it writes, and takes orders between two steps.
#[derive(Debug)]
pub struct Desk {
    writing: watch::Sender<Option<Arc<Chain>>>,
    orders: mpsc::Receiver<Repair>,
}

/// The other side of a [`Desk`].
#[derive(Debug)]
pub struct Counter {
    /// The chain of the follower, while it writes.
    pub writing: watch::Receiver<Option<Arc<Chain>>>,
    /// Takes orders.
    pub orders: mpsc::Sender<Repair>,
}

/// A follower's desk, and what others see of it.
#[must_use]
pub fn desk() -> (Desk, Counter) {
    let (writing, seen) = watch::channel(None);
    let (sender, orders) = mpsc::channel(MAX_ORDERS);
    (Desk { writing, orders }, Counter { writing: seen, orders: sender })
}

/// Follows a network until it is done, cancelled, or cannot go on. While another process writes it, stands by.
///
/// # Errors
/// [`FollowError`] whose fault is fatal, or any while the network is first opened.
pub async fn follow(
    store: &Store,
    network: &config::Network,
    until: Until,
    cancel: &CancellationToken,
) -> Result<Stop, FollowError> {
    follow_at(desk().0, store, network, until, cancel).await
}

/// [`follow`], at a desk.
///
/// # Errors
/// As [`follow`].
pub async fn follow_at(
    mut desk: Desk,
    store: &Store,
    network: &config::Network,
    until: Until,
    cancel: &CancellationToken,
) -> Result<Stop, FollowError> {
    tokio::select! {
        () = cancel.cancelled() => Ok(Stop::Cancelled),
        stop = follow_forever(&mut desk, store, network, until) => stop,
    }
}

async fn follow_forever(
    desk: &mut Desk,
    store: &Store,
    network: &config::Network,
    until: Until,
) -> Result<Stop, FollowError> {
    let mut until = until;
    let chain = Arc::new(Chain::connect(network).await?);
    store.register(network, chain.genesis_hash()).await?;
    loop {
        let writer = become_writer(store, network, chain.genesis_hash()).await?;
        let endpoints = network.endpoints().map(redact).collect::<Vec<_>>().join(" ");
        info!(network = network.name, chain_id = network.chain_id, endpoints, "following the chain");
        let mut follower = Follower::new(network, Arc::clone(&chain), writer);
        desk.writing.send_replace(Some(Arc::clone(&chain)));
        let stop = follow_as_writer(&mut follower, desk, network, &mut until).await;
        desk.writing.send_replace(None);
        if let Some(stop) = stop? {
            return Ok(stop);
        }
    }
}

/// Waits until no other process writes the network.
async fn become_writer(store: &Store, network: &config::Network, genesis: B256) -> Result<Writer, FollowError> {
    let writing = gauge!(names::WRITER, "network" => network.name.clone());
    writing.set(0.0);
    let mut standing_by = false;
    loop {
        match take_over(store, network, genesis).await {
            Ok(Some(writer)) => {
                writing.set(1.0);
                return Ok(writer);
            }
            Ok(None) if !standing_by => {
                info!(network = network.name, "another process writes this network; standing by");
                standing_by = true;
            }
            Ok(None) => {}
            Err(error) if error.fault() == Fault::Fatal => return Err(error.into()),
            Err(error) => warn!(network = network.name, %error, "cannot become the writer yet"),
        }
        tokio::time::sleep(STANDBY_PAUSE).await;
    }
}

/// The right to write, if no other process has it. Whoever had it before may have changed what the configuration must be
/// like: a process that has stood by meanwhile must not go on with another one.
async fn take_over(store: &Store, network: &config::Network, genesis: B256) -> Result<Option<Writer>, StoreError> {
    let writer = store.writer(network.chain_id).await?;
    if writer.is_some() {
        store.register(network, genesis).await?;
    }
    Ok(writer)
}

/// Steps until it is done; nothing when the right to write was lost.
pub(super) async fn follow_as_writer(
    follower: &mut Follower,
    desk: &mut Desk,
    network: &config::Network,
    until: &mut Until,
) -> Result<Option<Stop>, FollowError> {
    let mut progress = Progress::new(&network.name);
    let mut backoff = BACKOFF_START;
    // What is written down may be what another process lacked.
    let mut trouble = None;
    loop {
        let stepped = follower.step().await;
        if trouble.as_ref() != Some(&follower.lacks()) {
            trouble = follower.record_trouble().await;
        }
        match stepped {
            Ok(outcome) => {
                backoff = BACKOFF_START;
                count(&network.name, &outcome);
                show(&network.name, follower);
                progress.show(&outcome);
                if let (Until::Head, Some(head)) = (*until, follower.head()) {
                    *until = Until::Block(head.number);
                }
                if let (Until::Block(wanted), Some(tip)) = (*until, follower.tip()) {
                    if follower.is_done(wanted) {
                        return Ok(Some(Stop::Reached(tip.number)));
                    }
                    follower.wants(wanted);
                }
                let order = match outcome {
                    Outcome::AtHead => wait(follower, desk, network).await,
                    _ => desk.orders.try_recv().ok(),
                };
                if let Some(order) = order {
                    carry_out(follower, network, order).await;
                }
            }
            Err(error) if error.fault() == Fault::Fatal => return Err(error),
            Err(error) => {
                counter!(names::STEPS, "network" => network.name.clone(), "outcome" => "failed").increment(1);
                warn!(network = network.name, %error, pause_ms = backoff.as_millis(), "a step failed; it is repeated");
                tokio::time::sleep(backoff).await;
                if follower.is_writer_lost(&error) {
                    return Ok(None);
                }
                backoff = (backoff * 2).min(BACKOFF_LIMIT);
            }
        }
    }
}

/// Until the next look at the head: the poll interval, a WebSocket's hint that it moved, or an order.
async fn wait(follower: &mut Follower, desk: &mut Desk, network: &config::Network) -> Option<Repair> {
    let announced = tokio::select! {
        () = tokio::time::sleep(Duration::from_millis(network.follow.poll_interval_ms)) => None,
        announced = follower.chain().new_head() => announced,
        Some(order) = desk.orders.recv() => return Some(order),
    };
    if let Some(head) = announced {
        follower.foresee(head);
    }
    None
}

/// Carries an order out; one that fails is the business of who gave it, who will see the same blocks again.
async fn carry_out(follower: &mut Follower, network: &config::Network, order: Repair) {
    let repaired = follower.repair(&order.blocks).await;
    if let Err(error) = &repaired {
        warn!(network = network.name, %error, blocks = order.blocks.len(), "blocks could not be repaired");
    }
    // Whoever asked may be gone.
    let _ = order.done.send(repaired.is_ok());
}

/// The gauges of where the network stands.
#[allow(clippy::cast_precision_loss, reason = "blocks and seconds are far below 2^52")]
pub(super) fn show(network: &str, follower: &Follower) {
    let set = |name: &'static str, value: u64| gauge!(name, "network" => network.to_owned()).set(value as f64);
    let Some(head) = follower.head() else { return };
    set(names::HEAD_BLOCK, head.number);
    let Some(tip) = follower.tip() else { return };
    set(names::INDEXED_BLOCK, tip.number);
    set(names::LAG_BLOCKS, head.number.saturating_sub(tip.number));
    set(names::LAG_SECONDS, head.timestamp.saturating_sub(tip.timestamp));
    if let Some(finalized) = follower.finalized() {
        set(names::FINALIZED_BLOCK, finalized.number);
    }
}

fn count(network: &str, outcome: &Outcome) {
    let (name, blocks) = match outcome {
        Outcome::AtHead => ("at_head", 0),
        Outcome::Advanced { from, to, applied, .. } => {
            count_events(network, applied);
            ("advanced", to - from + 1)
        }
        Outcome::Reorganised { ancestor, depth, to, applied } => {
            info!(network, depth, ancestor, to, "followed a reorganisation");
            counter!(names::REORGS, "network" => network.to_owned()).increment(1);
            #[allow(clippy::cast_precision_loss, reason = "a depth beyond 2^52 blocks is none")]
            histogram!(names::REORG_DEPTH, "network" => network.to_owned()).record(*depth as f64);
            count_events(network, applied);
            ("reorganised", to - ancestor)
        }
        Outcome::MadeUp(_) => ("made_up", 0),
        Outcome::Rederived(step) => ("rederived", (step.to + 1).saturating_sub(step.from)),
    };
    counter!(names::STEPS, "network" => network.to_owned(), "outcome" => name).increment(1);
    counter!(names::BLOCKS, "network" => network.to_owned()).increment(blocks);
}

fn count_events(network: &str, applied: &Applied) {
    for (event, count) in &applied.events {
        counter!(names::EVENTS, "network" => network.to_owned(), "event" => *event).increment(*count);
    }
    for (agent, count) in &applied.flips {
        names::count_flips(network, "ONCHAIN", *agent, count.flips, count.suspicious);
    }
    counter!(names::UNDECODED, "network" => network.to_owned()).increment(applied.undecoded);
}
