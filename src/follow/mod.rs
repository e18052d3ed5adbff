//! The loop that makes the database converge on the chain.
//!
//! [`Follower::step`] does at most one thing and returns what happened: it looks at the head, decides from values alone
//! ([`plan`]), fetches and verifies, and hands whole blocks to the store, which commits them with the cursor in one
//! transaction. There is one cursor and one code path for backfill and live (F25). A reorganisation is a different hash
//! at a height that we hold, never a lower head (F13); its replacement is fetched and verified first and swapped in with
//! the same transaction that undoes (F23). Final blocks are fetched ahead of their commits ([`ahead`]), and the block that
//! is announced while it is looked at the head ([`foresight`]). The loop around the step ([`run`]) only sleeps and counts.

mod ahead;
mod census;
mod error;
mod finality;
mod foresight;
mod look;
mod plan;
mod progress;
mod reindex;
mod reorg;
mod repair;
mod run;

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::B256;
use tokio::time::Instant;
use tokio::try_join;

use crate::block::{Block, BlockRef, Header};
use crate::chain::{Chain, Range};
use crate::config;
use crate::store::{Applied, Batch, Cursor, MadeUp, Rederived, StoreError, Tip, Writer};

use self::ahead::Ahead;
use self::census::VainSuspicions;
pub use self::error::FollowError;
use self::error::unstable;
use self::finality::Shown;
use self::foresight::Foreseen;
use self::look::Observation;
use self::plan::{Limits, Plan, View, decide};
pub use self::progress::BARS;
pub use self::reindex::{Reindex, ReindexError, Report, Swapped, reindex};
pub use self::run::{Counter, Desk, Repair, Stop, Until, desk, follow, follow_at};

/// Makes one network's tables converge on its chain.
pub struct Follower {
    /// The network's name.
    name: String,
    chain: Arc<Chain>,
    /// Final blocks that are fetched already.
    ahead: Ahead,
    /// The block of a head that was announced.
    foreseen: Option<Foreseen>,
    writer: Writer,
    start: u64,
    limits: Limits,
    /// How far the network is committed, as of the last look.
    cursor: Option<Cursor>,
    /// Whether the store may hold something else than that: at first, and after an error.
    in_doubt: bool,
    /// The chain's head as of the last step.
    head: Option<Tip>,
    /// What was seen of the chain and is not written down yet.
    unobserved: Option<Observation>,
    /// When the chain was looked at last, and what it showed; nothing after an error.
    seen: Option<(Instant, Header, Shown)>,
    look_every: Duration,
    /// Where somebody wants to stop: then nothing may be postponed any longer.
    until: Option<u64>,
    /// Whether the backfill has come to its end, and what it postponed is made up for.
    makes_up: bool,
    /// Holes in counters that nobody could fill, so far.
    vain_suspicions: VainSuspicions,
    /// Whether the state digest is known to hold all that is held.
    is_digested: bool,
}

/// What a step did.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing: the chain shows nothing above what we hold.
    AtHead,
    /// Committed blocks above the tip.
    Advanced {
        /// First block.
        from: u64,
        /// Last block, the new tip.
        to: u64,
        /// The chain's head when the step began.
        head: u64,
        /// What was written.
        applied: Box<Applied>,
    },
    /// Undid blocks and committed their replacement.
    Reorganised {
        /// The newest block that both branches share.
        ancestor: u64,
        /// Blocks undone.
        depth: u64,
        /// The new tip.
        to: u64,
        /// What was written.
        applied: Box<Applied>,
    },
    /// Went on with a re-index from the store, or began one because an older program derived the tables, before anything
    /// else.
    Rederived(Box<Rederived>),
    /// Built indexes and counted standings that had been postponed, at the end of a backfill.
    MadeUp(MadeUp),
}

