//! Intents on the real contracts: what was sent, what the executor says became of it, and what the watchdog found.
//!
//! The stage's executor has no timelock, which no deployment should have; and nothing keeps an owner from tightening a
//! policy while an intent is under way, a relayer from letting one lapse, or two agents from committing to one hash.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use meikan::demo::abi::{AgentRegistry, AuditLog, Executor, PolicyEngine};
use meikan::demo::{CHAIN_ID, Call};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::support::node::Node;

alloy::sol! {
    enum Status { NONE, CREATED, SUBMITTED, EXECUTED, DISPUTED, EXPIRED }

    struct IntentAsHeld {
        bytes32 agentId;
        uint256 destChainId;
        uint256 value;
        uint256 nonce;
        bytes32 actionHash;
        address recipient;
        uint64 expiry;
        uint64 submittedAt;
        Status status;
    }

    function getIntent(bytes32 intentId) external view returns (IntentAsHeld intent);
}

/// The chain that intents go to.
const DEST: u64 = 167_000;

/// The agent of the identity registry whose owner's wallet has an agent too.
const AGENT: u64 = 0;

/// A stage with a wallet's agent and a relayer.
struct Story {
    stage: Stage,
    owner: Address,
    relayer: Address,
    recipient: Address,
    agent: B256,
    stated: u64,
    /// Block and time of each thing that was sent, by its name.
    sent: BTreeMap<&'static str, (u64, u64)>,
}

impl Story {
    async fn begin() -> Self {
        let stage = Stage::start().await;
        stage.populate().await;
        let (owner, relayer, recipient) = (stage.owner(AGENT), stage.client(0), stage.client(1));
        let agent = wallet_agent(&stage, owner, 0);
        let mut story = Self { stage, owner, relayer, recipient, agent, stated: 0, sent: BTreeMap::new() };
        let authorize = Executor::authorizeRelayerCall { relayer };
        let registry = story.stage.deployment.agent_registry;
        let register = [story.owner, story.stage.owner(1)].map(|owner| Call::new(owner, registry, registration(owner)));
        story.mine("begin", register).await;
        let policy = story.policy(1_000);
        let admin = story.stage.deployment.owner;
        let authorize = Call::new(admin, story.stage.deployment.executor, authorize.abi_encode());
        story.mine("policy", [policy, authorize]).await;
        story
    }

    /// Mines calls in a block of their own, remembered by name; none of them may fail.
    async fn mine(&mut self, name: &'static str, calls: impl IntoIterator<Item = Call>) {
        let receipts = self.stage.mine(calls).await;
        assert!(receipts.iter().all(meikan::demo::Receipt::succeeded), "{name}");
        self.sent.insert(name, self.stage.rpc.head().await.unwrap());
    }

    async fn wait(&self, seconds: u64) {
        self.stage.rpc.request::<Value>("evm_increaseTime", json!([seconds])).await.unwrap();
    }

    fn policy(&self, max_value: u64) -> Call {
        let policy = AgentRegistry::Policy {
            maxSpendPerDay: U256::from(100_000),
            maxTxPerDay: U256::from(100),
            maxTxPerHour: U256::from(100),
            maxValuePerTx: U256::from(max_value),
            allowedChains: vec![U256::from(DEST)],
            whitelist: vec![self.recipient],
            riskLevel: 2,
        };
        let set = AgentRegistry::setPolicyCall { agentId: self.agent, policy };
        Call::new(self.owner, self.stage.deployment.agent_registry, set.abi_encode())
    }

    /// A statement of an intent that lapses so many seconds from now, and its id.
    async fn state(&mut self, value: u64, lifetime: u64) -> (B256, Call) {
        let now = self.stage.rpc.head().await.unwrap().1;
        let emit = Executor::emitIntentCall {
            agentId: self.agent,
            destChainId: U256::from(DEST),
            value: U256::from(value),
            recipient: self.recipient,
            action: "transfer".into(),
            expiry: now + lifetime,
        };
        let executor = self.stage.deployment.executor;
        let id = keccak256((U256::from(CHAIN_ID), executor, self.agent, U256::from(self.stated)).abi_encode());
        self.stated += 1;
        (id, self.at_executor(self.owner, &emit))
    }

    fn at_executor(&self, from: Address, call: &impl SolCall) -> Call {
        Call::new(from, self.stage.deployment.executor, call.abi_encode())
    }

    fn submit(&self, id: B256) -> Call {
        self.at_executor(self.relayer, &Executor::submitIntentCall { intentId: id })
    }

    fn execute(&self, id: B256) -> Call {
        self.at_executor(self.relayer, &Executor::executeIntentCall { intentId: id })
    }

    fn commit(&self, owner: Address, agent: B256) -> Call {
        let commit = AuditLog::logCommitmentCall {
            agentId: agent,
            commitmentHash: B256::repeat_byte(0xcc),
            ipfsCID: "bafy".into(),
        };
        Call::new(owner, self.stage.deployment.audit_log, commit.abi_encode())
    }

