//! The loop around an audit in a process that writes: it goes gently, records, asks for repairs, and looks again.

use std::time::Duration;

use metrics::{counter, gauge};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::block::{Block, Method};
use crate::chain::{Sealed, in_background};
use crate::fault::Fault;
use crate::metrics as names;
use crate::store::verification::{Audited, Finding, Recorded, Verified};

use super::cure::{self, Cures};
use super::stretch::{SEGMENT, STRETCH_BLOCKS, lacks_headers};
use super::{AuditError, Auditor, Stretch, Verdict};

/// Pause before looking whether more has become final.
const IDLE_PAUSE: Duration = Duration::from_secs(2);

/// Pause after a failure, and before findings that could not be repaired are looked at again.
const RETRY_PAUSE: Duration = Duration::from_secs(30);

/// Most blocks of one repair: what differs in more is a matter for a re-index.
const MAX_REPAIRED_BLOCKS: usize = 1_000;

/// What one turn of the loop did.
#[derive(Debug)]
pub enum Audit {
    /// Everything that is final is looked at.
    UpToDate {
        /// Some of it is open: it is looked at again in its time.
        open: bool,
    },
    /// A stretch was looked at.
    Looked {
        /// What was seen.
        verdict: Box<Verdict>,
        /// What was recorded; nothing when a rewind came between, and the stretch is looked at again.
        recorded: Option<Recorded>,
    },
}

/// Where the loop is.
#[derive(Debug, Default)]
pub struct Pass {
    /// The block to go on from; nothing: from what is verified.
    next: Option<u64>,
    /// The newest block that was looked at.
    seen_to: Option<u64>,
    /// What was repaired in vain.
    cures: Cures,
}

/// Audits for as long as it is polled: until there is nothing to do, then again when there is. `repair` is given
/// blocks as the chain proves them, to put them in the place of what is stored, and tells whether that was done. Its
/// requests stand behind those of whoever ingests.
pub async fn watch<R, F>(auditor: &Auditor, repair: R)
where
    R: Fn(Vec<Block>) -> F,
    F: Future<Output = bool>,
{
    in_background(watch_on(auditor, repair)).await;
}

async fn watch_on<R, F>(auditor: &Auditor, repair: R)
where
    R: Fn(Vec<Block>) -> F,
    F: Future<Output = bool>,
{
    let mut pass = Pass::default();
    loop {
        let began = Instant::now();
        let pause = match auditor.turn(&mut pass, &repair).await {
            Ok(Audit::UpToDate { open: false }) => IDLE_PAUSE,
            Ok(Audit::UpToDate { open: true }) => RETRY_PAUSE,
            Ok(Audit::Looked { verdict, .. }) => {
                let blocks = u32::try_from(verdict.stretch.to - verdict.stretch.from + 1).unwrap_or(u32::MAX);
                (auditor.settings.block_pause * blocks).saturating_sub(began.elapsed())
            }
            Err(error) => {
                if error.fault() == Fault::Fatal {
                    warn!(network = auditor.network, %error, "the audit cannot go on; it is tried again later");
                } else {
                    tracing::debug!(network = auditor.network, %error, "an audit failed; it is tried again");
                }
                RETRY_PAUSE
            }
        };
        sleep(pause).await;
    }
}

