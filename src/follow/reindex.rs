//! Re-indexing from a chosen block, because an operator asks for it: from the chain, or from the raw logs of the store.
//!
//! From the chain, the first stretch is fetched and verified before anything is undone, and swapped in with the same
//! transaction (F23); what follows are the loop's ordinary steps. From the store nothing is asked of the chain at all.
//! Only here are final blocks undone. A final block that the chain has replaced (F15) must be accepted by name, and the
//! newest block that both share is found first.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use tracing::info;

use super::plan::{Plan, View, decide};
use super::progress::Progress;
use super::run::{Until, desk, follow_as_writer};
use super::{FollowError, Follower, unstable};
use crate::block::{BlockRef, Header};
use crate::chain::Chain;
use crate::config;
use crate::fault::Fault;
use crate::store::{Batch, Cursor, Preview, Source, Store, StoreError, Writer};

/// How often the first stretch is asked for before nothing is done at all.
const MAX_ATTEMPTS: u32 = 3;

/// Pause between two attempts.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(500);

/// How long the lock of a process that has just ended is waited for; one that lives keeps it.
const LOCK_GRACE: Duration = Duration::from_secs(2);

/// How often is looked whether it fell.
const LOCK_LOOK_PAUSE: Duration = Duration::from_millis(100);

/// What an operator asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reindex {
    /// The first block; nothing only where a deep reorganisation is accepted: then the first block that was replaced.
    pub from: Option<u64>,
    /// Where the blocks come from.
    pub source: Source,
    /// Only tell what would be undone.
    pub dry_run: bool,
    /// Undo final blocks that the chain has replaced.
    pub accept_deep_reorg: bool,
}

/// What a re-index did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was indexed from the first block on.
    pub before: Preview,
    /// What is indexed from it on now; nothing after a dry run.
    pub after: Option<Preview>,
    /// The newest block that is shared with the chain, where a deep reorganisation was accepted.
    pub shared: Option<u64>,
}

/// Why a network is not re-indexed.
#[derive(Debug)]
pub enum ReindexError {
    /// The request cannot be fulfilled, or contradicts itself.
    Refused {
        /// Why, and what to do.
        reason: String,
    },
    /// Another process writes the network (F63).
    Busy {
        /// The network's name.
        network: String,
    },
    /// The right to write was lost on the way.
    Lost {
        /// The network's name.
        network: String,
    },
    /// The endpoints cannot serve the first stretch: nothing was changed (F23).
    Unserved {
        /// The first block.
        from: u64,
        /// Why not.
        source: Box<FollowError>,
    },
    /// Anything else.
    Follow(FollowError),
}

