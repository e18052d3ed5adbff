//! What is asked for and what comes back: selections, pages, records.
//!
//! A [`Selection`] is a tree of fields and relations, known before the first statement; a [`Record`] is a row with the
//! rows that it is related to. Records are shared: an agent that a thousand feedbacks lead to is read once.

use std::sync::Arc;

use serde_json::Value;

use super::entity::{Entity, Field, Relation};
use super::interval::Interval;
use super::sql::Datum;

/// Which fields and relations of an entity are wanted.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The entity.
    pub entity: &'static Entity,
    /// The fields, each once.
    pub fields: Vec<&'static Field>,
    /// The relations, one for each name in the answer.
    pub relations: Vec<Nested>,
}

impl Selection {
    /// The same of another description of the entity, with fields of the same names.
    pub(super) fn of(&self, entity: &'static Entity) -> Self {
        let fields = self.fields.iter().filter_map(|field| entity.field(field.name)).collect();
        Self { entity, fields, relations: self.relations.clone() }
    }
}

/// A relation that is wanted.
#[derive(Debug, Clone)]
pub struct Nested {
    /// Its name in the answer.
    pub key: String,
    /// The relation.
    pub relation: &'static Relation,
    /// Which of the related rows, for a list.
    pub page: Page,
    /// What of them.
    pub selection: Selection,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The `where` object; null for none.
    pub filter: Value,
    /// Most rows.
    pub first: i64,
    /// How many rows to leave out at the start.
    pub skip: i64,
    /// The `orderBy` value.
    pub order_by: Option<String>,
    /// Whether the order is reversed.
    pub descending: bool,
    /// The cursor of the row behind which the page begins.
    pub after: Option<String>,
    /// Of an aggregation: how long its intervals are.
    pub interval: Option<Interval>,
    /// Of an aggregation: whether the interval under way is wanted.
    pub with_current: bool,
}

/// A row, with what it is related to.
#[derive(Debug)]
pub struct Record {
    pub(super) shape: Arc<Shape>,
    pub(super) values: Vec<Datum>,
    pub(super) related: Vec<Related>,
}

/// The rows that a row is related to.
#[derive(Debug, Clone)]
pub enum Related {
    /// By a relation to one.
    One(Option<Arc<Record>>),
    /// By a relation to many.
    Many(Vec<Arc<Record>>),
}

/// Where the fields of records of one selection are.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) fields: Vec<(&'static str, usize)>,
    pub(super) relations: Vec<String>,
}

impl Record {
    /// A selected field's value.
    #[must_use]
    pub fn value(&self, field: &str) -> Option<&Datum> {
        let (_, place) = self.shape.fields.iter().find(|(name, _)| *name == field)?;
        self.values.get(*place)
    }

    /// The rows behind a selected relation, by its name in the answer.
    #[must_use]
    pub fn related(&self, key: &str) -> Option<&Related> {
        let place = self.shape.relations.iter().position(|name| name == key)?;
        self.related.get(place)
    }
}
