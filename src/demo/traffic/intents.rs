//! Cross-chain intents: stated, submitted, executed or disputed; relayers and messages.

use alloy::primitives::{Address, U256};

use super::scene::{Plan, Scene, Subject};
use super::wallets::{COIN, OTHER_CHAINS};
use super::world::{Intent, WalletAgent};
use crate::demo::contracts::abi::Executor;

/// How long an intent lasts beyond its timelock, in seconds. Some lapse before anybody takes them up.
const LIFETIMES_SECONDS: [u64; 3] = [40, 3_600, 86_400];

/// An intent this close to its expiry, in seconds, is left to lapse: a block may be late.
const EXPIRY_MARGIN_SECONDS: u64 = 30;

/// An intent that the agent's policy allows.
pub(super) fn emit(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(WalletAgent::may_act)?;
    let value = U256::from(COIN / 1_000) * U256::from(1 + scene.draw.below(5));
    Some(statement(scene, &agent, value))
}

/// An intent beyond the agent's policy: the executor states nothing, the engine tells why.
pub(super) fn emit_refused(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(|_| true)?;
    let value = agent.max_value_per_tx * U256::from(2);
    Some(statement(scene, &agent, value))
}

fn statement(scene: &mut Scene<'_>, agent: &WalletAgent, value: U256) -> Plan {
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let lifetime = scene.draw.pick(&LIFETIMES_SECONDS).unwrap_or_default();
    let call = Executor::emitIntentCall {
        agentId: agent.id,
        destChainId: U256::from(scene.draw.pick(&OTHER_CHAINS).unwrap_or_default()),
        value,
        recipient: scene.cast.people[0],
        action: scene.draw.text(&["transfer", "swap USDC for ETH", "pay invoice 名鑑-8004"]).into(),
        expiry: scene.now.max(clock.as_secs()) + scene.deployment.limits.timelock_seconds + lifetime,
    };
    Plan::call(agent.owner, scene.deployment.executor, &call, Subject::WalletAgent(agent.id))
}

pub(super) fn submit(scene: &mut Scene<'_>) -> Option<Plan> {
    let intent = open_intent(scene, |intent, _| intent.submitted_at.is_none())?;
    let relayer = relayer(scene)?;
    let call = Executor::submitIntentCall { intentId: intent.id };
    Some(by_relayer(scene, relayer, &call, intent))
}

/// Once the timelock is over, unless the agent was stopped meanwhile.
pub(super) fn execute(scene: &mut Scene<'_>) -> Option<Plan> {
    let timelock = scene.deployment.limits.timelock_seconds;
    let (now, agents) = (scene.now, &scene.world.wallet_agents);
    let intent = open_intent(scene, |intent, _| {
        let is_unlocked = intent.submitted_at.is_some_and(|submitted_at| submitted_at + timelock <= now);
        is_unlocked && agents.get(&intent.agent).is_some_and(WalletAgent::may_act)
    })?;
    let relayer = relayer(scene)?;
    let call = Executor::executeIntentCall { intentId: intent.id };
    Some(by_relayer(scene, relayer, &call, intent))
}

pub(super) fn dispute(scene: &mut Scene<'_>) -> Option<Plan> {
    let intent = open_intent(scene, |_, agent| agent.is_some())?;
    let owner = scene.world.wallet_agents.get(&intent.agent)?.owner;
    let reason = scene.draw.text(&["recipient unknown", "amount differs from the order"]).into();
    let call = Executor::disputeIntentCall { intentId: intent.id, reason };
    Some(Plan::call(owner, scene.deployment.executor, &call, Subject::WalletAgent(intent.agent)))
}

/// An intent that is not about to lapse and for which something holds, told with its agent.
fn open_intent(scene: &mut Scene<'_>, fits: impl Fn(&Intent, Option<&WalletAgent>) -> bool) -> Option<Intent> {
    let lasts = |intent: &Intent| intent.expiry > scene.now + EXPIRY_MARGIN_SECONDS;
    let agent = |intent: &Intent| scene.world.wallet_agents.get(&intent.agent);
    let open = scene.world.intents.iter().filter(|intent| lasts(intent) && fits(intent, agent(intent)));
    let open: Vec<_> = open.copied().collect();
    scene.draw.pick(&open)
}

fn by_relayer(scene: &Scene<'_>, relayer: Address, call: &impl alloy::sol_types::SolCall, intent: Intent) -> Plan {
    let plan = Plan::call(relayer, scene.deployment.executor, call, Subject::WalletAgent(intent.agent));
    plan.and(Subject::Relayer(relayer))
}

fn relayer(scene: &mut Scene<'_>) -> Option<Address> {
    let relayers: Vec<_> = scene.world.relayers.iter().copied().collect();
    scene.draw.pick(&relayers)
}

/// A message of another chain about one of the agents.
pub(super) fn receive_message(scene: &mut Scene<'_>) -> Option<Plan> {
    let (agent, relayer) = (scene.wallet_agent(|_| true)?, relayer(scene)?);
    let call = Executor::receiveBridgeMessageCall {
        srcChainId: U256::from(scene.draw.pick(&OTHER_CHAINS)?),
        agentId: agent.id,
        intentId: scene.draw.hash(),
    };
    Some(Plan::call(relayer, scene.deployment.executor, &call, Subject::Relayer(relayer)))
}

pub(super) fn authorize_relayer(scene: &mut Scene<'_>) -> Option<Plan> {
    let relayer = scene.cast.relayers.into_iter().find(|relayer| !scene.world.relayers.contains(relayer))?;
    let call = Executor::authorizeRelayerCall { relayer };
    Some(Plan::call(scene.cast.admin, scene.deployment.executor, &call, Subject::Relayer(relayer)))
}

/// One is always left.
pub(super) fn revoke_relayer(scene: &mut Scene<'_>) -> Option<Plan> {
    let relayer = relayer(scene).filter(|_| scene.world.relayers.len() > 1)?;
    let call = Executor::revokeRelayerCall { relayer };
    Some(Plan::call(scene.cast.admin, scene.deployment.executor, &call, Subject::Relayer(relayer)))
}
