//! Rows on their way into a table: many by binary COPY, few by one INSERT.
//!
//! COPY is the fastest way for many rows, but takes two answers of the server. Few rows are sent as arrays, one for each
//! column, by a statement whose text does not depend on their number, and whose answer is one.

use std::error::Error;
use std::pin::Pin;

use bytes::{Buf, BufMut, BytesMut};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

use super::error::StoreError;
use super::sql::{Parameter, Sql};

/// Rows that are being inserted.
pub(super) struct Insert<'s, 'a> {
    sql: &'s Sql<'a>,
    rows: u64,
    way: Way,
}

enum Way {
    /// Each is sent as it comes.
    Copy(Pin<Box<BinaryCopyInWriter>>),
    /// All are sent in the end.
    Arrays { statement: String, columns: Vec<(Type, Column)> },
}

impl<'s, 'a> Insert<'s, 'a> {
    /// By binary COPY.
    pub(super) fn copy(sql: &'s Sql<'a>, writer: BinaryCopyInWriter) -> Self {
        Self { sql, rows: 0, way: Way::Copy(Box::pin(writer)) }
    }

    /// By one statement.
    pub(super) fn arrays(sql: &'s Sql<'a>, table: &str, columns: &[(&str, Type)]) -> Self {
        let statement = statement(table, columns);
        let columns = columns.iter().map(|(_, column_type)| (column_type.clone(), Column::new(column_type))).collect();
        Self { sql, rows: 0, way: Way::Arrays { statement, columns } }
    }

    /// Adds a row, without its `chain_id`.
    pub(super) async fn row(&mut self, values: &[Parameter<'_>]) -> Result<(), StoreError> {
        self.rows += 1;
        match &mut self.way {
            Way::Copy(writer) => {
                let row = self.sql.with_chain(values);
                writer.as_mut().write(&row).await.map_err(self.sql.wrong())
            }
            Way::Arrays { columns, .. } => {
                assert_eq!(columns.len(), values.len(), "a row has a value for each column");
                for ((column_type, column), value) in columns.iter_mut().zip(values) {
                    column.push(*value, column_type)?;
                }
                Ok(())
            }
        }
    }

    /// Ends the insert; returns its number of rows.
    pub(super) async fn finish(self) -> Result<u64, StoreError> {
        let written = match self.way {
            Way::Copy(mut writer) => writer.as_mut().finish().await.map_err(self.sql.wrong())?,
            Way::Arrays { columns, statement } => {
                let parameters: Vec<Parameter<'_>> =
                    columns.iter().flat_map(|(_, column)| column.parameters()).collect();
                self.sql.execute(&statement, &parameters).await?
            }
        };
        debug_assert_eq!(written, self.rows);
        Ok(written)
    }
}

/// The statement that inserts rows out of arrays. A value that is itself an array is a slice of one array that holds all
/// of them, because `unnest` would take it apart.
fn statement(table: &str, columns: &[(&str, Type)]) -> String {
    let (mut values, mut lists, mut names) = (Vec::new(), Vec::new(), Vec::new());
    let mut parameter = 1;
    let mut next = |type_name: &str| {
        parameter += 1;
        format!("${parameter}::{type_name}[]")
    };
    for (name, column_type) in columns {
        if let Kind::Array(member) = column_type.kind() {
            let all = next(member.name());
            let (first, last) = (format!("{name}_first"), format!("{name}_last"));
            lists.extend([next("int4"), next("int4")]);
            values.push(format!("({all})[r.{first}:r.{last}]"));
            names.extend([first, last]);
        } else {
            lists.push(next(column_type.name()));
            values.push(format!("r.{name}"));
            names.push((*name).to_owned());
        }
    }
    let columns: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    format!(
        "INSERT INTO {table} (chain_id, {}) SELECT $1, {} FROM unnest({}) AS r ({})",
        columns.join(", "),
        values.join(", "),
        lists.join(", "),
        names.join(", ")
    )
}

/// The values of one column.
enum Column {
    Plain(Array),
    /// Arrays, one behind the other in `all`, and where each begins and ends there, counted from 1.
    Nested {
        all: Array,
        first: Array,
        last: Array,
    },
}

impl Column {
    fn new(column_type: &Type) -> Self {
        match column_type.kind() {
            Kind::Array(member) => Self::Nested {
                all: Array::of(member.clone()),
                first: Array::of(Type::INT4),
                last: Array::of(Type::INT4),
            },
            _ => Self::Plain(Array::of(column_type.clone())),
        }
    }

    fn push(&mut self, value: Parameter<'_>, column_type: &Type) -> Result<(), StoreError> {
        match self {
            Self::Plain(array) => array.push(value),
            Self::Nested { all, first, last } => {
                let before = all.length;
                let is_null = all.append(value, column_type)?;
                let bounds = (!is_null).then_some((before + 1, all.length));
                first.push(&bounds.map(|(first, _)| first))?;
                last.push(&bounds.map(|(_, last)| last))
            }
        }
    }

