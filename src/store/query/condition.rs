//! WHERE: conditions on an entity's rows, written into a statement with every value bound.

use super::entity::{KeyPart, Relation};
use super::filter::{Anchor, Filter, IdTest, Pattern, Test};
use super::id::ParsedId;
use super::pin::BoundScope;
use super::source::{Source, expand};
use super::sql::{Datum, SqlType, Statement, escape_like};

/// Writes a condition on the rows of a source.
pub(super) fn write(filter: &Filter, source: &mut Source, scope: &BoundScope, statement: &mut Statement) -> String {
    match filter {
        Filter::All(filters) => joined(filters, " AND ", "TRUE", source, scope, statement),
        Filter::Any(filters) => joined(filters, " OR ", "FALSE", source, scope, statement),
        Filter::Constant(true) => "TRUE".to_owned(),
        Filter::Constant(false) => "FALSE".to_owned(),
        Filter::Not(inner) => format!("NOT ({})", write(inner, source, scope, statement)),
        Filter::Id(test) => {
            let key = source.key();
            id_test(test, &key, statement)
        }
        Filter::ChangedSince(block) => {
            let block = statement.bind(*block);
            format!("{} >= {block}::bigint", source.changed(scope))
        }
        Filter::Related(relation, inner) => related(relation, inner, source, scope, statement),
        Filter::Field(field, Test::ListContains { wanted, pattern }) if field.contains.is_some() => {
            let template = field.contains.unwrap_or_default();
            let wanted = statement.bind_datum(wanted);
            let contains = expand(template, &source.alias, scope).replace("{v}", &wanted);
            if pattern.negated { format!("NOT ({contains})") } else { contains }
        }
        Filter::Field(field, test) => {
            let sql = source.field(field, scope);
            field_test(&sql, field.ty, test, statement)
        }
    }
}

fn joined(
    filters: &[Filter],
    operator: &str,
    empty: &str,
    source: &mut Source,
    scope: &BoundScope,
    statement: &mut Statement,
) -> String {
    match filters {
        [] => empty.to_owned(),
        [only] => write(only, source, scope, statement),
        _ => {
            let parts: Vec<String> = filters.iter().map(|filter| write(filter, source, scope, statement)).collect();
            format!("({})", parts.join(operator))
        }
    }
}

fn field_test(sql: &str, ty: SqlType, test: &Test, statement: &mut Statement) -> String {
    match test {
        Test::Null => format!("({sql}) IS NULL"),
        Test::NotNull => format!("({sql}) IS NOT NULL"),
        Test::Compare(sign, value) => {
            let collation = if ty == SqlType::Text && !matches!(*sign, "=" | "<>") { " COLLATE \"C\"" } else { "" };
            format!("({sql}){collation} {sign} {}", statement.bind_datum(value))
        }
        Test::In(values) => format!("({sql}) = ANY({})", any_of(ty, values, statement)),
        Test::NotIn(values) => format!("({sql}) <> ALL({})", any_of(ty, values, statement)),
        Test::Like { text, pattern } => like(sql, text, *pattern, statement),
        Test::BytesContain { bytes, negated } => {
            let bytes = statement.bind(bytes.clone());
            format!("position({bytes}::bytea IN {sql}) {} 0", if *negated { "=" } else { ">" })
        }
        Test::ListContains { wanted, pattern } => {
            let wanted = statement.bind_datum(wanted);
            let contains = if pattern.ignore_case {
                let lower = |list: &str| format!("ARRAY(SELECT lower(item) FROM unnest({list}) AS item)");
                format!("{} @> {}", lower(sql), lower(&wanted))
            } else {
                format!("({sql}) @> {wanted}")
            };
            if pattern.negated { format!("NOT ({contains})") } else { contains }
        }
    }
}

/// An array of values. Where one of them is beyond 64 bits, all are compared as exact numbers.
fn any_of(ty: SqlType, values: &[Datum], statement: &mut Statement) -> String {
    if ty == SqlType::Integer && values.iter().any(|value| matches!(value, Datum::Numeric(_))) {
        let exact: Vec<Datum> = values
            .iter()
            .map(|value| match value {
                Datum::Integer(number) => Datum::Numeric(number.to_string()),
                other => other.clone(),
            })
            .collect();
        return statement.bind_array(SqlType::Numeric, exact.iter());
    }
    statement.bind_array(ty, values.iter())
}

