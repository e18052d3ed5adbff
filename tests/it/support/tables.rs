//! All that the tables hold of a network, to be compared with another node's.

use std::collections::BTreeMap;

use meikan::block::Log;
use meikan::store::raw;
use tokio_postgres::Client;

/// Rows as text, in order, by table.
pub(crate) type Dump = BTreeMap<&'static str, Vec<String>>;

/// The tables that hold a network's data, but for raw logs, whose cut into segments is free, and `change`, which
/// remembers what a rewind took back.
const TABLES: [&str; 13] = [
    "block",
    "undecoded_log",
    "agent",
    "operator_approval",
    "agent_metadata",
    "registration_file",
    "feedback",
    "feedback_response",
    "agent_total",
    "agent_total_version",
    "validation",
    "validation_response",
    "audit_event",
];

/// Everything that two nodes which saw the same chain must agree on.
pub(crate) async fn dump(client: &Client, chain_id: u64) -> Dump {
    let mut dump = BTreeMap::new();
    for table in TABLES {
        let select = format!("SELECT t::text FROM {table} t WHERE chain_id = {chain_id} ORDER BY 1");
        dump.insert(table, texts(client, &select).await);
    }
    let cursor = "SELECT (tip_number, tip_hash, tip_at, safe_number, finalized_number, finalized_hash)::text";
    dump.insert("cursor", texts(client, &format!("{cursor} FROM cursor WHERE chain_id = {chain_id}")).await);
    let logs = raw_logs(client, chain_id).await;
    dump.insert("raw_logs", logs.iter().map(|log| format!("{log:?}")).collect());
    dump
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
