//! Agents: owner, URI, wallet and approval, as the identity registry's events tell them in order.
//!
//! The owner follows `Transfer`, which also withdraws the approval; `agentWallet` follows its metadata entry, which the
//! registry clears before a transfer. A mint calls its receiver before `Registered`, so any event may be an agent's
//! first; one of another registry, too, where the network is followed from a block behind the mint. So an agent is there
//! from the first event that names it, with totals from then on: who has totals is an agent. One version for each block
//! that changed the agent, as it was at the block's end; metadata have versions of their own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy::primitives::{Address, B256, Bytes};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::At;
use super::change::{ChangeOp, Changes};
use super::kept::{Cell, Columns};
use super::timeline::{Place, Timeline};
use crate::event::{IdentityEvent, Text};
use crate::id::{AgentId, AgentKey, ChainId, Deployment};
use crate::store::error::StoreError;
use crate::store::network::{Contract, small};
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, index, signed};

/// The metadata key that holds an agent's wallet, reserved to the registry itself.
const WALLET_KEY: &[u8] = b"agentWallet";

/// How agents are written for the outside.
pub(super) struct AgentNames {
    chain_id: ChainId,
    /// The identity registry of each deployment but the primary one.
    registries: HashMap<Deployment, Address>,
}

impl AgentNames {
    pub(super) fn new(chain_id: ChainId, contracts: &[Contract]) -> Self {
        let identities = contracts.iter().filter(|contract| contract.role == crate::event::Role::Identity);
        let further = identities.filter(|contract| contract.deployment > 0);
        Self { chain_id, registries: further.map(|contract| (contract.deployment, contract.address)).collect() }
    }

    pub(super) fn name(&self, agent: AgentKey) -> AgentId {
        let registry = self.registries.get(&agent.deployment).copied();
        AgentId { chain_id: self.chain_id, registry, agent_id: agent.agent_id }
    }

    pub(super) fn chain_id(&self) -> ChainId {
        self.chain_id
    }
}

#[derive(Debug, Clone)]
struct Agent {
    log_index: u32,
    transaction: B256,
    updated_at: u64,
    registered: bool,
    owner: Address,
    approved: Option<Address>,
    wallet: Option<Address>,
    uri: Text,
    /// Block and log index of the event that set the URI.
    uri_set: Option<(u64, u32)>,
    /// When the manifest was last told, in seconds since 1970; nothing until it is.
    manifest_at: Option<u64>,
    created: Place,
}

/// What the identity registry tells of how an agent is reached, and when it last did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) endpoint: Text,
    pub(super) pubkey: Option<Address>,
    pub(super) owner: Address,
    /// Seconds since 1970.
    pub(super) told_at: u64,
}

impl Agent {
    fn new(place: &Place) -> Self {
        Self {
            log_index: place.log_index,
            transaction: place.transaction,
            updated_at: place.time,
            registered: false,
            owner: Address::ZERO,
            approved: None,
            wallet: None,
            uri: Text::default(),
            uri_set: None,
            manifest_at: None,
            created: *place,
        }
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        let uri_block: Option<i64> = sql::column(row, "uri_block")?;
        let uri_log_index: Option<i32> = sql::column(row, "uri_log_index")?;
        let uri_set = match uri_block.zip(uri_log_index) {
            Some((block, log_index)) => Some((sql::unsigned(block)?, sql::unsigned_index(log_index)?)),
            None => None,
        };
        Ok(Self {
            log_index: sql::unsigned_index(sql::column(row, "log_index")?)?,
            transaction: sql::hash(row, "transaction_hash")?,
            updated_at: sql::number(row, "updated_at")?,
            registered: sql::column(row, "registered")?,
            owner: sql::address(row, "owner")?,
            approved: sql::optional_address(row, "approved")?,
            wallet: sql::optional_address(row, "agent_wallet")?,
            uri: sql::text(row, "agent_uri", "agent_uri_raw")?,
            uri_set,
            manifest_at: sql::optional_number(row, "manifest_at")?,
            created: Place {
                block: sql::number(row, "created_block")?,
                log_index: sql::unsigned_index(sql::column(row, "created_log_index")?)?,
                time: sql::number(row, "created_at")?,
                transaction: sql::hash(row, "created_transaction_hash")?,
            },
        })
    }

    fn set_uri(&mut self, uri: &Text, place: &Place) {
        self.uri = uri.clone();
        self.uri_set = Some((place.block, place.log_index));
    }
}

/// The agents that a batch changes.
#[derive(Default)]
pub(super) struct Agents {
    timelines: BTreeMap<AgentKey, Timeline<Agent>>,
}

/// The agent that an identity event changes; most metadata are no part of it.
pub(super) fn changed_agent(deployment: Deployment, event: &IdentityEvent) -> Option<AgentKey> {
    match event {
        IdentityEvent::MetadataSet { metadata_key, .. } if metadata_key.0.as_ref() != WALLET_KEY => None,
        _ => named_agent(deployment, event),
    }
}

