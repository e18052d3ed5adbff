//! `networks`: how far each network is, how far behind, and how final (F70).

use std::sync::Arc;

use async_graphql::Value;
use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef};

use super::meta::block_object;
use crate::api::error::from_query;
use crate::api::scalar::hex;
use crate::api::session::Session;
use crate::store::query::{BlockInfo, Network, Observed};

/// A network with the blocks that stand for its finality.
struct Status {
    network: Network,
    observed: Observed,
    safe: Option<BlockInfo>,
    finalized: Option<BlockInfo>,
    synced: bool,
}

impl Status {
    fn lag_blocks(&self) -> Option<i64> {
        let (head, indexed) = (self.observed.head.as_ref()?, self.network.indexed.as_ref()?);
        Some((head.number - indexed.number).max(0))
    }

    fn lag_seconds(&self) -> Option<i64> {
        let (head, indexed) = (self.observed.head.as_ref()?, self.network.indexed.as_ref()?);
        Some((head.timestamp? - indexed.timestamp?).max(0))
    }
}

/// Adds the root.
pub(super) fn add_root(query: Object) -> Object {
    query.field(
        Field::new("networks", TypeRef::named_nn_list_nn("Network"), |ctx| {
            FieldFuture::new(async move { networks(&ctx).await })
        })
        .description("The networks that this address answers for, by chain id."),
    )
}

/// Adds the types.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let network = Object::new("Network")
        .description("A network that this node indexes.")
        .field(value("name", TypeRef::named_nn(TypeRef::STRING), "Its name in the configuration.", |status| {
            Some(Value::from(status.network.name.as_str()))
        }))
        .field(value("chainId", TypeRef::named_nn(TypeRef::INT), "Its chain id (EIP-155).", |status| {
            Some(Value::from(status.network.chain_id))
        }))
        .field(block("head", "The chain's newest block as last seen.", |status| status.observed.head.clone()))
        .field(block("indexed", "The newest block whose data is committed.", |status| status.network.indexed.clone()))
        .field(block("safe", "The newest safe block, where the network tells.", |status| status.safe.clone()))
        .field(block("finalized", "The newest final block that is committed.", |status| status.finalized.clone()))
        .field(value("lagBlocks", TypeRef::named(TypeRef::INT), "Blocks between `indexed` and `head`.", |status| {
            status.lag_blocks().map(Value::from)
        }))
        .field(value(
            "lagSeconds",
            TypeRef::named(TypeRef::INT),
            "Seconds of the chain's time between `indexed` and `head`.",
            |status| status.lag_seconds().map(Value::from),
        ))
        .field(value(
            "synced",
            TypeRef::named_nn(TypeRef::BOOLEAN),
            "Whether it is within the lag that this node allows, of a head that was seen lately.",
            |status| Some(Value::from(status.synced)),
        ))
        .field(value(
            "verifiedTo",
            TypeRef::named(TypeRef::INT),
            "The newest final block up to which everything that is stored was held against the chain and agrees.",
            |status| status.observed.verified_to.map(Value::from),
        ))
        .field(value(
            "verificationMethod",
            TypeRef::named(TypeRef::STRING),
            "The weakest method by which that was shown: LOGS_AGAIN, BLOOM or RECEIPTS_ROOT, the strongest.",
            |status| status.observed.verification_method.as_deref().map(Value::from),
        ))
        .field(value(
            "openFindings",
            TypeRef::named_nn(TypeRef::INT),
            "What the audit found to differ from the chain and is not repaired.",
            |status| Some(Value::from(status.observed.open_findings)),
        ))
        .field(
            Field::new("stateDigest", TypeRef::named("Bytes"), |ctx| {
                FieldFuture::new(async move { newest_digest(&ctx).await })
            })
            .description("The digest of all events up to `indexed`: `events` of the root `stateDigest` at that block."),
        );
    builder.register(network).register(block_object("NetworkBlock", false))
}

fn value(name: &str, ty: TypeRef, doc: &str, read: fn(&Status) -> Option<Value>) -> Field {
    Field::new(name, ty, move |ctx| {
        FieldFuture::from_value(ctx.parent_value.downcast_ref::<Arc<Status>>().and_then(|status| read(status)))
    })
    .description(doc)
}

fn block(name: &str, doc: &str, read: fn(&Status) -> Option<BlockInfo>) -> Field {
    Field::new(name, TypeRef::named("NetworkBlock"), move |ctx| {
        let block = ctx.parent_value.downcast_ref::<Arc<Status>>().and_then(|status| read(status));
        FieldFuture::Value(block.map(FieldValue::owned_any))
    })
    .description(doc)
}

async fn newest_digest(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<Value>> {
    let Some(status) = ctx.parent_value.downcast_ref::<Arc<Status>>() else { return Ok(None) };
    let Some(newest) = &status.network.indexed else { return Ok(None) };
    let snapshot = ctx.data::<Arc<Session>>()?.snapshot(ctx.ctx).await?;
    let digest = snapshot.state_digest(status.network.chain_id, newest.number).await.map_err(from_query)?;
    Ok(Some(hex(&digest.events())))
}

async fn networks(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let snapshot = session.snapshot(ctx.ctx).await?;
    let mut networks = Vec::new();
    for (network, observed) in snapshot.observed().await.map_err(from_query)? {
        if session.chain_id.is_some_and(|chain_id| chain_id != network.chain_id) {
            continue;
        }
        let mut blocks = [network.safe_number, network.finalized_number].map(|number| (number, None));
        for (number, block) in &mut blocks {
            if let Some(number) = number {
                *block = Some(snapshot.block(network.chain_id, *number).await.map_err(from_query)?);
            }
        }
        let [(_, safe), (_, finalized)] = blocks;
        let mut status = Status { network: network.clone(), observed, safe, finalized, synced: false };
        let lag = status.lag_blocks().zip(status.observed.head_age_seconds);
        let allowed = session.synced;
        status.synced = lag.is_some_and(|(blocks, age)| blocks <= allowed.lag_blocks && age <= allowed.lag_seconds);
        networks.push(FieldValue::owned_any(Arc::new(status)));
    }
    Ok(Some(FieldValue::list(networks)))
}
