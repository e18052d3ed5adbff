//! Our contracts on a local chain: each behind its proxy, owned by the first account, bound to the others it needs.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};

use super::artifacts::bytecode;
use super::contracts::abi;
use super::{Call, DemoError, Rpc};
use crate::config::{Addresses, Contracts};

/// The limits that the contracts are constructed with; they never change afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most metadata keys of an agent.
    pub max_metadata_keys: u64,
    /// The longest metadata value.
    pub max_metadata_value_bytes: u64,
    /// The longest URI, CID, reason or action.
    pub max_text_bytes: u64,
    /// The most chains, and the most whitelisted addresses, of a policy.
    pub max_policy_list_items: u64,
    /// The time between two feedbacks of one sender, in seconds.
    pub feedback_interval_seconds: u64,
    /// The time between submission and execution of an intent, in seconds.
    pub timelock_seconds: u64,
}

impl Limits {
    /// Wide enough for everything that is seen on public networks (URIs of 100 kB), without any waiting.
    pub const WIDE: Self = Self {
        max_metadata_keys: 1_000,
        max_metadata_value_bytes: 200_000,
        max_text_bytes: 200_000,
        max_policy_list_items: 100,
        feedback_interval_seconds: 0,
        timelock_seconds: 0,
    };

    /// As wide, with a timelock that can be watched.
    pub const DEMO: Self = Self { timelock_seconds: 2, ..Self::WIDE };
}

/// Where our contracts are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Who owns and governs all of them.
    pub owner: Address,
    /// The identity registry.
    pub identity: Address,
    /// The reputation registry.
    pub reputation: Address,
    /// The validation registry.
    pub validation: Address,
    /// The audit log.
    pub audit_log: Address,
    /// The registry of wallets' agents.
    pub agent_registry: Address,
    /// The policy engine.
    pub policy_engine: Address,
    /// The cross-chain executor.
    pub executor: Address,
    /// The limits that they were given.
    pub limits: Limits,
}

impl Deployment {
    /// Deploys all of them from the chain's first account: two blocks for each.
    ///
    /// # Errors
    /// [`DemoError`] when the contracts are not built, or the chain refuses one.
    pub async fn deploy(rpc: &Rpc, limits: Limits) -> Result<Self, DemoError> {
        let accounts = rpc.accounts().await?;
        let owner = *accounts.first().ok_or(DemoError::Rpc { method: "eth_accounts", reason: "no account".into() })?;
        let deployer = Deployer { rpc, owner };
        let number = |value: u64| U256::from(value);
        let text = number(limits.max_text_bytes);

        let sizes = (number(limits.max_metadata_keys), number(limits.max_metadata_value_bytes), text).abi_encode();
        let identity = deployer.deploy("IdentityRegistry", sizes, &abi::Identity::initializeCall {}).await?;
        let sizes = (number(limits.feedback_interval_seconds), text).abi_encode();
        let bind = abi::Reputation::initializeCall { identityRegistry_: identity };
        let reputation = deployer.deploy("ReputationRegistry", sizes, &bind).await?;
        let bind = abi::Validation::initializeCall { identityRegistry_: identity };
        let validation = deployer.deploy("ValidationRegistry", text.abi_encode(), &bind).await?;

        let sizes = (text, number(limits.max_policy_list_items)).abi_encode();
        let agent_registry = deployer.deploy("AgentRegistry", sizes, &abi::AgentRegistry::initializeCall {}).await?;
        let bind = abi::AuditLog::initializeCall { agentRegistry_: agent_registry };
        let audit_log = deployer.deploy("AuditLog", text.abi_encode(), &bind).await?;
        let bind = abi::PolicyEngine::initializeCall { agentRegistry_: agent_registry };
        let policy_engine = deployer.deploy("PolicyEngine", text.abi_encode(), &bind).await?;
        let bind = abi::Executor::initializeCall { agentRegistry_: agent_registry, policyEngine_: policy_engine };
        let sizes = (number(limits.timelock_seconds), text).abi_encode();
        let executor = deployer.deploy("CrossChainExecutor", sizes, &bind).await?;

        // The executor asks about each intent on behalf of its agent.
        let grant = abi::Governed::grantRoleCall { role: role("EXECUTOR_ROLE"), account: executor };
        let call = Call::new(owner, policy_engine, grant.abi_encode());
        rpc.execute("the grant of a role to CrossChainExecutor", &call).await?;
        Ok(Self { owner, identity, reputation, validation, audit_log, agent_registry, policy_engine, executor, limits })
    }

    /// The addresses by role, as a configuration file lists them.
    #[must_use]
    pub fn contracts(&self) -> Contracts {
        let one = |address| Addresses(vec![address]);
        Contracts {
            identity: one(self.identity),
            reputation: one(self.reputation),
            validation: one(self.validation),
            audit_log: one(self.audit_log),
            agent_registry: one(self.agent_registry),
            policy_engine: one(self.policy_engine),
            executor: one(self.executor),
            ..Contracts::default()
        }
    }
}

/// A role's id (OpenZeppelin AccessControl).
pub(super) fn role(name: &str) -> B256 {
    keccak256(name)
}

struct Deployer<'a> {
    rpc: &'a Rpc,
    owner: Address,
}

impl Deployer<'_> {
    /// An implementation with its constructor's arguments, and a proxy before it that calls the initializer.
    async fn deploy<C: SolCall>(&self, name: &str, arguments: Vec<u8>, initializer: &C) -> Result<Address, DemoError> {
        let implementation = self.create(name, &arguments).await?;
        let arguments = (implementation, Bytes::from(initializer.abi_encode())).abi_encode_params();
        self.create("ERC1967Proxy", &arguments).await
    }

    async fn create(&self, name: &str, arguments: &[u8]) -> Result<Address, DemoError> {
        let code = [&bytecode(name)?, arguments].concat();
        let what = format!("the creation of {name}");
        let receipt = self.rpc.execute(&what, &Call::create(self.owner, code)).await?;
        receipt.contract_address.ok_or(DemoError::Reverted { what })
    }
}
