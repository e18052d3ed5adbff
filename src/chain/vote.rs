//! The hash of a block whose end becomes final: asked anew of several endpoints at once, most of which must name it (F15).
//!
//! What is final is never taken back, so one answer is not enough where more can be had; and one endpoint that names
//! another hash for ever, from an abandoned fork, must not hold up the others: it is outvoted, scored down and named in a
//! dispute. Endpoints that keep silent have a short while, and then no vote.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::B256;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::Chain;
use super::classify::Kind;
use super::endpoint::Endpoint;
use super::error::ChainError;
use super::look::Tier;
use super::wire::header_by_number;
use crate::block::BlockRef;
use crate::dispute::{Dispute, Settlement};

/// How long further votes are waited for once there are enough.
const VOTE_DEADLINE: Duration = Duration::from_secs(1);

/// What one endpoint names.
type Vote = (Arc<Endpoint>, B256);

impl Chain {
    /// Whether most endpoints that answer name that hash, and as many of them as the quorum wants. Those that name another
    /// one lose a dispute.
    ///
    /// # Errors
    /// [`ChainError::Disputed`], which names endpoints and hashes, when most of them do not; others when too few answer.
    pub async fn settle_hash(&self, block: BlockRef) -> Result<(), ChainError> {
        let votes = self.votes(block.number).await;
        let for_hash = |hash: B256| votes.iter().filter(|(_, told)| *told == hash).count();
        let is_most = |hash: B256| for_hash(hash) * 2 > votes.len();
        if votes.is_empty() {
            return Err(self.pool.contradiction(&[block.number], "no endpoint names the block's hash at the moment"));
        }
        let alike = votes.iter().all(|(_, hash)| *hash == block.hash);
        if !alike {
            self.record_votes(block.number, &votes, votes.iter().map(|(_, hash)| *hash).find(|hash| is_most(*hash)))?;
        }
        let bounds = (block.number, block.number);
        self.check_quorum(for_hash(block.hash), bounds, None)?;
        if is_most(block.hash) {
            return Ok(());
        }
        let told: Vec<_> = votes.iter().map(|(endpoint, hash)| format!("{} names {hash}", endpoint.label)).collect();
        let message = format!("{} was taken for the block, but {}", block.hash, told.join(", "));
        Err(self.pool.contradiction(&[block.number], &message))
    }

    /// The hashes of the block of that height, asked anew of every endpoint that can be asked. The answers of one endpoint
    /// count twice only where no other is configured. Where some confirm the hash that is `known` to be right, the others
    /// are left (F15).
    pub async fn hashes_again(&self, number: u64, known: B256) -> Vec<B256> {
        let mut votes = self.votes(number).await;
        if self.pool.endpoints.len() == 1 {
            votes.extend(self.votes(number).await);
        }
        if votes.iter().any(|(_, hash)| *hash == known) {
            let wrong = votes.iter().filter(|(_, hash)| *hash != known);
            wrong.for_each(|(endpoint, _)| endpoint.score().lost_dispute());
        }
        votes.into_iter().map(|(_, hash)| hash).collect()
    }

    /// What endpoints name. Fallbacks have a vote where no other endpoint can be asked, where the quorum needs them, and
    /// where the others are not at one.
    async fn votes(&self, number: u64) -> Vec<Vote> {
        let ranked = self.pool.by_rank();
        let (mut spare, first): (Vec<_>, Vec<_>) =
            ranked.into_iter().partition(|endpoint| endpoint.tier() != Tier::First);
        let mut votes = self.poll(number, first).await;
        let at_one = votes.windows(2).all(|pair| pair[0].1 == pair[1].1);
        if votes.len() < self.quorum.endpoints.max(1) || !at_one {
            let mut more = self.poll(number, std::mem::take(&mut spare)).await;
            votes.append(&mut more);
        }
        votes
    }

    /// Asks these endpoints at once. One is waited for as long as a request may take, the others a short while only.
    async fn poll(&self, number: u64, endpoints: Vec<Arc<Endpoint>>) -> Vec<Vote> {
        let began = Instant::now();
        let enough = self.quorum.endpoints.clamp(1, endpoints.len().max(1));
        let mut silent = endpoints.clone();
        let mut asked: FuturesUnordered<_> = endpoints
            .into_iter()
            .map(|endpoint| async move {
                let header = |endpoint: Arc<Endpoint>| async move { endpoint.header(number).await };
                (self.pool.ask_one(&endpoint, &header).await, endpoint)
            })
            .collect();
        let mut votes = Vec::new();
        loop {
            let answer = if votes.len() < enough {
                asked.next().await
            } else {
                timeout_at(began + VOTE_DEADLINE, asked.next()).await.unwrap_or_default()
            };
            let Some((answer, endpoint)) = answer else { break };
            silent.retain(|other| !Arc::ptr_eq(other, &endpoint));
            match answer {
                Ok(Some(header)) => votes.push((endpoint, header.hash)),
                Ok(None) => {}
                Err(failure) if failure.kind.is_of_the_endpoint() => {
                    endpoint.health.rest(&failure);
                }
                Err(_) => {}
            }
        }
        // Who only waits for its own turn, because of a limit of requests, is not to blame.
        for endpoint in silent.iter().filter(|endpoint| endpoint.room(Instant::now()).0 <= Instant::now()) {
            let call = header_by_number(number);
            endpoint.health.rest(&endpoint.failure(Kind::Timeout, &call, "others answered long before"));
            endpoint.score().failed();
        }
        votes
    }

    /// Writes down who named what, and scores down those that are outvoted.
    fn record_votes(&self, number: u64, votes: &[Vote], truth: Option<B256>) -> Result<(), ChainError> {
        let mut wrong = Vec::new();
        for (endpoint, _) in votes.iter().filter(|(_, hash)| truth.is_some_and(|truth| *hash != truth)) {
            endpoint.score().lost_dispute();
            wrong.push(endpoint.label.clone());
        }
        let named: Vec<_> = votes.iter().map(|(endpoint, hash)| format!("{hash} by {}", endpoint.label)).collect();
        let dispute = Dispute {
            from: number,
            to: number,
            told: votes.iter().map(|(endpoint, _)| (endpoint.label.clone(), 0)).collect(),
            wrong,
            difference: format!("block {number} is called {}", named.join(", ")),
            settlement: if truth.is_some() { Settlement::Majority } else { Settlement::Unsettled },
        };
        self.note(vec![dispute.clone()]);
        match truth {
            Some(_) => Ok(()),
            None => Err(ChainError::Disputed { network: self.pool.network.clone(), dispute: Box::new(dispute) }),
        }
    }
}
