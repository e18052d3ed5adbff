//! Feedback by documents: given, revised, revoked, and met by the chain.

use alloy::primitives::{B256, U256, hex, keccak256};
use meikan::document::Kind;
use meikan::event::{Event, ReputationEvent, Text};
use serde_json::{Value, json};

use super::support::{Desk, by_hand, document_rows, nonce, now, person, registered, revokes};
use crate::graphql::support::{CHAIN, Node};
use crate::support::postgres::connect;

/// The chain's feedback that names a file.
fn anchoring(client: &super::support::Person, uri: &str, hash: B256) -> Event {
    Event::Reputation(ReputationEvent::NewFeedback {
        agent_id: U256::from(7),
        client_address: client.address,
        feedback_index: 1,
        value: 87,
        value_decimals: 0,
        indexed_tag1: keccak256("starred"),
        tag1: Text::from("starred"),
        tag2: Text::from(""),
        endpoint: Text::from(""),
        feedback_uri: Text::from(uri),
        feedback_hash: hash,
    })
}

#[tokio::test]
async fn feedback_is_given_revised_and_revoked_and_every_version_is_kept() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (owner, client) = (person(1), person(2));
    history.block(registered(7, owner.address)).await;

    let mut says = world.gives(client.address, 7, 87);
    says["feedback"]["text"] = json!("Prompt, and \"right\" 🦀");
    says["feedback"]["valueDecimals"] = json!(1);
    says["feedback"]["mcp"] = json!({ "tool": "search" });
    says["feedback"]["a2a"] = json!({ "skills": ["b", "a"] });
    let given = world.signs(&client, Kind::Feedback, &says);
    let fields = "id version digest agentId clientAddress value valueRaw valueDecimals tag1 tag2 text mcpTool mcpPrompt \
                  a2aSkills oasfSkills isRevoked revokedAt anchored signer nonce signature checkedBlock agent { id } \
                  anchor { id } createdAt fileURI cid";
    let made = desk.hand_in_for(&given, fields).await.unwrap();
    assert_eq!(made["id"], json!(world.id(&given)));
    let nonce_text = says["nonce"].to_string();
    for (name, value) in [
        ("version", json!(1)),
        ("digest", json!(given.digest)),
        ("agentId", json!("7")),
        ("clientAddress", json!(client.address)),
        ("value", json!("8.7")),
        ("valueRaw", json!("87")),
        ("valueDecimals", json!(1)),
        ("tag1", json!("starred")),
        ("tag2", json!("")),
        ("text", json!("Prompt, and \"right\" 🦀")),
        ("mcpTool", json!("search")),
        ("mcpPrompt", Value::Null),
        ("a2aSkills", json!(["b", "a"])),
        ("oasfSkills", Value::Null),
        ("isRevoked", json!(false)),
        ("revokedAt", Value::Null),
        ("anchored", json!(false)),
        ("anchor", Value::Null),
        ("signer", json!(world.account(client.address))),
        ("nonce", json!(nonce_text)),
        ("signature", json!(given.signature)),
        ("checkedBlock", json!(history.tip().to_string())),
        ("agent", json!({ "id": format!("{CHAIN}:7") })),
        ("createdAt", json!("1769860800")),
    ] {
        assert_eq!(made[name], value, "{name}: {made}");
    }
    assert_eq!(made["fileURI"], json!(format!("ipfs://{}", made["cid"].as_str().unwrap())));

    let revision = world.revises(given.digest, client.address, 7, 40);
    let revision = world.signs(&client, Kind::FeedbackRevision, &revision);
    let fields =
        "id version digest value versions(orderBy: version) { id version isCurrent value feedback { version } }";
    let made = desk.hand_in_for(&revision, fields).await.unwrap();
    assert_eq!((&made["id"], &made["version"], &made["value"]), (&json!(world.id(&given)), &json!(2), &json!("40")));
    let versions = json!([
        { "id": format!("{}:1", world.id(&given)), "version": 1, "isCurrent": false, "value": "8.7", "feedback": { "version": 2 } },
        { "id": format!("{}:2", world.id(&given)), "version": 2, "isCurrent": true, "value": "40", "feedback": { "version": 2 } },
    ]);
    assert_eq!(made["versions"], versions);

    let revocation = world.signs(&client, Kind::FeedbackRevocation, &revokes(given.digest));
    let made = desk.hand_in_for(&revocation, "id version isRevoked revokedAt").await.unwrap();
    assert_eq!((&made["version"], &made["isRevoked"]), (&json!(2), &json!(true)));
    assert!(made["revokedAt"].as_str().unwrap().parse::<u64>().unwrap() + 600 > now());
    let data =
        desk.ask("{ offchainFeedbacks(where: { isRevoked: true }) { id } offchainFeedbackVersions { id } }").await;
    assert_eq!(data["offchainFeedbacks"], json!([{ "id": world.id(&given) }]));
    assert_eq!(data["offchainFeedbackVersions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_document_that_comes_again_is_answered_as_before_and_written_once() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (owner, client) = (person(1), person(2));
    history.block(registered(7, owner.address)).await;
    let given = world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, 87));
    let first = desk.hand_in(&given).await.unwrap();
    let rows = document_rows(&node.database).await;
    // The same content, written in another way and signed anew, is the same document.
    let value: Value = serde_json::from_str(&given.document).unwrap();
    let spaced = world.sign(&client, Kind::Feedback, &serde_json::to_string_pretty(&value).unwrap());
    for again in [&given, &spaced, &given] {
        assert_eq!(desk.hand_in(again).await.unwrap(), first);
    }
    assert_eq!(document_rows(&node.database).await, rows);
    let client = connect(node.database.url()).await;
    let outcomes = client.query("SELECT outcome, count(*) FROM write_audit GROUP BY 1 ORDER BY 1", &[]).await.unwrap();
    let outcomes: Vec<(String, i64)> = outcomes.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(outcomes, [("ACCEPTED".to_owned(), 1), ("REPEATED".to_owned(), 3)]);
}

