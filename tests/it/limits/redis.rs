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
