//! Reading a chain: from endpoints that lag, limit, lie and break, and from a real anvil.

use std::time::Duration;

use alloy::primitives::{Address, Bytes, U256, address, bytes};
use meikan::block::{Block, Header};
use meikan::chain::{Chain, ChainError, Kind, State, probe};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::{Event, IdentityEvent};
use meikan::fault::Fault as Outcome;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use tokio::time::timeout;

use crate::support::anvil::{Anvil, AnvilOptions};
use crate::support::fake_chain::{FakeChain, Fault, RawLog};

pub(crate) const CHAIN_ID: u64 = 167_000;
pub(crate) const REGISTRY: Address = address!("8004A169FB4a3325136EB29fA0ceB6D2e539a432");

/// Longest that a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn registered(agent_id: u64) -> (Address, Event) {
    let event = IdentityEvent::Registered {
        agent_id: U256::from(agent_id),
        agent_uri: format!("ipfs://{agent_id}").as_str().into(),
        owner: Address::repeat_byte(1),
    };
    (REGISTRY, Event::Identity(event))
}

pub(crate) fn network(urls: &[String]) -> Network {
    Network {
        name: "test".into(),
        chain_id: CHAIN_ID,
        rpc_urls: urls.to_vec(),
        rpc_urls_file: None,
        fallback_rpc_urls: vec![],
        fallback_rpc_urls_file: None,
        start_block: 0,
        contracts: Contracts { identity: Addresses(vec![REGISTRY]), ..Contracts::default() },
        follow: Follow::default(),
    }
}

pub(crate) async fn connect(urls: &[String]) -> Chain {
    Chain::connect(&network(urls)).await.expect("the endpoints are of the chain")
}

async fn refused(urls: &[String]) -> ChainError {
    Chain::connect(&network(urls)).await.expect_err("the endpoints are refused")
}

/// A chain of `blocks` blocks above genesis, each with one registration.
pub(crate) fn busy_chain(blocks: u64) -> FakeChain {
    let fake = FakeChain::new(CHAIN_ID);
    for agent_id in 0..blocks {
        fake.mine([registered(agent_id)]);
    }
    fake
}

pub(crate) async fn header(chain: &Chain, number: u64) -> Header {
    chain.header(number).await.expect("the header is answered").expect("the block is there")
}

pub(crate) fn agents(blocks: &[Block]) -> Vec<u64> {
    let logs = blocks.iter().flat_map(|block| &block.logs);
    let agents = logs.map(|log| match &log.event {
        Ok(Event::Identity(IdentityEvent::Registered { agent_id, .. })) => agent_id.to(),
        other => panic!("{other:?} is not a registration"),
    });
    agents.collect()
}

/// Everything from `from` to `to`, range by range.
pub(crate) async fn all(chain: &Chain, mut from: u64, to: u64) -> Vec<Block> {
    let mut blocks = Vec::new();
    while from <= to {
        let range = chain.range(from, to).await.expect("the range is answered");
        assert_eq!(range.from, from);
        from = range.to.number + 1;
        blocks.extend(range.blocks);
    }
    blocks
}

/// Longer than an endpoint's refusal is believed.
const LESSON_ENDS: Duration = Duration::from_secs(3_600);

/// Lets time pass without waiting for it.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// An address where nobody listens.
pub(crate) fn dead_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    format!("http://{}", listener.local_addr().expect("it is bound"))
}

#[tokio::test]
async fn a_head_tells_block_and_finality() {
    let fake = busy_chain(9);
    fake.propose(7);
    fake.finalize(3);
    let chain = connect(&[fake.url()]).await;
    let head = chain.head().await.expect("the head is answered");
    assert_eq!(chain.genesis_hash(), fake.block(0).hash);
    assert_eq!(head.header.block(), fake.head().block());
    assert_eq!(head.safe, Some(fake.block(7).block()));
    assert_eq!(head.finalized.expect("a block is final").block(), fake.block(3).block());
    assert!(head.promises.safe && head.promises.finalized);
}

#[tokio::test]
async fn only_what_the_endpoint_offers_is_claimed() {
    let fake = busy_chain(2);
    let chain = connect(&[fake.url()]).await;
    for _ in 0..3 {
        let head = chain.head().await.expect("the head is answered");
        assert_eq!((head.safe, head.finalized), (None, None));
        assert!(!head.promises.safe && !head.promises.finalized);
    }
    assert_eq!(
        fake.endpoint().requests("taiko_headL1Origin").len(),
        1,
        "asked once, then believed to be missing for a while"
    );
}

#[tokio::test]
async fn f16_an_endpoint_that_refused_the_l1_origin_once_is_asked_again() {
    for refusal in [(-32_602, "invalid params"), (-32_601, "method not found"), (-32_000, "method is not available")] {
        let fake = busy_chain(9);
        fake.propose(7);
        fake.endpoint().fail("taiko_headL1Origin", 1, Fault::Error(refusal.0, refusal.1.into()));
        let chain = connect(&[fake.url()]).await;
        assert_eq!(chain.head().await.expect("the head is answered").safe, None);
        later(LESSON_ENDS).await;
        let head = chain.head().await.expect("the head is answered");
        assert_eq!((head.safe, head.promises.safe), (Some(fake.block(7).block()), true), "{refusal:?}");
    }
}

