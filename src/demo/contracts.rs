//! The functions of our contracts that the demo and its tests call.
//!
//! Only functions: events are read by `event`, like everybody's. The ABIs in `abi/` are the reference; a signature that
//! differed would have another selector, and its call would be reverted.

use alloy::primitives::{Address, Bytes, U256};
use alloy::sol_types::SolCall;

use super::{DemoError, Deployment, Rpc};

/// The calls, as Solidity declares them.
pub mod abi {
    #![allow(missing_docs, clippy::too_many_arguments, clippy::pub_underscore_fields, unreachable_pub)]

    alloy::sol! {
        interface Governed {
            function pause() external;
            function unpause() external;
            function grantRole(bytes32 role, address account) external;
            function revokeRole(bytes32 role, address account) external;
            function transferOwnership(address newOwner) external;
            function upgradeToAndCall(address newImplementation, bytes data) external;
        }

        interface Identity {
            struct MetadataEntry {
                string metadataKey;
                bytes metadataValue;
            }

            function initialize() external;
            function register() external;
            function register(string agentURI) external;
            function register(string agentURI, MetadataEntry[] metadata) external;
            function setMetadata(uint256 agentId, string metadataKey, bytes metadataValue) external;
            function setAgentURI(uint256 agentId, string newURI) external;
            function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes signature) external;
            function unsetAgentWallet(uint256 agentId) external;
            function approve(address to, uint256 tokenId) external;
            function setApprovalForAll(address operator, bool approved) external;
            function transferFrom(address from, address to, uint256 tokenId) external;
        }

        interface Reputation {
            function initialize(address identityRegistry_) external;
            function giveFeedback(
                uint256 agentId, int128 value, uint8 valueDecimals, string tag1, string tag2, string endpoint,
                string feedbackURI, bytes32 feedbackHash
            ) external;
            function revokeFeedback(uint256 agentId, uint64 feedbackIndex) external;
            function appendResponse(
                uint256 agentId, address clientAddress, uint64 feedbackIndex, string responseURI,
                bytes32 responseHash
            ) external;
            function getSummary(
                uint256 agentId, address[] clientAddresses, string tag1, string tag2
            ) external view returns (uint64 count, int128 summaryValue, uint8 summaryValueDecimals);
            function getClients(uint256 agentId) external view returns (address[]);
        }

        interface Validation {
            function initialize(address identityRegistry_) external;
            function validationRequest(
                address validatorAddress, uint256 agentId, string requestURI, bytes32 requestHash
            ) external;
            function validationResponse(
                bytes32 requestHash, uint8 response, string responseURI, bytes32 responseHash, string tag
            ) external;
        }

        interface AuditLog {
            function initialize(address agentRegistry_) external;
            function logCommitment(bytes32 agentId, bytes32 commitmentHash, string ipfsCID) external;
        }

        interface AgentRegistry {
            struct Policy {
                uint256 maxSpendPerDay;
                uint256 maxTxPerDay;
                uint256 maxTxPerHour;
                uint256 maxValuePerTx;
                uint256[] allowedChains;
                address[] whitelist;
                uint8 riskLevel;
            }

            function initialize() external;
            function registerAgent(
                address wallet, string metadataCID, Policy policy, uint256 deadline, bytes walletSignature
            ) external;
            function setMetadataCID(bytes32 agentId, string metadataCID) external;
            function setWallet(bytes32 agentId, address wallet, uint256 deadline, bytes walletSignature) external;
            function transferAgent(bytes32 agentId, address newOwner) external;
            function setPolicy(bytes32 agentId, Policy policy) external;
            function deactivateAgent(bytes32 agentId, string reason) external;
            function reactivateAgent(bytes32 agentId, string reason) external;
            function walletNonce(address wallet) external view returns (uint256);
        }

        interface PolicyEngine {
            function initialize(address agentRegistry_) external;
            function checkPolicy(bytes32 agentId, uint256 value, uint256 destChainId, address recipient) external;
            function emergencyPause(string reason) external;
            function emergencyUnpause(string reason) external;
            function pauseAgent(bytes32 agentId, string reason) external;
            function unpauseAgent(bytes32 agentId, string reason) external;
            function tripCircuitBreaker(string reason) external;
            function resetCircuitBreaker() external;
        }

        interface Executor {
            function initialize(address agentRegistry_, address policyEngine_) external;
            function emitIntent(
                bytes32 agentId, uint256 destChainId, uint256 value, address recipient, string action, uint64 expiry
            ) external;
            function submitIntent(bytes32 intentId) external;
            function executeIntent(bytes32 intentId) external;
            function disputeIntent(bytes32 intentId, string reason) external;
            function receiveBridgeMessage(uint256 srcChainId, bytes32 agentId, bytes32 intentId) external;
            function authorizeRelayer(address relayer) external;
            function revokeRelayer(address relayer) external;
        }
    }
}

