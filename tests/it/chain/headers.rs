//! Headers, asked for in batches: linked, in order, and of one node, however small its batches are.

use std::time::Duration;

use meikan::block::Header;

use super::support::{LESSON_ENDS, agents, all, busy_chain, connect, header, later};
use crate::support::fake_chain::Fault;

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
