//! Files as strangers write them: real ones of mainnet, and hostile ones.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::{any, prop, proptest};
use serde_json::{Value, json};

use super::{MAX_CONTENT_BYTES, MAX_URI_BYTES, RegistrationFile, UriKind, content_of, registration_of};
use crate::event::{Event, IdentityEvent, Role, Text};

/// A file with letters whose base64 has both of the characters in which the two alphabets differ.
const FILE: &str = r#"{"name":"名鑑 ~~~???ÿÿÿ>>>","active":true}"#;

fn real_data(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/real").join(name);
    std::fs::read_to_string(path).expect("the file is in the repository")
}

/// The URIs of the real logs, read through the decoder.
fn real_uris() -> Vec<Text> {
    let file: Value = serde_json::from_str(&real_data("mainnet-event-logs.json")).expect("JSON");
    let logs = ["registeredLogs", "uriUpdatedLogs"].into_iter().flat_map(|key| file[key].as_array().expect("a list"));
    logs.map(|log| {
        let topics: Vec<_> = serde_json::from_value(log["topics"].clone()).expect("topics");
        let data: alloy::primitives::Bytes = serde_json::from_value(log["data"].clone()).expect("data");
        match Event::decode(Role::Identity, &topics, &data).expect("a real log decodes") {
            Event::Identity(IdentityEvent::Registered { agent_uri: uri, .. })
            | Event::Identity(IdentityEvent::URIUpdated { new_uri: uri, .. }) => uri,
            other => panic!("{} sets no URI", other.name()),
        }
    })
    .collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("memory takes everything");
    encoder.finish().expect("memory takes everything")
}

fn name_in(uri: impl Into<Text>) -> Option<String> {
    registration_of(&uri.into())?.name
}

fn parse(file: &Value) -> RegistrationFile {
    RegistrationFile::parse(file.to_string().as_bytes()).expect("an object is a file")
}

#[test]
fn every_real_uri_that_holds_its_file_gives_it() {
    let mut kinds = HashMap::new();
    for uri in real_uris() {
        let kind = UriKind::of(&uri);
        *kinds.entry(kind.name()).or_insert(0) += 1;
        let holds_file = matches!(kind, UriKind::Data | UriKind::Json);
        assert_eq!(registration_of(&uri).is_some_and(|file| file.name.is_some()), holds_file, "{}", uri.readable());
    }
    assert_eq!(kinds, HashMap::from([("data", 95), ("json", 3), ("https", 46), ("ipfs", 9), ("unknown", 5)]));
}

#[test]
fn a_real_gzipped_file_is_read() {
    let gzipped = |uri: &Text| uri.0.starts_with(b"data:application/json;enc=gzip;level=6;base64,");
    let files: Vec<_> = real_uris().iter().filter(|uri| gzipped(uri)).filter_map(registration_of).collect();
    assert_eq!(files.len(), 15);
    assert!(files.iter().any(|file| !file.mcp_tools.is_empty() && !file.oasf_skills.is_empty()));
}

/// The catalog fills what a file lacks: "" for an image, true for `active`, a number for a name.
#[test]
fn real_files_say_what_a_catalog_read_in_them() {
    let mut compared = 0;
    for line in real_data("agents_sample.jsonl").lines() {
        let entry: Value = serde_json::from_str(line).expect("JSON");
        let raw = &entry["rawMetadata"];
        if raw.as_object().is_none_or(serde_json::Map::is_empty) {
            continue;
        }
        let file = parse(raw);
        assert_eq!(file.description.as_deref(), entry["description"].as_str(), "{line}");
        assert_eq!(file.image.as_deref().unwrap_or_default(), entry["image"], "{line}");
        assert_eq!(file.active.unwrap_or(true), entry["active"], "{line}");
        if let Some(name) = file.name.filter(|name| !name.is_empty()) {
            assert_eq!(name, entry["name"], "{line}");
        }
        if entry["services"].as_array().is_some_and(|services| !services.is_empty()) {
            let services = file.endpoints_raw_json.expect("the catalog found services");
            assert_eq!(serde_json::from_str::<Value>(&services).expect("JSON"), entry["services"], "{line}");
        }
        compared += 1;
    }
    assert_eq!(compared, 994);
}

