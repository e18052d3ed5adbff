//! What differs between the logs that are stored of a block and those that the chain shows. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::block::{Log, Method};
use crate::chain::Shown;
use crate::store::verification::Finding;

/// Places of logs that one finding lists; the rest is counted.
const MAX_LISTED: usize = 8;

/// What each place of a block holds, by everybody who was asked.
type Places<'a> = BTreeMap<u32, Vec<&'a Log>>;

/// What differs in each of these blocks. A log that only some endpoints show is shown, and one that is stored and shown by
/// any of them is right: an endpoint that leaves out logs is no reason to doubt what is stored.
/// What is missing of a block is one finding, and what is there in excess another, whichever logs an endpoint shows of them.
pub(super) fn compare(
    blocks: impl Iterator<Item = u64>,
    stored: &BTreeMap<u64, Vec<Log>>,
    shown: &[Shown],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for block in blocks {
        let ours = stored.get(&block).map_or(&[][..], Vec::as_slice);
        let mut theirs = Places::new();
        for log in shown.iter().filter_map(|shown| shown.logs.get(&block)).flatten() {
            theirs.entry(log.log_index).or_default().push(log);
        }
        let missing: BTreeSet<u32> =
            theirs.keys().copied().filter(|place| ours.iter().all(|log| log.log_index != *place)).collect();
        let extra = ours.iter().filter(|log| !theirs.contains_key(&log.log_index)).map(|log| log.log_index).collect();
        let tell = |kind, places: BTreeSet<u32>, words: &str| {
            (!places.is_empty())
                .then(|| finding(kind, block, String::new(), &format!("{} {words}", listed(&places)), shown))
        };
        findings.extend(tell("LOG_MISSING", missing, "on the chain and not stored"));
        findings.extend(tell("LOG_EXTRA", extra, "stored and not on the chain"));
        for log in ours {
            let Some(others) = theirs.get(&log.log_index) else { continue };
            if let Some(what) = others.iter().map(|other| differing(log, other)).min_by_key(Vec::len)
                && !what.is_empty()
            {
                let words =
                    format!("log {} is stored with another {} than on the chain", log.log_index, what.join(", "));
                findings.push(finding("LOG_DIFFERENT", block, format!("log {}", log.log_index), &words, shown));
            }
        }
    }
    findings
}

fn finding(kind: &'static str, block: u64, subject: String, words: &str, shown: &[Shown]) -> Finding {
    let method = shown.iter().map(|shown| shown.method).min().unwrap_or(Method::LogsAgain);
    let by: Vec<&str> = shown.iter().map(|shown| shown.by.as_str()).collect();
    let description = format!("{words}, by {}", by.join(" and "));
    Finding { kind, from: block, to: block, subject, description, method }
}

/// The fields in which two logs at one place differ. What an endpoint hides of the transaction is no difference (F8), and
/// another block is told once for the whole block.
fn differing(ours: &Log, theirs: &Log) -> Vec<&'static str> {
    let hidden = ours.transaction_hash.is_zero() || theirs.transaction_hash.is_zero();
    let fields = [
        (ours.address != theirs.address, "address"),
        (ours.topics != theirs.topics, "topic"),
        (ours.data != theirs.data, "data"),
        (!hidden && ours.transaction_hash != theirs.transaction_hash, "transaction hash"),
        (!hidden && ours.transaction_index != theirs.transaction_index, "transaction index"),
    ];
    fields.into_iter().filter_map(|(differs, name)| differs.then_some(name)).collect()
}

/// `logs 0, 1 and 5 more are` or `log 3 is`.
fn listed(places: &BTreeSet<u32>) -> String {
    let shown: Vec<String> = places.iter().take(MAX_LISTED).map(u32::to_string).collect();
    match (places.len(), places.len().saturating_sub(MAX_LISTED)) {
        (1, _) => format!("log {} is", shown[0]),
        (_, 0) => format!("logs {} are", shown.join(", ")),
        (_, more) => format!("logs {} and {more} more are", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use alloy::primitives::{Address, B256};

    use super::compare;
    use crate::block::{BlockRef, Log, Method};
    use crate::chain::Shown;

    fn log(log_index: u32) -> Log {
        Log {
            address: Address::repeat_byte(1),
            topics: vec![B256::repeat_byte(2)],
            data: vec![3].into(),
            block: BlockRef { number: 7, hash: B256::repeat_byte(7) },
            transaction_hash: B256::repeat_byte(4),
            transaction_index: 0,
            log_index,
        }
    }

    fn shown(logs: Vec<Log>) -> Shown {
        Shown { logs: BTreeMap::from([(7, logs)]), method: Method::ReceiptsRoot, by: "somebody".into() }
    }

    fn kinds(ours: Vec<Log>, shown: &[Shown]) -> Vec<&'static str> {
        let stored = BTreeMap::from([(7, ours)]);
        compare([7].into_iter(), &stored, shown).into_iter().map(|finding| finding.kind).collect()
    }

    #[test]
    fn what_is_equal_is_no_finding() {
        assert!(kinds(vec![log(0), log(3)], &[shown(vec![log(0), log(3)])]).is_empty());
        assert!(kinds(vec![], &[shown(vec![])]).is_empty());
    }

    #[test]
    fn every_way_to_differ_is_told() {
        assert_eq!(kinds(vec![log(0)], &[shown(vec![log(0), log(1)])]), ["LOG_MISSING"]);
        assert_eq!(kinds(vec![log(0), log(1)], &[shown(vec![log(1)])]), ["LOG_EXTRA"]);
        let others = [
            Log { address: Address::ZERO, ..log(0) },
            Log { topics: vec![], ..log(0) },
            Log { data: vec![].into(), ..log(0) },
            Log { transaction_hash: B256::repeat_byte(9), ..log(0) },
            Log { transaction_index: 9, ..log(0) },
        ];
        for other in others {
            assert_eq!(kinds(vec![other], &[shown(vec![log(0)])]), ["LOG_DIFFERENT"]);
        }
    }

    #[test]
    fn f8_a_hidden_transaction_is_no_difference() {
        let hidden = Log { transaction_hash: B256::ZERO, transaction_index: 0, ..log(0) };
        let other = Log { transaction_index: 5, ..log(0) };
        assert!(kinds(vec![hidden.clone()], &[shown(vec![other.clone()])]).is_empty());
        assert!(kinds(vec![other], &[shown(vec![hidden])]).is_empty());
    }

    #[test]
    fn f12_one_endpoint_that_shows_what_is_stored_is_enough() {
        let (full, cut) = (shown(vec![log(0), log(1)]), shown(vec![log(0)]));
        assert!(kinds(vec![log(0), log(1)], &[cut.clone(), full.clone()]).is_empty());
        assert_eq!(kinds(vec![log(0)], &[cut, full]), ["LOG_MISSING"]);
    }
}
