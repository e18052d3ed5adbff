//! Putting final blocks in the place of what is stored of them, because an audit found that it is not what the chain has.

use crate::block::Block;
use crate::store::Rederived;

use super::{FollowError, Follower};

impl Follower {
    /// Swaps the raw logs of these final blocks, rising, and derives again from the lowest of them on.
    ///
    /// # Errors
    /// As [`Follower::step`]. A block whose hash is not the one that we hold is not repaired: that is a finality that
    /// broke, which an operator has to accept.
    pub async fn repair(&mut self, blocks: &[Block]) -> Result<Rederived, FollowError> {
        self.in_doubt = true;
        let mut rederived = self.writer.repair(blocks).await?;
        while !rederived.is_done() {
            match self.writer.resume().await? {
                Some(more) => rederived = more,
                None => break,
            }
        }
        Ok(rederived)
    }
}
