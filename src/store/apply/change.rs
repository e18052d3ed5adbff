//! The log of changes: what each transaction above finality inserted, updated or took back, in order.
//!
//! It feeds subscriptions, also those of a client that was away: a resume cursor is a `seq`. Keys are the ids that the
//! API gives its entities, so that a reader finds the row; only metadata is named by the hash of its key, because keys
//! may be long or unreadable.

use std::collections::HashMap;

use alloy::primitives::{B256, hex};
use tokio_postgres::types::Type;

use super::agents::AgentNames;
use super::timeline::Place;
use crate::id::AgentKey;
use crate::store::error::StoreError;
use crate::store::sql::{self, Sql, signed};

/// Changes are kept down to finality and this many blocks further (a day of Taiko).
const KEPT_BLOCKS: u64 = 43_200;

/// What happened to an entity: `change.op`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeOp {
    /// Nothing that is told: between the row before and this one, blocks changed what no row says, because they were final
    /// already. Whoever follows the log must ask for everything anew. The entity is the last of these blocks.
    Gap = 0,
    /// It began to be.
    Insert = 1,
    /// It is another than before.
    Update = 2,
    /// A rewind took the change back.
    Retract = 3,
}

/// What kind of entity: `change.entity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeEntity {
    /// A block; the key is its number.
    Block = 1,
    /// An agent, or its totals: `chainId:agentId`.
    Agent = 2,
    /// A metadata entry: `chainId:agentId:keccak256(key)`.
    Metadata = 3,
    /// A registration file: `transactionHash:datauri:logIndex`.
    RegistrationFile = 4,
    /// Feedback: `chainId:agentId:client:index`.
    Feedback = 5,
    /// A response: the feedback's id, then `:transactionHash:logIndex`.
    Response = 6,
    /// A validation: its request hash, behind `registry:` for all but the first registry.
    Validation = 7,
    /// An entry of the audit trail: `chainId:blockNumber:logIndex`.
    Audit = 8,
    /// An operator's approval: `registry:owner:operator`.
    Approval = 9,
    /// A manifest flip: the agent's id, then `:blockNumber:logIndex`.
    Flip = 10,
    /// A finding of the watchdog: `chainId:blockNumber:logIndex:RULE:subject`.
    Finding = 11,
    /// A cross-chain intent: `chainId:intentId`.
    Intent = 12,
}

impl ChangeOp {
    /// The number in the table.
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// What a number in the table means.
    #[must_use]
    pub fn of_code(code: i16) -> Option<Self> {
        [Self::Gap, Self::Insert, Self::Update, Self::Retract].into_iter().find(|op| op.code() == code)
    }
}

impl ChangeEntity {
    /// The number in the table.
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }
}

/// Whether blocks themselves come and go, or only what derives from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum BlocksAre {
    /// They come, or go.
    New,
    /// They are held and stay.
    Held,
}

/// Which changes are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Those of blocks above this one.
    pub(super) above: Option<u64>,
    pub(super) blocks: BlocksAre,
}

struct Change {
    op: ChangeOp,
    entity: ChangeEntity,
    key: String,
    block: u64,
    hash: B256,
}

/// The changes of a batch, one for each entity and block.
pub(super) struct Changes {
    pub(super) names: AgentNames,
    told: Told,
    rows: Vec<Change>,
    /// Where the changes of the block under way are in `rows`.
    seen: HashMap<(ChangeEntity, String), usize>,
    block: (u64, B256),
    /// The last block that changed something of which nothing is told.
    untold: Option<(u64, B256)>,
}

impl Changes {
    pub(super) fn new(names: AgentNames, told: Told) -> Self {
        Self { names, told, rows: Vec::new(), seen: HashMap::new(), block: (0, B256::ZERO), untold: None }
    }

    /// Everything noted from now on happened in this block.
    pub(super) fn begin_block(&mut self, number: u64, hash: B256, has_logs: bool) {
        self.block = (number, hash);
        self.seen.clear();
        if has_logs && !self.is_told(number) {
            self.untold = Some(self.block);
        }
        if self.told.blocks == BlocksAre::New {
            self.note(ChangeOp::Insert, ChangeEntity::Block, || number.to_string());
        }
    }

    /// Notes a change, once for each block; a change that inserts stays one, whatever follows in the block.
    pub(super) fn note(&mut self, op: ChangeOp, entity: ChangeEntity, key: impl FnOnce() -> String) {
        let (block, hash) = self.block;
        if !self.is_told(block) {
            return;
        }
        let key = key();
        if let Some(place) = self.seen.get(&(entity, key.clone())) {
            let earlier = &mut self.rows[*place];
            earlier.op = earlier.op.min(op);
            return;
        }
        self.seen.insert((entity, key.clone()), self.rows.len());
        self.rows.push(Change { op, entity, key, block, hash });
    }

