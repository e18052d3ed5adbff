//! The schema's history: numbered files, run once each, in order, never edited.
//!
//! All processes that start at the same time wait for one advisory lock. Each migration is one transaction, together
//! with the row that records its text's hash; so a crash leaves a database between two migrations, never inside one. A
//! text that was run and is not what the binary holds is refused: two databases of one version must be alike.

use sha2::{Digest, Sha256};
use tokio_postgres::GenericClient;

use super::Store;
use super::error::StoreError;

/// One step of the schema.
struct Migration {
    number: i32,
    name: &'static str,
    sql: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration { number: $number, name: $name, sql: include_str!(concat!("../../migrations/", $name, ".sql")) }
    };
}

/// Every migration, numbered from 1 without a gap.
const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_chain"),
    migration!(2, "0002_identity"),
    migration!(3, "0003_reputation"),
    migration!(4, "0004_validation_audit"),
    migration!(5, "0005_digest"),
    migration!(6, "0006_reindex"),
    migration!(7, "0007_verification"),
    migration!(8, "0008_dispute"),
    migration!(9, "0009_generations"),
    migration!(10, "0010_trouble"),
    migration!(11, "0011_reindex_then"),
    migration!(12, "0012_finding_subject"),
    migration!(13, "0013_analytics"),
    migration!(14, "0014_reputation"),
    migration!(15, "0015_derivation"),
    migration!(16, "0016_audit"),
    migration!(17, "0017_flips"),
    migration!(18, "0018_statistics"),
    migration!(19, "0019_one_partition"),
    migration!(20, "0020_milestones"),
    migration!(21, "0021_orders"),
    migration!(22, "0022_responses"),
    migration!(23, "0023_rankings"),
    migration!(24, "0024_owners"),
    migration!(25, "0025_hours"),
    migration!(26, "0026_begun"),
    migration!(27, "0027_nearer_milestones"),
    migration!(28, "0028_documents"),
    migration!(29, "0029_cards"),
    migration!(30, "0030_manifests"),
    migration!(31, "0031_keys"),
    migration!(32, "0032_payments"),
    migration!(33, "0033_reader_indexes"),
    migration!(34, "0034_plain_standings"),
    migration!(35, "0035_late_standings"),
    migration!(36, "0036_late_totals"),
];

/// The advisory lock that migrations run under; any number that nothing else in the database uses ("meikan" in ASCII).
const LOCK: i64 = 0x0000_6d65_696b_616e;

/// Longest wait for another process's migrations, in milliseconds.
const LOCK_TIMEOUT_MS: u32 = 120_000;

/// The oldest server that is tested.
const OLDEST_SERVER: i32 = 150_000;

impl Store {
    /// Brings the schema up to date; returns how many migrations were run.
    ///
    /// # Errors
    /// [`StoreError::ServerTooOld`], [`StoreError::MigrationEdited`], [`StoreError::DatabaseNewer`], or what the
    /// database says.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        self.migrate_with(MIGRATIONS).await
    }

    async fn migrate_with(&self, migrations: &[Migration]) -> Result<usize, StoreError> {
        let failed = StoreError::database("migrate");
        // A connection that is closed afterwards: the lock and the settings end with it, however this ends.
        let mut client = deadpool_postgres::Object::take(self.write().await?);
        let prepare = format!("SET lock_timeout = {LOCK_TIMEOUT_MS}; SELECT pg_advisory_lock({LOCK})");
        client.batch_execute(&prepare).await.map_err(failed)?;
        let version = server_version(&*client).await?;
        if version < OLDEST_SERVER {
            return Err(StoreError::ServerTooOld { version_number: version });
        }
        client.batch_execute(HISTORY).await.map_err(StoreError::database("migrate"))?;
        let done = compare(&history(&*client).await?, migrations)?;
        for migration in &migrations[done..] {
            run(&mut client, migration).await?;
            tracing::info!(migration = migration.name, "migrated the database");
        }
        Ok(migrations.len() - done)
    }

    /// Whether the schema is the one that this binary was built for; asked by processes that only read.
    ///
    /// # Errors
    /// [`StoreError::DatabaseOlder`], [`StoreError::DatabaseNewer`], [`StoreError::MigrationEdited`], or what the
    /// database says.
    pub async fn check_schema(&self) -> Result<(), StoreError> {
        let client = self.read().await?;
        let exists = client
            .query_one("SELECT to_regclass('schema_migration') IS NOT NULL", &[])
            .await
            .map_err(StoreError::database("check_schema"))?;
        let history = if exists.get(0) { history(&**client).await? } else { Vec::new() };
        let done = compare(&history, MIGRATIONS)?;
        let (binary, database) = (number(MIGRATIONS.len()), number(done));
        if done < MIGRATIONS.len() { Err(StoreError::DatabaseOlder { database, binary }) } else { Ok(()) }
    }
}

