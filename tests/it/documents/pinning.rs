//! Files that documents make, pushed to a stand-in of an IPFS Pinning Service, which holds callers to its standard API.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use meikan::config::Documents;
use meikan::document::Kind;
use meikan::submit::Submitter;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::support::{Desk, by_hand, person, registered};
use crate::graphql::support::{CHAIN, Node};
use crate::support::node::{DEADLINE, LOOK_EVERY};
use crate::support::postgres::connect;

const TOKEN: &str = "a-token-that-nobody-may-see";

/// What the stand-in knows.
#[derive(Default)]
struct Pins {
    /// What was asked for, by request, with how often it was looked at.
    wishes: HashMap<String, (Value, u32)>,
    /// How many requests it turns away, one of them without the token.
    down: u32,
    stranger: u32,
}

type Shared = Arc<Mutex<Pins>>;

fn refusal(status: StatusCode, reason: &str) -> Response {
    (status, Json(json!({ "error": { "reason": reason } }))).into_response()
}

fn is_known(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|token| token.as_bytes() == format!("Bearer {TOKEN}").as_bytes())
}

async fn ask(State(pins): State<Shared>, headers: HeaderMap, Json(wish): Json<Value>) -> Response {
    let mut pins = pins.lock().unwrap();
    if !is_known(&headers) {
        pins.stranger += 1;
        return refusal(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
    }
    if pins.down > 0 {
        pins.down -= 1;
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "INTERNAL_SERVER_ERROR");
    }
    let request = format!("request {}/?", pins.wishes.len() + 1);
    pins.wishes.insert(request.clone(), (wish.clone(), 0));
    (StatusCode::ACCEPTED, Json(json!({ "requestid": request, "status": "queued", "pin": wish }))).into_response()
}

/// The first request of all fails; any other is under way once, and then done.
async fn look(State(pins): State<Shared>, headers: HeaderMap, Path(request): Path<String>) -> Response {
    let mut pins = pins.lock().unwrap();
    if !is_known(&headers) {
        return refusal(StatusCode::UNAUTHORIZED, "UNAUTHORIZED");
    }
    let Some((_, looks)) = pins.wishes.get_mut(&request) else { return refusal(StatusCode::NOT_FOUND, "NOT_FOUND") };
    *looks += 1;
    let status = match (request.as_str(), *looks) {
        ("request 1/?", _) => "failed",
        (_, 1) => "pinning",
        _ => "pinned",
    };
    Json(json!({ "requestid": request, "status": status })).into_response()
}

#[tokio::test]
async fn a_file_is_pushed_until_the_pinning_service_holds_it() {
    let pins = Shared::new(Mutex::new(Pins { down: 1, ..Pins::default() }));
    let router = Router::new().route("/psa/pins", post(ask)).route("/psa/pins/{request}", get(look));
    let router = router.with_state(Arc::clone(&pins));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/psa/", listener.local_addr().unwrap());
    let service = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let node = Node::start().await;
    let (world, desk) = (by_hand(), Desk::at(&node.address));
    let mut history = node.history(CHAIN).await;
    history.block(registered(7, person(1).address)).await;
    let client = person(2);
    let given = world.signs(&client, Kind::Feedback, &world.gives(client.address, 7, 1));
    let made = desk.hand_in_for(&given, "cid").await.unwrap();

    let rules = Documents {
        pinning_url: url,
        pinning_token: TOKEN.into(),
        pinning_origin: "https://node.example".into(),
        pinning_seconds: 1,
        ..Documents::default()
    };
    assert!(!format!("{rules:?}").contains(TOKEN));
    let wrong = Documents { pinning_token: "another".into(), ..rules.clone() };
    let stranger = Submitter::new(&node.store, wrong, &[]);
    let wait_for = async |what: &str, holds: &dyn Fn(&Pins) -> bool| {
        let held = async {
            while !holds(&pins.lock().unwrap()) {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(DEADLINE, held).await.unwrap_or_else(|_| panic!("never: {what}"));
    };
    wait_for("a token that is refused", &|pins| pins.stranger > 0).await;
    drop(stranger);
    let database = connect(node.database.url()).await;
    let pinned = "SELECT count(*) FROM served_file WHERE pinned_at IS NOT NULL";
    assert_eq!(database.query_one(pinned, &[]).await.unwrap().get::<_, i64>(0), 0);

    let _submitter = Submitter::new(&node.store, rules, &[]);
    let held = async {
        while database.query_one(pinned, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(DEADLINE, held).await.expect("the file is pinned");
    {
        let pins = pins.lock().unwrap();
        assert_eq!((pins.down, pins.wishes.len()), (0, 2), "turned away, failed, and held at last");
        let (wish, looks) = &pins.wishes["request 2/?"];
        assert_eq!(*looks, 2);
        let cid = made["cid"].as_str().unwrap();
        let expected = json!({ "cid": cid, "name": format!("{cid}.json"),
            "meta": { "url": format!("https://node.example/files/{cid}") } });
        assert_eq!(wish, &expected);
    }
    // What is pinned is left alone.
    assert_eq!(node.store.claim_unpinned(0).await.unwrap(), []);
    service.abort();
}