/// The agent whose manifest an identity event tells: its URI, its wallet or its owner.
pub(super) fn manifest_agent(deployment: Deployment, event: &IdentityEvent) -> Option<AgentKey> {
    match event {
        IdentityEvent::Approval { .. } => None,
        _ => changed_agent(deployment, event),
    }
}

/// The agent that an identity event names.
pub(super) fn named_agent(deployment: Deployment, event: &IdentityEvent) -> Option<AgentKey> {
    let agent_id = match event {
        IdentityEvent::Registered { agent_id, .. }
        | IdentityEvent::MetadataSet { agent_id, .. }
        | IdentityEvent::URIUpdated { agent_id, .. } => *agent_id,
        IdentityEvent::Transfer { token_id, .. } | IdentityEvent::Approval { token_id, .. } => *token_id,
        IdentityEvent::ApprovalForAll { .. }
        | IdentityEvent::MetadataUpdate { .. }
        | IdentityEvent::BatchMetadataUpdate { .. } => return None,
    };
    Some(AgentKey { deployment, agent_id })
}

impl Agents {
    pub(super) async fn load(sql: &Sql<'_>, keys: &BTreeSet<AgentKey>) -> Result<Self, StoreError> {
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let (deployments, ids) = arrays(keys);
        let rows = sql
            .query(
                "SELECT a.* FROM unnest($2::smallint[], $3::numeric[]) AS key (deployment, agent_id) \
                 CROSS JOIN LATERAL (SELECT * FROM agent a WHERE a.chain_id = $1 \
                     AND a.deployment = key.deployment AND a.agent_id = key.agent_id AND a.end_block IS NULL \
                     OFFSET 0) a",
                &[&deployments, &ids],
            )
            .await?;
        let timelines = rows
            .iter()
            .map(|row| Ok((agent_key(row)?, Timeline::stored(sql::number(row, "begin_block")?, Agent::read(row)?))));
        Ok(Self { timelines: timelines.collect::<Result<_, StoreError>>()? })
    }

    pub(super) fn fold(&mut self, at: &At<'_>, event: &IdentityEvent, changes: &mut Changes) {
        let Some(key) = changed_agent(at.contract.deployment, event) else { return };
        let place = &at.place;
        let timeline = self.timelines.entry(key).or_default();
        let known = timeline.current().cloned();
        let is_new = known.is_none();
        let mut agent = known.unwrap_or_else(|| Agent::new(place));
        match event {
            IdentityEvent::Registered { agent_uri, owner, .. } => {
                agent.registered = true;
                agent.set_uri(agent_uri, place);
                // Only a registry that emits no Transfer leaves the owner to be taken from here: then nothing that is
                // known of the agent is of this transaction.
                if is_new || (agent.owner.is_zero() && agent.transaction != place.transaction) {
                    agent.owner = *owner;
                }
                // What was only named before begins with its registration.
                if agent.created.block < place.block {
                    agent.created = *place;
                }
            }
            IdentityEvent::URIUpdated { new_uri, .. } => agent.set_uri(new_uri, place),
            IdentityEvent::Transfer { to, .. } => {
                agent.owner = *to;
                agent.approved = None;
            }
            IdentityEvent::Approval { approved, .. } => {
                agent.approved = Some(*approved).filter(|approved| !approved.is_zero());
            }
            IdentityEvent::MetadataSet { metadata_value, .. } => agent.wallet = wallet_of(metadata_value),
            IdentityEvent::ApprovalForAll { .. }
            | IdentityEvent::MetadataUpdate { .. }
            | IdentityEvent::BatchMetadataUpdate { .. } => return,
        }
        agent.log_index = place.log_index;
        agent.transaction = place.transaction;
        agent.updated_at = place.time;
        if manifest_agent(at.contract.deployment, event).is_some() {
            agent.manifest_at = Some(place.time);
        }
        timeline.set(place.block, agent);
        let op = if is_new { ChangeOp::Insert } else { ChangeOp::Update };
        changes.note_agent(op, key);
    }

    /// An agent's manifest as it is now; nothing until one is told.
    pub(super) fn manifest(&self, key: &AgentKey) -> Option<Manifest> {
        let agent = self.timelines.get(key)?.current()?;
        let (endpoint, pubkey, owner) = (agent.uri.clone(), agent.wallet, agent.owner);
        Some(Manifest { endpoint, pubkey, owner, told_at: agent.manifest_at? })
    }

    /// Begins an agent that an event names and that nothing was known of; the stored ones must be ruled out.
    pub(super) fn begin(&mut self, place: &Place, key: AgentKey, changes: &mut Changes) {
        let timeline = self.timelines.entry(key).or_default();
        if timeline.current().is_none() {
            timeline.set(place.block, Agent::new(place));
            changes.note_agent(ChangeOp::Insert, key);
        }
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        let ended: Vec<_> =
            self.timelines.iter().filter_map(|(key, timeline)| Some((key, timeline.ended()?.1))).collect();
        if !ended.is_empty() {
            let (deployments, ids) = arrays(ended.iter().map(|(key, _)| *key));
            let ends: Vec<i64> = ended.iter().map(|(_, end)| signed(*end)).collect();
            sql.execute(
                "UPDATE agent a SET end_block = key.end_block \
                 FROM unnest($2::smallint[], $3::numeric[], $4::bigint[]) AS key (deployment, agent_id, end_block) \
                 WHERE a.chain_id = $1 AND a.deployment = key.deployment AND a.agent_id = key.agent_id \
                 AND a.end_block IS NULL",
                &[&deployments, &ids, &ends],
            )
            .await?;
        }
        self.insert(sql).await
    }

