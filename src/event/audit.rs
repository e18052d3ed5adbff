//! Events of the audit contracts: commitments, wallets' agents and their policies, circuit breakers, intents.
//!
//! Agents here are `bytes32` ids of wallets' agents, not ERC-8004 token ids; a wallet joins the two.

use alloy::primitives::{Address, B256, U256};

use super::abi::tuple_param;
use super::text::Text;

super::events! {
    /// An event of the audit log.
    AuditLogEvent {
        /// A commitment to an off-chain record was logged.
        CommitmentLogged = "CommitmentLogged(bytes32,bytes32,string,address,uint256)",
            "0xae4079cb38f10efa6dfee3ff8b6e7a755166414d6f660ea152e09ad990c21d1c" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// The hash of the record.
            commitment_hash: B256 = topic,
            /// Where the record is.
            ipfs_cid: Text = data,
            /// Who logged it.
            submitter: Address = topic,
            /// Counts from 0 per agent.
            entry_index: U256 = data,
        }
    }
}

super::events! {
    /// An event of the registry of wallets' agents.
    AgentRegistryEvent {
        /// An agent was registered for a wallet; it is active.
        AgentRegistered = "AgentRegistered(bytes32,address,address,string)",
            "0x9f9f1d43f9495171fe1da88eed7d9a7a4dfe60dbbaa48011d5a34e0889519684" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// Its owner.
            owner: Address = topic,
            /// The wallet that acts for it.
            wallet: Address = topic,
            /// Where its metadata is.
            metadata_cid: Text = data,
        }
        /// Owner, wallet or metadata changed: all three as they are now.
        AgentUpdated = "AgentUpdated(bytes32,address,address,string,address)",
            "0x08351e4a1166c44d325cf0bd4553188140e19a53f9397bfdd608b33f0afe999f" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// Its owner.
            owner: Address = topic,
            /// The wallet that acts for it.
            wallet: Address = topic,
            /// Where its metadata is.
            metadata_cid: Text = data,
            /// Who did it: the owner before.
            by: Address = data,
        }
        /// The agent was switched off.
        AgentDeactivated = "AgentDeactivated(bytes32,address,string)",
            "0x6eb0a6d6aaf42cef32d61a94ba5b76ff6a4df0a35205f19da8210ba5cfee2805" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// Who did it.
            by: Address = topic,
            /// Why; free text.
            reason: Text = data,
        }
        /// The agent was switched on again.
        AgentReactivated = "AgentReactivated(bytes32,address,string)",
            "0x66d26f4da5f9f9fbff9db6abd888083b099077df7337babc25a42521a292d676" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// Who did it.
            by: Address = topic,
            /// Why; free text.
            reason: Text = data,
        }
        /// The agent's policy was replaced as a whole.
        PolicyUpdated = "PolicyUpdated(bytes32,(uint256,uint256,uint256,uint256,uint256[],address[],uint8))",
            "0x295a72b9a8d88f3098f4fa0d30a26ea74abc95faaae15989a4d20c4bbcd6f006" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// The policy from now on.
            policy: PolicyLimits = data,
        }
    }
}

super::events! {
    /// An event of the policy engine.
    PolicyEvent {
        /// A transaction was checked against the agent's policy.
        PolicyChecked = "PolicyChecked(bytes32,bool,string)",
            "0x93c1d5b47425d9de3e9d8fed5ba48fa4465adb07421e8013d49ec5f268db3fae" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// Whether it passed.
            allowed: bool = data,
            /// Why it was refused; empty when it passed.
            reason: Text = data,
        }
        /// The breaker over all agents was tripped.
        CircuitBreakerTripped = "CircuitBreakerTripped(uint256,string)",
            "0xd045f4b8208af1c337450f3ffcccbfc63faa512441d533da66875002fe91001d" {
            /// Seconds since 1970.
            timestamp: U256 = data,
            /// Why; free text.
            reason: Text = data,
        }
        /// The breaker over all agents was reset.
        CircuitBreakerReset = "CircuitBreakerReset(uint256)",
            "0xcdce3dd4437cfe68002ed06c2f62be3eae06c268cb56d71b3c98825f4f9d7d34" {
            /// Seconds since 1970.
            timestamp: U256 = data,
        }
        /// An agent ran into a limit of its policy.
        CircuitBreakerTriggered = "CircuitBreakerTriggered(bytes32,string,uint256)",
            "0x5b40613fc1d778d2894d75715caed0aab3321deedffb5bdc76b18d6de8b0520d" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// DAILY_SPEND_EXCEEDED or TX_FREQUENCY_EXCEEDED.
            reason: Text = data,
            /// Seconds since 1970.
            timestamp: U256 = data,
        }
        /// All checks are refused from now on.
        EmergencyPaused = "EmergencyPaused(address,string)",
            "0x375c0abd968f4602b557f6ac9a48ffc89820233aa9becc5d7ff1176fd09eafff" {
            /// Who did it.
            by: Address = topic,
            /// Why; free text.
            reason: Text = data,
        }
        /// Checks are made again.
        EmergencyUnpaused = "EmergencyUnpaused(address,string)",
            "0x5e9efe0320c49a9eb6e0d598cd54a92107df81a70b87c1fff8e2c2a3b803f774" {
            /// Who did it.
            by: Address = topic,
            /// Why; free text.
            reason: Text = data,
        }
        /// The agent's checks are refused from now on.
        AgentPaused = "AgentPaused(bytes32,address,string)",
            "0xedf1a41ffa438db20b3ded193e93d8f638ca5eb6c1c8a84362c8a3af59d42599" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// Who did it.
            by: Address = topic,
            /// Why; free text.
            reason: Text = data,
        }
        /// The agent's checks are made again.
        AgentUnpaused = "AgentUnpaused(bytes32,address,string)",
            "0xaa0719bb0539415043a2d73269a97923aa53cab56a122f21ebfb41d9b761edc2" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// Who did it.
            by: Address = topic,
            /// Why; free text.
            reason: Text = data,
        }
    }
}

