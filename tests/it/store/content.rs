//! What strangers put into logs: unclean and long text, numbers at both ends, and logs that are no event. None of it is
//! lost, and none of it stops a step.

use alloy::primitives::{B256, U256};
use meikan::event::{Event, IdentityEvent, Text};
use serde_json::json;

use super::chain::{Chain, START, noise, said};
use super::events::{ALICE, feedback, metadata};
use super::random::Random;
use super::support::{CHAIN, Fixture, follow, hex, play};

#[tokio::test]
async fn f45_f46_unclean_text_is_shown_and_its_bytes_are_kept() {
    let bytes = b"a\0\xffb";
    let logs = vec![
        metadata(1, Text::from(bytes.to_vec()), b"1"),
        metadata(1, "a\u{fffd}\u{fffd}b", b"2"),
        said(Event::Identity(IdentityEvent::URIUpdated {
            agent_id: U256::from(1),
            new_uri: Text::from(bytes.to_vec()),
            updated_by: ALICE,
        })),
    ];
    let (fixture, chain) = play(vec![logs]).await;
    let keys = "SELECT jsonb_agg(jsonb_build_array(key, key_raw) ORDER BY value) FROM agent_metadata";
    let shown = "a\u{fffd}\u{fffd}b";
    assert_eq!(fixture.value(keys).await, json!([[shown, hex(bytes)], [shown, null]]), "two keys stay two");
    assert_eq!(
        fixture.value("SELECT (agent_uri, agent_uri_raw) FROM agent").await,
        json!({"f1": shown, "f2": hex(bytes)})
    );
    let logs: Vec<_> = chain.blocks[0].logs.iter().map(|decoded| decoded.log.clone()).collect();
    assert_eq!(fixture.raw_logs(CHAIN).await, logs, "the logs are kept as they were");
}

#[tokio::test]
async fn f47_f51_long_and_repeated_uris_are_stored_whole() {
    // Random letters: what Postgres cannot compress is what breaks its b-trees.
    let mut random = Random(47);
    let long: String = (0..100_000).map(|_| char::from(b'a' + u8::try_from(random.below(26)).unwrap())).collect();
    let set = || {
        let (agent_id, updated_by) = (U256::from(1), ALICE);
        said(Event::Identity(IdentityEvent::URIUpdated { agent_id, new_uri: long.as_str().into(), updated_by }))
    };
    let blocks = vec![vec![set(), set(), metadata(1, long.as_str(), long.as_bytes())], vec![set()]];
    let (fixture, _) = play(blocks).await;
    let select = format!("SELECT count(*) FILTER (WHERE agent_uri = '{long}') FROM agent");
    assert_eq!(fixture.value(&select).await, json!(2));
    assert_eq!(fixture.value("SELECT length(key) FROM agent_metadata").await, json!(100_000));
}

#[tokio::test]
async fn f48_integers_are_exact_at_both_ends() {
    let logs = vec![
        said(feedback(U256::MAX, ALICE, u64::MAX, i128::MIN, 18)),
        said(feedback(U256::ZERO, ALICE, 0, i128::MAX, 0)),
    ];
    let (fixture, _) = play(vec![logs]).await;
    let rows = "SELECT concat_ws(' ', agent_id, feedback_index, value_raw, value) FROM feedback ORDER BY agent_id";
    let (max, least) = (U256::MAX, "170141183460469231731687303715884105728");
    let value = "-170141183460469231731.687303715884105728";
    let expected = [format!("0 0 {0} {0}", i128::MAX), format!("{max} {} -{least} {value}", u64::MAX)];
    assert_eq!(fixture.texts(rows).await, expected);
}

#[tokio::test]
async fn f49_logs_that_are_no_event_are_kept_and_counted() {
    let logs = vec![noise(vec![]), noise(vec![B256::ZERO]), noise(vec![IdentityEvent::ALL[0].2])];
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    chain.add(logs);
    let mut writer = fixture.writer(CHAIN).await;
    let applied = follow(&mut writer, &chain, None, START, None).await.unwrap();
    assert_eq!((applied.undecoded, applied.events.len()), (3, 0));
    let reasons = fixture.texts("SELECT reason FROM undecoded_log ORDER BY log_index").await;
    assert_eq!(reasons[..2], ["unknown topic", "unknown topic"]);
    assert!(reasons[2].starts_with("malformed Registered"), "{}", reasons[2]);
    assert_eq!(fixture.raw_logs(CHAIN).await.len(), 3);
}
