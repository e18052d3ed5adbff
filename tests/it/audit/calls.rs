//! The registries' own word: `getLastIndex` and `getSummary` on the state of a final block.

use alloy::primitives::{Bytes, U256, keccak256};
use meikan::audit::Stretch;
use meikan::event::Event;

use super::support::{
    BLOCKS, FOR_EVER, REPUTATION, SOMEBODY, Stage, feedback, final_chain, network, open_kinds, said, told,
};
use crate::support::fake_chain::{FakeChain, Fault};
use crate::support::node::Node;

/// What is asked of the reputation registry about agent 0 and its only client: the last index, and the summary.
fn sample_calls() -> (Bytes, Bytes) {
    let ask = |signature: &str, words: &[U256]| {
        let words = words.iter().flat_map(|word| word.to_be_bytes::<32>());
        Bytes::from_iter(keccak256(signature)[..4].iter().copied().chain(words))
    };
    let somebody = U256::from_be_bytes(SOMEBODY.into_word().0);
    let mut summary = [0, 128, 192, 224, 1].map(U256::from).to_vec();
    summary.extend([somebody, U256::ZERO, U256::ZERO]);
    (
        ask("getLastIndex(uint256,address)", &[U256::ZERO, somebody]),
        ask("getSummary(uint256,address[],string,string)", &summary),
    )
}

fn answer(words: &[U256]) -> Bytes {
    Bytes::from_iter(words.iter().flat_map(|word| word.to_be_bytes::<32>()))
}

/// The summary of nine times -7 of two decimals.
fn summary_answer() -> Bytes {
    answer(&[U256::from(9), U256::ZERO - U256::from(7), U256::from(2)])
}

/// A node that has ingested the chain, and an auditor that samples.
async fn sampling(chain: &FakeChain) -> Stage {
    let node = Stage::ingested(chain, None).await.node;
    let mut network = network(&[chain.url()]);
    network.follow.audit_call_samples = 5;
    Stage::over(node, &network).await
}

#[tokio::test]
async fn a_registry_that_answers_otherwise_than_our_rows_is_found() {
    let chain = final_chain();
    let stage = sampling(&chain).await;
    let untold = stage.verdict().await.untold;
    assert!(untold[0].contains("at block 30 is not answered"), "{untold:?}");
    let (last, (of_last, of_summary)) = (U256::from(9), sample_calls());
    chain.answer_call(REPUTATION, of_last.clone(), answer(&[last]));
    chain.answer_call(REPUTATION, of_summary, summary_answer());
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), &verdict.untold), (vec![], &vec![]));
    chain.answer_call(REPUTATION, of_last, answer(&[last + U256::ONE]));
    let verdict = stage.verdict().await;
    assert_eq!(told(&verdict.findings), [("CALL", 4)]);
    assert!(verdict.findings[0].description.contains("answers 10 at block 30 where our rows give 9"), "{verdict:#?}");
}

#[tokio::test]
async fn a_registry_s_other_word_stays_open_until_the_registry_says_otherwise() {
    let chain = final_chain();
    let node = Stage::ingested(&chain, None).await.node;
    let mut network = network(&[chain.url()]);
    network.follow.audit_call_samples = 5;
    let word = |number: u64| Bytes::from(U256::from(number).to_be_bytes::<32>());
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), word(44));
    let stage = Stage::over(node, &network).await;
    stage.turn().await;
    assert_eq!(open_kinds(&stage).await, ["CALL"]);
    // No sample is drawn any more, but for what is open.
    network.follow.audit_call_samples = 0;
    let stage = Stage::over(stage.node, &network).await;
    chain.endpoint().fail("eth_call", FOR_EVER, Fault::Error(-32_000, "missing trie node".into()));
    stage.turn().await;
    assert_eq!((open_kinds(&stage).await, stage.verified_to().await), (vec!["CALL".to_owned()], None));
    chain.endpoint().recover();
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), word(9));
    stage.turn().await;
    assert_eq!((open_kinds(&stage).await, stage.verified_to().await), (vec![], Some(BLOCKS)));
}