#[tokio::test]
async fn the_chain_s_own_word_is_linked_and_a_reorganisation_moves_the_link_and_never_the_document() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (owner, client) = (person(1), person(2));
    let born = history.block(registered(7, owner.address)).await;
    let kept = history.block(vec![]).await;
    let given = world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, 87));
    let made = desk.hand_in_for(&given, "cid fileHash").await.unwrap();
    let (cid, hash) = (made["cid"].as_str().unwrap().to_owned(), made["fileHash"].as_str().unwrap());
    let hash = B256::from_slice(&hex::decode(hash).unwrap());
    let query = "{ offchainFeedbacks { id anchored anchor { id } agent { id } } }";
    let state = async |anchored: bool, has_agent: bool| {
        let data = desk.ask(query).await;
        let row = &data["offchainFeedbacks"][0];
        assert_eq!(row["id"], json!(world.id(&given)), "{data}");
        assert_eq!(row["anchored"], json!(anchored), "{data}");
        let id = format!("{CHAIN}:7:{:#x}:1", client.address);
        assert_eq!(row["anchor"], if anchored { json!({ "id": id }) } else { Value::Null }, "{data}");
        assert_eq!(row["agent"], if has_agent { json!({ "id": format!("{CHAIN}:7") }) } else { Value::Null }, "{data}");
    };
    state(false, true).await;
    // By its hash.
    history.block(vec![anchoring(&client, "https://files.example/1", hash)]).await;
    state(true, true).await;
    history.reorg(kept, vec![]).await;
    state(false, true).await;
    // By its name.
    history.reorg(kept, vec![anchoring(&client, &format!("ipfs://{cid}"), B256::ZERO)]).await;
    state(true, true).await;
    let pinned = desk.ask(&format!("{{ offchainFeedbacks(block: {{ number: {kept} }}) {{ anchored }} }}")).await;
    assert_eq!(pinned["offchainFeedbacks"], json!([{ "anchored": false }]));
    // Another client's word about the same file is another one's.
    history.reorg(kept, vec![anchoring(&person(3), &format!("ipfs://{cid}"), hash)]).await;
    state(false, true).await;
    // The agent itself goes.
    history.reorg(born - 1, vec![]).await;
    state(false, false).await;
    let revision = world.revises(given.digest, client.address, 7, 40);
    assert_eq!(desk.refusal(&world.signs(&client, Kind::FeedbackRevision, &revision)).await, "NOT_FOUND");
}

#[tokio::test]
async fn of_sixty_four_who_use_one_nonce_at_once_one_is_taken() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (owner, client) = (person(1), person(2));
    history.block(registered(7, owner.address)).await;
    let (shared, deadline) = (nonce(), now() + 600);
    let documents: Vec<_> = (0..64)
        .map(|value| json!({ "feedback": world.content(client.address, 7, value), "nonce": shared, "deadline": deadline }))
        .map(|says| world.signs(&client, Kind::Feedback, &says))
        .collect();
    let answers = futures_util::future::join_all(documents.iter().map(|signed| desk.hand_in(signed))).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!(refused.len(), 63);
    assert!(refused.iter().all(|(code, _)| code == "NONCE_REPLAYED"), "{refused:?}");
    // One document, one version, one file.
    assert_eq!(document_rows(&node.database).await, 3);
}

#[tokio::test]
async fn an_answer_that_is_kept_is_worked_out_anew_once_a_document_is_taken() {
    let node = Node::with(|api| api.cache_megabytes = 32).await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let client = person(2);
    history.block(registered(7, person(1).address)).await;
    let query = "{ offchainFeedbacks { value } }";
    for value in 1..=5 {
        // Whoever was told that it is taken finds it, however often they asked before.
        for _ in 0..3 {
            let told = desk.ask(query).await["offchainFeedbacks"].as_array().unwrap().len();
            assert_eq!(told, usize::try_from(value - 1).unwrap());
        }
        desk.hand_in(&world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, value))).await.unwrap();
    }
}

#[tokio::test]
async fn documents_and_blocks_that_come_at_once_are_all_taken() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let client = person(2);
    let born = history.block(registered(7, person(1).address)).await;
    let documents: Vec<_> =
        (0..48).map(|value| world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, value))).collect();
    let handed_in = futures_util::future::join_all(documents.iter().map(|signed| desk.hand_in(signed)));
    let written = async {
        for round in 0..12 {
            history.block(vec![]).await;
            if round % 4 == 3 {
                history.reorg(born + 1, vec![]).await;
            }
        }
    };
    let (answers, ()) = tokio::join!(handed_in, written);
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let data = desk.ask("{ offchainFeedbacks(first: 100, orderBy: value) { value agent { id } } }").await;
    let expected: Vec<Value> = (0..48)
        .map(|value: i64| json!({ "value": value.to_string(), "agent": { "id": format!("{CHAIN}:7") } }))
        .collect();
    assert_eq!(data["offchainFeedbacks"], json!(expected));
    // Every commit has a number of its own: the blocks', the reorganisations' and the documents'.
    let database = connect(node.database.url()).await;
    let seqs = "SELECT count(*) = count(DISTINCT seq) AND max(seq) <= (SELECT max(seq) FROM cursor) FROM change";
    assert!(database.query_one(seqs, &[]).await.unwrap().get::<_, bool>(0));
}
