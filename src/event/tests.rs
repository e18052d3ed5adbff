//! What the events promise: they are those of `abi/`, they survive encoding and decoding, alloy's own ABI agrees with
//! ours, and no log, however hostile, makes decoding panic or allocate more than it was given.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::json_abi::{self, JsonAbi};
use alloy::primitives::{Address, B256, I256, U256, keccak256};
use alloy_dyn_abi::{DynSolType, DynSolValue};
use proptest::prelude::{BoxedStrategy, Just, Strategy, any};
use proptest::{collection, prop_assert, prop_assert_eq, prop_oneof, proptest, sample};

use super::abi::Malformed;
use super::{
    AgentRegistryEvent, AuditLogEvent, DescribedFeedback, Earlier, EarlierIdentityEvent, EarlierReputationEvent,
    EarlierValidationEvent, Event, ExecutorEvent, Fact, Generation, GovernanceEvent, IdentityEvent, PolicyEvent,
    ReputationEvent, ReputationFact, Role, Tag, Undecoded, ValidationEvent,
};

/// A parameter as the enum declares it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared {
    /// The field's name.
    pub(super) name: &'static str,
    /// Its type in the ABI; an indexed string is its hash.
    pub(super) ty: &'static str,
    /// Whether it is in a topic.
    pub(super) indexed: bool,
}

/// An event as the enum declares it, with a role that emits it.
#[derive(Debug, Clone, Copy)]
struct Kind {
    role: Role,
    name: &'static str,
    signature: &'static str,
    topic0: B256,
    params: &'static [Declared],
}

macro_rules! kinds {
    ($($role:ident: $enum:ident,)+) => {
        [$( $enum::ALL.iter().zip($enum::PARAMS).map(|((name, signature, topic0), params)| Kind {
            role: Role::$role, name, signature, topic0: *topic0, params,
        }).collect::<Vec<_>>(), )+].concat()
    };
}

fn kinds() -> Vec<Kind> {
    kinds! {
        Identity: IdentityEvent,
        Reputation: ReputationEvent,
        Validation: ValidationEvent,
        AuditLog: AuditLogEvent,
        AgentRegistry: AgentRegistryEvent,
        PolicyEngine: PolicyEvent,
        Executor: ExecutorEvent,
        Identity: GovernanceEvent,
    }
}

/// The events of the registries' earlier generations.
fn earlier_kinds() -> Vec<Kind> {
    kinds! {
        Identity: EarlierIdentityEvent,
        Reputation: EarlierReputationEvent,
        Validation: EarlierValidationEvent,
        Reputation: DescribedFeedback,
    }
}

fn every_kind() -> Vec<Kind> {
    [kinds(), earlier_kinds()].concat()
}

