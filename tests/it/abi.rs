//! The ABIs in `abi/`: they are those of the build, they hold everything that the deployed registries publish, and
//! their events are the ones the papers and the outside world name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use alloy::json_abi::{Event, Function, JsonAbi, Param};
use alloy::primitives::B256;
use serde_json::Value;

const REGISTRIES: [&str; 3] = ["IdentityRegistry", "ReputationRegistry", "ValidationRegistry"];
const AUDIT: [&str; 4] = ["AuditLog", "AgentRegistry", "PolicyEngine", "CrossChainExecutor"];

/// The audit contracts' events: what the domain paper (section 6) fixes, and what it left to us and is fixed by now.
const AUDIT_EVENTS: [(&str, &[&str]); 4] = [
    ("AuditLog", &["CommitmentLogged(bytes32 indexed,bytes32 indexed,string,address indexed,uint256)"]),
    (
        "AgentRegistry",
        &[
            "AgentRegistered(bytes32 indexed,address indexed,address indexed,string)",
            "AgentUpdated(bytes32 indexed,address indexed,address indexed,string,address)",
            "AgentDeactivated(bytes32 indexed,address indexed,string)",
            "AgentReactivated(bytes32 indexed,address indexed,string)",
            "PolicyUpdated(bytes32 indexed,(uint256,uint256,uint256,uint256,uint256[],address[],uint8))",
        ],
    ),
    (
        "PolicyEngine",
        &[
            "PolicyChecked(bytes32 indexed,bool,string)",
            "CircuitBreakerTripped(uint256,string)",
            "CircuitBreakerReset(uint256)",
            "CircuitBreakerTriggered(bytes32 indexed,string,uint256)",
            "EmergencyPaused(address indexed,string)",
            "EmergencyUnpaused(address indexed,string)",
            "AgentPaused(bytes32 indexed,address indexed,string)",
            "AgentUnpaused(bytes32 indexed,address indexed,string)",
        ],
    ),
    (
        "CrossChainExecutor",
        &[
            "IntentEmitted(bytes32 indexed,bytes32 indexed,uint256,bytes32,uint256,uint256)",
            "IntentDetails(bytes32 indexed,uint256,uint256,address,string)",
            "IntentSubmitted(bytes32 indexed,address indexed,uint256)",
            "IntentExecuted(bytes32 indexed,address indexed,uint256)",
            "IntentDisputed(bytes32 indexed,address indexed,string)",
            "RelayerAuthorized(address indexed)",
            "RelayerRevoked(address indexed)",
            "BridgeMessageSent(bytes32 indexed,bytes32 indexed,bytes32 indexed,uint256,address)",
            "BridgeMessageReceived(bytes32 indexed,bytes32 indexed,bytes32 indexed,uint256,address)",
        ],
    ),
];

/// What every one of our contracts tells of its governance.
const GOVERNANCE_EVENTS: [&str; 8] = [
    "Paused(address)",
    "Unpaused(address)",
    "RoleGranted(bytes32 indexed,address indexed,address indexed)",
    "RoleRevoked(bytes32 indexed,address indexed,address indexed)",
    "RoleAdminChanged(bytes32 indexed,bytes32 indexed,bytes32 indexed)",
    "OwnershipTransferred(address indexed,address indexed)",
    "Upgraded(address indexed)",
    "Initialized(uint64)",
];

#[test]
fn the_abis_are_those_of_the_build() {
    for name in REGISTRIES.into_iter().chain(AUDIT) {
        let artifact = json(&file(&format!("contracts/out/{name}.sol/{name}.json")));
        let committed = json(&file(&format!("abi/{name}.json")));
        assert!(artifact["abi"] == committed, "abi/{name}.json is not that of the build: run contracts/script/abi.sh");
    }
}

#[test]
fn every_published_function_is_ours() {
    for name in REGISTRIES {
        let ours = functions(&ours(name));
        for (signature, published) in functions(&published(name)) {
            let found = ours.get(&signature).unwrap_or_else(|| panic!("{name} lacks {signature}"));
            assert_eq!(found.selector(), published.selector(), "{name}.{signature}");
            assert_eq!(found.state_mutability, published.state_mutability, "{name}.{signature}");
            assert_eq!(shape(&found.inputs), shape(&published.inputs), "{name}.{signature}");
            assert_eq!(shape(&found.outputs), shape(&published.outputs), "{name}.{signature}");
        }
    }
}

