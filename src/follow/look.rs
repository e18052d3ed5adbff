//! Looks at the chain: what it shows, and what is written down of that for everybody to see.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::debug;

use super::finality::Shown;
use super::{FollowError, Follower, tip};
use crate::block::Header;
use crate::store::{Cursor, Tip};

/// How long the head is waited for before a step that needs no endpoint.
const HEAD_PATIENCE: Duration = Duration::from_secs(2);

/// What is written down of a look at the chain.
pub(super) struct Observation {
    head: Tip,
    safe: Option<u64>,
    finalized: Option<u64>,
}

impl Follower {
    /// Notes what the chain shows, if it tells soon: nothing that is to be done now depends on it, but while the tables are
    /// derived again everybody must see how far they are behind.
    pub(super) async fn glance_at_chain(&mut self) -> Result<(), FollowError> {
        match timeout(HEAD_PATIENCE, self.look_at_chain()).await {
            Ok(Err(FollowError::Chain(error))) => {
                debug!(network = self.name, %error, "the head is not known while the tables are derived again");
                Ok(())
            }
            Ok(looked) => {
                looked?;
                self.write_observation().await
            }
            Err(_) => Ok(()),
        }
    }

    /// What the chain shows: as it was seen a moment ago where blocks that were final then are still to come, or indexes to
    /// be built, and nothing else would follow from a higher head.
    pub(super) async fn see_chain(&mut self, cursor: &Cursor) -> Result<(Header, Shown), FollowError> {
        if let Some((at, head, shown)) = &self.seen
            && at.elapsed() < self.look_every
            && (self.writer.is_without_indexes()
                || shown.finalized.is_some_and(|finalized| cursor.tip.is_some_and(|tip| tip.number < finalized.number)))
        {
            return Ok((head.clone(), *shown));
        }
        let (head, shown) = self.look_at_chain().await?;
        self.seen = Some((Instant::now(), head.clone(), shown));
        Ok((head, shown))
    }

    /// Asks what the chain shows, and keeps it to be written down.
    pub(super) async fn look_at_chain(&mut self) -> Result<(Header, Shown), FollowError> {
        let head = self.chain.head().await?;
        let seen = tip(&head.header);
        self.head = Some(seen);
        let safe = head.safe.map(|safe| safe.number);
        let finalized = head.finalized.as_ref().map(Header::block);
        let observation = Observation { head: seen, safe, finalized: finalized.map(|finalized| finalized.number) };
        self.unobserved = Some(observation);
        // A network whose proposals were once told keeps saying so: whoever tells them may only be away (F16).
        let told_before = self.cursor.is_some_and(|cursor| cursor.safe.is_some());
        let tells_safe = head.promises.safe || told_before;
        let shown = Shown { head: seen.number, safe: head.safe, tells_safe, finalized };
        Ok((head.header, shown))
    }

    /// Writes down what was seen of the chain, also when the step failed.
    pub(super) async fn write_observation(&mut self) -> Result<(), FollowError> {
        let Some(Observation { head, safe, finalized }) = self.unobserved.take() else { return Ok(()) };
        Ok(self.writer.observe_head(head, safe, finalized).await?)
    }
}
