//! The audit trail over HTTP: wallets' agents, what joins them to agents, and what was found.

use alloy::primitives::{B256, U256};
use meikan::event::{AgentRegistryEvent, Event, ExecutorEvent, IdentityEvent};
use serde_json::{Value, json};

use super::support::{CHAIN, FIRST_BLOCK, History, Node, account, hex, metadata, registered, requested, validated};

const BOT: B256 = B256::repeat_byte(0xb0);
const INTENT: B256 = B256::repeat_byte(0x11);

/// The registry ties a wallet's agent to a wallet.
fn bound(wallet: u8) -> Event {
    Event::AgentRegistry(AgentRegistryEvent::AgentUpdated {
        agent_id: BOT,
        owner: account(9),
        wallet: account(wallet),
        metadata_cid: "bafy".into(),
        by: account(9),
    })
}

fn stated(expiry: u64) -> Event {
    Event::Executor(ExecutorEvent::IntentEmitted {
        intent_id: INTENT,
        agent_id: BOT,
        dest_chain_id: U256::from(1),
        action_hash: B256::ZERO,
        nonce: U256::ZERO,
        expiry: U256::from(expiry),
    })
}

fn executed() -> Event {
    Event::Executor(ExecutorEvent::IntentExecuted { intent_id: INTENT, executor: account(7), timestamp: U256::ZERO })
}

fn transfer(agent: u64, from: u8, to: u8) -> Event {
    let token_id = U256::from(agent);
    Event::Identity(IdentityEvent::Transfer { from: account(from), to: account(to), token_id })
}

/// Two agents of one wallet, of which the second moves to another; and that wallet's agent.
async fn populated() -> (Node, History) {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block([registered(0, 1, ""), registered(1, 1, "")].concat()).await;
    history.block(vec![bound(1), stated(u64::MAX)]).await;
    history.block(vec![metadata(1, "agentWallet", account(2).as_slice()), transfer(1, 1, 2)]).await;
    history.block(vec![bound(2), executed()]).await;
    (node, history)
}

