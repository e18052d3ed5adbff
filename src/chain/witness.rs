//! What the chain shows of blocks that are stored already: asked again, by the strongest way that endpoints serve.
//!
//! Headers with what they commit to; the logs of a block out of receipts that hash to the header's receipts root; and where
//! receipts are not served, or headers are not, the logs once more from every endpoint, which is only as good as the
//! best of them (F5, F9, F12).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::classify::Kind;
use super::compare::{difference, same};
use super::endpoint::{Endpoint, EndpointRole};
use super::error::{ChainError, Failure};
use super::logs::LogReader;
use super::proof::{Root, Sealed, compare};
use super::wire::{WireHeader, WireLog, WireReceipt, header_by_number, logs_by_range, receipts};
use super::{Chain, HEADERS_PER_REQUEST, Watched, check};
use crate::block::{Block, Header, Log, Method};
use crate::dispute::{Dispute, Settlement};

/// Most times that a range without headers is halved.
const MAX_HALVINGS: usize = 64;

/// What somebody shows of the watched contracts' logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The logs by block, of blocks that have some, in order.
    pub logs: BTreeMap<u64, Vec<Log>>,
    /// How good that is.
    pub method: Method,
    /// Who says so: an endpoint, without credentials.
    pub by: String,
}

/// Why a header's bloom and the logs that are stored do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// The bloom holds a watched contract and one of its events, of which no log is stored. It may be chance.
    Missing,
    /// A log is stored whose contract or topic the bloom does not hold.
    Stray,
}

impl Chain {
    /// The headers of a range, linked, with what they commit to. Where one endpoint's header does not hash to its hash,
    /// the others are asked for one that does.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint has them all, none answers, or the chain changed meanwhile.
    pub async fn sealed(&self, from: u64, to: u64) -> Result<Vec<Sealed>, ChainError> {
        let numbers: Vec<u64> = (from..=to).collect();
        let mut sealed = Vec::with_capacity(numbers.len());
        for numbers in numbers.chunks(HEADERS_PER_REQUEST) {
            let ask = move |endpoint: Arc<Endpoint>| async move { endpoint.sealed(numbers).await };
            sealed.extend(self.pool.ask(ask).await?);
        }
        self.prove(&mut sealed).await;
        let headers: Vec<Header> = sealed.iter().map(|sealed| sealed.header.clone()).collect();
        check::linked(&headers).map_err(|reason| self.pool.contradiction(&numbers, &reason))?;
        Ok(sealed)
    }

    /// Looks at the other endpoints for headers whose fields hash to their hash, in the place of those that do not. Where
    /// none does the chain may hash its headers in another way: then one header of each endpoint is enough to know.
    async fn prove(&self, sealed: &mut [Sealed]) {
        for endpoint in &self.pool.by_rank() {
            let mut open: Vec<u64> =
                sealed.iter().filter(|sealed| !sealed.proven).map(|sealed| sealed.header.number).collect();
            if open.is_empty() || self.pool.endpoints.len() == 1 {
                return;
            }
            if self.pool.verify(endpoint).await.is_err() {
                continue;
            }
            if open.len() == sealed.len() {
                let Ok(first) = endpoint.sealed(&open[..1]).await else { continue };
                if !first[0].proven {
                    continue;
                }
                take_proven(sealed, first);
                open.remove(0);
            }
            for numbers in open.chunks(HEADERS_PER_REQUEST) {
                let Ok(others) = endpoint.sealed(numbers).await else { break };
                take_proven(sealed, others);
            }
        }
    }

    /// Whether the header's bloom and the logs that are stored of its block do not go together. An empty bloom of a
    /// header that proves nothing says nothing (F4).
    #[must_use]
    pub fn doubt(&self, sealed: &Sealed, logs: &[Log]) -> Option<Doubt> {
        if check::missing(&self.watched, &sealed.header, logs).is_some() {
            return Some(Doubt::Missing);
        }
        let bloom = sealed.header.logs_bloom.as_deref().filter(|bloom| sealed.proven || !bloom.is_zero())?;
        check::stray(bloom, logs).then_some(Doubt::Stray)
    }

