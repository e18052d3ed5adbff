// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

import {Governed} from "../src/Governed.sol";
import {IAgentRegistry} from "../src/interfaces/IAgentRegistry.sol";
import {ICrossChainExecutor} from "../src/interfaces/ICrossChainExecutor.sol";
import {IPolicyEngine} from "../src/interfaces/IPolicyEngine.sol";
import {Vm} from "./support/Vm.sol";
import {World} from "./support/World.sol";

/// @title Intents from statement to execution, dispute or expiry
contract CrossChainExecutorTest is World {
    uint256 private constant TAIKO = 167_000;
    address private constant RELAYER = address(0x4E1A7);
    bytes32 private agentId;
    uint64 private expiry;

    function setUp() public override {
        super.setUp();
        agentId = _walletAgentOf(ALICE);
        expiry = uint64(block.timestamp + 1 hours);
        vm.prank(ADMIN);
        executor.authorizeRelayer(RELAYER);
    }

    function testIntentIsToldWithItsDetails() public {
        bytes32 expected = keccak256(abi.encode(block.chainid, address(executor), agentId, uint256(0)));
        bytes32 actionHash = keccak256(abi.encode(uint256(7), BOB, "swap"));
        vm.expectEmit(true, true, true, true, address(executor));
        emit ICrossChainExecutor.IntentEmitted(expected, agentId, TAIKO, actionHash, 0, expiry);
        vm.expectEmit(true, true, true, true, address(executor));
        emit ICrossChainExecutor.IntentDetails(expected, block.chainid, 7, BOB, "swap");
        vm.assertEq(_emitIntent(), expected, "id");
    }

    function testIntentReadsBackAsStated() public {
        ICrossChainExecutor.Intent memory intent = executor.getIntent(_emitIntent());
        vm.assertEq(intent.agentId, agentId, "agent");
        vm.assertEq(intent.destChainId, TAIKO, "chain");
        vm.assertEq(intent.value, 7, "value");
        vm.assertEq(intent.recipient, BOB, "recipient");
        vm.assertEq(intent.expiry, expiry, "expiry");
        _expectStatus(_intentId(0), ICrossChainExecutor.Status.CREATED);
    }

    function testNonceIsTheAgentsCounter() public {
        bytes32 other = _walletAgentOf(BOB);
        _emitIntent();
        vm.assertEq(executor.getIntent(_emitIntent()).nonce, 1, "second");
        vm.prank(BOB);
        bytes32 intentId = executor.emitIntent(other, TAIKO, 0, BOB, "", expiry);
        vm.assertEq(executor.getIntent(intentId).nonce, 0, "another agent's first");
        vm.assertEq(executor.intentCount(agentId), 2, "count");
    }

    function testRefusedIntentLeavesOnlyTheEnginesEvent() public {
        IAgentRegistry.Policy memory policy = _widePolicy();
        policy.maxValuePerTx = 6;
        vm.prank(ALICE);
        agents.setPolicy(agentId, policy);
        vm.recordLogs();
        vm.assertEq(_emitIntent(), bytes32(0), "no intent");
        Vm.Log[] memory logs = vm.getRecordedLogs();
        vm.assertEq(logs.length, 1, "one event");
        vm.assertEq(logs[0].topics[0], IPolicyEngine.PolicyChecked.selector, "the engine's");
        vm.assertEq(executor.intentCount(agentId), 0, "no nonce used");
    }

    function testStrangersStateNoIntents() public {
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.NotAgentOperator.selector, MALLORY, agentId));
        vm.prank(MALLORY);
        executor.emitIntent(agentId, TAIKO, 7, MALLORY, "steal", expiry);
    }

    function testExpiryLeavesTimeForTheTimelock() public {
        uint256 earliest = block.timestamp + TIMELOCK_SECONDS + 1;
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.ExpiryTooSoon.selector, earliest - 1, earliest));
        executor.emitIntent(agentId, TAIKO, 7, BOB, "", uint64(earliest - 1));
        executor.emitIntent(agentId, TAIKO, 7, BOB, "", uint64(earliest));
        vm.stopPrank();
    }

    function testIntentIsExecutedAfterTheTimelock() public {
        bytes32 intentId = _submitted();
        bytes32 messageId = keccak256(abi.encode(block.chainid, TAIKO, agentId, intentId));
        vm.warp(block.timestamp + TIMELOCK_SECONDS);
        vm.expectEmit(true, true, true, true, address(executor));
        emit ICrossChainExecutor.IntentExecuted(intentId, RELAYER, block.timestamp);
        vm.expectEmit(true, true, true, true, address(executor));
        emit ICrossChainExecutor.BridgeMessageSent(agentId, intentId, messageId, TAIKO, RELAYER);
        _execute(intentId);
        _expectStatus(intentId, ICrossChainExecutor.Status.EXECUTED);
    }

    function testIntentForThisChainSendsNoMessage() public {
        vm.prank(ALICE);
        bytes32 intentId = executor.emitIntent(agentId, block.chainid, 7, BOB, "", expiry);
        _submit(intentId);
        vm.warp(block.timestamp + TIMELOCK_SECONDS);
        vm.recordLogs();
        _execute(intentId);
        vm.assertEq(vm.getRecordedLogs().length, 1, "IntentExecuted alone");
    }

    function testTimelockHolds() public {
        bytes32 intentId = _submitted();
        uint256 unlocksAt = block.timestamp + TIMELOCK_SECONDS;
        vm.warp(unlocksAt - 1);
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.TimelockActive.selector, intentId, unlocksAt));
        _execute(intentId);
    }

    function testSubmissionIsTold() public {
        bytes32 intentId = _emitIntent();
        vm.expectEmit(true, true, true, true, address(executor));
        emit ICrossChainExecutor.IntentSubmitted(intentId, RELAYER, block.timestamp);
        _submit(intentId);
        _expectStatus(intentId, ICrossChainExecutor.Status.SUBMITTED);
        vm.assertEq(executor.getIntent(intentId).submittedAt, block.timestamp, "time");
    }

    function testStepsComeInTheirOrder() public {
        bytes32 intentId = _emitIntent();
        _expectWrongStatus(intentId, ICrossChainExecutor.Status.CREATED);
        _execute(intentId);
        _submit(intentId);
        _expectWrongStatus(intentId, ICrossChainExecutor.Status.SUBMITTED);
        _submit(intentId);
        vm.warp(block.timestamp + TIMELOCK_SECONDS);
        _execute(intentId);
        _expectWrongStatus(intentId, ICrossChainExecutor.Status.EXECUTED);
        _execute(intentId);
        _expectWrongStatus(intentId, ICrossChainExecutor.Status.EXECUTED);
        _dispute(ALICE, intentId);
        _expectWrongStatus(keccak256("none"), ICrossChainExecutor.Status.NONE);
        _submit(keccak256("none"));
    }

    function testOpenIntentsExpireByTheClock() public {
        bytes32 created = _emitIntent();
        bytes32 submitted = _submitted();
        vm.warp(expiry);
        _expectStatus(created, ICrossChainExecutor.Status.CREATED);
        vm.warp(expiry + 1);
        _expectStatus(created, ICrossChainExecutor.Status.EXPIRED);
        _expectStatus(submitted, ICrossChainExecutor.Status.EXPIRED);
        _expectWrongStatus(created, ICrossChainExecutor.Status.EXPIRED);
        _submit(created);
        _expectWrongStatus(submitted, ICrossChainExecutor.Status.EXPIRED);
        _execute(submitted);
        _expectWrongStatus(submitted, ICrossChainExecutor.Status.EXPIRED);
        _dispute(ALICE, submitted);
    }

    function testThoseConcernedDispute() public {
        address[3] memory disputers = [ALICE, RELAYER, ADMIN];
        for (uint256 i = 0; i < disputers.length; ++i) {
            bytes32 intentId = _submitted();
            vm.expectEmit(true, true, true, true, address(executor));
            emit ICrossChainExecutor.IntentDisputed(intentId, disputers[i], "wrong recipient");
            _dispute(disputers[i], intentId);
            _expectStatus(intentId, ICrossChainExecutor.Status.DISPUTED);
        }
    }

    function testStrangersDoNotDispute() public {
        bytes32 intentId = _emitIntent();
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.NotDisputer.selector, MALLORY, intentId));
        _dispute(MALLORY, intentId);
    }

    function testDisputedIntentIsNeverExecuted() public {
        bytes32 intentId = _submitted();
        _dispute(ALICE, intentId);
        vm.warp(block.timestamp + TIMELOCK_SECONDS);
        _expectWrongStatus(intentId, ICrossChainExecutor.Status.DISPUTED);
        _execute(intentId);
    }

    function testStoppedAgentsIntentsDoNotRun() public {
        bytes32 intentId = _submitted();
        vm.warp(block.timestamp + TIMELOCK_SECONDS);
        vm.prank(ADMIN);
        engine.pauseAgent(agentId, "abuse");
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.AgentHalted.selector, agentId, "AGENT_PAUSED"));
        _execute(intentId);
        vm.prank(ADMIN);
        engine.unpauseAgent(agentId, "settled");
        _execute(intentId);
        _expectStatus(intentId, ICrossChainExecutor.Status.EXECUTED);
    }

    function testOnlyRelayersRelay() public {
        bytes32 intentId = _emitIntent();
        vm.startPrank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.NotRelayer.selector, MALLORY));
        executor.submitIntent(intentId);
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.NotRelayer.selector, MALLORY));
        executor.executeIntent(intentId);
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.NotRelayer.selector, MALLORY));
        executor.receiveBridgeMessage(1, agentId, intentId);
        vm.stopPrank();
    }

    function testRelayersComeAndGo() public {
        vm.startPrank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.RelayerAlreadyAuthorized.selector, RELAYER));
        executor.authorizeRelayer(RELAYER);
        vm.expectEmit(true, true, true, true, address(executor));
        emit ICrossChainExecutor.RelayerRevoked(RELAYER);
        executor.revokeRelayer(RELAYER);
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.RelayerNotAuthorized.selector, RELAYER));
        executor.revokeRelayer(RELAYER);
        vm.expectEmit(true, true, true, true, address(executor));
        emit ICrossChainExecutor.RelayerAuthorized(RELAYER);
        executor.authorizeRelayer(RELAYER);
        vm.stopPrank();
        vm.assertTrue(executor.isRelayer(RELAYER), "relayer");
    }

    function testOnlyAdminsNameRelayers() public {
        bytes memory refusal = abi.encodeWithSelector(
            IAccessControl.AccessControlUnauthorizedAccount.selector, MALLORY, REGISTRY_ADMIN_ROLE
        );
        vm.startPrank(MALLORY);
        vm.expectRevert(refusal);
        executor.authorizeRelayer(MALLORY);
        vm.expectRevert(refusal);
        executor.revokeRelayer(RELAYER);
        vm.stopPrank();
    }

    function testMessageArrivesOnce() public {
        bytes32 intentId = keccak256("an intent of another chain");
        bytes32 messageId = keccak256(abi.encode(uint256(1), block.chainid, agentId, intentId));
        vm.startPrank(RELAYER);
        vm.expectEmit(true, true, true, true, address(executor));
        emit ICrossChainExecutor.BridgeMessageReceived(agentId, intentId, messageId, 1, RELAYER);
        vm.assertEq(executor.receiveBridgeMessage(1, agentId, intentId), messageId, "message");
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.MessageAlreadyReceived.selector, messageId));
        executor.receiveBridgeMessage(1, agentId, intentId);
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.SameChain.selector, block.chainid));
        executor.receiveBridgeMessage(block.chainid, agentId, intentId);
        vm.stopPrank();
        vm.assertTrue(executor.isReceived(messageId), "received");
    }

    function testMessageIdIsTheSameAtBothEnds() public {
        bytes32 intentId = _submitted();
        vm.warp(block.timestamp + TIMELOCK_SECONDS);
        vm.recordLogs();
        _execute(intentId);
        bytes32 sent = vm.getRecordedLogs()[1].topics[3];
        uint256 source = block.chainid;
        vm.chainId(TAIKO);
        vm.prank(RELAYER);
        vm.assertEq(executor.receiveBridgeMessage(source, agentId, intentId), sent, "message");
    }

    function testTextsAreBounded() public {
        bytes memory refusal = abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES);
        bytes32 intentId = _emitIntent();
        vm.startPrank(ALICE);
        vm.expectRevert(refusal);
        executor.emitIntent(agentId, TAIKO, 7, BOB, _text(513), expiry);
        vm.expectRevert(refusal);
        executor.disputeIntent(intentId, _text(513));
        vm.stopPrank();
    }

    function testExecutorKnowsItsParts() public view {
        vm.assertEq(executor.agentRegistry(), address(agents), "agents");
        vm.assertEq(executor.policyEngine(), address(engine), "engine");
    }

    function _intentId(uint256 nonce) private view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(executor), agentId, nonce));
    }

    function _emitIntent() private returns (bytes32 intentId) {
        vm.prank(ALICE);
        return executor.emitIntent(agentId, TAIKO, 7, BOB, "swap", expiry);
    }

    function _submitted() private returns (bytes32 intentId) {
        intentId = _emitIntent();
        _submit(intentId);
    }

    function _submit(bytes32 intentId) private {
        vm.prank(RELAYER);
        executor.submitIntent(intentId);
    }

    function _execute(bytes32 intentId) private {
        vm.prank(RELAYER);
        executor.executeIntent(intentId);
    }

    function _dispute(address disputer, bytes32 intentId) private {
        vm.prank(disputer);
        executor.disputeIntent(intentId, "wrong recipient");
    }

    function _expectStatus(bytes32 intentId, ICrossChainExecutor.Status status) private view {
        vm.assertEq(uint256(executor.getIntent(intentId).status), uint256(status), "status");
    }

    function _expectWrongStatus(bytes32 intentId, ICrossChainExecutor.Status status) private {
        vm.expectRevert(abi.encodeWithSelector(ICrossChainExecutor.WrongStatus.selector, intentId, status));
    }
}
