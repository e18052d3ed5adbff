//! The places that agents had in leaderboards: the scores of standings that ended.
//!
//! A standing is ranked while feedback of its aspect stands; all feedback has no leaderboard. Nothing of it is pruned: a page
//! as of any block is read in the order of its scores.

use tokio_postgres::types::Type;

use super::agents::agent_cells;
use super::kept::Cell;
use super::standings::StandingKey;
use crate::store::error::StoreError;
use crate::store::numeric::Numeric;
use crate::store::sql::{Parameter, Sql, signed};

/// A place in the leaderboard of an aspect, from block to block.
pub(super) struct Ranked {
    pub(super) of: StandingKey,
    pub(super) begin: u64,
    /// The block that it ended in.
    pub(super) end: u64,
    pub(super) score: Numeric,
}

/// Writes places, in the order in which they ended: then what a rewind takes back stands side by side.
pub(super) async fn write(sql: &Sql<'_>, mut ranked: Vec<Ranked>) -> Result<(), StoreError> {
    if ranked.is_empty() {
        return Ok(());
    }
    ranked.sort_by_key(|ranked| ranked.end);
    let columns = [
        ("deployment", Type::INT2),
        ("agent_id", Type::NUMERIC),
        ("aspect", Type::BYTEA),
        ("begin_block", Type::INT8),
        ("end_block", Type::INT8),
        ("score", Type::NUMERIC),
    ];
    let mut insert = sql.insert("ranking_version", &columns).await?;
    for Ranked { of: (agent, aspect), begin, end, score } in ranked {
        let mut cells = agent_cells(&agent);
        cells.push(Box::new(aspect.bytes().to_vec()));
        cells.extend([signed(begin), signed(end)].map(|block| Box::new(block) as Cell));
        cells.push(Box::new(score));
        let cells: Vec<Parameter<'_>> = cells.iter().map(|cell| &**cell as Parameter<'_>).collect();
        insert.row(&cells).await?;
    }
    insert.finish().await?;
    Ok(())
}

/// Forgets the places that ended above a block: what held at it is a current standing again.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM ranking_version WHERE chain_id = $1 AND end_block > $2", &[&signed(to)]).await?;
    Ok(())
}
