//! The audit trail: one row for each event of the audit contracts, and for each governance event of any contract.
//!
//! Most events of an intent name only the intent; the agent that stated it is filled in, so that an agent's trail is
//! one index scan.

use std::collections::{BTreeSet, HashMap};

use alloy::primitives::B256;
use serde_json::Value;
use tokio_postgres::types::Type;

use super::At;
use super::change::{ChangeEntity, ChangeOp, Changes};
use super::timeline::Place;
use crate::event::{Audit, Event};
use crate::store::error::StoreError;
use crate::store::sql::{self, Sql, index, signed};

struct Entry {
    place: Place,
    contract_id: i16,
    audit: Audit,
    event: &'static str,
    fields: Value,
}

/// The entries of the audit trail that a batch adds.
#[derive(Default)]
pub(super) struct AuditTrail {
    entries: Vec<Entry>,
    /// The agents that stated the intents named in the batch.
    intents: HashMap<B256, B256>,
}

impl AuditTrail {
    pub(super) async fn load(sql: &Sql<'_>, intents: &BTreeSet<B256>) -> Result<Self, StoreError> {
        if intents.is_empty() {
            return Ok(Self::default());
        }
        let ids: Vec<&[u8]> = intents.iter().map(|intent| intent.as_slice()).collect();
        let rows = sql
            .query(
                "SELECT key.intent_id, e.wallet_agent FROM unnest($2::bytea[]) AS key (intent_id) \
                 CROSS JOIN LATERAL (SELECT e.wallet_agent FROM audit_event e WHERE e.chain_id = $1 \
                     AND e.intent_id = key.intent_id AND e.wallet_agent IS NOT NULL \
                     ORDER BY e.begin_block, e.log_index LIMIT 1) e",
                &[&ids],
            )
            .await?;
        let known = rows.iter().map(|row| Ok((sql::hash(row, "intent_id")?, sql::hash(row, "wallet_agent")?)));
        Ok(Self { entries: Vec::new(), intents: known.collect::<Result<_, StoreError>>()? })
    }

    pub(super) fn fold(&mut self, at: &At<'_>, event: &Event, changes: &mut Changes) {
        let Some(mut audit) = event.audit() else { return };
        match (audit.intent_id, audit.wallet_agent) {
            (Some(intent), Some(agent)) => {
                self.intents.entry(intent).or_insert(agent);
            }
            (Some(intent), None) => audit.wallet_agent = self.intents.get(&intent).copied(),
            (None, _) => {}
        }
        let chain = changes.names.chain_id();
        changes.note(ChangeOp::Insert, ChangeEntity::Audit, || {
            format!("{chain}:{}:{}", at.place.block, at.place.log_index)
        });
        self.entries.push(Entry {
            place: at.place,
            contract_id: at.contract.id,
            audit,
            event: event.name(),
            fields: Value::Object(event.fields()),
        });
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.entries.is_empty() {
            return Ok(0);
        }
        let mut insert = sql
            .insert(
                "audit_event",
                &[
                    ("begin_block", Type::INT8),
                    ("log_index", Type::INT4),
                    ("transaction_hash", Type::BYTEA),
                    ("created_at", Type::INT8),
                    ("contract_id", Type::INT2),
                    ("kind", Type::TEXT),
                    ("event", Type::TEXT),
                    ("wallet_agent", Type::BYTEA),
                    ("intent_id", Type::BYTEA),
                    ("commitment_hash", Type::BYTEA),
                    ("actor", Type::BYTEA),
                    ("fields", Type::JSONB),
                ],
            )
            .await?;
        for Entry { place, contract_id, audit, event, fields } in &self.entries {
            insert
                .row(&[
                    &signed(place.block),
                    &index(place.log_index),
                    &place.transaction.as_slice(),
                    &signed(place.time),
                    contract_id,
                    &audit.kind.name(),
                    event,
                    &audit.wallet_agent.as_ref().map(|hash| hash.as_slice()),
                    &audit.intent_id.as_ref().map(|hash| hash.as_slice()),
                    &audit.commitment_hash.as_ref().map(|hash| hash.as_slice()),
                    &audit.actor.as_ref().map(|address| address.as_slice()),
                    fields,
                ])
                .await?;
        }
        insert.finish().await
    }
}

/// Undoes what happened above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM audit_event WHERE chain_id = $1 AND begin_block > $2", &[&signed(to)]).await?;
    Ok(())
}