impl Follower {
    /// Prepares to follow a network whose writer's lock is held.
    #[must_use]
    pub fn new(network: &config::Network, chain: Arc<Chain>, mut writer: Writer) -> Self {
        writer.set_reindex_step_logs(network.follow.reindex_step_logs);
        writer.set_index_connections(network.follow.index_connections);
        let limits = Limits {
            range_blocks: network.follow.max_range_blocks,
            by_hash_blocks: network.follow.by_hash_blocks,
            postpone_blocks: network.follow.postpone_indexes_blocks,
        };
        Self {
            name: network.name.clone(),
            ahead: Ahead::new(Arc::clone(&chain), network.follow.concurrent_requests),
            chain,
            foreseen: None,
            writer,
            start: network.start_block,
            limits,
            cursor: None,
            in_doubt: true,
            head: None,
            unobserved: None,
            seen: None,
            look_every: Duration::from_millis(network.follow.poll_interval_ms),
            until: None,
            makes_up: false,
            vain_suspicions: VainSuspicions::default(),
            is_digested: false,
        }
    }

    /// The chain, for waiting on its hints.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The chain's head as of the last step.
    #[must_use]
    pub fn head(&self) -> Option<Tip> {
        self.head
    }

    /// The newest committed block.
    #[must_use]
    pub fn tip(&self) -> Option<Tip> {
        self.cursor.as_ref().and_then(|cursor| cursor.tip)
    }

    /// The newest committed block that is final.
    #[must_use]
    pub fn finalized(&self) -> Option<BlockRef> {
        self.cursor.as_ref().and_then(|cursor| cursor.finalized)
    }

    /// Says at which block somebody wants to stop: what was postponed until a backfill's end is made up for there.
    pub(super) fn wants(&mut self, block: u64) {
        self.until = Some(block);
    }

    /// Whether the tip has reached a block, and nothing is postponed.
    fn is_done(&self, wanted: u64) -> bool {
        self.tip().is_some_and(|tip| tip.number >= wanted) && !self.writer.is_without_indexes()
    }

    /// Whether standings are left for the end of a backfill: what is kept of reputation is not complete.
    #[must_use]
    pub fn is_without_standings(&self) -> bool {
        self.writer.is_without_standings()
    }

    /// Whether the right to write is lost, after that error: to another process, or with the connection.
    #[must_use]
    pub fn is_writer_lost(&self, error: &FollowError) -> bool {
        let FollowError::Store(error) = error else { return self.writer.is_closed() };
        self.writer.is_closed() || error.spoils_connection() || matches!(error, StoreError::Fenced { .. })
    }

    /// Does the next thing there is to do, at most one.
    ///
    /// # Errors
    /// [`FollowError`]; its [`FollowError::fault`] tells whether to repeat the step. Nothing is half done after one.
    pub async fn step(&mut self) -> Result<Outcome, FollowError> {
        let outcome = self.try_step().await;
        self.foreseen = None;
        // Behind the blocks, which somebody may wait for.
        let observed = self.write_observation().await;
        let outcome = outcome.and_then(|outcome| observed.map(|()| outcome));
        self.record_disputes().await;
        // Whether a transaction that failed was committed is not known: the next step asks the store.
        self.in_doubt = outcome.is_err();
        if outcome.is_err() {
            self.seen = None;
            self.ahead.clear();
        }
        outcome
    }

    /// Writes down what endpoints disagreed about, also when the step failed because of that.
    async fn record_disputes(&mut self) {
        let disputes = self.chain.take_disputes();
        // They are told and counted by now; the step's outcome does not depend on the record.
        if let Err(error) = self.writer.record_disputes(&disputes).await {
            tracing::warn!(disputes = disputes.len(), %error, "disputes between endpoints could not be written down");
        }
    }

    /// What the follower lacks at the moment, in a sentence for everybody; nothing when it lacks nothing.
    fn lacks(&self) -> Option<String> {
        let postponed = || {
            let words = if self.is_without_standings() {
                "standings are counted at the end of this backfill, and the indexes built that only questions need \
                 (follow.postpone_indexes_blocks); reputation is not answered for until then, and lists are slow"
            } else {
                "the indexes that only questions need are built at the end of this backfill \
                 (follow.postpone_indexes_blocks); lists are slow until then"
            };
            self.writer.is_without_indexes().then(|| words.to_owned())
        };
        self.chain.lacks_quorum().or_else(postponed)
    }

