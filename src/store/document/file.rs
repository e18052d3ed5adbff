//! Files made of documents, by the names of their contents.

use super::Acceptance;
use crate::document::Cid;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql;

impl Acceptance<'_> {
    /// Keeps a file; the same content is kept once.
    pub(super) async fn keep_file(&self, cid: &Cid, content: &str) -> Result<(), StoreError> {
        let insert = "INSERT INTO served_file (sha256, content) SELECT $2, $3 WHERE $1::bigint IS NOT NULL \
                      ON CONFLICT DO NOTHING";
        self.sql.execute(insert, &[&cid.0.as_slice(), &content]).await?;
        Ok(())
    }
}

impl Store {
    /// The content of a file that was made of a document.
    ///
    /// # Errors
    /// What the database says.
    pub async fn served_file(&self, cid: &Cid) -> Result<Option<String>, StoreError> {
        let connection = self.read().await?;
        let select = "SELECT content FROM served_file WHERE sha256 = $1";
        let failed = || StoreError::database("read a file");
        let statement = connection.prepare_cached(select).await.map_err(failed())?;
        let rows = connection.query(&statement, &[&cid.0.as_slice()]).await.map_err(failed())?;
        rows.first().map(|row| sql::column(row, "content")).transpose()
    }
}
