//! What contracts emit in a simulation: every event of the published ABIs, several about one agent in one transaction; and
//! logs that are no event at all.
//!
//! Each log carries what it means. It is encoded by the second implementation of the ABI, so that neither the node's
//! encoder nor its decoder has a part in what the model expects.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use alloy::json_abi::{Event, JsonAbi};
use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_dyn_abi::DynSolValue;
use meikan::config::{Addresses, Contracts};
use meikan::event::Role;
use serde_json::{Map, Value, json};

use super::draw::Draw;
use super::earlier;
use super::uris::{URIS, Uri};
use super::values::{About, parameter};

/// A log, and what it says.
#[derive(Debug, Clone)]
pub(super) struct Emitted {
    pub(super) address: Address,
    pub(super) topics: Vec<B256>,
    pub(super) data: Bytes,
    /// Whether its transaction is another one than that of the log before.
    pub(super) new_transaction: bool,
    /// A log of the system, whose transaction endpoints do not tell (F8).
    pub(super) hidden_transaction: bool,
    pub(super) meaning: Meaning,
}

/// What a log says.
#[derive(Debug, Clone)]
pub(super) enum Meaning {
    /// An event with its parameters.
    Event(Arc<Fact>),
    /// Nothing that is known, for this reason.
    Undecoded(String),
    /// Something that does not matter: the contract is not watched.
    Foreign,
}

/// An event of the ABI.
#[derive(Debug, Clone)]
pub(super) struct Fact {
    /// The place of its contract in the cast.
    pub(super) contract: usize,
    pub(super) event: String,
    fields: Vec<(String, String, DynSolValue)>,
}

impl Fact {
    fn value(&self, name: &str) -> &DynSolValue {
        let found = self.fields.iter().find(|(field, ..)| field == name);
        &found.unwrap_or_else(|| panic!("{} has no {name}", self.event)).2
    }

    /// A parameter that may be missing from the event.
    pub(super) fn get(&self, name: &str) -> Option<&DynSolValue> {
        self.fields.iter().find(|(field, ..)| field == name).map(|(.., value)| value)
    }

    pub(super) fn uint(&self, name: &str) -> U256 {
        self.value(name).as_uint().expect("an unsigned number").0
    }

    pub(super) fn address(&self, name: &str) -> Address {
        self.value(name).as_address().expect("an address")
    }

    pub(super) fn word(&self, name: &str) -> B256 {
        B256::from_slice(self.value(name).as_fixed_bytes().expect("bytes32").0)
    }

    pub(super) fn bytes(&self, name: &str) -> &[u8] {
        self.value(name).as_bytes().expect("bytes or a string")
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.value(name).as_bool().expect("a flag")
    }

    /// The parameters as the audit trail shows them.
    pub(super) fn shown(&self) -> Value {
        let shown = self.fields.iter().map(|(name, ty, value)| (name.clone(), shown(ty, value)));
        Value::Object(shown.collect::<Map<_, _>>())
    }
}

fn shown(ty: &str, value: &DynSolValue) -> Value {
    match value {
        DynSolValue::Bool(value) => json!(value),
        DynSolValue::Uint(value, bits) if *bits <= 32 => json!(value.to::<u32>()),
        DynSolValue::Uint(value, _) => json!(value.to_string()),
        DynSolValue::Int(value, _) => json!(value.to_string()),
        DynSolValue::Address(value) => json!(format!("0x{}", alloy::hex::encode(value))),
        DynSolValue::FixedBytes(value, _) => json!(format!("0x{}", alloy::hex::encode(value))),
        DynSolValue::Bytes(value) if ty == "string" => json!(String::from_utf8_lossy(value).replace('\0', "\u{fffd}")),
        DynSolValue::Bytes(value) => json!(format!("0x{}", alloy::hex::encode(value))),
        DynSolValue::Array(values) => values.iter().map(|value| shown("", value)).collect(),
        DynSolValue::Tuple(values) => {
            let members = POLICY.iter().zip(values);
            Value::Object(members.map(|(name, value)| ((*name).to_owned(), shown("", value))).collect())
        }
        other => panic!("no event has a {other:?}"),
    }
}

/// The members of the one tuple there is.
const POLICY: [&str; 7] =
    ["maxSpendPerDay", "maxTxPerDay", "maxTxPerHour", "maxValuePerTx", "allowedChains", "whitelist", "riskLevel"];

/// A watched contract.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub(super) role: Role,
    pub(super) address: Address,
    /// Its place within its role.
    pub(super) ordinal: u16,
    /// The set of registries that it belongs to.
    pub(super) deployment: u16,
}

/// The contracts of a story.
#[derive(Debug, Clone)]
pub(super) struct Cast(pub(super) Vec<Actor>);

/// A contract that nobody watches.
const STRANGER: Address = Address::repeat_byte(0xee);

