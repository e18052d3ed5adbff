//! `validationSummary`: what validators say of an agent, and who has not.

use std::sync::Arc;

use async_graphql::Value;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef};

use super::{block_argument, described, finality_argument};
use crate::api::argument::Arguments;
use crate::api::error::from_query;
use crate::api::scalar::big_decimal;
use crate::api::session::Session;
use crate::store::query::{ValidationQuestion, ValidationSummary};

/// Adds the root.
pub(super) fn add_root(query: Object) -> Object {
    query.field(
        Field::new("validationSummary", TypeRef::named_nn("ValidationSummary"), |ctx| {
            FieldFuture::new(async move { summary(&ctx).await })
        })
        .description(
            "What validations of an agent sum up to; `count` and `averageResponse` equal the validation registry's \
             `getSummary` when asked the same.",
        )
        .argument(described("agent", TypeRef::named_nn(TypeRef::ID), "The agent's id."))
        .argument(described(
            "validators",
            TypeRef::named_nn_list("Bytes"),
            "Only by these validators; one that is listed twice counts once. Without it, or with none: by all.",
        ))
        .argument(described(
            "tag",
            TypeRef::named(TypeRef::STRING),
            "Of answers only those with exactly this tag; empty: with any.",
        ))
        .argument(described(
            "registry",
            TypeRef::named("Bytes"),
            "Only of this validation registry; without it, of all that speak of the agent.",
        ))
        .argument(finality_argument())
        .argument(block_argument()),
    )
}

/// Adds the type.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let count = |name: &str, doc: &str, read: fn(&ValidationSummary) -> i64| {
        value(name, TypeRef::named_nn("BigInt"), doc, move |summary| Some(Value::from(read(summary).to_string())))
    };
    builder.register(
        Object::new("ValidationSummary")
            .description("What validations of an agent sum up to, each by its last answer.")
            .field(count("count", "How many were answered, with the tag that was asked for.", |summary| summary.count))
            .field(value(
                "averageResponse",
                TypeRef::named_nn(TypeRef::INT),
                "The mean of those answers as the contract computes it: cut to a whole number; 0 when there are none.",
                |summary| Some(Value::from(summary.average_response)),
            ))
            .field(value(
                "average",
                TypeRef::named("BigDecimal"),
                "The exact mean of those answers; null when there are none.",
                |summary| summary.average.as_deref().map(|text| Value::from(big_decimal(text))),
            ))
            .field(count("requested", "How many were asked for, of these validators.", |summary| summary.requested))
            .field(count("completed", "How many of them were answered, with whatever tag.", |summary| {
                summary.completed
            }))
            .field(count("pending", "How many of them wait for an answer.", |summary| summary.pending))
            .field(count("expired", "How many of them have waited for too long.", |summary| summary.expired))
            .field(count("validatorCount", "How many validators were asked.", |summary| summary.validators)),
    )
}

fn value(
    name: &str,
    ty: TypeRef,
    doc: &str,
    read: impl Fn(&ValidationSummary) -> Option<Value> + Send + Sync + 'static,
) -> Field {
    Field::new(name, ty, move |ctx| {
        FieldFuture::from_value(ctx.parent_value.downcast_ref::<ValidationSummary>().and_then(&read))
    })
    .description(doc)
}

async fn summary(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let agent = arguments.text("agent").unwrap_or_default();
    let mut when = arguments.when(session)?;
    // The agent's id names the network.
    when.chain_id = when.chain_id.or_else(|| agent.split(':').next()?.parse().ok());
    let question = ValidationQuestion {
        agent,
        validators: arguments.texts("validators"),
        tag: arguments.text("tag"),
        registry: arguments.text("registry"),
    };
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let summary = snapshot.validation_summary(&scope, &question).await.map_err(from_query)?;
    Ok(Some(FieldValue::owned_any(summary)))
}
