//! HTTP: where questions come in, and what every response carries.
//!
//! `POST /graphql` answers for all networks, `POST /graphql/{chainId}` for one; both answer errors of GraphQL with 200.
//! A GET of either is a browser's look at the page, or the handshake of a WebSocket, and asks nothing. Every answer from the
//! database has an `x-block`. Whoever asks comes in by the [`gate`](super::gate).

use std::sync::Arc;
use std::time::Duration;

use async_graphql::dynamic::Schema;
use async_graphql::{Request, Response as GraphResponse};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use super::cache::{self, Answer, Answers, Question};
use super::documents::Documents;
use super::error::{self, Code};
use super::files;
use super::gate::{Asked, Caller, Gate, Peer, Refusal, count_failure};
use super::graphiql;
use super::headers::with_headers;
use super::ops;
use super::schema;
use super::session::Session;
use super::socket::{self, Sockets};
use crate::config::{Api, Limits as Allowances};
use crate::limit::Limiter;
use crate::store::Store;
use crate::store::query::{Limits, Subscriptions};
use crate::submit::Submitter;
use crate::task::without_yielding;

const BLOCK: HeaderName = HeaderName::from_static("x-block");

/// What every request is answered with. Cloning is cheap.
#[derive(Clone)]
pub struct ApiState {
    store: Arc<Store>,
    config: Arc<Api>,
    schema: Schema,
    subscriptions: Arc<Subscriptions>,
    sockets: Sockets,
    answers: Answers,
    documents: Documents,
    gate: Arc<Gate>,
}

impl ApiState {
    /// The state of a server over a store, which ends with the process.
    #[must_use]
    pub fn new(store: Arc<Store>, config: Api) -> Self {
        Self::until(CancellationToken::new(), store, config)
    }

    /// The state of a server over a store. Once `stop` is cancelled its WebSockets end, each with what to go on from.
    #[must_use]
    pub fn until(stop: CancellationToken, store: Arc<Store>, config: Api) -> Self {
        let statement_timeout = Duration::from_millis(config.request_timeout_ms);
        let validation_expires_after = Duration::from_secs(config.validation_expires_after_seconds);
        let limits = Limits { max_rows: config.max_rows, statement_timeout, validation_expires_after };
        Self {
            subscriptions: Arc::new(Subscriptions::new(Arc::clone(&store), limits)),
            sockets: Sockets::new(&config, stop),
            answers: Answers::new(config.cache_megabytes),
            documents: Documents::new(&config),
            gate: Arc::new(Gate::new(Arc::clone(&store), Allowances::default(), Limiter::alone())),
            store,
            schema: schema::build(&config, None),
            config: Arc::new(config),
        }
    }

    /// The same, which takes signed documents.
    #[must_use]
    pub fn taking(self, submitter: Arc<Submitter>) -> Self {
        Self { schema: schema::build(&self.config, Some(submitter)), ..self }
    }

    /// The same, with limits on what anybody may do.
    #[must_use]
    pub fn limited(self, limits: Allowances, limiter: Limiter) -> Self {
        Self { gate: Arc::new(Gate::new(Arc::clone(&self.store), limits, limiter)), ..self }
    }

    /// Waits until the last WebSocket has ended, once the stop is asked for.
    pub async fn sockets_closed(&self) {
        self.sockets.closed().await;
    }

    /// How many requests came so far, by HTTP and within WebSockets.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.gate.requests()
    }

    /// The store that is read.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Api {
        &self.config
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn subscriptions(&self) -> &Arc<Subscriptions> {
        &self.subscriptions
    }

    pub(super) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    pub(super) fn documents(&self) -> &Documents {
        &self.documents
    }
}

/// Every route: GraphQL, the page for browsers at the same addresses, and what operators ask. `recorder` renders the
/// metrics of this process.
pub fn router(state: ApiState, recorder: Option<PrometheusHandle>) -> Router {
    let limit = DefaultBodyLimit::max(state.config.max_body_bytes);
    let config = Arc::clone(&state.config);
    Router::new()
        .route("/graphql", post(all_networks).get(page_or_socket_of_all))
        .route("/graphql/{chain_id}", post(one_network).get(page_or_socket_of_one))
        .layer(limit)
        .with_state(state.clone())
        .merge(graphiql::routes())
        .merge(files::routes(state.clone()))
        .merge(ops::routes(state, recorder))
        .fallback(nothing)
        .layer(from_fn_with_state(config, with_headers))
}

