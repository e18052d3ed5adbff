//! Manifests, the flips between them, and the paths of requests.

use alloy::primitives::{Address, B256, U256};
use meikan::document::Kind;
use meikan::event::{Event, IdentityEvent};
use serde_json::{Value, json};

use super::support::{Desk, Person, Signed, World, by_hand, document_rows, now, person, registered};
use crate::graphql::support::{CHAIN, History, Node, metadata};
use crate::support::postgres::connect;

/// Moves everything that was handed in so many seconds into the past.
async fn age(node: &Node, seconds: u64) {
    let client = connect(node.database.url()).await;
    client.batch_execute(&format!("UPDATE endpoint_manifest SET received_at = received_at - {seconds}")).await.unwrap();
}

#[tokio::test]
async fn a_manifest_takes_the_place_of_the_one_before_and_what_changes_is_a_flip() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let owner = person(1);
    history.block(registered(7, owner.address)).await;
    let publish = async |nonce: u64, endpoint: &str, pubkey: &str| {
        let signed = world.signs(&owner, Kind::Manifest, &world.moves(7, nonce, endpoint, pubkey));
        desk.hand_in_for(&signed, "id hash status isCurrent agentId endpointUri pubkey isAuthorized nonce signer")
            .await
            .unwrap()
    };
    let first = publish(1, "https://a.example", "k1").await;
    assert_eq!(first["status"], "ACTIVE");
    assert_eq!((&first["agentId"], &first["nonce"]), (&json!("7"), &json!("1")));
    let flips = "{ manifestFlips(where: { source: SIGNED }) { id source endpoint previousEndpoint pubkey previousPubkey \
                 endpointChanged pubkeyChanged ownerChanged suspicionScore suspicious rapid logIndex transactionHash digest \
                 agent { id } } agentFlipMetrics_collection(where: { source: SIGNED }) { id totalFlips rapidFlips \
                 endpointChanges highSuspicionFlips averageSuspicionScore lastFlip { digest } } \
                 flipChurns(interval: hour, current: include, where: { source: SIGNED }) { flips suspiciousFlips } }";
    assert_eq!(desk.ask(flips).await["manifestFlips"], json!([]));
    // At once, another endpoint and another key: as suspicious as can be.
    let second = publish(5, "https://b.example", "k2").await;
    age(&node, 100).await;
    // A renewal much later is kept, and never alerts.
    publish(6, "https://b.example", "k2").await;
    age(&node, 59).await;
    publish(7, "https://b.example", "k3").await;
    let data = desk.ask(flips).await;
    let told = data["manifestFlips"].as_array().unwrap();
    let scores: Vec<&Value> = told.iter().map(|flip| &flip["suspicionScore"]).collect();
    let haste = told.iter().map(|flip| flip["rapid"].as_bool().unwrap());
    // The clock may have moved by a second between two of them.
    assert!(haste.clone().eq([true, false, true]) || haste.clone().eq([true, false, false]), "{data}");
    let last = if told[2]["rapid"] == json!(true) { 50 } else { 30 };
    assert_eq!(scores, [&json!(100), &json!(0), &json!(last)], "{data}");
    let flip = &told[0];
    for (name, value) in [
        ("source", json!("SIGNED")),
        ("endpoint", json!("https://b.example")),
        ("previousEndpoint", json!("https://a.example")),
        ("pubkey", json!("k2")),
        ("previousPubkey", json!("k1")),
        ("endpointChanged", json!(true)),
        ("pubkeyChanged", json!(true)),
        ("ownerChanged", json!(false)),
        ("suspicious", json!(true)),
        ("logIndex", json!(null)),
        ("transactionHash", json!(null)),
        ("digest", second["hash"].clone()),
        ("agent", json!({ "id": format!("{CHAIN}:7") })),
    ] {
        assert_eq!(flip[name], value, "{name}: {flip}");
    }
    assert_eq!(told[1]["previousEndpoint"], json!(null));
    let metrics = &data["agentFlipMetrics_collection"][0];
    assert_eq!(metrics["id"], json!(format!("{CHAIN}:7:SIGNED")));
    assert_eq!((&metrics["totalFlips"], &metrics["endpointChanges"]), (&json!("3"), &json!("1")));
    assert_eq!((&metrics["highSuspicionFlips"], &metrics["lastFlip"]["digest"]), (&json!("1"), &told[2]["digest"]));
    assert_eq!(data["flipChurns"], json!([{ "flips": "3", "suspiciousFlips": "1" }]));
    let id = flip["id"].as_str().unwrap();
    let query = format!(
        "{{ manifestFlip(id: \"{id}\") {{ digest }} agentFlipMetrics(id: \"{CHAIN}:7:SIGNED\") {{ totalFlips }} }}"
    );
    let one = desk.ask(&query).await;
    assert_eq!(one, json!({ "manifestFlip": { "digest": flip["digest"] }, "agentFlipMetrics": { "totalFlips": "3" } }));
    // What is on the chain is counted apart: the agent has not moved there.
    assert_eq!(desk.ask("{ manifestFlips(where: { source: ONCHAIN }) { id } }").await["manifestFlips"], json!([]));

    // Analysts find them in the view of those on the chain.
    let client = connect(node.database.url()).await;
    let select = "SELECT source, digest, score::integer, wallet FROM analytics.manifest_flips ORDER BY flips";
    let rows = client.query(select, &[]).await.unwrap();
    assert_eq!(rows.len(), 3);
    let row =
        (rows[0].get::<_, &str>(0), rows[0].get::<_, &str>(1), rows[0].get::<_, i32>(2), rows[0].get::<_, &str>(3));
    assert_eq!(row, ("SIGNED", second["hash"].as_str().unwrap(), 100, "k2"));

    let states = desk.ask("{ endpointManifests(orderBy: nonce) { nonce status isCurrent } }").await;
    let state =
        |nonce: &str, status: &str| json!({ "nonce": nonce, "status": status, "isCurrent": status == "ACTIVE" });
    let expected = [("1", "SUPERSEDED"), ("5", "SUPERSEDED"), ("6", "SUPERSEDED"), ("7", "ACTIVE")];
    assert_eq!(states["endpointManifests"], json!(expected.map(|(nonce, status)| state(nonce, status))));
}

