//! The node: how it starts, the steps that it takes, and how it dies.

use std::sync::Arc;
use std::time::Duration;

use meikan::chain::Chain;
use meikan::config::Database;
use meikan::fault::Fault;
use meikan::follow::{FollowError, Follower, Outcome};
use meikan::store::{Store, Writer};
use tokio::time::{pause, resume, sleep};

use super::super::endpoint::{Manners, transports};
use super::{CHAIN_ID, Story};

/// Looks at a lock that somebody who has just died still holds, one a millisecond.
const LOCK_LOOKS: usize = 20_000;

/// A node: what a process holds.
pub(super) struct Node {
    pub(super) chain: Arc<Chain>,
    pub(super) store: Arc<Store>,
    pub(super) follower: Follower,
}

impl Story<'_> {
    /// Makes sure that there is a node.
    pub(super) async fn ready(&mut self) {
        if self.node.is_some() {
            return;
        }
        let chain = Arc::new(self.connect_to_chain().await);
        let store = self.connect().await;
        // Once is enough, and takes longer than a step.
        if !self.registered || self.draw.one_in(8) {
            store.register(&self.network, chain.genesis_hash()).await.expect("the network is the same");
            self.registered = true;
        }
        let writer = self.writer(&store).await;
        let follower = Follower::new(&self.network, Arc::clone(&chain), writer);
        self.node = Some(Node { chain, store, follower });
    }

    /// A start needs one endpoint that answers: who starts it tries again, and in the end one comes back (F42).
    async fn connect_to_chain(&mut self) -> Chain {
        pause();
        for attempt in 0.. {
            let transports = transports(&self.net, &self.crash);
            match Box::pin(Chain::over(&self.network, transports)).await {
                Ok(chain) => {
                    resume();
                    return chain;
                }
                Err(error) => assert!(attempt < 10, "no start: {error}"),
            }
            if attempt > 3 {
                self.net().manners[0] = Manners::default();
            }
            sleep(Duration::from_secs(1)).await;
        }
        unreachable!("the attempts are bounded");
    }

    pub(super) async fn connect(&self) -> Arc<Store> {
        let host = self.relay.folder().display().to_string().replace('/', "%2F");
        let address = self.stage.url.split_once("://").expect("a URL has a scheme").1;
        let (user, rest) = address.split_once('@').unwrap_or(("postgres", address));
        let name = rest.rsplit_once('/').expect("a URL names a database").1;
        let name = name.split('?').next().expect("a split has a first part");
        let url = format!("postgres://{user}@{host}/{name}");
        let database = Database { url, read_connections: 1, ..Database::default() };
        Arc::new(Store::connect(&database).await.expect("the database answers"))
    }

    pub(super) async fn writer(&self, store: &Store) -> Writer {
        for _ in 0..LOCK_LOOKS {
            match store.writer(CHAIN_ID).await {
                Ok(Some(writer)) => return writer,
                Ok(None) => {}
                Err(error) => assert_ne!(error.fault(), Fault::Fatal, "{error}"),
            }
            sleep(Duration::from_millis(1)).await;
        }
        panic!("somebody else writes");
    }

    /// One step; whether it came to its end.
    pub(super) async fn step(&mut self) -> bool {
        self.ready().await;
        let node = self.node.as_mut().expect("the node is ready");
        pause();
        let result = tokio::select! {
            biased;
            () = self.crash.comes() => None,
            result = Box::pin(node.follower.step()) => Some(result),
        };
        resume();
        let Some(result) = result else {
            self.tell("  crashed".into());
            return false;
        };
        match result {
            Ok(outcome) => {
                let line = format!("  {}", words(&outcome));
                self.tell(line);
            }
            Err(error) => self.failed(&error).await,
        }
        true
    }

    pub(super) async fn failed(&mut self, error: &FollowError) {
        self.tell(format!("  failed: {error}"));
        assert_ne!(error.fault(), Fault::Fatal, "{error}");
        let node = self.node.as_mut().expect("the node took a step");
        if node.follower.is_writer_lost(error) {
            // As the loop around the step does.
            let (chain, store) = (Arc::clone(&node.chain), Arc::clone(&node.store));
            self.node = None;
            let writer = self.writer(&store).await;
            let follower = Follower::new(&self.network, Arc::clone(&chain), writer);
            self.node = Some(Node { chain, store, follower });
        }
        let pause_ms = self.draw.between(100, 3_000);
        pause();
        sleep(Duration::from_millis(pause_ms)).await;
        resume();
    }

    /// The process dies.
    pub(super) fn die(&mut self) {
        self.node = None;
        self.relay.end_connections();
    }
}

fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::AtHead => "at the head".into(),
        Outcome::Advanced { from, to, head, .. } => format!("{from} to {to} of {head}"),
        Outcome::Rederived(_) => "derived again".into(),
        Outcome::MadeUp(made_up) => format!("counted and built {}", made_up.built.join(", ")),
        Outcome::Reorganised { ancestor, depth, to, .. } => format!("{depth} undone to {ancestor}, now {to}"),
    }
}
