//! People with keys, and the documents that they hand in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use alloy::primitives::{Address, B256, U256, hex, keccak256};
use k256::ecdsa::{RecoveryId, Signature, SigningKey};
use meikan::document::{AnyDocument, Kind};
use meikan::event::{Event, IdentityEvent, Role, Text};
use meikan::sign::Payload;
use serde_json::{Value, json};

use crate::graphql::support::{CHAIN, contract, metadata};
use crate::support::postgres::{TestDatabase, connect};

/// A chain with a registry of agents.
#[derive(Clone, Copy)]
pub(super) struct World {
    pub(super) chain_id: u64,
    pub(super) registry: Address,
}

/// The world of histories that are made by hand.
pub(super) fn by_hand() -> World {
    World { chain_id: CHAIN, registry: contract(Role::Identity, 0) }
}

/// Somebody with a key.
#[derive(Clone)]
pub(super) struct Person {
    key: SigningKey,
    pub(super) address: Address,
}

/// Whoever that number stands for.
pub(super) fn person(number: u8) -> Person {
    let key = SigningKey::from_slice(&[number; 32]).expect("a small number is a key");
    let public = key.verifying_key().to_encoded_point(false);
    Person { address: Address::from_slice(&keccak256(&public.as_bytes()[1..])[12..]), key }
}

impl Person {
    /// Signs 32 bytes.
    pub(super) fn sign_hash(&self, hash: B256) -> Vec<u8> {
        let (signature, id): (Signature, RecoveryId) =
            self.key.sign_prehash_recoverable(hash.as_slice()).expect("32 bytes are signed");
        [&signature.to_bytes()[..], &[27 + id.to_byte()]].concat()
    }
}

impl World {
    /// Somebody as others name them (CAIP-10).
    pub(super) fn account(&self, address: Address) -> String {
        format!("eip155:{}:{address:#x}", self.chain_id)
    }

    /// Somebody signs a document of a kind.
    pub(super) fn sign(&self, by: &Person, kind: Kind, document: &str) -> Signed {
        let read = AnyDocument::read(kind, document).unwrap_or_else(|reason| panic!("{reason}: {document}"));
        let payload = Payload::of_any(&read, self.chain_id).expect("it fits its types");
        Signed {
            kind,
            document: document.to_owned(),
            signer: self.account(by.address),
            signature: hex::encode_prefixed(by.sign_hash(payload.hash)),
            digest: payload.digest,
            hash: payload.hash,
        }
    }

    /// Somebody signs what a document says, in its canonical form.
    pub(super) fn signs(&self, by: &Person, kind: Kind, says: &Value) -> Signed {
        self.sign(by, kind, &meikan::document::canonical(says).expect("it has a form"))
    }

    /// What feedback says.
    pub(super) fn content(&self, client: Address, agent_id: u64, value: i64) -> Value {
        json!({
            "agentRegistry": self.account(self.registry), "agentId": agent_id, "clientAddress": self.account(client),
            "createdAt": "2026-01-31T12:00:00Z", "value": value, "valueDecimals": 0, "tag1": "starred",
        })
    }

    /// What a document says that gives feedback.
    pub(super) fn gives(&self, client: Address, agent_id: u64, value: i64) -> Value {
        json!({ "feedback": self.content(client, agent_id, value), "nonce": nonce(), "deadline": now() + 600 })
    }

    /// What a document says that revises feedback.
    pub(super) fn revises(&self, original: B256, client: Address, agent_id: u64, value: i64) -> Value {
        let mut says = self.gives(client, agent_id, value);
        says["revises"] = json!(original);
        says
    }

