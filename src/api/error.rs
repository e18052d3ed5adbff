//! Errors as clients see them: a code from a closed list, a sentence, and nothing of what is inside.
//!
//! [`Codes`] is the last to see every response: what has no code by then is either the client's own mistake, found by
//! validation, or a mistake of this node, whose text is logged and replaced.

use std::sync::Arc;

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextRequest, NextResolve, NextSubscribe, ResolveInfo,
};
use async_graphql::{ErrorExtensionValues, PathSegment, QueryPathSegment, Response, ServerError, ServerResult, Value};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

use super::tree::or_handed_out;
use crate::document::{Reason, Refusal};
use crate::metrics;
use crate::store::query::QueryError;

/// What kind of error it is, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The question is wrong; the message names the field.
    BadInput,
    /// The key that was shown is none, or holds no more.
    Unauthenticated,
    /// Whoever asks may not do that.
    Forbidden,
    /// What was asked for by name is not held.
    NotFound,
    /// The signer used the nonce before.
    NonceReplayed,
    /// A higher nonce was used before.
    NonceTooLow,
    /// The document's time is over, or not yet near.
    Expired,
    /// The signer did not sign the document.
    InvalidSignature,
    /// Requests would go in a circle.
    CircularDependency,
    /// The document contradicts what was said before.
    Conflict,
    /// Too much was asked in too little time; the error says when to ask again.
    RateLimited,
    /// The question reaches too much.
    TooComplex,
    /// The body is larger than the node takes.
    TooLarge,
    /// The answer took too long.
    Timeout,
    /// The block is not reached yet.
    NotYetIndexed,
    /// The cursor points into a history that is gone.
    CursorExpired,
    /// The database cannot be reached, or what is asked for is yet to be derived.
    Unavailable,
    /// A mistake of this node.
    Internal,
}

impl Code {
    /// The code of a refusal.
    fn of(reason: &Reason) -> Self {
        match reason {
            Reason::BadInput => Self::BadInput,
            Reason::TooLarge => Self::TooLarge,
            Reason::InvalidSignature => Self::InvalidSignature,
            Reason::NonceReplayed => Self::NonceReplayed,
            Reason::NonceTooLow => Self::NonceTooLow,
            Reason::Expired => Self::Expired,
            Reason::Forbidden => Self::Forbidden,
            Reason::NotFound => Self::NotFound,
            Reason::Conflict => Self::Conflict,
            Reason::CircularDependency { .. } => Self::CircularDependency,
            Reason::Unavailable => Self::Unavailable,
        }
    }

    /// Its spelling in `extensions.code`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadInput => "BAD_INPUT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::NonceReplayed => "NONCE_REPLAYED",
            Self::NonceTooLow => "NONCE_TOO_LOW",
            Self::Expired => "EXPIRED",
            Self::InvalidSignature => "INVALID_SIGNATURE",
            Self::CircularDependency => "CIRCULAR_DEPENDENCY",
            Self::Conflict => "CONFLICT",
            Self::RateLimited => "RATE_LIMITED",
            Self::TooComplex => "TOO_COMPLEX",
            Self::TooLarge => "TOO_LARGE",
            Self::Timeout => "TIMEOUT",
            Self::NotYetIndexed => "NOT_YET_INDEXED",
            Self::CursorExpired => "CURSOR_EXPIRED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// What a client is told of a mistake of this node.
const INTERNAL: &str = "something went wrong in this node; its log says what, beside this response's x-request-id";

/// An error of a resolver.
pub(super) fn error(code: Code, message: impl Into<String>) -> async_graphql::Error {
    let mut error = async_graphql::Error::new(message);
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code.name());
    error
}

/// An error of the store, as a client may see it.
pub(super) fn from_query(query_error: QueryError) -> async_graphql::Error {
    from_shared(&query_error)
}

/// The same, of an error that several are told of.
pub(super) fn from_shared(query_error: &QueryError) -> async_graphql::Error {
    let code = match query_error {
        QueryError::BadInput(_) => Code::BadInput,
        QueryError::NotFound(_) => Code::NotFound,
        QueryError::NotYetIndexed(_) => Code::NotYetIndexed,
        QueryError::CursorExpired(_) => Code::CursorExpired,
        QueryError::TooComplex(_) => Code::TooComplex,
        QueryError::Timeout => Code::Timeout,
        QueryError::Unavailable(_) | QueryError::NotDerived(_) | QueryError::Moved => Code::Unavailable,
        QueryError::Corrupt(reason) => {
            tracing::error!(reason, "a query found the database damaged");
            return error(Code::Internal, INTERNAL);
        }
        QueryError::Database(source) => {
            tracing::error!(error = ?source, "a query failed");
            return error(Code::Internal, INTERNAL);
        }
    };
    error(code, query_error.to_string())
}

/// The refusal of a document.
pub(super) fn from_refusal(refusal: &Refusal) -> async_graphql::Error {
    let mut error = error(Code::of(&refusal.reason), &refusal.message);
    if let Reason::CircularDependency { agents } = &refusal.reason {
        let extensions = error.extensions.get_or_insert_with(ErrorExtensionValues::default);
        extensions.set("depth", agents.len());
        extensions.set("agents", Value::List(agents.iter().map(|agent| Value::from(agent.as_str())).collect()));
    }
    error
}

