//! Each rule with what breaks it and what, by a hair, does not.

use alloy::primitives::{Address, B256, U256};

use super::{Entry, Rule, State, TIMELOCK_SECONDS, Verdict, judge, lapsed};
use crate::event::{AuditLogEvent, Event, ExecutorEvent, PolicyLimits};
use crate::store::apply::counters::{Counter, Usage};
use crate::store::apply::intents::{Act, Details, Intent, Statement};
use crate::store::apply::mark::Mark;
use crate::store::apply::switches::HaltKind;
use crate::store::apply::timeline::Place;
use crate::store::apply::wallets::WalletAgent;

const INTENT: B256 = B256::repeat_byte(1);
const AGENT: B256 = B256::repeat_byte(2);
const RELAYER: Address = Address::repeat_byte(3);
const RECIPIENT: Address = Address::repeat_byte(4);
const DEST: U256 = U256::from_limbs([167_000, 0, 0, 0]);

/// The time of the event that is judged.
const NOW: u64 = 1_700_000_000;

fn mark(block: u64) -> Mark {
    Mark { block, log_index: 7 }
}

fn place() -> Place {
    Place { block: 100, log_index: 0, time: NOW, transaction: B256::ZERO }
}

fn number(value: u64) -> U256 {
    U256::from(value)
}

/// A policy that allows what the tests do, to the last unit.
fn policy() -> PolicyLimits {
    PolicyLimits {
        max_spend_per_day: number(1_000),
        max_tx_per_day: number(10),
        max_tx_per_hour: number(5),
        max_value_per_tx: number(100),
        allowed_chains: vec![number(1), DEST],
        whitelist: vec![Address::ZERO, RECIPIENT],
        risk_level: 1,
    }
}

fn statement() -> Statement {
    Statement {
        mark: mark(1),
        time: NOW - 1_000,
        wallet_agent: AGENT,
        dest_chain_id: DEST,
        action_hash: B256::ZERO,
        nonce: U256::ZERO,
        expiry: number(NOW),
        day_count: 1,
        hour_count: 1,
    }
}

/// An intent that may be executed now, in the last second.
fn due() -> Intent {
    let details = Details {
        src_chain_id: U256::ZERO,
        value: number(100),
        recipient: RECIPIENT,
        action: "".into(),
        day_spend: Some(number(100)),
    };
    let submitted = Act { mark: mark(2), time: NOW - TIMELOCK_SECONDS, by: RELAYER };
    let stated = Intent { statement: Some(statement()), details: Some(details), ..Intent::untold(1) };
    Intent { submitted: Some(submitted), ..stated }
}

fn emitted(nonce: u64) -> Event {
    Event::Executor(ExecutorEvent::IntentEmitted {
        intent_id: INTENT,
        agent_id: AGENT,
        dest_chain_id: DEST,
        action_hash: B256::ZERO,
        nonce: number(nonce),
        expiry: U256::MAX,
    })
}

fn details(value: u64, recipient: Address) -> Event {
    Event::Executor(ExecutorEvent::IntentDetails {
        intent_id: INTENT,
        src_chain_id: U256::ZERO,
        value: number(value),
        recipient,
        action: "".into(),
    })
}

fn submitted() -> Event {
    Event::Executor(ExecutorEvent::IntentSubmitted { intent_id: INTENT, relayer: RELAYER, timestamp: U256::ZERO })
}

fn executed() -> Event {
    Event::Executor(ExecutorEvent::IntentExecuted { intent_id: INTENT, executor: RELAYER, timestamp: U256::ZERO })
}

/// A state in which nothing is wrong with anything that the tests do.
fn state<'a>(intent: Option<&'a Intent>, agent: &'a WalletAgent, policy: &'a PolicyLimits) -> State<'a> {
    State {
        intent,
        agent: Some(agent),
        policy: Some((mark(3), policy)),
        relayer: Some((mark(4), true)),
        ..State::default()
    }
}

/// A rule, and the block of the other event that makes it broken.
type Wrong = (Rule, Option<u64>);

/// What is wrong.
fn found(event: &Event, state: &State<'_>) -> Vec<Wrong> {
    let verdicts = judge(&Entry { place: &place(), event }, state);
    assert!(verdicts.iter().all(|verdict| verdict.subject == INTENT), "{verdicts:?}");
    verdicts.iter().map(|verdict| (verdict.rule, verdict.related.map(|mark| mark.block))).collect()
}

fn agent() -> WalletAgent {
    WalletAgent::first_seen(&place())
}

/// Asserts what is wrong with the execution of each of these intents.
fn executions(cases: Vec<(&str, Intent, Vec<Wrong>)>) {
    let (agent, policy) = (agent(), policy());
    for (name, intent, expected) in cases {
        assert_eq!(found(&executed(), &state(Some(&intent), &agent, &policy)), expected, "{name}");
    }
}

