//! The newest block, headers by height, and what an endpoint tells about finality.
//!
//! Labels are claimed only as far as an endpoint knows them: `taiko_headL1Origin` for safe, the tag `finalized` for
//! final, both no further than the head that the same answer is about (F16). The tag `safe` is not asked: on Taiko it is
//! not to be trusted, elsewhere it means something else than proposed on L1.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, join3};
use tokio::time::Instant;

use super::check;
use super::classify::Kind;
use super::endpoint::Endpoint;
use super::error::{ChainError, Failure};
use super::finality::{L1Origin, clamp_finalized, clamp_safe, head_l1_origin};
use super::pool::Pool;
use super::wire::{WireHeader, header_by_number, header_by_tag};
use crate::block::{BlockRef, Header};

/// The newest block, and what is known about finality.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The newest block that the endpoint names. It may be lower than one seen before: a lagging endpoint (F13).
    pub header: Header,
    /// Taiko: the newest block proposed on L1, at most the head. Nothing when unknown at the moment.
    pub safe: Option<BlockRef>,
    /// The newest proof-finalized block, at most the head. Nothing when unknown at the moment.
    pub finalized: Option<Header>,
    /// Which of the two this network can tell at all.
    pub promises: Promises,
}

/// Which labels of finality this network's endpoints can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promises {
    /// An endpoint knows `taiko_headL1Origin`: what is above the safe block is preconfirmed.
    pub safe: bool,
    /// An endpoint knows the tag `finalized`.
    pub finalized: bool,
}

/// Which labels an endpoint of the network has given so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    safe: AtomicBool,
    finalized: AtomicBool,
}

/// The head, and finality as far as it is known: all asked at once, because whoever waits for a block waits for this.
pub(super) async fn newest(pool: &Pool, told: &Told) -> Result<Head, ChainError> {
    pool.choose();
    let asked = pool.ask(|endpoint| async move {
        let asked_at = Instant::now();
        let latest = async {
            let header = endpoint.latest().await?;
            pool.saw_head(&endpoint, header.number, asked_at.elapsed());
            Ok(header)
        };
        let (header, finalized, safe) = join3(latest, endpoint.finalized(), endpoint.proposed()).await;
        Ok((header?, finalized, safe, endpoint))
    });
    let (asked, ()) = join(asked, pool.look_around()).await;
    let (header, finalized, safe, endpoint) = asked?;
    let safe = match safe {
        Proposed::Told(safe) => {
            told.safe.store(true, Ordering::Relaxed);
            safe
        }
        Proposed::Unknown => None,
        Proposed::NotAsked => safe_of_others(pool, told, &endpoint).await,
    };
    let safe = safe.and_then(|safe| clamp_safe(safe, &header));
    told.finalized.fetch_or(finalized.is_some(), Ordering::Relaxed);
    let finalized = finalized.and_then(|finalized| clamp_finalized(finalized, &header));
    let promises =
        Promises { safe: told.safe.load(Ordering::Relaxed), finalized: told.finalized.load(Ordering::Relaxed) };
    Ok(Head { header, safe, finalized, promises })
}

/// What an endpoint says about the newest block proposed on L1.
enum Proposed {
    /// It knows the question, and the block if there is one.
    Told(Option<BlockRef>),
    /// It failed to answer, which says nothing.
    Unknown,
    /// It does not forward the question: another one may.
    NotAsked,
}

/// The newest block proposed on L1, from others than the endpoint of the head, which does not forward the question.
async fn safe_of_others(pool: &Pool, told: &Told, first: &Arc<Endpoint>) -> Option<BlockRef> {
    for endpoint in pool.available().filter(|endpoint| !Arc::ptr_eq(endpoint, first)) {
        if endpoint.l1_origin.holds() || pool.verify(endpoint).await.is_err() {
            continue;
        }
        match endpoint.proposed().await {
            Proposed::Told(safe) => {
                told.safe.store(true, Ordering::Relaxed);
                return safe;
            }
            Proposed::Unknown => return None,
            Proposed::NotAsked => {}
        }
    }
    None
}

/// Whether the endpoint answered that it knows of no proposed block; that a method is not found is no such answer.
fn lacks_only_the_row(failure: &Failure) -> bool {
    let words = failure.message.to_lowercase();
    let is_answer = matches!(failure.kind, Kind::Transient | Kind::UnknownBlock | Kind::Permanent);
    is_answer && words.contains("not found") && !words.contains("method") && !words.contains("taiko_")
}

impl Endpoint {
    /// The newest block; remembered as the endpoint's confirmed head.
    pub(super) async fn latest(&self) -> Result<Header, Failure> {
        let call = header_by_tag("latest");
        let wire: Option<WireHeader> = self.request(&call).await?;
        let wire = wire.ok_or_else(|| self.failure(Kind::UnknownBlock, &call, "there is no newest block"))?;
        let header = check::header(None, wire).map_err(|reason| self.failure(Kind::Inconsistent, &call, &reason))?;
        self.set_confirmed_head(header.number);
        Ok(header)
    }

    /// The block tagged `finalized`; nothing when the endpoint does not tell (F16).
    pub(super) async fn finalized(&self) -> Option<Header> {
        let wire: Option<WireHeader> = self.request(&header_by_tag("finalized")).await.ok()?;
        check::header(None, wire?).ok()
    }

    /// The newest block proposed on L1; not asked of an endpoint that lately did not forward the question.
    async fn proposed(&self) -> Proposed {
        if self.l1_origin.holds() {
            return Proposed::NotAsked;
        }
        match self.request::<Option<L1Origin>>(&head_l1_origin()).await {
            Ok(origin) => {
                self.l1_origin.answered();
                Proposed::Told(origin.and_then(|origin| origin.proposed()))
            }
            // The endpoint knows the question, but not the answer.
            Err(failure) if lacks_only_the_row(&failure) => {
                self.l1_origin.answered();
                Proposed::Told(None)
            }
            Err(failure) if matches!(failure.kind, Kind::Unsupported | Kind::Permanent) => {
                self.l1_origin.refused();
                Proposed::NotAsked
            }
            Err(_) => Proposed::Unknown,
        }
    }

    /// The headers of those heights, in their order; neighbours are linked.
    pub(super) async fn headers(&self, numbers: &[u64]) -> Result<Vec<Header>, Failure> {
        let calls: Vec<_> = numbers.iter().map(|number| header_by_number(*number)).collect();
        let answers = self.batch(&calls).await?;
        let mut headers = Vec::with_capacity(numbers.len());
        for ((number, call), answer) in numbers.iter().zip(&calls).zip(answers) {
            let wire: Option<WireHeader> = self.read(call, &answer?)?;
            let wire = wire.ok_or_else(|| self.absent(*number, call, "there is no such block"))?;
            let header = check::header(Some(*number), wire);
            headers.push(header.map_err(|reason| self.failure(Kind::Inconsistent, call, &reason))?);
        }
        check::linked(&headers).map_err(|reason| {
            let last = calls.last().map(ToString::to_string).unwrap_or_default();
            let first = &calls[0];
            self.failure(Kind::Inconsistent, first, &format!("{reason}, in answers up to {last}"))
        })?;
        Ok(headers)
    }
}
