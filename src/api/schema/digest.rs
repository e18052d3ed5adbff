//! `stateDigest`: one number for all that a node holds of a network up to a block.

use std::sync::Arc;

use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef};
use async_graphql::{Name, Value};

use super::described;
use crate::api::argument::Arguments;
use crate::api::error::{Code, error, from_query};
use crate::api::scalar::hex;
use crate::api::session::Session;
use crate::digest::VERSION;
use crate::store::query::{DigestAt, finality_name};

/// Adds the root.
pub(super) fn add_root(query: Object) -> Object {
    query.field(
        Field::new("stateDigest", TypeRef::named_nn("StateDigest"), |ctx| {
            FieldFuture::new(async move { state_digest(&ctx).await })
        })
        .description(
            "An additive digest of all events of a network up to a block, the same in whatever order, batches or \
             reorganisations they came: two nodes that agree hold the same facts.",
        )
        .argument(described("chainId", TypeRef::named_nn(TypeRef::INT), "The network."))
        .argument(described(
            "block",
            TypeRef::named_nn("BigInt"),
            "The block: from the first that is indexed to the newest.",
        )),
    )
}

/// Adds the type.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let count = || TypeRef::named_nn("BigInt");
    builder.register(
        Object::new("StateDigest")
            .description("What a node holds of a network up to a block, in two numbers.")
            .field(value("chainId", TypeRef::named_nn(TypeRef::INT), "The network.", |at| Some(at.chain_id.into())))
            .field(value("blockNumber", count(), "The block's height.", |at| Some(at.block.number.to_string().into())))
            .field(value(
                "blockHash",
                TypeRef::named("Bytes"),
                "The block's hash; null where its header is not kept.",
                |at| at.block.hash.as_deref().map(hex),
            ))
            .field(value("finality", TypeRef::named_nn("Finality"), "How final the block is.", |at| {
                Some(Value::Enum(Name::new(finality_name(at.finality))))
            }))
            .field(value(
                "encodingVersion",
                TypeRef::named_nn(TypeRef::INT),
                "The version of the canonical encoding: digests of different versions cannot be compared.",
                |_| Some(VERSION.into()),
            ))
            .field(value("events", TypeRef::named_nn("Bytes"), "The digest of all decoded events.", |at| {
                Some(hex(&at.events()))
            }))
            .field(value("eventCount", count(), "How many decoded events there are.", |at| {
                Some(at.event_count().to_string().into())
            }))
            .field(value(
                "rawLogs",
                TypeRef::named_nn("Bytes"),
                "The digest of all logs of watched contracts, decodable or not.",
                |at| Some(hex(&at.raw_logs())),
            ))
            .field(value("rawLogCount", count(), "How many logs there are.", |at| {
                Some(at.log_count().to_string().into())
            })),
    )
}

fn value(name: &str, ty: TypeRef, doc: &str, read: fn(&DigestAt) -> Option<Value>) -> Field {
    Field::new(name, ty, move |ctx| FieldFuture::from_value(ctx.parent_value.downcast_ref::<DigestAt>().and_then(read)))
        .description(doc)
}

async fn state_digest(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let when = arguments.when(session)?;
    let chain_id = when.chain_id.ok_or_else(|| error(Code::BadInput, "`chainId` must be given"))?;
    let number = arguments.text("block").and_then(|text| text.parse().ok()).ok_or_else(|| {
        error(Code::BadInput, "`block` must be a block number of at most 63 bits, such as \"4305747\"")
    })?;
    let snapshot = session.snapshot(ctx.ctx).await?;
    let digest = snapshot.state_digest(chain_id, number).await.map_err(from_query)?;
    Ok(Some(FieldValue::owned_any(digest)))
}
