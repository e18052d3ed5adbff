//! Identities: of an agent within a network, and how they are written for the outside.
//!
//! A network has one primary deployment of the registries, whose agents have plain ids (`167000:42`); the agents of
//! further deployments carry their registry's address (`167000:0x8004…:42`), so that no two agents share an id.

use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// A chain's id (EIP-155).
pub type ChainId = u64;

/// Which deployment of the registries on a network: 0 is the primary one, further ones count up in the order of the
/// configuration.
pub type Deployment = u16;

/// An agent within a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentKey {
    /// The deployment whose identity registry numbered it.
    pub deployment: Deployment,
    /// The token id: dense from 0, any uint256.
    pub agent_id: U256,
}

/// A network's agent as its id is written: `chainId:agentId`, or `chainId:registry:agentId` off the primary deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentId {
    /// The chain.
    pub chain_id: ChainId,
    /// The identity registry; nothing for the primary deployment's.
    pub registry: Option<Address>,
    /// The token id.
    pub agent_id: U256,
}

impl std::fmt::Display for AgentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.registry {
            None => write!(f, "{}:{}", self.chain_id, self.agent_id),
            Some(registry) => write!(f, "{}:{registry:#x}:{}", self.chain_id, self.agent_id),
        }
    }
}

impl AgentId {
    /// Reads an id from the front of a longer one, and returns what follows it (without the colon).
    #[must_use]
    pub fn split_from(text: &str) -> Option<(Self, Option<&str>)> {
        let (chain_id, rest) = text.split_once(':')?;
        let chain_id = decimal(chain_id)?.try_into().ok()?;
        let (first, after) = split(rest);
        if let Some(agent_id) = decimal(first) {
            return Some((Self { chain_id, registry: None, agent_id }, after));
        }
        let registry = first.strip_prefix("0x").filter(|hex| hex.len() == 40)?.parse().ok()?;
        let (agent_id, after) = split(after?);
        Some((Self { chain_id, registry: Some(registry), agent_id: decimal(agent_id)? }, after))
    }
}

impl std::str::FromStr for AgentId {
    type Err = NotAnAgentId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::split_from(text) {
            Some((id, None)) => Ok(id),
            _ => Err(NotAnAgentId),
        }
    }
}

/// An account or a contract on a chain (CAIP-10): `eip155:chainId:0x…`. The text is kept as it was written, because texts
/// are what people sign; two accounts are the same when chain and address are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AccountId {
    text: String,
    /// The chain.
    pub chain_id: ChainId,
    /// The address.
    pub address: Address,
}

impl AccountId {
    /// An account as this node writes it: in lower case.
    #[must_use]
    pub fn new(chain_id: ChainId, address: Address) -> Self {
        Self { text: format!("eip155:{chain_id}:{address:#x}"), chain_id, address }
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for AccountId {
    fn eq(&self, other: &Self) -> bool {
        (self.chain_id, self.address) == (other.chain_id, other.address)
    }
}

impl Eq for AccountId {}

impl std::fmt::Display for AccountId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<AccountId> for String {
    fn from(account: AccountId) -> Self {
        account.text
    }
}

impl TryFrom<String> for AccountId {
    type Error = NotAnAccountId;

    fn try_from(text: String) -> Result<Self, NotAnAccountId> {
        let parts = || {
            let (chain_id, address) = text.strip_prefix("eip155:")?.split_once(':')?;
            let is_padded = chain_id.len() > 1 && chain_id.starts_with('0');
            let chain_id = decimal(chain_id).filter(|_| !is_padded)?.try_into().ok()?;
            let address = address.strip_prefix("0x").filter(|hex| hex.len() == 40)?;
            let is_mixed = address.bytes().any(|byte| byte.is_ascii_uppercase())
                && address.bytes().any(|byte| byte.is_ascii_lowercase());
            let read: Address = address.parse().ok()?;
            // In mixed case the letters are a checksum (ERC-55).
            (!is_mixed || read.to_checksum(None)[2..] == *address).then_some((chain_id, read))
        };
        let (chain_id, address) = parts().ok_or(NotAnAccountId)?;
        Ok(Self { text, chain_id, address })
    }
}

impl std::str::FromStr for AccountId {
    type Err = NotAnAccountId;

    fn from_str(text: &str) -> Result<Self, NotAnAccountId> {
        text.to_owned().try_into()
    }
}

/// The text is not an account's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAccountId;

impl std::fmt::Display for NotAnAccountId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an account is eip155:chainId:0x… (CAIP-10), in mixed case only with its checksum (ERC-55)")
    }
}

impl std::error::Error for NotAnAccountId {}

/// The text is not an agent's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAgentId;

impl std::fmt::Display for NotAnAgentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an agent's id is chainId:agentId, such as 167000:42")
    }
}

impl std::error::Error for NotAnAgentId {}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((first, after)) => (first, Some(after)),
        None => (text, None),
    }
}

/// A number in plain decimal digits: `U256`'s own parser would also take `0x`, `0b` and underscores.
fn decimal(text: &str) -> Option<U256> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    U256::from_str_radix(text, 10).ok()
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{U256, address};

    use super::{AccountId, AgentId};

    #[test]
    fn ids_are_read_as_they_are_written() {
        let registry = address!("8004A169FB4a3325136EB29fA0ceB6D2e539a432");
        for registry in [None, Some(registry)] {
            let id = AgentId { chain_id: 167_000, registry, agent_id: U256::MAX };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn what_follows_an_id_is_returned() {
        let (id, rest) = AgentId::split_from("167000:42:0xabc:7").expect("an id is in front");
        assert_eq!(id, AgentId { chain_id: 167_000, registry: None, agent_id: U256::from(42) });
        assert_eq!(rest, Some("0xabc:7"));
    }

    #[test]
    fn accounts_are_those_of_caip_10() {
        let address = address!("8004A169FB4a3325136EB29fA0ceB6D2e539a432");
        for text in [
            "eip155:167000:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432",
            "eip155:167000:0x8004a169fb4a3325136eb29fa0ceb6d2e539a432",
            "eip155:167000:0x8004A169FB4A3325136EB29FA0CEB6D2E539A432",
        ] {
            let account: AccountId = text.parse().expect(text);
            assert_eq!((account.text(), &account), (text, &AccountId::new(167_000, address)));
        }
        for text in [
            "",
            "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432",
            "eip155:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432",
            "eip155:0167000:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432",
            "eip155:167000:8004A169FB4a3325136EB29fA0ceB6D2e539a432",
            "eip155:167000:0x8004A169FB4a3325136EB29fA0ceB6D2e539a4",
            "eip155:167000:0x8004a169FB4a3325136EB29fA0ceB6D2e539a432",
            "solana:1:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432",
            "eip155:167000:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432:",
        ] {
            assert!(text.parse::<AccountId>().is_err(), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "42", "167000:", ":42", "167000:0x2a", "167000:-1", "167000:4_2", "167000:42:"] {
            assert!(text.parse::<AgentId>().is_err(), "{text}");
        }
    }
}
