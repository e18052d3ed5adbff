//! What a wallet's agent stated at one executor: its next nonce, and how much on the last day and in the last hour on
//! which it stated anything. The next intent is held against it without counting anything again.
//!
//! Days and hours are those of blocks' times, as the contracts' are (`block.timestamp / 1 days`).

use alloy::primitives::{B256, U256};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::mark::Mark;
use super::policies::whole_number;
use super::timeline::Place;
use super::versions::{Cell, Key, Versioned, Versions, cell};
use crate::store::error::StoreError;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, signed};

const DAY_SECONDS: u64 = 86_400;
const HOUR_SECONDS: u64 = 3_600;

/// An agent's counters at one executor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counter {
    /// One more than the highest nonce so far.
    pub(super) next_nonce: U256,
    /// The intent that had the highest.
    pub(super) newest: Option<Mark>,
    pub(super) day: u64,
    pub(super) day_count: u64,
    pub(super) day_spend: U256,
    pub(super) hour: u64,
    pub(super) hour_count: u64,
}

/// What an agent stated on the day and in the hour of a time, at all executors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) day_count: u64,
    /// In the chain's smallest unit; 2^256 - 1 where it is more.
    pub(super) day_spend: U256,
    pub(super) hour_count: u64,
}

/// The agent and the executor's contract id.
pub(super) type CounterKey = (B256, i16);

impl Counter {
    /// As it is at a time: what was counted on another day, or in another hour, no longer counts.
    fn at(mut self, time: u64) -> Self {
        let (day, hour) = (time / DAY_SECONDS, time / HOUR_SECONDS);
        if self.day != day {
            (self.day, self.day_count, self.day_spend) = (day, 0, U256::ZERO);
        }
        if self.hour != hour {
            (self.hour, self.hour_count) = (hour, 0);
        }
        self
    }
}

/// What an agent stated so far on the day and in the hour of a time.
pub(super) fn usage(counters: &Versions<Counter>, agent: B256, time: u64) -> Usage {
    let all = counters.between((agent, i16::MIN), (agent, i16::MAX)).map(|(_, (_, counter))| counter.at(time));
    all.fold(Usage::default(), |usage, counter| Usage {
        day_count: usage.day_count + counter.day_count,
        day_spend: usage.day_spend.saturating_add(counter.day_spend),
        hour_count: usage.hour_count + counter.hour_count,
    })
}

/// Counts an intent.
pub(super) fn state(counters: &mut Versions<Counter>, place: &Place, key: CounterKey, nonce: U256) {
    change(counters, place, key, |counter| {
        counter.day_count += 1;
        counter.hour_count += 1;
        if nonce >= counter.next_nonce {
            counter.next_nonce = nonce.saturating_add(U256::ONE);
            counter.newest = Some(Mark::from(place));
        }
    });
}

/// Counts what an intent is to spend.
pub(super) fn spend(counters: &mut Versions<Counter>, place: &Place, key: CounterKey, value: U256) {
    change(counters, place, key, |counter| counter.day_spend = counter.day_spend.saturating_add(value));
}

fn change(counters: &mut Versions<Counter>, place: &Place, key: CounterKey, change: impl FnOnce(&mut Counter)) {
    let mut counter = counters.now(&key).map_or_else(Counter::default, |(_, counter)| *counter).at(place.time);
    change(&mut counter);
    counters.set(place, key, counter);
}

impl Key for CounterKey {
    fn read(row: &Row, columns: &[(&str, Type)]) -> Result<Self, StoreError> {
        Ok((sql::hash(row, columns[0].0)?, sql::column(row, columns[1].0)?))
    }

    fn cells(&self) -> Vec<Cell> {
        vec![cell(self.0.to_vec()), cell(self.1)]
    }

    fn arrays(keys: &[Self]) -> Vec<Cell> {
        let agents: Vec<Vec<u8>> = keys.iter().map(|(agent, _)| agent.to_vec()).collect();
        vec![cell(agents), cell(keys.iter().map(|(_, contract)| *contract).collect::<Vec<_>>())]
    }
}

impl Versioned for Counter {
    type Key = CounterKey;

    const TABLE: &'static str = "intent_counter";
    const KEY: &'static [(&'static str, Type)] = &[("wallet_agent", Type::BYTEA), ("contract_id", Type::INT2)];
    const COLUMNS: &'static [(&'static str, Type)] = &[
        ("next_nonce", Type::NUMERIC),
        ("nonce_block", Type::INT8),
        ("nonce_log_index", Type::INT4),
        ("day", Type::INT8),
        ("day_count", Type::INT8),
        ("day_spend", Type::NUMERIC),
        ("hour", Type::INT8),
        ("hour_count", Type::INT8),
    ];

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            next_nonce: whole_number(row, "next_nonce")?,
            newest: Mark::read(row, "nonce_block", "nonce_log_index")?,
            day: sql::number(row, "day")?,
            day_count: sql::number(row, "day_count")?,
            day_spend: whole_number(row, "day_spend")?,
            hour: sql::number(row, "hour")?,
            hour_count: sql::number(row, "hour_count")?,
        })
    }

    fn cells(&self) -> Vec<Cell> {
        let mut cells = vec![cell(Numeric::from(self.next_nonce))];
        cells.extend(Mark::cells(self.newest));
        cells.push(cell(signed(self.day)));
        cells.push(cell(signed(self.day_count)));
        cells.push(cell(Numeric::from(self.day_spend)));
        cells.push(cell(signed(self.hour)));
        cells.push(cell(signed(self.hour_count)));
        cells
    }
}
