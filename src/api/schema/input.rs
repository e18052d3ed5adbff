//! Inputs of an entity: `where`, `orderBy` and the arguments of a page, as graph-node generates them.

use async_graphql::Value;
use async_graphql::dynamic::{Enum, EnumItem, Field as GraphField, InputObject, InputValue, TypeRef};

use super::described;
use super::entity::type_name;
use crate::api::argument::DEFAULT_FIRST;
use crate::store::query::MAX_FIRST;
use crate::store::query::entity::{Cardinality, Entity, Field, Kind};
use crate::store::query::filter::{Anchor, Operator};
use crate::store::query::order;

/// The entity's `where` input.
pub(super) fn filter(entity: &'static Entity) -> InputObject {
    let name = format!("{}_filter", entity.name);
    let mut input = InputObject::new(&name)
        .description(format!("Which {} entities are wanted: all conditions must hold.", entity.name));
    for field in entity.fields.iter().filter(|field| field.filterable) {
        for operator in Operator::of(field.kind) {
            let ty = operand(field, *operator);
            input =
                input.field(described(format!("{}{}", field.name, operator.suffix()), ty, doc(field.name, *operator)));
        }
    }
    for relation in &entity.relations {
        if relation.cardinality != Cardinality::Many {
            for operator in Operator::of_relation() {
                let ty = if operator.takes_list() {
                    TypeRef::named_nn_list(TypeRef::STRING)
                } else {
                    TypeRef::named(TypeRef::STRING)
                };
                let subject = format!("the id of {}", relation.name);
                input = input.field(described(
                    format!("{}{}", relation.name, operator.suffix()),
                    ty,
                    doc(&subject, *operator),
                ));
            }
        }
        let target = relation.target().name;
        input = input.field(described(
            format!("{}_", relation.name),
            TypeRef::named(format!("{target}_filter")),
            format!("Conditions on {}: there is one for which all of them hold.", relation.name),
        ));
    }
    input
        .field(described(
            "_change_block",
            TypeRef::named("BlockChangedFilter"),
            "Conditions on the block of the last change.",
        ))
        .field(described("and", TypeRef::named_list(&name), "All of these must hold."))
        .field(described("or", TypeRef::named_list(&name), "One of these must hold; none does in an empty list."))
}

/// The entity's `orderBy` enum.
pub(super) fn order_by(entity: &'static Entity) -> Enum {
    let items = order::values(entity).into_iter().map(|(name, doc)| EnumItem::new(name).description(doc));
    Enum::new(format!("{}_orderBy", entity.name))
        .description(format!("What {} entities can be sorted by. Ties are broken by id.", entity.name))
        .items(items)
}

/// Adds the arguments of an aggregation.
pub(super) fn with_interval(field: GraphField) -> GraphField {
    field
        .argument(described(
            "interval",
            TypeRef::named_nn("Aggregation_interval"),
            "How long the intervals are, counted from 1970 in UTC.",
        ))
        .argument(described(
            "current",
            TypeRef::named("Aggregation_current"),
            "Whether the interval under way is told too, as far as it has come; `exclude` without it.",
        ))
}

/// Adds the arguments of a page.
pub(super) fn with_page(field: GraphField, entity: &Entity) -> GraphField {
    with_page_in_order(field, entity, "id", "asc")
}

/// Adds the arguments of a page that has an order of its own where none is asked for.
pub(super) fn with_page_in_order(field: GraphField, entity: &Entity, order: &str, direction: &str) -> GraphField {
    let int = || TypeRef::named(TypeRef::INT);
    field
        .argument(described("skip", int(), "How many rows to leave out at the start.").default_value(0))
        .argument(
            described("first", int(), format!("Most rows of the page, 1 to {MAX_FIRST}.")).default_value(DEFAULT_FIRST),
        )
        .argument(described(
            "orderBy",
            TypeRef::named(format!("{}_orderBy", entity.name)),
            format!("What to sort by; by {order} without it."),
        ))
        .argument(described(
            "orderDirection",
            TypeRef::named("OrderDirection"),
            format!("The direction; `{direction}` without it."),
        ))
        .argument(described("where", TypeRef::named(format!("{}_filter", entity.name)), "Which rows; all without it."))
        .argument(described(
            "after",
            TypeRef::named(TypeRef::STRING),
            "The `cursor` of the last row of the page before: this page begins behind it.",
        ))
}

/// graph-node's argument, for clients that send it.
pub(super) fn error_policy() -> InputValue {
    described(
        "subgraphError",
        TypeRef::named_nn("_SubgraphErrorPolicy_"),
        "Taken for The Graph's clients; it changes nothing.",
    )
    .default_value(Value::Enum(async_graphql::Name::new("deny")))
}

fn operand(field: &Field, operator: Operator) -> TypeRef {
    let name = type_name(field.kind);
    let list = operator.takes_list() || matches!(field.kind, Kind::Texts | Kind::BytesList);
    if list { TypeRef::named_nn_list(name) } else { TypeRef::named(name) }
}

fn doc(subject: &str, operator: Operator) -> String {
    let rest = match operator {
        Operator::Is => "is this; null: is null".to_owned(),
        Operator::Not => "is another than this; null: is not null".to_owned(),
        Operator::Gt => "is greater".to_owned(),
        Operator::Lt => "is less".to_owned(),
        Operator::Gte => "is greater or equal".to_owned(),
        Operator::Lte => "is less or equal".to_owned(),
        Operator::In => "is one of these".to_owned(),
        Operator::NotIn => "is none of these".to_owned(),
        Operator::Match(pattern) => {
            let negated = if pattern.negated { "does not " } else { "" };
            let s = if pattern.negated { "" } else { "s" };
            let place = match pattern.place {
                Anchor::Anywhere => format!("contain{s} this"),
                Anchor::Start => format!("begin{s} with this"),
                Anchor::End => format!("end{s} with this"),
            };
            let case = if pattern.ignore_case { ", in any case" } else { "" };
            format!("{negated}{place}{case}")
        }
    };
    format!("{subject} {rest}.")
}