const HISTORY: &str = "
CREATE TABLE IF NOT EXISTS schema_migration (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    sha256     bytea NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE schema_migration IS 'The migrations that were run, each with the hash of its text.'";

/// A migration that was run.
struct Applied {
    number: i32,
    name: String,
    sha256: Vec<u8>,
}

async fn server_version(client: &impl GenericClient) -> Result<i32, StoreError> {
    let row = client
        .query_one("SELECT current_setting('server_version_num')::integer", &[])
        .await
        .map_err(StoreError::database("migrate"))?;
    Ok(row.get(0))
}

async fn history(client: &impl GenericClient) -> Result<Vec<Applied>, StoreError> {
    let rows = client
        .query("SELECT number, name, sha256 FROM schema_migration ORDER BY number", &[])
        .await
        .map_err(StoreError::database("migrate"))?;
    Ok(rows.iter().map(|row| Applied { number: row.get(0), name: row.get(1), sha256: row.get(2) }).collect())
}

/// How many of the migrations were run: the history must be a prefix of them.
fn compare(history: &[Applied], migrations: &[Migration]) -> Result<usize, StoreError> {
    if let Some(newest) = history.last()
        && history.len() > migrations.len()
    {
        return Err(StoreError::DatabaseNewer { database: newest.number, binary: number(migrations.len()) });
    }
    for (applied, migration) in history.iter().zip(migrations) {
        if applied.number != migration.number || applied.sha256 != Sha256::digest(migration.sql).as_slice() {
            return Err(StoreError::MigrationEdited { number: applied.number, name: applied.name.clone() });
        }
    }
    Ok(history.len())
}

async fn run(client: &mut deadpool_postgres::ClientWrapper, migration: &Migration) -> Result<(), StoreError> {
    let transaction = client.transaction().await.map_err(StoreError::database("migrate"))?;
    transaction.batch_execute(migration.sql).await.map_err(StoreError::database("migrate"))?;
    let sha256 = Sha256::digest(migration.sql).to_vec();
    transaction
        .execute(
            "INSERT INTO schema_migration (number, name, sha256) VALUES ($1, $2, $3)",
            &[&migration.number, &migration.name, &sha256],
        )
        .await
        .map_err(StoreError::database("migrate"))?;
    transaction.commit().await.map_err(StoreError::database("migrate"))
}

fn number(count: usize) -> i32 {
    i32::try_from(count).expect("migrations are counted by hand")
}

#[cfg(test)]
mod tests {
    use super::{Applied, Digest, MIGRATIONS, Migration, Sha256, StoreError, compare, number};

    const TWO: &[Migration] =
        &[Migration { number: 1, name: "one", sql: "SELECT 1" }, Migration { number: 2, name: "two", sql: "SELECT 2" }];

    fn applied(migrations: &[Migration]) -> Vec<Applied> {
        let apply = |migration: &Migration| Applied {
            number: migration.number,
            name: migration.name.into(),
            sha256: Sha256::digest(migration.sql).to_vec(),
        };
        migrations.iter().map(apply).collect()
    }

    #[test]
    fn migrations_are_numbered_without_a_gap() {
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.number, number(index + 1));
            assert!(migration.name.starts_with(&format!("{:04}_", migration.number)), "{}", migration.name);
        }
    }

    #[test]
    fn what_was_run_is_not_run_again() {
        assert_eq!(compare(&[], TWO).expect("nothing was run"), 0);
        assert_eq!(compare(&applied(&TWO[..1]), TWO).expect("one was run"), 1);
        assert_eq!(compare(&applied(TWO), TWO).expect("both were run"), 2);
    }

    #[test]
    fn an_edited_migration_is_refused() {
        let mut history = applied(TWO);
        history[0].sha256[0] ^= 1;
        assert!(matches!(compare(&history, TWO), Err(StoreError::MigrationEdited { number: 1, .. })));
    }

    #[test]
    fn a_newer_database_is_refused() {
        let newer = compare(&applied(TWO), &TWO[..1]);
        assert!(matches!(newer, Err(StoreError::DatabaseNewer { database: 2, binary: 1 })));
    }
}
