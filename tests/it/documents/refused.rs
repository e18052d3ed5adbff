//! What is refused: each case with its code, and no row left.

use alloy::primitives::{Address, B256, U256, hex};
use meikan::demo::abi::Identity;
use meikan::document::{AnyDocument, Kind, canonical};
use serde_json::{Value, json};

use super::money::{enrich, pay};
use super::support::{Desk, Person, Signed, World, document_rows, now, person, responds, revokes};
use crate::end_to_end::stage::Stage;
use crate::support::node::Node;
use crate::support::postgres::connect;

/// The order of secp256k1.
const ORDER: U256 = U256::from_be_bytes(hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));

/// A case: what it is called, what is handed in, and the code that refuses it.
type Case = (String, Signed, &'static str);

/// Somebody who may say it, somebody who may not, and what was said before.
struct Scene {
    world: World,
    owner: Person,
    operator: Person,
    client: Person,
    other: Person,
    /// Feedback of the client that stands, of another one, and of the client that was revoked.
    given: Signed,
    of_other: Signed,
    revoked: Signed,
    /// A request to the client that waits for an answer.
    asked: Signed,
    /// A manifest of the owner's agent that is in force, and one that was revoked.
    manifest: Signed,
    over: Signed,
    /// What the client paid the wallet of agent 5, of the chain's own coin.
    paid: B256,
}

impl Scene {
    /// The case of a document that is signed well.
    fn case(&self, name: &str, by: &Person, kind: Kind, says: &Value, code: &'static str) -> Case {
        (name.to_owned(), self.world.signs(by, kind, says), code)
    }

    /// The case of a document whose text is not even one, with some signature.
    fn unreadable(&self, name: &str, kind: Kind, by: &Person, document: String) -> Case {
        let hash = B256::repeat_byte(1);
        let (signer, signature) = (self.world.account(by.address), hex::encode_prefixed(by.sign_hash(hash)));
        (name.to_owned(), Signed { kind, document, signer, signature, digest: hash, hash }, "BAD_INPUT")
    }
}

/// A document with each of its members altered behind the signer's back, one at a time.
fn altered(world: &World, kind: Kind, by: &Person, says: &Value) -> Vec<Case> {
    let signed = world.signs(by, kind, says);
    let document: Value = serde_json::from_str(&signed.document).unwrap();
    let mut cases = Vec::new();
    for pointer in leaves(&document, "") {
        let mut other = document.clone();
        let leaf = other.pointer_mut(&pointer).unwrap();
        *leaf = another(&pointer, leaf);
        let altered = Signed { document: canonical(&other).unwrap(), ..signed.clone() };
        // Members that must go together are refused before anybody looks at the signature.
        let is_one = AnyDocument::read(kind, &altered.document).is_ok();
        let code = if is_one { "INVALID_SIGNATURE" } else { "BAD_INPUT" };
        cases.push((format!("{} with another {pointer}", kind.name()), altered, code));
    }
    cases
}

fn leaves(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(members) => {
            members.iter().flat_map(|(name, value)| leaves(value, &format!("{path}/{name}"))).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(place, value)| leaves(value, &format!("{path}/{place}"))).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// Another value that its member may have.
fn another(pointer: &str, value: &Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    match value {
        Value::Number(number) => json!(number.as_i64().unwrap() + 1),
        _ if text.starts_with("0x") || text.starts_with("eip155:") => {
            let (rest, last) = text.split_at(text.len() - 1);
            json!(format!("{rest}{}", if last == "1" { "2" } else { "1" }))
        }
        _ if pointer.ends_with("/createdAt") => json!("2026-01-31T12:00:01Z"),
        _ => json!(format!("{text}.")),
    }
}

/// The other form of a signature.
fn malleated(signed: &Signed) -> Signed {
    let bytes = hex::decode(&signed.signature).unwrap();
    let s = ORDER - U256::from_be_slice(&bytes[32..64]);
    let turned = [&bytes[..32], &s.to_be_bytes::<32>(), &[27 + 28 - bytes[64]]].concat();
    Signed { signature: hex::encode_prefixed(turned), ..signed.clone() }
}

/// What is wrong with a signature, a signer, a nonce or a time, whatever the kind.
fn of_any_kind(scene: &Scene, kind: Kind, by: &Person, says: &dyn Fn() -> Value) -> Vec<Case> {
    let name = |what: &str| format!("{}: {what}", kind.name());
    let signed = scene.world.signs(by, kind, &says());
    let with = |signature: String| Signed { signature, ..signed.clone() };
    let by_signer = |signer: String| Signed { signer, ..signed.clone() };
    let bytes = hex::decode(&signed.signature).unwrap();
    let cut = |length: usize| hex::encode_prefixed(&bytes[..length]);
    let v = |v: u8| hex::encode_prefixed([&bytes[..64], &[v]].concat());
    let names_chain = !matches!(kind, Kind::FeedbackRevocation | Kind::ValidationResponse);
    let elsewhere = signed.signer.replace(&scene.world.chain_id.to_string(), "1");
    let mut cases = vec![
        (name("malleated"), malleated(&signed), "INVALID_SIGNATURE"),
        (name("zeros"), with(format!("0x{}", "00".repeat(65))), "INVALID_SIGNATURE"),
        (name("a signature cut short"), with(cut(64)), "INVALID_SIGNATURE"),
        (name("a signature too long"), with(format!("{}00", signed.signature)), "INVALID_SIGNATURE"),
        (name("v of 2"), with(v(2)), "INVALID_SIGNATURE"),
        (name("v of 29"), with(v(29)), "INVALID_SIGNATURE"),
        (name("no signature"), with("0x".into()), "INVALID_SIGNATURE"),
        (name("a signature that is no hex"), with("0xzz".into()), "BAD_INPUT"),
        (name("a signature without 0x"), with(signed.signature[2..].into()), "BAD_INPUT"),
        (name("a signature beyond all bounds"), with(format!("0x{}", "00".repeat(33_000))), "BAD_INPUT"),
        (name("in another's name"), by_signer(scene.world.account(scene.other.address)), "INVALID_SIGNATURE"),
        (name("of another chain"), by_signer(elsewhere), if names_chain { "BAD_INPUT" } else { "NOT_FOUND" }),
        (name("a signer without a chain"), by_signer(format!("{:#x}", by.address)), "BAD_INPUT"),
        (name("a signer with NUL"), by_signer(format!("{}\0", signed.signer)), "BAD_INPUT"),
        scene.unreadable(&name("no JSON"), kind, by, "{".into()),
        scene.unreadable(&name("a list"), kind, by, "[]".into()),
        scene.unreadable(&name("nothing"), kind, by, String::new()),
        scene.unreadable(&name("NUL"), kind, by, signed.document.replacen('{', "{\"\\u0000\":1,", 1)),
        scene.unreadable(&name("a member twice"), kind, by, signed.document.replacen('{', "{\"nonce\":1,", 1)),
        scene.unreadable(&name("one member more"), kind, by, signed.document.replacen('{', "{\"extra\":1,", 1)),
        scene.unreadable(&name("too many digits"), kind, by, {
            let mut says = says();
            says["nonce"] = json!("1".repeat(79));
            says.to_string()
        }),
    ];
    if says().get("deadline").is_some() {
        for (what, deadline) in [("expired", now() - 400), ("too far ahead", now() + 4_000), ("of 1970", 1)] {
            let mut says = says();
            says["deadline"] = json!(deadline);
            cases.push(scene.case(&name(what), by, kind, &says, "EXPIRED"));
        }
    }
    cases.extend(altered(&scene.world, kind, by, &says()));
    cases
}

fn of_feedback(scene: &Scene) -> Vec<Case> {
    let Scene { world, owner, operator, client, other, .. } = scene;
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut says = world.gives(client.address, 7, 87);
        change(&mut says);
        says
    };
    let used: Value = serde_json::from_str(&scene.given.document).unwrap();
    let mut cases = of_any_kind(scene, Kind::Feedback, client, &|| {
        let mut says = world.gives(client.address, 7, 87);
        says["feedback"]["tag2"] = json!("day");
        says["feedback"]["endpoint"] = json!("https://agent.example");
        says["feedback"]["text"] = json!("Well.");
        says["feedback"]["mcp"] = json!({ "tool": "a", "prompt": "b", "resource": "c" });
        says["feedback"]["a2a"] = json!({ "skills": ["a", "b"], "contextId": "c", "taskId": "d" });
        says["feedback"]["oasf"] = json!({ "skills": ["a"], "domains": ["b"] });
        says["feedback"]["proofOfPayment"] =
            json!({ "fromAddress": "a", "toAddress": "b", "chainId": "c", "txHash": "d" });
        says
    });
    cases.extend([
        scene.case("feedback by the owner", owner, Kind::Feedback, &world.gives(owner.address, 7, 87), "FORBIDDEN"),
        scene.case(
            "feedback by an operator",
            operator,
            Kind::Feedback,
            &world.gives(operator.address, 6, 87),
            "FORBIDDEN",
        ),
        scene.case(
            "feedback as another client",
            other,
            Kind::Feedback,
            &world.gives(client.address, 7, 87),
            "FORBIDDEN",
        ),
        scene.case("feedback about nobody", client, Kind::Feedback, &world.gives(client.address, 99, 87), "NOT_FOUND"),
        scene.case(
            "feedback about an agent of no registry",
            client,
            Kind::Feedback,
            &changed(&|says| says["feedback"]["agentRegistry"] = json!(world.account(Address::repeat_byte(0x12)))),
            "NOT_FOUND",
        ),
        scene.case(
            "a nonce with other content",
            client,
            Kind::Feedback,
            &changed(&|says| {
                says["nonce"] = used["nonce"].clone();
                says["feedback"]["value"] = json!(88);
            }),
            "NONCE_REPLAYED",
        ),
    ]);
    for (name, member, value) in [
        ("a value beyond 1e38", "value", json!("100000000000000000000000000000000000001")),
        ("a fraction", "value", json!(0.5)),
        ("nineteen decimals", "valueDecimals", json!(19)),
        ("a time that is none", "createdAt", json!("now")),
        ("a tag too long", "tag1", json!("x".repeat(257))),
        ("a text too long", "text", json!("x".repeat(32_769))),
        ("an agent below zero", "agentId", json!(-1)),
    ] {
        let says = changed(&|says| says["feedback"][member] = value.clone());
        cases.push(scene.unreadable(&format!("feedback with {name}"), Kind::Feedback, client, says.to_string()));
    }
    cases
}

fn of_revisions(scene: &Scene) -> Vec<Case> {
    let Scene { world, client, other, .. } = scene;
    let revises = |original: B256, by: &Person, agent_id: u64| world.revises(original, by.address, agent_id, 1);
    let (revision, revocation) = (Kind::FeedbackRevision, Kind::FeedbackRevocation);
    let (given, of_other, revoked) = (scene.given.digest, scene.of_other.digest, scene.revoked.digest);
    let nobody = B256::repeat_byte(5);
    let mut cases = vec![
        scene.case("a revision of nothing", client, revision, &revises(nobody, client, 7), "NOT_FOUND"),
        scene.case("a revision of another's", client, revision, &revises(of_other, client, 7), "FORBIDDEN"),
        scene.case("a revision as another", other, revision, &revises(given, client, 7), "FORBIDDEN"),
        scene.case("a revision by another", other, revision, &revises(given, other, 7), "FORBIDDEN"),
        scene.case("a revision of what was revoked", client, revision, &revises(revoked, client, 7), "CONFLICT"),
        scene.case("a revision about another agent", client, revision, &revises(given, client, 5), "CONFLICT"),
        scene.case("a revision about nobody", client, revision, &revises(given, client, 99), "NOT_FOUND"),
        scene.case("a revocation of nothing", client, revocation, &revokes(nobody), "NOT_FOUND"),
        scene.case("a revocation of another's", client, revocation, &revokes(of_other), "FORBIDDEN"),
        scene.case("a revocation by another", other, revocation, &revokes(given), "FORBIDDEN"),
        scene.case("a second revocation", client, revocation, &revokes(revoked), "CONFLICT"),
    ];
    cases.extend(of_any_kind(scene, revision, client, &|| revises(given, client, 7)));
    cases.extend(of_any_kind(scene, revocation, client, &|| revokes(given)));
    cases
}

fn of_cards(scene: &Scene) -> Vec<Case> {
    let Scene { world, owner, operator, client, .. } = scene;
    let publishes = |change: &dyn Fn(&mut Value)| {
        let mut says = world.publishes(7, "Agent");
        change(&mut says);
        says
    };
    let kind = Kind::AgentCard;
    let mut cases = of_any_kind(scene, kind, owner, &|| publishes(&|_| {}));
    cases.extend([
        scene.case("a card by a stranger", client, kind, &publishes(&|_| {}), "FORBIDDEN"),
        scene.case(
            "a card by an operator",
            operator,
            kind,
            &publishes(&|says| says["agentId"] = json!(6)),
            "FORBIDDEN",
        ),
        scene.case("another's card", owner, kind, &publishes(&|says| says["agentId"] = json!(5)), "FORBIDDEN"),
        scene.case("a card of nobody", owner, kind, &publishes(&|says| says["agentId"] = json!(99)), "NOT_FOUND"),
    ]);
    for member in [
        "name",
        "description",
        "version",
        "supportedInterfaces",
        "capabilities",
        "defaultInputModes",
        "defaultOutputModes",
        "skills",
    ] {
        let says = publishes(&|says| says["card"][member] = Value::Null);
        cases.push(scene.unreadable(&format!("a card without {member}"), kind, owner, says.to_string()));
    }
    for (name, url) in
        [("no", ""), ("a relative", "/a2a"), ("a script for a", "javascript:alert(1)"), ("a file for a", "file:///a")]
    {
        let says = publishes(&|says| says["card"]["supportedInterfaces"][0]["url"] = json!(url));
        cases.push(scene.unreadable(&format!("a card with {name} URL"), kind, owner, says.to_string()));
    }
    cases
}

fn of_validations(scene: &Scene) -> Vec<Case> {
    let Scene { world, owner, client, other, asked, .. } = scene;
    let (request, response) = (Kind::ValidationRequest, Kind::ValidationResponse);
    let asks = |change: &dyn Fn(&mut Value)| {
        let mut says = world.asks(7, client.address);
        change(&mut says);
        says
    };
    let mut cases = of_any_kind(scene, request, owner, &|| asks(&|_| {}));
    cases.extend(of_any_kind(scene, response, client, &|| responds(asked.digest, 50)));
    let month = 2_592_000;
    cases.extend([
        scene.case("a request by a stranger", other, request, &asks(&|_| {}), "FORBIDDEN"),
        scene.case("a request to oneself", owner, request, &world.asks(7, owner.address), "FORBIDDEN"),
        scene.case("a request of nobody", owner, request, &world.asks(99, client.address), "NOT_FOUND"),
        scene.case(
            "a request that is over",
            owner,
            request,
            &asks(&|says| says["expiresAt"] = json!(now() - 1)),
            "EXPIRED",
        ),
        scene.case(
            "a request beyond a month",
            owner,
            request,
            &asks(&|says| says["expiresAt"] = json!(now() + month + 60)),
            "EXPIRED",
        ),
        scene.case("an answer to nothing", client, response, &responds(B256::repeat_byte(5), 1), "NOT_FOUND"),
        scene.case("an answer to feedback", client, response, &responds(scene.given.digest, 1), "NOT_FOUND"),
        scene.case(
            "an answer of a validator who is not named",
            other,
            response,
            &responds(asked.digest, 1),
            "FORBIDDEN",
        ),
        scene.case("an answer of the agent's owner", owner, response, &responds(asked.digest, 1), "FORBIDDEN"),
        scene.unreadable("an answer beyond 100", response, client, responds(asked.digest, 101).to_string()),
    ]);
    cases
}

fn of_manifests(scene: &Scene) -> Vec<Case> {
    let Scene { world, owner, operator, client, manifest, over, .. } = scene;
    let (publish, revoke, forward) = (Kind::Manifest, Kind::ManifestRevocation, Kind::ForwardReceipt);
    let moves = |change: &dyn Fn(&mut Value)| {
        let mut says = world.moves(7, 1_000, "https://a.example", "key");
        change(&mut says);
        says
    };
    let root = B256::repeat_byte(0xaa);
    let forwards = |hop: u8, from: u64, to: u64, manifest: B256| world.forwards(root, hop, from, to, manifest);
    let held = manifest.digest;
    let mut cases = of_any_kind(scene, publish, owner, &|| moves(&|_| {}));
    cases.extend(of_any_kind(scene, revoke, owner, &|| world.stops(7, held)));
    cases.extend(of_any_kind(scene, forward, owner, &|| forwards(0, 5, 7, held)));
    let day = 86_400;
    cases.extend([
        scene.case("a manifest by a stranger", client, publish, &moves(&|_| {}), "FORBIDDEN"),
        scene.case(
            "a manifest by an operator",
            operator,
            publish,
            &moves(&|says| says["agentId"] = json!(6)),
            "FORBIDDEN",
        ),
        scene.case("a manifest of nobody", owner, publish, &moves(&|says| says["agentId"] = json!(99)), "NOT_FOUND"),
        scene.case(
            "a manifest with an old nonce",
            owner,
            publish,
            &moves(&|says| says["nonce"] = json!(9)),
            "NONCE_TOO_LOW",
        ),
        scene.case(
            "a manifest with a used nonce",
            owner,
            publish,
            &moves(&|says| (says["nonce"], says["pubkey"]) = (json!(10), json!("other"))),
            "NONCE_REPLAYED",
        ),
        scene.case(
            "a manifest that is over",
            owner,
            publish,
            &moves(&|says| (says["validFrom"], says["validUntil"]) = (json!(now() - 900), json!(now() - 800))),
            "EXPIRED",
        ),
        scene.case(
            "a manifest far ahead",
            owner,
            publish,
            &moves(&|says| {
                (says["validFrom"], says["validUntil"]) = (json!(now() + 2 * day), json!(now() + 2 * day + 1))
            }),
            "EXPIRED",
        ),
        scene.case(
            "a manifest for longer than a day",
            owner,
            publish,
            &moves(&|says| says["validUntil"] = json!(now() + day)),
            "BAD_INPUT",
        ),
        scene.case("a revocation by a stranger", client, revoke, &world.stops(7, held), "FORBIDDEN"),
        scene.case("a revocation of no manifest", owner, revoke, &world.stops(7, root), "NOT_FOUND"),
        scene.case("a second revocation of a manifest", owner, revoke, &world.stops(7, over.digest), "CONFLICT"),
        scene.case("a receipt of a stranger", client, forward, &forwards(0, 5, 7, held), "FORBIDDEN"),
        scene.case("a receipt of the source", owner, forward, &forwards(0, 7, 5, held), "FORBIDDEN"),
        scene.case("a receipt from nobody", owner, forward, &forwards(0, 99, 7, held), "NOT_FOUND"),
        scene.case("a receipt by no manifest", owner, forward, &forwards(0, 5, 7, root), "NOT_FOUND"),
        scene.case("a receipt by a revoked manifest", owner, forward, &forwards(0, 5, 7, over.digest), "EXPIRED"),
        scene.case("a receipt without the hop before", owner, forward, &forwards(1, 5, 7, held), "NOT_FOUND"),
        scene.case("a receipt to oneself", owner, forward, &forwards(0, 7, 7, held), "CIRCULAR_DEPENDENCY"),
        scene.unreadable("an eleventh hop", forward, owner, canonical(&forwards(11, 5, 7, held)).unwrap()),
        scene.unreadable(
            "a manifest with spaces",
            publish,
            owner,
            serde_json::to_string_pretty(&moves(&|_| {})).unwrap(),
        ),
        scene.unreadable(
            "a manifest with a number as text",
            publish,
            owner,
            canonical(&moves(&|says| says["nonce"] = json!("1000"))).unwrap(),
        ),
        scene.unreadable(
            "a manifest that ends before it begins",
            publish,
            owner,
            canonical(&moves(&|says| says["validUntil"] = says["validFrom"].clone())).unwrap(),
        ),
    ]);
    cases
}

fn of_payments(scene: &Scene) -> Vec<Case> {
    let Scene { world, owner, client, other, paid, .. } = scene;
    let (kind, coin) = (Kind::PaymentLink, Address::ZERO);
    let mut cases = of_any_kind(scene, kind, client, &|| world.links(5, *paid, coin, PAID));
    let nothing = B256::repeat_byte(5);
    cases.extend([
        scene.case("a payment by a stranger", other, kind, &world.links(5, *paid, coin, PAID), "FORBIDDEN"),
        scene.case("a payment to another agent", client, kind, &world.links(6, *paid, coin, PAID), "NOT_FOUND"),
        scene.case("a payment to nobody", client, kind, &world.links(99, *paid, coin, PAID), "NOT_FOUND"),
        scene.case("a payment to no wallet", owner, kind, &world.links(7, *paid, coin, PAID), "NOT_FOUND"),
        scene.case("a payment of less", client, kind, &world.links(5, *paid, coin, PAID - 1), "NOT_FOUND"),
        scene.case("a payment of no transaction", client, kind, &world.links(5, nothing, coin, PAID), "NOT_FOUND"),
        scene.case(
            "a payment with an unknown token",
            client,
            kind,
            &world.links(5, *paid, Address::repeat_byte(9), PAID),
            "BAD_INPUT",
        ),
        scene.unreadable("a payment of nothing", kind, client, world.links(5, *paid, coin, 0).to_string()),
        scene.unreadable("no transaction", kind, client, world.links(5, B256::ZERO, coin, PAID).to_string()),
    ]);
    cases
}

fn of_circles(scene: &Scene) -> Vec<Case> {
    let Scene { world, owner, client, other, manifest, .. } = scene;
    let kind = Kind::CycleReport;
    let receipt = |by: &Person, hop: u8, from: u64, to: u64| {
        let says = world.forwards(B256::repeat_byte(0xcc), hop, from, to, manifest.digest);
        world.signs(by, Kind::ForwardReceipt, &says)
    };
    // Who takes a request from themselves is a circle of one.
    let closing = receipt(owner, 0, 7, 7);
    let mut cases = of_any_kind(scene, kind, client, &|| world.reports(&[7], &closing));
    let renamed = Signed { signer: world.account(other.address), ..closing.clone() };
    let other_says = Signed { signature: receipt(owner, 1, 7, 7).signature, ..closing.clone() };
    cases.extend([
        scene.case("a circle by a stranger", client, kind, &world.reports(&[7], &receipt(other, 0, 7, 7)), "FORBIDDEN"),
        scene.case("a circle in another's name", client, kind, &world.reports(&[7], &renamed), "INVALID_SIGNATURE"),
        scene.case("a circle of another receipt", client, kind, &world.reports(&[7], &other_says), "INVALID_SIGNATURE"),
        scene.case(
            "a malleated receipt",
            client,
            kind,
            &world.reports(&[7], &malleated(&closing)),
            "INVALID_SIGNATURE",
        ),
        scene.case("no circle", client, kind, &world.reports(&[7, 5], &receipt(owner, 0, 5, 7)), "NOT_FOUND"),
        scene.case(
            "a circle without a path",
            client,
            kind,
            &world.reports(&[7], &receipt(owner, 3, 7, 7)),
            "NOT_FOUND",
        ),
        scene.unreadable(
            "a circle that ends elsewhere",
            kind,
            client,
            canonical(&world.reports(&[7, 5], &closing)).unwrap(),
        ),
    ]);
    cases
}

/// What the client paid.
const PAID: u64 = 5;

async fn scene(stage: &Stage, node: &mut Node, desk: &Desk) -> Scene {
    let (owner, operator, client, other) = (person(1), person(4), person(2), person(3));
    stage.populate().await;
    enrich(stage, &client).await;
    let paid = pay(stage, &client, stage.owner(5), PAID).await;
    let to_owner = Identity::transferFromCall { from: stage.owner(7), to: owner.address, tokenId: U256::from(7) };
    let approval = Identity::setApprovalForAllCall { operator: operator.address, approved: true };
    stage.mine([stage.identity(stage.owner(7), &to_owner), stage.identity(stage.owner(6), &approval)]).await;
    node.catch_up().await;
    let world = World { chain_id: stage.network.chain_id, registry: stage.deployment.identity };
    let given = world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, 87));
    let of_other = world.signs(&other, Kind::Feedback, &world.gives(other.address, 7, 87));
    let revoked = world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, 12));
    let revocation = world.signs(&client, Kind::FeedbackRevocation, &revokes(revoked.digest));
    let asked = world.signs(&owner, Kind::ValidationRequest, &world.asks(7, client.address));
    let over = world.signs(&owner, Kind::Manifest, &world.moves(7, 5, "https://a.example", "key"));
    let manifest = world.signs(&owner, Kind::Manifest, &world.moves(7, 10, "https://a.example", "key"));
    let stopped = world.signs(&owner, Kind::ManifestRevocation, &world.stops(7, over.digest));
    for signed in [&given, &of_other, &revoked, &revocation, &asked, &over, &manifest, &stopped] {
        desk.hand_in(signed).await.unwrap();
    }
    Scene { world, owner, operator, client, other, given, of_other, revoked, asked, manifest, over, paid }
}

