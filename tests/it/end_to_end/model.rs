//! What a node should answer, computed from what the chain says: a second, plain implementation of the entities.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::keccak256;
use meikan::demo::CHAIN_ID;
use serde_json::{Map, Value, json};

use super::files::{document, uri_type};
use super::witness::Seen;

/// The metadata key that holds an agent's wallet.
const WALLET_KEY: &str = "agentWallet";

/// Entities by id.
pub(super) type Entities = BTreeMap<String, Value>;

/// The plural roots that are compared, each with the fields that a model's entities have.
pub(super) const ROOTS: [(&str, &str); 7] = [
    (
        "agents",
        "id chainId agentId agentURI agentURIType owner agentWallet operators createdAt updatedAt totalFeedback \
         lastActivity blockNumber logIndex transactionHash registrationFile { name }",
    ),
    ("agentMetadatas", "id key value updatedAt blockNumber logIndex transactionHash agent { id }"),
    ("agentRegistrationFiles", "id agentId name createdAt blockNumber logIndex transactionHash"),
    (
        "feedbacks",
        "id clientAddress feedbackIndex valueRaw valueDecimals tag1 tag2 endpoint feedbackURI feedbackURIType \
         feedbackHash isRevoked createdAt revokedAt blockNumber logIndex transactionHash agent { id }",
    ),
    (
        "feedbackResponses",
        "id responder responseUri responseHash createdAt blockNumber logIndex transactionHash feedback { id }",
    ),
    (
        "validations",
        "id validatorAddress requestUri requestHash response responseUri responseHash tag status responseCount \
         createdAt updatedAt blockNumber logIndex transactionHash agent { id }",
    ),
    (
        "auditEntries",
        "id kind event contract walletAgent intentId commitmentHash actor fields createdAt blockNumber logIndex \
         transactionHash",
    ),
];

#[derive(Default)]
struct Agent {
    uri: String,
    owner: String,
    approved: Option<String>,
    wallet: Option<String>,
    created: u64,
    updated: u64,
    active: u64,
    standing: u64,
    /// Of the last event that changed the agent itself.
    place: Vec<(&'static str, Value)>,
}

/// The state that a chain's events lead to.
#[derive(Default)]
pub(super) struct Model {
    agents: BTreeMap<String, Agent>,
    approvals: BTreeSet<(String, String)>,
    /// Wallets' agents of intents.
    intents: BTreeMap<String, Value>,
    entities: BTreeMap<&'static str, Entities>,
}

impl Model {
    pub(super) fn of(seen: &[Seen]) -> Self {
        let mut model = Self::default();
        for seen in seen {
            model.fold(seen);
        }
        let agents: Vec<_> = model.agents.iter().map(|(id, agent)| model.agent(id, agent)).collect();
        for agent in agents {
            model.put("agents", agent);
        }
        model
    }

    /// The entities of a plural root.
    pub(super) fn entities(&self, root: &str) -> Entities {
        self.entities.get(root).cloned().unwrap_or_default()
    }

    fn fold(&mut self, seen: &Seen) {
        match seen.event.as_str() {
            "Transfer" => {
                let agent = self.change(seen, "tokenId");
                (agent.owner, agent.approved) = (seen.text("to").into(), None);
            }
            "Approval" => {
                let approved = seen.text("approved");
                let nobody = approved.bytes().skip(2).all(|digit| digit == b'0');
                self.change(seen, "tokenId").approved = Some(approved.into()).filter(|_| !nobody);
            }
            "ApprovalForAll" => {
                let approval = (seen.text("owner").into(), seen.text("operator").into());
                if seen.fields["approved"] == true {
                    self.approvals.insert(approval);
                } else {
                    self.approvals.remove(&approval);
                }
            }
            "Registered" => {
                let agent = self.change(seen, "agentId");
                agent.active = seen.time;
                self.set_uri(seen, "agentUri");
            }
            "URIUpdated" => self.set_uri(seen, "newUri"),
            "MetadataSet" => self.set_metadata(seen),
            "NewFeedback" => self.give(seen),
            "FeedbackRevoked" => self.revoke(seen),
            "ResponseAppended" => self.respond(seen),
            "ValidationRequest" => self.request(seen),
            "ValidationResponse" => self.answer(seen),
            // ERC-4906: these say nothing that the others do not.
            "MetadataUpdate" | "BatchMetadataUpdate" => {}
            _ => self.audit(seen),
        }
    }

    fn put(&mut self, root: &'static str, entity: Map<String, Value>) {
        let id = entity["id"].as_str().unwrap().to_owned();
        self.entities.entry(root).or_default().insert(id, entity.into());
    }

    /// The agent that an event names, noted as named now.
    fn named(&mut self, seen: &Seen, field: &str) -> &mut Agent {
        let first = || Agent { created: seen.time, active: seen.time, ..Agent::default() };
        let agent = self.agents.entry(agent_id(seen.text(field))).or_insert_with(first);
        agent.updated = seen.time;
        agent
    }

