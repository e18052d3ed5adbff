//! Wallets' agents, policies, intents and what the watchdog finds: their states after each block, and after rewinds.

use alloy::primitives::{Address, B256, U256};
use meikan::event::{
    AgentRegistryEvent, AuditLogEvent, Event, ExecutorEvent, GovernanceEvent, PolicyEvent, PolicyLimits, Role,
};
use serde_json::{Value, json};

use super::chain::{Chain, START, Said, said, said_of};
use super::events::{ALICE, BOB, registered};
use super::random::Random;
use super::support::{CHAIN, Fixture, follow, hex, play, wait_for_writer};

const AGENT: B256 = B256::repeat_byte(0xa0);
const INTENT: B256 = B256::repeat_byte(1);
const OTHER: B256 = B256::repeat_byte(2);

fn number(value: u64) -> U256 {
    U256::from(value)
}

fn executor(event: ExecutorEvent) -> Said {
    said(Event::Executor(event))
}

fn stated(intent_id: B256, nonce: u64, expiry: u64) -> Said {
    executor(ExecutorEvent::IntentEmitted {
        intent_id,
        agent_id: AGENT,
        dest_chain_id: number(1),
        action_hash: B256::ZERO,
        nonce: number(nonce),
        expiry: number(expiry),
    })
}

fn details(intent_id: B256, value: u64) -> Said {
    let (src_chain_id, value) = (number(CHAIN), number(value));
    executor(ExecutorEvent::IntentDetails { intent_id, src_chain_id, value, recipient: BOB, action: "pay\0".into() })
}

fn submitted(intent_id: B256) -> Said {
    executor(ExecutorEvent::IntentSubmitted { intent_id, relayer: BOB, timestamp: U256::ZERO })
}

fn executed(intent_id: B256) -> Said {
    executor(ExecutorEvent::IntentExecuted { intent_id, executor: BOB, timestamp: U256::ZERO })
}

fn disputed(intent_id: B256) -> Said {
    executor(ExecutorEvent::IntentDisputed { intent_id, disputer: ALICE, reason: "no".into() })
}

fn relayer(is_authorised: bool) -> Said {
    executor(if is_authorised {
        ExecutorEvent::RelayerAuthorized { relayer: BOB }
    } else {
        ExecutorEvent::RelayerRevoked { relayer: BOB }
    })
}

fn committed(agent_id: B256, hash: u8) -> Said {
    said(Event::AuditLog(AuditLogEvent::CommitmentLogged {
        agent_id,
        commitment_hash: B256::repeat_byte(hash),
        ipfs_cid: "".into(),
        submitter: ALICE,
        entry_index: U256::ZERO,
    }))
}

fn policy(per_day: u64, count: u64) -> Said {
    said(Event::AgentRegistry(AgentRegistryEvent::PolicyUpdated {
        agent_id: AGENT,
        policy: PolicyLimits {
            max_spend_per_day: number(per_day),
            max_tx_per_day: number(count),
            max_tx_per_hour: number(count),
            max_value_per_tx: number(100),
            allowed_chains: vec![number(1), U256::MAX],
            whitelist: vec![BOB],
            risk_level: 255,
        },
    }))
}

/// Each version of the intent: its span and its status.
async fn lives(fixture: &Fixture) -> Value {
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, end_block, status, log_index) ORDER BY begin_block) \
                  FROM intent WHERE intent_id = decode(repeat('01', 32), 'hex')";
    fixture.value(select).await
}

/// What was found: block, log, rule, and the block of the other event.
async fn findings(fixture: &Fixture) -> Vec<String> {
    let select = "SELECT concat_ws(' ', begin_block, log_index, rule, related_block) FROM finding \
                  ORDER BY begin_block, log_index, rule";
    fixture.texts(select).await
}

