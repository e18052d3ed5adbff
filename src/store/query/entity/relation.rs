//! Where an entity leads to.

use super::Entity;
use crate::store::query::sql::SqlType;

/// A relation to another entity.
pub struct Relation {
    /// Its GraphQL name.
    pub name: &'static str,
    /// What it leads to.
    pub doc: &'static str,
    /// To one or to many.
    pub cardinality: Cardinality,
    pub(in crate::store::query) target: fn() -> &'static Entity,
    /// Columns of this row and of the related one that must be equal.
    pub(in crate::store::query) links: Vec<Link>,
}

/// How many rows a relation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// Exactly one.
    One,
    /// One or none.
    Optional,
    /// Any number: a derived list with arguments of its own.
    Many,
}

/// A pair of columns that join two rows.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::query) struct Link {
    /// Of this row; `{t}` is its alias.
    pub(in crate::store::query) here: &'static str,
    /// Of the related row; `{t}` is its alias.
    pub(in crate::store::query) there: &'static str,
    pub(in crate::store::query) ty: SqlType,
}

impl Relation {
    pub(super) fn new(
        name: &'static str,
        cardinality: Cardinality,
        target: fn() -> &'static Entity,
        links: Vec<Link>,
        doc: &'static str,
    ) -> Self {
        Self { name, doc, cardinality, target, links }
    }

    /// What it leads to.
    #[must_use]
    pub fn target(&self) -> &'static Entity {
        (self.target)()
    }
}

impl std::fmt::Debug for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
