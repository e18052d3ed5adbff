//! What several endpoints told of the same blocks, held side by side. Pure, but for the endpoints that it names.
//!
//! Two logs are the same when block, place, address, topics, data and transaction are; an endpoint that hides a
//! transaction (F8) does not disagree about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::BloomInput;

use super::endpoint::Endpoint;
use crate::block::{Header, Log};
use crate::dispute::Dispute;

/// What one endpoint told: the blocks with logs.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) blocks: BTreeMap<u64, (Header, Vec<Log>)>,
}

impl Told {
    /// The logs of one block.
    pub(super) fn of(&self, number: u64) -> Vec<Log> {
        self.blocks.get(&number).map(|(_, logs)| logs.clone()).unwrap_or_default()
    }
}

/// Whether somebody told something else of that block than the first one.
pub(super) fn is_disputed(answers: &[Told], number: u64) -> bool {
    let logs = |told: &Told| told.blocks.get(&number).map_or(&[][..], |(_, logs)| logs).to_vec();
    let Some((first, others)) = answers.split_first() else { return false };
    let first = logs(first);
    others.iter().any(|other| !same(&first, &logs(other)))
}

/// The header of a block that somebody told logs of. Two blocks at one height are no dispute about logs but a chain that
/// moves.
pub(super) fn header(answers: &[Told], number: u64) -> Result<Header, String> {
    let mut headers = answers.iter().filter_map(|told| told.blocks.get(&number)).map(|(header, _)| header);
    let first = headers.next().ok_or_else(|| format!("nobody told logs of block {number}"))?;
    match headers.find(|other| other.hash != first.hash) {
        Some(other) => Err(format!("block {number} is {} here and {} there", first.hash, other.hash)),
        None => Ok(first.clone()),
    }
}

/// Whether the logs are the same.
pub(super) fn same(one: &[Log], other: &[Log]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_log(one, other))
}

fn same_log(one: &Log, other: &Log) -> bool {
    let hidden = one.transaction_hash.is_zero() || other.transaction_hash.is_zero();
    (one.block, one.log_index, one.address) == (other.block, other.log_index, other.address)
        && (&one.topics, &one.data) == (&other.topics, &other.data)
        && (hidden || one.transaction_hash == other.transaction_hash)
}

/// The only telling whose logs the header's bloom can hold. An empty bloom settles nothing (F4).
pub(super) fn by_bloom(header: &Header, told: &[(Arc<Endpoint>, Vec<Log>)]) -> Option<Vec<Log>> {
    let bloom = header.logs_bloom.as_deref().filter(|bloom| !bloom.is_zero())?;
    let held = |bytes: &[u8]| bloom.contains_input(BloomInput::Raw(bytes));
    let holds = |log: &Log| held(log.address.as_slice()) && log.topics.iter().all(|topic| held(topic.as_slice()));
    let possible: Vec<&Vec<Log>> = told.iter().map(|(_, logs)| logs).filter(|logs| logs.iter().all(holds)).collect();
    let first = *possible.first()?;
    // Where somebody left logs out a bloom proves nothing: it holds them, and it may hold them by chance.
    let forged = possible.len() < told.len() && possible.iter().all(|logs| same(first, logs));
    (forged && !first.is_empty()).then(|| first.clone())
}

/// What more than half of them told, at least two.
pub(super) fn by_majority(header: &Header, told: &[(Arc<Endpoint>, Vec<Log>)]) -> Option<Vec<Log>> {
    let votes = |logs: &[Log]| told.iter().filter(|(_, other)| same(logs, other)).count();
    let (_, logs) = told.iter().find(|(_, logs)| votes(logs) >= 2 && votes(logs) * 2 > told.len())?;
    debug_assert!(logs.iter().all(|log| log.block == header.block()), "logs are held against their block before");
    Some(logs.clone())
}

/// The first difference between what was told of a block, in words.
pub(super) fn difference(number: u64, told: &[(Arc<Endpoint>, Vec<Log>)]) -> String {
    let Some(((one, first), others)) = told.split_first() else { return String::new() };
    let Some((other, second)) = others.iter().find(|(_, logs)| !same(first, logs)) else { return String::new() };
    let missing = |these: &[Log], those: &[Log]| {
        let missing = these.iter().find(|this| !those.iter().any(|that| that.log_index == this.log_index));
        missing.map(|log| log.log_index)
    };
    let (one, other) = (&one.label, &other.label);
    if let Some(index) = missing(first, second) {
        return format!("log {index} of block {number} is told by {one}, not by {other}");
    }
    if let Some(index) = missing(second, first) {
        return format!("log {index} of block {number} is told by {other}, not by {one}");
    }
    let differing = first.iter().zip(second).find(|(one, other)| !same_log(one, other));
    let index = differing.map(|(log, _)| log.log_index).unwrap_or_default();
    format!("log {index} of block {number} is told differently by {one} and {other}")
}

/// Puts a dispute behind others; one about the same between the same parties continues the last.
pub(super) fn merge(disputes: &mut Vec<Dispute>, next: Dispute) {
    let parties = |dispute: &Dispute| dispute.told.iter().map(|(endpoint, _)| endpoint.clone()).collect::<Vec<_>>();
    if let Some(last) = disputes.last_mut()
        && last.settlement == next.settlement
        && last.wrong == next.wrong
        && parties(last) == parties(&next)
    {
        last.to = next.to;
        for ((_, sum), (_, logs)) in last.told.iter_mut().zip(next.told) {
            *sum += logs;
        }
        return;
    }
    disputes.push(next);
}
