//! What is counted of an agent, and the feedback and validations that it is counted from.

use alloy::primitives::{Address, B256};
use serde_json::json;

use super::chain::{Chain, START};
use super::events::{ALICE, BOB, answer, given, registered, request, revoked, transfer};
use super::support::{CHAIN, play};

#[tokio::test]
async fn totals_count_what_holds() {
    let blocks = vec![
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "", ALICE), given(1, BOB, 1), given(1, BOB, 2)],
        vec![revoked(1, BOB, 1), revoked(1, BOB, 1), revoked(1, BOB, 9)],
        vec![],
        // The same index again supersedes what was revoked, and is not revoked itself.
        vec![given(1, BOB, 1)],
        vec![],
        vec![],
        vec![transfer(ALICE, BOB, 1)],
    ];
    let (fixture, chain) = play(blocks).await;
    let select = "SELECT (total_feedback, revoked, responses, last_activity, updated_at) FROM agent_total";
    let (active, updated) = (chain.tip_at(START + 3).timestamp, chain.tip_at(START + 6).timestamp);
    assert_eq!(fixture.value(select).await, json!({"f1": 2, "f2": 0, "f3": 0, "f4": active, "f5": updated}));
    let select = "SELECT jsonb_agg(jsonb_build_array(feedback_index, begin_block, end_block, revoked_block) \
                  ORDER BY feedback_index, begin_block) FROM feedback";
    let expected = json!([[1, START, START + 3, START + 1], [1, START + 3, null, null], [2, START, null, null]]);
    assert_eq!(fixture.value(select).await, expected);
}

#[tokio::test]
async fn an_answer_of_zero_is_an_answer_and_the_last_one_counts() {
    let hash = B256::repeat_byte(5);
    let unknown = B256::repeat_byte(6);
    let blocks = vec![
        vec![request(1, hash), answer(1, unknown, 7)],
        vec![answer(1, hash, 90)],
        vec![answer(1, hash, 50), answer(1, hash, 0)],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, response, response_count) ORDER BY begin_block) \
                  FROM validation";
    let expected = json!([[START, null, 0], [START + 1, 90, 1], [START + 2, 0, 3]]);
    assert_eq!(fixture.value(select).await, expected);
    assert_eq!(fixture.count("validation_response", CHAIN).await, 4, "an answer without a request is kept");
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_moves_no_total() {
    let unknown = B256::repeat_byte(6);
    let (fixture, chain) = play(vec![vec![registered(1, "", ALICE)], vec![], vec![answer(1, unknown, 7)]]).await;
    let select = "SELECT (last_activity, updated_at, begin_block) FROM agent_total";
    let time = chain.tip_at(START).timestamp;
    // What is counted from validations as of an earlier block would not find it.
    assert_eq!(fixture.value(select).await, json!({"f1": time, "f2": time, "f3": START}));
    assert_eq!(fixture.count("validation_response", CHAIN).await, 1);
}

#[tokio::test]
async fn totals_follow_the_validation_that_stands_at_the_end_of_a_block() {
    let (hash, time) = (B256::repeat_byte(5), |chain: &Chain, block| chain.tip_at(block).timestamp);
    let blocks = vec![
        vec![registered(1, "", ALICE), registered(2, "", ALICE), registered(3, "", ALICE)],
        vec![],
        // The second request takes the first one's place; an answer counts for the agent of its request.
        vec![request(1, hash), request(2, hash)],
        vec![],
        vec![answer(3, hash, 7)],
    ];
    let (fixture, chain) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(agent_id, begin_block, last_activity) ORDER BY agent_id) \
                  FROM agent_total";
    let untouched = time(&chain, START);
    let expected = json!([[1, START, untouched], [2, START + 4, time(&chain, START + 4)], [3, START, untouched]]);
    assert_eq!(fixture.value(select).await, expected);
}
