//! `intentSummary`: how intents ended, how much they moved, how long they took.

use std::sync::Arc;

use async_graphql::Value;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef};

use super::{block_argument, chain_argument, described, finality_argument};
use crate::api::argument::Arguments;
use crate::api::error::from_query;
use crate::api::scalar::big_decimal;
use crate::api::session::Session;
use crate::store::query::{IntentQuestion, IntentSummary};

/// Adds the root.
pub(super) fn add_root(query: Object) -> Object {
    let time = || TypeRef::named("BigInt");
    query.field(
        Field::new("intentSummary", TypeRef::named_nn("IntentSummary"), |ctx| {
            FieldFuture::new(async move { summary(&ctx).await })
        })
        .description("How far cross-chain intents are, how much they moved, and how long they took.")
        .argument(described(
            "walletAgent",
            TypeRef::named(TypeRef::ID),
            "Only those of this WalletAgent, by its id. Without it and without `agent`: all.",
        ))
        .argument(described(
            "agent",
            TypeRef::named(TypeRef::ID),
            "Only those of the wallets' agents that share this Agent's wallet as of the block, by its id.",
        ))
        .argument(described("since", time(), "Only stated at this time or later, in seconds since 1970."))
        .argument(described("until", time(), "Only stated at this time or earlier, in seconds since 1970."))
        .argument(block_argument())
        .argument(chain_argument())
        .argument(finality_argument()),
    )
}

/// Adds the type.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let count = |name: &str, doc: &str, read: fn(&IntentSummary) -> i64| {
        value(name, TypeRef::named_nn("BigInt"), doc, move |summary| Some(Value::from(read(summary).to_string())))
    };
    let shown = |text: &Option<String>| text.as_deref().map(|text| Value::from(big_decimal(text)));
    builder.register(
        Object::new("IntentSummary")
            .description("What cross-chain intents sum up to.")
            .field(count("count", "How many there are.", |summary| summary.count))
            .field(count("created", "How many were stated and no more.", |summary| summary.created))
            .field(count("submitted", "How many a relayer took up and no more.", |summary| summary.submitted))
            .field(count("executed", "How many were executed.", |summary| summary.executed))
            .field(count("disputed", "How many were stopped by a dispute.", |summary| summary.disputed))
            .field(count("expired", "How many lapsed.", |summary| summary.expired))
            .field(value(
                "successRate",
                TypeRef::named("BigDecimal"),
                "The share of those executed among those executed, disputed or expired, from 0 to 1; null while none is.",
                move |summary| shown(&summary.success_rate),
            ))
            .field(value(
                "volume",
                TypeRef::named_nn("BigInt"),
                "What the executed ones add up to, in the chain's smallest unit.",
                |summary| Some(Value::from(summary.volume.as_str())),
            ))
            .field(value(
                "statedVolume",
                TypeRef::named_nn("BigInt"),
                "What all of them add up to, in the chain's smallest unit.",
                |summary| Some(Value::from(summary.stated_volume.as_str())),
            ))
            .field(value(
                "averageSecondsToExecution",
                TypeRef::named("BigDecimal"),
                "The mean time from statement to execution, in seconds; null while none was executed.",
                move |summary| shown(&summary.average_seconds),
            ))
            .field(value(
                "medianSecondsToExecution",
                TypeRef::named("BigInt"),
                "The time in which half of the executions came, in seconds: one that was taken, the shorter of two.",
                |summary| summary.median_seconds.map(|seconds| Value::from(seconds.to_string())),
            ))
            .field(value(
                "p95SecondsToExecution",
                TypeRef::named("BigInt"),
                "The time in which 95 of 100 executions came, in seconds: one that was taken.",
                |summary| summary.p95_seconds.map(|seconds| Value::from(seconds.to_string())),
            )),
    )
}

fn value(
    name: &str,
    ty: TypeRef,
    doc: &str,
    read: impl Fn(&IntentSummary) -> Option<Value> + Send + Sync + 'static,
) -> Field {
    Field::new(name, ty, move |ctx| {
        FieldFuture::from_value(ctx.parent_value.downcast_ref::<IntentSummary>().and_then(&read))
    })
    .description(doc)
}

async fn summary(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let question = IntentQuestion {
        wallet_agent: arguments.text("walletAgent"),
        agent: arguments.text("agent"),
        since: arguments.text("since"),
        until: arguments.text("until"),
    };
    let mut when = arguments.when(session)?;
    // An id names its network.
    let named = question.wallet_agent.as_deref().or(question.agent.as_deref());
    when.chain_id = when.chain_id.or_else(|| named?.split(':').next()?.parse().ok());
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let summary = snapshot.intent_summary(&scope, &question).await.map_err(from_query)?;
    Ok(Some(FieldValue::owned_any(summary)))
}
