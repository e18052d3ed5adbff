// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governed} from "./Governed.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IAuditLog} from "./interfaces/IAuditLog.sol";

/// @title The log of commitments
/// @notice Entries are only ever appended. A deactivated agent's log stays open: what happens after it was switched off
/// is what an auditor asks about first. A hash is unique within an agent's log and not beyond, so that nobody can keep
/// another agent from committing by being first with its hash.
contract AuditLog is IAuditLog, Governed {
    /// @inheritdoc IAuditLog
    bytes32 public constant SUBMITTER_ROLE = keccak256("SUBMITTER_ROLE");
    /// @inheritdoc IAuditLog
    uint256 public immutable MAX_CID_BYTES;

    /// @inheritdoc IAuditLog
    uint256 public totalEntryCount;
    IAgentRegistry private _agentRegistry;
    mapping(bytes32 agentId => Commitment[]) private _entries;
    mapping(bytes32 agentId => mapping(bytes32 commitmentHash => bool)) private _committed;

    /// @param maxCidBytes The longest CID.
    constructor(uint256 maxCidBytes) {
        MAX_CID_BYTES = maxCidBytes;
    }

    /// @inheritdoc IAuditLog
    function initialize(address agentRegistry_) external initializer {
        _requireContract(agentRegistry_);
        __Governed_init();
        _agentRegistry = IAgentRegistry(agentRegistry_);
    }

    /// @inheritdoc IAuditLog
    function logCommitment(bytes32 agentId, bytes32 commitmentHash, string calldata ipfsCID)
        external
        whenNotPaused
        nonReentrant
        returns (uint256 entryIndex)
    {
        if (agentId == bytes32(0)) revert ZeroAgentId();
        if (commitmentHash == bytes32(0)) revert ZeroCommitmentHash();
        _requireAtMost(ipfsCID, MAX_CID_BYTES);
        if (!_maySubmit(agentId, msg.sender)) revert NotSubmitter(msg.sender, agentId);
        if (_committed[agentId][commitmentHash]) revert CommitmentExists(agentId, commitmentHash);
        _committed[agentId][commitmentHash] = true;
        entryIndex = _entries[agentId].length;
        _entries[agentId].push(
            Commitment({
                commitmentHash: commitmentHash,
                submitter: msg.sender,
                timestamp: uint64(block.timestamp),
                ipfsCID: ipfsCID
            })
        );
        ++totalEntryCount;
        emit CommitmentLogged(agentId, commitmentHash, ipfsCID, msg.sender, entryIndex);
    }

    /// @inheritdoc IAuditLog
    function agentRegistry() external view returns (address) {
        return address(_agentRegistry);
    }

    /// @inheritdoc IAuditLog
    function entryCount(bytes32 agentId) external view returns (uint256) {
        return _entries[agentId].length;
    }

    /// @inheritdoc IAuditLog
    function getCommitment(bytes32 agentId, uint256 entryIndex) external view returns (Commitment memory) {
        if (entryIndex >= _entries[agentId].length) revert CommitmentNotFound(agentId, entryIndex);
        return _entries[agentId][entryIndex];
    }

    /// @inheritdoc IAuditLog
    function isCommitted(bytes32 agentId, bytes32 commitmentHash) external view returns (bool) {
        return _committed[agentId][commitmentHash];
    }

    function _maySubmit(bytes32 agentId, address account) private view returns (bool) {
        if (hasRole(SUBMITTER_ROLE, account)) return _agentRegistry.exists(agentId);
        return _agentRegistry.isOperator(agentId, account);
    }
}