    fn parameters(&self) -> impl Iterator<Item = Parameter<'_>> {
        let arrays = match self {
            Self::Plain(array) => [Some(array), None, None],
            Self::Nested { all, first, last } => [Some(all), Some(first), Some(last)],
        };
        arrays.into_iter().flatten().map(|array| array as Parameter<'_>)
    }
}

/// An array of one dimension as it is sent: its values, each behind its length.
#[derive(Debug)]
struct Array {
    member: Type,
    length: i32,
    has_nulls: bool,
    values: BytesMut,
}

impl Array {
    fn of(member: Type) -> Self {
        Self { member, length: 0, has_nulls: false, values: BytesMut::new() }
    }

    fn push(&mut self, value: Parameter<'_>) -> Result<(), StoreError> {
        let at = self.values.len();
        self.values.put_i32(-1);
        if let IsNull::No = value.to_sql_checked(&self.member, &mut self.values).map_err(unfit)? {
            let bytes = i32::try_from(self.values.len() - at - 4).map_err(|error| unfit(error.into()))?;
            self.values[at..at + 4].copy_from_slice(&bytes.to_be_bytes());
        } else {
            self.has_nulls = true;
        }
        self.length += 1;
        Ok(())
    }

    /// Adds all values of an array; returns whether it is no array but NULL.
    fn append(&mut self, array: Parameter<'_>, array_type: &Type) -> Result<bool, StoreError> {
        let mut sent = BytesMut::new();
        if let IsNull::Yes = array.to_sql_checked(array_type, &mut sent).map_err(unfit)? {
            return Ok(true);
        }
        // Dimensions, whether there are NULLs, the type; of the dimension its length and the index it begins at.
        let (dimensions, has_nulls, _) = (sent.get_i32(), sent.get_i32() != 0, sent.get_u32());
        if dimensions > 0 {
            self.has_nulls |= has_nulls;
            self.length += sent.get_i32();
            sent.advance(size_of::<i32>());
            self.values.extend_from_slice(&sent);
        }
        Ok(false)
    }
}

impl ToSql for Array {
    fn to_sql(&self, array_type: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if *array_type.kind() != Kind::Array(self.member.clone()) {
            return Err(format!("values of {} are no {array_type}", self.member).into());
        }
        out.put_i32(1);
        out.put_i32(self.has_nulls.into());
        out.put_u32(self.member.oid());
        out.put_i32(self.length);
        out.put_i32(1);
        out.extend_from_slice(&self.values);
        Ok(IsNull::No)
    }

    fn accepts(array_type: &Type) -> bool {
        matches!(array_type.kind(), Kind::Array(_))
    }

    to_sql_checked!();
}

/// A value that cannot be sent: of another type than its column, or too large for any.
fn unfit(error: Box<dyn Error + Sync + Send>) -> StoreError {
    StoreError::Batch { reason: format!("a value cannot be written to the database: {error}") }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_postgres::types::{ToSql, Type};

    use super::{Array, Column, statement};

    fn sent(value: &dyn ToSql, value_type: &Type) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        value.to_sql_checked(value_type, &mut bytes).unwrap();
        bytes.to_vec()
    }

    #[test]
    fn an_array_is_sent_as_the_driver_sends_one() {
        let mut array = Array::of(Type::TEXT);
        for value in [Some("名"), None, Some("")] {
            array.push(&value).unwrap();
        }
        assert_eq!(sent(&array, &Type::TEXT_ARRAY), sent(&vec![Some("名"), None, Some("")], &Type::TEXT_ARRAY));
        assert!(array.to_sql_checked(&Type::INT8_ARRAY, &mut BytesMut::new()).is_err());
        assert!(array.push(&5_i64).is_err());
    }

    #[test]
    fn arrays_are_put_behind_each_other_and_told_apart_by_their_bounds() {
        let mut column = Column::new(&Type::INT8_ARRAY);
        for value in [Some(vec![1_i64, 2]), None, Some(vec![]), Some(vec![3])] {
            column.push(&value, &Type::INT8_ARRAY).unwrap();
        }
        let parameters: Vec<_> = column.parameters().collect();
        assert_eq!(sent(parameters[0], &Type::INT8_ARRAY), sent(&vec![1_i64, 2, 3], &Type::INT8_ARRAY).as_slice());
        // An empty one ends before it begins.
        assert_eq!(
            sent(parameters[1], &Type::INT4_ARRAY),
            sent(&vec![Some(1), None, Some(3), Some(3)], &Type::INT4_ARRAY)
        );
        assert_eq!(
            sent(parameters[2], &Type::INT4_ARRAY),
            sent(&vec![Some(2), None, Some(2), Some(3)], &Type::INT4_ARRAY)
        );
    }

    #[test]
    fn one_statement_inserts_any_number_of_rows() {
        let columns = [("number", Type::INT8), ("counts", Type::INT8_ARRAY), ("hash", Type::BYTEA)];
        let expected = "INSERT INTO block (chain_id, number, counts, hash) \
                        SELECT $1, r.number, ($3::int8[])[r.counts_first:r.counts_last], r.hash \
                        FROM unnest($2::int8[], $4::int4[], $5::int4[], $6::bytea[]) \
                        AS r (number, counts_first, counts_last, hash)";
        assert_eq!(statement("block", &columns), expected);
    }
}
