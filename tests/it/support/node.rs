//! A whole node in the test's own process: a database of its own, a follower for each network that is stepped by hand,
//! and GraphQL over HTTP on a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use meikan::api::{self, ApiState};
use meikan::chain::Chain;
use meikan::config::{Api, Database, Documents, Network};
use meikan::fault::Fault;
use meikan::follow::{Follower, Outcome};
use meikan::store::{Store, Writer};
use meikan::submit::Submitter;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::postgres::{TestDatabase, connect};
use super::tables::{Dump, dump};

/// Steps to the head at most; a story that needs more goes in circles.
const MAX_STEPS: usize = 2_000;

/// Longest wait for something that must happen, on the slowest machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// How often is looked whether it has happened.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Rows of one page of [`Node::all`].
const PAGE_ROWS: usize = 100;

/// Most pages of [`Node::all`].
const MAX_PAGES: usize = 100;

/// Blocks whose digests are asked for in one query.
const DIGESTS_A_QUERY: usize = 25;

/// A node that does only what it is told to.
pub(crate) struct Node {
    networks: Vec<Network>,
    followers: Vec<Follower>,
    address: SocketAddr,
    server: JoinHandle<()>,
    // Last: its database goes when nobody uses it any more.
    pub(crate) database: Arc<TestDatabase>,
}

impl Node {
    /// A node that has not looked at its networks yet.
    pub(crate) async fn start(networks: &[Network]) -> Self {
        Self::start_on(Arc::new(TestDatabase::migrated().await), networks).await
    }

    /// A node on a database that another one has left.
    pub(crate) async fn start_on(database: Arc<TestDatabase>, networks: &[Network]) -> Self {
        let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
        store.migrate().await.unwrap();
        let mut followers = Vec::new();
        for network in networks {
            let chain = Arc::new(Chain::connect(network).await.unwrap());
            store.register(network, chain.genesis_hash()).await.unwrap();
            followers.push(Follower::new(network, chain, writer(&store, network).await));
        }
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let store = Arc::new(store);
        // A payment that the chain has moved is found within a second.
        let rules = Documents { payment_look_seconds: 1, ..Documents::default() };
        let submitter = Submitter::new(&store, rules, networks);
        let state = ApiState::new(store, Api { cache_megabytes: 0, ..Api::default() }).taking(Arc::new(submitter));
        let router = api::router(state, None);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { networks: networks.to_vec(), followers, address, server, database }
    }

    /// Ends the node; its database stays.
    pub(crate) fn stop(self) -> Arc<TestDatabase> {
        Arc::clone(&self.database)
    }

    /// A node that sees the networks as they are now, and nothing of their past.
    pub(crate) async fn fresh(networks: &[Network]) -> Self {
        let mut node = Self::start(networks).await;
        node.catch_up().await;
        node
    }

    /// Steps each network until its chain shows nothing new; tells what happened on the way.
    pub(crate) async fn catch_up(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for follower in &mut self.followers {
            outcomes.extend(catch_up(follower).await);
        }
        outcomes
    }

    /// Does one step for each network, which may fail in passing.
    pub(crate) async fn step(&mut self) {
        for follower in &mut self.followers {
            if let Err(error) = follower.step().await {
                assert_ne!(error.fault(), Fault::Fatal, "{error}");
            }
        }
    }

    /// The newest block that is committed, of the first network.
    pub(crate) fn tip(&self) -> u64 {
        self.followers[0].tip().expect("a block is committed").number
    }

    /// All that the tables hold of a network.
    pub(crate) async fn tables(&self, chain_id: u64) -> Dump {
        dump(&connect(self.database.url()).await, chain_id).await
    }

