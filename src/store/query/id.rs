//! Ids: read into the columns of an entity's key.
//!
//! The reverse, from columns to text, is SQL in the entities' descriptions. Addresses and hashes are taken in any case,
//! numbers only in plain decimal digits.

use alloy::primitives::keccak256;

use super::networks::Contracts;
use super::sql::Datum;
use crate::event::Role;
use crate::id::AgentId;

/// The parts of an id in the order of the entity's key; a part that the id does not tell (the network) is nothing.
pub(super) type ParsedId = Vec<Option<Datum>>;

/// `chainId:agentId` or `chainId:registry:agentId`.
pub(super) fn agent(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    match agent_and_rest(text, contracts)? {
        (parts, None) => Some(parts),
        _ => None,
    }
}

/// `agentId:key`, or `agentId:keccak256:hash` of a key that is no clean text.
pub(super) fn metadata(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (mut parts, rest) = agent_and_rest(text, contracts)?;
    let key = rest?;
    let hash = key.strip_prefix("keccak256:").and_then(|hash| fixed_bytes(hash, 32));
    parts.push(Some(Datum::Bytes(hash.unwrap_or_else(|| keccak256(key.as_bytes()).to_vec()))));
    Some(parts)
}

/// `agentId:tag1`, or `agentId:keccak256:` and the hash's first 16 bytes (or all of it) of a tag that is no clean text.
pub(super) fn tag_reputation(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (mut parts, rest) = agent_and_rest(text, contracts)?;
    let tag = rest?;
    let hash = tag.strip_prefix("keccak256:");
    let beginning = hash.and_then(|hash| fixed_bytes(hash, 16).or_else(|| fixed_bytes(hash, 32)));
    let mut aspect = beginning.unwrap_or_else(|| keccak256(tag.as_bytes()).to_vec());
    aspect.truncate(16);
    parts.push(Some(Datum::Bytes(aspect)));
    Some(parts)
}

/// `agentId:blockNumber:logIndex`.
pub(super) fn flip(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (mut parts, rest) = agent_and_rest(text, contracts)?;
    let (block, log_index) = rest?.split_once(':')?;
    parts.push(Some(Datum::Integer(integer(block)?)));
    parts.push(Some(Datum::Integer(integer(log_index)?)));
    Some(parts)
}

/// `agentId:token`.
pub(super) fn payment_total(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (mut parts, rest) = agent_and_rest(text, contracts)?;
    parts.push(Some(Datum::Bytes(fixed_bytes(rest?, 20)?)));
    Some(parts)
}

/// `agentId:ONCHAIN` or `agentId:SIGNED`.
pub(super) fn flip_metrics(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    match agent_and_rest(text, contracts)? {
        (mut parts, Some(source @ ("ONCHAIN" | "SIGNED"))) => {
            parts.push(Some(Datum::Text(source.to_owned())));
            Some(parts)
        }
        _ => None,
    }
}

/// `agentId:clientAddress:feedbackIndex`.
pub(super) fn feedback(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    match feedback_and_rest(text, contracts)? {
        (parts, None) => Some(parts),
        _ => None,
    }
}

/// `feedbackId:transactionHash:logIndex`.
pub(super) fn response(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (mut parts, rest) = feedback_and_rest(text, contracts)?;
    let (transaction_hash, log_index) = rest?.split_once(':')?;
    parts.push(Some(Datum::Bytes(fixed_bytes(transaction_hash, 32)?)));
    parts.push(Some(Datum::Integer(integer(log_index)?)));
    Some(parts)
}

/// `requestHash` or `registry:requestHash`.
pub(super) fn validation(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (registry, hash) = match text.split_once(':') {
        Some((registry, hash)) => (Some(fixed_bytes(registry, 20)?), hash),
        None => (None, text),
    };
    let hash = fixed_bytes(hash, 32)?;
    let contract = match registry {
        Some(address) => contracts.iter().find(|contract| contract.address == address)?,
        None => contracts.iter().find(|contract| contract.role == Role::Validation.name() && contract.ordinal == 0)?,
    };
    // The same primary registry may have another number on another network: only one network can be meant then.
    let alone =
        contracts.iter().filter(|other| other.role == contract.role && other.ordinal == contract.ordinal).count();
    let chain_id = if alone == 1 { Some(Datum::Integer(contract.chain_id)) } else { None };
    Some(vec![chain_id, Some(Datum::Integer(contract.contract_id)), Some(Datum::Bytes(hash))])
}

