//! Cross-chain intents: stated, told in detail, submitted, executed or disputed, or lapsed.
//!
//! An intent is what its events say, whichever came first: of one whose statement was not seen only its acts are known.
//! A statement under an id that is known begins it anew. Of acts the first counts; executions are counted.

use alloy::primitives::{Address, B256, U256};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::mark::Mark;
use super::policies::optional_whole_number;
use super::timeline::Place;
use super::versions::{Cell, Versioned, cell};
use crate::event::{Event, ExecutorEvent, Text};
use crate::store::error::StoreError;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, index, signed};

/// What an agent stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) mark: Mark,
    pub(super) time: u64,
    pub(super) wallet_agent: B256,
    pub(super) dest_chain_id: U256,
    pub(super) action_hash: B256,
    pub(super) nonce: U256,
    pub(super) expiry: U256,
    /// The agent's intents on that day, and in that hour, up to and with this one.
    pub(super) day_count: u64,
    pub(super) hour_count: u64,
}

/// What it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) src_chain_id: U256,
    pub(super) value: U256,
    pub(super) recipient: Address,
    pub(super) action: Text,
    /// What the agent's intents of that day add up to, with this one; nothing where nobody stated it.
    pub(super) day_spend: Option<U256>,
}

/// What somebody did with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) mark: Mark,
    pub(super) time: u64,
    pub(super) by: Address,
}

impl Act {
    pub(super) fn at(place: &Place, by: Address) -> Self {
        Self { mark: Mark::from(place), time: place.time, by }
    }
}

/// How far an intent is, by rank: what was executed stays so, whatever is told later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    Created,
    Submitted,
    Expired,
    Disputed,
    Executed,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Submitted => "SUBMITTED",
            Self::Expired => "EXPIRED",
            Self::Disputed => "DISPUTED",
            Self::Executed => "EXECUTED",
        }
    }
}

/// An intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) contract_id: i16,
    pub(super) statement: Option<Statement>,
    pub(super) details: Option<Details>,
    pub(super) submitted: Option<Act>,
    pub(super) executed: Option<Act>,
    pub(super) executions: u32,
    pub(super) disputed: Option<(Act, Text)>,
    /// The block, and its time, that was the first with logs beyond the expiry.
    pub(super) expired: Option<(u64, u64)>,
}

/// The intent whose state an event changes. Messages of a bridge do not: they may be about another chain's.
pub(super) fn changed_intent(event: &Event) -> Option<B256> {
    match event {
        Event::Executor(
            ExecutorEvent::IntentEmitted { intent_id, .. }
            | ExecutorEvent::IntentDetails { intent_id, .. }
            | ExecutorEvent::IntentSubmitted { intent_id, .. }
            | ExecutorEvent::IntentExecuted { intent_id, .. }
            | ExecutorEvent::IntentDisputed { intent_id, .. },
        ) => Some(*intent_id),
        _ => None,
    }
}

impl Intent {
    /// One of which nothing is known but that an executor told of it.
    pub(super) fn untold(contract_id: i16) -> Self {
        Self {
            contract_id,
            statement: None,
            details: None,
            submitted: None,
            executed: None,
            executions: 0,
            disputed: None,
            expired: None,
        }
    }

    /// How far it is.
    pub(super) fn status(&self) -> Status {
        let reached = [
            (self.executed.is_some(), Status::Executed),
            (self.disputed.is_some(), Status::Disputed),
            (self.expired.is_some(), Status::Expired),
            (self.submitted.is_some(), Status::Submitted),
        ];
        reached.into_iter().find(|(is, _)| *is).map_or(Status::Created, |(_, status)| status)
    }

    /// Whether it may still be executed, but for its expiry.
    pub(super) fn is_open(&self) -> bool {
        self.status() <= Status::Submitted
    }

    /// The agent that stated it.
    pub(super) fn wallet_agent(&self) -> Option<B256> {
        self.statement.as_ref().map(|statement| statement.wallet_agent)
    }

