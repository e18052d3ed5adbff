// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {Governed} from "../src/Governed.sol";
import {ReputationRegistry} from "../src/ReputationRegistry.sol";
import {IReputationRegistry} from "../src/interfaces/IReputationRegistry.sol";
import {World} from "./support/World.sol";

/// @title Feedback, revocations and responses
contract ReputationTest is World {
    uint256 private agentId;

    function setUp() public override {
        super.setUp();
        agentId = _agentOf(ALICE);
    }

    function testFeedbackIsToldInFull() public {
        vm.expectEmit(true, true, true, true, address(reputation));
        emit IReputationRegistry.NewFeedback(
            agentId, BOB, 1, -9977, 2, "starred", "starred", "week", "https://a.example", "ipfs://f", keccak256("f")
        );
        vm.prank(BOB);
        reputation.giveFeedback(agentId, -9977, 2, "starred", "week", "https://a.example", "ipfs://f", keccak256("f"));
    }

    function testFeedbackReadsBackAsGiven() public {
        _rate(BOB, agentId, -9977, 2, "starred", "week");
        (int128 value, uint8 decimals, string memory tag1, string memory tag2, bool isRevoked) =
            reputation.readFeedback(agentId, BOB, 1);
        vm.assertEq(int256(value), -9977, "value");
        vm.assertEq(decimals, 2, "decimals");
        vm.assertEq(tag1, "starred", "tag1");
        vm.assertEq(tag2, "week", "tag2");
        vm.assertEq(isRevoked, false, "revoked");
    }

    function testIndexCountsFromOnePerAgentAndClient() public {
        uint256 other = _agentOf(ALICE);
        vm.assertEq(reputation.getLastIndex(agentId, BOB), 0, "none yet");
        _rate(BOB, agentId, 1, 0);
        _rate(BOB, agentId, 2, 0);
        _rate(BOB, other, 3, 0);
        _rate(CAROL, agentId, 4, 0);
        vm.assertEq(reputation.getLastIndex(agentId, BOB), 2, "BOB");
        vm.assertEq(reputation.getLastIndex(other, BOB), 1, "BOB, other agent");
        vm.assertEq(reputation.getLastIndex(agentId, CAROL), 1, "CAROL");
    }

    function testClientsAreListedOnceInOrder() public {
        _rate(BOB, agentId, 1, 0);
        _rate(CAROL, agentId, 2, 0);
        _rate(BOB, agentId, 3, 0);
        address[] memory clients = reputation.getClients(agentId);
        vm.assertEq(clients.length, 2, "clients");
        vm.assertEq(clients[0], BOB, "first");
        vm.assertEq(clients[1], CAROL, "second");
    }

    function testOwnerCannotRateItself() public {
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.SelfFeedback.selector, ALICE, agentId));
        vm.prank(ALICE);
        reputation.giveFeedback(agentId, 100, 0, "", "", "", "", bytes32(0));
    }

    function testOperatorsCannotRateEither() public {
        vm.startPrank(ALICE);
        identity.approve(BOB, agentId);
        identity.setApprovalForAll(CAROL, true);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.SelfFeedback.selector, BOB, agentId));
        vm.prank(BOB);
        reputation.giveFeedback(agentId, 100, 0, "", "", "", "", bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.SelfFeedback.selector, CAROL, agentId));
        vm.prank(CAROL);
        reputation.giveFeedback(agentId, 100, 0, "", "", "", "", bytes32(0));
    }

    function testUnknownAgentsCannotBeRated() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 99));
        vm.prank(BOB);
        reputation.giveFeedback(99, 100, 0, "", "", "", "", bytes32(0));
    }

    function testValuesAndDecimalsAreBounded() public {
        _rate(BOB, agentId, 1e38, 18);
        _rate(BOB, agentId, -1e38, 0);
        vm.startPrank(CAROL);
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.ValueOutOfRange.selector, int128(1e38 + 1)));
        reputation.giveFeedback(agentId, 1e38 + 1, 0, "", "", "", "", bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.ValueOutOfRange.selector, int128(-1e38 - 1)));
        reputation.giveFeedback(agentId, -1e38 - 1, 0, "", "", "", "", bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.ValueOutOfRange.selector, type(int128).min));
        reputation.giveFeedback(agentId, type(int128).min, 0, "", "", "", "", bytes32(0));
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.TooManyDecimals.selector, 19));
        reputation.giveFeedback(agentId, 1, 19, "", "", "", "", bytes32(0));
        vm.stopPrank();
    }

    function testSenderWaitsBetweenFeedbacks() public {
        uint256 other = _agentOf(ALICE);
        vm.startPrank(BOB);
        reputation.giveFeedback(agentId, 1, 0, "", "", "", "", bytes32(0));
        vm.warp(block.timestamp + MIN_FEEDBACK_INTERVAL_SECONDS - 1);
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.FeedbackTooSoon.selector, block.timestamp + 1));
        reputation.giveFeedback(other, 1, 0, "", "", "", "", bytes32(0));
        vm.warp(block.timestamp + 1);
        reputation.giveFeedback(other, 1, 0, "", "", "", "", bytes32(0));
        vm.stopPrank();
    }

    function testOneSendersWaitIsNotAnothers() public {
        vm.prank(BOB);
        reputation.giveFeedback(agentId, 1, 0, "", "", "", "", bytes32(0));
        vm.prank(CAROL);
        reputation.giveFeedback(agentId, 1, 0, "", "", "", "", bytes32(0));
        vm.assertEq(reputation.getClients(agentId).length, 2, "clients");
    }

    function testLimitsCanBeWide() public {
        ReputationRegistry wide = ReputationRegistry(
            _proxy(
                address(new ReputationRegistry(0, 100_000)),
                abi.encodeCall(ReputationRegistry.initialize, (address(identity)))
            )
        );
        vm.startPrank(BOB);
        for (uint256 i = 0; i < 3; ++i) {
            wide.giveFeedback(agentId, 1, 0, "", "", "", _text(100_000), bytes32(0));
        }
        vm.stopPrank();
        vm.assertEq(wide.getLastIndex(agentId, BOB), 3, "no wait, long URIs");
    }

    function testURIsAreBounded() public {
        bytes memory refusal = abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES);
        _rate(BOB, agentId, 1, 0);
        vm.startPrank(CAROL);
        vm.expectRevert(refusal);
        reputation.giveFeedback(agentId, 1, 0, "", "", _text(513), "", bytes32(0));
        vm.expectRevert(refusal);
        reputation.giveFeedback(agentId, 1, 0, "", "", "", _text(513), bytes32(0));
        vm.expectRevert(refusal);
        reputation.appendResponse(agentId, BOB, 1, _text(513), bytes32(0));
        reputation.giveFeedback(agentId, 1, 0, "", "", _text(512), _text(512), bytes32(0));
        vm.stopPrank();
    }

    function testClientRevokesItsFeedbackOnce() public {
        _rate(BOB, agentId, 1, 0);
        vm.startPrank(BOB);
        vm.expectEmit(true, true, true, true, address(reputation));
        emit IReputationRegistry.FeedbackRevoked(agentId, BOB, 1);
        reputation.revokeFeedback(agentId, 1);
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.FeedbackAlreadyRevoked.selector, agentId, BOB, 1));
        reputation.revokeFeedback(agentId, 1);
        vm.stopPrank();
        (,,,, bool isRevoked) = reputation.readFeedback(agentId, BOB, 1);
        vm.assertTrue(isRevoked, "revoked");
    }

    function testNobodyRevokesAnothersFeedback() public {
        _rate(BOB, agentId, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IReputationRegistry.FeedbackNotFound.selector, agentId, ALICE, 1));
        vm.prank(ALICE);
        reputation.revokeFeedback(agentId, 1);
    }

    function testFeedbackThatIsNotThere() public {
        _rate(BOB, agentId, 1, 0);
        uint64[2] memory missing = [uint64(0), 2];
        for (uint256 i = 0; i < missing.length; ++i) {
            bytes memory refusal =
                abi.encodeWithSelector(IReputationRegistry.FeedbackNotFound.selector, agentId, BOB, missing[i]);
            vm.expectRevert(refusal);
            reputation.readFeedback(agentId, BOB, missing[i]);
            vm.expectRevert(refusal);
            reputation.appendResponse(agentId, BOB, missing[i], "ipfs://r", bytes32(0));
            vm.expectRevert(refusal);
            vm.prank(BOB);
            reputation.revokeFeedback(agentId, missing[i]);
        }
    }

    function testAnybodyRespondsRepeatedly() public {
        _rate(BOB, agentId, 1, 0);
        vm.expectEmit(true, true, true, true, address(reputation));
        emit IReputationRegistry.ResponseAppended(agentId, BOB, 1, MALLORY, "ipfs://r", keccak256("r"));
        vm.startPrank(MALLORY);
        reputation.appendResponse(agentId, BOB, 1, "ipfs://r", keccak256("r"));
        reputation.appendResponse(agentId, BOB, 1, "ipfs://r", keccak256("r"));
        vm.stopPrank();
        vm.assertEq(reputation.getResponseCount(agentId, BOB, 1, new address[](0)), 2, "responses");
    }

    function testRevokedFeedbackCanBeAnswered() public {
        _rate(BOB, agentId, 1, 0);
        vm.prank(BOB);
        reputation.revokeFeedback(agentId, 1);
        reputation.appendResponse(agentId, BOB, 1, "ipfs://r", bytes32(0));
        vm.assertEq(reputation.getResponseCount(agentId, BOB, 1, new address[](0)), 1, "responses");
    }

    function testResponseNeedsAURI() public {
        _rate(BOB, agentId, 1, 0);
        vm.expectRevert(IReputationRegistry.EmptyResponseURI.selector);
        reputation.appendResponse(agentId, BOB, 1, "", bytes32(0));
    }

    function testResponsesAreCountedBroadlyOrNarrowly() public {
        _rate(BOB, agentId, 1, 0);
        _rate(BOB, agentId, 2, 0);
        _rate(CAROL, agentId, 3, 0);
        _respond(ALICE, BOB, 1);
        _respond(ALICE, BOB, 2);
        _respond(MALLORY, BOB, 2);
        _respond(ALICE, CAROL, 1);
        vm.assertEq(_responses(address(0), 0, new address[](0)), 4, "to all");
        vm.assertEq(_responses(address(0), 0, _list(ALICE)), 3, "to all, by one");
        vm.assertEq(_responses(BOB, 0, new address[](0)), 3, "to one client");
        vm.assertEq(_responses(BOB, 2, new address[](0)), 2, "to one feedback");
        vm.assertEq(_responses(BOB, 2, _list(MALLORY, ALICE)), 2, "by two");
        vm.assertEq(_responses(BOB, 2, _list(ALICE, ALICE)), 2, "one listed twice counts twice");
        vm.assertEq(_responses(BOB, 9, new address[](0)), 0, "to none");
    }

    function testReadAllGivesEveryClientWhereNoneIsNamed() public {
        _rate(BOB, agentId, 11, 1, "a", "x");
        _rate(CAROL, agentId, 22, 2, "b", "y");
        _rate(BOB, agentId, 33, 3, "a", "y");
        (
            address[] memory clients,
            uint64[] memory indexes,
            int128[] memory values,
            uint8[] memory decimals,
            string[] memory tag1s,
            string[] memory tag2s,
        ) = reputation.readAllFeedback(agentId, new address[](0), "", "", false);
        vm.assertEq(clients.length, 3, "rows");
        vm.assertEq(clients[1], BOB, "in the clients' order");
        vm.assertEq(indexes[1], 2, "then by index");
        vm.assertEq(int256(values[1]), 33, "value");
        vm.assertEq(decimals[1], 3, "decimals");
        vm.assertEq(tag1s[2], "b", "tag1");
        vm.assertEq(tag2s[2], "y", "tag2");
    }

    function testReadAllFilters() public {
        _rate(BOB, agentId, 11, 0, "a", "x");
        _rate(BOB, agentId, 22, 0, "a", "y");
        _rate(CAROL, agentId, 33, 0, "b", "y");
        vm.prank(BOB);
        reputation.revokeFeedback(agentId, 1);
        vm.assertEq(_rows(new address[](0), "", "", false), 2, "not revoked");
        vm.assertEq(_rows(new address[](0), "", "", true), 3, "with revoked");
        vm.assertEq(_rows(_list(BOB), "", "", true), 2, "of one client");
        vm.assertEq(_rows(new address[](0), "a", "", true), 2, "by tag1");
        vm.assertEq(_rows(new address[](0), "", "y", true), 2, "by tag2");
        vm.assertEq(_rows(new address[](0), "b", "x", true), 0, "by both");
    }

    function testRegistryKnowsItsIdentities() public {
        vm.assertEq(reputation.getIdentityRegistry(), address(identity), "identity");
        vm.assertEq(reputation.getVersion(), "2.0.0", "version");
        address implementation = address(new ReputationRegistry(0, 0));
        vm.expectRevert(abi.encodeWithSelector(Governed.NotAContract.selector, MALLORY));
        _proxy(implementation, abi.encodeCall(ReputationRegistry.initialize, (MALLORY)));
    }

    function _respond(address responder, address client, uint64 index) private {
        vm.prank(responder);
        reputation.appendResponse(agentId, client, index, "ipfs://r", bytes32(0));
    }

    function _responses(address client, uint64 index, address[] memory responders) private view returns (uint256) {
        return reputation.getResponseCount(agentId, client, index, responders);
    }

    function _rows(address[] memory clients, string memory tag1, string memory tag2, bool includeRevoked)
        private
        view
        returns (uint256)
    {
        (address[] memory rows,,,,,,) = reputation.readAllFeedback(agentId, clients, tag1, tag2, includeRevoked);
        return rows.length;
    }
}
