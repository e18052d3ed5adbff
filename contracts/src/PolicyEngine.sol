// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governed} from "./Governed.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IPolicyEngine} from "./interfaces/IPolicyEngine.sol";

/// @title The engine that checks agents' spending against their policies
/// @notice Only a check that passes is booked, and every check is told by an event, refused ones too.
contract PolicyEngine is IPolicyEngine, Governed {
    enum AgentPause {
        NONE,
        BY_OWNER,
        BY_PAUSER
    }

    /// @dev In the order of the checks; the last two trigger the agent's breaker.
    enum Verdict {
        ALLOWED,
        EMERGENCY_PAUSED,
        CIRCUIT_BREAKER_TRIPPED,
        AGENT_UNKNOWN,
        AGENT_INACTIVE,
        AGENT_PAUSED,
        VALUE_PER_TX_EXCEEDED,
        CHAIN_NOT_ALLOWED,
        RECIPIENT_NOT_WHITELISTED,
        TX_FREQUENCY_EXCEEDED,
        DAILY_SPEND_EXCEEDED
    }

    /// @inheritdoc IPolicyEngine
    bytes32 public constant EXECUTOR_ROLE = keccak256("EXECUTOR_ROLE");
    /// @inheritdoc IPolicyEngine
    uint256 public immutable MAX_TEXT_BYTES;

    IAgentRegistry private _agentRegistry;
    /// @inheritdoc IPolicyEngine
    bool public circuitBreakerTripped;
    mapping(bytes32 agentId => Usage) private _usage;
    mapping(bytes32 agentId => AgentPause) private _agentPauses;

    /// @param maxTextBytes The longest reason.
    constructor(uint256 maxTextBytes) {
        MAX_TEXT_BYTES = maxTextBytes;
    }

    /// @inheritdoc IPolicyEngine
    function initialize(address agentRegistry_) external initializer {
        _requireContract(agentRegistry_);
        __Governed_init();
        _agentRegistry = IAgentRegistry(agentRegistry_);
    }

    /// @inheritdoc IPolicyEngine
    /// @dev Not stopped by a pause: while paused it refuses, and says so.
    function checkPolicy(bytes32 agentId, uint256 value, uint256 destChainId, address recipient)
        external
        nonReentrant
        returns (bool allowed)
    {
        if (!hasRole(EXECUTOR_ROLE, msg.sender) && !_agentRegistry.isOperator(agentId, msg.sender)) {
            revert NotChecker(msg.sender, agentId);
        }
        Verdict verdict = _judge(agentId, value, destChainId, recipient);
        string memory reason = _text(verdict);
        allowed = verdict == Verdict.ALLOWED;
        if (allowed) _book(agentId, value);
        emit PolicyChecked(agentId, allowed, reason);
        if (verdict >= Verdict.TX_FREQUENCY_EXCEEDED) emit CircuitBreakerTriggered(agentId, reason, block.timestamp);
    }

    /// @inheritdoc IPolicyEngine
    function emergencyPause(string calldata reason) external onlyRole(PAUSER_ROLE) {
        _emergencyPause(reason);
    }

    /// @inheritdoc IPolicyEngine
    function emergencyUnpause(string calldata reason) external onlyRole(REGISTRY_ADMIN_ROLE) {
        _emergencyUnpause(reason);
    }

    /// @inheritdoc Governed
    function pause() external override onlyRole(PAUSER_ROLE) {
        _emergencyPause("");
    }

    /// @inheritdoc Governed
    function unpause() external override onlyRole(REGISTRY_ADMIN_ROLE) {
        _emergencyUnpause("");
    }

    /// @inheritdoc IPolicyEngine
    /// @dev A pauser may pause an agent that its owner has paused: else an owner could forestall it.
    function pauseAgent(bytes32 agentId, string calldata reason) external {
        bool isOwner = msg.sender == _agentRegistry.getAgent(agentId).owner;
        bool isPauser = hasRole(PAUSER_ROLE, msg.sender);
        if (!isOwner && !isPauser) revert NotAgentPauser(msg.sender, agentId);
        AgentPause wanted = isPauser ? AgentPause.BY_PAUSER : AgentPause.BY_OWNER;
        if (wanted <= _agentPauses[agentId]) revert AgentIsPaused(agentId);
        _requireAtMost(reason, MAX_TEXT_BYTES);
        _agentPauses[agentId] = wanted;
        emit AgentPaused(agentId, msg.sender, reason);
    }

    /// @inheritdoc IPolicyEngine
    function unpauseAgent(bytes32 agentId, string calldata reason) external {
        AgentPause current = _agentPauses[agentId];
        if (current == AgentPause.NONE) revert AgentIsNotPaused(agentId);
        bool isOwners = current == AgentPause.BY_OWNER && msg.sender == _agentRegistry.getAgent(agentId).owner;
        if (!isOwners && !hasRole(REGISTRY_ADMIN_ROLE, msg.sender)) revert NotAgentUnpauser(msg.sender, agentId);
        _requireAtMost(reason, MAX_TEXT_BYTES);
        _agentPauses[agentId] = AgentPause.NONE;
        emit AgentUnpaused(agentId, msg.sender, reason);
    }

    /// @inheritdoc IPolicyEngine
    function tripCircuitBreaker(string calldata reason) external onlyRole(PAUSER_ROLE) {
        if (circuitBreakerTripped) revert BreakerIsTripped();
        _requireAtMost(reason, MAX_TEXT_BYTES);
        circuitBreakerTripped = true;
        emit CircuitBreakerTripped(block.timestamp, reason);
    }

    /// @inheritdoc IPolicyEngine
    function resetCircuitBreaker() external onlyRole(REGISTRY_ADMIN_ROLE) {
        if (!circuitBreakerTripped) revert BreakerIsNotTripped();
        circuitBreakerTripped = false;
        emit CircuitBreakerReset(block.timestamp);
    }

    /// @inheritdoc IPolicyEngine
    function previewPolicy(bytes32 agentId, uint256 value, uint256 destChainId, address recipient)
        external
        view
        returns (bool allowed, string memory reason)
    {
        Verdict verdict = _judge(agentId, value, destChainId, recipient);
        return (verdict == Verdict.ALLOWED, _text(verdict));
    }

    /// @inheritdoc IPolicyEngine
    function haltReason(bytes32 agentId) external view returns (string memory reason) {
        return _text(_judgeAgent(agentId));
    }

    /// @inheritdoc IPolicyEngine
    function usageOf(bytes32 agentId) external view returns (Usage memory) {
        return _currentUsage(agentId);
    }

    /// @inheritdoc IPolicyEngine
    function agentPaused(bytes32 agentId) external view returns (bool) {
        return _agentPauses[agentId] != AgentPause.NONE;
    }

    /// @inheritdoc IPolicyEngine
    function agentRegistry() external view returns (address) {
        return address(_agentRegistry);
    }

    function _emergencyPause(string memory reason) private {
        _requireAtMost(reason, MAX_TEXT_BYTES);
        _pause();
        emit EmergencyPaused(msg.sender, reason);
    }

    function _emergencyUnpause(string memory reason) private {
        _requireAtMost(reason, MAX_TEXT_BYTES);
        _unpause();
        emit EmergencyUnpaused(msg.sender, reason);
    }

    function _judge(bytes32 agentId, uint256 value, uint256 destChainId, address recipient)
        private
        view
        returns (Verdict)
    {
        Verdict verdict = _judgeAgent(agentId);
        if (verdict != Verdict.ALLOWED) return verdict;
        IAgentRegistry.Policy memory policy = _agentRegistry.getPolicy(agentId);
        if (value > policy.maxValuePerTx) return Verdict.VALUE_PER_TX_EXCEEDED;
        if (!_allowsChain(policy, destChainId)) return Verdict.CHAIN_NOT_ALLOWED;
        if (!_allowsRecipient(policy, recipient)) return Verdict.RECIPIENT_NOT_WHITELISTED;
        return _judgeUsage(policy, _currentUsage(agentId), value);
    }

    function _judgeAgent(bytes32 agentId) private view returns (Verdict) {
        if (paused()) return Verdict.EMERGENCY_PAUSED;
        if (circuitBreakerTripped) return Verdict.CIRCUIT_BREAKER_TRIPPED;
        if (!_agentRegistry.exists(agentId)) return Verdict.AGENT_UNKNOWN;
        if (!_agentRegistry.isActive(agentId)) return Verdict.AGENT_INACTIVE;
        if (_agentPauses[agentId] != AgentPause.NONE) return Verdict.AGENT_PAUSED;
        return Verdict.ALLOWED;
    }

    /// @dev More may have been spent than is allowed now, where the policy was tightened during the day.
    function _judgeUsage(IAgentRegistry.Policy memory policy, Usage memory usage, uint256 value)
        private
        pure
        returns (Verdict)
    {
        bool isTooOften =
            usage.hourTransactions >= policy.maxTxPerHour || usage.dayTransactions >= policy.maxTxPerDay;
        if (isTooOften) return Verdict.TX_FREQUENCY_EXCEEDED;
        bool isTooMuch = usage.daySpend > policy.maxSpendPerDay || value > policy.maxSpendPerDay - usage.daySpend;
        return isTooMuch ? Verdict.DAILY_SPEND_EXCEEDED : Verdict.ALLOWED;
    }

    function _book(bytes32 agentId, uint256 value) private {
        Usage memory usage = _currentUsage(agentId);
        ++usage.dayTransactions;
        ++usage.hourTransactions;
        usage.daySpend += value;
        _usage[agentId] = usage;
    }

    /// @dev What was booked, with the counters of a day or an hour that has passed back at zero.
    function _currentUsage(bytes32 agentId) private view returns (Usage memory usage) {
        usage = _usage[agentId];
        uint64 day = uint64(block.timestamp / 1 days);
        uint64 hour = uint64(block.timestamp / 1 hours);
        if (usage.day != day) (usage.day, usage.dayTransactions, usage.daySpend) = (day, 0, 0);
        if (usage.hour != hour) (usage.hour, usage.hourTransactions) = (hour, 0);
    }

    function _allowsChain(IAgentRegistry.Policy memory policy, uint256 chainId) private pure returns (bool) {
        uint256[] memory allowed = policy.allowedChains;
        for (uint256 i = 0; i < allowed.length; ++i) {
            if (allowed[i] == chainId) return true;
        }
        return allowed.length == 0;
    }

    function _allowsRecipient(IAgentRegistry.Policy memory policy, address recipient) private pure returns (bool) {
        address[] memory allowed = policy.whitelist;
        for (uint256 i = 0; i < allowed.length; ++i) {
            if (allowed[i] == recipient) return true;
        }
        return allowed.length == 0;
    }

    function _text(Verdict verdict) private pure returns (string memory) {
        if (verdict == Verdict.ALLOWED) return "";
        if (verdict == Verdict.EMERGENCY_PAUSED) return "EMERGENCY_PAUSED";
        if (verdict == Verdict.CIRCUIT_BREAKER_TRIPPED) return "CIRCUIT_BREAKER_TRIPPED";
        if (verdict == Verdict.AGENT_UNKNOWN) return "AGENT_UNKNOWN";
        if (verdict == Verdict.AGENT_INACTIVE) return "AGENT_INACTIVE";
        if (verdict == Verdict.AGENT_PAUSED) return "AGENT_PAUSED";
        if (verdict == Verdict.VALUE_PER_TX_EXCEEDED) return "VALUE_PER_TX_EXCEEDED";
        if (verdict == Verdict.CHAIN_NOT_ALLOWED) return "CHAIN_NOT_ALLOWED";
        if (verdict == Verdict.RECIPIENT_NOT_WHITELISTED) return "RECIPIENT_NOT_WHITELISTED";
        if (verdict == Verdict.TX_FREQUENCY_EXCEEDED) return "TX_FREQUENCY_EXCEEDED";
        return "DAILY_SPEND_EXCEEDED";
    }
}