    /// The agent that an event of the identity registry changes.
    fn change(&mut self, seen: &Seen, field: &str) -> &mut Agent {
        let agent = self.named(seen, field);
        agent.place = seen.place().into();
        agent
    }

    fn set_uri(&mut self, seen: &Seen, field: &str) {
        let uri = seen.text(field);
        self.change(seen, "agentId").uri = uri.into();
        if let Some(document) = document(uri) {
            let id = format!("{}:datauri:{}", seen.transaction, seen.log_index);
            let own = [
                ("id", json!(id)),
                ("agentId", json!(agent_id(seen.text("agentId")))),
                ("name", document.get("name").cloned().unwrap_or_default()),
                ("createdAt", time(seen)),
            ];
            self.put("agentRegistrationFiles", entity(own, seen.place()));
        }
    }

    fn set_metadata(&mut self, seen: &Seen) {
        let (key, value) = (seen.text("metadataKey"), seen.text("metadataValue"));
        if key == WALLET_KEY {
            self.change(seen, "agentId").wallet = Some(value.into()).filter(|_| value.len() == 2 + 2 * 20);
        } else {
            // Other entries are entities of their own: they touch the agent, and do not change it.
            self.named(seen, "agentId");
        }
        let agent = agent_id(seen.text("agentId"));
        let hash = seen.text("indexedMetadataKey");
        // What was shown otherwise than it is has another hash.
        let is_clean = keccak256(key).to_string() == hash;
        let name = if is_clean { key.to_owned() } else { format!("keccak256:{hash}") };
        let own = [
            ("id", json!(format!("{agent}:{name}"))),
            ("key", json!(key)),
            ("value", json!(value)),
            ("updatedAt", time(seen)),
            ("agent", json!({ "id": agent })),
        ];
        self.put("agentMetadatas", entity(own, seen.place()));
    }

    fn give(&mut self, seen: &Seen) {
        let agent = self.named(seen, "agentId");
        agent.active = seen.time;
        agent.standing += 1;
        let own = [
            ("id", json!(feedback_id(seen))),
            ("clientAddress", seen.fields["clientAddress"].clone()),
            ("feedbackIndex", seen.fields["feedbackIndex"].clone()),
            ("valueRaw", seen.fields["value"].clone()),
            ("valueDecimals", seen.fields["valueDecimals"].clone()),
            ("tag1", seen.fields["tag1"].clone()),
            ("tag2", seen.fields["tag2"].clone()),
            ("endpoint", seen.fields["endpoint"].clone()),
            ("feedbackURI", seen.fields["feedbackUri"].clone()),
            ("feedbackURIType", json!(uri_type(seen.text("feedbackUri")))),
            ("feedbackHash", seen.fields["feedbackHash"].clone()),
            ("isRevoked", json!(false)),
            ("createdAt", time(seen)),
            ("revokedAt", Value::Null),
            ("agent", json!({ "id": agent_id(seen.text("agentId")) })),
        ];
        self.put("feedbacks", entity(own, seen.place()));
    }

    fn revoke(&mut self, seen: &Seen) {
        self.named(seen, "agentId").standing -= 1;
        let feedback = self.entities.get_mut("feedbacks").unwrap().get_mut(&feedback_id(seen)).unwrap();
        (feedback["isRevoked"], feedback["revokedAt"]) = (json!(true), time(seen));
    }

    fn respond(&mut self, seen: &Seen) {
        let feedback = feedback_id(seen);
        let own = [
            ("id", json!(format!("{feedback}:{}:{}", seen.transaction, seen.log_index))),
            ("responder", seen.fields["responder"].clone()),
            ("responseUri", seen.fields["responseUri"].clone()),
            ("responseHash", seen.fields["responseHash"].clone()),
            ("createdAt", time(seen)),
            ("feedback", json!({ "id": feedback })),
        ];
        self.put("feedbackResponses", entity(own, seen.place()));
    }

    fn request(&mut self, seen: &Seen) {
        self.named(seen, "agentId").active = seen.time;
        let own = [
            ("id", seen.fields["requestHash"].clone()),
            ("validatorAddress", seen.fields["validatorAddress"].clone()),
            ("requestUri", seen.fields["requestUri"].clone()),
            ("requestHash", seen.fields["requestHash"].clone()),
            ("response", Value::Null),
            ("responseUri", Value::Null),
            ("responseHash", Value::Null),
            ("tag", Value::Null),
            ("status", json!("PENDING")),
            ("responseCount", json!(0)),
            ("createdAt", time(seen)),
            ("updatedAt", time(seen)),
            ("agent", json!({ "id": agent_id(seen.text("agentId")) })),
        ];
        self.put("validations", entity(own, seen.place()));
    }

    fn answer(&mut self, seen: &Seen) {
        self.named(seen, "agentId").active = seen.time;
        let validations = self.entities.get_mut("validations").unwrap();
        let validation = validations.get_mut(seen.text("requestHash")).unwrap();
        for field in ["response", "responseUri", "responseHash", "tag"] {
            validation[field] = seen.fields[field].clone();
        }
        validation["status"] = json!("COMPLETED");
        validation["responseCount"] = json!(validation["responseCount"].as_u64().unwrap() + 1);
        validation["updatedAt"] = time(seen);
        for (field, value) in seen.place() {
            validation[field] = value;
        }
    }

