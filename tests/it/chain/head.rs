//! The head: which block is the newest, which is safe and which final, and what an endpoint promises to tell of that.

use super::support::{LESSON_ENDS, busy_chain, connect, later};
use crate::support::fake_chain::Fault;

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