#[tokio::test]
async fn a_manifest_that_is_revoked_is_in_force_no_more() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let owner = person(1);
    history.block(registered(7, owner.address)).await;
    let manifest = world.signs(&owner, Kind::Manifest, &world.moves(7, 1, "https://a.example", "k"));
    desk.hand_in(&manifest).await.unwrap();
    let revocation = world.signs(&owner, Kind::ManifestRevocation, &world.stops(7, manifest.digest));
    let made = desk.hand_in_for(&revocation, "id status revokedAt").await.unwrap();
    assert_eq!((&made["id"], &made["status"]), (&json!(world.id(&manifest)), &json!("REVOKED")));
    assert!(made["revokedAt"].as_str().unwrap().parse::<u64>().unwrap() + 600 > now());
}

/// Agents 1 to 13, all of one owner, each with a manifest.
async fn agents(node: &Node, world: &World, desk: &Desk, owner: &Person) -> (History, Vec<Signed>) {
    let mut history = node.history(CHAIN).await;
    let events = (1..=13).flat_map(|agent| registered(agent, owner.address)).collect();
    history.block(events).await;
    let mut manifests = Vec::new();
    for agent in 1..=13 {
        let says = world.moves(agent, agent, &format!("https://{agent}.example"), "k");
        let manifest = world.signs(owner, Kind::Manifest, &says);
        desk.hand_in(&manifest).await.unwrap();
        manifests.push(manifest);
    }
    (history, manifests)
}

