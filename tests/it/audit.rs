//! The audit against endpoints that lost, forged or hid something: what ingestion below finality cannot notice (F5).
//!
//! A story ingests through an endpoint with a fault, and then audits through whatever endpoints are there by then.

use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use meikan::audit::{Audit, Auditor, Pass, STRETCH_BLOCKS, Settings, Stretch, Verdict};
use meikan::block::{Block, Method};
use meikan::chain::Chain;
use meikan::config::{Addresses, Contracts, Database, Follow, Network};
use meikan::event::{Event, IdentityEvent, ReputationEvent};
use meikan::follow::{Counter, Repair, Until, desk, follow_at};
use meikan::store::Store;
use meikan::store::verification::{Audited, Finding, Recorded};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::fake_chain::{FakeChain, FakeEndpoint, Fault, RawLog};
use crate::support::node::{DEADLINE, LOOK_EVERY, Node};
use crate::support::postgres::{TestDatabase, connect};
use crate::support::tables::{assert_same, dump};

const CHAIN_ID: u64 = 167_000;
const IDENTITY: Address = Address::repeat_byte(0x11);
const REPUTATION: Address = Address::repeat_byte(0x22);
const SOMEBODY: Address = Address::repeat_byte(0x33);

/// Blocks of a chain; all of them are final.
const BLOCKS: u64 = 30;

/// Faults that never end.
const FOR_EVER: usize = usize::MAX;

fn network(urls: &[String]) -> Network {
    Network {
        name: "taiko".into(),
        chain_id: CHAIN_ID,
        rpc_urls: urls.to_vec(),
        rpc_urls_file: None,
        start_block: 1,
        fallback_rpc_urls: vec![],
        fallback_rpc_urls_file: None,
        contracts: Contracts {
            identity: Addresses(vec![IDENTITY]),
            reputation: Addresses(vec![REPUTATION]),
            ..Contracts::default()
        },
        follow: Follow { audit_call_samples: 0, ..Follow::default() },
    }
}

/// A registration in every third block, feedback about it in the next one, and others' logs.
fn logs_of(number: u64) -> Vec<RawLog> {
    let (agent_id, owner) = (U256::from(number / 3 - number / 3 / 10), Address::repeat_byte(7));
    let identity = |event| RawLog::from((IDENTITY, Event::Identity(event)));
    let foreign = RawLog { address: SOMEBODY, topics: vec![B256::repeat_byte(5)], data: vec![1; 70].into() };
    match number % 3 {
        0 => vec![
            identity(IdentityEvent::Transfer { from: Address::ZERO, to: owner, token_id: agent_id }),
            foreign,
            identity(IdentityEvent::Registered { agent_id, agent_uri: "ipfs://agent".into(), owner }),
        ],
        1 if number > 3 => vec![(REPUTATION, Event::Reputation(feedback(number / 3))).into()],
        _ => vec![foreign],
    }
}

fn feedback(index: u64) -> ReputationEvent {
    feedback_of(index, -7, 2)
}

fn feedback_of(index: u64, value: i128, value_decimals: u8) -> ReputationEvent {
    ReputationEvent::NewFeedback {
        agent_id: U256::ZERO,
        client_address: SOMEBODY,
        feedback_index: index,
        value,
        value_decimals,
        indexed_tag1: keccak256("starred"),
        tag1: "starred".into(),
        tag2: "".into(),
        endpoint: "".into(),
        feedback_uri: "".into(),
        feedback_hash: B256::ZERO,
    }
}

/// A chain whose agents and feedback are dense, and all of it final.
fn final_chain() -> FakeChain {
    let chain = FakeChain::new(CHAIN_ID);
    let mut agents = 0;
    for number in 1..=BLOCKS {
        let mut logs = logs_of(number);
        if number % 3 == 0 {
            logs = registered(agents);
            agents += 1;
        }
        chain.mine(logs);
    }
    chain.finalize(BLOCKS);
    chain
}

fn registered(agent: u64) -> Vec<RawLog> {
    let (agent_id, owner) = (U256::from(agent), Address::repeat_byte(7));
    let identity = |event| RawLog::from((IDENTITY, Event::Identity(event)));
    vec![
        identity(IdentityEvent::Transfer { from: Address::ZERO, to: owner, token_id: agent_id }),
        RawLog { address: SOMEBODY, topics: vec![B256::repeat_byte(5)], data: vec![1; 70].into() },
        identity(IdentityEvent::Registered { agent_id, agent_uri: "ipfs://agent".into(), owner }),
    ]
}

/// A node's database, and an auditor of it.
struct Stage {
    node: Node,
    auditor: Auditor,
    store: Arc<Store>,
}

impl Stage {
    /// Ingests what the first endpoint tells with that fault, then takes the fault back.
    async fn ingested(chain: &FakeChain, fault: Option<Fault>) -> Self {
        if let Some(fault) = fault {
            chain.endpoint().fail("eth_getLogs", FOR_EVER, fault);
        }
        let node = Node::fresh(&[network(&[chain.url()])]).await;
        chain.endpoint().recover();
        Self::over(node, &network(&[chain.url()])).await
    }

    async fn over(node: Node, network: &Network) -> Self {
        let database = Database { url: node.database.url().into(), ..Database::default() };
        let store = Arc::new(Store::connect(&database).await.unwrap());
        let chain = Arc::new(Chain::connect(network).await.unwrap());
        let auditor = Auditor::new(network, chain, Arc::clone(&store), Settings::thorough(network));
        Self { node, auditor, store }
    }

    async fn verdict(&self) -> Verdict {
        let standing = self.store.standing(CHAIN_ID).await.unwrap();
        let stretch = Stretch { from: 1, to: BLOCKS, below: None, finalized: standing.finalized, verified_by: None };
        self.auditor.verify(stretch).await.unwrap()
    }

    async fn sql(&self, statement: &str) {
        connect(self.node.database.url()).await.batch_execute(statement).await.unwrap();
    }