#[tokio::test]
async fn f16_an_endpoint_that_told_the_l1_origin_is_not_believed_to_have_lost_it() {
    let fake = busy_chain(9);
    fake.propose(7);
    let chain = connect(&[fake.url()]).await;
    assert!(chain.head().await.expect("the head is answered").safe.is_some());
    fake.endpoint().fail("taiko_headL1Origin", 1, Fault::Error(-32_602, "invalid params".into()));
    let head = chain.head().await.expect("the head is answered");
    assert_eq!((head.safe, head.promises.safe), (None, true));
    assert_eq!(chain.head().await.expect("the head is answered").safe, Some(fake.block(7).block()));
}

#[tokio::test]
async fn an_l1_origin_that_is_not_found_means_unknown_not_unconfirmed() {
    let fake = busy_chain(2);
    fake.propose(1);
    fake.endpoint().fail("taiko_headL1Origin", 1, Fault::Error(-32_000, "not found".into()));
    let chain = connect(&[fake.url()]).await;
    let head = chain.head().await.expect("the head is answered");
    assert_eq!((head.safe, head.promises.safe), (None, true));
    assert_eq!(chain.head().await.expect("the head is answered").safe, Some(fake.block(1).block()));
}

#[tokio::test]
async fn f16_a_method_that_is_not_found_promises_nothing() {
    for words in ["the method taiko_headL1Origin was not found", "taiko_headL1Origin not found"] {
        let fake = busy_chain(2);
        fake.endpoint().fail("taiko_headL1Origin", 1, Fault::Error(-32_602, words.into()));
        let chain = connect(&[fake.url()]).await;
        assert!(!chain.head().await.expect("the head is answered").promises.safe, "{words}");
    }
}

#[tokio::test]
async fn f13_f16_a_lagging_endpoint_has_a_lower_head_and_makes_nothing_final_or_safe() {
    let fake = busy_chain(9);
    fake.propose(8);
    fake.finalize(7);
    fake.endpoint().lag(4);
    let head = connect(&[fake.url()]).await.head().await.expect("the head is answered");
    assert_eq!(head.header.block(), fake.block(5).block());
    assert_eq!(head.safe, None, "block 8 is safe, which says nothing about this endpoint's block 5");
    assert_eq!(head.finalized, None, "block 7 is final, which says nothing about this endpoint's block 5");
    assert!(head.promises.finalized);
}

#[tokio::test]
async fn f42_a_start_with_one_endpoint_down_is_degraded_not_refused() {
    let fake = busy_chain(1);
    let chain = connect(&[dead_url(), fake.url()]).await;
    assert_eq!(chain.head().await.expect("the head is answered").header.number, 1);
    let error = refused(&[dead_url(), dead_url()]).await;
    assert!(matches!(error, ChainError::NoEndpoint { endpoints: 2, .. }), "{error}");
    assert_eq!(error.fault(), Outcome::Fatal);
}

#[tokio::test]
async fn a_url_that_is_none_is_named_without_its_path() {
    let error = refused(&["http://:80/secret-key".into()]).await;
    let text = error.to_string();
    assert!(matches!(error, ChainError::Unusable { .. }) && !text.contains("secret"), "{text}");
}

#[tokio::test]
async fn f31_another_chain_is_refused_in_one_sentence() {
    let fake = busy_chain(1);
    let other = fake.another_endpoint();
    other.claim_chain(1);
    let error = refused(&[fake.url(), format!("{}/v2/secret-key", other.url())]).await;
    assert_eq!(
        error.to_string(),
        format!(
            "network test: {}/… answers chain id 1 where 167000 is configured; correct chain_id or rpc_urls",
            other.url()
        )
    );
    assert_eq!(error.fault(), Outcome::Fatal);
}

#[tokio::test]
async fn f31_another_genesis_is_refused() {
    let fake = busy_chain(1);
    let other = fake.another_endpoint();
    other.fail("eth_getBlockByNumber", 1, Fault::WrongHash);
    let error = refused(&[fake.url(), other.url()]).await;
    assert!(matches!(error, ChainError::WrongGenesis { .. }), "{error}");
}

#[tokio::test]
async fn f31_an_endpoint_that_comes_back_as_another_chain_is_left_out() {
    let fake = busy_chain(1);
    let other = fake.another_endpoint();
    other.fail("eth_chainId", 1, Fault::Http(503, None, String::new())).claim_chain(1);
    let chain = connect(&[other.url(), fake.url()]).await;
    assert_eq!(header(&chain, 1).await.block(), fake.block(1).block());
    fake.endpoint().fail("eth_getBlockByNumber", 2, Fault::Http(503, None, String::new()));
    assert_eq!(header(&chain, 1).await.block(), fake.block(1).block());
    assert!(other.requests("eth_getBlockByNumber").len() <= 1, "only its genesis block was asked");
}

#[tokio::test]
async fn f31_when_every_endpoint_has_become_another_chain_the_node_stops() {
    let fake = busy_chain(1);
    let chain = connect(&[fake.endpoint().ws_url()]).await;
    fake.endpoint().claim_chain(1).hang_up();
    let error = chain.header(1).await.expect_err("the endpoint is of another chain by now");
    assert!(matches!(error, ChainError::NoEndpoint { .. }), "{error}");
    assert_eq!(error.fault(), Outcome::Fatal);
}

