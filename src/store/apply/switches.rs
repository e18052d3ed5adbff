//! What events switch on and off: the right to relay, and what stops all agents.

use alloy::primitives::Address;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::At;
use super::versions::{Cell, Key, Versioned, Versions, cell};
use crate::event::{Event, ExecutorEvent, GovernanceEvent, PolicyEvent, Role};
use crate::store::error::StoreError;
use crate::store::sql;

/// Whether an address may relay at an executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relayer {
    pub(super) is_authorised: bool,
}

/// An executor's contract id and the relayer.
pub(super) type RelayerKey = (i16, Address);

/// Whether one of the things that stop all agents is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Halt {
    pub(super) is_on: bool,
}

/// What stops all agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HaltKind {
    /// A policy engine's breaker was tripped.
    Breaker,
    /// A policy engine was paused.
    Emergency,
    /// The executor was paused.
    Executor,
}

impl HaltKind {
    const ALL: [Self; 3] = [Self::Breaker, Self::Emergency, Self::Executor];

    /// Its name in the database and in findings.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Breaker => "BREAKER",
            Self::Emergency => "EMERGENCY",
            Self::Executor => "EXECUTOR",
        }
    }
}

/// The contract that said it, and what of it.
pub(super) type HaltKey = (i16, HaltKind);

/// The halt that an event switches, and whether on.
fn halt_of(at: &At<'_>, event: &Event) -> Option<(HaltKey, bool)> {
    let paused = match at.contract.role {
        Role::PolicyEngine => Some(HaltKind::Emergency),
        Role::Executor => Some(HaltKind::Executor),
        _ => None,
    };
    let (kind, is_on) = match event {
        // An engine tells an emergency twice: as every contract does, and with its reason.
        Event::Governance(GovernanceEvent::Paused { .. }) => (paused?, true),
        Event::Governance(GovernanceEvent::Unpaused { .. }) => (paused?, false),
        Event::Policy(PolicyEvent::EmergencyPaused { .. }) => (HaltKind::Emergency, true),
        Event::Policy(PolicyEvent::EmergencyUnpaused { .. }) => (HaltKind::Emergency, false),
        Event::Policy(PolicyEvent::CircuitBreakerTripped { .. }) => (HaltKind::Breaker, true),
        Event::Policy(PolicyEvent::CircuitBreakerReset { .. }) => (HaltKind::Breaker, false),
        _ => return None,
    };
    Some(((at.contract.id, kind), is_on))
}

/// Switches what an event switches.
pub(super) fn fold(relayers: &mut Versions<Relayer>, halts: &mut Versions<Halt>, at: &At<'_>, event: &Event) {
    let relayer = match event {
        Event::Executor(ExecutorEvent::RelayerAuthorized { relayer }) => Some((*relayer, true)),
        Event::Executor(ExecutorEvent::RelayerRevoked { relayer }) => Some((*relayer, false)),
        _ => None,
    };
    if let Some((relayer, is_authorised)) = relayer {
        relayers.set(&at.place, (at.contract.id, relayer), Relayer { is_authorised });
    }
    if let Some((key, is_on)) = halt_of(at, event) {
        halts.set(&at.place, key, Halt { is_on });
    }
}

impl Key for RelayerKey {
    fn read(row: &Row, columns: &[(&str, Type)]) -> Result<Self, StoreError> {
        Ok((sql::column(row, columns[0].0)?, sql::address(row, columns[1].0)?))
    }

    fn cells(&self) -> Vec<Cell> {
        vec![cell(self.0), cell(self.1.to_vec())]
    }

    fn arrays(keys: &[Self]) -> Vec<Cell> {
        let relayers: Vec<Vec<u8>> = keys.iter().map(|(_, relayer)| relayer.to_vec()).collect();
        vec![cell(keys.iter().map(|(contract, _)| *contract).collect::<Vec<_>>()), cell(relayers)]
    }
}

impl Versioned for Relayer {
    type Key = RelayerKey;

    const TABLE: &'static str = "relayer";
    const KEY: &'static [(&'static str, Type)] = &[("contract_id", Type::INT2), ("relayer", Type::BYTEA)];
    const COLUMNS: &'static [(&'static str, Type)] = &[("is_authorised", Type::BOOL)];

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { is_authorised: sql::column(row, "is_authorised")? })
    }

    fn cells(&self) -> Vec<Cell> {
        vec![cell(self.is_authorised)]
    }
}

impl Key for HaltKey {
    fn read(row: &Row, columns: &[(&str, Type)]) -> Result<Self, StoreError> {
        let name: &str = sql::column(row, columns[1].0)?;
        let kind = HaltKind::ALL.into_iter().find(|kind| kind.name() == name);
        Ok((sql::column(row, columns[0].0)?, kind.ok_or_else(|| sql::corrupt("a halt is of no kind"))?))
    }

    fn cells(&self) -> Vec<Cell> {
        vec![cell(self.0), cell(self.1.name())]
    }

    fn arrays(keys: &[Self]) -> Vec<Cell> {
        let kinds: Vec<&'static str> = keys.iter().map(|(_, kind)| kind.name()).collect();
        vec![cell(keys.iter().map(|(contract, _)| *contract).collect::<Vec<_>>()), cell(kinds)]
    }
}

impl Versioned for Halt {
    type Key = HaltKey;

    const TABLE: &'static str = "halt";
    const KEY: &'static [(&'static str, Type)] = &[("contract_id", Type::INT2), ("kind", Type::TEXT)];
    const COLUMNS: &'static [(&'static str, Type)] = &[("is_on", Type::BOOL)];

    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self { is_on: sql::column(row, "is_on")? })
    }

    fn cells(&self) -> Vec<Cell> {
        vec![cell(self.is_on)]
    }
}
