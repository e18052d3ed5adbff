//! `_meta`: as of which block answers hold, as graph-node tells it.

use std::sync::Arc;

use async_graphql::Value;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef};

use super::{block_argument, chain_argument, finality_argument};
use crate::api::argument::Arguments;
use crate::api::error::{Code, error, from_query};
use crate::api::scalar::hex;
use crate::api::session::Session;
use crate::store::query::BlockInfo;

struct Meta {
    chain_id: i64,
    block: BlockInfo,
    /// The number of the newest change; nothing where an earlier block is answered for.
    seq: Option<i64>,
}

/// Adds the root.
pub(super) fn add_root(query: Object) -> Object {
    query.field(
        Field::new("_meta", TypeRef::named("_Meta_"), |ctx| FieldFuture::new(async move { meta(&ctx).await }))
            .description("The block that answers hold as of. With several networks it needs `chainId`.")
            .argument(block_argument())
            .argument(chain_argument())
            .argument(finality_argument()),
    )
}

/// Adds the types.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let meta = Object::new("_Meta_")
        .description("What answers hold as of.")
        .field(
            Field::new("block", TypeRef::named_nn("_Block_"), |ctx| {
                let meta = ctx.parent_value.downcast_ref::<Arc<Meta>>();
                FieldFuture::Value(meta.map(|meta| FieldValue::owned_any(meta.block.clone())))
            })
            .description("The block."),
        )
        .field(
            Field::new("deployment", TypeRef::named_nn(TypeRef::STRING), |ctx| {
                let meta = ctx.parent_value.downcast_ref::<Arc<Meta>>();
                FieldFuture::from_value(meta.map(|meta| Value::from(format!("eip155:{}", meta.chain_id))))
            })
            .description("What is answered for: the network, by CAIP-2."),
        )
        .field(
            Field::new("cursor", TypeRef::named(TypeRef::STRING), |ctx| {
                let meta = ctx.parent_value.downcast_ref::<Arc<Meta>>();
                FieldFuture::from_value(meta.and_then(|meta| Some(Value::from(meta.seq?.to_string()))))
            })
            .description(
                "Pass it as `after` to a subscription: it tells what follows on this answer. Null where an earlier block \
                 is answered for.",
            ),
        )
        .field(
            Field::new("hasIndexingErrors", TypeRef::named_nn(TypeRef::BOOLEAN), |_| {
                FieldFuture::from_value(Some(Value::from(false)))
            })
            .description("Always false: this node stops before it skips anything."),
        );
    builder.register(meta).register(block_object("_Block_", true))
}

/// The type of a block; with The Graph's parentHash or without.
pub(super) fn block_object(name: &str, with_parent: bool) -> Object {
    let object = Object::new(name)
        .description("A block.")
        .field(block_field("hash", "Bytes", "Its hash; null where its header is not kept.", |block| {
            block.hash.as_deref().map(hex)
        }))
        .field(
            Field::new("number", TypeRef::named_nn(TypeRef::INT), |ctx| {
                let block = ctx.parent_value.downcast_ref::<BlockInfo>();
                FieldFuture::from_value(block.map(|block| Value::from(block.number)))
            })
            .description("Its height."),
        )
        .field(block_field(
            "timestamp",
            TypeRef::INT,
            "Its time in seconds since 1970; null where its header is not kept.",
            |block| block.timestamp.map(Value::from),
        ));
    if !with_parent {
        return object;
    }
    object.field(block_field(
        "parentHash",
        "Bytes",
        "The hash of the block below it; null where its header is not kept.",
        |block| block.parent_hash.as_deref().map(hex),
    ))
}

fn block_field(name: &str, ty: &'static str, doc: &str, read: fn(&BlockInfo) -> Option<Value>) -> Field {
    Field::new(name, TypeRef::named(ty), move |ctx| {
        FieldFuture::from_value(ctx.parent_value.downcast_ref::<BlockInfo>().and_then(read))
    })
    .description(doc)
}

async fn meta(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let when = Arguments::of(&ctx.args).when(session)?;
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let place = scope.only().ok_or_else(|| {
        error(Code::BadInput, "several networks are indexed here: give `chainId` with `_meta`, or ask `networks`")
    })?;
    let block = match place.block {
        Some(number) => snapshot.block(place.chain_id, number).await.map_err(from_query)?,
        None => match snapshot.network(place.chain_id).and_then(|network| network.indexed.clone()) {
            Some(tip) => {
                let header = snapshot.block(place.chain_id, tip.number).await.map_err(from_query)?;
                BlockInfo { parent_hash: header.parent_hash, ..tip }
            }
            None => return Err(error(Code::NotYetIndexed, "no block of this network is indexed yet; ask again")),
        },
    };
    let network = snapshot.network(place.chain_id).filter(|_| place.block.is_none());
    let seq = network.map(|network| network.seq);
    Ok(Some(FieldValue::owned_any(Arc::new(Meta { chain_id: place.chain_id, block, seq }))))
}
