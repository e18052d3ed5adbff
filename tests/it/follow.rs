//! The follower against a chain that forks, lags and finalizes: whatever it lived through, its tables are those of a node
//! that saw only the end.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256, keccak256};
use meikan::block::Header;
use meikan::chain::Chain;
use meikan::config::{Addresses, Contracts, Database, Follow, Network};
use meikan::event::{Event, IdentityEvent, ReputationEvent, Text};
use meikan::fault::Fault as Meaning;
use meikan::follow::{FollowError, Follower, Outcome, Reindex, ReindexError, Report, Stop, Until, reindex};
use meikan::store::Store;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::fake_chain::{FakeChain, Fault, RawLog};
use crate::support::postgres::{self, TestDatabase};
use crate::support::program::PATIENCE;
use crate::support::tables::{self, Dump};

pub(crate) const CHAIN_ID: u64 = 167_000;
pub(crate) const IDENTITY: Address = Address::repeat_byte(0x11);
pub(crate) const REPUTATION: Address = Address::repeat_byte(0x22);

/// Steps until the head at most; a story that needs more has gone in circles.
const MAX_STEPS: usize = 200;

/// Longest wait for the lock of a writer that has ended.
const LOCK_DEADLINE: Duration = Duration::from_secs(10);

/// A node on a database of its own.
pub(crate) struct Node {
    pub(crate) database: TestDatabase,
    pub(crate) network: Network,
    pub(crate) follower: Follower,
}

impl Node {
    pub(crate) async fn on(chain: &FakeChain) -> Self {
        Self::with(&[chain.url()], Follow::default()).await
    }

    pub(crate) async fn with(urls: &[String], follow: Follow) -> Self {
        Self::start(TestDatabase::migrated().await, network(urls, follow)).await
    }

