//! Statements: their text, their bound parameters, and the values that go in and come out.
//!
//! Every value that a client sent is a parameter, cast to its type in the text; the text itself is made of constants of
//! this crate alone, and depends only on the shape of the question, so that prepared statements are found again.

use std::fmt::Write as _;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::entity::Entity;

/// The type of a column that takes part in keys and comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::query) enum SqlType {
    /// Whole numbers that fit 64 bits, whatever their column's width.
    Integer,
    /// Exact numbers of any size.
    Numeric,
    /// Text, compared byte by byte.
    Text,
    /// Raw bytes.
    Bytes,
    /// True or false.
    Boolean,
    /// A list of texts.
    Texts,
    /// A list of raw bytes.
    BytesList,
}

/// A value of one of these types; numbers of any size are decimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Datum {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// An exact number, as Postgres writes it.
    Numeric(String),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// True or false.
    Boolean(bool),
    /// A list of texts.
    Texts(Vec<String>),
    /// A list of bytes.
    BytesList(Vec<Vec<u8>>),
}

/// A bound parameter.
pub(super) type Parameter = Box<dyn ToSql + Sync + Send>;

/// A statement in the making.
#[derive(Default)]
pub(super) struct Statement {
    /// The text so far.
    pub(super) text: String,
    parameters: Vec<Parameter>,
    aliases: usize,
    /// Whether it finds its rows by their keys, or by what these begin with: then the server may keep one plan for whatever
    /// the values are, which takes less than half the time. What clients filter by is planned for its values: one tag is rare, another is on every row.
    pub(super) keyed: bool,
    /// Of the entities that it reads, one that needs the newest program's rows.
    pub(super) newest: Option<&'static Entity>,
}

impl Statement {
    /// An empty one that will find its rows by whole keys.
    pub(super) fn by_key() -> Self {
        Self { keyed: true, ..Self::default() }
    }

    /// One of a text without parameters.
    pub(super) fn of(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// Appends text of this crate.
    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Whether any value is bound.
    pub(super) fn has_parameters(&self) -> bool {
        !self.parameters.is_empty()
    }

    /// A table alias that no other part of the statement has.
    pub(super) fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("t{}", self.aliases)
    }

    /// Binds a value and returns its placeholder without a cast.
    pub(super) fn bind(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.parameters.push(Box::new(value));
        format!("${}", self.parameters.len())
    }

    /// Binds a value of a type and returns an expression of that type.
    pub(super) fn bind_datum(&mut self, value: &Datum) -> String {
        match value {
            Datum::Null => "NULL".to_owned(),
            Datum::Integer(value) => format!("{}::bigint", self.bind(*value)),
            Datum::Numeric(value) => format!("{}::text::numeric", self.bind(value.clone())),
            Datum::Text(value) => format!("{}::text", self.bind(value.clone())),
            Datum::Bytes(value) => format!("{}::bytea", self.bind(value.clone())),
            Datum::Boolean(value) => format!("{}::boolean", self.bind(*value)),
            Datum::Texts(value) => format!("{}::text[]", self.bind(value.clone())),
            Datum::BytesList(value) => format!("{}::bytea[]", self.bind(value.clone())),
        }
    }

    /// Binds a column of values of one type as an array; values of another type become NULL.
    pub(super) fn bind_array<'a>(&mut self, ty: SqlType, values: impl Iterator<Item = &'a Datum>) -> String {
        match ty {
            SqlType::Integer => {
                let values: Vec<Option<i64>> =
                    values.map(|value| if let Datum::Integer(value) = value { Some(*value) } else { None }).collect();
                format!("{}::bigint[]", self.bind(values))
            }
            SqlType::Numeric => {
                let values: Vec<Option<String>> = values
                    .map(|value| if let Datum::Numeric(value) = value { Some(value.clone()) } else { None })
                    .collect();
                format!("{}::text[]::numeric[]", self.bind(values))
            }
            SqlType::Bytes => {
                let values: Vec<Option<Vec<u8>>> = values
                    .map(|value| if let Datum::Bytes(value) = value { Some(value.clone()) } else { None })
                    .collect();
                format!("{}::bytea[]", self.bind(values))
            }
            SqlType::Boolean => {
                let values: Vec<Option<bool>> =
                    values.map(|value| if let Datum::Boolean(value) = value { Some(*value) } else { None }).collect();
                format!("{}::boolean[]", self.bind(values))
            }
            SqlType::Text | SqlType::Texts | SqlType::BytesList => {
                let values: Vec<Option<String>> = values
                    .map(|value| if let Datum::Text(value) = value { Some(value.clone()) } else { None })
                    .collect();
                format!("{}::text[]", self.bind(values))
            }
        }
    }

    /// The parameters in the order of their placeholders.
    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.parameters.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }
}