#[test]
fn nothing_is_wrong_with_what_keeps_every_limit_to_the_last_unit() {
    let (agent, policy) = (agent(), policy());
    let usage = Usage { day_count: 9, day_spend: number(900), hour_count: 4 };
    let undetailed = Intent { details: None, ..due() };
    for event in [emitted(0), details(100, RECIPIENT), submitted(), executed()] {
        let intent =
            if matches!(event, Event::Executor(ExecutorEvent::IntentDetails { .. })) { &undetailed } else { &due() };
        assert_eq!(found(&event, &State { usage, ..state(Some(intent), &agent, &policy) }), [], "{event:?}");
    }
}

#[test]
fn executed_before_timelock() {
    let at = |time| Intent { submitted: Some(Act { mark: mark(2), time, by: RELAYER }), ..due() };
    executions(vec![
        ("a second early", at(NOW - TIMELOCK_SECONDS + 1), vec![(Rule::ExecutedBeforeTimelock, Some(2))]),
        ("in the same block", at(NOW), vec![(Rule::ExecutedBeforeTimelock, Some(2))]),
        ("in time", at(NOW - TIMELOCK_SECONDS), vec![]),
    ]);
}

#[test]
fn executed_without_submission() {
    executions(vec![
        ("never submitted", Intent { submitted: None, ..due() }, vec![(Rule::ExecutedWithoutSubmission, Some(1))]),
        ("its statement was not seen", Intent::untold(1), vec![]),
    ]);
}

#[test]
fn executed_twice() {
    let first = Some(Act { mark: mark(5), time: NOW, by: RELAYER });
    executions(vec![("again", Intent { executed: first, ..due() }, vec![(Rule::ExecutedTwice, Some(5))])]);
}

#[test]
fn executed_after_expiry() {
    let until = |expiry| Intent { statement: Some(Statement { expiry, ..statement() }), ..due() };
    executions(vec![
        ("a second late", until(number(NOW - 1)), vec![(Rule::ExecutedAfterExpiry, Some(1))]),
        ("in the last second", until(number(NOW)), vec![]),
        ("no end", until(U256::MAX), vec![]),
    ]);
}

#[test]
fn executed_after_dispute() {
    let dispute = (Act { mark: mark(6), time: NOW, by: RELAYER }, "".into());
    let disputed = Intent { disputed: Some(dispute), ..due() };
    executions(vec![("stopped", disputed, vec![(Rule::ExecutedAfterDispute, Some(6))])]);
}

#[test]
fn nonce_gap_and_nonce_repeated() {
    let (agent, policy) = (agent(), policy());
    let after_four = Counter { next_nonce: number(5), newest: Some(mark(8)), ..Counter::default() };
    for (nonce, counter, expected) in [
        (0, Counter::default(), vec![]),
        (1, Counter::default(), vec![(Rule::NonceGap, None)]),
        (5, after_four, vec![]),
        (6, after_four, vec![(Rule::NonceGap, Some(8))]),
        (4, after_four, vec![(Rule::NonceRepeated, Some(8))]),
        (0, after_four, vec![(Rule::NonceRepeated, Some(8))]),
    ] {
        let state = State { counter, ..state(None, &agent, &policy) };
        assert_eq!(found(&emitted(nonce), &state), expected, "nonce {nonce} after {counter:?}");
    }
}

#[test]
fn relayer_unauthorised() {
    let (agent, policy, intent) = (agent(), policy(), due());
    let message = Event::Executor(ExecutorEvent::BridgeMessageReceived {
        agent_id: AGENT,
        intent_id: INTENT,
        message_id: B256::ZERO,
        src_chain_id: U256::ZERO,
        relayer: RELAYER,
    });
    for event in [submitted(), executed(), message] {
        for (relayer, expected) in [
            (None, vec![(Rule::RelayerUnauthorised, None)]),
            (Some((mark(9), false)), vec![(Rule::RelayerUnauthorised, Some(9))]),
            (Some((mark(9), true)), vec![]),
        ] {
            let state = State { relayer, ..state(Some(&intent), &agent, &policy) };
            assert_eq!(found(&event, &state), expected, "{event:?}");
        }
    }
}

#[test]
fn agent_inactive_and_agent_paused() {
    let (policy, intent) = (policy(), due());
    let off = WalletAgent { is_active: false, switched: Some(mark(10)), ..agent() };
    let paused = WalletAgent { is_paused: true, paused: Some(mark(11)), ..agent() };
    for (agent, expected) in [(&off, (Rule::AgentInactive, Some(10))), (&paused, (Rule::AgentPaused, Some(11)))] {
        for event in [emitted(0), executed()] {
            assert_eq!(found(&event, &state(Some(&intent), agent, &policy)), [expected], "{event:?}");
        }
        // A relayer may take an intent up whose agent is stopped: nothing runs yet.
        assert_eq!(found(&submitted(), &state(Some(&intent), agent, &policy)), []);
    }
}

#[test]
fn system_paused() {
    let (agent, policy, intent) = (agent(), policy(), due());
    let state = State { halt: Some((mark(12), HaltKind::Breaker)), ..state(Some(&intent), &agent, &policy) };
    for (event, expected) in [
        (emitted(0), vec![(Rule::SystemPaused, Some(12))]),
        (executed(), vec![(Rule::SystemPaused, Some(12))]),
        (submitted(), vec![]),
    ] {
        assert_eq!(found(&event, &state), expected, "{event:?}");
    }
}