    /// One turn of the background audit, without anybody who repairs.
    async fn turn(&self) -> Audit {
        self.auditor.turn(&mut Pass::default(), &|_| std::future::ready(false)).await.unwrap()
    }

    async fn verified_to(&self) -> Option<u64> {
        self.store.standing(CHAIN_ID).await.unwrap().verified.map(|verified| verified.number)
    }
}

impl Stage {
    /// Audits in a process that writes, and that has repaired what is found; returns the database.
    async fn repaired(self, network: &Network) -> Arc<TestDatabase> {
        let Self { node, auditor, store } = self;
        let database = node.stop();
        let ((desk, counter), cancel) = (desk(), CancellationToken::new());
        let following = {
            let (store, network, cancel) = (Arc::clone(&store), network.clone(), cancel.clone());
            tokio::spawn(async move { follow_at(desk, &store, &network, Until::Forever, &cancel).await })
        };
        let Counter { mut writing, orders } = counter;
        let writes = timeout(DEADLINE, writing.wait_for(Option::is_some)).await;
        assert!(writes.expect("it writes in time").unwrap().is_some());
        let repair = |blocks| {
            let orders = orders.clone();
            async move {
                let (done, repaired) = oneshot::channel();
                orders.send(Repair { blocks, done }).await.unwrap();
                repaired.await.unwrap()
            }
        };
        let mut pass = Pass::default();
        let verified = async {
            while store.standing(CHAIN_ID).await.unwrap().verified.is_none_or(|verified| verified.number < BLOCKS) {
                auditor.turn(&mut pass, &repair).await.unwrap();
            }
        };
        timeout(DEADLINE, verified).await.expect("everything is verified in time");
        cancel.cancel();
        following.await.unwrap().unwrap();
        database
    }
}

#[tokio::test]
async fn f5_what_was_dropped_is_repaired_and_the_tables_are_a_fresh_node_s() {
    for fault in [Fault::WithoutLog(12, 0), Fault::WithoutBlock(9), Fault::EmptyLogs, Fault::ForgedLog] {
        let chain = final_chain();
        let network = network(&[chain.url()]);
        let stage = Stage::ingested(&chain, Some(fault)).await;
        let database = stage.repaired(&network).await;
        let repaired = dump(&connect(database.url()).await, CHAIN_ID).await;
        assert_same(&repaired, &Node::fresh(&[network]).await.tables(CHAIN_ID).await);
        let select = "SELECT count(*), count(*) FILTER (WHERE repaired_at IS NULL) FROM verification_finding";
        let row = connect(database.url()).await.query_one(select, &[]).await.unwrap();
        assert!(row.get::<_, i64>(0) > 0 && row.get::<_, i64>(1) == 0);
    }
}

/// Kind and block of each finding.
fn told(findings: &[Finding]) -> Vec<(&'static str, u64)> {
    findings.iter().map(|finding| (finding.kind, finding.to)).collect()
}

#[tokio::test]
async fn f5_a_clean_node_is_verified_by_receipts() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), &verdict.untold), (vec![], &vec![]));
    assert_eq!((verdict.method, verdict.proven_blocks), (Method::ReceiptsRoot, 19));
    assert_eq!(verdict.hash, Some(chain.block(BLOCKS).hash));
    stage.turn().await;
    assert_eq!(stage.verified_to().await, Some(BLOCKS));
}

#[tokio::test]
async fn f48_values_of_many_digits_and_decimals_are_what_the_raw_logs_say() {
    let chain = FakeChain::new(CHAIN_ID);
    chain.mine(registered(0));
    let (most, least) = (i128::MAX, i128::MIN);
    let digits = 1_234_567_890_123_456_789;
    let values = [(digits, 18), (-digits, 18), (digits / 10, 17), (9_999_999_999_999_999_999_999, 18)];
    for (index, (value, decimals)) in (1..).zip(values.into_iter().chain([(most, 18), (least, 18), (least, 1)])) {
        chain.mine([RawLog::from((REPUTATION, Event::Reputation(feedback_of(index, value, decimals))))]);
    }
    chain.mine_empty(BLOCKS - 8);
    chain.finalize(BLOCKS);
    let stage = Stage::ingested(&chain, None).await;
    assert_eq!(told(&stage.verdict().await.findings), []);
    stage.sql("UPDATE feedback SET value = value + 1e-18 WHERE feedback_index = 2").await;
    assert_eq!(told(&stage.verdict().await.findings), [("ROW", 3)]);
}

#[tokio::test]
async fn an_owner_that_only_a_registration_tells_is_no_finding() {
    let (chain, agent_id) = (FakeChain::new(CHAIN_ID), U256::ZERO);
    let identity = |event| RawLog::from((IDENTITY, Event::Identity(event)));
    // Each log is of a transaction of its own: what is registered is not what was transferred.
    let (from, owner) = (Address::repeat_byte(7), Address::repeat_byte(8));
    chain.mine([
        identity(IdentityEvent::Transfer { from, to: Address::ZERO, token_id: agent_id }),
        identity(IdentityEvent::Registered { agent_id, agent_uri: "ipfs://agent".into(), owner }),
    ]);
    chain.mine_empty(BLOCKS - 1);
    chain.finalize(BLOCKS);
    let stage = Stage::ingested(&chain, None).await;
    assert_eq!(told(&stage.verdict().await.findings), []);
}

#[tokio::test]
async fn f5_a_block_that_an_endpoint_dropped_is_found_by_its_bloom() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await;
    let verdict = stage.verdict().await;
    assert_eq!(told(&verdict.findings), [("LOG_MISSING", 9)]);
    assert_eq!(verdict.findings[0].method, Method::ReceiptsRoot);
    assert!(verdict.findings[0].description.contains("logs 0, 2 are on the chain and not stored"), "{verdict:#?}");
}

