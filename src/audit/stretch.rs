//! One stretch of blocks: what is stored of it against what the chain shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use alloy::primitives::{B256, keccak256};
use metrics::counter;
use tokio::time::sleep;

use crate::block::{BlockRef, Log, Method};
use crate::chain::{ChainError, Doubt, Kind, Sealed, Shown};
use crate::metrics as names;
use crate::store::verification::{Finding, Held};

use super::compare::compare;
use super::{AuditError, Auditor};

/// Blocks of a stretch: one state of the database, and what is lost when an audit is interrupted.
pub const STRETCH_BLOCKS: u64 = 500;

/// Findings of one stretch that are kept; more differ in the same way.
const MAX_FINDINGS: usize = 1_000;

/// The kind of a finding about raw logs that cannot be read.
pub(super) const SEGMENT: &str = "SEGMENT";

/// What is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The first block.
    pub from: u64,
    /// The last block, at least the first.
    pub to: u64,
    /// The hash of the block below, where it was verified.
    pub below: Option<B256>,
    /// A block that we hold and that is final: what lies above may still change.
    pub finalized: Option<BlockRef>,
    /// The weakest method by which all below was verified; nothing where it was not.
    pub verified_by: Option<Method>,
}

/// What an audit of a stretch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The stretch.
    pub stretch: Stretch,
    /// The hash of its last block, where headers are served.
    pub hash: Option<B256>,
    /// The weakest method used.
    pub method: Method,
    /// What does not agree with the chain.
    pub findings: Vec<Finding>,
    /// What could not be told, a sentence each.
    pub untold: Vec<String>,
    /// Blocks that were held against their receipts root.
    pub proven_blocks: u64,
}

/// An audit under way.
pub(super) struct Case {
    pub(super) findings: Vec<Finding>,
    untold: Vec<String>,
    pub(super) method: Method,
    pub(super) proven_blocks: u64,
    requests: u64,
    /// By which method the logs of a block were looked at; those that were not are not there.
    looks: BTreeMap<u64, Method>,
    /// By which method hashes were.
    hashes_by: Option<Method>,
    /// Blocks whose headers are proven.
    proven: BTreeSet<u64>,
    /// What was asked of registries and not answered: how the subjects of findings about it begin.
    pub(super) unanswered: Vec<String>,
}

impl Case {
    pub(super) fn new() -> Self {
        Self {
            findings: vec![],
            untold: vec![],
            method: Method::ReceiptsRoot,
            proven_blocks: 0,
            requests: 0,
            looks: BTreeMap::new(),
            hashes_by: None,
            proven: BTreeSet::new(),
            unanswered: vec![],
        }
    }

    /// Keeps that the logs of a block were looked at; without proof it counts where every endpoint told.
    fn looked(&mut self, block: u64, method: Method, is_whole: bool) {
        if method > Method::LogsAgain || is_whole {
            let best = self.looks.entry(block).or_insert(method);
            *best = method.max(*best);
        }
    }

    /// Keeps open what was found before and was not looked at now by a way at least as good: it holds back what is
    /// verified, and is no repair.
    fn keep_open(&mut self, open: &[Finding]) {
        for before in open {
            let is_open = match before.kind {
                "LOG_MISSING" | "LOG_EXTRA" | "LOG_DIFFERENT" => self.looks.get(&before.to) < Some(&before.method),
                "HEADER" => self.hashes_by < Some(before.method),
                "TIME" => !self.proven.contains(&before.to),
                "CALL" => self.unanswered.iter().any(|words| before.subject.starts_with(words)),
                // The others are asked of the tables alone.
                _ => false,
            };
            if is_open {
                self.add(before.clone());
            }
        }
    }

    /// Keeps a sentence about what could not be told, once.
    pub(super) fn untold(&mut self, sentence: String) {
        if !self.untold.contains(&sentence) {
            self.untold.push(sentence);
        }
    }

    fn weaken(&mut self, method: Method) {
        self.method = self.method.min(method);
    }

    /// Keeps a finding, once: in the words of the best method.
    pub(super) fn add(&mut self, finding: Finding) {
        match self.findings.iter().position(|known| known.is(&finding)) {
            Some(place) if self.findings[place].method < finding.method => self.findings[place] = finding,
            None if self.findings.len() < MAX_FINDINGS => self.findings.push(finding),
            _ => {}
        }
    }

    /// Keeps that something does not agree; `subject` tells it from others of that kind and last block.
    pub(super) fn find(
        &mut self,
        kind: &'static str,
        (from, to): (u64, u64),
        subject: String,
        description: String,
        method: Method,
    ) {
        self.add(Finding { kind, from, to, subject, description, method });
    }
}

