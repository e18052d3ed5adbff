//! People with keys who pay: transactions that they sign themselves, so that the same one can be sent again.

use alloy::primitives::{Address, B256, Bytes, U64, U256, hex, keccak256};
use alloy::sol;
use alloy::sol_types::{SolCall, SolValue};
use alloy_rlp::Encodable;
use serde_json::{Value, json};

use super::support::Person;
use crate::end_to_end::stage::Stage;

sol! {
    /// `contracts/src/examples/PaymentToken.sol`.
    interface PaymentToken {
        function transfer(address to, uint256 value) returns (bool);
        function transferWithAuthorization(address from, address to, uint256 value, uint256 validAfter,
            uint256 validBefore, bytes32 nonce, uint8 v, bytes32 r, bytes32 s);
    }
}

/// Gas of a payment, and its price in wei: more than the chain's.
const GAS: u64 = 500_000;
const GAS_PRICE: u64 = 20_000_000_000;

/// How much of the chain's own coin, and of the token, those have who pay.
pub(super) const RICHES: u64 = 1_000_000_000_000_000_000;

/// Somebody's signed transaction.
#[derive(Clone)]
pub(super) struct Signed {
    pub(super) hash: B256,
    pub(super) raw: Bytes,
}

/// A transaction of somebody, with their next nonce.
pub(super) async fn transaction(stage: &Stage, by: &Person, to: Address, value: u64, data: Vec<u8>) -> Signed {
    let nonce: U64 =
        stage.rpc.request("eth_getTransactionCount", json!([by.address, "pending"])).await.expect("a nonce");
    let encode = |last: [&dyn Encodable; 3]| {
        let (gas, price) = (GAS, GAS_PRICE);
        let mut fields = Vec::new();
        let nonce = nonce.to::<u64>();
        let first: [&dyn Encodable; 6] = [&nonce, &price, &gas, &to, &value, &data.as_slice()];
        first.into_iter().chain(last).for_each(|field| field.encode(&mut fields));
        let mut list = Vec::new();
        alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut list);
        [list, fields].concat()
    };
    // EIP-155.
    let chain_id = stage.network.chain_id;
    let signature = by.sign_hash(keccak256(encode([&chain_id, &0_u8, &0_u8])));
    let number = |bytes: &[u8]| U256::from_be_slice(bytes);
    let v = u64::from(signature[64] - 27) + 35 + 2 * chain_id;
    let raw: Bytes = encode([&v, &number(&signature[..32]), &number(&signature[32..64])]).into();
    Signed { hash: keccak256(&raw), raw }
}

/// Sends a transaction; it is in the next block.
pub(super) async fn send(stage: &Stage, transaction: &Signed) {
    let hash: B256 = stage.rpc.request("eth_sendRawTransaction", json!([transaction.raw])).await.expect("it is taken");
    assert_eq!(hash, transaction.hash);
}

/// Somebody pays of the chain's own coin.
pub(super) async fn pay(stage: &Stage, by: &Person, to: Address, value: u64) -> B256 {
    let paid = transaction(stage, by, to, value, vec![]).await;
    send(stage, &paid).await;
    paid.hash
}

/// Somebody pays of a token.
pub(super) async fn pay_token(stage: &Stage, by: &Person, token: Address, to: Address, value: u64) -> B256 {
    let call = PaymentToken::transferCall { to, value: U256::from(value) };
    let paid = transaction(stage, by, token, 0, call.abi_encode()).await;
    send(stage, &paid).await;
    paid.hash
}

/// Somebody pays of a token by an authorisation, which another one sends.
pub(super) async fn authorise(
    stage: &Stage,
    by: &Person,
    sent_by: &Person,
    token: Address,
    to: Address,
    value: u64,
    nonce: B256,
) -> B256 {
    let (value, after, before) = (U256::from(value), U256::ZERO, U256::from(u64::MAX));
    let word = |text: &str| keccak256(text);
    let domain = (
        word("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
        word("Payment Token"),
        word("1"),
        U256::from(stage.network.chain_id),
        token,
    );
    let content = (
        word(
            "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,\
             bytes32 nonce)",
        ),
        by.address,
        to,
        value,
        after,
        before,
        nonce,
    );
    let parts = [keccak256(domain.abi_encode()), keccak256(content.abi_encode())];
    let signature = by.sign_hash(keccak256([&hex!("1901")[..], parts[0].as_slice(), parts[1].as_slice()].concat()));
    let call = PaymentToken::transferWithAuthorizationCall {
        from: by.address,
        to,
        value,
        validAfter: after,
        validBefore: before,
        nonce,
        v: signature[64],
        r: B256::from_slice(&signature[..32]),
        s: B256::from_slice(&signature[32..64]),
    };
    let paid = transaction(stage, sent_by, token, 0, call.abi_encode()).await;
    send(stage, &paid).await;
    paid.hash
}

/// Gives somebody of the chain's own coin.
pub(super) async fn enrich(stage: &Stage, person: &Person) {
    let set = json!([person.address, U256::from(RICHES)]);
    stage.rpc.request::<Value>("anvil_setBalance", set).await.expect("anvil sets balances");
}