impl Cast {
    /// One or two deployments of the registries, none to two validation registries, the audit contracts.
    pub(super) fn draw(draw: &mut Draw) -> Self {
        let deployments = if draw.one_in(3) { 2 } else { 1 };
        let validations = *draw.pick(&[0, 1, 1, 2]);
        let mut actors = Vec::new();
        for role in Role::ALL {
            let count = match role {
                Role::Identity | Role::Reputation => deployments,
                Role::Validation => validations,
                _ => 1,
            };
            for ordinal in 0..count {
                let paired = match role {
                    Role::Identity | Role::Reputation => true,
                    Role::Validation => validations == deployments,
                    _ => false,
                };
                let first =
                    0x10 * (1 + u8::try_from(Role::ALL.iter().position(|other| *other == role).unwrap()).unwrap());
                let address = Address::repeat_byte(first + u8::try_from(ordinal).unwrap());
                actors.push(Actor { role, address, ordinal, deployment: if paired { ordinal } else { 0 } });
            }
        }
        Self(actors)
    }

    pub(super) fn contracts(&self) -> Contracts {
        let of =
            |role| Addresses(self.0.iter().filter(|actor| actor.role == role).map(|actor| actor.address).collect());
        Contracts {
            identity: of(Role::Identity),
            reputation: of(Role::Reputation),
            validation: of(Role::Validation),
            audit_log: of(Role::AuditLog),
            agent_registry: of(Role::AgentRegistry),
            policy_engine: of(Role::PolicyEngine),
            executor: of(Role::Executor),
            ..Contracts::default()
        }
    }

    pub(super) fn watches(&self, address: Address) -> bool {
        self.0.iter().any(|actor| actor.address == address)
    }

    /// The logs of one block of that time.
    pub(super) fn block(&self, draw: &mut Draw, most: u64, time: u64) -> Vec<Emitted> {
        let mut emitted = Vec::new();
        let (mut role, mut about) = (drawn_role(draw), About::draw(draw, time));
        for _ in 0..draw.below(most + 1) {
            let new_transaction = draw.one_in(2);
            // A transaction mostly goes on with whom it began, and often in the same contract.
            if new_transaction || draw.one_in(4) {
                about = About::draw(draw, time);
            }
            if new_transaction || draw.one_in(2) {
                role = drawn_role(draw);
            }
            emitted.push(self.log(draw, role, &about, new_transaction));
        }
        emitted
    }

    fn log(&self, draw: &mut Draw, role: Role, about: &About, new_transaction: bool) -> Emitted {
        let able: Vec<usize> = (0..self.0.len()).filter(|index| self.0[*index].role == role).collect();
        let hidden_transaction = draw.one_in(40);
        if able.is_empty() || draw.one_in(15) {
            let topics = vec![keccak256("Foreign()")];
            let meaning = Meaning::Foreign;
            let address = STRANGER;
            return Emitted { address, topics, data: Bytes::new(), new_transaction, hidden_transaction, meaning };
        }
        // The first of each role is where most happens.
        let contract = if draw.one_in(4) { *draw.pick(&able) } else { able[0] };
        let address = self.0[contract].address;
        if draw.one_in(60)
            && let Some((topic0, reason)) = earlier::unused(role).next()
        {
            let (topics, meaning) = (vec![topic0], Meaning::Undecoded(reason.into()));
            return Emitted { address, topics, data: Bytes::new(), new_transaction, hidden_transaction, meaning };
        }
        let (own, governance): (Vec<_>, Vec<_>) =
            ABIS[&role].iter().partition(|(event, _)| !GOVERNANCE.contains(&event.name.as_str()));
        let earlier = earlier::events(role);
        let (event, selector) = match draw.below(24) {
            0..=2 => *draw.pick(&governance),
            3..=6 if !earlier.is_empty() => draw.pick(earlier),
            _ => *draw.pick(&own),
        };
        let fact = fact(draw, about, contract, event);
        let (mut topics, mut data) = encode(event, *selector, &fact);
        let meaning = match draw.below(30) {
            0 => damage(draw, event, &mut topics, &mut data),
            _ => Meaning::Event(Arc::new(fact)),
        };
        Emitted { address, topics, data: data.into(), new_transaction, hidden_transaction, meaning }
    }
}

/// A role, more often one of which more is said.
fn drawn_role(draw: &mut Draw) -> Role {
    let weights = [9, 7, 3, 1, 1, 1, 2];
    let mut chosen = draw.below(weights.iter().sum());
    let role = Role::ALL.into_iter().zip(weights).find(|(_, weight)| match chosen.checked_sub(*weight) {
        Some(rest) => {
            chosen = rest;
            false
        }
        None => true,
    });
    role.expect("the weights cover all").0
}

const GOVERNANCE: [&str; 9] = [
    "Upgraded",
    "Initialized",
    "OwnershipTransferred",
    "EIP712DomainChanged",
    "Paused",
    "Unpaused",
    "RoleGranted",
    "RoleRevoked",
    "RoleAdminChanged",
];

