//! `reputationSeries`: how what is said of an agent developed.

use std::sync::Arc;

use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef,
};

use super::{block_argument, described, finality_argument, told_decimal, told_number};
use crate::api::argument::Arguments;
use crate::api::error::from_query;
use crate::api::session::Session;
use crate::store::query::{SeriesInterval, SeriesPoint, SeriesQuestion};

/// Adds the root.
pub(super) fn add_root(query: Object) -> Object {
    let field = Field::new("reputationSeries", TypeRef::named_nn_list_nn("ReputationPoint"), |ctx| {
        FieldFuture::new(async move { points(&ctx).await })
    })
    .description(
        "How what is said of an agent developed: a point for each hour, day or week in which its ratings, or feedback with \
         one first tag, were given or taken back, oldest first; at most 5000 points.",
    )
    .argument(described("agent", TypeRef::named_nn(TypeRef::ID), "The agent's id."))
    .argument(described("interval", TypeRef::named_nn("ReputationInterval"), "How long each interval is."))
    .argument(described(
        "tag1",
        TypeRef::named(TypeRef::STRING),
        "Of feedback with exactly this first tag; without it, or empty: of ratings.",
    ))
    .argument(described("since", TypeRef::named("BigInt"), "From the interval of this time on, in seconds since 1970."))
    .argument(described("until", TypeRef::named("BigInt"), "Up to the interval of this time, in seconds since 1970."))
    .argument(finality_argument())
    .argument(block_argument());
    query.field(field)
}

/// Adds the types.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let interval = Enum::new("ReputationInterval")
        .description("How long the intervals of a series are.")
        .item(EnumItem::new("HOUR").description("From one full hour to the next."))
        .item(EnumItem::new("DAY").description("A day in UTC."))
        .item(EnumItem::new("WEEK").description("A week from Monday in UTC."));
    let point = Object::new("ReputationPoint")
        .description("An interval in which something was said of an agent or taken back, and what stood at its end.")
        .field(told_number("start", "When the interval begins, in seconds since 1970.", |point: &SeriesPoint| {
            point.start
        }))
        .field(told_number("given", "Feedback given in it, whatever became of it.", |point: &SeriesPoint| point.given))
        .field(told_number("revoked", "Feedback revoked in it.", |point: &SeriesPoint| point.revoked))
        .field(told_decimal(
            "givenAverage",
            "The average of what was given in it; null when nothing was.",
            |point: &SeriesPoint| &point.given_average,
        ))
        .field(told_decimal("givenMin", "The least value given in it.", |point: &SeriesPoint| &point.given_min))
        .field(told_decimal("givenMax", "The greatest value given in it.", |point: &SeriesPoint| &point.given_max))
        .field(told_number("active", "Feedback that stood at its end.", |point: &SeriesPoint| point.active))
        .field(told_decimal(
            "average",
            "The average of what stood then; null when nothing did.",
            |point: &SeriesPoint| &point.average,
        ))
        .field(told_number("clientCount", "Clients whose feedback stood then.", |point: &SeriesPoint| {
            point.client_count
        }))
        .field(told_decimal(
            "perClientAverage",
            "The average of those clients' averages, one voice each.",
            |point: &SeriesPoint| &point.per_client_average,
        ));
    builder.register(interval).register(point)
}

async fn points(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let agent = arguments.text("agent").unwrap_or_default();
    let mut when = arguments.when(session)?;
    // The agent's id names the network.
    when.chain_id = when.chain_id.or_else(|| agent.split(':').next()?.parse().ok());
    let interval = match arguments.text("interval").as_deref() {
        Some("HOUR") => SeriesInterval::Hour,
        Some("WEEK") => SeriesInterval::Week,
        _ => SeriesInterval::Day,
    };
    let question = SeriesQuestion {
        agent,
        interval,
        tag1: arguments.text("tag1"),
        since: arguments.text("since"),
        until: arguments.text("until"),
    };
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let points = snapshot.series(&scope, &question).await.map_err(from_query)?;
    Ok(Some(FieldValue::list(points.into_iter().map(FieldValue::owned_any))))
}
