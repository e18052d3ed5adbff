//! Doubts about the logs of a block, and how they are cleared up: a bloom that shows more than was answered (F3), and a
//! number of logs at which endpoints are known to cut off (F6).
//!
//! A doubt proves nothing, because blooms are wrong by chance and honest answers have round numbers. It is looked into by
//! receipts that the header proves, else at every endpoint once more. What nobody can tell goes on, counted; but what only could not be asked at
//! the moment does not: the request fails, to be repeated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ::metrics::counter;

use super::classify::Kind;
use super::compare::same;
use super::endpoint::Endpoint;
use super::error::{ChainError, Failure};
use super::logs::{LogReader, is_suspicious};
use super::{Chain, check};
use crate::block::{Block, Header, Log, Method};
use crate::metrics;

impl Chain {
    /// The block of these logs, once doubts about them are cleared up.
    pub(super) async fn assemble(&self, header: Header, mut logs: Vec<Log>) -> Result<Block, ChainError> {
        let missing = check::missing(&self.watched, &header, &logs);
        if missing.is_some() {
            counter!(metrics::BLOOM_SUSPICIONS, "network" => self.pool.network.clone()).increment(1);
        }
        if (missing.is_some() || is_suspicious(logs.len()))
            && let Some(found) = self.search(&header, &logs).await?
        {
            tracing::warn!(
                network = self.pool.network,
                block = header.number,
                answered = logs.len(),
                found = found.len(),
                "an endpoint told other logs than what proves to be right; those are used"
            );
            logs = found;
        }
        Ok(Block { logs: logs.into_iter().filter_map(|log| self.watched.decode(log)).collect(), header })
    }

    /// Other logs of a block than those known, where receipts that hash to the header's root prove them, or most endpoints
    /// tell them. Where neither can be had, and no quorum is wanted, the fuller answer counts: the bloom speaks for it.
    async fn search(&self, header: &Header, known: &[Log]) -> Result<Option<Vec<Log>>, ChainError> {
        let number = header.number;
        let sealed = self.sealed(number, number).await?.pop().filter(|sealed| sealed.header.hash == header.hash);
        let Some(sealed) = sealed else {
            return Err(self.pool.contradiction(&[number], "the block changed while a doubt about it was looked into"));
        };
        let shown = match self.shown(&sealed).await {
            Ok(shown) => shown,
            Err(ref error) if cannot_tell(error) => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut voices = BTreeMap::<String, Vec<Log>>::new();
        for mut shown in shown {
            let logs = shown.logs.remove(&number).unwrap_or_default();
            if shown.method == Method::ReceiptsRoot {
                return Ok(Some(logs).filter(|logs| !same(logs, known)));
            }
            // An endpoint has one voice, however often it was asked.
            let voice = voices.entry(shown.by).or_default();
            if logs.len() > voice.len() {
                *voice = logs;
            }
        }
        self.hear_others(header, &mut voices).await;
        let votes = |logs: &[Log]| voices.values().filter(|other| same(logs, other)).count();
        if let Some(most) = voices.values().find(|logs| votes(logs) >= 2 && votes(logs) * 2 > voices.len()) {
            return Ok(Some(most.clone()).filter(|logs| !same(logs, known)));
        }
        let fuller = voices.into_values().find(|logs| self.quorum.endpoints < 2 && logs.len() > known.len());
        if fuller.is_none() {
            self.leave_open(header);
        }
        Ok(fuller)
    }

    /// Asks the endpoints that have no voice yet, fallbacks too.
    async fn hear_others(&self, header: &Header, voices: &mut BTreeMap<String, Vec<Log>>) {
        let watched = &self.watched;
        for endpoint in self.pool.by_rank() {
            if voices.contains_key(&endpoint.label) {
                continue;
            }
            let work = |endpoint: Arc<Endpoint>| async move {
                LogReader { endpoint: &endpoint, watched }.of_block(header).await
            };
            if let Ok(logs) = self.pool.ask_one(&endpoint, &work).await {
                voices.insert(endpoint.label.clone(), logs);
            }
        }
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