    /// Seconds since 1970 after which it lapses, where that was told.
    pub(super) fn expiry(&self) -> Option<U256> {
        self.statement.as_ref().map(|statement| statement.expiry)
    }

    /// Takes in what somebody did with it.
    pub(super) fn act(&mut self, place: &Place, event: &ExecutorEvent) {
        match event {
            ExecutorEvent::IntentSubmitted { relayer, .. } => {
                self.submitted.get_or_insert(Act::at(place, *relayer));
            }
            ExecutorEvent::IntentExecuted { executor, .. } => {
                self.executed.get_or_insert(Act::at(place, *executor));
                self.executions = self.executions.saturating_add(1);
            }
            ExecutorEvent::IntentDisputed { disputer, reason, .. } => {
                self.disputed.get_or_insert_with(|| (Act::at(place, *disputer), reason.clone()));
            }
            _ => {}
        }
    }
}

impl Versioned for Intent {
    type Key = B256;

    const TABLE: &'static str = "intent";
    const KEY: &'static [(&'static str, Type)] = &[("intent_id", Type::BYTEA)];
    const COLUMNS: &'static [(&'static str, Type)] = &[
        ("contract_id", Type::INT2),
        ("status", Type::TEXT),
        ("created_block", Type::INT8),
        ("created_log_index", Type::INT4),
        ("created_at", Type::INT8),
        ("wallet_agent", Type::BYTEA),
        ("dest_chain_id", Type::NUMERIC),
        ("action_hash", Type::BYTEA),
        ("nonce", Type::NUMERIC),
        ("expiry", Type::NUMERIC),
        ("day_count", Type::INT8),
        ("hour_count", Type::INT8),
        ("src_chain_id", Type::NUMERIC),
        ("value", Type::NUMERIC),
        ("recipient", Type::BYTEA),
        ("action", Type::TEXT),
        ("action_raw", Type::BYTEA),
        ("day_spend", Type::NUMERIC),
        ("submitted_block", Type::INT8),
        ("submitted_log_index", Type::INT4),
        ("submitted_at", Type::INT8),
        ("submitted_by", Type::BYTEA),
        ("executed_block", Type::INT8),
        ("executed_log_index", Type::INT4),
        ("executed_at", Type::INT8),
        ("executed_by", Type::BYTEA),
        ("execution_count", Type::INT4),
        ("disputed_block", Type::INT8),
        ("disputed_log_index", Type::INT4),
        ("disputed_at", Type::INT8),
        ("disputed_by", Type::BYTEA),
        ("dispute_reason", Type::TEXT),
        ("dispute_reason_raw", Type::BYTEA),
        ("expired_block", Type::INT8),
        ("expired_at", Type::INT8),
    ];

    fn read(row: &Row) -> Result<Self, StoreError> {
        let disputed = match read_act(row, ["disputed_block", "disputed_log_index", "disputed_at", "disputed_by"])? {
            None => None,
            Some(act) => Some((act, sql::text(row, "dispute_reason", "dispute_reason_raw")?)),
        };
        let expired = sql::optional_number(row, "expired_block")?.zip(sql::optional_number(row, "expired_at")?);
        Ok(Self {
            contract_id: sql::column(row, "contract_id")?,
            statement: read_statement(row)?,
            details: read_details(row)?,
            submitted: read_act(row, ["submitted_block", "submitted_log_index", "submitted_at", "submitted_by"])?,
            executed: read_act(row, ["executed_block", "executed_log_index", "executed_at", "executed_by"])?,
            executions: sql::unsigned_index(sql::column(row, "execution_count")?)?,
            disputed,
            expired,
        })
    }

    fn cells(&self) -> Vec<Cell> {
        let (stated, told) = (self.statement.as_ref(), self.details.as_ref());
        let mut cells = vec![cell(self.contract_id), cell(self.status().name())];
        cells.extend(Mark::cells(stated.map(|stated| stated.mark)));
        cells.push(cell(stated.map(|stated| signed(stated.time))));
        cells.push(cell(stated.map(|stated| stated.wallet_agent.to_vec())));
        cells.push(cell(stated.map(|stated| Numeric::from(stated.dest_chain_id))));
        cells.push(cell(stated.map(|stated| stated.action_hash.to_vec())));
        cells.push(cell(stated.map(|stated| Numeric::from(stated.nonce))));
        cells.push(cell(stated.map(|stated| Numeric::from(stated.expiry))));
        cells.push(cell(stated.map(|stated| signed(stated.day_count))));
        cells.push(cell(stated.map(|stated| signed(stated.hour_count))));
        cells.push(cell(told.map(|told| Numeric::from(told.src_chain_id))));
        cells.push(cell(told.map(|told| Numeric::from(told.value))));
        cells.push(cell(told.map(|told| told.recipient.to_vec())));
        cells.extend(text_cells(told.map(|told| &told.action)));
        cells.push(cell(told.and_then(|told| told.day_spend).map(Numeric::from)));
        cells.extend(act_cells(self.submitted));
        cells.extend(act_cells(self.executed));
        cells.push(cell(index(self.executions)));
        cells.extend(act_cells(self.disputed.as_ref().map(|(act, _)| *act)));
        cells.extend(text_cells(self.disputed.as_ref().map(|(_, reason)| reason)));
        cells.push(cell(self.expired.map(|(block, _)| signed(block))));
        cells.push(cell(self.expired.map(|(_, time)| signed(time))));
        cells
    }
}

