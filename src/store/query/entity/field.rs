//! What an entity tells: a value of GraphQL, and the SQL that gives it.

use crate::store::query::sql::SqlType;

/// What a field is to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ID`.
    Id,
    /// `String`.
    Text,
    /// `BigInt`: a string of digits.
    BigInt,
    /// `BigDecimal`: a string of at most 34 significant digits.
    BigDecimal,
    /// `Bytes`: lower-case hex with 0x.
    Bytes,
    /// `Boolean`.
    Boolean,
    /// `Int`.
    Int,
    /// `Int8`: a string of digits.
    Int8,
    /// `Timestamp`: microseconds since 1970, as a string of digits.
    Timestamp,
    /// An enum.
    Choice(&'static Choice),
    /// A list of `String`.
    Texts,
    /// A list of `Bytes`.
    BytesList,
    /// The enum `Finality`, computed from the last change's block.
    Finality,
    /// The place of a row in the list it is in.
    Cursor,
}

/// An enum of the schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub doc: &'static str,
    /// Its values with what they mean.
    pub values: &'static [(&'static str, &'static str)],
}

/// A field of an entity.
pub struct Field {
    /// Its GraphQL name.
    pub name: &'static str,
    /// What it tells, with its unit.
    pub doc: &'static str,
    /// Its GraphQL type.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether `where` knows it.
    pub filterable: bool,
    /// Whether `orderBy` knows it.
    pub sortable: bool,
    /// Whether an index has it in front of the key: rows of one value stand side by side in the order of their ids.
    pub(in crate::store::query) leads_key: bool,
    /// The condition that a list holds all of `{v}`, an array that is not empty, where an index can serve it.
    pub(in crate::store::query) contains: Option<&'static str>,
    pub(in crate::store::query) sql: Template,
    pub(in crate::store::query) ty: SqlType,
    pub(in crate::store::query) order: Option<(Template, SqlType)>,
}

impl Field {
    pub(super) fn new(name: &'static str, kind: Kind, ty: SqlType, sql: &'static str, doc: &'static str) -> Self {
        let single = !matches!(kind, Kind::Texts | Kind::BytesList | Kind::Finality | Kind::Cursor);
        let computed = matches!(kind, Kind::Finality | Kind::Cursor);
        Self {
            name,
            doc,
            kind,
            nullable: false,
            filterable: !computed,
            sortable: single,
            leads_key: false,
            contains: None,
            sql: Template::plain(sql),
            ty,
            order: None,
        }
    }

    pub(super) fn id(sql: &'static str, doc: &'static str) -> Self {
        Self::new("id", Kind::Id, SqlType::Text, sql, doc)
    }

    pub(super) fn text(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Text, SqlType::Text, sql, doc)
    }

    /// A BigInt whose column fits 64 bits.
    pub(super) fn integer(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::BigInt, SqlType::Integer, sql, doc)
    }

    /// A BigInt of any size.
    pub(super) fn numeric(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::BigInt, SqlType::Numeric, sql, doc)
    }

    pub(super) fn decimal(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::BigDecimal, SqlType::Numeric, sql, doc)
    }

    pub(super) fn bytes(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Bytes, SqlType::Bytes, sql, doc)
    }

    pub(super) fn boolean(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Boolean, SqlType::Boolean, sql, doc)
    }

    pub(super) fn int(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Int, SqlType::Integer, sql, doc)
    }

    pub(super) fn choice(name: &'static str, choice: &'static Choice, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Choice(choice), SqlType::Text, sql, doc)
    }

    pub(super) fn texts(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Texts, SqlType::Texts, sql, doc)
    }

    pub(super) fn bytes_list(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::BytesList, SqlType::BytesList, sql, doc)
    }

    pub(super) fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// Sorts by a block number that rises with the field: its index serves, and equal times stay in the chain's order.
    pub(super) fn sorted_by_block(self, sql: &'static str) -> Self {
        Self { order: Some((Template::plain(sql), SqlType::Integer)), ..self }
    }

    pub(super) fn with(self, sql: Template) -> Self {
        Self { sql, ..self }
    }

    pub(super) fn joined(mut self, join: &'static str) -> Self {
        self.sql.join = Some(join);
        self
    }

    pub(super) fn pinned(mut self, sql: &'static str) -> Self {
        self.sql.pinned = Some(sql);
        self
    }

    /// Of a joined row, by another join as of an earlier block.
    pub(super) fn joined_as_of(mut self, join: &'static str, pinned_join: &'static str) -> Self {
        (self.sql.join, self.sql.pinned_join) = (Some(join), Some(pinned_join));
        self
    }

    pub(super) fn leads_key(self) -> Self {
        Self { leads_key: true, ..self }
    }

    pub(super) fn contains(self, sql: &'static str) -> Self {
        Self { contains: Some(sql), ..self }
    }
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// An expression, which may differ between the newest state and an earlier one.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::query) struct Template {
    /// Of the newest state.
    pub(in crate::store::query) latest: &'static str,
    /// A join that the newest state's expression needs, keyed by its text.
    pub(in crate::store::query) join: Option<&'static str>,
    /// As of an earlier block, where that is another expression.
    pub(in crate::store::query) pinned: Option<&'static str>,
    /// A join that the expression needs as of an earlier block.
    pub(in crate::store::query) pinned_join: Option<&'static str>,
}

impl Template {
    /// An expression over the row alone, the same as of any block.
    pub(super) const fn plain(sql: &'static str) -> Self {
        Self { latest: sql, join: None, pinned: None, pinned_join: None }
    }
}
