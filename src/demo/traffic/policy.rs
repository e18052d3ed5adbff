//! Checks against policies that pass and fail, and everything that stops agents.

use alloy::primitives::U256;

use super::scene::{Plan, Scene, Subject};
use super::wallets::{COIN, OTHER_CHAINS};
use super::world::WalletAgent;
use crate::demo::contracts::abi::PolicyEngine;

/// A check of a thousandth of a coin: it passes unless the hour's transactions are used up.
pub(super) fn check(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(WalletAgent::may_act)?;
    let call = spending(scene, &agent, U256::from(COIN / 1_000));
    Some(Plan::call(agent.wallet, scene.deployment.policy_engine, &call, Subject::WalletAgent(agent.id)))
}

/// More at once than the policy allows.
pub(super) fn check_too_much_at_once(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(|_| true)?;
    let call = spending(scene, &agent, agent.max_value_per_tx + U256::from(1));
    Some(Plan::call(agent.owner, scene.deployment.policy_engine, &call, Subject::WalletAgent(agent.id)))
}

/// As much at once as the policy allows, which is more than it allows in a day: the agent's breaker is triggered.
pub(super) fn check_too_much_a_day(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(WalletAgent::may_act)?;
    let call = spending(scene, &agent, agent.max_value_per_tx);
    Some(Plan::call(agent.owner, scene.deployment.policy_engine, &call, Subject::WalletAgent(agent.id)))
}

fn spending(scene: &mut Scene<'_>, agent: &WalletAgent, value: U256) -> PolicyEngine::checkPolicyCall {
    PolicyEngine::checkPolicyCall {
        agentId: agent.id,
        value,
        destChainId: U256::from(scene.draw.pick(&OTHER_CHAINS).unwrap_or_default()),
        recipient: scene.cast.people[0],
    }
}

/// By the agent's owner, or over its head.
pub(super) fn pause_agent(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(|agent| agent.paused_by.is_none())?;
    let by = scene.draw.pick(&[agent.owner, scene.cast.admin])?;
    let reason = scene.draw.text(&["suspicious spending", "maintenance"]).into();
    let call = PolicyEngine::pauseAgentCall { agentId: agent.id, reason };
    Some(Plan::call(by, scene.deployment.policy_engine, &call, Subject::WalletAgent(agent.id)))
}

pub(super) fn unpause_agent(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(|agent| agent.paused_by.is_some())?;
    // What an owner paused its successor may lift, what a pauser did only an admin.
    let by = if agent.paused_by == Some(scene.cast.admin) { scene.cast.admin } else { agent.owner };
    let call = PolicyEngine::unpauseAgentCall { agentId: agent.id, reason: "cleared".into() };
    Some(Plan::call(by, scene.deployment.policy_engine, &call, Subject::WalletAgent(agent.id)))
}

/// An emergency of one block: declared, felt by a check, lifted.
pub(super) fn emergency(scene: &mut Scene<'_>) -> Option<Plan> {
    let (admin, engine) = (scene.cast.admin, scene.deployment.policy_engine);
    let agent = scene.wallet_agent(|_| true)?;
    let refused = spending(scene, &agent, U256::from(1));
    let begin = PolicyEngine::emergencyPauseCall { reason: "drill".into() };
    let end = PolicyEngine::emergencyUnpauseCall { reason: "drill over".into() };
    let plan = Plan::call(admin, engine, &begin, Subject::Everything);
    Some(plan.then(agent.owner, engine, &refused).then(admin, engine, &end))
}

/// The breaker over all agents, for one block: tripped, felt by a check, reset.
pub(super) fn breaker(scene: &mut Scene<'_>) -> Option<Plan> {
    let (admin, engine) = (scene.cast.admin, scene.deployment.policy_engine);
    let agent = scene.wallet_agent(|_| true)?;
    let refused = spending(scene, &agent, U256::from(1));
    let trip = PolicyEngine::tripCircuitBreakerCall { reason: "anomaly".into() };
    let plan = Plan::call(admin, engine, &trip, Subject::Everything);
    Some(plan.then(agent.owner, engine, &refused).then(admin, engine, &PolicyEngine::resetCircuitBreakerCall {}))
}
