//! What is told of changes, in the order in which they were committed, at least once, also to those who were away.
//!
//! A subscriber holds a [`Topic`] and a place in the log of changes, and pulls what follows: a [`Batch`] at a time, read
//! from the newest changes in memory or, further back, from the table. Equal subscribers at one place share one batch, so
//! that a thousand of them cost the questions of one. Nothing is kept for a subscriber but its place, and no connection
//! is held while it waits (F72).

mod hydrate;
mod outside;
mod sift;

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::outside::is_outside;
use super::entity::Entity;
use super::error::QueryError;
use super::filter::{Filter, Reader};
use super::networks::{BlockInfo, Contracts, Network};
use super::pin::{When, no_network};
use super::select::{Page, Record, Related, Selection};
use super::snapshot::{Limits, Snapshot};
use crate::store::Store;
use crate::store::apply::{ChangeEntity, ChangeOp};
use crate::store::feed::{Change, Heads};

/// Most changes of a batch.
const BATCH_CHANGES: i64 = 1_000;

/// How long a batch is remembered for those who come to the same place, and how many records all of them may hold.
const REMEMBERED: Duration = Duration::from_secs(30);
const REMEMBERED_RECORDS: u64 = 50_000;

/// How often a batch is asked for again while the database cannot be reached, and the first pause, doubled each time.
const ATTEMPTS: u32 = 6;
const ATTEMPT_PAUSE: Duration = Duration::from_millis(100);

/// Longest wait for a change that is named, but that readers do not see yet.
const REPLICA_WAIT: Duration = Duration::from_secs(5);

/// What a subscriber wants to be told of.
#[derive(Debug)]
pub struct Wanted {
    /// The network; nothing for the only one.
    pub chain_id: Option<i64>,
    /// The kind of change.
    pub entity: ChangeEntity,
    /// What of the entities, and which of them; nothing for blocks, of which all is told.
    pub rows: Option<(Selection, Value)>,
    /// The number of the last change that was heard of; nothing for what comes from now on.
    pub after: Option<String>,
}

/// What is told of, to all who want the same.
pub struct Topic {
    chain_id: i64,
    entity: ChangeEntity,
    rows: Option<Rows>,
    /// Equal for equal topics.
    name: Arc<str>,
}

/// Entities with their rows.
struct Rows {
    selection: Selection,
    /// As the client sent it, and as it was read.
    condition: Value,
    filter: Filter,
    contracts: Contracts,
}

/// What is told of a stretch of the log.
#[derive(Debug)]
pub struct Batch {
    /// The number up to which this is all there is.
    pub to: i64,
    /// In the order of their numbers.
    pub messages: Vec<Arc<Message>>,
}

/// A change.
#[derive(Debug)]
pub struct Message {
    /// What happened.
    pub op: ChangeOp,
    /// The id of what it happened to.
    pub id: String,
    /// The block that it happened in; of a retraction, the one that is gone.
    pub block_number: i64,
    /// That block's hash.
    pub block_hash: Vec<u8>,
    /// Its number, from which to go on.
    pub seq: i64,
    /// What it is now, where it is something that is wanted.
    pub node: Option<Node>,
}

/// What a change left.
#[derive(Debug, Clone)]
pub enum Node {
    /// An entity.
    Record(Arc<Record>),
    /// A block.
    Block(BlockInfo),
}

/// Tells subscribers of changes.
pub struct Subscriptions {
    store: Arc<Store>,
    limits: Limits,
    batches: Cache<(Arc<str>, i64, i64), Arc<Batch>>,
    /// How many batches may be read at a time: half of the connections stay for questions.
    reading: Semaphore,
}

impl Subscriptions {
    /// Over a store; the limits are those of one batch.
    #[must_use]
    pub fn new(store: Arc<Store>, limits: Limits) -> Self {
        let batches = Cache::builder()
            .time_to_live(REMEMBERED)
            .max_capacity(REMEMBERED_RECORDS)
            .weigher(|_, batch: &Arc<Batch>| batch.records())
            .build();
        let reading = Semaphore::new((store.read_connections() / 2).max(1));
        Self { store, limits, batches, reading }
    }

    /// Begins to be told: the topic and the place to begin from.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] for what cannot be asked, [`QueryError::NotFound`] for an unknown network,
    /// [`QueryError::CursorExpired`] for a place that no change of this node has.
    pub async fn open(&self, wanted: Wanted) -> Result<(Arc<Topic>, i64), QueryError> {
        let after = wanted.after.as_deref().map(read_cursor).transpose()?;
        let snapshot = Snapshot::open(&self.store, self.limits).await?;
        let opened = topic(&snapshot, wanted).await;
        let seq = opened.as_ref().ok().and_then(|topic| snapshot.network(topic.chain_id)).map(|network| network.seq);
        snapshot.close().await;
        let (topic, seq) = (opened?, seq.unwrap_or_default());
        match after {
            Some(after) if after > seq => self.wait_for(&topic, after).await?,
            _ => {}
        }
        Ok((Arc::new(topic), after.unwrap_or(seq)))
    }