#[tokio::test]
async fn f5_a_log_whose_block_the_bloom_vouches_for_is_found_by_receipts() {
    let chain = final_chain();
    // The other log is of the same contract, so the bloom has nothing against the block.
    let stage = Stage::ingested(&chain, Some(Fault::WithoutLog(12, 0))).await;
    assert_eq!(told(&stage.verdict().await.findings), [("LOG_MISSING", 12)]);
    stage.turn().await;
    assert_eq!(stage.verified_to().await, None, "nothing is verified beyond what is open");
}

#[tokio::test]
async fn f5_a_sample_proves_less_and_says_so() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutLog(12, 0))).await.node;
    let network = network(&[chain.url()]);
    let verdict = async |receipts_percent, node| {
        let mut stage = Stage::over(node, &network).await;
        let settings = Settings { receipts_percent, ..Settings::thorough(&network) };
        let over = Arc::new(Chain::connect(&network).await.unwrap());
        stage.auditor = Auditor::new(&network, over, Arc::clone(&stage.store), settings);
        (stage.verdict().await, stage.node)
    };
    let (none, node) = verdict(0, node).await;
    assert_eq!((told(&none.findings), none.method, none.proven_blocks), (vec![], Method::Bloom, 0));
    let (some, node) = verdict(50, node).await;
    assert!((1..19).contains(&some.proven_blocks) && some.method == Method::Bloom, "{some:#?}");
    assert_eq!(told(&verdict(100, node).await.0.findings), [("LOG_MISSING", 12)]);
}

#[tokio::test]
async fn f5_a_whole_range_that_an_endpoint_dropped_is_found() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::EmptyLogs)).await;
    // All but the end of the range, whose header comes with it.
    assert_eq!(stage.verdict().await.findings.len(), 18);
}

#[tokio::test]
async fn f5_a_dropped_block_is_found_without_receipts_by_another_endpoint() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await.node;
    let second = chain.another_endpoint();
    second.lack("eth_getBlockReceipts");
    chain.endpoint().lack("eth_getBlockReceipts").fail("eth_getLogs", FOR_EVER, Fault::WithoutBlock(9));
    let stage = Stage::over(node, &network(&[chain.url(), second.url()])).await;
    let verdict = stage.verdict().await;
    assert_eq!(told(&verdict.findings), [("LOG_MISSING", 9)]);
    assert_eq!(verdict.method, Method::LogsAgain);
}

#[tokio::test]
async fn f5_a_lost_registration_is_found_by_the_census_where_headers_are_not_served() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await;
    chain.endpoint().lack("eth_getBlockByNumber").fail("eth_getLogs", FOR_EVER, Fault::WithoutBlock(9));
    let verdict = stage.verdict().await;
    assert_eq!(verdict.method, Method::LogsAgain);
    // Agent 1 came in block 6 and agent 3 in block 12.
    assert_eq!(told(&verdict.findings), [("AGENT_GAP", 12)]);
    assert_eq!(verdict.findings[0].from, 6);
}

#[tokio::test]
async fn f5_lost_feedback_is_found_by_the_census_where_headers_are_not_served() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::WithoutBlock(10))).await;
    chain.endpoint().lack("eth_getBlockByNumber").fail("eth_getLogs", FOR_EVER, Fault::WithoutBlock(10));
    let verdict = stage.verdict().await;
    assert_eq!(told(&verdict.findings), [("FEEDBACK_GAP", 13)]);
    assert_eq!(verdict.findings[0].from, 7);
}

#[tokio::test]
async fn f5_a_hole_in_a_counter_is_filled_before_the_range_is_committed() {
    let chain = final_chain();
    let second = chain.another_endpoint();
    chain.endpoint().fail("eth_getLogs", FOR_EVER, Fault::WithoutBlock(9));
    let network = network(&[chain.url(), second.url()]);
    let node = Node::fresh(std::slice::from_ref(&network)).await;
    chain.endpoint().recover();
    assert_same(&node.tables(CHAIN_ID).await, &Node::fresh(&[network]).await.tables(CHAIN_ID).await);
    let stage = Stage::over(node, &self::network(&[chain.url()])).await;
    assert_eq!(told(&stage.verdict().await.findings), []);
}

#[tokio::test]
async fn a_registry_that_does_not_keep_count_is_ingested_and_no_finding() {
    let chain = FakeChain::new(CHAIN_ID);
    for number in 1..=BLOCKS {
        chain.mine(registered(number * 5));
    }
    chain.finalize(BLOCKS);
    let stage = Stage::ingested(&chain, None).await;
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.method), (vec![], Method::ReceiptsRoot));
    assert!(verdict.untold.iter().any(|said| said.contains("the contract does not keep count")), "{verdict:#?}");
}

/// Three agents, of which the last one comes above what is final at first; and what an audit verified meanwhile, by logs
/// alone. Then all is final, and another endpoint serves headers.
async fn verified_weakly(last_id: u64, fault: Option<Fault>) -> (FakeEndpoint, Stage, Network) {
    let chain = FakeChain::new(CHAIN_ID);
    for number in 1..=BLOCKS {
        chain.mine(match number {
            3 => registered(0),
            6 => registered(1),
            20 => registered(last_id),
            _ => vec![],
        });
    }
    chain.finalize(15);
    if let Some(fault) = fault {
        chain.endpoint().fail("eth_getLogs", FOR_EVER, fault);
    }
    let node = Node::fresh(&[network(&[chain.url()])]).await;
    let stage = Stage::over(node, &network(&[chain.url()])).await;
    chain.endpoint().lack("eth_getBlockByNumber");
    stage.turn().await;
    let verified = stage.store.standing(CHAIN_ID).await.unwrap().verified.unwrap();
    assert_eq!((verified.number, verified.method), (15, Method::LogsAgain));
    chain.finalize(BLOCKS);
    let second = chain.another_endpoint();
    let network = network(&[second.url()]);
    let mut node = Node::start_on(stage.node.stop(), std::slice::from_ref(&network)).await;
    node.catch_up().await;
    (second, Stage::over(node, &network).await, network)
}