/// What `getSummary` of the reputation registry answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The feedback that it is made of.
    pub count: u64,
    /// The average, in units of 10^-`value_decimals`.
    pub value: i128,
    /// The decimals of the value.
    pub value_decimals: u8,
}

/// Our contracts on a local chain, to be asked.
#[derive(Debug, Clone)]
pub struct Contracts {
    rpc: Rpc,
    deployment: Deployment,
}

impl Contracts {
    /// The contracts of a deployment.
    #[must_use]
    pub fn new(rpc: Rpc, deployment: Deployment) -> Self {
        Self { rpc, deployment }
    }

    /// The reputation registry's own summary, as of a block or the newest one. Without clients it reverts.
    ///
    /// # Errors
    /// [`DemoError::Rpc`] when the chain does not answer, or the contract reverts.
    pub async fn get_summary(
        &self,
        agent: U256,
        clients: &[Address],
        tag1: &str,
        tag2: &str,
        block: Option<u64>,
    ) -> Result<Summary, DemoError> {
        let call = abi::Reputation::getSummaryCall {
            agentId: agent,
            clientAddresses: clients.to_vec(),
            tag1: tag1.into(),
            tag2: tag2.into(),
        };
        let answer = self.ask(self.deployment.reputation, &call, block).await?;
        Ok(Summary { count: answer.count, value: answer.summaryValue, value_decimals: answer.summaryValueDecimals })
    }

    /// Everybody who ever gave feedback about the agent.
    ///
    /// # Errors
    /// [`DemoError::Rpc`] when the chain does not answer.
    pub async fn clients(&self, agent: U256, block: Option<u64>) -> Result<Vec<Address>, DemoError> {
        self.ask(self.deployment.reputation, &abi::Reputation::getClientsCall { agentId: agent }, block).await
    }

    /// The nonce that the wallet's next consent to an agent must carry.
    ///
    /// # Errors
    /// [`DemoError::Rpc`] when the chain does not answer.
    pub async fn wallet_nonce(&self, wallet: Address) -> Result<U256, DemoError> {
        self.ask(self.deployment.agent_registry, &abi::AgentRegistry::walletNonceCall { wallet }, None).await
    }

    async fn ask<C: SolCall>(&self, contract: Address, call: &C, block: Option<u64>) -> Result<C::Return, DemoError> {
        let answer: Bytes = self.rpc.call(contract, call.abi_encode(), block).await?;
        C::abi_decode_returns(&answer)
            .map_err(|error| DemoError::Rpc { method: "eth_call", reason: format!("{}: {error}", C::SIGNATURE) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use alloy::json_abi::JsonAbi;
    use alloy::sol_types::SolInterface;

    use super::abi;

    /// Selectors that a contract lacks.
    fn foreign<I: SolInterface>(contract: &str) -> Vec<String> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("abi/{contract}.json"));
        let text = std::fs::read_to_string(path).expect("the ABI is in the repository");
        let contract: JsonAbi = serde_json::from_str(&text).expect("an ABI");
        let known: BTreeSet<_> = contract.functions().map(|function| function.selector().0).collect();
        I::selectors().filter(|selector| !known.contains(selector)).map(alloy::hex::encode).collect()
    }

    #[test]
    fn every_call_is_in_the_abi_of_its_contract() {
        assert_eq!(foreign::<abi::Identity::IdentityCalls>("IdentityRegistry"), [""; 0]);
        assert_eq!(foreign::<abi::Reputation::ReputationCalls>("ReputationRegistry"), [""; 0]);
        assert_eq!(foreign::<abi::Validation::ValidationCalls>("ValidationRegistry"), [""; 0]);
        assert_eq!(foreign::<abi::AuditLog::AuditLogCalls>("AuditLog"), [""; 0]);
        assert_eq!(foreign::<abi::AgentRegistry::AgentRegistryCalls>("AgentRegistry"), [""; 0]);
        assert_eq!(foreign::<abi::PolicyEngine::PolicyEngineCalls>("PolicyEngine"), [""; 0]);
        assert_eq!(foreign::<abi::Executor::ExecutorCalls>("CrossChainExecutor"), [""; 0]);
        assert_eq!(foreign::<abi::Governed::GovernedCalls>("IdentityRegistry"), [""; 0]);
    }
}
