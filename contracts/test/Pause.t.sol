// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";

import {IIdentityRegistry} from "../src/interfaces/IIdentityRegistry.sol";
import {IPolicyEngine} from "../src/interfaces/IPolicyEngine.sol";
import {World} from "./support/World.sol";

/// @title No path around a pause: every step that works is refused while its contract is paused, and works again after
contract PauseTest is World {
    /// @dev A call that succeeds when made by its caller while nothing is paused.
    struct Step {
        address caller;
        address target;
        bytes data;
    }

    bytes32 private constant REQUEST = keccak256("request");
    uint256 private agentId;
    bytes32 private walletAgent;

    function setUp() public override {
        super.setUp();
        agentId = _agentOf(ALICE);
        walletAgent = _walletAgentOf(ALICE);
        _rate(BOB, agentId, 1, 0);
        vm.warp(block.timestamp + MIN_FEEDBACK_INTERVAL_SECONDS);
        vm.prank(ALICE);
        validation.validationRequest(BOB, agentId, "", REQUEST);
        vm.prank(ADMIN);
        executor.authorizeRelayer(CAROL);
    }

    function testIdentityStops() public {
        address target = address(identity);
        bytes memory none = "";
        IIdentityRegistry.MetadataEntry[] memory entries = new IIdentityRegistry.MetadataEntry[](0);
        _expectStops(Step(BOB, target, abi.encodeWithSignature("register()")));
        _expectStops(Step(BOB, target, abi.encodeWithSignature("register(string)", "")));
        _expectStops(Step(BOB, target, abi.encodeWithSignature("register(string,(string,bytes)[])", "", entries)));
        _expectStops(Step(ALICE, target, abi.encodeCall(identity.setMetadata, (agentId, "name", none))));
        _expectStops(Step(ALICE, target, abi.encodeCall(identity.setAgentURI, (agentId, "ipfs://new"))));
        _expectStops(Step(ALICE, target, abi.encodeCall(identity.unsetAgentWallet, (agentId))));
        _expectStops(Step(ALICE, target, abi.encodeCall(identity.approve, (BOB, agentId))));
        _expectStops(Step(ALICE, target, abi.encodeCall(identity.setApprovalForAll, (BOB, true))));
        _expectStops(Step(ALICE, target, abi.encodeCall(identity.transferFrom, (ALICE, BOB, agentId))));
        bytes memory back = abi.encodeWithSignature("safeTransferFrom(address,address,uint256)", BOB, ALICE, agentId);
        _expectStops(Step(BOB, target, back));
        bytes memory away =
            abi.encodeWithSignature("safeTransferFrom(address,address,uint256,bytes)", ALICE, BOB, agentId, none);
        _expectStops(Step(ALICE, target, away));
    }

    function testWalletConsentStops() public {
        uint256 key = 0x8004;
        uint256 deadline = block.timestamp + 5 minutes;
        bytes memory consent = _signature(key, _agentWalletDigest(agentId, vm.addr(key), ALICE, deadline));
        bytes memory data = abi.encodeCall(identity.setAgentWallet, (agentId, vm.addr(key), deadline, consent));
        _expectStops(Step(ALICE, address(identity), data));
    }

    function testReputationStops() public {
        address target = address(reputation);
        bytes memory feedback = abi.encodeCall(reputation.giveFeedback, (agentId, 1, 0, "", "", "", "", bytes32(0)));
        _expectStops(Step(BOB, target, feedback));
        _expectStops(Step(BOB, target, abi.encodeCall(reputation.revokeFeedback, (agentId, 1))));
        _expectStops(Step(ALICE, target, abi.encodeCall(reputation.appendResponse, (agentId, BOB, 1, "r", 0))));
    }

    function testValidationStops() public {
        address target = address(validation);
        bytes memory request = abi.encodeCall(validation.validationRequest, (BOB, agentId, "", keccak256("new")));
        _expectStops(Step(ALICE, target, request));
        _expectStops(Step(BOB, target, abi.encodeCall(validation.validationResponse, (REQUEST, 1, "", 0, ""))));
    }

    function testAuditLogStops() public {
        bytes memory commitment = abi.encodeCall(auditLog.logCommitment, (walletAgent, keccak256("document"), ""));
        _expectStops(Step(ALICE, address(auditLog), commitment));
    }

    function testAgentRegistryStops() public {
        address target = address(agents);
        _expectStops(Step(BOB, target, abi.encodeCall(agents.registerAgent, (BOB, "", _widePolicy(), 0, ""))));
        _expectStops(Step(ALICE, target, abi.encodeCall(agents.setMetadataCID, (walletAgent, "bafynew"))));
        _expectStops(Step(ALICE, target, abi.encodeCall(agents.setWallet, (walletAgent, ALICE, 0, ""))));
        _expectStops(Step(ALICE, target, abi.encodeCall(agents.setPolicy, (walletAgent, _widePolicy()))));
        _expectStops(Step(ALICE, target, abi.encodeCall(agents.deactivateAgent, (walletAgent, ""))));
        _expectStops(Step(ALICE, target, abi.encodeCall(agents.reactivateAgent, (walletAgent, ""))));
        _expectStops(Step(ALICE, target, abi.encodeCall(agents.transferAgent, (walletAgent, BOB))));
    }

    function testExecutorStops() public {
        address target = address(executor);
        uint64 expiry = uint64(block.timestamp + 1 hours);
        bytes32 first = keccak256(abi.encode(block.chainid, target, walletAgent, uint256(0)));
        bytes32 second = keccak256(abi.encode(block.chainid, target, walletAgent, uint256(1)));
        bytes memory intent = abi.encodeCall(executor.emitIntent, (walletAgent, 1, 0, BOB, "swap", expiry));
        _expectStops(Step(ALICE, target, intent));
        _expectStops(Step(ALICE, target, intent));
        _expectStops(Step(CAROL, target, abi.encodeCall(executor.submitIntent, (first))));
        _expectStops(Step(ALICE, target, abi.encodeCall(executor.disputeIntent, (second, ""))));
        vm.warp(block.timestamp + TIMELOCK_SECONDS);
        _expectStops(Step(CAROL, target, abi.encodeCall(executor.executeIntent, (first))));
        _expectStops(Step(CAROL, target, abi.encodeCall(executor.receiveBridgeMessage, (1, walletAgent, first))));
    }

    function testEngineRefusesAndBooksNothing() public {
        vm.prank(ADMIN);
        engine.pause();
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.PolicyChecked(walletAgent, false, "EMERGENCY_PAUSED");
        vm.prank(ALICE);
        vm.assertEq(engine.checkPolicy(walletAgent, 0, 1, BOB), false, "allowed");
        vm.assertEq(engine.usageOf(walletAgent).dayTransactions, 0, "booked");
    }

    function testPausedEngineStopsIntents() public {
        vm.prank(ADMIN);
        engine.pause();
        vm.prank(ALICE);
        bytes32 intentId = executor.emitIntent(walletAgent, 1, 0, BOB, "", uint64(block.timestamp + 1 hours));
        vm.assertEq(intentId, bytes32(0), "no intent");
    }

    /// @dev Tries the step paused, then not: that it succeeds then shows that the pause alone refused it.
    function _expectStops(Step memory step) private {
        vm.prank(ADMIN);
        IPausable(step.target).pause();
        vm.prank(step.caller);
        (bool success, bytes memory result) = step.target.call(step.data);
        vm.assertEq(success, false, "must be refused while paused");
        vm.assertEq(bytes32(result), bytes32(PausableUpgradeable.EnforcedPause.selector), "must say why");
        vm.prank(ADMIN);
        IPausable(step.target).unpause();
        vm.prank(step.caller);
        (success,) = step.target.call(step.data);
        vm.assertTrue(success, "must work otherwise");
    }
}

interface IPausable {
    function pause() external;
    function unpause() external;
}