    /// Writes down what the follower lacks; returns that, or nothing when it could not be written.
    async fn record_trouble(&mut self) -> Option<Option<String>> {
        let trouble = self.lacks();
        self.writer.record_trouble(trouble.as_deref()).await.ok().map(|()| trouble)
    }

    async fn try_step(&mut self) -> Result<Outcome, FollowError> {
        let cursor = match self.cursor {
            Some(cursor) if !self.in_doubt => cursor,
            _ => self.look().await?,
        };
        // Until the step has ended well; it may also be dropped on the way.
        self.in_doubt = true;
        if cursor.is_outdated() || cursor.rederiving().is_some() {
            self.glance_at_chain().await?;
            if let Some(step) = self.writer.resume().await? {
                self.look().await?;
                return Ok(Outcome::Rederived(Box::new(step)));
            }
        }
        if !self.is_digested {
            self.writer.catch_up_digest().await?;
            self.is_digested = true;
        }
        let (head, shown) = self.see_chain(&cursor).await?;
        if let Some(made_up_for) = self.make_up(&cursor, &shown).await? {
            self.look().await?;
            return Ok(made_up_for);
        }
        let outcome = self.advance(&cursor, &shown, &head).await?;
        if !matches!(outcome, Outcome::AtHead) {
            self.look().await?;
        }
        Ok(outcome)
    }

    /// Postpones indexes and standings where a backfill begins that is worth it, and makes up for a piece of that once all final
    /// blocks are there, or somebody wants to stop.
    async fn make_up(&mut self, cursor: &Cursor, shown: &Shown) -> Result<Option<Outcome>, FollowError> {
        let held = cursor.tip.map_or(self.start.saturating_sub(1), |tip| tip.number);
        let behind = shown.finalized.map_or(0, |finalized| finalized.number.saturating_sub(held));
        let worth_it = self.limits.postpone_blocks > 0 && behind >= self.limits.postpone_blocks;
        if !self.writer.is_without_indexes() {
            if worth_it && cursor.tip.is_none() {
                self.writer.postpone_indexes().await?;
            }
            return Ok(None);
        }
        // Blocks that become final meanwhile wait: with each that came, standings would be counted anew.
        self.makes_up = behind == 0 || (self.makes_up && !worth_it);
        let is_wanted = self.until.is_some_and(|wanted| held >= wanted);
        if !self.makes_up && !is_wanted {
            return Ok(None);
        }
        // It takes a while.
        self.write_observation().await?;
        Ok(self.writer.make_up().await?.map(Outcome::MadeUp))
    }

    /// Reads the cursor anew. What it says is asserted by every transaction that builds on it.
    async fn look(&mut self) -> Result<Cursor, FollowError> {
        let cursor = self.writer.cursor().await?;
        self.cursor = Some(cursor);
        Ok(cursor)
    }

    /// Carries out what is decided. Whatever that is, it first holds what we have against the chain, so that a
    /// reorganisation is found that happened while the process was down (F32).
    async fn advance(&mut self, cursor: &Cursor, shown: &Shown, head: &Header) -> Result<Outcome, FollowError> {
        let view = View {
            tip: cursor.tip.map(|tip| tip.number),
            start: self.start,
            head: shown.head,
            finalized: shown.finalized.map(|finalized| finalized.number),
        };
        match decide(&view, &self.limits) {
            Plan::AwaitStart => Ok(Outcome::AtHead),
            Plan::Compare { .. } => self.compare(cursor, shown, head).await,
            Plan::Final { from, to } => self.advance_final(cursor, shown, from, to).await,
            Plan::Headers { from, to } | Plan::Blocks { from, to } => {
                // A single new block is the head, whose header is here: one answer less to wait for.
                let headers = if from == head.number { vec![head.clone()] } else { self.headers(from, to).await? };
                let parent = headers.first().map(|first| first.parent_hash);
                match cursor.tip {
                    Some(tip) if parent.is_some_and(|parent| parent != tip.hash) => {
                        return self.reorganise(cursor, shown).await;
                    }
                    Some(_) => {}
                    None => self.check_start(from, parent).await?,
                }
                let batch = self.batch(cursor, shown, headers, None).await?;
                self.commit(shown, from, batch).await
            }
        }
    }

