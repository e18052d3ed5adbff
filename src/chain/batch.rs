//! Many requests to one endpoint in JSON-RPC batches, as large as it takes them (F40).

use std::sync::atomic::Ordering;

use ::metrics::counter;
use alloy::transports::TransportError;
use futures_util::future::try_join_all;
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::classify::Kind;
use super::endpoint::{Call, Endpoint};
use super::error::Failure;
use super::health::FIRST_REST;
use crate::metrics;

/// Most failed entries of a batch that are asked again alone; more go into smaller batches.
const MAX_ASKED_ALONE: usize = 8;

/// Most times that the entries of a batch are asked, as long as some of them are answered.
const MAX_BATCH_ROUNDS: usize = 5;

/// A batch that was refused, or answered in part, is made smaller by this factor.
const BATCH_DIVISOR: usize = 4;

/// The answer to one call of a batch.
pub(super) type Answer = Result<Box<RawValue>, Failure>;

/// Whether asking again may help at once.
fn is_passing(answer: &Answer) -> bool {
    let Err(failure) = answer else { return false };
    matches!(failure.kind, Kind::Transient | Kind::Timeout | Kind::Inconsistent | Kind::Rate(None))
}

impl Endpoint {
    /// Many requests, in JSON-RPC batches, answers in their order. Entries that failed in passing are asked again, few
    /// of them alone, many in smaller batches (F40); a refusal of the batch as such makes batches smaller for a while.
    pub(super) async fn batch(&self, calls: &[Call]) -> Result<Vec<Answer>, Failure> {
        let mut answers: Vec<Option<Answer>> = calls.iter().map(|_| None).collect();
        let mut size = self.batch_size();
        for round in 0..MAX_BATCH_ROUNDS {
            let due: Vec<_> =
                (0..calls.len()).filter(|index| answers[*index].as_ref().is_none_or(is_passing)).collect();
            if due.is_empty() {
                break;
            }
            if round > 0 {
                size = if due.len() <= MAX_ASKED_ALONE { 1 } else { (size / BATCH_DIVISOR).max(1) };
                // Where the rate was the reason, a little patience is the cure.
                sleep(FIRST_REST).await;
            }
            // All at once: the permits bound how many are under way.
            let batches = try_join_all(due.chunks(size).map(|chunk| self.batch_or_halves(calls, chunk))).await?;
            let mut progress = false;
            for (index, answer) in due.iter().zip(batches.into_iter().flatten()) {
                progress |= !is_passing(&answer);
                answers[*index] = Some(answer);
            }
            if !progress {
                break;
            }
        }
        let missing = |call: &Call| Err(self.failure(Kind::Transient, call, "not asked"));
        Ok(answers.into_iter().zip(calls).map(|(answer, call)| answer.unwrap_or_else(|| missing(call))).collect())
    }

    /// One batch of these calls, split for as long as it is refused as a batch.
    async fn batch_or_halves(&self, calls: &[Call], chunk: &[usize]) -> Result<Vec<Answer>, Failure> {
        let mut answers = Vec::with_capacity(chunk.len());
        let mut size = chunk.len();
        while answers.len() < chunk.len() {
            let rest = &chunk[answers.len()..];
            let part: Vec<_> = rest[..size.min(rest.len())].iter().map(|index| calls[*index].clone()).collect();
            match self.batch_once(&part).await {
                Ok(part) => {
                    if part.len() == self.most_batch_requests {
                        self.large_batches.answered();
                    }
                    answers.extend(part);
                }
                Err(failure) if part.len() > 1 && matches!(failure.kind, Kind::Permanent | Kind::Unsupported) => {
                    size = (part.len() / BATCH_DIVISOR).max(1);
                    self.refused_batch(size);
                    tracing::info!(%failure, size, "the endpoint refuses batches of this size; they are smaller now");
                }
                // Two entries are a range and its end: there the range is what is too large.
                Err(failure) if part.len() > 2 && matches!(failure.kind, Kind::TooLarge(_)) => {
                    size = (part.len() / BATCH_DIVISOR).max(1);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(answers)
    }

    /// Most requests of a batch that the endpoint is believed to take, and that leaves others their room.
    fn batch_size(&self) -> usize {
        let learnt = self.large_batches.holds().then(|| self.batch_requests.load(Ordering::Relaxed));
        learnt.unwrap_or(self.most_batch_requests).min(self.most_of_a_batch())
    }

    /// A batch was refused as such: for a while this size is the largest.
    fn refused_batch(&self, size: usize) {
        if self.large_batches.holds() {
            self.batch_requests.fetch_min(size, Ordering::Relaxed);
        } else {
            self.batch_requests.store(size, Ordering::Relaxed);
            self.large_batches.refused();
        }
    }

    /// One batch, as it is answered.
    async fn batch_once(&self, calls: &[Call]) -> Result<Vec<Answer>, Failure> {
        if let [call] = calls {
            return Ok(vec![self.raw(call).await]);
        }
        let Some(first) = calls.first() else { return Ok(vec![]) };
        let answers = async {
            let client = self.client().await?;
            let mut batch = client.new_batch();
            let mut waiters = Vec::with_capacity(calls.len());
            for call in calls {
                waiters.push(batch.add_call::<_, Box<RawValue>>(call.method, &call.params)?);
            }
            batch.send().await?;
            let mut answers = Vec::with_capacity(calls.len());
            for waiter in waiters {
                answers.push(waiter.await);
            }
            Ok(answers)
        };
        for call in calls {
            counter!(metrics::RPC_REQUESTS, "network" => self.network.clone(), "method" => call.method).increment(1);
        }
        let answers = self.within_deadline("batch", calls.len(), first, answers).await?;
        let classified =
            |(answer, call): (Result<_, TransportError>, &Call)| answer.map_err(|error| self.failed(call, &error));
        Ok(answers.into_iter().zip(calls).map(classified).collect())
    }
}
