//! Word of new heads over WebSocket: a hint that it is worth looking, never a fact (F26). What it says of the head tells what
//! may be asked for meanwhile.
//!
//! One task per WebSocket endpoint keeps a subscription to `newHeads`. A connection that broke, or that has been silent
//! for too long (F27), is dropped and made anew, for ever, with rests in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy::primitives::B256;
use alloy::pubsub::RawSubscription;
use serde_json::json;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::check;
use super::classify::Kind;
use super::endpoint::{Call, Endpoint};
use super::error::Failure;
use super::wire::WireHeader;
use crate::block::Header;

/// A subscription that is silent for as many request deadlines is held to be dead. Reconnecting costs little where a
/// chain is only slow.
const SILENT_DEADLINES: u32 = 3;

/// Rest before the first attempt to reconnect; each further one doubles it.
const FIRST_REST: Duration = Duration::from_millis(500);

/// Longest rest between attempts to reconnect.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Hint {
    heads: Arc<Heads>,
    tasks: Vec<JoinHandle<()>>,
}

/// A head as an endpoint announced it.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) header: Header,
}

/// What was heard since somebody last asked.
#[derive(Debug, Default)]
struct Heads {
    heard: Notify,
    newest: Mutex<Option<Announced>>,
}

impl Heads {
    fn hear(&self, announced: Option<Announced>) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = announced;
        self.heard.notify_one();
    }
}

impl Hint {
    /// Listens to the WebSocket endpoints among these; `verify` is asked before each subscription whether the endpoint
    /// is (still) of the right chain.
    pub(super) fn listen<V, F>(endpoints: &[Arc<Endpoint>], verify: V) -> Self
    where
        V: Fn(Arc<Endpoint>) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), Failure>> + Send,
    {
        let heads = Arc::new(Heads::default());
        let websockets = endpoints.iter().filter(|endpoint| endpoint.is_websocket());
        let tasks = websockets.map(|endpoint| {
            let (endpoint, heads, verify) = (Arc::clone(endpoint), Arc::clone(&heads), verify.clone());
            tokio::spawn(async move {
                let mut rest = FIRST_REST;
                loop {
                    let failure = match verify(Arc::clone(&endpoint)).await {
                        Ok(()) => follow(&endpoint, &heads, &mut rest).await,
                        Err(failure) => failure,
                    };
                    tracing::debug!(%failure, rest_ms = rest.as_millis(), "newHeads is interrupted; subscribing again");
                    endpoint.disconnect().await;
                    sleep(rest).await;
                    rest = (rest * 2).min(LONGEST_REST);
                }
            })
        });
        Self { tasks: tasks.collect(), heads }
    }

    /// Resolves when a head was announced since it last resolved, with the newest one if its words could be read; never
    /// without a WebSocket endpoint.
    pub(super) async fn new_head(&self) -> Option<Announced> {
        if self.tasks.is_empty() {
            std::future::pending::<()>().await;
        }
        self.heads.heard.notified().await;
        self.heads.newest.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Hint {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Passes heads on until the subscription ends, and tells why it did.
async fn follow(endpoint: &Arc<Endpoint>, heads: &Heads, rest: &mut Duration) -> Failure {
    let call = Call { method: "eth_subscribe", params: json!(["newHeads"]) };
    let mut subscription = match subscribe(endpoint, &call).await {
        Ok(subscription) => subscription,
        Err(failure) => return failure,
    };
    // What happened while nobody listened is worth a look, too.
    heads.hear(None);
    let longest_silence = endpoint.deadline * SILENT_DEADLINES;
    loop {
        match timeout(longest_silence, subscription.recv()).await {
            Ok(Ok(told)) => {
                *rest = FIRST_REST;
                let header = serde_json::from_str::<WireHeader>(told.get()).ok();
                let header = header.and_then(|wire| check::header(None, wire).ok());
                heads.hear(header.map(|header| Announced { endpoint: Arc::clone(endpoint), header }));
            }
            Ok(Err(RecvError::Lagged(_))) => heads.hear(None),
            Ok(Err(RecvError::Closed)) => return endpoint.failure(Kind::Unreachable, &call, "the connection closed"),
            Err(_) => {
                let message = format!("no head for {longest_silence:?}");
                return endpoint.failure(Kind::Timeout, &call, &message);
            }
        }
    }
}

async fn subscribe(endpoint: &Endpoint, call: &Call) -> Result<RawSubscription, Failure> {
    let id: B256 = endpoint.request(call).await?;
    let client = endpoint.client().await.map_err(|error| endpoint.failed(call, &error))?;
    let gone = || endpoint.failure(Kind::Unreachable, call, "the connection closed");
    let frontend = client.pubsub_frontend().ok_or_else(gone)?;
    frontend.get_subscription(id).await.map_err(|error| endpoint.failed(call, &error))
}
