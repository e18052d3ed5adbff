//! A local chain: an Anvil process on a free port, which ends with its owner.
//!
//! It mines only when told to (`evm_mine`), so that whoever drives it decides what is in a block. It outlives neither
//! its [`Anvil`] (killed on drop) nor, where `setpriv` is at hand, a process that was killed itself.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::DemoError;
use super::artifacts;
use crate::id::ChainId;

/// The local chain's id: the one that development tools and wallets know as local, so that no signature made here is
/// worth anything on a public network and nothing takes it for Taiko.
pub const CHAIN_ID: ChainId = 31_337;

/// Funded accounts whose keys Anvil holds.
const ACCOUNTS: usize = 24;

/// The gas of a block: an agent URI of 100 kB takes about 75 million to store.
const BLOCK_GAS: u64 = 1_000_000_000;

/// The longest wait for Anvil to listen.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes of Anvil's complaints that an error repeats.
const MAX_COMPLAINT_BYTES: u64 = 2_000;

/// A running Anvil.
#[derive(Debug)]
pub struct Anvil {
    port: u16,
    /// Killed on drop.
    _process: Child,
}

impl Anvil {
    /// Starts Anvil on a free port of the loopback interface, and waits until it listens. It keeps the states of so
    /// many blocks, in memory only.
    ///
    /// # Errors
    /// [`DemoError`] when there is no Anvil or it does not start.
    pub async fn start(history_blocks: u64) -> Result<Self, DemoError> {
        let path = find().ok_or(DemoError::AnvilMissing)?;
        Self::run(&path, history_blocks).await
    }

    async fn run(path: &Path, history_blocks: u64) -> Result<Self, DemoError> {
        let failed = |reason: String| DemoError::AnvilStart { path: path.into(), reason };
        let mut process = command(path, history_blocks).spawn().map_err(|error| failed(error.to_string()))?;
        let stdout = process.stdout.take().expect("its standard output is a pipe");
        let mut lines = BufReader::new(stdout).lines();
        let port = match tokio::time::timeout(START_TIMEOUT, listening_port(&mut lines)).await {
            Ok(Some(port)) => port,
            Ok(None) => return Err(failed(complaint(&mut process).await)),
            Err(_) => return Err(failed(format!("it does not listen after {} s", START_TIMEOUT.as_secs()))),
        };
        // Anvil tells about every request; a full pipe would stop it.
        tokio::spawn(async move { tokio::io::copy(&mut lines.into_inner(), &mut tokio::io::sink()).await });
        if let Some(mut stderr) = process.stderr.take() {
            tokio::spawn(async move { tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await });
        }
        Ok(Self { port, _process: process })
    }

    /// JSON-RPC over HTTP.
    #[must_use]
    pub fn rpc_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// JSON-RPC over WebSocket.
    #[must_use]
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }
}

fn command(anvil: &Path, history_blocks: u64) -> Command {
    // Rust may not ask for a signal on its parent's death without unsafe code; util-linux' setpriv does, and becomes
    // Anvil itself.
    let mut command = match artifacts::on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(anvil);
            command
        }
        None => Command::new(anvil),
    };
    command
        .args(["--host", "127.0.0.1", "--port", "0", "--no-mining", "--order", "fifo", "--hardfork", "cancun"])
        .args(["--chain-id", &CHAIN_ID.to_string()])
        .args(["--accounts", &ACCOUNTS.to_string()])
        .args(["--gas-limit", &BLOCK_GAS.to_string()])
        .args(["--prune-history", &history_blocks.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // A Ctrl-C in the terminal is ours to handle: the chain must not vanish below a node that is still stopping.
    command.process_group(0);
    command
}

/// Anvil ends its greeting with `Listening on 127.0.0.1:PORT`; nothing when it ends without.
async fn listening_port(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<u16> {
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(address) = line.trim().strip_prefix("Listening on ") {
            return address.rsplit_once(':')?.1.parse().ok();
        }
    }
    None
}

async fn complaint(process: &mut Child) -> String {
    let mut complaint = String::new();
    if let Some(stderr) = process.stderr.take() {
        // What cannot be read is not worth an error of its own: this is one already.
        let _ = stderr.take(MAX_COMPLAINT_BYTES).read_to_string(&mut complaint).await;
    }
    let one_line = complaint.split_whitespace().collect::<Vec<_>>().join(" ");
    if one_line.is_empty() { "it ends at once".into() } else { one_line }
}

/// Anvil by `MEIKAN_ANVIL_BIN`, from the npm packages of `contracts/`, or on the PATH.
///
/// The platform's package is looked for, not the script in `node_modules/.bin`: that one would be a Node process
/// between us and Anvil, and killing it would leave Anvil behind.
fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("MEIKAN_ANVIL_BIN") {
        return Some(path.into());
    }
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let package = format!("node_modules/@foundry-rs/anvil-{system}-{machine}/bin/anvil");
    artifacts::in_contracts(&package).or_else(|| artifacts::on_path("anvil"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Anvil;

    async fn error_of(program: &str) -> String {
        Anvil::run(Path::new(program), 1).await.expect_err("that is no Anvil").to_string()
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = error_of("/nowhere/anvil").await;
        assert!(error.contains("/nowhere/anvil") && error.contains("MEIKAN_ANVIL_BIN"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_ends_at_once_is_no_anvil() {
        let error = error_of("/bin/false").await;
        assert!(error.contains("it ends at once"), "{error}");
    }
}
