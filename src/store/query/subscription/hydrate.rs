//! A stretch of the log of changes with what they left, read in one snapshot.
//!
//! Changes are shown as of their own blocks, so that each says what it said when it was committed, however late it is
//! read.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::sift::{Kept, sift};
use super::{Batch, Message, Node, Rows, Subscriptions, Topic};
use crate::store::apply::{ChangeEntity, ChangeOp};
use crate::store::feed::Change;
use crate::store::query::error::QueryError;
use crate::store::query::networks::BlockInfo;
use crate::store::query::pin::{BlockPin, When};
use crate::store::query::select::{Record, Selection};
use crate::store::query::snapshot::Snapshot;
use crate::store::query::sql::{Datum, Statement};

/// Looks for a replica that has what another one showed, and the pause between them.
const REPLICA_LOOKS: u32 = 50;
const REPLICA_PAUSE: Duration = Duration::from_millis(50);

/// What was found, by the block that it was asked as of and its id.
type Found<'a> = HashMap<(i64, &'a str), Arc<Record>>;

impl Subscriptions {
    /// What is told of the changes behind `from` up to `to`.
    pub(super) async fn batch(&self, topic: &Topic, from: i64, to: i64) -> Result<Arc<Batch>, QueryError> {
        let held = self.store.feed().between(topic.chain_id, from, to);
        if let Some(changes) = &held {
            check_whole(changes)?;
            if !changes.iter().any(|change| topic.concerns(change)) {
                return Ok(Arc::new(Batch { to, messages: Vec::new() }));
            }
        }
        let permit = self.reading.acquire().await;
        let _permit = permit.map_err(|_| QueryError::Unavailable("this node is stopping".to_owned()))?;
        let snapshot = self.snapshot_at(topic.chain_id, to).await?;
        let messages = messages(&snapshot, topic, held, (from, to)).await;
        snapshot.close().await;
        Ok(Arc::new(Batch { to, messages: messages? }))
    }

    /// A snapshot that has every change up to `to`.
    async fn snapshot_at(&self, chain_id: i64, to: i64) -> Result<Snapshot, QueryError> {
        for _ in 0..REPLICA_LOOKS {
            let snapshot = Snapshot::open(&self.store, self.limits).await?;
            if snapshot.network(chain_id).is_some_and(|network| network.seq >= to) {
                return Ok(snapshot);
            }
            snapshot.close().await;
            tokio::time::sleep(REPLICA_PAUSE).await;
        }
        Err(QueryError::Unavailable("a replica is behind".to_owned()))
    }
}

async fn messages(
    snapshot: &Snapshot,
    topic: &Topic,
    held: Option<Vec<Arc<Change>>>,
    (from, to): (i64, i64),
) -> Result<Vec<Arc<Message>>, QueryError> {
    let changes = match held {
        Some(changes) => changes,
        None => stored(snapshot, topic.chain_id, from, to).await?,
    };
    check_whole(&changes)?;
    let ahead = ahead(snapshot, topic, to).await?;
    let mut kept = sift(&changes, topic.entity, ahead);
    kept.retain(|kept| topic.concerns(kept.change));
    let messages = match &topic.rows {
        None => blocks(snapshot, topic.chain_id, &kept).await?,
        Some(rows) => entities(snapshot, topic.chain_id, rows, &kept).await?,
    };
    Ok(messages.into_iter().map(Arc::new).collect())
}

/// Makes sure that a stretch of the log says all that changed.
fn check_whole(changes: &[Arc<Change>]) -> Result<(), QueryError> {
    if changes.iter().any(|change| change.op == ChangeOp::Gap) {
        return Err(QueryError::CursorExpired(
            "this node took up blocks that were final already, whose changes are not told one by one; ask for what you \
             follow anew, and go on from `_meta { cursor }` of that answer"
                .to_owned(),
        ));
    }
    Ok(())
}

/// The rows of the table, which must be all that there were.
async fn stored(snapshot: &Snapshot, chain_id: i64, from: i64, to: i64) -> Result<Vec<Arc<Change>>, QueryError> {
    let mut oldest = Statement::default();
    let chain = oldest.bind(chain_id);
    oldest.push(&format!("SELECT min(seq) FROM change WHERE chain_id = {chain}"));
    let oldest: Option<i64> = match snapshot.query(&oldest).await?.first() {
        Some(row) => row.try_get(0)?,
        None => None,
    };
    if oldest.is_some_and(|oldest| from + 1 < oldest) {
        return Err(QueryError::CursorExpired(
            "`after`: changes as old as this are not kept any more; ask for what you follow anew, and go on from \
             `_meta { cursor }` of that answer"
                .to_owned(),
        ));
    }
    let mut select = Statement::default();
    let (chain, from, to) = (select.bind(chain_id), select.bind(from), select.bind(to));
    select.push(&format!(
        "SELECT {} FROM change WHERE chain_id = {chain} AND seq > {from} AND seq <= {to} ORDER BY seq",
        Change::COLUMNS
    ));
    snapshot.query(&select).await?.iter().map(|row| Change::read(row, 0).map(Arc::new)).collect()
}