/// `validationId:blockNumber:logIndex`.
pub(super) fn validation_response(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (rest, log_index) = text.rsplit_once(':')?;
    let (validation_id, block) = rest.rsplit_once(':')?;
    let mut parts = validation(validation_id, contracts)?;
    parts.push(Some(Datum::Integer(integer(block)?)));
    parts.push(Some(Datum::Integer(integer(log_index)?)));
    Some(parts)
}

/// `transactionHash:datauri:logIndex`.
pub(super) fn file(text: &str, _contracts: &Contracts) -> Option<ParsedId> {
    let (transaction_hash, rest) = text.split_once(':')?;
    let log_index = rest.strip_prefix("datauri:")?;
    Some(vec![None, Some(Datum::Bytes(fixed_bytes(transaction_hash, 32)?)), Some(Datum::Integer(integer(log_index)?))])
}

/// `chainId` or `chainId:registry`.
pub(super) fn protocol(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (chain_id, registry) = match text.split_once(':') {
        Some((chain_id, registry)) => (integer(chain_id)?, Some(fixed_bytes(registry, 20)?)),
        None => (integer(text)?, None),
    };
    let deployment = match registry {
        Some(address) => contracts.deployment_of(chain_id, &address)?,
        None => 0,
    };
    Some(vec![Some(Datum::Integer(chain_id)), Some(Datum::Integer(deployment))])
}

/// `chainId:blockNumber:logIndex`.
pub(super) fn audit_entry(text: &str, _contracts: &Contracts) -> Option<ParsedId> {
    let parts: Vec<_> = text.split(':').map(|part| integer(part).map(Datum::Integer)).collect();
    if parts.len() == 3 && parts.iter().all(Option::is_some) { Some(parts) } else { None }
}

/// `chainId:walletAgent`.
pub(super) fn wallet_agent(text: &str, _contracts: &Contracts) -> Option<ParsedId> {
    hash_of_network(text)
}

/// `chainId:intentId`.
pub(super) fn intent(text: &str, _contracts: &Contracts) -> Option<ParsedId> {
    hash_of_network(text)
}

/// `chainId:walletAgent:blockNumber`.
pub(super) fn policy(text: &str, _contracts: &Contracts) -> Option<ParsedId> {
    let (wallet_agent, block) = text.rsplit_once(':')?;
    let mut parts = hash_of_network(wallet_agent)?;
    parts.push(Some(Datum::Integer(integer(block)?)));
    Some(parts)
}

/// `chainId:blockNumber:logIndex:rule:subject`.
pub(super) fn finding(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (rest, subject) = text.rsplit_once(':')?;
    let (entry, rule) = rest.rsplit_once(':')?;
    let mut parts = audit_entry(entry, contracts)?;
    let is_rule = !rule.is_empty() && rule.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    parts.push(is_rule.then(|| Datum::Text(rule.to_owned())));
    parts.push(Some(Datum::Bytes(fixed_bytes(subject, 32)?)));
    parts.iter().all(Option::is_some).then_some(parts)
}

/// A network and 32 bytes.
fn hash_of_network(text: &str) -> Option<ParsedId> {
    let (chain_id, hash) = text.split_once(':')?;
    Some(vec![Some(Datum::Integer(integer(chain_id)?)), Some(Datum::Bytes(fixed_bytes(hash, 32)?))])
}

/// `agentId:version`.
pub(super) fn card_version(text: &str, contracts: &Contracts) -> Option<ParsedId> {
    let (agent_id, version) = text.rsplit_once(':')?;
    let mut parts = agent(agent_id, contracts)?;
    parts.push(Some(Datum::Integer(integer(version)?)));
    Some(parts)
}

/// `chainId:digest`.
pub(super) fn document(text: &str, _contracts: &Contracts) -> Option<ParsedId> {
    hash_of_network(text)
}

/// `chainId:digest:version`.
pub(super) fn document_version(text: &str, _contracts: &Contracts) -> Option<ParsedId> {
    let (document, version) = text.rsplit_once(':')?;
    let mut parts = hash_of_network(document)?;
    parts.push(Some(Datum::Integer(integer(version)?)));
    Some(parts)
}

/// `chainId:number`.
pub(super) fn dispute(text: &str, _contracts: &Contracts) -> Option<ParsedId> {
    let (chain_id, number) = text.split_once(':')?;
    Some(vec![Some(Datum::Integer(integer(chain_id)?)), Some(Datum::Integer(integer(number)?))])
}