#[tokio::test]
async fn headers_are_linked_and_in_order_and_a_block_above_the_head_is_nothing() {
    let fake = busy_chain(30);
    let chain = connect(&[fake.url()]).await;
    let headers = chain.headers(&[3, 4, 5, 20]).await.expect("the headers are answered");
    let expected: Vec<_> = [3, 4, 5, 20].map(|number| fake.block(number).block()).into();
    assert_eq!(headers.iter().map(Header::block).collect::<Vec<_>>(), expected);
    assert_eq!(headers[1].parent_hash, headers[0].hash);
    assert_eq!(headers[0].timestamp, fake.block(3).timestamp);
    assert_eq!(chain.header(31).await.expect("null is an answer"), None);
}

#[tokio::test]
async fn f40_entries_that_fail_in_a_batch_are_asked_again_alone() {
    let fake = busy_chain(20);
    let chain = connect(&[fake.url()]).await;
    for fault in [Fault::Missing, Fault::WrongId, Fault::Error(-32_603, "internal error".into())] {
        fake.endpoint().fail("eth_getBlockByNumber", 3, fault);
        let numbers: Vec<_> = (1..=20).collect();
        let headers = chain.headers(&numbers).await.expect("the headers are answered");
        assert_eq!(headers[2].block(), fake.block(3).block());
    }
}

#[tokio::test]
async fn f40_an_endpoint_that_answers_only_part_of_a_batch_is_asked_for_the_rest() {
    let fake = busy_chain(60);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getBlockByNumber", 40, Fault::Error(-32_005, "rate limit".into()));
    let numbers: Vec<_> = (1..=60).collect();
    let headers = chain.headers(&numbers).await.expect("the headers are answered");
    assert_eq!(headers[59].block(), fake.block(60).block());
}

#[tokio::test]
async fn f40_a_batch_that_was_refused_once_is_as_large_as_before_after_a_while() {
    let fake = busy_chain(60);
    let chain = connect(&[fake.url()]).await;
    let numbers: Vec<_> = (1..=60).collect();
    fake.endpoint().limit_batch(1, "batches are not supported");
    chain.headers(&numbers).await.expect("the headers are answered");
    fake.endpoint().limit_batch(usize::MAX, "");
    for (largest, wait) in [(1, LESSON_ENDS), (60, Duration::ZERO)] {
        fake.endpoint().forget_batches();
        chain.headers(&numbers).await.expect("the headers are answered");
        assert_eq!(fake.endpoint().largest_batch(), largest);
        later(wait).await;
    }
}

#[tokio::test]
async fn a_refused_batch_is_made_smaller_for_a_while() {
    let fake = busy_chain(60);
    fake.endpoint().limit_batch(10, "batches of more than 10 requests are not allowed");
    let chain = connect(&[fake.url()]).await;
    let numbers: Vec<_> = (1..=60).collect();
    for _ in 0..2 {
        let headers = chain.headers(&numbers).await.expect("the headers are answered");
        assert_eq!(headers[59].block(), fake.block(60).block());
    }
    fake.endpoint().limit_batch(1, "batches are not supported");
    assert_eq!(agents(&all(&chain, 1, 60).await).len(), 60);
}

#[tokio::test]
async fn f40_headers_answered_by_different_nodes_do_not_pass() {
    let fake = busy_chain(5);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::WrongHash);
    let headers = chain.headers(&[2, 3, 4]).await.expect("the second try is answered by one node");
    assert_eq!(headers[0].block(), fake.block(2).block());
}

#[tokio::test]
async fn f29_a_null_block_below_an_announced_head_is_asked_again() {
    let fake = busy_chain(5);
    let chain = connect(&[fake.url()]).await;
    chain.head().await.expect("the head is answered");
    fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Null);
    assert_eq!(header(&chain, 5).await.block(), fake.block(5).block());
}

#[tokio::test]
async fn blocks_come_with_their_logs_in_order() {
    let fake = FakeChain::new(CHAIN_ID);
    fake.mine([registered(0), registered(1)]);
    fake.mine_empty(1);
    fake.mine([RawLog { address: Address::ZERO, topics: vec![], data: Bytes::new() }, registered(2).into()]);
    fake.mine([RawLog { address: REGISTRY, topics: vec![], data: bytes!("ff") }]);
    let chain = connect(&[fake.url()]).await;
    let headers = chain.headers(&[1, 2, 3, 4]).await.expect("the headers are answered");
    let blocks = chain.blocks(&headers).await.expect("the blocks are answered");
    assert_eq!(blocks.iter().map(|block| block.logs.len()).collect::<Vec<_>>(), [2, 0, 1, 1]);
    assert_eq!(agents(&blocks[..3]), [0, 1, 2]);
    assert_eq!(blocks[2].logs[0].log.log_index, 1);
    assert!(blocks[3].logs[0].event.is_err(), "a log that is no event is kept");
    assert_eq!(chain.block(&headers[0]).await.expect("the block is answered"), blocks[0]);
}

#[tokio::test]
async fn f57_blocks_with_large_logs_come_a_few_at_a_time() {
    let fake = FakeChain::new(CHAIN_ID);
    for _ in 0..40 {
        let data = Bytes::from(vec![7; 300_000]);
        fake.mine([RawLog { address: REGISTRY, topics: vec![], data }]);
    }
    let chain = connect(&[fake.url()]).await;
    let headers = chain.headers(&(1..=40).collect::<Vec<_>>()).await.expect("the headers are answered");
    let blocks = chain.blocks(&headers).await.expect("the blocks are answered");
    assert!((1..40).contains(&blocks.len()), "{} blocks", blocks.len());
    assert!(blocks.iter().zip(&headers).all(|(block, header)| block.header == *header && block.logs.len() == 1));
}

