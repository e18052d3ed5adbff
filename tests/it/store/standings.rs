//! What feedback sums up to: in all, as ratings, and under each tag.

use alloy::primitives::{Address, B256, U256, keccak256};
use meikan::event::{Event, ReputationEvent, Text};
use serde_json::json;

use super::chain::{Chain, START, Said, said};
use super::events::{ALICE, BOB, registered, revoked};
use super::random::Random;
use super::support::{CHAIN, Fixture, follow, play};

const CAROL: Address = Address::repeat_byte(0xca);

fn says(client_address: Address, feedback_index: u64, tag1: &str, value: i128, value_decimals: u8) -> Said {
    said(Event::Reputation(ReputationEvent::NewFeedback {
        agent_id: U256::from(1),
        client_address,
        feedback_index,
        value,
        value_decimals,
        indexed_tag1: keccak256(tag1),
        tag1: tag1.into(),
        tag2: Text::default(),
        endpoint: Text::default(),
        feedback_uri: Text::default(),
        feedback_hash: B256::ZERO,
    }))
}

fn responded(client_address: Address, feedback_index: u64) -> Said {
    said(Event::Reputation(ReputationEvent::ResponseAppended {
        agent_id: U256::from(1),
        client_address,
        feedback_index,
        responder: ALICE,
        response_uri: Text::default(),
        response_hash: B256::ZERO,
    }))
}

/// The standings by tag, `ALL` and `RATINGS`.
const STANDINGS: &str = "SELECT jsonb_object_agg(CASE length(s.aspect) WHEN 0 THEN 'ALL' WHEN 1 THEN 'RATINGS' \
     ELSE t.tag1 END, jsonb_build_array(s.given, s.revoked, s.responses, trim_scale(s.total), s.counts, s.clients, \
         trim_scale(round(s.voices, 3)), s.positive, s.negative, s.begin_block, CASE WHEN s.aspect = '\\x01' THEN trim_scale(s.score) END)) \
     FROM standing s LEFT JOIN tag t USING (chain_id, aspect)";

#[tokio::test]
async fn feedback_counts_in_all_its_aspects_and_each_client_has_one_voice() {
    let (fixture, _) = play(vec![
        vec![registered(1, "", ALICE), says(BOB, 1, "starred", 9_000, 2), says(BOB, 2, "", 40, 0)],
        vec![says(CAROL, 1, "uptime", 995, 1), responded(CAROL, 1), responded(CAROL, 9)],
        vec![says(CAROL, 2, "starred", 100, 0), says(CAROL, 3, "starred", 101, 0), revoked(1, BOB, 2)],
    ])
    .await;
    let expected = json!({
        "ALL": [5, 1, 2, 390.5, [2, 1, 1], 2, 190.167, 2, 0, START + 2, null],
        "RATINGS": [3, 1, 0, 190, [1, 0, 1], 2, 190, 2, 0, START + 2, 59],
        "": [1, 1, 0, 0, [], 0, 0, 0, 0, START + 2, null],
        "starred": [3, 0, 0, 291, [2, 0, 1], 2, 190.5, 2, 0, START + 2, null],
        "uptime": [1, 0, 1, 99.5, [0, 1], 1, 99.5, 0, 0, START + 1, null],
    });
    assert_eq!(fixture.value(STANDINGS).await, expected);
}

#[tokio::test]
async fn feedback_that_is_given_again_leaves_the_aspect_it_was_in() {
    let (fixture, chain) = play(vec![
        vec![says(BOB, 1, "starred", 90, 0)],
        // Within one block only the last one ever was.
        vec![says(BOB, 1, "uptime", 1, 0), responded(BOB, 1), says(BOB, 1, "reachable", 1, 0)],
    ])
    .await;
    let expected = json!({
        "ALL": [1, 0, 1, 1, [1], 1, 1, 0, 0, START + 1, null],
        "RATINGS": [0, 0, 0, 0, [], 0, 0, 0, 0, START + 1, 50],
        "starred": [0, 0, 0, 0, [], 0, 0, 0, 0, START + 1, null],
        "reachable": [1, 0, 1, 1, [1], 1, 1, 0, 0, START + 1, null],
    });
    assert_eq!(fixture.value(STANDINGS).await, expected);
    let last = "SELECT jsonb_object_agg(length(aspect), last_at) FROM standing WHERE length(aspect) < 2";
    let (first, second) = (chain.tip_at(START).timestamp, chain.tip_at(START + 1).timestamp);
    assert_eq!(fixture.value(last).await, json!({"0": second, "1": first}));
}

/// Standings that do not say what a plain look at the rows of feedback says.
const WRONG: &str = "WITH spoken AS ( \
         SELECT f.*, f.end_block IS NULL AND f.revoked_block IS NULL AS stands, aspects.aspect AS of FROM feedback f \
         CROSS JOIN LATERAL (VALUES (''::bytea), (f.aspect), (CASE WHEN f.tag1 IN ('', 'starred') \
             AND f.tag1_raw IS NULL AND trunc(f.value, 60) BETWEEN 0 AND 100 THEN '\\x01'::bytea END)) aspects (aspect) \
         WHERE aspects.aspect IS NOT NULL), \
     plain AS ( \
         SELECT chain_id, deployment, agent_id, of AS aspect, count(*) FILTER (WHERE end_block IS NULL) AS given, \
             count(*) FILTER (WHERE end_block IS NULL AND revoked_block IS NOT NULL) AS revoked, \
             coalesce(sum(trunc(value, 60)) FILTER (WHERE stands), 0)::numeric(1000, 60) AS total, \
             count(DISTINCT client) FILTER (WHERE stands) AS clients, max(created_at) AS last_at, \
             min(begin_block) AS created_block \
         FROM spoken GROUP BY 1, 2, 3, 4), \
     kept AS (SELECT chain_id, deployment, agent_id, aspect, given, revoked, total, clients, last_at, created_block \
         FROM standing WHERE last_at > 0 AND aspect <> '') \
     SELECT t::text FROM ((TABLE plain EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE plain)) t \
     WHERE aspect <> ''";

#[tokio::test]
async fn standings_are_what_the_rows_of_feedback_say_whatever_is_final() {
    for seed in 0..4 {
        let fixture = Fixture::create().await;
        let (mut chain, mut random) = (Chain::default(), Random(seed));
        for _ in 0..60 {
            chain.add(random.logs());
        }
        let mut writer = fixture.writer(CHAIN).await;
        let finalized = (seed % 2 == 0).then_some(START + 40);
        follow(&mut writer, &chain, None, chain.tip(), finalized).await.unwrap();
        assert_eq!(fixture.texts(WRONG).await, [""; 0], "seed {seed}");
        let back_to = START + 45;
        follow(&mut writer, &chain, Some(back_to), back_to, finalized).await.unwrap();
        assert_eq!(fixture.texts(WRONG).await, [""; 0], "seed {seed}, rewound");
        assert!(fixture.count("standing", CHAIN).await > 5);
    }
}
