//! Which program derived the tables. A newer one derives from the same raw logs what an older one did not, or otherwise:
//! a table that it adds is empty in a database that an older one filled.
//!
//! Each program has a number, [`DERIVATION`], and each network that of the program which derived all its rows. A writer
//! with a higher one derives everything anew before anything else, as a re-index from the store does ([`super::reindex`]),
//! and the network has its number from the transaction that ends that on. A re-index remembers who began it: whoever finds
//! one of a lower number half way starts over instead of leaving a mixture. A writer with a lower one refuses, as a
//! program does that lacks a migration; that alone would not do, because what is derived can change without one.
//!
//! Readers ask for no number but that of what they read ([`super::query::Snapshot::check_derived`]): the rest is as
//! good as it was.

use tokio_postgres::GenericClient;

use super::apply::DERIVATION;
use super::error::StoreError;
use super::reindex::{Job, Source};
use super::sql::{self, signed};
use super::step::Cursor;
use crate::id::ChainId;

impl Cursor {
    /// The re-index from the store that is under way.
    #[must_use]
    pub fn rederiving(&self) -> Option<Job> {
        self.reindex.filter(|job| job.source == Source::Store)
    }

    /// Whether an older program derived what is held, and this one has not begun to derive it anew.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        let begun = self.rederiving().is_some_and(|job| job.derivation == DERIVATION);
        self.tip.is_some() && self.derivation < DERIVATION && !begun
    }
}

/// Makes sure that no newer program derived what is held of a network, or began to.
pub(super) async fn check_not_newer(client: &impl GenericClient, chain_id: ChainId) -> Result<(), StoreError> {
    let select = "SELECT greatest(n.derivation, r.derivation) AS derivation \
                  FROM network n LEFT JOIN reindex r USING (chain_id) WHERE chain_id = $1";
    let row = client.query_opt(select, &[&signed(chain_id)]).await;
    let Some(row) = row.map_err(StoreError::database("become the writer"))? else { return Ok(()) };
    let database: i16 = sql::column(&row, "derivation")?;
    if database > DERIVATION {
        return Err(StoreError::DerivedByNewer { chain_id, database, binary: DERIVATION });
    }
    Ok(())
}
