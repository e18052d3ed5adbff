//! Following a reorganisation: find the newest block that both branches share, fetch what replaces ours, swap.
//!
//! The search walks down the headers that we hold, the whole distance to finality, because no window is deep enough
//! (F14). Below finality nothing is undone: a different hash there stops the writer (F15).

use crate::block::BlockRef;
use crate::store::Cursor;

use super::{FollowError, Follower, Outcome, Shown, unstable};

/// Headers compared in one go while searching.
const COMPARED_AT_ONCE: u64 = 128;

/// Most blocks of the new branch that come with the swap; the steps after it bring the rest.
const SWAPPED_BLOCKS: u64 = 128;

/// Fewest further answers that confirm that a finalized block was replaced (F15).
const CONFIRMING_ANSWERS: usize = 2;

impl Follower {
    /// Undoes what the chain no longer has, and commits its replacement in the same transaction.
    pub(super) async fn reorganise(&mut self, cursor: &Cursor, shown: &Shown) -> Result<Outcome, FollowError> {
        let Some(tip) = cursor.tip else {
            return Err(unstable("nothing is held that could be replaced".into()));
        };
        let ancestor = self.ancestor(cursor, tip.block(), shown.head).await?;
        if ancestor.number == tip.number {
            return Err(unstable(format!("block {} came back", tip.number)));
        }
        let to = shown.head.min(ancestor.number + SWAPPED_BLOCKS);
        let headers = self.headers(ancestor.number + 1, to).await?;
        match headers.first() {
            Some(first) if first.parent_hash == ancestor.hash => {}
            _ => {
                return Err(unstable(format!(
                    "block {} does not follow block {}",
                    ancestor.number + 1,
                    ancestor.number
                )));
            }
        }
        let batch = self.batch(cursor, shown, headers, Some(ancestor.number)).await?;
        let to = batch.tip.number;
        let applied = self.writer.apply(batch).await?;
        let depth = tip.number - ancestor.number;
        Ok(Outcome::Reorganised { ancestor: ancestor.number, depth, to, applied: Box::new(applied) })
    }

    /// The newest block at or below the tip that the chain still has.
    async fn ancestor(&mut self, cursor: &Cursor, tip: BlockRef, head: u64) -> Result<BlockRef, FollowError> {
        let floor = cursor.finalized.map_or(self.start, |finalized| finalized.number + 1);
        let mut highest = tip.number.min(head);
        while highest >= floor {
            let lowest = floor.max((highest + 1).saturating_sub(COMPARED_AT_ONCE));
            let held = self.writer.headers(lowest, highest).await?;
            let shown = self.headers(lowest, highest).await?;
            let common = held.iter().find(|held| shown.iter().any(|shown| shown.hash == held.hash));
            if let Some(common) = common {
                return Ok(BlockRef { number: common.number, hash: common.hash });
            }
            let Some(next) = lowest.checked_sub(1) else { break };
            highest = next;
        }
        self.below(cursor).await
    }

    /// No block above finality is shared: then it is the finalized one, or the block before the start.
    async fn below(&mut self, cursor: &Cursor) -> Result<BlockRef, FollowError> {
        let number = match cursor.finalized {
            Some(finalized) => finalized.number,
            None => self.start.checked_sub(1).ok_or_else(|| unstable("the genesis block was replaced".into()))?,
        };
        let Some(shown) = self.chain.header(number).await? else {
            return Err(unstable(format!("block {number} is not answered")));
        };
        match cursor.finalized {
            Some(held) if held.hash != shown.hash => {
                // One answer is no proof: a writer that stops for a single wrong header stays stopped.
                let again = self.chain.hashes_again(number, held.hash).await;
                if again.len() < CONFIRMING_ANSWERS || again.iter().any(|hash| *hash != shown.hash) {
                    return Err(unstable(format!("the finalized block {number} is not told alike by all")));
                }
                let network = self.name.clone();
                Err(FollowError::FinalizedReplaced { network, number, held: held.hash, shown: shown.hash })
            }
            _ => Ok(shown.block()),
        }
    }
}
