//! Hours: what each added, by deployment, kept because statistics over a network's whole life are added up from them.
//!
//! They are counted from the facts once these are written, so no noun knows of them. A row has no versions: as of a block
//! within an hour it is counted anew, and so it is by a rewind into it, of whatever depth.

use std::sync::LazyLock;

use crate::block::Block;
use crate::store::error::StoreError;
use crate::store::hours::{MEASURES, counted};
use crate::store::sql::{Sql, signed};

/// Adds what blocks `$2` to `$3` added to their hours.
static ADD: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<&str> = MEASURES.iter().map(|(name, _)| *name).collect();
    let added: Vec<String> = names.iter().map(|name| format!("{name} = h.{name} + excluded.{name}")).collect();
    let names = names.join(", ");
    format!(
        "INSERT INTO protocol_hour AS h (chain_id, deployment, hour, first_block, begin_block, {names}) \
         SELECT $1::bigint, c.deployment, c.hour, c.first_block, c.begin_block, {names} FROM ({}) c \
         ON CONFLICT (chain_id, deployment, hour) DO UPDATE SET \
             begin_block = greatest(h.begin_block, excluded.begin_block), {}",
        counted("$1", "$2", "$3", |_| String::new()),
        added.join(", ")
    )
});

/// Counts the hours that reach beyond block `$2` anew, up to it. The facts must have been rewound.
static RECOUNT: LazyLock<String> = LazyLock::new(|| {
    let set: Vec<String> = MEASURES.iter().map(|(name, _)| format!("{name} = c.{name}")).collect();
    let first = "(SELECT min(first_block) FROM protocol_hour WHERE chain_id = $1 AND begin_block > $2)";
    format!(
        "UPDATE protocol_hour h SET begin_block = c.begin_block, {} FROM ({}) c \
         WHERE h.chain_id = $1 AND h.deployment = c.deployment AND h.hour = c.hour AND h.begin_block > $2",
        set.join(", "),
        counted("$1", first, "$2", |_| String::new())
    )
});

/// Adds what these blocks added, whose facts are written.
pub(super) async fn add(sql: &Sql<'_>, blocks: &[Block]) -> Result<(), StoreError> {
    let mut with_logs = blocks.iter().filter(|block| !block.logs.is_empty()).map(|block| block.header.number);
    let Some(first) = with_logs.next() else { return Ok(()) };
    let last = with_logs.next_back().unwrap_or(first);
    sql.execute(&ADD, &[&signed(first), &signed(last)]).await?;
    Ok(())
}

/// Undoes what blocks above one added, whose facts are gone.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM protocol_hour WHERE chain_id = $1 AND first_block > $2", &[&signed(to)]).await?;
    sql.execute(&RECOUNT, &[&signed(to)]).await?;
    Ok(())
}
