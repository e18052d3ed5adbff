//! Requests to validators, and their answers, which may come in several steps.

use alloy::primitives::keccak256;

use super::files::cid;
use super::scene::{Plan, Scene, Subject};
use crate::demo::contracts::abi::Validation;

pub(super) fn request(scene: &mut Scene<'_>) -> Option<Plan> {
    let agent = scene.agent(|_| true)?;
    let validator = scene.draw.pick(&scene.cast.validators)?;
    let uri = format!("ipfs://{}", cid(scene.draw));
    let call = Validation::validationRequestCall {
        validatorAddress: validator,
        agentId: agent.id,
        requestHash: keccak256(&uri),
        requestURI: uri,
    };
    Some(Plan::call(agent.owner, scene.deployment.validation, &call, Subject::Agent(agent.id)))
}

/// A first answer; 0 is one.
pub(super) fn respond(scene: &mut Scene<'_>) -> Option<Plan> {
    answer(scene, |response| response.is_none())
}

/// Another answer to the same request; the last one counts.
pub(super) fn respond_again(scene: &mut Scene<'_>) -> Option<Plan> {
    answer(scene, |response| response.is_some())
}

fn answer(scene: &mut Scene<'_>, fits: impl Fn(Option<u8>) -> bool) -> Option<Plan> {
    let fitting: Vec<_> = scene.world.requests.iter().filter(|request| fits(request.response)).copied().collect();
    let request = scene.draw.pick(&fitting)?;
    let response = scene.draw.pick(&[0, 1, 37, 50, 80, 99, 100])?;
    let uri = if scene.draw.one_in(3) { String::new() } else { format!("ipfs://{}", cid(scene.draw)) };
    let call = Validation::validationResponseCall {
        requestHash: request.hash,
        response,
        responseHash: keccak256(&uri),
        responseURI: uri,
        tag: scene.draw.text(&["", "soft-finality", "hard-finality", "zkml"]).into(),
    };
    Some(Plan::call(request.validator, scene.deployment.validation, &call, Subject::Request(request.hash)))
}