#[tokio::test]
async fn f5_a_hole_that_reaches_into_what_only_logs_verified_has_it_looked_at_anew() {
    // Ids 2 to 6 never were.
    let (_endpoint, stage, _) = verified_weakly(7, None).await;
    let Audit::Looked { verdict, .. } = stage.turn().await else { panic!("there is something to look at") };
    assert_eq!((told(&verdict.findings), verdict.stretch.from), (vec![], 16));
    assert!(verdict.untold.iter().any(|said| said.contains("the contract does not keep count")), "{verdict:#?}");
    assert_eq!(stage.verified_to().await, Some(BLOCKS));
}

#[tokio::test]
async fn f5_what_a_hole_shows_below_is_repaired_and_verified_anew() {
    let (_endpoint, stage, network) = verified_weakly(2, Some(Fault::WithoutBlock(6))).await;
    let Audit::Looked { verdict, .. } = stage.turn().await else { panic!("there is something to look at") };
    assert_eq!((told(&verdict.findings), verdict.stretch.from), (vec![("LOG_MISSING", 6)], 16));
    assert_eq!(stage.verified_to().await, Some(5), "nothing is verified beyond what is open");
    let database = stage.repaired(&network).await;
    let repaired = dump(&connect(database.url()).await, CHAIN_ID).await;
    assert_same(&repaired, &Node::fresh(&[network]).await.tables(CHAIN_ID).await);
}

/// What is asked of the reputation registry about agent 0 and its only client: the last index, and the summary.
fn sample_calls() -> (Bytes, Bytes) {
    let ask = |signature: &str, words: &[U256]| {
        let words = words.iter().flat_map(|word| word.to_be_bytes::<32>());
        Bytes::from_iter(keccak256(signature)[..4].iter().copied().chain(words))
    };
    let somebody = U256::from_be_bytes(SOMEBODY.into_word().0);
    let mut summary = [0, 128, 192, 224, 1].map(U256::from).to_vec();
    summary.extend([somebody, U256::ZERO, U256::ZERO]);
    (
        ask("getLastIndex(uint256,address)", &[U256::ZERO, somebody]),
        ask("getSummary(uint256,address[],string,string)", &summary),
    )
}

fn answer(words: &[U256]) -> Bytes {
    Bytes::from_iter(words.iter().flat_map(|word| word.to_be_bytes::<32>()))
}

/// The summary of nine times -7 of two decimals.
fn summary_answer() -> Bytes {
    answer(&[U256::from(9), U256::ZERO - U256::from(7), U256::from(2)])
}

/// A node that has ingested the chain, and an auditor that samples.
async fn sampling(chain: &FakeChain) -> Stage {
    let node = Stage::ingested(chain, None).await.node;
    let mut network = network(&[chain.url()]);
    network.follow.audit_call_samples = 5;
    Stage::over(node, &network).await
}

#[tokio::test]
async fn a_registry_that_answers_otherwise_than_our_rows_is_found() {
    let chain = final_chain();
    let stage = sampling(&chain).await;
    let untold = stage.verdict().await.untold;
    assert!(untold[0].contains("at block 30 is not answered"), "{untold:?}");
    let (last, (of_last, of_summary)) = (U256::from(9), sample_calls());
    chain.answer_call(REPUTATION, of_last.clone(), answer(&[last]));
    chain.answer_call(REPUTATION, of_summary, summary_answer());
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), &verdict.untold), (vec![], &vec![]));
    chain.answer_call(REPUTATION, of_last, answer(&[last + U256::ONE]));
    let verdict = stage.verdict().await;
    assert_eq!(told(&verdict.findings), [("CALL", 4)]);
    assert!(verdict.findings[0].description.contains("answers 10 at block 30 where our rows give 9"), "{verdict:#?}");
}

/// A turn's repairs: the lists of blocks that were ordered.
#[derive(Default)]
struct Orders(std::sync::Mutex<Vec<Vec<u64>>>);

impl Orders {
    /// Turns so often, with somebody who says that each repair was done and does nothing.
    async fn of_turns(stage: &Stage, turns: usize) -> Vec<Vec<u64>> {
        let (orders, mut pass) = (Self::default(), Pass::default());
        let repair = |blocks: Vec<Block>| {
            orders.0.lock().unwrap().push(blocks.iter().map(|block| block.header.number).collect());
            std::future::ready(true)
        };
        for _ in 0..turns {
            stage.auditor.turn(&mut pass, &repair).await.unwrap();
        }
        orders.0.into_inner().unwrap()
    }
}

#[tokio::test]
async fn a_finding_that_no_repair_cures_is_repaired_once() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE feedback SET value_raw = 8 WHERE feedback_index = 4").await;
    assert_eq!(Orders::of_turns(&stage, 6).await, [vec![13]]);
    assert_eq!(stage.verified_to().await, None);
}

#[tokio::test]
async fn a_hash_that_is_not_the_chain_s_and_a_registry_s_other_word_are_not_repaired() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await.node;
    let mut network = network(&[chain.url()]);
    network.follow.audit_call_samples = 5;
    let stage = Stage::over(node, &network).await;
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), Bytes::from(U256::from(44).to_be_bytes::<32>()));
    stage.sql("UPDATE block SET hash = decode(repeat('09', 32), 'hex') WHERE number = 12").await;
    let mut kinds: Vec<_> = told(&stage.verdict().await.findings);
    kinds.sort_unstable();
    assert_eq!(kinds, [("CALL", 4), ("HEADER", 12), ("LOG_MISSING", 9)]);
    assert_eq!(Orders::of_turns(&stage, 4).await, [vec![9]], "neither keeps the other from its repair");
}

