//! Signers that are contracts, asked on a real chain, and what signers are told to sign.

use alloy::primitives::{Address, B256, Bytes, b256, hex, keccak256};
use alloy::sol;
use alloy::sol_types::{SolCall, SolValue};
use meikan::demo::Call;
use meikan::document::Kind;
use serde_json::{Value, json};

use super::support::{Desk, Person, Signed, World, by_hand, document_rows, person, registered};
use crate::end_to_end::stage::Stage;
use crate::graphql::support::{CHAIN, Node as ByHand};
use crate::support::node::Node;

sol! {
    /// `contracts/src/examples/WalletFactory.sol`.
    function deploy(address owner, bytes32 salt) returns (address wallet);
    function walletOf(address owner, bytes32 salt) returns (address wallet);
}

/// What ends a signature of a wallet that is not deployed yet (ERC-6492).
const WRAPPED: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");

/// Feedback by a wallet, which a key signed.
fn by_wallet(world: &World, wallet: Address, key: &Person) -> Signed {
    let signed = world.signs(key, Kind::Feedback, &world.gives(wallet, 7, 87));
    Signed { signer: world.account(wallet), ..signed }
}

/// A signature with what deploys the wallet.
fn wrapped(signed: Signed, factory: Address, call: Vec<u8>) -> Signed {
    let inner = hex::decode(&signed.signature).unwrap();
    let arguments = (factory, Bytes::from(call), Bytes::from(inner)).abi_encode_params();
    Signed { signature: hex::encode_prefixed([&arguments, WRAPPED.as_slice()].concat()), ..signed }
}

struct Scene {
    stage: Stage,
    node: Node,
    desk: Desk,
    world: World,
}

async fn scene() -> Scene {
    let stage = Stage::start().await;
    stage.populate().await;
    let mut node = Node::start(std::slice::from_ref(&stage.network)).await;
    node.catch_up().await;
    let desk = Desk::at(&node.url());
    let world = World { chain_id: stage.network.chain_id, registry: stage.deployment.identity };
    Scene { stage, node, desk, world }
}

#[tokio::test]
async fn a_wallet_that_is_a_contract_says_itself_what_it_signed() {
    let Scene { stage, mut node, desk, world } = scene().await;
    let (key, other) = (person(5), person(6));
    let owned = stage.deploy("OwnedWallet", key.address.abi_encode()).await;
    let refusing = stage.deploy("RefusingWallet", vec![]).await;
    let reverting = stage.deploy("RevertingWallet", vec![]).await;
    let burning = stage.deploy("BurningWallet", vec![]).await;
    node.catch_up().await;
    let made = desk.hand_in_for(&by_wallet(&world, owned, &key), "clientAddress checkedBlock").await.unwrap();
    assert_eq!(made["clientAddress"], json!(owned));
    let rows = document_rows(&node.database).await;
    for (wallet, signer) in [(owned, &other), (refusing, &key), (reverting, &key), (burning, &key)] {
        assert_eq!(desk.refusal(&by_wallet(&world, wallet, signer)).await, "INVALID_SIGNATURE", "{wallet}");
    }
    // What one wallet takes is not another one's, though one key owns both.
    let second = stage.deploy("OwnedWallet", key.address.abi_encode()).await;
    node.catch_up().await;
    let of_second = Signed { signer: world.account(owned), ..by_wallet(&world, second, &key) };
    assert_eq!(desk.refusal(&of_second).await, "FORBIDDEN");
    assert_eq!(document_rows(&node.database).await, rows);
}

#[tokio::test]
async fn an_account_with_code_signs_by_its_key_or_by_its_code() {
    let Scene { stage, mut node, desk, world } = scene().await;
    let (account, delegate) = (person(5), person(6));
    let owned = stage.deploy("OwnedWallet", delegate.address.abi_encode()).await;
    // What an authorization of EIP-7702 leaves at the account.
    let designator = Bytes::from([&hex!("ef0100")[..], owned.as_slice()].concat());
    stage.rpc.request::<Value>("anvil_setCode", json!([account.address, designator])).await.unwrap();
    stage.rpc.mine().await.unwrap();
    node.catch_up().await;
    for signer in [&account, &delegate] {
        let made = desk.hand_in_for(&by_wallet(&world, account.address, signer), "clientAddress").await.unwrap();
        assert_eq!(made["clientAddress"], json!(account.address));
    }
    assert_eq!(desk.refusal(&by_wallet(&world, account.address, &person(3))).await, "INVALID_SIGNATURE");
}

