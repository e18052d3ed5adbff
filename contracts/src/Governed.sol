// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControlUpgradeable} from "@openzeppelin/contracts-upgradeable/access/AccessControlUpgradeable.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts-upgradeable/proxy/utils/UUPSUpgradeable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

/// @title What all our contracts share: who may govern them, and how they are stopped
/// @notice The owner upgrades, and is the one holder of DEFAULT_ADMIN_ROLE, which hands out the other roles. A pauser
/// stops, a registry admin starts again: a stolen pauser key can silence a contract but not reopen it. Nothing here
/// needs the owner or an admin to be a key: a multi-signature wallet serves as well.
/// @dev OpenZeppelin keeps its state in namespaced slots, so heirs use plain state variables; later versions append.
abstract contract Governed is
    OwnableUpgradeable,
    AccessControlUpgradeable,
    PausableUpgradeable,
    ReentrancyGuard,
    UUPSUpgradeable
{
    /// @notice May start a paused contract again, and administers what the contract's own text names.
    bytes32 public constant REGISTRY_ADMIN_ROLE = keccak256("REGISTRY_ADMIN_ROLE");
    /// @notice May stop the contract.
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");

    /// @notice DEFAULT_ADMIN_ROLE moves with the ownership only: use `transferOwnership`.
    error AdminFollowsOwnership();
    /// @notice A text (URI, CID, reason, action) is longer, in bytes, than the contract allows.
    error TextTooLong(uint256 length, uint256 limit);
    /// @notice The address must hold a contract and holds none.
    error NotAContract(address account);

    /// @dev An implementation is never used but through a proxy.
    constructor() {
        _disableInitializers();
    }

    /// @notice Stops everything that changes state, save governance.
    function pause() external virtual onlyRole(PAUSER_ROLE) {
        _pause();
    }

    /// @notice Ends the stop.
    function unpause() external virtual onlyRole(REGISTRY_ADMIN_ROLE) {
        _unpause();
    }

    /// @inheritdoc AccessControlUpgradeable
    function grantRole(bytes32 role, address account) public virtual override {
        _refuseDefaultAdmin(role);
        super.grantRole(role, account);
    }

    /// @inheritdoc AccessControlUpgradeable
    function revokeRole(bytes32 role, address account) public virtual override {
        _refuseDefaultAdmin(role);
        super.revokeRole(role, account);
    }

    /// @inheritdoc AccessControlUpgradeable
    function renounceRole(bytes32 role, address callerConfirmation) public virtual override {
        _refuseDefaultAdmin(role);
        super.renounceRole(role, callerConfirmation);
    }

    /// @dev Called by the initializer of each heir: the caller becomes the owner.
    function __Governed_init() internal onlyInitializing {
        __Ownable_init(msg.sender);
    }

    /// @dev The roles go with the ownership, so that a former owner keeps no power that the new one forgot to take.
    function _transferOwnership(address newOwner) internal virtual override {
        address previousOwner = owner();
        super._transferOwnership(newOwner);
        if (previousOwner != address(0)) {
            _revokeRole(DEFAULT_ADMIN_ROLE, previousOwner);
            _revokeRole(REGISTRY_ADMIN_ROLE, previousOwner);
            _revokeRole(PAUSER_ROLE, previousOwner);
        }
        if (newOwner != address(0)) {
            _grantRole(DEFAULT_ADMIN_ROLE, newOwner);
            _grantRole(REGISTRY_ADMIN_ROLE, newOwner);
            _grantRole(PAUSER_ROLE, newOwner);
        }
    }

    /// @dev Also while paused: an upgrade may be the cure.
    function _authorizeUpgrade(address newImplementation) internal virtual override onlyOwner {}

    function _requireAtMost(string memory text, uint256 limit) internal pure {
        uint256 length = bytes(text).length;
        if (length > limit) revert TextTooLong(length, limit);
    }

    function _requireContract(address account) internal view {
        if (account.code.length == 0) revert NotAContract(account);
    }

    function _refuseDefaultAdmin(bytes32 role) private pure {
        if (role == DEFAULT_ADMIN_ROLE) revert AdminFollowsOwnership();
    }
}
