//! ORDER BY: by a field, by a field of a related entity, or by id; ties are always broken by id.
//!
//! Nulls count as greatest, as in Postgres and so in graph-node. The id sorts in the same direction as the field, so
//! that an index serves both directions and one row comparison says "behind the cursor".

use super::condition::compare_rows;
use super::entity::{Cardinality, Entity, Field, Kind, Relation};
use super::error::QueryError;
use super::pin::BoundScope;
use super::source::Source;
use super::sql::{Datum, SqlType, Statement};

/// What a list is sorted by.
#[derive(Debug, Clone, Copy)]
pub(super) enum Key {
    Id,
    Field(&'static Field),
    /// By a related entity's field; by its id where that is nothing.
    Related(&'static Relation, &'static Field),
}

/// An order of an entity's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order {
    pub(super) key: Key,
    pub(super) descending: bool,
}

/// The values of an entity's `orderBy` enum, with what they mean.
#[must_use]
pub fn values(entity: &'static Entity) -> Vec<(String, String)> {
    let mut values: Vec<(String, String)> = entity
        .fields
        .iter()
        .filter(|field| field.sortable)
        .map(|field| (field.name.to_owned(), field.doc.to_owned()))
        .collect();
    for relation in entity.relations.iter().filter(|relation| relation.cardinality != Cardinality::Many) {
        values.push((relation.name.to_owned(), format!("The id of `{}`.", relation.name)));
        for field in relation.target().fields.iter().filter(|field| field.sortable) {
            values.push((format!("{}__{}", relation.name, field.name), field.doc.to_owned()));
        }
    }
    values
}

impl Order {
    /// Reads an `orderBy` value.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] when the entity does not sort by that.
    pub(super) fn read(entity: &'static Entity, name: Option<&str>, descending: bool) -> Result<Self, QueryError> {
        let unknown = || QueryError::BadInput(format!("`orderBy`: {} does not sort by that", entity.name));
        let key = match name {
            None => Key::Id,
            Some(name) => match name.split_once("__") {
                Some((relation, field)) => {
                    let relation = single(entity, relation).ok_or_else(unknown)?;
                    Key::Related(relation, sortable(relation.target(), field).ok_or_else(unknown)?)
                }
                None => match (sortable(entity, name), single(entity, name)) {
                    (Some(field), _) if field.kind == Kind::Id => Key::Id,
                    (Some(field), _) => Key::Field(field),
                    (None, Some(relation)) => {
                        Key::Related(relation, sortable(relation.target(), "id").ok_or_else(unknown)?)
                    }
                    (None, None) => return Err(unknown()),
                },
            },
        };
        Ok(Self { key, descending })
    }

    /// Whether it is that of the key, within a network: by id, or by a field that sorts by what comes first in ids.
    pub(super) fn follows_key(self, entity: &Entity) -> bool {
        match self.key {
            Key::Id => true,
            Key::Field(field) => {
                let (template, _) = field.order.unwrap_or((field.sql, field.ty));
                entity.key.get(1).is_some_and(|part| part.sql == template.latest && template.join.is_none())
            }
            Key::Related(..) => false,
        }
    }

    /// The order's name in cursors.
    pub(super) fn name(self) -> String {
        match self.key {
            Key::Id => "id".to_owned(),
            Key::Field(field) => field.name.to_owned(),
            Key::Related(relation, field) => format!("{}__{}", relation.name, field.name),
        }
    }

    /// The type of what comes before the key in the order.
    pub(super) fn field_type(self) -> Option<SqlType> {
        match self.key {
            Key::Id => None,
            Key::Field(field) => Some(sort_type(field)),
            Key::Related(relation, _) if relation.target().table.is_none() => Some(SqlType::Text),
            Key::Related(_, field) => Some(sort_type(field)),
        }
    }

    /// Whether a row's place in the order can change while the row stays.
    pub(super) fn moves(self, entity: &Entity) -> bool {
        match self.key {
            Key::Id => false,
            Key::Field(field) => entity.changing.contains(&field.name),
            Key::Related(..) => true,
        }
    }

    /// The expressions that the rows are sorted by: the field's, then the key's.
    pub(super) fn columns(
        self,
        source: &mut Source,
        scope: &BoundScope,
        statement: &mut Statement,
    ) -> Vec<(String, SqlType)> {
        let mut columns = Vec::new();
        match self.key {
            Key::Id => {}
            Key::Field(field) => columns.push(source.order_of(field, scope)),
            Key::Related(relation, field) => columns.push(related_field(relation, field, source, scope, statement)),
        }
        columns.extend(source.key());
        columns
    }

    /// The ORDER BY list over such columns.
    pub(super) fn list(self, columns: &[(String, SqlType)]) -> String {
        let direction = if self.descending { " DESC" } else { "" };
        let list: Vec<String> = columns.iter().map(|(sql, _)| format!("{sql}{direction}")).collect();
        list.join(", ")
    }

    /// The condition that a row is behind the one that has these values.
    pub(super) fn behind(self, columns: &[(String, SqlType)], values: &[Datum], statement: &mut Statement) -> String {
        let sign = if self.descending { "<" } else { ">" };
        let nullable = match self.key {
            Key::Id => false,
            Key::Field(field) => field.nullable,
            Key::Related(..) => true,
        };
        if !nullable {
            return compare_rows(columns, sign, values, statement);
        }
        let (sort, key) = (&columns[0].0, &columns[1..]);
        let tie = compare_rows(key, sign, &values[1..], statement);
        match (&values[0], self.descending) {
            (Datum::Null, false) => format!("({sort} IS NULL AND {tie})"),
            (Datum::Null, true) => format!("({sort} IS NOT NULL OR {tie})"),
            (value, descending) => {
                let value = statement.bind_datum(value);
                let nulls = if descending { String::new() } else { format!(" OR {sort} IS NULL") };
                format!("({sort} {sign} {value} OR ({sort} = {value} AND {tie}){nulls})")
            }
        }
    }
}

fn sort_type(field: &Field) -> SqlType {
    field.order.map_or(field.ty, |(_, ty)| ty)
}

fn sortable(entity: &'static Entity, name: &str) -> Option<&'static Field> {
    entity.fields.iter().find(|field| field.name == name && field.sortable)
}

fn single(entity: &'static Entity, name: &str) -> Option<&'static Relation> {
    entity.relations.iter().find(|relation| relation.name == name && relation.cardinality != Cardinality::Many)
}

fn related_field(
    relation: &'static Relation,
    field: &'static Field,
    source: &Source,
    scope: &BoundScope,
    statement: &mut Statement,
) -> (String, SqlType) {
    let target = relation.target();
    if target.table.is_none() {
        return ("NULL::text".to_owned(), SqlType::Text);
    }
    let mut there = Source::new(target, statement);
    let (sql, ty) = there.order_of(field, scope);
    let joined = there.joined_to(&relation.links, &source.alias);
    let holds = there.and_holds(scope);
    (format!("(SELECT {sql} FROM {} WHERE {joined}{holds})", there.table_and_joins(scope)), ty)
}