/// The events of each role, with their topic0.
static ABIS: LazyLock<HashMap<Role, Vec<(Event, B256)>>> = LazyLock::new(|| {
    let abi = |role: Role| {
        let contract = match role {
            Role::Identity => "IdentityRegistry",
            Role::Reputation => "ReputationRegistry",
            Role::Validation => "ValidationRegistry",
            Role::AuditLog => "AuditLog",
            Role::AgentRegistry => "AgentRegistry",
            Role::PolicyEngine => "PolicyEngine",
            Role::Executor => "CrossChainExecutor",
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("abi/{contract}.json"));
        let abi: JsonAbi = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        abi.events().map(|event| (event.clone(), event.selector())).collect()
    };
    Role::ALL.into_iter().map(|role| (role, abi(role))).collect()
});

/// Whether contracts of that role emit an event with this topic0.
pub(super) fn is_known(role: Role, topic0: &B256) -> bool {
    ABIS[&role].iter().chain(earlier::events(role)).any(|(_, selector)| selector == topic0)
}

/// `agentURI` as `agentUri`, `_tokenId` as `tokenId`.
fn camel_case(name: &str) -> String {
    let mut after_capital = false;
    let letters = name.trim_start_matches('_').chars().map(|letter| {
        let shown = if after_capital { letter.to_ascii_lowercase() } else { letter };
        after_capital = letter.is_ascii_uppercase();
        shown
    });
    letters.collect()
}

fn fact(draw: &mut Draw, about: &About, contract: usize, event: &Event) -> Fact {
    let mut fields: Vec<(String, String, DynSolValue)> = Vec::with_capacity(event.inputs.len());
    for input in &event.inputs {
        let name = camel_case(&input.name);
        let value = match name.as_str() {
            // What is indexed is the hash of what follows.
            "indexedMetadataKey" | "indexedTag1" => DynSolValue::FixedBytes(B256::ZERO, 32),
            _ => parameter(draw, about, &name, &input.ty, &fields),
        };
        fields.push((name, input.ty.clone(), value));
    }
    for (indexed, of) in [("indexedMetadataKey", "metadataKey"), ("indexedTag1", "tag1")] {
        let value = |name: &str| fields.iter().find(|(field, ..)| field == name).map(|(.., value)| value);
        let Some(text) = value(of).filter(|_| value(indexed).is_some()) else { continue };
        let hash = keccak256(text.as_bytes().expect("a string"));
        if let Some(field) = fields.iter_mut().find(|(name, ..)| name == indexed) {
            field.2 = DynSolValue::FixedBytes(hash, 32);
        }
    }
    earlier::tell_apart(&mut fields);
    Fact { contract, event: event.name.clone(), fields }
}

/// Topics and data as a contract emits them.
fn encode(event: &Event, selector: B256, fact: &Fact) -> (Vec<B256>, Vec<u8>) {
    let mut topics = vec![selector];
    let mut data = Vec::new();
    for (input, (.., value)) in event.inputs.iter().zip(&fact.fields) {
        if input.indexed {
            let word = value.as_word().expect("what is indexed is one word");
            topics.push(word);
        } else {
            data.push(value.clone());
        }
    }
    (topics, DynSolValue::Tuple(data).abi_encode_params())
}

/// Makes a log one that nobody can read (F49), and says what is wrong with it.
fn damage(draw: &mut Draw, event: &Event, topics: &mut Vec<B256>, data: &mut Vec<u8>) -> Meaning {
    let malformed = |reason: &str| Meaning::Undecoded(format!("malformed {}: {reason}", event.name));
    let out_of_bounds = "an offset or a length points beyond the data";
    let strings = event.inputs.iter().filter(|input| !input.indexed).position(|input| input.ty == "string");
    let address = event.inputs.iter().filter(|input| input.indexed).position(|input| input.ty == "address");
    match (draw.below(6), strings, address) {
        (0, ..) => {
            topics.clear();
            Meaning::Undecoded("unknown topic".into())
        }
        (1, ..) if topics.len() < 4 => {
            topics.push(B256::ZERO);
            malformed(&format!("{} topics where the event has {}", topics.len(), topics.len() - 1))
        }
        (2, ..) if !data.is_empty() => {
            data.truncate(31);
            malformed(out_of_bounds)
        }
        (3, Some(place), _) => {
            data[32 * place..32 * place + 32].fill(0xff);
            malformed(out_of_bounds)
        }
        (4, _, Some(place)) => {
            topics[1 + place].0[0] = 1;
            malformed("a value does not fit its type")
        }
        _ => {
            topics[0] = keccak256(topics[0]);
            Meaning::Undecoded("unknown topic".into())
        }
    }
}

/// The URI as one of those that are drawn.
pub(super) fn known_uri(uri: &[u8]) -> &'static Uri {
    URIS.iter().find(|known| known.uri == uri).expect("every URI is drawn from the list")
}
