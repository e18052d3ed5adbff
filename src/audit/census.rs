//! Holes in the counters that registries keep dense, and what they prove.
//!
//! A hole is proof that something is missing only where nothing better is at hand: where headers and blooms prove that
//! nothing is, the contract does not keep the rule. Headers may be served again that were not when the blocks below were
//! verified, so a hole that reaches down there has them looked at anew.

use crate::block::{BlockRef, Method};
use crate::store::verification::{Counter, Finding, Gap};

use super::stretch::{Case, STRETCH_BLOCKS, Stretch, lacks_headers};
use super::{AuditError, Auditor};

/// Most blocks below a stretch that are looked at anew for the sake of holes that reach there: as many requests as it
/// takes to audit ten stretches.
const MAX_BLOCKS_BACK: u64 = 10 * STRETCH_BLOCKS;

impl Auditor {
    /// Says what the holes that end in a stretch prove.
    pub(super) async fn take_census(&self, case: &mut Case, stretch: &Stretch, gaps: &[Gap]) -> Result<(), AuditError> {
        let lowest = gaps.iter().filter_map(|gap| gap.after).min();
        let proven_from = match lowest.filter(|lowest| *lowest < stretch.from) {
            Some(lowest) if case.method > Method::LogsAgain => self.prove_below(case, stretch, lowest).await?,
            _ if case.method > Method::LogsAgain => stretch.from,
            _ => u64::MAX,
        };
        for gap in gaps {
            tell(case, gap, proven_from);
        }
        Ok(())
    }

    /// The lowest block from which on everything below the stretch is proven by better than logs, as far down as
    /// `lowest`. What was verified by logs alone is looked at anew; what differs there is found.
    async fn prove_below(&self, case: &mut Case, stretch: &Stretch, lowest: u64) -> Result<u64, AuditError> {
        if stretch.verified_by.is_none_or(|by| by > Method::LogsAgain) {
            return Ok(lowest);
        }
        let floor = lowest.max(stretch.from.saturating_sub(MAX_BLOCKS_BACK));
        let mut proven_from = stretch.from;
        // Each part must end in the block that the part above stands on.
        let mut parent = None;
        while proven_from > floor {
            let (from, to) = (floor.max(proven_from.saturating_sub(STRETCH_BLOCKS)), proven_from - 1);
            self.pause(case).await;
            let sealed = match self.chain.sealed(from, to + u64::from(parent.is_none())).await {
                Err(error) if lacks_headers(&error) => break,
                sealed => sealed?,
            };
            let hash = parent.or_else(|| sealed.last().map(|above| above.header.parent_hash));
            let sealed = &sealed[..sealed.len() - usize::from(parent.is_none())];
            let finalized = hash.map(|hash| BlockRef { number: to, hash });
            let part = Stretch { from, to, below: None, finalized, verified_by: None };
            let held = self.store.held(self.chain_id, from, to).await?;
            let mut look = Case::new();
            self.by_headers(&mut look, &part, &held, sealed).await?;
            let is_proven = look.method > Method::LogsAgain && look.findings.is_empty();
            case.proven_blocks += look.proven_blocks;
            look.findings.into_iter().for_each(|finding| case.add(finding));
            if !is_proven {
                break;
            }
            parent = sealed.first().map(|first| first.header.parent_hash);
            proven_from = from;
        }
        Ok(proven_from)
    }
}

/// Says what one hole proves, where everything from a block on is proven by better than logs.
fn tell(case: &mut Case, gap: &Gap, proven_from: u64) {
    let (kind, what) = match &gap.counter {
        Counter::Agents => ("AGENT_GAP", "agent ids".to_owned()),
        Counter::Feedback { agent, client } => {
            ("FEEDBACK_GAP", format!("feedback indexes of agent {agent} and client {client}"))
        }
    };
    let Some(after) = gap.after else {
        // Nothing tells that it began where counters begin: its history may reach below the start block.
        case.untold(format!(
            "{what} begin at {} in block {}: what is below them is older than what is indexed, or the contract \
             counts otherwise",
            gap.number, gap.before
        ));
        return;
    };
    let (first, last) = (after.min(gap.before), gap.before);
    // What is missing there was found already, log by log.
    let is_explained = |found: &Finding| found.kind == "LOG_MISSING" && (first..=last).contains(&found.from);
    if case.findings.iter().any(is_explained) {
        return;
    }
    let words = format!("{what} have a hole below {}, between block {after} and block {}", gap.number, gap.before);
    if first >= proven_from {
        case.untold(format!("{words}, though blooms show that nothing is missing: the contract does not keep count"));
    } else {
        case.find(kind, (first, last), gap.subject(), words, Method::LogsAgain);
    }
}
