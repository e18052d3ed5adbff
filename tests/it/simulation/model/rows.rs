//! Rows of tables as Postgres shows them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::AgentKey;
use super::history::{At, Span};

/// A column's text as Postgres shows it, or NULL.
pub(crate) type Cell = Option<String>;

/// A row by column.
pub(crate) type Row = BTreeMap<&'static str, Cell>;

/// The rows of every table.
#[derive(Debug, Default)]
pub(crate) struct Rows(pub(crate) BTreeMap<&'static str, Vec<Row>>);

impl Rows {
    pub(crate) fn put(&mut self, table: &'static str, row: Row) {
        self.0.entry(table).or_default().push(row);
    }

    pub(crate) fn put_all(&mut self, table: &'static str, rows: impl IntoIterator<Item = Row>) {
        self.0.entry(table).or_default().extend(rows);
    }
}

pub(crate) fn number(value: impl ToString) -> Cell {
    Some(value.to_string())
}

pub(crate) fn bytea(bytes: impl AsRef<[u8]>) -> Cell {
    Some(format!("\\x{}", alloy::hex::encode(bytes)))
}

/// What can be shown of a string of the chain.
pub(crate) fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}")
}

/// A string of the chain: what can be shown, and the bytes where that is not all.
pub(super) fn text(row: &mut Row, shown: &'static str, raw: &'static str, bytes: Option<&[u8]>) {
    let lost = |bytes: &&[u8]| std::str::from_utf8(bytes).map_or(true, |text| text.contains('\0'));
    row.insert(shown, bytes.map(readable));
    row.insert(raw, bytes.filter(lost).and_then(bytea));
}

/// JSON with the keys in order, whoever wrote it.
pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<&String, String> =
                members.iter().map(|(key, value)| (key, canonical(value))).collect();
            let members: Vec<String> = members.iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The columns that say where an event stands.
pub(super) fn placed(at: &At) -> Row {
    Row::from([
        ("begin_block", number(at.block)),
        ("log_index", number(at.log_index)),
        ("transaction_hash", bytea(at.transaction)),
        ("created_at", number(at.time)),
    ])
}

pub(super) fn of_agent((deployment, agent_id): AgentKey, mut row: Row) -> Row {
    row.insert("deployment", number(deployment));
    row.insert("agent_id", number(agent_id));
    row
}

/// The columns of a span.
pub(super) fn spanned<T>(span: &Span<T>, at: &At) -> Row {
    Row::from([
        ("begin_block", number(span.begin)),
        ("end_block", span.end.and_then(number)),
        ("log_index", number(at.log_index)),
        ("transaction_hash", bytea(at.transaction)),
    ])
}
