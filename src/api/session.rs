//! One request: its network, its limits, and the one state of the database that all of it is answered from.
//!
//! The snapshot is opened by the first root that needs it, after the wait for a block that any root asks for, so that
//! all roots see the same state (F73). A request without rows (introspection) opens none. The first try is made without a
//! transaction; if a commit comes between its statements, the request is answered anew in one.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_graphql::parser::types::{Field, Selection};
use async_graphql::{Name, Value};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::error;
use crate::id::AccountId;
use crate::store::Store;
use crate::store::query::{Limits, QueryError, Snapshot, Subscriptions, wait_for_block, wait_for_commit};

/// What a request is answered with.
pub(super) struct Session {
    store: Arc<Store>,
    /// The network of the address that was asked; nothing for all.
    pub(super) chain_id: Option<i64>,
    pub(super) synced: Synced,
    max_rows: u32,
    validation_expires_after: Duration,
    deadline: Instant,
    longest_wait: Duration,
    /// Whether the state is held by a transaction, whatever is known of it.
    in_transaction: bool,
    snapshot: OnceCell<Snapshot>,
}

/// One subscription: its network, and how far it has come.
pub(super) struct Subscriber {
    pub(super) subscriptions: Arc<Subscriptions>,
    /// The network of the address that was asked; nothing for all.
    pub(super) chain_id: Option<i64>,
    /// The number of the last change that was handed out, or passed over; -1 before the first place is known.
    place: AtomicI64,
}

impl Subscriber {
    pub(super) fn new(subscriptions: Arc<Subscriptions>, chain_id: Option<i64>) -> Self {
        Self { subscriptions, chain_id, place: AtomicI64::new(-1) }
    }

    /// Notes the place.
    pub(super) fn is_at(&self, place: i64) {
        self.place.store(place, Ordering::Relaxed);
    }

    /// What to go on from, once it has begun.
    pub(super) fn cursor(&self) -> Option<String> {
        let place = self.place.load(Ordering::Relaxed);
        (place >= 0).then(|| place.to_string())
    }
}

/// When a network counts as synced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Synced {
    pub(super) lag_blocks: i64,
    pub(super) lag_seconds: i64,
}

impl Session {
    pub(super) fn new(store: Arc<Store>, config: &crate::config::Api, chain_id: Option<i64>) -> Self {
        Self {
            store,
            chain_id,
            synced: Synced {
                lag_blocks: i64::try_from(config.ready_lag_blocks).unwrap_or(i64::MAX),
                lag_seconds: i64::try_from(config.ready_lag_seconds).unwrap_or(i64::MAX),
            },
            max_rows: config.max_rows,
            validation_expires_after: Duration::from_secs(config.validation_expires_after_seconds),
            deadline: Instant::now() + Duration::from_millis(config.request_timeout_ms),
            longest_wait: Duration::from_millis(config.wait_for_block_ms),
            in_transaction: false,
            snapshot: OnceCell::new(),
        }
    }

    /// The same request anew, in a transaction and with what is left of its time.
    pub(super) fn anew(&self) -> Self {
        Self { store: Arc::clone(&self.store), in_transaction: true, snapshot: OnceCell::new(), ..*self }
    }

    /// Whether a commit came before its last statement.
    pub(super) async fn has_moved(&self) -> bool {
        match self.snapshot.get() {
            Some(snapshot) if !self.in_transaction => snapshot.has_moved().await,
            _ => false,
        }
    }

    /// When the request must be answered.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The state that the request is answered from.
    pub(super) async fn snapshot(&self, ctx: &async_graphql::Context<'_>) -> Result<&Snapshot, async_graphql::Error> {
        self.snapshot
            .get_or_try_init(|| async {
                for (chain_id, number) in awaited_blocks(ctx) {
                    let left = self.deadline.saturating_duration_since(Instant::now());
                    let chain_id = chain_id.or(self.chain_id);
                    wait_for_block(&self.store, chain_id, number, self.longest_wait.min(left)).await;
                }
                let left = self.deadline.saturating_duration_since(Instant::now());
                let limits = self.limits(left);
                if self.in_transaction {
                    Snapshot::open(&self.store, limits).await
                } else {
                    Snapshot::open_known(&self.store, limits).await
                }
            })
            .await
            .map_err(|reason: QueryError| error::from_query(reason))
    }