pub(crate) fn last_index_of(agent: U256) -> Bytes {
    let words = [agent, U256::from_be_bytes(SOMEBODY.into_word().0)].map(|word| word.to_be_bytes::<32>());
    keccak256("getLastIndex(uint256,address)")[..4].iter().copied().chain(words.into_iter().flatten()).collect()
}

#[tokio::test]
async fn f5_where_the_final_state_is_forgotten_a_newer_one_is_sampled() {
    let chain = final_chain();
    // Above finality the client gives feedback once more.
    chain.mine([(REPUTATION, Event::Reputation(feedback(10)))]);
    let stage = sampling(&chain).await;
    let (of_last, of_summary) = sample_calls();
    let ten = answer(&[U256::from(10), U256::ZERO - U256::from(7), U256::from(2)]);
    chain.answer_call(REPUTATION, of_last.clone(), answer(&[U256::from(10)]));
    chain.answer_call(REPUTATION, of_summary, ten);
    chain.endpoint().prune_state(31);
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), &verdict.untold), (vec![], &vec![]));
    chain.answer_call(REPUTATION, of_last, answer(&[U256::from(11)]));
    let verdict = stage.verdict().await;
    assert!(verdict.findings[0].description.contains("answers 11 at block 31 where our rows give 10"), "{verdict:#?}");
    chain.endpoint().prune_state(32);
    let verdict = stage.verdict().await;
    assert_eq!(told(&verdict.findings), vec![]);
    assert!(verdict.untold[0].ends_with("nor at block 31"), "{verdict:#?}");
}

#[tokio::test]
async fn a_registry_s_other_word_is_told_at_the_newest_block_and_is_one_finding() {
    let chain = final_chain();
    let mut stage = sampling(&chain).await;
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), answer(&[U256::from(44)]));
    stage.turn().await;
    chain.mine_empty(1);
    chain.finalize(BLOCKS + 1);
    stage.node.catch_up().await;
    stage.turn().await;
    let said = said(&stage).await;
    assert!(matches!(&said[..], [(words, true)] if words.contains("answers 44 at block 31")), "{said:?}");
}

#[tokio::test]
async fn a_history_that_begins_below_the_start_block_is_no_finding() {
    let chain = final_chain();
    let mut network = network(&[chain.url()]);
    (network.start_block, network.follow.audit_call_samples) = (11, 5);
    let node = Node::fresh(std::slice::from_ref(&network)).await;
    // Four were given below the start block: the registry counts all nine.
    chain.answer_call(REPUTATION, last_index_of(U256::ZERO), Bytes::from(U256::from(9).to_be_bytes::<32>()));
    let stage = Stage::over(node, &network).await;
    for lacks in ["eth_call", "eth_getBlockByNumber"] {
        let verdict = stage.auditor.verify(Stretch { from: 11, ..stage.verdict().await.stretch }).await.unwrap();
        assert_eq!(told(&verdict.findings), [], "{verdict:#?}");
        assert!(verdict.untold.iter().any(|said| said.contains("older than what is indexed")), "{verdict:#?}");
        assert!(!verdict.untold.iter().any(|said| said.contains("is not answered")), "{verdict:#?}");
        chain.endpoint().lack(lacks);
    }
}

#[tokio::test]
async fn f50_a_registry_of_another_generation_is_no_finding() {
    let chain = final_chain();
    let stage = sampling(&chain).await;
    let (of_last, of_summary) = sample_calls();
    // It knows the last index, and summaries of a count and an average, or under another name.
    chain.answer_call(REPUTATION, of_last, answer(&[U256::from(9)]));
    let verdict = stage.verdict().await;
    assert_eq!((told(&verdict.findings), verdict.untold.len()), (vec![], 1), "{verdict:#?}");
    for other in [answer(&[U256::from(9), U256::from(80)]), Bytes::new(), answer(&[U256::from(9); 4])] {
        chain.answer_call(REPUTATION, of_summary.clone(), other);
        let verdict = stage.verdict().await;
        assert_eq!((told(&verdict.findings), verdict.untold.len()), (vec![], 1), "{verdict:#?}");
    }
}