    pub(crate) async fn start(database: TestDatabase, network: Network) -> Self {
        let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
        store.migrate().await.unwrap();
        let chain = Chain::connect(&network).await.unwrap();
        store.register(&network, chain.genesis_hash()).await.unwrap();
        let writer = timeout(LOCK_DEADLINE, async {
            loop {
                if let Some(writer) = store.writer(network.chain_id).await.unwrap() {
                    break writer;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let follower = Follower::new(&network, Arc::new(chain), writer.await.expect("the lock is free in time"));
        Self { database, network, follower }
    }

    /// Ends the process and starts it again.
    pub(crate) async fn restarted(self) -> Self {
        drop(self.follower);
        Self::start(self.database, self.network).await
    }

    /// Steps until the chain shows nothing new, and tells what happened on the way.
    pub(crate) async fn sync(&mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for _ in 0..MAX_STEPS {
            match self.follower.step().await {
                Ok(Outcome::AtHead) => return outcomes,
                Ok(outcome) => outcomes.push(outcome),
                Err(error) => assert_ne!(error.fault(), Meaning::Fatal, "{error}"),
            }
        }
        panic!("not at the head after {MAX_STEPS} steps: {outcomes:?}");
    }

    /// Ends the process, lets an operator re-index, and starts it again.
    pub(crate) async fn reindexed(self, asked: &Reindex) -> (Self, Result<Report, ReindexError>) {
        drop(self.follower);
        let store = Store::connect(&Database { url: self.database.url().into(), ..Database::default() }).await.unwrap();
        let report = reindex(&store, &self.network, asked).await;
        (Self::start(self.database, self.network).await, report)
    }

    pub(crate) fn tip(&self) -> u64 {
        self.follower.tip().map_or(0, |tip| tip.number)
    }

    /// The newest committed block that is proposed on L1.
    async fn safe(&self) -> Option<i64> {
        let client = postgres::connect(self.database.url()).await;
        client.query_one("SELECT safe_number FROM cursor", &[]).await.unwrap().get(0)
    }

    pub(crate) async fn dump(&self) -> Dump {
        tables::dump(&postgres::connect(self.database.url()).await, CHAIN_ID).await
    }

    /// Asserts that the tables are those of a node that sees the chain only now.
    pub(crate) async fn equals_fresh(&self, chain: &FakeChain) {
        let mut fresh = Self::on(chain).await;
        fresh.sync().await;
        assert_eq!(self.tip(), fresh.tip());
        tables::assert_same(&self.dump().await, &fresh.dump().await);
    }
}

pub(crate) fn network(urls: &[String], follow: Follow) -> Network {
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
        follow,
        ..Network::default()
    }
}

/// The logs of a registration, and of feedback by a client of that branch.
fn registered(agent: u64, branch: u8) -> Vec<RawLog> {
    let (agent_id, owner) = (U256::from(agent), Address::repeat_byte(branch));
    let agent_uri = Text::from(format!("https://agent-{agent}.example/{branch}").as_str());
    let minted = IdentityEvent::Transfer { from: Address::ZERO, to: owner, token_id: agent_id };
    let registered = IdentityEvent::Registered { agent_id, agent_uri, owner };
    let given = ReputationEvent::NewFeedback {
        agent_id,
        client_address: Address::repeat_byte(branch.wrapping_add(1)),
        feedback_index: 1,
        value: i128::from(agent) - 5,
        value_decimals: 1,
        indexed_tag1: keccak256("starred"),
        tag1: Text::from("starred"),
        tag2: Text::default(),
        endpoint: Text::default(),
        feedback_uri: Text::default(),
        feedback_hash: B256::ZERO,
    };
    vec![
        (IDENTITY, Event::Identity(minted)).into(),
        (IDENTITY, Event::Identity(registered)).into(),
        (REPUTATION, Event::Reputation(given)).into(),
    ]
}

fn revoked(agent: u64, branch: u8) -> RawLog {
    let revoked = ReputationEvent::FeedbackRevoked {
        agent_id: U256::from(agent),
        client_address: Address::repeat_byte(branch.wrapping_add(1)),
        feedback_index: 1,
    };
    (REPUTATION, Event::Reputation(revoked)).into()
}

/// A chain where every third block registers an agent, and later blocks revoke feedback.
pub(crate) fn busy_chain(blocks: u64) -> FakeChain {
    let chain = FakeChain::new(CHAIN_ID);
    for number in 1..=blocks {
        chain.mine(busy_block(number, 1));
    }
    chain
}

pub(crate) fn busy_block(number: u64, branch: u8) -> Vec<RawLog> {
    match number % 3 {
        0 => registered(number / 3, branch),
        1 if number > 6 => vec![revoked(number / 3 - 1, branch)],
        _ => Vec::new(),
    }
}

/// Replaces the newest blocks by ones of another branch, and mines some more.
pub(crate) fn fork(chain: &FakeChain, depth: u64, more: u64, branch: u8) {
    let head = chain.head().number;
    let blocks = (head - depth + 1..=head + more).map(|number| busy_block(number, branch)).collect();
    chain.reorg(depth, blocks);
}

fn depths(outcomes: &[Outcome]) -> Vec<u64> {
    let depth = |outcome: &Outcome| match outcome {
        Outcome::Reorganised { depth, .. } => Some(*depth),
        _ => None,
    };
    outcomes.iter().filter_map(depth).collect()
}

#[tokio::test]
async fn f25_backfill_and_live_write_the_same_tables() {
    let chain = FakeChain::new(CHAIN_ID);
    let mut live = Node::on(&chain).await;
    for number in 1..=60 {
        chain.mine(busy_block(number, 1));
        live.sync().await;
    }
    live.equals_fresh(&chain).await;
    chain.finalize(50);
    live.sync().await;
    live.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f25_ranges_that_end_anywhere_write_the_same_tables() {
    let chain = busy_chain(300);
    chain.finalize(200);
    let follow = Follow { max_range_blocks: 17, by_hash_blocks: 5, ..Follow::default() };
    let mut node = Node::with(&[chain.url()], follow).await;
    node.sync().await;
    node.equals_fresh(&chain).await;
}

/// How many of the indexes that only questions need a network lacks, and whether it is said to have them.
async fn lacks_indexes(database: &TestDatabase) -> (i64, bool) {
    let select = "SELECT count(*) FILTER (WHERE to_regclass(i.name || '_' || chain_id) IS NULL), bool_and(has_reader_indexes) \
                  FROM reader_index i CROSS JOIN network";
    let row = postgres::connect(database.url()).await.query_one(select, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn a_backfill_builds_the_indexes_at_its_end_that_only_questions_need() {
    let chain = busy_chain(300);
    chain.finalize(250);
    let follow = Follow { max_range_blocks: 20, postpone_indexes_blocks: 30, ..Follow::default() };
    let mut node = Node::with(&[chain.url()], follow).await;
    assert_eq!(lacks_indexes(&node.database).await, (0, true), "a network begins with all of them");
    assert!(matches!(node.follower.step().await, Ok(Outcome::Advanced { from: 1, .. })));
    let (lacking, has_all) = lacks_indexes(&node.database).await;
    assert!(lacking > 20 && !has_all, "{lacking}");
    // Whoever goes on after a crash knows it, registered once more or not.
    let mut node = node.restarted().await;
    assert_eq!(lacks_indexes(&node.database).await, (lacking, false));
    let outcomes = node.sync().await;
    let made_up = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::MadeUp(made_up) => Some(made_up.built.len()),
        _ => None,
    });
    let built: usize = made_up.sum();
    // One of them standings were counted by.
    assert_eq!((built + 1, lacks_indexes(&node.database).await), (usize::try_from(lacking).unwrap(), (0, true)));
    let first_built = outcomes.iter().position(|outcome| matches!(outcome, Outcome::MadeUp(_))).unwrap();
    let before: Vec<u64> = outcomes[..first_built].iter().map(end).collect();
    assert!(before.last() > Some(&220), "they come once it is nearly done: {before:?}");
    node.equals_fresh(&chain).await;
}

fn end(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Advanced { to, .. } | Outcome::Reorganised { to, .. } => *to,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_stops_in_the_middle_of_a_backfill_has_its_indexes() {
    let chain = busy_chain(300);
    chain.finalize(250);
    let database = TestDatabase::migrated().await;
    let network =
        network(&[chain.url()], Follow { max_range_blocks: 20, postpone_indexes_blocks: 30, ..Follow::default() });
    let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
    store.migrate().await.unwrap();
    let stop = meikan::follow::follow(&store, &network, Until::Block(50), &CancellationToken::new()).await.unwrap();
    assert!(matches!(stop, Stop::Reached(50..150)), "{stop:?}");
    assert_eq!(lacks_indexes(&database).await, (0, true));
}

/// Backfills 300 blocks by that URL; by commit, whether files of the server's log were made without filling them.
async fn unfilled_logs(database: &TestDatabase, url: String) -> Vec<bool> {
    let chain = busy_chain(300);
    chain.finalize(250);
    let network =
        network(&[chain.url()], Follow { max_range_blocks: 20, postpone_indexes_blocks: 30, ..Follow::default() });
    let store = Store::connect(&Database { url, ..Database::default() }).await.unwrap();
    store.migrate().await.unwrap();
    let client = postgres::connect(database.url()).await;
    let note = "CREATE TABLE noted (number serial, value text); GRANT ALL ON noted, noted_number_seq TO PUBLIC; \
                CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                    INSERT INTO noted (value) VALUES (current_setting('wal_init_zero')); RETURN NULL; END $$; \
                CREATE TRIGGER note AFTER UPDATE OF tip_number ON cursor FOR EACH ROW EXECUTE FUNCTION note()";
    client.batch_execute(note).await.unwrap();
    let stop = meikan::follow::follow(&store, &network, Until::Block(300), &CancellationToken::new()).await.unwrap();
    assert!(matches!(stop, Stop::Reached(300)), "{stop:?}");
    let rows = client.query("SELECT value FROM noted ORDER BY number", &[]).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0) == "off").collect()
}

#[tokio::test]
async fn a_backfill_does_not_fill_the_servers_log_beforehand_where_it_may_say_so() {
    let database = TestDatabase::create().await;
    let unfilled = unfilled_logs(&database, database.url().into()).await;
    let (first, last) = (unfilled[1], *unfilled.last().unwrap());
    assert!(first && !last, "while it backfills, and not at the head: {unfilled:?}");

    let database = TestDatabase::create().await;
    let role =
        "SELECT format('meikan_weak_%s', oid), current_database() FROM pg_database WHERE datname = current_database()";
    let client = postgres::connect(database.url()).await;
    let row = client.query_one(role, &[]).await.unwrap();
    let (role, name): (String, String) = (row.get(0), row.get(1));
    client.batch_execute(&format!("CREATE ROLE {role}; ALTER DATABASE {name} OWNER TO {role}")).await.unwrap();
    let more = if database.url().contains('?') { '&' } else { '?' };
    let url = format!("{}{more}options=-c%20role%3D{role}", database.url());
    let unfilled = unfilled_logs(&database, url).await;
    client.batch_execute(&format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP ROLE {role}")).await.unwrap();
    assert!(unfilled.len() > 2 && !unfilled.contains(&true), "who may not say so goes on as ever: {unfilled:?}");
}

#[tokio::test]
async fn f3_blocks_that_a_range_leaves_out_are_noticed_by_their_bloom() {
    let chain = busy_chain(200);
    let mut node = Node::with(&[chain.url()], Follow { by_hash_blocks: 5, ..Follow::default() }).await;
    chain.endpoint().fail("eth_getLogs", 1, Fault::FirstLogs(33));
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn a_header_that_fits_no_table_does_not_stop_the_node() {
    let chain = busy_chain(5);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    let block = chain.mine(busy_block(6, 1));
    let header = json!({
        "number": "0x6", "hash": block.hash, "parentHash": chain.block(5).hash, "timestamp": "0xffffffffffffffff",
    });
    chain.endpoint().fail("eth_getBlockByNumber", 3, Fault::Result(header));
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f13_a_lower_head_is_not_a_reorg() {
    let chain = busy_chain(40);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    for behind in [1, 5, 30] {
        chain.endpoint().lag(behind);
        assert!(node.sync().await.is_empty());
        assert_eq!(node.tip(), 40);
    }
    chain.endpoint().lag(0);
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f13_a_lagging_head_of_another_branch_is_followed_only_where_hashes_differ() {
    let chain = busy_chain(40);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    fork(&chain, 3, 0, 2);
    chain.endpoint().lag(1);
    assert_eq!(depths(&node.sync().await), [3]);
    chain.endpoint().lag(0);
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f18_the_first_block_follows_the_one_below_the_start() {
    let chain = busy_chain(40);
    chain.endpoint().fail("eth_getBlockByNumber", 8, Fault::WrongParent(1));
    let mut node = Node::on(&chain).await;
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f14_a_reorg_as_deep_as_finality_allows_is_followed() {
    let chain = busy_chain(750);
    chain.finalize(50);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    fork(&chain, 667, 3, 2);
    assert_eq!(depths(&node.sync().await), [667]);
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f14_finality_that_rises_on_the_new_branch_is_taken_up_after_the_swap() {
    let chain = busy_chain(400);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    fork(&chain, 350, 10, 2);
    chain.finalize(380);
    assert_eq!(depths(&node.sync().await), [350]);
    assert_eq!(node.follower.finalized().map(|block| block.number), Some(380));
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f15_a_finalized_block_that_is_replaced_stops_the_writer() {
    let chain = busy_chain(30);
    chain.finalize(20);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    chain.finalize(0);
    fork(&chain, 15, 1, 2);
    let error = node.follower.step().await.unwrap_err();
    assert_eq!(error.fault(), Meaning::Fatal);
    assert!(matches!(error, FollowError::FinalizedReplaced { number: 20, .. }), "{error}");
    assert_eq!(node.tip(), 30, "what was final is kept");
}

#[tokio::test]
async fn f15_a_final_tip_that_is_replaced_is_noticed_before_a_range_is_put_on_top() {
    let chain = busy_chain(19);
    chain.finalize(19);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    fork(&chain, 4, 5, 2);
    chain.finalize(23);
    let error = node.follower.step().await.unwrap_err();
    assert!(matches!(error, FollowError::FinalizedReplaced { number: 19, .. }), "{error}");
    assert_eq!(node.tip(), 19);
}

#[tokio::test]
async fn f15_one_lying_answer_about_a_final_block_stops_nothing() {
    let chain = busy_chain(30);
    chain.finalize(20);
    let mut node = Node::on(&chain).await;
    // The header at the end of the final range is another one, once.
    chain.endpoint().before_request(5, {
        let chain = chain.clone();
        move || {
            chain.endpoint().fail("eth_getBlockByNumber", 1, Fault::WrongHash);
        }
    });
    node.sync().await;
    node.equals_fresh(&chain).await;
    // So is the final block, when a fork is followed down to it.
    for wrong in 1..=2 {
        fork(&chain, 10, 1, 1 + wrong);
        chain.endpoint().fail("eth_getBlockByNumber", usize::from(wrong), Fault::WrongHash);
        node.sync().await;
        node.equals_fresh(&chain).await;
    }
}

#[tokio::test]
async fn f15_an_endpoint_that_tells_another_final_block_alone_stops_nothing() {
    let chain = busy_chain(30);
    chain.finalize(20);
    let other = chain.another_endpoint();
    let mut node = Node::with(&[chain.url(), other.url()], Follow::default()).await;
    node.sync().await;
    let (mut lie, parent) = (json!({}), chain.block(19).hash);
    for (key, value) in
        [("number", json!("0x14")), ("hash", json!(B256::repeat_byte(9))), ("parentHash", json!(parent))]
    {
        lie[key] = value;
    }
    lie["timestamp"] = json!("0x1");
    fork(&chain, 10, 1, 2);
    chain.endpoint().fail("eth_getBlockByNumber", 400, Fault::Result(lie));
    for _ in 0..8 {
        if let Err(error) = node.follower.step().await {
            assert_ne!(error.fault(), Meaning::Fatal, "{error}");
        }
    }
    chain.endpoint().recover();
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f16_a_safe_block_of_another_branch_makes_nothing_safe() {
    let chain = busy_chain(20);
    chain.propose(10);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    assert_eq!(node.safe().await, Some(10));
    let origin = json!({"blockID": "0x12", "l2BlockHash": B256::repeat_byte(9), "l1BlockHeight": "0x64"});
    chain.endpoint().fail("taiko_headL1Origin", 1, Fault::Result(origin));
    node.sync().await;
    assert_eq!(node.safe().await, Some(10), "block 18 is ours under another hash");
    chain.endpoint().fail("taiko_headL1Origin", 1, Fault::Error(-32_000, "not found".into()));
    node.sync().await;
    assert_eq!(node.safe().await, Some(10), "unknown is not unconfirmed");
    chain.propose(8);
    node.sync().await;
    assert_eq!(node.safe().await, Some(8), "a reorganisation of L1 may take a proposal back");
    chain.propose(19);
    node.sync().await;
    assert_eq!(node.safe().await, Some(19));
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f16_a_restart_while_nobody_tells_what_is_proposed_keeps_what_was_told() {
    let chain = busy_chain(20);
    chain.propose(10);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    chain.endpoint().fail("taiko_headL1Origin", 1, Fault::Error(-32_602, "invalid params".into()));
    let mut node = node.restarted().await;
    chain.mine(busy_block(21, 1));
    node.sync().await;
    assert_eq!(node.safe().await, Some(10), "unknown is not unconfirmed");
}

#[tokio::test]
async fn f16_a_head_that_is_replaced_while_finality_is_asked_for_does_not_become_final() {
    let chain = busy_chain(40);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    // The answer for the head is of the old branch, the one for finality of the new one.
    let other = chain.clone();
    chain.endpoint().before_request(2, move || {
        fork(&other, 5, 10, 2);
        other.finalize(45);
    });
    let _ = node.follower.step().await;
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f16_finality_that_steps_back_or_vanishes_changes_nothing() {
    let chain = busy_chain(30);
    chain.finalize(20);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    chain.finalize(10);
    chain.mine(busy_block(31, 1));
    node.sync().await;
    assert_eq!(node.follower.finalized().map(|block| block.number), Some(20));
    chain.finalize(25);
    node.sync().await;
    assert_eq!(node.follower.finalized().map(|block| block.number), Some(25));
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f17_two_reorgs_in_a_row_are_followed() {
    let chain = busy_chain(50);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    fork(&chain, 10, 2, 2);
    fork(&chain, 5, 1, 3);
    node.sync().await;
    fork(&chain, 12, 0, 4);
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f17_a_branch_that_comes_back_is_followed_back() {
    let chain = busy_chain(50);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    fork(&chain, 6, 1, 2);
    node.sync().await;
    fork(&chain, 7, 1, 1);
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f18_a_reorg_without_events_is_noticed() {
    let chain = FakeChain::new(CHAIN_ID);
    chain.mine_empty(20);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    chain.reorg(4, vec![Vec::<RawLog>::new(), Vec::new(), Vec::new(), Vec::new(), registered(0, 2)]);
    assert_eq!(depths(&node.sync().await), [4]);
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f23_nothing_is_undone_before_its_replacement_is_there() {
    let chain = busy_chain(40);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    let before = node.dump().await;
    fork(&chain, 5, 1, 2);
    chain.endpoint().fail("eth_getLogs", 1_000, Fault::Error(-32_000, "state is pruned".into()));
    assert!(node.follower.step().await.is_err());
    assert_eq!(node.dump().await, before);
    chain.endpoint().recover();
    node.sync().await;
    node.equals_fresh(&chain).await;
}

/// The next head that is announced by the endpoint in use.
async fn announced(node: &Node) -> Header {
    let heard = async {
        loop {
            if let Some(header) = node.follower.chain().new_head().await {
                return header;
            }
        }
    };
    timeout(PATIENCE, heard).await.expect("a head is announced")
}

#[tokio::test]
async fn f26_a_block_that_is_announced_is_asked_for_before_the_head_is_known_and_only_once() {
    let chain = busy_chain(9);
    let mut node = Node::with(&[chain.endpoint().ws_url()], Follow::default()).await;
    node.sync().await;
    chain.mine(busy_block(10, 0));
    let head = announced(&node).await;
    let asked = || chain.endpoint().requests("eth_getLogs").len();
    let (logs, headers) = (asked(), chain.endpoint().requests("eth_getBlockByNumber").len());
    node.follower.foresee(head);
    let foreseen = async {
        while asked() == logs {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, foreseen).await.expect("its logs are asked for");
    assert_eq!(chain.endpoint().requests("eth_getBlockByNumber").len(), headers);
    assert!(matches!(node.follower.step().await, Ok(Outcome::Advanced { from: 10, to: 10, .. })));
    assert_eq!(asked(), logs + 1);
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f26_what_is_announced_is_no_fact() {
    let chain = busy_chain(9);
    let mut node = Node::with(&[chain.endpoint().ws_url()], Follow::default()).await;
    node.sync().await;
    let lies: [fn(&mut Header); 5] = [
        |header| header.hash = B256::repeat_byte(7),
        |header| header.timestamp += 1,
        |header| header.logs_bloom = None,
        |header| header.parent_hash = B256::repeat_byte(7),
        |header| header.number += 1,
    ];
    for (number, lie) in (10..).zip(lies) {
        chain.mine(busy_block(number, 0));
        let mut head = announced(&node).await;
        lie(&mut head);
        node.follower.foresee(head);
        node.sync().await;
        assert_eq!(node.tip(), number);
    }
    // Announced, and replaced before anybody looked.
    chain.mine(busy_block(15, 0));
    let head = announced(&node).await;
    fork(&chain, 3, 2, 1);
    node.follower.foresee(head);
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f32_a_reorg_while_the_process_was_down_is_found_at_the_first_step() {
    let chain = busy_chain(40);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    fork(&chain, 8, 1, 2);
    let mut node = node.restarted().await;
    let first = node.follower.step().await.unwrap();
    assert!(matches!(first, Outcome::Reorganised { depth: 8, .. }), "{first:?}");
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f55_only_one_process_writes() {
    let chain = busy_chain(5);
    let node = Node::on(&chain).await;
    let store = Store::connect(&Database { url: node.database.url().into(), ..Database::default() }).await.unwrap();
    assert!(store.writer(CHAIN_ID).await.unwrap().is_none());
}

#[tokio::test]
async fn f64_f65_a_reorg_of_everything_since_the_start_is_followed() {
    let chain = busy_chain(12);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    fork(&chain, 12, 2, 2);
    assert_eq!(depths(&node.sync().await), [12]);
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn a_start_block_in_the_future_is_waited_for() {
    let chain = FakeChain::new(CHAIN_ID);
    let mut node = Node::on(&chain).await;
    assert!(node.sync().await.is_empty());
    chain.mine(registered(0, 1));
    assert_eq!(node.sync().await.len(), 1);
}