/// The columns that a statement returns, each once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Columns(Vec<(String, SqlType)>);

impl Columns {
    /// The place of a column, which is added when it is new.
    pub(super) fn place(&mut self, sql: &str, ty: SqlType) -> usize {
        if let Some(place) = self.0.iter().position(|column| column.0 == sql && column.1 == ty) {
            return place;
        }
        self.0.push((sql.to_owned(), ty));
        self.0.len() - 1
    }

    /// Whether nothing was asked for yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The select list. Numbers of any size travel as text.
    pub(super) fn select_list(&self) -> String {
        let mut list = String::new();
        for (place, (sql, ty)) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            let cast = match ty {
                SqlType::Integer => "bigint",
                SqlType::Numeric | SqlType::Text => "text",
                SqlType::Bytes => "bytea",
                SqlType::Boolean => "boolean",
                SqlType::Texts => "text[]",
                SqlType::BytesList => "bytea[]",
            };
            write!(list, "{separator}({sql})::{cast} AS c{place}").expect("writing to a String cannot fail");
        }
        list
    }

    /// Reads a row whose columns begin at `offset`.
    ///
    /// # Errors
    /// When the database returns another type than was asked for: a mistake of this crate.
    pub(super) fn read(&self, row: &Row, offset: usize) -> Result<Vec<Datum>, tokio_postgres::Error> {
        self.0.iter().enumerate().map(|(place, (_, ty))| read(row, offset + place, *ty)).collect()
    }
}

fn read(row: &Row, place: usize, ty: SqlType) -> Result<Datum, tokio_postgres::Error> {
    Ok(match ty {
        SqlType::Integer => row.try_get::<_, Option<i64>>(place)?.map(Datum::Integer),
        SqlType::Numeric => row.try_get::<_, Option<String>>(place)?.map(Datum::Numeric),
        SqlType::Text => row.try_get::<_, Option<String>>(place)?.map(Datum::Text),
        SqlType::Bytes => row.try_get::<_, Option<Vec<u8>>>(place)?.map(Datum::Bytes),
        SqlType::Boolean => row.try_get::<_, Option<bool>>(place)?.map(Datum::Boolean),
        SqlType::Texts => row.try_get::<_, Option<Vec<String>>>(place)?.map(Datum::Texts),
        SqlType::BytesList => row.try_get::<_, Option<Vec<Vec<u8>>>>(place)?.map(Datum::BytesList),
    }
    .unwrap_or(Datum::Null))
}

/// The text with LIKE's own characters taken literally (the escape character is Postgres' default, a backslash).
pub(super) fn escape_like(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{Columns, Datum, SqlType, Statement, escape_like};

    #[test]
    fn like_takes_its_own_characters_literally() {
        assert_eq!(escape_like(r"100%_a\b"), r"100\%\_a\\b");
    }

    #[test]
    fn a_value_is_never_text() {
        let mut statement = Statement::default();
        let hostile = Datum::Text("'; DROP TABLE agent; --".to_owned());
        assert_eq!(statement.bind_datum(&hostile), "$1::text");
        assert_eq!(statement.parameters().len(), 1);
    }

    #[test]
    fn a_column_is_selected_once() {
        let mut columns = Columns::default();
        assert_eq!(columns.place("t1.owner", SqlType::Bytes), 0);
        assert_eq!(columns.place("t1.chain_id", SqlType::Integer), 1);
        assert_eq!(columns.place("t1.owner", SqlType::Bytes), 0);
        assert_eq!(columns.select_list(), "(t1.owner)::bytea AS c0, (t1.chain_id)::bigint AS c1");
    }
}