#[test]
fn daily_count_and_hourly_count() {
    let (agent, policy) = (agent(), policy());
    for (day_count, hour_count, expected) in [
        (9, 4, vec![]),
        (10, 4, vec![(Rule::DailyCount, Some(3))]),
        (9, 5, vec![(Rule::HourlyCount, Some(3))]),
        (10, 5, vec![(Rule::DailyCount, Some(3)), (Rule::HourlyCount, Some(3))]),
    ] {
        let state =
            State { usage: Usage { day_count, hour_count, ..Usage::default() }, ..state(None, &agent, &policy) };
        assert_eq!(found(&emitted(0), &state), expected, "{day_count} a day, {hour_count} an hour");
    }
}

#[test]
fn daily_spend() {
    let (agent, policy) = (agent(), policy());
    let intent = Intent { details: None, ..due() };
    for (day_spend, expected) in [
        (number(900), vec![]),
        (number(901), vec![(Rule::DailySpend, Some(3))]),
        (U256::MAX, vec![(Rule::DailySpend, Some(3))]),
    ] {
        let state = State { usage: Usage { day_spend, ..Usage::default() }, ..state(Some(&intent), &agent, &policy) };
        assert_eq!(found(&details(100, RECIPIENT), &state), expected, "{day_spend} before");
    }
}

#[test]
fn value_per_tx_and_recipient_not_allowed() {
    let (agent, policy) = (agent(), policy());
    let open = PolicyLimits { whitelist: vec![], ..policy.clone() };
    let (stranger, intent) = (Address::repeat_byte(9), Intent { details: None, ..due() });
    for (policy, event, expected) in [
        (&policy, details(101, RECIPIENT), vec![(Rule::ValuePerTx, Some(3))]),
        (&policy, details(100, stranger), vec![(Rule::RecipientNotAllowed, Some(3))]),
        (&open, details(100, stranger), vec![]),
    ] {
        assert_eq!(found(&event, &state(Some(&intent), &agent, policy)), expected, "{event:?}");
    }
    // Of details the first count.
    assert_eq!(found(&details(101, stranger), &state(Some(&due()), &agent, &policy)), []);
}

#[test]
fn chain_not_allowed() {
    let agent = agent();
    for (allowed_chains, expected) in
        [(vec![number(1)], vec![(Rule::ChainNotAllowed, Some(3))]), (vec![DEST], vec![]), (vec![], vec![])]
    {
        let policy = PolicyLimits { allowed_chains, ..policy() };
        assert_eq!(found(&emitted(0), &state(None, &agent, &policy)), expected, "{policy:?}");
    }
}

#[test]
fn an_execution_is_held_against_the_policy_that_is_in_force_then() {
    let (agent, intent) = (agent(), due());
    let tightened = PolicyLimits {
        max_value_per_tx: number(99),
        allowed_chains: vec![number(1)],
        whitelist: vec![Address::ZERO],
        // What was counted when it was stated is not counted again.
        max_spend_per_day: U256::ZERO,
        max_tx_per_day: U256::ZERO,
        max_tx_per_hour: U256::ZERO,
        ..policy()
    };
    let expected = [Rule::ChainNotAllowed, Rule::ValuePerTx, Rule::RecipientNotAllowed].map(|rule| (rule, Some(3)));
    assert_eq!(found(&executed(), &state(Some(&intent), &agent, &tightened)), expected);
}

#[test]
fn open_beyond_expiry() {
    let act = Act { mark: mark(5), time: NOW, by: RELAYER };
    for (name, time, intent, expected) in [
        ("in the last second", NOW, due(), false),
        ("a second later", NOW + 1, due(), true),
        ("never submitted", NOW + 1, Intent { submitted: None, ..due() }, true),
        ("executed", NOW + 1, Intent { executed: Some(act), ..due() }, false),
        ("disputed", NOW + 1, Intent { disputed: Some((act, "".into())), ..due() }, false),
        ("told already", NOW + 1, Intent { expired: Some((1, 1)), ..due() }, false),
        ("its statement was not seen", NOW + 1, Intent::untold(1), false),
    ] {
        let verdict = lapsed(INTENT, time, &intent);
        let found = verdict.map(|Verdict { rule, related, .. }| (rule, related.map(|mark| mark.block)));
        assert_eq!(found, expected.then_some((Rule::OpenBeyondExpiry, Some(1))), "{name}");
    }
}

#[test]
fn duplicate_commitment() {
    let event = Event::AuditLog(AuditLogEvent::CommitmentLogged {
        agent_id: AGENT,
        commitment_hash: INTENT,
        ipfs_cid: "".into(),
        submitter: RELAYER,
        entry_index: U256::ZERO,
    });
    assert_eq!(found(&event, &State::default()), []);
    let state = State { commitment: Some((mark(13), AGENT)), ..State::default() };
    assert_eq!(found(&event, &state), [(Rule::DuplicateCommitment, Some(13))]);
}
