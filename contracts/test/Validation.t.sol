// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {Governed} from "../src/Governed.sol";
import {IValidationRegistry} from "../src/interfaces/IValidationRegistry.sol";
import {World} from "./support/World.sol";

/// @title Requests to validators and their answers
contract ValidationTest is World {
    bytes32 private constant REQUEST = keccak256("request");
    uint256 private agentId;

    function setUp() public override {
        super.setUp();
        agentId = _agentOf(ALICE);
    }

    function testRequestIsToldAndListed() public {
        vm.expectEmit(true, true, true, true, address(validation));
        emit IValidationRegistry.ValidationRequest(BOB, agentId, "ipfs://request", REQUEST);
        _request(BOB, REQUEST);
        vm.assertEq(validation.getAgentValidations(agentId)[0], REQUEST, "by agent");
        vm.assertEq(validation.getValidatorRequests(BOB)[0], REQUEST, "by validator");
    }

    function testUnansweredRequestHasAStatusButNoPlaceInTheSummary() public {
        _request(BOB, REQUEST);
        (address validator, uint256 agent, uint8 response,,, uint256 lastUpdate) =
            validation.getValidationStatus(REQUEST);
        vm.assertEq(validator, BOB, "validator");
        vm.assertEq(agent, agentId, "agent");
        vm.assertEq(response, 0, "response");
        vm.assertEq(lastUpdate, block.timestamp, "time");
        _expectSummary(new address[](0), "", 0, 0);
    }

    function testResponseIsTold() public {
        _request(BOB, REQUEST);
        vm.expectEmit(true, true, true, true, address(validation));
        emit IValidationRegistry.ValidationResponse(
            BOB, agentId, REQUEST, 100, "ipfs://response", keccak256("response"), "tee"
        );
        vm.prank(BOB);
        validation.validationResponse(REQUEST, 100, "ipfs://response", keccak256("response"), "tee");
    }

    function testZeroIsAnAnswer() public {
        _request(BOB, REQUEST);
        _respond(BOB, REQUEST, 0, "");
        _expectSummary(new address[](0), "", 1, 0);
    }

    function testLastAnswerCounts() public {
        _request(BOB, REQUEST);
        _respond(BOB, REQUEST, 20, "soft");
        vm.warp(block.timestamp + 1 days);
        _respond(BOB, REQUEST, 90, "hard");
        (,, uint8 response,, string memory tag, uint256 lastUpdate) = validation.getValidationStatus(REQUEST);
        vm.assertEq(response, 90, "response");
        vm.assertEq(tag, "hard", "tag");
        vm.assertEq(lastUpdate, block.timestamp, "time");
        _expectSummary(new address[](0), "", 1, 90);
    }

    function testSummaryAveragesAndFilters() public {
        _answered(BOB, "one", 100, "tee");
        _answered(BOB, "two", 51, "zk");
        _answered(CAROL, "three", 0, "tee");
        _expectSummary(new address[](0), "", 3, 50);
        _expectSummary(_list(BOB), "", 2, 75);
        _expectSummary(_list(BOB, BOB), "", 2, 75);
        _expectSummary(_list(BOB, CAROL), "tee", 2, 50);
        _expectSummary(_list(MALLORY), "", 0, 0);
        _expectSummary(new address[](0), "none", 0, 0);
    }

    function testOperatorsRequestToo() public {
        vm.startPrank(ALICE);
        identity.approve(CAROL, agentId);
        identity.setApprovalForAll(MALLORY, true);
        vm.stopPrank();
        vm.prank(CAROL);
        validation.validationRequest(BOB, agentId, "", keccak256("by the approved"));
        vm.prank(MALLORY);
        validation.validationRequest(BOB, agentId, "", keccak256("by the operator"));
        vm.assertEq(validation.getAgentValidations(agentId).length, 2, "requests");
    }

    function testStrangersRequestNothing() public {
        vm.expectRevert(abi.encodeWithSelector(IValidationRegistry.NotAgentOperator.selector, MALLORY, agentId));
        vm.prank(MALLORY);
        validation.validationRequest(BOB, agentId, "", REQUEST);
    }

    function testHashNamesOneRequest() public {
        _request(BOB, REQUEST);
        vm.expectRevert(abi.encodeWithSelector(IValidationRegistry.RequestExists.selector, REQUEST));
        vm.prank(ALICE);
        validation.validationRequest(CAROL, agentId, "", REQUEST);
    }

    function testRequestNeedsAValidatorAndAnAgent() public {
        vm.startPrank(ALICE);
        vm.expectRevert(IValidationRegistry.InvalidValidator.selector);
        validation.validationRequest(address(0), agentId, "", REQUEST);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 99));
        validation.validationRequest(BOB, 99, "", REQUEST);
        vm.stopPrank();
    }

    function testOnlyTheNamedValidatorAnswers() public {
        _request(BOB, REQUEST);
        vm.expectRevert(abi.encodeWithSelector(IValidationRegistry.NotTheValidator.selector, ALICE, BOB));
        vm.prank(ALICE);
        validation.validationResponse(REQUEST, 100, "", bytes32(0), "");
    }

    function testUnknownRequestsHaveNoAnswerAndNoStatus() public {
        bytes memory refusal = abi.encodeWithSelector(IValidationRegistry.RequestNotFound.selector, REQUEST);
        vm.expectRevert(refusal);
        validation.validationResponse(REQUEST, 100, "", bytes32(0), "");
        vm.expectRevert(refusal);
        validation.getValidationStatus(REQUEST);
    }

    function testResponsesAndURIsAreBounded() public {
        vm.expectRevert(abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES));
        vm.prank(ALICE);
        validation.validationRequest(BOB, agentId, _text(513), REQUEST);
        _request(BOB, REQUEST);
        vm.startPrank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IValidationRegistry.ResponseOutOfRange.selector, 101));
        validation.validationResponse(REQUEST, 101, "", bytes32(0), "");
        vm.expectRevert(abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES));
        validation.validationResponse(REQUEST, 100, _text(513), bytes32(0), "");
        vm.stopPrank();
    }

    function testRegistryKnowsItsIdentities() public view {
        vm.assertEq(validation.getIdentityRegistry(), address(identity), "identity");
        vm.assertEq(validation.getVersion(), "2.0.0", "version");
    }

    function testFuzzSummaryIsTheTruncatedMean(uint8[] calldata responses) public {
        vm.assume(responses.length <= 20);
        uint256 sum = 0;
        for (uint256 i = 0; i < responses.length; ++i) {
            uint8 response = responses[i] % 101;
            sum += response;
            bytes32 requestHash = keccak256(abi.encode(i));
            _request(BOB, requestHash);
            _respond(BOB, requestHash, response, "");
        }
        uint256 mean = responses.length == 0 ? 0 : sum / responses.length;
        _expectSummary(new address[](0), "", responses.length, mean);
    }

    function _request(address validator, bytes32 requestHash) private {
        vm.prank(ALICE);
        validation.validationRequest(validator, agentId, "ipfs://request", requestHash);
    }

    function _respond(address validator, bytes32 requestHash, uint8 response, string memory tag) private {
        vm.prank(validator);
        validation.validationResponse(requestHash, response, "", bytes32(0), tag);
    }

    function _answered(address validator, string memory name, uint8 response, string memory tag) private {
        _request(validator, keccak256(bytes(name)));
        _respond(validator, keccak256(bytes(name)), response, tag);
    }

    function _expectSummary(address[] memory validators, string memory tag, uint256 count, uint256 average)
        private
        view
    {
        (uint64 gotCount, uint8 gotAverage) = validation.getSummary(agentId, validators, tag);
        vm.assertEq(gotCount, count, "count");
        vm.assertEq(gotAverage, average, "average");
    }
}
