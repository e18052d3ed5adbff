//! What the watchdog found: facts, each under the event that was judged.

use alloy::primitives::{B256, hex};
use serde_json::Value;
use tokio_postgres::types::Type;

use super::change::{ChangeEntity, ChangeOp, Changes};
use super::mark::Mark;
use super::timeline::Place;
use super::watchdog::Verdict;
use crate::store::error::StoreError;
use crate::store::sql::{Sql, index, signed};

struct Finding {
    place: Place,
    contract_id: i16,
    wallet_agent: Option<B256>,
    intent_id: Option<B256>,
    verdict: Verdict,
}

/// The findings that a batch adds.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Enters what is wrong with an event of a contract.
    pub(super) fn add(
        &mut self,
        place: &Place,
        contract_id: i16,
        wallet_agent: Option<B256>,
        intent_id: Option<B256>,
        verdict: Verdict,
        changes: &mut Changes,
    ) {
        let chain = changes.names.chain_id();
        changes.note(ChangeOp::Insert, ChangeEntity::Finding, || {
            let (rule, subject) = (verdict.rule.name(), hex::encode_prefixed(verdict.subject));
            format!("{chain}:{}:{}:{rule}:{subject}", place.block, place.log_index)
        });
        self.0.push(Finding { place: *place, contract_id, wallet_agent, intent_id, verdict });
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let mut insert = sql.insert("finding", COLUMNS).await?;
        for Finding { place, contract_id, wallet_agent, intent_id, verdict } in &self.0 {
            let [related_block, related_log_index] = Mark::cells(verdict.related);
            insert
                .row(&[
                    &signed(place.block),
                    &index(place.log_index),
                    &verdict.rule.name(),
                    &verdict.subject.as_slice(),
                    &place.transaction.as_slice(),
                    &signed(place.time),
                    contract_id,
                    &wallet_agent.as_ref().map(|hash| hash.as_slice()),
                    &intent_id.as_ref().map(|hash| hash.as_slice()),
                    &*related_block,
                    &*related_log_index,
                    &Value::Object(verdict.details.clone()),
                ])
                .await?;
        }
        insert.finish().await
    }
}

const COLUMNS: &[(&str, Type)] = &[
    ("begin_block", Type::INT8),
    ("log_index", Type::INT4),
    ("rule", Type::TEXT),
    ("subject", Type::BYTEA),
    ("transaction_hash", Type::BYTEA),
    ("created_at", Type::INT8),
    ("contract_id", Type::INT2),
    ("wallet_agent", Type::BYTEA),
    ("intent_id", Type::BYTEA),
    ("related_block", Type::INT8),
    ("related_log_index", Type::INT4),
    ("details", Type::JSONB),
];

/// Undoes what happened above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM finding WHERE chain_id = $1 AND begin_block > $2", &[&signed(to)]).await?;
    Ok(())
}