    fn audit(&mut self, seen: &Seen) {
        let (kind, actor) = audit_kind(&seen.event);
        let field = |name: &str| seen.fields.get(name).cloned().unwrap_or_default();
        let (named, intent) = (field("agentId"), field("intentId"));
        let agent = match (&named, intent.as_str()) {
            (Value::Null, Some(intent)) => self.intents.get(intent).cloned().unwrap_or_default(),
            _ => named,
        };
        if seen.event == "IntentEmitted" {
            self.intents.insert(seen.text("intentId").into(), agent.clone());
        }
        let own = [
            ("id", json!(format!("{CHAIN_ID}:{}:{}", seen.block, seen.log_index))),
            ("kind", json!(kind)),
            ("event", json!(seen.event)),
            ("contract", json!(seen.contract)),
            ("walletAgent", agent),
            ("intentId", intent),
            ("commitmentHash", field("commitmentHash")),
            ("actor", field(actor)),
            ("fields", json!(seen.fields)),
            ("createdAt", time(seen)),
        ];
        self.put("auditEntries", entity(own, seen.place()));
    }

    fn agent(&self, id: &str, agent: &Agent) -> Map<String, Value> {
        let operators = self.approvals.iter().filter(|(owner, _)| *owner == agent.owner);
        let operators: BTreeSet<&String> = operators.map(|(_, operator)| operator).chain(&agent.approved).collect();
        let name = document(&agent.uri).map(|document| document.get("name").cloned().unwrap_or_default());
        let own = [
            ("id", json!(id)),
            ("chainId", json!(CHAIN_ID.to_string())),
            ("agentId", json!(id.rsplit(':').next())),
            ("agentURI", json!(agent.uri)),
            ("agentURIType", json!(uri_type(&agent.uri))),
            ("owner", json!(agent.owner)),
            ("agentWallet", json!(agent.wallet)),
            ("operators", json!(operators)),
            ("createdAt", json!(agent.created.to_string())),
            ("updatedAt", json!(agent.updated.to_string())),
            ("totalFeedback", json!(agent.standing.to_string())),
            ("lastActivity", json!(agent.active.to_string())),
            ("registrationFile", name.map_or(Value::Null, |name| json!({ "name": name }))),
        ];
        entity(own, agent.place.iter().cloned())
    }
}

/// The kind of an audit entry, and the parameter that names who acted.
fn audit_kind(event: &str) -> (&'static str, &'static str) {
    match event {
        "CommitmentLogged" => ("COMMITMENT", "submitter"),
        "AgentRegistered" => ("AGENT_STATUS_CHANGED", "owner"),
        "AgentUpdated" | "AgentDeactivated" | "AgentReactivated" | "AgentPaused" | "AgentUnpaused" => {
            ("AGENT_STATUS_CHANGED", "by")
        }
        "PolicyUpdated" => ("POLICY_UPDATED", ""),
        "PolicyChecked" => ("POLICY_CHECKED", ""),
        "CircuitBreakerTripped" | "CircuitBreakerReset" | "CircuitBreakerTriggered" => {
            ("CIRCUIT_BREAKER_TRIGGERED", "")
        }
        "IntentEmitted" | "IntentDetails" => ("INTENT_CREATED", ""),
        "IntentSubmitted" => ("INTENT_SUBMITTED", "relayer"),
        "IntentExecuted" => ("INTENT_EXECUTED", "executor"),
        "IntentDisputed" => ("INTENT_DISPUTED", "disputer"),
        "RelayerAuthorized" | "RelayerRevoked" => ("RELAYER_CHANGED", "relayer"),
        "BridgeMessageSent" | "BridgeMessageReceived" => ("BRIDGE_MESSAGE", "relayer"),
        "EmergencyPaused" | "EmergencyUnpaused" => ("GOVERNANCE", "by"),
        "OwnershipTransferred" => ("GOVERNANCE", "previousOwner"),
        "Paused" | "Unpaused" => ("GOVERNANCE", "account"),
        "RoleGranted" | "RoleRevoked" => ("GOVERNANCE", "sender"),
        "Upgraded" | "Initialized" | "EIP712DomainChanged" | "RoleAdminChanged" => ("GOVERNANCE", ""),
        other => panic!("nobody has said where {other} is served"),
    }
}

fn agent_id(number: &str) -> String {
    format!("{CHAIN_ID}:{number}")
}

fn feedback_id(seen: &Seen) -> String {
    let of = |name| seen.text(name);
    format!("{}:{}:{}", agent_id(of("agentId")), of("clientAddress"), of("feedbackIndex"))
}

fn time(seen: &Seen) -> Value {
    json!(seen.time.to_string())
}

fn entity(
    own: impl IntoIterator<Item = (&'static str, Value)>,
    place: impl IntoIterator<Item = (&'static str, Value)>,
) -> Map<String, Value> {
    own.into_iter().chain(place).map(|(name, value)| (name.to_owned(), value)).collect()
}
