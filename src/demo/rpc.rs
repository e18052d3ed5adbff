//! What is asked of a local chain: transactions of unlocked accounts, blocks on demand, calls, reorgs.
//!
//! Every request has a deadline. This is no way to read a chain that one does not own: nothing is checked.

use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U64, U256};
use alloy::rpc::client::RpcClient;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::DemoError;
use crate::chain;

/// The longest a local chain may take for an answer.
const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// Gas for a transaction unless it says otherwise: every function of ours with short arguments stays below.
const USUAL_GAS: u64 = 5_000_000;

/// A connection to a local chain.
#[derive(Debug, Clone)]
pub struct Rpc {
    client: RpcClient,
}

/// A call of a contract, or its creation.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who sends it.
    pub from: Address,
    /// The contract; nothing: a new one.
    pub to: Option<Address>,
    /// The calldata, or the creation code with its arguments.
    pub data: Bytes,
    /// The most gas it may use.
    pub gas: u64,
}

impl Call {
    /// A call with the usual gas.
    #[must_use]
    pub fn new(from: Address, to: Address, data: impl Into<Bytes>) -> Self {
        Self { from, to: Some(to), data: data.into(), gas: USUAL_GAS }
    }

    /// The creation of a contract.
    #[must_use]
    pub fn create(from: Address, code: impl Into<Bytes>) -> Self {
        Self { from, to: None, data: code.into(), gas: 4 * USUAL_GAS }
    }

    /// The same call with more gas.
    #[must_use]
    pub fn with_gas(self, gas: u64) -> Self {
        Self { gas, ..self }
    }

    fn json(&self) -> Value {
        json!({"from": self.from, "to": self.to, "data": self.data, "gas": U64::from(self.gas)})
    }
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The transaction.
    pub transaction_hash: B256,
    /// The contract that it created.
    pub contract_address: Option<Address>,
    /// 1 where it succeeded.
    status: U64,
    /// What it emitted.
    pub logs: Vec<Log>,
}

impl Receipt {
    /// Whether it was not reverted.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == U64::from(1)
    }
}

/// A log of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Log {
    /// The contract.
    pub address: Address,
    /// Its topics.
    pub topics: Vec<B256>,
    /// Its data.
    pub data: Bytes,
}

/// What is needed of a block's header.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Head {
    number: U64,
    timestamp: U64,
}

impl Rpc {
    /// A connection to an endpoint over plain HTTP.
    ///
    /// # Errors
    /// [`DemoError::Rpc`] when the URL is none.
    pub fn connect(url: &str) -> Result<Self, DemoError> {
        // reqwest wants a TLS library even for plain HTTP.
        chain::install_tls();
        let failed = |reason: String| DemoError::Rpc { method: "connect", reason };
        let url = url.parse().map_err(|_| failed(format!("{} is no URL", crate::config::redact(url))))?;
        Ok(Self { client: RpcClient::new_http(url) })
    }

    /// Any request.
    ///
    /// # Errors
    /// [`DemoError::Rpc`] when there is no answer in time, an error, or an answer of another type.
    pub async fn request<T>(&self, method: &'static str, params: Value) -> Result<T, DemoError>
    where
        T: DeserializeOwned + std::fmt::Debug + Send + Sync + Unpin + 'static,
    {
        let answer = tokio::time::timeout(REQUEST_DEADLINE, self.client.request::<Value, T>(method, params)).await;
        let failed = |reason: String| DemoError::Rpc { method, reason };
        match answer {
            Ok(answer) => answer.map_err(|error| failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {} s", REQUEST_DEADLINE.as_secs()))),
        }
    }

    /// The accounts whose keys the chain holds.
    ///
    /// # Errors
    /// As [`Rpc::request`].
    pub async fn accounts(&self) -> Result<Vec<Address>, DemoError> {
        self.request("eth_accounts", json!([])).await
    }

    /// Puts a transaction into the pool; it waits there for a block.
    ///
    /// # Errors
    /// As [`Rpc::request`].
    pub async fn send(&self, call: &Call) -> Result<B256, DemoError> {
        self.request("eth_sendTransaction", json!([call.json()])).await
    }

    /// Mines a block of all that waits in the pool; returns its number and its time in seconds since 1970.
    ///
    /// # Errors
    /// As [`Rpc::request`].
    pub async fn mine(&self) -> Result<(u64, u64), DemoError> {
        self.request::<Value>("evm_mine", json!([])).await?;
        self.head().await
    }

    /// Number and time of the newest block.
    ///
    /// # Errors
    /// As [`Rpc::request`].
    pub async fn head(&self) -> Result<(u64, u64), DemoError> {
        let head: Head = self.request("eth_getBlockByNumber", json!(["latest", false])).await?;
        Ok((head.number.to(), head.timestamp.to()))
    }

    /// The receipts of a block, in its order.
    ///
    /// # Errors
    /// As [`Rpc::request`].
    pub async fn receipts(&self, block: u64) -> Result<Vec<Receipt>, DemoError> {
        let receipts: Option<_> = self.request("eth_getBlockReceipts", json!([U64::from(block)])).await?;
        receipts.ok_or(DemoError::Rpc { method: "eth_getBlockReceipts", reason: format!("no block {block}") })
    }

    /// Sends a transaction in a block of its own; `what` it does is told when it is reverted.
    ///
    /// # Errors
    /// As [`Rpc::request`], and [`DemoError::Reverted`].
    pub async fn execute(&self, what: &str, call: &Call) -> Result<Receipt, DemoError> {
        let hash = self.send(call).await?;
        let (block, _) = self.mine().await?;
        let receipts = self.receipts(block).await?;
        let receipt = receipts.into_iter().find(|receipt| receipt.transaction_hash == hash);
        receipt.filter(Receipt::succeeded).ok_or_else(|| DemoError::Reverted { what: what.into() })
    }

    /// What a contract answers to a call, as of a block or the newest one.
    ///
    /// # Errors
    /// As [`Rpc::request`]; a revert is one too.
    pub async fn call(&self, to: Address, data: Vec<u8>, block: Option<u64>) -> Result<Bytes, DemoError> {
        let block = block.map_or_else(|| json!("latest"), |number| json!(U64::from(number)));
        self.request("eth_call", json!([{"to": to, "data": Bytes::from(data)}, block])).await
    }

    /// Replaces the newest blocks by as many empty ones. Their transactions, and those in the pool, are lost; the
    /// nonces of their senders go back.
    ///
    /// # Errors
    /// As [`Rpc::request`].
    pub async fn reorganise(&self, depth: u64) -> Result<(), DemoError> {
        let (_, time) = self.head().await?;
        self.request::<Value>("anvil_reorg", json!([depth, []])).await?;
        // Anvil turns its clock back to the last block that stayed and goes on from there: with each reorg it would lag
        // further behind, until signatures with a deadline are refused and every block looks stale.
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        self.request::<Value>("evm_setTime", json!([time.max(clock.as_secs())])).await.map(|_| ())
    }

    /// Has an unlocked account sign typed data (EIP-712): 65 bytes.
    ///
    /// # Errors
    /// As [`Rpc::request`].
    pub async fn sign(&self, signer: Address, typed_data: Value) -> Result<Bytes, DemoError> {
        self.request("eth_signTypedData_v4", json!([signer, typed_data])).await
    }

    /// The storage of a contract at a slot.
    ///
    /// # Errors
    /// As [`Rpc::request`].
    pub async fn storage(&self, contract: Address, slot: U256) -> Result<B256, DemoError> {
        self.request("eth_getStorageAt", json!([contract, slot, "latest"])).await
    }
}
