//! HTTP: where questions come in, and what every response carries.
//!
//! `POST /graphql` answers for all networks, `POST /graphql/{chainId}` for one; both answer errors of GraphQL with 200.
//! A GET of either is a browser's look at the page, or the handshake of a WebSocket. Every response has an `x-request-id`, every answer from the database an `x-block`. Reads are open to any origin.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_graphql::dynamic::Schema;
use async_graphql::{Request, Response as GraphResponse};
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, MatchedPath, Path, Request as HttpRequest, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use super::cache::{self, Answer, Answers, Question};
use super::documents::Documents;
use super::error::{self, Code};
use super::files;
use super::graphiql;
use super::ops;
use super::schema;
use super::session::Session;
use super::socket::{self, Sockets};
use crate::config::Api;
use crate::metrics;
use crate::store::Store;
use crate::store::query::{Limits, Subscriptions};
use crate::submit::Submitter;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const BLOCK: HeaderName = HeaderName::from_static("x-block");

/// Longest `x-request-id` of a client that is passed on, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

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
            documents: Documents::new(),
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

    /// Waits until the last WebSocket has ended, once the stop is asked for.
    pub async fn sockets_closed(&self) {
        self.sockets.closed().await;
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
}

/// Every route: GraphQL, the page for browsers at the same addresses, and what operators ask. `recorder` renders the
/// metrics of this process.
pub fn router(state: ApiState, recorder: Option<PrometheusHandle>) -> Router {
    let limit = DefaultBodyLimit::max(state.config.max_body_bytes);
    Router::new()
        .route("/graphql", post(all_networks).get(page_or_socket_of_all))
        .route("/graphql/{chain_id}", post(one_network).get(page_or_socket_of_one))
        .layer(limit)
        .with_state(state.clone())
        .merge(graphiql::routes())
        .merge(files::routes(state.clone()))
        .merge(ops::routes(state, recorder))
        .fallback(nothing)
        .layer(from_fn(with_headers))
}

/// Nothing is at that address.
async fn nothing() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "there is nothing at this address; GraphQL is at /graphql\n")
}

async fn all_networks(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    respond(&state, None, &headers, body).await
}

async fn one_network(
    State(state): State<ApiState>,
    Path(chain_id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    match read_chain_id(&chain_id) {
        Ok(chain_id) => respond(&state, Some(chain_id), &headers, body).await,
        Err(refusal) => *refusal,
    }
}

/// A GET is a WebSocket's handshake, or a browser's look at the page.
async fn page_or_socket_of_all(
    State(state): State<ApiState>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match upgrade {
        Ok(upgrade) => socket::accept(state, None, upgrade),
        Err(_) => graphiql::page(headers).await,
    }
}

async fn page_or_socket_of_one(
    State(state): State<ApiState>,
    Path(chain_id): Path<String>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match (upgrade, read_chain_id(&chain_id)) {
        (Ok(upgrade), Ok(chain_id)) => socket::accept(state, Some(chain_id), upgrade),
        (Ok(_), Err(refusal)) => *refusal,
        (Err(_), _) => graphiql::page(headers).await,
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
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match receive(state, headers, body) {
        Ok(body) => body,
        Err(refusal) => return *refusal,
    };
    let known = if state.answers.is_on() { state.store.state() } else { None };
    let question = known.map(|known| Question { state: known, chain_id, body: body.clone() });
    if let Some(question) = &question
        && let Some(answer) = state.answers.get(question).await
    {
        return as_sent(&answer);
    }
    let Some(mut request) = read(&body) else {
        let message = "the body must be one JSON object with `query`, and `variables` if it has any";
        return refuse(StatusCode::BAD_REQUEST, Code::BadInput, message);
    };
    let lasts = match state.documents.read(&mut request).await {
        Ok(lasts) => lasts,
        Err((code, message)) => return refuse(StatusCode::OK, code, &message),
    };
    // Boxed, because an answer that is kept must not carry the future of one that is not.
    let work = Box::pin(worked_out(state, chain_id, request));
    let Some(question) = question.filter(|_| lasts) else {
        cache::pass();
        return as_sent(&work.await);
    };
    as_sent(&*state.answers.get_or(question, work).await)
}

/// Answers a query, as it is sent.
async fn worked_out(state: &ApiState, chain_id: Option<i64>, request: Request) -> Answer {
    let Answered { response, blocks, is_newest } = answer(state, chain_id, request).await;
    let written = serde_json::to_vec(&response).inspect_err(|reason| {
        tracing::error!(%reason, "a response could not be written");
    });
    Answer {
        lasts: is_newest && response.errors.is_empty() && written.is_ok(),
        body: written.unwrap_or_default().into(),
        blocks: blocks.and_then(|blocks| HeaderValue::from_str(&blocks).ok()),
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

/// Answers a query.
pub(super) async fn answer(state: &ApiState, chain_id: Option<i64>, request: Request) -> Answered {
    let session = Session::new(Arc::clone(&state.store), &state.config, chain_id);
    let (query, variables, operation) =
        (request.query.clone(), request.variables.clone(), request.operation_name.clone());
    let in_transaction = session.anew();
    let (answered, has_moved) = try_to_answer(state, session, request).await;
    if !has_moved {
        return answered;
    }
    let mut again = Request::new(query).variables(variables);
    again.operation_name = operation;
    try_to_answer(state, in_transaction, again).await.0
}

/// What comes out of a query, and whether a commit came meanwhile, so that it is not of one state.
async fn try_to_answer(state: &ApiState, session: Session, request: Request) -> (Answered, bool) {
    let session = Arc::new(session);
    let request = request.data(Arc::clone(&session));
    let answered = tokio::time::timeout_at(session.deadline(), state.schema.execute(request)).await;
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
    let json = headers.get(CONTENT_TYPE).is_none_or(|value| value.as_bytes().starts_with(b"application/json"));
    // A browser asks before it sends JSON to another origin, but not before it sends a form or plain text.
    if !json {
        let message = "send the query as JSON, with content-type: application/json";
        return Err(Box::new(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::BadInput, message)));
    }
    Ok(body)
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

fn as_http(status: StatusCode, response: &GraphResponse) -> Response {
    match serde_json::to_vec(response) {
        Ok(body) => (status, [(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(reason) => {
            tracing::error!(%reason, "a response could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Gives every response its request id, and any origin leave to read it.
async fn with_headers(request: HttpRequest, next: Next) -> Response {
    let id = request_id(request.headers());
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let mut response = if request.method() == Method::OPTIONS {
        preflight()
    } else {
        let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
        tracing::Instrument::instrument(next.run(request), span).await
    };
    let status = response.status().as_str().to_owned();
    ::metrics::histogram!(metrics::HTTP_DURATION, "route" => route, "status" => status).record(started.elapsed());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-request-id, x-block"));
    response
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (ACCESS_CONTROL_ALLOW_HEADERS, "content-type, authorization, x-request-id"),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// The client's own request id, if it is one, else a new one that no other process draws.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let own = headers.get(REQUEST_ID).filter(|id| {
        (1..=MAX_REQUEST_ID_BYTES).contains(&id.len())
            && id.as_bytes().iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
    });
    own.cloned().unwrap_or_else(|| {
        let id = format!("{:016x}-{:x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed));
        HeaderValue::from_str(&id).expect("hex digits are a header's value")
    })
}
