// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

import {Governed} from "../src/Governed.sol";
import {IAgentRegistry} from "../src/interfaces/IAgentRegistry.sol";
import {IPolicyEngine} from "../src/interfaces/IPolicyEngine.sol";
import {World} from "./support/World.sol";

/// @title Checks against policies: a refusal returns false, and its event is seen
contract PolicyEngineTest is World {
    uint256 private constant TAIKO = 167_000;
    bytes32 private agentId;

    function setUp() public override {
        super.setUp();
        agentId = _walletAgentOf(ALICE, _narrowPolicy());
    }

    function testPassingCheckIsToldAndBooked() public {
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.PolicyChecked(agentId, true, "");
        vm.assertTrue(_check(10), "allowed");
        IPolicyEngine.Usage memory usage = engine.usageOf(agentId);
        vm.assertEq(usage.daySpend, 10, "spend");
        vm.assertEq(usage.dayTransactions, 1, "today");
        vm.assertEq(usage.hourTransactions, 1, "this hour");
    }

    function testValuePerTransaction() public {
        vm.assertTrue(_check(50), "the limit itself passes");
        _expectRefusal("VALUE_PER_TX_EXCEEDED", 51, TAIKO, BOB);
        vm.assertEq(engine.usageOf(agentId).dayTransactions, 1, "a refusal is not booked");
    }

    function testChainsAreListed() public {
        _expectRefusal("CHAIN_NOT_ALLOWED", 1, 1, BOB);
    }

    function testRecipientsAreListed() public {
        _expectRefusal("RECIPIENT_NOT_WHITELISTED", 1, TAIKO, MALLORY);
    }

    function testEmptyListsDoNotRestrict() public {
        bytes32 free = _walletAgentOf(BOB, _widePolicy());
        vm.prank(BOB);
        vm.assertTrue(engine.checkPolicy(free, 1, 424_242, MALLORY), "any chain, any recipient");
    }

    function testZeroAllowsNothing() public {
        IAgentRegistry.Policy memory policy;
        bytes32 nothing = _walletAgentOf(BOB, policy);
        vm.prank(BOB);
        vm.assertEq(engine.checkPolicy(nothing, 0, TAIKO, BOB), false, "no transaction at all");
    }

    function testHourlyFrequencyTriggersTheBreaker() public {
        for (uint256 i = 0; i < 3; ++i) {
            vm.assertTrue(_check(1), "within the hour's limit");
        }
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.PolicyChecked(agentId, false, "TX_FREQUENCY_EXCEEDED");
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.CircuitBreakerTriggered(agentId, "TX_FREQUENCY_EXCEEDED", block.timestamp);
        vm.assertEq(_check(1), false, "refused");
    }

    function testHourEndsByTheClock() public {
        vm.warp(START + 1 hours - 1);
        for (uint256 i = 0; i < 3; ++i) {
            _check(1);
        }
        vm.assertEq(_check(1), false, "last second of the hour");
        vm.warp(START + 1 hours);
        vm.assertTrue(_check(1), "first second of the next");
    }

    function testDailyFrequency() public {
        for (uint256 i = 0; i < 5; ++i) {
            vm.warp(START + i * 1 hours);
            vm.assertTrue(_check(1), "within the day's limit");
        }
        vm.warp(START + 1 days - 1);
        _expectRefusal("TX_FREQUENCY_EXCEEDED", 1, TAIKO, BOB);
        vm.warp(START + 1 days);
        vm.assertTrue(_check(1), "a new day");
    }

    function testDailySpendTriggersTheBreaker() public {
        _check(50);
        _check(40);
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.CircuitBreakerTriggered(agentId, "DAILY_SPEND_EXCEEDED", block.timestamp);
        vm.assertEq(_check(11), false, "one too many");
        vm.assertTrue(_check(10), "the limit itself passes");
    }

    function testTightenedPolicyHoldsAtOnce() public {
        _check(50);
        IAgentRegistry.Policy memory tighter = _narrowPolicy();
        tighter.maxSpendPerDay = 20;
        vm.prank(ALICE);
        agents.setPolicy(agentId, tighter);
        _expectRefusal("DAILY_SPEND_EXCEEDED", 0, TAIKO, BOB);
    }

    function testHugeValuesDoNotOverflow() public {
        IAgentRegistry.Policy memory policy = _widePolicy();
        policy.maxSpendPerDay = type(uint256).max;
        policy.maxValuePerTx = type(uint256).max;
        bytes32 rich = _walletAgentOf(BOB, policy);
        vm.startPrank(BOB);
        vm.assertTrue(engine.checkPolicy(rich, type(uint256).max, TAIKO, BOB), "all at once");
        vm.assertEq(engine.checkPolicy(rich, 1, TAIKO, BOB), false, "and no more");
        vm.stopPrank();
    }

    function testUnknownAndInactiveAgentsAreRefused() public {
        vm.startPrank(address(executor));
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.PolicyChecked(keccak256("nobody"), false, "AGENT_UNKNOWN");
        vm.assertEq(engine.checkPolicy(keccak256("nobody"), 0, TAIKO, BOB), false, "unknown");
        vm.stopPrank();
        vm.prank(ALICE);
        agents.deactivateAgent(agentId, "");
        _expectRefusal("AGENT_INACTIVE", 0, TAIKO, BOB);
    }

    function testStrangersCannotUseUpAnAgentsLimits() public {
        vm.expectRevert(abi.encodeWithSelector(IPolicyEngine.NotChecker.selector, MALLORY, agentId));
        vm.prank(MALLORY);
        engine.checkPolicy(agentId, 0, TAIKO, BOB);
    }

    function testPausedAgentIsRefused() public {
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.AgentPaused(agentId, ALICE, "lost key");
        vm.prank(ALICE);
        engine.pauseAgent(agentId, "lost key");
        _expectRefusal("AGENT_PAUSED", 0, TAIKO, BOB);
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.AgentUnpaused(agentId, ALICE, "found");
        vm.prank(ALICE);
        engine.unpauseAgent(agentId, "found");
        vm.assertTrue(_check(1), "allowed again");
    }

    function testOwnerCannotLiftAPausersPause() public {
        vm.prank(ALICE);
        engine.pauseAgent(agentId, "before they do");
        vm.prank(ADMIN);
        engine.pauseAgent(agentId, "abuse");
        vm.expectRevert(abi.encodeWithSelector(IPolicyEngine.NotAgentUnpauser.selector, ALICE, agentId));
        vm.prank(ALICE);
        engine.unpauseAgent(agentId, "");
        vm.prank(ADMIN);
        engine.unpauseAgent(agentId, "settled");
        vm.assertEq(engine.agentPaused(agentId), false, "lifted");
    }

    function testAgentPausesAreGuarded() public {
        vm.expectRevert(abi.encodeWithSelector(IPolicyEngine.NotAgentPauser.selector, MALLORY, agentId));
        vm.prank(MALLORY);
        engine.pauseAgent(agentId, "");
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AgentNotFound.selector, keccak256("nobody")));
        vm.prank(ADMIN);
        engine.pauseAgent(keccak256("nobody"), "");
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IPolicyEngine.AgentIsNotPaused.selector, agentId));
        engine.unpauseAgent(agentId, "");
        engine.pauseAgent(agentId, "");
        vm.expectRevert(abi.encodeWithSelector(IPolicyEngine.AgentIsPaused.selector, agentId));
        engine.pauseAgent(agentId, "");
        vm.stopPrank();
    }

    function testEmergencyPauseRefusesRatherThanReverts() public {
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.EmergencyPaused(ADMIN, "exploit");
        vm.prank(ADMIN);
        engine.emergencyPause("exploit");
        _expectRefusal("EMERGENCY_PAUSED", 0, TAIKO, BOB);
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.EmergencyUnpaused(ADMIN, "patched");
        vm.prank(ADMIN);
        engine.emergencyUnpause("patched");
        vm.assertTrue(_check(1), "allowed again");
    }

    function testPlainPauseIsAnEmergencyToo() public {
        vm.startPrank(ADMIN);
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.EmergencyPaused(ADMIN, "");
        engine.pause();
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.EmergencyUnpaused(ADMIN, "");
        engine.unpause();
        vm.stopPrank();
    }

    function testCircuitBreakerStopsEverybody() public {
        vm.startPrank(ADMIN);
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.CircuitBreakerTripped(block.timestamp, "market crash");
        engine.tripCircuitBreaker("market crash");
        vm.expectRevert(IPolicyEngine.BreakerIsTripped.selector);
        engine.tripCircuitBreaker("");
        vm.stopPrank();
        _expectRefusal("CIRCUIT_BREAKER_TRIPPED", 0, TAIKO, BOB);
        vm.startPrank(ADMIN);
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.CircuitBreakerReset(block.timestamp);
        engine.resetCircuitBreaker();
        vm.expectRevert(IPolicyEngine.BreakerIsNotTripped.selector);
        engine.resetCircuitBreaker();
        vm.stopPrank();
        vm.assertTrue(_check(1), "allowed again");
    }

    function testStopsAndStartsNeedTheirRoles() public {
        bytes memory noPauser =
            abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, MALLORY, PAUSER_ROLE);
        bytes memory noAdmin = abi.encodeWithSelector(
            IAccessControl.AccessControlUnauthorizedAccount.selector, MALLORY, REGISTRY_ADMIN_ROLE
        );
        vm.startPrank(MALLORY);
        vm.expectRevert(noPauser);
        engine.emergencyPause("");
        vm.expectRevert(noPauser);
        engine.pause();
        vm.expectRevert(noPauser);
        engine.tripCircuitBreaker("");
        vm.expectRevert(noAdmin);
        engine.emergencyUnpause("");
        vm.expectRevert(noAdmin);
        engine.unpause();
        vm.expectRevert(noAdmin);
        engine.resetCircuitBreaker();
        vm.stopPrank();
    }

    function testReasonsAreBounded() public {
        vm.startPrank(ADMIN);
        vm.expectRevert(abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES));
        engine.emergencyPause(_text(513));
        vm.expectRevert(abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES));
        engine.tripCircuitBreaker(_text(513));
        vm.stopPrank();
    }

    function testPreviewBooksNothing() public view {
        (bool allowed, string memory reason) = engine.previewPolicy(agentId, 51, TAIKO, BOB);
        vm.assertEq(allowed, false, "allowed");
        vm.assertEq(reason, "VALUE_PER_TX_EXCEEDED", "reason");
        (allowed, reason) = engine.previewPolicy(agentId, 50, TAIKO, BOB);
        vm.assertTrue(allowed, "allowed");
        vm.assertEq(reason, "", "no reason");
        vm.assertEq(engine.usageOf(agentId).dayTransactions, 0, "nothing booked");
        vm.assertEq(engine.agentRegistry(), address(agents), "agents");
    }

    /// @dev Whatever is asked in whatever order, no day spends more than its policy allows.
    function testFuzzDaySpendStaysWithinThePolicy(uint8[16] calldata values, uint32[16] calldata waits) public {
        IAgentRegistry.Policy memory policy = _narrowPolicy();
        uint256 day = block.timestamp / 1 days;
        uint256 spent = 0;
        uint256 count = 0;
        for (uint256 i = 0; i < values.length; ++i) {
            vm.warp(block.timestamp + waits[i] % 12 hours);
            if (block.timestamp / 1 days != day) (day, spent, count) = (block.timestamp / 1 days, 0, 0);
            if (_check(values[i])) (spent, count) = (spent + values[i], count + 1);
            vm.assertTrue(spent <= policy.maxSpendPerDay, "spend");
            vm.assertTrue(count <= policy.maxTxPerDay, "transactions");
            vm.assertEq(engine.usageOf(agentId).daySpend, spent, "booked");
        }
    }

    function _narrowPolicy() private pure returns (IAgentRegistry.Policy memory policy) {
        policy.maxSpendPerDay = 100;
        policy.maxTxPerDay = 5;
        policy.maxTxPerHour = 3;
        policy.maxValuePerTx = 50;
        policy.allowedChains = new uint256[](2);
        (policy.allowedChains[0], policy.allowedChains[1]) = (TAIKO, 167_013);
        policy.whitelist = _list(CAROL, BOB);
    }

    function _check(uint256 value) private returns (bool) {
        vm.prank(ALICE);
        return engine.checkPolicy(agentId, value, TAIKO, BOB);
    }

    function _expectRefusal(string memory reason, uint256 value, uint256 chainId, address recipient) private {
        vm.expectEmit(true, true, true, true, address(engine));
        emit IPolicyEngine.PolicyChecked(agentId, false, reason);
        vm.prank(ALICE);
        vm.assertEq(engine.checkPolicy(agentId, value, chainId, recipient), false, reason);
    }
}
