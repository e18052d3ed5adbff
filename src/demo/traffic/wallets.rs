//! What owners do with their wallets' agents, and what these commit to.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;
use serde_json::json;

use super::files::cid;
use super::scene::{Plan, Scene, Subject};
use super::world::WalletAgent;
use crate::demo::DemoError;
use crate::demo::anvil::CHAIN_ID;
use crate::demo::contracts::abi::{AgentRegistry, AuditLog};

/// One coin of the chain, in its smallest unit.
pub(super) const COIN: u64 = 1_000_000_000_000_000_000;

/// What an agent may spend in a day, in coins. Below what it may spend at once, so that a check can run into it.
const COINS_PER_DAY: u64 = 5;

/// What an agent may spend at once, in coins.
const COINS_PER_TRANSACTION: u64 = 6;

/// The chains that intents go to: Taiko and Ethereum.
pub(super) const OTHER_CHAINS: [u64; 2] = [167_000, 1];

/// Registers an agent for the owner itself as its wallet, or for another wallet, which consents by a signature.
pub(super) async fn register(scene: &mut Scene<'_>) -> Result<Option<Plan>, DemoError> {
    let (Some(owner), Some(wallet)) = (scene.person(), free_wallet(scene)) else { return Ok(None) };
    let owner = if scene.draw.one_in(2) { wallet } else { owner };
    let (deadline, wallet_signature) = consent(scene, owner, wallet).await?;
    let call = AgentRegistry::registerAgentCall {
        wallet,
        metadataCID: cid(scene.draw),
        policy: policy(scene),
        deadline,
        walletSignature: wallet_signature,
    };
    Ok(Some(Plan::call(owner, scene.deployment.agent_registry, &call, Subject::Wallet(wallet))))
}

pub(super) async fn set_wallet(scene: &mut Scene<'_>) -> Result<Option<Plan>, DemoError> {
    let (Some(agent), Some(wallet)) = (scene.wallet_agent(|_| true), free_wallet(scene)) else { return Ok(None) };
    let (deadline, wallet_signature) = consent(scene, agent.owner, wallet).await?;
    let call = AgentRegistry::setWalletCall { agentId: agent.id, wallet, deadline, walletSignature: wallet_signature };
    Ok(Some(plan(scene, &agent, &call).and(Subject::Wallet(wallet)).and(Subject::Wallet(agent.wallet))))
}

fn free_wallet(scene: &mut Scene<'_>) -> Option<Address> {
    let is_taken = |wallet: &Address| scene.world.wallet_agents.values().any(|agent| agent.wallet == *wallet);
    let free: Vec<_> = scene.cast.people.iter().copied().filter(|wallet| !is_taken(wallet)).collect();
    scene.draw.pick(&free)
}

/// A wallet's consent to an agent of an owner, with its deadline; none is needed for the owner's own.
async fn consent(scene: &Scene<'_>, owner: Address, wallet: Address) -> Result<(U256, Bytes), DemoError> {
    if owner == wallet {
        return Ok((U256::ZERO, Bytes::new()));
    }
    let deadline = scene.consent_deadline();
    let nonce = scene.contracts().wallet_nonce(wallet).await?;
    let typed_data = json!({
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"}, {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"},
            ],
            "WalletConsent": [
                {"name": "owner", "type": "address"}, {"name": "wallet", "type": "address"},
                {"name": "nonce", "type": "uint256"}, {"name": "deadline", "type": "uint256"},
            ],
        },
        "primaryType": "WalletConsent",
        "domain": {
            "name": "MeikanAgentRegistry", "version": "1", "chainId": CHAIN_ID,
            "verifyingContract": scene.deployment.agent_registry,
        },
        "message": {"owner": owner, "wallet": wallet, "nonce": nonce.to_string(), "deadline": deadline.to_string()},
    });
    Ok((deadline, scene.rpc.sign(wallet, typed_data).await?))
}

/// A policy under which the traffic's ordinary checks pass. Whoever is whitelisted, the first person is.
fn policy(scene: &mut Scene<'_>) -> AgentRegistry::Policy {
    let coins = |coins: u64| U256::from(coins) * U256::from(COIN);
    let is_open = scene.draw.one_in(2);
    AgentRegistry::Policy {
        maxSpendPerDay: coins(COINS_PER_DAY),
        maxTxPerDay: U256::from(10_000),
        maxTxPerHour: U256::from(scene.draw.pick(&[60, 1_000]).unwrap_or(1_000)),
        maxValuePerTx: coins(COINS_PER_TRANSACTION),
        allowedChains: if is_open { Vec::new() } else { OTHER_CHAINS.map(U256::from).to_vec() },
        whitelist: if is_open { Vec::new() } else { scene.cast.people[..2].to_vec() },
        riskLevel: scene.draw.pick(&[0, 1, 2, 3]).unwrap_or_default(),
    }
}

pub(super) fn set_policy(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(|_| true)?;
    let call = AgentRegistry::setPolicyCall { agentId: agent.id, policy: policy(scene) };
    Some(plan(scene, &agent, &call))
}

pub(super) fn set_metadata_cid(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(|_| true)?;
    let call = AgentRegistry::setMetadataCIDCall { agentId: agent.id, metadataCID: cid(scene.draw) };
    Some(plan(scene, &agent, &call))
}

pub(super) fn transfer(scene: &mut Scene<'_>) -> Option<Plan> {
    let (agent, new_owner) = (scene.wallet_agent(|_| true)?, scene.person()?);
    let call = AgentRegistry::transferAgentCall { agentId: agent.id, newOwner: new_owner };
    Some(plan(scene, &agent, &call))
}

pub(super) fn deactivate(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(|agent| agent.is_active)?;
    let reason = scene.draw.text(&["key rotation", "out of service", ""]).into();
    let call = AgentRegistry::deactivateAgentCall { agentId: agent.id, reason };
    Some(plan(scene, &agent, &call))
}

pub(super) fn reactivate(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(|agent| !agent.is_active)?;
    let call = AgentRegistry::reactivateAgentCall { agentId: agent.id, reason: "back in service".into() };
    Some(plan(scene, &agent, &call))
}

fn plan(scene: &Scene<'_>, agent: &WalletAgent, call: &impl SolCall) -> Plan {
    Plan::call(agent.owner, scene.deployment.agent_registry, call, Subject::WalletAgent(agent.id))
}

/// A commitment to a record elsewhere, by the agent's owner or its wallet.
pub(super) fn commit(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.wallet_agent(|_| true)?;
    let submitter = scene.draw.pick(&[agent.owner, agent.wallet])?;
    let call =
        AuditLog::logCommitmentCall { agentId: agent.id, commitmentHash: scene.draw.hash(), ipfsCID: cid(scene.draw) };
    Some(Plan::call(submitter, scene.deployment.audit_log, &call, Subject::WalletAgent(agent.id)))
}
