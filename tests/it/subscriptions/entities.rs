//! What can be followed, which of it, and of which network.

use alloy::primitives::{B256, U256};
use meikan::event::{AuditLogEvent, Event, Text};
use serde_json::json;

use super::support::{Client, MESSAGE, Said, brief, code};
use crate::graphql::support::{CHAIN, Node, account, feedback, hex, registered, requested, revoked, validated};

#[tokio::test]
async fn every_root_tells_of_its_entity() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    for (root, fields) in [
        ("feedbacks", "value isRevoked agent { id totalFeedback } responses { id }"),
        ("validations", "status response"),
        ("manifestFlips", "suspicionScore agent { id }"),
        ("auditEntries", "kind createdAt"),
    ] {
        client
            .subscribe(root, &format!("subscription {{ {root}(after: \"0\") {{ {MESSAGE} node {{ id {fields} }} }} }}"))
            .await;
    }
    history.block(registered(0, 1, "")).await;
    history.block(vec![feedback(0, 10, 1, (55, 1), "x")]).await;
    let given = client.next("feedbacks").await;
    assert_eq!(given["node"]["agent"], json!({ "id": "167000:0", "totalFeedback": "1" }));
    assert_eq!(
        (&given["op"], &given["node"]["value"], &given["id"]),
        (&json!("INSERT"), &json!("5.5"), &given["node"]["id"])
    );
    history.block(vec![revoked(0, 10, 1)]).await;
    let taken = client.next("feedbacks").await;
    assert_eq!((&taken["op"], &taken["node"]["isRevoked"]), (&json!("UPDATE"), &json!(true)));
    history.block(vec![requested(0, 5, 0x44)]).await;
    history.block(vec![validated(0, 5, 0x44, 80)]).await;
    let told = client.several("validations", 2).await;
    assert_eq!((&told[0]["op"], &told[0]["node"]["status"]), (&json!("INSERT"), &json!("PENDING")));
    assert_eq!((&told[1]["op"], &told[1]["node"]["response"]), (&json!("UPDATE"), &json!(80)));
    let logged = AuditLogEvent::CommitmentLogged {
        agent_id: B256::repeat_byte(1),
        commitment_hash: B256::repeat_byte(7),
        ipfs_cid: Text::from("bafy"),
        submitter: account(9),
        entry_index: U256::ZERO,
    };
    let block = history.block(vec![Event::AuditLog(logged)]).await;
    let entry = client.next("auditEntries").await;
    assert_eq!((&entry["id"], &entry["node"]["kind"]), (&json!(format!("167000:{block}:0")), &json!("COMMITMENT")));
    let block = history.block(registered(0, 1, "moved")).await;
    let flip = client.next("manifestFlips").await;
    assert_eq!((&flip["op"], &flip["id"]), (&json!("INSERT"), &json!(format!("167000:0:{block}:2"))));
    assert_eq!(flip["node"]["suspicionScore"], json!(70));
}

#[tokio::test]
async fn where_says_of_which_and_who_passes_no_more_is_told_once() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    let follow = |filter: &str| {
        format!("subscription {{ feedbacks(after: \"0\", where: {filter}) {{ {MESSAGE} node {{ id isRevoked }} }} }}")
    };
    client.subscribe("standing", &follow("{isRevoked: false}")).await;
    history.block([registered(0, 1, ""), registered(1, 1, "")].concat()).await;
    history.block(vec![feedback(0, 10, 1, (5, 0), "x"), feedback(1, 10, 1, (5, 0), "y")]).await;
    let id = |agent: u64| format!("167000:{agent}:{}:1", hex(10));
    let told = client.several("standing", 2).await;
    assert_eq!(brief(&told), [format!("INSERT {} 101", id(0)), format!("INSERT {} 101", id(1))]);
    history.block(vec![revoked(0, 10, 1)]).await;
    let left = client.next("standing").await;
    assert_eq!((&left["op"], &left["id"], &left["node"]), (&json!("UPDATE"), &json!(id(0)), &json!(null)));
    // Taken back, it stands again.
    history.reorg(101, vec![]).await;
    let back = client.next("standing").await;
    assert_eq!((&back["op"], &back["node"]["isRevoked"]), (&json!("RETRACT"), &json!(false)));
    // One agent's feedback only, and a tag that one of them has.
    client.subscribe("agent", &follow("{agent: \"167000:1\"}")).await;
    assert_eq!(brief(&client.several("agent", 1).await), [format!("INSERT {} 101", id(1))]);
    client.subscribe("tag", &follow("{tag1: \"x\"}")).await;
    assert_eq!(brief(&client.several("tag", 1).await), [format!("INSERT {} 101", id(0))]);
    history.block(vec![revoked(1, 10, 1), feedback(0, 11, 1, (1, 0), "z")]).await;
    history.block(vec![feedback(0, 12, 1, (1, 0), "x")]).await;
    let mut heard = Vec::new();
    for _ in 0..5 {
        let Said::Json(message) = client.hear().await else { panic!("the node hung up") };
        let told = &message["payload"]["data"]["feedbacks"];
        heard.push(format!("{} {}", message["id"].as_str().unwrap(), brief(std::slice::from_ref(told))[0]));
    }
    heard.sort_unstable();
    let other = |client: u8| format!("167000:0:{}:1", hex(client));
    let mut expected = [
        format!("standing UPDATE {} 103", id(1)),
        format!("standing INSERT {} 103", other(11)),
        format!("standing INSERT {} 104", other(12)),
        format!("agent UPDATE {} 103", id(1)),
        format!("tag INSERT {} 104", other(12)),
    ];
    expected.sort_unstable();
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn several_networks_need_a_chain_id() {
    let node = Node::start().await;
    let mut here = node.history(CHAIN).await;
    let mut there = node.history(167_013).await;
    let mut client = Client::connect(&node.address, "/graphql").await;
    let agents = |arguments: &str| format!("subscription {{ agents({arguments}) {{ {MESSAGE} }} }}");
    client.subscribe("1", &agents("after: \"0\"")).await;
    let error = client.error("1").await;
    assert_eq!(code(&error), "BAD_INPUT");
    assert!(error["message"].as_str().unwrap().contains("chainId"), "{error}");
    client.subscribe("2", &agents("after: \"0\", chainId: 5")).await;
    assert_eq!(code(&client.error("2").await), "NOT_FOUND");
    client.subscribe("3", &agents("after: \"0\", chainId: 167013")).await;
    here.block(registered(0, 1, "")).await;
    there.block(registered(1, 1, "")).await;
    assert_eq!(brief(&client.several("3", 1).await), ["INSERT 167013:1 100"]);
    // The address of one network answers for it alone.
    let mut one = Client::connect(&node.address, "/graphql/167000").await;
    one.subscribe("1", &agents("after: \"0\"")).await;
    assert_eq!(brief(&one.several("1", 1).await), ["INSERT 167000:0 100"]);
    one.subscribe("2", &agents("after: \"0\", chainId: 167013")).await;
    assert_eq!(code(&one.error("2").await), "BAD_INPUT");
}
