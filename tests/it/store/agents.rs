//! Agents: whose they are, who may act for them, what is said of them, and that whatever names one finds one.

use alloy::primitives::{Address, B256, U256};
use serde_json::json;

use super::chain::{START, contract, said_by};
use super::events::{
    ALICE, BOB, answer, approval, feedback, given, metadata, operator, registered, request, revoked, transfer,
};
use super::support::{CHAIN, hex, play};

#[tokio::test]
async fn the_owner_follows_transfers_and_events_may_precede_registered() {
    let mint = vec![
        transfer(Address::ZERO, ALICE, 0),
        metadata(0, "early", b"1"),
        transfer(ALICE, BOB, 0),
        registered(0, "ipfs://a", ALICE),
        metadata(0, "agentWallet", ALICE.as_slice()),
    ];
    let (fixture, _) = play(vec![mint]).await;
    let select = "SELECT (registered, owner, agent_wallet, agent_uri, log_index, created_log_index) FROM agent";
    let expected = json!({"f1": true, "f2": hex(BOB), "f3": hex(ALICE), "f4": "ipfs://a", "f5": 12, "f6": 0});
    assert_eq!(fixture.value(select).await, expected);
    assert_eq!(fixture.count("agent_metadata", CHAIN).await, 2, "agentWallet is metadata, too");
}

#[tokio::test]
async fn a_transfer_withdraws_the_approval_also_to_oneself_and_a_burn_is_a_transfer() {
    let blocks = vec![
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "", ALICE), approval(ALICE, BOB, 1)],
        vec![metadata(1, "agentWallet", b""), transfer(ALICE, ALICE, 1)],
        vec![transfer(ALICE, Address::ZERO, 1)],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, end_block, owner, approved) ORDER BY begin_block) \
                  FROM agent";
    let expected = json!([
        [START, START + 1, hex(ALICE), hex(BOB)],
        [START + 1, START + 2, hex(ALICE), null],
        [START + 2, null, hex(Address::ZERO), null],
    ]);
    assert_eq!(fixture.value(select).await, expected);
}

#[tokio::test]
async fn operators_are_approved_and_withdrawn_by_version() {
    let blocks = vec![
        vec![operator(ALICE, BOB, true), operator(ALICE, BOB, true)],
        vec![operator(ALICE, BOB, false), operator(BOB, ALICE, false)],
        vec![operator(ALICE, BOB, true), operator(ALICE, BOB, false)],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, end_block)) FROM operator_approval";
    assert_eq!(fixture.value(select).await, json!([[START, START + 1]]));
}

#[tokio::test]
async fn metadata_have_versions_of_their_own() {
    let blocks = vec![
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "", ALICE), metadata(1, "k", b"1")],
        vec![metadata(1, "k", b"2")],
        vec![metadata(1, "agentWallet", BOB.as_slice())],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, agent_wallet) ORDER BY begin_block) FROM agent";
    assert_eq!(fixture.value(select).await, json!([[START, null], [START + 2, hex(BOB)]]));
    assert_eq!(fixture.value("SELECT (begin_block) FROM agent_total").await, json!(START + 2));
}

#[tokio::test]
async fn whatever_names_an_agent_finds_one() {
    let hash = B256::repeat_byte(5);
    let blocks = vec![
        vec![given(1, BOB, 1), request(2, hash), metadata(3, "k", b"v"), revoked(4, BOB, 1)],
        vec![given(1, ALICE, 1), answer(2, hash, 1)],
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "ipfs://a", BOB), registered(2, "", BOB)],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(agent_id, begin_block, registered, owner, created_block) \
                  ORDER BY agent_id, begin_block) FROM agent";
    let (nobody, start, last) = (hex(Address::ZERO), START, START + 2);
    let expected = json!([
        [1, start, false, nobody, start],
        [1, last, true, hex(ALICE), last],
        [2, start, false, nobody, start],
        [2, last, true, hex(BOB), last],
        [3, start, false, nobody, start],
    ]);
    assert_eq!(fixture.value(select).await, expected, "a revocation without effect names nobody");
    let insert = "SELECT key FROM change WHERE entity = 2 AND op = 1 ORDER BY seq";
    assert_eq!(fixture.texts(insert).await, ["167000:1", "167000:2", "167000:3"]);
    let orphans = "SELECT count(*) FROM agent_total t WHERE NOT EXISTS (SELECT FROM agent a WHERE \
                   (a.chain_id, a.deployment, a.agent_id) = (t.chain_id, t.deployment, t.agent_id))";
    assert_eq!(fixture.value(orphans).await, json!(0));
}

#[tokio::test]
async fn deployments_keep_their_agents_apart() {
    let event = || feedback(U256::ZERO, BOB, 1, 5, 0);
    let (fixture, _) = play(vec![vec![said_by(event(), 0), said_by(event(), 1)]]).await;
    let select = "SELECT jsonb_agg(deployment ORDER BY deployment) FROM feedback";
    assert_eq!(fixture.value(select).await, json!([0, 1]));
    let keys = fixture.texts("SELECT key FROM change WHERE entity = 5 ORDER BY seq").await;
    let registry = alloy::hex::encode_prefixed(contract(meikan::event::Role::Identity, 1));
    let client = alloy::hex::encode_prefixed(BOB);
    assert_eq!(keys, [format!("{CHAIN}:0:{client}:1"), format!("{CHAIN}:{registry}:0:{client}:1")]);
}

#[tokio::test]
async fn a_registration_file_in_the_uri_becomes_a_row() {
    let file = r#"data:application/json,{"name":"Mei\u0000","active":true}"#;
    let blocks =
        vec![vec![transfer(Address::ZERO, ALICE, 1), registered(1, file, ALICE), registered(2, "junk", ALICE)]];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT (agent_id, cid, name, active, f.log_index = a.uri_log_index) \
                  FROM registration_file f JOIN agent a USING (chain_id, deployment, agent_id)";
    let expected = json!({"f1": 1, "f2": "datauri", "f3": "Mei\u{fffd}", "f4": true, "f5": true});
    assert_eq!(fixture.value(select).await, expected);
}
