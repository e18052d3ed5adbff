//! `reindex` against a chain that finalizes, replaces what was final, and does not serve everything: whatever an operator
//! undid, the tables and the answers are those of a node that sees the chain only now.

use meikan::config::{Database, Follow, Network};
use meikan::follow::{FollowError, Outcome, Reindex, ReindexError};
use meikan::store::{Source, Store};
use serde_json::Value;

use crate::follow::{Node, busy_block, busy_chain, fork, network};
use crate::store::random::Random;
use crate::support::fake_chain::{FakeChain, Fault};
use crate::support::node;
use crate::support::postgres::TestDatabase;
use crate::support::program::dead_address;
use crate::support::tables::assert_same;

/// Re-indexes of each source in the property test.
const ROUNDS: u64 = 3;

fn asked(from: u64, source: Source) -> Reindex {
    Reindex { from: Some(from), source, dry_run: false, accept_deep_reorg: false }
}

fn accepted(from: Option<u64>) -> Reindex {
    Reindex { from, source: Source::Rpc, dry_run: false, accept_deep_reorg: true }
}

fn refusal(error: ReindexError) -> String {
    let ReindexError::Refused { reason } = error else { panic!("it is no refusal: {error}") };
    reason
}

/// Short ranges and steps, so that there is a middle.
fn short() -> Follow {
    Follow { max_range_blocks: 17, by_hash_blocks: 5, reindex_step_logs: 9, ..Follow::default() }
}

/// Some of everything that GraphQL answers, now and as of earlier blocks.
async fn answers(node: &node::Node, blocks: &[u64]) -> Vec<Value> {
    let agent = "id owner agentURI totalFeedback lastActivity updatedAt createdAt blockNumber finality";
    let mut answers = node.all("agents", agent).await;
    answers.extend(node.all("feedbacks", "id value isRevoked revokedAt createdAt transactionHash finality").await);
    for block in blocks {
        answers.extend(node.all_at(*block, "agents", "id owner totalFeedback lastActivity updatedAt").await);
    }
    answers.push(node.ask("{ _meta { block { number hash timestamp } } networks { indexed { number } } }").await);
    answers
}

#[tokio::test]
async fn f66_reindex_then_sync_equals_a_fresh_node_in_tables_and_answers() {
    let chain = busy_chain(120);
    chain.finalize(80);
    let network = network(&[chain.url()], short());
    let mut random = Random(66);
    let mut node = node::Node::start(std::slice::from_ref(&network)).await;
    node.catch_up().await;
    for round in 0..2 * ROUNDS {
        let source = if round % 2 == 0 { Source::Rpc } else { Source::Store };
        let from = random.between(1, node.tip() + 1);
        let database = node.stop();
        let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
        let report = meikan::follow::reindex(&store, &network, &asked(from, source)).await.unwrap();
        assert_eq!((report.before.from, report.before.blocks), (from, report.before.tip + 1 - from));
        assert_eq!(report.after.as_ref(), Some(&report.before), "what was undone is there again");
        // The chain goes on meanwhile.
        for number in chain.head().number + 1..=chain.head().number + random.below(9) {
            chain.mine(busy_block(number, 1));
        }
        chain.finalize(80 + round);
        node = node::Node::start_on(database, std::slice::from_ref(&network)).await;
        node.catch_up().await;
        let fresh = node::Node::fresh(std::slice::from_ref(&network)).await;
        let chain_id = network.chain_id;
        assert_same(&node.tables(chain_id).await, &fresh.tables(chain_id).await);
        let blocks = [from.min(node.tip()), 50, 100];
        assert_eq!(answers(&node, &blocks).await, answers(&fresh, &blocks).await, "from {from}, {source:?}");
    }
}

#[tokio::test]
async fn f65_the_start_block_can_be_reindexed_also_where_it_is_the_genesis() {
    for start_block in [0, 1] {
        let chain = busy_chain(30);
        chain.finalize(20);
        let network = Network { start_block, ..network(&[chain.url()], short()) };
        let fresh = node::Node::fresh(std::slice::from_ref(&network)).await;
        let expected = fresh.tables(network.chain_id).await;
        let mut database = fresh.stop();
        for source in [Source::Rpc, Source::Store] {
            let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
            meikan::follow::reindex(&store, &network, &asked(start_block, source)).await.unwrap();
            let node = node::Node::start_on(database, std::slice::from_ref(&network)).await;
            assert_same(&node.tables(network.chain_id).await, &expected);
            database = node.stop();
        }
    }
}

