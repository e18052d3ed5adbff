//! Intervals of aggregations: how long they are, and which one is under way.

use super::error::QueryError;
use super::pin::Scope;
use super::snapshot::Snapshot;
use super::sql::Statement;

/// How long the intervals of an aggregation are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// An hour.
    Hour,
    /// A day.
    Day,
}

impl Interval {
    /// Its length in seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        match self {
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

impl Snapshot {
    /// Where the interval under way begins on each network: the one that holds its newest block with events, in
    /// microseconds since 1970. Only of that block a node tells the time that any other node would tell.
    pub(super) async fn under_way(&self, scope: &Scope, interval: Interval) -> Result<Vec<(i64, i64)>, QueryError> {
        let mut statement = Statement::default();
        let places = scope.places().iter();
        let (chains, blocks): (Vec<i64>, Vec<i64>) =
            places.map(|place| (place.chain_id, place.block.unwrap_or(i64::MAX))).unzip();
        let (chains, blocks) = (statement.bind(chains), statement.bind(blocks));
        let seconds = format!("{}::bigint", statement.bind(interval.seconds()));
        statement.push(&format!(
            "SELECT place.chain_id, newest.block_at / {seconds} * {seconds} * 1000000 \
             FROM unnest({chains}::bigint[], {blocks}::bigint[]) AS place (chain_id, number) \
             CROSS JOIN LATERAL (SELECT b.block_at FROM block b WHERE b.chain_id = place.chain_id \
                 AND b.number <= place.number AND b.log_count > 0 ORDER BY b.number DESC LIMIT 1) newest"
        ));
        let rows = self.query(&statement).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

/// The condition that an interval of an aggregation has ended, to be appended to another one.
pub(super) fn ended(under_way: &[(i64, i64)], alias: &str, statement: &mut Statement) -> String {
    let networks: Vec<String> = under_way
        .iter()
        .map(|(chain_id, begins)| {
            let (chain_id, begins) = (statement.bind(*chain_id), statement.bind(*begins));
            format!("({alias}.chain_id = {chain_id}::bigint AND {alias}.micros < {begins}::bigint)")
        })
        .collect();
    if networks.is_empty() { " AND FALSE".to_owned() } else { format!(" AND ({})", networks.join(" OR ")) }
}
