//! Putting final blocks in the place of what is stored of them, because an audit found that it is not what the chain has.

use crate::block::Block;
use crate::store::Rederived;

use super::run::show;
use super::{FollowError, Follower, Outcome};

impl Follower {
    /// Swaps the raw logs of these final blocks, rising, and derives again from the lowest of them on. Where that takes
    /// several transactions, those behind the first are steps like any other: each looks at the head before, so that how
    /// far the tables are behind it is known meanwhile.
    ///
    /// # Errors
    /// As [`Follower::step`]. A block whose hash is not the one that we hold is not repaired: that is a finality that
    /// broke, which an operator has to accept. What had begun is gone on with by the next steps.
    pub async fn repair(&mut self, blocks: &[Block]) -> Result<Rederived, FollowError> {
        self.in_doubt = true;
        let mut rederived = self.writer.repair(blocks).await?;
        while !rederived.is_done() {
            // Anything else than its next part shows that it has ended.
            let Outcome::Rederived(more) = self.step().await? else { break };
            rederived = *more;
            show(&self.name, self);
        }
        Ok(rederived)
    }
}