#[tokio::test]
async fn f24_a_block_that_was_replaced_is_gone_and_the_loop_looks_again() {
    let fake = busy_chain(5);
    let chain = connect(&[fake.url()]).await;
    let orphan = header(&chain, 5).await;
    fake.reorg(1, vec![vec![registered(9)]]);
    let error = chain.block(&orphan).await.expect_err("the block is gone");
    assert!(matches!(error, ChainError::Gone { .. }), "{error}");
    assert_eq!(error.fault(), Outcome::Reorg);
}

#[tokio::test]
async fn f37_a_refused_query_by_hash_falls_back_to_a_range_of_one_block() {
    let fake = busy_chain(3);
    fake.endpoint().refuse_hash_queries("eth_getLogs is limited to a 10000 block range");
    let chain = connect(&[fake.url()]).await;
    let headers = chain.headers(&[1, 2, 3]).await.expect("the headers are answered");
    let blocks = chain.blocks(&headers).await.expect("the blocks are answered");
    assert_eq!(agents(&blocks), [0, 1, 2]);
    // The lesson is kept: no more queries by hash.
    let asked = fake.endpoint().requests("eth_getLogs").len();
    chain.block(&headers[0]).await.expect("the block is answered");
    let last = fake.endpoint().requests("eth_getLogs")[asked..].to_vec();
    assert!(last.len() == 1 && last[0][0].get("blockHash").is_none(), "{last:?}");
}

#[tokio::test]
async fn f37_queries_by_hash_that_were_refused_once_are_tried_again() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let third = header(&chain, 3).await;
    fake.endpoint().fail("eth_getLogs", 1, Fault::Error(-32_602, "invalid params".into()));
    for (expected, wait) in [(false, LESSON_ENDS), (true, Duration::ZERO), (true, Duration::ZERO)] {
        assert_eq!(agents(&[chain.block(&third).await.expect("the block is answered")]), [2]);
        let last = fake.endpoint().requests("eth_getLogs").pop().expect("logs were asked for");
        assert_eq!(last[0].get("blockHash").is_some(), expected, "{last}");
        later(wait).await;
    }
}

#[tokio::test]
async fn f37_the_fallback_checks_the_hash() {
    let fake = busy_chain(3);
    fake.endpoint().refuse_hash_queries("block range is too wide");
    let chain = connect(&[fake.url()]).await;
    let orphan = header(&chain, 3).await;
    fake.reorg(1, vec![vec![registered(9)]]);
    let error = chain.block(&orphan).await.expect_err("another block is there");
    assert!(matches!(error, ChainError::Gone { .. }), "{error}");
}

#[tokio::test]
async fn f36_a_single_block_that_is_too_large_is_read_from_its_receipts() {
    let fake = FakeChain::new(CHAIN_ID);
    fake.mine((0..20).map(registered));
    fake.mine([registered(20)]);
    fake.endpoint().limit_logs(10, "query returned more than 10 results");
    let chain = connect(&[fake.url()]).await;
    assert_eq!(agents(&all(&chain, 1, 2).await), (0..=20).collect::<Vec<_>>());
    let header = header(&chain, 1).await;
    assert_eq!(chain.block(&header).await.expect("the block is answered").logs.len(), 20);
}

#[tokio::test]
async fn f33_range_shrinks_to_the_hint() {
    let fake = busy_chain(200);
    fake.endpoint().limit_range(50, "requested too many blocks, maximum is set to {max}");
    let chain = connect(&[fake.url()]).await;
    assert_eq!(agents(&all(&chain, 1, 200).await), (0..200).collect::<Vec<_>>());
    assert_eq!(fake.endpoint().requests("eth_getLogs").len(), 1 + 4, "one refusal, then four ranges of 50");
}

