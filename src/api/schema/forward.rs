//! `verifyForward`: whether a request may be passed on to an agent.

use std::sync::Arc;
use std::time::Instant;

use async_graphql::Value;
use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef,
};

use super::{described, told};
use crate::api::argument::Arguments;
use crate::api::error::{Code, error, from_query};
use crate::api::session::Session;
use crate::metrics;
use crate::store::query::{ForwardOutcome, ForwardQuestion};

/// What may come out, in the order in which it is looked at.
const OUTCOMES: [(&str, &str); 6] = [
    ("MANIFEST_NOT_FOUND", "No manifest of that hash was handed in here."),
    ("AGENT_NOT_FOUND", "The manifest's agent is not there, as of the newest block."),
    ("INVALID_SIGNATURE", "Whoever signed the manifest owns the agent no more, nor is its wallet."),
    ("MANIFEST_EXPIRED", "The manifest is over, to come, or revoked."),
    ("CYCLE_DETECTED", "The agent had the request before."),
    ("OK", "The request may be passed on."),
];

/// Adds the root.
pub(super) fn add_root(query: Object) -> Object {
    let optional = |name, ty: &str, doc| described(name, TypeRef::named(ty), doc);
    query.field(
        Field::new("verifyForward", TypeRef::named_nn("ForwardCheck"), |ctx| {
            FieldFuture::new(async move { verify(&ctx).await })
        })
        .description("Whether a request may be passed on to an agent, by its manifest and the path so far.")
        .argument(described(
            "manifestHash",
            TypeRef::named_nn("Bytes"),
            "The manifest of the agent that would take over.",
        ))
        .argument(optional(
            "rootTxHash",
            "Bytes",
            "The transaction that the path begins with; without it, it begins now.",
        ))
        .argument(optional("source", TypeRef::ID, "The id of the agent that would pass the request on."))
        .argument(optional("at", "BigInt", "When, in seconds since 1970; without it, now."))
        .argument(super::chain_argument()),
    )
}

/// Adds the types.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let outcomes = Enum::new("ForwardOutcome").description("The first thing that is not as it must be, or OK.");
    let outcomes = OUTCOMES.iter().fold(outcomes, |all, (name, doc)| all.item(EnumItem::new(*name).description(*doc)));
    let agents = |outcome: &ForwardOutcome| match outcome {
        ForwardOutcome::CycleDetected { agents } => agents.clone(),
        _ => Vec::new(),
    };
    builder.register(outcomes).register(
        Object::new("ForwardCheck")
            .description("Whether a request may be passed on.")
            .field(told(
                "outcome",
                TypeRef::named_nn("ForwardOutcome"),
                "What came out.",
                |outcome: &ForwardOutcome| Some(Value::Enum(async_graphql::Name::new(outcome.name()))),
            ))
            .field(told(
                "agents",
                TypeRef::named_nn_list_nn(TypeRef::ID),
                "The agents of the circle, in the order of the path; none where there is no circle.",
                move |outcome: &ForwardOutcome| {
                    Some(Value::List(agents(outcome).into_iter().map(Value::from).collect()))
                },
            ))
            .field(told(
                "depth",
                TypeRef::named_nn(TypeRef::INT),
                "How many they are.",
                move |outcome: &ForwardOutcome| Some(Value::from(agents(outcome).len())),
            )),
    )
}

async fn verify(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let snapshot = session.snapshot(ctx.ctx).await?;
    let chain_id = match (arguments.chain(session.chain_id)?, snapshot.networks()) {
        (Some(chain_id), _) => chain_id,
        (None, [only]) => only.chain_id,
        _ => return Err(error(Code::BadInput, "`chainId` must say of which network the manifest is")),
    };
    let question = ForwardQuestion {
        chain_id,
        manifest_hash: arguments.text("manifestHash").unwrap_or_default(),
        root_tx_hash: arguments.text("rootTxHash"),
        source: arguments.text("source"),
        at: arguments.text("at"),
    };
    let started = Instant::now();
    let outcome = snapshot.verify_forward(&question).await.map_err(from_query)?;
    ::metrics::histogram!(metrics::MANIFEST_VERIFICATION).record(started.elapsed());
    Ok(Some(FieldValue::owned_any(outcome)))
}
