// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The engine that checks agents' spending against their policies
/// @notice A refused check returns false after emitting, and never reverts: a revert would take its event with it.
interface IPolicyEngine {
    /// @notice What an agent has used of its policy. A day is `timestamp / 86400`, an hour `timestamp / 3600`.
    struct Usage {
        uint64 day;
        uint64 hour;
        uint64 dayTransactions;
        uint64 hourTransactions;
        uint256 daySpend;
    }

    /// @notice A check was made. `reason` is empty where it passed, else the first that holds of EMERGENCY_PAUSED,
    /// CIRCUIT_BREAKER_TRIPPED, AGENT_UNKNOWN, AGENT_INACTIVE, AGENT_PAUSED, VALUE_PER_TX_EXCEEDED, CHAIN_NOT_ALLOWED,
    /// RECIPIENT_NOT_WHITELISTED, TX_FREQUENCY_EXCEEDED, DAILY_SPEND_EXCEEDED.
    event PolicyChecked(bytes32 indexed agentId, bool allowed, string reason);
    /// @notice The breaker over all agents was tripped; `timestamp` in unix seconds.
    event CircuitBreakerTripped(uint256 timestamp, string reason);
    /// @notice The breaker over all agents was reset; `timestamp` in unix seconds.
    event CircuitBreakerReset(uint256 timestamp);
    /// @notice An agent ran into DAILY_SPEND_EXCEEDED or TX_FREQUENCY_EXCEEDED; `timestamp` in unix seconds.
    event CircuitBreakerTriggered(bytes32 indexed agentId, string reason, uint256 timestamp);
    /// @notice All checks are refused from now on.
    event EmergencyPaused(address indexed by, string reason);
    /// @notice Checks are made again.
    event EmergencyUnpaused(address indexed by, string reason);
    /// @notice The agent's checks are refused from now on.
    event AgentPaused(bytes32 indexed agentId, address indexed by, string reason);
    /// @notice The agent's checks are made again.
    event AgentUnpaused(bytes32 indexed agentId, address indexed by, string reason);

    /// @notice The caller is neither the agent's owner, nor its wallet, nor a holder of `EXECUTOR_ROLE`.
    error NotChecker(address caller, bytes32 agentId);
    /// @notice The caller is neither the agent's owner nor a pauser.
    error NotAgentPauser(address caller, bytes32 agentId);
    /// @notice The caller may not lift this pause: one set by a pauser is lifted by a registry admin only.
    error NotAgentUnpauser(address caller, bytes32 agentId);
    /// @notice The agent is paused already.
    error AgentIsPaused(bytes32 agentId);
    /// @notice The agent is not paused.
    error AgentIsNotPaused(bytes32 agentId);
    /// @notice The breaker is tripped already.
    error BreakerIsTripped();
    /// @notice The breaker is not tripped.
    error BreakerIsNotTripped();

    /// @notice Binds the engine to an agent registry, and makes the caller its owner. Once.
    function initialize(address agentRegistry_) external;
    /// @notice Checks a transaction against the agent's policy, and books it where it passes.
    /// @param value In the chain's smallest unit.
    /// @return allowed False where refused; the event tells why.
    function checkPolicy(bytes32 agentId, uint256 value, uint256 destChainId, address recipient)
        external
        returns (bool allowed);
    /// @notice Stops all checks. Only a pauser.
    function emergencyPause(string calldata reason) external;
    /// @notice Ends the stop. Only a registry admin.
    function emergencyUnpause(string calldata reason) external;
    /// @notice Stops one agent. Its owner, or a pauser.
    function pauseAgent(bytes32 agentId, string calldata reason) external;
    /// @notice Ends the stop of one agent: its owner where the owner set it, else a registry admin.
    function unpauseAgent(bytes32 agentId, string calldata reason) external;
    /// @notice Trips the breaker over all agents. Only a pauser.
    function tripCircuitBreaker(string calldata reason) external;
    /// @notice Resets the breaker over all agents. Only a registry admin.
    function resetCircuitBreaker() external;

    /// @notice What `checkPolicy` would answer now, without booking.
    function previewPolicy(bytes32 agentId, uint256 value, uint256 destChainId, address recipient)
        external
        view
        returns (bool allowed, string memory reason);
    /// @notice Why the agent may do nothing at all now, or empty where it may act.
    function haltReason(bytes32 agentId) external view returns (string memory reason);
    /// @notice What the agent has used today and in this hour.
    function usageOf(bytes32 agentId) external view returns (Usage memory);
    /// @notice Whether the agent is paused.
    function agentPaused(bytes32 agentId) external view returns (bool);
    /// @notice Whether the breaker over all agents is tripped.
    function circuitBreakerTripped() external view returns (bool);
    /// @notice The agent registry whose policies are checked here.
    function agentRegistry() external view returns (address);

    /// @notice The role that may have checks made for every agent.
    function EXECUTOR_ROLE() external view returns (bytes32);
    /// @notice The longest reason, in bytes.
    function MAX_TEXT_BYTES() external view returns (uint256);
}
