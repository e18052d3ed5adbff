//! An operation that a client opens over a socket: a subscription with all its messages, or a query with its answer.

use std::sync::Arc;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType, Selection};
use async_graphql::{Request, Response, ServerError};
use axum::http::StatusCode;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tokio::sync::OwnedSemaphorePermit;

use crate::api::error::Code;
use crate::api::gate::{Caller, Refusal};
use crate::api::router::{ApiState, answer};
use crate::api::session::Subscriber;
use crate::metrics;

/// What an operation says.
pub(super) enum Said {
    /// An answer, as JSON.
    Next(String),
    /// It ends with errors.
    Failed(Vec<ServerError>),
    /// It ends.
    End,
}

/// An operation that has begun.
pub(super) struct Begun {
    pub(super) messages: BoxStream<'static, Said>,
    pub(super) subscriber: Arc<Subscriber>,
}

/// Begins an operation, once it is counted as a request and as what it asks.
///
/// # Errors
/// What the client is told.
pub(super) async fn begin(
    state: &ApiState,
    chain_id: Option<i64>,
    caller: Caller,
    mut request: Request,
) -> Result<Begun, Refusal> {
    let refusal = |(code, message)| Refusal::new(StatusCode::OK, code, message);
    caller.request().await?;
    let (_, asked) = state.documents().read(&mut request).await.map_err(refusal)?;
    caller.asks(asked).await?;
    let subscriber = Arc::new(Subscriber::new(Arc::clone(state.subscriptions()), chain_id));
    let name = request.operation_name.clone();
    // A query that does not parse is told of by the schema, as every other mistake of a query.
    let is_subscription = match request.parsed_query() {
        Ok(document) => is_subscription(document, name.as_deref()).map_err(refusal)?,
        Err(_) => false,
    };
    let messages = if is_subscription {
        let place = Place::take(state).map_err(refusal)?;
        let answers = state.schema().execute_stream(request.data(Arc::clone(&subscriber)));
        answers.map(move |answer| said(answer, &place)).boxed()
    } else {
        let (state, caller) = (state.clone(), Arc::new(caller));
        stream::once(async move { said(answer(&state, chain_id, caller, request).await.response, &()) }).boxed()
    };
    // An operation ends with its first error, which says so itself.
    let end = stream::once(async { Said::End });
    let messages = messages.chain(end).scan(false, |has_ended, said| {
        let is_over = *has_ended;
        *has_ended |= matches!(said, Said::Failed(_));
        async move { (!is_over).then_some(said) }
    });
    Ok(Begun { messages: messages.boxed(), subscriber })
}

/// Whether the operation that is meant is a subscription; it must have one root, which no fragment hides.
fn is_subscription(document: &ExecutableDocument, name: Option<&str>) -> Result<bool, (Code, String)> {
    let operation = match &document.operations {
        DocumentOperations::Single(operation) => Some(operation),
        DocumentOperations::Multiple(operations) => name.and_then(|name| operations.get(name)),
    };
    let Some(operation) = operation.filter(|operation| operation.node.ty == OperationType::Subscription) else {
        return Ok(false);
    };
    match operation.node.selection_set.node.items.as_slice() {
        [only] if matches!(only.node, Selection::Field(_)) => Ok(true),
        _ => Err((Code::BadInput, "a subscription has one root field, outside of fragments; open one for each".into())),
    }
}

/// What an answer says. Its second argument lives as long as there are answers.
fn said<T>(answer: Response, _place: &T) -> Said {
    if !answer.errors.is_empty() {
        return Said::Failed(answer.errors);
    }
    match serde_json::to_string(&answer) {
        Ok(json) => Said::Next(json),
        Err(reason) => {
            tracing::error!(%reason, "an answer could not be written");
            Said::Failed(crate::api::error::response(Code::Internal, "an answer could not be written").errors)
        }
    }
}

/// One of the node's places for subscriptions, counted while it is taken.
struct Place(#[allow(dead_code, reason = "it is given back when it is dropped")] OwnedSemaphorePermit);

impl Place {
    fn take(state: &ApiState) -> Result<Self, (Code, String)> {
        let place = Arc::clone(&state.sockets().subscriptions).try_acquire_owned();
        let full =
            |_| (Code::Unavailable, "this node has as many subscriptions as it takes; try again later".to_owned());
        let place = place.map_err(full)?;
        ::metrics::gauge!(metrics::SUBSCRIPTIONS).increment(1);
        Ok(Self(place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        ::metrics::gauge!(metrics::SUBSCRIPTIONS).decrement(1);
    }
}