#[tokio::test]
async fn f33_f39_too_many_results_halve_the_range_whatever_the_code() {
    let fake = busy_chain(60);
    fake.endpoint().limit_logs(9, "query returned more than 9 results");
    let chain = connect(&[fake.url()]).await;
    assert_eq!(agents(&all(&chain, 1, 60).await), (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn f35_a_wide_range_without_an_answer_is_made_smaller() {
    let fake = busy_chain(8);
    fake.endpoint().fail("eth_getLogs", 1, Fault::Hang);
    let mut network = network(&[fake.url()]);
    network.follow.request_deadline_ms = 1_000;
    let chain = Chain::connect(&network).await.expect("the endpoint is of the chain");
    assert_eq!(chain.range(1, 8).await.expect("half is answered").to.number, 4);
}

#[tokio::test]
async fn f33_an_answer_that_breaks_off_halves_the_range() {
    let fake = busy_chain(8);
    fake.endpoint().fail("eth_getLogs", 1, Fault::CutOff);
    let chain = connect(&[fake.url()]).await;
    assert_eq!(chain.range(1, 8).await.expect("half is answered").to.number, 4);
}

#[tokio::test]
async fn f6_a_silent_limit_is_found_out() {
    let fake = busy_chain(180);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getLogs", 1, Fault::FirstLogs(100));
    assert_eq!(agents(&all(&chain, 1, 180).await), (0..180).collect::<Vec<_>>());
    assert_eq!(agents(&all(&chain, 1, 100).await).len(), 100, "an honest hundred is believed");
}

#[tokio::test]
async fn f6_a_silent_limit_is_found_out_where_all_logs_are_in_one_half() {
    let fake = FakeChain::new(CHAIN_ID);
    for block in 0..15 {
        fake.mine((0..10).map(|log| registered(block * 10 + log)));
    }
    fake.mine_empty(15);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getLogs", 99, Fault::FirstLogs(100));
    assert_eq!(agents(&all(&chain, 1, 30).await), (0..150).collect::<Vec<_>>());
}

#[tokio::test]
async fn f6_a_single_block_that_is_cut_off_without_a_word_is_found_out() {
    for receipts in [true, false] {
        let fake = FakeChain::new(CHAIN_ID);
        fake.mine((0..130).map(registered));
        fake.mine((130..230).map(registered));
        let other = fake.another_endpoint();
        if !receipts {
            fake.endpoint().lack("eth_getBlockReceipts");
            other.lack("eth_getBlockReceipts");
        }
        fake.endpoint().fail("eth_getLogs", usize::MAX, Fault::FirstLogs(100));
        let chain = connect(&[fake.url(), other.url()]).await;
        let first = header(&chain, 1).await;
        assert_eq!(chain.block(&first).await.expect("the block is answered").logs.len(), 130);
        assert_eq!(agents(&all(&chain, 1, 1).await).len(), 130);
        let second = header(&chain, 2).await;
        assert_eq!(chain.block(&second).await.expect("the block is answered").logs.len(), 100, "an honest hundred");
    }
}

#[tokio::test]
async fn f10_a_block_whose_logs_are_marked_as_removed_is_never_taken_for_one_without_logs() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let third = header(&chain, 3).await;
    fake.endpoint().fail("eth_getLogs", usize::MAX, Fault::RemovedLogs);
    for error in [chain.block(&third).await.err(), chain.range(1, 3).await.err()] {
        let error = error.expect("the answer is of a branch that is gone");
        assert_eq!(error.fault(), Outcome::Reorg, "{error}");
        assert!(error.to_string().contains("marked as removed"), "{error}");
    }
    fake.endpoint().recover();
    assert_eq!(agents(&all(&chain, 1, 3).await), [0, 1, 2]);
}

#[tokio::test]
async fn f11_pending_logs_and_logs_above_the_head_are_asked_again() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let mut above = json!([{"address": REGISTRY, "topics": [], "data": "0x", "logIndex": "0x0"}]);
    above[0]["blockNumber"] = json!("0x63");
    above[0]["blockHash"] = json!(alloy::primitives::B256::repeat_byte(9));
    for fault in [Fault::PendingLogs, Fault::Result(above)] {
        fake.endpoint().fail("eth_getLogs", 1, fault);
        assert_eq!(agents(&all(&chain, 1, 3).await), [0, 1, 2]);
    }
}

#[tokio::test]
async fn f34_what_the_endpoint_answers_counts_and_not_the_limit_that_it_claims() {
    let fake = busy_chain(60);
    // It claims ten thousand blocks, and takes seven.
    fake.endpoint().limit_range(7, "eth_getLogs is limited to a 10,000 block range");
    let chain = connect(&[fake.url()]).await;
    assert_eq!(agents(&all(&chain, 1, 60).await), (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn f3_a_doubt_that_nobody_can_be_asked_about_at_the_moment_is_not_passed_over() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let third = header(&chain, 3).await;
    fake.endpoint().fail("eth_getLogs", 1, Fault::EmptyLogs);
    fake.endpoint().fail("eth_getBlockReceipts", usize::MAX, Fault::Error(-32_000, "internal error".into()));
    let error = chain.block(&third).await.expect_err("the block's bloom shows logs");
    assert_eq!(error.fault(), Outcome::Retry, "{error}");
}

#[tokio::test]
async fn an_endpoint_that_does_not_forward_l1_origins_takes_the_word_of_one_that_does() {
    let fake = busy_chain(9);
    fake.propose(7);
    let other = fake.another_endpoint();
    fake.endpoint().lack("taiko_headL1Origin");
    let chain = connect(&[fake.url(), other.url()]).await;
    for _ in 0..3 {
        let head = chain.head().await.expect("the head is answered");
        assert_eq!((head.safe, head.promises.safe), (Some(fake.block(7).block()), true));
    }
    assert_eq!(fake.endpoint().requests("taiko_headL1Origin").len(), 1);
}

#[tokio::test]
async fn f1_f3_logs_that_the_bloom_shows_are_not_lost() {
    let fake = busy_chain(6);
    let chain = connect(&[fake.url()]).await;
    let last = header(&chain, 6).await;
    fake.endpoint().fail("eth_getLogs", 2, Fault::EmptyLogs);
    assert_eq!(agents(&[chain.block(&last).await.expect("the block is answered")]), [5]);
    assert_eq!(agents(&all(&chain, 6, 6).await), [5]);
    fake.endpoint().lag_logs(1);
    assert_eq!(agents(&all(&chain, 4, 6).await), [3, 4, 5]);
}

#[tokio::test]
async fn f3_without_receipts_another_endpoint_is_asked() {
    let fake = busy_chain(6);
    let other = fake.another_endpoint();
    fake.endpoint().lack("eth_getBlockReceipts").fail("eth_getLogs", 2, Fault::EmptyLogs);
    let chain = connect(&[fake.url(), other.url()]).await;
    let last = header(&chain, 6).await;
    assert_eq!(agents(&[chain.block(&last).await.expect("the block is answered")]), [5]);
}

#[tokio::test]
async fn f3_a_suspicion_that_nothing_confirms_does_not_stop_the_node() {
    let fake = busy_chain(1);
    fake.endpoint().lack("eth_getBlockReceipts").fail("eth_getLogs", 5, Fault::EmptyLogs);
    let chain = connect(&[fake.url()]).await;
    let first = header(&chain, 1).await;
    assert!(chain.block(&first).await.expect("the block is answered").logs.is_empty());
}

#[tokio::test]
async fn f4_an_empty_bloom_hides_no_logs() {
    let fake = busy_chain(2);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getBlockByNumber", 2, Fault::EmptyBloom);
    let header = header(&chain, 2).await;
    assert_eq!(agents(&[chain.block(&header).await.expect("the block is answered")]), [1]);
    assert_eq!(agents(&all(&chain, 1, 2).await), [0, 1]);
}

#[tokio::test]
async fn f7_f10_f11_logs_that_are_repeated_removed_or_pending_do_no_harm() {
    let faults = [Fault::RepeatedLogs, Fault::ConflictingLogs, Fault::RemovedLogs, Fault::PendingLogs, Fault::Null];
    for fault in faults {
        let fake = busy_chain(3);
        let chain = connect(&[fake.url()]).await;
        let header = header(&chain, 3).await;
        fake.endpoint().fail("eth_getLogs", 1, fault.clone());
        assert_eq!(agents(&[chain.block(&header).await.expect("the block is answered")]), [2], "{fault:?}");
        fake.endpoint().fail("eth_getLogs", 1, fault.clone());
        let blocks = all(&chain, 3, 3).await;
        assert_eq!(agents(&blocks), [2], "{fault:?}");
    }
}

#[tokio::test]
async fn logs_of_another_block_are_a_contradiction_that_names_both_requests() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getLogs", 99, Fault::WrongHash);
    let error = chain.range(1, 3).await.expect_err("the logs do not fit");
    assert!(matches!(error, ChainError::Inconsistent { .. }), "{error}");
    assert_eq!(error.fault(), Outcome::Reorg);
    let text = error.to_string();
    assert!(text.contains("eth_getLogs") && text.contains("eth_getBlockByNumber"), "{text}");
}

#[tokio::test]
async fn f2_an_endpoint_is_not_asked_beyond_its_own_head() {
    let fake = busy_chain(9);
    let behind = fake.another_endpoint();
    behind.lag(5);
    let chain = connect(&[behind.url(), fake.url()]).await;
    assert_eq!(agents(&all(&chain, 1, 9).await), (0..9).collect::<Vec<_>>());
    assert_eq!(behind.requests("eth_getLogs").len(), 0);

    let alone = connect(&[behind.url()]).await;
    let error = alone.range(1, 9).await.expect_err("nobody has block 9");
    assert!(matches!(error, ChainError::Gone { .. }), "{error}");
}

#[tokio::test]
async fn f28_a_failing_endpoint_is_left_for_the_next_one() {
    let faults = [
        Fault::Http(429, Some(60), "slow down".into()),
        Fault::Http(402, None, String::new()),
        Fault::Http(502, None, "<html>Bad gateway</html>".into()),
        Fault::Text("<html>Too many requests</html>".into()),
        Fault::Text("garbage".into()),
        Fault::Error(-32_005, "limit exceeded".into()),
        Fault::Error(-32_602, "invalid params".into()),
        Fault::Result(json!({"number": 5})),
        Fault::WrongId,
    ];
    for fault in faults {
        let fake = busy_chain(2);
        let other = fake.another_endpoint();
        let chain = connect(&[fake.url(), other.url()]).await;
        fake.endpoint().fail("eth_getBlockByNumber", 1, fault.clone());
        assert_eq!(header(&chain, 2).await.block(), fake.block(2).block(), "{fault:?}");
        assert_eq!(other.requests("eth_getBlockByNumber").len(), 2, "{fault:?}: its genesis and this one");
    }
}

#[tokio::test]
async fn f39_an_endpoint_that_asks_for_a_long_rest_gets_it() {
    let fake = busy_chain(2);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Http(429, Some(60), String::new()));
    for _ in 0..2 {
        let error = chain.header(2).await.expect_err("the endpoint rests");
        let ChainError::Failed { failure, .. } = &error else { panic!("{error}") };
        assert!(matches!(failure.kind, Kind::Rate(Some(_))), "{error}");
        assert_eq!(error.fault(), Outcome::Retry);
    }
    assert_eq!(fake.endpoint().requests("eth_getBlockByNumber").len(), 2, "genesis, and once");
}

#[tokio::test]
async fn f41_a_request_that_hangs_ends_at_its_deadline() {
    let fake = busy_chain(2);
    let other = fake.another_endpoint();
    let mut network = network(&[fake.url(), other.url()]);
    network.follow.request_deadline_ms = 1_000;
    let chain = Chain::connect(&network).await.expect("the endpoints are of the chain");
    fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Hang);
    assert_eq!(header(&chain, 2).await.block(), fake.block(2).block());
}

