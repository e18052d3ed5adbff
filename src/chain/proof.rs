//! What a block's hash proves: a header whose fields hash to it binds bloom and receipts root, and receipts whose trie has
//! that root are the block's, all of them, logs and order included (Ethereum's yellow paper, §4.3). Pure.
//!
//! Nothing here accuses: a header with fields that this node does not know, or receipts of a kind that it does not know,
//! cannot be told, which is not the same as wrong. A match is a proof whoever sent the answer.

use alloy::primitives::{Address, B64, B256, Bloom, Bytes, U256, keccak256};
use alloy_rlp::{Encodable, Header as RlpHeader};
use alloy_trie::root::ordered_trie_root_encoded;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::wire::{WireLog, WireReceipt};
use crate::block::Header;

/// Receipts of these kinds (EIP-2718) are encoded as their EIPs say: legacy, EIP-2930, EIP-1559, EIP-4844, EIP-7702.
const KNOWN_TYPES: std::ops::RangeInclusive<u8> = 0..=4;

/// A header with what it commits to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The header.
    pub header: Header,
    /// The root of the trie over its receipts; some endpoints leave it out.
    pub receipts_root: Option<B256>,
    /// Whether its fields hash to its hash: then bloom and receipts root are the block's own.
    pub proven: bool,
}

impl Sealed {
    /// A header that was read out of this answer.
    pub(super) fn of(header: Header, answer: &Map<String, Value>) -> Self {
        let proven = hashes_to(answer, header.hash);
        Self { receipts_root: field(answer, "receiptsRoot"), proven, header }
    }
}

/// What receipts say about a receipts root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Root {
    /// They are the block's.
    Matches,
    /// They are not the block's.
    Differs {
        /// The root of the trie over them.
        found: B256,
    },
    /// A kind of receipt that this node cannot encode, or a field that is missing.
    CannotTell,
}

/// Whether the header's fields hash to `hash`. Forks add fields at the end only, and some clients answer fields that are
/// not in force yet, so every number of the later ones is tried: whichever fits is the preimage.
fn hashes_to(answer: &Map<String, Value>, hash: B256) -> bool {
    let Some(base) = base_fields(answer) else { return false };
    let mut later: Vec<Vec<u8>> = Vec::new();
    for name in LATER_FIELDS {
        match later_field(answer, name) {
            Some(encoded) => later.push(encoded),
            None => break,
        }
    }
    (0..=later.len()).rev().any(|count| {
        let payload_length = base.len() + later[..count].iter().map(Vec::len).sum::<usize>();
        let mut encoded = Vec::with_capacity(payload_length + 9);
        RlpHeader { list: true, payload_length }.encode(&mut encoded);
        encoded.extend_from_slice(&base);
        later[..count].iter().for_each(|field| encoded.extend_from_slice(field));
        keccak256(&encoded) == hash
    })
}

/// The fields that every header has, encoded in their order.
fn base_fields(answer: &Map<String, Value>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(600);
    for name in ["parentHash", "sha3Uncles"] {
        field::<B256>(answer, name)?.encode(&mut out);
    }
    field::<Address>(answer, "miner")?.encode(&mut out);
    for name in ["stateRoot", "transactionsRoot", "receiptsRoot"] {
        field::<B256>(answer, name)?.encode(&mut out);
    }
    field::<Bloom>(answer, "logsBloom")?.encode(&mut out);
    for name in ["difficulty", "number", "gasLimit", "gasUsed", "timestamp"] {
        field::<U256>(answer, name)?.encode(&mut out);
    }
    field::<Bytes>(answer, "extraData")?.encode(&mut out);
    field::<B256>(answer, "mixHash")?.encode(&mut out);
    field::<B64>(answer, "nonce")?.encode(&mut out);
    Some(out)
}

/// Fields that forks added, in their order: London, Shanghai, Cancun (three), Prague, Amsterdam (two).
const LATER_FIELDS: [&str; 8] = [
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
    "blockAccessListHash",
    "slotNumber",
];

fn later_field(answer: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match name {
        "baseFeePerGas" | "blobGasUsed" | "excessBlobGas" | "slotNumber" => {
            field::<U256>(answer, name)?.encode(&mut out)
        }
        _ => field::<B256>(answer, name)?.encode(&mut out),
    }
    Some(out)
}

/// A field, where it is there and what it should be (F44).
fn field<T: DeserializeOwned>(answer: &Map<String, Value>, name: &str) -> Option<T> {
    serde_json::from_value(answer.get(name)?.clone()).ok()
}

/// Holds receipts, in the order of their transactions, against the root.
pub(super) fn compare(receipts: &[WireReceipt], root: B256) -> Root {
    let mut encoded = Vec::with_capacity(receipts.len());
    let mut known = true;
    for receipt in receipts {
        let Some(bytes) = encode_receipt(receipt) else { return Root::CannotTell };
        known &= kind(receipt).is_some_and(|kind| KNOWN_TYPES.contains(&kind));
        encoded.push(bytes);
    }
    let found = ordered_trie_root_encoded(&encoded);
    match (found == root, known) {
        (true, _) => Root::Matches,
        (false, true) => Root::Differs { found },
        // It was encoded like the others, which proves nothing when that does not fit.
        (false, false) => Root::CannotTell,
    }
}

/// The receipt's type; legacy where it is left out.
fn kind(receipt: &WireReceipt) -> Option<u8> {
    receipt.kind.map_or(Some(0), |kind| kind.to::<u64>().try_into().ok())
}

