//! A registry's generation that is changed after its logs were indexed: refused, until a re-index from the store has read
//! all of them anew.

use std::sync::Arc;

use futures_util::future::join;
use meikan::chain::Chain;
use meikan::config::{Database, Generations, Network};
use meikan::fault::Fault;
use meikan::follow::{Reindex, ReindexError, Until, desk, follow_at, reindex};
use meikan::store::{Source, Store, Writer};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::generations::{described, followed, log, november, october};
use crate::graphql::support::{CHAIN, registered, revoked};
use crate::support::fake_chain::FakeChain;
use crate::support::node::{DEADLINE, LOOK_EVERY, Node};
use crate::support::postgres::TestDatabase;
use crate::support::tables::assert_same;

/// The first block with a log of the reputation registry.
const FIRST_LOG: u64 = 3;

/// A chain whose feedback reads otherwise by each generation, and the network without one and with one.
fn chain_of_feedback() -> (FakeChain, Network, Network) {
    let chain = FakeChain::new(CHAIN);
    chain.mine(registered(0, 1, "").into_iter().map(log));
    chain.mine_empty(FIRST_LOG - 2);
    chain.mine([log(october(0, 5, 50, "a"))]);
    for client in 5..9 {
        chain.mine([described(client, "a"), november(0, client, 60, "b")].map(log));
        chain.mine([described(client, "b"), revoked(0, client, 2)].map(log));
    }
    chain.finalize(8);
    let named = followed(&chain);
    let mut unnamed = named.clone();
    unnamed.contracts.generations = Generations::default();
    (chain, unnamed, named)
}

fn from_store(from: u64) -> Reindex {
    Reindex { from: Some(from), source: Source::Store, dry_run: false, accept_deep_reorg: false }
}

/// A database in which the network is indexed.
async fn indexed(network: &Network) -> (Arc<TestDatabase>, Store) {
    let database = Node::fresh(std::slice::from_ref(network)).await.stop();
    let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
    (database, store)
}

async fn writer(store: &Store) -> Writer {
    let taken = async {
        loop {
            if let Some(writer) = store.writer(CHAIN).await.unwrap() {
                return writer;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    timeout(DEADLINE, taken).await.expect("nobody else writes")
}

/// Asserts that a node on the database is as one that has seen the network only now.
async fn assert_fresh(database: Arc<TestDatabase>, network: &Network) {
    let networks = std::slice::from_ref(network);
    let mut node = Node::start_on(database, networks).await;
    node.catch_up().await;
    let fresh = Node::fresh(networks).await;
    assert_same(&node.tables(CHAIN).await, &fresh.tables(CHAIN).await);
    assert_eq!(node.digests(CHAIN, 1).await, fresh.digests(CHAIN, 1).await);
}

async fn refusal_to_register(store: &Store, network: &Network) -> String {
    let genesis = Chain::connect(network).await.unwrap().genesis_hash();
    let error = store.register(network, genesis).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Fatal);
    error.to_string()
}

#[tokio::test]
async fn f50_a_changed_generation_is_refused_with_the_reindex_that_applies_it() {
    let (_chain, unnamed, named) = chain_of_feedback();
    let (_database, store) = indexed(&unnamed).await;
    let refused = refusal_to_register(&store, &named).await;
    let command = format!(
        "`meikan reindex --network {} --source store --from-block {FIRST_LOG}` (that block or a lower one)",
        named.name
    );
    assert!(refused.contains("with none as its generation in contracts.generations; put that back"), "{refused}");
    assert!(refused.contains(&command), "{refused}");
    // From the chain it is not applied, and says the same.
    let from_chain = Reindex { source: Source::Rpc, ..from_store(1) };
    let refused = reindex(&store, &named, &from_chain).await.unwrap_err().to_string();
    assert!(refused.contains(&command), "{refused}");
}

#[tokio::test]
async fn f50_f66_a_reindex_reads_by_the_new_generation_as_a_fresh_node_does() {
    let (_chain, unnamed, named) = chain_of_feedback();
    // In one transaction, and in many.
    for (from, step_logs) in [(FIRST_LOG, 200_000), (1, 2)] {
        let (database, store) = indexed(&unnamed).await;
        let mut named = named.clone();
        named.follow.reindex_step_logs = step_logs;
        let report = reindex(&store, &named, &from_store(from)).await.unwrap();
        assert!(report.before.rows != vec![] && report.after.is_some());
        assert_fresh(Arc::clone(&database), &named).await;
        // And back.
        let refused = refusal_to_register(&store, &unnamed).await;
        assert!(refused.contains("with 2026-01-text as its generation"), "{refused}");
        reindex(&store, &unnamed, &from_store(from)).await.unwrap();
        assert_fresh(database, &unnamed).await;
    }
    let (one, other) = (Node::fresh(&[unnamed]).await, Node::fresh(&[named]).await);
    let query = "{ feedbacks { tag1 tag2 endpoint } }";
    assert_ne!(one.ask(query).await, other.ask(query).await, "the generation makes a difference");
}

#[tokio::test]
async fn f50_f60_a_reindex_that_was_left_half_way_has_the_new_generation() {
    let (_chain, unnamed, named) = chain_of_feedback();
    let (database, store) = indexed(&unnamed).await;
    let mut writer = writer(&store).await;
    writer.set_reindex_step_logs(2);
    writer.name_generations(&named, FIRST_LOG).await.unwrap();
    assert!(!writer.rederive(FIRST_LOG).await.unwrap().is_done());
    drop(writer);
    refusal_to_register(&store, &unnamed).await;
    assert_fresh(database, &named).await;
}

#[tokio::test]
async fn f50_a_reindex_that_would_read_only_some_logs_anew_is_refused() {
    let (_chain, unnamed, named) = chain_of_feedback();
    let (database, store) = indexed(&unnamed).await;
    for dry_run in [true, false] {
        let asked = Reindex { dry_run, ..from_store(FIRST_LOG + 1) };
        let ReindexError::Refused { reason } = reindex(&store, &named, &asked).await.unwrap_err() else {
            panic!("it is refused")
        };
        assert!(reason.contains("from block 4 on only some would be read anew"), "{reason}");
        assert!(reason.ends_with("name block 3 or a lower one"), "{reason}");
    }
    assert_fresh(database, &unnamed).await;
}

#[tokio::test]
async fn f50_f55_a_process_that_stood_by_does_not_write_by_the_old_generation() {
    let (_chain, unnamed, named) = chain_of_feedback();
    let (database, store) = indexed(&unnamed).await;
    let mut writer = writer(&store).await;
    let (standing_by, counter) = desk();
    let follow = async {
        let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
        follow_at(standing_by, &store, &unnamed, Until::Forever, &CancellationToken::new()).await
    };
    let reindex = async {
        writer.name_generations(&named, FIRST_LOG).await.unwrap();
        assert!(writer.rederive(FIRST_LOG).await.unwrap().is_done());
        drop(writer);
    };
    // It has registered by then or has not: either way it is not to write.
    let (stopped, ()) = timeout(DEADLINE, join(Box::pin(follow), reindex)).await.expect("it ends");
    let stopped = stopped.unwrap_err().to_string();
    assert!(stopped.contains("with 2026-01-text as its generation"), "{stopped}");
    assert!(counter.writing.borrow().is_none());
    assert_fresh(Arc::clone(&database), &named).await;
}
