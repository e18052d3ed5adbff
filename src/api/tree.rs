//! Records as the tree that was asked for.
//!
//! The store gives a question's whole answer at once, so there is nothing left to resolve below it. async-graphql would make
//! a future for each field of each row, which takes longer than finding the rows: a field that is answered with records
//! writes all of its value itself ([`Tree`]) and hands it out over the heads of the fields below ([`hand_out`]); whoever
//! stands around its resolver gives that value on ([`or_handed_out`]).

use std::cell::Cell;
use std::sync::Arc;

use async_graphql::dynamic::FieldValue;
use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, SelectionField, ServerResult, Value};

use super::scalar;
use super::selection::by_name;
use crate::store::query::entity::{Cardinality, Entity, Field, Kind, Relation};
use crate::store::query::{Datum, Record, Related};

/// What is written of each record of an entity, in the order of the query.
pub(super) struct Tree {
    members: Vec<(Name, Member)>,
}

/// What stands under one name of an answer.
enum Member {
    /// The name of the entity's type.
    TypeName(&'static str),
    /// A value that the record holds.
    Field(&'static Field),
    /// Rows that the record is related to.
    Related(&'static Relation, Tree),
}

impl Tree {
    /// What is selected of an entity below these fields, which have one name in the answer.
    pub(super) fn of(entity: &'static Entity, fields: &[SelectionField<'_>]) -> Self {
        let member = |(key, same): (&str, Vec<SelectionField<'_>>)| {
            let name = same[0].name();
            let member = if name == "__typename" {
                Member::TypeName(entity.name)
            } else if let Some(field) = entity.field(name) {
                Member::Field(field)
            } else {
                let relation = entity.relation(name)?;
                Member::Related(relation, Self::of(relation.target(), &same))
            };
            Some((Name::new(key), member))
        };
        Self { members: by_name(fields).into_iter().filter_map(member).collect() }
    }

    /// A record's value.
    ///
    /// # Errors
    /// When the store holds what the schema excludes.
    pub(super) fn one(&self, record: &Record) -> async_graphql::Result<Value> {
        let mut object = IndexMap::with_capacity(self.members.len());
        for (name, member) in &self.members {
            let value = match member {
                Member::TypeName(name) => Value::from(*name),
                Member::Field(field) => value_of(field, record.value(field.name))?,
                Member::Related(relation, tree) => tree.related(relation, record.related(name))?,
            };
            object.insert(name.clone(), value);
        }
        Ok(Value::Object(object))
    }

    /// The values of records.
    ///
    /// # Errors
    /// As [`Tree::one`].
    pub(super) fn all(&self, records: &[Arc<Record>]) -> async_graphql::Result<Value> {
        let values = records.iter().map(|record| self.one(record));
        Ok(Value::List(values.collect::<async_graphql::Result<_>>()?))
    }

    fn related(&self, relation: &Relation, related: Option<&Related>) -> async_graphql::Result<Value> {
        match related {
            Some(Related::One(Some(record))) => self.one(record),
            Some(Related::Many(records)) => self.all(records),
            Some(Related::One(None)) | None if relation.cardinality == Cardinality::Optional => Ok(Value::Null),
            Some(Related::One(None)) | None => Err(excluded(relation.name)),
        }
    }
}

fn value_of(field: &Field, value: Option<&Datum>) -> async_graphql::Result<Value> {
    let known = |choice: &Datum| match (field.kind, choice) {
        (Kind::Choice(choice), Datum::Text(text)) => choice.values.iter().any(|(name, _)| name == text),
        _ => true,
    };
    match value.filter(|value| known(value)).and_then(|value| scalar::output(field.kind, value)) {
        Some(value) => Ok(value),
        None if field.nullable && value.is_none_or(|value| *value == Datum::Null) => Ok(Value::Null),
        None => Err(excluded(field.name)),
    }
}

/// A mistake of this node, which is logged and not told.
fn excluded(name: &str) -> async_graphql::Error {
    async_graphql::Error::new(format!("{name} has a value that the schema excludes"))
}

tokio::task_local! {
    /// The whole value of the field whose resolver runs, once it has been handed out.
    static HANDED_OUT: Cell<Option<Value>>;
}

/// Hands out all of the value of the field that is being resolved, and gives what its resolver has to return for it: nothing
/// that has fields below.
pub(super) fn hand_out(value: Value) -> Option<FieldValue<'static>> {
    let empty = matches!(value, Value::List(_)).then(|| FieldValue::list(std::iter::empty::<FieldValue<'_>>()));
    HANDED_OUT.with(|place| place.set(Some(value)));
    empty
}

/// What a field was resolved to, or what was handed out for it.
pub(super) async fn or_handed_out(
    resolved: impl Future<Output = ServerResult<Option<Value>>>,
) -> ServerResult<Option<Value>> {
    HANDED_OUT
        .scope(Cell::new(None), async {
            let resolved = resolved.await;
            HANDED_OUT.with(Cell::take).map_or(resolved, |value| Ok(Some(value)))
        })
        .await
}
