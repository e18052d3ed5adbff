//! What is refused, and that what was read is written again.

use serde_json::{Value, json};

use super::{
    AgentCard, CycleReport, Document, Feedback, FeedbackRevision, FeedbackRevocation, ForwardReceipt, Kind, Manifest,
    ManifestRevocation, PaymentLink, ValidationRequest, ValidationResponse, canonical, read,
};

const REGISTRY: &str = "eip155:167000:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";
const CLIENT: &str = "eip155:167000:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

/// The least that each kind says.
fn least(kind: Kind) -> Value {
    let hash = format!("0x{}", "11".repeat(32));
    let feedback = json!({
        "agentRegistry": REGISTRY, "agentId": 7, "clientAddress": CLIENT, "createdAt": "2026-01-31T12:00:00Z",
        "value": 87, "valueDecimals": 0,
    });
    let skill = json!({ "id": "a", "name": "A", "description": "It does a.", "tags": ["a"] });
    let interface =
        json!({ "url": "https://agent.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" });
    match kind {
        Kind::Feedback => json!({ "feedback": feedback, "nonce": 1, "deadline": 2 }),
        Kind::FeedbackRevision => json!({ "revises": hash, "feedback": feedback, "nonce": 1, "deadline": 2 }),
        Kind::FeedbackRevocation => json!({ "revokes": hash, "nonce": 1, "deadline": 2 }),
        Kind::AgentCard => json!({ "agentRegistry": REGISTRY, "agentId": 7, "nonce": 1, "deadline": 2, "card": {
            "name": "Agent", "description": "It acts.", "version": "1", "supportedInterfaces": [interface],
            "capabilities": {}, "defaultInputModes": ["text/plain"], "defaultOutputModes": ["text/plain"],
            "skills": [skill],
        } }),
        Kind::ValidationRequest => json!({ "agentRegistry": REGISTRY, "agentId": 7, "validator": &CLIENT[14..],
            "dataHash": hash, "dataURI": "ipfs://a", "expiresAt": 3, "nonce": 1, "deadline": 2 }),
        Kind::ValidationResponse => json!({ "request": hash, "response": 0, "nonce": 1, "deadline": 2 }),
        Kind::Manifest => json!({ "agentRegistry": REGISTRY, "agentId": 7, "endpointUri": "https://agent.example",
            "pubkey": "key", "nonce": 1, "validFrom": 1, "validUntil": 2 }),
        Kind::ManifestRevocation => {
            json!({ "agentRegistry": REGISTRY, "agentId": 7, "manifestHash": hash, "nonce": 1 })
        }
        Kind::ForwardReceipt => json!({ "agentRegistry": REGISTRY, "rootTxHash": hash, "hop": 0, "sourceAgentId": 1,
            "destinationAgentId": 2, "manifestHash": hash, "nextHopHash": hash, "nonce": 1 }),
        Kind::CycleReport => json!({ "agentIds": [2, 1], "receipt": least(Kind::ForwardReceipt),
            "receiptSigner": CLIENT, "receiptSignature": "0x00", "nonce": 1 }),
        Kind::PaymentLink => json!({ "agentRegistry": REGISTRY, "agentId": 7, "txHash": hash, "amount": 1, "nonce": 1,
            "deadline": 2 }),
    }
}

/// What reading says, and what is written again.
fn read_as(kind: Kind, document: &Value) -> Result<Value, String> {
    fn one<D: Document>(document: &Value) -> Result<Value, String> {
        let text = canonical(document).expect("it has a form");
        let document = read::<D>(&text).map_err(|reason| reason.to_string())?;
        Ok(serde_json::to_value(document).expect("it is written"))
    }
    match kind {
        Kind::Feedback => one::<Feedback>(document),
        Kind::FeedbackRevision => one::<FeedbackRevision>(document),
        Kind::FeedbackRevocation => one::<FeedbackRevocation>(document),
        Kind::AgentCard => one::<AgentCard>(document),
        Kind::ValidationRequest => one::<ValidationRequest>(document),
        Kind::ValidationResponse => one::<ValidationResponse>(document),
        Kind::Manifest => one::<Manifest>(document),
        Kind::ManifestRevocation => one::<ManifestRevocation>(document),
        Kind::ForwardReceipt => one::<ForwardReceipt>(document),
        Kind::CycleReport => one::<CycleReport>(document),
        Kind::PaymentLink => one::<PaymentLink>(document),
    }
}

