//! Ingesting final blocks once more, because an audit found that what is stored of them is not what the chain has.

use crate::store::Rederived;

use super::{FollowError, Follower};

impl Follower {
    /// Puts what the chain proves of these final blocks in the place of what is stored of them, and derives again from
    /// the lowest of them on. All is fetched before anything is changed.
    ///
    /// # Errors
    /// As [`Follower::step`]. A block whose hash is not the one that we hold is not repaired: that is a finality that
    /// broke, which an operator has to accept.
    pub async fn repair(&mut self, numbers: &[u64]) -> Result<Rederived, FollowError> {
        let mut blocks = Vec::with_capacity(numbers.len());
        for number in numbers {
            blocks.push(self.chain.proven_block(*number).await?);
        }
        self.in_doubt = true;
        let mut rederived = self.writer.repair(&blocks).await?;
        while !rederived.is_done() {
            match self.writer.resume().await? {
                Some(more) => rederived = more,
                None => break,
            }
        }
        Ok(rederived)
    }
}
