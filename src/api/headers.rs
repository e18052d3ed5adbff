//! What every response carries: its request id, who may read it in a browser, and what a browser may not do with it.
//!
//! Nothing of this API rides on cookies, so any origin may read it, unless the configuration lists those that may.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::config::{Api, Origins};
use crate::metrics;

/// The request's id: the client's own, or one that is made for it.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest `x-request-id` of a client that is passed on, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// What a page of another origin may read beside the body.
const EXPOSED: &str = "x-request-id, x-block, x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, retry-after";

/// What a browser may do with an answer that is no page: nothing. The page for browsers has a policy of its own.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";

/// Gives every response its headers, and measures it.
pub(super) async fn with_headers(State(config): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let started = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let origin = request.headers().get(ORIGIN).cloned();
    let mut response = if request.method() == Method::OPTIONS {
        preflight()
    } else {
        let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
        tracing::Instrument::instrument(next.run(request), span).await
    };
    let status = response.status().as_u16().to_string();
    ::metrics::histogram!(metrics::HTTP_DURATION, "route" => route, "status" => status).record(started.elapsed());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    secure(headers);
    open_to(headers, &config.allowed_origins, origin);
    response
}

/// Keeps browsers from guessing types, from telling others the address, and from showing an answer inside another page.
fn secure(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NOTHING));
}

/// Says which origin may read the response: any, or the one that asks if it is listed.
fn open_to(headers: &mut HeaderMap, allowed: &Origins, origin: Option<HeaderValue>) {
    if !allowed.is_any() {
        // A cache in between must not hand one origin's leave to another.
        headers.append(VARY, HeaderValue::from_static("origin"));
    }
    let leave = if allowed.is_any() {
        Some(HeaderValue::from_static("*"))
    } else {
        origin.filter(|origin| allowed.takes(origin.as_bytes()))
    };
    if let Some(leave) = leave {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, leave);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
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
