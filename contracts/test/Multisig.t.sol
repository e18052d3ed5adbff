// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";

import {Governed} from "../src/Governed.sol";
import {IdentityRegistry} from "../src/IdentityRegistry.sol";
import {IIdentityRegistry} from "../src/interfaces/IIdentityRegistry.sol";
import {IReputationRegistry} from "../src/interfaces/IReputationRegistry.sol";
import {Multisig} from "./support/Multisig.sol";
import {World} from "./support/World.sol";

/// @title A two-of-three wallet as an admin, as the owner of agents and as an agent's wallet
contract MultisigTest is World {
    uint256[3] private keys;
    Multisig private multisig;

    function setUp() public override {
        super.setUp();
        address[] memory members = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            (keys[i], members[i]) = (i + 1, vm.addr(i + 1));
        }
        multisig = new Multisig(members, 2);
    }

    function testGovernsEveryContract() public {
        Governed[7] memory all = _all();
        for (uint256 i = 0; i < all.length; ++i) {
            vm.prank(ADMIN);
            all[i].transferOwnership(address(multisig));
            _act(address(all[i]), abi.encodeCall(Governed.pause, ()));
            vm.assertTrue(all[i].paused(), "paused");
            _act(address(all[i]), abi.encodeCall(Governed.unpause, ()));
            _act(address(all[i]), abi.encodeCall(Governed.grantRole, (PAUSER_ROLE, CAROL)));
            vm.assertTrue(all[i].hasRole(PAUSER_ROLE, CAROL), "role granted");
        }
    }

    function testOneMemberAloneGovernsNothing() public {
        vm.prank(ADMIN);
        identity.transferOwnership(address(multisig));
        vm.startPrank(vm.addr(keys[0]));
        uint256 callId = multisig.propose(address(identity), abi.encodeCall(Governed.pause, ()));
        vm.expectRevert(abi.encodeWithSelector(Multisig.AlreadyConfirmed.selector, callId, vm.addr(keys[0])));
        multisig.confirm(callId);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(Multisig.NotMember.selector, MALLORY));
        vm.prank(MALLORY);
        multisig.confirm(callId);
        vm.assertEq(identity.paused(), false, "not paused");
    }

    function testUpgrades() public {
        vm.prank(ADMIN);
        identity.transferOwnership(address(multisig));
        address next = address(new IdentityRegistry(7, 7, 7));
        _act(address(identity), abi.encodeCall(identity.upgradeToAndCall, (next, "")));
        vm.assertEq(identity.MAX_METADATA_KEYS(), 7, "new limits");
    }

    function testHoldsARoleWithoutTheOwnership() public {
        vm.prank(ADMIN);
        executor.grantRole(REGISTRY_ADMIN_ROLE, address(multisig));
        _act(address(executor), abi.encodeCall(executor.authorizeRelayer, (BOB)));
        vm.assertTrue(executor.isRelayer(BOB), "relayer");
    }

    function testDeploysAndOwns() public {
        address implementation = address(new IdentityRegistry(1, 1, 1));
        vm.prank(address(multisig));
        Governed owned = Governed(_proxy(implementation, abi.encodeCall(IdentityRegistry.initialize, ())));
        vm.assertEq(owned.owner(), address(multisig), "owner from the first block on");
    }

    function testOwnsAnAgent() public {
        _act(address(identity), abi.encodeWithSignature("register(string)", "ipfs://joint"));
        vm.assertEq(identity.ownerOf(0), address(multisig), "owner");
        _act(address(identity), abi.encodeCall(identity.setMetadata, (0, "name", "joint")));
        _act(address(identity), abi.encodeCall(identity.setAgentURI, (0, "ipfs://later")));
        vm.assertEq(identity.getMetadata(0, "name"), "joint", "metadata");
        vm.assertEq(identity.tokenURI(0), "ipfs://later", "URI");
    }

    function testReceivesAnAgent() public {
        uint256 agentId = _agentOf(ALICE);
        vm.prank(ALICE);
        identity.safeTransferFrom(ALICE, address(multisig), agentId);
        _act(address(identity), abi.encodeCall(identity.transferFrom, (address(multisig), BOB, agentId)));
        vm.assertEq(identity.ownerOf(agentId), BOB, "owner");
    }

    function testAsksForValidationOfItsAgent() public {
        _act(address(identity), abi.encodeWithSignature("register()"));
        bytes32 request = keccak256("request");
        _act(address(validation), abi.encodeCall(validation.validationRequest, (BOB, 0, "", request)));
        vm.assertEq(validation.getAgentValidations(0)[0], request, "request");
    }

    function testCannotRateItsOwnAgent() public {
        _act(address(identity), abi.encodeWithSignature("register()"));
        bytes memory praise = abi.encodeCall(reputation.giveFeedback, (0, 100, 0, "", "", "", "", bytes32(0)));
        vm.prank(vm.addr(keys[0]));
        uint256 callId = multisig.propose(address(reputation), praise);
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.SelfFeedback.selector, address(multisig), 0));
        vm.prank(vm.addr(keys[1]));
        multisig.confirm(callId);
    }

    function testConsentsToBeAnAgentsWalletWithTwoSignatures() public {
        uint256 agentId = _agentOf(ALICE);
        uint256 deadline = block.timestamp + 5 minutes;
        bytes32 digest = _agentWalletDigest(agentId, address(multisig), ALICE, deadline);
        vm.startPrank(ALICE);
        identity.setAgentWallet(agentId, address(multisig), deadline, _jointSignature(digest, keys[0], keys[1]));
        vm.stopPrank();
        vm.assertEq(identity.getAgentWallet(agentId), address(multisig), "wallet");
    }

    function testOneSignatureIsNoConsent() public {
        uint256 agentId = _agentOf(ALICE);
        uint256 deadline = block.timestamp + 5 minutes;
        bytes32 digest = _agentWalletDigest(agentId, address(multisig), ALICE, deadline);
        bytes[3] memory attempts = [
            _signature(keys[0], digest),
            bytes.concat(_signature(keys[0], digest), _signature(keys[0], digest)),
            _jointSignature(digest, keys[0], 0xBAD)
        ];
        for (uint256 i = 0; i < attempts.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(IIdentityRegistry.InvalidWalletSignature.selector, address(multisig))
            );
            vm.prank(ALICE);
            identity.setAgentWallet(agentId, address(multisig), deadline, attempts[i]);
        }
    }

    function testConsentsToBeAWalletAgentsWallet() public {
        bytes32 digest = _walletConsentDigest(ALICE, address(multisig), 0, ANY_DEADLINE);
        bytes memory consent = _jointSignature(digest, keys[1], keys[2]);
        vm.prank(ALICE);
        bytes32 agentId = agents.registerAgent(address(multisig), "", _widePolicy(), ANY_DEADLINE, consent);
        vm.assertEq(agents.agentOfWallet(address(multisig)), agentId, "by wallet");
        _act(address(auditLog), abi.encodeCall(auditLog.logCommitment, (agentId, keccak256("document"), "")));
        vm.assertEq(auditLog.entryCount(agentId), 1, "the wallet acts for the agent");
    }

    function testRefusedCallTellsWhy() public {
        vm.prank(ADMIN);
        identity.transferOwnership(address(multisig));
        vm.prank(vm.addr(keys[0]));
        uint256 callId = multisig.propose(address(identity), abi.encodeCall(Governed.unpause, ()));
        vm.expectRevert(PausableUpgradeable.ExpectedPause.selector);
        vm.prank(vm.addr(keys[1]));
        multisig.confirm(callId);
    }

    /// @dev The first two members make a call together.
    function _act(address target, bytes memory data) private {
        vm.prank(vm.addr(keys[0]));
        uint256 callId = multisig.propose(target, data);
        vm.prank(vm.addr(keys[1]));
        multisig.confirm(callId);
    }

    /// @dev Two signatures in ascending order of their signers.
    function _jointSignature(bytes32 digest, uint256 one, uint256 two) private pure returns (bytes memory) {
        if (vm.addr(one) > vm.addr(two)) (one, two) = (two, one);
        return bytes.concat(_signature(one, digest), _signature(two, digest));
    }
}
