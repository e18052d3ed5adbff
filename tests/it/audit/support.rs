//! A chain, a node that ingested it through an endpoint's fault, and an auditor of what it stored.

use std::sync::Arc;

use alloy::primitives::{Address, B256, U256, keccak256};
use meikan::audit::{Audit, Auditor, Pass, Settings, Stretch, Verdict};
use meikan::block::Method;
use meikan::chain::Chain;
use meikan::config::{Addresses, Contracts, Database, Follow, Network};
use meikan::event::{Event, IdentityEvent, ReputationEvent};
use meikan::follow::{Counter, Repair, Until, desk, follow_at};
use meikan::store::Store;
use meikan::store::verification::Finding;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::fake_chain::{FakeChain, Fault, RawLog};
use crate::support::node::{DEADLINE, Node};
use crate::support::postgres::{TestDatabase, connect};

pub(crate) const CHAIN_ID: u64 = 167_000;

pub(crate) const IDENTITY: Address = Address::repeat_byte(0x11);

pub(crate) const REPUTATION: Address = Address::repeat_byte(0x22);

pub(crate) const SOMEBODY: Address = Address::repeat_byte(0x33);

/// Blocks of a chain; all of them are final.
pub(crate) const BLOCKS: u64 = 30;

/// Faults that never end.
pub(crate) const FOR_EVER: usize = usize::MAX;

pub(crate) fn network(urls: &[String]) -> Network {
    Network {
        name: "taiko".into(),
        chain_id: CHAIN_ID,
        rpc_urls: urls.to_vec(),
        start_block: 1,
        contracts: Contracts {
            identity: Addresses(vec![IDENTITY]),
            reputation: Addresses(vec![REPUTATION]),
            ..Contracts::default()
        },
        follow: Follow { audit_call_samples: 0, ..Follow::default() },
        ..Network::default()
    }
}

/// A registration in every third block, feedback about it in the next one, and others' logs.
pub(crate) fn logs_of(number: u64) -> Vec<RawLog> {
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

pub(crate) fn feedback(index: u64) -> ReputationEvent {
    feedback_of(index, -7, 2)
}

pub(crate) fn feedback_of(index: u64, value: i128, value_decimals: u8) -> ReputationEvent {
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
pub(crate) fn final_chain() -> FakeChain {
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

pub(crate) fn registered(agent: u64) -> Vec<RawLog> {
    let (agent_id, owner) = (U256::from(agent), Address::repeat_byte(7));
    let identity = |event| RawLog::from((IDENTITY, Event::Identity(event)));
    vec![
        identity(IdentityEvent::Transfer { from: Address::ZERO, to: owner, token_id: agent_id }),
        RawLog { address: SOMEBODY, topics: vec![B256::repeat_byte(5)], data: vec![1; 70].into() },
        identity(IdentityEvent::Registered { agent_id, agent_uri: "ipfs://agent".into(), owner }),
    ]
}

/// A node's database, and an auditor of it.
pub(crate) struct Stage {
    pub(crate) node: Node,
    pub(crate) auditor: Auditor,
    pub(crate) store: Arc<Store>,
}

impl Stage {
    /// Ingests what the first endpoint tells with that fault, then takes the fault back.
    pub(crate) async fn ingested(chain: &FakeChain, fault: Option<Fault>) -> Self {
        if let Some(fault) = fault {
            chain.endpoint().fail("eth_getLogs", FOR_EVER, fault);
        }
        let node = Node::fresh(&[network(&[chain.url()])]).await;
        chain.endpoint().recover();
        Self::over(node, &network(&[chain.url()])).await
    }

    pub(crate) async fn over(node: Node, network: &Network) -> Self {
        let database = Database { url: node.database.url().into(), ..Database::default() };
        let store = Arc::new(Store::connect(&database).await.unwrap());
        let chain = Arc::new(Chain::connect(network).await.unwrap());
        let auditor = Auditor::new(network, chain, Arc::clone(&store), Settings::thorough(network));
        Self { node, auditor, store }
    }

    pub(crate) async fn verdict(&self) -> Verdict {
        let standing = self.store.standing(CHAIN_ID).await.unwrap();
        let stretch = Stretch { from: 1, to: BLOCKS, below: None, finalized: standing.finalized, verified_by: None };
        self.auditor.verify(stretch).await.unwrap()
    }

    pub(crate) async fn sql(&self, statement: &str) {
        connect(self.node.database.url()).await.batch_execute(statement).await.unwrap();
    }

    /// One turn of the background audit, without anybody who repairs.
    pub(crate) async fn turn(&self) -> Audit {
        self.auditor.turn(&mut Pass::default(), &|_| std::future::ready(false)).await.unwrap()
    }

    pub(crate) async fn verified_to(&self) -> Option<u64> {
        self.store.standing(CHAIN_ID).await.unwrap().verified.map(|verified| verified.number)
    }
}

impl Stage {
    /// Audits in a process that writes, and that has repaired what is found; returns the database.
    pub(crate) async fn repaired(self, network: &Network) -> Arc<TestDatabase> {
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

/// Kind and block of each finding.
pub(crate) fn told(findings: &[Finding]) -> Vec<(&'static str, u64)> {
    findings.iter().map(|finding| (finding.kind, finding.to)).collect()
}

/// Kinds of the findings that are open.
pub(crate) async fn open_kinds(stage: &Stage) -> Vec<String> {
    let select = "SELECT kind FROM verification_finding WHERE repaired_at IS NULL ORDER BY finding_id";
    let rows = connect(stage.node.database.url()).await.query(select, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// A finding of block 9.
pub(crate) fn found(kind: &'static str, subject: &str, description: &str) -> Finding {
    let (subject, description) = (subject.to_owned(), description.to_owned());
    Finding { kind, from: 9, to: 9, subject, description, method: Method::LogsAgain }
}

/// What every finding says, and whether it is open.
pub(crate) async fn said(stage: &Stage) -> Vec<(String, bool)> {
    let select = "SELECT description, repaired_at IS NULL FROM verification_finding ORDER BY finding_id";
    let rows = connect(stage.node.database.url()).await.query(select, &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