/// Nothing is at that address.
async fn nothing() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "there is nothing at this address; GraphQL is at /graphql\n")
}

async fn all_networks(
    State(state): State<ApiState>,
    peer: Peer,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    respond(&state, None, peer, &headers, body).await
}

async fn one_network(
    State(state): State<ApiState>,
    Path(chain_id): Path<String>,
    peer: Peer,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match read_chain_id(&chain_id) {
        Ok(chain_id) => respond(&state, Some(chain_id), peer, &headers, body).await,
        Err(refusal) => *refusal,
    }
}

/// A GET is a WebSocket's handshake, or a browser's look at the page.
async fn page_or_socket_of_all(
    State(state): State<ApiState>,
    peer: Peer,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => open_socket(state, None, peer, &headers, upgrade).await,
        Err(_) => graphiql::page(headers).await,
    }
}

async fn page_or_socket_of_one(
    State(state): State<ApiState>,
    Path(chain_id): Path<String>,
    peer: Peer,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match (upgrade, read_chain_id(&chain_id)) {
        (Ok(upgrade), Ok(chain_id)) => open_socket(state, Some(chain_id), peer, &headers, upgrade).await,
        (Ok(_), Err(refusal)) => *refusal,
        (Err(_), _) => graphiql::page(headers).await,
    }
}

/// Opens a WebSocket. A browser asks no leave for one, as it does for a request, so its origin is looked at here.
async fn open_socket(
    state: ApiState,
    chain_id: Option<i64>,
    peer: Peer,
    headers: &HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if headers.get(ORIGIN).is_some_and(|origin| !state.config.allowed_origins.takes(origin.as_bytes())) {
        count_failure("origin");
        return refuse(StatusCode::FORBIDDEN, Code::Forbidden, "pages of this origin may not connect to this node");
    }
    match state.gate.enter(peer, headers).await {
        Ok(caller) => socket::accept(state, chain_id, caller, upgrade),
        Err(refusal) => refusal.response(),
    }
}

fn read_chain_id(text: &str) -> Result<i64, Box<Response>> {
    text.parse::<i64>().ok().filter(|chain_id| *chain_id >= 0).ok_or_else(|| {
        let message = "the address must end in a chain id, such as /graphql/167000";
        Box::new(refuse(StatusCode::NOT_FOUND, Code::NotFound, message))
    })
}

async fn respond(
    state: &ApiState,
    chain_id: Option<i64>,
    peer: Peer,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let caller = match state.gate.enter(peer, headers).await {
        Ok(caller) => Arc::new(caller),
        Err(refusal) => return refusal.response(),
    };
    let mut response = match receive(state, headers, body) {
        Ok(body) => respond_to(state, chain_id, &caller, body).await.unwrap_or_else(|refusal| refusal.response()),
        Err(refusal) => *refusal,
    };
    caller.tell(&mut response);
    response
}

/// Answers somebody who was let in.
async fn respond_to(
    state: &ApiState,
    chain_id: Option<i64>,
    caller: &Arc<Caller>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let known = if state.answers.is_on() { state.store.state(chain_id) } else { None };
    let question = known.map(|known| Question { state: known, chain_id, body: body.clone() });
    if let Some(question) = &question
        && let Some(answer) = state.answers.get(question).await
    {
        caller.asks(answer.asked).await?;
        return Ok(as_sent(&answer));
    }
    let Some(mut request) = read(&body) else {
        let message = "the body must be one JSON object with `query`, and `variables` if it has any; lists of queries are \
                       not taken, send each in a request of its own";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, Code::BadInput, message));
    };
    let known = state.documents.read(&mut request).await;
    let (lasts, asked) = known.map_err(|(code, message)| Refusal::new(StatusCode::OK, code, message))?;
    caller.asks(asked).await?;
    // Boxed, because an answer that is kept must not carry the future of one that is not.
    let work = Box::pin(worked_out(state, chain_id, Arc::clone(caller), request, asked));
    let Some(question) = question.filter(|_| lasts) else {
        cache::pass();
        return Ok(as_sent(&work.await));
    };
    Ok(as_sent(&*state.answers.get_or(&question, work).await))
}

