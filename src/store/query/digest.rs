//! The state digest as of any block: the nearest row, and the raw logs from there to the block.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::error::QueryError;
use super::networks::BlockInfo;
use super::pin;
use super::snapshot::Snapshot;
use super::sql::Statement;
use crate::block::{Finality, Log};
use crate::digest::{Domain, StateDigest};
use crate::event::{Event, Generation, Role};
use crate::store::StoreError;
use crate::store::digest::{self, CHECKPOINT_LOGS, COLUMNS, Held, RawRange};
use crate::store::{raw, sql};

/// The state digest of a network's history up to a block.
#[derive(Debug, Clone)]
pub struct DigestAt {
    /// The network.
    pub chain_id: i64,
    /// The block.
    pub block: BlockInfo,
    /// How final the block is.
    pub finality: Finality,
    digest: StateDigest,
}

impl DigestAt {
    /// The digest of all decoded events.
    #[must_use]
    pub fn events(&self) -> [u8; 32] {
        self.digest.events.summary(Domain::Events)
    }

    /// How many decoded events there are.
    #[must_use]
    pub fn event_count(&self) -> u64 {
        self.digest.event_count
    }

    /// The digest of all logs, decodable or not.
    #[must_use]
    pub fn raw_logs(&self) -> [u8; 32] {
        self.digest.raw_logs.summary(Domain::RawLogs)
    }

    /// How many logs there are.
    #[must_use]
    pub fn log_count(&self) -> u64 {
        self.digest.log_count
    }
}

impl Snapshot {
    /// The state digest up to a block.
    ///
    /// # Errors
    /// [`QueryError::NotFound`] for an unknown network, [`QueryError::BadInput`] for a block below the first that is
    /// indexed, [`QueryError::NotYetIndexed`] for one beyond the newest.
    pub async fn state_digest(&self, chain_id: i64, number: i64) -> Result<DigestAt, QueryError> {
        let network = self.network(chain_id).ok_or_else(|| pin::no_network(chain_id))?;
        if number < network.start_block {
            return Err(QueryError::BadInput(format!(
                "`block`: chain {chain_id} is indexed from block {}; ask for that one or a later one",
                network.start_block
            )));
        }
        let tip = network.indexed.as_ref().map_or(-1, |tip| tip.number);
        if number > tip {
            return Err(pin::not_yet("block", chain_id, tip, number));
        }
        let held = self.nearest_digest(chain_id, number).await?;
        let held = match self.logs_between(chain_id, held.height(), number).await? {
            Some(rows) => self.add_logs(chain_id, held, rows, number).await?,
            None => held,
        };
        let block = match &network.indexed {
            Some(newest) if newest.number == number => newest.clone(),
            _ => self.block(chain_id, number).await?,
        };
        Ok(DigestAt { chain_id, block, finality: network.finality(number), digest: held.digest })
    }

    async fn nearest_digest(&self, chain_id: i64, number: i64) -> Result<Held, QueryError> {
        let mut statement = Statement::default();
        let (chain_id, number) = (statement.bind(chain_id), statement.bind(number));
        statement.push(&format!(
            "SELECT {COLUMNS} FROM state_digest WHERE chain_id = {chain_id} AND block_number <= {number} \
             ORDER BY block_number DESC LIMIT 1"
        ));
        let rows = self.query(&statement).await?;
        rows.first().map_or_else(|| Ok(Held::default()), |row| digest::read(row).map_err(QueryError::from))
    }

