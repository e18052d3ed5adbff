//! What a repair may change, and what was tried in vain.
//!
//! A repair puts raw logs and headers in the place of those that are stored and derives again from them: it cures logs,
//! segments, times and rows. A hole in a counter, another hash and a registry's other word it does not touch. Each finding
//! is repaired once; where that changed nothing it stays open, and where it could not be done the next try has time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::verification::{Finding, Identity};

use super::stretch::SEGMENT;

/// Findings of which it is remembered that they were tried; beyond it nothing more is tried.
const MAX_TRIED: usize = 10_000;

/// Pause after a repair that could not be done, doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(20);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Whether a repair can cure it.
fn is_curable(finding: &Finding) -> bool {
    matches!(finding.kind, "LOG_MISSING" | "LOG_EXTRA" | "LOG_DIFFERENT" | SEGMENT | "TIME" | "ROW")
}

/// Whether the stored block itself may be right, and what derives from it is not.
fn is_beside_the_logs(finding: &Finding) -> bool {
    matches!(finding.kind, SEGMENT | "ROW")
}

/// How a try ended.
#[derive(Debug)]
enum Tried {
    /// It was done and changed nothing: never again.
    InVain,
    /// It could not be done; the next try, and the pause before it.
    Failed(Instant, Duration),
}

/// Repairs that did not cure.
#[derive(Debug, Default)]
pub(super) struct Cures {
    tried: HashMap<Identity, Tried>,
}

impl Cures {
    /// The findings of which a repair may be tried now. A block that is stored under another hash is not repaired, and must
    /// not keep the others from it (F15).
    pub(super) fn due<'a>(&self, findings: &'a [Finding]) -> Vec<&'a Finding> {
        let replaced: BTreeSet<u64> = findings
            .iter()
            .filter(|finding| finding.kind == "HEADER")
            .flat_map(|header| [header.from, header.to])
            .collect();
        let is_due = |finding: &&Finding| {
            let is_replaced = replaced.range(finding.from..=finding.to).next().is_some();
            is_curable(finding)
                && !is_replaced
                && match self.tried.get(&finding.identity()) {
                    None => self.tried.len() < MAX_TRIED,
                    Some(Tried::InVain) => false,
                    Some(Tried::Failed(again, _)) => *again <= Instant::now(),
                }
        };
        findings.iter().filter(is_due).collect()
    }

    /// Keeps that a repair of these was done: those that are still there are not cured by one.
    pub(super) fn done(&mut self, tried: &[Finding], left: &[Finding]) {
        for finding in tried {
            if left.iter().any(|left| left.is(finding)) {
                self.tried.insert(finding.identity(), Tried::InVain);
            } else {
                self.tried.remove(&finding.identity());
            }
        }
    }

    /// Keeps that a repair of these could not be done.
    pub(super) fn failed(&mut self, tried: &[Finding]) {
        for finding in tried {
            let pause = match self.tried.get(&finding.identity()) {
                Some(Tried::Failed(_, pause)) => (*pause * 2).min(LONGEST_PAUSE),
                _ => FIRST_PAUSE,
            };
            self.tried.insert(finding.identity(), Tried::Failed(Instant::now() + pause, pause));
        }
    }
}

/// The blocks of these findings, rising, each with whether it is to be derived again though its logs may be right.
/// A segment that cannot be read has more blocks than those that matter: it is looked up which.
pub(super) fn blocks_of(findings: &[Finding]) -> BTreeMap<u64, bool> {
    let mut blocks = BTreeMap::<u64, bool>::new();
    for finding in findings.iter().filter(|finding| finding.kind != SEGMENT) {
        for number in finding.from..=finding.to {
            *blocks.entry(number).or_default() |= is_beside_the_logs(finding);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::Cures;
    use crate::block::Method;
    use crate::store::verification::Finding;

    fn finding(kind: &'static str, block: u64) -> Finding {
        Finding {
            kind,
            from: block,
            to: block,
            subject: String::new(),
            description: "so it is".into(),
            method: Method::ReceiptsRoot,
        }
    }

    #[test]
    fn only_what_a_repair_can_change_is_repaired() {
        let findings = ["HEADER", "CALL", "AGENT_GAP", "FEEDBACK_GAP", "ROW", "LOG_MISSING", "SEGMENT", "TIME"];
        let findings: Vec<Finding> = (1..).zip(findings).map(|(block, kind)| finding(kind, block)).collect();
        let due: Vec<&str> = Cures::default().due(&findings).iter().map(|finding| finding.kind).collect();
        assert_eq!(due, ["ROW", "LOG_MISSING", "SEGMENT", "TIME"]);
    }

    #[test]
    fn f15_a_block_under_another_hash_keeps_no_other_block_from_its_repair() {
        let findings = [finding("HEADER", 3), finding("LOG_MISSING", 3), finding("LOG_MISSING", 4)];
        assert_eq!(Cures::default().due(&findings), [&findings[2]]);
    }

    #[test]
    fn a_repair_that_changed_nothing_is_not_repeated_and_one_that_failed_has_time() {
        let (mut cures, findings) = (Cures::default(), [finding("ROW", 3), finding("LOG_MISSING", 4)]);
        cures.done(&findings, &findings[..1]);
        assert_eq!(cures.due(&findings), [&findings[1]]);
        cures.failed(&findings[1..]);
        assert!(cures.due(&findings).is_empty());
    }

    #[test]
    fn a_repair_that_changed_nothing_is_not_repeated_because_the_words_are_others() {
        let (mut cures, mut finding) = (Cures::default(), finding("LOG_MISSING", 4));
        let before = [finding.clone()];
        finding.description = "so says another endpoint".into();
        cures.done(&before, std::slice::from_ref(&finding));
        assert!(cures.due(&[finding]).is_empty());
    }
}
