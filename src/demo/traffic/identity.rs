//! What owners and operators do with their agents in the identity registry.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::{SolCall, SolValue};
use serde_json::json;

use super::files::Form;
use super::scene::{Plan, Scene, Subject};
use crate::demo::anvil::CHAIN_ID;
use crate::demo::contracts::abi::Identity;
use crate::demo::{Call, DemoError};

/// Gas for a URI: storing 32 bytes takes about 22,000, and the calldata its part.
const GAS_PER_URI_BYTE: u64 = 1_000;

/// Gas for taking away the longest URI before a shorter one is written: 5,000 for each 32 bytes of 100 kB.
const GAS_TO_CLEAR_URI: u64 = 20_000_000;

/// Agents beyond this number are not registered: a demo that runs for days stays a demo.
const MAX_AGENTS: usize = 1_500;

pub(super) fn register(scene: &mut Scene<'_>, form: Form) -> Option<Plan> {
    let owner = scene.person().filter(|_| scene.world.agents.len() < MAX_AGENTS)?;
    let uri = form.uri(scene.draw);
    let data = if form == Form::Empty {
        Identity::register_0Call {}.abi_encode()
    } else {
        // A URI may be no text at all: the ABI encodes a string like bytes.
        [Identity::register_1Call::SELECTOR.as_slice(), &(Bytes::from(uri.clone()),).abi_encode_params()].concat()
    };
    // A registration depends on nothing: nobody knows the agent's id before.
    Some(Plan { calls: vec![uri_call(owner, scene.deployment.identity, data, &uri)], subjects: Vec::new() })
}

pub(super) fn register_with_metadata(scene: &mut Scene<'_>) -> Option<Plan> {
    let owner = scene.person().filter(|_| scene.world.agents.len() < MAX_AGENTS)?;
    let uri = Form::Base64.uri(scene.draw);
    let entry = |key: &str, value: &[u8]| Identity::MetadataEntry {
        metadataKey: key.into(),
        metadataValue: Bytes::copy_from_slice(value),
    };
    let call = Identity::register_2Call {
        agentURI: String::from_utf8_lossy(&uri).into_owned(),
        metadata: vec![entry("agentName", b"Register"), entry("version", &[1, 0, 0]), entry("名前", "名鑑".as_bytes())],
    };
    let call = uri_call(owner, scene.deployment.identity, call.abi_encode(), &uri);
    Some(Plan { calls: vec![call], subjects: Vec::new() })
}

pub(super) fn set_uri(scene: &mut Scene<'_>, form: Form) -> Option<Plan> {
    let agent = scene.agent(|_| true)?;
    let sender = agent.approved.filter(|_| scene.draw.one_in(2)).unwrap_or(agent.owner);
    let uri = form.uri(scene.draw);
    let arguments = (agent.id, Bytes::from(uri.clone())).abi_encode_params();
    let data = [Identity::setAgentURICall::SELECTOR.as_slice(), &arguments].concat();
    let call = uri_call(sender, scene.deployment.identity, data, &uri);
    let gas = call.gas + GAS_TO_CLEAR_URI;
    Some(Plan { calls: vec![call.with_gas(gas)], subjects: vec![Subject::Agent(agent.id)] })
}

fn uri_call(from: Address, identity: Address, data: Vec<u8>, uri: &[u8]) -> Call {
    let call = Call::new(from, identity, data);
    let gas = call.gas + GAS_PER_URI_BYTE * uri.len() as u64;
    call.with_gas(gas)
}

pub(super) fn set_metadata(scene: &mut Scene<'_>) -> Option<Plan> {
    let key = scene.draw.text(&["agentName", "version", "homepage", "pricing", "プロフィール"]);
    let value = [key.as_bytes(), scene.draw.hash().as_slice()].concat();
    write_metadata(scene, key.as_bytes(), &value)
}

/// Keys that differ only in what cannot be shown (F45, F46).
pub(super) fn set_hostile_metadata(scene: &mut Scene<'_>) -> Option<Plan> {
    let keys: [&[u8]; 4] = [b"nul\0", b"nul\xff", b"'; DROP TABLE agent_metadata; --", b"\xf0\x9f\x92"];
    let key = scene.draw.pick(&keys)?;
    write_metadata(scene, key, b"\0\xff")
}

