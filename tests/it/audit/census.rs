//! Counters that registries keep dense, and what a hole in one proves.

use meikan::audit::Audit;
use meikan::block::Method;
use meikan::config::Network;

use super::support::{BLOCKS, CHAIN_ID, FOR_EVER, Stage, final_chain, network, registered, told};
use crate::support::fake_chain::{FakeChain, FakeEndpoint, Fault};
use crate::support::node::Node;
use crate::support::postgres::connect;
use crate::support::tables::{assert_same, dump};

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
