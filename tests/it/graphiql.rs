//! GraphiQL in a real browser without a network: the page with its workers, queries, and a subscription, without one
//! complaint of the browser and without one request to another host.

use async_graphql::Value as GraphQLValue;
use async_graphql::dynamic::{
    Enum, Field, FieldFuture, FieldValue, InputValue, Object, Schema, Subscription, SubscriptionField,
    SubscriptionFieldFuture, TypeRef,
};
use async_graphql::http::ALL_WEBSOCKET_PROTOCOLS;
use async_graphql_axum::{GraphQL, GraphQLProtocol, GraphQLWebSocket};
use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, Response};
use axum::routing::get;
use futures_util::{TryStreamExt, stream};
use meikan::api::graphiql;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::graphql::support::{CHAIN, Node, registered};
use crate::support::chromium::{Browser, Page};

const EDITOR: &str = ".graphiql-query-editor";
const TAB: &str = ".graphiql-tab";
const RUN: &str = ".graphiql-execute-button";
const RESPONSE: &str = ".graphiql-response";

#[tokio::test]
async fn the_page_answers_its_first_query_without_a_network() {
    let node = serve(node()).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("{node}/graphql")).await;
    page.wait_for_text(EDITOR, "query AgentsWithFeedback { networks {").await;
    page.click(RUN).await;
    page.wait_for_text(RESPONSE, r#""name": "taiko", "chainId": 167000"#).await;
    page.wait_for_text(RESPONSE, r#""name": "Weather oracle""#).await;
    assert_clean(&browser, &node);
    browser.close().await;
}

#[tokio::test]
async fn the_page_of_one_network_asks_that_network() {
    let node = serve(node()).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("{node}/graphql/167000")).await;
    page.wait_for_text(EDITOR, "query AgentsWithFeedback { _meta {").await;
    page.wait_for_text(".graphiql-logo", "Meikan · 167000").await;
    page.click(RUN).await;
    page.wait_for_text(RESPONSE, r#""hasIndexingErrors": false"#).await;
    run(&page, "First", "query First { agents(first: 1) { id } }").await;
    page.wait_for_text(RESPONSE, r#"{ "data": { "agents": [ { "id": "167000:7" } ] } }"#).await;
    assert_clean(&browser, &node);
    assert!(!browser.requests().contains(&format!("{node}/graphql")), "it asks only the address it was opened at");
    browser.close().await;
}

#[tokio::test]
async fn the_editor_knows_the_schema() {
    let node = serve(node()).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("{node}/graphql")).await;
    page.wait_for_text(EDITOR, "query AgentsWithFeedback").await;
    write(&page, "query Wrong { agents { salary } }").await;
    page.wait_until("a mark under the unknown field", "document.querySelector('.squiggly-error')").await;
    write(&page, "query Partial { agents { registr").await;
    page.press_control(' ').await;
    page.wait_for_text(".suggest-widget", "registrationFile").await;
    // A worker starts when it pleases, and its request is known once it is watched.
    for worker in ["editor", "graphql", "json"] {
        browser.wait_for_request(&format!("{node}/graphiql/{worker}.worker-")).await;
    }
    assert_clean(&browser, &node);
    browser.close().await;
}

#[tokio::test]
async fn a_subscription_goes_over_the_same_path() {
    let node = serve(node()).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("{node}/graphql/167000")).await;
    page.wait_for_text(EDITOR, "query AgentsWithFeedback").await;
    run(&page, "Heads", "subscription Heads { blocks { number } }").await;
    page.wait_for_text(RESPONSE, r#"{ "data": { "blocks": { "number": 3 } } }"#).await;
    assert_clean(&browser, &node);
    let socket = format!("{}/graphql/167000", node.replace("http://", "ws://"));
    assert!(browser.requests().contains(&socket), "{socket} is not among {:#?}", browser.requests());
    browser.close().await;
}

#[tokio::test]
async fn a_subscription_follows_a_node() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "ipfs://first")).await;
    let browser = Browser::start().await;
    let page = browser.open(&format!("{}/graphql", node.address)).await;
    page.wait_for_text(EDITOR, "query AgentsWithFeedback").await;
    let follow = "subscription Follow { agents(after: \"0\") { op id node { agentURI } } }";
    run(&page, "Follow", follow).await;
    page.wait_for_text(RESPONSE, r#""id": "167000:0", "node": { "agentURI": "ipfs://first" }"#).await;
    history.block(registered(1, 1, "ipfs://second")).await;
    page.wait_for_text(RESPONSE, r#""op": "INSERT", "id": "167000:1""#).await;
    history.reorg(100, vec![]).await;
    page.wait_for_text(RESPONSE, r#""op": "RETRACT", "id": "167000:1", "node": null"#).await;
    assert_clean(&browser, &node.address);
    browser.close().await;
}

/// The tests above are worth what the browser notices, so here is a page that does what it must not.
#[tokio::test]
async fn the_browser_notices_what_a_page_must_not_do() {
    let page = "<!doctype html><link rel=icon href=data:,><script>var inline = 1</script><script src=/bad.js></script>";
    let script = "console.error('a sigh'); new Worker('/worker.js'); setTimeout(() => missing());";
    let worker = "fetch('http://outside.example/').catch(() => postMessage('gone'));";
    let javascript = [("content-type", "text/javascript")];
    let bad = Router::new()
        .route("/", get(async move || ([("content-security-policy", graphiql::POLICY)], Html(page))))
        .route("/bad.js", get(async move || (javascript, script)))
        .route("/worker.js", get(async move || (javascript, worker)));
    let node = serve(bad).await;
    let browser = Browser::start().await;
    browser.open(&node).await;
    browser.wait_for_complaint("Content Security Policy").await;
    browser.wait_for_complaint("a sigh").await;
    browser.wait_for_complaint("missing is not defined").await;
    browser.wait_for_complaint("ERR_NAME_NOT_RESOLVED").await;
    assert!(browser.requests().contains(&"http://outside.example/".to_owned()), "{:#?}", browser.requests());
    browser.close().await;
}

/// Replaces what is in the query editor by an operation of this name, and runs it. GraphiQL sends the name along, as soon
/// as the tab shows it.
async fn run(page: &Page, name: &str, operation: &str) {
    write(page, operation).await;
    page.wait_for_text(TAB, name).await;
    page.click(RUN).await;
}

async fn write(page: &Page, operation: &str) {
    page.click(EDITOR).await;
    page.press_control('a').await;
    page.type_text(operation).await;
    page.wait_for_text(EDITOR, operation).await;
}

fn assert_clean(browser: &Browser, node: &str) {
    assert!(browser.complaints().is_empty(), "the browser complains: {:#?}", browser.complaints());
    let own = [format!("{node}/"), format!("{}/", node.replace("http://", "ws://")), "data:".to_owned()];
    let requests = browser.requests();
    let foreign: Vec<_> = requests.iter().filter(|url| !own.iter().any(|start| url.starts_with(start))).collect();
    assert!(foreign.is_empty(), "the page left the node: {foreign:#?}");
}

/// A server on a free port of 127.0.0.1; it lives as long as the test. Returns its origin.
async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// A node with the routes of the real one, and just enough of a schema for the queries here.
fn node() -> Router {
    assert!(graphiql::is_bundled(), "this build has no GraphiQL: run `make web` and test again");
    let schema = schema();
    let graphql = get(page_or_socket).post_service(GraphQL::new(schema.clone()));
    Router::new()
        .route("/graphql", graphql.clone())
        .route("/graphql/{chainId}", graphql)
        .merge(graphiql::routes())
        .with_state(schema)
}

async fn page_or_socket(
    State(schema): State<Schema>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    protocol: Result<GraphQLProtocol, StatusCode>,
    headers: HeaderMap,
) -> Response {
    match (upgrade, protocol) {
        (Ok(upgrade), Ok(protocol)) => upgrade
            .protocols(ALL_WEBSOCKET_PROTOCOLS)
            .on_upgrade(move |socket| GraphQLWebSocket::new(socket, schema, protocol).serve()),
        _ => graphiql::page(headers).await,
    }
}

/// The types that the page's first queries and the tests ask for, named as the node names them.
const TYPES: [(&str, &[(&str, &str)]); 7] = [
    ("Query", &[("networks", "[Network]"), ("_meta", "_Meta_"), ("agents", "[Agent]")]),
    ("Network", &[("name", "String"), ("chainId", "Int"), ("indexed", "_Block_"), ("lagSeconds", "Int")]),
    ("_Meta_", &[("block", "_Block_"), ("hasIndexingErrors", "Boolean")]),
    ("_Block_", &[("number", "Int"), ("hash", "String"), ("timestamp", "Int")]),
    (
        "Agent",
        &[
            ("id", "ID"),
            ("owner", "String"),
            ("totalFeedback", "String"),
            ("registrationFile", "AgentRegistrationFile"),
            ("feedback", "[Feedback]"),
        ],
    ),
    ("AgentRegistrationFile", &[("name", "String"), ("description", "String")]),
    (
        "Feedback",
        &[
            ("clientAddress", "String"),
            ("value", "String"),
            ("tag1", "String"),
            ("tag2", "String"),
            ("isRevoked", "Boolean"),
        ],
    ),
];

fn sample() -> Value {
    let block = json!({ "number": 4_305_747, "hash": "0x5bd1", "timestamp": 1_769_000_000 });
    let review = json!({ "clientAddress": "0xc1", "value": "93", "tag1": "starred", "tag2": "", "isRevoked": false });
    let file = json!({ "name": "Weather oracle", "description": "Tells tomorrow's rain" });
    json!({
        "networks": [{ "name": "taiko", "chainId": 167_000, "indexed": block, "lagSeconds": 2 }],
        "_meta": { "block": block, "hasIndexingErrors": false },
        "agents": [{
            "id": "167000:7", "owner": "0xa1", "totalFeedback": "1", "registrationFile": file, "feedback": [review],
        }],
    })
}

fn schema() -> Schema {
    let mut schema = Schema::build("Query", None, Some("Subscription"))
        .register(Subscription::new("Subscription").field(blocks()))
        .register(Enum::new("OrderDirection").items(["asc", "desc"]))
        .register(Enum::new("OrderBy").items(["totalFeedback", "createdAt"]));
    for (name, fields) in TYPES {
        schema = schema
            .register(fields.iter().fold(Object::new(name), |object, (name, kind)| object.field(field(name, kind))));
    }
    schema.finish().unwrap()
}

/// A field that hands out its parent's member of the same name, or the sample's where there is no parent.
fn field(name: &'static str, kind: &str) -> Field {
    let item = kind.trim_matches(['[', ']']);
    let kind = if item == kind { TypeRef::named(item) } else { TypeRef::named_list(item) };
    let member = move |parent: &GraphQLValue| match parent {
        GraphQLValue::Object(members) => members.get(name).cloned(),
        _ => GraphQLValue::from_json(sample()[name].clone()).ok(),
    };
    Field::new(name, kind, move |context| {
        let value = context.parent_value.as_value().and_then(member);
        FieldFuture::from_value(value)
    })
    .argument(InputValue::new("first", TypeRef::named(TypeRef::INT)))
    .argument(InputValue::new("orderBy", TypeRef::named("OrderBy")))
    .argument(InputValue::new("orderDirection", TypeRef::named("OrderDirection")))
}

/// Three blocks, one after the other.
fn blocks() -> SubscriptionField {
    SubscriptionField::new("blocks", TypeRef::named_nn("_Block_"), |_| {
        let blocks = (1..=3).map(|number| GraphQLValue::from_json(json!({ "number": number })).map_err(Into::into));
        SubscriptionFieldFuture::new(async { Ok(stream::iter(blocks).map_ok(FieldValue::value)) })
    })
}
