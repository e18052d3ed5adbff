//! A follower that is left to itself: it hears of new blocks over WebSocket, and looks for them without one.

use std::sync::Arc;

use meikan::config::{Database, Follow, Network};
use meikan::follow::{Stop, Until, follow};
use meikan::store::Store;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::stage::Stage;
use crate::support::node::{DEADLINE, LOOK_EVERY};
use crate::support::postgres::{TestDatabase, connect};

/// A poll that never comes while a test runs.
const ONE_HOUR_MS: u64 = 3_600_000;

/// The loop, running.
struct Live {
    cancel: CancellationToken,
    task: JoinHandle<Stop>,
    client: Client,
    _database: TestDatabase,
}

impl Live {
    async fn start(network: Network) -> Self {
        let database = TestDatabase::create().await;
        let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
        store.migrate().await.unwrap();
        let cancel = CancellationToken::new();
        let store = Arc::new(store);
        let task = tokio::spawn({
            let cancel = cancel.clone();
            async move { follow(&store, &network, Until::Forever, &cancel).await.unwrap() }
        });
        Self { cancel, task, client: connect(database.url()).await, _database: database }
    }

    async fn tip(&self) -> Option<u64> {
        let tip = self.client.query_opt("SELECT tip_number FROM cursor WHERE tip_number IS NOT NULL", &[]).await;
        tip.unwrap().map(|row| row.get::<_, i64>(0).unsigned_abs())
    }

    /// Waits until that block is committed.
    async fn committed(&self, block: u64) {
        let reached = async {
            while self.tip().await.is_none_or(|tip| tip < block) {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("block {block} is not committed"));
    }

    async fn stop(self) {
        self.cancel.cancel();
        assert_eq!(timeout(DEADLINE, self.task).await.unwrap().unwrap(), Stop::Cancelled);
    }
}

fn network(stage: &Stage, urls: Vec<String>, poll_interval_ms: u64) -> Network {
    let follow = Follow { poll_interval_ms, ..Follow::default() };
    Network { rpc_urls: urls, follow, ..stage.network.clone() }
}

#[tokio::test]
async fn f26_a_new_head_over_websocket_ends_the_wait() {
    let stage = Stage::start().await;
    let urls = vec![stage.network.rpc_urls[0].clone(), stage.ws_url()];
    let live = Live::start(network(&stage, urls, ONE_HOUR_MS)).await;
    live.committed(stage.head().await).await;
    // The subscription begins when it does; from then on, each block is heard of.
    let (begin, first) = (Instant::now(), stage.head().await);
    while live.tip().await == Some(first) {
        assert!(begin.elapsed() < DEADLINE, "no block was heard of");
        stage.mine([]).await;
        sleep(LOOK_EVERY).await;
    }
    live.committed(stage.head().await).await;
    stage.populate().await;
    live.committed(stage.head().await).await;
    live.stop().await;
}

#[tokio::test]
async fn a_websocket_alone_is_enough() {
    let stage = Stage::start().await;
    let live = Live::start(network(&stage, vec![stage.ws_url()], 50)).await;
    live.committed(stage.head().await).await;
    stage.populate().await;
    live.committed(stage.head().await).await;
    live.stop().await;
}

#[tokio::test]
async fn without_a_websocket_the_head_is_polled() {
    let stage = Stage::start().await;
    let live = Live::start(network(&stage, stage.network.rpc_urls.clone(), 50)).await;
    live.committed(stage.head().await).await;
    stage.populate().await;
    live.committed(stage.head().await).await;
    live.stop().await;
}