    fn is_told(&self, block: u64) -> bool {
        self.told.above.is_none_or(|above| block > above)
    }

    /// Notes a change of an agent, or of its totals; the key is the agent's id.
    pub(super) fn note_agent(&mut self, op: ChangeOp, agent: AgentKey) {
        self.note_of_agent(op, ChangeEntity::Agent, agent, String::new);
    }

    /// Notes a change of something that an agent has; the key is the agent's id and what follows. Nothing is spelt out of
    /// what is not told: most of a backfill.
    pub(super) fn note_of_agent(
        &mut self,
        op: ChangeOp,
        entity: ChangeEntity,
        agent: AgentKey,
        rest: impl FnOnce() -> String,
    ) {
        if self.is_told(self.block.0) {
            let name = self.names.name(agent);
            self.note(op, entity, || format!("{name}{}", rest()));
        }
    }

    /// Appends the changes behind `seq`; returns the newest sequence number.
    pub(super) async fn write(&self, sql: &Sql<'_>, seq: u64) -> Result<u64, StoreError> {
        // What is not told is below what is, so the gap comes first.
        let gap = self.untold.map(|(block, hash)| Change {
            op: ChangeOp::Gap,
            entity: ChangeEntity::Block,
            key: block.to_string(),
            block,
            hash,
        });
        if self.rows.is_empty() && gap.is_none() {
            return Ok(seq);
        }
        let mut insert = sql
            .insert(
                "change",
                &[
                    ("seq", Type::INT8),
                    ("op", Type::INT2),
                    ("entity", Type::INT2),
                    ("key", Type::TEXT),
                    ("block_number", Type::INT8),
                    ("block_hash", Type::BYTEA),
                ],
            )
            .await?;
        let mut next = seq;
        for change in gap.iter().chain(&self.rows) {
            next += 1;
            let (op, entity) = (change.op.code(), change.entity.code());
            insert
                .row(&[&signed(next), &op, &entity, &change.key, &signed(change.block), &change.hash.as_slice()])
                .await?;
        }
        insert.finish().await?;
        Ok(next)
    }
}

/// The lowest block above `to` of which a change was told.
pub(super) async fn told_from(sql: &Sql<'_>, to: u64) -> Result<Option<u64>, StoreError> {
    let select = "SELECT min(block_number) AS number FROM change WHERE chain_id = $1 AND block_number > $2 AND op <> 0";
    let rows = sql.query(select, &[&signed(to)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    sql::column::<Option<i64>>(row, "number")?.map(sql::unsigned).transpose()
}

/// Takes back, newest first, every change above a block that no rewind took back before; returns the newest sequence
/// number. A block that left and came back has its changes twice, and the first ones are taken back already: each change
/// is read once, with the newest that took it back, because looking that up for each grows with the square of the forks.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64, blocks: BlocksAre, seq: u64) -> Result<u64, StoreError> {
    let spared = match blocks {
        BlocksAre::New => None,
        BlocksAre::Held => Some(ChangeEntity::Block.code()),
    };
    let retracted = sql
        .execute(
            "INSERT INTO change (chain_id, seq, op, entity, key, block_number, block_hash) \
             SELECT chain_id, $3 + row_number() OVER (ORDER BY seq DESC), 3, entity, key, block_number, block_hash \
             FROM (SELECT *, max(seq) FILTER (WHERE op = 3) \
                     OVER (PARTITION BY block_number, block_hash, entity, key) AS retracted_by \
                 FROM change WHERE chain_id = $1 AND block_number > $2) c \
             WHERE op IN (1, 2) AND entity IS DISTINCT FROM $4 AND (retracted_by IS NULL OR retracted_by < seq)",
            &[&signed(to), &signed(seq), &spared],
        )
        .await?;
    Ok(seq + retracted)
}

/// Forgets changes that are final and old: a prefix of the log, so that what is kept has no holes. The newest of them
/// stays, and says from where on the log is whole: every change from the lowest number on is kept.
pub(super) async fn prune(sql: &Sql<'_>, finalized: u64) -> Result<(), StoreError> {
    sql.execute(
        "DELETE FROM change WHERE chain_id = $1 AND seq < ( \
             SELECT max(seq) FROM change WHERE chain_id = $1 AND seq < coalesce( \
                 (SELECT min(seq) FROM change WHERE chain_id = $1 AND block_number > $2), 9223372036854775807))",
        &[&signed(finalized.saturating_sub(KEPT_BLOCKS))],
    )
    .await?;
    Ok(())
}

/// The part of an id that names an event.
pub(super) fn event_key(place: &Place) -> String {
    format!(":{}:{}", hex::encode_prefixed(place.transaction), place.log_index)
}
