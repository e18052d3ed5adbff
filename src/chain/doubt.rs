//! Doubts about the logs of a block, and how they are cleared up: a bloom that shows more than was answered (F3), and a
//! number of logs at which endpoints are known to cut off (F6).
//!
//! A doubt proves nothing, because blooms are wrong by chance and honest answers have round numbers. It is looked into by
//! receipts, else at every endpoint once more. What nobody can tell goes on, counted; but what only could not be asked at
//! the moment does not: the request fails, to be repeated.

use std::sync::atomic::Ordering;

use ::metrics::counter;

use super::classify::Kind;
use super::error::{ChainError, Failure};
use super::logs::{LogReader, is_suspicious};
use super::{Chain, check};
use crate::block::{Block, Header, Log};
use crate::metrics;

impl Chain {
    /// The block of these logs, once doubts about them are cleared up.
    pub(super) async fn assemble(&self, header: Header, mut logs: Vec<Log>) -> Result<Block, ChainError> {
        let missing = check::missing(&self.watched, &header, &logs);
        if missing.is_some() {
            counter!(metrics::BLOOM_SUSPICIONS, "network" => self.pool.network.clone()).increment(1);
        }
        if (missing.is_some() || is_suspicious(logs.len()))
            && let Some(found) = self.search(&header, logs.len()).await?
        {
            tracing::warn!(
                network = self.pool.network,
                block = header.number,
                answered = logs.len(),
                found = found.len(),
                "an endpoint left out logs that another answer shows; the fuller one is used"
            );
            logs = found;
        }
        Ok(Block { logs: logs.into_iter().filter_map(|log| self.watched.decode(log)).collect(), header })
    }

    /// Looks for more logs of a block than one answer gave: by receipts, and where nobody serves them, at every endpoint
    /// once more. Receipts that show no more end the search: a bloom may be wrong by chance.
    async fn search(&self, header: &Header, known: usize) -> Result<Option<Vec<Log>>, ChainError> {
        let watched = &self.watched;
        let told = self
            .pool
            .ask(
                move |endpoint| async move { LogReader { endpoint: &endpoint, watched }.out_of_receipts(header).await },
            )
            .await;
        match told {
            Ok(logs) => return Ok(Some(logs).filter(|logs| logs.len() > known)),
            Err(ref error) if cannot_tell(error) => {}
            Err(error) => return Err(error),
        }
        for endpoint in self.pool.by_rank() {
            let work = |endpoint: std::sync::Arc<_>| async move {
                LogReader { endpoint: &endpoint, watched }.of_block(header).await
            };
            if let Ok(logs) = self.pool.ask_one(&endpoint, &work).await
                && logs.len() > known
            {
                return Ok(Some(logs));
            }
        }
        self.leave_open(header);
        Ok(None)
    }

    /// Goes on with a doubt that nobody can clear up.
    fn leave_open(&self, header: &Header) {
        counter!(metrics::BLOOM_UNRESOLVED, "network" => self.pool.network.clone()).increment(1);
        // On a chain with full blocks chance does this all the time; an operator is told once, the metric counts.
        if self.unresolved_told.swap(true, Ordering::Relaxed) {
            tracing::debug!(
                network = self.pool.network,
                block = header.number,
                "a doubt about a block's logs stays open"
            );
        } else {
            tracing::warn!(
                network = self.pool.network,
                block = header.number,
                "there may be more logs in the block than any endpoint returns, and none serves receipts to tell; going \
                 on, and only counting this from now on"
            );
        }
    }
}

/// Whether the error says that endpoints do not serve the receipts, now or later; not that they could not be asked.
fn cannot_tell(error: &ChainError) -> bool {
    let refuses = |failure: &Failure| matches!(failure.kind, Kind::Permanent | Kind::Unsupported);
    match error {
        ChainError::TooLarge { .. } | ChainError::Gone { .. } => true,
        ChainError::Failed { failure, .. } => refuses(failure),
        _ => false,
    }
}
