//! Payments on a real chain: linked, summed up, and dropped with it.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::{SolCall, SolValue};
use meikan::demo::abi::Identity;
use meikan::document::Kind;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::money::{RICHES, authorise, enrich, pay, pay_token, send, transaction};
use super::support::{Desk, Person, World, document_rows, person};
use crate::end_to_end::stage::Stage;
use crate::support::node::{DEADLINE, LOOK_EVERY, Node};
use crate::support::postgres::connect;

/// The agent that is paid.
const AGENT: u64 = 7;

struct Scene {
    stage: Stage,
    node: Node,
    desk: Desk,
    world: World,
    token: Address,
    /// The agent's owner, who is its wallet too.
    owner: Address,
    payer: Person,
    other: Person,
}

async fn scene() -> Scene {
    let mut stage = Stage::start().await;
    stage.populate().await;
    let (payer, other) = (person(2), person(3));
    let token = stage.deploy("PaymentToken", (payer.address, RICHES).abi_encode()).await;
    for person in [&payer, &other] {
        enrich(&stage, person).await;
    }
    stage.network.payment_tokens = vec![token];
    let mut node = Node::start(std::slice::from_ref(&stage.network)).await;
    node.catch_up().await;
    let desk = Desk::at(&node.url());
    let world = World { chain_id: stage.network.chain_id, registry: stage.deployment.identity };
    let owner = stage.owner(AGENT);
    Scene { stage, node, desk, world, token, owner, payer, other }
}

impl Scene {
    async fn mine(&mut self) {
        self.stage.rpc.mine().await.unwrap();
        self.node.catch_up().await;
    }

    /// Somebody links a payment to the agent.
    async fn link(&self, by: &Person, tx: B256, token: Address, amount: u64) -> Result<Value, (String, String)> {
        let signed = self.world.signs(by, Kind::PaymentLink, &self.world.links(AGENT, tx, token, amount));
        let fields = "id status means payer recipient amount token transactionHash authorizationNonce logIndex endpoint \
                      agent { agentId: id } finality blockNumber signer";
        self.desk.hand_in_for(&signed, fields).await
    }

    async fn refusal(&self, by: &Person, tx: B256, token: Address, amount: u64) -> String {
        self.link(by, tx, token, amount).await.expect_err("it is refused").0
    }

    async fn reputation(&self) -> Value {
        let query = format!(
            "{{ agentReputation(id: \"{}:{AGENT}\") {{ payments failedPayments paymentSuccess trustLevel trustReason }} }}",
            self.world.chain_id
        );
        self.desk.ask(&query).await["agentReputation"].take()
    }

    async fn status(&self, tx: B256) -> Value {
        let query = format!("{{ paymentLinks(where: {{ transactionHash: \"{tx}\" }}) {{ status }} }}");
        self.desk.ask(&query).await["paymentLinks"][0]["status"].take()
    }