#[tokio::test]
async fn receipts_make_a_path_and_none_leads_back() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let owner = person(1);
    let (mut history, manifests) = agents(&node, &world, &desk, &owner).await;
    let root = B256::repeat_byte(0xaa);
    let receipt = |root: B256, hop: u8, from: u64, to: u64| {
        let manifest = manifests[usize::try_from(to).unwrap() - 1].digest;
        world.signs(&owner, Kind::ForwardReceipt, &world.forwards(root, hop, from, to, manifest))
    };
    // An innocent agent before the circle, and ten hops in all.
    for hop in 0..=10_u8 {
        let from = u64::from(hop) + 1;
        desk.hand_in(&receipt(root, hop, from, from + 1)).await.unwrap();
    }
    let query = format!(
        "{{ forwardReceipts(where: {{ rootTxHash: \"{root}\" }}, orderBy: hop) {{ hop sourceAgentId destinationAgentId \
             source {{ agentId: id }} manifest {{ endpointUri }} previous {{ hop }} }} }}"
    );
    let path = desk.ask(&query).await;
    let path = path["forwardReceipts"].as_array().unwrap();
    assert_eq!(path.len(), 11);
    let expected = json!({ "hop": 2, "sourceAgentId": "3", "destinationAgentId": "4",
        "source": { "agentId": format!("{CHAIN}:3") }, "manifest": { "endpointUri": "https://4.example" },
        "previous": { "hop": 1 } });
    assert_eq!(path[2], expected);
    assert_eq!(path[0]["previous"], json!(null));

    let rows = document_rows(&node.database).await;
    // Agent 4 passes it to agent 2, which had it: 2 → 3 → 4. Agent 1 is not of the circle.
    let query = "mutation($document: String!, $signer: String!, $signature: Bytes!) { \
                 recordForward(document: $document, signer: $signer, signature: $signature) { id } }";
    let Signed { document, signer, signature, .. } = receipt(root, 3, 4, 2);
    let answer = desk.answer(query, json!({ "document": document, "signer": signer, "signature": signature })).await;
    let extensions = &answer["errors"][0]["extensions"];
    let agents: Vec<String> = [2, 3, 4].map(|agent| format!("{CHAIN}:{agent}")).to_vec();
    assert_eq!((&extensions["code"], &extensions["depth"]), (&json!("CIRCULAR_DEPENDENCY"), &json!(3)), "{answer}");
    assert_eq!(extensions["agents"], json!(agents));
    // To oneself, at the first hop and later.
    let other = B256::repeat_byte(0xbb);
    assert_eq!(desk.refusal(&receipt(other, 0, 5, 5)).await, "CIRCULAR_DEPENDENCY");
    assert_eq!(desk.refusal(&receipt(root, 4, 5, 5)).await, "CIRCULAR_DEPENDENCY");
    // Another transaction's path is another path.
    desk.hand_in(&receipt(other, 0, 4, 2)).await.unwrap();
    assert_eq!(document_rows(&node.database).await, rows + 2);
    assert_eq!(desk.refusal(&receipt(other, 2, 2, 3)).await, "NOT_FOUND");
    assert_eq!(desk.refusal(&receipt(other, 1, 3, 5)).await, "NOT_FOUND");
    assert_eq!(desk.refusal(&receipt(other, 0, 4, 2)).await, "CONFLICT");

    let verify = async |arguments: &str| {
        let query = format!("{{ verifyForward({arguments}) {{ outcome agents depth }} }}");
        desk.ask(&query).await["verifyForward"].take()
    };
    let check = |outcome: &str, agents: &[u64]| {
        let ids: Vec<String> = agents.iter().map(|agent| format!("{CHAIN}:{agent}")).collect();
        json!({ "outcome": outcome, "agents": ids, "depth": ids.len() })
    };
    let of = |agent: usize| format!("manifestHash: \"{}\"", manifests[agent - 1].digest);
    let on = |root: B256, source: u64| format!("rootTxHash: \"{root}\", source: \"{CHAIN}:{source}\"");
    let ahead = now() + 7_200;
    for (arguments, expected) in [
        (format!("manifestHash: \"{root}\""), check("MANIFEST_NOT_FOUND", &[])),
        (format!("{}, at: \"{ahead}\"", of(2)), check("MANIFEST_EXPIRED", &[])),
        (of(2), check("OK", &[])),
        (format!("{}, {}", of(2), on(root, 4)), check("CYCLE_DETECTED", &[2, 3, 4])),
        (format!("{}, {}", of(1), on(root, 4)), check("CYCLE_DETECTED", &[1, 2, 3, 4])),
        (format!("{}, {}", of(13), on(root, 4)), check("OK", &[])),
        (format!("{}, {}", of(4), on(other, 2)), check("CYCLE_DETECTED", &[4, 2])),
        (format!("{}, source: \"{CHAIN}:2\"", of(2)), check("CYCLE_DETECTED", &[2])),
        (format!("{}, {}", of(5), on(other, 2)), check("OK", &[])),
    ] {
        assert_eq!(verify(&arguments).await, expected, "{arguments}");
    }
    // Sold since: whoever signed the manifest speaks for the agent no more; and gone.
    let sold = Event::Identity(IdentityEvent::Transfer {
        from: owner.address,
        to: person(9).address,
        token_id: U256::from(2),
    });
    history.block(vec![metadata(2, "agentWallet", &[]), sold]).await;
    assert_eq!(verify(&of(2)).await, check("INVALID_SIGNATURE", &[]));
    let burnt = Event::Identity(IdentityEvent::Transfer {
        from: person(9).address,
        to: Address::ZERO,
        token_id: U256::from(2),
    });
    history.block(vec![burnt]).await;
    assert_eq!(verify(&of(2)).await, check("AGENT_NOT_FOUND", &[]));
    let answer = desk.answer("{ verifyForward(manifestHash: \"0x12\") { outcome } }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_INPUT", "{answer}");
}

