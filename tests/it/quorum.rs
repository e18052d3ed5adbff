//! Several endpoints must agree on logs: what happens when one leaves out, invents, lags or is gone (F12).

use std::sync::Arc;

use meikan::api::{self, ApiState};
use meikan::chain::{Chain, ChainError};
use meikan::config::{Api, Database, Follow, Network};
use meikan::dispute::Settlement;
use meikan::fault::Fault as Meaning;
use meikan::follow::FollowError;
use meikan::store::Store;
use serde_json::{Value, json};

use crate::chain::support::{agents, all, busy_chain, header, network};
use crate::follow::{Node, busy_block, busy_chain as followed_chain, fork};
use crate::support::fake_chain::Fault;

/// A network whose endpoints must agree, so many of them.
fn agreeing(quorum: usize, urls: &[String]) -> Network {
    let mut network = network(urls);
    network.follow.quorum = quorum;
    network
}

async fn connect(network: &Network) -> Chain {
    Chain::connect(network).await.expect("the endpoints are of the chain")
}

/// What GraphQL answers from that database.
async fn ask(url: &str, query: &str) -> Value {
    let store = Store::connect(&Database { url: url.into(), ..Database::default() }).await.unwrap();
    let router = api::router(ApiState::new(Arc::new(store), Api::default()), None);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/graphql", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let request = reqwest::Client::new().post(address).header("content-type", "application/json");
    let answer = request.body(json!({ "query": query }).to_string()).send().await.unwrap().text().await.unwrap();
    server.abort();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(answer.get("errors").is_none(), "{answer}");
    answer["data"].clone()
}

#[tokio::test]
async fn f12_endpoints_that_agree_are_all_asked_and_no_dispute_is_seen() {
    let fake = busy_chain(20);
    let (second, third) = (fake.another_endpoint(), fake.another_endpoint());
    let chain = connect(&agreeing(3, &[fake.url(), second.url(), third.url()])).await;
    assert_eq!(agents(&all(&chain, 1, 20).await), (0..20).collect::<Vec<_>>());
    let headers = chain.headers(&[18, 19, 20]).await.expect("the headers are answered");
    assert_eq!(agents(&chain.blocks(&headers).await.expect("the blocks are answered")), [17, 18, 19]);
    assert_eq!(agents(&[chain.block(&headers[0]).await.expect("the block is answered")]), [17]);
    for endpoint in [fake.endpoint(), &second, &third] {
        assert_eq!(endpoint.requests("eth_getLogs").len(), 1 + 3 + 1);
    }
    assert_eq!(chain.take_disputes(), []);
}

#[tokio::test]
async fn f12_logs_that_are_left_out_or_forged_are_found_and_proven_by_receipts() {
    for fault in [Fault::EmptyLogs, Fault::FirstLogs(3), Fault::ForgedData, Fault::ForgedTopic] {
        for liar_is_first in [true, false] {
            let fake = busy_chain(9);
            let other = fake.another_endpoint();
            let liar = if liar_is_first { fake.endpoint() } else { &other };
            let chain = connect(&agreeing(2, &[fake.url(), other.url()])).await;
            liar.fail("eth_getLogs", 1, fault.clone());
            let blocks = all(&chain, 1, 9).await;
            assert_eq!(agents(&blocks), (0..9).collect::<Vec<_>>(), "{fault:?}");
            let disputes = chain.take_disputes();
            assert_eq!(disputes.len(), 1, "{disputes:?}");
            assert_eq!(disputes[0].settlement, Settlement::Receipts, "{fault:?}");
            assert_eq!(disputes[0].wrong, [liar.url()], "{fault:?}");
        }
    }
}

#[tokio::test]
async fn f12_a_forged_block_is_found_near_the_head_too() {
    let fake = busy_chain(9);
    let other = fake.another_endpoint();
    let chain = connect(&agreeing(2, &[fake.url(), other.url()])).await;
    let headers = chain.headers(&[7, 8, 9]).await.expect("the headers are answered");
    fake.endpoint().fail("eth_getLogs", 2, Fault::ForgedData);
    assert_eq!(agents(&chain.blocks(&headers).await.expect("the blocks are answered")), [6, 7, 8]);
    let disputes = chain.take_disputes();
    assert_eq!((disputes[0].from, disputes[0].to, disputes.len()), (7, 8, 1), "neighbours are one dispute");
}