    /// What a document says that publishes a card.
    pub(super) fn publishes(&self, agent_id: u64, name: &str) -> Value {
        let skill = json!({ "id": "a", "name": "A", "description": "It does a.", "tags": ["a"] });
        let interface =
            json!({ "url": "https://agent.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0" });
        json!({
            "agentRegistry": self.account(self.registry), "agentId": agent_id, "nonce": nonce(), "deadline": now() + 600,
            "card": {
                "name": name, "description": "It acts.", "version": "1.2", "supportedInterfaces": [interface],
                "capabilities": { "streaming": true }, "defaultInputModes": ["text/plain"],
                "defaultOutputModes": ["text/plain"], "skills": [skill],
            },
        })
    }

    /// What a document says that asks a validator.
    pub(super) fn asks(&self, agent_id: u64, validator: Address) -> Value {
        json!({
            "agentRegistry": self.account(self.registry), "agentId": agent_id, "validator": validator,
            "dataHash": B256::repeat_byte(0xda), "dataURI": "ipfs://data", "expiresAt": now() + 3_600, "nonce": nonce(),
            "deadline": now() + 600,
        })
    }

    /// What a document says that tells where an agent is.
    pub(super) fn moves(&self, agent_id: u64, nonce: u64, endpoint: &str, pubkey: &str) -> Value {
        json!({
            "agentRegistry": self.account(self.registry), "agentId": agent_id, "endpointUri": endpoint, "pubkey": pubkey,
            "nonce": nonce, "validFrom": now() - 60, "validUntil": now() + 3_600,
        })
    }

    /// What a document says that revokes a manifest.
    pub(super) fn stops(&self, agent_id: u64, manifest: B256) -> Value {
        let registry = self.account(self.registry);
        json!({ "agentRegistry": registry, "agentId": agent_id, "manifestHash": manifest, "nonce": nonce() })
    }

    /// What a document says that records a step of a path.
    pub(super) fn forwards(&self, root: B256, hop: u8, from: u64, to: u64, manifest: B256) -> Value {
        json!({
            "agentRegistry": self.account(self.registry), "rootTxHash": root, "hop": hop, "sourceAgentId": from,
            "destinationAgentId": to, "manifestHash": manifest, "nextHopHash": B256::ZERO, "nonce": nonce(),
        })
    }

    /// What a document says that reports a circle, by the receipt that closes it.
    pub(super) fn reports(&self, agents: &[u64], closing: &Signed) -> Value {
        let receipt: Value = serde_json::from_str(&closing.document).expect("it is JSON");
        json!({
            "agentIds": agents, "receipt": receipt, "receiptSigner": closing.signer,
            "receiptSignature": closing.signature, "nonce": nonce(),
        })
    }

    /// What a document says that links a payment; the token is zeros for the chain's own coin.
    pub(super) fn links(&self, agent_id: u64, tx_hash: B256, token: Address, amount: u64) -> Value {
        json!({
            "agentRegistry": self.account(self.registry), "agentId": agent_id, "txHash": tx_hash, "token": token,
            "amount": amount, "endpoint": "https://agent.example/paid", "nonce": nonce(), "deadline": now() + 600,
        })
    }

    /// The id of what a document makes.
    pub(super) fn id(&self, signed: &Signed) -> String {
        format!("{}:{}", self.chain_id, signed.digest)
    }
}

/// What a document says that answers a request.
pub(super) fn responds(request: B256, response: u8) -> Value {
    json!({
        "request": request, "response": response, "responseURI": "ipfs://answer", "responseHash": B256::repeat_byte(1),
        "tag": "hard", "nonce": nonce(), "deadline": now() + 600,
    })
}

/// What a document says that revokes feedback.
pub(super) fn revokes(original: B256) -> Value {
    json!({ "revokes": original, "reason": "I erred.", "nonce": nonce(), "deadline": now() + 600 })
}

/// A document with its signature.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) kind: Kind,
    pub(super) document: String,
    pub(super) signer: String,
    pub(super) signature: String,
    pub(super) digest: B256,
    pub(super) hash: B256,
}