#[tokio::test]
async fn a_circle_is_reported_by_the_receipt_that_closes_it_and_its_agents_are_untrusted() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let (owner, reporter) = (person(1), person(2));
    let (_history, manifests) = agents(&node, &world, &desk, &owner).await;
    let root = B256::repeat_byte(0xaa);
    let receipt = |by: &Person, hop: u8, from: u64, to: u64| {
        let manifest = manifests[usize::try_from(to).unwrap() - 1].digest;
        world.signs(by, Kind::ForwardReceipt, &world.forwards(root, hop, from, to, manifest))
    };
    for hop in 0..4_u8 {
        desk.hand_in(&receipt(&owner, hop, u64::from(hop) + 1, u64::from(hop) + 2)).await.unwrap();
    }
    // 1 → 2 → 3 → 4 → 5, and from 4 back to 2.
    let closing = receipt(&owner, 3, 4, 2);
    assert_eq!(desk.refusal(&closing).await, "CIRCULAR_DEPENDENCY");
    let rows = document_rows(&node.database).await;
    let report =
        |agents: &[u64], closing: &Signed| world.signs(&reporter, Kind::CycleReport, &world.reports(agents, closing));
    // A report whose receipt is somebody else's, says another circle, or closes none.
    let by_stranger = receipt(&person(3), 3, 4, 2);
    for (name, report, code) in [
        ("the receipt of a stranger", report(&[2, 3, 4], &by_stranger), "FORBIDDEN"),
        ("an innocent agent in the circle", report(&[2, 13, 4], &closing), "CONFLICT"),
        ("an agent that is left out", report(&[2, 4], &closing), "CONFLICT"),
        ("a receipt that closes nothing", report(&[6, 5], &receipt(&owner, 4, 5, 6)), "NOT_FOUND"),
        ("a receipt of a hop that nobody passed on", report(&[2, 5], &receipt(&owner, 5, 5, 2)), "NOT_FOUND"),
        (
            "a receipt of nobody",
            report(&[99, 4], &{
                let says = world.forwards(root, 3, 4, 99, root);
                world.signs(&owner, Kind::ForwardReceipt, &says)
            }),
            "NOT_FOUND",
        ),
    ] {
        assert_eq!(desk.refusal(&report).await, code, "{name}");
    }
    assert_eq!(document_rows(&node.database).await, rows);
    let levels = async || {
        let ids = [1, 2, 3, 4, 5].map(|agent| format!("\"{CHAIN}:{agent}\""));
        let query =
            format!("{{ agentReputations(where: {{ id_in: [{}] }}) {{ trustLevel trustReason }} }}", ids.join(", "));
        desk.ask(&query).await["agentReputations"].take()
    };
    assert!(levels().await.as_array().unwrap().iter().all(|told| told["trustLevel"] == "NEW"));

    let signed = report(&[2, 3, 4], &closing);
    let fields = "id hash rootTxHash depth agents hop receipt receiptSigner receiptSignature signer";
    let made = desk.hand_in_for(&signed, fields).await.unwrap();
    let ids = [2, 3, 4].map(|agent| format!("{CHAIN}:{agent}"));
    for (name, value) in [
        ("id", json!(world.id(&signed))),
        ("rootTxHash", json!(root)),
        ("depth", json!(3)),
        ("agents", json!(ids)),
        ("hop", json!(3)),
        ("receiptSigner", json!(world.account(owner.address))),
        ("receiptSignature", json!(closing.signature)),
        ("signer", json!(world.account(reporter.address))),
    ] {
        assert_eq!(made[name], value, "{name}: {made}");
    }
    let kept: Value = serde_json::from_str(made["receipt"].as_str().unwrap()).unwrap();
    assert_eq!(kept, serde_json::from_str::<Value>(&closing.document).unwrap());
    let told = levels().await;
    let told: Vec<&str> = told.as_array().unwrap().iter().map(|told| told["trustLevel"].as_str().unwrap()).collect();
    assert_eq!(told, ["NEW", "UNTRUSTED", "UNTRUSTED", "UNTRUSTED", "NEW"]);
    // The same circle, by somebody else or with another nonce, is one circle.
    let again = world.signs(&owner, Kind::CycleReport, &world.reports(&[2, 3, 4], &closing));
    assert_eq!(desk.refusal(&again).await, "CONFLICT");
    assert_eq!(desk.hand_in(&signed).await.unwrap()["depth"], 3, "the same report again is answered as before");
}