impl std::fmt::Display for ReindexError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused { reason } => f.write_str(reason),
            Self::Busy { network } => write!(
                f,
                "another process writes network {network}; stop it first (`--dry-run` works beside it), and start it again \
                 afterwards"
            ),
            Self::Lost { network } => write!(
                f,
                "another process took over the writing of network {network}, or the database went away; whoever writes it \
                 next goes on with the re-index"
            ),
            Self::Unserved { from, source } => write!(
                f,
                "nothing was changed, because the blocks from {from} on could not be had: {source}; name an endpoint that \
                 has them with --rpc-url, or derive from what is stored with `--source store`"
            ),
            Self::Follow(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReindexError {}

impl<E: Into<FollowError>> From<E> for ReindexError {
    fn from(error: E) -> Self {
        match error.into() {
            FollowError::Store(StoreError::Unreachable { reason }) => Self::Refused { reason },
            error => Self::Follow(error),
        }
    }
}

/// Re-indexes a network, and tells what that changed. It ends once the blocks that were indexed before are indexed
/// again, as far as the chain has them.
///
/// # Errors
/// [`ReindexError`]. A re-index that had begun is gone on with by whoever writes the network next.
pub async fn reindex(store: &Store, network: &config::Network, asked: &Reindex) -> Result<Report, ReindexError> {
    match asked.source {
        Source::Store => from_store(store, network, asked).await,
        Source::Rpc => from_chain(store, network, asked).await,
    }
}

async fn from_store(store: &Store, network: &config::Network, asked: &Reindex) -> Result<Report, ReindexError> {
    if asked.accept_deep_reorg {
        return refused("--accept-deep-reorg takes the chain's blocks, which `--source store` does not ask for".into());
    }
    let from = asked.from.ok_or_else(unnamed)?;
    if asked.dry_run {
        let before = store.preview(network.chain_id, from).await?;
        store.check_generations(network, from).await?;
        return Ok(Report { before, after: None, shared: None });
    }
    let mut writer = writer(store, network).await?;
    let mut progress = Progress::new(&network.name);
    // What was left half way ends first: then there is one state to begin from.
    if writer.cursor().await?.rederiving().is_some() {
        while let Some(step) = writer.resume().await? {
            progress.rederived(&step);
        }
    }
    let before = store.preview(network.chain_id, from).await?;
    writer.name_generations(network, from).await?;
    info!(network = network.name, from, to = before.tip, "re-indexing from the raw logs that are stored");
    let mut step = writer.rederive(from).await?;
    progress.rederived(&step);
    while !step.is_done() {
        let Some(next) = writer.resume().await? else { break };
        progress.rederived(&next);
        step = next;
    }
    let after = Some(store.preview(network.chain_id, from).await?);
    Ok(Report { before, after, shared: None })
}

async fn from_chain(store: &Store, network: &config::Network, asked: &Reindex) -> Result<Report, ReindexError> {
    if asked.dry_run {
        let chain = if asked.accept_deep_reorg { Some(Chain::connect(network).await?) } else { None };
        let cursor = store.cursor(network.chain_id).await?;
        let (from, shared) = first_block(store, chain.as_ref(), network, &cursor, asked).await?;
        return Ok(Report { before: store.preview(network.chain_id, from).await?, after: None, shared });
    }
    let chain = Arc::new(Chain::connect(network).await?);
    let late = store.register_but_late(network, chain.genesis_hash()).await?;
    let mut writer = writer(store, network).await?;
    let mut cursor = writer.cursor().await?;
    cursor = derive_below(&mut writer, network, cursor, asked).await?;
    // One from the store that was left half way is replaced where that is possible, for it may be what fails.
    let next = |cursor: &Cursor| cursor.tip.map_or(0, |tip| tip.number + 1);
    let is_ahead = |cursor: &Cursor| asked.from.is_none_or(|from| from > next(cursor));
    while cursor.rederiving().is_some() && is_ahead(&cursor) {
        if let Err(error) = writer.resume().await {
            let StoreError::RawLogs { reason } = error else { return Err(error.into()) };
            return refused(format!(
                "{reason}; a re-index from the store is half way, and it is replaced only from where it stands: name \
                 block {} or a lower one",
                next(&cursor)
            ));
        }
        cursor = writer.cursor().await?;
    }
    let (from, shared) = first_block(store, Some(&chain), network, &cursor, asked).await?;
    if !late.is_empty() {
        reaches_logs_of(&chain, network, &late, from).await?;
        writer.enter_contracts(network).await?;
    }
    let before = store.preview(network.chain_id, from).await?;
    // Where one is half way, or a contract is new, there is more to do than what is indexed.
    if before.blocks == 0 && cursor.reindex.is_none() && late.is_empty() {
        return Ok(Report { after: Some(before.clone()), before, shared });
    }
    let mut follower = Follower::new(network, chain, writer);
    let swapped = swap(&mut follower, from).await?;
    let goal = before.tip.min(swapped.head);
    info!(network = network.name, from, to = swapped.to, goal, "swapped in the first blocks of the re-index");
    if swapped.to < goal {
        let stop = Box::pin(follow_as_writer(&mut follower, &mut desk().0, network, &mut Until::Block(goal))).await?;
        if stop.is_none() {
            return Err(ReindexError::Lost { network: network.name.clone() });
        }
    }
    let after = Some(store.preview(network.chain_id, from).await?);
    Ok(Report { before, after, shared })
}

/// Begins to derive anew what an older program derived, unless all of it is to be replaced: below the blocks that are, this
/// one does not add to it. Returns the cursor.
async fn derive_below(
    writer: &mut Writer,
    network: &config::Network,
    cursor: Cursor,
    asked: &Reindex,
) -> Result<Cursor, ReindexError> {
    let start = network.start_block;
    if !cursor.is_outdated() || asked.from.is_some_and(|from| from <= start.max(1)) {
        return Ok(cursor);
    }
    match writer.resume().await {
        Ok(_) => Ok(writer.cursor().await?),
        Err(StoreError::RawLogs { reason }) => refused(format!(
            "{reason}; an older version derived what is stored, so all of it is to be derived anew first, which takes all \
             raw logs: take it all anew from the chain with --from-block {start}"
        )),
        Err(error) => Err(error.into()),
    }
}

/// Makes sure that no contract that is new has logs below the first block.
async fn reaches_logs_of(
    chain: &Chain,
    network: &config::Network,
    late: &[Address],
    from: u64,
) -> Result<(), ReindexError> {
    let start = network.start_block;
    for address in late.iter().filter(|_| from > start) {
        let below = from - 1;
        match chain.had_code(*address, below).await {
            Ok(false) => {}
            Ok(true) => {
                return refused(format!(
                    "{address} is new and had code in block {below} already, so it may have logs below block {from}; name \
                     the block of its deployment or a lower one, at the lowest {start}"
                ));
            }
            Err(error) => {
                return refused(format!(
                    "{address} is new, and nobody tells whether it has logs below block {from} ({error}); name an endpoint \
                     that keeps old states with --rpc-url, or take it all anew with --from-block {start}"
                ));
            }
        }
    }
    Ok(())
}

fn refused<T>(reason: String) -> Result<T, ReindexError> {
    Err(ReindexError::Refused { reason })
}

fn unnamed() -> ReindexError {
    ReindexError::Refused { reason: "say from which block with --from-block".into() }
}

/// The right to write, which another process may have (F63).
async fn writer(store: &Store, network: &config::Network) -> Result<Writer, ReindexError> {
    let fallen = async {
        loop {
            if let Some(mut writer) = store.writer(network.chain_id).await? {
                writer.set_reindex_step_logs(network.follow.reindex_step_logs);
                return Ok(writer);
            }
            tokio::time::sleep(LOCK_LOOK_PAUSE).await;
        }
    };
    match tokio::time::timeout(LOCK_GRACE, fallen).await {
        Ok(writer) => writer,
        Err(_) => Err(ReindexError::Busy { network: network.name.clone() }),
    }
}

/// The newest block that is final, also while a re-index from the store has its tip, and finality with it, lower down.
fn finalized_before(cursor: &Cursor) -> Option<BlockRef> {
    cursor.rederiving().and_then(|job| job.finalized).or(cursor.finalized)
}

/// The block to begin at, and the newest one that is shared where that had to be found.
async fn first_block(
    store: &Store,
    chain: Option<&Chain>,
    network: &config::Network,
    cursor: &Cursor,
    asked: &Reindex,
) -> Result<(u64, Option<u64>), ReindexError> {
    let Some((chain, finalized)) = chain.zip(finalized_before(cursor)) else {
        return Ok((asked.from.ok_or_else(unnamed)?, None));
    };
    let shown = header(chain, finalized.number).await?;
    if shown.hash == finalized.hash {
        let number = finalized.number;
        let none = || format!("the finalized block {number} is the chain's: no deep reorganisation is to be accepted");
        return if asked.accept_deep_reorg { refused(none()) } else { Ok((asked.from.ok_or_else(unnamed)?, None)) };
    }
    if !asked.accept_deep_reorg {
        let (network, number) = (network.name.clone(), finalized.number);
        let replaced = FollowError::FinalizedReplaced { network, number, held: finalized.hash, shown: shown.hash };
        return Err(replaced.into());
    }
    let start = network.start_block;
    match (newest_shared(store, chain, network, finalized).await?, asked.from) {
        (Some(shared), None) => Ok((shared + 1, Some(shared))),
        (Some(shared), Some(from)) if from <= shared + 1 => Ok((from, Some(shared))),
        (Some(shared), Some(from)) => refused(format!(
            "the chain shares no block above {shared} with what is stored, so a re-index from block {from} would keep \
             blocks that were replaced; name block {} or a lower one",
            shared + 1
        )),
        (None, Some(from)) if from == start => Ok((from, None)),
        (None, _) => refused(format!(
            "the chain shares no block with what is stored: it looks like another chain; check rpc_urls, or take it all \
             anew with --from-block {start}"
        )),
    }
}

/// The header of a height that must be there.
async fn header(chain: &Chain, number: u64) -> Result<Header, FollowError> {
    let header = chain.header(number).await?;
    header.ok_or_else(|| unstable(format!("block {number} is not there, the chain is lower than what is stored")))
}

/// What stands at or below a height, of the blocks that are held: below finality those with logs.
enum Compared {
    /// Nothing.
    Nothing,
    /// A block that the chain has.
    Shared(u64),
    /// A block that the chain has replaced.
    Replaced(u64),
}

async fn compare(store: &Store, chain: &Chain, network: &config::Network, at: u64) -> Result<Compared, ReindexError> {
    let Some(held) = store.newest_held(network.chain_id, at).await? else { return Ok(Compared::Nothing) };
    let shown = chain.header(held.number).await?;
    let is_shared = shown.is_some_and(|shown| shown.hash == held.hash);
    Ok(if is_shared { Compared::Shared(held.number) } else { Compared::Replaced(held.number) })
}

/// The newest block below a replaced one that the chain still has. Who shares a block shares all below it, so it is
/// found in strides that double, then by halves.
async fn newest_shared(
    store: &Store,
    chain: &Chain,
    network: &config::Network,
    replaced: BlockRef,
) -> Result<Option<u64>, ReindexError> {
    let mut high = replaced.number;
    let mut stride = 1;
    // Up to `low` all is known, from `high` on all is replaced.
    let (mut low, mut shared) = loop {
        let Some(at) = high.checked_sub(1) else { return Ok(None) };
        let at = at.saturating_sub(stride - 1);
        match compare(store, chain, network, at).await? {
            Compared::Nothing => break (at, None),
            Compared::Shared(number) => break (at, Some(number)),
            Compared::Replaced(number) => high = number,
        }
        stride = stride.saturating_mul(2);
    };
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match compare(store, chain, network, middle).await? {
            Compared::Replaced(number) if number > low => high = number,
            Compared::Shared(number) => (low, shared) = (middle, Some(number)),
            // Nothing is held between the two.
            Compared::Nothing | Compared::Replaced(_) => low = middle,
        }
    }
    Ok(shared)
}

