//! A node with a history made by hand: events go in through the store's writer, questions go in over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use meikan::api::{self, ApiState};
use meikan::block::{Block, BlockRef, DecodedLog, Header, Log};
use meikan::config::{Addresses, Api, Contracts, Database, Documents, Follow, Limits, Network};
use meikan::event::{Event, IdentityEvent, ReputationEvent, Role, Text, ValidationEvent};
use meikan::limit::Limiter;
use meikan::store::{Batch, Store, Tip, Writer};
use meikan::submit::Submitter;
use serde_json::{Value, json};

use crate::support::postgres::{TestDatabase, connect};

/// The network of most stories.
pub(crate) const CHAIN: u64 = 167_000;
/// The first block of a history.
pub(crate) const FIRST_BLOCK: u64 = 100;
const GENESIS: B256 = B256::repeat_byte(0x9e);

/// The contract of a role: of the primary deployment (0), or of a further one.
pub(crate) fn contract(role: Role, ordinal: u8) -> Address {
    let place = Role::ALL.iter().position(|other| *other == role).unwrap();
    Address::with_last_byte(0x80 + 16 * ordinal + u8::try_from(place).unwrap())
}

/// Somebody.
pub(crate) fn account(number: u8) -> Address {
    Address::repeat_byte(number)
}

/// Somebody, as GraphQL writes addresses.
pub(crate) fn hex(number: u8) -> String {
    format!("{:#x}", account(number))
}

pub(crate) fn network(chain_id: u64) -> Network {
    let two = |role| Addresses(vec![contract(role, 0), contract(role, 1)]);
    let one = |role| Addresses(vec![contract(role, 0)]);
    Network {
        name: format!("net-{chain_id}"),
        chain_id,
        rpc_urls: vec!["http://localhost:1".into()],
        start_block: FIRST_BLOCK,
        contracts: Contracts {
            identity: two(Role::Identity),
            reputation: two(Role::Reputation),
            validation: two(Role::Validation),
            audit_log: one(Role::AuditLog),
            agent_registry: one(Role::AgentRegistry),
            policy_engine: one(Role::PolicyEngine),
            executor: one(Role::Executor),
            ..Contracts::default()
        },
        follow: Follow::default(),
        ..Network::default()
    }
}

/// A history of one network that is being written.
pub(crate) struct History {
    writer: Writer,
    blocks: Vec<BlockRef>,
    /// Makes the hashes of two branches differ.
    pub(crate) salt: u8,
    /// Seconds between two blocks beyond the usual ones.
    pub(crate) pause: u64,
    pub(crate) finalized: Option<u64>,
    pub(crate) safe: Option<u64>,
    /// Seconds by which further blocks come later than [`History::time`] says.
    pub(crate) later: u64,
}

impl History {
    /// The time of a block.
    pub(crate) fn time(number: u64) -> u64 {
        1_700_000_000 + 2 * number
    }

    pub(crate) fn hash(&self, number: u64) -> B256 {
        self.blocks.iter().find(|block| block.number == number).unwrap().hash
    }

    /// The hash of the transaction that a block's first event is in.
    pub(crate) fn transaction(&self, number: u64) -> B256 {
        keccak256(self.hash(number))
    }

    /// The newest block.
    pub(crate) fn tip(&self) -> u64 {
        self.blocks.last().expect("it has begun").number
    }

    /// Commits a block with these events of the primary deployment; log indexes are 0, 1, 2, …
    pub(crate) async fn block(&mut self, events: Vec<Event>) -> u64 {
        self.block_by(events.into_iter().map(|event| (event, 0)).collect(), None).await
    }

    /// Takes the blocks above a height back, and commits one with these events in their place.
    pub(crate) async fn reorg(&mut self, keep: u64, events: Vec<Event>) -> u64 {
        self.salt += 1;
        self.block_by(events.into_iter().map(|event| (event, 0)).collect(), Some(keep)).await
    }

