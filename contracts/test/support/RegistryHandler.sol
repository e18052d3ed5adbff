// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IdentityRegistry} from "../../src/IdentityRegistry.sol";
import {ReputationRegistry} from "../../src/ReputationRegistry.sol";
import {ValidationRegistry} from "../../src/ValidationRegistry.sol";
import {Vm} from "./Vm.sol";

/// @title Draws steps on the three registries, with pauses in between, and counts what succeeded
/// @notice A step may be refused; the counts are of those that were not. `breaches` counts steps that succeeded while
/// their registry was paused: there must be none.
contract RegistryHandler {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant ACTORS = 4;
    uint256 private constant KEYS = 5;

    IdentityRegistry private immutable IDENTITY;
    ReputationRegistry private immutable REPUTATION;
    ValidationRegistry private immutable VALIDATION;
    address private immutable ADMIN;

    uint256 public breaches;
    uint256 public agents;
    uint256 public feedbacks;
    uint256 public revocations;
    uint256 public responses;
    uint256 public requests;
    uint256 public answers;
    bytes32[] private _requests;
    mapping(bytes32 requestHash => bool) private _isAnswered;

    constructor(
        IdentityRegistry identity,
        ReputationRegistry reputation,
        ValidationRegistry validation,
        address admin
    ) {
        (IDENTITY, REPUTATION, VALIDATION, ADMIN) = (identity, reputation, validation, admin);
    }

    function register(uint256 who, bytes calldata metadata) external {
        if (_try(who, address(IDENTITY), abi.encodeWithSignature("register(string)", string(_short(metadata))))) {
            ++agents;
        }
    }

    function transfer(uint256 who, uint256 to, uint256 agent) external {
        bytes memory data = abi.encodeCall(IDENTITY.transferFrom, (actor(who), actor(to), _agent(agent)));
        _try(who, address(IDENTITY), data);
    }

    function setMetadata(uint256 agent, uint256 key, bytes calldata value) external {
        if (agents == 0) return;
        uint256 id = _agent(agent);
        _tryAs(
            IDENTITY.ownerOf(id),
            address(IDENTITY),
            abi.encodeCall(IDENTITY.setMetadata, (id, keyOf(key), _short(value)))
        );
    }

    function approve(uint256 who, uint256 operator, bool approved) external {
        _try(who, address(IDENTITY), abi.encodeCall(IDENTITY.setApprovalForAll, (actor(operator), approved)));
    }

    function unsetWallet(uint256 who, uint256 agent) external {
        _try(who, address(IDENTITY), abi.encodeCall(IDENTITY.unsetAgentWallet, (_agent(agent))));
    }

    function giveFeedback(uint256 who, uint256 agent, int128 value, uint8 decimals) external {
        vm.warp(block.timestamp + 60);
        bytes memory data = abi.encodeCall(
            REPUTATION.giveFeedback, (_agent(agent), value % 1e38, decimals % 19, "", "", "", "", bytes32(0))
        );
        if (_try(who, address(REPUTATION), data)) ++feedbacks;
    }

    function revokeFeedback(uint256 who, uint256 agent, uint64 index) external {
        uint64 last = REPUTATION.getLastIndex(_agent(agent), actor(who));
        bytes memory data = abi.encodeCall(REPUTATION.revokeFeedback, (_agent(agent), index % (last + 2)));
        if (_try(who, address(REPUTATION), data)) ++revocations;
    }

    function appendResponse(uint256 who, uint256 client, uint256 agent, uint64 index) external {
        uint64 last = REPUTATION.getLastIndex(_agent(agent), actor(client));
        bytes memory data = abi.encodeCall(
            REPUTATION.appendResponse, (_agent(agent), actor(client), index % (last + 2), "r", bytes32(0))
        );
        if (_try(who, address(REPUTATION), data)) ++responses;
    }

    function requestValidation(uint256 who, uint256 validator, uint256 agent, bytes32 requestHash) external {
        bytes memory data =
            abi.encodeCall(VALIDATION.validationRequest, (actor(validator), _agent(agent), "", requestHash));
        if (_try(who, address(VALIDATION), data)) {
            ++requests;
            _requests.push(requestHash);
        }
    }

    function answerValidation(uint256 which, uint8 response) external {
        if (_requests.length == 0) return;
        bytes32 requestHash = _requests[which % _requests.length];
        (address validator,,,,,) = VALIDATION.getValidationStatus(requestHash);
        bytes memory data =
            abi.encodeCall(VALIDATION.validationResponse, (requestHash, response % 110, "", bytes32(0), ""));
        if (_tryAs(validator, address(VALIDATION), data) && !_isAnswered[requestHash]) {
            _isAnswered[requestHash] = true;
            ++answers;
        }
    }

    /// @dev Pauses or starts one registry: now and then, so that most steps find it running.
    function togglePause(uint256 which) external {
        address[3] memory registries = [address(IDENTITY), address(REPUTATION), address(VALIDATION)];
        IdentityRegistry registry = IdentityRegistry(registries[which % 3]);
        vm.startPrank(ADMIN);
        if (registry.paused()) registry.unpause();
        else if (which % 2 == 0) registry.pause();
        vm.stopPrank();
    }

    function actor(uint256 which) public pure returns (address) {
        return address(uint160(0xAC704 + which % ACTORS));
    }

    function actorCount() external pure returns (uint256) {
        return ACTORS;
    }

    function keyOf(uint256 which) public pure returns (string memory) {
        return string(abi.encodePacked("key", bytes1(uint8(0x30 + which % KEYS))));
    }

    function keyCount() external pure returns (uint256) {
        return KEYS;
    }

    function _agent(uint256 which) private view returns (uint256) {
        return agents == 0 ? 0 : which % agents;
    }

    /// @dev One value in four is empty, so that entries are removed too.
    function _short(bytes calldata value) private pure returns (bytes memory) {
        if (value.length % 4 == 0) return "";
        return value.length > 64 ? value[:64] : value;
    }

    function _try(uint256 who, address target, bytes memory data) private returns (bool) {
        return _tryAs(actor(who), target, data);
    }

    function _tryAs(address caller, address target, bytes memory data) private returns (bool success) {
        bool isPaused = IdentityRegistry(target).paused();
        vm.prank(caller);
        (success,) = target.call(data);
        if (success && isPaused) ++breaches;
    }
}