#[tokio::test]
async fn a_fault_that_passes_is_survived_by_a_single_endpoint() {
    let fake = busy_chain(2);
    let chain = connect(&[fake.url()]).await;
    fake.endpoint().fail("eth_getBlockByNumber", 3, Fault::Http(503, None, String::new()));
    assert_eq!(header(&chain, 2).await.block(), fake.block(2).block());
    fake.endpoint().fail("eth_getBlockByNumber", 99, Fault::Http(503, None, String::new()));
    let error = chain.header(2).await.expect_err("the endpoint is down");
    assert_eq!(error.fault(), Outcome::Retry);
    fake.endpoint().recover();
    assert_eq!(header(&chain, 2).await.block(), fake.block(2).block());
}

#[tokio::test]
async fn credentials_of_an_endpoint_are_never_shown() {
    let url = dead_url().replace("http://", "http://user:hunter2hunter2@");
    let error = refused(&[format!("{url}/v3/0123456789abcdef?key=open-sesame")]).await;
    for text in [error.to_string(), format!("{error:?}")] {
        for secret in ["hunter2", "0123456789abcdef", "sesame"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn requests_are_counted_by_method_and_outcome_without_urls() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    // The recorder is this thread's, so everything must run on it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let fake = busy_chain(2);
            let chain = connect(&[format!("{}/secret-key", fake.url())]).await;
            fake.endpoint().fail("eth_getBlockByNumber", 1, Fault::Http(429, None, String::new()));
            chain.headers(&[1, 2]).await.expect("the headers are answered");
        });
    });
    let text = rendered.render();
    let line = |name: &str, labels: &[&str]| {
        let mut lines =
            text.lines().filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
        lines.next().and_then(|line| line.split(' ').next_back()?.parse::<f64>().ok())
    };
    let (network, method) = ("network=\"test\"", "method=\"eth_getBlockByNumber\"");
    assert_eq!(line("rpc_requests_total", &[network, method]), Some(5.0), "genesis, two, two again: {text}");
    assert_eq!(line("rpc_errors_total", &[network, method, "kind=\"rate\""]), Some(1.0), "{text}");
    assert!(line("rpc_request_duration_seconds_count", &["method=\"eth_chainId\""]).is_some(), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn contracts_are_called_and_found() {
    let fake = busy_chain(2);
    fake.deploy(REGISTRY);
    fake.answer_call(REGISTRY, bytes!("bc4d861b"), bytes!("2a"));
    let chain = connect(&[fake.url()]).await;
    assert_eq!(
        chain.call(REGISTRY, bytes!("bc4d861b"), State::Of(2)).await.expect("the call is answered"),
        bytes!("2a")
    );
    assert!(chain.call(REGISTRY, bytes!("ff"), State::Of(2)).await.is_err());
    assert!(chain.has_code(REGISTRY).await.expect("the code is answered"));
    assert!(!chain.has_code(Address::ZERO).await.expect("the code is answered"));
}

#[tokio::test]
async fn a_probe_tells_what_each_endpoint_can_do() {
    let fake = busy_chain(3);
    fake.finalize(1);
    fake.propose(2);
    let poor = fake.another_endpoint();
    poor.lack("eth_getBlockReceipts").lack("taiko_headL1Origin").refuse_hash_queries("not here").lag(1);
    let network = network(&[fake.endpoint().ws_url(), format!("{}/secret-key", poor.url()), dead_url()]);
    let probes = probe(&network).await;
    let labels: Vec<_> = probes.iter().map(|probed| probed.label.clone()).collect();
    assert!(labels[0].starts_with("ws://") && labels[1].ends_with("/…"), "{labels:?}");
    let rich = probes[0].outcome.as_ref().expect("the first endpoint is up");
    assert_eq!((rich.head, rich.finalized), (fake.head().block(), Some(1)));
    assert!(rich.announces_heads && rich.logs_by_hash.is_ok() && rich.receipts && rich.l1_origin);
    let poor = probes[1].outcome.as_ref().expect("the second endpoint is up");
    assert_eq!((poor.head, poor.without_code.as_slice()), (fake.block(2).block(), &[REGISTRY][..]));
    assert!(!poor.announces_heads && poor.logs_by_hash.is_err() && !poor.receipts && !poor.l1_origin);
    assert!(matches!(probes[2].outcome, Err(ChainError::NoEndpoint { .. })));
}

#[tokio::test]
async fn f26_f27_new_heads_are_a_hint_that_survives_a_closed_socket() {
    let fake = busy_chain(1);
    let chain = connect(&[fake.url(), fake.endpoint().ws_url()]).await;
    // The first word is that the subscription stands.
    timeout(PATIENCE, chain.new_head()).await.expect("the subscription stands");
    fake.mine_empty(1);
    timeout(PATIENCE, chain.new_head()).await.expect("a head is announced");
    fake.endpoint().hang_up();
    let hinted = async {
        // A head in the moment of reconnecting may pass unheard, so they keep coming.
        while timeout(Duration::from_millis(100), chain.new_head()).await.is_err() {
            fake.mine_empty(1);
        }
    };
    timeout(PATIENCE, hinted).await.expect("heads are announced again");
}

#[tokio::test]
async fn f27_a_socket_that_is_open_but_silent_is_given_up() {
    let fake = busy_chain(1);
    let mut network = network(&[fake.url(), fake.endpoint().ws_url()]);
    network.follow.request_deadline_ms = 1_000;
    let chain = Chain::connect(&network).await.expect("the endpoints are of the chain");
    timeout(PATIENCE, chain.new_head()).await.expect("the subscription stands");
    fake.endpoint().mute();
    fake.mine_empty(1);
    timeout(PATIENCE, chain.new_head()).await.expect("a new subscription stands");
    assert_eq!(fake.endpoint().requests("eth_subscribe").len(), 2);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let fake = busy_chain(8);
    fake.endpoint().fail("eth_getLogs", 1, Fault::Text("[".repeat(65 << 20)));
    let chain = connect(&[fake.url()]).await;
    assert_eq!(chain.range(1, 8).await.expect("half is answered").to.number, 4);
}

#[tokio::test]
async fn a_chain_can_be_followed_by_a_task_of_its_own() {
    let fake = busy_chain(3);
    let chain = connect(&[fake.url()]).await;
    let following = tokio::spawn(async move {
        let head = chain.head().await?.header;
        let headers = chain.headers(&[1, 2, head.number]).await?;
        let blocks = chain.blocks(&headers).await?;
        let range = chain.range(1, head.number).await?;
        Ok::<_, ChainError>((agents(&blocks), agents(&range.blocks)))
    });
    let (by_hash, by_range) = following.await.expect("the task ends").expect("everything is answered");
    assert_eq!(by_hash, by_range);
}

#[tokio::test]
async fn a_network_without_a_websocket_has_no_hints() {
    let fake = busy_chain(1);
    let chain = connect(&[fake.url()]).await;
    fake.mine_empty(1);
    tokio::select! {
        biased;
        () = chain.new_head() => panic!("nobody could have announced it"),
        head = chain.head() => assert_eq!(head.expect("the head is answered").header.number, 2),
    }
}

#[tokio::test]
async fn requests_work_over_a_websocket_alone() {
    let fake = busy_chain(5);
    let chain = connect(&[fake.endpoint().ws_url()]).await;
    assert_eq!(agents(&all(&chain, 1, 5).await), (0..5).collect::<Vec<_>>());
    fake.endpoint().hang_up();
    assert_eq!(header(&chain, 5).await.block(), fake.block(5).block());
}

/// A contract that emits its call data: the first word as topic0, the rest as data.
const EMITTER: Bytes = bytes!("6020360380602060003760003590" "6000a100");

/// A real node with a contract at the registry's address, and a network that watches it.
async fn anvil_network(options: &AnvilOptions, websocket: bool) -> (Anvil, Network) {
    let anvil = AnvilOptions { chain_id: Some(CHAIN_ID), ..options.clone() }.start();
    anvil.set_code(REGISTRY, EMITTER).await;
    let network = network(&[if websocket { anvil.ws_url() } else { anvil.url() }]);
    (anvil, network)
}

async fn emit(anvil: &Anvil, token_id: u64) -> Event {
    let event = Event::Identity(IdentityEvent::MetadataUpdate { token_id: U256::from(token_id) });
    let (topics, data) = event.encode();
    anvil.send(REGISTRY, [topics[0].as_slice(), data.as_ref()].concat().into()).await;
    event
}

#[tokio::test]
async fn anvil_is_read_over_http_and_websocket() {
    for websocket in [false, true] {
        let (anvil, network) = anvil_network(&AnvilOptions::default(), websocket).await;
        let chain = Chain::connect(&network).await.expect("anvil is of the chain");
        let first = emit(&anvil, 7).await;
        anvil.mine(10).await;
        let second = emit(&anvil, 8).await;

        let head = chain.head().await.expect("the head is answered");
        assert_eq!(head.header.number, 12);
        let numbers: Vec<_> = (0..=12).collect();
        let headers = chain.headers(&numbers).await.expect("the headers are answered");
        assert_eq!((headers[0].hash, &headers[12]), (chain.genesis_hash(), &head.header));

        let blocks = chain.blocks(&headers).await.expect("the blocks are answered");
        let with_logs: Vec<_> = blocks.into_iter().filter(|block| !block.logs.is_empty()).collect();
        let events: Vec<_> = with_logs.iter().map(|block| block.logs[0].event.clone()).collect();
        assert_eq!(events, [Ok(first), Ok(second)]);
        assert_eq!(all(&chain, 0, 12).await, with_logs);
        assert!(chain.has_code(REGISTRY).await.expect("the code is answered"));
    }
}

#[tokio::test]
async fn anvil_tells_what_is_final() {
    let options = AnvilOptions { slots_in_an_epoch: Some(2), ..AnvilOptions::default() };
    let (anvil, network) = anvil_network(&options, false).await;
    anvil.mine(10).await;
    let head =
        Chain::connect(&network).await.expect("anvil is of the chain").head().await.expect("the head is answered");
    let finalized = head.finalized.expect("anvil knows the tag");
    assert!(finalized.number > 0 && finalized.number < head.header.number, "{}", finalized.number);
    assert!(head.promises.finalized && !head.promises.safe);
}

#[tokio::test]
async fn anvil_announces_heads_over_websocket() {
    let (anvil, network) = anvil_network(&AnvilOptions { no_mining: true, ..AnvilOptions::default() }, true).await;
    let chain = Chain::connect(&network).await.expect("anvil is of the chain");
    timeout(PATIENCE, chain.new_head()).await.expect("the subscription stands");
    anvil.mine(1).await;
    timeout(PATIENCE, chain.new_head()).await.expect("a head is announced");
    assert_eq!(chain.head().await.expect("the head is answered").header.number, 1);
}

#[tokio::test]
async fn anvil_reorganises_and_the_old_block_is_gone() {
    let (anvil, network) = anvil_network(&AnvilOptions::default(), false).await;
    let chain = Chain::connect(&network).await.expect("anvil is of the chain");
    anvil.mine(5).await;
    emit(&anvil, 1).await;
    let old = header(&chain, 6).await;
    anvil.request("anvil_reorg", json!([3, []])).await;
    let new = header(&chain, 6).await;
    assert_ne!(old.hash, new.hash);
    assert_eq!(header(&chain, 3).await.hash, header(&chain, 4).await.parent_hash);
    assert!(chain.block(&new).await.expect("the block is answered").logs.is_empty());
}
