//! All that the tables hold of the simulated network, row by row as text, and the way back to an empty database.

use std::collections::BTreeMap;

use meikan::block::Log;
use serde_json::Value;
use tokio_postgres::Client;

use super::model::{Cell, Rows, canonical};
use crate::support::tables::raw_logs;

/// Tables that are looked at in another way: `raw_logs` by its logs, `cursor` by its columns, `change` by what holds of
/// it; or not at all, because they say what was configured or seen.
const APART: [&str; 9] =
    ["raw_logs", "cursor", "change", "head", "dispute", "network", "contract", "verification", "verification_finding"];

/// What is read of one table.
struct Table {
    name: String,
    columns: Vec<String>,
}

/// The statements that read and clear a database.
pub(super) struct Tables {
    tables: Vec<Table>,
    read: String,
    clear: String,
}

impl Tables {
    /// Asks the database, so that no table is forgotten.
    pub(super) async fn of(client: &Client, chain_id: u64) -> Self {
        let select = "SELECT c.relname::text, a.attname::text, format_type(a.atttypid, NULL) \
                      FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                      WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition \
                      AND c.relnamespace = 'public'::regnamespace AND EXISTS ( \
                          SELECT FROM pg_attribute k WHERE k.attrelid = c.oid AND k.attname = 'chain_id') \
                      ORDER BY c.relname, a.attnum";
        let mut columns = BTreeMap::<String, Vec<(String, String)>>::new();
        for row in client.query(select, &[]).await.unwrap() {
            columns.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
        }
        // Whoever refers to another is cleared first.
        let mut order: Vec<&String> = columns.keys().collect();
        order.sort_by_key(|table| (table.as_str() == "network", (*table).clone()));
        let clear = order.iter().map(|table| format!("DELETE FROM {table} WHERE chain_id = {chain_id};")).collect();
        columns.retain(|table, _| !APART.contains(&table.as_str()));
        let mut tables = Vec::new();
        let mut selects = Vec::new();
        for (name, mut columns) in columns {
            columns.retain(|(column, _)| column != "chain_id");
            let cells = columns.iter().map(|(column, ty)| match ty.ends_with("[]") {
                true => format!("array_to_json({column})::text"),
                false => format!("{column}::text"),
            });
            let cells: Vec<String> = cells.collect();
            let cells = cells.join(", ");
            selects.push(format!("SELECT {}, ARRAY[{cells}] FROM {name} WHERE chain_id = {chain_id}", tables.len()));
            tables.push(Table { name, columns: columns.into_iter().map(|(column, _)| column).collect() });
        }
        Self { tables, read: selects.join(" UNION ALL "), clear }
    }

    /// Removes all that is known of the network.
    pub(super) async fn clear(&self, client: &Client) {
        client.batch_execute(&self.clear).await.expect("the tables can be cleared");
    }

    /// The tables of what derives from raw logs and headers.
    pub(super) fn derived(&self) -> Vec<&str> {
        let names = self.tables.iter().map(|table| table.name.as_str());
        names.filter(|name| !["block", "reindex"].contains(name)).collect()
    }

    /// Asserts that the tables hold these rows and no others.
    pub(super) async fn assert_hold(&self, client: &Client, expected: Rows) {
        let Rows(mut expected) = expected;
        let mut held: Vec<Vec<String>> = self.tables.iter().map(|_| Vec::new()).collect();
        for row in client.query(&self.read, &[]).await.unwrap() {
            let place = usize::try_from(row.get::<_, i32>(0)).expect("tables count from 0");
            let cells: Vec<Cell> = row.get(1);
            let columns = &self.tables[place].columns;
            held[place].push(shown(columns.iter().map(String::as_str).zip(&cells)));
        }
        let mut differing = Vec::new();
        for (table, mut held) in self.tables.iter().zip(held) {
            let rows = expected.remove(table.name.as_str()).unwrap_or_default();
            let mut wanted: Vec<String> = rows
                .iter()
                .map(|row| {
                    let cell = |column: &String| {
                        let said = row.get(column.as_str());
                        said.unwrap_or_else(|| panic!("the model does not say what {}.{column} holds", table.name))
                    };
                    shown(table.columns.iter().map(|column| (column.as_str(), cell(column))))
                })
                .collect();
            held.sort_unstable();
            wanted.sort_unstable();
            if held != wanted {
                let only = |rows: &[String], others: &[String]| {
                    let only: Vec<_> = rows.iter().filter(|row| !others.contains(row)).take(4).cloned().collect();
                    only.join("\n    ")
                };
                differing.push(format!(
                    "{}: {} rows where the chain says {}\n  only held:\n    {}\n  only said:\n    {}",
                    table.name,
                    held.len(),
                    wanted.len(),
                    only(&held, &wanted),
                    only(&wanted, &held)
                ));
            }
        }
        assert!(differing.is_empty(), "the tables are not what the chain says: {}", differing.join("\n"));
        assert!(expected.is_empty(), "no table holds {:?}", expected.keys());
    }
}

/// A row as text; JSON with its keys in order.
fn shown<'a>(cells: impl Iterator<Item = (&'a str, &'a Cell)>) -> String {
    let cells = cells.map(|(column, cell)| match cell {
        None => format!("{column}=NULL"),
        Some(text) if matches!(column, "fields" | "details") => {
            let value: Value = serde_json::from_str(text).expect("the parameters are JSON");
            format!("{column}={}", canonical(&value))
        }
        Some(text) => format!("{column}={text:?}"),
    });
    cells.collect::<Vec<_>>().join(" ")
}

/// The raw logs that are held, in order.
pub(super) async fn held_logs(client: &Client, chain_id: u64) -> Vec<Log> {
    raw_logs(client, chain_id).await
}