    /// What the executor itself says of an intent now.
    async fn held(&self, id: B256) -> IntentAsHeld {
        let call = getIntentCall { intentId: id };
        let answer = self.stage.rpc.call(self.stage.deployment.executor, call.abi_encode(), None).await.unwrap();
        getIntentCall::abi_decode_returns(&answer).unwrap()
    }
}

fn wallet_agent(stage: &Stage, owner: Address, number: u64) -> B256 {
    keccak256((U256::from(CHAIN_ID), stage.deployment.agent_registry, owner, U256::from(number)).abi_encode())
}

/// A wallet's own agent, which needs no consent.
fn registration(owner: Address) -> Vec<u8> {
    let open = AgentRegistry::Policy {
        maxSpendPerDay: U256::MAX,
        maxTxPerDay: U256::MAX,
        maxTxPerHour: U256::MAX,
        maxValuePerTx: U256::MAX,
        allowedChains: vec![],
        whitelist: vec![],
        riskLevel: 0,
    };
    let register = AgentRegistry::registerAgentCall {
        wallet: owner,
        metadataCID: "bafy".into(),
        policy: open,
        deadline: U256::ZERO,
        walletSignature: vec![].into(),
    };
    register.abi_encode()
}

fn name(status: &Status) -> &'static str {
    match status {
        Status::CREATED => "CREATED",
        Status::SUBMITTED => "SUBMITTED",
        Status::EXECUTED => "EXECUTED",
        Status::DISPUTED => "DISPUTED",
        Status::EXPIRED => "EXPIRED",
        _ => "NONE",
    }
}

const TRAIL: &str = "walletAgents { walletAgent owner wallet active paused policies(where: { inForce: true }) { maxValuePerTx } \
    intents(orderBy: nonce) { intentId status value recipient executedBy secondsToExecution daySpend \
        findings(orderBy: createdAt) { rule } } \
    auditEntries(first: 1000) { kind } \
    findings { rule subject blockNumber relatedBlock relatedEntry { kind } } }";