impl Auditor {
    /// Looks at the next stretch of final blocks, records what was seen, and has repaired what differs. What stays
    /// open is left behind, and once all is seen it is looked at again, by itself.
    ///
    /// # Errors
    /// [`AuditError`]; nothing is recorded then.
    pub async fn turn<R, F>(&self, pass: &mut Pass, repair: &R) -> Result<Audit, AuditError>
    where
        R: Fn(Vec<Block>) -> F,
        F: Future<Output = bool>,
    {
        self.store.begin_verification(self.chain_id).await?;
        let mut standing = self.store.standing(self.chain_id).await?;
        self.show(standing.verified);
        let Some(finalized) = standing.finalized else { return Ok(Audit::UpToDate { open: false }) };
        let unverified = standing.verified.map_or(standing.start, |verified| verified.number + 1);
        let from = pass.next.unwrap_or(unverified).max(unverified);
        if from > finalized.number {
            pass.next = None;
            return Ok(Audit::UpToDate { open: from > unverified });
        }
        let stretch = Stretch {
            from,
            to: finalized.number.min(from + STRETCH_BLOCKS - 1),
            below: standing.verified.filter(|verified| verified.number + 1 == from).and_then(|verified| verified.hash),
            finalized: Some(finalized),
            verified_by: standing.verified.map(|verified| verified.method),
        };
        let mut verdict = self.verify(stretch).await?;
        if !verdict.findings.is_empty() {
            // What is open is known before anything is tried, and told when it is new.
            let lowered = lowered(&verdict, standing.verified);
            if self.record(&verdict, lowered, standing.rewinds).await?.is_none() {
                // A rewind came between: what was seen is not what is stored now.
                return Ok(Audit::Looked { verdict: Box::new(verdict), recorded: None });
            }
            standing.verified = lowered.or(standing.verified);
            let due: Vec<Finding> = pass.cures.due(&verdict.findings).into_iter().cloned().collect();
            if !due.is_empty() {
                let cured = self.cure(&due, &stretch, repair).await?;
                // A repair rewinds too.
                standing = self.store.standing(self.chain_id).await?;
                if cured {
                    verdict = self.verify(stretch).await?;
                    pass.cures.done(&due, &verdict.findings);
                } else {
                    pass.cures.failed(&due);
                }
            }
        }
        // A repair may have begun below the stretch.
        let stands = standing.verified.map_or(standing.start, |verified| verified.number + 1) == from;
        let verified = (verdict.findings.is_empty() && stands).then(|| Verified {
            number: stretch.to,
            hash: verdict.hash,
            method: standing.verified.map_or(verdict.method, |verified| verified.method.min(verdict.method)),
        });
        let recorded = self.record(&verdict, verified, standing.rewinds).await?;
        if recorded.is_some() {
            let seen_to = pass.seen_to.map_or(stretch.to, |seen_to| seen_to.max(stretch.to));
            pass.seen_to = Some(seen_to);
            // A stretch that is still open after it was looked at again: what is above it was seen.
            pass.next = Some(if verdict.findings.is_empty() { stretch.to } else { seen_to } + 1);
            self.show(verified.or(standing.verified));
        }
        Ok(Audit::Looked { verdict: Box::new(verdict), recorded })
    }

    /// Has these findings repaired; tells whether it was done. Blocks that are stored as the chain shows them are left
    /// alone, but where rows are to be derived again: nothing is undone to write the same.
    async fn cure<R, F>(&self, findings: &[Finding], stretch: &Stretch, repair: &R) -> Result<bool, AuditError>
    where
        R: Fn(Vec<Block>) -> F,
        F: Future<Output = bool>,
    {
        let mut wanted = cure::blocks_of(findings);
        for segment in findings.iter().filter(|finding| finding.kind == SEGMENT) {
            // It is replaced whole, which needs all its blocks that have logs. One more tells that they are too many.
            let ends = (segment.from, segment.to);
            let blocks = self.store.blocks_with_logs(self.chain_id, ends, MAX_REPAIRED_BLOCKS + 1).await?;
            wanted.extend(blocks.into_iter().map(|block| (block, true)));
        }
        if wanted.len() > MAX_REPAIRED_BLOCKS {
            return Ok(false);
        }
        let sealed = match self.chain.sealed(stretch.from, stretch.to).await {
            Err(error) if lacks_headers(&error) => return Ok(false),
            sealed => sealed?,
        };
        let held = self.store.held(self.chain_id, stretch.from, stretch.to).await?;
        if !self.is_ours(stretch, &sealed).await {
            return Ok(false);
        }
        let mut blocks = Vec::new();
        let mut settles = true;
        for (number, derive_again) in wanted {
            sleep(self.settings.request_pause).await;
            // A damaged segment reaches beyond the stretch, and so does what a hole in a counter made us look at.
            let beyond = if (stretch.from..=stretch.to).contains(&number) {
                vec![]
            } else {
                self.chain.sealed(number, number).await?
            };
            let Some(sealed) = sealed.iter().chain(&beyond).find(|sealed| sealed.header.number == number) else {
                continue;
            };
            // Nothing links it to the stretch.
            if !beyond.is_empty() && !self.is_settled(sealed).await {
                settles = false;
                continue;
            }
            // Fetched here, so that whoever writes waits for no endpoint.
            match self.chain.settled_block(sealed).await? {
                Some(block) if derive_again || !held.is(&block) => blocks.push(block),
                Some(_) => {}
                None => settles = false,
            }
        }
        Ok(!blocks.is_empty() && repair(blocks).await && settles)
    }

