//! The agreement of several endpoints on logs, and what happens when they disagree (F12).
//!
//! With a quorum of N the logs of every range and of every block are asked of N endpoints and compared. Where they differ
//! the block's own commitments decide: receipts that hash to the header's root, else its bloom; else what most
//! endpoints say. What nothing settles is not taken: the request fails, to be repeated. Fewer answers than N are no
//! agreement either, unless the configuration says that the quorum may shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use ::metrics::counter;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::classify::Kind;
use super::compare::{self, Told};
use super::endpoint::Endpoint;
use super::error::{ChainError, Failure};
use super::finality::{clamp_finalized, clamp_safe};
use super::head::Head;
use super::logs::{Covered, LogReader};
use super::proof::Sealed;
use super::wire::header_by_number;
use super::{Chain, check};
use crate::block::{Header, Log, Method};
use crate::dispute::{Dispute, Settlement};
use crate::metrics;

/// Most disputed blocks that one answer settles; what lies above comes with the next one.
const MAX_SETTLED_BLOCKS: usize = 64;

/// Longest that an answer about finality is waited for.
const FINALITY_DEADLINE: Duration = Duration::from_secs(1);

/// Most disputes that wait to be written; further ones are only counted.
const MAX_WAITING: usize = 256;

impl Chain {
    /// The disputes since this was last asked.
    #[must_use]
    pub fn take_disputes(&self) -> Vec<Dispute> {
        std::mem::take(&mut *self.disputes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The head as far as enough endpoints have it: what fewer have cannot be agreed on yet.
    pub(super) async fn shared(&self, head: Head, heights: Vec<u64>) -> Result<Head, ChainError> {
        let number = head.header.number;
        self.check_quorum(heights.len(), (number, number), None)?;
        let Some(shared) = heights.get(self.quorum.endpoints - 1).or(heights.last()).filter(|shared| **shared < number)
        else {
            return Ok(head);
        };
        let Some(header) = self.header(*shared).await? else {
            return Err(self.pool.contradiction(&[*shared], "a block below the head is not there"));
        };
        let safe = head.safe.and_then(|safe| clamp_safe(safe, &header));
        let finalized = head.finalized.and_then(|finalized| clamp_finalized(finalized, &header));
        Ok(Head { header, safe, finalized, promises: head.promises })
    }

    /// The head with no more finality than enough endpoints tell. As many as the quorum wants must; without one, finality
    /// that has reached the head, which is how an endpoint looks that takes any block for final, needs another one's word.
    pub(super) async fn with_shared_finality(&self, head: Head) -> Head {
        let Some(told) = head.finalized.clone() else { return head };
        let is_odd = told.number == head.header.number && self.pool.endpoints.len() > 1;
        let wanted = if is_odd { self.quorum.endpoints.max(2) } else { self.quorum.endpoints };
        if wanted < 2 {
            return head;
        }
        let asked = self.pool.by_rank().into_iter().map(|endpoint| async move {
            self.pool.verify(&endpoint).await.ok()?;
            timeout(FINALITY_DEADLINE, endpoint.finalized()).await.ok().flatten()
        });
        let mut finalized: Vec<Header> = join_all(asked).await.into_iter().flatten().collect();
        finalized.sort_by_key(|header| std::cmp::Reverse(header.number));
        let mut shared = finalized.get(wanted - 1).cloned();
        if shared.is_none() && self.quorum.may_shrink {
            shared = finalized.pop();
        }
        // The next step asks again; until then finality is what is known already.
        let shared = shared.map(|shared| if shared.number < told.number { shared } else { told });
        Head { finalized: shared.and_then(|shared| clamp_finalized(shared, &head.header)), ..head }
    }

    /// The logs of these blocks once enough endpoints agree on them: all, or those of the first blocks.
    pub(super) async fn agreed_on_blocks(
        &self,
        headers: &[Header],
        first: (Arc<Endpoint>, Vec<Vec<Log>>),
    ) -> Result<Vec<Vec<Log>>, ChainError> {
        if self.quorum.endpoints < 2 {
            return Ok(first.1);
        }
        let watched = &self.watched;
        let (Some(lowest), Some(highest)) = (headers.first(), headers.last()) else { return Ok(first.1) };
        let bounds = (lowest.number, highest.number);
        let others = self
            .witnesses(&first.0, bounds, move |endpoint| async move {
                LogReader { endpoint: &endpoint, watched }.of_blocks(headers).await
            })
            .await?;
        let answers = std::iter::once(first).chain(others).map(|(endpoint, logs)| {
            let blocks = headers.iter().zip(logs).filter(|(_, logs)| !logs.is_empty());
            Told { endpoint, blocks: blocks.map(|(header, logs)| (header.number, (header.clone(), logs))).collect() }
        });
        let (mut blocks, reach) = self.agree(answers.collect()).await?;
        let covered = headers.iter().take_while(|header| reach.as_ref().is_none_or(|end| header.number <= end.number));
        Ok(covered.map(|header| blocks.remove(&header.number).map(|(_, logs)| logs).unwrap_or_default()).collect())
    }

    /// A range once enough endpoints agree on it, as far as they do.
    pub(super) async fn agreed_on_range(
        &self,
        from: u64,
        first: (Arc<Endpoint>, Covered),
    ) -> Result<Covered, ChainError> {
        let (endpoint, covered) = first;
        if self.quorum.endpoints < 2 {
            return Ok(covered);
        }
        let (watched, end) = (&self.watched, &covered.end);
        let others = self
            .witnesses(&endpoint, (from, end.number), move |endpoint| async move {
                LogReader { endpoint: &endpoint, watched }.whole(from, end).await
            })
            .await?;
        let end = covered.end;
        let answers = std::iter::once((endpoint, covered.blocks)).chain(others).map(|(endpoint, blocks)| Told {
            endpoint,
            blocks: blocks.into_iter().map(|(header, logs)| (header.number, (header, logs))).collect(),
        });
        let (blocks, reach) = self.agree(answers.collect()).await?;
        let end = reach.unwrap_or(end);
        let blocks = blocks.into_values().filter(|(header, logs)| header.number <= end.number && !logs.is_empty());
        Ok(Covered { blocks: blocks.collect(), end })
    }

    /// What as many further endpoints answer as the quorum wants, the best of them first.
    async fn witnesses<T, W, F>(
        &self,
        first: &Arc<Endpoint>,
        bounds: (u64, u64),
        work: W,
    ) -> Result<Vec<(Arc<Endpoint>, T)>, ChainError>
    where
        W: Fn(Arc<Endpoint>) -> F,
        F: Future<Output = Result<T, Failure>>,
    {
        let wanted = self.quorum.endpoints - 1;
        let mut candidates = self.pool.by_rank().into_iter().filter(|endpoint| !Arc::ptr_eq(endpoint, first));
        let mut answers = Vec::with_capacity(wanted);
        let mut last = None;
        while answers.len() < wanted {
            let asked: Vec<_> = candidates.by_ref().take(wanted - answers.len()).collect();
            if asked.is_empty() {
                break;
            }
            let asked = asked.into_iter().map(|endpoint| async {
                let answer = self.pool.ask_one(&endpoint, &work).await;
                (endpoint, answer)
            });
            for (endpoint, answer) in join_all(asked).await {
                match answer {
                    Ok(answer) => answers.push((endpoint, answer)),
                    Err(failure) => last = Some(failure),
                }
            }
        }
        self.check_quorum(answers.len() + 1, bounds, last)?;
        Ok(answers)
    }

    /// Whether so many answers are enough. Too few are told once, and counted each time.
    pub(super) fn check_quorum(
        &self,
        answered: usize,
        bounds: (u64, u64),
        failure: Option<Failure>,
    ) -> Result<(), ChainError> {
        let wanted = self.quorum.endpoints;
        let unmet = (answered < wanted).then_some(answered);
        let before = std::mem::replace(&mut *self.quorum.unmet.lock().unwrap_or_else(PoisonError::into_inner), unmet);
        if unmet.is_none() {
            if before.is_some() {
                tracing::info!(network = self.pool.network, wanted, "enough endpoints answer for the quorum again");
            }
            return Ok(());
        }
        counter!(metrics::QUORUM_UNMET, "network" => self.pool.network.clone()).increment(1);
        let failure = failure.unwrap_or_else(|| Failure {
            endpoint: "the other endpoints".into(),
            request: "(not asked)".into(),
            kind: Kind::Unreachable,
            message: "they rest after failures, or are of another chain".into(),
        });
        if before.is_none() {
            let (from, to) = bounds;
            let goes_on = self.quorum.may_shrink;
            tracing::warn!(
                network = self.pool.network,
                wanted,
                answered,
                from,
                to,
                %failure,
                goes_on,
                "fewer endpoints answer than the quorum wants"
            );
        }
        if self.quorum.may_shrink {
            return Ok(());
        }
        let (network, failure) = (self.pool.network.clone(), Box::new(failure));
        Err(ChainError::Quorum { network, wanted, answered, failure })
    }

    /// The blocks with logs as all tell them, disputes settled, and the block up to which that goes where it is not all.
    async fn agree(
        &self,
        answers: Vec<Told>,
    ) -> Result<(BTreeMap<u64, (Header, Vec<Log>)>, Option<Header>), ChainError> {
        let numbers: BTreeSet<u64> = answers.iter().flat_map(|told| told.blocks.keys().copied()).collect();
        let disputed: Vec<u64> = numbers.into_iter().filter(|number| compare::is_disputed(&answers, *number)).collect();
        let mut blocks = answers[0].blocks.clone();
        let mut disputes: Vec<Dispute> = Vec::new();
        let mut reach = None;
        for (count, number) in disputed.iter().enumerate() {
            if count == MAX_SETTLED_BLOCKS {
                break;
            }
            let header =
                compare::header(&answers, *number).map_err(|reason| self.pool.contradiction(&[*number], &reason))?;
            let (truth, dispute) = self.settle(&header, &answers).await;
            compare::merge(&mut disputes, dispute);
            let Some(truth) = truth else {
                let refused = self.refused(&disputes);
                self.note(disputes);
                return Err(refused);
            };
            blocks.insert(*number, (header.clone(), truth));
            reach = (disputed.len() > MAX_SETTLED_BLOCKS).then_some(header);
        }
        self.note(disputes);
        Ok((blocks, reach))
    }

    /// Settles what was told differently of one block: its logs, if that can be said.
    async fn settle(&self, header: &Header, answers: &[Told]) -> (Option<Vec<Log>>, Dispute) {
        let mut told: Vec<(Arc<Endpoint>, Vec<Log>)> =
            answers.iter().map(|told| (Arc::clone(&told.endpoint), told.of(header.number))).collect();
        let sealed = self.proven_header(header).await;
        let mut settled = match &sealed {
            Some(sealed) => self.proven(sealed).await.map(|logs| (logs, Settlement::Receipts)),
            None => None,
        };
        // A bloom that does not hash to the block's hash is one endpoint's word, perhaps of the one that lies.
        if let (None, Some(sealed)) = (&settled, &sealed) {
            settled = compare::by_bloom(&sealed.header, &told).map(|logs| (logs, Settlement::Bloom));
        }
        if settled.is_none() {
            self.hear_the_rest(header, &mut told).await;
            settled = compare::by_majority(header, &told).map(|logs| (logs, Settlement::Majority));
        }
        let (truth, settlement) = match settled {
            Some((truth, settlement)) => (Some(truth), settlement),
            None => (None, Settlement::Unsettled),
        };
        let mut wrong = Vec::new();
        for (endpoint, logs) in &told {
            if truth.as_ref().is_some_and(|truth| !compare::same(truth, logs)) {
                endpoint.score().lost_dispute();
                wrong.push(endpoint.label.clone());
            }
        }
        let difference = compare::difference(header.number, &told);
        let told = told.iter().map(|(endpoint, logs)| (endpoint.label.clone(), logs.len() as u64)).collect();
        let (from, to) = (header.number, header.number);
        (truth, Dispute { from, to, told, wrong, difference, settlement })
    }

    /// The block's header, where its fields hash to its hash.
    async fn proven_header(&self, header: &Header) -> Option<Sealed> {
        let sealed = self.sealed(header.number, header.number).await.ok()?;
        sealed.into_iter().find(|sealed| sealed.header.hash == header.hash && sealed.proven)
    }

    /// The logs of the block, where receipts prove them.
    async fn proven(&self, sealed: &Sealed) -> Option<Vec<Log>> {
        let shown = self.shown(sealed).await.ok()?;
        let mut shown = shown.into_iter().find(|shown| shown.method == Method::ReceiptsRoot)?;
        Some(shown.logs.remove(&sealed.header.number).unwrap_or_default())
    }

    /// Asks the endpoints that were not asked yet, too.
    async fn hear_the_rest(&self, header: &Header, told: &mut Vec<(Arc<Endpoint>, Vec<Log>)>) {
        let watched = &self.watched;
        for endpoint in self.pool.by_rank() {
            if told.iter().any(|(asked, _)| Arc::ptr_eq(asked, &endpoint)) {
                continue;
            }
            let work = |endpoint: Arc<Endpoint>| async move {
                LogReader { endpoint: &endpoint, watched }.of_block(header).await
            };
            if let Ok(logs) = self.pool.ask_one(&endpoint, &work).await {
                told.push((endpoint, logs));
            }
        }
    }

    /// The error for blocks about which nothing is settled.
    fn refused(&self, disputes: &[Dispute]) -> ChainError {
        let network = self.pool.network.clone();
        match disputes.last() {
            Some(dispute) => ChainError::Disputed { network, dispute: Box::new(dispute.clone()) },
            None => self.pool.contradiction(&[], "a dispute without sides"),
        }
    }

    /// Keeps disputes until somebody takes them.
    pub(super) fn note(&self, disputes: Vec<Dispute>) {
        let mut waiting = self.disputes.lock().unwrap_or_else(PoisonError::into_inner);
        for dispute in disputes {
            let labels = [("network", self.pool.network.clone()), ("settlement", dispute.settlement.name().to_owned())];
            counter!(metrics::DISPUTES, &labels).increment(1);
            tracing::warn!(
                network = self.pool.network,
                from = dispute.from,
                to = dispute.to,
                settlement = dispute.settlement.name(),
                wrong = dispute.wrong.join(" "),
                "endpoints tell different things: {}",
                dispute.difference
            );
            if waiting.len() < MAX_WAITING {
                waiting.push(dispute);
            }
        }
    }
}

impl LogReader<'_> {
    /// All logs from `from` up to that block, which the endpoint must have.
    async fn whole(&self, from: u64, end: &Header) -> Result<Vec<(Header, Vec<Log>)>, Failure> {
        let mut blocks = Vec::new();
        let mut next = from;
        // Each turn covers at least one block.
        while next <= end.number {
            let covered = self.range(next, end.number).await?;
            if covered.end.number == end.number && covered.end.hash != end.hash {
                let call = header_by_number(end.number);
                let message = format!("the endpoint has {} where {} is wanted", covered.end.hash, end.hash);
                return Err(self.endpoint.failure(Kind::UnknownBlock, &call, &message));
            }
            next = covered.end.number + 1;
            blocks.extend(covered.blocks);
        }
        let headers: Vec<Header> = blocks.iter().map(|(header, _): &(Header, Vec<Log>)| header.clone()).collect();
        check::linked(&headers)
            .map_err(|reason| self.endpoint.failure(Kind::Inconsistent, &header_by_number(end.number), &reason))?;
        Ok(blocks)
    }
}