    async fn insert(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.timelines.values().all(|timeline| timeline.versions().is_empty()) {
            return Ok(0);
        }
        let mut insert = sql.insert("agent", COLUMNS).await?;
        for (key, timeline) in &self.timelines {
            for version in timeline.versions() {
                let agent = &version.row;
                insert
                    .row(&[
                        &small(key.deployment),
                        &Numeric::from(key.agent_id),
                        &signed(version.begin),
                        &version.end.map(signed),
                        &index(agent.log_index),
                        &agent.transaction.as_slice(),
                        &signed(agent.updated_at),
                        &agent.registered,
                        &agent.owner.as_slice(),
                        &agent.approved.as_ref().map(|address| address.as_slice()),
                        &agent.wallet.as_ref().map(|address| address.as_slice()),
                        &agent.uri.readable(),
                        &agent.uri.raw_if_unclean(),
                        &agent.uri_set.map(|(block, _)| signed(block)),
                        &agent.uri_set.map(|(_, log_index)| index(log_index)),
                        &agent.manifest_at.map(signed),
                        &signed(agent.created.block),
                        &signed(agent.created.time),
                        &index(agent.created.log_index),
                        &agent.created.transaction.as_slice(),
                    ])
                    .await?;
            }
        }
        insert.finish().await
    }
}

const COLUMNS: &[(&str, Type)] = &[
    ("deployment", Type::INT2),
    ("agent_id", Type::NUMERIC),
    ("begin_block", Type::INT8),
    ("end_block", Type::INT8),
    ("log_index", Type::INT4),
    ("transaction_hash", Type::BYTEA),
    ("updated_at", Type::INT8),
    ("registered", Type::BOOL),
    ("owner", Type::BYTEA),
    ("approved", Type::BYTEA),
    ("agent_wallet", Type::BYTEA),
    ("agent_uri", Type::TEXT),
    ("agent_uri_raw", Type::BYTEA),
    ("uri_block", Type::INT8),
    ("uri_log_index", Type::INT4),
    ("manifest_at", Type::INT8),
    ("created_block", Type::INT8),
    ("created_at", Type::INT8),
    ("created_log_index", Type::INT4),
    ("created_transaction_hash", Type::BYTEA),
];

/// Undoes what happened above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM agent WHERE chain_id = $1 AND begin_block > $2", &[&signed(to)]).await?;
    sql.execute("UPDATE agent SET end_block = NULL WHERE chain_id = $1 AND end_block > $2", &[&signed(to)]).await?;
    Ok(())
}

/// The wallet that a value of `agentWallet` names: 20 bytes, or an ABI word as earlier generations wrote it.
fn wallet_of(value: &Bytes) -> Option<Address> {
    match value.len() {
        20 => Some(Address::from_slice(value)),
        32 if value[..12].iter().all(|byte| *byte == 0) => Some(Address::from_slice(&value[12..])),
        _ => None,
    }
}

/// The agent that a row names.
pub(super) fn agent_key(row: &Row) -> Result<AgentKey, StoreError> {
    let deployment: i16 = sql::column(row, "deployment")?;
    let agent_id: Numeric = sql::column(row, "agent_id")?;
    Ok(AgentKey {
        deployment: Deployment::try_from(deployment).map_err(|_| sql::corrupt("a deployment is negative"))?,
        agent_id: agent_id.to_u256().ok_or_else(|| sql::corrupt("an agent's id is no uint256"))?,
    })
}

/// The columns of an agent's key.
pub(super) const AGENT_COLUMNS: Columns = &[("deployment", Type::INT2), ("agent_id", Type::NUMERIC)];

/// An agent's key, in the order of its columns.
pub(super) fn agent_cells(key: &AgentKey) -> Vec<Cell> {
    vec![Box::new(small(key.deployment)), Box::new(Numeric::from(key.agent_id))]
}

/// Agents as the two arrays that statements take.
pub(super) fn arrays<'a>(keys: impl IntoIterator<Item = &'a AgentKey>) -> (Vec<i16>, Vec<Numeric>) {
    keys.into_iter().map(|key| (small(key.deployment), Numeric::from(key.agent_id))).unzip()
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, Bytes};

    use super::wallet_of;

    #[test]
    fn a_wallet_is_twenty_bytes_or_one_word() {
        let wallet = Address::repeat_byte(7);
        assert_eq!(wallet_of(&Bytes::copy_from_slice(wallet.as_slice())), Some(wallet));
        assert_eq!(wallet_of(&wallet.into_word().into()), Some(wallet));
        for other in [vec![], vec![1; 19], vec![1; 32], vec![1; 33]] {
            assert_eq!(wallet_of(&other.into()), None);
        }
    }
}
