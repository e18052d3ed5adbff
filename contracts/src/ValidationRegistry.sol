// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import {AgentAuthority} from "./AgentAuthority.sol";
import {Governed} from "./Governed.sol";
import {IValidationRegistry} from "./interfaces/IValidationRegistry.sol";

/// @title The validation registry of ERC-8004, hardened
/// @notice A request names its validator for good; the validator's last answer counts. An answer of 0 is an answer.
contract ValidationRegistry is IValidationRegistry, Governed {
    using AgentAuthority for IERC721;

    /// @dev `validatorAddress` is zero where there is no request.
    struct Validation {
        address validatorAddress;
        uint8 response;
        bool hasResponse;
        uint256 agentId;
        bytes32 responseHash;
        uint256 lastUpdate;
        string tag;
    }

    uint8 private constant MAX_RESPONSE = 100;

    /// @inheritdoc IValidationRegistry
    uint256 public immutable MAX_URI_BYTES;

    IERC721 private _identityRegistry;
    mapping(bytes32 requestHash => Validation) private _validations;
    mapping(uint256 agentId => bytes32[]) private _requestsOfAgent;
    mapping(address validatorAddress => bytes32[]) private _requestsToValidator;

    /// @param maxUriBytes The longest URI.
    constructor(uint256 maxUriBytes) {
        MAX_URI_BYTES = maxUriBytes;
    }

    /// @inheritdoc IValidationRegistry
    function initialize(address identityRegistry_) external initializer {
        _requireContract(identityRegistry_);
        __Governed_init();
        _identityRegistry = IERC721(identityRegistry_);
    }

    /// @inheritdoc IValidationRegistry
    function validationRequest(
        address validatorAddress,
        uint256 agentId,
        string calldata requestURI,
        bytes32 requestHash
    ) external whenNotPaused nonReentrant {
        if (validatorAddress == address(0)) revert InvalidValidator();
        _requireAtMost(requestURI, MAX_URI_BYTES);
        Validation storage validation = _validations[requestHash];
        if (validation.validatorAddress != address(0)) revert RequestExists(requestHash);
        if (!_identityRegistry.isOperator(msg.sender, agentId)) revert NotAgentOperator(msg.sender, agentId);
        validation.validatorAddress = validatorAddress;
        validation.agentId = agentId;
        validation.lastUpdate = block.timestamp;
        _requestsOfAgent[agentId].push(requestHash);
        _requestsToValidator[validatorAddress].push(requestHash);
        emit ValidationRequest(validatorAddress, agentId, requestURI, requestHash);
    }

    /// @inheritdoc IValidationRegistry
    function validationResponse(
        bytes32 requestHash,
        uint8 response,
        string calldata responseURI,
        bytes32 responseHash,
        string calldata tag
    ) external whenNotPaused nonReentrant {
        Validation storage validation = _at(requestHash);
        address validatorAddress = validation.validatorAddress;
        if (msg.sender != validatorAddress) revert NotTheValidator(msg.sender, validatorAddress);
        if (response > MAX_RESPONSE) revert ResponseOutOfRange(response);
        _requireAtMost(responseURI, MAX_URI_BYTES);
        validation.response = response;
        validation.hasResponse = true;
        validation.responseHash = responseHash;
        validation.lastUpdate = block.timestamp;
        validation.tag = tag;
        emit ValidationResponse(
            validatorAddress, validation.agentId, requestHash, response, responseURI, responseHash, tag
        );
    }

    /// @inheritdoc IValidationRegistry
    function getIdentityRegistry() external view returns (address) {
        return address(_identityRegistry);
    }

    /// @inheritdoc IValidationRegistry
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
        )
    {
        Validation storage found = _at(requestHash);
        return (found.validatorAddress, found.agentId, found.response, found.responseHash, found.tag, found.lastUpdate);
    }

    /// @inheritdoc IValidationRegistry
    function getSummary(uint256 agentId, address[] calldata validatorAddresses, string calldata tag)
        external
        view
        returns (uint64 count, uint8 avgResponse)
    {
        bytes32[] storage requests = _requestsOfAgent[agentId];
        bytes32 tagHash = keccak256(bytes(tag));
        uint256 sum = 0;
        for (uint256 i = 0; i < requests.length; ++i) {
            Validation storage validation = _validations[requests[i]];
            if (!validation.hasResponse) continue;
            if (!_isListed(validatorAddresses, validation.validatorAddress)) continue;
            if (bytes(tag).length > 0 && tagHash != keccak256(bytes(validation.tag))) continue;
            sum += validation.response;
            ++count;
        }
        if (count > 0) avgResponse = uint8(sum / count);
    }

    /// @inheritdoc IValidationRegistry
    function getAgentValidations(uint256 agentId) external view returns (bytes32[] memory) {
        return _requestsOfAgent[agentId];
    }

    /// @inheritdoc IValidationRegistry
    function getValidatorRequests(address validatorAddress) external view returns (bytes32[] memory) {
        return _requestsToValidator[validatorAddress];
    }

    /// @inheritdoc IValidationRegistry
    function getVersion() external pure returns (string memory) {
        return "2.0.0";
    }

    function _at(bytes32 requestHash) private view returns (Validation storage validation) {
        validation = _validations[requestHash];
        if (validation.validatorAddress == address(0)) revert RequestNotFound(requestHash);
    }

    /// @dev An empty list names everybody; a validator listed twice counts once.
    function _isListed(address[] calldata list, address account) private pure returns (bool) {
        if (list.length == 0) return true;
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == account) return true;
        }
        return false;
    }
}
