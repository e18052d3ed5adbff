//! API keys: made, listed, revoked and looked up.
//!
//! A key is a row that stays; what is kept of its secret is a hash. It is looked up by id and hash together, so whoever
//! guesses learns nothing but that it was no key.

use alloy::primitives::Address;
use tokio_postgres::Row;

use super::Store;
use super::error::StoreError;
use crate::key::{Tier, Token};

/// The columns of a key. Times are UTC, to the second.
const COLUMNS: &str = "id, tier, owner, \
     to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS created_at, \
     to_char(revoked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS revoked_at";

/// What is known of a key, its secret apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// What names it.
    pub id: String,
    /// Whose limits apply.
    pub tier: Tier,
    /// Who answers for it.
    pub owner: Address,
    /// When it was made, such as `2026-01-31T12:00:00Z`.
    pub created_at: String,
    /// When it was revoked; nothing while it holds.
    pub revoked_at: Option<String>,
}

impl Store {
    /// Enters a new key.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn create_key(&self, token: &Token, tier: Tier, owner: Address) -> Result<(), StoreError> {
        let insert = "INSERT INTO api_key (id, secret_sha256, tier, owner) VALUES ($1, $2, $3, $4)";
        let (sha256, owner) = (token.secret_sha256(), owner.as_slice());
        let client = self.write().await?;
        client
            .execute(insert, &[&token.id(), &sha256.as_slice(), &tier.name(), &owner])
            .await
            .map_err(StoreError::database("create_key"))?;
        Ok(())
    }

    /// Every key that was made, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, StoreError> {
        // From where they are written: a replica may not have the newest yet.
        let select = format!("SELECT {COLUMNS} FROM api_key k ORDER BY k.created_at, k.id");
        let rows = self.write().await?.query(&select, &[]).await.map_err(StoreError::database("keys"))?;
        Ok(rows.iter().map(key).collect())
    }

    /// Revokes a key, and tells it as it is then; one that was revoked keeps its time. Nothing when there is none.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn revoke_key(&self, id: &str) -> Result<Option<ApiKey>, StoreError> {
        let update =
            format!("UPDATE api_key SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING {COLUMNS}");
        let client = self.write().await?;
        let row = client.query_opt(&update, &[&id]).await.map_err(StoreError::database("revoke_key"))?;
        Ok(row.as_ref().map(key))
    }

    /// The key that a caller shows, revoked or not; nothing when there is none with this id and this secret.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn find_key(&self, token: &Token) -> Result<Option<ApiKey>, StoreError> {
        let select = format!("SELECT {COLUMNS} FROM api_key WHERE id = $1 AND secret_sha256 = $2");
        let client = self.read().await?;
        let statement = client.prepare_cached(&select).await.map_err(StoreError::database("find_key"))?;
        let row = client
            .query_opt(&statement, &[&token.id(), &token.secret_sha256().as_slice()])
            .await
            .map_err(StoreError::database("find_key"))?;
        Ok(row.as_ref().map(key))
    }
}

fn key(row: &Row) -> ApiKey {
    ApiKey {
        id: row.get("id"),
        // What a newer version calls otherwise has the least.
        tier: Tier::from_name(row.get("tier")).unwrap_or(Tier::Free),
        owner: Address::from_slice(row.get("owner")),
        created_at: row.get("created_at"),
        revoked_at: row.get("revoked_at"),
    }
}
