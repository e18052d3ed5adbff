// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governed} from "./Governed.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {ICrossChainExecutor} from "./interfaces/ICrossChainExecutor.sol";
import {IPolicyEngine} from "./interfaces/IPolicyEngine.sol";

/// @title The ledger of cross-chain intents
/// @notice An intent moves forward only: created, submitted, executed; or disputed, or expired, from the first two.
/// Between submission and execution lies a timelock, in which whoever is concerned can dispute.
contract CrossChainExecutor is ICrossChainExecutor, Governed {
    /// @inheritdoc ICrossChainExecutor
    uint256 public immutable TIMELOCK_SECONDS;
    /// @inheritdoc ICrossChainExecutor
    uint256 public immutable MAX_TEXT_BYTES;

    IAgentRegistry private _agentRegistry;
    IPolicyEngine private _policyEngine;
    /// @inheritdoc ICrossChainExecutor
    mapping(bytes32 agentId => uint256) public intentCount;
    /// @inheritdoc ICrossChainExecutor
    mapping(address account => bool) public isRelayer;
    /// @inheritdoc ICrossChainExecutor
    mapping(bytes32 messageId => bool) public isReceived;
    mapping(bytes32 intentId => Intent) private _intents;

    modifier onlyRelayer() {
        if (!isRelayer[msg.sender]) revert NotRelayer(msg.sender);
        _;
    }

    /// @param timelockSeconds The time between submission and the earliest execution.
    /// @param maxTextBytes The longest action or reason.
    constructor(uint256 timelockSeconds, uint256 maxTextBytes) {
        TIMELOCK_SECONDS = timelockSeconds;
        MAX_TEXT_BYTES = maxTextBytes;
    }

    /// @inheritdoc ICrossChainExecutor
    function initialize(address agentRegistry_, address policyEngine_) external initializer {
        _requireContract(agentRegistry_);
        _requireContract(policyEngine_);
        __Governed_init();
        _agentRegistry = IAgentRegistry(agentRegistry_);
        _policyEngine = IPolicyEngine(policyEngine_);
    }

    /// @inheritdoc ICrossChainExecutor
    /// @dev Returns rather than reverts where the policy refuses: a revert would take the engine's events with it.
    function emitIntent(
        bytes32 agentId,
        uint256 destChainId,
        uint256 value,
        address recipient,
        string calldata action,
        uint64 expiry
    ) external whenNotPaused nonReentrant returns (bytes32 intentId) {
        if (!_agentRegistry.isOperator(agentId, msg.sender)) {
            revert NotAgentOperator(msg.sender, agentId);
        }
        _requireAtMost(action, MAX_TEXT_BYTES);
        uint256 unlocksAt = block.timestamp + TIMELOCK_SECONDS;
        if (expiry <= unlocksAt) revert ExpiryTooSoon(expiry, unlocksAt + 1);
        if (!_policyEngine.checkPolicy(agentId, value, destChainId, recipient)) return bytes32(0);
        Intent memory intent = Intent({
            agentId: agentId,
            destChainId: destChainId,
            value: value,
            nonce: intentCount[agentId]++,
            actionHash: keccak256(abi.encode(value, recipient, action)),
            recipient: recipient,
            expiry: expiry,
            submittedAt: 0,
            status: Status.CREATED
        });
        intentId = _store(intent);
        emit IntentDetails(intentId, block.chainid, value, recipient, action);
    }

    /// @inheritdoc ICrossChainExecutor
    function submitIntent(bytes32 intentId) external whenNotPaused nonReentrant onlyRelayer {
        Intent storage intent = _at(intentId, Status.CREATED);
        intent.status = Status.SUBMITTED;
        intent.submittedAt = uint64(block.timestamp);
        emit IntentSubmitted(intentId, msg.sender, block.timestamp);
    }

    /// @inheritdoc ICrossChainExecutor
    /// @dev The agent may have been stopped since it stated the intent, and then nothing of its may run.
    function executeIntent(bytes32 intentId) external whenNotPaused nonReentrant onlyRelayer {
        Intent storage intent = _at(intentId, Status.SUBMITTED);
        uint256 unlocksAt = intent.submittedAt + TIMELOCK_SECONDS;
        if (block.timestamp < unlocksAt) revert TimelockActive(intentId, unlocksAt);
        bytes32 agentId = intent.agentId;
        string memory halt = _policyEngine.haltReason(agentId);
        if (bytes(halt).length > 0) revert AgentHalted(agentId, halt);
        intent.status = Status.EXECUTED;
        emit IntentExecuted(intentId, msg.sender, block.timestamp);
        uint256 destChainId = intent.destChainId;
        if (destChainId != block.chainid) {
            bytes32 messageId = _messageId(block.chainid, destChainId, agentId, intentId);
            emit BridgeMessageSent(agentId, intentId, messageId, destChainId, msg.sender);
        }
    }

    /// @inheritdoc ICrossChainExecutor
    function disputeIntent(bytes32 intentId, string calldata reason) external whenNotPaused nonReentrant {
        Intent storage intent = _intents[intentId];
        Status status = _statusNow(intent);
        if (status != Status.CREATED && status != Status.SUBMITTED) revert WrongStatus(intentId, status);
        if (!_mayDispute(intent.agentId, msg.sender)) revert NotDisputer(msg.sender, intentId);
        _requireAtMost(reason, MAX_TEXT_BYTES);
        intent.status = Status.DISPUTED;
        emit IntentDisputed(intentId, msg.sender, reason);
    }

    /// @inheritdoc ICrossChainExecutor
    function receiveBridgeMessage(uint256 srcChainId, bytes32 agentId, bytes32 intentId)
        external
        whenNotPaused
        nonReentrant
        onlyRelayer
        returns (bytes32 messageId)
    {
        if (srcChainId == block.chainid) revert SameChain(srcChainId);
        messageId = _messageId(srcChainId, block.chainid, agentId, intentId);
        if (isReceived[messageId]) revert MessageAlreadyReceived(messageId);
        isReceived[messageId] = true;
        emit BridgeMessageReceived(agentId, intentId, messageId, srcChainId, msg.sender);
    }

    /// @inheritdoc ICrossChainExecutor
    function authorizeRelayer(address relayer) external onlyRole(REGISTRY_ADMIN_ROLE) {
        if (isRelayer[relayer]) revert RelayerAlreadyAuthorized(relayer);
        isRelayer[relayer] = true;
        emit RelayerAuthorized(relayer);
    }

    /// @inheritdoc ICrossChainExecutor
    function revokeRelayer(address relayer) external onlyRole(REGISTRY_ADMIN_ROLE) {
        if (!isRelayer[relayer]) revert RelayerNotAuthorized(relayer);
        isRelayer[relayer] = false;
        emit RelayerRevoked(relayer);
    }

    /// @inheritdoc ICrossChainExecutor
    function getIntent(bytes32 intentId) external view returns (Intent memory intent) {
        intent = _intents[intentId];
        intent.status = _statusNow(_intents[intentId]);
    }

    /// @inheritdoc ICrossChainExecutor
    function agentRegistry() external view returns (address) {
        return address(_agentRegistry);
    }

    /// @inheritdoc ICrossChainExecutor
    function policyEngine() external view returns (address) {
        return address(_policyEngine);
    }

    function _store(Intent memory intent) private returns (bytes32 intentId) {
        intentId = keccak256(abi.encode(block.chainid, address(this), intent.agentId, intent.nonce));
        _intents[intentId] = intent;
        emit IntentEmitted(intentId, intent.agentId, intent.destChainId, intent.actionHash, intent.nonce, intent.expiry);
    }

    function _at(bytes32 intentId, Status needed) private view returns (Intent storage intent) {
        intent = _intents[intentId];
        Status status = _statusNow(intent);
        if (status != needed) revert WrongStatus(intentId, status);
    }

    /// @dev An intent may still be executed in the second of its expiry.
    function _statusNow(Intent storage intent) private view returns (Status) {
        Status status = intent.status;
        bool isOpen = status == Status.CREATED || status == Status.SUBMITTED;
        return isOpen && block.timestamp > intent.expiry ? Status.EXPIRED : status;
    }

    function _mayDispute(bytes32 agentId, address account) private view returns (bool) {
        return isRelayer[account] || hasRole(PAUSER_ROLE, account) || _agentRegistry.isOperator(agentId, account);
    }

    function _messageId(uint256 srcChainId, uint256 destChainId, bytes32 agentId, bytes32 intentId)
        private
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(srcChainId, destChainId, agentId, intentId));
    }
}