super::events! {
    /// An event of the cross-chain executor.
    ExecutorEvent {
        /// An agent stated an intent.
        IntentEmitted = "IntentEmitted(bytes32,bytes32,uint256,bytes32,uint256,uint256)",
            "0xb98019618d31914796ad9928cb534da895eadb131fa5d51fd1eb7ccc101fcf5e" {
            /// The intent.
            intent_id: B256 = topic,
            /// The wallet agent.
            agent_id: B256 = topic,
            /// The chain to act on.
            dest_chain_id: U256 = data,
            /// The hash of value, recipient and action.
            action_hash: B256 = data,
            /// The agent's counter, from 0.
            nonce: U256 = data,
            /// Seconds since 1970 after which it lapses.
            expiry: U256 = data,
        }
        /// What the intent just stated is about.
        IntentDetails = "IntentDetails(bytes32,uint256,uint256,address,string)",
            "0xdcb11ad274730716525fe2bff4af29d3d678023b0d7431a386d6185407f3371b" {
            /// The intent.
            intent_id: B256 = topic,
            /// The chain it was stated on.
            src_chain_id: U256 = data,
            /// The amount, in the chain's smallest unit.
            value: U256 = data,
            /// Who is to get it.
            recipient: Address = data,
            /// What is to be done; free text.
            action: Text = data,
        }
        /// A relayer took the intent up; its timelock runs.
        IntentSubmitted = "IntentSubmitted(bytes32,address,uint256)",
            "0x7f7b7ad79ce4ccd6fc2142c08993ef13a9d432e4cc1770c29bee7a7627b84320" {
            /// The intent.
            intent_id: B256 = topic,
            /// The relayer.
            relayer: Address = topic,
            /// Seconds since 1970.
            timestamp: U256 = data,
        }
        /// A relayer reported the intent executed.
        IntentExecuted = "IntentExecuted(bytes32,address,uint256)",
            "0xe8aa961690fc4b7d66cf17b3e6e76d0a17f467fc08e53858c359b2540861dc72" {
            /// The intent.
            intent_id: B256 = topic,
            /// Who executed it.
            executor: Address = topic,
            /// Seconds since 1970.
            timestamp: U256 = data,
        }
        /// The intent was stopped before its execution.
        IntentDisputed = "IntentDisputed(bytes32,address,string)",
            "0x6ff1966cff4a58c47c0cec4c307d21d4609291bc70f77c9c3dd7c6489f1dede1" {
            /// The intent.
            intent_id: B256 = topic,
            /// Who disputes it.
            disputer: Address = topic,
            /// Why; free text.
            reason: Text = data,
        }
        /// An address may relay from now on.
        RelayerAuthorized = "RelayerAuthorized(address)",
            "0x34aff43ff674361fe2288d5bfdd1c3ee4c20de76d41536ac0e195c6b59552ff5" {
            /// The relayer.
            relayer: Address = topic,
        }
        /// An address may no longer relay.
        RelayerRevoked = "RelayerRevoked(address)",
            "0x3cec689f527469da1c32e52219a628d3d417c9398fe105d55cb3a628d7676265" {
            /// The relayer.
            relayer: Address = topic,
        }
        /// An executed intent was sent to another chain.
        BridgeMessageSent = "BridgeMessageSent(bytes32,bytes32,bytes32,uint256,address)",
            "0x635b44c44c74125002e47f52f9796af8c85eded995cc48332790331d194d92fa" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// The intent.
            intent_id: B256 = topic,
            /// The message.
            message_id: B256 = topic,
            /// The chain to act on.
            dest_chain_id: U256 = data,
            /// The relayer.
            relayer: Address = data,
        }
        /// An intent of another chain arrived.
        BridgeMessageReceived = "BridgeMessageReceived(bytes32,bytes32,bytes32,uint256,address)",
            "0x6c51c8b8331902013d570f0a1806fab1ae7e231ac8592c5b865b95242a2cacd1" {
            /// The wallet agent.
            agent_id: B256 = topic,
            /// The intent.
            intent_id: B256 = topic,
            /// The message.
            message_id: B256 = topic,
            /// The chain it came from.
            src_chain_id: U256 = data,
            /// The relayer.
            relayer: Address = data,
        }
    }
}

/// What a wallet's agent may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLimits {
    /// Most it may spend in a day, in the chain's smallest unit.
    pub max_spend_per_day: U256,
    /// Most transactions in a day.
    pub max_tx_per_day: U256,
    /// Most transactions in an hour.
    pub max_tx_per_hour: U256,
    /// Most it may spend in one transaction, in the chain's smallest unit.
    pub max_value_per_tx: U256,
    /// The chains it may act on; empty: all.
    pub allowed_chains: Vec<U256>,
    /// The addresses it may deal with; empty: all.
    pub whitelist: Vec<Address>,
    /// How risky it is held to be.
    pub risk_level: u8,
}

tuple_param!(PolicyLimits = "(uint256,uint256,uint256,uint256,uint256[],address[],uint8)" {
    max_spend_per_day,
    max_tx_per_day,
    max_tx_per_hour,
    max_value_per_tx,
    allowed_chains,
    whitelist,
    risk_level,
});
