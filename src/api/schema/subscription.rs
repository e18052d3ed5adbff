//! Subscriptions: what changed, told as it is committed and taken back as it is undone.
//!
//! One line in [`ROOTS`] makes an entity one that can be subscribed to: the messages' type, `where` and the node come from
//! the entity's description.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, FieldValue, InputValue, Object, ResolverContext, SchemaBuilder, Subscription,
    SubscriptionField, SubscriptionFieldFuture, TypeRef,
};
use async_graphql::{Name, SelectionField, Value};
use futures_util::stream;
use futures_util::stream::Stream;

use super::described;
use crate::api::argument::Arguments;
use crate::api::error::{Code, error, from_query, from_shared};
use crate::api::scalar::hex;
use crate::api::selection;
use crate::api::session::Subscriber;
use crate::api::tree::{Tree, hand_out};
use crate::store::query::entity::{Entity, named};
use crate::store::query::{Batch, Message, Node, Topic, Wanted};
use crate::store::{ChangeEntity, ChangeOp};

/// What can be subscribed to: the root, the entity, and what changes of it are called in the log.
const ROOTS: &[(&str, &str, ChangeEntity)] = &[
    ("agents", "Agent", ChangeEntity::Agent),
    ("feedbacks", "Feedback", ChangeEntity::Feedback),
    ("validations", "Validation", ChangeEntity::Validation),
    ("manifestFlips", "ManifestFlip", ChangeEntity::Flip),
    ("auditEntries", "AuditEntry", ChangeEntity::Audit),
];

/// The root for blocks, which are no entity.
const BLOCKS: &str = "blocks";

/// Adds the root type and all below it.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    let subscription = Subscription::new("Subscription")
        .description(
            "What can be followed: changes in the order of their commits, also those of blocks that are replaced.",
        )
        .field(
            root(BLOCKS, "BlockChange", |ctx| SubscriptionFieldFuture::new(follow(ctx, ChangeEntity::Block, None)))
                .description("Blocks as they are indexed, and as they are replaced."),
        );
    let mut builder = builder.register(operation()).register(change_of("Block", "_Block_", None));
    let mut subscription = subscription;
    for &(name, entity, change) in ROOTS {
        let entity = named(entity).expect("a root is of an entity");
        let field = root(name, &format!("{}Change", entity.name), move |ctx| {
            SubscriptionFieldFuture::new(follow(ctx, change, Some(entity)))
        });
        let filter = described(
            "where",
            TypeRef::named(format!("{}_filter", entity.name)),
            "Only changes of those that pass, as of the change's block; one that passes no more is told once, without \
             `node`.",
        );
        let field = field.description(format!("Changes of {} entities. {}", entity.name, entity.doc)).argument(filter);
        subscription = subscription.field(field);
        builder = builder.register(change_of(entity.name, entity.name, Some(entity)));
    }
    builder.register(subscription)
}

fn root<F>(name: &str, message: &str, follow: F) -> SubscriptionField
where
    F: for<'a> Fn(ResolverContext<'a>) -> SubscriptionFieldFuture<'a> + Send + Sync + 'static,
{
    SubscriptionField::new(name, TypeRef::named_nn(message), follow).argument(chain()).argument(described(
        "after",
        TypeRef::named(TypeRef::STRING),
        "Go on behind this `cursor` of a message, or of `_meta`; without it, with what comes from now on.",
    ))
}

fn chain() -> InputValue {
    described("chainId", TypeRef::named(TypeRef::INT), "Of this network; needed where the address answers for several.")
}

fn operation() -> Enum {
    Enum::new("ChangeOp")
        .description("What happened.")
        .item(EnumItem::new("INSERT").description("It began to be."))
        .item(EnumItem::new("UPDATE").description("It is another than before."))
        .item(EnumItem::new("RETRACT").description(
            "A change that was told is undone, because its block was replaced: `node` is what holds now. What the new \
             blocks say comes behind.",
        ))
}