#[tokio::test]
async fn intents_and_what_is_wrong_with_them_are_what_was_sent() {
    let mut story = Story::begin().await;
    let (hasty, statement) = story.state(500, 10_000).await;
    story.mine("hasty stated", [statement]).await;
    story.mine("hasty submitted", [story.submit(hasty)]).await;
    story.mine("hasty executed", [story.execute(hasty)]).await;
    let (overtaken, statement) = story.state(600, 10_000).await;
    story.mine("overtaken stated", [statement]).await;
    story.mine("overtaken submitted", [story.submit(overtaken)]).await;
    let (forgotten, statement) = story.state(7, 90).await;
    let (stopped, other) = story.state(8, 10_000).await;
    let (waiting, third) = story.state(9, 10_000).await;
    story.mine("three stated", [statement, other, third]).await;
    let dispute = Executor::disputeIntentCall { intentId: stopped, reason: "wrong amount".into() };
    story.mine("dispute", [story.at_executor(story.owner, &dispute), story.submit(waiting)]).await;
    story.mine("tightened", [story.policy(100)]).await;
    story.wait(120).await;
    story.mine("overtaken executed", [story.execute(overtaken)]).await;
    story.mine("first commitment", [story.commit(story.owner, story.agent)]).await;
    let copycat = story.stage.owner(1);
    let copy = story.commit(copycat, wallet_agent(&story.stage, copycat, 1));
    let pause = PolicyEngine::pauseAgentCall { agentId: story.agent, reason: "audit".into() };
    let pause = Call::new(story.owner, story.stage.deployment.policy_engine, pause.abi_encode());
    story.mine("copied commitment", [copy, pause]).await;

    let node = Node::fresh(std::slice::from_ref(&story.stage.network)).await;
    let answer = node.ask(&format!("{{ agent(id: \"{CHAIN_ID}:{AGENT}\") {{ {TRAIL} }} }}")).await;
    let [wallet] = answer["agent"]["walletAgents"].as_array().unwrap().as_slice() else { panic!("{answer}") };
    let owner = format!("{:#x}", story.owner);
    assert_eq!(wallet["walletAgent"], story.agent.to_string());
    assert_eq!([&wallet["owner"], &wallet["wallet"]], [&json!(owner), &json!(owner)]);
    assert_eq!([&wallet["active"], &wallet["paused"]], [true, true]);
    assert_eq!(wallet["policies"], json!([{"maxValuePerTx": "100"}]));

    // Each intent as the executor itself has it, and with what was sent.
    let intents = wallet["intents"].as_array().unwrap();
    let sent = [(hasty, 500), (overtaken, 600), (forgotten, 7), (stopped, 8), (waiting, 9)];
    assert_eq!(intents.len(), sent.len());
    for (intent, (id, value)) in intents.iter().zip(sent) {
        let held = story.held(id).await;
        assert_eq!(intent["intentId"], id.to_string());
        assert_eq!(intent["status"], name(&held.status), "{intent}");
        assert_eq!([&intent["value"], &json!(held.value.to_string())], [&json!(value.to_string()); 2]);
        assert_eq!(intent["recipient"], format!("{:#x}", story.recipient));
    }
    let statuses: Vec<&str> = intents.iter().map(|intent| intent["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["EXECUTED", "EXECUTED", "EXPIRED", "DISPUTED", "SUBMITTED"]);
    let at = |name: &str| story.sent[name].1;
    let took = at("overtaken executed") - at("overtaken stated");
    assert_eq!(intents[1]["secondsToExecution"], took.to_string());
    assert_eq!(intents[1]["executedBy"], format!("{:#x}", story.relayer));

    // What is wrong, each under the block of the transaction that did it, with the one that makes it so.
    let block = |name: &str| story.sent[name].0.to_string();
    let found = |rule: &str, subject: B256, at: &str, related: &str, kind: &str| {
        json!({"rule": rule, "subject": subject.to_string(), "blockNumber": block(at), "relatedBlock": block(related),
               "relatedEntry": {"kind": kind}})
    };
    let lapse = found("OPEN_BEYOND_EXPIRY", forgotten, "overtaken executed", "three stated", "INTENT_CREATED");
    let beyond = found("VALUE_PER_TX", overtaken, "overtaken executed", "tightened", "POLICY_UPDATED");
    let early = found("EXECUTED_BEFORE_TIMELOCK", hasty, "hasty executed", "hasty submitted", "INTENT_SUBMITTED");
    assert_eq!(wallet["findings"], json!([early, lapse, beyond]));
    let copied =
        node.ask("{ findings(where: { rule: DUPLICATE_COMMITMENT }) { subject blockNumber relatedBlock details } }");
    let expected = json!([{
        "subject": B256::repeat_byte(0xcc).to_string(), "blockNumber": block("copied commitment"),
        "relatedBlock": block("first commitment"), "details": json!({"firstWalletAgent": story.agent}).to_string().replace(':', ": "),
    }]);
    assert_eq!(copied.await["findings"], expected);
    let kinds = wallet["auditEntries"].as_array().unwrap();
    let submitted = kinds.iter().filter(|entry| entry["kind"] == "INTENT_SUBMITTED").count();
    assert_eq!((submitted, kinds.iter().filter(|entry| entry["kind"] == "INTENT_CREATED").count()), (3, 10));

    // Summed up, and as of the block before the last execution.
    let summary = |arguments: &str| {
        format!(
            "intentSummary({arguments}) {{ count created submitted executed disputed expired successRate volume \
             statedVolume averageSecondsToExecution medianSecondsToExecution p95SecondsToExecution }}"
        )
    };
    let hasty_took = at("hasty executed") - at("hasty stated");
    let average = (hasty_took + took) as f64 / 2.0;
    let average = if average.fract() == 0.0 { format!("{average:.0}") } else { format!("{average:.1}") };
    let expected = json!({
        "count": "5", "created": "0", "submitted": "1", "executed": "2", "disputed": "1", "expired": "1",
        "successRate": "0.5", "volume": "1100", "statedVolume": "1124", "averageSecondsToExecution": average,
        "medianSecondsToExecution": hasty_took.min(took).to_string(),
        "p95SecondsToExecution": hasty_took.max(took).to_string(),
    });
    let (agent, before) = (story.agent, story.sent["tightened"].0);
    let of_wallet = summary(&format!("walletAgent: \"{CHAIN_ID}:{agent}\""));
    let of_agent = summary(&format!("agent: \"{CHAIN_ID}:{AGENT}\""));
    let then = summary(&format!("agent: \"{CHAIN_ID}:{AGENT}\", block: {{ number: {before} }}"));
    let answer = node.ask(&format!("{{ a: {of_wallet} b: {of_agent} c: {then} }}")).await;
    assert_eq!([&answer["a"], &answer["b"]], [&expected; 2]);
    let counts = ["count", "created", "submitted", "executed", "disputed", "expired"].map(|of| &answer["c"][of]);
    assert_eq!(counts, ["5", "1", "2", "1", "1", "0"]);
    let policies =
        format!("{{ policies(where: {{ walletAgent: \"{agent}\" }}) {{ maxValuePerTx inForce replacedBlock }} }}");
    let limits = node.ask(&policies).await;
    let history = json!([
        {"maxValuePerTx": U256::MAX.to_string(), "inForce": false, "replacedBlock": block("policy")},
        {"maxValuePerTx": "1000", "inForce": false, "replacedBlock": block("tightened")},
        {"maxValuePerTx": "100", "inForce": true, "replacedBlock": null},
    ]);
    assert_eq!(limits["policies"], history);
}
