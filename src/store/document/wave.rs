//! Which documents can be taken at a time: those that no other one of them could make a difference to.
//!
//! Each statement is a way to the database and back, which takes longer than what is done there. So documents that have
//! nothing to do with each other are taken side by side, their statements one behind the other on the same connection; what
//! has, waits for the next wave. The order in which they came decides as if each had come alone.

use std::collections::HashSet;

use alloy::primitives::{Address, B256};

use super::Handed;
use crate::document::{AnyDocument, Kind, Uint};

/// What a document reads or writes that another one may write.
#[derive(PartialEq, Eq, Hash)]
enum Touched {
    /// A signer's nonce for a kind.
    Nonce(Address, Kind, Uint),
    /// A document, or what it made.
    Digest(B256),
    /// What an agent of a registry says of itself.
    Agent(Address, Uint),
    /// A transaction: the payments of it, and the path that begins with it.
    Transaction(B256),
}

fn touched(handed: &Handed) -> Vec<Touched> {
    let mut touched =
        vec![Touched::Nonce(handed.signer, handed.kind, *handed.document.nonce()), Touched::Digest(handed.digest)];
    match &handed.document {
        AnyDocument::Feedback(_) | AnyDocument::ValidationRequest(_) => {}
        AnyDocument::FeedbackRevision(revision) => touched.push(Touched::Digest(revision.revises)),
        AnyDocument::FeedbackRevocation(revocation) => touched.push(Touched::Digest(revocation.revokes)),
        AnyDocument::ValidationResponse(response) => touched.push(Touched::Digest(response.request)),
        AnyDocument::AgentCard(card) => touched.push(Touched::Agent(card.agent_registry.address, card.agent_id)),
        AnyDocument::Manifest(manifest) => {
            touched.push(Touched::Agent(manifest.agent_registry.address, manifest.agent_id));
        }
        AnyDocument::ManifestRevocation(revocation) => {
            touched.push(Touched::Digest(revocation.manifest_hash));
            touched.push(Touched::Agent(revocation.agent_registry.address, revocation.agent_id));
        }
        AnyDocument::ForwardReceipt(receipt) => {
            touched.push(Touched::Transaction(receipt.root_tx_hash));
            touched.push(Touched::Digest(receipt.manifest_hash));
        }
        AnyDocument::CycleReport(report) => touched.push(Touched::Transaction(report.receipt.root_tx_hash)),
        AnyDocument::PaymentLink(link) => touched.push(Touched::Transaction(link.tx_hash)),
    }
    touched
}

/// The documents in their order, cut wherever one has to do with another one before it.
pub(super) fn waves(handed: &[Handed]) -> Vec<&[Handed]> {
    let (mut waves, mut begin, mut taken) = (Vec::new(), 0, HashSet::new());
    for (place, one) in handed.iter().enumerate() {
        let touched = touched(one);
        if touched.iter().any(|touched| taken.contains(touched)) {
            waves.push(&handed[begin..place]);
            begin = place;
            taken.clear();
        }
        taken.extend(touched);
    }
    if begin < handed.len() {
        waves.push(&handed[begin..]);
    }
    waves
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256};
    use serde_json::{Value, json};

    use super::waves;
    use crate::document::{AnyDocument, Kind};
    use crate::store::{Handed, Sender};

    const REGISTRY: &str = "eip155:1:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";

    /// A document of the signer and with the digest of these numbers.
    fn handed(kind: Kind, signer: u8, digest: u8, says: &Value) -> Handed {
        let document = AnyDocument::read(kind, &says.to_string()).expect("it is one");
        Handed {
            document,
            kind,
            body: String::new(),
            digest: B256::repeat_byte(digest),
            signer: Address::repeat_byte(signer),
            signature: Vec::new(),
            untimely: None,
            transaction: None,
            sender: Sender::default(),
        }
    }

    fn feedback(nonce: u64, revises: Option<u8>) -> (Kind, Value) {
        let client = "eip155:1:0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
        let content = json!({ "agentRegistry": REGISTRY, "agentId": 7, "clientAddress": client,
            "createdAt": "2026-01-31T12:00:00Z", "value": 1, "valueDecimals": 0 });
        let mut says = json!({ "feedback": content, "nonce": nonce, "deadline": 2 });
        match revises {
            None => (Kind::Feedback, says),
            Some(digest) => {
                says["revises"] = json!(B256::repeat_byte(digest));
                (Kind::FeedbackRevision, says)
            }
        }
    }

    #[test]
    fn who_has_to_do_with_an_earlier_one_waits_for_the_next_wave() {
        let handed: Vec<_> = [
            // Signer, digest, nonce, what is revised.
            (1, 1, 1, None),
            (1, 2, 2, None),
            (2, 3, 1, None),
            // The same signer's nonce.
            (1, 4, 2, None),
            // The same document again.
            (3, 4, 9, None),
            // A revision of one that is in the same wave, another one of the same, and of one long before.
            (3, 5, 3, Some(4)),
            (3, 6, 4, Some(4)),
            (3, 7, 5, Some(1)),
        ]
        .into_iter()
        .map(|(signer, digest, nonce, revises)| {
            let (kind, says) = feedback(nonce, revises);
            handed(kind, signer, digest, &says)
        })
        .collect();
        let sizes: Vec<usize> = waves(&handed).iter().map(|wave| wave.len()).collect();
        assert_eq!(sizes, [3, 1, 1, 1, 2]);
        assert!(waves(&[]).is_empty());
    }
}
