//! Why somebody is not served, as an answer of GraphQL, of HTTP, and as an error of a resolver.

use async_graphql::{ErrorExtensionValues, Response as GraphResponse};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

use crate::api::error::{self, Code};
use crate::api::router::as_http;
use crate::limit::Verdict;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Why somebody is not served.
#[derive(Debug)]
pub(in crate::api) struct Refusal {
    status: StatusCode,
    pub(in crate::api) code: Code,
    pub(in crate::api) message: String,
    verdict: Option<Verdict>,
}

impl Refusal {
    pub(in crate::api) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), verdict: None }
    }

    /// What is refused when a limit is; nothing is when it grants.
    pub(super) fn of(verdict: Option<Verdict>, what: &str) -> Result<(), Self> {
        let Some((verdict, seconds)) = verdict.and_then(|verdict| Some((verdict, verdict.retry_after_seconds?))) else {
            return Ok(());
        };
        let message = format!("too many {what}; ask again in {seconds} s");
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, Code::RateLimited, message);
        Err(Self { verdict: Some(verdict), ..refusal })
    }

    /// As an answer of GraphQL.
    pub(in crate::api) fn graphql(&self) -> GraphResponse {
        let mut response = error::response(self.code, &self.message);
        for told in &mut response.errors {
            self.extend(&mut told.extensions);
        }
        response
    }

    /// As an answer of HTTP.
    pub(in crate::api) fn response(&self) -> Response {
        let mut response = as_http(self.status, &self.graphql());
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(verdict) = self.verdict {
            write(verdict, &mut response);
        }
        response
    }

    /// As an error of a resolver.
    pub(super) fn into_error(self) -> async_graphql::Error {
        let mut error = error::error(self.code, self.message.clone());
        self.extend(&mut error.extensions);
        error
    }

    fn extend(&self, extensions: &mut Option<ErrorExtensionValues>) {
        error::with_retry_after(extensions, self.verdict.and_then(|verdict| verdict.retry_after_seconds));
    }
}

/// Writes what is told of a limit into a response's headers; one that refused makes it a refusal.
pub(super) fn write(verdict: Verdict, response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(LIMIT, verdict.limit.into());
    headers.insert(REMAINING, verdict.remaining.into());
    headers.insert(RESET, verdict.reset_seconds.into());
    if let Some(seconds) = verdict.retry_after_seconds {
        headers.insert(RETRY_AFTER, seconds.into());
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    }
}
