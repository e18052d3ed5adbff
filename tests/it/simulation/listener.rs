//! Somebody who follows what changes: comes for a while now and then, leaves in the middle, and knows in the end exactly
//! what there is.
//!
//! What is told of is the log of changes, which no table of the model has: it depends on when the node saw what.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meikan::config::Database;
use meikan::store::query::entity::{self, Entity, Kind};
use meikan::store::query::{
    Datum, Limits, Node, Page, QueryError, Record, Selection, Snapshot, Subscriptions, Wanted, When,
};
use meikan::store::{ChangeEntity, Store};
use serde_json::Value;

use super::draw::Draw;
use super::story::CHAIN_ID;

const LIMITS: Limits = Limits {
    max_rows: 1_000_000,
    statement_timeout: Duration::from_secs(60),
    validation_expires_after: Duration::from_secs(604_800),
};

/// Rows of a page of all that there is.
const PAGE_ROWS: i64 = 1_000;

/// What is followed.
const FOLLOWED: [(&str, ChangeEntity); 4] = [
    ("Agent", ChangeEntity::Agent),
    ("Feedback", ChangeEntity::Feedback),
    ("Validation", ChangeEntity::Validation),
    ("AuditEntry", ChangeEntity::Audit),
];

/// An entity's values by the names of its fields.
type Known = BTreeMap<&'static str, Datum>;

/// What is known of each entity that is followed, by its id, and the place in the log that this is of.
#[derive(Default)]
pub(super) struct Listener([Option<(BTreeMap<String, Known>, i64)>; FOLLOWED.len()]);

impl Listener {
    /// Comes to a node of its own on the database; it may leave before it has heard all.
    pub(super) async fn visit(&mut self, url: &str, draw: &mut Draw) {
        self.listen(url, |messages| draw.index(messages + 1)).await;
    }

    /// Hears all, and asserts that it knows what there is.
    pub(super) async fn assert_knows_all(&mut self, url: &str) {
        let store = self.listen(url, |messages| messages).await;
        let snapshot = Snapshot::open(&store, LIMITS).await.expect("the database answers");
        for (known, (name, _)) in self.0.iter().zip(FOLLOWED) {
            let (known, _) = known.as_ref().expect("it has heard of the network");
            let all = all(&snapshot, named(name)).await;
            for (id, entity) in &all {
                assert_eq!(known.get(id), Some(entity), "what is told of {name} {id}");
            }
            let invented: Vec<_> = known.keys().filter(|id| !all.contains_key(*id)).collect();
            assert!(invented.is_empty(), "{name} that are told of and not there: {invented:?}");
        }
        snapshot.close().await;
    }

    /// Listens to as many of the messages that there are as `hears` says.
    async fn listen(&mut self, url: &str, mut hears: impl FnMut(usize) -> usize) -> Arc<Store> {
        let database = Database { url: url.into(), read_connections: 2, ..Database::default() };
        let store = Arc::new(Store::connect(&database).await.expect("the database answers"));
        let subscriptions = Subscriptions::new(Arc::clone(&store), LIMITS);
        for (known, (name, change)) in self.0.iter_mut().zip(FOLLOWED) {
            let snapshot = Snapshot::open(&store, LIMITS).await.expect("the database answers");
            let newest = snapshot.networks().first().map(|network| network.seq);
            if let (None, Some(newest)) = (&known, newest) {
                *known = Some((all(&snapshot, named(name)).await, newest));
            }
            snapshot.close().await;
            let (Some((held, place)), Some(newest)) = (known.as_mut(), newest) else { continue };
            match follow(&subscriptions, named(name), change, held, *place, newest, &mut hears).await {
                Ok(heard) => *place = heard,
                // What it missed is not told: it asks for all anew when it comes next.
                Err(QueryError::CursorExpired(_)) => *known = None,
                Err(error) => panic!("what changed of {name} is not told: {error}"),
            }
            if known.is_none() {
                let snapshot = Snapshot::open(&store, LIMITS).await.expect("the database answers");
                let seq = snapshot.networks().first().expect("there was one").seq;
                *known = Some((all(&snapshot, named(name)).await, seq));
                snapshot.close().await;
            }
        }
        store
    }
}

/// Takes in what is told from a place on, up to a newest one, and tells where it left.
async fn follow(
    subscriptions: &Subscriptions,
    entity: &'static Entity,
    change: ChangeEntity,
    known: &mut BTreeMap<String, Known>,
    place: i64,
    newest: i64,
    hears: &mut impl FnMut(usize) -> usize,
) -> Result<i64, QueryError> {
    let rows = Some((selection(entity), Value::Null));
    let chain_id = i64::try_from(CHAIN_ID).ok();
    let wanted = Wanted { chain_id, entity: change, rows, after: Some(place.to_string()) };
    let (topic, mut place) = subscriptions.open(wanted).await?;
    while place < newest {
        let batch = subscriptions.next(&topic, place).await.map_err(|shared| match &*shared {
            QueryError::CursorExpired(reason) => QueryError::CursorExpired(reason.clone()),
            other => QueryError::Corrupt(other.to_string()),
        })?;
        let heard = hears(batch.messages.len());
        for message in &batch.messages[..heard] {
            assert!(place < message.seq, "in order: {message:?} behind {place}");
            place = message.seq;
            match &message.node {
                Some(Node::Record(record)) => known.insert(message.id.clone(), values(entity, record)),
                _ => known.remove(&message.id),
            };
        }
        if heard < batch.messages.len() {
            return Ok(place);
        }
        place = batch.to;
    }
    Ok(place)
}

fn named(name: &str) -> &'static Entity {
    entity::named(name).expect("an entity")
}

/// All fields that change only with what is told: not the operators of an owner, nor what the clock makes of a validation.
fn selection(entity: &'static Entity) -> Selection {
    let is_told = |kind: Kind| !matches!(kind, Kind::Finality | Kind::Cursor);
    let fields =
        entity.fields.iter().filter(|field| is_told(field.kind) && !["operators", "status"].contains(&field.name));
    Selection { entity, fields: fields.collect(), relations: Vec::new() }
}

fn values(entity: &'static Entity, record: &Record) -> Known {
    let fields = selection(entity).fields;
    let values = fields.iter().map(|field| (field.name, record.value(field.name).expect("it was asked for").clone()));
    values.collect()
}

/// All entities that there are.
async fn all(snapshot: &Snapshot, entity: &'static Entity) -> BTreeMap<String, Known> {
    let scope = snapshot.scope(&When::default()).await.expect("the newest block");
    let mut all = BTreeMap::new();
    loop {
        let skip = i64::try_from(all.len()).expect("some thousands");
        let page = Page { first: PAGE_ROWS, skip, ..Page::default() };
        let records = snapshot.list(&scope, &page, &selection(entity)).await.expect("a page");
        for record in &records {
            let Some(Datum::Text(id)) = record.value("id") else { panic!("{entity:?} has an id") };
            all.insert(id.clone(), values(entity, record));
        }
        if records.len() < usize::try_from(PAGE_ROWS).expect("a thousand") {
            return all;
        }
    }
}