    /// What follows on a place, once there is something: perhaps no message, but always a place further on.
    ///
    /// # Errors
    /// [`QueryError::CursorExpired`] where not everything that followed is kept, and of the statements.
    pub async fn next(&self, topic: &Topic, position: i64) -> Result<Arc<Batch>, Arc<QueryError>> {
        let head = self.news(topic.chain_id, position).await.map_err(Arc::new)?;
        let most = usize::try_from(BATCH_CHANGES).unwrap_or(usize::MAX);
        let to = self.store.feed().reach(topic.chain_id, position, most);
        // Further back the batches of all who read end at the same places, so that they meet.
        let to = to.unwrap_or_else(|| ((position / BATCH_CHANGES + 1) * BATCH_CHANGES).min(head));
        let mut pause = ATTEMPT_PAUSE;
        for attempt in 1.. {
            let key = (Arc::clone(&topic.name), position, to);
            match self.batches.try_get_with(key, self.batch(topic, position, to)).await {
                Err(error) if is_passing(&error) && attempt < ATTEMPTS => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                batch => return batch,
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Waits until readers see changes behind a place; returns the newest.
    async fn news(&self, chain_id: i64, position: i64) -> Result<i64, QueryError> {
        let mut heads = self.store.feed().heads();
        let seq = |heads: &Heads| heads.as_ref().and_then(|heads| heads.get(&chain_id)).map_or(0, |head| head.seq);
        let heads = heads.wait_for(|heads| seq(heads) > position).await;
        heads.map(|heads| seq(&heads)).map_err(|_| QueryError::Unavailable("this node is stopping".to_owned()))
    }

    /// A place that is ahead of all readers is one of another replica, or of another node.
    async fn wait_for(&self, topic: &Topic, after: i64) -> Result<(), QueryError> {
        let reached = self.news(topic.chain_id, after - 1);
        match tokio::time::timeout(REPLICA_WAIT, reached).await {
            Ok(reached) => reached.map(|_| ()),
            Err(_) => Err(QueryError::CursorExpired(format!(
                "`after`: this node has told nothing yet that has the number {after}; start again without it"
            ))),
        }
    }
}

impl Batch {
    /// How many records it holds, those that others are related to included; at least one.
    fn records(&self) -> u32 {
        let nodes = self.messages.iter().map(|message| match &message.node {
            Some(Node::Record(record)) => records(record),
            _ => 1,
        });
        u32::try_from(1 + nodes.sum::<usize>()).unwrap_or(u32::MAX)
    }
}

fn records(record: &Record) -> usize {
    let related = record.related.iter().map(|related| match related {
        Related::One(one) => one.as_deref().map_or(0, records),
        Related::Many(many) => many.iter().map(|record| records(record)).sum(),
    });
    1 + related.sum::<usize>()
}

impl Topic {
    /// Whether a change is, as far as its key tells, one to be told of.
    fn concerns(&self, change: &Change) -> bool {
        change.entity == self.entity.code()
            && self.rows.as_ref().is_none_or(|rows| {
                let entity = rows.selection.entity;
                let key = (entity.parse_id)(&change.key, &rows.contracts);
                !key.is_some_and(|key| is_outside(&rows.filter, entity, &key))
            })
    }
}

impl Rows {
    /// The page of those entities of these ids that are wanted.
    fn page(&self, ids: &[&str]) -> Page {
        let among = json!({ "id_in": ids });
        let filter = if self.is_unconditional() { among } else { json!({ "and": [among, self.condition] }) };
        Page { filter, first: i64::try_from(ids.len()).unwrap_or(i64::MAX).max(1), ..Page::default() }
    }

    fn is_unconditional(&self) -> bool {
        self.condition.as_object().is_none_or(serde_json::Map::is_empty)
    }
}

/// Reads what is wanted against what there is.
async fn topic(snapshot: &Snapshot, wanted: Wanted) -> Result<Topic, QueryError> {
    let chain_id = network(snapshot, wanted.chain_id)?.chain_id;
    let name = format!("{chain_id} {:?} {:?}", wanted.entity, wanted.rows).into();
    let rows = match wanted.rows {
        None => None,
        Some((mut selection, condition)) => {
            let entity: &'static Entity = selection.entity;
            let id = entity.field("id").expect("every entity has an id");
            if !selection.fields.iter().any(|field| field.name == id.name) {
                selection.fields.push(id);
            }
            let reader = Reader { contracts: snapshot.contracts(), chain_id: Some(chain_id) };
            let filter = reader.filter(entity, &condition)?;
            let rows = Rows { selection, condition, filter, contracts: snapshot.contracts().clone() };
            // What cannot be asked is told now, not with the first change.
            let scope = snapshot.scope(&When { chain_id: Some(chain_id), ..When::default() }).await?;
            snapshot.list(&scope, &rows.page(&[]), &rows.selection).await?;
            Some(rows)
        }
    };
    Ok(Topic { chain_id, entity: wanted.entity, rows, name })
}

fn network(snapshot: &Snapshot, chain_id: Option<i64>) -> Result<&Network, QueryError> {
    match (chain_id, snapshot.networks()) {
        (Some(chain_id), _) => snapshot.network(chain_id).ok_or_else(|| no_network(chain_id)),
        (None, [only]) => Ok(only),
        (None, []) => Err(QueryError::NotFound("no network is indexed here yet; ask again".to_owned())),
        (None, _) => Err(QueryError::BadInput(
            "several networks are indexed here: give `chainId`, or subscribe at /graphql/{chainId}".to_owned(),
        )),
    }
}

/// A cursor of a message: its number.
fn read_cursor(text: &str) -> Result<i64, QueryError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if is_number { text.parse().ok() } else { None };
    number.ok_or_else(|| {
        QueryError::BadInput("`after` must be the `cursor` of a message, or of `_meta`: a number".to_owned())
    })
}

/// Whether the database may answer a little later.
fn is_passing(error: &QueryError) -> bool {
    matches!(error, QueryError::Unavailable(_) | QueryError::Timeout)
}
