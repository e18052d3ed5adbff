//! Indexes that only questions need: postponed while a new network is backfilled, built once it is near the head.
//!
//! To keep a b-tree in order row by row costs a multiple of sorting all rows once. Which indexes these are is written down
//! in the table `reader_index`; no statement of a writer needs one. Whether a network is without them is committed with
//! the network, so whoever goes on after a crash knows it.

use super::Writer;
use super::error::StoreError;
use super::sql::{self, signed};
use super::step::Step;

/// An index that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Its name, without that of the network.
    pub name: String,
    /// How many are still missing.
    pub missing: u64,
}

impl Writer {
    /// Whether the network is without some of its indexes.
    #[must_use]
    pub fn is_without_indexes(&self) -> bool {
        self.without_indexes
    }

    /// Goes on without standings and without the indexes that only questions need, until [`Writer::count_standings`] and
    /// [`Writer::build_index`] have made up for them; only where nothing is held yet.
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
        (self.without_indexes, self.without_standings) = (true, true);
        Ok(())
    }

    /// Builds the next index that is missing; nothing when there is none. The cursor is not held meanwhile: documents can
    /// be handed in, and readers read. With the last one the network has them all.
    ///
    /// # Errors
    /// [`StoreError::Fenced`], or what the database says; what was built stays.
    pub async fn build_index(&mut self) -> Result<Option<Built>, StoreError> {
        let failed = || StoreError::database("build an index");
        // An old writer builds nothing.
        drop(self.begin("build an index").await?);
        let (client, chain_id) = self.connection();
        let chain = signed(chain_id);
        let select = "SELECT name FROM reader_index WHERE to_regclass(format('%I', name || '_' || $1::bigint)) IS NULL \
                      ORDER BY table_name, name";
        let missing = client.query(select, &[&chain]).await.map_err(failed())?;
        let mut built = None;
        if let Some(row) = missing.first() {
            let name: String = sql::column(row, "name")?;
            client.execute("SELECT build_reader_index($1, $2)", &[&chain, &name]).await.map_err(failed())?;
            built = Some(Built { name, missing: missing.len() as u64 - 1 });
        }
        if missing.len() <= 1 {
            self.have_indexes().await?;
        }
        Ok(built)
    }

    async fn have_indexes(&mut self) -> Result<(), StoreError> {
        let Step { sql, .. } = self.begin("build an index").await?;
        sql.execute("UPDATE network SET has_reader_indexes = TRUE WHERE chain_id = $1", &[]).await?;
        sql.commit().await?;
        self.without_indexes = false;
        // All rows are there, and the planner knows of those only that were there when it last looked.
        self.analyze().await;
        Ok(())
    }
}