    /// Commits a block with events of the deployments that are named beside them.
    pub(crate) async fn block_by(&mut self, events: Vec<(Event, u8)>, rewind_to: Option<u64>) -> u64 {
        let expected_tip = self.blocks.last().copied();
        if let Some(keep) = rewind_to {
            self.blocks.retain(|block| block.number <= keep);
        }
        let number = self.blocks.last().map_or(FIRST_BLOCK, |block| block.number + 1);
        let parent_hash = self.blocks.last().map_or(GENESIS, |block| block.hash);
        let hash = keccak256([parent_hash.as_slice(), &[self.salt], &number.to_be_bytes()].concat());
        let block = BlockRef { number, hash };
        let logs = events.into_iter().zip(0_u32..).map(|((event, ordinal), log_index)| {
            let (topics, data) = event.encode();
            let address = contract(role_of(&event), ordinal);
            let transaction_hash = keccak256(hash);
            let log = Log { address, topics, data, block, transaction_hash, transaction_index: 0, log_index };
            DecodedLog { event: Event::decode(role_of(&event), &log.topics, &log.data), log }
        });
        let timestamp = Self::time(number) + self.later + self.pause * (number - FIRST_BLOCK);
        let header = Header { number, hash, parent_hash, timestamp, logs_bloom: None };
        let block_with_logs = Block { header, logs: logs.collect() };
        let of =
            |number: Option<u64>| number.and_then(|number| self.blocks.iter().find(|block| block.number == number));
        let batch = Batch {
            expected_tip,
            rewind_to,
            blocks: vec![block_with_logs],
            tip: Tip { number, hash, timestamp },
            finalized: of(self.finalized).copied(),
            safe: self.safe,
        };
        self.writer.apply(batch).await.unwrap();
        self.blocks.push(block);
        number
    }
}

fn role_of(event: &Event) -> Role {
    match event {
        Event::Identity(_) | Event::Governance(_) => Role::Identity,
        Event::Reputation(_) => Role::Reputation,
        Event::Validation(_) => Role::Validation,
        Event::AuditLog(_) => Role::AuditLog,
        Event::AgentRegistry(_) => Role::AgentRegistry,
        Event::Policy(_) => Role::PolicyEngine,
        Event::Executor(_) => Role::Executor,
        Event::Earlier(event) => event.role(),
    }
}

/// A node that answers over HTTP.
pub(crate) struct Node {
    pub(crate) store: Arc<Store>,
    pub(crate) address: String,
    client: reqwest::Client,
    pub(crate) database: TestDatabase,
}

/// A response as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The data; there must be no error.
    #[track_caller]
    pub(crate) fn data(self) -> Value {
        assert!(self.body.get("errors").is_none(), "{}", self.body);
        self.body["data"].clone()
    }

    /// Code and message of the first error.
    #[track_caller]
    pub(crate) fn error(&self) -> (String, String) {
        let error = &self.body["errors"][0];
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no error in {}", self.body)).to_owned();
        (text(&error["extensions"]["code"]), text(&error["message"]))
    }
}

