//! The node as it is shipped: the release build, serving a database that is full.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::sql;

/// A node that serves.
pub(crate) struct Node {
    child: Child,
    pub(crate) address: String,
    told: Arc<Mutex<Vec<String>>>,
}

/// Nobody follows: what is asked is in the database.
const CONFIG: &str = "[api]
cache_megabytes = MEGABYTES
[database]
read_connections = CONNECTIONS
[[network]]
name = \"bench\"
chain_id = 167000
rpc_urls = [\"http://127.0.0.1:1\"]
start_block = 1
[network.contracts]
identity = \"0x0000000000000000000000000000000000000080\"
";

/// What a log line says in front of the address.
const SERVING: &str = "serving GraphQL at http://";

impl Node {
    /// Starts to serve a database, with so much room for answers that are kept; `filter` is its `RUST_LOG`.
    pub(crate) async fn serve(database_url: &str, connections: usize, megabytes: u32, filter: &str) -> Self {
        let text = CONFIG.replace("CONNECTIONS", &connections.to_string()).replace("MEGABYTES", &megabytes.to_string());
        Self::start(database_url, "serve", &text, filter).await
    }

    /// Starts the program with that command and configuration, and waits until it serves.
    pub(crate) async fn start(database_url: &str, order: &str, configuration: &str, filter: &str) -> Self {
        Self::start_on([OsStr::new("--database-url"), OsStr::new(database_url)], order, configuration, filter).await
    }

    /// Starts it to follow and to serve, with a server of its own in that folder.
    pub(crate) async fn bring(data_dir: &Path, configuration: &str, filter: &str) -> Self {
        Self::start_on([OsStr::new("--data-dir"), data_dir.as_os_str()], "run", configuration, filter).await
    }

    async fn start_on(database: [&OsStr; 2], order: &str, configuration: &str, filter: &str) -> Self {
        let config = std::env::temp_dir().join(format!("meikan-bench-{}.toml", std::process::id()));
        std::fs::write(&config, configuration).expect("a file can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_meikan"));
        command.arg("--config").arg(&config).args(database).args(["--listen", "127.0.0.1:0"]).arg(order);
        if let Some(bin_dir) = sql::bin_dir() {
            command.env("MEIKAN_POSTGRES_BIN", bin_dir);
        }
        command
            .env("RUST_LOG", filter)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("the node starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let told = Arc::new(Mutex::new(Vec::new()));
        let (found, address) = tokio::sync::oneshot::channel();
        let into = Arc::clone(&told);
        tokio::spawn(async move {
            let mut found = Some(found);
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, rest)) = line.split_once(SERVING)
                    && let Some(found) = found.take()
                {
                    let _ = found.send(rest.split('/').next().unwrap_or_default().to_owned());
                }
                into.lock().expect("nobody panics with it").push(line);
            }
        });
        let address = timeout(Duration::from_secs(60), address).await;
        let _ = std::fs::remove_file(config);
        let address = match address {
            Ok(Ok(address)) => address,
            _ => panic!("the node does not serve: {:#?}", told.lock().expect("nobody panics with it")),
        };
        Self { child, address, told }
    }

    /// The log lines since the last look.
    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.told.lock().expect("nobody panics with it"))
    }

    /// Ends it.
    pub(crate) async fn end(mut self) {
        self.child.kill().await.expect("it is ours");
    }
}
