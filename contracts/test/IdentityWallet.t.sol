// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IIdentityRegistry} from "../src/interfaces/IIdentityRegistry.sol";
import {AnsweringWallet} from "./support/AnsweringWallet.sol";
import {World} from "./support/World.sol";

/// @dev What an EIP-7702 delegation puts behind a key: code that knows nothing of ERC-1271.
contract Delegate {
    uint256 public unrelated = 1;
}

/// @title The wallet's consent to being named by an agent
contract IdentityWalletTest is World {
    uint256 private constant WALLET_KEY = 0x8004;
    address private wallet;
    uint256 private agentId;
    uint256 private deadline;

    function setUp() public override {
        super.setUp();
        wallet = vm.addr(WALLET_KEY);
        agentId = _agentOf(ALICE);
        deadline = block.timestamp + 5 minutes;
    }

    function testConsentingWalletIsSet() public {
        vm.expectEmit(true, true, true, true, address(identity));
        emit IIdentityRegistry.MetadataSet(agentId, "agentWallet", "agentWallet", abi.encodePacked(wallet));
        _setWallet(ALICE, wallet, deadline, _consent(WALLET_KEY));
        vm.assertEq(identity.getAgentWallet(agentId), wallet, "wallet");
        vm.assertEq(identity.getMetadata(agentId, "agentWallet"), abi.encodePacked(wallet), "as metadata");
    }

    function testOperatorSetsTheWalletWithConsentGivenToTheOwner() public {
        vm.prank(ALICE);
        identity.setApprovalForAll(BOB, true);
        _setWallet(BOB, wallet, deadline, _consent(WALLET_KEY));
        vm.assertEq(identity.getAgentWallet(agentId), wallet, "wallet");
    }

    function testAnotherKeysConsentIsRefused() public {
        bytes memory forged = _consent(WALLET_KEY + 1);
        vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.InvalidWalletSignature.selector, wallet));
        _setWallet(ALICE, wallet, deadline, forged);
    }

    function testConsentForAnotherAgentIsRefused() public {
        uint256 other = _agentOf(ALICE);
        bytes memory consent = _consent(WALLET_KEY);
        vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.InvalidWalletSignature.selector, wallet));
        vm.prank(ALICE);
        identity.setAgentWallet(other, wallet, deadline, consent);
    }

    function testConsentEndsWithTheOwnership() public {
        bytes memory consent = _consent(WALLET_KEY);
        vm.prank(ALICE);
        identity.transferFrom(ALICE, BOB, agentId);
        vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.InvalidWalletSignature.selector, wallet));
        _setWallet(BOB, wallet, deadline, consent);
    }

    function testConsentOfAnotherChainIsRefused() public {
        bytes memory consent = _consent(WALLET_KEY);
        vm.chainId(167_000);
        vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.InvalidWalletSignature.selector, wallet));
        _setWallet(ALICE, wallet, deadline, consent);
    }

    function testDeadlineIsInclusive() public {
        bytes memory consent = _consent(WALLET_KEY);
        vm.warp(deadline);
        _setWallet(ALICE, wallet, deadline, consent);
        vm.assertEq(identity.getAgentWallet(agentId), wallet, "wallet");
    }

    function testPassedDeadlineIsRefused() public {
        bytes memory consent = _consent(WALLET_KEY);
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.DeadlinePassed.selector, deadline));
        _setWallet(ALICE, wallet, deadline, consent);
    }

    function testFarDeadlineIsRefused() public {
        vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.DeadlineTooFar.selector, deadline + 1, deadline));
        _setWallet(ALICE, wallet, deadline + 1, "");
    }

    function testZeroWalletIsRefused() public {
        vm.expectRevert(IIdentityRegistry.InvalidWallet.selector);
        _setWallet(ALICE, address(0), deadline, "");
    }

    function testDelegatedKeyStillSignsByItself() public {
        vm.etch(wallet, address(new Delegate()).code);
        _setWallet(ALICE, wallet, deadline, _consent(WALLET_KEY));
        vm.assertEq(identity.getAgentWallet(agentId), wallet, "wallet");
    }

    function testContractWalletConsentsByERC1271() public {
        address contractWallet = address(new AnsweringWallet(abi.encode(bytes4(0x1626ba7e))));
        _setWallet(ALICE, contractWallet, deadline, "anything");
        vm.assertEq(identity.getAgentWallet(agentId), contractWallet, "wallet");
    }

    function testContractWalletsOtherAnswersAreNoConsent() public {
        bytes[4] memory answers =
            [bytes(""), hex"1626ba7e", abi.encode(bytes4(0xffffffff)), abi.encode(uint256(0x1626ba7e))];
        for (uint256 i = 0; i < answers.length; ++i) {
            address contractWallet = address(new AnsweringWallet(answers[i]));
            vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.InvalidWalletSignature.selector, contractWallet));
            _setWallet(ALICE, contractWallet, deadline, "anything");
        }
    }

    function testFuzzGarbageIsNoConsent(bytes calldata garbage) public {
        vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.InvalidWalletSignature.selector, wallet));
        _setWallet(ALICE, wallet, deadline, garbage);
    }

    function _setWallet(address caller, address newWallet, uint256 until, bytes memory signature) private {
        vm.prank(caller);
        identity.setAgentWallet(agentId, newWallet, until, signature);
    }

    /// @dev Consent to ALICE's agent, until `deadline`, signed with the given key.
    function _consent(uint256 key) private view returns (bytes memory) {
        return _signature(key, _agentWalletDigest(agentId, wallet, ALICE, deadline));
    }
}
