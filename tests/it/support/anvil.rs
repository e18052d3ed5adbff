//! A real EVM: Foundry's anvil, from the npm packages of `contracts` (`npm ci --prefix contracts`).

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use alloy::primitives::{Address, Bytes};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// Lines of its start that are read before its address must have come.
const MAX_START_LINES: usize = 500;

/// Longest wait for a transaction's block.
const MINED_WITHIN: Duration = Duration::from_secs(10);

/// How anvil is started.
#[derive(Debug, Clone, Default)]
pub(crate) struct AnvilOptions {
    /// Its chain id; 31337 unless given.
    pub(crate) chain_id: Option<u64>,
    /// Seconds between blocks; none: a block for each transaction.
    pub(crate) block_time_s: Option<u64>,
    /// Blocks come only by `evm_mine`.
    pub(crate) no_mining: bool,
    /// Slots of an epoch: the block two epochs below the head is finalized.
    pub(crate) slots_in_an_epoch: Option<u64>,
}

/// A running anvil; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Anvil {
    process: Child,
    address: String,
}

impl AnvilOptions {
    /// Starts anvil on a free port and waits until it listens.
    pub(crate) fn start(&self) -> Anvil {
        let mut command = Command::new(binary());
        command.args(["--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null());
        command.args(["--chain-id", &self.chain_id.unwrap_or(31_337).to_string()]);
        if let Some(seconds) = self.block_time_s {
            command.args(["--block-time", &seconds.to_string()]);
        }
        if self.no_mining {
            command.arg("--no-mining");
        }
        if let Some(slots) = self.slots_in_an_epoch {
            command.args(["--slots-in-an-epoch", &slots.to_string()]);
        }
        let mut process = command.spawn().expect("anvil starts");
        let stdout = process.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(stdout).lines();
        let address = lines
            .by_ref()
            .take(MAX_START_LINES)
            .find_map(|line| Some(line.expect("anvil writes text").strip_prefix("Listening on ")?.trim().to_owned()));
        // Anvil would stop at a full pipe, so the rest of what it says is read and forgotten.
        std::thread::spawn(move || lines.for_each(drop));
        Anvil { process, address: address.expect("anvil says where it listens") }
    }
}

impl Anvil {
    /// Its HTTP endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its WebSocket endpoint.
    pub(crate) fn ws_url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// A request, with its result.
    pub(crate) async fn request(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        meikan::chain::install_tls();
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client can be built");
        let request = client.post(self.url()).header("content-type", "application/json").body(body);
        let answer = request.send().await.expect("anvil answers").bytes().await.expect("anvil answers in full");
        let mut answer: Value = serde_json::from_slice(&answer).expect("anvil answers JSON");
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Seals so many blocks.
    pub(crate) async fn mine(&self, blocks: u64) {
        self.request("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    /// Puts code at an address.
    pub(crate) async fn set_code(&self, address: Address, code: Bytes) {
        self.request("anvil_setCode", json!([address, code])).await;
    }

    /// Sends a transaction from the first development account and waits until it is in a block, which anvil's answer does
    /// not: mining must not be off.
    pub(crate) async fn send(&self, to: Address, data: Bytes) {
        let accounts = self.request("eth_accounts", json!([])).await;
        let hash = self.request("eth_sendTransaction", json!([{"from": accounts[0], "to": to, "data": data}])).await;
        let mined = async {
            while self.request("eth_getTransactionReceipt", json!([hash])).await.is_null() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(MINED_WITHIN, mined).await.expect("the transaction is mined in time");
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The native binary; npm's own launcher is a script that would leave it behind when it is killed.
fn binary() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/node_modules/@foundry-rs");
    let entries = std::fs::read_dir(&packages)
        .unwrap_or_else(|error| panic!("{}: {error}; run npm ci --prefix contracts", packages.display()));
    let mut binaries = entries.flatten().map(|entry| entry.path().join("bin/anvil")).filter(|path| path.is_file());
    binaries.next().unwrap_or_else(|| panic!("{} has no anvil; run npm ci --prefix contracts", packages.display()))
}