/// The mutation for documents of a kind, and what to ask of its answer.
fn mutation(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Feedback => ("submitFeedback", "id version"),
        Kind::FeedbackRevision => ("reviseFeedback", "id version"),
        Kind::FeedbackRevocation => ("revokeFeedback", "id isRevoked"),
        Kind::AgentCard => ("publishAgentCard", "id version"),
        Kind::ValidationRequest => ("requestValidation", "id status"),
        Kind::ValidationResponse => ("respondValidation", "id status response answers"),
        Kind::Manifest => ("publishManifest", "id status"),
        Kind::ManifestRevocation => ("revokeManifest", "id status"),
        Kind::ForwardReceipt => ("recordForward", "id hop"),
        Kind::CycleReport => ("reportCycle", "id depth agents"),
        Kind::PaymentLink => ("linkPayment", "id status"),
    }
}

/// Where documents are handed in.
pub(super) struct Desk {
    address: String,
    site: reqwest::Client,
}

impl Desk {
    /// That of a node at an address.
    pub(super) fn at(address: &str) -> Self {
        meikan::chain::install_tls();
        Self { address: address.to_owned(), site: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    pub(super) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.site.get(format!("{}{path}", self.address))
    }

    /// The whole answer to a question.
    pub(super) async fn answer(&self, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let request = self.site.post(format!("{}/graphql", self.address)).header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap().text().await.unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    pub(super) async fn ask(&self, query: &str) -> Value {
        let mut answer = self.answer(query, json!({})).await;
        assert!(answer.get("errors").is_none(), "{query}: {answer}");
        answer["data"].take()
    }

    /// Hands a document in; these fields of what it makes, or code and message of why it is refused.
    pub(super) async fn hand_in_for(&self, signed: &Signed, fields: &str) -> Result<Value, (String, String)> {
        let name = mutation(signed.kind).0;
        let query = format!(
            "mutation($document: String!, $signer: String!, $signature: Bytes!) {{ \
                 made: {name}(document: $document, signer: $signer, signature: $signature) {{ {fields} }} }}"
        );
        let Signed { document, signer, signature, .. } = signed;
        let variables = json!({ "document": document, "signer": signer, "signature": signature });
        let mut answer = self.answer(&query, variables).await;
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned();
        match answer.get("errors") {
            None => Ok(answer["data"]["made"].take()),
            Some(errors) => Err((text(&errors[0]["extensions"]["code"]), text(&errors[0]["message"]))),
        }
    }

    pub(super) async fn hand_in(&self, signed: &Signed) -> Result<Value, (String, String)> {
        self.hand_in_for(signed, mutation(signed.kind).1).await
    }

    /// The code that refuses a document.
    pub(super) async fn refusal(&self, signed: &Signed) -> String {
        self.hand_in(signed).await.expect_err("it is refused").0
    }
}

/// How many rows there are of all that documents make.
pub(super) async fn document_rows(database: &TestDatabase) -> i64 {
    let client = connect(database.url()).await;
    let tables = [
        "document",
        "served_file",
        "offchain_feedback",
        "agent_card",
        "offchain_validation",
        "offchain_validation_response",
        "endpoint_manifest",
        "signed_flip",
        "forward_receipt",
        "payment_link",
        "cycle_report",
        "cycle_agent",
    ];
    let counts = tables.map(|table| format!("(SELECT count(*) FROM {table})"));
    client.query_one(&format!("SELECT {}", counts.join(" + ")), &[]).await.unwrap().get(0)
}

/// A mint with its registration, for somebody with a key.
pub(super) fn registered(agent_id: u64, owner: Address) -> Vec<Event> {
    let token_id = U256::from(agent_id);
    vec![
        Event::Identity(IdentityEvent::Transfer { from: Address::ZERO, to: owner, token_id }),
        Event::Identity(IdentityEvent::Registered { agent_id: token_id, agent_uri: Text::from(""), owner }),
        metadata(agent_id, "agentWallet", owner.as_slice()),
    ]
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs()
}

/// A number that no document of this process has yet.
pub(super) fn nonce() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(1_000);
    LAST.fetch_add(1, Ordering::Relaxed)
}
