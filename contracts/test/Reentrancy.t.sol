// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

import {IIdentityRegistry} from "../src/interfaces/IIdentityRegistry.sol";
import {IReputationRegistry} from "../src/interfaces/IReputationRegistry.sol";
import {EventReader} from "./support/EventReader.sol";
import {Vm} from "./support/Vm.sol";
import {World} from "./support/World.sol";

/// @dev Owns agents, and makes one prepared call while it receives one.
contract Receiver is IERC721Receiver {
    address private _target;
    bytes private _data;
    bytes public refusal;

    function prepare(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    function register(IIdentityRegistry identity) external returns (uint256) {
        return identity.register("ipfs://agent");
    }

    function onERC721Received(address, address, uint256, bytes calldata) external returns (bytes4) {
        if (_target != address(0)) {
            (bool success, bytes memory result) = _target.call(_data);
            if (!success) refusal = result;
        }
        return IERC721Receiver.onERC721Received.selector;
    }
}

/// @dev A third party: whoever asks it, it gives feedback in its own name.
contract Critic {
    function rate(IReputationRegistry reputation, uint256 agentId) external {
        reputation.giveFeedback(agentId, 1, 0, "", "", "", "", bytes32(0));
    }
}

/// @title What a receiver may do in the midst of a registration, and what it may not
contract ReentrancyTest is World {
    using EventReader for Vm.Log[];

    Receiver private receiver;

    function setUp() public override {
        super.setUp();
        receiver = new Receiver();
    }

    function testSecondRegistrationIsRefused() public {
        _expectRefusal(abi.encodeWithSignature("register()"));
    }

    function testMetadataIsRefused() public {
        _expectRefusal(abi.encodeCall(identity.setMetadata, (0, "name", "early")));
    }

    function testURIIsRefused() public {
        _expectRefusal(abi.encodeCall(identity.setAgentURI, (0, "ipfs://early")));
    }

    function testWalletIsRefused() public {
        _expectRefusal(abi.encodeCall(identity.unsetAgentWallet, (0)));
        bytes memory data = abi.encodeCall(identity.setAgentWallet, (1, MALLORY, block.timestamp, ""));
        _expectRefusal(data);
    }

    /// @dev Let through, the registration would go on to announce an owner and a wallet that are no more.
    function testTransferIsRefused() public {
        _expectRefusal(abi.encodeCall(identity.transferFrom, (address(receiver), MALLORY, 0)));
        vm.assertEq(identity.ownerOf(0), address(receiver), "owner");
        vm.assertEq(identity.getAgentWallet(0), address(receiver), "wallet");
    }

    /// @dev Another agent's transfer too: the guard is on the registry, not on an agent.
    function testTransferOfAnotherAgentIsRefused() public {
        receiver.register(identity);
        receiver.prepare(address(identity), abi.encodeCall(identity.transferFrom, (address(receiver), MALLORY, 0)));
        receiver.register(identity);
        vm.assertEq(identity.ownerOf(0), address(receiver), "owner");
    }

    function testThirdPartysFeedbackPrecedesRegistered() public {
        Critic critic = new Critic();
        receiver.prepare(address(critic), abi.encodeCall(critic.rate, (reputation, 0)));
        vm.recordLogs();
        receiver.register(identity);
        string[] memory events = vm.getRecordedLogs().names();
        vm.assertEq(events.length, 5, "events");
        vm.assertEq(events[0], "Transfer", "first");
        vm.assertEq(events[1], "NewFeedback", "in the receiver's turn");
        vm.assertEq(events[2], "MetadataUpdate", "then the rest");
        vm.assertEq(events[3], "Registered", "then the rest");
        vm.assertEq(events[4], "MetadataSet agentWallet", "then the rest");
    }

    function testReceiverMayPassOnWhatWasTransferredToIt() public {
        uint256 agentId = _agentOf(ALICE);
        receiver.prepare(address(identity), abi.encodeCall(identity.transferFrom, (address(receiver), BOB, agentId)));
        vm.prank(ALICE);
        identity.safeTransferFrom(ALICE, address(receiver), agentId);
        vm.assertEq(receiver.refusal(), "", "no refusal");
        vm.assertEq(identity.ownerOf(agentId), BOB, "owner");
    }

    function testReceiverMayWriteMetadataOfWhatWasTransferredToIt() public {
        uint256 agentId = _agentOf(ALICE);
        receiver.prepare(address(identity), abi.encodeCall(identity.setMetadata, (agentId, "name", "mine")));
        vm.prank(ALICE);
        identity.safeTransferFrom(ALICE, address(receiver), agentId);
        vm.assertEq(identity.getMetadata(agentId, "name"), "mine", "metadata");
    }

    /// @dev The receiver makes the call in the midst of its next registration; the registration itself succeeds.
    function _expectRefusal(bytes memory data) private {
        receiver.prepare(address(identity), data);
        uint256 agentId = receiver.register(identity);
        vm.assertEq(
            receiver.refusal(),
            abi.encodeWithSelector(ReentrancyGuard.ReentrancyGuardReentrantCall.selector),
            "must be refused, and say why"
        );
        vm.assertEq(identity.tokenURI(agentId), "ipfs://agent", "the registration stands");
    }
}
