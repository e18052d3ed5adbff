//! How the server makes the files of its log for a connection that writes much.
//!
//! It fills a new file of 16 MB with zeros, forces that to the disk, and writes what it was made for over it. A backfill into a
//! server whose log is young makes such a file for every ten thousand logs, which is a tenth of its time. What is
//! committed is as safe without: `wal_init_zero` only has the room for a file's later commits on the disk beforehand, which
//! is what the small commits at the head are quick by.

use tokio_postgres::Client;

use super::error::StoreError;

/// Lets the server make files of its log without filling them first, for this connection. Nothing changes where its user may
/// not say so; a superuser may.
///
/// # Errors
/// What the database says.
pub(super) async fn leave_unfilled(client: &Client) -> Result<(), StoreError> {
    set(client, "'off'").await
}

/// Has them filled as the server is configured.
///
/// # Errors
/// What the database says.
pub(super) async fn fill(client: &Client) -> Result<(), StoreError> {
    set(client, "reset_val").await
}

async fn set(client: &Client, value: &str) -> Result<(), StoreError> {
    let set = format!(
        "SELECT set_config(name, {value}, FALSE) FROM pg_settings \
         WHERE name = 'wal_init_zero' AND has_parameter_privilege(name, 'SET')"
    );
    client.execute(&set, &[]).await.map(|_| ()).map_err(StoreError::database("set how the log is written"))
}
