//! What is read of an endpoint's answers: only the fields that are needed, because others are missing here and there
//! (F44), and all that may be null is optional (F9, F11).

use alloy::primitives::{Address, B256, Bloom, Bytes, U64, U256};
use serde::Deserialize;
use serde_json::{Value, json};

use super::endpoint::Call;

/// A block of `eth_getBlockByNumber`, without its transactions.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireHeader {
    pub(super) number: Option<U64>,
    pub(super) hash: Option<B256>,
    pub(super) parent_hash: B256,
    pub(super) timestamp: U64,
    #[serde(default)]
    pub(super) logs_bloom: Option<Box<Bloom>>,
}

/// A log of `eth_getLogs` or of a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireLog {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    #[serde(default)]
    pub(super) data: Bytes,
    #[serde(default)]
    pub(super) block_number: Option<U64>,
    #[serde(default)]
    pub(super) block_hash: Option<B256>,
    #[serde(default)]
    pub(super) transaction_hash: Option<B256>,
    #[serde(default)]
    pub(super) transaction_index: Option<U64>,
    #[serde(default)]
    pub(super) log_index: Option<U64>,
    #[serde(default)]
    pub(super) removed: bool,
}

/// A receipt of `eth_getBlockReceipts`. Only its logs are needed; the rest, where it is there, is what its root is made of.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireReceipt {
    pub(super) logs: Vec<WireLog>,
    #[serde(default, rename = "type")]
    pub(super) kind: Option<U64>,
    #[serde(default)]
    pub(super) status: Option<U64>,
    #[serde(default)]
    pub(super) root: Option<B256>,
    #[serde(default)]
    pub(super) cumulative_gas_used: Option<U64>,
    #[serde(default)]
    pub(super) block_hash: Option<B256>,
    #[serde(default)]
    pub(super) transaction_index: Option<U64>,
}

/// A receipt of `eth_getTransactionReceipt`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireOutcome {
    pub(super) transaction_hash: B256,
    pub(super) block_hash: B256,
    pub(super) block_number: U64,
    pub(super) status: U64,
    pub(super) logs: Vec<WireLog>,
}

/// A transaction of `eth_getTransactionByHash`; it is in no block where it is still to come.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireTransaction {
    pub(super) hash: B256,
    #[serde(default)]
    pub(super) block_hash: Option<B256>,
    pub(super) from: Address,
    #[serde(default)]
    pub(super) to: Option<Address>,
    pub(super) value: U256,
    #[serde(default)]
    pub(super) input: Bytes,
}

/// A number as JSON-RPC writes it.
pub(super) fn quantity(number: u64) -> Value {
    Value::String(format!("{number:#x}"))
}

pub(super) fn header_by_number(number: u64) -> Call {
    Call { method: "eth_getBlockByNumber", params: json!([quantity(number), false]) }
}

pub(super) fn header_by_tag(tag: &'static str) -> Call {
    Call { method: "eth_getBlockByNumber", params: json!([tag, false]) }
}

pub(super) fn logs_by_hash(addresses: &[Address], hash: B256) -> Call {
    Call { method: "eth_getLogs", params: json!([{"address": addresses, "blockHash": hash}]) }
}

pub(super) fn logs_by_range(addresses: &[Address], from: u64, to: u64) -> Call {
    let filter = json!({"address": addresses, "fromBlock": quantity(from), "toBlock": quantity(to)});
    Call { method: "eth_getLogs", params: json!([filter]) }
}

pub(super) fn receipts(hash: B256) -> Call {
    Call { method: "eth_getBlockReceipts", params: json!([hash]) }
}

pub(super) fn outcome(transaction: B256) -> Call {
    Call { method: "eth_getTransactionReceipt", params: json!([transaction]) }
}

pub(super) fn transaction(hash: B256) -> Call {
    Call { method: "eth_getTransactionByHash", params: json!([hash]) }
}

#[cfg(test)]
mod tests {
    use super::{WireHeader, WireLog, WireReceipt};

    const HASH: &str = "0x0000000000000000000000000000000000000000000000000000000000000007";

    #[test]
    fn f44_a_header_needs_few_fields() {
        let full = format!(r#"{{"number":"0x7","hash":"{HASH}","parentHash":"{HASH}","timestamp":"0x1","uncles":[]}}"#);
        let header: WireHeader = serde_json::from_str(&full).expect("the header is read");
        assert!(header.number.is_some() && header.logs_bloom.is_none());
        let pending = format!(r#"{{"number":null,"hash":null,"parentHash":"{HASH}","timestamp":"0x1"}}"#);
        let header: WireHeader = serde_json::from_str(&pending).expect("the header is read");
        assert_eq!((header.number, header.hash), (None, None));
    }

    #[test]
    fn f8_f11_f44_a_log_may_lack_what_it_should_have() {
        let address = "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";
        let bare = format!(r#"{{"address":"{address}","topics":["{HASH}"]}}"#);
        let log: WireLog = serde_json::from_str(&bare).expect("the log is read");
        assert!(log.data.is_empty() && log.block_hash.is_none() && !log.removed);
        let pending =
            format!(r#"{{"address":"{address}","topics":[],"data":"0x","blockNumber":null,"blockHash":null}}"#);
        assert_eq!(serde_json::from_str::<WireLog>(&pending).expect("the log is read").block_number, None);
    }

    #[test]
    fn f9_a_null_receipt_is_refused() {
        assert!(serde_json::from_str::<Vec<WireReceipt>>(r#"[{"logs":[]},null]"#).is_err());
    }
}
