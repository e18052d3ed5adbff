//! Final blocks, fetched ahead of the commits that take them in.
//!
//! A commit and an endpoint far away both take their time, and neither needs the other's: while blocks are committed the
//! ones above them are fetched, several stretches at once, and they are taken in the order of the chain. A stretch is what
//! one answer is expected to cover. Their bytes bound how many there are: few where logs are dense, so that memory stays
//! small, and more where hardly any are, so that the endpoint is asked all the time, but no more than that: what the step
//! itself asks stands behind them.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::chain::{Chain, ChainError, Range};
use crate::task::joined;

/// Most stretches that are fetched or wait to be taken, for each request that may be under way.
const STRETCHES_PER_REQUEST: usize = 3;

/// What they hold together at most, in bytes of the endpoints' answers, as far as the last ones tell.
const BYTES_AHEAD: usize = 16 * 1024 * 1024;

/// The stretches that are fetched, each following the one before.
#[derive(Debug)]
pub(super) struct Ahead {
    chain: Arc<Chain>,
    /// How many there are at most, and at present: one at first, because how much is in a block is not known before an
    /// answer has told; then twice as many each time.
    most: usize,
    room: usize,
    stretches: VecDeque<Stretch>,
}

/// Blocks that one task fetches; it ends with its stretch.
#[derive(Debug)]
struct Stretch {
    from: u64,
    to: u64,
    fetching: JoinHandle<Result<Vec<Range>, ChainError>>,
}

impl Drop for Stretch {
    fn drop(&mut self) {
        self.fetching.abort();
    }
}

impl Ahead {
    pub(super) fn new(chain: Arc<Chain>, concurrent_requests: usize) -> Self {
        Self { chain, most: concurrent_requests * STRETCHES_PER_REQUEST, room: 1, stretches: VecDeque::new() }
    }

    /// Forgets what is under way: after an error, and once the blocks that follow are other ones.
    pub(super) fn clear(&mut self) {
        self.stretches.clear();
        self.room = 1;
    }

    /// The ranges from `from` on that are there, at least one, and goes on fetching up to `to`, which must be final.
    ///
    /// # Errors
    /// As [`Chain::range`]; then nothing is under way any more.
    pub(super) async fn take(&mut self, from: u64, to: u64) -> Result<Vec<Range>, ChainError> {
        if self.stretches.front().is_some_and(|first| first.from != from) {
            self.clear();
        }
        self.fill(from, to);
        let mut taken = Vec::new();
        while let Some(first) = self.stretches.front_mut() {
            if !taken.is_empty() && !first.fetching.is_finished() {
                break;
            }
            let fetched = joined(&mut first.fetching).await;
            self.stretches.pop_front();
            match fetched {
                Ok(ranges) => taken.extend(ranges),
                Err(error) => {
                    self.clear();
                    // What is there is good; whoever comes back for the rest asks for it anew.
                    return if taken.is_empty() { Err(error) } else { Ok(taken) };
                }
            }
        }
        if let Some(last) = taken.last() {
            let largest = taken.iter().map(bytes).max().unwrap_or_default();
            let fitting = (BYTES_AHEAD / largest.max(1)).max(1);
            self.room = (self.room * 2).min(self.most).min(fitting);
            self.fill(last.to.number + 1, to);
        }
        Ok(taken)
    }

    /// Begins with as many stretches as there is room for, from the end of the last one on, or from `from`.
    fn fill(&mut self, from: u64, to: u64) {
        let mut next = self.stretches.back().map_or(from, |last| last.to + 1);
        while self.stretches.len() < self.room && next <= to {
            let (from, end) = (next, self.chain.reach(next, to));
            let fetching = tokio::spawn(fetch(Arc::clone(&self.chain), from, end));
            self.stretches.push_back(Stretch { from, to: end, fetching });
            next = end + 1;
        }
    }
}

/// How long the answer was, about.
fn bytes(range: &Range) -> usize {
    range.blocks.iter().flat_map(|block| &block.logs).map(|decoded| decoded.log.json_bytes()).sum()
}

/// All ranges of a stretch, with ends that enough endpoints confirm.
async fn fetch(chain: Arc<Chain>, from: u64, to: u64) -> Result<Vec<Range>, ChainError> {
    let mut ranges = Vec::with_capacity(1);
    let mut next = from;
    while next <= to {
        let range = chain.range(next, to).await?;
        // What is final cannot be taken back: one answer is not enough (F15).
        chain.settle_hash(range.to.block()).await?;
        next = range.to.number + 1;
        ranges.push(range);
    }
    Ok(ranges)
}