#[tokio::test]
async fn f12_a_log_that_one_of_three_forges_is_not_written_by_a_repair() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, None).await.node;
    let (second, liar) = (chain.another_endpoint(), chain.another_endpoint());
    for endpoint in [chain.endpoint(), &second, &liar] {
        endpoint.lack("eth_getBlockReceipts");
        endpoint.fail("eth_getBlockByNumber", FOR_EVER, Fault::EmptyBloom);
    }
    liar.fail("eth_getLogs", FOR_EVER, Fault::ForgedLog);
    let stage = Stage::over(node, &network(&[liar.url(), chain.url(), second.url()])).await;
    let missing: Vec<_> = told(&stage.verdict().await.findings);
    assert!(missing.contains(&("LOG_MISSING", BLOCKS)), "{missing:?}");
    assert_eq!(Orders::of_turns(&stage, 3).await, Vec::<Vec<u64>>::new());
    assert_eq!(stage.verified_to().await, None);
}

#[tokio::test]
async fn f12_what_most_endpoints_tell_is_written_by_a_repair_where_nothing_proves() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await.node;
    let (second, third) = (chain.another_endpoint(), chain.another_endpoint());
    for endpoint in [chain.endpoint(), &second, &third] {
        endpoint.lack("eth_getBlockReceipts");
    }
    third.fail("eth_getLogs", FOR_EVER, Fault::WithoutBlock(9));
    let one = Stage::over(node, &network(&[chain.url(), third.url()])).await;
    assert_eq!(Orders::of_turns(&one, 2).await, Vec::<Vec<u64>>::new(), "one against one settles nothing");
    let most = Stage::over(one.node, &network(&[chain.url(), second.url(), third.url()])).await;
    assert_eq!(Orders::of_turns(&most, 1).await, [vec![9]]);
}

#[tokio::test]
async fn f12_a_hole_is_not_filled_with_what_one_endpoint_tells() {
    let chain = final_chain();
    let honest = chain.another_endpoint();
    for endpoint in [chain.endpoint(), &honest] {
        endpoint.lack("eth_getBlockReceipts");
    }
    chain.endpoint().fail("eth_getLogs", FOR_EVER, Fault::WithoutBlock(9));
    let node = Node::fresh(&[network(&[chain.url(), honest.url()])]).await;
    chain.endpoint().recover();
    let stage = Stage::over(node, &network(&[chain.url()])).await;
    assert_eq!(told(&stage.verdict().await.findings), [("LOG_MISSING", 9)]);
}

/// Kinds of the findings that are open.
async fn open_kinds(stage: &Stage) -> Vec<String> {
    let select = "SELECT kind FROM verification_finding WHERE repaired_at IS NULL ORDER BY finding_id";
    let rows = connect(stage.node.database.url()).await.query(select, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn f5_what_receipts_proved_stays_open_until_receipts_say_otherwise() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::WithoutLog(12, 0))).await;
    stage.turn().await;
    chain.endpoint().lack("eth_getBlockReceipts").fail("eth_getLogs", FOR_EVER, Fault::WithoutLog(12, 0));
    stage.turn().await;
    assert_eq!((open_kinds(&stage).await, stage.verified_to().await), (vec!["LOG_MISSING".to_owned()], None));
}

#[tokio::test]
async fn a_registry_s_other_word_stays_open_until_the_registry_says_otherwise() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, None).await.node;
    let mut network = network(&[chain.url()]);
    network.follow.audit_call_samples = 5;
    let word = |number: u64| Bytes::from(U256::from(number).to_be_bytes::<32>());
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), word(44));
    let stage = Stage::over(node, &network).await;
    stage.turn().await;
    assert_eq!(open_kinds(&stage).await, ["CALL"]);
    // No sample is drawn any more, but for what is open.
    network.follow.audit_call_samples = 0;
    let stage = Stage::over(stage.node, &network).await;
    chain.endpoint().fail("eth_call", FOR_EVER, Fault::Error(-32_000, "missing trie node".into()));
    stage.turn().await;
    assert_eq!((open_kinds(&stage).await, stage.verified_to().await), (vec!["CALL".to_owned()], None));
    chain.endpoint().recover();
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), word(9));
    stage.turn().await;
    assert_eq!((open_kinds(&stage).await, stage.verified_to().await), (vec![], Some(BLOCKS)));
}

#[tokio::test]
async fn a_time_that_is_not_the_header_s_is_found_and_repaired() {
    let chain = final_chain();
    let network = network(&[chain.url()]);
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE block SET block_at = block_at + 77 WHERE number = 12").await;
    assert_eq!(told(&stage.verdict().await.findings), [("TIME", 12)]);
    let database = stage.repaired(&network).await;
    let repaired = dump(&connect(database.url()).await, CHAIN_ID).await;
    assert_same(&repaired, &Node::fresh(&[network]).await.tables(CHAIN_ID).await);
}

fn last_index_of(agent: U256) -> Bytes {
    let words = [agent, U256::from_be_bytes(SOMEBODY.into_word().0)].map(|word| word.to_be_bytes::<32>());
    keccak256("getLastIndex(uint256,address)")[..4].iter().copied().chain(words.into_iter().flatten()).collect()
}

#[tokio::test]
async fn a_history_that_begins_below_the_start_block_is_no_finding() {
    let chain = final_chain();
    let mut network = network(&[chain.url()]);
    (network.start_block, network.follow.audit_call_samples) = (11, 5);
    let node = Node::fresh(std::slice::from_ref(&network)).await;
    // Four were given below the start block: the registry counts all nine.
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), Bytes::from(U256::from(9).to_be_bytes::<32>()));
    let stage = Stage::over(node, &network).await;
    for lacks in ["eth_call", "eth_getBlockByNumber"] {
        let verdict = stage.auditor.verify(Stretch { from: 11, ..stage.verdict().await.stretch }).await.unwrap();
        assert_eq!(told(&verdict.findings), [], "{verdict:#?}");
        assert!(verdict.untold.iter().any(|said| said.contains("older than what is indexed")), "{verdict:#?}");
        assert!(!verdict.untold.iter().any(|said| said.contains("is not answered")), "{verdict:#?}");
        chain.endpoint().lack(lacks);
    }
}