/// A receipt as the trie holds it; nothing when a field is missing.
fn encode_receipt(receipt: &WireReceipt) -> Option<Vec<u8>> {
    let mut outcome = Vec::new();
    match (receipt.status, receipt.root) {
        (Some(status), _) => status.encode(&mut outcome),
        // Before Byzantium (EIP-658) a receipt held the state's root.
        (None, Some(root)) => root.encode(&mut outcome),
        (None, None) => return None,
    }
    let gas = receipt.cumulative_gas_used?;
    let bloom = bloom(&receipt.logs);
    let logs = encode_logs(&receipt.logs);
    let payload_length = outcome.len() + gas.length() + bloom.length() + logs.len();
    let mut out = Vec::with_capacity(payload_length + 10);
    match kind(receipt)? {
        0 => {}
        kind => out.push(kind),
    }
    RlpHeader { list: true, payload_length }.encode(&mut out);
    out.extend_from_slice(&outcome);
    gas.encode(&mut out);
    bloom.encode(&mut out);
    out.extend_from_slice(&logs);
    Some(out)
}

fn encode_logs(logs: &[WireLog]) -> Vec<u8> {
    let mut payload = Vec::new();
    for log in logs {
        let payload_length = log.address.length() + log.topics.length() + log.data.length();
        RlpHeader { list: true, payload_length }.encode(&mut payload);
        log.address.encode(&mut payload);
        log.topics.encode(&mut payload);
        log.data.encode(&mut payload);
    }
    let mut out = Vec::with_capacity(payload.len() + 9);
    RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
    out.append(&mut payload);
    out
}

/// The bloom of a receipt follows from its logs, so nobody needs to send it.
fn bloom(logs: &[WireLog]) -> Bloom {
    let mut bloom = Bloom::ZERO;
    for log in logs {
        bloom.accrue(alloy::primitives::BloomInput::Raw(log.address.as_slice()));
        for topic in &log.topics {
            bloom.accrue(alloy::primitives::BloomInput::Raw(topic.as_slice()));
        }
    }
    bloom
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{B256, b256};
    use serde_json::{Map, Value, json};

    use super::{Root, compare, hashes_to};
    use crate::chain::wire::WireReceipt;

    const EMPTY_ROOT: B256 = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");

    /// Ethereum mainnet's block 0, as every client answers it.
    fn genesis() -> (Map<String, Value>, B256) {
        let header = json!({
            "parentHash": B256::ZERO,
            "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
            "miner": "0x0000000000000000000000000000000000000000",
            "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
            "transactionsRoot": EMPTY_ROOT, "receiptsRoot": EMPTY_ROOT,
            "logsBloom": format!("0x{}", "0".repeat(512)),
            "difficulty": "0x400000000", "number": "0x0", "gasLimit": "0x1388", "gasUsed": "0x0", "timestamp": "0x0",
            "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
            "mixHash": B256::ZERO, "nonce": "0x0000000000000042",
        });
        let Value::Object(header) = header else { unreachable!("it was written as an object") };
        (header, b256!("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"))
    }

    #[test]
    fn the_genesis_block_of_ethereum_hashes_to_its_hash() {
        let (header, hash) = genesis();
        assert!(hashes_to(&header, hash));
    }

    #[test]
    fn f44_a_field_that_is_missing_or_malformed_proves_nothing() {
        let (header, hash) = genesis();
        for name in header.keys() {
            let mut without = header.clone();
            without.remove(name);
            assert!(!hashes_to(&without, hash), "{name}");
            let mut malformed = header.clone();
            malformed.insert(name.clone(), json!({"not": "that"}));
            assert!(!hashes_to(&malformed, hash), "{name}");
        }
    }

    #[test]
    fn f4_a_header_with_another_bloom_is_not_proven() {
        let (mut header, hash) = genesis();
        header.insert("logsBloom".into(), json!(format!("0x01{}", "0".repeat(510))));
        assert!(!hashes_to(&header, hash));
    }

    #[test]
    fn a_field_that_is_not_in_force_yet_does_no_harm() {
        let (mut header, hash) = genesis();
        header.insert("baseFeePerGas".into(), json!("0x0"));
        header.insert("withdrawalsRoot".into(), json!(EMPTY_ROOT));
        assert!(hashes_to(&header, hash));
    }

    fn receipt(fields: Value) -> WireReceipt {
        serde_json::from_value(fields).expect("the receipt is read")
    }

    #[test]
    fn f44_receipts_that_cannot_be_encoded_are_not_called_wrong() {
        assert_eq!(compare(&[], EMPTY_ROOT), Root::Matches);
        let no_gas = receipt(json!({"status": "0x1", "logs": []}));
        assert_eq!(compare(&[no_gas], EMPTY_ROOT), Root::CannotTell);
        let no_status = receipt(json!({"cumulativeGasUsed": "0x1", "logs": []}));
        assert_eq!(compare(&[no_status], EMPTY_ROOT), Root::CannotTell);
        for kind in ["0x7e", "0x100"] {
            let unknown = receipt(json!({"type": kind, "status": "0x1", "cumulativeGasUsed": "0x1", "logs": []}));
            assert_eq!(compare(&[unknown], EMPTY_ROOT), Root::CannotTell, "{kind}");
        }
        let other = receipt(json!({"type": "0x2", "status": "0x1", "cumulativeGasUsed": "0x1", "logs": []}));
        assert!(matches!(compare(&[other], EMPTY_ROOT), Root::Differs { .. }));
    }
}
