//! Indexes that only questions need: postponed while a new network is backfilled, built once it is near the head.
//!
//! To keep a b-tree in order row by row costs a multiple of sorting all rows once. Which indexes these are is written down
//! in the table `reader_index`; no statement of a writer needs one. Whether a network is without them is committed with
//! the network, so whoever goes on after a crash knows it.

use std::sync::Arc;

use deadpool_postgres::{ClientWrapper, Object};
use futures_util::future::try_join_all;
use tokio::join;
use tokio_postgres::Row;

use super::Writer;
use super::apply::EverGiven;
use super::error::StoreError;
use super::late::{COUNTED_TABLES, COUNTING_INDEX, Counted};
use super::pool::Connections;
use super::sql::{self, signed};
use super::step::Step;
use super::wal;

const OPERATION: &str = "build an index";

/// What was made up for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeUp {
    /// Standings that were counted.
    pub counted: Option<Counted>,
    /// The indexes that were built, by their names without that of the network.
    pub built: Vec<String>,
    /// How many indexes are still missing.
    pub missing: u64,
}

impl Writer {
    /// Whether the network is without some of its indexes.
    #[must_use]
    pub fn is_without_indexes(&self) -> bool {
        self.without_indexes
    }

    /// Goes on without standings and without the indexes that only questions need, until [`Writer::make_up`] has made up
    /// for all of them; only where nothing is held yet.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the database says.
    pub async fn postpone_indexes(&mut self) -> Result<(), StoreError> {
        let Step { sql, cursor, .. } = self.begin("postpone indexes").await?;
        if cursor.tip.is_some() {
            return Ok(());
        }
        let update = "UPDATE network SET has_reader_indexes = FALSE, has_standings = FALSE WHERE chain_id = $1";
        sql.execute(update, &[]).await?;
        sql.execute("SELECT drop_reader_indexes($1)", &[]).await?;
        sql.commit().await?;
        wal::leave_unfilled(&self.client).await?;
        (self.without_indexes, self.without_standings) = (true, true);
        self.ever_given = Some(Arc::new(EverGiven::nothing()));
        Ok(())
    }

    /// By how many connections beside the writer's own indexes are built; by its own where there are none.
    pub fn set_index_connections(&mut self, connections: usize) {
        self.index_connections = connections;
    }

    /// Makes up for some of what a backfill postponed; nothing when all is there. While standings are counted an index is built
    /// beside it, of tables that are not written to; then as many at once as there are connections for them. The cursor is not
    /// held while indexes are built: documents can be handed in, and readers read.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the database says; what was built or counted stays.
    pub async fn make_up(&mut self) -> Result<Option<MadeUp>, StoreError> {
        if !self.without_indexes {
            return Ok(None);
        }
        let mut missing = self.missing_indexes().await?;
        if self.without_standings && self.counted.is_none() {
            // What the planner knows may be of an eighth of the rows, and an index more is one more to be wrong about.
            self.analyze().await;
        }
        let (built, counted) = if self.without_standings {
            missing.retain(|index| index.name != COUNTING_INDEX && !COUNTED_TABLES.contains(&&*index.table_name));
            missing.truncate(self.index_connections.min(1));
            let builder = Builder::new(self, missing);
            // Both to their ends: whoever counts and is cut begins anew.
            let (built, counted) = join!(builder.build(), Box::pin(self.count_standings()));
            (built?, counted?)
        } else if self.index_connections == 0 {
            missing.truncate(1);
            let mut built = Vec::new();
            for ReaderIndex { name, .. } in missing {
                let chain = signed(self.chain_id());
                build(&mut self.client, chain, &name).await?;
                built.push(name);
            }
            (built, None)
        } else {
            missing.truncate(self.index_connections);
            (Builder::new(self, missing).build().await?, None)
        };
        let missing = self.missing_indexes().await?.len() as u64;
        if missing == 0 && !self.without_standings {
            self.have_indexes().await?;
        }
        Ok(Some(MadeUp { counted, built, missing }))
    }

    /// The indexes that are not there yet, those of the largest tables first: so that two that are built at once take about as
    /// long.
    async fn missing_indexes(&mut self) -> Result<Vec<ReaderIndex>, StoreError> {
        // An old writer builds nothing.
        let step = self.begin(OPERATION).await?;
        let select = "SELECT name, table_name FROM reader_index \
                      WHERE to_regclass(format('%I', name || '_' || $1::bigint)) IS NULL \
                      ORDER BY pg_relation_size(to_regclass(format('%I', table_name || '_' || $1::bigint))) DESC, name";
        let rows = step.sql.query(select, &[]).await?;
        let read = |row: &Row| {
            Ok(ReaderIndex { name: sql::column(row, "name")?, table_name: sql::column(row, "table_name")? })
        };
        rows.iter().map(read).collect()
    }

    async fn have_indexes(&mut self) -> Result<(), StoreError> {
        let Step { sql, .. } = self.begin(OPERATION).await?;
        sql.execute("UPDATE network SET has_reader_indexes = TRUE WHERE chain_id = $1", &[]).await?;
        sql.commit().await?;
        wal::fill(&self.client).await?;
        self.without_indexes = false;
        self.ever_given = None;
        // All rows are there, and the planner knows of those only that were there when it last looked.
        self.analyze().await;
        Ok(())
    }
}

struct ReaderIndex {
    name: String,
    table_name: String,
}

/// Builds indexes of a network, each on a connection of its own.
struct Builder {
    connections: Arc<Connections>,
    chain: i64,
    indexes: Vec<ReaderIndex>,
}

impl Builder {
    fn new(writer: &Writer, indexes: Vec<ReaderIndex>) -> Self {
        Self { connections: Arc::clone(&writer.connections), chain: signed(writer.chain_id()), indexes }
    }

    /// Returns their names, once all are there.
    async fn build(self) -> Result<Vec<String>, StoreError> {
        try_join_all(self.indexes.iter().map(|index| self.build_one(&index.name))).await
    }

    async fn build_one(&self, name: &str) -> Result<String, StoreError> {
        // It does not come back: whoever is cut leaves a connection behind that is busy until the index is there.
        let mut client = Object::take(self.connections.get().await?);
        wal::leave_unfilled(&client).await?;
        build(&mut client, self.chain, name).await?;
        Ok(name.into())
    }
}

/// Builds an index, by a connection.
async fn build(client: &mut ClientWrapper, chain: i64, name: &str) -> Result<(), StoreError> {
    let failed = || StoreError::database(OPERATION);
    let transaction = client.transaction().await.map_err(failed())?;
    // Whoever was cut may be building it still.
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('meikan index ' || $1 || ' ' || $2::bigint, 0))";
    transaction.execute(lock, &[&name, &chain]).await.map_err(failed())?;
    transaction.execute("SELECT build_reader_index($1, $2)", &[&chain, &name]).await.map_err(failed())?;
    transaction.commit().await.map_err(failed())
}