    /// The logs of one block, by receipts that hash to the header's root where they are served and the header is
    /// proven: then one answer. Else as each endpoint tells them, without what a proven bloom does not hold.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers.
    pub async fn shown(&self, sealed: &Sealed) -> Result<Vec<Shown>, ChainError> {
        let by_receipts = match self.by_receipts(sealed).await? {
            Some((proven, true)) => return Ok(vec![proven]),
            other => other,
        };
        let mut told: Vec<Shown> = self.told_again(&sealed.header).await?.into_iter().map(shown).collect();
        // Receipts whose root nobody can vouch for are one voice among the others.
        told.extend(by_receipts.map(|(one, _)| one));
        if let Some(bloom) = sealed.header.logs_bloom.as_deref().filter(|_| sealed.proven) {
            for logs in told.iter_mut().flat_map(|told| told.logs.values_mut()) {
                logs.retain(|log| !check::stray(bloom, std::slice::from_ref(log)));
            }
        }
        Ok(told)
    }

    /// What the first endpoint that serves receipts shows by them, and whether the header proves it; nothing where
    /// nobody serves them, or nobody those of this block.
    async fn by_receipts(&self, sealed: &Sealed) -> Result<Option<(Shown, bool)>, ChainError> {
        let watched = &self.watched;
        let unproven = Mutex::new(None);
        let told = self.pool.ask_optional(
            |endpoint| &endpoint.receipts,
            |endpoint| {
                let unproven = &unproven;
                async move {
                    let (logs, root) = LogReader { endpoint: &endpoint, watched }.receipts_of(sealed).await?;
                    let told = (logs, root, endpoint.label.clone());
                    if sealed.proven && !matches!(told.1, Root::Matches) {
                        // Another endpoint's receipts may have what these lack to be proven.
                        unproven.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(told);
                        let call = receipts(sealed.header.hash);
                        return Err(endpoint.failure(Kind::UnknownBlock, &call, "the receipts lack what proves them"));
                    }
                    Ok(told)
                }
            },
        );
        let told = told.await;
        let told = match unproven.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(unproven) => told.or(Ok(unproven)),
            None => told,
        };
        match told {
            Ok((logs, root, by)) => {
                let proven = sealed.proven && root == Root::Matches;
                let method = if proven { Method::ReceiptsRoot } else { Method::LogsAgain };
                Ok(Some((Shown { logs: by_block(logs), method, by }, proven)))
            }
            // Endpoints that are down are another matter.
            Err(ChainError::Failed { failure, .. }) if !refuses(failure.kind) => Err(self.pool.failed(*failure)),
            Err(error @ (ChainError::NoEndpoint { .. } | ChainError::WrongChain { .. })) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// The block of that header as the chain has it, to be written: proven by receipts, else as more than half of all
    /// endpoints tell it, at least two and as many as the quorum wants. Nothing where that settles nothing: what a single
    /// endpoint tells is not written over what is stored.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers.
    pub async fn settled_block(&self, sealed: &Sealed) -> Result<Option<Block>, ChainError> {
        let header = sealed.header.clone();
        let logs = match self.by_receipts(sealed).await? {
            Some((mut proven, true)) => proven.logs.remove(&header.number).unwrap_or_default(),
            _ => match self.by_most(sealed, &self.told_again(&header).await?) {
                Some(logs) => logs,
                None => return Ok(None),
            },
        };
        let logs = logs.into_iter().filter_map(|log| self.watched.decode(log)).collect();
        Ok(Some(Block { header, logs }))
    }

    /// What more than half of all endpoints tell of a block; that they disagree is noted.
    fn by_most(&self, sealed: &Sealed, told: &[(Arc<Endpoint>, Vec<Log>)]) -> Option<Vec<Log>> {
        let header = &sealed.header;
        let bloom = header.logs_bloom.as_deref().filter(|_| sealed.proven);
        let is_possible = |logs: &[Log]| bloom.is_none_or(|bloom| !check::stray(bloom, logs));
        let votes = |logs: &[Log]| told.iter().filter(|(_, other)| same(logs, other)).count();
        let wanted = (self.voices().max(told.len()) / 2 + 1).max(2).max(self.quorum.endpoints);
        let most =
            told.iter().find(|(_, logs)| is_possible(logs) && votes(logs) >= wanted).map(|(_, logs)| logs.clone());
        if told.iter().any(|(_, logs)| !same(logs, &told[0].1)) {
            let is_wrong = |logs: &[Log]| most.as_ref().is_some_and(|most| !same(most, logs));
            let wrong = told.iter().filter(|(_, logs)| is_wrong(logs)).map(|(endpoint, _)| endpoint.label.clone());
            self.note(vec![Dispute {
                from: header.number,
                to: header.number,
                told: told.iter().map(|(endpoint, logs)| (endpoint.label.clone(), logs.len() as u64)).collect(),
                wrong: wrong.collect(),
                difference: difference(header.number, told),
                settlement: if most.is_some() { Settlement::Majority } else { Settlement::Unsettled },
            }]);
        }
        most
    }

    /// The logs of one block as each endpoint tells them.
    async fn told_again(&self, header: &Header) -> Result<Vec<(Arc<Endpoint>, Vec<Log>)>, ChainError> {
        let watched = &self.watched;
        self.of_each(move |endpoint| async move { LogReader { endpoint: &endpoint, watched }.of_block(header).await })
            .await
    }

    /// The logs of a range as each endpoint tells them, with headers where they are served.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers.
    pub async fn logs_again(&self, from: u64, to: u64) -> Result<Vec<Shown>, ChainError> {
        let watched = &self.watched;
        let told = self
            .of_each(move |endpoint| async move { LogReader { endpoint: &endpoint, watched }.again(from, to).await })
            .await?;
        Ok(told.into_iter().map(shown).collect())
    }

    /// How many endpoints tell where all are there.
    #[must_use]
    pub fn voices(&self) -> usize {
        self.pool.endpoints.iter().filter(|endpoint| !endpoint.health.is_refused()).count()
    }

    /// What each endpoint that answers tells; at least one.
    async fn of_each<W, F>(&self, work: W) -> Result<Vec<(Arc<Endpoint>, Vec<Log>)>, ChainError>
    where
        W: Fn(Arc<Endpoint>) -> F,
        F: Future<Output = Result<Vec<Log>, Failure>>,
    {
        let mut told = Vec::new();
        let wanted = self.quorum.endpoints.max(1);
        for endpoint in self.pool.by_rank() {
            // Fallbacks are asked where the others are too few.
            if endpoint.role == EndpointRole::Fallback && told.len() >= wanted {
                continue;
            }
            match self.pool.ask_one(&endpoint, &work).await {
                Ok(logs) => told.push((Arc::clone(&endpoint), logs)),
                Err(failure) => {
                    tracing::debug!(%failure, "an endpoint cannot tell again what it has");
                    if failure.kind.is_of_the_endpoint() {
                        endpoint.health.rest(&failure);
                    }
                }
            }
        }
        if told.is_empty() {
            // None of them at once: with patience one may, and else this says why not.
            let one = self.pool.ask(|endpoint| {
                let answered = work(Arc::clone(&endpoint));
                async move { Ok((endpoint, answered.await?)) }
            });
            told.push(one.await?);
        }
        Ok(told)
    }
}

/// Puts proven headers in the place of the same ones that are not.
fn take_proven(sealed: &mut [Sealed], others: Vec<Sealed>) {
    for other in others.into_iter().filter(|other| other.proven) {
        if let Some(same) = sealed.iter_mut().find(|sealed| sealed.header.block() == other.header.block()) {
            *same = other;
        }
    }
}

/// Whether an endpoint does not serve what was asked, and never will.
fn refuses(kind: Kind) -> bool {
    matches!(kind, Kind::Permanent | Kind::Unsupported | Kind::TooLarge(_))
}

/// What one endpoint told without proof.
fn shown((endpoint, logs): (Arc<Endpoint>, Vec<Log>)) -> Shown {
    Shown { logs: by_block(logs), method: Method::LogsAgain, by: endpoint.label.clone() }
}

fn by_block(logs: Vec<Log>) -> BTreeMap<u64, Vec<Log>> {
    let mut blocks = BTreeMap::<u64, Vec<Log>>::new();
    for log in logs {
        blocks.entry(log.block.number).or_default().push(log);
    }
    blocks
}

impl Endpoint {
    /// The headers of those heights, linked where they are neighbours, with what they commit to.
    async fn sealed(&self, numbers: &[u64]) -> Result<Vec<Sealed>, Failure> {
        let calls: Vec<_> = numbers.iter().map(|number| header_by_number(*number)).collect();
        let answers = self.batch(&calls).await?;
        let mut sealed = Vec::with_capacity(numbers.len());
        for ((number, call), answer) in numbers.iter().zip(&calls).zip(answers) {
            let raw = answer?;
            let wire: Option<WireHeader> = self.read(call, &raw)?;
            let wire = wire.ok_or_else(|| self.failure(Kind::UnknownBlock, call, "there is no such block"))?;
            let header =
                check::header(Some(*number), wire).map_err(|reason| self.failure(Kind::Inconsistent, call, &reason))?;
            let fields: Map<String, Value> = self.read(call, &raw)?;
            sealed.push(Sealed::of(header, &fields));
        }
        let headers: Vec<Header> = sealed.iter().map(|sealed| sealed.header.clone()).collect();
        check::linked(&headers).map_err(|reason| self.failure(Kind::Inconsistent, &calls[0], &reason))?;
        Ok(sealed)
    }
}

impl LogReader<'_> {
    /// The watched contracts' logs out of a block's receipts, which are held against the header's receipts root.
    ///
    /// Receipts that do not have the root are a provider's fault, like those of another block (F9).
    async fn receipts_of(&self, sealed: &Sealed) -> Result<(Vec<Log>, Root), Failure> {
        let header = &sealed.header;
        let call = receipts(header.hash);
        let wire = self.endpoint.request::<Option<Vec<WireReceipt>>>(&call).await?;
        let wrong = |reason: &str| self.endpoint.failure(Kind::Inconsistent, &call, reason);
        let mut wire = wire.ok_or_else(|| self.endpoint.failure(Kind::UnknownBlock, &call, "there are no receipts"))?;
        if wire.iter().any(|receipt| receipt.block_hash.is_some_and(|hash| hash != header.hash)) {
            return Err(wrong("a receipt is of another block"));
        }
        if wire.iter().all(|receipt| receipt.transaction_index.is_some()) {
            wire.sort_by_key(|receipt| receipt.transaction_index);
        }
        let root = sealed.receipts_root.map_or(Root::CannotTell, |root| compare(&wire, root));
        if let Root::Differs { found } = root {
            return Err(wrong(&format!("the receipts have the root {found}, which is not the header's")));
        }
        let logs = logs_of(self.watched, header, wire).map_err(|reason| wrong(&reason))?;
        Ok((logs, root))
    }