/// The ids of what a relation of the first of a list leads to.
fn ids(list: &Value, relation: &str) -> Vec<String> {
    let related = list[0][relation].as_array().unwrap_or_else(|| panic!("no {relation} in {list}"));
    related.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_wallets_agent_leads_to_the_agents_of_its_wallet_as_of_the_block_and_back() {
    let (node, _) = populated().await;
    for (block, agents) in [
        (FIRST_BLOCK + 1, vec!["167000:0", "167000:1"]),
        (FIRST_BLOCK + 2, vec!["167000:0"]),
        (FIRST_BLOCK + 3, vec!["167000:1"]),
    ] {
        let pin = format!("block: {{ number: {block} }}");
        let data = node.ask(&format!("{{ walletAgents({pin}) {{ wallet agents {{ id }} }} }}")).await;
        assert_eq!(ids(&data["walletAgents"], "agents"), agents, "as of {block}");
        // The other way round, and from the trail: whatever names the wallet's agent is the agent's.
        let bot = format!("{CHAIN}:{BOT:#x}");
        for agent in ["167000:0", "167000:1"] {
            let back = format!("{{ agents(where: {{ id: \"{agent}\" }}, {pin}) {{ walletAgents {{ id }} }} }}");
            let data = node.ask(&back).await;
            let expected = if agents.contains(&agent) { vec![bot.clone()] } else { vec![] };
            assert_eq!(ids(&data["agents"], "walletAgents"), expected, "{agent} as of {block}");
            let trail = format!("auditEntries(where: {{ wallet_: {{ agents_: {{ id: \"{agent}\" }} }} }}, {pin})");
            let events = node.list(&format!("{{ {trail} {{ event }} }}"), "auditEntries", "event").await;
            let all = ["AgentUpdated", "IntentEmitted", "AgentUpdated", "IntentExecuted"];
            let told = usize::try_from(block - FIRST_BLOCK + 1).unwrap().min(4);
            let told = if told == 3 { 2 } else { told };
            let expected = if agents.contains(&agent) { &all[..told] } else { &[] };
            assert_eq!(events, expected, "{agent} as of {block}");
        }
    }
    let none = node.ask("{ agents(where: { walletAgents_: { active: false } }) { id } }").await;
    assert_eq!(none["agents"], json!([]));
}

#[tokio::test]
async fn a_finding_leads_to_its_event_its_intent_and_its_agent() {
    let (node, history) = populated().await;
    let fields = "id rule subject walletAgent intentId contract details relatedBlock relatedLogIndex createdAt finality \
                  blockNumber logIndex transactionHash auditEntry { id event findings { rule } } relatedEntry { event } \
                  wallet { id wallet } intent { id status }";
    let data =
        node.ask(&format!("{{ findings(where: {{ rule: EXECUTED_WITHOUT_SUBMISSION }}) {{ {fields} }} }}")).await;
    let block = FIRST_BLOCK + 3;
    let id = format!("{CHAIN}:{block}:1:EXECUTED_WITHOUT_SUBMISSION:{INTENT:#x}");
    let expected = json!({
        "id": id, "rule": "EXECUTED_WITHOUT_SUBMISSION", "subject": format!("{INTENT:#x}"),
        "walletAgent": format!("{BOT:#x}"), "intentId": format!("{INTENT:#x}"), "details": "{}",
        "contract": data["findings"][0]["contract"], "relatedBlock": (FIRST_BLOCK + 1).to_string(), "relatedLogIndex": 1,
        "createdAt": History::time(block).to_string(), "finality": "UNSAFE", "blockNumber": block.to_string(),
        "logIndex": 1, "transactionHash": format!("{:#x}", history.transaction(block)),
        "auditEntry": {
            "id": format!("{CHAIN}:{block}:1"), "event": "IntentExecuted",
            "findings": [{"rule": "EXECUTED_WITHOUT_SUBMISSION"}, {"rule": "RELAYER_UNAUTHORISED"}],
        },
        "relatedEntry": {"event": "IntentEmitted"},
        "wallet": {"id": format!("{CHAIN}:{BOT:#x}"), "wallet": hex(2)},
        "intent": {"id": format!("{CHAIN}:{INTENT:#x}"), "status": "EXECUTED"},
    });
    assert_eq!(data["findings"], json!([expected]));
    let one = node.ask(&format!("{{ finding(id: \"{id}\") {{ rule }} }}")).await;
    assert_eq!(one["finding"]["rule"], "EXECUTED_WITHOUT_SUBMISSION");
    // As of the block before, nothing was wrong yet.
    let before = format!("{{ findings(block: {{ number: {} }}) {{ id }} }}", block - 1);
    assert_eq!(node.ask(&before).await["findings"], json!([]));
    let page = "{ findings(first: 1) { cursor rule } }";
    let first = node.ask(page).await["findings"][0].take();
    let rest = format!("{{ findings(first: 1, after: {}) {{ rule }} }}", first["cursor"]);
    assert_ne!(node.ask(&rest).await["findings"][0]["rule"], first["rule"]);
}

#[tokio::test]
async fn a_validation_expires_by_the_clock_of_its_own_network() {
    let node = Node::with(|api| api.validation_expires_after_seconds = 4).await;
    let (mut one, mut two) = (node.history(CHAIN).await, node.history(CHAIN + 1).await);
    for history in [&mut one, &mut two] {
        history.block([registered(0, 1, ""), vec![requested(0, 5, 0x44), requested(0, 6, 0x45)]].concat()).await;
        history.block(vec![validated(0, 5, 0x44, 0)]).await;
    }
    let asked = History::time(FIRST_BLOCK);
    let mut last = FIRST_BLOCK + 1;
    // Blocks without logs tell no time.
    while History::time(last) <= asked + 4 {
        last = one.block(vec![]).await;
    }
    let statuses = |pin: &str| format!("{{ validations({pin}, orderBy: requestHash) {{ status }} }}");
    let of = async |pin: String| {
        let data = node.ask(&statuses(&pin)).await;
        let list = data["validations"].as_array().unwrap().iter();
        list.map(|one| one["status"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(format!("chainId: {CHAIN}")).await, ["COMPLETED", "PENDING"]);
    let late = one.block(vec![metadata(0, "k", b"v")]).await;
    assert_eq!(of(format!("chainId: {CHAIN}")).await, ["COMPLETED", "EXPIRED"]);
    assert_eq!(of(format!("chainId: {CHAIN}, block: {{ number: {} }}", late - 1)).await, ["COMPLETED", "PENDING"]);
    assert_eq!(of(format!("chainId: {}", CHAIN + 1)).await, ["COMPLETED", "PENDING"]);
    // Of all networks at once each has its own time.
    assert_eq!(of("first: 9".into()).await, ["COMPLETED", "COMPLETED", "EXPIRED", "PENDING"]);
    let data = node.ask("{ validations(where: { status_in: [EXPIRED] }) { requestHash agent { id } } }").await;
    assert_eq!(data["validations"][0]["agent"]["id"], "167000:0");
    assert_eq!(data["validations"].as_array().unwrap().len(), 1);
    let summary = format!(
        "{{ validationSummary(agent: \"{CHAIN}:0\") {{ count averageResponse average requested pending expired }} }}"
    );
    let expected = json!({
        "count": "1", "averageResponse": 0, "average": "0", "requested": "2", "pending": "0", "expired": "1",
    });
    assert_eq!(node.ask(&summary).await["validationSummary"], expected);
}

#[tokio::test]
async fn what_is_no_id_is_refused_by_name() {
    let (node, _) = populated().await;
    for (query, argument) in [
        ("{ intentSummary(walletAgent: \"167000:1\") { count } }", "walletAgent"),
        ("{ intentSummary(agent: \"x\", chainId: 167000) { count } }", "agent"),
        ("{ intentSummary(since: \"soon\") { count } }", "since"),
        ("{ validationSummary(agent: \"167000:0\", validators: [\"0xzz\"]) { count } }", "validators"),
        ("{ validationSummary(agent: \"167000:0\", registry: \"no\") { count } }", "registry"),
        ("{ findings(where: { id_gt: \"167000:1:2:lower:0x\" }) { id } }", "id_gt"),
    ] {
        let (code, message) = node.answer(query, json!({})).await.error();
        assert_eq!(code, "BAD_INPUT", "{query}");
        assert!(message.contains(&format!("`{argument}`")), "{query}: {message}");
    }
    for id in ["", "167000:0xzz", "167000:1", "x:0x"] {
        let data = node.ask(&format!("{{ intent(id: \"{id}\") {{ id }} walletAgent(id: \"{id}\") {{ id }} }}")).await;
        assert_eq!(data, json!({"intent": null, "walletAgent": null}));
    }
}