    /// The state digest of every block from a network's first to its newest, each with its number.
    pub(crate) async fn digests(&self, chain_id: u64, first: u64) -> Vec<Value> {
        let fields = "blockNumber encodingVersion events eventCount rawLogs rawLogCount";
        let mut digests = Vec::new();
        let blocks: Vec<u64> = (first..=self.tip()).collect();
        for blocks in blocks.chunks(DIGESTS_A_QUERY) {
            let digest = |block| format!("b{block}: stateDigest(chainId: {chain_id}, block: {block}) {{ {fields} }}");
            let query = format!("{{ {} }}", blocks.iter().map(digest).collect::<Vec<_>>().join(" "));
            let mut answer = self.ask(&query).await;
            digests.extend(blocks.iter().map(|block| answer[format!("b{block}")].take()));
        }
        digests
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The networks that it follows.
    pub(crate) fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// The whole answer to a question at `/graphql`, or at `/graphql` with something behind it.
    pub(crate) async fn answer(&self, path: &str, query: &str) -> Value {
        meikan::chain::install_tls();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(format!("http://{}/graphql{path}", self.address));
        let request = request.header("content-type", "application/json").body(json!({ "query": query }).to_string());
        let body = request.send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)))
    }

    /// The status and the body of `/ready`.
    pub(crate) async fn ready(&self) -> (u16, Value) {
        meikan::chain::install_tls();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("http://{}/ready", self.address)).send().await.unwrap();
        (answer.status().as_u16(), serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    /// What is answered at `/graphql`; errors end the test.
    pub(crate) async fn ask(&self, query: &str) -> Value {
        self.ask_at("", query).await
    }

    /// What is answered at that path below `/graphql`; errors end the test.
    pub(crate) async fn ask_at(&self, path: &str, query: &str) -> Value {
        let mut answer = self.answer(path, query).await;
        assert!(answer.get("errors").is_none(), "{query}: {}", answer["errors"]);
        answer["data"].take()
    }

    /// All entities of a plural root, page by page, in the order of their ids.
    pub(crate) async fn all(&self, root: &str, fields: &str) -> Vec<Value> {
        self.pages(root, "", fields).await
    }

    /// The same as of a block.
    pub(crate) async fn all_at(&self, block: u64, root: &str, fields: &str) -> Vec<Value> {
        self.pages(root, &format!(", block: {{ number: {block} }}"), fields).await
    }

    async fn pages(&self, root: &str, arguments: &str, fields: &str) -> Vec<Value> {
        let mut entities: Vec<Value> = Vec::new();
        let mut after = String::new();
        for _ in 0..MAX_PAGES {
            let query = format!("{{ {root}(first: {PAGE_ROWS}{arguments}{after}) {{ cursor {fields} }} }}");
            let Value::Array(mut page) = self.ask(&query).await[root].take() else { panic!("{root} is a list") };
            let is_last = page.len() < PAGE_ROWS;
            if let Some(last) = page.last() {
                after = format!(", after: {}", last["cursor"]);
            }
            for entity in &mut page {
                entity.as_object_mut().unwrap().remove("cursor");
            }
            entities.append(&mut page);
            if is_last {
                return entities;
            }
        }
        panic!("{root} has more than {MAX_PAGES} pages");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The right to write. A node that has just ended may still hold it for a moment.
async fn writer(store: &Store, network: &Network) -> Writer {
    let taken = async {
        loop {
            if let Some(writer) = store.writer(network.chain_id).await.unwrap() {
                return writer;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(DEADLINE, taken).await.expect("nobody else writes")
}

/// Steps a network until its chain shows nothing new. What is worth repeating is repeated at once.
async fn catch_up(follower: &mut Follower) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for _ in 0..MAX_STEPS {
        match follower.step().await {
            Ok(Outcome::AtHead) => return outcomes,
            Ok(outcome) => outcomes.push(outcome),
            Err(error) => assert_ne!(error.fault(), Fault::Fatal, "{error}"),
        }
    }
    panic!("not at the head after {MAX_STEPS} steps");
}

/// The depths of the reorganisations among what happened.
pub(crate) fn depths(outcomes: &[Outcome]) -> Vec<u64> {
    let depth = |outcome: &Outcome| match outcome {
        Outcome::Reorganised { depth, .. } => Some(*depth),
        _ => None,
    };
    outcomes.iter().filter_map(depth).collect()
}
