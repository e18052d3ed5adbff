// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title The validation registry of ERC-8004, January 2026 generation
/// @notice Requests to validators and their answers. Signatures are those of the deployed registries.
interface IValidationRegistry {
    /// @notice An agent's owner or operator asked a validator. The hash names the request, once per registry.
    event ValidationRequest(
        address indexed validatorAddress, uint256 indexed agentId, string requestURI, bytes32 indexed requestHash
    );
    /// @notice The validator answered, 0 to 100; it may answer again, and the last answer counts.
    event ValidationResponse(
        address indexed validatorAddress,
        uint256 indexed agentId,
        bytes32 indexed requestHash,
        uint8 response,
        string responseURI,
        bytes32 responseHash,
        string tag
    );

    /// @notice The zero address cannot validate.
    error InvalidValidator();
    /// @notice The caller is neither the agent's owner nor approved by it.
    error NotAgentOperator(address caller, uint256 agentId);
    /// @notice The hash already names a request.
    error RequestExists(bytes32 requestHash);
    /// @notice The hash names no request.
    error RequestNotFound(bytes32 requestHash);
    /// @notice Only the validator that was asked may answer.
    error NotTheValidator(address caller, address validatorAddress);
    /// @notice A response is 0 to 100.
    error ResponseOutOfRange(uint8 response);

    /// @notice Binds the registry to an identity registry, and makes the caller its owner. Once.
    function initialize(address identityRegistry_) external;
    /// @notice Asks a validator. Only the agent's owner or an operator.
    function validationRequest(
        address validatorAddress,
        uint256 agentId,
        string calldata requestURI,
        bytes32 requestHash
    ) external;
    /// @notice Answers a request. Only the validator that was asked, as often as it likes.
    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external;

    /// @notice The identity registry whose agents are validated here.
    function getIdentityRegistry() external view returns (address);
    /// @notice A request with its last answer; `lastUpdate` is in unix seconds. Reverts for an unknown hash.
    function getValidationStatus(bytes32 requestHash)
        external
        view
        returns (
            address validatorAddress,
            uint256 agentId,
            uint8 response,
            bytes32 responseHash,
            string memory tag,
            uint256 lastUpdate
        );
    /// @notice Count and average (truncated) of the last answers to the agent's requests, by the given validators
    /// (all where none is given), with the given tag (every tag where empty). Unanswered requests do not count.
    function getSummary(uint256 agentId, address[] calldata validatorAddresses, string calldata tag)
        external
        view
        returns (uint64 count, uint8 avgResponse);
    /// @notice The hashes of all requests about an agent, in their order.
    function getAgentValidations(uint256 agentId) external view returns (bytes32[] memory);
    /// @notice The hashes of all requests to a validator, in their order.
    function getValidatorRequests(address validatorAddress) external view returns (bytes32[] memory);
    /// @notice The generation of the interface, `2.0.0`.
    function getVersion() external pure returns (string memory);

    /// @notice The longest URI, in bytes.
    function MAX_URI_BYTES() external view returns (uint256);
}