#[tokio::test]
async fn a_wallet_signs_before_it_is_deployed_and_after() {
    let Scene { stage, mut node, desk, world } = scene().await;
    let key = person(5);
    let factory = stage.deploy("WalletFactory", vec![]).await;
    node.catch_up().await;
    let salt = keccak256("salt");
    let call = walletOfCall { owner: key.address, salt }.abi_encode();
    let wallet = Address::from_word(B256::from_slice(&stage.rpc.call(factory, call, None).await.unwrap()));
    let deploys = deployCall { owner: key.address, salt }.abi_encode();
    let fresh = || by_wallet(&world, wallet, &key);
    assert_eq!(desk.refusal(&fresh()).await, "INVALID_SIGNATURE");
    let signed = wrapped(fresh(), factory, deploys.clone());
    let verified = json!({ "kind": "FEEDBACK", "document": signed.document, "signer": signed.signer,
        "signature": signed.signature });
    let query = "query($kind: DocumentKind!, $document: String!, $signer: String!, $signature: Bytes!) { \
                 verifySignature(kind: $kind, document: $document, signer: $signer, signature: $signature) \
                 { valid method block reason } }";
    let answer = desk.answer(query, verified).await;
    let block = stage.head().await.to_string();
    let expected = json!({ "valid": true, "method": "CODE", "block": block, "reason": null });
    assert_eq!(answer["data"]["verifySignature"], expected, "{answer}");
    desk.hand_in(&signed).await.unwrap();
    for wrong in [
        wrapped(by_wallet(&world, wallet, &person(6)), factory, deploys.clone()),
        wrapped(fresh(), factory, deployCall { owner: key.address, salt: B256::ZERO }.abi_encode()),
        wrapped(fresh(), Address::ZERO, deploys.clone()),
        wrapped(fresh(), factory, vec![]),
        Signed { signature: hex::encode_prefixed(WRAPPED), ..fresh() },
        Signed { signature: hex::encode_prefixed([[0xff; 96].as_slice(), WRAPPED.as_slice()].concat()), ..fresh() },
    ] {
        assert_eq!(desk.refusal(&wrong).await, "INVALID_SIGNATURE", "{wrong:?}");
    }
    stage.mine([Call::new(stage.client(0), factory, deploys.clone())]).await;
    node.catch_up().await;
    desk.hand_in(&fresh()).await.unwrap();
    desk.hand_in(&wrapped(fresh(), factory, deploys)).await.unwrap();
}

#[tokio::test]
async fn while_no_endpoint_answers_nobody_s_wallet_is_believed() {
    let node = ByHand::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    history.block(registered(7, person(1).address)).await;
    let signed = by_wallet(&world, Address::repeat_byte(9), &person(5));
    assert_eq!(desk.refusal(&signed).await, "UNAVAILABLE");
    assert_eq!(document_rows(&node.database).await, 0);
    // A key needs nobody's word.
    let client = person(2);
    desk.hand_in(&world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, 1))).await.unwrap();
}

#[tokio::test]
async fn a_wallet_is_told_exactly_what_is_checked() {
    let node = ByHand::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let _history = node.history(CHAIN).await;
    let query = "query($kind: DocumentKind!, $document: String!, $chain: Int) { \
                 signingPayload(kind: $kind, document: $document, chainId: $chain) { digest hash typedData text } }";
    let asked = async |kind: &str, document: Value, chain: Option<u64>| {
        desk.answer(query, json!({ "kind": kind, "document": document.to_string(), "chain": chain })).await
    };
    let client = person(2);
    let says = world.gives(client.address, 7, 1);
    let signed = world.signs(&client, Kind::Feedback, &says);
    let answer = asked("FEEDBACK", says.clone(), None).await;
    let told = &answer["data"]["signingPayload"];
    assert_eq!(
        (&told["digest"], &told["hash"], &told["text"]),
        (&json!(signed.digest), &json!(signed.hash), &Value::Null)
    );
    let typed: Value = serde_json::from_str(told["typedData"].as_str().unwrap()).unwrap();
    assert_eq!(typed["domain"], json!({ "name": "Meikan", "version": "1", "chainId": CHAIN }));
    assert_eq!((&typed["primaryType"], &typed["message"]["feedback"]["tag2"]), (&json!("Feedback"), &json!("")));

    let manifest = json!({ "agentRegistry": world.account(world.registry), "agentId": 7, "endpointUri": "https://a.example",
        "pubkey": "k", "nonce": 1, "validFrom": 1, "validUntil": 2 });
    let answer = asked("MANIFEST", manifest.clone(), Some(CHAIN)).await;
    let told = &answer["data"]["signingPayload"];
    assert_eq!(told["text"], json!(meikan::document::canonical(&manifest).unwrap()));
    assert_eq!(told["typedData"], Value::Null);

    for (kind, document, chain, said) in [
        ("FEEDBACK", says.clone(), Some(1), "the document is for chain 167000"),
        ("FEEDBACK", json!({}), None, "missing field `feedback`"),
        ("MANIFEST", says, None, "unknown field `deadline`"),
    ] {
        let answer = asked(kind, document, chain).await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_INPUT");
        assert!(answer["errors"][0]["message"].as_str().unwrap().contains(said), "{answer}");
    }
}