impl Auditor {
    /// Holds what is stored of a stretch against the chain. Nothing is changed.
    ///
    /// # Errors
    /// [`AuditError`] when the chain or the database does not answer.
    pub async fn verify(&self, stretch: Stretch) -> Result<Verdict, AuditError> {
        let Stretch { from, to, .. } = stretch;
        let held = self.store.held(self.chain_id, from, to).await?;
        let mut case = Case::new();
        self.pause(&mut case).await;
        let hash = match self.chain.sealed(from, to).await {
            Ok(sealed) => {
                self.by_headers(&mut case, &stretch, &held, &sealed).await?;
                sealed.last().map(|last| last.header.hash)
            }
            Err(error) if lacks_headers(&error) => {
                case.untold(format!("headers of blocks {from} to {to} are not served ({error})"));
                self.by_logs(&mut case, &stretch, &held).await?;
                None
            }
            Err(error) => return Err(error.into()),
        };
        for (first, last) in &held.damaged {
            let words = format!(
                "raw logs are stored and cannot be read; what is not repaired by itself, `meikan reindex --source rpc \
                 --from-block {first}` fetches again"
            );
            case.find(SEGMENT, (*first, *last), String::new(), words, case.method);
        }
        for misfit in &held.misfits {
            let words = format!("{}: {} (log {})", misfit.table, misfit.reason, misfit.log_index);
            case.find("ROW", (misfit.block, misfit.block), misfit.subject(), words, case.method);
        }
        self.take_census(&mut case, &stretch, &held.gaps).await?;
        self.take_samples(&mut case, &stretch, &held.open).await?;
        case.keep_open(&held.open);
        counter!(names::AUDITED_BLOCKS, "network" => self.network.clone(), "method" => case.method.name())
            .increment(to - from + 1);
        let Case { findings, untold, method, proven_blocks, .. } = case;
        Ok(Verdict { stretch, hash, method, findings, untold, proven_blocks })
    }

    /// The pause that a request is worth.
    pub(super) async fn pause(&self, case: &mut Case) {
        case.requests += 1;
        if case.requests > 1 && !self.settings.request_pause.is_zero() {
            sleep(self.settings.request_pause).await;
        }
    }

