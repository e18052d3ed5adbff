//! What is known of a network beside its commits: how far the chain is, what the audit found, what the follower lacks.
//!
//! No commit tells of it, so an answer that holds it is never given again. It is read only where it is asked for: most
//! answers need none of it.

use tokio_postgres::Row;

use super::error::QueryError;
use super::networks::{BlockInfo, Network};
use super::snapshot::Snapshot;

/// What was observed of a network.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The chain's head as last seen.
    pub head: Option<BlockInfo>,
    /// How long ago the head was seen, in seconds.
    pub head_age_seconds: Option<i64>,
    /// The newest final block up to which an audit verified everything.
    pub verified_to: Option<i64>,
    /// The weakest method by which it did.
    pub verification_method: Option<String>,
    /// Findings of the audit that are not repaired.
    pub open_findings: i64,
    /// What its follower lacks at the moment.
    pub trouble: Option<String>,
}

const OBSERVED: &str = "SELECT h.number, h.hash, h.block_at, extract(epoch FROM clock_timestamp() - h.seen_at)::bigint, \
     v.verified_number, v.method, (SELECT count(*) FROM verification_finding f \
         WHERE f.chain_id = n.chain_id AND f.repaired_at IS NULL), n.trouble \
     FROM network n LEFT JOIN head h USING (chain_id) LEFT JOIN verification v USING (chain_id) ORDER BY n.chain_id";

impl Snapshot {
    /// The networks with what was observed of them, in the order of their chain ids.
    ///
    /// # Errors
    /// Any error of the statement.
    pub async fn observed(&self) -> Result<Vec<(&Network, Observed)>, QueryError> {
        // One row for each network, in the same order: the snapshot is of one commit.
        let rows = self.query_text(OBSERVED).await?;
        self.networks().iter().zip(&rows).map(|(network, row)| Ok((network, read(row)?))).collect()
    }
}

fn read(row: &Row) -> Result<Observed, tokio_postgres::Error> {
    let head: Option<i64> = row.try_get(0)?;
    let (hash, timestamp) = (row.try_get(1)?, row.try_get(2)?);
    Ok(Observed {
        head: head.map(|number| BlockInfo { number, hash, timestamp, parent_hash: None }),
        head_age_seconds: row.try_get(3)?,
        verified_to: row.try_get(4)?,
        verification_method: row.try_get(5)?,
        open_findings: row.try_get(6)?,
        trouble: row.try_get(7)?,
    })
}