    /// The state in which a commit of a network can be read: another one than the request's, because a mutation moves on.
    ///
    /// # Errors
    /// As of [`Snapshot::open`].
    pub(super) async fn after(&self, chain_id: i64, seq: u64) -> Result<Snapshot, async_graphql::Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        wait_for_commit(&self.store, chain_id, i64::try_from(seq).unwrap_or(i64::MAX), left).await;
        let left = self.deadline.saturating_duration_since(Instant::now());
        Snapshot::open(&self.store, self.limits(left)).await.map_err(error::from_query)
    }

    fn limits(&self, left: Duration) -> Limits {
        Limits {
            max_rows: self.max_rows,
            statement_timeout: left,
            validation_expires_after: self.validation_expires_after,
        }
    }

    /// Makes sure that a document is for the network of the address that it was sent to.
    ///
    /// # Errors
    /// BAD_INPUT where it is for another one.
    pub(super) fn check_chain(&self, signer: &str) -> Result<(), async_graphql::Error> {
        let Some(own) = self.chain_id else { return Ok(()) };
        let other = signer.parse::<AccountId>().ok().filter(|signer| i64::try_from(signer.chain_id) != Ok(own));
        if other.is_none() {
            return Ok(());
        }
        let message = format!("`signer`: this address takes documents of chain {own} alone; send others to /graphql");
        Err(error::error(error::Code::BadInput, message))
    }

    /// As of which block each network was answered: the value of `x-block`.
    pub(super) fn blocks(&self) -> Option<String> {
        let networks = self.snapshot.get()?.networks().iter();
        let blocks: Vec<String> = networks
            .filter(|network| self.chain_id.is_none_or(|chain_id| chain_id == network.chain_id))
            .filter_map(|network| Some(format!("{}={}", network.chain_id, network.indexed.as_ref()?.number)))
            .collect();
        (!blocks.is_empty()).then(|| blocks.join(", "))
    }

    /// Whether it was answered from the newest state of its networks that is known of.
    pub(super) fn is_newest(&self) -> bool {
        self.snapshot.get().is_none_or(|snapshot| snapshot.is_newest(&self.store, self.chain_id))
    }

    /// Gives the connection back.
    pub(super) async fn close(self: Arc<Self>) {
        if let Some(snapshot) = Arc::into_inner(self).and_then(|session| session.snapshot.into_inner()) {
            snapshot.close().await;
        }
    }
}

/// Every `block: {number_gte}` of the roots, with the root's `chainId`.
fn awaited_blocks(ctx: &async_graphql::Context<'_>) -> Vec<(Option<i64>, i64)> {
    let mut awaited = Vec::new();
    let mut open: Vec<_> = ctx.query_env.operation.node.selection_set.node.items.iter().collect();
    while let Some(item) = open.pop() {
        match &item.node {
            Selection::Field(field) => {
                if let Some(number) = argument(ctx, &field.node, "block").and_then(|block| number_gte(&block)) {
                    let chain_id = argument(ctx, &field.node, "chainId").and_then(|value| integer(&value));
                    awaited.push((chain_id, number));
                }
            }
            Selection::InlineFragment(fragment) => open.extend(&fragment.node.selection_set.node.items),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = ctx.query_env.fragments.get(&spread.node.fragment_name.node) {
                    open.extend(&fragment.node.selection_set.node.items);
                }
            }
        }
    }
    awaited
}

fn argument(ctx: &async_graphql::Context<'_>, field: &Field, name: &str) -> Option<Value> {
    let value = field.get_argument(name)?.node.clone();
    value.into_const_with(|variable| Ok::<_, ()>(variable_value(ctx, &variable))).ok()
}

fn variable_value(ctx: &async_graphql::Context<'_>, name: &Name) -> Value {
    let definitions = &ctx.query_env.operation.node.variable_definitions;
    let default = || {
        let definition = definitions.iter().find(|definition| definition.node.name.node == *name)?;
        definition.node.default_value().cloned()
    };
    ctx.query_env.variables.get(name).cloned().or_else(default).unwrap_or_default()
}

fn number_gte(block: &Value) -> Option<i64> {
    match block {
        Value::Object(members) => members.get("number_gte").and_then(integer),
        _ => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        _ => None,
    }
}