    /// Headers are there: hashes and links, blooms, and receipts where there is something to compare.
    pub(super) async fn by_headers(
        &self,
        case: &mut Case,
        stretch: &Stretch,
        held: &Held,
        sealed: &[Sealed],
    ) -> Result<(), AuditError> {
        let all_proven = sealed.iter().all(|sealed| sealed.proven);
        check_hashes(case, stretch, held, sealed);
        check_times(case, held, sealed);
        if !all_proven {
            self.tell_unproven(case, sealed);
            self.by_logs(case, stretch, held).await?;
        }
        for sealed in sealed {
            let number = sealed.header.number;
            let logs = held.logs.get(&number).map_or(&[][..], Vec::as_slice);
            match self.chain.doubt(sealed, logs) {
                Some(doubt) => self.look_closer(case, sealed, held, Some(doubt)).await?,
                // Where the contract is not in the bloom, that nothing is stored is right.
                None if logs.is_empty() && sealed.proven => case.looked(number, Method::ReceiptsRoot, true),
                None if logs.is_empty() => {}
                None if self.is_chosen(number) || is_open(held, number) => {
                    self.look_closer(case, sealed, held, None).await?
                }
                None => {
                    case.weaken(Method::Bloom);
                    if sealed.proven {
                        case.looked(number, Method::Bloom, true);
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether a block with logs is among those that are held against their receipts: the same ones for the same seed.
    fn is_chosen(&self, number: u64) -> bool {
        let hash = keccak256([self.settings.seed.to_be_bytes(), number.to_be_bytes()].concat());
        u16::from_be_bytes([hash[0], hash[1]]) % 100 < u16::from(self.settings.receipts_percent)
    }

    /// One block by its receipts, or by what every endpoint tells of it.
    async fn look_closer(
        &self,
        case: &mut Case,
        sealed: &Sealed,
        held: &Held,
        doubt: Option<Doubt>,
    ) -> Result<(), AuditError> {
        self.pause(case).await;
        let number = sealed.header.number;
        let shown = self.chain.shown(sealed).await?;
        let method = shown.iter().map(|shown| shown.method).min().unwrap_or(Method::LogsAgain);
        case.weaken(method);
        case.looked(number, method, self.is_whole(&shown));
        let findings = compare(std::iter::once(number), &held.logs, &shown);
        if method == Method::ReceiptsRoot {
            case.proven_blocks += 1;
        } else if doubt.is_some() && findings.is_empty() {
            // A bloom may be wrong by chance: without receipts nobody can tell, and that must not be a cry every time.
            case.untold(format!(
                "blooms show events that no endpoint returns, and no receipts settle it (first in block {number})"
            ));
        }
        findings.into_iter().for_each(|finding| case.add(finding));
        Ok(())
    }

    /// The logs once more, of every endpoint.
    async fn by_logs(&self, case: &mut Case, stretch: &Stretch, held: &Held) -> Result<(), AuditError> {
        self.pause(case).await;
        case.weaken(Method::LogsAgain);
        let shown = self.chain.logs_again(stretch.from, stretch.to).await?;
        if let [only] = &shown[..] {
            case.untold(format!("only {} tells of logs without proof; add an endpoint of another provider", only.by));
        }
        let is_whole = self.is_whole(&shown);
        (stretch.from..=stretch.to).for_each(|block| case.looked(block, Method::LogsAgain, is_whole));
        compare(stretch.from..=stretch.to, &held.logs, &shown).into_iter().for_each(|finding| case.add(finding));
        Ok(())
    }

    /// Whether every endpoint is among those that told.
    fn is_whole(&self, shown: &[Shown]) -> bool {
        let told: BTreeSet<&str> = shown.iter().map(|shown| shown.by.as_str()).collect();
        told.len() >= self.chain.voices()
    }

    /// Says once that headers do not hash to their hashes here.
    fn tell_unproven(&self, case: &mut Case, sealed: &[Sealed]) {
        let Some(first) = sealed.iter().find(|sealed| !sealed.proven) else { return };
        let number = first.header.number;
        case.untold(
            "headers do not hash to their hashes, or lack fields, so blooms and receipts roots prove nothing".into(),
        );
        if !self.unproven_told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                network = self.network,
                block = number,
                "a header does not hash to its hash, or lacks fields for it; where that is so, logs are only asked again"
            );
        }
    }
}

/// Whether something about the block's logs is open.
fn is_open(held: &Held, block: u64) -> bool {
    held.open.iter().any(|finding| finding.kind.starts_with("LOG_") && (finding.from..=finding.to).contains(&block))
}

/// Whether the headers of old blocks cannot be had, rather than not now.
pub(super) fn lacks_headers(error: &ChainError) -> bool {
    match error {
        ChainError::Gone { .. } | ChainError::TooLarge { .. } => true,
        ChainError::Failed { failure, .. } => matches!(failure.kind, Kind::Permanent | Kind::Unsupported),
        _ => false,
    }
}

/// Every hash that we hold must be the chain's, and the stretch must stand on what was verified below it.
fn check_hashes(case: &mut Case, stretch: &Stretch, held: &Held, sealed: &[Sealed]) {
    let method = if sealed.iter().all(|sealed| sealed.proven) { Method::Bloom } else { Method::LogsAgain };
    case.hashes_by = Some(method);
    let hashes: BTreeMap<u64, B256> = sealed.iter().map(|sealed| (sealed.header.number, sealed.header.hash)).collect();
    if let (Some(first), Some(below)) = (sealed.first(), stretch.below)
        && first.header.parent_hash != below
        && let Some(number) = stretch.from.checked_sub(1)
    {
        let words = format!("it was verified as {below}, the chain now shows {}", first.header.parent_hash);
        case.find("HEADER", (number, number), String::new(), words, method);
    }
    let known = held.hashes.iter().map(|(number, hash)| (*number, *hash));
    let known = known.chain(stretch.finalized.map(|finalized| (finalized.number, finalized.hash)));
    let logs = held.logs.values().flatten().map(|log: &Log| (log.block.number, log.block.hash));
    for (number, ours) in known.chain(logs) {
        let Some(theirs) = hashes.get(&number).filter(|theirs| **theirs != ours) else { continue };
        let words = format!("the block is stored as {ours}, the chain shows {theirs}");
        case.find("HEADER", (number, number), String::new(), words, method);
    }
}

/// The time that a block is stored with, and its rows with it, must be its header's, where that is proven.
fn check_times(case: &mut Case, held: &Held, sealed: &[Sealed]) {
    for header in sealed.iter().filter(|sealed| sealed.proven).map(|sealed| &sealed.header) {
        let (number, theirs) = (header.number, header.timestamp);
        case.proven.insert(number);
        // Of a block without logs nothing has the time.
        let is_ours = held.hashes.get(&number) == Some(&header.hash) && held.logs.contains_key(&number);
        if let Some(ours) = held.times.get(&number).filter(|ours| is_ours && **ours != theirs) {
            let words = format!("the block is stored with the time {ours}, its header says {theirs}");
            case.find("TIME", (number, number), String::new(), words, Method::Bloom);
        }
    }
}
