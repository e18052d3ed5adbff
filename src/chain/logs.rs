//! The logs of watched contracts from one endpoint, by every way there is to ask for them.
//!
//! By block hash near the head; where that is refused, by a range of one block together with the block's header (F37);
//! where even that is too large, by receipts (F36). Below, by ranges that adapt. Whatever the way, every log is held
//! against the header of its block before it leaves this file.

use std::collections::BTreeMap;

use super::Watched;
use super::check;
use super::classify::{Kind, RangeHint};
use super::endpoint::{Call, Endpoint};
use super::error::Failure;
use super::wire::{WireHeader, WireLog, WireReceipt, header_by_number, logs_by_hash, logs_by_range, receipts};
use crate::block::{Header, Log};

/// Most times one range is made smaller before the request counts as failed: enough to halve any number down to 1.
const MAX_SHRINKS: usize = 64;

/// Most times in a row that no answer within the deadline counts as too large a range (F35), not as an outage.
const MAX_TIMEOUTS: usize = 3;

/// Numbers of logs at which endpoints are known to cut off without a word (F6).
const SUSPICIOUS_COUNTS: [usize; 7] = [100, 256, 500, 1_000, 2_000, 5_000, 10_000];

/// The logs of a range, of blocks that have some.
#[derive(Debug)]
pub(super) struct Covered {
    /// The header of the last block covered.
    pub(super) end: Header,
    /// The blocks with logs, rising.
    pub(super) blocks: Vec<(Header, Vec<Log>)>,
}

/// Reads logs from one endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogReader<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) watched: &'a Watched,
}

