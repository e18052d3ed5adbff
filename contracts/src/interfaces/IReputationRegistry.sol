// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The reputation registry of ERC-8004, January 2026 generation
/// @notice Feedback of clients about agents. Signatures of functions and events are those of the deployed registries.
interface IReputationRegistry {
    /// @notice A client gave feedback: `value / 10**valueDecimals`. The index counts from 1 per agent and client.
    event NewFeedback(
        uint256 indexed agentId,
        address indexed clientAddress,
        uint64 feedbackIndex,
        int128 value,
        uint8 valueDecimals,
        string indexed indexedTag1,
        string tag1,
        string tag2,
        string endpoint,
        string feedbackURI,
        bytes32 feedbackHash
    );
    /// @notice A client took a feedback back, for good.
    event FeedbackRevoked(uint256 indexed agentId, address indexed clientAddress, uint64 indexed feedbackIndex);
    /// @notice Somebody answered a feedback. Anybody may, and repeatedly.
    event ResponseAppended(
        uint256 indexed agentId,
        address indexed clientAddress,
        uint64 feedbackIndex,
        address indexed responder,
        string responseURI,
        bytes32 responseHash
    );

    /// @notice More than 18 decimals.
    error TooManyDecimals(uint8 valueDecimals);
    /// @notice The value's magnitude is above 1e38.
    error ValueOutOfRange(int128 value);
    /// @notice The agent's owner and operators cannot rate it.
    error SelfFeedback(address caller, uint256 agentId);
    /// @notice The sender gave its last feedback less than `MIN_FEEDBACK_INTERVAL_SECONDS` ago.
    error FeedbackTooSoon(uint256 allowedFrom);
    /// @notice There is no feedback with this index.
    error FeedbackNotFound(uint256 agentId, address clientAddress, uint64 feedbackIndex);
    /// @notice The feedback was already revoked.
    error FeedbackAlreadyRevoked(uint256 agentId, address clientAddress, uint64 feedbackIndex);
    /// @notice A response needs a URI.
    error EmptyResponseURI();
    /// @notice A summary needs at least one client: without a list it could be swayed by anybody.
    error NoClients();

    /// @notice Binds the registry to an identity registry, and makes the caller its owner. Once.
    function initialize(address identityRegistry_) external;
    /// @notice Gives feedback about an agent. Not open to the agent's owner and operators.
    /// @param value Magnitude at most 1e38.
    /// @param valueDecimals 0 to 18.
    /// @param feedbackHash keccak256 of the content behind the URI; zero where the URI is content-addressed.
    function giveFeedback(
        uint256 agentId,
        int128 value,
        uint8 valueDecimals,
        string memory tag1,
        string memory tag2,
        string memory endpoint,
        string memory feedbackURI,
        bytes32 feedbackHash
    ) external;
    /// @notice Takes back a feedback of the caller.
    function revokeFeedback(uint256 agentId, uint64 feedbackIndex) external;
    /// @notice Answers a feedback, revoked or not.
    function appendResponse(
        uint256 agentId,
        address clientAddress,
        uint64 feedbackIndex,
        string calldata responseURI,
        bytes32 responseHash
    ) external;

    /// @notice The identity registry whose agents are rated here.
    function getIdentityRegistry() external view returns (address);
    /// @notice The index of the client's newest feedback about the agent, 0 where there is none.
    function getLastIndex(uint256 agentId, address clientAddress) external view returns (uint64);
    /// @notice One feedback; reverts where there is none.
    function readFeedback(uint256 agentId, address clientAddress, uint64 feedbackIndex)
        external
        view
        returns (int128 value, uint8 valueDecimals, string memory tag1, string memory tag2, bool isRevoked);
    /// @notice The average over the un-revoked feedback of the given clients, a client listed twice counting twice.
    /// An empty tag matches every tag. Each value is scaled to 18 decimals; the sum divided by the count, truncating
    /// toward zero; the result scaled down, truncating, to the most frequent number of decimals (the smallest on a
    /// tie) and cast to int128 unchecked: it wraps where the true figure does not fit, as it does in the deployed
    /// registries. (0, 0, 0) where nothing matches.
    function getSummary(uint256 agentId, address[] calldata clientAddresses, string calldata tag1, string calldata tag2)
        external
        view
        returns (uint64 count, int128 summaryValue, uint8 summaryValueDecimals);
    /// @notice All feedback of the given clients (of all clients where none is given) that matches the tags.
    function readAllFeedback(
        uint256 agentId,
        address[] memory clientAddresses,
        string memory tag1,
        string memory tag2,
        bool includeRevoked
    )
        external
        view
        returns (
            address[] memory clients,
            uint64[] memory feedbackIndexes,
            int128[] memory values,
            uint8[] memory valueDecimals,
            string[] memory tag1s,
            string[] memory tag2s,
            bool[] memory revokedStatuses
        );
    /// @notice How many responses were appended: to all feedback of the agent (client zero), of one client
    /// (index zero) or to one feedback; by everybody (no responders given) or by the given responders.
    function getResponseCount(
        uint256 agentId,
        address clientAddress,
        uint64 feedbackIndex,
        address[] calldata responders
    ) external view returns (uint64 count);
    /// @notice Everybody who ever gave feedback about the agent, in the order of their first.
    function getClients(uint256 agentId) external view returns (address[] memory);
    /// @notice The generation of the interface, `2.0.0`.
    function getVersion() external pure returns (string memory);

    /// @notice The time, in seconds, that must pass between two feedbacks of one sender, whatever the agent.
    function MIN_FEEDBACK_INTERVAL_SECONDS() external view returns (uint256);
    /// @notice The longest endpoint or URI, in bytes.
    function MAX_URI_BYTES() external view returns (uint256);
}
