//! A real Redis for tests: Debian's server, on a socket in a folder of its own, without anything on disk.

use std::process::Stdio;
use std::time::Instant;

use tokio::process::{Child, Command};

use crate::support::folder::Folder;
use crate::support::program::PATIENCE;

/// A server that ends with its test.
pub(crate) struct Redis {
    child: Child,
    folder: Folder,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let folder = Folder::new();
        let child = launch(&folder);
        let redis = Self { child, folder };
        redis.answers().await;
        redis
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", socket(&self.folder))
    }

    /// Kills it, with all that it knows.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// Starts it anew in its place.
    pub(crate) async fn start_again(&mut self) {
        self.child = launch(&self.folder);
        self.answers().await;
    }

    /// The names of what it holds, with the seconds that each is kept for.
    pub(crate) async fn held(&self) -> Vec<(String, i64)> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut names: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
        names.sort();
        let mut held = Vec::new();
        for name in names {
            let seconds = redis::cmd("TTL").arg(&name).query_async(&mut connection).await.unwrap();
            held.push((name, seconds));
        }
        held
    }

    async fn answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        while tokio::net::UnixStream::connect(socket(&self.folder)).await.is_err() {
            assert!(Instant::now() < deadline, "redis-server does not answer");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

fn socket(folder: &Folder) -> String {
    folder.path().join("redis.sock").to_str().expect("temporary folders have names in ASCII").to_owned()
}

fn launch(folder: &Folder) -> Child {
    let _ = std::fs::remove_file(socket(folder));
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(socket(folder));
    command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command.spawn().expect("redis-server is installed; tests/system.sh does it")
}