/// What answers, and takes documents of the stories' network, whose endpoint is away.
fn taking(store: &Arc<Store>, api: Api) -> ApiState {
    let submitter = Submitter::new(store, Documents::default(), &[network(CHAIN)]);
    ApiState::new(Arc::clone(store), api).taking(Arc::new(submitter))
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Api)) -> Self {
        Self::limited(None, change).await
    }

    /// A node whose database ends statements after some time.
    pub(crate) async fn limited(statement_timeout_ms: Option<u64>, change: impl FnOnce(&mut Api)) -> Self {
        // What a failed test's node logged is shown with the test.
        let _ = tracing_subscriber::fmt().with_test_writer().with_max_level(tracing::Level::ERROR).try_init();
        let database = TestDatabase::migrated().await;
        let config = Database {
            url: database.url().into(),
            read_connections: 4,
            statement_timeout_ms: statement_timeout_ms.unwrap_or(60_000),
            ..Database::default()
        };
        let store = Arc::new(Store::connect(&config).await.unwrap());
        store.migrate().await.unwrap();
        // Stories write and ask at once; an answer that is kept is as old as the news of a commit takes.
        let mut api = Api { wait_for_block_ms: 300, cache_megabytes: 0, ..Api::default() };
        change(&mut api);
        let address = serve(taking(&store, api)).await;
        // reqwest wants a provider of TLS even for plain HTTP; a second installation says so, and changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { store, address, client: reqwest::Client::new(), database }
    }

    /// A node that keeps answers and limits what anybody may do.
    pub(crate) async fn gated(limits: Limits) -> Self {
        let node = Self::start().await;
        let state = taking(&node.store, Api::default());
        let limiter = Limiter::new(&limits).unwrap();
        Self { address: serve(state.limited(limits, limiter)).await, ..node }
    }

    /// From how much feedback on an aspect has milestones, and as often, in networks that are registered from now on.
    pub(crate) async fn set_hot_feedback(&self, hot_feedback: u32) {
        let client = connect(self.database.url()).await;
        let set = format!(
            "ALTER TABLE network ALTER COLUMN hot_feedback SET DEFAULT {hot_feedback}, \
                 ALTER COLUMN milestone_every SET DEFAULT {hot_feedback}"
        );
        client.batch_execute(&set).await.unwrap();
    }

    /// Registers a network and begins its history.
    pub(crate) async fn history(&self, chain_id: u64) -> History {
        self.store.register(&network(chain_id), GENESIS).await.unwrap();
        let writer = self.store.writer(chain_id).await.unwrap().expect("nobody else writes");
        History { writer, blocks: Vec::new(), salt: 0, pause: 0, finalized: None, safe: None, later: 0 }
    }

    pub(crate) async fn post(&self, path: &str, body: String) -> Answer {
        self.send(reqwest::Method::POST, path, &[("content-type", "application/json")], body).await
    }

    /// A request as it is written.
    pub(crate) async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = self.client.request(method, format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.body(body).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&body).unwrap_or(Value::Null) }
    }

    pub(crate) async fn answer(&self, query: &str, variables: Value) -> Answer {
        self.post("/graphql", json!({ "query": query, "variables": variables }).to_string()).await
    }

    /// The data that a query gives.
    pub(crate) async fn ask(&self, query: &str) -> Value {
        self.answer(query, json!({})).await.data()
    }

    /// The values of one field in the list that a query gives.
    pub(crate) async fn list(&self, query: &str, root: &str, field: &str) -> Vec<String> {
        let data = self.ask(query).await;
        let rows = data[root].as_array().unwrap_or_else(|| panic!("no list in {data}"));
        rows.iter().map(|row| row[field].as_str().map_or_else(|| row[field].to_string(), Into::into)).collect()
    }

    /// How many rows of tables the server reads for the answers to a query, so often. It ends the node.
    pub(crate) async fn rows_read(self, tables: &str, query: &str, times: u64) -> i64 {
        let client = connect(self.database.url()).await;
        let others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                      AND backend_type = 'client backend'";
        // What a connection has read is told at its end.
        let alone = async || {
            client.execute(&format!("SELECT pg_terminate_backend(pid) {others}"), &[]).await.unwrap();
            while client.query_one(&format!("SELECT count(*) {others}"), &[]).await.unwrap().get::<_, i64>(0) > 0 {
                tokio::task::yield_now().await;
            }
        };
        alone().await;
        client.execute("SELECT pg_stat_reset()", &[]).await.unwrap();
        for _ in 0..times {
            self.ask(query).await;
        }
        self.store.close();
        alone().await;
        let read = "SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables WHERE relname LIKE $1";
        client.query_one(read, &[&tables]).await.unwrap().get(0)
    }

    /// The ids of the agents that a `where` gives.
    pub(crate) async fn agents(&self, filter: &str) -> Vec<String> {
        self.list(&format!("{{ agents(where: {filter}) {{ id }} }}"), "agents", "id").await
    }

    /// The ids of the feedback that a `where` gives, without the part that all share.
    pub(crate) async fn feedbacks(&self, filter: &str) -> Vec<String> {
        self.list(&format!("{{ feedbacks(where: {filter}) {{ id }} }}"), "feedbacks", "id").await
    }
}

