//! The watched contracts of a network.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use serde::Deserialize;

use crate::event::{Generation, Role};

/// The watched contracts of a network by role: each an address or a list of addresses, those it lacks left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contracts {
    /// Identity registries; the first one is the primary deployment's.
    pub identity: Addresses,
    /// Reputation registries: the n-th names the n-th identity registry.
    pub reputation: Addresses,
    /// Validation registries, all of the primary deployment unless there are as many as identity registries.
    pub validation: Addresses,
    /// Audit logs.
    pub audit_log: Addresses,
    /// Registries of wallets' agents.
    pub agent_registry: Addresses,
    /// Policy engines.
    pub policy_engine: Addresses,
    /// Cross-chain executors.
    pub executor: Addresses,
    /// The generations of addresses whose logs do not tell it: `[network.contracts.generations]`.
    pub generations: Generations,
}

impl Contracts {
    /// The addresses of one role, in the order of the file.
    #[must_use]
    pub fn of(&self, role: Role) -> &[Address] {
        let addresses = match role {
            Role::Identity => &self.identity,
            Role::Reputation => &self.reputation,
            Role::Validation => &self.validation,
            Role::AuditLog => &self.audit_log,
            Role::AgentRegistry => &self.agent_registry,
            Role::PolicyEngine => &self.policy_engine,
            Role::Executor => &self.executor,
        };
        &addresses.0
    }

    /// The generation that is named for an address.
    #[must_use]
    pub fn generation(&self, address: &Address) -> Option<Generation> {
        self.generations.0.get(address).copied()
    }

    /// Every watched address with its role and its place within the role.
    pub fn all(&self) -> impl Iterator<Item = (Role, usize, Address)> {
        Role::ALL
            .into_iter()
            .flat_map(|role| self.of(role).iter().enumerate().map(move |(ordinal, address)| (role, ordinal, *address)))
    }
}

/// Generations by address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Generations(pub BTreeMap<Address, Generation>);

impl TryFrom<BTreeMap<String, String>> for Generations {
    type Error = String;

    fn try_from(named: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        let generation = |(address, name): (String, String)| {
            let known = Generation::ALL.map(|generation| format!("{:?}", generation.name())).join(" or ");
            let generation = Generation::from_name(&name).ok_or_else(|| {
                format!("{name:?} is no generation that can be named; write {known}, or leave it out")
            })?;
            Ok((parse_address(&address)?, generation))
        };
        named.into_iter().map(generation).collect::<Result<_, _>>().map(Self)
    }
}

/// One address or several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "OneOrMany")]
pub struct Addresses(pub Vec<Address>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected an address or a list of addresses, as strings")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<OneOrMany> for Addresses {
    type Error = String;

    fn try_from(addresses: OneOrMany) -> Result<Self, Self::Error> {
        match addresses {
            OneOrMany::One(address) => Ok(Self(vec![parse_address(&address)?])),
            OneOrMany::Many(addresses) => addresses.iter().map(|address| parse_address(address)).collect(),
        }
    }
}

impl FromIterator<Address> for Addresses {
    fn from_iter<T: IntoIterator<Item = Address>>(addresses: T) -> Self {
        Self(addresses.into_iter().collect())
    }
}

/// An address; one in mixed case must have the checksum of EIP-55, which finds a mistyped digit.
fn parse_address(text: &str) -> Result<Address, String> {
    let address: Address = text.parse().map_err(|_| {
        format!("{text:?} is not an address; one looks like \"0x8004A169FB4a3325136EB29fA0ceB6D2e539a432\"")
    })?;
    let digits = text.trim_start_matches("0x");
    let mixed = digits.bytes().any(|digit| digit.is_ascii_uppercase())
        && digits.bytes().any(|digit| digit.is_ascii_lowercase());
    if mixed && address.to_checksum(None).trim_start_matches("0x") != digits {
        return Err(format!("{text:?} has a wrong checksum (EIP-55); look for a mistyped digit"));
    }
    Ok(address)
}
