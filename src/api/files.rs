//! `GET /files/{cid}`: files that documents made, by the names of their contents. What has such a name never changes.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::router::ApiState;
use crate::document::Cid;

/// The routes.
pub(super) fn routes(state: ApiState) -> Router {
    Router::new().route("/files/{cid}", get(file)).with_state(state)
}

async fn file(State(state): State<ApiState>, Path(cid): Path<String>, headers: HeaderMap) -> Response {
    let Ok(cid) = cid.parse::<Cid>() else {
        let message = "a file's name is a CIDv1 (raw, sha2-256) in base32, such as bafkrei…\n";
        return (StatusCode::NOT_FOUND, message).into_response();
    };
    let tag = format!("\"{cid}\"");
    let content = match state.store().served_file(&cid).await {
        Ok(Some(content)) => content,
        Ok(None) => return (StatusCode::NOT_FOUND, "this node made no file of that name\n").into_response(),
        Err(error) => {
            tracing::warn!(%error, "a file could not be read");
            return (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be reached; try again\n").into_response();
        }
    };
    let named = [
        (ETAG, tag.as_str()),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        // A page that somebody's words would make runs nothing and reaches nothing.
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_TYPE, "application/json"),
    ];
    let is_held = headers.get_all(IF_NONE_MATCH).iter().any(|held| holds(held.as_bytes(), &tag));
    if is_held { (StatusCode::NOT_MODIFIED, named).into_response() } else { (named, content).into_response() }
}

/// Whether a list of tags has one among them, weak or not.
fn holds(list: &[u8], tag: &str) -> bool {
    let list = String::from_utf8_lossy(list);
    list.split(',').map(str::trim).any(|held| held == "*" || held.trim_start_matches("W/") == tag)
}
