//! A store on a database of its own, driven through its door, and what its tables hold.

use meikan::block::{BlockRef, Log};
use meikan::config::Database;
use meikan::store::{Applied, Batch, Store, StoreError, Writer};
use serde_json::Value;

use super::chain::{Chain, GENESIS, Said, network};
use crate::support::node::{DEADLINE, LOOK_EVERY};
use crate::support::postgres::{self, TestDatabase};
use crate::support::tables::{self, Dump};

/// The network of most stories.
pub(crate) const CHAIN: u64 = 167_000;

/// A migrated store.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) client: tokio_postgres::Client,
    pub(crate) database: TestDatabase,
}

pub(crate) fn config(url: &str) -> Database {
    Database { url: url.into(), read_connections: 2, ..Database::default() }
}

impl Fixture {
    pub(crate) async fn create() -> Self {
        let database = TestDatabase::migrated().await;
        let store = Store::connect(&config(database.url())).await.unwrap();
        store.migrate().await.unwrap();
        let client = postgres::connect(database.url()).await;
        Self { store, client, database }
    }

    /// Registers a network and becomes its writer.
    pub(crate) async fn writer(&self, chain_id: u64) -> Writer {
        self.store.register(&network(chain_id), GENESIS).await.unwrap();
        self.store.writer(chain_id).await.unwrap().expect("nobody else writes")
    }

    /// The writer of a network whose last writer has just gone; its lock may still be held for a moment.
    pub(crate) async fn writer_again(&self, chain_id: u64) -> Writer {
        let taken = async {
            loop {
                if let Some(writer) = self.store.writer(chain_id).await.unwrap() {
                    return writer;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(DEADLINE, taken).await.expect("nobody else writes")
    }

    /// All that the tables hold of a network.
    pub(crate) async fn dump(&self, chain_id: u64) -> Dump {
        tables::dump(&self.client, chain_id).await
    }

    pub(crate) async fn texts(&self, select: &str) -> Vec<String> {
        tables::texts(&self.client, select).await
    }

    /// One value, as JSON.
    pub(crate) async fn value(&self, select: &str) -> Value {
        let row = self.client.query_one(&format!("SELECT to_jsonb(x) FROM ({select}) AS t (x)"), &[]).await.unwrap();
        row.get::<_, Option<Value>>(0).unwrap_or(Value::Null)
    }

    /// How many rows a table has of a network.
    pub(crate) async fn count(&self, table: &str, chain_id: u64) -> i64 {
        let select = format!("SELECT count(*) FROM {table} WHERE chain_id = {chain_id}");
        self.client.query_one(&select, &[]).await.unwrap().get(0)
    }

    /// The raw logs in order.
    pub(crate) async fn raw_logs(&self, chain_id: u64) -> Vec<Log> {
        tables::raw_logs(&self.client, chain_id).await
    }

    /// The changes that hold: those that no rewind took back, above a block.
    pub(crate) async fn changes(&self, chain_id: u64, above: u64) -> Vec<String> {
        let select = format!(
            "SELECT (op, entity, key, block_number, block_hash)::text FROM change c \
             WHERE chain_id = {chain_id} AND op IN (1, 2) AND block_number > {above} AND NOT EXISTS ( \
                 SELECT FROM change r WHERE r.chain_id = {chain_id} AND r.op = 3 AND r.seq > c.seq \
                 AND (r.entity, r.key, r.block_hash) = (c.entity, c.key, c.block_hash)) \
             ORDER BY seq"
        );
        self.texts(&select).await
    }
}

/// The step that follows a chain: from where the cursor is to a height, back to the common block first.
pub(crate) async fn follow(
    writer: &mut Writer,
    chain: &Chain,
    rewind_to: Option<u64>,
    to: u64,
    finalized: Option<u64>,
) -> Result<Applied, StoreError> {
    let tip = writer.cursor().await?.tip;
    let from = rewind_to.or(tip.map(|tip| tip.number)).map_or(0, |base| base + 1);
    let mut blocks = chain.between(from, to);
    // A backfill by range sees no final block without logs.
    blocks.retain(|block| !block.logs.is_empty() || finalized.is_none_or(|finalized| block.header.number > finalized));
    let batch = Batch {
        expected_tip: tip.map(|tip| tip.block()),
        rewind_to,
        blocks,
        tip: chain.tip_at(to),
        finalized: finalized.map(|number| chain.block(number)),
        safe: None,
    };
    writer.apply(batch).await
}

/// A block that no chain has.
pub(crate) fn nowhere(number: u64) -> BlockRef {
    BlockRef { number, hash: alloy::primitives::B256::repeat_byte(0xba) }
}

/// The lock of a writer that was dropped falls when the server notices; asking is all that can be done.
pub(crate) async fn wait_for_writer(fixture: &Fixture, chain_id: u64) -> Writer {
    for _ in 0..1_000 {
        if let Some(writer) = fixture.store.writer(chain_id).await.unwrap() {
            return writer;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the lock of a writer that is gone never fell");
}

/// Plays blocks of logs on a store of their own, none of them final.
pub(crate) async fn play(blocks: Vec<Vec<Said>>) -> (Fixture, Chain) {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    for logs in blocks {
        chain.add(logs);
    }
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    (fixture, chain)
}

/// Bytes as Postgres writes them.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(format!("\\x{}", alloy::hex::encode(bytes)))
}