#[test]
fn every_form_of_a_data_uri_gives_the_same_file() {
    let gzipped = STANDARD.encode(gzip(FILE.as_bytes()));
    let spaced: String = STANDARD.encode(FILE).chars().flat_map(|letter| [letter, '\n', ' ']).collect();
    for uri in [
        format!("data:application/json;base64,{}", STANDARD.encode(FILE)),
        format!("data:application/json;base64,{}", STANDARD_NO_PAD.encode(FILE)),
        format!("data:application/json;base64,{}", URL_SAFE_NO_PAD.encode(FILE)),
        format!("data:application/json;base64,{spaced}"),
        format!("data:application/json;base64,{}", STANDARD.encode(FILE).replace('+', "%2B").replace('=', "%3d")),
        format!("data:application/json;charset=utf-8;base64,{}", STANDARD.encode(FILE)),
        format!(" DATA:Application/JSON; BASE64,{}\n", STANDARD.encode(FILE)),
        format!("data:;base64,{}", STANDARD.encode(FILE)),
        format!("data:application/json;enc=gzip;level=6;base64,{gzipped}"),
        format!("data:application/gzip;base64,{gzipped}"),
        format!("data:application/json;charset=utf-8,{FILE}"),
        format!(
            "data:application/json,{}",
            percent_encoding::utf8_percent_encode(FILE, percent_encoding::NON_ALPHANUMERIC)
        ),
        format!("data:,{FILE}"),
        format!("data:application/json;base64,{FILE}"),
        format!("\u{20}{FILE}"),
    ] {
        assert_eq!(name_in(uri.as_str()).as_deref(), Some("名鑑 ~~~???ÿÿÿ>>>"), "{uri}");
    }
}

