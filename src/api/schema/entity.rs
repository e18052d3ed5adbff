//! An entity in the schema: its object type, its roots, and how their answers are found.

use std::sync::Arc;

use async_graphql::dynamic::{
    Field as GraphField, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef,
};

use super::{block_argument, chain_argument, described, finality_argument, input};
use crate::api::argument::Arguments;
use crate::api::error::from_query;
use crate::api::selection;
use crate::api::session::Session;
use crate::api::tree::{Tree, hand_out};
use crate::store::query::entity::{Cardinality, Choice, Entity, Field, Kind, Relation, all};

/// The GraphQL name of a field's type, without list and null.
pub(super) fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Id => TypeRef::ID,
        Kind::Text | Kind::Texts | Kind::Cursor => TypeRef::STRING,
        Kind::BigInt => "BigInt",
        Kind::BigDecimal => "BigDecimal",
        Kind::Bytes | Kind::BytesList => "Bytes",
        Kind::Boolean => TypeRef::BOOLEAN,
        Kind::Int => TypeRef::INT,
        Kind::Int8 => "Int8",
        Kind::Timestamp => "Timestamp",
        Kind::Choice(choice) => choice.name,
        Kind::Finality => "Finality",
    }
}

/// The enums that fields of entities use, each once.
pub(super) fn choices() -> Vec<&'static Choice> {
    let mut choices: Vec<&'static Choice> = Vec::new();
    for field in all().iter().flat_map(|entity| &entity.fields) {
        if let Kind::Choice(choice) = field.kind
            && !choices.contains(&choice)
        {
            choices.push(choice);
        }
    }
    choices
}

/// Adds an entity's types.
pub(super) fn register(builder: SchemaBuilder, entity: &'static Entity) -> SchemaBuilder {
    let object = Object::new(entity.name).description(entity.doc);
    let object = entity.fields.iter().fold(object, |object, field| object.field(value_field(field)));
    let object = entity.relations.iter().fold(object, |object, relation| object.field(relation_field(relation)));
    builder.register(object).register(input::filter(entity)).register(input::order_by(entity))
}

/// Adds an entity's roots.
pub(super) fn add_roots(query: Object, entity: &'static Entity) -> Object {
    let query = if entity.is_aggregation() { query } else { query.field(with_when(single(entity))) };
    entity.plurals.iter().fold(query, |query, name| {
        let list = GraphField::new(*name, TypeRef::named_nn_list_nn(entity.name), move |ctx| {
            FieldFuture::new(async move { list(&ctx, entity).await })
        })
        .description(format!("A page of {} entities. {}", entity.name, entity.doc));
        let list = if entity.is_aggregation() {
            input::with_page_in_order(input::with_interval(list), entity, "timestamp", "desc")
        } else {
            input::with_page(list, entity)
        };
        query.field(with_when(list))
    })
}

fn single(entity: &'static Entity) -> GraphField {
    GraphField::new(entity.singular, TypeRef::named(entity.name), move |ctx| {
        FieldFuture::new(async move { one(&ctx, entity).await })
    })
    .description(format!("One {} by its id; null when there is none.", entity.name))
    .argument(described("id", TypeRef::named_nn(TypeRef::ID), "The id; hex in it may have any case."))
}

fn with_when(field: GraphField) -> GraphField {
    field
        .argument(block_argument())
        .argument(chain_argument())
        .argument(finality_argument())
        .argument(input::error_policy())
}

async fn one(ctx: &ResolverContext<'_>, entity: &'static Entity) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let when = arguments.when(session)?;
    let selection = selection::of(entity, &[ctx.field()])?;
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let id = arguments.text("id").unwrap_or_default();
    let Some(record) = snapshot.one(&scope, &id, &selection).await.map_err(from_query)? else { return Ok(None) };
    Ok(hand_out(Tree::of(entity, &[ctx.field()]).one(&record)?))
}

async fn list(
    ctx: &ResolverContext<'_>,
    entity: &'static Entity,
) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let when = arguments.when(session)?;
    let selection = selection::of(entity, &[ctx.field()])?;
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let records = snapshot.list(&scope, &arguments.page(), &selection).await.map_err(from_query)?;
    Ok(hand_out(Tree::of(entity, &[ctx.field()]).all(&records)?))
}

/// A field that a record holds.
fn value_field(field: &'static Field) -> GraphField {
    let name = type_name(field.kind);
    let ty = match (field.kind, field.nullable) {
        (Kind::Texts | Kind::BytesList, false) => TypeRef::named_nn_list_nn(name),
        (Kind::Texts | Kind::BytesList, true) => TypeRef::named_nn_list(name),
        (_, false) => TypeRef::named_nn(name),
        (_, true) => TypeRef::named(name),
    };
    GraphField::new(field.name, ty, written_above).description(field.doc)
}

/// A relation whose rows a record holds.
fn relation_field(relation: &'static Relation) -> GraphField {
    let target = relation.target();
    let ty = match relation.cardinality {
        Cardinality::One => TypeRef::named_nn(target.name),
        Cardinality::Optional => TypeRef::named(target.name),
        Cardinality::Many => TypeRef::named_nn_list_nn(target.name),
    };
    let field = GraphField::new(relation.name, ty, written_above).description(relation.doc);
    if relation.cardinality == Cardinality::Many { input::with_page(field, target) } else { field }
}

/// The fields of an entity are not resolved one by one: what leads to a record writes all that is selected of it.
fn written_above(_: ResolverContext<'_>) -> FieldFuture<'_> {
    FieldFuture::new(async { Err::<Option<FieldValue<'_>>, _>("a record was handed out without its tree".into()) })
}
