//! What registries of earlier generations emitted, each event in the layout of its release, and how its parameters are
//! read today (`docs/data-model.md`, section 11).
//!
//! Signatures are those of the releases (`tests/data/topics_by_generation.txt`). `hashedTag1` is a text of which only the
//! hash is told; a tag that is a word is called by the name that it has as a text.

use std::collections::HashMap;
use std::sync::LazyLock;

use alloy::json_abi::Event;
use alloy::primitives::{B256, U256, keccak256};
use alloy_dyn_abi::DynSolValue;
use meikan::event::Role;

use super::traffic::Fact;

const IDENTITY: [&str; 4] = [
    "event UriUpdated(uint256 indexed agentId, string newUri, address indexed updatedBy)",
    "event MetadataSet(uint256 indexed agentId, string indexed indexedMetadataKey, string metadataKey, string metadataValue)",
    "event AgentRegistered(uint256 indexed agentId, string agentDomain, address agentAddress)",
    "event AgentUpdated(uint256 indexed agentId, string agentDomain, address agentAddress)",
];

const REPUTATION: [&str; 9] = [
    "event NewFeedback(uint256 indexed agentId, address indexed clientAddress, uint8 score, bytes32 indexed tag1, bytes32 tag2, string feedbackUri, bytes32 feedbackHash)",
    "event NewFeedback(uint256 indexed agentId, address indexed clientAddress, uint8 score, string indexed indexedTag1, string tag1, string tag2, string feedbackUri, bytes32 feedbackHash)",
    "event NewFeedback(uint256 indexed agentId, address indexed clientAddress, uint8 score, string indexed hashedTag1, string tag2, string feedbackUri, bytes32 feedbackHash)",
    DESCRIBED,
    "event NewFeedback(uint256 indexed agentId, address indexed clientAddress, uint64 feedbackIndex, uint8 score, string indexed hashedTag1, string tag2, string endpoint, string feedbackUri, bytes32 feedbackHash)",
    "event NewFeedback(uint256 indexed agentId, address indexed clientAddress, uint64 feedbackIndex, uint8 score, string indexed indexedTag1, string tag1, string tag2, string endpoint, string feedbackUri, bytes32 feedbackHash)",
    "event NewFeedback(uint256 indexed agentId, address indexed clientAddress, uint64 feedbackIndex, uint256 value, uint8 valueDecimals, string indexed indexedTag1, string tag1, string tag2, string endpoint, string feedbackUri, bytes32 feedbackHash)",
    "event NewFeedback(uint256 indexed agentId, address indexed clientAddress, uint64 feedbackIndex, int256 value, uint8 valueDecimals, string indexed indexedTag1, string tag1, string tag2, string endpoint, string feedbackUri, bytes32 feedbackHash)",
    "event ResponseAppended(uint256 indexed agentId, address indexed clientAddress, uint64 feedbackIndex, address indexed responder, string responseUri)",
];

/// Shares its signature with the second one: it is told apart by the hash of its first text.
const DESCRIBED: &str = "event NewFeedback(uint256 indexed agentId, address indexed clientAddress, uint8 score, string indexed hashedTag1, string tag2, string endpoint, string feedbackUri, bytes32 feedbackHash)";

const VALIDATION: [&str; 2] = [
    "event ValidationResponse(address indexed validatorAddress, uint256 indexed agentId, bytes32 indexed requestHash, uint8 response, string responseUri, bytes32 responseHash, bytes32 tag)",
    "event ValidationResponse(address indexed validatorAddress, uint256 indexed agentId, bytes32 indexed requestHash, uint8 response, string responseUri, bytes32 tag)",
];

/// Events that hold no fact, and what is said of them.
const UNUSED: [(Role, &str, &str); 3] = [
    (
        Role::Reputation,
        "AuthFeedback(uint256,uint256,bytes32)",
        "AuthFeedback of August 2025: it allows feedback that is given off the chain, and holds none",
    ),
    (
        Role::Validation,
        "ValidationRequestEvent(uint256,uint256,bytes32)",
        "ValidationRequestEvent of August 2025: validators were agents, not addresses",
    ),
    (
        Role::Validation,
        "ValidationResponseEvent(uint256,uint256,bytes32,uint8)",
        "ValidationResponseEvent of August 2025: validators were agents, not addresses",
    ),
];