#[tokio::test]
async fn f12_without_receipts_a_bloom_tells_a_forged_topic_and_the_majority_the_rest() {
    for (fault, settlement) in [
        (Fault::ForgedTopic, Settlement::Bloom),
        (Fault::ForgedData, Settlement::Majority),
        (Fault::EmptyLogs, Settlement::Majority),
    ] {
        let fake = busy_chain(1);
        let (second, third) = (fake.another_endpoint(), fake.another_endpoint());
        for endpoint in [fake.endpoint(), &second, &third] {
            endpoint.lack("eth_getBlockReceipts");
        }
        let chain = connect(&agreeing(2, &[fake.url(), second.url(), third.url()])).await;
        fake.endpoint().fail("eth_getLogs", 1, fault.clone());
        assert_eq!(agents(&all(&chain, 1, 1).await), [0], "{fault:?}");
        let disputes = chain.take_disputes();
        assert_eq!(
            (disputes[0].settlement, disputes[0].wrong.as_slice()),
            (settlement, &[fake.url()][..]),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn f12_what_nothing_settles_is_not_taken() {
    let fake = busy_chain(3);
    let other = fake.another_endpoint();
    for endpoint in [fake.endpoint(), &other] {
        endpoint.lack("eth_getBlockReceipts");
    }
    let chain = connect(&agreeing(2, &[fake.url(), other.url()])).await;
    other.fail("eth_getLogs", usize::MAX, Fault::ForgedData);
    let error = chain.range(1, 3).await.expect_err("one word stands against another");
    assert!(matches!(error, ChainError::Disputed { .. }), "{error}");
    assert_eq!(error.fault(), Meaning::Retry);
    assert!(error.to_string().contains(&fake.url()) && error.to_string().contains(&other.url()), "{error}");
    let disputes = chain.take_disputes();
    assert_eq!((disputes[0].settlement, disputes[0].wrong.len()), (Settlement::Unsettled, 0));
    other.recover();
    assert_eq!(agents(&all(&chain, 1, 3).await), [0, 1, 2]);
}

#[tokio::test]
async fn f12_endpoints_that_disagree_are_recorded() {
    let fake = followed_chain(60);
    let other = fake.another_endpoint();
    let follow = Follow { quorum: 2, by_hash_blocks: 10, ..Follow::default() };
    let mut node = Node::with(&[fake.url(), other.url()], follow).await;
    other.fail("eth_getLogs", 1, Fault::FirstLogs(3));
    node.sync().await;
    node.equals_fresh(&fake).await;

    let query =
        "{ disputes { id chainId fromBlock toBlock endpoints logCounts wrongEndpoints difference settlement times } }";
    let before = ask(node.database.url(), query).await;
    let dispute = &before["disputes"][0];
    assert_eq!(before["disputes"].as_array().map(Vec::len), Some(1), "{before}");
    assert_eq!(dispute["endpoints"], json!([fake.url(), other.url()]));
    assert_eq!((&dispute["wrongEndpoints"], &dispute["settlement"]), (&json!([other.url()]), &json!("RECEIPTS")));
    assert_eq!((&dispute["times"], &dispute["chainId"]), (&json!("1"), &json!("167000")));
    assert!(dispute["difference"].as_str().is_some_and(|words| words.contains("is told by")), "{dispute}");
    let id = dispute["id"].as_str().unwrap();
    let one = format!("{{ dispute(id: {id:?}) {{ fromBlock }} disputes(where: {{ settlement: MAJORITY }}) {{ id }} }}");
    let one = ask(node.database.url(), &one).await;
    assert_eq!(one, json!({ "dispute": { "fromBlock": dispute["fromBlock"] }, "disputes": [] }));

    // It is about endpoints, not about blocks: a rewind does not take it back.
    fork(&fake, 55, 3, 2);
    node.sync().await;
    assert_eq!(ask(node.database.url(), query).await, before);
}

#[tokio::test]
async fn f12_the_same_dispute_again_is_counted_and_fills_no_table() {
    let fake = followed_chain(3);
    let other = fake.another_endpoint();
    for endpoint in [fake.endpoint(), &other] {
        endpoint.lack("eth_getBlockReceipts");
    }
    let mut node = Node::with(&[fake.url(), other.url()], Follow { quorum: 2, ..Follow::default() }).await;
    other.fail("eth_getLogs", usize::MAX, Fault::ForgedData);
    for _ in 0..4 {
        let error = node.follower.step().await.unwrap_err();
        assert!(matches!(error, FollowError::Chain(ChainError::Disputed { .. })), "{error}");
    }
    assert_eq!(node.tip(), 0, "nothing is committed");
    let answer = ask(node.database.url(), "{ disputes { settlement times wrongEndpoints } }").await;
    let times: u64 = answer["disputes"][0]["times"].as_str().unwrap().parse().unwrap();
    assert!(answer["disputes"].as_array().unwrap().len() <= 2 && times >= 2, "{answer}");
    other.recover();
    node.sync().await;
    node.equals_fresh(&fake).await;
}

#[tokio::test]
async fn f12_with_fewer_endpoints_than_the_quorum_the_writer_waits() {
    let fake = followed_chain(5);
    let other = fake.another_endpoint();
    let mut node = Node::with(&[fake.url(), other.url()], Follow { quorum: 2, ..Follow::default() }).await;
    let down = Fault::Http(503, None, String::new());
    for method in ["eth_blockNumber", "eth_getLogs", "eth_getBlockByNumber"] {
        other.fail(method, usize::MAX, down.clone());
    }
    let error = node.follower.step().await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, FollowError::Chain(ChainError::Quorum { wanted: 2, answered: 1, .. })), "{text}");
    assert!(text.contains("1 of the 2 endpoints answer") && error.fault() == Meaning::Retry, "{text}");
    assert_eq!(node.tip(), 0);
    other.recover();
    node.sync().await;
    node.equals_fresh(&fake).await;
}

#[tokio::test]
async fn f12_a_quorum_shrinks_only_where_the_configuration_says_so() {
    let fake = followed_chain(5);
    let other = fake.another_endpoint();
    let follow = Follow { quorum: 2, quorum_may_shrink: true, ..Follow::default() };
    let mut node = Node::with(&[fake.url(), other.url()], follow).await;
    for method in ["eth_blockNumber", "eth_getLogs", "eth_getBlockByNumber"] {
        other.fail(method, usize::MAX, Fault::Http(503, None, String::new()));
    }
    node.sync().await;
    node.equals_fresh(&fake).await;
}

#[tokio::test]
async fn f12_what_an_endpoint_does_not_have_yet_is_waited_for_and_no_dispute() {
    let fake = followed_chain(30);
    let other = fake.another_endpoint();
    other.lag(4);
    let mut node = Node::with(&[fake.url(), other.url()], Follow { quorum: 2, ..Follow::default() }).await;
    node.sync().await;
    assert_eq!(node.tip(), 26, "as far as both have it");
    other.lag(0);
    fake.mine(busy_block(31, 1));
    node.sync().await;
    assert_eq!(node.tip(), 31);
    node.equals_fresh(&fake).await;
    assert_eq!(ask(node.database.url(), "{ disputes { id } }").await, json!({ "disputes": [] }));
}

#[tokio::test]
async fn f12_one_endpoint_is_believed_without_a_quorum() {
    let fake = busy_chain(3);
    let other = fake.another_endpoint();
    let chain = connect(&network(&[fake.url(), other.url()])).await;
    let third = header(&chain, 3).await;
    chain.block(&third).await.expect("the block is answered");
    assert_eq!(other.requests("eth_getLogs").len(), 0);
}

#[tokio::test]
async fn f15_one_endpoint_that_names_another_final_block_for_ever_is_outvoted_and_named() {
    let fake = followed_chain(60);
    fake.finalize(50);
    let (second, forked) = (fake.another_endpoint(), fake.another_endpoint());
    let mut node = Node::with(&[fake.url(), second.url(), forked.url()], Follow::default()).await;
    forked.fail("eth_getBlockByNumber", usize::MAX, Fault::WrongHash);
    node.sync().await;
    node.equals_fresh(&fake).await;
    let answer = ask(node.database.url(), "{ disputes { wrongEndpoints difference settlement } }").await;
    let dispute = &answer["disputes"][0];
    assert_eq!((&dispute["wrongEndpoints"], &dispute["settlement"]), (&json!([forked.url()]), &json!("MAJORITY")));
    assert!(dispute["difference"].as_str().is_some_and(|words| words.contains(&forked.url())), "{dispute}");
}

#[tokio::test]
async fn f15_two_endpoints_that_name_two_final_blocks_are_both_named_and_nothing_is_taken() {
    let fake = followed_chain(60);
    fake.finalize(50);
    let forked = fake.another_endpoint();
    let mut node = Node::with(&[fake.url(), forked.url()], Follow::default()).await;
    forked.fail("eth_getBlockByNumber", usize::MAX, Fault::WrongHash);
    let error = node.follower.step().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&fake.url()) && text.contains(&forked.url()), "{text}");
    assert_eq!((node.tip(), error.fault()), (0, Meaning::Retry));
    forked.recover();
    node.sync().await;
    node.equals_fresh(&fake).await;
}

#[tokio::test]
async fn f16_what_one_endpoint_alone_calls_final_is_not() {
    for quorum in [1, 2] {
        let fake = busy_chain(20);
        fake.finalize(12);
        let other = fake.another_endpoint();
        fake.endpoint().finalize_all();
        let chain = connect(&agreeing(quorum, &[fake.url(), other.url()])).await;
        let head = chain.head().await.expect("the head is answered");
        assert_eq!(head.finalized.map(|header| header.number), Some(12), "quorum {quorum}");
    }
}

#[tokio::test]
async fn f12_f28_an_endpoint_that_stands_still_does_not_hold_up_a_quorum_that_may_shrink() {
    let fake = busy_chain(5);
    let other = fake.another_endpoint();
    other.freeze(5);
    let mut network = agreeing(2, &[fake.url(), other.url()]);
    network.follow.quorum_may_shrink = true;
    let chain = connect(&network).await;
    chain.head().await.expect("the head is answered");
    fake.mine_empty(20);
    for _ in 0..2 {
        chain.head().await.expect("the head is answered");
    }
    assert_eq!(chain.head().await.expect("the head is answered").header.number, 25);
}
