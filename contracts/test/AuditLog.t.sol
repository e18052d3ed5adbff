// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governed} from "../src/Governed.sol";
import {IAuditLog} from "../src/interfaces/IAuditLog.sol";
import {World} from "./support/World.sol";

/// @title The log of commitments
contract AuditLogTest is World {
    bytes32 private constant HASH = keccak256("document");
    bytes32 private agentId;

    function setUp() public override {
        super.setUp();
        agentId = _walletAgentOf(ALICE);
    }

    function testCommitmentIsTold() public {
        vm.expectEmit(true, true, true, true, address(auditLog));
        emit IAuditLog.CommitmentLogged(agentId, HASH, "bafydocument", ALICE, 0);
        _log(ALICE, HASH);
    }

    /// @dev The topic that indexers watch for: a change of the event's signature would show.
    function testTopicIsThePublishedOne() public pure {
        vm.assertEq(
            IAuditLog.CommitmentLogged.selector,
            bytes32(0xae4079cb38f10efa6dfee3ff8b6e7a755166414d6f660ea152e09ad990c21d1c),
            "topic0"
        );
    }

    function testEntriesCountFromZeroPerAgent() public {
        bytes32 other = _walletAgentOf(BOB);
        vm.assertEq(_log(ALICE, HASH), 0, "first");
        vm.assertEq(_log(ALICE, keccak256("another")), 1, "second");
        vm.prank(BOB);
        vm.assertEq(auditLog.logCommitment(other, HASH, ""), 0, "another agent's first, with the same hash");
        vm.assertEq(auditLog.entryCount(agentId), 2, "entries");
        vm.assertEq(auditLog.totalEntryCount(), 3, "all entries");
    }

    function testEntryReadsBackAsLogged() public {
        _log(ALICE, HASH);
        IAuditLog.Commitment memory entry = auditLog.getCommitment(agentId, 0);
        vm.assertEq(entry.commitmentHash, HASH, "hash");
        vm.assertEq(entry.submitter, ALICE, "submitter");
        vm.assertEq(entry.timestamp, block.timestamp, "time");
        vm.assertEq(entry.ipfsCID, "bafydocument", "CID");
        vm.assertTrue(auditLog.isCommitted(agentId, HASH), "committed");
    }

    function testMissingEntryReverts() public {
        vm.expectRevert(abi.encodeWithSelector(IAuditLog.CommitmentNotFound.selector, agentId, 0));
        auditLog.getCommitment(agentId, 0);
    }

    function testZeroIdIsRefused() public {
        vm.expectRevert(IAuditLog.ZeroAgentId.selector);
        auditLog.logCommitment(bytes32(0), HASH, "");
    }

    function testZeroHashIsRefused() public {
        vm.expectRevert(IAuditLog.ZeroCommitmentHash.selector);
        _log(ALICE, bytes32(0));
    }

    function testSameHashIsRefusedTwice() public {
        _log(ALICE, HASH);
        vm.expectRevert(abi.encodeWithSelector(IAuditLog.CommitmentExists.selector, agentId, HASH));
        _log(ALICE, HASH);
    }

    function testStrangersLogNothing() public {
        vm.expectRevert(abi.encodeWithSelector(IAuditLog.NotSubmitter.selector, MALLORY, agentId));
        _log(MALLORY, HASH);
    }

    function testSubmittersLogForEveryAgentThatExists() public {
        vm.prank(ADMIN);
        auditLog.grantRole(keccak256("SUBMITTER_ROLE"), CAROL);
        vm.assertEq(_log(CAROL, HASH), 0, "entry");
        vm.expectRevert(abi.encodeWithSelector(IAuditLog.NotSubmitter.selector, CAROL, keccak256("nobody")));
        vm.prank(CAROL);
        auditLog.logCommitment(keccak256("nobody"), HASH, "");
    }

    function testDeactivatedAgentsLogStaysOpen() public {
        vm.startPrank(ALICE);
        agents.deactivateAgent(agentId, "under inquiry");
        vm.assertEq(auditLog.logCommitment(agentId, HASH, ""), 0, "entry");
        vm.stopPrank();
    }

    function testCIDsAreBounded() public {
        vm.expectRevert(abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES));
        vm.prank(ALICE);
        auditLog.logCommitment(agentId, HASH, _text(513));
    }

    function testLogKnowsItsAgents() public view {
        vm.assertEq(auditLog.agentRegistry(), address(agents), "agents");
    }

    function _log(address submitter, bytes32 commitmentHash) private returns (uint256 entryIndex) {
        vm.prank(submitter);
        return auditLog.logCommitment(agentId, commitmentHash, "bafydocument");
    }
}