fn like(sql: &str, text: &str, pattern: Pattern, statement: &mut Statement) -> String {
    let text = escape_like(text);
    let text = match pattern.place {
        Anchor::Anywhere => format!("%{text}%"),
        Anchor::Start => format!("{text}%"),
        Anchor::End => format!("%{text}"),
    };
    let operator = match (pattern.negated, pattern.ignore_case) {
        (false, false) => "LIKE",
        (false, true) => "ILIKE",
        (true, false) => "NOT LIKE",
        (true, true) => "NOT ILIKE",
    };
    format!("({sql}) {operator} {}::text", statement.bind(text))
}

/// A test of key columns.
fn id_test(test: &IdTest, key: &[(String, SqlType)], statement: &mut Statement) -> String {
    match test {
        IdTest::Compare(sign, parts) => compare_rows(key, sign, parts, statement),
        IdTest::In(ids) => one_of(ids, key, statement),
    }
}

/// `(a, b, c) > (x, y, z)`: what a composite index can serve.
pub(super) fn compare_rows(
    columns: &[(String, SqlType)],
    sign: &str,
    values: &[Datum],
    statement: &mut Statement,
) -> String {
    let left: Vec<&str> = columns.iter().map(|(sql, _)| sql.as_str()).collect();
    let right: Vec<String> = values.iter().map(|value| statement.bind_datum(value)).collect();
    format!("({}) {sign} ({})", left.join(", "), right.join(", "))
}

fn one_of(ids: &[ParsedId], key: &[(String, SqlType)], statement: &mut Statement) -> String {
    // Parts that an id does not tell are left open; they are the same ones for all ids of an entity.
    let told: Vec<usize> =
        (0..key.len()).filter(|place| ids.iter().all(|id| id.get(*place).is_some_and(Option::is_some))).collect();
    if let [id] = ids {
        let parts: Vec<String> = told
            .iter()
            .filter_map(|place| Some((place, id[*place].as_ref()?)))
            .map(|(place, value)| format!("{} = {}", key[*place].0, statement.bind_datum(value)))
            .collect();
        return format!("({})", parts.join(" AND "));
    }
    let columns: Vec<&str> = told.iter().map(|place| key[*place].0.as_str()).collect();
    let arrays: Vec<String> = told
        .iter()
        .map(|place| statement.bind_array(key[*place].1, ids.iter().filter_map(|id| id[*place].as_ref())))
        .collect();
    format!("({}) IN (SELECT * FROM unnest({}))", columns.join(", "), arrays.join(", "))
}

fn related(
    relation: &'static Relation,
    inner: &Filter,
    source: &mut Source,
    scope: &BoundScope,
    statement: &mut Statement,
) -> String {
    let target = relation.target();
    if target.table.is_none() {
        return "FALSE".to_owned();
    }
    if let (Filter::Id(test), Some(key)) = (strip_not(inner), own_key(relation, &source.alias)) {
        let condition = id_test(test, &key, statement);
        return if matches!(inner, Filter::Not(_)) { format!("NOT ({condition})") } else { condition };
    }
    let mut there = Source::new(target, statement);
    let joined = there.joined_to(&relation.links, &source.alias);
    let condition = write(inner, &mut there, scope, statement);
    let holds = there.and_holds(scope);
    format!("EXISTS (SELECT FROM {} WHERE {joined}{holds} AND {condition})", there.table_and_joins(scope))
}

fn strip_not(filter: &Filter) -> &Filter {
    match filter {
        Filter::Not(inner) => inner,
        other => other,
    }
}

/// The columns of this row that hold the related entity's whole key, where they do.
fn own_key(relation: &Relation, alias: &str) -> Option<Vec<(String, SqlType)>> {
    let columns = own_columns(relation)?;
    let types = relation.target().key.iter().map(|part| part.ty);
    Some(columns.into_iter().map(|column| column.replace("{t}", alias)).zip(types).collect())
}

/// The same columns, with `{t}` for the alias.
pub(super) fn own_columns(relation: &Relation) -> Option<Vec<&'static str>> {
    let column = |part: &KeyPart| Some(relation.links.iter().find(|link| link.there == part.sql)?.here);
    relation.target().key.iter().map(column).collect()
}