pub(super) fn clear_metadata(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.agent(|agent| !agent.metadata.is_empty())?;
    let keys: Vec<_> = agent.metadata.iter().collect();
    let key = scene.draw.pick(&keys)?;
    Some(metadata_plan(scene, agent.owner, agent.id, key, &[]))
}

fn write_metadata(scene: &mut Scene<'_>, key: &[u8], value: &[u8]) -> Option<Plan> {
    let agent = scene.agent(|_| true)?;
    Some(metadata_plan(scene, agent.owner, agent.id, key, value))
}

fn metadata_plan(scene: &Scene<'_>, sender: Address, agent: U256, key: &[u8], value: &[u8]) -> Plan {
    let arguments = (agent, Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)).abi_encode_params();
    let data = [Identity::setMetadataCall::SELECTOR.as_slice(), &arguments].concat();
    let call = Call::new(sender, scene.deployment.identity, data);
    Plan { calls: vec![call], subjects: vec![Subject::Agent(agent)] }
}

/// Sometimes to the owner itself, which clears the wallet all the same.
pub(super) fn transfer(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.agent(|_| true)?;
    let to = scene.person()?;
    let call = Identity::transferFromCall { from: agent.owner, to, tokenId: agent.id };
    Some(Plan::call(agent.owner, scene.deployment.identity, &call, Subject::Agent(agent.id)))
}

/// The new wallet consents by a signature (EIP-712).
pub(super) async fn set_wallet(scene: &mut Scene<'_>) -> Result<Option<Plan>, DemoError> {
    let (Some(agent), Some(wallet)) = (scene.agent(|_| true), scene.person()) else { return Ok(None) };
    let deadline = scene.consent_deadline();
    let typed_data = json!({
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"}, {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"}, {"name": "verifyingContract", "type": "address"},
            ],
            "AgentWalletSet": [
                {"name": "agentId", "type": "uint256"}, {"name": "newWallet", "type": "address"},
                {"name": "owner", "type": "address"}, {"name": "deadline", "type": "uint256"},
            ],
        },
        "primaryType": "AgentWalletSet",
        "domain": {
            "name": "ERC8004IdentityRegistry", "version": "1", "chainId": CHAIN_ID,
            "verifyingContract": scene.deployment.identity,
        },
        "message": {
            "agentId": agent.id.to_string(), "newWallet": wallet, "owner": agent.owner,
            "deadline": deadline.to_string(),
        },
    });
    let signature = scene.rpc.sign(wallet, typed_data).await?;
    let call = Identity::setAgentWalletCall { agentId: agent.id, newWallet: wallet, deadline, signature };
    Ok(Some(Plan::call(agent.owner, scene.deployment.identity, &call, Subject::Agent(agent.id))))
}

pub(super) fn unset_wallet(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.agent(|agent| agent.wallet.is_some())?;
    let call = Identity::unsetAgentWalletCall { agentId: agent.id };
    Some(Plan::call(agent.owner, scene.deployment.identity, &call, Subject::Agent(agent.id)))
}

pub(super) fn approve(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.agent(|agent| agent.approved.is_none())?;
    let operator = scene.draw.pick(&scene.cast.operators)?;
    let call = Identity::approveCall { to: operator, tokenId: agent.id };
    Some(Plan::call(agent.owner, scene.deployment.identity, &call, Subject::Agent(agent.id)))
}

pub(super) fn withdraw_approval(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.agent(|agent| agent.approved.is_some())?;
    let call = Identity::approveCall { to: Address::ZERO, tokenId: agent.id };
    Some(Plan::call(agent.owner, scene.deployment.identity, &call, Subject::Agent(agent.id)))
}

pub(super) fn approve_for_all(scene: &mut Scene<'_>) -> Option<Plan> {
    let (owner, operator) = (scene.person()?, scene.draw.pick(&scene.cast.operators)?);
    let call = Identity::setApprovalForAllCall { operator, approved: true };
    Some(Plan::call(owner, scene.deployment.identity, &call, Subject::OwnerOfAgents(owner)))
}

pub(super) fn withdraw_approval_for_all(scene: &mut Scene<'_>) -> Option<Plan> {
    let approvals: Vec<_> = scene.world.operators.iter().copied().collect();
    let (owner, operator) = scene.draw.pick(&approvals)?;
    let call = Identity::setApprovalForAllCall { operator, approved: false };
    Some(Plan::call(owner, scene.deployment.identity, &call, Subject::OwnerOfAgents(owner)))
}
