//! Wallets' agents: who owns one, which wallet acts for it, whether it is switched on and not paused.
//!
//! The registry switches agents off, a policy engine pauses them; both name them by id. One that an engine or a switch
//! names before any registration was seen is there all the same, without owner and wallet, and is taken to be on.

use alloy::primitives::{Address, B256};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::At;
use super::mark::Mark;
use super::timeline::Place;
use super::versions::{Cell, Versioned, Versions, cell};
use crate::event::{AgentRegistryEvent, Event, PolicyEvent, Text};
use crate::store::error::StoreError;
use crate::store::sql::{self, signed};

/// What a registry said of an agent last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    contract_id: i16,
    owner: Address,
    wallet: Address,
    metadata_cid: Text,
}

/// A wallet's agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WalletAgent {
    pub(super) registration: Option<Registration>,
    pub(super) is_active: bool,
    /// The event that switched it on or off last.
    pub(super) switched: Option<Mark>,
    pub(super) is_paused: bool,
    /// The event that paused or unpaused it last.
    pub(super) paused: Option<Mark>,
    pub(super) created: Mark,
    pub(super) created_at: u64,
}

impl WalletAgent {
    /// One of which nothing is known but an event.
    pub(super) fn first_seen(place: &Place) -> Self {
        Self {
            registration: None,
            is_active: true,
            switched: None,
            is_paused: false,
            paused: None,
            created: Mark::from(place),
            created_at: place.time,
        }
    }
}

/// The agent whose state an event changes.
pub(super) fn changed_agent(event: &Event) -> Option<B256> {
    match event {
        Event::AgentRegistry(
            AgentRegistryEvent::AgentRegistered { agent_id, .. }
            | AgentRegistryEvent::AgentUpdated { agent_id, .. }
            | AgentRegistryEvent::AgentDeactivated { agent_id, .. }
            | AgentRegistryEvent::AgentReactivated { agent_id, .. },
        )
        | Event::Policy(PolicyEvent::AgentPaused { agent_id, .. } | PolicyEvent::AgentUnpaused { agent_id, .. }) => {
            Some(*agent_id)
        }
        _ => None,
    }
}

/// Changes the agent that an event is about.
pub(super) fn fold(agents: &mut Versions<WalletAgent>, at: &At<'_>, event: &Event) {
    let Some(agent_id) = changed_agent(event) else { return };
    let known = agents.now(&agent_id).map(|(_, agent)| agent.clone());
    let mut agent = known.unwrap_or_else(|| WalletAgent::first_seen(&at.place));
    let mark = Some(Mark::from(&at.place));
    match event {
        Event::AgentRegistry(
            registry @ (AgentRegistryEvent::AgentRegistered { owner, wallet, metadata_cid, .. }
            | AgentRegistryEvent::AgentUpdated { owner, wallet, metadata_cid, .. }),
        ) => {
            agent.registration = Some(Registration {
                contract_id: at.contract.id,
                owner: *owner,
                wallet: *wallet,
                metadata_cid: metadata_cid.clone(),
            });
            if matches!(registry, AgentRegistryEvent::AgentRegistered { .. }) {
                (agent.is_active, agent.switched) = (true, mark);
            }
        }
        Event::AgentRegistry(AgentRegistryEvent::AgentDeactivated { .. }) => {
            (agent.is_active, agent.switched) = (false, mark);
        }
        Event::AgentRegistry(AgentRegistryEvent::AgentReactivated { .. }) => {
            (agent.is_active, agent.switched) = (true, mark);
        }
        Event::Policy(PolicyEvent::AgentPaused { .. }) => (agent.is_paused, agent.paused) = (true, mark),
        Event::Policy(PolicyEvent::AgentUnpaused { .. }) => (agent.is_paused, agent.paused) = (false, mark),
        _ => return,
    }
    agents.set(&at.place, agent_id, agent);
}

impl Versioned for WalletAgent {
    type Key = B256;

    const TABLE: &'static str = "wallet_agent";
    const KEY: &'static [(&'static str, Type)] = &[("wallet_agent", Type::BYTEA)];
    const COLUMNS: &'static [(&'static str, Type)] = &[
        ("contract_id", Type::INT2),
        ("owner", Type::BYTEA),
        ("wallet", Type::BYTEA),
        ("metadata_cid", Type::TEXT),
        ("metadata_cid_raw", Type::BYTEA),
        ("is_active", Type::BOOL),
        ("active_block", Type::INT8),
        ("active_log_index", Type::INT4),
        ("is_paused", Type::BOOL),
        ("paused_block", Type::INT8),
        ("paused_log_index", Type::INT4),
        ("created_block", Type::INT8),
        ("created_log_index", Type::INT4),
        ("created_at", Type::INT8),
    ];

    fn read(row: &Row) -> Result<Self, StoreError> {
        let registration = match sql::column::<Option<i16>>(row, "contract_id")? {
            None => None,
            Some(contract_id) => Some(Registration {
                contract_id,
                owner: sql::address(row, "owner")?,
                wallet: sql::address(row, "wallet")?,
                metadata_cid: sql::text(row, "metadata_cid", "metadata_cid_raw")?,
            }),
        };
        let created = Mark::read(row, "created_block", "created_log_index")?;
        Ok(Self {
            registration,
            is_active: sql::column(row, "is_active")?,
            switched: Mark::read(row, "active_block", "active_log_index")?,
            is_paused: sql::column(row, "is_paused")?,
            paused: Mark::read(row, "paused_block", "paused_log_index")?,
            created: created.ok_or_else(|| sql::corrupt("a wallet's agent has no beginning"))?,
            created_at: sql::number(row, "created_at")?,
        })
    }

    fn cells(&self) -> Vec<Cell> {
        let told = self.registration.as_ref();
        let mut cells = vec![
            cell(told.map(|told| told.contract_id)),
            cell(told.map(|told| told.owner.to_vec())),
            cell(told.map(|told| told.wallet.to_vec())),
            cell(told.map(|told| told.metadata_cid.readable().into_owned())),
            cell(told.and_then(|told| told.metadata_cid.raw_if_unclean().map(<[u8]>::to_vec))),
            cell(self.is_active),
        ];
        cells.extend(Mark::cells(self.switched));
        cells.push(cell(self.is_paused));
        cells.extend(Mark::cells(self.paused));
        cells.extend(Mark::cells(Some(self.created)));
        cells.push(cell(signed(self.created_at)));
        cells
    }
}
