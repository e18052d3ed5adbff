//! Files that documents made: `GET /files/{cid}` by the names of their contents, which never change, and the card of the agent
//! that this node is run for at `GET /.well-known/agent-card.json` (RFC 8615).

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use serde_json::{Map, Value, json};

use super::router::ApiState;
use crate::document::{Cid, Uint, canonical};
use crate::id::{AccountId, AgentId};
use crate::store::ServedCard;

/// The routes.
pub(super) fn routes(state: ApiState) -> Router {
    Router::new().route("/files/{cid}", get(file)).route("/.well-known/agent-card.json", get(card)).with_state(state)
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

/// The card of the configured agent, with where the agent is registered and where this node tells what others say of it.
async fn card(State(state): State<ApiState>, headers: HeaderMap) -> Response {
    let Ok(agent) = state.config().served_agent.parse::<AgentId>() else {
        return (StatusCode::NOT_FOUND, "this node serves no agent's card (api.served_agent)\n").into_response();
    };
    let served = match state.store().served_card(&agent).await {
        Ok(Some(served)) => served,
        Ok(None) => {
            let message = "the agent that this node serves has published no card, or changed hands since\n";
            return (StatusCode::NOT_FOUND, message).into_response();
        }
        Err(error) => {
            tracing::warn!(%error, "a card could not be read");
            return (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be reached; try again\n").into_response();
        }
    };
    let base = match state.config().public_url.as_str() {
        "" => format!("http://{}", headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost")),
        url => url.to_owned(),
    };
    let Some(content) = with_registrations(&served, &agent, &base) else {
        tracing::error!("a card that was kept is no JSON object");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let tag = format!("\"{}\"", Cid::of(content.as_bytes()));
    // A client asks again after five minutes, or learns at once that it has the newest.
    let named = [
        (ETAG, tag.as_str()),
        (CACHE_CONTROL, "public, max-age=300, must-revalidate"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_TYPE, "application/json"),
    ];
    let is_held = headers.get_all(IF_NONE_MATCH).iter().any(|held| holds(held.as_bytes(), &tag));
    if is_held { (StatusCode::NOT_MODIFIED, named).into_response() } else { (named, content).into_response() }
}

/// A card with its registrations (ERC-8004), and with this node's addresses for feedback and validations.
fn with_registrations(served: &ServedCard, agent: &AgentId, base: &str) -> Option<String> {
    let mut card: Map<String, Value> = serde_json::from_str(&served.content).ok()?;
    let registry = AccountId::new(agent.chain_id, served.registry);
    let graphql = format!("{base}/graphql/{}", agent.chain_id);
    card.insert("registrations".into(), json!([{ "agentId": Uint(agent.agent_id), "agentRegistry": registry }]));
    for name in ["feedbackDataURI", "validationRequestsURI", "validationResponsesURI"] {
        card.insert(name.into(), json!(graphql));
    }
    canonical(&card).ok()
}

/// Whether a list of tags has one among them, weak or not.
fn holds(list: &[u8], tag: &str) -> bool {
    let list = String::from_utf8_lossy(list);
    list.split(',').map(str::trim).any(|held| held == "*" || held.trim_start_matches("W/") == tag)
}