fn read_statement(row: &Row) -> Result<Option<Statement>, StoreError> {
    let Some(mark) = Mark::read(row, "created_block", "created_log_index")? else { return Ok(None) };
    let whole = |name| optional_whole_number(row, name)?.ok_or_else(|| sql::corrupt("a stated intent lacks a number"));
    Ok(Some(Statement {
        mark,
        time: sql::number(row, "created_at")?,
        wallet_agent: sql::hash(row, "wallet_agent")?,
        dest_chain_id: whole("dest_chain_id")?,
        action_hash: sql::hash(row, "action_hash")?,
        nonce: whole("nonce")?,
        expiry: whole("expiry")?,
        day_count: sql::number(row, "day_count")?,
        hour_count: sql::number(row, "hour_count")?,
    }))
}

fn read_details(row: &Row) -> Result<Option<Details>, StoreError> {
    let Some(value) = optional_whole_number(row, "value")? else { return Ok(None) };
    let src_chain_id = optional_whole_number(row, "src_chain_id")?;
    Ok(Some(Details {
        src_chain_id: src_chain_id.ok_or_else(|| sql::corrupt("an intent's details lack a chain"))?,
        value,
        recipient: sql::address(row, "recipient")?,
        action: sql::text(row, "action", "action_raw")?,
        day_spend: optional_whole_number(row, "day_spend")?,
    }))
}

fn read_act(row: &Row, [block, log_index, time, by]: [&str; 4]) -> Result<Option<Act>, StoreError> {
    let Some(mark) = Mark::read(row, block, log_index)? else { return Ok(None) };
    Ok(Some(Act { mark, time: sql::number(row, time)?, by: sql::address(row, by)? }))
}

fn act_cells(act: Option<Act>) -> Vec<Cell> {
    let mut cells = Vec::from(Mark::cells(act.map(|act| act.mark)));
    cells.push(cell(act.map(|act| signed(act.time))));
    cells.push(cell(act.map(|act| act.by.to_vec())));
    cells
}

fn text_cells(text: Option<&Text>) -> [Cell; 2] {
    let raw = text.and_then(|text| text.raw_if_unclean().map(<[u8]>::to_vec));
    [cell(text.map(|text| text.readable().into_owned())), cell(raw)]
}