#[tokio::test]
async fn f50_a_registry_of_another_generation_is_no_finding() {
    let chain = final_chain();
    let stage = sampling(&chain).await;
    let (of_last, of_summary) = sample_calls();
    // It knows the last index, and summaries of a count and an average, or under another name.
    chain.answer_call(REPUTATION, of_last, answer(&[U256::from(9)]));
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.untold.len()), (vec![], 1), "{verdict:#?}");
    for other in [answer(&[U256::from(9), U256::from(80)]), Bytes::new(), answer(&[U256::from(9); 4])] {
        chain.answer_call(REPUTATION, of_summary.clone(), other);
        let verdict = stage.verdict().await;
        assert_eq!((told(&verdict.findings), verdict.untold.len()), (vec![], 1), "{verdict:#?}");
    }
}

#[tokio::test]
async fn f5_where_the_final_state_is_forgotten_a_newer_one_is_sampled() {
    let chain = final_chain();
    // Above finality the client gives feedback once more.
    chain.mine([(REPUTATION, Event::Reputation(feedback(10)))]);
    let stage = sampling(&chain).await;
    let (of_last, of_summary) = sample_calls();
    let ten = answer(&[U256::from(10), U256::ZERO - U256::from(7), U256::from(2)]);
    chain.answer_call(REPUTATION, of_last.clone(), answer(&[U256::from(10)]));
    chain.answer_call(REPUTATION, of_summary, ten);
    chain.endpoint().prune_state(31);
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), &verdict.untold), (vec![], &vec![]));
    chain.answer_call(REPUTATION, of_last, answer(&[U256::from(11)]));
    let verdict = stage.verdict().await;
    assert!(verdict.findings[0].description.contains("answers 11 at block 31 where our rows give 10"), "{verdict:#?}");
    chain.endpoint().prune_state(32);
    let verdict = stage.verdict().await;
    assert_eq!(told(&verdict.findings), vec![]);
    assert!(verdict.untold[0].ends_with("nor at block 31"), "{verdict:#?}");
}

#[tokio::test]
async fn f4_blooms_that_lie_are_no_cry_for_ever() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    chain.endpoint().fail("eth_getBlockByNumber", FOR_EVER, Fault::EmptyBloom);
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.method), (vec![], Method::LogsAgain));
    assert!(verdict.untold.iter().any(|said| said.contains("do not hash to their hashes")), "{verdict:#?}");
    stage.turn().await;
    assert_eq!(stage.verified_to().await, Some(BLOCKS));
}

#[tokio::test]
async fn f4_a_bloom_that_lies_is_replaced_by_another_endpoint_s() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await.node;
    let second = chain.another_endpoint();
    let stage = Stage::over(node, &network(&[chain.url(), second.url()])).await;
    chain.endpoint().fail("eth_getBlockByNumber", FOR_EVER, Fault::EmptyBloom);
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.method), (vec![("LOG_MISSING", 9)], Method::ReceiptsRoot));
}

#[tokio::test]
async fn f4_a_bloom_that_is_full_of_others_is_no_finding() {
    let chain = FakeChain::new(CHAIN_ID);
    let topic = |log: u64, place: u64| keccak256([log.to_be_bytes(), place.to_be_bytes()].concat());
    let foreign = |log| RawLog {
        address: SOMEBODY,
        topics: (0..4).map(|place| topic(log, place)).collect(),
        data: vec![].into(),
    };
    chain.mine((0..800).map(foreign));
    chain.mine_empty(BLOCKS - 1);
    chain.finalize(BLOCKS);
    let stage = Stage::ingested(&chain, None).await;
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.method, verdict.proven_blocks), (vec![], Method::ReceiptsRoot, 1));
    chain.endpoint().lack("eth_getBlockReceipts");
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.method), (vec![], Method::LogsAgain));
    assert!(verdict.untold[0].contains("no receipts settle it (first in block 1)"), "{verdict:#?}");
}

#[tokio::test]
async fn f12_a_log_that_an_endpoint_forged_below_finality_is_found() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::ForgedLog)).await;
    let verdict = stage.verdict().await;
    // The answer's last block with logs is the last one.
    assert_eq!(told(&verdict.findings), [("LOG_EXTRA", BLOCKS)]);
    assert_eq!(verdict.method, Method::ReceiptsRoot);
}

#[tokio::test]
async fn f9_null_receipts_and_those_of_another_block_are_asked_elsewhere() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, Some(Fault::WithoutLog(12, 0))).await.node;
    let second = chain.another_endpoint();
    let stage = Stage::over(node, &network(&[chain.url(), second.url()])).await;
    let other = json!([{"status": "0x1", "blockHash": B256::repeat_byte(1), "logs": []}]);
    let foreign = json!([{"status": "0x1", "type": "0x2", "cumulativeGasUsed": "0x1", "logs": []}]);
    for fault in [Fault::Null, Fault::Result(json!([null])), Fault::Result(other), Fault::Result(foreign)] {
        chain.endpoint().fail("eth_getBlockReceipts", FOR_EVER, fault);
        let verdict = stage.verdict().await;
        assert_eq!((told(&verdict.findings), verdict.method), (vec![("LOG_MISSING", 12)], Method::ReceiptsRoot));
        chain.endpoint().recover();
    }
}

#[tokio::test]
async fn rows_that_do_not_follow_from_the_raw_logs_are_found() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    for (statement, table, block) in [
        ("DELETE FROM feedback WHERE feedback_index = 3", "feedback", 10),
        ("UPDATE feedback SET value_raw = 8 WHERE feedback_index = 4", "feedback", 13),
        ("UPDATE agent SET owner = decode(repeat('09', 20), 'hex') WHERE agent_id = 1", "agent", 6),
        ("UPDATE agent SET agent_uri = 'ipfs://other' WHERE agent_id = 2", "agent", 9),
        (
            "INSERT INTO feedback_response VALUES (167000, 0, 0, decode(repeat('33', 20), 'hex'), 1, 5, 0, \
          decode(repeat('01', 32), 'hex'), 0, decode(repeat('01', 20), 'hex'), '', NULL, \
          decode(repeat('01', 32), 'hex'))",
            "feedback_response",
            5,
        ),
    ] {
        stage.sql(statement).await;
        let findings = stage.verdict().await.findings;
        let is_there =
            |finding: &Finding| finding.kind == "ROW" && finding.to == block && finding.description.starts_with(table);
        assert!(findings.iter().any(is_there), "{statement}: {findings:#?}");
    }
}

