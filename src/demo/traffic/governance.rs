//! What the owner of the contracts does with them; each is undone within its block.

use alloy::primitives::{Address, Bytes, U256, uint};

use super::scene::{Plan, Scene, Subject};
use crate::demo::DemoError;
use crate::demo::contracts::abi::Governed;
use crate::demo::deploy::role;

/// Where a proxy keeps its implementation (ERC-1967).
const IMPLEMENTATION_SLOT: U256 = uint!(0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc_U256);

fn contract(scene: &mut Scene<'_>) -> Option<Address> {
    let all = scene.deployment.contracts();
    let addresses: Vec<_> = all.all().map(|(_, _, address)| address).collect();
    scene.draw.pick(&addresses)
}

/// A contract is stopped and started again.
pub(super) fn pause(scene: &mut Scene<'_>) -> Option<Plan> {
    let (admin, contract) = (scene.cast.admin, contract(scene)?);
    let plan = Plan::call(admin, contract, &Governed::pauseCall {}, Subject::Everything);
    Some(plan.then(admin, contract, &Governed::unpauseCall {}))
}

/// Somebody may pause a contract, and may no longer.
pub(super) fn lend_role(scene: &mut Scene<'_>) -> Option<Plan> {
    let (admin, contract) = (scene.cast.admin, contract(scene)?);
    let (role, account) = (role("PAUSER_ROLE"), scene.draw.pick(&scene.cast.operators)?);
    let plan = Plan::call(admin, contract, &Governed::grantRoleCall { role, account }, Subject::Everything);
    Some(plan.then(admin, contract, &Governed::revokeRoleCall { role, account }))
}

/// A contract is given away, with all roles, and given back.
pub(super) fn lend_ownership(scene: &mut Scene<'_>) -> Option<Plan> {
    let (admin, contract) = (scene.cast.admin, contract(scene)?);
    let holder = scene.draw.pick(&scene.cast.operators)?;
    let plan = Plan::call(admin, contract, &Governed::transferOwnershipCall { newOwner: holder }, Subject::Everything);
    Some(plan.then(holder, contract, &Governed::transferOwnershipCall { newOwner: admin }))
}

/// A proxy is upgraded to the implementation that it has.
pub(super) async fn upgrade(scene: &mut Scene<'_>) -> Result<Option<Plan>, DemoError> {
    let Some(contract) = contract(scene) else { return Ok(None) };
    let implementation = Address::from_word(scene.rpc.storage(contract, IMPLEMENTATION_SLOT).await?);
    let call = Governed::upgradeToAndCallCall { newImplementation: implementation, data: Bytes::new() };
    Ok(Some(Plan::call(scene.cast.admin, contract, &call, Subject::Everything)))
}