#[tokio::test]
async fn an_intent_is_what_its_events_say_and_lapses_with_the_clock_of_blocks_with_logs() {
    // Block 10 is at 1010, blocks 12 and 13 at 1012, 14 and 15 at 1014.
    let blocks = vec![
        vec![stated(INTENT, 0, 1_012), details(INTENT, 70), details(INTENT, 80)],
        vec![relayer(true), submitted(INTENT)],
        vec![],
        // In the last second it is open, and where nothing is logged no time passes.
        vec![registered(1, "", ALICE)],
        vec![],
        vec![registered(2, "", ALICE), registered(3, "", ALICE)],
        vec![submitted(INTENT)],
        vec![disputed(INTENT)],
        vec![executed(INTENT), executed(INTENT)],
    ];
    let (fixture, _) = play(blocks).await;
    let expected = json!([
        [START, START + 1, "CREATED", 6],
        [START + 1, START + 5, "SUBMITTED", 3],
        [START + 5, START + 6, "EXPIRED", 0],
        [START + 6, START + 7, "EXPIRED", 0],
        [START + 7, START + 8, "DISPUTED", 0],
        [START + 8, null, "EXECUTED", 3]
    ]);
    assert_eq!(lives(&fixture).await, expected);
    let select = "SELECT jsonb_build_object('value', value, 'action', action, 'raw', action_raw, 'spend', day_spend, \
                  'count', execution_count, 'submitted', submitted_block, 'executed', executed_log_index, \
                  'expired', expired_at, 'agent', wallet_agent) FROM intent WHERE end_block IS NULL";
    let expected = json!({
        "value": 70, "action": "pay\u{fffd}", "raw": hex("pay\0"), "spend": 70, "count": 2, "submitted": START + 1,
        "executed": 0, "expired": 1_014, "agent": hex(AGENT),
    });
    assert_eq!(fixture.value(select).await, expected, "of details and acts the first count");
    let expected = [
        format!("{} 0 OPEN_BEYOND_EXPIRY {START}", START + 5),
        format!("{} 0 EXECUTED_AFTER_DISPUTE {}", START + 8, START + 7),
        format!("{} 0 EXECUTED_AFTER_EXPIRY {START}", START + 8),
        format!("{} 0 EXECUTED_BEFORE_TIMELOCK {}", START + 8, START + 1),
        format!("{} 3 EXECUTED_AFTER_DISPUTE {}", START + 8, START + 7),
        format!("{} 3 EXECUTED_AFTER_EXPIRY {START}", START + 8),
        format!("{} 3 EXECUTED_BEFORE_TIMELOCK {}", START + 8, START + 1),
        format!("{} 3 EXECUTED_TWICE {}", START + 8, START + 8),
    ];
    assert_eq!(findings(&fixture).await, expected);
}

#[tokio::test]
async fn what_is_wrong_is_found_once_and_gone_with_its_block() {
    let system = |event| said_of(Event::Governance(event), Role::Executor);
    let agent = |event| said(Event::AgentRegistry(event));
    let engine = |event| said(Event::Policy(event));
    let message = ExecutorEvent::BridgeMessageReceived {
        agent_id: AGENT,
        intent_id: OTHER,
        message_id: B256::ZERO,
        src_chain_id: U256::ZERO,
        relayer: BOB,
    };
    let blocks = vec![
        vec![
            policy(100, 1),
            stated(INTENT, 0, 9_999),
            details(INTENT, 60),
            stated(OTHER, 0, 9_999),
            details(OTHER, 60),
        ],
        vec![relayer(true), submitted(INTENT), relayer(false), submitted(OTHER), executor(message)],
        vec![
            agent(AgentRegistryEvent::AgentDeactivated { agent_id: AGENT, by: ALICE, reason: "".into() }),
            engine(PolicyEvent::AgentPaused { agent_id: AGENT, by: ALICE, reason: "".into() }),
            system(GovernanceEvent::Paused { account: ALICE }),
            policy(100, 100),
            stated(INTENT, 5, 9_999),
        ],
        vec![
            agent(AgentRegistryEvent::AgentReactivated { agent_id: AGENT, by: ALICE, reason: "".into() }),
            engine(PolicyEvent::AgentUnpaused { agent_id: AGENT, by: ALICE, reason: "".into() }),
            system(GovernanceEvent::Unpaused { account: ALICE }),
            engine(PolicyEvent::CircuitBreakerTripped { timestamp: U256::ZERO, reason: "".into() }),
            stated(OTHER, 6, 9_999),
        ],
        vec![
            engine(PolicyEvent::CircuitBreakerReset { timestamp: U256::ZERO }),
            relayer(true),
            stated(INTENT, 7, 9_999),
            executed(INTENT),
        ],
        vec![committed(AGENT, 1), committed(OTHER, 2)],
        vec![committed(OTHER, 1), committed(OTHER, 1)],
    ];
    let (fixture, chain) = play(blocks).await;
    let found = findings(&fixture).await;
    let expected = [
        (0, 9, "DAILY_COUNT", Some(0)),
        (0, 9, "HOURLY_COUNT", Some(0)),
        (0, 9, "NONCE_REPEATED", Some(0)),
        (0, 12, "DAILY_SPEND", Some(0)),
        (1, 9, "RELAYER_UNAUTHORISED", Some(1)),
        (1, 12, "RELAYER_UNAUTHORISED", Some(1)),
        (2, 12, "AGENT_INACTIVE", Some(2)),
        (2, 12, "AGENT_PAUSED", Some(2)),
        (2, 12, "NONCE_GAP", Some(0)),
        (2, 12, "SYSTEM_PAUSED", Some(2)),
        (3, 12, "SYSTEM_PAUSED", Some(3)),
        (4, 9, "EXECUTED_WITHOUT_SUBMISSION", Some(4)),
        (6, 0, "DUPLICATE_COMMITMENT", Some(5)),
        (6, 3, "DUPLICATE_COMMITMENT", Some(5)),
    ];
    let expected = expected.map(|(block, log_index, rule, related)| {
        let related = related.map(|block: u64| format!(" {}", START + block)).unwrap_or_default();
        format!("{} {log_index} {rule}{related}", START + block)
    });
    assert_eq!(found, expected);
    // Whoever goes back forgets what was found above, and finds it again, with the same words.
    let before = fixture.dump(CHAIN).await;
    let changes = fixture.changes(CHAIN, START).await;
    for to in (START..chain.tip()).rev() {
        let mut writer = wait_for_writer(&fixture, CHAIN).await;
        follow(&mut writer, &chain, Some(to), to, None).await.unwrap();
        let kept = found.iter().filter(|found| found.split(' ').next().unwrap().parse::<u64>().unwrap() <= to).count();
        assert_eq!(findings(&fixture).await.len(), kept, "after a rewind to {to}");
        follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
        assert_eq!(fixture.dump(CHAIN).await, before, "after a rewind to {to}");
        assert_eq!(fixture.changes(CHAIN, START).await, changes, "changes after a rewind to {to}");
    }
}