    /// Whether these headers are of the chain that is stored, and most endpoints tell of it: a header that hashes to its
    /// hash is a block, and not yet one of this chain.
    async fn is_ours(&self, stretch: &Stretch, sealed: &[Sealed]) -> bool {
        let Some(last) = sealed.last() else { return false };
        let below = sealed.first().map(|first| first.header.parent_hash);
        let fits = stretch.below.is_none_or(|hash| below == Some(hash));
        fits && self.is_settled(last).await
    }

    /// Whether most endpoints name this block at its height.
    async fn is_settled(&self, sealed: &Sealed) -> bool {
        let settled = self.chain.settle_hash(sealed.header.block()).await;
        if let Err(error) = &settled {
            warn!(network = self.network, %error, "nothing is repaired: endpoints are not at one about a final block");
        }
        settled.is_ok()
    }

    async fn record(
        &self,
        verdict: &Verdict,
        verified: Option<Verified>,
        rewinds: u64,
    ) -> Result<Option<Recorded>, AuditError> {
        let Stretch { from, to, .. } = verdict.stretch;
        let audited = Audited { from, to, findings: verdict.findings.clone(), verified, rewinds };
        let recorded = self.store.record(self.chain_id, &audited).await?;
        let Some(recorded) = recorded else { return Ok(None) };
        self.warn(&recorded.new);
        if recorded.repaired > 0 {
            info!(network = self.network, from, to, repaired = recorded.repaired, "what differed is repaired");
            counter!(names::AUDIT_REPAIRED, "network" => self.network.clone()).increment(recorded.repaired);
        }
        Ok(Some(recorded))
    }

    /// Tells what was found and not known before: each in a line, and counted by its kind.
    fn warn(&self, findings: &[Finding]) {
        for finding in findings {
            let Finding { kind, from, to, description, method, .. } = finding;
            warn!(network = self.network, kind, from, to, method = method.name(), "the audit found: {description}");
            counter!(names::AUDIT_FINDINGS, "network" => self.network.clone(), "kind" => *kind).increment(1);
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "blocks are far below 2^52")]
    fn show(&self, verified: Option<Verified>) {
        let number = verified.map_or(0.0, |verified| verified.number as f64);
        gauge!(names::VERIFIED_TO, "network" => self.network.clone()).set(number);
        for method in [Method::LogsAgain, Method::Bloom, Method::ReceiptsRoot] {
            let is_used = verified.is_some_and(|verified| verified.method == method);
            let labels = [("network", self.network.clone()), ("method", method.name().to_owned())];
            gauge!(names::VERIFICATION_METHOD, &labels).set(if is_used { 1.0 } else { 0.0 });
        }
    }
}

/// The end of what is verified, where something was found below the stretch in what was verified by a weaker method.
fn lowered(verdict: &Verdict, verified: Option<Verified>) -> Option<Verified> {
    let below = verdict.findings.iter().map(|finding| finding.to).filter(|block| *block < verdict.stretch.from);
    let (lowest, verified) = (below.min()?, verified?);
    let number = lowest.saturating_sub(1);
    (verified.number >= lowest).then_some(Verified { number, hash: None, ..verified })
}