#[test]
fn what_is_read_is_written_again_and_every_member_is_needed() {
    for kind in Kind::ALL {
        let document = least(kind);
        let written = read_as(kind, &document).unwrap_or_else(|reason| panic!("{kind:?}: {reason}"));
        assert_eq!(read_as(kind, &written).as_ref(), Ok(&written), "{kind:?}");
        for name in document.as_object().expect("an object").keys() {
            let mut lacking = document.clone();
            lacking.as_object_mut().expect("an object").remove(name);
            // A receipt may end a path, but then says so in its canonical form.
            let said = if name == "nextHopHash" { "canonical" } else { name };
            let refusal = read_as(kind, &lacking).expect_err(name);
            assert!(refusal.contains(said), "{kind:?} without {name}: {refusal}");
        }
        let mut more = document;
        more["more"] = json!(1);
        assert!(read_as(kind, &more).expect_err("it is more").contains("unknown field `more`"), "{kind:?}");
    }
}

#[test]
fn members_out_of_their_bounds_are_refused_by_name() {
    use Kind::{
        AgentCard, CycleReport, Feedback, FeedbackRevocation, ForwardReceipt, Manifest, PaymentLink, ValidationRequest,
        ValidationResponse,
    };
    let zero = format!("0x{}", "00".repeat(32));
    for (kind, pointer, value, said) in [
        (Feedback, "/feedback/agentRegistry", json!("167000"), "`feedback.agentRegistry`: an account is"),
        (
            Feedback,
            "/feedback/clientAddress",
            json!("eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            "on the chain",
        ),
        (Feedback, "/feedback/createdAt", json!("yesterday"), "`createdAt`"),
        (Feedback, "/feedback/createdAt", json!("2026-01-31T12:00:00+09:00"), "`createdAt`"),
        (Feedback, "/feedback/value", json!("100000000000000000000000000000000000001"), "`value`"),
        (Feedback, "/feedback/value", json!("-100000000000000000000000000000000000001"), "`value`"),
        (Feedback, "/feedback/value", json!(0.5), "`feedback.value`"),
        (Feedback, "/feedback/valueDecimals", json!(19), "`valueDecimals`"),
        (Feedback, "/feedback/valueDecimals", json!(256), "`feedback.valueDecimals`"),
        (Feedback, "/feedback/agentId", json!(-1), "`feedback.agentId`"),
        (Feedback, "/feedback/tag1", json!("x".repeat(257)), "`tag1`"),
        (Feedback, "/feedback/endpoint", json!("x".repeat(2_049)), "`endpoint`"),
        (Feedback, "/feedback/text", json!("x".repeat(32_769)), "`text`"),
        (Feedback, "/feedback/mcp", json!({ "tol": "a" }), "`feedback.mcp"),
        (Feedback, "/feedback/a2a", json!({ "skills": [""] }), "`a2a.skills`"),
        (Feedback, "/feedback/oasf", json!({ "domains": vec!["a"; 101] }), "`oasf.domains`"),
        (Feedback, "/nonce", json!("0x1"), "`nonce`"),
        (Feedback, "/deadline", json!(null), "`deadline`"),
        (FeedbackRevocation, "/revokes", json!("0x12"), "`revokes`"),
        (FeedbackRevocation, "/reason", json!("x".repeat(2_049)), "`reason`"),
        (AgentCard, "/card/name", json!(""), "`card.name`"),
        (AgentCard, "/card/skills", json!([]), "`card.skills`"),
        (AgentCard, "/card/skills/0/tags", json!("a"), "`card.skills[].tags`"),
        (AgentCard, "/card/supportedInterfaces/0/url", json!("agent.example"), "`card.supportedInterfaces[].url`"),
        (
            AgentCard,
            "/card/supportedInterfaces/0/url",
            json!("javascript:alert(1)"),
            "`card.supportedInterfaces[].url`",
        ),
        (AgentCard, "/card/capabilities", json!([]), "`card.capabilities`"),
        (AgentCard, "/card/provider", json!({ "url": "https://a.example" }), "`card.provider.organization`"),
        (AgentCard, "/card/iconUrl", json!("file:///etc/passwd"), "`card.iconUrl`"),
        (ValidationRequest, "/dataHash", json!(zero), "`dataHash`"),
        (ValidationRequest, "/dataURI", json!(""), "`dataURI`"),
        (ValidationRequest, "/validator", json!(format!("0x{}", "00".repeat(20))), "`validator`"),
        (ValidationResponse, "/response", json!(101), "`response`"),
        (Manifest, "/endpointUri", json!("x".repeat(2_049)), "`endpointUri`"),
        (Manifest, "/pubkey", json!("x".repeat(513)), "`pubkey`"),
        (Manifest, "/validUntil", json!(1), "`validUntil`"),
        (ForwardReceipt, "/hop", json!(11), "`hop`"),
        (ForwardReceipt, "/rootTxHash", json!(zero), "`rootTxHash`"),
        (CycleReport, "/agentIds", json!([]), "`agentIds`"),
        (CycleReport, "/agentIds", json!([1, 2, 1]), "`agentIds`"),
        (CycleReport, "/agentIds", json!((0..12).collect::<Vec<_>>()), "`agentIds`"),
        (CycleReport, "/agentIds", json!([1, 2]), "`destinationAgentId`"),
        (CycleReport, "/receipt/hop", json!(11), "`receipt`: `hop`"),
        (CycleReport, "/receiptSigner", json!(CLIENT.replace("167000", "1")), "`receiptSigner`"),
        (CycleReport, "/receiptSignature", json!(format!("0x{}", "00".repeat(32_769))), "`receiptSignature`"),
        (PaymentLink, "/amount", json!(0), "`amount`"),
        (PaymentLink, "/txHash", json!(zero), "`txHash`"),
    ] {
        let mut document = least(kind);
        let (within, name) = pointer.rsplit_once('/').expect("a pointer");
        let within = document.pointer_mut(within).expect("it is there");
        within[name.parse::<usize>().map_or_else(|_| json!(name), |place| json!(place)).as_str().unwrap_or(name)] =
            value.clone();
        let refusal = read_as(kind, &document).expect_err(pointer);
        assert!(refusal.contains(said), "{kind:?} {pointer} = {value}: {refusal}");
    }
}

#[test]
fn a_text_that_is_signed_is_taken_in_its_canonical_form_alone() {
    let document = least(Kind::Manifest);
    let canonical_text = canonical(&document).expect("it has a form");
    assert!(read::<Manifest>(&canonical_text).is_ok());
    for text in [
        serde_json::to_string_pretty(&document).expect("it is written"),
        canonical_text.replace("\"agentId\":7", "\"agentId\":\"7\""),
        canonical_text.replace("\"agentId\":7", "\"agentId\":7.0"),
        canonical_text.replace("\"key\"", "\"k\\u0065y\""),
        canonical_text.replace('}', ",\"agentId\":7}"),
    ] {
        assert!(read::<Manifest>(&text).is_err(), "{text}");
    }
}

#[test]
fn a_file_leaves_out_what_is_empty() {
    let mut document = least(Kind::Feedback);
    document["feedback"]["mcp"] = json!({ "tool": "search" });
    document["feedback"]["tag1"] = json!("starred");
    let feedback: Feedback = read(&document.to_string()).expect("it is feedback");
    let file = feedback.feedback.file().expect("it has a file");
    let expected = json!({
        "agentRegistry": REGISTRY, "agentId": 7, "clientAddress": CLIENT, "createdAt": "2026-01-31T12:00:00Z",
        "value": 87, "valueDecimals": 0, "tag1": "starred", "mcp": { "tool": "search" },
    });
    assert_eq!(file, canonical(&expected).expect("it has a form"));
}
