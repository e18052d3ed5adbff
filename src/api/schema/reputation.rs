//! `reputationSummary`: what feedback about an agent sums up to.

use std::sync::Arc;

use async_graphql::Value;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef};

use super::{block_argument, described, finality_argument, told};
use crate::api::argument::Arguments;
use crate::api::error::from_query;
use crate::api::scalar::big_decimal;
use crate::api::session::Session;
use crate::store::query::{Summary, SummaryQuestion};

/// Adds the root.
pub(super) fn add_root(query: Object) -> Object {
    let text = || TypeRef::named(TypeRef::STRING);
    query.field(
        Field::new("reputationSummary", TypeRef::named_nn("ReputationSummary"), |ctx| {
            FieldFuture::new(async move { summary(&ctx).await })
        })
        .description(
            "What un-revoked feedback about an agent sums up to; `count`, `summaryValue` and `summaryValueDecimals` \
             equal the contract's `getSummary` when asked the same.",
        )
        .argument(described("agent", TypeRef::named_nn(TypeRef::ID), "The agent's id."))
        .argument(described(
            "clients",
            TypeRef::named_nn_list("Bytes"),
            "Only of these clients; one that is listed twice counts twice. Without it: of all, which the contract cannot.",
        ))
        .argument(described("tag1", text(), "Only with exactly this first tag; empty: with any."))
        .argument(described("tag2", text(), "Only with exactly this second tag; empty: with any."))
        .argument(described("since", TypeRef::named("BigInt"), "Only given at this time or later, in seconds since 1970."))
        .argument(described("until", TypeRef::named("BigInt"), "Only given at this time or earlier, in seconds since 1970."))
        .argument(described(
            "halfLifeHours",
            TypeRef::named(TypeRef::INT),
            "Tells `decayedAverage` too: after how many hours feedback counts half, 1 to 1000000.",
        ))
        .argument(finality_argument())
        .argument(block_argument()),
    )
}

/// Adds the type.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let decimal = || TypeRef::named("BigDecimal");
    let shown = |text: &Option<String>| text.as_deref().map(|text| Value::from(big_decimal(text)));
    builder.register(
        Object::new("ReputationSummary")
            .description("What un-revoked feedback about an agent sums up to.")
            .field(told("count", TypeRef::named_nn("BigInt"), "How much feedback was counted.", |summary: &Summary| {
                Some(Value::from(summary.count.to_string()))
            }))
            .field(told(
                "summaryValue",
                TypeRef::named_nn("BigInt"),
                "The average as the contract computes it, in units of 10^-summaryValueDecimals: truncated, and wrapped \
                 to 128 bits.",
                |summary: &Summary| Some(Value::from(summary.summary_value.to_string())),
            ))
            .field(told(
                "summaryValueDecimals",
                TypeRef::named_nn(TypeRef::INT),
                "The most frequent number of decimal places, the smallest of several.",
                |summary: &Summary| Some(Value::from(i64::from(summary.summary_value_decimals))),
            ))
            .field(told("average", decimal(), "The exact average; null when nothing was counted.", move |summary: &Summary| {
                shown(&summary.average)
            }))
            .field(told(
                "perClientAverage",
                decimal(),
                "The average of the clients' averages: one voice per client.",
                move |summary: &Summary| shown(&summary.per_client_average),
            ))
            .field(told("clientCount", TypeRef::named_nn("BigInt"), "How many clients gave it.", |summary: &Summary| {
                Some(Value::from(summary.client_count.to_string()))
            }))
            .field(told("min", decimal(), "The least value.", move |summary: &Summary| shown(&summary.min)))
            .field(told("max", decimal(), "The greatest value.", move |summary: &Summary| shown(&summary.max)))
            .field(told(
                "decayedAverage",
                decimal(),
                "The average in which feedback counts half as much for each half-life that it is older; in double precision. \
                 Null where `halfLifeHours` was not given.",
                |summary: &Summary| Some(Value::from(big_decimal(&summary.decayed_average?.to_string()))),
            )),
    )
}

async fn summary(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let agent = arguments.text("agent").unwrap_or_default();
    let mut when = arguments.when(session)?;
    // The agent's id names the network.
    when.chain_id = when.chain_id.or_else(|| agent.split(':').next()?.parse().ok());
    let question = SummaryQuestion {
        agent,
        clients: arguments.texts("clients"),
        tag1: arguments.text("tag1"),
        tag2: arguments.text("tag2"),
        since: arguments.text("since"),
        until: arguments.text("until"),
        half_life_hours: arguments.whole("halfLifeHours"),
    };
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let summary = snapshot.summary(&scope, &question).await.map_err(from_query)?;
    Ok(Some(FieldValue::owned_any(summary)))
}