#[test]
fn every_published_event_is_ours() {
    for name in REGISTRIES {
        let ours = events(&ours(name));
        for (signature, published) in events(&published(name)) {
            let found = ours.get(&signature).unwrap_or_else(|| panic!("{name} lacks {signature}"));
            assert_eq!(found.selector(), published.selector(), "{name}.{signature}");
            assert_eq!(found.anonymous, published.anonymous, "{name}.{signature}");
            assert_eq!(arguments(found), arguments(&published), "{name}.{signature}");
        }
    }
}

#[test]
fn topics_are_those_of_the_january_2026_generation() {
    let ours: BTreeMap<B256, String> = REGISTRIES
        .iter()
        .flat_map(|name| events(&ours(name)))
        .map(|(_, event)| (event.selector(), event.signature()))
        .collect();
    let text =
        std::fs::read_to_string(file("tests/data/topics_by_generation.txt")).expect("the list is in the repository");
    let generation: Vec<_> = text.lines().skip(1).take_while(|line| !line.starts_with("##")).collect();
    assert_eq!(generation.len(), 17, "the list's first generation is not where it was");
    for line in generation {
        let (topic, signature) = line.split_once(' ').expect("a line is a topic and a signature");
        let topic: B256 = topic.parse().expect("a topic is 32 bytes");
        assert_eq!(ours.get(&topic).map(String::as_str), Some(signature), "{line}");
    }
}

#[test]
fn audit_events_are_those_of_the_paper() {
    for (name, expected) in AUDIT_EVENTS {
        let mut expected: Vec<_> = expected.iter().chain(&GOVERNANCE_EVENTS).map(ToString::to_string).collect();
        // The registry of agents checks typed signatures, whose domain it can change.
        if name == "AgentRegistry" {
            expected.push("EIP712DomainChanged()".into());
        }
        expected.sort();
        let mut found: Vec<_> = events(&ours(name)).values().map(declaration).collect();
        found.sort();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn registries_tell_of_their_governance_too() {
    for name in REGISTRIES {
        let found: Vec<_> = events(&ours(name)).values().map(declaration).collect();
        for expected in GOVERNANCE_EVENTS {
            assert!(found.iter().any(|event| event == expected), "{name} lacks {expected}");
        }
    }
}

/// The deployed contracts are reached through a proxy whose constructor a deployer must know.
#[test]
fn the_build_holds_what_a_deployer_needs() {
    for name in REGISTRIES.into_iter().chain(AUDIT).chain(["ERC1967Proxy"]) {
        let artifact = json(&file(&format!("contracts/out/{name}.sol/{name}.json")));
        let bytecode = artifact["bytecode"]["object"].as_str().unwrap_or_else(|| panic!("{name} has no bytecode"));
        assert!(bytecode.len() > 2 && bytecode.bytes().skip(2).all(|byte| byte.is_ascii_hexdigit()), "{name}");
        // EIP-170: a network refuses longer code.
        let deployed = artifact["deployedBytecode"]["object"].as_str().expect("an artifact has deployed bytecode");
        assert!((deployed.len() - 2) / 2 <= 24_576, "{name} is too long to be deployed");
    }
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn json(path: &Path) -> Value {
    let bytes = std::fs::read(path)
        .unwrap_or_else(|error| panic!("{}: {error}; build with contracts/script/build.sh", path.display()));
    serde_json::from_slice(&bytes).expect("the file is JSON")
}

fn ours(name: &str) -> JsonAbi {
    abi(&format!("abi/{name}.json"))
}

fn published(name: &str) -> JsonAbi {
    abi(&format!("tests/data/abi/{name}.json"))
}

fn abi(path: &str) -> JsonAbi {
    serde_json::from_value(json(&file(path))).expect("the file is an ABI")
}

fn functions(abi: &JsonAbi) -> BTreeMap<String, Function> {
    abi.functions().map(|function| (function.signature(), function.clone())).collect()
}

fn events(abi: &JsonAbi) -> BTreeMap<String, Event> {
    abi.events().map(|event| (event.signature(), event.clone())).collect()
}

/// Name and type of each value.
fn shape(params: &[Param]) -> Vec<(String, String)> {
    params.iter().map(|param| (param.name.clone(), param.selector_type().into_owned())).collect()
}

/// Name, type and place (topic or data) of each argument.
fn arguments(event: &Event) -> Vec<(String, String, bool)> {
    event.inputs.iter().map(|param| (param.name.clone(), param.selector_type().into_owned(), param.indexed)).collect()
}

fn declaration(event: &Event) -> String {
    let arguments: Vec<_> = arguments(event)
        .into_iter()
        .map(|(_, kind, indexed)| if indexed { format!("{kind} indexed") } else { kind })
        .collect();
    format!("{}({})", event.name, arguments.join(","))
}