    /// Makes sure that the first block names the one below as its parent. Nothing is held there that would tell, and what
    /// the header of one answer names is kept.
    async fn check_start(&self, from: u64, parent: Option<B256>) -> Result<(), FollowError> {
        let Some(below) = from.checked_sub(1) else { return Ok(()) };
        let Some(header) = self.chain.header(below).await? else {
            return Err(unstable(format!("block {below} is not answered")));
        };
        if parent.is_some_and(|parent| parent != header.hash) {
            return Err(unstable(format!("block {from} does not follow block {below}")));
        }
        Ok(())
    }

    /// Nothing is above our tip: either we hold the head, or the chain is on another branch.
    async fn compare(&mut self, cursor: &Cursor, shown: &Shown, head: &Header) -> Result<Outcome, FollowError> {
        let held = match cursor.tip {
            Some(tip) if tip.number == head.number => Some(tip.hash),
            _ => self.held(head.number).await?,
        };
        if held.is_some_and(|held| held != head.hash) {
            return self.reorganise(cursor, shown).await;
        }
        // Headers without events are not kept below finality; a head down there is a lagging endpoint's.
        let finalized = self.final_block(cursor, shown, &[], u64::MAX).await?;
        let safe = self.safe_block(cursor, shown, &[], u64::MAX).await?;
        if finalized != cursor.finalized || safe != cursor.safe {
            self.writer.finalize(finalized, safe).await?;
            self.look().await?;
        }
        Ok(Outcome::AtHead)
    }

    /// Headers of all blocks of a range, each the parent of the next.
    async fn headers(&self, from: u64, to: u64) -> Result<Vec<Header>, FollowError> {
        let numbers: Vec<u64> = (from..=to).collect();
        Ok(self.chain.headers(&numbers).await?)
    }

    /// The hash that we hold at a height above finality.
    async fn held(&mut self, number: u64) -> Result<Option<B256>, FollowError> {
        Ok(self.writer.headers(number, number).await?.first().map(|header| header.hash))
    }

    /// Commits a range of final blocks. It names no parent, so only another look at our tip links the two: a tip that is
    /// gone was reorganised away, or was final and is replaced all the same (F15).
    async fn advance_final(
        &mut self,
        cursor: &Cursor,
        shown: &Shown,
        from: u64,
        to: u64,
    ) -> Result<Outcome, FollowError> {
        let take = async { Ok(self.ahead.take(from, to).await?) };
        let (holds_tip, ranges) = try_join!(biased; holds(&self.chain, cursor.tip), take)?;
        if !holds_tip {
            return self.reorganise(cursor, shown).await;
        }
        let batch = self.final_batch(cursor, shown, from, ranges).await?;
        self.commit(shown, from, batch).await
    }

    /// The batch of ranges of final blocks.
    async fn final_batch(
        &mut self,
        cursor: &Cursor,
        shown: &Shown,
        from: u64,
        ranges: Vec<Range>,
    ) -> Result<Batch, FollowError> {
        let Some(tip) = ranges.last().map(|range| tip(&range.to)) else {
            return Err(unstable(format!("no range was answered from block {from} on")));
        };
        if shown.finalized.is_some_and(|finalized| finalized.number == tip.number && finalized.hash != tip.hash) {
            return Err(unstable(format!("block {} is final under another hash than the range's", tip.number)));
        }
        let mut blocks = Vec::with_capacity(ranges.iter().map(|range| range.blocks.len()).sum());
        for range in ranges {
            blocks.extend(self.without_holes(range).await?.blocks);
        }
        Ok(Batch {
            expected_tip: cursor.tip.map(|tip| tip.block()),
            rewind_to: None,
            blocks,
            tip,
            finalized: Some(tip.block()),
            // What is final is proposed.
            safe: shown.tells_safe.then_some(tip.number),
        })
    }

