//! `clientReport` and `clientOverlap`: who says something, and of whom.

use std::sync::Arc;

use async_graphql::Value;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef};

use super::{block_argument, chain_argument, described, finality_argument, told, told_decimal, told_number};
use crate::api::argument::{Arguments, DEFAULT_FIRST};
use crate::api::error::from_query;
use crate::api::session::Session;
use crate::store::query::{ClientOverlap, ClientQuestion, ClientReport, ClientRow, OverlapQuestion, OverlapRow};

/// Adds the roots.
pub(super) fn add_roots(query: Object) -> Object {
    let report = Field::new("clientReport", TypeRef::named_nn("ClientReport"), |ctx| {
        FieldFuture::new(async move { report(&ctx).await })
    })
    .description(
        "What a client gives, to whom, and how far from what others say of the same agents. Who praises what nobody else does, \
         or rates what only its like rate, shows here.",
    )
    .argument(described("client", TypeRef::named_nn("Bytes"), "The client's address."));
    let overlap = Field::new("clientOverlap", TypeRef::named_nn("ClientOverlap"), |ctx| {
        FieldFuture::new(async move { overlap(&ctx).await })
    })
    .description("The clients that two agents share: agents rated by the same crowd may be of one hand.")
    .argument(described("agent", TypeRef::named_nn(TypeRef::ID), "The one agent's id."))
    .argument(described("other", TypeRef::named_nn(TypeRef::ID), "The other agent's id."));
    query.field(with_page(report, "agents").argument(chain_argument())).field(with_page(overlap, "clients"))
}

fn with_page(field: Field, rows: &str) -> Field {
    field
        .argument(described(
            "tag1",
            TypeRef::named(TypeRef::STRING),
            "Compare feedback with exactly this first tag; without it, or empty: ratings.",
        ))
        .argument(
            described("first", TypeRef::named(TypeRef::INT), format!("Most {rows} that are listed, 0 to 1000."))
                .default_value(DEFAULT_FIRST),
        )
        .argument(finality_argument())
        .argument(block_argument())
}

/// Adds the types.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    builder.register(report_type()).register(row_type()).register(overlap_type()).register(shared_type())
}

fn report_type() -> Object {
    let time = |name, doc, read: fn(&ClientReport) -> Option<i64>| {
        told(name, TypeRef::named("BigInt"), doc, move |report| Some(Value::from(read(report)?.to_string())))
    };
    Object::new("ClientReport")
        .description("A client as its feedback shows it.")
        .field(told_number("given", "Feedback of any kind that it gave, revoked or not.", |report: &ClientReport| {
            report.given
        }))
        .field(told_number("revoked", "How much of it was revoked.", |report: &ClientReport| report.revoked))
        .field(told_number("agents", "The agents that it is about.", |report: &ClientReport| report.agents))
        .field(time("firstAt", "When the first was given, in seconds since 1970.", |report| report.first_at))
        .field(time("lastAt", "When the last was given, in seconds since 1970.", |report| report.last_at))
        .field(told_decimal(
            "averageDeviation",
            "How far the client's averages are from the others', up or down, on average over the agents of whom others say \
             something too; null where nobody else does.",
            |report: &ClientReport| &report.average_deviation,
        ))
        .field(rows("rows", "ClientRow", "Agent by agent: those of whom it says most come first.", |report: &ClientReport| {
            &report.rows
        }))
}

fn row_type() -> Object {
    Object::new("ClientRow")
        .description("What a client says of one agent, beside what others say.")
        .field(told("agent", TypeRef::named_nn(TypeRef::ID), "The agent's id.", |row: &ClientRow| {
            Some(Value::from(row.agent.clone()))
        }))
        .field(told_number("count", "The client's feedback that stands.", |row: &ClientRow| row.count))
        .field(told_decimal("average", "Its average.", |row: &ClientRow| &row.average))
        .field(told_number("othersCount", "The others' feedback that stands.", |row: &ClientRow| row.others_count))
        .field(told_decimal("othersAverage", "Its average; null where there is none.", |row: &ClientRow| {
            &row.others_average
        }))
        .field(told_decimal(
            "deviation",
            "How far the client's average is above the others'; null where there is none.",
            |row: &ClientRow| &row.deviation,
        ))
}

fn overlap_type() -> Object {
    Object::new("ClientOverlap")
        .description("The clients that two agents share.")
        .field(told_number("clients", "Clients of the one agent.", |overlap: &ClientOverlap| overlap.clients))
        .field(told_number("otherClients", "Clients of the other.", |overlap: &ClientOverlap| overlap.other_clients))
        .field(told_number("shared", "Clients of both.", |overlap: &ClientOverlap| overlap.shared))
        .field(told_decimal(
            "jaccard",
            "Shared clients among all of either, 0 to 1; null while there are none.",
            |overlap: &ClientOverlap| &overlap.jaccard,
        ))
        .field(rows(
            "rows",
            "SharedClient",
            "Client by client: those who say most come first.",
            |overlap: &ClientOverlap| &overlap.rows,
        ))
}

fn shared_type() -> Object {
    Object::new("SharedClient")
        .description("A client of two agents.")
        .field(told("client", TypeRef::named_nn("Bytes"), "The client's address.", |row: &OverlapRow| {
            Some(Value::from(alloy::hex::encode_prefixed(&row.client)))
        }))
        .field(told_number("count", "Its feedback about the one that stands.", |row: &OverlapRow| row.count))
        .field(told_decimal("average", "Its average.", |row: &OverlapRow| &row.average))
        .field(told_number("otherCount", "Its feedback about the other that stands.", |row: &OverlapRow| {
            row.other_count
        }))
        .field(told_decimal("otherAverage", "Its average.", |row: &OverlapRow| &row.other_average))
}

/// The rows of an answer.
fn rows<T: Send + Sync + 'static, R: Clone + Send + Sync + 'static>(
    name: &str,
    of: &str,
    doc: &str,
    read: fn(&T) -> &Vec<R>,
) -> Field {
    Field::new(name, TypeRef::named_nn_list_nn(of), move |ctx| {
        let held = ctx.parent_value.downcast_ref::<T>().map(read);
        FieldFuture::Value(held.map(|rows| FieldValue::list(rows.iter().cloned().map(FieldValue::owned_any))))
    })
    .description(doc)
}

async fn report(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let question = ClientQuestion {
        client: arguments.text("client").unwrap_or_default(),
        tag1: arguments.text("tag1"),
        first: arguments.whole("first").unwrap_or(DEFAULT_FIRST),
    };
    let when = arguments.when(session)?;
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let report = snapshot.client_report(&scope, &question).await.map_err(from_query)?;
    Ok(Some(FieldValue::owned_any(report)))
}

async fn overlap(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let question = OverlapQuestion {
        agent: arguments.text("agent").unwrap_or_default(),
        other: arguments.text("other").unwrap_or_default(),
        tag1: arguments.text("tag1"),
        first: arguments.whole("first").unwrap_or(DEFAULT_FIRST),
    };
    let mut when = arguments.when(session)?;
    // The first agent's id names the network whose block is meant.
    let named = question.agent.split(':').next().and_then(|chain_id| chain_id.parse().ok());
    if question.other.split(':').next() == question.agent.split(':').next() {
        when.chain_id = when.chain_id.or(named);
    }
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let overlap = snapshot.client_overlap(&scope, &question).await.map_err(from_query)?;
    Ok(Some(FieldValue::owned_any(overlap)))
}