impl LogReader<'_> {
    /// The logs of several blocks, in their order: by hash in one batch.
    pub(super) async fn of_blocks(&self, headers: &[Header]) -> Result<Vec<Vec<Log>>, Failure> {
        let mut all = Vec::with_capacity(headers.len());
        if self.endpoint.hash_queries.holds() {
            for header in headers {
                all.push(self.of_block(header).await?);
            }
            return Ok(all);
        }
        let calls: Vec<_> = headers.iter().map(|header| logs_by_hash(&self.watched.addresses, header.hash)).collect();
        let answers = self.endpoint.batch(&calls).await?;
        for ((header, call), answer) in headers.iter().zip(&calls).zip(answers) {
            all.push(match answer {
                Ok(raw) => {
                    self.endpoint.hash_queries.answered();
                    self.of_header(header, call, self.endpoint.read(call, &raw)?)?
                }
                Err(failure) if refuses_the_way(failure.kind) => self.of_block(header).await?,
                Err(failure) => return Err(failure),
            });
        }
        Ok(all)
    }

    /// The logs of one block.
    pub(super) async fn of_block(&self, header: &Header) -> Result<Vec<Log>, Failure> {
        if !self.endpoint.hash_queries.holds() {
            match self.by_hash(header).await {
                Ok(logs) => return Ok(logs),
                Err(failure) if refuses_the_way(failure.kind) => {}
                Err(failure) => return Err(failure),
            }
        }
        match self.range_once(header.number, header.number).await {
            Ok(covered) if covered.end.hash == header.hash => {
                // The block itself is not too large, so it is the way of asking that is refused.
                self.endpoint.hash_queries.refused();
                Ok(covered.blocks.into_iter().flat_map(|(_, logs)| logs).collect())
            }
            Ok(covered) => Err(self.endpoint.failure(
                Kind::UnknownBlock,
                &header_by_number(header.number),
                &format!("the endpoint has {} where {} is wanted", covered.end.hash, header.hash),
            )),
            Err(failure) if refuses_the_way(failure.kind) => self.out_of_receipts(header).await,
            Err(failure) => Err(failure),
        }
    }

    /// The logs of one block by its hash, without a way out.
    pub(super) async fn by_hash(&self, header: &Header) -> Result<Vec<Log>, Failure> {
        let call = logs_by_hash(&self.watched.addresses, header.hash);
        let wire = self.endpoint.request(&call).await?;
        self.endpoint.hash_queries.answered();
        self.of_header(header, &call, wire)
    }

    /// The logs of one block out of its receipts.
    pub(super) async fn out_of_receipts(&self, header: &Header) -> Result<Vec<Log>, Failure> {
        let call = receipts(header.hash);
        let wire = self.endpoint.request::<Option<Vec<WireReceipt>>>(&call).await?;
        let wire = wire.ok_or_else(|| self.endpoint.failure(Kind::UnknownBlock, &call, "there are no receipts"))?;
        self.of_header(header, &call, wire.into_iter().flat_map(|receipt| receipt.logs).collect())
    }

    /// The logs from `from` on, as far towards `to` as the endpoint goes in one answer.
    pub(super) async fn range(&self, from: u64, to: u64) -> Result<Covered, Failure> {
        self.endpoint.confirm(to).await?;
        let mut timeouts = 0;
        for _ in 0..MAX_SHRINKS {
            let end = self.endpoint.span().end(from, to);
            let failure = match self.range_once(from, end).await {
                Ok(covered) => {
                    let logs = covered.blocks.iter().flat_map(|(_, logs)| logs);
                    let bytes = logs.map(Log::json_bytes).sum();
                    self.endpoint.span().answered(from, end, bytes);
                    return Ok(covered);
                }
                Err(failure) => failure,
            };
            let hint: Option<RangeHint> = match failure.kind {
                Kind::TooLarge(_) if from == end => return self.single(from).await,
                Kind::TooLarge(hint) => hint,
                // A WebSocket is lost by silence and by an answer of more bytes than it takes. The next one is another
                // connection, whose chain the caller has to look at first, and it is asked for less.
                Kind::Timeout | Kind::Unreachable if self.endpoint.is_websocket() => {
                    self.endpoint.span().refused(from, end, None);
                    return Err(failure);
                }
                Kind::Timeout if from < end && timeouts < MAX_TIMEOUTS => {
                    timeouts += 1;
                    None
                }
                _ => return Err(failure),
            };
            self.endpoint.span().refused(from, end, hint);
        }
        let call = logs_by_range(&self.watched.addresses, from, to);
        Err(self.endpoint.failure(Kind::Transient, &call, "no range is small enough"))
    }

    /// A range of one block that is too large for `eth_getLogs`.
    async fn single(&self, number: u64) -> Result<Covered, Failure> {
        let missing = || self.endpoint.failure(Kind::UnknownBlock, &header_by_number(number), "there is no such block");
        let end = self.endpoint.header(number).await?.ok_or_else(missing)?;
        let logs = self.out_of_receipts(&end).await?;
        let blocks = if logs.is_empty() { vec![] } else { vec![(end.clone(), logs)] };
        Ok(Covered { end, blocks })
    }

    /// Exactly this range: its logs and the header of its end in one batch (F1), then the headers of the blocks with
    /// logs, each of which must be the block that its logs name.
    async fn range_once(&self, from: u64, to: u64) -> Result<Covered, Failure> {
        let calls = [logs_by_range(&self.watched.addresses, from, to), header_by_number(to)];
        let mut answers = self.endpoint.batch(&calls).await?.into_iter();
        let (Some(logs), Some(end)) = (answers.next(), answers.next()) else {
            return Err(self.endpoint.failure(Kind::Inconsistent, &calls[0], "the batch's answer is too short"));
        };
        let wire: Vec<WireLog> = self.endpoint.read(&calls[0], &logs?)?;
        let end = self.due_header(&calls[1], to, self.endpoint.read(&calls[1], &end?)?)?;
        let wire = if SUSPICIOUS_COUNTS.contains(&wire.len()) && from < to {
            self.halves(from, to, wire).await?
        } else {
            wire
        };
        let mut logs = check::logs(self.watched, from, to, wire)
            .map_err(|reason| self.endpoint.failure(Kind::Inconsistent, &calls[0], &reason))?;
        let headers = self.headers_of(&logs, &end).await?;
        check::linked(&headers).map_err(|reason| self.endpoint.failure(Kind::Inconsistent, &calls[1], &reason))?;
        let mut blocks = Vec::with_capacity(logs.len());
        for header in headers {
            let Some(logs) = logs.remove(&header.number) else { continue };
            check::belong(&header, &logs).map_err(|reason| {
                let reason = format!("{reason}, by {}", header_by_number(header.number));
                self.endpoint.failure(Kind::Inconsistent, &calls[0], &reason)
            })?;
            blocks.push((header, logs));
        }
        Ok(Covered { end, blocks })
    }

    /// The same range in two halves, when the number of its logs looks like a silent limit (F6): more logs in the
    /// halves prove it.
    async fn halves(&self, from: u64, to: u64, whole: Vec<WireLog>) -> Result<Vec<WireLog>, Failure> {
        let middle = from + (to - from) / 2;
        let mut halves = Vec::with_capacity(whole.len());
        for (from, to) in [(from, middle), (middle + 1, to)] {
            let call = logs_by_range(&self.watched.addresses, from, to);
            let half = self.endpoint.request::<Vec<WireLog>>(&call).await?;
            if SUSPICIOUS_COUNTS.contains(&half.len()) && from < to {
                // All logs may be in this half, cut off at the same number: only a smaller range can tell.
                let message = format!("{} logs of a range and of its half: the answer may be cut", half.len());
                return Err(self.endpoint.failure(Kind::TooLarge(None), &call, &message));
            }
            halves.extend(half);
        }
        if halves.len() == whole.len() {
            return Ok(halves);
        }
        let call = logs_by_range(&self.watched.addresses, from, to);
        let message = format!("{} logs, but {} in its two halves: the answer is cut", whole.len(), halves.len());
        Err(self.endpoint.failure(Kind::TooLarge(None), &call, &message))
    }

    /// The headers of the blocks with logs, rising.
    async fn headers_of(&self, logs: &BTreeMap<u64, Vec<Log>>, end: &Header) -> Result<Vec<Header>, Failure> {
        let numbers: Vec<_> = logs.keys().copied().filter(|number| *number != end.number).collect();
        let mut headers = self.endpoint.headers(&numbers).await?;
        headers.push(end.clone());
        Ok(headers)
    }

    fn due_header(&self, call: &Call, number: u64, wire: Option<WireHeader>) -> Result<Header, Failure> {
        let wire = wire.ok_or_else(|| self.endpoint.failure(Kind::UnknownBlock, call, "the block is not there yet"))?;
        check::header(Some(number), wire).map_err(|reason| self.endpoint.failure(Kind::Inconsistent, call, &reason))
    }

    /// An answer as the logs of this block.
    fn of_header(&self, header: &Header, call: &Call, wire: Vec<WireLog>) -> Result<Vec<Log>, Failure> {
        let logs = check::logs(self.watched, header.number, header.number, wire)
            .map(|mut blocks| blocks.remove(&header.number).unwrap_or_default())
            .and_then(|logs| check::belong(header, &logs).map(|()| logs));
        logs.map_err(|reason| {
            let reason = format!("{reason}, by {}", header_by_number(header.number));
            self.endpoint.failure(Kind::Inconsistent, call, &reason)
        })
    }
}

/// Whether endpoints are known to cut off without a word at that number of logs (F6).
pub(super) fn is_suspicious(logs: usize) -> bool {
    SUSPICIOUS_COUNTS.contains(&logs)
}

/// Whether another way of asking for the same logs may work.
fn refuses_the_way(kind: Kind) -> bool {
    matches!(kind, Kind::TooLarge(_) | Kind::Permanent | Kind::Unsupported)
}