    async fn wait_for(&self, tx: B256, status: &str) {
        let reached = async {
            while self.status(tx).await != status {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        timeout(DEADLINE, reached).await.unwrap_or_else(|_| panic!("the payment is never {status}"));
    }
}

#[tokio::test]
async fn what_was_paid_is_linked_once_with_what_the_chain_tells_of_it() {
    let mut scene = scene().await;
    let (owner, token, coin) = (scene.owner, scene.token, Address::ZERO);
    let (payer, other) = (scene.payer.clone(), scene.other.clone());
    let by_coin = pay(&scene.stage, &payer, owner, 5).await;
    let by_token = pay_token(&scene.stage, &payer, token, owner, 30).await;
    let nonce = B256::repeat_byte(0x77);
    let by_leave = authorise(&scene.stage, &payer, &other, token, owner, 70, nonce).await;
    // Who has nothing of the token pays nothing.
    let failed = pay_token(&scene.stage, &other, token, owner, 30).await;
    scene.mine().await;

    let made = scene.link(&payer, by_coin, coin, 5).await.unwrap();
    let account = scene.world.account(payer.address);
    for (name, value) in [
        ("status", json!("CONFIRMED")),
        ("means", json!("COIN")),
        ("payer", json!(payer.address)),
        ("recipient", json!(owner)),
        ("amount", json!("5")),
        ("token", json!(coin)),
        ("transactionHash", json!(by_coin)),
        ("authorizationNonce", json!(null)),
        ("logIndex", json!(null)),
        ("endpoint", json!("https://agent.example/paid")),
        ("agent", json!({ "agentId": format!("{}:{AGENT}", scene.world.chain_id) })),
        ("blockNumber", json!(scene.node.tip().to_string())),
        ("signer", json!(account)),
    ] {
        assert_eq!(made[name].to_string().to_lowercase(), value.to_string().to_lowercase(), "{name}: {made}");
    }
    let made = scene.link(&payer, by_token, token, 30).await.unwrap();
    assert_eq!((&made["means"], &made["status"]), (&json!("TRANSFER"), &json!("CONFIRMED")));
    assert!(made["logIndex"].is_number(), "{made}");
    // Whoever sent it for the payer is not the payer.
    assert_eq!(scene.refusal(&other, by_leave, token, 70).await, "FORBIDDEN");
    let made = scene.link(&payer, by_leave, token, 70).await.unwrap();
    assert_eq!((&made["means"], &made["authorizationNonce"]), (&json!("AUTHORIZATION"), &json!(nonce)));
    let made = scene.link(&other, failed, token, 30).await.unwrap();
    assert_eq!((&made["means"], &made["status"]), (&json!("TRANSFER"), &json!("FAILED")));

    let rows = document_rows(&scene.node.database).await;
    for (name, by, tx, token, amount, code) in [
        ("again", &payer, by_coin, coin, 5, "CONFLICT"),
        ("another amount", &payer, by_coin, coin, 6, "NOT_FOUND"),
        ("another coin", &payer, by_coin, token, 5, "NOT_FOUND"),
        ("by a stranger", &person(9), by_token, token, 30, "FORBIDDEN"),
        ("a token that is not known", &payer, by_token, Address::repeat_byte(9), 30, "BAD_INPUT"),
        ("a transaction that is not there", &payer, nonce, token, 30, "NOT_FOUND"),
    ] {
        assert_eq!(scene.refusal(by, tx, token, amount).await, code, "{name}");
    }
    assert_eq!(document_rows(&scene.node.database).await, rows);

    let query =
        "{ paymentTotals(orderBy: total) { id token count failed success total mean payers lastAt endpoints } }";
    let totals = scene.desk.ask(query).await;
    let totals = totals["paymentTotals"].as_array().unwrap().clone();
    assert_eq!(totals.len(), 2, "{totals:?}");
    assert_eq!((&totals[0]["count"], &totals[0]["total"], &totals[0]["mean"]), (&json!("1"), &json!("5"), &json!("5")));
    for (name, value) in [
        ("count", "2"),
        ("failed", "1"),
        ("success", "66.666666666666666666"),
        ("total", "100"),
        ("mean", "50"),
        ("payers", "1"),
    ] {
        assert_eq!(totals[1][name], json!(value), "{name}: {totals:?}");
    }
    assert_eq!(totals[1]["endpoints"], json!(["https://agent.example/paid"]));
    let id = totals[1]["id"].as_str().unwrap();
    let one = scene.desk.ask(&format!("{{ paymentTotal(id: \"{id}\") {{ total }} }}")).await;
    assert_eq!(one["paymentTotal"]["total"], "100");
    let told = scene.reputation().await;
    assert_eq!(
        (&told["payments"], &told["failedPayments"], &told["paymentSuccess"]),
        (&json!("3"), &json!("1"), &json!("75"))
    );
    // As of the block before there was none.
    let query = format!(
        "{{ paymentTotals(block: {{ number: {} }}) {{ count }} paymentLinks(block: {{ number: {} }}) {{ id }} }}",
        scene.node.tip() - 1,
        scene.node.tip() - 1
    );
    assert_eq!(scene.desk.ask(&query).await, json!({ "paymentTotals": [], "paymentLinks": [] }));
}

#[tokio::test]
async fn whose_wallet_was_paid_is_that_of_the_payments_block() {
    let mut scene = scene().await;
    let (owner, buyer, payer, coin) = (person(5), person(6), scene.payer.clone(), Address::ZERO);
    let registry = scene.stage.deployment.identity;
    for person in [&owner, &buyer] {
        enrich(&scene.stage, person).await;
    }
    let register = Identity::register_1Call { agentURI: "ipfs://a".into() }.abi_encode();
    for _ in 0..2 {
        let registration = transaction(&scene.stage, &owner, registry, 0, register.clone()).await;
        send(&scene.stage, &registration).await;
        scene.mine().await;
    }
    let link = async |scene: &Scene, by: &Person, agent: u64, tx: B256, amount: u64| {
        let says = scene.world.links(agent, tx, coin, amount);
        scene.desk.hand_in(&scene.world.signs(by, Kind::PaymentLink, &says)).await.map(|made| made["status"].clone())
    };
    let code = |answer: Result<Value, (String, String)>| answer.expect_err("it is refused").0;
    let own = pay(&scene.stage, &owner, owner.address, 4).await;
    let first = pay(&scene.stage, &payer, owner.address, 5).await;
    let second = pay(&scene.stage, &payer, owner.address, 6).await;
    scene.mine().await;
    assert_eq!(code(link(&scene, &owner, 8, own, 4).await), "FORBIDDEN", "nobody vouches for themselves");
    // Two agents have one wallet: a payment is one agent's.
    assert_eq!(link(&scene, &owner, 8, first, 5).await, Ok(json!("CONFIRMED")));
    assert_eq!(code(link(&scene, &payer, 9, first, 5).await), "CONFLICT");
    // The agent is sold, which clears its wallet: what was paid before was paid, and nobody can pay it now.
    let sale = Identity::transferFromCall { from: owner.address, to: buyer.address, tokenId: U256::from(8) };
    let sale = transaction(&scene.stage, &owner, registry, 0, sale.abi_encode()).await;
    send(&scene.stage, &sale).await;
    scene.mine().await;
    let late = transaction(&scene.stage, &payer, owner.address, 7, vec![]).await;
    send(&scene.stage, &late).await;
    scene.mine().await;
    assert_eq!(scene.status(first).await, "CONFIRMED");
    assert_eq!(code(link(&scene, &payer, 8, late.hash, 7).await), "NOT_FOUND");
    assert_eq!(code(link(&scene, &owner, 8, second, 6).await), "FORBIDDEN", "the seller speaks for it no more");
    assert_eq!(link(&scene, &buyer, 8, second, 6).await, Ok(json!("CONFIRMED")));
    assert_eq!(link(&scene, &payer, 9, late.hash, 7).await, Ok(json!("CONFIRMED")));
}

#[tokio::test]
async fn a_payment_that_the_chain_drops_does_not_count_until_it_is_there_again() {
    let mut scene = scene().await;
    let (owner, payer, coin) = (scene.owner, scene.payer.clone(), Address::ZERO);
    let paid = transaction(&scene.stage, &payer, owner, 5, vec![]).await;
    send(&scene.stage, &paid).await;
    scene.mine().await;
    scene.link(&payer, paid.hash, coin, 5).await.unwrap();
    let rows = document_rows(&scene.node.database).await;
    assert_eq!(scene.reputation().await["payments"], "1");

    // Another block is in the place of the payment's.
    scene.stage.reorganise(vec![vec![]]).await;
    scene.node.catch_up().await;
    assert_eq!(scene.status(paid.hash).await, "DROPPED");
    assert_eq!(scene.reputation().await["payments"], "0");
    assert_eq!(scene.desk.ask("{ paymentTotals { id } }").await["paymentTotals"], json!([]));
    assert_eq!(document_rows(&scene.node.database).await, rows, "a document is never lost");

    // It is in a later block, and nobody has to hand it in again.
    send(&scene.stage, &paid).await;
    scene.mine().await;
    scene.wait_for(paid.hash, "CONFIRMED").await;
    let data = scene.desk.ask("{ paymentLinks { blockNumber } }").await;
    assert_eq!(data["paymentLinks"][0]["blockNumber"], json!(scene.node.tip().to_string()));
    assert_eq!(scene.reputation().await["payments"], "1");
}

#[tokio::test]
async fn a_payment_does_not_count_where_the_chain_drops_the_wallet_that_was_paid() {
    let mut scene = scene().await;
    let (owner, payer) = (person(5), scene.payer.clone());
    enrich(&scene.stage, &owner).await;
    scene.mine().await;
    let register = Identity::register_1Call { agentURI: "ipfs://a".into() }.abi_encode();
    let registration = transaction(&scene.stage, &owner, scene.stage.deployment.identity, 0, register).await;
    send(&scene.stage, &registration).await;
    scene.mine().await;
    let paid = transaction(&scene.stage, &payer, owner.address, 5, vec![]).await;
    send(&scene.stage, &paid).await;
    scene.mine().await;
    let says = scene.world.links(8, paid.hash, Address::ZERO, 5);
    scene.desk.hand_in(&scene.world.signs(&payer, Kind::PaymentLink, &says)).await.unwrap();
    // The payment is in another block of the same height, and the agent in none.
    scene.stage.rpc.request::<Value>("anvil_reorg", json!([2, [[paid.raw, 1]]])).await.unwrap();
    scene.node.catch_up().await;
    let client = connect(scene.node.database.url()).await;
    let looked = async {
        let moved = "SELECT count(*) FROM payment_link p JOIN block b ON b.chain_id = p.chain_id AND b.hash = p.block_hash \
                     WHERE p.status = 'CONFIRMED'";
        while client.query_one(moved, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    timeout(DEADLINE, looked).await.expect("the payment is found in its new block");
    assert_eq!(scene.status(paid.hash).await, "DROPPED");
    let data = scene.desk.ask("{ paymentLinks { agent { id } } paymentTotals { id } }").await;
    assert_eq!(data, json!({ "paymentLinks": [{ "agent": null }], "paymentTotals": [] }));
}

#[tokio::test]
async fn trust_wants_payments_that_succeed_once_some_are_linked() {
    let mut scene = scene().await;
    let (owner, payer, other, coin, token) =
        (scene.owner, scene.payer.clone(), scene.other.clone(), Address::ZERO, scene.token);
    assert_eq!(scene.reputation().await["trustLevel"], "NEW");
    let ratings = (0..2).map(|client| scene.stage.give(scene.stage.client(client), AGENT, 90, 0, ["starred", ""]));
    scene.stage.mine(ratings.collect::<Vec<_>>()).await;
    let mut paid = Vec::new();
    for amount in 1..=10 {
        paid.push((pay(&scene.stage, &payer, owner, amount).await, amount));
    }
    let failed = [
        pay_token(&scene.stage, &other, token, owner, 1).await,
        pay_token(&scene.stage, &other, token, owner, 2).await,
    ];
    scene.mine().await;
    assert_eq!(scene.reputation().await["trustLevel"], "FAIR", "two ratings are few");
    for (count, (tx, amount)) in paid.iter().enumerate() {
        scene.link(&payer, *tx, coin, *amount).await.unwrap();
        let expected = match count + 1 {
            0..5 => "FAIR",
            5..10 => "GOOD",
            _ => "EXCELLENT",
        };
        assert_eq!(scene.reputation().await["trustLevel"], expected, "after {} payments", count + 1);
    }
    let told = scene.reputation().await;
    let reason = "2 ratings average 90, and of 10 payments 100 % succeeded: at least 80, and at least 95 % of at least 10 \
                  payments";
    assert_eq!(told["trustReason"], reason);
    // 10 of 11 are fewer than 95 %, 10 of 12 fewer than 85 %.
    for (tx, amount, level) in [(failed[0], 1, "GOOD"), (failed[1], 2, "FAIR")] {
        scene.link(&other, tx, token, amount).await.unwrap();
        assert_eq!(scene.reputation().await["trustLevel"], level);
    }
    let told = scene.reputation().await;
    assert_eq!(told["paymentSuccess"], "83.333333333333333333");
}