    async fn commit(&mut self, shown: &Shown, from: u64, batch: Batch) -> Result<Outcome, FollowError> {
        let to = batch.tip.number;
        let applied = self.writer.apply(batch).await?;
        Ok(Outcome::Advanced { from, to, head: shown.head, applied: Box::new(applied) })
    }

    /// The blocks behind headers, with as much of the range as the logs could be had for.
    async fn batch(
        &mut self,
        cursor: &Cursor,
        shown: &Shown,
        mut headers: Vec<Header>,
        rewind_to: Option<u64>,
    ) -> Result<Batch, FollowError> {
        let blocks = self.blocks(shown, &mut headers).await?;
        let Some(last) = headers.last() else { return Err(unstable("no header was answered".into())) };
        let finalized = self.final_block(cursor, shown, &headers, rewind_to.unwrap_or(u64::MAX)).await?;
        let safe = self.safe_block(cursor, shown, &headers, rewind_to.unwrap_or(u64::MAX)).await?;
        let expected_tip = cursor.tip.map(|tip| tip.block());
        Ok(Batch { expected_tip, rewind_to, blocks, tip: tip(last), finalized, safe })
    }

    /// The logs of these headers: by hash near the head, by range below it. Both may end early.
    async fn blocks(&mut self, shown: &Shown, headers: &mut Vec<Header>) -> Result<Vec<Block>, FollowError> {
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else { return Ok(Vec::new()) };
        if let Some(block) = self.foreseen(headers).await {
            return Ok(vec![block]);
        }
        if last.number > shown.head.saturating_sub(self.limits.by_hash_blocks) {
            let blocks = self.chain.blocks(headers).await?;
            headers.truncate(blocks.len());
            return Ok(blocks);
        }
        let range = self.chain.range(first.number, last.number).await?;
        headers.retain(|header| header.number <= range.to.number);
        if headers.last().is_none_or(|last| last.hash != range.to.hash) {
            return Err(unstable(format!("block {} changed", range.to.number)));
        }
        // Of most blocks the range told only by silence, which is worth as much as their blooms say (F3).
        Ok(self.chain.hear_blooms(merge(headers, range.blocks)?).await?)
    }
}

/// Whether our tip, which is below the head, is still the chain's.
async fn holds(chain: &Chain, tip: Option<Tip>) -> Result<bool, FollowError> {
    let Some(tip) = tip else { return Ok(true) };
    match chain.header(tip.number).await? {
        Some(header) => Ok(header.hash == tip.hash),
        None => Err(unstable(format!("block {} is not there yet", tip.number))),
    }
}

fn tip(header: &Header) -> Tip {
    Tip { number: header.number, hash: header.hash, timestamp: header.timestamp }
}

/// Gives every header its block: those without logs are empty.
///
/// # Errors
/// A block whose hash is not its header's: the range was answered from another branch.
fn merge(headers: &[Header], with_logs: Vec<Block>) -> Result<Vec<Block>, FollowError> {
    let mut with_logs = with_logs.into_iter().peekable();
    let mut blocks = Vec::with_capacity(headers.len());
    for header in headers {
        let logs = match with_logs.next_if(|block| block.header.number == header.number) {
            Some(block) if block.header.hash != header.hash => {
                return Err(unstable(format!("block {} changed", header.number)));
            }
            Some(block) => block.logs,
            None => Vec::new(),
        };
        blocks.push(Block { header: header.clone(), logs });
    }
    match with_logs.next() {
        Some(block) => Err(unstable(format!("block {} was not asked for", block.header.number))),
        None => Ok(blocks),
    }
}