/// Answers a query, as it is sent.
async fn worked_out(
    state: &ApiState,
    chain_id: Option<i64>,
    caller: Arc<Caller>,
    request: Request,
    asked: Asked,
) -> Answer {
    let Answered { response, blocks, is_newest } = answer(state, chain_id, caller, request).await;
    let written = serde_json::to_vec(&response).inspect_err(|reason| {
        tracing::error!(%reason, "a response could not be written");
    });
    Answer {
        lasts: is_newest && response.errors.is_empty() && written.is_ok(),
        body: cache::to_keep(written.unwrap_or_default()),
        blocks: blocks.and_then(|blocks| HeaderValue::from_str(&blocks).ok()),
        asked,
    }
}

fn as_sent(answer: &Answer) -> Response {
    // Nothing that was answered is empty.
    if answer.body.is_empty() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut response = ([(CONTENT_TYPE, "application/json")], answer.body.clone()).into_response();
    if let Some(blocks) = &answer.blocks {
        response.headers_mut().insert(BLOCK, blocks.clone());
    }
    response
}

/// What came out of a query.
pub(super) struct Answered {
    pub(super) response: GraphResponse,
    /// As of which block each network was answered.
    blocks: Option<String>,
    /// Whether that is the newest state that is known of.
    is_newest: bool,
}

/// Answers a query of somebody.
pub(super) async fn answer(state: &ApiState, chain_id: Option<i64>, caller: Arc<Caller>, request: Request) -> Answered {
    let session = Session::new(Arc::clone(&state.store), &state.config, chain_id);
    let (query, variables, operation) =
        (request.query.clone(), request.variables.clone(), request.operation_name.clone());
    let in_transaction = session.anew();
    let (answered, has_moved) = try_to_answer(state, session, request.data(Arc::clone(&caller))).await;
    if !has_moved {
        return answered;
    }
    let mut again = Request::new(query).variables(variables);
    again.operation_name = operation;
    try_to_answer(state, in_transaction, again.data(caller)).await.0
}

/// What comes out of a query, and whether a commit came meanwhile, so that it is not of one state.
async fn try_to_answer(state: &ApiState, session: Session, request: Request) -> (Answered, bool) {
    let session = Arc::new(session);
    let request = request.data(Arc::clone(&session));
    let executed = without_yielding(state.schema.execute(request));
    let answered = tokio::time::timeout_at(session.deadline(), executed).await;
    // What ran out of time is not tried again.
    let has_moved = answered.is_ok() && session.has_moved().await;
    let mut response = answered.unwrap_or_else(|_| {
        error::response(Code::Timeout, "the query took too long; ask for fewer rows or add a filter")
    });
    // An answer is whole or an error, as graph-node's: half of one would lack fields that the schema promises.
    if !response.errors.is_empty() {
        response.data = async_graphql::Value::Null;
    }
    let (blocks, is_newest) = (session.blocks(), session.is_newest());
    session.close().await;
    (Answered { response, blocks, is_newest }, has_moved)
}

/// The body of a question, if it came whole and is said to be JSON.
fn receive(state: &ApiState, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Bytes, Box<Response>> {
    let body = body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let message = format!("the body is larger than {} bytes", state.config.max_body_bytes);
            Box::new(refuse(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, &message))
        } else {
            Box::new(refuse(StatusCode::BAD_REQUEST, Code::BadInput, "the body did not arrive in full"))
        }
    })?;
    // A browser asks before it sends JSON to another origin, but not before it sends a form, plain text or bytes.
    if !is_json(headers) {
        let message = "send the query as JSON, with content-type: application/json";
        return Err(Box::new(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::BadInput, message)));
    }
    Ok(body)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

/// Reads one question out of a body.
fn read(body: &Bytes) -> Option<Request> {
    // A list would be read as an object's members in order: lists of queries are not taken.
    let object = body.trim_ascii_start().first() == Some(&b'{');
    if object { serde_json::from_slice::<Request>(body).ok() } else { None }
}

pub(super) fn refuse(status: StatusCode, code: Code, message: &str) -> Response {
    as_http(status, &error::response(code, message))
}

pub(super) fn as_http(status: StatusCode, response: &GraphResponse) -> Response {
    match serde_json::to_vec(response) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(reason) => {
            tracing::error!(%reason, "a response could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