/// The events of each role, with their topic0.
static EVENTS: LazyLock<HashMap<Role, Vec<(Event, B256)>>> = LazyLock::new(|| {
    let of = |layouts: &[&str]| {
        let event = |layout: &&str| {
            let mut event = Event::parse(layout).expect("the layout is one of Solidity");
            let selector = event.selector();
            // Its text is nowhere, so that the hash is all there is to draw.
            event
                .inputs
                .iter_mut()
                .filter(|input| input.name == "hashedTag1")
                .for_each(|tag| tag.ty = "bytes32".into());
            (event, selector)
        };
        layouts.iter().map(event).collect()
    };
    HashMap::from([
        (Role::Identity, of(&IDENTITY)),
        (Role::Reputation, of(&REPUTATION)),
        (Role::Validation, of(&VALIDATION)),
    ])
});

/// What contracts of that role emitted earlier.
pub(super) fn events(role: Role) -> &'static [(Event, B256)] {
    EVENTS.get(&role).map_or(&[], Vec::as_slice)
}

/// What contracts of that role emitted that holds no fact: topic0, and what is said of it.
pub(super) fn unused(role: Role) -> impl Iterator<Item = (B256, &'static str)> {
    UNUSED.iter().filter(move |(of, ..)| *of == role).map(|(_, signature, reason)| (keccak256(signature), *reason))
}

/// Makes feedback whose layout shares its signature with another one tell which it is.
pub(super) fn tell_apart(fields: &mut [(String, String, DynSolValue)]) {
    let value = |name: &str| fields.iter().find(|(field, ..)| field == name).map(|(.., value)| value);
    let (Some(hashed), Some(tag2)) = (value("hashedTag1"), value("tag2").and_then(DynSolValue::as_bytes)) else {
        return;
    };
    if *hashed == DynSolValue::FixedBytes(keccak256(tag2), 32)
        && let Some(tag2) = fields.iter_mut().find(|(field, ..)| field == "tag2")
    {
        tag2.2 = DynSolValue::Bytes(b"another".to_vec());
    }
}

/// A text that may be kept in a word, filled up with zeros.
pub(super) fn short_text(value: &DynSolValue) -> Vec<u8> {
    match value {
        DynSolValue::FixedBytes(word, _) => {
            let mut text = word.to_vec();
            while text.last() == Some(&0) {
                text.pop();
            }
            text
        }
        other => other.as_bytes().expect("a tag is a text or a word").to_vec(),
    }
}

/// Feedback's first tag: its text and, where only a hash is told whose text nobody knows, that hash.
pub(super) fn first_tag(fact: &Fact) -> (Vec<u8>, Option<B256>) {
    if let Some(text) = fact.get("tag1") {
        return (short_text(text), None);
    }
    let hash = fact.word("hashedTag1");
    // Of the texts that are drawn, these are tags in use.
    match [&b""[..], b"starred"].into_iter().find(|known| keccak256(known) == hash) {
        Some(known) => (known.to_vec(), None),
        None => (Vec::new(), Some(hash)),
    }
}

/// A number of up to 256 bits with its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) is_negative: bool,
    pub(super) magnitude: U256,
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.is_negative { "-" } else { "" }, self.magnitude)
    }
}

/// What feedback gives: a score of whole numbers, or a value with decimals.
pub(super) fn amount(fact: &Fact) -> (Amount, u32) {
    let amount = match fact.get("score").or_else(|| fact.get("value")).expect("feedback gives something") {
        DynSolValue::Uint(value, _) => Amount { is_negative: false, magnitude: *value },
        DynSolValue::Int(value, _) => Amount { is_negative: value.is_negative(), magnitude: value.unsigned_abs() },
        other => panic!("feedback gives {other:?}"),
    };
    (amount, fact.get("valueDecimals").map_or(0, |_| fact.uint("valueDecimals").to()))
}