#[tokio::test]
async fn a_stored_hash_that_is_not_the_chain_s_is_found() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE block SET hash = decode(repeat('09', 32), 'hex') WHERE number = 12").await;
    assert_eq!(told(&stage.verdict().await.findings), [("HEADER", 12)]);
}

#[tokio::test]
async fn raw_logs_that_cannot_be_read_are_found() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE raw_logs SET logs = decode('0102', 'hex')").await;
    let findings = stage.verdict().await.findings;
    assert!(findings.iter().any(|finding| finding.kind == "SEGMENT"), "{findings:#?}");
    assert!(findings.iter().any(|finding| finding.kind == "LOG_MISSING"), "{findings:#?}");
}

#[tokio::test]
async fn raw_logs_of_a_backfill_that_cannot_be_read_are_repaired_whole() {
    let chain = final_chain();
    // The segment reaches over more blocks than a stretch, and than are repaired at once.
    chain.mine_empty(3 * STRETCH_BLOCKS);
    let last = chain.mine(registered(10)).number;
    chain.finalize(last);
    let network = network(&[chain.url()]);
    let stage = Stage::ingested(&chain, None).await;
    let expected = stage.node.tables(CHAIN_ID).await;
    stage.sql("UPDATE raw_logs SET logs = decode('0102', 'hex')").await;
    let database = stage.repaired(&network).await;
    assert_same(&dump(&connect(database.url()).await, CHAIN_ID).await, &expected);
}

#[tokio::test]
async fn findings_are_kept_until_the_blocks_agree_again() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE block SET hash = decode(repeat('09', 32), 'hex') WHERE number = 12").await;
    let client = connect(stage.node.database.url()).await;
    let open = async || {
        let select = "SELECT count(*) FILTER (WHERE repaired_at IS NULL), count(*) FROM verification_finding";
        let row = client.query_one(select, &[]).await.unwrap();
        (row.get::<_, i64>(0), row.get::<_, i64>(1))
    };
    for _ in 0..3 {
        stage.turn().await;
        assert_eq!(open().await, (1, 1));
    }
    let hash = chain.block(12).hash;
    stage.sql(&format!("UPDATE block SET hash = decode('{hash:x}', 'hex') WHERE number = 12")).await;
    stage.turn().await;
    assert_eq!((open().await, stage.verified_to().await), ((0, 1), Some(BLOCKS)));
}

/// What every finding says, and whether it is open.
async fn said(stage: &Stage) -> Vec<(String, bool)> {
    let select = "SELECT description, repaired_at IS NULL FROM verification_finding ORDER BY finding_id";
    let rows = connect(stage.node.database.url()).await.query(select, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[tokio::test]
async fn a_difference_that_another_endpoint_tells_is_the_same_finding() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, Some(Fault::WithoutBlock(9))).await;
    stage.turn().await;
    let first = said(&stage).await;
    let second = chain.another_endpoint();
    chain.endpoint().lack("eth_getBlockReceipts");
    let stage = Stage::over(stage.node, &network(&[chain.url(), second.url()])).await;
    stage.turn().await;
    let then = said(&stage).await;
    assert_eq!(then.iter().map(|(_, open)| *open).collect::<Vec<_>>(), [true], "{then:?}");
    assert_ne!(then, first, "it is told in the newest words");
}

#[tokio::test]
async fn a_registry_s_other_word_is_told_at_the_newest_block_and_is_one_finding() {
    let chain = final_chain();
    let mut stage = sampling(&chain).await;
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), answer(&[U256::from(44)]));
    stage.turn().await;
    chain.mine_empty(1);
    chain.finalize(BLOCKS + 1);
    stage.node.catch_up().await;
    stage.turn().await;
    let said = said(&stage).await;
    assert!(matches!(&said[..], [(words, true)] if words.contains("answers 44 at block 31")), "{said:?}");
}

/// A finding of block 9.
fn found(kind: &'static str, subject: &str, description: &str) -> Finding {
    let (subject, description) = (subject.to_owned(), description.to_owned());
    Finding { kind, from: 9, to: 9, subject, description, method: Method::LogsAgain }
}

#[tokio::test]
async fn only_what_was_not_open_is_new_and_only_what_is_not_found_is_repaired() {
    let stage = Stage::ingested(&final_chain(), None).await;
    stage.store.begin_verification(CHAIN_ID).await.unwrap();
    let record = async |findings: &[Finding]| {
        let audited = Audited { from: 1, to: BLOCKS, findings: findings.to_vec(), verified: None, rewinds: 0 };
        stage.store.record(CHAIN_ID, &audited).await.unwrap().unwrap()
    };
    let (first, second) = (found("ROW", "feedback log 1", "some words"), found("ROW", "feedback log 2", "some words"));
    assert_eq!(record(std::slice::from_ref(&first)).await, Recorded { new: vec![first], repaired: 0 });
    // The hole in which the first is has become narrower, too.
    let again = Finding { from: 8, ..found("ROW", "feedback log 1", "other words") };
    let recorded = record(&[again.clone(), second.clone()]).await;
    assert_eq!(recorded, Recorded { new: vec![second.clone()], repaired: 0 });
    let held = stage.store.held(CHAIN_ID, 1, BLOCKS).await.unwrap();
    assert_eq!(held.open, [again, second.clone()]);
    assert_eq!(record(&[second]).await, Recorded { new: vec![], repaired: 1 });
}

