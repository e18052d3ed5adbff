// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The ledger of cross-chain intents
/// @notice An agent states an intent, a relayer submits it, and after a timelock in which it can be disputed a relayer
/// reports it executed. The contract holds and moves no funds.
interface ICrossChainExecutor {
    /// @notice Where an intent stands. EXPIRED is told by the clock: an open intent past its expiry.
    enum Status {
        NONE,
        CREATED,
        SUBMITTED,
        EXECUTED,
        DISPUTED,
        EXPIRED
    }

    /// @notice An intent as it stands. Times are unix seconds; 0 where it has not happened.
    struct Intent {
        bytes32 agentId;
        uint256 destChainId;
        uint256 value;
        uint256 nonce;
        bytes32 actionHash;
        address recipient;
        uint64 expiry;
        uint64 submittedAt;
        Status status;
    }

    /// @notice An agent stated an intent. `actionHash` is keccak256(abi.encode(value, recipient, action)); `nonce` is the
    /// agent's counter, from 0; `expiry` in unix seconds.
    event IntentEmitted(
        bytes32 indexed intentId,
        bytes32 indexed agentId,
        uint256 destChainId,
        bytes32 actionHash,
        uint256 nonce,
        uint256 expiry
    );
    /// @notice What `actionHash` of the IntentEmitted before it commits to.
    event IntentDetails(bytes32 indexed intentId, uint256 srcChainId, uint256 value, address recipient, string action);
    /// @notice A relayer took the intent up; the timelock runs from `timestamp`, unix seconds.
    event IntentSubmitted(bytes32 indexed intentId, address indexed relayer, uint256 timestamp);
    /// @notice A relayer reported the intent executed, at `timestamp`, unix seconds.
    event IntentExecuted(bytes32 indexed intentId, address indexed executor, uint256 timestamp);
    /// @notice The intent was stopped before its execution, for good.
    event IntentDisputed(bytes32 indexed intentId, address indexed disputer, string reason);
    /// @notice An address may relay from now on.
    event RelayerAuthorized(address indexed relayer);
    /// @notice An address may no longer relay.
    event RelayerRevoked(address indexed relayer);
    /// @notice An executed intent was sent to another chain. `messageId` is
    /// keccak256(abi.encode(srcChainId, destChainId, agentId, intentId)).
    event BridgeMessageSent(
        bytes32 indexed agentId,
        bytes32 indexed intentId,
        bytes32 indexed messageId,
        uint256 destChainId,
        address relayer
    );
    /// @notice An intent of another chain arrived here, once.
    event BridgeMessageReceived(
        bytes32 indexed agentId,
        bytes32 indexed intentId,
        bytes32 indexed messageId,
        uint256 srcChainId,
        address relayer
    );

    /// @notice The caller is neither the agent's owner nor its wallet.
    error NotAgentOperator(address caller, bytes32 agentId);
    /// @notice The caller is not an authorized relayer.
    error NotRelayer(address caller);
    /// @notice The address is a relayer already.
    error RelayerAlreadyAuthorized(address relayer);
    /// @notice The address is no relayer.
    error RelayerNotAuthorized(address relayer);
    /// @notice The intent is not in the state that the step needs.
    error WrongStatus(bytes32 intentId, Status status);
    /// @notice The expiry leaves no time for the timelock.
    error ExpiryTooSoon(uint256 expiry, uint256 earliest);
    /// @notice The timelock runs until `unlocksAt`, unix seconds.
    error TimelockActive(bytes32 intentId, uint256 unlocksAt);
    /// @notice The agent may do nothing now.
    error AgentHalted(bytes32 agentId, string reason);
    /// @notice The caller may not dispute: only the agent's owner, its wallet, relayers and pausers may.
    error NotDisputer(address caller, bytes32 intentId);
    /// @notice A message from this chain to itself.
    error SameChain(uint256 chainId);
    /// @notice The message arrived before.
    error MessageAlreadyReceived(bytes32 messageId);

    /// @notice Binds the executor to an agent registry and a policy engine, and makes the caller its owner. Once.
    function initialize(address agentRegistry_, address policyEngine_) external;
    /// @notice States an intent for the agent. Only its owner or wallet.
    /// @param expiry Unix seconds; later than now plus the timelock.
    /// @return intentId Zero where the policy refused (the engine's event tells why): nothing else happened then.
    function emitIntent(
        bytes32 agentId,
        uint256 destChainId,
        uint256 value,
        address recipient,
        string calldata action,
        uint64 expiry
    ) external returns (bytes32 intentId);
    /// @notice Takes up a created intent and starts its timelock. Only a relayer.
    function submitIntent(bytes32 intentId) external;
    /// @notice Reports a submitted intent executed, after its timelock, before its expiry. Only a relayer.
    function executeIntent(bytes32 intentId) external;
    /// @notice Stops a created or submitted intent. The agent's owner or wallet, a relayer, or a pauser.
    function disputeIntent(bytes32 intentId, string calldata reason) external;
    /// @notice Records the arrival of another chain's intent. Only a relayer.
    /// @return messageId As in BridgeMessageSent of the source chain.
    function receiveBridgeMessage(uint256 srcChainId, bytes32 agentId, bytes32 intentId)
        external
        returns (bytes32 messageId);
    /// @notice Allows an address to relay. Only a registry admin.
    function authorizeRelayer(address relayer) external;
    /// @notice Forbids an address to relay. Only a registry admin.
    function revokeRelayer(address relayer) external;

    /// @notice The intent; its status as the clock has it. All zero for an unknown id.
    function getIntent(bytes32 intentId) external view returns (Intent memory);
    /// @notice How many intents the agent has stated: its next nonce.
    function intentCount(bytes32 agentId) external view returns (uint256);
    /// @notice Whether an address may relay.
    function isRelayer(address account) external view returns (bool);
    /// @notice Whether a message of another chain arrived.
    function isReceived(bytes32 messageId) external view returns (bool);
    /// @notice The agent registry whose agents state intents here.
    function agentRegistry() external view returns (address);
    /// @notice The policy engine that is asked about each intent.
    function policyEngine() external view returns (address);

    /// @notice The time, in seconds, between submission and the earliest execution.
    function TIMELOCK_SECONDS() external view returns (uint256);
    /// @notice The longest action or reason, in bytes.
    function MAX_TEXT_BYTES() external view returns (uint256);
}
