//! All that the tables hold of a network, to be compared with another node's.

use std::collections::BTreeMap;

use meikan::block::Log;
use meikan::store::raw;
use tokio_postgres::Client;

/// Rows as text, in order, by table.
pub(crate) type Dump = BTreeMap<String, Vec<String>>;

/// Tables that are compared in another way, or not at all: how raw logs are cut into segments is free, `change` remembers
/// what a rewind took back, `head`, `dispute`, `verification` and its findings are observations, and the others are what
/// was configured.
const APART: [&str; 9] =
    ["raw_logs", "cursor", "change", "head", "dispute", "verification", "verification_finding", "network", "contract"];

/// Most rows that a failure shows of each side.
const SHOWN_ROWS: usize = 5;

/// Everything that two nodes which saw the same chain must agree on.
pub(crate) async fn dump(client: &Client, chain_id: u64) -> Dump {
    let mut dump = BTreeMap::new();
    for table in tables(client).await {
        let select = format!("SELECT to_jsonb(t)::text FROM {table} t WHERE chain_id = {chain_id} ORDER BY 1");
        dump.insert(table, texts(client, &select).await);
    }
    let cursor = "SELECT (tip_number, tip_hash, tip_at, safe_number, finalized_number, finalized_hash)::text";
    dump.insert("cursor".into(), texts(client, &format!("{cursor} FROM cursor WHERE chain_id = {chain_id}")).await);
    let logs = raw_logs(client, chain_id).await;
    dump.insert("raw_logs".into(), logs.iter().map(|log| format!("{log:?}")).collect());
    dump
}

/// The tables with rows of networks: asked of the database, so that none is forgotten.
async fn tables(client: &Client) -> Vec<String> {
    let select = "SELECT c.relname::text FROM pg_class c \
                  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'chain_id' \
                  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace";
    let mut tables = texts(client, select).await;
    tables.retain(|table| !APART.contains(&table.as_str()));
    assert!(tables.len() >= 13, "these tables are compared: {tables:?}");
    tables
}

/// Asserts that two nodes hold the same; a failure shows the rows that only one of them has.
pub(crate) fn assert_same(ours: &Dump, theirs: &Dump) {
    assert!(theirs.keys().eq(ours.keys()));
    let only = |rows: &[String], others: &[String]| {
        let only: Vec<&str> = rows.iter().filter(|row| !others.contains(row)).map(String::as_str).collect();
        format!("{} rows:\n    {}", only.len(), only[..only.len().min(SHOWN_ROWS)].join("\n    "))
    };
    let differing = theirs.iter().filter(|(table, rows)| ours[*table] != **rows).map(|(table, rows)| {
        format!("{table}\n  only ours, {}\n  only theirs, {}", only(&ours[table], rows), only(rows, &ours[table]))
    });
    let differing: Vec<String> = differing.collect();
    assert!(differing.is_empty(), "the tables differ: {}", differing.join("\n"));
}

/// The first column of a query, as text.
pub(crate) async fn texts(client: &Client, select: &str) -> Vec<String> {
    client.query(select, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// The raw logs in order; asserts that segments do not overlap and say what they hold.
pub(crate) async fn raw_logs(client: &Client, chain_id: u64) -> Vec<Log> {
    let select = format!("SELECT * FROM raw_logs WHERE chain_id = {chain_id} ORDER BY from_block");
    let mut logs = Vec::new();
    let mut covered = -1;
    for row in client.query(&select, &[]).await.unwrap() {
        let segment = raw::decode(row.get("codec"), row.get("logs")).unwrap();
        let (from, to): (i64, i64) = (row.get("from_block"), row.get("to_block"));
        assert!(from > covered, "segments overlap at {from}");
        let ends = [segment.first().unwrap(), segment.last().unwrap()].map(|log| log.block.number);
        assert_eq!(ends, [from, to].map(|number| u64::try_from(number).unwrap()));
        assert_eq!(segment.len(), usize::try_from(row.get::<_, i32>("log_count")).unwrap());
        covered = to;
        logs.extend(segment);
    }
    logs
}
