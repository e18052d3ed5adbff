// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC1967} from "@openzeppelin/contracts/interfaces/IERC1967.sol";
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";

import {AgentRegistry} from "../src/AgentRegistry.sol";
import {AuditLog} from "../src/AuditLog.sol";
import {CrossChainExecutor} from "../src/CrossChainExecutor.sol";
import {Governed} from "../src/Governed.sol";
import {IdentityRegistry} from "../src/IdentityRegistry.sol";
import {PolicyEngine} from "../src/PolicyEngine.sol";
import {ReputationRegistry} from "../src/ReputationRegistry.sol";
import {ValidationRegistry} from "../src/ValidationRegistry.sol";
import {World} from "./support/World.sol";

/// @dev A later version: it can be told from the first, and has a step of its own to take on the way.
contract IdentityRegistryNext is IdentityRegistry {
    uint256 public marker;

    constructor() IdentityRegistry(1, 1, 1) {}

    function migrate(uint256 marker_) external reinitializer(2) {
        marker = marker_;
    }
}

/// @title Ownership, roles, pauses and upgrades, the same for all seven contracts
contract GovernanceTest is World {
    function testDeployerOwnsAndHoldsEveryRole() public view {
        Governed[7] memory all = _all();
        for (uint256 i = 0; i < all.length; ++i) {
            vm.assertEq(all[i].owner(), ADMIN, "owner");
            vm.assertTrue(_holdsEveryRole(all[i], ADMIN), "roles");
            vm.assertEq(all[i].hasRole(DEFAULT_ADMIN_ROLE, address(this)), false, "nobody else");
        }
    }

    function testInitializersRunOnce() public {
        bytes4 refusal = Initializable.InvalidInitialization.selector;
        vm.startPrank(ADMIN);
        vm.expectRevert(refusal);
        identity.initialize();
        vm.expectRevert(refusal);
        reputation.initialize(address(identity));
        vm.expectRevert(refusal);
        validation.initialize(address(identity));
        vm.expectRevert(refusal);
        agents.initialize();
        vm.expectRevert(refusal);
        auditLog.initialize(address(agents));
        vm.expectRevert(refusal);
        engine.initialize(address(agents));
        vm.expectRevert(refusal);
        executor.initialize(address(agents), address(engine));
        vm.stopPrank();
    }

    function testImplementationsCannotBeInitialized() public {
        IdentityRegistry bare = new IdentityRegistry(1, 1, 1);
        vm.expectRevert(Initializable.InvalidInitialization.selector);
        bare.initialize();
    }

    function testProxiesAreNeverBornWithoutAnOwner() public {
        address implementation = address(new IdentityRegistry(1, 1, 1));
        vm.expectRevert(ERC1967Proxy.ERC1967ProxyUninitialized.selector);
        _proxy(implementation, "");
    }

    function testInitializersRefuseAddressesWithoutCode() public {
        bytes memory refusal = abi.encodeWithSelector(Governed.NotAContract.selector, MALLORY);
        address implementation = address(new ValidationRegistry(1));
        vm.expectRevert(refusal);
        _proxy(implementation, abi.encodeCall(ValidationRegistry.initialize, (MALLORY)));
        implementation = address(new AuditLog(1));
        vm.expectRevert(refusal);
        _proxy(implementation, abi.encodeCall(AuditLog.initialize, (MALLORY)));
        implementation = address(new PolicyEngine(1));
        vm.expectRevert(refusal);
        _proxy(implementation, abi.encodeCall(PolicyEngine.initialize, (MALLORY)));
        implementation = address(new CrossChainExecutor(1, 1));
        vm.expectRevert(refusal);
        _proxy(implementation, abi.encodeCall(CrossChainExecutor.initialize, (address(agents), MALLORY)));
    }

    function testOwnershipTakesTheRolesAlong() public {
        Governed[7] memory all = _all();
        for (uint256 i = 0; i < all.length; ++i) {
            vm.expectEmit(true, true, true, true, address(all[i]));
            emit OwnableUpgradeable.OwnershipTransferred(ADMIN, BOB);
            vm.prank(ADMIN);
            all[i].transferOwnership(BOB);
            vm.assertTrue(_holdsEveryRole(all[i], BOB), "new owner");
            vm.assertTrue(_holdsNoRole(all[i], ADMIN), "former owner");
        }
    }

    function testRenouncedContractHasNoAdminLeft() public {
        vm.prank(ADMIN);
        identity.renounceOwnership();
        vm.assertEq(identity.owner(), address(0), "owner");
        vm.assertTrue(_holdsNoRole(identity, ADMIN), "former owner");
        vm.assertTrue(_holdsNoRole(identity, address(0)), "the zero address");
    }

    function testTransferToTheOwnerItselfChangesNothing() public {
        vm.prank(ADMIN);
        identity.transferOwnership(ADMIN);
        vm.assertTrue(_holdsEveryRole(identity, ADMIN), "roles");
    }

    function testDefaultAdminMovesWithTheOwnershipOnly() public {
        bytes4 refusal = Governed.AdminFollowsOwnership.selector;
        vm.startPrank(ADMIN);
        vm.expectRevert(refusal);
        identity.grantRole(DEFAULT_ADMIN_ROLE, MALLORY);
        vm.expectRevert(refusal);
        identity.revokeRole(DEFAULT_ADMIN_ROLE, ADMIN);
        vm.expectRevert(refusal);
        identity.renounceRole(DEFAULT_ADMIN_ROLE, ADMIN);
        vm.stopPrank();
    }

    function testRolesAreGrantedRevokedAndRenounced() public {
        vm.startPrank(ADMIN);
        vm.expectEmit(true, true, true, true, address(identity));
        emit IAccessControl.RoleGranted(PAUSER_ROLE, BOB, ADMIN);
        identity.grantRole(PAUSER_ROLE, BOB);
        identity.grantRole(PAUSER_ROLE, CAROL);
        identity.revokeRole(PAUSER_ROLE, CAROL);
        vm.stopPrank();
        vm.assertEq(identity.hasRole(PAUSER_ROLE, CAROL), false, "revoked");
        vm.prank(BOB);
        identity.renounceRole(PAUSER_ROLE, BOB);
        vm.assertEq(identity.hasRole(PAUSER_ROLE, BOB), false, "renounced");
    }

    function testStrangersGovernNothing() public {
        Governed[7] memory all = _all();
        address next = address(new IdentityRegistryNext());
        bytes memory notOwner = abi.encodeWithSelector(OwnableUpgradeable.OwnableUnauthorizedAccount.selector, MALLORY);
        vm.startPrank(MALLORY);
        for (uint256 i = 0; i < all.length; ++i) {
            vm.expectRevert(notOwner);
            all[i].transferOwnership(MALLORY);
            vm.expectRevert(notOwner);
            all[i].renounceOwnership();
            vm.expectRevert(notOwner);
            all[i].upgradeToAndCall(next, "");
            vm.expectRevert(_lacks(DEFAULT_ADMIN_ROLE));
            all[i].grantRole(PAUSER_ROLE, MALLORY);
            vm.expectRevert(_lacks(DEFAULT_ADMIN_ROLE));
            all[i].revokeRole(PAUSER_ROLE, ADMIN);
            vm.expectRevert(_lacks(PAUSER_ROLE));
            all[i].pause();
            vm.expectRevert(_lacks(REGISTRY_ADMIN_ROLE));
            all[i].unpause();
        }
        vm.stopPrank();
    }

    function testPauserStopsButCannotStart() public {
        Governed[7] memory all = _all();
        for (uint256 i = 0; i < all.length; ++i) {
            vm.prank(ADMIN);
            all[i].grantRole(PAUSER_ROLE, MALLORY);
            vm.startPrank(MALLORY);
            vm.expectEmit(true, true, true, true, address(all[i]));
            emit PausableUpgradeable.Paused(MALLORY);
            all[i].pause();
            vm.expectRevert(_lacks(REGISTRY_ADMIN_ROLE));
            all[i].unpause();
            vm.stopPrank();
            vm.assertTrue(all[i].paused(), "paused");
        }
    }

    function testRegistryAdminStarts() public {
        Governed[7] memory all = _all();
        for (uint256 i = 0; i < all.length; ++i) {
            vm.startPrank(ADMIN);
            all[i].grantRole(REGISTRY_ADMIN_ROLE, CAROL);
            all[i].pause();
            vm.stopPrank();
            vm.expectEmit(true, true, true, true, address(all[i]));
            emit PausableUpgradeable.Unpaused(CAROL);
            vm.prank(CAROL);
            all[i].unpause();
        }
    }

    function testOwnerUpgradesAndStateStays() public {
        uint256 agentId = _agentOf(ALICE);
        address next = address(new IdentityRegistryNext());
        vm.expectEmit(true, true, true, true, address(identity));
        emit IERC1967.Upgraded(next);
        vm.prank(ADMIN);
        identity.upgradeToAndCall(next, abi.encodeCall(IdentityRegistryNext.migrate, (42)));
        vm.assertEq(IdentityRegistryNext(address(identity)).marker(), 42, "new state");
        vm.assertEq(identity.ownerOf(agentId), ALICE, "old state");
        vm.assertEq(identity.tokenURI(agentId), "ipfs://agent", "old state");
        vm.assertEq(identity.MAX_URI_BYTES(), 1, "limits are the implementation's");
    }

    function testPausedContractCanBeUpgraded() public {
        address next = address(new IdentityRegistryNext());
        vm.startPrank(ADMIN);
        identity.pause();
        identity.upgradeToAndCall(next, "");
        vm.stopPrank();
        vm.assertEq(
            address(uint160(uint256(vm.load(address(identity), ERC1967Utils.IMPLEMENTATION_SLOT)))), next, "code"
        );
    }

    function testUpgradesGoThroughTheProxyAndToAnImplementation() public {
        IdentityRegistry bare = new IdentityRegistry(1, 1, 1);
        vm.startPrank(ADMIN);
        vm.expectRevert(UUPSUpgradeable.UUPSUnauthorizedCallContext.selector);
        bare.upgradeToAndCall(address(bare), "");
        vm.expectRevert(abi.encodeWithSelector(ERC1967Utils.ERC1967InvalidImplementation.selector, address(this)));
        identity.upgradeToAndCall(address(this), "");
        vm.stopPrank();
    }

    function _lacks(bytes32 role) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, MALLORY, role);
    }

    function _holdsEveryRole(Governed governed, address account) private view returns (bool) {
        return governed.hasRole(DEFAULT_ADMIN_ROLE, account) && governed.hasRole(REGISTRY_ADMIN_ROLE, account)
            && governed.hasRole(PAUSER_ROLE, account);
    }

    function _holdsNoRole(Governed governed, address account) private view returns (bool) {
        return !governed.hasRole(DEFAULT_ADMIN_ROLE, account) && !governed.hasRole(REGISTRY_ADMIN_ROLE, account)
            && !governed.hasRole(PAUSER_ROLE, account);
    }
}