/// The contract of each role, as its file in `abi/` is named.
fn abi_of(role: Role) -> JsonAbi {
    let name = match role {
        Role::Identity => "IdentityRegistry",
        Role::Reputation => "ReputationRegistry",
        Role::Validation => "ValidationRegistry",
        Role::AuditLog => "AuditLog",
        Role::AgentRegistry => "AgentRegistry",
        Role::PolicyEngine => "PolicyEngine",
        Role::Executor => "CrossChainExecutor",
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi").join(name).with_extension("json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names differ between Rust and Solidity in case and underscores only.
fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

fn params_in_abi(event: &json_abi::Event) -> Vec<(String, String, bool)> {
    let ty = |param: &json_abi::EventParam| match param.selector_type() {
        // The topic of a dynamic value is its hash.
        ty if param.indexed && (ty == "string" || ty == "bytes") => "bytes32".into(),
        ty => ty.into_owned(),
    };
    event.inputs.iter().map(|param| (plain(&param.name), ty(param), param.indexed)).collect()
}

#[test]
fn every_topic_is_the_hash_of_its_signature() {
    for kind in every_kind() {
        assert_eq!(kind.topic0, keccak256(kind.signature), "{}", kind.signature);
        let (name, _) = kind.signature.split_once('(').expect("a signature has parameters");
        assert_eq!(kind.name, name);
    }
}

#[test]
fn no_two_events_share_a_topic() {
    let mut topics = BTreeMap::new();
    // One signature had two layouts; see `Generation`.
    let shared = DescribedFeedback::ALL[0].2;
    for kind in every_kind() {
        if kind.topic0 == shared {
            continue;
        }
        if let Some(other) = topics.insert(kind.topic0, kind.name) {
            panic!("{other} and {} share a topic", kind.name);
        }
    }
}

#[test]
fn every_event_of_the_abis_is_declared_as_it_is_there() {
    let kinds = kinds();
    for role in Role::ALL {
        for event in abi_of(role).events() {
            let kind = kinds.iter().find(|kind| kind.topic0 == event.selector());
            let kind = kind.unwrap_or_else(|| panic!("{} of {} is not declared", event.signature(), role.name()));
            let declared: Vec<_> =
                kind.params.iter().map(|param| (plain(param.name), param.ty.to_owned(), param.indexed)).collect();
            assert_eq!(declared, params_in_abi(event), "{}", kind.name);
        }
    }
}

#[test]
fn every_declared_event_is_in_the_abi_of_its_role() {
    for kind in kinds() {
        let abis: Vec<_> = Role::ALL.into_iter().map(abi_of).collect();
        let own = abi_of(kind.role);
        let governance = GovernanceEvent::ALL.iter().any(|(name, ..)| *name == kind.name);
        let mut candidates = if governance { abis.iter() } else { std::slice::from_ref(&own).iter() };
        assert!(
            candidates.any(|abi| abi.events().any(|event| event.selector() == kind.topic0)),
            "{} is in no ABI of {}",
            kind.signature,
            kind.role.name()
        );
    }
}

fn word() -> impl Strategy<Value = U256> {
    prop_oneof![
        Just(U256::ZERO),
        Just(U256::MAX),
        any::<u64>().prop_map(U256::from),
        any::<[u8; 32]>().prop_map(U256::from_be_bytes)
    ]
}

/// Any value of an ABI type; strings as bytes, because Solidity's are (the encodings are the same).
fn value(ty: &DynSolType) -> BoxedStrategy<DynSolValue> {
    match ty {
        DynSolType::Uint(256) => word().prop_map(|value| DynSolValue::Uint(value, 256)).boxed(),
        DynSolType::Uint(64) => any::<u64>().prop_map(|value| DynSolValue::Uint(U256::from(value), 64)).boxed(),
        DynSolType::Uint(8) => any::<u8>().prop_map(|value| DynSolValue::Uint(U256::from(value), 8)).boxed(),
        DynSolType::Int(128) => prop_oneof![Just(i128::MIN), Just(-1), Just(i128::MAX), any::<i128>()]
            .prop_map(|value| DynSolValue::Int(I256::try_from(value).expect("128 bits fit into 256"), 128))
            .boxed(),
        DynSolType::Int(256) => word().prop_map(|value| DynSolValue::Int(I256::from_raw(value), 256)).boxed(),
        DynSolType::Bool => any::<bool>().prop_map(DynSolValue::Bool).boxed(),
        DynSolType::Address => any::<[u8; 20]>().prop_map(|value| DynSolValue::Address(Address::from(value))).boxed(),
        DynSolType::FixedBytes(32) => {
            any::<[u8; 32]>().prop_map(|value| DynSolValue::FixedBytes(B256::from(value), 32)).boxed()
        }
        DynSolType::Bytes | DynSolType::String => {
            collection::vec(any::<u8>(), 0..100).prop_map(DynSolValue::Bytes).boxed()
        }
        DynSolType::Array(item) => collection::vec(value(item), 0..5).prop_map(DynSolValue::Array).boxed(),
        DynSolType::Tuple(members) => {
            members.iter().map(value).collect::<Vec<_>>().prop_map(DynSolValue::Tuple).boxed()
        }
        other => panic!("no event has a parameter of type {other}"),
    }
}

/// A log of some event, encoded by alloy.
#[derive(Debug, Clone)]
struct Emitted {
    kind: Kind,
    topics: Vec<B256>,
    data: Vec<u8>,
}

fn emitted_of(kind: Kind) -> impl Strategy<Value = Emitted> {
    let types: Vec<DynSolType> = kind.params.iter().map(|param| param.ty.parse().expect("an ABI type")).collect();
    types.iter().map(value).collect::<Vec<_>>().prop_map(move |values| {
        let mut topics = vec![kind.topic0];
        let mut data = Vec::new();
        for (param, value) in kind.params.iter().zip(values) {
            if param.indexed {
                topics.push(value.as_word().expect("indexed parameters are words"));
            } else {
                data.push(value);
            }
        }
        Emitted { kind, topics, data: DynSolValue::Tuple(data).abi_encode_params() }
    })
}

fn emitted() -> impl Strategy<Value = Emitted> {
    sample::select(every_kind()).prop_flat_map(emitted_of)
}

/// The types of the data part, with strings as bytes.
fn data_type(kind: &Kind) -> DynSolType {
    let data = kind.params.iter().filter(|param| !param.indexed);
    DynSolType::Tuple(data.map(|param| param.ty.replace("string", "bytes").parse().expect("an ABI type")).collect())
}

/// Bytes as they are, or with words overwritten by small numbers (offsets, lengths), huge ones or noise, or cut off.
fn mutated(data: Vec<u8>) -> BoxedStrategy<Vec<u8>> {
    let words = data.len() / 32;
    let noise =
        prop_oneof![(0u64..2_000).prop_map(U256::from), (0u64..70).prop_map(|words| U256::from(words * 32)), word(),];
    let edits = collection::vec((0..words.max(1), noise), 0..3);
    (Just(data), edits, any::<sample::Index>(), any::<bool>())
        .prop_map(|(mut data, edits, end, cut)| {
            for (at, word) in edits {
                if let Some(target) = data.get_mut(at * 32..at * 32 + 32) {
                    target.copy_from_slice(&word.to_be_bytes::<32>());
                }
            }
            if cut {
                data.truncate(end.index(data.len() + 1));
            }
            data
        })
        .boxed()
}

proptest! {
    #[test]
    fn what_alloy_encodes_is_decoded_and_encoded_back_without_loss(emitted in emitted()) {
        let event = Event::decode(emitted.kind.role, &emitted.topics, &emitted.data);
        let event = event.map_err(|error| proptest::test_runner::TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(event.name(), emitted.kind.name);
        let (topics, data) = event.encode();
        prop_assert_eq!(&topics, &emitted.topics);
        prop_assert_eq!(data.as_ref(), emitted.data.as_slice());
        prop_assert_eq!(Event::decode(emitted.kind.role, &topics, &data), Ok(event.clone()));
        prop_assert_eq!(event.fields().len(), emitted.kind.params.len());
    }

    #[test]
    fn f49_a_mutated_log_is_refused_or_means_what_alloy_reads(
        (emitted, data) in emitted().prop_flat_map(|emitted| (Just(emitted.clone()), mutated(emitted.data)))
    ) {
        if let Ok(event) = Event::decode(emitted.kind.role, &emitted.topics, &data) {
            let ours = event.encode().1;
            let theirs = data_type(&emitted.kind).abi_decode_params(&data);
            prop_assert!(theirs.is_ok(), "{:?} refused by alloy: {theirs:?}", event);
            prop_assert_eq!(ours.to_vec(), theirs.expect("checked").abi_encode_params());
        }
    }

    #[test]
    fn f49_random_bytes_never_panic(
        role in sample::select(Role::ALL.to_vec()),
        topic0 in prop_oneof![
            sample::select(every_kind()).prop_map(|kind| kind.topic0),
            any::<[u8; 32]>().prop_map(B256::from),
        ],
        indexed in collection::vec(any::<[u8; 32]>().prop_map(B256::from), 0..4),
        data in collection::vec(any::<u8>(), 0..400),
    ) {
        let topics: Vec<_> = std::iter::once(topic0).chain(indexed).collect();
        if let Ok(event) = Event::decode(role, &topics, &data) {
            prop_assert_eq!(event.encode().0, topics);
        }
    }
}

/// A `URIUpdated` log with this data.
fn uri_updated(data: &[U256]) -> Result<Event, Undecoded> {
    let topics = [IdentityEvent::ALL[2].2, B256::ZERO, B256::ZERO];
    Event::decode(Role::Identity, &topics, &data.iter().flat_map(U256::to_be_bytes::<32>).collect::<Vec<_>>())
}

fn malformed(event: &'static str, reason: Malformed) -> Result<Event, Undecoded> {
    Err(Undecoded::Malformed { event, reason })
}

#[test]
fn f49_huge_offsets_and_lengths_are_malformed() {
    let (word, huge) = (U256::from(32), U256::MAX);
    for data in [
        vec![],
        vec![huge],
        vec![word],
        vec![U256::from(u64::MAX)],
        vec![word, huge],
        vec![word, U256::from(u64::MAX - 31)],
        vec![word, U256::from(1)],
    ] {
        assert_eq!(uri_updated(&data), malformed("URIUpdated", Malformed::OutOfBounds), "{data:?}");
    }
}

#[test]
fn f49_missing_and_surplus_topics_are_malformed() {
    let topic0 = IdentityEvent::ALL[2].2;
    for found in [1, 2, 4] {
        let topics: Vec<_> = std::iter::once(topic0).chain(std::iter::repeat_n(B256::ZERO, found - 1)).collect();
        let decoded = Event::decode(Role::Identity, &topics, &[]);
        assert_eq!(decoded, malformed("URIUpdated", Malformed::Topics { expected: 3, found }));
    }
    assert_eq!(Event::decode(Role::Identity, &[], &[]), Err(Undecoded::Unknown));
}

#[test]
fn f49_dirty_padding_is_malformed() {
    let dirty = B256::from(U256::MAX - U256::from(1));
    let transfer = [IdentityEvent::ALL[3].2, dirty, B256::ZERO, B256::ZERO];
    assert_eq!(Event::decode(Role::Identity, &transfer, &[]), malformed("Transfer", Malformed::Dirty));
    let approval = [IdentityEvent::ALL[5].2, B256::ZERO, B256::ZERO];
    assert_eq!(
        Event::decode(Role::Identity, &approval, B256::with_last_byte(2).as_slice()),
        malformed("ApprovalForAll", Malformed::Dirty)
    );
    let revoked = [ReputationEvent::ALL[1].2, B256::ZERO, B256::ZERO, dirty];
    assert_eq!(Event::decode(Role::Reputation, &revoked, &[]), malformed("FeedbackRevoked", Malformed::Dirty));
}

#[test]
fn f49_offsets_that_overlap_are_read_without_growing() {
    // Every string of the response points to the same tail: legal to read, and each is a copy bounded by the data.
    let topics = [ValidationEvent::ALL[1].2, B256::ZERO, B256::ZERO, B256::ZERO];
    let tail = U256::from(4 * 32);
    let data = [U256::from(100), tail, U256::ZERO, tail, U256::from(3), U256::from(0x61_62_63) << 232];
    let data: Vec<_> = data.iter().flat_map(U256::to_be_bytes::<32>).collect();
    let Ok(Event::Validation(ValidationEvent::ValidationResponse { response_uri, tag, .. })) =
        Event::decode(Role::Validation, &topics, &data)
    else {
        panic!("not a response")
    };
    assert_eq!((response_uri, tag), ("abc".into(), "abc".into()));
}

#[test]
fn f49_an_array_longer_than_its_data_is_malformed() {
    let topics = [AgentRegistryEvent::ALL[4].2, B256::ZERO];
    let head = [32, 0, 0, 0, 0, 7 * 32, 7 * 32, 0, u64::MAX / 64];
    let data: Vec<_> = head.iter().flat_map(|word| U256::from(*word).to_be_bytes::<32>()).collect();
    assert_eq!(Event::decode(Role::AgentRegistry, &topics, &data), malformed("PolicyUpdated", Malformed::OutOfBounds));
}

#[test]
fn f50_a_topic_of_another_role_is_unknown() {
    let (_, _, registered) = IdentityEvent::ALL[0];
    assert_eq!(Event::decode(Role::Reputation, &[registered], &[]), Err(Undecoded::Unknown));
}

/// Topics of the list that no deployed contract emits.
const UNRELEASED: [&str; 4] = ["KeyAdded", "KeyLinked", "VerifierAdded", "VerifierRemoved"];

/// Events of August 2025 that hold no fact of the model.
const UNUSED: [&str; 3] = ["AuthFeedback", "ValidationRequestEvent", "ValidationResponseEvent"];

#[test]
fn f50_every_known_topic_is_decoded_or_an_exception() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/topics_by_generation.txt");
    let list = std::fs::read_to_string(path).expect("the list is in the repository");
    let decoded: Vec<B256> = Role::ALL.into_iter().flat_map(Event::topics).collect();
    let mut exceptions = Vec::new();
    let mut signatures = 0;
    for line in list.lines().filter(|line| line.contains('(') && line.starts_with("0x")) {
        let (topic0, signature) = line.split_once(' ').expect("a topic and a signature");
        let topic0: B256 = topic0.parse().expect("a topic");
        assert_eq!(topic0, keccak256(signature), "{line}");
        signatures += 1;
        let name = signature.split('(').next().expect("a name");
        if !decoded.contains(&topic0) {
            exceptions.push(name);
            let told = Role::ALL.into_iter().filter_map(|role| match Event::decode(role, &[topic0], &[]) {
                Err(Undecoded::Unused { event, .. }) => Some(event),
                _ => None,
            });
            let expected = UNUSED.into_iter().filter(|unused| *unused == name);
            assert!(told.eq(expected), "{name} is listed with the reason, or is unknown");
        }
    }
    assert_eq!(signatures, 36);
    assert_eq!(exceptions, [&UNUSED[..], &UNRELEASED].concat());
}

/// Feedback of the signature that two generations share: the first tag's hash, then the three texts.
fn shared_feedback(tag1: &str, texts: [&str; 3]) -> (Vec<B256>, Vec<u8>) {
    let [one, two, three] = texts.map(|text| DynSolValue::String(text.into()));
    let hash = DynSolValue::FixedBytes(B256::repeat_byte(7), 32);
    let score = DynSolValue::Uint(U256::from(90), 8);
    let topics = vec![DescribedFeedback::ALL[0].2, B256::with_last_byte(5), B256::with_last_byte(9), keccak256(tag1)];
    (topics, DynSolValue::Tuple(vec![score, one, two, three, hash]).abi_encode_params())
}

/// First tag, second tag, endpoint and URI of feedback.
fn told(event: &Event) -> (Tag, String, String, String) {
    let Some(Fact::Reputation(ReputationFact::Given(given))) = event.fact() else { panic!("no feedback: {event:?}") };
    let text = |text: &super::Text| text.readable().into_owned();
    (given.tag1.clone(), text(&given.tag2), text(&given.endpoint), text(&given.feedback_uri))
}

#[test]
fn f50_two_generations_of_one_signature_are_told_apart_by_the_first_tags_hash() {
    let (topics, data) = shared_feedback("quality", ["quality", "day", "ipfs://file"]);
    let event = Event::decode(Role::Reputation, &topics, &data).expect("it is November's");
    let quality = Tag::Text("quality".into());
    assert_eq!(told(&event), (quality, "day".into(), String::new(), "ipfs://file".into()));
    let (topics, data) = shared_feedback("starred", ["day", "https://agent", "ipfs://file"]);
    let event = Event::decode(Role::Reputation, &topics, &data).expect("it is January's");
    let starred = Tag::Text("starred".into());
    assert_eq!(told(&event), (starred, "day".into(), "https://agent".into(), "ipfs://file".into()));
    assert_eq!((event.encode().0, event.encode().1.to_vec()), (topics, data));
}

#[test]
fn f50_a_configured_generation_tells_where_the_log_does_not() {
    let (topics, data) = shared_feedback("", ["", "https://agent", "ipfs://file"]);
    let read = |generation| {
        told(&Event::decode_of(Role::Reputation, generation, &topics, &data).expect("it is one of the two"))
    };
    let none = || Tag::Text("".into());
    let as_november = (none(), "https://agent".to_owned(), String::new(), "ipfs://file".to_owned());
    assert_eq!(read(None), as_november, "both tags are empty: the log does not tell");
    assert_eq!(read(Some(Generation::November2025)), as_november);
    let as_january = (none(), String::new(), "https://agent".into(), "ipfs://file".into());
    assert_eq!(read(Some(Generation::January2026Text)), as_january);
    for generation in Generation::ALL {
        assert_eq!(Generation::from_name(generation.name()), Some(generation));
    }
}

#[test]
fn f50_tags_of_one_word_and_of_a_hash_become_text() {
    let word = |text: &str| {
        let mut word = B256::ZERO;
        word[..text.len()].copy_from_slice(text.as_bytes());
        word
    };
    let words = |tag1, tag2| {
        Event::Earlier(Earlier::Reputation(EarlierReputationEvent::WordTags {
            agent_id: U256::ZERO,
            client_address: Address::ZERO,
            score: 7,
            tag1,
            tag2,
            feedback_uri: "".into(),
            feedback_hash: B256::ZERO,
        }))
    };
    let tags = |event: &Event| (told(event).0, told(event).1);
    assert_eq!(tags(&words(word("quality"), B256::ZERO)), (Tag::Text("quality".into()), String::new()));
    let full = word("exactly thirty-two bytes of text");
    assert_eq!(tags(&words(full, full)).1, "exactly thirty-two bytes of text");
    // What is no clean text keeps its bytes, without the zeros at the end.
    let unclean = B256::right_padding_from(&[b'a', 0, 0xff]);
    let Tag::Text(text) = tags(&words(unclean, B256::ZERO)).0 else { panic!("a word is a text") };
    assert_eq!(text.raw_if_unclean(), Some(&[b'a', 0, 0xff][..]));
    assert_eq!(Tag::of_hash(keccak256("")), Tag::Text("".into()));
    assert_eq!(Tag::of_hash(keccak256("successRate")), Tag::Text("successRate".into()));
    assert_eq!(Tag::of_hash(keccak256("none of ours")), Tag::Hash(keccak256("none of ours")));
}