/// The type of messages about entities of a type; blocks are no entity.
fn change_of(name: &str, node: &str, entity: Option<&'static Entity>) -> Object {
    Object::new(format!("{name}Change"))
        .description(format!("A change of a {name}."))
        .field(member("op", "ChangeOp", "What happened.", |message| Value::Enum(Name::new(name_of(message.op)))))
        .field(member("id", TypeRef::ID, "The id of what it happened to; of a block, its number.", |message| {
            Value::from(message.id.as_str())
        }))
        .field(member(
            "blockNumber",
            "BigInt",
            "The block that it happened in; of RETRACT, the one that is gone.",
            |message| Value::from(message.block_number.to_string()),
        ))
        .field(member("blockHash", "Bytes", "That block's hash.", |message| hex(&message.block_hash)))
        .field(member("cursor", TypeRef::STRING, "Pass it as `after` to go on behind this message.", |message| {
            Value::from(message.seq.to_string())
        }))
        .field(Field::new("node", TypeRef::named(node), move |ctx| node_of(&ctx, entity)).description(
            "What it is as of that block; of RETRACT, as of the block that the chain was taken back to. Null where \
                 there is none, or none that passes `where`.",
        ))
}

fn member(name: &str, ty: &str, doc: &str, read: fn(&Message) -> Value) -> Field {
    Field::new(name, TypeRef::named_nn(ty), move |ctx| {
        FieldFuture::from_value(ctx.parent_value.downcast_ref::<Arc<Message>>().map(|message| read(message)))
    })
    .description(doc)
}

fn node_of<'a>(ctx: &ResolverContext<'a>, entity: Option<&'static Entity>) -> FieldFuture<'a> {
    let node = ctx.parent_value.downcast_ref::<Arc<Message>>().and_then(|message| message.node.as_ref());
    match (node, entity) {
        (Some(Node::Record(record)), Some(entity)) => {
            let whole = Tree::of(entity, &[ctx.field()]).one(record).map(hand_out);
            FieldFuture::new(async { whole })
        }
        (Some(Node::Block(block)), _) => FieldFuture::Value(Some(FieldValue::owned_any(block.clone()))),
        _ => FieldFuture::Value(None),
    }
}

fn name_of(op: ChangeOp) -> &'static str {
    match op {
        ChangeOp::Insert => "INSERT",
        ChangeOp::Update => "UPDATE",
        ChangeOp::Retract => "RETRACT",
        ChangeOp::Gap => unreachable!("a gap is an error"),
    }
}

/// Where a subscriber is: in a batch that is being handed out, or at its end.
struct Reader {
    subscriber: Arc<Subscriber>,
    topic: Arc<Topic>,
    batch: Arc<Batch>,
    next: usize,
}

/// The messages of a subscription.
async fn follow<'a>(
    ctx: ResolverContext<'a>,
    change: ChangeEntity,
    entity: Option<&'static Entity>,
) -> async_graphql::Result<impl Stream<Item = async_graphql::Result<FieldValue<'a>>> + Send + use<'a>> {
    let subscriber = Arc::clone(ctx.data::<Arc<Subscriber>>()?);
    let arguments = Arguments::of(&ctx.args);
    let chain_id = arguments.chain(subscriber.chain_id)?;
    let rows = match entity {
        None => None,
        Some(entity) => Some((selection::of(entity, &nodes(ctx.field())?)?, arguments.page().filter)),
    };
    let wanted = Wanted { chain_id, entity: change, rows, after: arguments.text("after") };
    let (topic, position) = subscriber.subscriptions.open(wanted).await.map_err(from_query)?;
    subscriber.is_at(position);
    let batch = Arc::new(Batch { to: position, messages: Vec::new() });
    let reader = Reader { subscriber, topic, batch, next: 0 };
    Ok(stream::try_unfold(reader, |mut reader| async move {
        let message = reader.message().await?;
        Ok(Some((FieldValue::owned_any(message), reader)))
    }))
}

impl Reader {
    async fn message(&mut self) -> async_graphql::Result<Arc<Message>> {
        loop {
            if let Some(message) = self.batch.messages.get(self.next) {
                self.next += 1;
                self.subscriber.is_at(message.seq);
                return Ok(Arc::clone(message));
            }
            self.subscriber.is_at(self.batch.to);
            let batch = self.subscriber.subscriptions.next(&self.topic, self.batch.to).await;
            self.batch = batch.map_err(|reason| from_shared(&reason))?;
            self.next = 0;
        }
    }
}

/// What is selected of `node`, which may have one name in the answer only: all of it is read at once.
fn nodes(root: SelectionField<'_>) -> async_graphql::Result<Vec<SelectionField<'_>>> {
    let nodes: Vec<SelectionField<'_>> = root.selection_set().filter(|field| field.name() == "node").collect();
    let names: BTreeSet<&str> = nodes.iter().map(|field| field.alias().unwrap_or(field.name())).collect();
    if names.len() > 1 {
        return Err(error(Code::BadInput, "select `node` once: it has several names in this subscription"));
    }
    Ok(nodes)
}
