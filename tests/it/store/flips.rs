//! Manifest flips: what one transaction changed of an agent's endpoint, key and owner, and what it adds up to.

use alloy::primitives::Address;
use meikan::store::FlipCount;
use serde_json::{Value, json};

use super::chain::{Chain, START, Said};
use super::events::{ALICE, BOB, approval, given, metadata, registered, transfer, uri_updated};
use super::support::{CHAIN, Fixture, follow, hex, play, wait_for_writer};

/// Two logs make a transaction: this one is alone in its own.
fn alone(said: Said) -> Vec<Said> {
    vec![said, approval(ALICE, Address::ZERO, 9)]
}

fn wallet(agent: u64, value: &[u8]) -> Said {
    metadata(agent, "agentWallet", value)
}

/// Blocks without logs, enough that what follows is not rapid: two blocks take two seconds.
fn a_minute() -> Vec<Vec<Said>> {
    (0..60).map(|_| Vec::new()).collect()
}

async fn flips(fixture: &Fixture) -> Value {
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, log_index, endpoint_changed, pubkey_changed, \
                  owner_changed, time_delta, score) ORDER BY begin_block, log_index) FROM manifest_flip";
    fixture.value(select).await
}

#[tokio::test]
async fn the_first_manifest_is_no_flip_and_a_transaction_is_one_change() {
    let blocks = vec![
        // Named by another registry first: that tells no manifest.
        vec![given(1, BOB, 1)],
        [vec![transfer(Address::ZERO, ALICE, 1), registered(1, "a", ALICE)], alone(wallet(1, ALICE.as_slice()))]
            .concat(),
        // There and back within one transaction changes nothing.
        vec![uri_updated(1, "b"), uri_updated(1, "a")],
        vec![uri_updated(1, "b"), wallet(1, BOB.as_slice())],
    ];
    let (fixture, _) = play(blocks).await;
    let expected = json!([
        [START + 1, 6, false, true, false, 0, 50],
        [START + 2, 3, false, false, false, 2, 20],
        [START + 3, 3, true, true, false, 0, 100],
    ]);
    assert_eq!(flips(&fixture).await, expected);
    let select = "SELECT (endpoint, previous_endpoint, pubkey, previous_pubkey) FROM manifest_flip WHERE flips = 3";
    let expected = json!({"f1": "b", "f2": "a", "f3": hex(BOB), "f4": hex(ALICE)});
    assert_eq!(fixture.value(select).await, expected);
    let told = fixture.texts("SELECT op || ' ' || key FROM change WHERE entity = 10 ORDER BY seq").await;
    assert_eq!(told, ["1 167000:1:11:6", "1 167000:1:12:3", "1 167000:1:13:3"]);
}

#[tokio::test]
async fn an_emptied_wallet_is_a_change_of_key_and_another_owner_does_not_score() {
    let mint = vec![transfer(Address::ZERO, ALICE, 1), registered(1, "a", ALICE)];
    let blocks = [
        vec![mint, alone(wallet(1, ALICE.as_slice()))],
        a_minute(),
        // What the registry does: it clears the wallet before a transfer.
        vec![vec![wallet(1, b""), transfer(ALICE, BOB, 1)]],
        a_minute(),
        vec![alone(transfer(BOB, ALICE, 1)), alone(approval(ALICE, BOB, 1))],
        a_minute(),
        // An approval tells no manifest, so this one is a minute late.
        vec![alone(uri_updated(1, "a"))],
    ];
    let (fixture, _) = play(blocks.concat()).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(pubkey_changed, owner_changed, score, time_delta >= 60) \
                  ORDER BY begin_block) FROM manifest_flip";
    let expected =
        json!([[true, false, 50, false], [true, true, 30, true], [false, true, 0, true], [false, false, 0, true],]);
    assert_eq!(fixture.value(select).await, expected);
    let select = "SELECT (pubkey, previous_pubkey, owner, previous_owner) FROM manifest_flip WHERE flips = 2";
    let expected = json!({"f1": null, "f2": hex(ALICE), "f3": hex(BOB), "f4": hex(ALICE)});
    assert_eq!(fixture.value(select).await, expected);
}

#[tokio::test]
async fn a_flip_holds_with_its_sums_until_the_next_one() {
    let blocks = vec![
        vec![registered(1, "a", ALICE), registered(2, "a", ALICE)],
        // Two transactions of one block: the first one's sums are nobody's.
        vec![uri_updated(1, "b"), uri_updated(2, "b"), wallet(1, b"12345678901234567890"), given(1, BOB, 1)],
        vec![uri_updated(1, "c")],
    ];
    let (fixture, chain) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(agent_id, begin_block, end_block, flips, rapid, endpoint_changes, \
                  suspicious, score_sum) ORDER BY agent_id, flips) FROM manifest_flip";
    let (second, third) = (START + 1, START + 2);
    let expected = json!([
        [1, second, second, 1, 1, 1, 1, 70],
        [1, second, third, 2, 2, 1, 1, 120],
        [1, third, null, 3, 3, 2, 2, 190],
        [2, second, null, 1, 1, 1, 1, 70],
    ]);
    assert_eq!(fixture.value(select).await, expected);
    let mut writer = wait_for_writer(&fixture, CHAIN).await;
    follow(&mut writer, &chain, Some(second), second, None).await.unwrap();
    let expected = json!([
        [1, second, second, 1, 1, 1, 1, 70],
        [1, second, null, 2, 2, 1, 1, 120],
        [2, second, null, 1, 1, 1, 1, 70],
    ]);
    assert_eq!(fixture.value(select).await, expected, "what the rewind took the end of holds again");
    let applied = follow(&mut writer, &chain, None, third, None).await.unwrap();
    let counts: Vec<_> = applied.flips.iter().map(|(agent, count)| (agent.to_string(), *count)).collect();
    assert_eq!(counts, [("167000:1".to_owned(), FlipCount { flips: 1, suspicious: 1 })]);
}

#[tokio::test]
async fn f45_endpoints_that_read_alike_are_told_apart() {
    let blocks =
        vec![vec![registered(1, "nul\0", ALICE)], vec![uri_updated(1, "nul\u{fffd}")], vec![uri_updated(1, "nul\0")]];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(endpoint, endpoint_raw, previous_endpoint, previous_endpoint_raw) \
                  ORDER BY flips) FROM manifest_flip WHERE endpoint_changed";
    let (readable, raw) = ("nul\u{fffd}", hex(b"nul\0"));
    assert_eq!(fixture.value(select).await, json!([[readable, null, readable, raw], [readable, raw, readable, null]]));
}

#[tokio::test]
async fn f66_flips_do_not_depend_on_how_a_history_is_cut() {
    let mut chain = Chain::default();
    chain.add(vec![registered(1, "a", ALICE), registered(2, "a", ALICE)]);
    for (number, uri) in ["b", "b", "c", "a"].into_iter().enumerate() {
        let owner = if number % 2 == 0 { BOB } else { ALICE };
        chain.add(vec![uri_updated(1, uri), uri_updated(2, uri), transfer(ALICE, owner, 1), wallet(2, b"")]);
    }
    let (whole, pieces) = (Fixture::create().await, Fixture::create().await);
    follow(&mut whole.writer(CHAIN).await, &chain, None, chain.tip(), None).await.unwrap();
    let mut writer = pieces.writer(CHAIN).await;
    for to in START..=chain.tip() {
        follow(&mut writer, &chain, None, to, None).await.unwrap();
    }
    assert_eq!(whole.dump(CHAIN).await, pieces.dump(CHAIN).await);
    assert_eq!(whole.count("manifest_flip", CHAIN).await, 16);
}