#[tokio::test]
async fn what_was_open_before_findings_had_subjects_stays_the_same_finding() {
    let stage = Stage::ingested(&final_chain(), Some(Fault::WithoutBlock(9))).await;
    stage
        .sql(
            "ALTER TABLE verification_finding DROP COLUMN subject; \
             CREATE UNIQUE INDEX verification_finding_open ON verification_finding \
                 (chain_id, kind, from_block, to_block, md5(description)) WHERE repaired_at IS NULL; \
             INSERT INTO verification_finding (chain_id, kind, from_block, to_block, description, method) \
             SELECT 167000, kind, 6, 9, description, method FROM (VALUES \
             ('LOG_MISSING', 'log 0 is on the chain and not stored, by a', 'LOGS_AGAIN'), \
             ('LOG_MISSING', 'logs 0, 2 are on the chain and not stored, by b', 'RECEIPTS_ROOT'), \
             ('LOG_DIFFERENT', 'log 3 is stored with another data, topic than on the chain, by a', 'LOGS_AGAIN'), \
             ('HEADER', 'the block is stored as 0x09, the chain shows 0x08', 'BLOOM'), \
             ('ROW', 'agent_metadata: the value is not what the raw log says, or not there (log 3)', 'BLOOM'), \
             ('AGENT_GAP', 'agent ids have a hole below 2, between block 6 and block 9', 'LOGS_AGAIN'), \
             ('FEEDBACK_GAP', 'feedback indexes of agent 1 and client 0xaB have a hole below 2, between block 6 and \
                 block 9', 'LOGS_AGAIN'), \
             ('CALL', 'getLastIndex(uint256,address) of agent 1 and client 0xaB answers 4 at block 30 where our rows \
                 give 3', 'LOGS_AGAIN')) AS told (kind, description, method)",
        )
        .await;
    stage.sql(include_str!("../../migrations/0012_finding_subject.sql")).await;
    let held = stage.store.held(CHAIN_ID, 1, BLOCKS).await.unwrap();
    let open: Vec<_> = held.open.iter().map(|finding| (finding.kind, finding.subject.as_str())).collect();
    let expected = [
        ("LOG_MISSING", ""),
        ("LOG_DIFFERENT", "log 3"),
        ("HEADER", ""),
        ("ROW", "agent_metadata log 3"),
        ("AGENT_GAP", "agent ids below 2"),
        ("FEEDBACK_GAP", "agent 1 client 0xaB feedback indexes below 2"),
        ("CALL", "agent 1 client 0xaB getLastIndex(uint256,address)"),
    ];
    assert_eq!(open, expected);
    assert_eq!(held.open[0].method, Method::ReceiptsRoot);
}

#[tokio::test]
async fn a_rewind_lowers_what_is_verified_and_forgets_audits_that_began_before() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.turn().await;
    let before = stage.store.standing(CHAIN_ID).await.unwrap();
    assert_eq!(before.verified.map(|verified| verified.number), Some(BLOCKS));
    let Stage { node, auditor, store } = stage;
    let database = node.stop();
    let taken = async {
        loop {
            if let Some(writer) = store.writer(CHAIN_ID).await.unwrap() {
                break writer;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let mut writer = timeout(DEADLINE, taken).await.expect("nobody else writes");
    assert!(writer.rederive(21).await.unwrap().is_done());
    let late = Audited { from: 1, to: BLOCKS, findings: vec![], verified: before.verified, rewinds: before.rewinds };
    assert_eq!(store.record(CHAIN_ID, &late).await.unwrap(), None);
    let lowered = store.standing(CHAIN_ID).await.unwrap().verified.unwrap();
    assert_eq!((lowered.number, lowered.hash), (20, None));
    auditor.turn(&mut Pass::default(), &|_| std::future::ready(false)).await.unwrap();
    assert_eq!(store.standing(CHAIN_ID).await.unwrap().verified, before.verified);
    drop(database);
}

#[tokio::test]
async fn what_stays_open_is_looked_at_again_without_the_rest() {
    let chain = final_chain();
    chain.mine_empty(3 * STRETCH_BLOCKS);
    chain.finalize(3 * STRETCH_BLOCKS);
    let stage = Stage::ingested(&chain, None).await;
    stage.sql("UPDATE block SET hash = decode(repeat('09', 32), 'hex') WHERE number = 12").await;
    let mut pass = Pass::default();
    let mut looked = Vec::new();
    for _ in 0..7 {
        looked.push(match stage.auditor.turn(&mut pass, &|_| std::future::ready(false)).await.unwrap() {
            Audit::Looked { verdict, .. } => verdict.stretch.from,
            Audit::UpToDate { open } => {
                assert!(open);
                0
            }
        });
    }
    assert_eq!(looked, [1, 501, 1001, 0, 1, 0, 1]);
}

#[tokio::test]
async fn a_rewind_before_anything_is_verified_changes_nothing() {
    let chain = final_chain();
    let stage = Stage::ingested(&chain, None).await;
    stage.store.begin_verification(CHAIN_ID).await.unwrap();
    let Stage { mut node, store, .. } = stage;
    chain.mine_empty(3);
    node.catch_up().await;
    chain.reorg(2, vec![Vec::<RawLog>::new(); 3]);
    node.catch_up().await;
    let standing = store.standing(CHAIN_ID).await.unwrap();
    assert_eq!((standing.verified, standing.rewinds), (None, 0));
}

#[tokio::test]
async fn an_ordinary_reorganisation_lets_an_audit_of_what_is_final_stand() {
    let chain = final_chain();
    let Stage { mut node, store, .. } = Stage::ingested(&chain, None).await;
    chain.mine_empty(3);
    node.catch_up().await;
    store.begin_verification(CHAIN_ID).await.unwrap();
    let before = store.standing(CHAIN_ID).await.unwrap().rewinds;
    chain.reorg(2, vec![Vec::<RawLog>::new(); 3]);
    node.catch_up().await;
    let audited = Audited { from: 1, to: BLOCKS, findings: vec![], verified: None, rewinds: before };
    assert!(store.record(CHAIN_ID, &audited).await.unwrap().is_some());
}
