//! One transaction that somebody names: as most endpoints tell it, or not at all.

use alloy::primitives::{Address, B256};
use meikan::chain::{Chain, ChainError};
use meikan::config::{Follow, Network};
use serde_json::{Value, json};

use super::support::{busy_chain, network};
use crate::support::fake_chain::{FakeChain, FakeEndpoint, Fault};

const PAID: B256 = B256::repeat_byte(0x77);

/// Requests that a fault answers: all.
const ALWAYS: usize = usize::MAX;

/// What an endpoint says of the transaction, in block 2: its receipt and the transaction itself.
fn told(fake: &FakeChain) -> [Value; 2] {
    let (hash, number) = (fake.block(2).hash, "0x2");
    let token = Address::repeat_byte(0x70);
    let log = json!({ "address": token, "topics": [B256::repeat_byte(1)], "data": "0x05", "blockNumber": number,
        "blockHash": hash, "transactionHash": PAID, "transactionIndex": "0x1", "logIndex": "0x3", "removed": false });
    let receipt = json!({ "transactionHash": PAID, "blockHash": hash, "blockNumber": number, "status": "0x1",
        "transactionIndex": "0x1", "logs": [log] });
    let transaction = json!({ "hash": PAID, "blockHash": hash, "blockNumber": number, "from": Address::repeat_byte(2),
        "to": token, "value": "0x0", "input": "0xa9059cbb" });
    [receipt, transaction]
}

fn tells(endpoint: &FakeEndpoint, [receipt, transaction]: [Value; 2]) {
    endpoint.fail("eth_getTransactionReceipt", ALWAYS, Fault::Result(receipt));
    endpoint.fail("eth_getTransactionByHash", ALWAYS, Fault::Result(transaction));
}

async fn connect(quorum: usize, urls: &[String]) -> Chain {
    let follow = Follow { quorum, ..Follow::default() };
    Chain::connect(&Network { follow, ..network(urls) }).await.expect("the endpoints are of the chain")
}

#[tokio::test]
async fn a_transaction_comes_with_its_block_and_all_of_its_logs() {
    let fake = busy_chain(3);
    tells(fake.endpoint(), told(&fake));
    let chain = connect(1, &[fake.url()]).await;
    let found = chain.transaction(PAID).await.unwrap().expect("it is there");
    assert_eq!((found.hash, found.block.number, found.block.hash), (PAID, 2, fake.block(2).hash));
    assert!(found.succeeded);
    assert_eq!((found.from, found.to), (Address::repeat_byte(2), Some(Address::repeat_byte(0x70))));
    assert_eq!((found.logs.len(), found.logs[0].log_index, &found.logs[0].data[..]), (1, 3, &[5][..]));
    assert_eq!(found.input[..], [0xa9, 0x05, 0x9c, 0xbb]);
}

#[tokio::test]
async fn f2_who_lags_does_not_hide_what_another_one_has() {
    let fake = busy_chain(3);
    let other = fake.another_endpoint();
    tells(fake.endpoint(), [Value::Null, Value::Null]);
    tells(&other, told(&fake));
    let chain = connect(1, &[fake.url(), other.url()]).await;
    assert!(chain.transaction(PAID).await.unwrap().is_some());
    // Where nobody has it, or it is still to come, there is none.
    for [receipt, mut transaction] in [[Value::Null, Value::Null], [Value::Null, told(&fake)[1].clone()], told(&fake)] {
        if !receipt.is_null() {
            transaction["blockHash"] = Value::Null;
        }
        let fake = busy_chain(3);
        tells(fake.endpoint(), [receipt, transaction]);
        let chain = connect(1, &[fake.url()]).await;
        assert_eq!(chain.transaction(PAID).await.unwrap(), None);
    }
}

#[tokio::test]
async fn f12_a_transaction_is_as_most_endpoints_tell_it_and_as_many_as_the_quorum_wants() {
    for liar in 0..3 {
        let fake = busy_chain(3);
        let others = [fake.another_endpoint(), fake.another_endpoint()];
        let endpoints = [fake.endpoint(), &others[0], &others[1]];
        for (place, endpoint) in endpoints.into_iter().enumerate() {
            let mut says = told(&fake);
            if place == liar {
                // It failed, in truth it did not.
                (says[0]["status"], says[0]["logs"]) = (json!("0x0"), json!([]));
            }
            tells(endpoint, says);
        }
        let urls = endpoints.map(FakeEndpoint::url);
        let chain = connect(2, &urls).await;
        let found = chain.transaction(PAID).await.unwrap().expect("it is there");
        assert!(found.succeeded, "the one at {liar} is believed");
        // Of two who differ nobody can say who is right.
        let pair = [urls[liar].clone(), urls[(liar + 1) % 3].clone()];
        let error = connect(2, &pair).await.transaction(PAID).await.expect_err("they are not at one");
        assert!(matches!(error, ChainError::Quorum { wanted: 2, answered: 1, .. }), "{error}");
    }
}

#[tokio::test]
async fn f12_what_does_not_belong_together_is_no_transaction() {
    let fake = busy_chain(3);
    let other = json!(B256::repeat_byte(9));
    for (part, pointer, what) in [
        (0, "/transactionHash", "another transaction's receipt"),
        (0, "/blockHash", "the receipt of another block"),
        (0, "/logs/0/transactionHash", "another transaction's log"),
        (0, "/logs/0/blockHash", "a log of another block"),
        (1, "/hash", "another transaction"),
        (1, "/blockHash", "the transaction in another block"),
    ] {
        let fake_of = busy_chain(3);
        let mut says = told(&fake);
        *says[part].pointer_mut(pointer).unwrap() = other.clone();
        tells(fake_of.endpoint(), says);
        let chain = connect(1, &[fake_of.url()]).await;
        let error = chain.transaction(PAID).await.expect_err(what).to_string();
        assert!(error.contains("(inconsistent)"), "{what}: {error}");
    }
}