/// The lowest block that is taken back beyond the stretch, as far as the snapshot sees.
async fn ahead(snapshot: &Snapshot, topic: &Topic, to: i64) -> Result<Option<i64>, QueryError> {
    let seq = snapshot.network(topic.chain_id).map_or(to, |network| network.seq);
    if seq <= to {
        return Ok(None);
    }
    let of_blocks = if topic.entity == ChangeEntity::Block { " AND entity = 1" } else { "" };
    let mut select = Statement::default();
    let (chain, to) = (select.bind(topic.chain_id), select.bind(to));
    select.push(&format!(
        "SELECT min(block_number) FROM change WHERE chain_id = {chain} AND seq > {to} AND op = 3{of_blocks}"
    ));
    let rows = snapshot.query(&select).await?;
    rows.first().map_or(Ok(None), |row| Ok(row.try_get(0)?))
}

fn message(kept: &Kept<'_>, node: Option<Node>) -> Message {
    let change = kept.change;
    Message {
        op: change.op,
        id: change.key.clone(),
        block_number: change.block,
        block_hash: change.hash.clone(),
        seq: change.seq,
        node,
    }
}

/// Blocks: one that is taken back leaves nothing.
async fn blocks(snapshot: &Snapshot, chain_id: i64, kept: &[Kept<'_>]) -> Result<Vec<Message>, QueryError> {
    let added = kept.iter().filter(|kept| kept.change.op != ChangeOp::Retract);
    let held = snapshot.blocks(chain_id, added.map(|kept| kept.change.block).collect()).await?;
    let block = |change: &Change| {
        let header = held.iter().find(|block| block.number == change.block);
        // A header without events is let go once it is final.
        let bare = BlockInfo { number: change.block, hash: None, timestamp: None, parent_hash: None };
        BlockInfo { hash: Some(change.hash.clone()), ..header.cloned().unwrap_or(bare) }
    };
    let node = |kept: &Kept<'_>| (kept.change.op != ChangeOp::Retract).then(|| Node::Block(block(kept.change)));
    Ok(kept.iter().map(|kept| message(kept, node(kept))).collect())
}

/// Entities, each as of the block that shows what its change left.
async fn entities(
    snapshot: &Snapshot,
    chain_id: i64,
    rows: &Rows,
    kept: &[Kept<'_>],
) -> Result<Vec<Message>, QueryError> {
    let found = find(snapshot, chain_id, rows, &rows.selection, kept.iter().map(|kept| (kept.as_of, kept))).await?;
    let key = |kept: &Kept<'_>| (kept.as_of, kept.change.key.clone());
    let is_found = |kept: &Kept<'_>| found.contains_key(&(kept.as_of, kept.change.key.as_str()));
    // What does not pass any more is told to those for whom it did until then.
    let mut left = HashSet::new();
    if !rows.is_unconditional() {
        let lost = kept.iter().filter(|kept| kept.change.op != ChangeOp::Retract && !is_found(kept));
        let id = rows.selection.entity.field("id").into_iter().collect();
        let ids = Selection { entity: rows.selection.entity, fields: id, relations: Vec::new() };
        let before = find(snapshot, chain_id, rows, &ids, lost.map(|kept| (kept.as_of - 1, kept))).await?;
        left.extend(before.into_keys().map(|(block, id)| (block + 1, id.to_owned())));
    }
    let told = kept.iter().filter_map(|kept| {
        let node = found.get(&(kept.as_of, kept.change.key.as_str())).map(|record| Node::Record(Arc::clone(record)));
        let is_told = node.is_some() || kept.change.op == ChangeOp::Retract || left.contains(&key(kept));
        is_told.then(|| message(kept, node))
    });
    Ok(told.collect())
}

/// The entities of these changes that are wanted, each as of the block that stands beside its change: one question for
/// each block.
async fn find<'a>(
    snapshot: &Snapshot,
    chain_id: i64,
    rows: &Rows,
    selection: &Selection,
    wanted: impl Iterator<Item = (i64, &'a Kept<'a>)>,
) -> Result<Found<'a>, QueryError> {
    let mut keys: BTreeMap<i64, BTreeSet<&'a str>> = BTreeMap::new();
    for (block, kept) in wanted.filter(|(block, _)| *block >= 0) {
        keys.entry(block).or_default().insert(&kept.change.key);
    }
    let mut found = HashMap::new();
    for (block, keys) in keys {
        let when = When { chain_id: Some(chain_id), block: BlockPin::Number(block), min_finality: None };
        let scope = snapshot.scope(&when).await?;
        let ids: Vec<&str> = keys.iter().copied().collect();
        for record in snapshot.list(&scope, &rows.page(&ids), selection).await? {
            if let Some(Datum::Text(id)) = record.value("id")
                && let Some(key) = keys.get(id.as_str())
            {
                found.insert((block, *key), record);
            }
        }
    }
    Ok(found)
}