#[tokio::test]
async fn f15_a_deep_reorganisation_is_shown_and_followed_once_it_is_accepted() {
    for depth in [15, 27, 12, 25] {
        let chain = busy_chain(30);
        chain.finalize(20);
        let mut node = Node::on(&chain).await;
        node.sync().await;
        chain.finalize(0);
        fork(&chain, depth, 3, 2);
        chain.finalize(24);
        let stopped = node.follower.step().await.unwrap_err();
        assert!(stopped.to_string().contains("meikan reindex --network taiko --accept-deep-reorg"), "{stopped}");
        let before = node.dump().await;
        let (node, unaccepted) = node.reindexed(&asked(5, Source::Rpc)).await;
        let unaccepted = unaccepted.unwrap_err();
        let replaced = matches!(unaccepted, ReindexError::Follow(FollowError::FinalizedReplaced { number: 20, .. }));
        assert!(replaced, "{unaccepted}");
        let (node, shown) = node.reindexed(&Reindex { dry_run: true, ..accepted(None) }).await;
        assert_eq!(node.dump().await, before, "nothing is done without the word");
        let shown = shown.unwrap();
        // The newest shared block that is held: every third and the one behind it have logs.
        let shared = shown.shared.unwrap();
        assert!(shared <= 30 - depth && 30 - depth - shared < 3, "{shared} of {}", 30 - depth);
        assert_eq!((shown.before.from, shown.after), (shared + 1, None));
        let (mut node, done) = node.reindexed(&accepted(None)).await;
        assert_eq!(done.unwrap().shared, Some(shared));
        node.sync().await;
        node.equals_fresh(&chain).await;
    }
}

