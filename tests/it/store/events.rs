//! What the contracts say in the stories of the store, in as few words as a story needs.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use meikan::event::{Event, IdentityEvent, ReputationEvent, Text, ValidationEvent};

use super::chain::{Said, said};

pub(crate) const ALICE: Address = Address::repeat_byte(0xa1);
pub(crate) const BOB: Address = Address::repeat_byte(0xb0);

pub(crate) fn transfer(from: Address, to: Address, agent: u64) -> Said {
    said(Event::Identity(IdentityEvent::Transfer { from, to, token_id: U256::from(agent) }))
}

pub(crate) fn registered(agent: u64, uri: &str, owner: Address) -> Said {
    let (agent_id, agent_uri) = (U256::from(agent), uri.into());
    said(Event::Identity(IdentityEvent::Registered { agent_id, agent_uri, owner }))
}

pub(crate) fn uri_updated(agent: u64, uri: &str) -> Said {
    let (agent_id, new_uri) = (U256::from(agent), uri.into());
    said(Event::Identity(IdentityEvent::URIUpdated { agent_id, new_uri, updated_by: ALICE }))
}

pub(crate) fn approval(owner: Address, approved: Address, agent: u64) -> Said {
    said(Event::Identity(IdentityEvent::Approval { owner, approved, token_id: U256::from(agent) }))
}

pub(crate) fn operator(owner: Address, operator: Address, approved: bool) -> Said {
    said(Event::Identity(IdentityEvent::ApprovalForAll { owner, operator, approved }))
}

pub(crate) fn metadata(agent: u64, key: impl Into<Text>, value: &[u8]) -> Said {
    let (metadata_key, metadata_value) = (key.into(), Bytes::copy_from_slice(value));
    let indexed_metadata_key = keccak256(&metadata_key.0);
    let agent_id = U256::from(agent);
    said(Event::Identity(IdentityEvent::MetadataSet { agent_id, indexed_metadata_key, metadata_key, metadata_value }))
}

pub(crate) fn feedback(agent: U256, client: Address, index: u64, value: i128, decimals: u8) -> Event {
    Event::Reputation(ReputationEvent::NewFeedback {
        agent_id: agent,
        client_address: client,
        feedback_index: index,
        value,
        value_decimals: decimals,
        indexed_tag1: keccak256("starred"),
        tag1: "starred".into(),
        tag2: Text::default(),
        endpoint: Text::default(),
        feedback_uri: Text::default(),
        feedback_hash: B256::ZERO,
    })
}

pub(crate) fn given(agent: u64, client: Address, index: u64) -> Said {
    said(feedback(U256::from(agent), client, index, 9_977, 2))
}

pub(crate) fn revoked(agent: u64, client_address: Address, feedback_index: u64) -> Said {
    let agent_id = U256::from(agent);
    said(Event::Reputation(ReputationEvent::FeedbackRevoked { agent_id, client_address, feedback_index }))
}

pub(crate) fn request(agent: u64, hash: B256) -> Said {
    said(Event::Validation(ValidationEvent::ValidationRequest {
        validator_address: BOB,
        agent_id: U256::from(agent),
        request_uri: "ipfs://request".into(),
        request_hash: hash,
    }))
}

pub(crate) fn answer(agent: u64, hash: B256, response: u8) -> Said {
    said(Event::Validation(ValidationEvent::ValidationResponse {
        validator_address: BOB,
        agent_id: U256::from(agent),
        request_hash: hash,
        response,
        response_uri: Text::default(),
        response_hash: B256::ZERO,
        tag: "hard".into(),
    }))
}
