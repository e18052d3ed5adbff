//! Who comes in, and how much they may do: by IP address, by API key where one is shown, and by signer.
//!
//! What must always hold: a key that is shown is looked at before anything else, and a caller whose key is not taken is
//! refused, never served as somebody else. Everything that is counted is counted before it is done, answers that are kept
//! included. Limits are off unless configured.

mod address;
mod asked;
mod caller;
mod keys;
mod refusal;

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

pub(super) use self::asked::Asked;
pub(super) use self::caller::{Caller, Signed};
use self::caller::{Counters, Held};
use self::keys::{Keys, Shown, Untold};
pub(super) use self::refusal::Refusal;
use super::error::Code;
use super::headers::REQUEST_ID;
use crate::config::Limits;
use crate::key::Token;
use crate::limit::Limiter;
use crate::metrics;
use crate::store::{ApiKey, Store};

/// Counts a document, against the limits of its signer and of who sent it. A mutation calls this once it has found the
/// signature good, so that nobody uses up another's limit, and before it writes.
///
/// # Errors
/// `RATE_LIMITED` with `retryAfter`, which the resolver hands on.
pub(super) async fn admit_signer(
    ctx: &async_graphql::Context<'_>,
    signer: Address,
    signed: Signed,
) -> Result<(), async_graphql::Error> {
    let caller = ctx.data::<Arc<Caller>>()?;
    caller.signs(signer, signed).await.map_err(Refusal::into_error)
}

/// The address that a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(IpAddr);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A server that does not tell its peers apart counts them as one.
        let told = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(told.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())))
    }
}

/// Where everybody comes in.
pub(super) struct Gate {
    counters: Arc<Counters>,
    keys: Keys,
}

impl Gate {
    pub(super) fn new(store: Arc<Store>, limits: Limits, limiter: Limiter) -> Self {
        let keys = Keys::new(store, Duration::from_secs(limits.key_cache_seconds));
        Self { counters: Arc::new(Counters::new(limits, limiter)), keys }
    }

    /// How many requests came so far, by HTTP and within WebSockets.
    pub(super) fn requests(&self) -> u64 {
        self.counters.requests()
    }

    /// Lets a request in, and counts it.
    pub(super) async fn enter(&self, peer: Peer, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let address = address::client(peer.0, headers, &self.counters.limits.trusted_proxies);
        let key = self.key(address, Shown::in_headers(headers)).await?;
        let request_id = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or_default();
        let caller = Caller::new(Arc::clone(&self.counters), address, key, request_id);
        caller.request().await?;
        Ok(caller)
    }

    /// The caller with the key that a WebSocket's first message shows, in the form of the header.
    pub(super) async fn show(&self, caller: &Caller, authorization: &str) -> Result<Caller, Refusal> {
        Ok(caller.holding(self.key(caller.address, Shown::in_text(authorization)).await?))
    }

    /// Whether the key that a caller came in with still holds, as far as is known by now.
    pub(super) async fn look_again(&self, caller: &Caller) -> Result<(), Refusal> {
        let Some(held) = &caller.key else { return Ok(()) };
        self.key(caller.address, Shown::Token(held.token.clone())).await.map(|_| ())
    }

    /// The key that is shown; nothing where none is.
    async fn key(&self, address: IpAddr, shown: Shown) -> Result<Option<Held>, Refusal> {
        let reason = match shown {
            Shown::Nothing => return Ok(None),
            Shown::Malformed => "malformed",
            Shown::Token(token) => match self.known(address, &token).await? {
                Some(key) if key.revoked_at.is_none() => return Ok(Some(Held { token, key })),
                Some(_) => "revoked",
                None => "unknown",
            },
        };
        count_failure(reason);
        // Guesses are counted as the requests that they are.
        self.counters.of_address("", address).await?;
        Err(Refusal::new(
            StatusCode::UNAUTHORIZED,
            Code::Unauthenticated,
            "the API key is none that holds; send `authorization: Bearer mk_…`, or leave it out",
        ))
    }

    /// What is known of a key. Look-ups are limited by address, as its requests are and apart from them: keys that are made
    /// up cost the database no more than questions do.
    async fn known(&self, address: IpAddr, token: &Token) -> Result<Option<Arc<ApiKey>>, Refusal> {
        if let Some(known) = self.keys.remembered(token).await {
            return Ok(known);
        }
        self.counters.of_address("look-up:", address).await?;
        self.keys.look_up(token).await.map_err(|Untold| {
            count_failure("unavailable");
            Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Code::Unavailable,
                "the API key cannot be looked up now; try again",
            )
        })
    }
}

/// Counts a key or an origin that is not taken.
pub(super) fn count_failure(reason: &'static str) {
    ::metrics::counter!(metrics::AUTH_FAILURES, "reason" => reason).increment(1);
}
