//! The real logs of Ethereum mainnet's identity registry, through the decoder.

use std::collections::BTreeMap;
use std::path::Path;

use alloy::primitives::{B256, Bytes};
use meikan::event::{Event, IdentityEvent, Role, Text};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fixture {
    registered_logs: Vec<Log>,
    uri_updated_logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    topics: Vec<B256>,
    data: Bytes,
}

fn fixture() -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/real/mainnet-event-logs.json");
    serde_json::from_slice(&std::fs::read(path).expect("the logs are in the repository")).expect("the logs are JSON")
}

fn decode(log: &Log) -> IdentityEvent {
    let event = Event::decode(Role::Identity, &log.topics, &log.data).expect("a real log decodes");
    // Real contracts encode canonically, so writing the event back gives the log itself.
    assert_eq!(event.encode(), (log.topics.clone(), log.data.clone()));
    match event {
        Event::Identity(event) => event,
        other => panic!("{} is not of the identity registry", other.name()),
    }
}

/// What stands before the first colon or, for `data:`, before its comma; other texts by their first character.
fn kind(uri: &Text) -> String {
    let uri = uri.readable();
    match uri.split_once(':') {
        _ if uri.is_empty() => "empty".into(),
        Some(("data", rest)) => format!("data:{}", rest.split_once(',').map_or("(no comma)", |(media, _)| media)),
        Some((scheme, _)) if scheme.len() < 8 && scheme.bytes().all(|byte| byte.is_ascii_alphabetic()) => scheme.into(),
        _ if uri.starts_with('{') => "JSON".into(),
        _ => "other".into(),
    }
}

#[test]
fn all_158_real_logs_decode() {
    let fixture = fixture();
    let mut kinds = BTreeMap::<String, usize>::new();
    for log in &fixture.registered_logs {
        let IdentityEvent::Registered { agent_uri, .. } = decode(log) else { panic!("not Registered") };
        *kinds.entry(kind(&agent_uri)).or_default() += 1;
    }
    for log in &fixture.uri_updated_logs {
        let IdentityEvent::URIUpdated { new_uri, .. } = decode(log) else { panic!("not URIUpdated") };
        *kinds.entry(kind(&new_uri)).or_default() += 1;
    }
    assert_eq!((fixture.registered_logs.len(), fixture.uri_updated_logs.len()), (109, 49));
    let expected = [
        ("JSON", 3),
        ("data:application/json;base64", 80),
        ("data:application/json;enc=gzip;level=6;base64", 15),
        ("empty", 3),
        ("https", 48),
        ("ipfs", 6),
        ("other", 3),
    ];
    assert_eq!(kinds, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}
