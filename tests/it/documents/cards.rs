//! Agent cards: published by whoever speaks for the agent.

use meikan::document::Kind;
use meikan::event::{Event, IdentityEvent};
use serde_json::{Value, json};

use super::support::{Desk, by_hand, person, registered};
use crate::graphql::support::{CHAIN, Node, metadata};

#[tokio::test]
async fn the_owner_and_the_wallet_publish_cards_and_every_version_is_kept() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (owner, wallet, next) = (person(1), person(2), person(3));
    let born = history.block(registered(7, owner.address)).await;
    history.block(vec![metadata(7, "agentWallet", wallet.address.as_slice())]).await;

    let first = world.publishes(7, "One");
    let by_owner = world.signs(&owner, Kind::AgentCard, &first);
    let fields = "id version name description cardVersion url card cardHash cid digest signer isAuthorized agent { id } \
                  versions { id }";
    let made = desk.hand_in_for(&by_owner, fields).await.unwrap();
    let agent = format!("{CHAIN}:7");
    for (name, value) in [
        ("id", json!(agent)),
        ("version", json!(1)),
        ("name", json!("One")),
        ("description", json!("It acts.")),
        ("cardVersion", json!("1.2")),
        ("url", json!("https://agent.example/a2a")),
        ("card", json!(meikan::document::canonical(&first["card"]).unwrap())),
        ("digest", json!(by_owner.digest)),
        ("signer", json!(world.account(owner.address))),
        ("isAuthorized", json!(true)),
        ("agent", json!({ "id": agent })),
        ("versions", json!([{ "id": format!("{agent}:1") }])),
    ] {
        assert_eq!(made[name], value, "{name}: {made}");
    }
    let file =
        desk.get(&format!("/files/{}", made["cid"].as_str().unwrap())).send().await.unwrap().text().await.unwrap();
    assert_eq!(json!(file), made["card"]);
    assert_eq!(json!(alloy::primitives::keccak256(&file)), made["cardHash"]);

    let by_wallet = world.signs(&wallet, Kind::AgentCard, &world.publishes(7, "Two"));
    let made = desk.hand_in_for(&by_wallet, "version name versions { version isCurrent name }").await.unwrap();
    let versions = json!([
        { "version": 1, "isCurrent": false, "name": "One" },
        { "version": 2, "isCurrent": true, "name": "Two" },
    ]);
    assert_eq!((&made["version"], &made["versions"]), (&json!(2), &versions));

    // Another owner: the card stays, and says that its signer speaks for the agent no more.
    let sold = history.tip();
    let transfer =
        IdentityEvent::Transfer { from: owner.address, to: next.address, token_id: alloy::primitives::U256::from(7) };
    history.block(vec![metadata(7, "agentWallet", &[]), Event::Identity(transfer)]).await;
    let authorized = async |block: Option<u64>| -> Value {
        let at = block.map_or(String::new(), |block| format!("(block: {{ number: {block} }})"));
        desk.ask(&format!("{{ agentCards{at} {{ version isAuthorized }} }}")).await["agentCards"].take()
    };
    assert_eq!(authorized(None).await, json!([{ "version": 2, "isAuthorized": false }]));
    assert_eq!(authorized(Some(sold)).await, json!([{ "version": 2, "isAuthorized": true }]));
    let late = world.signs(&owner, Kind::AgentCard, &world.publishes(7, "Three"));
    assert_eq!(desk.refusal(&late).await, "FORBIDDEN");
    // A reorganisation takes the sale back, and then the agent.
    history.reorg(sold, vec![]).await;
    assert_eq!(authorized(None).await, json!([{ "version": 2, "isAuthorized": true }]));
    history.reorg(born - 1, vec![]).await;
    assert_eq!(authorized(None).await, json!([{ "version": 2, "isAuthorized": false }]));
    let gone = desk.ask("{ agentCards { id agent { id } } }").await;
    assert_eq!(gone["agentCards"], json!([{ "id": agent, "agent": null }]));
}
