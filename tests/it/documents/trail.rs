//! The trail of writes, and how many of them somebody may make.

use meikan::config::{Documents, Limits, Network, Quota};
use meikan::document::Kind;
use meikan::store::Sender;
use meikan::submit::{Submission, Submitter};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::support::{Desk, Signed, by_hand, document_rows, person, registered};
use crate::graphql::support::{CHAIN, Node, network};
use crate::support::node::{DEADLINE, LOOK_EVERY};
use crate::support::postgres::connect;

#[tokio::test]
async fn every_attempt_is_written_down_and_no_signature_is() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (owner, client) = (person(1), person(2));
    history.block(registered(7, owner.address)).await;
    let given = world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, 1));
    let by_owner = world.signs(&owner, Kind::Feedback, &world.gives(owner.address, 7, 1));
    let broken = Signed { document: "{".into(), ..given.clone() };
    desk.hand_in(&given).await.unwrap();
    desk.hand_in(&given).await.unwrap();
    desk.hand_in(&by_owner).await.unwrap_err();
    desk.hand_in(&broken).await.unwrap_err();

    let database = connect(node.database.url()).await;
    let select = "SELECT kind, chain_id, signer, digest, outcome, reason, request_id, sender, w::text FROM write_audit w \
                  ORDER BY id";
    let rows = database.query(select, &[]).await.unwrap();
    let outcomes: Vec<&str> = rows.iter().map(|row| row.get(4)).collect();
    assert_eq!(outcomes, ["ACCEPTED", "REPEATED", "FORBIDDEN", "BAD_INPUT"]);
    for (row, (signed, has_digest)) in
        rows.iter().zip([(&given, true), (&given, true), (&by_owner, true), (&broken, false)])
    {
        assert_eq!((row.get::<_, &str>(0), row.get::<_, i64>(1)), ("FEEDBACK", i64::try_from(CHAIN).unwrap()));
        assert_eq!(row.get::<_, &str>(2), signed.signer);
        assert_eq!(row.get::<_, Option<&[u8]>>(3), has_digest.then(|| signed.digest.as_slice()));
        assert!(row.get::<_, &str>(6).len() >= 8, "{row:?}");
        assert!(!row.get::<_, &str>(8).contains(&signed.signature[2..34]), "{row:?}");
    }
    let reasons: Vec<&str> = rows.iter().map(|row| row.get(5)).collect();
    assert_eq!(reasons[..2], ["", ""]);
    assert!(reasons[2].contains("cannot give feedback") && reasons[3].contains("not JSON"), "{reasons:?}");
}

#[tokio::test]
async fn whoever_hands_in_too_much_is_turned_away_and_nobody_uses_up_another_s_limit() {
    let signer = Quota { feedback_per_hour: 2, ..Quota::default() };
    let node = Node::gated(Limits { signer, ..Limits::default() }).await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (client, other) = (person(2), person(3));
    history.block(registered(7, person(1).address)).await;
    let gives = |value: i64| world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, value));
    // In another's name without their signature: it counts against nobody.
    let forged = Signed {
        signer: world.account(client.address),
        ..world.signs(&other, Kind::Feedback, &world.gives(client.address, 7, 0))
    };
    for _ in 0..3 {
        assert_eq!(desk.refusal(&forged).await, "UNAVAILABLE");
    }
    desk.hand_in(&gives(1)).await.unwrap();
    desk.hand_in(&gives(2)).await.unwrap();
    let rows = document_rows(&node.database).await;
    let (code, message) = desk.hand_in(&gives(3)).await.unwrap_err();
    assert_eq!(code, "RATE_LIMITED", "{message}");
    assert_eq!(document_rows(&node.database).await, rows);
    desk.hand_in(&world.signs(&other, Kind::Feedback, &world.gives(other.address, 7, 1))).await.unwrap();
    let database = connect(node.database.url()).await;
    let limited = "SELECT signer, reason FROM write_audit WHERE outcome = 'RATE_LIMITED'";
    let limited = database.query_one(limited, &[]).await.unwrap();
    assert_eq!(json!(limited.get::<_, &str>(0)), json!(world.account(client.address)));
    assert_eq!(limited.get::<_, &str>(1), message);
}

#[tokio::test]
async fn what_was_refused_is_forgotten_after_a_while_and_what_was_taken_never_is() {
    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    let (owner, client) = (person(1), person(2));
    history.block(registered(7, owner.address)).await;
    let given = world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, 1));
    let by_owner = || world.signs(&owner, Kind::Feedback, &world.gives(owner.address, 7, 1));
    desk.hand_in(&given).await.unwrap();
    desk.hand_in(&by_owner()).await.unwrap_err();
    let database = connect(node.database.url()).await;
    database.batch_execute("UPDATE write_audit SET at = at - interval '91 days'").await.unwrap();
    desk.hand_in(&by_owner()).await.unwrap_err();
    assert_eq!(node.store.forget_refused(90).await.unwrap(), 1);
    assert_eq!(node.store.forget_refused(90).await.unwrap(), 0);
    let rows = database.query("SELECT outcome FROM write_audit ORDER BY id", &[]).await.unwrap();
    let outcomes: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(outcomes, ["ACCEPTED", "FORBIDDEN"]);
}

#[tokio::test]
async fn who_goes_before_it_is_known_who_signed_is_written_down_too() {
    let node = Node::start().await;
    let world = by_hand();
    let mut history = node.history(CHAIN).await;
    history.block(registered(7, person(1).address)).await;
    // An endpoint that takes connections and never answers is asked whether a wallet signed.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rpc_urls = vec![format!("http://{}", silent.local_addr().unwrap())];
    let submitter = Submitter::new(&node.store, Documents::default(), &[Network { rpc_urls, ..network(CHAIN) }]);
    let wallet = person(9).address;
    let signed = world.signs(&person(2), Kind::Feedback, &world.gives(wallet, 7, 1));
    let (document, signer) = (signed.document.as_str(), world.account(wallet));
    let submission = Submission { kind: Kind::Feedback, document, signer: &signer, signature: &signed.signature };
    let checked = submitter.check(submission, Sender::default());
    tokio::select! {
        _ = checked => panic!("nobody told it"),
        _ = silent.accept() => {}
    }
    let database = connect(node.database.url()).await;
    let noted = async {
        let select = "SELECT signer FROM write_audit WHERE outcome = 'TIMEOUT' AND kind = 'FEEDBACK'";
        loop {
            if let Some(row) = database.query_opt(select, &[]).await.unwrap() {
                break row.get::<_, String>(0);
            }
            sleep(LOOK_EVERY).await;
        }
    };
    assert_eq!(timeout(DEADLINE, noted).await.expect("it is written down"), signer);
}
