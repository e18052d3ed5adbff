// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAgentRegistry} from "../src/interfaces/IAgentRegistry.sol";
import {IPolicyEngine} from "../src/interfaces/IPolicyEngine.sol";
import {AuditHandler} from "./support/AuditHandler.sol";
import {World} from "./support/World.sol";

/// @title What holds for the four audit contracts after any sequence of steps and pauses
contract AuditInvariantsTest is World {
    AuditHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new AuditHandler(agents, auditLog, engine, executor, ADMIN);
        vm.prank(ADMIN);
        executor.authorizeRelayer(ADMIN);
    }

    /// @dev Forge draws its calls from these contracts only.
    function targetContracts() external view returns (address[] memory) {
        return _list(address(handler));
    }

    function invariantNothingForbiddenHappened() public view {
        vm.assertEq(handler.breaches(), 0, "breaches");
    }

    function invariantAgentsAreCounted() public view {
        bytes32[] memory ids = handler.agentIds();
        uint256 active = 0;
        for (uint256 i = 0; i < ids.length; ++i) {
            if (agents.isActive(ids[i])) ++active;
        }
        vm.assertEq(agents.agentCount(), ids.length, "agents");
        vm.assertEq(agents.activeAgentCount(), active, "active agents");
    }

    function invariantWalletAndAgentNameEachOther() public view {
        bytes32[] memory ids = handler.agentIds();
        for (uint256 i = 0; i < ids.length; ++i) {
            vm.assertEq(agents.agentOfWallet(agents.getAgent(ids[i]).wallet), ids[i], "wallet");
        }
    }

    function invariantSuspendedAgentsAreInactive() public view {
        bytes32[] memory ids = handler.agentIds();
        for (uint256 i = 0; i < ids.length; ++i) {
            IAgentRegistry.Agent memory agent = agents.getAgent(ids[i]);
            vm.assertEq(agent.suspended && agent.active, false, "suspended and active");
        }
    }

    function invariantCommitmentsAreCounted() public view {
        bytes32[] memory ids = handler.agentIds();
        uint256 entries = 0;
        for (uint256 i = 0; i < ids.length; ++i) {
            entries += auditLog.entryCount(ids[i]);
        }
        vm.assertEq(entries, handler.commitments(), "entries");
        vm.assertEq(auditLog.totalEntryCount(), handler.commitments(), "all entries");
    }

    function invariantIntentsAreCounted() public view {
        bytes32[] memory ids = handler.agentIds();
        uint256 intents = 0;
        for (uint256 i = 0; i < ids.length; ++i) {
            intents += executor.intentCount(ids[i]);
        }
        vm.assertEq(intents, handler.intents(), "intents");
    }

    function invariantUsageStaysWithinThePolicy() public view {
        bytes32[] memory ids = handler.agentIds();
        for (uint256 i = 0; i < ids.length; ++i) {
            IAgentRegistry.Policy memory policy = agents.getPolicy(ids[i]);
            IPolicyEngine.Usage memory usage = engine.usageOf(ids[i]);
            vm.assertTrue(usage.daySpend <= policy.maxSpendPerDay, "spend");
            vm.assertTrue(usage.dayTransactions <= policy.maxTxPerDay, "today");
            vm.assertTrue(usage.hourTransactions <= usage.dayTransactions, "this hour");
        }
    }
}
