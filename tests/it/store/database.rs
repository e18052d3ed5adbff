//! The database below a store: its migrations, what a reading connection may do, and one that is not there.

use meikan::fault::Fault;
use meikan::store::{Store, StoreError};

use super::chain::{Chain, START};
use super::random::Random;
use super::support::{CHAIN, Fixture, config, follow};
use crate::support::postgres::{TestDatabase, connect};
use crate::support::tables::assert_same;

#[tokio::test]
async fn migrations_run_once_and_are_refused_when_edited_or_newer() {
    let database = TestDatabase::create().await;
    let store = Store::connect(&config(database.url())).await.unwrap();
    let older = store.check_schema().await.unwrap_err();
    assert!(matches!(older, StoreError::DatabaseOlder { database: 0, .. }), "{older}");
    // Processes that start together wait for each other.
    let (first, second) = tokio::join!(store.migrate(), store.migrate());
    let run = [first.unwrap(), second.unwrap()];
    assert!(run.contains(&0) && run.iter().sum::<usize>() > 0, "each migration runs once: {run:?}");
    store.check_schema().await.unwrap();
    let client = connect(database.url()).await;
    client.batch_execute("UPDATE schema_migration SET sha256 = '\\x00' WHERE number = 2").await.unwrap();
    let edited = store.migrate().await.unwrap_err();
    assert!(edited.to_string().starts_with("migration 2 (0002_identity) was run"), "{edited}");
    client.batch_execute("INSERT INTO schema_migration VALUES (999, 'future', '')").await.unwrap();
    let newer = store.migrate().await.unwrap_err();
    assert!(newer.to_string().contains("run a newer version"), "{newer}");
    assert_eq!(newer.fault(), Fault::Fatal);
}

/// Networks were once split by the hash of the agent.
#[tokio::test]
async fn rows_of_an_older_layout_move_and_stay_as_they_are() {
    const PARTITIONS: &str = "SELECT relname::text FROM pg_class WHERE relispartition AND relkind = 'r' \
                              AND relname ~ '^(agent|feedback|standing|manifest)'";
    let fixture = Fixture::create().await;
    let older = include_str!("../../../migrations/0018_statistics.sql");
    let (_, layout) = older.split_once("CREATE OR REPLACE FUNCTION ensure_network_partitions").unwrap();
    let (layout, _) = layout.split_once("END $$;").unwrap();
    // Tables that came later are in it as they are now.
    let layout = layout.replace("'change', ", "'change', 'ranking_version', ");
    let back = format!("CREATE OR REPLACE FUNCTION ensure_network_partitions{layout}END $$");
    fixture.client.batch_execute(&back).await.unwrap();
    let (mut chain, mut random) = (Chain::default(), Random(19));
    for _ in 0..60 {
        chain.add(random.logs());
    }
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, START + 52, Some(START + 5)).await.unwrap();
    drop(writer);
    let (held, split) = (fixture.dump(CHAIN).await, fixture.texts(PARTITIONS).await);
    assert!(!held["feedback"].is_empty() && split.len() == 72, "{split:?}");
    let migration = include_str!("../../../migrations/0019_one_partition.sql");
    fixture.client.batch_execute(migration).await.unwrap();
    assert_same(&fixture.dump(CHAIN).await, &held);
    assert_eq!(fixture.texts(PARTITIONS).await.len(), 9);
    let mut writer = fixture.writer_again(CHAIN).await;
    follow(&mut writer, &chain, Some(START + 40), chain.tip(), None).await.unwrap();
    let fresh = Fixture::create().await;
    follow(&mut fresh.writer(CHAIN).await, &chain, None, chain.tip(), Some(START + 5)).await.unwrap();
    let (moved, fresh) = (fixture.dump(CHAIN).await, fresh.dump(CHAIN).await);
    for table in
        ["agent", "feedback", "feedback_response", "standing", "standing_version", "manifest_flip", "agent_total"]
    {
        assert_eq!(moved[table], fresh[table], "{table}");
    }
}

#[tokio::test]
async fn f72_a_reading_connection_cannot_write_or_run_for_ever() {
    let database = TestDatabase::create().await;
    let hasty = meikan::config::Database { statement_timeout_ms: 50, ..config(database.url()) };
    let store = Store::connect(&hasty).await.unwrap();
    let client = store.read().await.unwrap();
    let refused = client.batch_execute("CREATE TABLE mine ()").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "25006");
    let ended = client.batch_execute("SELECT pg_sleep(60)").await.unwrap_err();
    assert_eq!(ended.code().unwrap().code(), "57014");
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let url = "postgres://meikan:secret@127.0.0.1:1/none";
    let error = Store::connect(&config(url)).await.err().expect("nothing listens there");
    let text = error.to_string();
    assert!(text.contains("postgres://127.0.0.1:1/none") && !text.contains("secret"), "{text}");
    assert_eq!(error.fault(), Fault::Retry);
}
