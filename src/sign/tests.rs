//! Documents that other libraries signed (`tests/data/documents`).

use alloy::primitives::{B256, hex, keccak256};
use serde::Deserialize;
use serde_json::Value;

use super::{Payload, recover};
use crate::document::{AnyDocument, Cid, Kind};
use crate::id::{AccountId, ChainId};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    kind: String,
    chain_id: ChainId,
    signer: AccountId,
    document: String,
    shown: Value,
    digest: B256,
    hash: B256,
    signature: String,
    file: Option<String>,
    file_hash: Option<B256>,
    cid: Option<String>,
    card_file: Option<String>,
    card_hash: Option<B256>,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("../../tests/data/documents/vectors.json")).expect("the vectors are JSON")
}

#[test]
fn what_other_libraries_sign_is_what_is_checked() {
    let vectors = vectors();
    for kind in Kind::ALL {
        assert!(vectors.iter().filter(|vector| vector.kind == kind.name()).count() >= 3, "{kind:?}");
    }
    for vector in &vectors {
        let name = &vector.name;
        let kind = Kind::named(&vector.kind).expect(name);
        let document = AnyDocument::read(kind, &vector.document).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        let payload = Payload::of_any(&document, vector.chain_id).unwrap_or_else(|reason| panic!("{name}: {reason}"));
        assert_eq!(payload.json(), vector.shown, "{name}");
        assert_eq!((payload.digest, payload.hash), (vector.digest, vector.hash), "{name}");
        let signature = hex::decode(&vector.signature).expect(name);
        assert_eq!(recover(&payload.hash, &signature), Ok(vector.signer.address), "{name}");
        assert!(document.chain_id().is_none_or(|chain_id| chain_id == vector.chain_id), "{name}");
        let content = match &document {
            AnyDocument::Feedback(document) => &document.feedback,
            AnyDocument::FeedbackRevision(document) => &document.feedback,
            AnyDocument::AgentCard(document) => {
                assert_eq!(document.file().ok(), vector.card_file, "{name}");
                assert_eq!(Some(document.card_hash()), vector.card_hash, "{name}");
                continue;
            }
            _ => continue,
        };
        let file = content.file().expect(name);
        assert_eq!(Some(keccak256(&file)), vector.file_hash, "{name}");
        assert_eq!(Some(Cid::of(file.as_bytes()).to_string()), vector.cid, "{name}");
        assert_eq!(Some(file), vector.file, "{name}");
    }
}

#[test]
fn on_another_chain_nobody_has_signed_it() {
    for vector in vectors().iter().filter(|vector| vector.shown.is_object()) {
        let kind = Kind::named(&vector.kind).expect("a kind");
        let document = AnyDocument::read(kind, &vector.document).expect("a document");
        let payload = Payload::of_any(&document, vector.chain_id + 1).expect("a payload");
        let signature = hex::decode(&vector.signature).expect("hex");
        assert_ne!(recover(&payload.hash, &signature), Ok(vector.signer.address), "{}", vector.name);
    }
}