/// A response that is nothing but an error.
pub(super) fn response(code: Code, message: &str) -> Response {
    let mut error = ServerError::new(message, None);
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code.name());
    Response::from_errors(vec![error])
}

/// A response that no schema gave, counted as those that one gives are.
pub(super) fn counted(response: Response) -> Response {
    with_codes(response)
}

/// Adds to a refusal in how many seconds to ask again.
pub(super) fn with_retry_after(extensions: &mut Option<ErrorExtensionValues>, seconds: Option<u64>) {
    if let Some(seconds) = seconds {
        extensions.get_or_insert_with(ErrorExtensionValues::default).set("retryAfter", seconds);
    }
}

/// Adds to an error of a subscription what to go on from.
pub(super) fn with_cursor(error: &mut ServerError, cursor: Option<String>) {
    if let Some(cursor) = cursor {
        error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("cursor", cursor);
    }
}

/// The extension that gives every error its code. It stands around every resolver, and so takes what one hands out, too.
pub(super) struct Codes;

impl ExtensionFactory for Codes {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Codes {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        with_codes(next.run(ctx).await)
    }

    /// Takes the value that a resolver hands out, and gives an error the path of its field, which async-graphql leaves out
    /// for roots.
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let field = info.path_node;
        or_handed_out(next.run(ctx, info)).await.map_err(|mut error| {
            if error.path.is_empty() {
                let from_below = std::iter::successors(Some(field), |node| node.parent);
                error.path = from_below.map(|node| segment(&node.segment)).collect();
                error.path.reverse();
            }
            error
        })
    }

    fn subscribe<'s>(
        &self,
        ctx: &ExtensionContext<'_>,
        stream: BoxStream<'s, Response>,
        next: NextSubscribe<'_>,
    ) -> BoxStream<'s, Response> {
        next.run(ctx, stream).map(with_codes).boxed()
    }
}

fn segment(segment: &QueryPathSegment<'_>) -> PathSegment {
    match segment {
        QueryPathSegment::Name(name) => PathSegment::Field((*name).to_owned()),
        QueryPathSegment::Index(index) => PathSegment::Index(*index),
    }
}

fn with_codes(mut response: Response) -> Response {
    for error in &mut response.errors {
        let known = error.extensions.as_ref().and_then(|extensions| extensions.get("code")).cloned();
        let code = match known {
            Some(Value::String(code)) => code,
            _ => {
                let code = classify(error);
                error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code.name());
                code.name().to_owned()
            }
        };
        ::metrics::counter!(metrics::GRAPHQL_ERRORS, "code" => code).increment(1);
    }
    response
}

/// An error without a code: with a path it happened while answering, without one while the question was read.
fn classify(error: &mut ServerError) -> Code {
    if !error.path.is_empty() {
        tracing::error!(error = %error.message, "a resolver failed");
        error.message = INTERNAL.to_owned();
        return Code::Internal;
    }
    if matches!(error.message.as_str(), "Query is too complex." | "Query is nested too deep.")
        || error.message.starts_with("The recursion depth of the query")
    {
        return Code::TooComplex;
    }
    if let Some(message) = unknown_field(&error.message).or_else(|| syntax(&error.message)) {
        error.message = message;
    }
    Code::BadInput
}

/// graph-node's wording of an unknown field: the standard's clients look for it, and then ask without the field.
fn unknown_field(message: &str) -> Option<String> {
    let rest = message.strip_prefix("Unknown field \"")?;
    let (field, rest) = rest.split_once("\" on type \"")?;
    let (name, hint) = rest.split_once('"')?;
    let hint = hint.trim_start_matches('.').trim();
    let hint = if hint.is_empty() { String::new() } else { format!(". {hint}") };
    Some(format!("Type `{name}` has no field `{field}`{hint}"))
}

/// One sentence about a query that does not parse; the parser repeats the whole line, which may be the whole query.
fn syntax(message: &str) -> Option<String> {
    let place = message.trim_start().strip_prefix("--> ")?.lines().next()?;
    let reason = message.rsplit_once("\n  = ").map_or("it ends too early or goes on too long", |(_, reason)| reason);
    Some(format!("the query cannot be read at {place} (line:column): {reason}"))
}

#[cfg(test)]
mod tests {
    use super::{syntax, unknown_field};

    #[test]
    fn a_query_that_does_not_parse_is_not_repeated() {
        let query = format!("{{ agents {} ", "x ".repeat(10_000));
        let message = async_graphql::parser::parse_query(&query).expect_err("it does not parse").to_string();
        let told = syntax(&message).expect("the parser tells a place");
        assert!(told.starts_with("the query cannot be read at 1:") && told.len() < 200, "{told}");
        assert_eq!(syntax("Unknown argument"), None);
    }

    #[test]
    fn an_unknown_field_is_told_in_the_words_that_clients_look_for() {
        assert_eq!(
            unknown_field("Unknown field \"responseURI\" on type \"FeedbackResponse\"."),
            Some("Type `FeedbackResponse` has no field `responseURI`".to_owned())
        );
        assert_eq!(
            unknown_field("Unknown field \"agnts\" on type \"Query\". Did you mean \"agents\"?"),
            Some("Type `Query` has no field `agnts`. Did you mean \"agents\"?".to_owned())
        );
        assert_eq!(unknown_field("Unknown argument \"x\""), None);
    }
}
