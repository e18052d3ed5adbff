//! Policies of wallets' agents: each replaces the one before as a whole.

use alloy::primitives::{Address, B256, U256};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::At;
use super::versions::{Cell, Versioned, Versions, cell};
use crate::event::{AgentRegistryEvent, Event, PolicyLimits};
use crate::store::error::StoreError;
use crate::store::numeric::Numeric;
use crate::store::sql;

/// Takes in a policy that an event sets.
pub(super) fn fold(policies: &mut Versions<PolicyLimits>, at: &At<'_>, event: &Event) {
    if let Event::AgentRegistry(AgentRegistryEvent::PolicyUpdated { agent_id, policy }) = event {
        policies.set(&at.place, *agent_id, policy.clone());
    }
}

impl Versioned for PolicyLimits {
    type Key = B256;

    const TABLE: &'static str = "policy";
    const KEY: &'static [(&'static str, Type)] = &[("wallet_agent", Type::BYTEA)];
    const COLUMNS: &'static [(&'static str, Type)] = &[
        ("max_spend_per_day", Type::NUMERIC),
        ("max_tx_per_day", Type::NUMERIC),
        ("max_tx_per_hour", Type::NUMERIC),
        ("max_value_per_tx", Type::NUMERIC),
        ("allowed_chains", Type::NUMERIC_ARRAY),
        ("whitelist", Type::BYTEA_ARRAY),
        ("risk_level", Type::INT2),
    ];

    fn read(row: &Row) -> Result<Self, StoreError> {
        let chains: Vec<Numeric> = sql::column(row, "allowed_chains")?;
        let whitelist: Vec<&[u8]> = sql::column(row, "whitelist")?;
        let whole = |number: &Numeric| number.to_u256().ok_or_else(|| sql::corrupt("a policy's chain is no uint256"));
        let address =
            |bytes: &[u8]| Address::try_from(bytes).map_err(|_| sql::corrupt("a policy's address is not of 20 bytes"));
        Ok(Self {
            max_spend_per_day: whole_number(row, "max_spend_per_day")?,
            max_tx_per_day: whole_number(row, "max_tx_per_day")?,
            max_tx_per_hour: whole_number(row, "max_tx_per_hour")?,
            max_value_per_tx: whole_number(row, "max_value_per_tx")?,
            allowed_chains: chains.iter().map(whole).collect::<Result<_, _>>()?,
            whitelist: whitelist.into_iter().map(address).collect::<Result<_, _>>()?,
            risk_level: u8::try_from(sql::column::<i16>(row, "risk_level")?)
                .map_err(|_| sql::corrupt("a policy's risk level is no uint8"))?,
        })
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            cell(Numeric::from(self.max_spend_per_day)),
            cell(Numeric::from(self.max_tx_per_day)),
            cell(Numeric::from(self.max_tx_per_hour)),
            cell(Numeric::from(self.max_value_per_tx)),
            cell(self.allowed_chains.iter().copied().map(Numeric::from).collect::<Vec<_>>()),
            cell(self.whitelist.iter().map(|address| address.to_vec()).collect::<Vec<_>>()),
            cell(i16::from(self.risk_level)),
        ]
    }
}

/// A uint256.
pub(super) fn whole_number(row: &Row, name: &str) -> Result<U256, StoreError> {
    optional_whole_number(row, name)?.ok_or_else(|| sql::corrupt("a uint256 is missing"))
}

/// A uint256, where there is one.
pub(super) fn optional_whole_number(row: &Row, name: &str) -> Result<Option<U256>, StoreError> {
    let Some(number) = sql::column::<Option<Numeric>>(row, name)? else { return Ok(None) };
    number.to_u256().map(Some).ok_or_else(|| sql::corrupt("a number is no uint256"))
}
