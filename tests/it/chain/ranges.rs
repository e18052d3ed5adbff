//! Logs by range: as wide as the endpoint answers, whatever it says about its limits.

use meikan::chain::Chain;

use super::support::{agents, all, busy_chain, connect, network};
use crate::support::fake_chain::Fault;

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
async fn f34_what_the_endpoint_answers_counts_and_not_the_limit_that_it_claims() {
    let fake = busy_chain(60);
    // It claims ten thousand blocks, and takes seven.
    fake.endpoint().limit_range(7, "eth_getLogs is limited to a 10,000 block range");
    let chain = connect(&[fake.url()]).await;
    assert_eq!(agents(&all(&chain, 1, 60).await), (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let fake = busy_chain(8);
    fake.endpoint().fail("eth_getLogs", 1, Fault::Text("[".repeat(65 << 20)));
    let chain = connect(&[fake.url()]).await;
    assert_eq!(chain.range(1, 8).await.expect("half is answered").to.number, 4);
}
