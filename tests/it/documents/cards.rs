//! Agent cards: published by whoever speaks for the agent.

use meikan::document::Kind;
use meikan::event::{Event, IdentityEvent};
use serde_json::{Value, json};

use super::support::{Desk, by_hand, person, registered};
use crate::graphql::support::{CHAIN, Node, metadata};

#[tokio::test]
async fn the_card_of_the_served_agent_is_where_others_look_for_it() {
    let node = Node::with(|api| {
        api.served_agent = format!("{CHAIN}:7");
        api.public_url = "https://node.example".into();
    });
    let node = node.await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let owner = person(1);
    history.block(registered(7, owner.address)).await;
    let get = || desk.get("/.well-known/agent-card.json");
    assert_eq!(get().send().await.unwrap().status(), 404);
    let says = world.publishes(7, "One");
    desk.hand_in(&world.signs(&owner, Kind::AgentCard, &says)).await.unwrap();
    let response = get().send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "public, max-age=300, must-revalidate");
    assert_eq!(response.headers()["content-type"], "application/json");
    let tag = response.headers()["etag"].clone();
    let served: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let mut expected = says["card"].clone();
    expected["registrations"] = json!([{ "agentId": 7, "agentRegistry": world.account(world.registry) }]);
    for name in ["feedbackDataURI", "validationRequestsURI", "validationResponsesURI"] {
        expected[name] = json!(format!("https://node.example/graphql/{CHAIN}"));
    }
    assert_eq!(served, expected);
    assert_eq!(get().header("if-none-match", &tag).send().await.unwrap().status(), 304);
    desk.hand_in(&world.signs(&owner, Kind::AgentCard, &world.publishes(7, "Two"))).await.unwrap();
    let response = get().header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.text().await.unwrap().contains("\"Two\""));
    // Sold: what the owner before said is served no more.
    let token_id = alloy::primitives::U256::from(7);
    let sold = IdentityEvent::Transfer { from: owner.address, to: person(3).address, token_id };
    history.block(vec![metadata(7, "agentWallet", &[]), Event::Identity(sold)]).await;
    assert_eq!(get().send().await.unwrap().status(), 404);
}

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