    /// The rows of the raw logs above a block up to another; nothing where no segment has any.
    async fn logs_between(&self, chain_id: i64, after: i64, to: i64) -> Result<Option<Rows>, QueryError> {
        // From one checkpoint to the next there are fewer logs: more are a digest that is still being caught up with. It
        // is known without reading any.
        if self.logs_inside(chain_id, after, to).await? >= CHECKPOINT_LOGS.cast_signed() {
            return Err(behind());
        }
        let segments = self.segments(chain_id, after, to).await?;
        if segments.is_empty() {
            return Ok(None);
        }
        let mut statement = Statement::default();
        let chain = statement.bind(chain_id);
        let (low, high) = (statement.bind(after), statement.bind(to));
        statement.push(&format!(
            "SELECT begin_block, log_index FROM undecoded_log WHERE chain_id = {chain} AND begin_block > {low} \
             AND begin_block <= {high}"
        ));
        let undecoded = self.query(&statement).await?;
        Ok(Some(Rows { segments, undecoded }))
    }

    /// How many logs are in segments that lie above a block and end at or below another; no more are counted than are too
    /// many.
    async fn logs_inside(&self, chain_id: i64, after: i64, to: i64) -> Result<i64, QueryError> {
        let mut statement = Statement::default();
        let chain = statement.bind(chain_id);
        let (low, high) = (statement.bind(after), statement.bind(to));
        // Segments hold at least one log each.
        statement.push(&format!(
            "SELECT coalesce(sum(log_count), 0)::bigint AS logs FROM (SELECT log_count FROM raw_logs \
             WHERE chain_id = {chain} AND from_block > {low} AND from_block <= {high} AND to_block <= {high} \
             LIMIT {CHECKPOINT_LOGS}) inside"
        ));
        let rows = self.query(&statement).await?;
        rows.first().map_or(Ok(0), |row| sql::column(row, "logs").map_err(QueryError::from))
    }

    async fn segments(&self, chain_id: i64, after: i64, to: i64) -> Result<Vec<Row>, QueryError> {
        let mut statement = Statement::default();
        let chain = statement.bind(chain_id);
        let (low, high) = (statement.bind(after + 1), statement.bind(to));
        // Besides those that were counted, at most the two that reach over the ends.
        statement.push(&format!("{} LIMIT {}", raw::select("codec, logs", &chain, &low, &high), CHECKPOINT_LOGS + 1));
        self.query(&statement).await
    }

    /// Adds logs to a digest, apart from the tasks that wait for others: it takes some milliseconds.
    async fn add_logs(&self, chain_id: i64, mut held: Held, rows: Rows, to: i64) -> Result<Held, QueryError> {
        let watched = self.contracts().iter().filter(|contract| contract.chain_id == chain_id);
        let decoders: HashMap<Vec<u8>, (Role, Option<Generation>)> = watched
            .filter_map(|contract| {
                let generation = contract.generation.as_deref().and_then(Generation::from_name);
                Some((contract.address.clone(), (Role::from_name(&contract.role)?, generation)))
            })
            .collect();
        let adding = tokio::task::spawn_blocking(move || {
            let decode = |log: &Log| {
                let (role, generation) = *decoders.get(log.address.as_slice())?;
                Event::decode_of(role, generation, &log.topics, &log.data).ok()
            };
            let range = RawRange::read(&rows.segments, &rows.undecoded, held.height(), to.unsigned_abs())?;
            if range.logs.len() as u64 >= CHECKPOINT_LOGS {
                return Err(behind());
            }
            digest::add_range(&mut held, chain_id.unsigned_abs(), &range, decode)?;
            Ok(held)
        });
        match adding.await {
            Ok(added) => added,
            Err(_) => Err(QueryError::Unavailable("the node is stopping".to_owned())),
        }
    }
}

/// Rows of raw logs, and of those that were not decoded.
struct Rows {
    segments: Vec<Row>,
    undecoded: Vec<Row>,
}

fn behind() -> QueryError {
    QueryError::Unavailable("the state digest of an older database is being computed".to_owned())
}

impl From<StoreError> for QueryError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy { .. } => Self::Unavailable("all connections are in use".to_owned()),
            StoreError::Database { source, .. } => source.into(),
            StoreError::Corrupt { reason } => Self::Corrupt(reason),
            _ => Self::Unavailable("connecting failed".to_owned()),
        }
    }
}