fn agent_and_rest<'a>(text: &'a str, contracts: &Contracts) -> Option<(ParsedId, Option<&'a str>)> {
    let (id, rest) = AgentId::split_from(text)?;
    let chain_id = i64::try_from(id.chain_id).ok()?;
    let deployment = match id.registry {
        Some(registry) => contracts.deployment_of(chain_id, registry.as_slice())?,
        None => 0,
    };
    let parts = [Datum::Integer(chain_id), Datum::Integer(deployment), Datum::Numeric(id.agent_id.to_string())];
    Some((parts.into_iter().map(Some).collect(), rest))
}

fn feedback_and_rest<'a>(text: &'a str, contracts: &Contracts) -> Option<(ParsedId, Option<&'a str>)> {
    let (mut parts, rest) = agent_and_rest(text, contracts)?;
    let (client, rest) = rest?.split_once(':')?;
    let (index, rest) = match rest.split_once(':') {
        Some((index, rest)) => (index, Some(rest)),
        None => (rest, None),
    };
    parts.push(Some(Datum::Bytes(fixed_bytes(client, 20)?)));
    parts.push(Some(Datum::Numeric(digits(index)?.parse::<u64>().ok()?.to_string())));
    Some((parts, rest))
}

/// Hex with 0x, in any case, of that many bytes.
fn fixed_bytes(text: &str, length: usize) -> Option<Vec<u8>> {
    let bytes = alloy::hex::decode(text.strip_prefix("0x")?).ok()?;
    (bytes.len() == length).then_some(bytes)
}

fn integer(text: &str) -> Option<i64> {
    digits(text)?.parse().ok()
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{
        agent, audit_entry, dispute, feedback, file, finding, flip, flip_metrics, intent, metadata, policy, protocol,
        response, tag_reputation, validation, wallet_agent,
    };
    use crate::store::query::networks::Contracts;
    use crate::store::query::sql::Datum;

    #[test]
    fn ids_are_read_in_any_case() {
        let contracts = Contracts::default();
        let client = "0xABCDEFabcdef0123456789ABCDEFabcdef012345";
        let parts = feedback(&format!("167000:42:{client}:7"), &contracts).expect("this is an id");
        let lower = feedback(&format!("167000:42:{}:7", client.to_lowercase()), &contracts);
        assert_eq!(Some(&parts), lower.as_ref());
        assert_eq!(parts[2], Some(Datum::Numeric("42".into())));
        let hash = format!("0x{}", "Ab".repeat(32));
        assert!(response(&format!("167000:42:{client}:7:{hash}:3"), &contracts).is_some());
        assert!(file(&format!("{hash}:datauri:3"), &contracts).is_some());
        assert!(metadata("167000:42:a:key:with:colons", &contracts).is_some());
        let of_tag = tag_reputation("167000:42:starred", &contracts).expect("this is an id");
        let of_hash = "167000:42:keccak256:0xd6be4ef8f6e81499fcacb6176a8acae1";
        assert_eq!(Some(of_tag), tag_reputation(of_hash, &contracts));
        assert!(audit_entry("167000:5:0", &contracts).is_some());
        assert!(flip("167000:42:5:0", &contracts).is_some());
        assert!(flip_metrics("167000:42:ONCHAIN", &contracts).is_some());
        assert!(protocol("167000", &contracts).is_some());
        assert!(dispute("167000:7", &contracts).is_some());
        assert!(wallet_agent(&format!("167000:{hash}"), &contracts).is_some());
        assert!(intent(&format!("167000:{hash}"), &contracts).is_some());
        assert!(policy(&format!("167000:{hash}:7"), &contracts).is_some());
        assert!(finding(&format!("167000:7:0:NONCE_GAP:{hash}"), &contracts).is_some());
    }

    #[test]
    fn other_texts_are_no_ids() {
        let contracts = Contracts::default();
        let hostile = "'; DROP TABLE agent; --";
        for text in ["", "167000", "167000:", "167000:-1", "1:2:3", hostile, "167000:42:0xzz:1", "\u{0}"] {
            assert_eq!(agent(text, &contracts), None, "{text}");
            assert_eq!(feedback(text, &contracts), None, "{text}");
            assert_eq!(response(text, &contracts), None, "{text}");
            assert_eq!(validation(text, &contracts), None, "{text}");
            assert_eq!(file(text, &contracts), None, "{text}");
            assert_eq!(dispute(text, &contracts), None, "{text}");
            assert_eq!(intent(text, &contracts), None, "{text}");
            assert_eq!(policy(text, &contracts), None, "{text}");
            assert_eq!(finding(text, &contracts), None, "{text}");
            assert_eq!(flip(text, &contracts), None, "{text}");
            assert_eq!(flip_metrics(text, &contracts), None, "{text}");
        }
    }
}
