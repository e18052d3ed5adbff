// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AgentRegistry} from "../../src/AgentRegistry.sol";
import {AuditLog} from "../../src/AuditLog.sol";
import {CrossChainExecutor} from "../../src/CrossChainExecutor.sol";
import {Governed} from "../../src/Governed.sol";
import {PolicyEngine} from "../../src/PolicyEngine.sol";
import {IAgentRegistry} from "../../src/interfaces/IAgentRegistry.sol";
import {ICrossChainExecutor} from "../../src/interfaces/ICrossChainExecutor.sol";
import {Vm} from "./Vm.sol";

/// @title Draws steps on the four audit contracts, with pauses in between, and counts what succeeded
/// @notice `breaches` counts what must never happen: a step that succeeds while its contract is paused, an intent that
/// goes backward, and an execution within the timelock or of a stopped agent.
contract AuditHandler {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant ACTORS = 4;
    uint256 private constant MAX_WAIT_SECONDS = 40 minutes;

    AgentRegistry private immutable AGENTS;
    AuditLog private immutable LOG;
    PolicyEngine private immutable ENGINE;
    CrossChainExecutor private immutable EXECUTOR;
    address private immutable ADMIN;

    uint256 public breaches;
    uint256 public commitments;
    uint256 public intents;
    bytes32[] private _agentIds;
    bytes32[] private _intentIds;

    constructor(AgentRegistry agents, AuditLog log, PolicyEngine engine, CrossChainExecutor executor, address admin) {
        (AGENTS, LOG, ENGINE, EXECUTOR, ADMIN) = (agents, log, engine, executor, admin);
    }

    function registerAgent(uint256 who, uint64 spend, uint8 frequency) external {
        IAgentRegistry.Policy memory policy;
        policy.maxSpendPerDay = spend;
        policy.maxValuePerTx = spend;
        policy.maxTxPerDay = frequency;
        policy.maxTxPerHour = frequency;
        bytes memory data = abi.encodeCall(AGENTS.registerAgent, (actor(who), "", policy, 0, ""));
        (bool success, bytes memory result) = _try(actor(who), address(AGENTS), data);
        if (success) _agentIds.push(abi.decode(result, (bytes32)));
    }

    function moveWallet(uint256 which) external {
        if (_agentIds.length == 0) return;
        bytes32 id = _agentId(which);
        address owner = AGENTS.getAgent(id).owner;
        _try(owner, address(AGENTS), abi.encodeCall(AGENTS.setWallet, (id, owner, 0, "")));
    }

    function transferAgent(uint256 which, uint256 to) external {
        if (_agentIds.length == 0) return;
        bytes32 id = _agentId(which);
        _try(AGENTS.getAgent(id).owner, address(AGENTS), abi.encodeCall(AGENTS.transferAgent, (id, actor(to))));
    }

    function switchAgent(uint256 which, bool on, bool asAdmin) external {
        if (_agentIds.length == 0) return;
        bytes32 id = _agentId(which);
        address caller = asAdmin ? ADMIN : AGENTS.getAgent(id).owner;
        bytes memory data =
            on ? abi.encodeCall(AGENTS.reactivateAgent, (id, "")) : abi.encodeCall(AGENTS.deactivateAgent, (id, ""));
        _try(caller, address(AGENTS), data);
    }

    function commit(uint256 which, uint8 document) external {
        if (_agentIds.length == 0) return;
        bytes32 id = _agentId(which);
        bytes memory data = abi.encodeCall(LOG.logCommitment, (id, bytes32(uint256(document % 32)), ""));
        (bool success,) = _try(AGENTS.getAgent(id).owner, address(LOG), data);
        if (success) ++commitments;
    }

    function emitIntent(uint256 which, uint64 value) external {
        if (_agentIds.length == 0) return;
        bytes32 id = _agentId(which);
        uint64 expiry = uint64(block.timestamp + 1 hours);
        bytes memory data = abi.encodeCall(EXECUTOR.emitIntent, (id, 1, value, address(0), "", expiry));
        (bool success, bytes memory result) = _try(AGENTS.getAgent(id).owner, address(EXECUTOR), data);
        if (!success || abi.decode(result, (bytes32)) == bytes32(0)) return;
        if (ENGINE.paused() || !AGENTS.isActive(id)) ++breaches;
        ++intents;
        _intentIds.push(abi.decode(result, (bytes32)));
    }

    /// @dev Submits, executes or disputes an intent, after a while.
    function moveIntent(uint256 which, uint256 step, uint256 wait) external {
        vm.warp(block.timestamp + wait % MAX_WAIT_SECONDS);
        if (_intentIds.length == 0) return;
        bytes32 id = _intentIds[which % _intentIds.length];
        ICrossChainExecutor.Intent memory before = EXECUTOR.getIntent(id);
        bytes memory data = abi.encodeCall(EXECUTOR.submitIntent, (id));
        if (step % 3 == 1) data = abi.encodeCall(EXECUTOR.executeIntent, (id));
        if (step % 3 == 2) data = abi.encodeCall(EXECUTOR.disputeIntent, (id, ""));
        (bool success,) = _try(ADMIN, address(EXECUTOR), data);
        if (!success) return;
        ICrossChainExecutor.Status status = EXECUTOR.getIntent(id).status;
        if (status <= before.status || before.status > ICrossChainExecutor.Status.SUBMITTED) ++breaches;
        if (status != ICrossChainExecutor.Status.EXECUTED) return;
        if (block.timestamp < before.submittedAt + EXECUTOR.TIMELOCK_SECONDS()) ++breaches;
        if (bytes(ENGINE.haltReason(before.agentId)).length > 0) ++breaches;
    }

    /// @dev Pauses or starts one contract: now and then, so that most steps find it running.
    function togglePause(uint256 which) external {
        address[4] memory all = [address(AGENTS), address(LOG), address(ENGINE), address(EXECUTOR)];
        Governed governed = Governed(all[which % 4]);
        vm.startPrank(ADMIN);
        if (governed.paused()) governed.unpause();
        else if (which % 3 == 0) governed.pause();
        vm.stopPrank();
    }

    function actor(uint256 which) public pure returns (address) {
        return address(uint160(0xAC704 + which % ACTORS));
    }

    function agentIds() external view returns (bytes32[] memory) {
        return _agentIds;
    }

    function _agentId(uint256 which) private view returns (bytes32) {
        return _agentIds[which % _agentIds.length];
    }

    function _try(address caller, address target, bytes memory data)
        private
        returns (bool success, bytes memory result)
    {
        bool isPaused = Governed(target).paused();
        vm.prank(caller);
        (success, result) = target.call(data);
        if (success && isPaused) ++breaches;
    }
}