#[tokio::test]
async fn each_case_is_refused_by_its_code_and_leaves_no_row() {
    let stage = Stage::start().await;
    let mut node = Node::start(std::slice::from_ref(&stage.network)).await;
    let desk = Desk::at(&node.url());
    let scene = scene(&stage, &mut node, &desk).await;
    let cases: Vec<Case> = [
        of_feedback(&scene),
        of_revisions(&scene),
        of_cards(&scene),
        of_validations(&scene),
        of_manifests(&scene),
        of_payments(&scene),
        of_circles(&scene),
    ]
    .concat();
    assert!(cases.len() >= 450, "{} cases", cases.len());
    let rows = document_rows(&node.database).await;
    let mut wrong = Vec::new();
    for (name, signed, code) in &cases {
        match desk.hand_in(signed).await {
            Err((found, _)) if found == *code => {}
            other => wrong.push(format!("{name}: {other:?} and not {code}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(document_rows(&node.database).await, rows);
    let client = connect(node.database.url()).await;
    let count = "SELECT count(*) FROM write_audit WHERE outcome NOT IN ('ACCEPTED', 'REPEATED') AND reason <> ''";
    let refused: i64 = client.query_one(count, &[]).await.unwrap().get(0);
    assert_eq!(usize::try_from(refused).unwrap(), cases.len());
    // What was there before is as it was.
    let data = desk.ask("{ offchainFeedbacks(orderBy: value) { version value isRevoked } }").await;
    let row = |value: &str, is_revoked: bool| json!({ "version": 1, "value": value, "isRevoked": is_revoked });
    assert_eq!(data["offchainFeedbacks"], json!([row("12", true), row("87", false), row("87", false)]));
}