/// Serves it, with the addresses of who comes; tells where.
async fn serve(state: ApiState) -> String {
    let service = api::router(state, None).into_make_service_with_connect_info::<SocketAddr>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    address
}

/// A mint with its registration, as the registry emits them.
pub(crate) fn registered(agent_id: u64, owner: u8, uri: &str) -> Vec<Event> {
    let agent_id = U256::from(agent_id);
    vec![
        Event::Identity(IdentityEvent::Transfer { from: Address::ZERO, to: account(owner), token_id: agent_id }),
        Event::Identity(IdentityEvent::Registered { agent_id, agent_uri: Text::from(uri), owner: account(owner) }),
        metadata(agent_id.to(), "agentWallet", account(owner).as_slice()),
    ]
}

pub(crate) fn metadata(agent_id: u64, key: &str, value: &[u8]) -> Event {
    Event::Identity(IdentityEvent::MetadataSet {
        agent_id: U256::from(agent_id),
        indexed_metadata_key: keccak256(key),
        metadata_key: Text::from(key),
        metadata_value: Bytes::copy_from_slice(value),
    })
}

/// Feedback of a client with an index, a value and a first tag.
pub(crate) fn feedback(agent_id: u64, client: u8, index: u64, value: (i128, u8), tag1: &str) -> Event {
    Event::Reputation(ReputationEvent::NewFeedback {
        agent_id: U256::from(agent_id),
        client_address: account(client),
        feedback_index: index,
        value: value.0,
        value_decimals: value.1,
        indexed_tag1: keccak256(tag1),
        tag1: Text::from(tag1),
        tag2: Text::from("day"),
        endpoint: Text::from("https://Agent.example/A_1%"),
        feedback_uri: Text::from("ipfs://bafy"),
        feedback_hash: B256::repeat_byte(7),
    })
}

pub(crate) fn revoked(agent_id: u64, client: u8, index: u64) -> Event {
    Event::Reputation(ReputationEvent::FeedbackRevoked {
        agent_id: U256::from(agent_id),
        client_address: account(client),
        feedback_index: index,
    })
}

pub(crate) fn responded(agent_id: u64, client: u8, index: u64, responder: u8) -> Event {
    Event::Reputation(ReputationEvent::ResponseAppended {
        agent_id: U256::from(agent_id),
        client_address: account(client),
        feedback_index: index,
        responder: account(responder),
        response_uri: Text::from("https://response.example"),
        response_hash: B256::repeat_byte(9),
    })
}

pub(crate) fn requested(agent_id: u64, validator: u8, hash: u8) -> Event {
    Event::Validation(ValidationEvent::ValidationRequest {
        validator_address: account(validator),
        agent_id: U256::from(agent_id),
        request_uri: Text::from("https://request.example"),
        request_hash: B256::repeat_byte(hash),
    })
}

pub(crate) fn validated(agent_id: u64, validator: u8, hash: u8, response: u8) -> Event {
    Event::Validation(ValidationEvent::ValidationResponse {
        validator_address: account(validator),
        agent_id: U256::from(agent_id),
        request_hash: B256::repeat_byte(hash),
        response,
        response_uri: Text::from("https://answer.example"),
        response_hash: B256::repeat_byte(3),
        tag: Text::from("audit"),
    })
}

/// A registration file as the data: URI that holds it.
pub(crate) fn data_uri(file: &Value) -> String {
    format!("data:application/json,{}", file.to_string().replace('%', "%25"))
}
