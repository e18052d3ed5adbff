// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IReputationRegistry} from "../src/interfaces/IReputationRegistry.sol";
import {SummaryReference} from "./support/SummaryReference.sol";
import {World} from "./support/World.sol";

/// @title The arithmetic of getSummary, by worked examples and against a reference written apart from it
contract SummaryTest is World {
    using SummaryReference for SummaryReference.Given[];

    uint256 private constant MOST_FEEDBACKS = 24;

    uint256 private agentId;
    SummaryReference.Given[] private history;

    function setUp() public override {
        super.setUp();
        agentId = _agentOf(ALICE);
    }

    function testMixedDecimalsTruncate() public {
        _rate(BOB, agentId, 9977, 2);
        _rate(CAROL, agentId, 87, 0);
        _expectSummary(_list(BOB, CAROL), "", "", 2, 93, 0);
    }

    function testEqualDecimalsAreKept() public {
        _rate(BOB, agentId, 9977, 2);
        _rate(CAROL, agentId, 9977, 2);
        _expectSummary(_list(BOB, CAROL), "", "", 2, 9977, 2);
    }

    function testHugeValuesWrap() public {
        _rate(BOB, agentId, 1e38, 0);
        _rate(BOB, agentId, 5, 18);
        _rate(BOB, agentId, 5, 18);
        _expectSummary(_list(BOB), "", "", 3, -886533759346574857640019685980940968, 18);
    }

    function testNegativeAveragesTruncateTowardZero() public {
        _rate(BOB, agentId, -1, 0);
        _rate(BOB, agentId, -2, 0);
        _expectSummary(_list(BOB), "", "", 2, -1, 0);
    }

    function testMostFrequentDecimalsWin() public {
        _rate(BOB, agentId, 100, 0);
        _rate(BOB, agentId, 12345, 3);
        _rate(BOB, agentId, 12345, 3);
        _expectSummary(_list(BOB), "", "", 3, 41563, 3);
    }

    function testFewestDecimalsWinATie() public {
        _rate(BOB, agentId, 12345, 3);
        _rate(BOB, agentId, 155, 1);
        _expectSummary(_list(BOB), "", "", 2, 139, 1);
    }

    function testRevokedFeedbackDoesNotCount() public {
        _rate(BOB, agentId, 10, 0);
        _rate(BOB, agentId, 90, 0);
        vm.prank(BOB);
        reputation.revokeFeedback(agentId, 1);
        _expectSummary(_list(BOB), "", "", 1, 90, 0);
    }

    function testNothingMatchesGivesZeros() public {
        _rate(BOB, agentId, 10, 3, "a", "b");
        _expectSummary(_list(CAROL), "", "", 0, 0, 0);
        _expectSummary(_list(BOB), "b", "", 0, 0, 0);
        _expectSummary(_list(BOB), "a", "a", 0, 0, 0);
    }

    function testTagsFilterWhereGiven() public {
        _rate(BOB, agentId, 10, 0, "a", "x");
        _rate(BOB, agentId, 20, 0, "a", "y");
        _rate(BOB, agentId, 60, 0, "", "y");
        _expectSummary(_list(BOB), "", "", 3, 30, 0);
        _expectSummary(_list(BOB), "a", "", 2, 15, 0);
        _expectSummary(_list(BOB), "", "y", 2, 40, 0);
        _expectSummary(_list(BOB), "a", "y", 1, 20, 0);
    }

    function testClientListedTwiceCountsTwice() public {
        _rate(BOB, agentId, 10, 0);
        _rate(CAROL, agentId, 40, 0);
        address[] memory clients = new address[](3);
        (clients[0], clients[1], clients[2]) = (BOB, CAROL, BOB);
        _expectSummary(clients, "", "", 3, 20, 0);
    }

    function testSummaryNeedsClients() public {
        vm.expectRevert(IReputationRegistry.NoClients.selector);
        reputation.getSummary(agentId, new address[](0), "", "");
    }

    /// @dev Histories of several clients, tags, decimals, extremes and revocations, asked in several ways each.
    function testFuzzSummaryEqualsTheReference(uint256 seed) public {
        uint256 length = 1 + _draw(seed, "length") % MOST_FEEDBACKS;
        for (uint256 i = 0; i < length; ++i) {
            _give(uint256(keccak256(abi.encode(seed, i))));
        }
        string[3] memory tags = ["", "a", "b"];
        for (uint256 question = 0; question < 9; ++question) {
            address[] memory clients = _drawClients(uint256(keccak256(abi.encode(seed, "question", question))));
            _compare(clients, tags[question / 3], tags[question % 3]);
        }
    }

    function testFuzzOneFeedbackIsItsOwnSummary(int128 value, uint8 decimals) public {
        decimals %= 19;
        value = value % 1e38;
        _rate(BOB, agentId, value, decimals);
        _expectSummary(_list(BOB), "", "", 1, value, decimals);
    }

    /// @dev Gives one drawn feedback, and revokes it one time in five.
    function _give(uint256 seed) private {
        string[3] memory tags = ["", "a", "b"];
        address client = _client(_draw(seed, "client"));
        uint8 decimals = uint8(_draw(seed, "few") % 2 == 0 ? _draw(seed, "decimals") % 3 : _draw(seed, "decimals") % 19);
        int128 value = _drawValue(seed);
        string memory tag1 = tags[_draw(seed, "tag1") % 3];
        string memory tag2 = tags[_draw(seed, "tag2") % 3];
        _rate(client, agentId, value, decimals, tag1, tag2);
        bool revoked = _draw(seed, "revoked") % 5 == 0;
        if (revoked) {
            uint64 index = reputation.getLastIndex(agentId, client);
            vm.prank(client);
            reputation.revokeFeedback(agentId, index);
        }
        history.push(SummaryReference.Given(client, value, decimals, tag1, tag2, revoked));
    }

    /// @dev Small, large and extreme values, of both signs.
    function _drawValue(uint256 seed) private pure returns (int128) {
        uint256 magnitude = _draw(seed, "value");
        uint256 kind = _draw(seed, "kind") % 4;
        if (kind == 0) magnitude %= 101;
        else if (kind == 1) magnitude %= 1e9;
        else if (kind == 2) magnitude %= 1e38 + 1;
        else magnitude = 1e38;
        return _draw(seed, "sign") % 2 == 0 ? int128(uint128(magnitude)) : -int128(uint128(magnitude));
    }

    /// @dev One to five clients, some twice, some who never gave feedback.
    function _drawClients(uint256 seed) private pure returns (address[] memory clients) {
        clients = new address[](1 + _draw(seed, "clients") % 5);
        for (uint256 i = 0; i < clients.length; ++i) {
            clients[i] = _client(uint256(keccak256(abi.encode(seed, i))));
        }
    }

    function _client(uint256 draw) private pure returns (address) {
        return address(uint160(0xC11E47 + draw % 4));
    }

    function _draw(uint256 seed, string memory what) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, what)));
    }

    function _compare(address[] memory clients, string memory tag1, string memory tag2) private view {
        (uint256 count, int256 value, uint256 decimals) = history.summarize(clients, tag1, tag2);
        _expectSummary(clients, tag1, tag2, count, value, decimals);
    }

    function _expectSummary(
        address[] memory clients,
        string memory tag1,
        string memory tag2,
        uint256 count,
        int256 value,
        uint256 decimals
    ) private view {
        (uint64 gotCount, int128 gotValue, uint8 gotDecimals) = reputation.getSummary(agentId, clients, tag1, tag2);
        vm.assertEq(gotCount, count, "count");
        vm.assertEq(int256(gotValue), value, "value");
        vm.assertEq(gotDecimals, decimals, "decimals");
    }
}
