// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The log of commitments
/// @notice Append-only: for each agent of the agent registry, the hashes of documents kept elsewhere.
interface IAuditLog {
    /// @notice One entry of an agent's log. The document lies behind `ipfsCID` and hashes to `commitmentHash`.
    struct Commitment {
        bytes32 commitmentHash;
        address submitter;
        uint64 timestamp;
        string ipfsCID;
    }

    /// @notice A commitment was appended. The index counts from 0 per agent.
    event CommitmentLogged(
        bytes32 indexed agentId,
        bytes32 indexed commitmentHash,
        string ipfsCID,
        address indexed submitter,
        uint256 entryIndex
    );

    /// @notice The zero id names no agent.
    error ZeroAgentId();
    /// @notice The zero hash commits to nothing.
    error ZeroCommitmentHash();
    /// @notice The agent's log already holds this hash.
    error CommitmentExists(bytes32 agentId, bytes32 commitmentHash);
    /// @notice The agent's log has no entry with this index.
    error CommitmentNotFound(bytes32 agentId, uint256 entryIndex);
    /// @notice The caller is neither the agent's owner, nor its wallet, nor a holder of `SUBMITTER_ROLE`.
    error NotSubmitter(address caller, bytes32 agentId);

    /// @notice Binds the log to an agent registry, and makes the caller its owner. Once.
    function initialize(address agentRegistry_) external;
    /// @notice Appends a commitment to the agent's log: by its owner or wallet, deactivated or not, or by a submitter.
    /// @return entryIndex The entry's place in the agent's log, from 0.
    function logCommitment(bytes32 agentId, bytes32 commitmentHash, string calldata ipfsCID)
        external
        returns (uint256 entryIndex);

    /// @notice The agent registry whose agents have logs here.
    function agentRegistry() external view returns (address);
    /// @notice How many entries the agent's log has.
    function entryCount(bytes32 agentId) external view returns (uint256);
    /// @notice How many entries all logs have.
    function totalEntryCount() external view returns (uint256);
    /// @notice One entry; reverts where there is none.
    function getCommitment(bytes32 agentId, uint256 entryIndex) external view returns (Commitment memory);
    /// @notice Whether the agent's log holds the hash.
    function isCommitted(bytes32 agentId, bytes32 commitmentHash) external view returns (bool);

    /// @notice The role that may append to every agent's log.
    function SUBMITTER_ROLE() external view returns (bytes32);
    /// @notice The longest CID, in bytes.
    function MAX_CID_BYTES() external view returns (uint256);
}
