//! Files made of documents, by the names of their contents, and how far each is pinned elsewhere.

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

/// A file that no pinning service is known to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpinnedFile {
    /// Its name.
    pub cid: Cid,
    /// The service's name of the request to pin it; nothing: there is none yet.
    pub request: Option<String>,
}

/// What a pinning service says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// It will fetch it: its name of the request.
    Asked(String),
    /// It holds it.
    Held,
    /// It could not fetch it, or knows nothing of the request.
    Failed,
}

/// Most files that are claimed in one go.
const MOST: i64 = 50;

impl Store {
    /// Claims files that are to be pinned: nobody else gets them for so many seconds, doubled with each time that they
    /// were claimed, up to a day.
    ///
    /// # Errors
    /// What the database says.
    pub async fn claim_unpinned(&self, seconds: u64) -> Result<Vec<UnpinnedFile>, StoreError> {
        let failed = || StoreError::database("claim files to pin");
        let connection = self.write().await?;
        let claim = "UPDATE served_file f SET pin_claimed_at = now(), pin_claims = f.pin_claims + 1 FROM ( \
                         SELECT sha256 FROM served_file WHERE pinned_at IS NULL AND (pin_claimed_at IS NULL OR pin_claimed_at \
                             < now() - make_interval(secs => least($1::float8 * 2 ^ least(pin_claims - 1, 20), 86400))) \
                         ORDER BY pin_claimed_at NULLS FIRST LIMIT $2 FOR UPDATE SKIP LOCKED) due \
                     WHERE f.sha256 = due.sha256 RETURNING f.sha256, f.pin_request";
        let statement = connection.prepare_cached(claim).await.map_err(failed())?;
        let seconds = f64::from(u32::try_from(seconds).unwrap_or(u32::MAX));
        let rows = connection.query(&statement, &[&seconds, &MOST]).await.map_err(failed())?;
        rows.iter()
            .map(|row| {
                let cid = Cid(sql::hash(row, "sha256")?.0);
                Ok(UnpinnedFile { cid, request: sql::column(row, "pin_request")? })
            })
            .collect()
    }

    /// Writes down what a pinning service says of a file.
    ///
    /// # Errors
    /// What the database says.
    pub async fn note_pin(&self, cid: &Cid, pin: &Pin) -> Result<(), StoreError> {
        let failed = || StoreError::database("note a pin");
        let connection = self.write().await?;
        // What was asked for is looked at after the shortest pause; what failed keeps its long ones.
        let update = "UPDATE served_file SET pin_request = $2::text, pinned_at = CASE WHEN $3 THEN now() END, \
                          pin_claims = CASE WHEN $2::text IS NOT NULL AND pin_request IS NULL THEN 1 ELSE pin_claims END \
                      WHERE sha256 = $1";
        let request = match pin {
            Pin::Asked(request) => Some(request.as_str()),
            Pin::Held | Pin::Failed => None,
        };
        let statement = connection.prepare_cached(update).await.map_err(failed())?;
        let parameters: [sql::Parameter<'_>; 3] = [&cid.0.as_slice(), &request, &(*pin == Pin::Held)];
        connection.execute(&statement, &parameters).await.map_err(failed())?;
        Ok(())
    }

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