    /// The logs from `from` to `to`, in as many answers as it takes.
    async fn again(&self, from: u64, to: u64) -> Result<Vec<Log>, Failure> {
        let mut logs = Vec::new();
        let mut next = from;
        // Each turn covers at least one block.
        while next <= to {
            match self.range(next, to).await {
                Ok(covered) => {
                    next = covered.end.number + 1;
                    logs.extend(covered.blocks.into_iter().flat_map(|(_, logs)| logs));
                }
                Err(failure) if matches!(failure.kind, Kind::UnknownBlock | Kind::Permanent | Kind::Unsupported) => {
                    let (end, more) = self.bare(next, to).await?;
                    next = end + 1;
                    logs.extend(more);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(logs)
    }

    /// The logs from `from` on without a header to hold them against, and the block that they reach to: all that an
    /// endpoint without old headers can give.
    async fn bare(&self, from: u64, to: u64) -> Result<(u64, Vec<Log>), Failure> {
        let mut end = to;
        let mut refusal = None;
        for _ in 0..MAX_HALVINGS {
            let call = logs_by_range(&self.watched.addresses, from, end);
            match self.endpoint.request::<Vec<WireLog>>(&call).await {
                Ok(wire) => {
                    let logs = check::logs(self.watched, from, end, wire)
                        .map_err(|reason| self.endpoint.failure(Kind::Inconsistent, &call, &reason))?;
                    return Ok((end, logs.into_values().flatten().collect()));
                }
                Err(failure) if matches!(failure.kind, Kind::TooLarge(_)) && from < end => {
                    end = from + (end - from) / 2;
                    refusal = Some(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        let call = logs_by_range(&self.watched.addresses, from, to);
        Err(refusal.unwrap_or_else(|| self.endpoint.failure(Kind::Transient, &call, "no range is small enough")))
    }
}

/// The watched contracts' logs of all receipts, numbered by their place among all logs of the block: the places that an
/// endpoint writes beside them are no part of what the root proves.
fn logs_of(watched: &Watched, header: &Header, receipts: Vec<WireReceipt>) -> Result<Vec<Log>, String> {
    let mut logs = Vec::new();
    let mut place = 0_u32;
    for (transaction_index, receipt) in (0_u32..).zip(receipts) {
        for log in receipt.logs {
            let log_index = place;
            place += 1;
            if !watched.holds(log.address) {
                continue;
            }
            if log.block_hash.is_some_and(|hash| hash != header.hash) {
                return Err("a log of the receipts is of another block".into());
            }
            logs.push(Log {
                address: log.address,
                topics: log.topics,
                data: log.data,
                block: header.block(),
                transaction_hash: log.transaction_hash.unwrap_or_default(),
                transaction_index,
                log_index,
            });
        }
    }
    Ok(logs)
}
