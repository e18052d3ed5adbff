//! Rows that do not follow from the raw logs.

use alloy::primitives::{Address, U256};
use meikan::event::{Event, IdentityEvent};
use meikan::store::verification::Finding;

use super::support::{
    BLOCKS, CHAIN_ID, IDENTITY, REPUTATION, Stage, feedback_of, final_chain, network, registered, told,
};
use crate::support::fake_chain::{FakeChain, RawLog};
use crate::support::node::Node;
use crate::support::postgres::connect;
use crate::support::tables::{assert_same, dump};

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
