//! Validations by documents: asked for by the agent, answered by the validator, met by the chain.

use alloy::primitives::{B256, U256};
use meikan::document::Kind;
use meikan::event::{Event, Text, ValidationEvent};
use serde_json::json;

use super::support::{Desk, by_hand, now, person, registered, responds};
use crate::graphql::support::{CHAIN, Node};
use crate::support::postgres::connect;

#[tokio::test]
async fn a_validator_answers_a_request_and_the_last_answer_counts() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (owner, validator) = (person(1), person(2));
    history.block(registered(7, owner.address)).await;
    let request = world.signs(&owner, Kind::ValidationRequest, &world.asks(7, validator.address));
    let fields = "id digest agentId validator dataHash dataURI expiresAt status answers response responseURI tag \
                  respondedAt isAuthorized anchored signer agent { id } anchor { id } responses { id }";
    let made = desk.hand_in_for(&request, fields).await.unwrap();
    for (name, value) in [
        ("id", json!(world.id(&request))),
        ("agentId", json!("7")),
        ("validator", json!(validator.address)),
        ("dataHash", json!(B256::repeat_byte(0xda))),
        ("dataURI", json!("ipfs://data")),
        ("status", json!("PENDING")),
        ("answers", json!(0)),
        ("response", json!(null)),
        ("respondedAt", json!(null)),
        ("isAuthorized", json!(true)),
        ("anchored", json!(false)),
        ("anchor", json!(null)),
        ("signer", json!(world.account(owner.address))),
        ("agent", json!({ "id": format!("{CHAIN}:7") })),
        ("responses", json!([])),
    ] {
        assert_eq!(made[name], value, "{name}: {made}");
    }
    for (ordinal, response) in [(1, 0), (2, 90)] {
        let answer = world.signs(&validator, Kind::ValidationResponse, &responds(request.digest, response));
        let fields = "id status answers response responseURI responseHash tag responses { ordinal response signer }";
        let made = desk.hand_in_for(&answer, fields).await.unwrap();
        assert_eq!(made["id"], json!(world.id(&request)));
        assert_eq!(
            (&made["status"], &made["answers"], &made["response"]),
            (&json!("COMPLETED"), &json!(ordinal), &json!(response))
        );
        assert_eq!((&made["tag"], &made["responseURI"]), (&json!("hard"), &json!("ipfs://answer")));
        let last = &made["responses"][ordinal - 1];
        let signer = world.account(validator.address);
        assert_eq!(*last, json!({ "ordinal": ordinal, "response": response, "signer": signer }));
    }
    // Beside it one that nobody answers in time.
    let other = world.signs(&owner, Kind::ValidationRequest, &world.asks(7, validator.address));
    desk.hand_in(&other).await.unwrap();
    let listed = async |status: &str| {
        let query = format!("{{ offchainValidations(where: {{ status: {status} }}) {{ id }} }}");
        desk.ask(&query).await["offchainValidations"].take()
    };
    assert_eq!(listed("PENDING").await, json!([{ "id": world.id(&other) }]));
    let client = connect(node.database.url()).await;
    let past = format!("UPDATE offchain_validation SET expires_at = {}", now() - 1);
    client.batch_execute(&past).await.unwrap();
    assert_eq!(listed("PENDING").await, json!([]));
    assert_eq!(listed("EXPIRED").await, json!([{ "id": world.id(&other) }]));
    assert_eq!(listed("COMPLETED").await, json!([{ "id": world.id(&request) }]));
    let late = world.signs(&validator, Kind::ValidationResponse, &responds(other.digest, 1));
    assert_eq!(desk.refusal(&late).await, "EXPIRED");
}

#[tokio::test]
async fn a_request_is_linked_to_the_chain_s_own_by_its_hash() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (owner, validator) = (person(1), person(2));
    let born = history.block(registered(7, owner.address)).await;
    let request = world.signs(&owner, Kind::ValidationRequest, &world.asks(7, validator.address));
    desk.hand_in(&request).await.unwrap();
    let on_chain = |validator_address| {
        Event::Validation(ValidationEvent::ValidationRequest {
            validator_address,
            agent_id: U256::from(7),
            request_uri: Text::from("ipfs://data"),
            request_hash: B256::repeat_byte(0xda),
        })
    };
    let anchored = async || {
        let data = desk.ask("{ offchainValidations { anchored anchor { id } } }").await;
        data["offchainValidations"][0].clone()
    };
    history.block(vec![on_chain(person(3).address)]).await;
    assert_eq!(anchored().await, json!({ "anchored": false, "anchor": null }));
    history.reorg(born, vec![on_chain(validator.address)]).await;
    let hash = B256::repeat_byte(0xda);
    assert_eq!(anchored().await, json!({ "anchored": true, "anchor": { "id": hash } }));
    history.reorg(born, vec![]).await;
    assert_eq!(anchored().await, json!({ "anchored": false, "anchor": null }));
}