#[test]
fn a_hash_and_a_percent_sign_in_unencoded_json_are_content() {
    assert_eq!(name_in(r#"data:application/json,{"type":"eip-8004#v1","name":"A"}"#).as_deref(), Some("A"));
    assert_eq!(name_in(r#"data:application/json,{"name":"100 %","image":"x?q=%22"}"#).as_deref(), Some("100 %"));
}

#[test]
fn what_holds_no_file_gives_none() {
    for uri in [
        "",
        "tinybanana",
        "https://ag0.xyz",
        "ipfs://bafkreidky4zbb4jya5cysj5iljpjjqa3xehrz3otwz3i2itqe4bw5rx3ji",
        "ar://b2xkLXRpbWVz",
        "data:application/json;base64",
        "data:application/json;base64,",
        "data:application/json;base64,W10=",
        "data:application/json;base64,bnVsbA==",
        "data:application/json;base64,!!!!",
        "data:application/json;enc=gzip;base64,H4sIAAAAAAAAA",
        "data:application/json,[{}]",
        r#"{"name":"#,
        r#"{"name":1e999}"#,
    ] {
        assert_eq!(registration_of(&uri.into()), None, "{uri}");
    }
}

#[test]
fn a_gzip_bomb_is_not_inflated_beyond_the_limit() {
    let uri_of = |length: usize| {
        let file = format!("{{\"name\":\"{}\"}}", "0".repeat(length - r#"{"name":""}"#.len()));
        Text::from(format!("data:application/json;base64,{}", STANDARD.encode(gzip(file.as_bytes()))).as_str())
    };
    assert_eq!(content_of(&uri_of(MAX_CONTENT_BYTES)).map(|content| content.len()), Some(MAX_CONTENT_BYTES));
    assert_eq!(content_of(&uri_of(MAX_CONTENT_BYTES + 1)), None);
    assert_eq!(content_of(&uri_of(100 * MAX_CONTENT_BYTES)), None);
}

#[test]
fn longer_uris_are_not_looked_into() {
    let uri = format!("data:,{{}}{}", " ".repeat(MAX_URI_BYTES));
    assert!(registration_of(&uri.trim_end().into()).is_some());
    assert_eq!(registration_of(&format!("{uri}.").as_str().into()), None);
    assert_eq!(content_of(&format!("{{}}{}", " ".repeat(MAX_CONTENT_BYTES)).as_str().into()), None);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(registration_of(&nested(100).as_str().into()).is_some());
    assert_eq!(registration_of(&nested(100_000).as_str().into()), None);
}

#[test]
fn a_wrong_type_empties_its_own_field_only() {
    let file = parse(&json!({
        "name": 8004, "description": "kept", "image": null, "active": "yes", "x402Support": {"enabled": true},
        "supportedTrust": ["reputation", 7, null], "services": [7, {"name": "MCP", "endpoint": {}, "version": 1}],
    }));
    let expected = RegistrationFile {
        description: Some("kept".into()),
        x402_support: Some(true),
        supported_trusts: vec!["reputation".into()],
        endpoints_raw_json: Some(r#"[{"endpoint":{},"name":"MCP","version":1}]"#.into()),
        ..RegistrationFile::default()
    };
    assert_eq!(file, expected);
}

#[test]
fn every_kind_of_service_fills_its_columns() {
    let file = parse(&json!({"services": [
        {"name": "web", "endpoint": "https://a.example"},
        {"name": "A2A", "endpoint": "https://a.example/card", "version": "0.3.0", "a2aSkills": ["sum", "count"]},
        {"name": "OASF", "endpoint": "https://oasf.example", "version": "0.8.0", "skills": ["s"], "domains": ["d"]},
        {"name": "mcp", "endpoint": "https://a.example/mcp", "version": "2025-06-18", "mcpTools": ["t"],
         "mcpPrompts": ["p"], "mcpResources": ["r"]},
        {"name": "ENS", "endpoint": "a.eth"},
        {"name": "DID", "endpoint": "did:web:a.example"},
        {"name": "email", "endpoint": "a@a.example"},
    ]}));
    assert_eq!(file.web_endpoint.as_deref(), Some("https://a.example"));
    assert_eq!(file.a2a_endpoint.as_deref(), Some("https://a.example/card"));
    assert_eq!((file.a2a_version.as_deref(), file.a2a_skills), (Some("0.3.0"), vec!["sum".into(), "count".into()]));
    assert_eq!(file.oasf_endpoint.as_deref(), Some("https://oasf.example"));
    assert_eq!((file.oasf_version.as_deref(), file.oasf_skills), (Some("0.8.0"), vec!["s".into()]));
    assert_eq!(file.oasf_domains, ["d"]);
    assert_eq!(file.mcp_endpoint.as_deref(), Some("https://a.example/mcp"));
    assert_eq!((file.mcp_version.as_deref(), file.mcp_tools), (Some("2025-06-18"), vec!["t".into()]));
    assert_eq!((file.mcp_prompts, file.mcp_resources), (vec!["p".into()], vec!["r".into()]));
    assert_eq!((file.ens.as_deref(), file.did.as_deref()), (Some("a.eth"), Some("did:web:a.example")));
    assert_eq!(file.email_endpoint.as_deref(), Some("a@a.example"));
}

#[test]
fn of_several_mcp_endpoints_the_first_counts_and_all_tools_are_found() {
    let file = parse(&json!({"endpoints": [
        {"name": "MCP", "endpoint": "", "version": "9"},
        {"name": "MCP", "endpoint": "https://one", "tools": [{"name": "add"}, "sum"]},
        {"name": "MCP", "endpoint": "https://two", "version": "2", "mcpTools": ["sum", "count"]},
    ]}));
    assert_eq!((file.mcp_endpoint.as_deref(), file.mcp_version), (Some("https://one"), None));
    assert_eq!(file.mcp_tools, ["add", "sum", "count"]);
    assert!(file.endpoints_raw_json.is_some_and(|json| json.contains("https://two")));
}

#[test]
fn services_come_before_the_older_endpoints_unless_there_are_none() {
    let web = |url: &str| json!([{"name": "web", "endpoint": url}]);
    assert_eq!(parse(&json!({"services": web("new"), "endpoints": web("old")})).web_endpoint.as_deref(), Some("new"));
    assert_eq!(parse(&json!({"services": [], "endpoints": web("old")})).web_endpoint.as_deref(), Some("old"));
    assert_eq!(parse(&json!({"services": {}, "endpoints": web("old")})).web_endpoint.as_deref(), Some("old"));
    assert_eq!(parse(&json!({"services": []})).endpoints_raw_json.as_deref(), Some("[]"));
    assert_eq!(parse(&json!({})).endpoints_raw_json, None);
}

#[test]
fn f45_f46_no_text_of_a_file_holds_nul_or_invalid_utf8() {
    let file =
        b"\xef\xbb\xbf{\"name\":\"a\\u0000\xff\",\"services\":[{\"name\":\"MCP\",\"n\\u0000\":\"\\u0000 \\\\u0000\"}]}";
    let file = RegistrationFile::parse(file).expect("an object");
    assert_eq!(file.name.as_deref(), Some("a\u{fffd}\u{fffd}"));
    let services = file.endpoints_raw_json.expect("services");
    let read_again: Value = serde_json::from_str(&services).expect("JSON");
    assert_eq!(read_again[0]["n\u{fffd}"], "\u{fffd} \\u0000");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = registration_of(&bytes.clone().into());
        let _ = registration_of(&[b"data:;base64,".as_slice(), &bytes].concat().into());
        let _ = registration_of(&[b"data:,{\"services\":".as_slice(), &bytes, b"}"].concat().into());
        let _ = RegistrationFile::parse(&bytes);
    }

    #[test]
    fn content_is_what_was_encoded(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let uri = format!("data:application/octet-stream;base64,{}", URL_SAFE_NO_PAD.encode(&content));
        if !content.starts_with(&[0x1f, 0x8b]) {
            assert_eq!(content_of(&uri.as_str().into()).as_deref(), Some(content.as_slice()));
        }
        let uri = format!("data:;base64,{}", STANDARD.encode(gzip(&content)));
        assert_eq!(content_of(&uri.as_str().into()).as_deref(), Some(content.as_slice()));
    }

    #[test]
    fn a_cut_gzip_stream_is_no_content(cut in 2usize..60) {
        let whole = gzip(FILE.as_bytes());
        let uri = format!("data:;base64,{}", STANDARD.encode(&whole[..cut.min(whole.len() - 1)]));
        assert_eq!(registration_of(&uri.as_str().into()), None);
    }
}
