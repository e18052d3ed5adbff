// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The registry of wallet agents
/// @notice An agent here is an owner, a wallet that acts for it, and a spending policy. A wallet has at most one agent.
interface IAgentRegistry {
    /// @notice What an agent may do. Numbers are literal (0 allows nothing); an empty list does not restrict.
    struct Policy {
        uint256 maxSpendPerDay;
        uint256 maxTxPerDay;
        uint256 maxTxPerHour;
        uint256 maxValuePerTx;
        uint256[] allowedChains;
        address[] whitelist;
        uint8 riskLevel;
    }

    /// @notice An agent as it stands.
    struct Agent {
        address owner;
        address wallet;
        bool active;
        /// @notice Deactivated by a registry admin: only a registry admin may reactivate it.
        bool suspended;
        string metadataCID;
    }

    /// @notice An agent was registered, active.
    event AgentRegistered(bytes32 indexed agentId, address indexed owner, address indexed wallet, string metadataCID);
    /// @notice Owner, wallet or metadata changed; the event carries all three as they stand now. `by` is the owner before.
    event AgentUpdated(
        bytes32 indexed agentId, address indexed owner, address indexed wallet, string metadataCID, address by
    );
    /// @notice The agent was switched off by its owner or by a registry admin.
    event AgentDeactivated(bytes32 indexed agentId, address indexed by, string reason);
    /// @notice The agent was switched on again.
    event AgentReactivated(bytes32 indexed agentId, address indexed by, string reason);
    /// @notice The agent's whole policy was replaced; also emitted at registration.
    event PolicyUpdated(bytes32 indexed agentId, Policy policy);

    /// @notice No agent has this id.
    error AgentNotFound(bytes32 agentId);
    /// @notice The caller is not the agent's owner.
    error NotAgentOwner(address caller, bytes32 agentId);
    /// @notice The wallet already has an agent.
    error WalletTaken(address wallet, bytes32 agentId);
    /// @notice The zero address cannot own an agent or be its wallet.
    error InvalidParty();
    /// @notice The deadline of the wallet's consent has passed.
    error DeadlinePassed(uint256 deadline);
    /// @notice The wallet's consent is not signed by the wallet (neither ECDSA nor ERC-1271).
    error InvalidWalletSignature(address wallet);
    /// @notice The agent is not active.
    error AgentNotActive(bytes32 agentId);
    /// @notice The agent is active already.
    error AgentAlreadyActive(bytes32 agentId);
    /// @notice A registry admin deactivated the agent, and only a registry admin may reactivate it.
    error AgentIsSuspended(bytes32 agentId);
    /// @notice A list of the policy is longer than `MAX_POLICY_LIST_ITEMS`.
    error PolicyListTooLong(uint256 length, uint256 limit);

    /// @notice Makes the caller the registry's owner. Once.
    function initialize() external;
    /// @notice Registers an agent owned by the caller.
    /// @param wallet The address that acts for the agent; it must consent, unless it is the caller itself.
    /// @param deadline Unix seconds until which the consent holds; ignored where the wallet is the caller.
    /// @param walletSignature EIP-712 `WalletConsent(address owner,address wallet,uint256 nonce,uint256 deadline)` by the
    /// wallet (ERC-1271 too), where nonce is `walletNonce(wallet)`; ignored where the wallet is the caller.
    /// @return agentId keccak256 of chain id, this registry, the owner and the running number of agents.
    function registerAgent(
        address wallet,
        string calldata metadataCID,
        Policy calldata policy,
        uint256 deadline,
        bytes calldata walletSignature
    ) external returns (bytes32 agentId);
    /// @notice Replaces the CID of the agent's metadata. Only its owner.
    function setMetadataCID(bytes32 agentId, string calldata metadataCID) external;
    /// @notice Replaces the agent's wallet, with the new one's consent as in `registerAgent`. Only its owner.
    function setWallet(bytes32 agentId, address wallet, uint256 deadline, bytes calldata walletSignature) external;
    /// @notice Hands the agent to another owner. Only its owner.
    function transferAgent(bytes32 agentId, address newOwner) external;
    /// @notice Replaces the agent's policy. Only its owner.
    function setPolicy(bytes32 agentId, Policy calldata policy) external;
    /// @notice Switches the agent off. Its owner, or a registry admin (which suspends it).
    function deactivateAgent(bytes32 agentId, string calldata reason) external;
    /// @notice Switches the agent on again. Its owner, unless suspended, or a registry admin.
    function reactivateAgent(bytes32 agentId, string calldata reason) external;

    /// @notice The agent; reverts for an unknown id.
    function getAgent(bytes32 agentId) external view returns (Agent memory);
    /// @notice The agent's policy; reverts for an unknown id.
    function getPolicy(bytes32 agentId) external view returns (Policy memory);
    /// @notice The id of the wallet's agent, or zero.
    function agentOfWallet(address wallet) external view returns (bytes32);
    /// @notice Whether there is an agent with this id.
    function exists(bytes32 agentId) external view returns (bool);
    /// @notice Whether there is such an agent and it is active.
    function isActive(bytes32 agentId) external view returns (bool);
    /// @notice Whether an address may act for the agent: its owner or its wallet. False for an unknown id.
    function isOperator(bytes32 agentId, address account) external view returns (bool);
    /// @notice How many agents were ever registered.
    function agentCount() external view returns (uint256);
    /// @notice How many agents are active.
    function activeAgentCount() external view returns (uint256);
    /// @notice The nonce that the wallet's next consent must carry.
    function walletNonce(address wallet) external view returns (uint256);

    /// @notice The longest CID or reason, in bytes.
    function MAX_TEXT_BYTES() external view returns (uint256);
    /// @notice The most chains, and the most whitelisted addresses, of a policy.
    function MAX_POLICY_LIST_ITEMS() external view returns (uint256);
}
