// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RegistryHandler} from "./support/RegistryHandler.sol";
import {World} from "./support/World.sol";

/// @title What holds for the three registries after any sequence of steps and pauses
contract RegistryInvariantsTest is World {
    RegistryHandler private handler;

    function setUp() public override {
        super.setUp();
        handler = new RegistryHandler(identity, reputation, validation, ADMIN);
    }

    /// @dev Forge draws its calls from these contracts only.
    function targetContracts() external view returns (address[] memory) {
        return _list(address(handler));
    }

    function invariantNoStepSucceedsWhilePaused() public view {
        vm.assertEq(handler.breaches(), 0, "breaches");
    }

    function invariantIdsAreDenseAndEveryAgentHasAnOwner() public view {
        vm.assertEq(identity.agentCount(), handler.agents(), "agents");
        uint256 balances = 0;
        for (uint256 i = 0; i < handler.actorCount(); ++i) {
            balances += identity.balanceOf(handler.actor(i));
        }
        vm.assertEq(balances, handler.agents(), "balances");
        for (uint256 id = 0; id < handler.agents(); ++id) {
            vm.assertTrue(identity.ownerOf(id) != address(0), "owner");
        }
    }

    function invariantWalletIsOneThatTheOwnerVouchedFor() public view {
        for (uint256 id = 0; id < handler.agents(); ++id) {
            address wallet = identity.getAgentWallet(id);
            // No step here sets a wallet but registration, so a transfer must have left none.
            vm.assertTrue(wallet == address(0) || wallet == identity.ownerOf(id), "wallet");
        }
    }

    function invariantKeysAreCounted() public view {
        for (uint256 id = 0; id < handler.agents(); ++id) {
            uint256 held = 0;
            for (uint256 i = 0; i < handler.keyCount(); ++i) {
                if (identity.getMetadata(id, handler.keyOf(i)).length > 0) ++held;
            }
            vm.assertEq(identity.metadataKeyCount(id), held, "keys");
        }
    }

    function invariantFeedbackIsNeitherLostNorInvented() public view {
        uint256 given = 0;
        uint256 standing = 0;
        for (uint256 id = 0; id < handler.agents(); ++id) {
            address[] memory clients = reputation.getClients(id);
            for (uint256 i = 0; i < clients.length; ++i) {
                given += reputation.getLastIndex(id, clients[i]);
            }
            if (clients.length == 0) continue;
            (uint64 count,,) = reputation.getSummary(id, clients, "", "");
            standing += count;
        }
        vm.assertEq(given, handler.feedbacks(), "given");
        vm.assertEq(standing, handler.feedbacks() - handler.revocations(), "standing");
    }

    function invariantResponsesAddUp() public view {
        uint256 counted = 0;
        for (uint256 id = 0; id < handler.agents(); ++id) {
            counted += reputation.getResponseCount(id, address(0), 0, new address[](0));
        }
        vm.assertEq(counted, handler.responses(), "responses");
    }

    function invariantRequestsStandOnceOnEachList() public view {
        uint256 byAgent = 0;
        uint256 byValidator = 0;
        uint256 answered = 0;
        for (uint256 id = 0; id < handler.agents(); ++id) {
            byAgent += validation.getAgentValidations(id).length;
            (uint64 count, uint8 average) = validation.getSummary(id, new address[](0), "");
            answered += count;
            vm.assertTrue(average <= 100, "average");
        }
        for (uint256 i = 0; i < handler.actorCount(); ++i) {
            byValidator += validation.getValidatorRequests(handler.actor(i)).length;
        }
        vm.assertEq(byAgent, handler.requests(), "by agent");
        vm.assertEq(byValidator, handler.requests(), "by validator");
        vm.assertEq(answered, handler.answers(), "answered");
    }
}
