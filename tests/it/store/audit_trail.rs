//! The audit trail: what contracts of several kinds say of an agent and its intents, filed together.

use alloy::primitives::{B256, U256};
use meikan::event::{AuditLogEvent, Event, ExecutorEvent, GovernanceEvent};
use serde_json::json;

use super::chain::said;
use super::events::{ALICE, BOB};
use super::support::{hex, play};

#[tokio::test]
async fn an_intent_is_filed_under_the_agent_that_stated_it() {
    let (intent_id, agent_id) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let emitted = ExecutorEvent::IntentEmitted {
        intent_id,
        agent_id,
        dest_chain_id: U256::from(1),
        action_hash: B256::ZERO,
        nonce: U256::ZERO,
        expiry: U256::MAX,
    };
    let submitted = || ExecutorEvent::IntentSubmitted { intent_id, relayer: BOB, timestamp: U256::ZERO };
    let committed = AuditLogEvent::CommitmentLogged {
        agent_id,
        commitment_hash: intent_id,
        ipfs_cid: "nul\0".into(),
        submitter: ALICE,
        entry_index: U256::MAX,
    };
    let paused = GovernanceEvent::Paused { account: ALICE };
    let blocks = vec![
        vec![said(Event::Executor(emitted)), said(Event::Executor(submitted()))],
        vec![said(Event::Executor(submitted())), said(Event::AuditLog(committed)), said(Event::Governance(paused))],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(kind, wallet_agent, actor) ORDER BY begin_block, log_index) \
                  FROM audit_event";
    let agent = hex(agent_id);
    let expected = json!([
        ["INTENT_CREATED", agent, null],
        ["INTENT_SUBMITTED", agent, hex(BOB)],
        ["INTENT_SUBMITTED", agent, hex(BOB)],
        ["COMMITMENT", agent, hex(ALICE)],
        ["GOVERNANCE", null, hex(ALICE)],
    ]);
    assert_eq!(fixture.value(select).await, expected);
    let select = "SELECT fields FROM audit_event WHERE kind = 'COMMITMENT'";
    let fields = fixture.value(select).await;
    assert_eq!((&fields["ipfsCid"], &fields["entryIndex"]), (&json!("nul\u{fffd}"), &json!(U256::MAX.to_string())));
}