#[tokio::test]
async fn f66_states_do_not_depend_on_where_a_history_is_cut() {
    let mut random = Random(1_117);
    let mut chain = Chain::default();
    for _ in 0..120 {
        chain.add((0..3).map(|_| said_in_the_trail(&mut random)).collect());
    }
    let (whole, cut) = tokio::join!(Fixture::create(), Fixture::create());
    let (mut one, mut many) = (whole.writer(CHAIN).await, cut.writer(CHAIN).await);
    follow(&mut one, &chain, None, chain.tip(), None).await.unwrap();
    let mut at = START - 1;
    while at < chain.tip() {
        // Along, then back to anywhere, then on.
        at = random.between(at, chain.tip()).max(START);
        follow(&mut many, &chain, None, at, None).await.unwrap();
        let back = random.between(at.saturating_sub(9).max(START), at);
        follow(&mut many, &chain, Some(back), back, None).await.unwrap();
        at = random.between(back + 1, chain.tip().min(back + 9).max(back + 1)).min(chain.tip());
        follow(&mut many, &chain, None, at, None).await.unwrap();
    }
    let (expected, held) = tokio::join!(whole.dump(CHAIN), cut.dump(CHAIN));
    for (table, rows) in &expected {
        assert_eq!(&held[table], rows, "{table} differs");
    }
    let rules = whole.texts("SELECT DISTINCT rule FROM finding ORDER BY 1").await;
    assert_eq!(rules.len(), 19, "every rule is broken somewhere: {rules:?}");
    let statuses = whole.texts("SELECT DISTINCT status FROM intent ORDER BY 1").await;
    assert_eq!(statuses, ["CREATED", "DISPUTED", "EXECUTED", "EXPIRED", "SUBMITTED"]);
}

/// An event of the audit contracts, or a pause of one.
fn said_in_the_trail(random: &mut Random) -> Said {
    let account = Address::ZERO;
    let role = if random.below(2) == 0 { Role::Executor } else { Role::PolicyEngine };
    match random.below(30) {
        0 => said_of(Event::Governance(GovernanceEvent::Paused { account }), role),
        1 | 2 => said_of(Event::Governance(GovernanceEvent::Unpaused { account }), role),
        _ => said(random.audit()),
    }
}
