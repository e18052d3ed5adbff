//! Which blocks are final, and which are proposed on L1: what the chain shows, as far as we hold the same.

use super::error::unstable;
use super::{FollowError, Follower};
use crate::block::{BlockRef, Header};
use crate::store::Cursor;

/// What the chain shows at the beginning of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    pub(super) head: u64,
    pub(super) safe: Option<BlockRef>,
    /// The network tells what is proposed on L1, if not at the moment.
    pub(super) tells_safe: bool,
    pub(super) finalized: Option<BlockRef>,
}

impl Follower {
    /// The newest block that is proposed on L1 and that we hold under the same hash, as in [`Self::final_block`]; unlike
    /// finality it may step back. While it is unknown, or of a branch that is not ours, the last one known stays (F16).
    pub(super) async fn safe_block(
        &mut self,
        cursor: &Cursor,
        shown: &Shown,
        headers: &[Header],
        kept: u64,
    ) -> Result<Option<u64>, FollowError> {
        if !shown.tells_safe {
            return Ok(None);
        }
        let finalized = cursor.finalized.map(|finalized| finalized.number);
        // A network that tells has a safe block, if only one that is below all that we hold.
        let known = cursor.safe.or(finalized).unwrap_or_default().min(kept);
        let Some(safe) = shown.safe else { return Ok(Some(known)) };
        if safe.number <= kept && (cursor.safe == Some(safe.number) || finalized >= Some(safe.number)) {
            return Ok(Some(safe.number));
        }
        let held = match headers.iter().find(|header| header.number == safe.number) {
            Some(header) => Some(header.hash),
            None if safe.number <= kept => self.held(safe.number).await?,
            None => None,
        };
        Ok(Some(if held == Some(safe.hash) { safe.number } else { known }))
    }

    /// The newest block that is final and that we hold under the same hash: with these headers, and with ours up to the
    /// block that is `kept`.
    pub(super) async fn final_block(
        &mut self,
        cursor: &Cursor,
        shown: &Shown,
        headers: &[Header],
        kept: u64,
    ) -> Result<Option<BlockRef>, FollowError> {
        let Some(finalized) = shown.finalized else { return Ok(cursor.finalized) };
        if cursor.finalized.is_some_and(|ours| ours.number >= finalized.number) {
            // Finality that stalls or steps back changes nothing (F16).
            return Ok(cursor.finalized);
        }
        let held = match headers.iter().find(|header| header.number == finalized.number) {
            Some(header) => Some(header.hash),
            None if finalized.number <= kept => self.held(finalized.number).await?,
            None => None,
        };
        match held {
            Some(held) if held == finalized.hash => Ok(Some(finalized)),
            Some(_) => Err(unstable(format!("block {} is final under another hash than ours", finalized.number))),
            None => Ok(cursor.finalized),
        }
    }
}