#[tokio::test]
async fn f15_a_first_block_above_the_shared_one_is_refused_and_one_below_is_taken() {
    let chain = busy_chain(30);
    chain.finalize(20);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    let (node, needless) = node.reindexed(&accepted(None)).await;
    let needless = refusal(needless.unwrap_err());
    assert!(needless.contains("no deep reorganisation is to be accepted"), "{needless}");
    chain.finalize(0);
    fork(&chain, 15, 3, 2);
    chain.finalize(24);
    let (node, above) = node.reindexed(&accepted(Some(17))).await;
    let above = refusal(above.unwrap_err());
    assert!(above.contains("no block above 15") && above.contains("name block 16 or a lower one"), "{above}");
    let (mut node, below) = node.reindexed(&accepted(Some(4))).await;
    assert_eq!(below.unwrap().before.from, 4);
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f15_f31_a_chain_that_shares_nothing_is_refused_as_another_one() {
    let chain = busy_chain(30);
    chain.finalize(20);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    chain.finalize(0);
    fork(&chain, 30, 3, 2);
    chain.finalize(24);
    let before = node.dump().await;
    let (node, other) = node.reindexed(&accepted(None)).await;
    let other = refusal(other.unwrap_err());
    assert!(other.contains("looks like another chain") && other.contains("--from-block 1"), "{other}");
    assert_eq!(node.dump().await, before);
    let (mut node, anew) = node.reindexed(&accepted(Some(1))).await;
    anew.unwrap();
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn f23_a_reindex_undoes_nothing_that_the_chain_cannot_serve() {
    let chain = busy_chain(40);
    chain.finalize(30);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    let before = node.dump().await;
    chain.endpoint().fail("eth_getLogs", 1_000, Fault::Error(-32_000, "history is pruned".into()));
    let (node, unserved) = node.reindexed(&asked(7, Source::Rpc)).await;
    let unserved = unserved.unwrap_err().to_string();
    assert!(unserved.starts_with("nothing was changed, because the blocks from 7 on could not be had"), "{unserved}");
    assert!(unserved.contains("history is pruned") && unserved.contains("--source store"), "{unserved}");
    assert_eq!(node.dump().await, before);
}

#[tokio::test]
async fn f61_f62_what_cannot_be_reached_is_refused() {
    let chain = busy_chain(40);
    let mut node = Node::on(&chain).await;
    for source in [Source::Rpc, Source::Store] {
        let (again, nothing) = node.reindexed(&asked(1, source)).await;
        assert!(refusal(nothing.unwrap_err()).contains("is indexed yet"));
        node = again;
    }
    node.sync().await;
    for source in [Source::Rpc, Source::Store] {
        for dry_run in [false, true] {
            let (again, forward) = node.reindexed(&Reindex { dry_run, ..asked(42, source) }).await;
            assert!(refusal(forward.unwrap_err()).contains("the highest block that it can begin at is 41"));
            let (again, below) = again.reindexed(&Reindex { dry_run, ..asked(0, source) }).await;
            assert!(refusal(below.unwrap_err()).contains("the lowest block that a re-index can begin at is 1"));
            node = again;
        }
    }
}

#[tokio::test]
async fn f61_a_reindex_from_above_the_newest_block_changes_nothing_and_says_so() {
    let chain = busy_chain(40);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    let before = node.dump().await;
    for source in [Source::Rpc, Source::Store] {
        let (again, nothing) = node.reindexed(&asked(41, source)).await;
        let nothing = nothing.unwrap();
        assert_eq!((nothing.before.blocks, nothing.after.as_ref()), (0, Some(&nothing.before)));
        node = again;
    }
    assert_same(&node.dump().await, &before);
}

#[tokio::test]
async fn f63_a_reindex_beside_a_writer_is_refused_and_a_dry_run_is_not() {
    let chain = busy_chain(20);
    let mut node = Node::on(&chain).await;
    node.sync().await;
    let before = node.dump().await;
    let store = Store::connect(&Database { url: node.database.url().into(), ..Database::default() }).await.unwrap();
    for source in [Source::Rpc, Source::Store] {
        let busy = meikan::follow::reindex(&store, &node.network, &asked(5, source)).await.unwrap_err();
        assert!(matches!(busy, ReindexError::Busy { .. }), "{busy}");
        let dry = Reindex { dry_run: true, ..asked(5, source) };
        let report = meikan::follow::reindex(&store, &node.network, &dry).await.unwrap();
        assert_eq!((report.before.blocks, report.after), (16, None));
    }
    assert_eq!(node.dump().await, before);
    chain.mine(busy_block(21, 1));
    node.sync().await;
    assert_eq!(node.tip(), 21, "the writer goes on undisturbed");
}

#[tokio::test]
async fn a_reindex_from_the_store_asks_no_endpoint() {
    let chain = busy_chain(60);
    chain.finalize(40);
    let mut node = Node::with(&[chain.url()], short()).await;
    node.sync().await;
    let before = node.dump().await;
    let (database, mut network) = (node.database, node.network);
    drop(node.follower);
    network.rpc_urls = vec![format!("http://{}", dead_address())];
    let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
    let report = meikan::follow::reindex(&store, &network, &asked(1, Source::Store)).await.unwrap();
    assert_eq!(report.after.as_ref(), Some(&report.before));
    let client = crate::support::postgres::connect(database.url()).await;
    assert_same(&crate::support::tables::dump(&client, network.chain_id).await, &before);
}

/// A database whose re-index from the store ended half way, and what its tables were before.
async fn half_way(chain: &FakeChain) -> (Node, crate::support::tables::Dump) {
    let mut node = Node::with(&[chain.url()], short()).await;
    node.sync().await;
    let before = node.dump().await;
    let (database, network): (TestDatabase, _) = (node.database, node.network);
    drop(node.follower);
    let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
    let mut writer = loop {
        if let Some(writer) = store.writer(network.chain_id).await.unwrap() {
            break writer;
        }
        tokio::time::sleep(node::LOOK_EVERY).await;
    };
    writer.set_reindex_step_logs(9);
    assert!(!writer.rederive(7).await.unwrap().is_done());
    drop(writer);
    (Node::start(database, network).await, before)
}

#[tokio::test]
async fn whoever_writes_next_goes_on_with_a_reindex_from_the_store() {
    let chain = busy_chain(60);
    chain.finalize(40);
    let (mut node, before) = half_way(&chain).await;
    let outcomes = node.sync().await;
    assert!(matches!(outcomes[0], Outcome::Rederived(_)) && outcomes.len() > 2, "{outcomes:?}");
    assert_same(&node.dump().await, &before);
    chain.mine(busy_block(61, 1));
    node.sync().await;
    node.equals_fresh(&chain).await;
    // Another re-index takes it up as well, from the chain or from the store, below or above where it stands.
    for (from, source) in [(50, Source::Store), (3, Source::Store), (50, Source::Rpc), (3, Source::Rpc)] {
        let chain = busy_chain(60);
        chain.finalize(40);
        let (node, before) = half_way(&chain).await;
        let (mut node, report) = node.reindexed(&asked(from, source)).await;
        report.unwrap();
        node.sync().await;
        assert_same(&node.dump().await, &before);
    }
}

#[tokio::test]
async fn f15_final_blocks_above_a_reindex_that_is_half_way_are_not_replaced_unasked() {
    let chain = busy_chain(60);
    chain.finalize(40);
    let (node, _) = half_way(&chain).await;
    chain.finalize(0);
    fork(&chain, 30, 3, 2);
    chain.finalize(50);
    let (node, unaccepted) = node.reindexed(&asked(7, Source::Rpc)).await;
    let unaccepted = unaccepted.unwrap_err();
    let replaced = matches!(unaccepted, ReindexError::Follow(FollowError::FinalizedReplaced { number: 40, .. }));
    assert!(replaced, "{unaccepted}");
    let (mut node, done) = node.reindexed(&accepted(None)).await;
    assert!(done.unwrap().shared.unwrap() <= 30);
    node.sync().await;
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn a_reindex_from_the_chain_cures_raw_logs_that_are_damaged() {
    let chain = busy_chain(60);
    chain.finalize(40);
    let (node, before) = half_way(&chain).await;
    let client = crate::support::postgres::connect(node.database.url()).await;
    client.batch_execute("UPDATE raw_logs SET logs = substring(logs FOR 30) WHERE from_block = 42").await.unwrap();
    let (node, damaged) = node.reindexed(&asked(50, Source::Store)).await;
    let damaged = damaged.unwrap_err().to_string();
    assert!(damaged.contains("`meikan reindex --source rpc --from-block 42` fetches them again"), "{damaged}");
    // From where it is damaged, the one that is half way would have to end first.
    let (node, ahead) = node.reindexed(&asked(42, Source::Rpc)).await;
    let ahead = refusal(ahead.unwrap_err());
    let lower: u64 = ahead.split("name block ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((7..42).contains(&lower), "{ahead}");
    let (mut node, cured) = node.reindexed(&asked(lower, Source::Rpc)).await;
    cured.unwrap();
    node.sync().await;
    assert_same(&node.dump().await, &before);
}

/// A chain whose reputation registry was deployed in block 12, and the network without it and with it.
fn late_registry() -> (FakeChain, Network, Network) {
    let chain = FakeChain::new(network(&[], short()).chain_id);
    let late = network(&[chain.url()], short());
    let registry = late.contracts.reputation.0[0];
    for number in 1..=40 {
        let mut logs = busy_block(number, 1);
        logs.retain(|log| number >= 12 || log.address != registry);
        chain.mine(logs);
    }
    chain.finalize(25);
    chain.deploy_in(12, registry);
    let mut early = late.clone();
    early.contracts.reputation.0.clear();
    (chain, early, late)
}

#[tokio::test]
async fn a_contract_that_comes_late_is_brought_in_by_a_reindex() {
    let (_chain, early, late) = late_registry();
    let fresh = node::Node::fresh(std::slice::from_ref(&late)).await.tables(late.chain_id).await;
    for from in [12, 7, 1] {
        let database = node::Node::fresh(std::slice::from_ref(&early)).await.stop();
        let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
        meikan::follow::reindex(&store, &late, &asked(from, Source::Rpc)).await.unwrap();
        let node = node::Node::start_on(database, std::slice::from_ref(&late)).await;
        assert_same(&node.tables(late.chain_id).await, &fresh);
    }
}

#[tokio::test]
async fn a_contract_that_comes_late_leaves_no_hole() {
    let (chain, early, late) = late_registry();
    let node = node::Node::fresh(std::slice::from_ref(&early)).await;
    let before = node.tables(early.chain_id).await;
    let database = node.stop();
    let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
    let error = meikan::follow::reindex(&store, &late, &asked(13, Source::Rpc)).await.unwrap_err();
    assert!(refusal(error).contains("had code in block 12 already"));
    chain.endpoint().prune_state(30);
    let error = meikan::follow::reindex(&store, &late, &asked(12, Source::Rpc)).await.unwrap_err();
    assert!(refusal(error).contains("take it all anew with --from-block 1"));
    chain.endpoint().prune_state(0);
    chain.endpoint().fail("eth_getLogs", usize::MAX, Fault::Error(-32_000, "not now".into()));
    let error = meikan::follow::reindex(&store, &late, &asked(12, Source::Rpc)).await.unwrap_err();
    assert!(matches!(error, ReindexError::Unserved { from: 12, .. }), "{error}");
    chain.endpoint().recover();
    // Whatever failed, the contract is not entered, and the network goes on without it.
    let node = node::Node::start_on(database, std::slice::from_ref(&early)).await;
    assert_same(&node.tables(early.chain_id).await, &before);
}
