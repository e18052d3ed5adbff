// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governed} from "../src/Governed.sol";
import {IAgentRegistry} from "../src/interfaces/IAgentRegistry.sol";
import {World} from "./support/World.sol";

/// @title Wallet agents: registration, consent of the wallet, policy, status
contract AgentRegistryTest is World {
    uint256 private constant WALLET_KEY = 0x8004;
    address private wallet;

    function setUp() public override {
        super.setUp();
        wallet = vm.addr(WALLET_KEY);
    }

    function testRegistrationIsToldWithItsPolicy() public {
        bytes32 expected = keccak256(abi.encode(block.chainid, address(agents), ALICE, uint256(0)));
        vm.expectEmit(true, true, true, true, address(agents));
        emit IAgentRegistry.AgentRegistered(expected, ALICE, ALICE, "bafyagent");
        vm.expectEmit(true, true, true, true, address(agents));
        emit IAgentRegistry.PolicyUpdated(expected, _fullPolicy());
        vm.assertEq(_walletAgentOf(ALICE, _fullPolicy()), expected, "id");
    }

    function testAgentReadsBackAsRegistered() public {
        bytes32 agentId = _walletAgentOf(ALICE, _fullPolicy());
        IAgentRegistry.Agent memory agent = agents.getAgent(agentId);
        vm.assertEq(agent.owner, ALICE, "owner");
        vm.assertEq(agent.wallet, ALICE, "wallet");
        vm.assertEq(agent.metadataCID, "bafyagent", "metadata");
        vm.assertTrue(agent.active && !agent.suspended, "active");
        vm.assertEq(agents.agentOfWallet(ALICE), agentId, "by wallet");
        vm.assertEq(keccak256(abi.encode(agents.getPolicy(agentId))), keccak256(abi.encode(_fullPolicy())), "policy");
    }

    function testIdsDifferForOneOwner() public {
        bytes32 first = _walletAgentOf(ALICE);
        bytes32 second = _register(ALICE, wallet, _consent(ALICE, 0));
        vm.assertTrue(first != second, "ids");
        vm.assertEq(agents.agentCount(), 2, "agents");
        vm.assertEq(agents.activeAgentCount(), 2, "active agents");
    }

    function testWalletConsentsBySignature() public {
        bytes32 agentId = _register(ALICE, wallet, _consent(ALICE, 0));
        vm.assertEq(agents.agentOfWallet(wallet), agentId, "by wallet");
        vm.assertTrue(agents.isOperator(agentId, wallet), "wallet acts");
        vm.assertTrue(agents.isOperator(agentId, ALICE), "owner acts");
        vm.assertEq(agents.isOperator(agentId, BOB), false, "a stranger does not");
        vm.assertEq(agents.walletNonce(wallet), 1, "nonce");
    }

    function testStrangersCannotClaimAWallet() public {
        bytes memory consent = _consent(ALICE, 0);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.InvalidWalletSignature.selector, wallet));
        _register(MALLORY, wallet, consent);
    }

    function testConsentIsGoodOnce() public {
        bytes memory consent = _consent(ALICE, 0);
        bytes32 agentId = _register(ALICE, wallet, consent);
        vm.startPrank(ALICE);
        agents.setWallet(agentId, ALICE, 0, "");
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.InvalidWalletSignature.selector, wallet));
        agents.setWallet(agentId, wallet, ANY_DEADLINE, consent);
        vm.stopPrank();
    }

    function testConsentHasADeadline() public {
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.DeadlinePassed.selector, block.timestamp - 1));
        vm.prank(ALICE);
        agents.registerAgent(wallet, "", _widePolicy(), block.timestamp - 1, "");
    }

    function testWalletHasOneAgent() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.WalletTaken.selector, ALICE, agentId));
        _walletAgentOf(ALICE);
    }

    function testZeroAddressIsNoWallet() public {
        vm.expectRevert(IAgentRegistry.InvalidParty.selector);
        vm.prank(ALICE);
        agents.registerAgent(address(0), "", _widePolicy(), 0, "");
    }

    function testNewWalletFreesTheOld() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        bytes memory consent = _consent(ALICE, 0);
        vm.expectEmit(true, true, true, true, address(agents));
        emit IAgentRegistry.AgentUpdated(agentId, ALICE, wallet, "bafyagent", ALICE);
        vm.prank(ALICE);
        agents.setWallet(agentId, wallet, ANY_DEADLINE, consent);
        vm.assertEq(agents.agentOfWallet(ALICE), bytes32(0), "old wallet");
        vm.assertEq(agents.agentOfWallet(wallet), agentId, "new wallet");
    }

    function testWalletCanBeSetToItself() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.prank(ALICE);
        agents.setWallet(agentId, ALICE, 0, "");
        vm.assertEq(agents.agentOfWallet(ALICE), agentId, "wallet");
    }

    function testMetadataUpdateTellsTheWholeAgent() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.expectEmit(true, true, true, true, address(agents));
        emit IAgentRegistry.AgentUpdated(agentId, ALICE, ALICE, "bafynew", ALICE);
        vm.prank(ALICE);
        agents.setMetadataCID(agentId, "bafynew");
        vm.assertEq(agents.getAgent(agentId).metadataCID, "bafynew", "metadata");
    }

    function testAgentChangesHands() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.expectEmit(true, true, true, true, address(agents));
        emit IAgentRegistry.AgentUpdated(agentId, BOB, ALICE, "bafyagent", ALICE);
        vm.prank(ALICE);
        agents.transferAgent(agentId, BOB);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.NotAgentOwner.selector, ALICE, agentId));
        vm.prank(ALICE);
        agents.setMetadataCID(agentId, "bafylate");
    }

    function testAgentNeedsAnOwner() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.expectRevert(IAgentRegistry.InvalidParty.selector);
        vm.prank(ALICE);
        agents.transferAgent(agentId, address(0));
    }

    function testOnlyTheOwnerChangesAnAgent() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        bytes memory refusal = abi.encodeWithSelector(IAgentRegistry.NotAgentOwner.selector, MALLORY, agentId);
        vm.startPrank(MALLORY);
        vm.expectRevert(refusal);
        agents.setMetadataCID(agentId, "");
        vm.expectRevert(refusal);
        agents.setWallet(agentId, MALLORY, 0, "");
        vm.expectRevert(refusal);
        agents.transferAgent(agentId, MALLORY);
        vm.expectRevert(refusal);
        agents.setPolicy(agentId, _widePolicy());
        vm.expectRevert(refusal);
        agents.deactivateAgent(agentId, "");
        vm.expectRevert(refusal);
        agents.reactivateAgent(agentId, "");
        vm.stopPrank();
    }

    function testUnknownAgentsAreNamed() public {
        bytes memory refusal = abi.encodeWithSelector(IAgentRegistry.AgentNotFound.selector, keccak256("nobody"));
        vm.expectRevert(refusal);
        agents.getAgent(keccak256("nobody"));
        vm.expectRevert(refusal);
        agents.getPolicy(keccak256("nobody"));
        vm.expectRevert(refusal);
        agents.deactivateAgent(keccak256("nobody"), "");
        vm.assertEq(agents.isOperator(keccak256("nobody"), address(0)), false, "the zero address acts for nobody");
    }

    function testPolicyIsReplacedWhole() public {
        bytes32 agentId = _walletAgentOf(ALICE, _fullPolicy());
        vm.expectEmit(true, true, true, true, address(agents));
        emit IAgentRegistry.PolicyUpdated(agentId, _widePolicy());
        vm.prank(ALICE);
        agents.setPolicy(agentId, _widePolicy());
        vm.assertEq(agents.getPolicy(agentId).whitelist.length, 0, "whitelist");
        vm.assertEq(agents.getPolicy(agentId).allowedChains.length, 0, "chains");
    }

    function testListsAndTextsAreBounded() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        IAgentRegistry.Policy memory policy = _widePolicy();
        vm.startPrank(ALICE);
        policy.whitelist = new address[](MAX_POLICY_LIST_ITEMS + 1);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.PolicyListTooLong.selector, 33, 32));
        agents.setPolicy(agentId, policy);
        policy.whitelist = new address[](MAX_POLICY_LIST_ITEMS);
        policy.allowedChains = new uint256[](MAX_POLICY_LIST_ITEMS + 1);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.PolicyListTooLong.selector, 33, 32));
        agents.setPolicy(agentId, policy);
        vm.expectRevert(abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES));
        agents.setMetadataCID(agentId, _text(513));
        vm.expectRevert(abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES));
        agents.deactivateAgent(agentId, _text(513));
        vm.stopPrank();
    }

    function testOwnerSwitchesItsAgentOffAndOn() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.startPrank(ALICE);
        vm.expectEmit(true, true, true, true, address(agents));
        emit IAgentRegistry.AgentDeactivated(agentId, ALICE, "holiday");
        agents.deactivateAgent(agentId, "holiday");
        vm.assertEq(agents.isActive(agentId), false, "off");
        vm.assertEq(agents.activeAgentCount(), 0, "active agents");
        vm.expectEmit(true, true, true, true, address(agents));
        emit IAgentRegistry.AgentReactivated(agentId, ALICE, "back");
        agents.reactivateAgent(agentId, "back");
        vm.stopPrank();
        vm.assertTrue(agents.isActive(agentId), "on");
    }

    function testSwitchingTwiceIsRefused() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AgentAlreadyActive.selector, agentId));
        agents.reactivateAgent(agentId, "");
        agents.deactivateAgent(agentId, "");
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AgentNotActive.selector, agentId));
        agents.deactivateAgent(agentId, "");
        vm.stopPrank();
    }

    function testSuspensionIsTheAdminsToLift() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.prank(ADMIN);
        agents.deactivateAgent(agentId, "abuse");
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AgentIsSuspended.selector, agentId));
        vm.prank(ALICE);
        agents.reactivateAgent(agentId, "please");
        vm.prank(ADMIN);
        agents.reactivateAgent(agentId, "settled");
        vm.assertTrue(agents.isActive(agentId), "active");
    }

    function testOwnerCannotForestallASuspension() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.prank(ALICE);
        agents.deactivateAgent(agentId, "before they do");
        vm.startPrank(ADMIN);
        agents.deactivateAgent(agentId, "abuse");
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AgentNotActive.selector, agentId));
        agents.deactivateAgent(agentId, "again");
        vm.stopPrank();
        vm.assertTrue(agents.getAgent(agentId).suspended, "suspended");
        vm.assertEq(agents.activeAgentCount(), 0, "counted once");
    }

    function testAdminsOwnAgentIsSwitchedAsAnOwners() public {
        bytes32 agentId = _walletAgentOf(ADMIN);
        vm.startPrank(ADMIN);
        agents.deactivateAgent(agentId, "");
        vm.assertEq(agents.getAgent(agentId).suspended, false, "not suspended");
        agents.reactivateAgent(agentId, "");
        vm.stopPrank();
        vm.assertTrue(agents.isActive(agentId), "active");
    }

    function testSuspendedAgentBoughtByAnAdminCanBeLifted() public {
        bytes32 agentId = _walletAgentOf(ALICE);
        vm.prank(ADMIN);
        agents.deactivateAgent(agentId, "abuse");
        vm.prank(ALICE);
        agents.transferAgent(agentId, ADMIN);
        vm.prank(ADMIN);
        agents.reactivateAgent(agentId, "mine now");
        vm.assertTrue(agents.isActive(agentId), "active");
    }

    function _fullPolicy() private pure returns (IAgentRegistry.Policy memory policy) {
        policy = _widePolicy();
        policy.allowedChains = new uint256[](2);
        (policy.allowedChains[0], policy.allowedChains[1]) = (1, 167_000);
        policy.whitelist = _list(BOB, CAROL);
        policy.riskLevel = 3;
    }

    function _register(address owner, address agentWallet, bytes memory consent) private returns (bytes32) {
        vm.prank(owner);
        return agents.registerAgent(agentWallet, "bafyagent", _widePolicy(), ANY_DEADLINE, consent);
    }

    function _consent(address owner, uint256 nonce) private view returns (bytes memory) {
        return _signature(WALLET_KEY, _walletConsentDigest(owner, wallet, nonce, ANY_DEADLINE));
    }
}