/// The first stretch in the place of what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swapped {
    /// Its last block, the tip now.
    pub to: u64,
    /// The chain's head.
    pub head: u64,
}

/// Tries a few times: who cannot serve the blocks after that does not have them.
async fn swap(follower: &mut Follower, from: u64) -> Result<Swapped, ReindexError> {
    let mut attempt = 1;
    loop {
        let swapped = follower.reingest(from).await;
        follower.record_disputes().await;
        match swapped {
            Ok(swapped) => return Ok(swapped),
            Err(FollowError::Store(error)) if error.fault() != Fault::Reorg => return Err(error.into()),
            Err(error) if error.fault() == Fault::Fatal || attempt == MAX_ATTEMPTS => {
                return Err(ReindexError::Unserved { from, source: Box::new(error) });
            }
            Err(error) => info!(network = follower.name, %error, attempt, "the first blocks could not be had yet"),
        }
        attempt += 1;
        tokio::time::sleep(ATTEMPT_PAUSE).await;
    }
}

impl Follower {
    /// Undoes the blocks from one on, final ones too, and commits the first stretch of what the chain has in their place
    /// in the same transaction. What follows are ordinary steps.
    ///
    /// # Errors
    /// As [`Follower::step`]; nothing is changed then.
    pub async fn reingest(&mut self, from: u64) -> Result<Swapped, FollowError> {
        let cursor = self.look().await?;
        self.in_doubt = true;
        let (_, shown) = self.look_at_chain().await?;
        // The genesis block is the one that was checked when the chain was connected to, and has no logs.
        let kept = header(&self.chain, from.max(1) - 1).await?;
        let view = View {
            tip: Some(kept.number),
            start: self.start,
            head: shown.head,
            finalized: shown.finalized.map(|finalized| finalized.number),
        };
        let kept = kept.block();
        if self.held(kept.number).await?.is_some_and(|held| held != kept.hash) {
            return Err(unstable(format!("block {} was replaced, so a lower one must be named", kept.number)));
        }
        let batch = match decide(&view, &self.limits) {
            Plan::AwaitStart | Plan::Compare { .. } => {
                return Err(unstable(format!(
                    "the chain's head is {}, nothing is above block {}",
                    shown.head, kept.number
                )));
            }
            Plan::Final { from, to } => {
                let ranges = self.ahead.take(from, to).await?;
                let batch = self.final_batch(&cursor, &shown, from, ranges).await?;
                Batch { rewind_to: Some(kept.number), ..batch }
            }
            Plan::Headers { from, to } | Plan::Blocks { from, to } => {
                let headers = self.headers(from, to).await?;
                if headers.first().is_some_and(|first| first.parent_hash != kept.hash) {
                    return Err(unstable(format!("block {from} does not follow block {}", kept.number)));
                }
                // What stays final is at most what is kept.
                let finalized = cursor.finalized.map(|ours| if kept.number < ours.number { kept } else { ours });
                let lowered = Cursor { finalized, ..cursor };
                let batch = self.batch(&lowered, &shown, headers, Some(kept.number)).await?;
                Batch { finalized: batch.finalized.filter(|block| block.number >= self.start), ..batch }
            }
        };
        let to = batch.tip.number;
        self.writer.reingest(batch, kept).await?;
        self.look().await?;
        self.in_doubt = false;
        Ok(Swapped { to, head: shown.head })
    }
}
