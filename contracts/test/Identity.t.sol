// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import {Governed} from "../src/Governed.sol";
import {IIdentityRegistry} from "../src/interfaces/IIdentityRegistry.sol";
import {EventReader} from "./support/EventReader.sol";
import {Vm} from "./support/Vm.sol";
import {World} from "./support/World.sol";

/// @title Registration, URIs, metadata and transfers of agents, event for event
contract IdentityTest is World {
    using EventReader for Vm.Log[];

    function testNamesItsToken() public view {
        vm.assertEq(identity.name(), "AgentIdentity", "name");
        vm.assertEq(identity.symbol(), "AGENT", "symbol");
        vm.assertEq(identity.getVersion(), "2.0.0", "version");
    }

    function testSupportsItsInterfaces() public view {
        vm.assertTrue(identity.supportsInterface(type(IERC721).interfaceId), "ERC-721");
        vm.assertTrue(identity.supportsInterface(bytes4(0x49064906)), "ERC-4906");
        vm.assertTrue(identity.supportsInterface(0x7965db0b), "AccessControl");
        vm.assertEq(identity.supportsInterface(0xffffffff), false, "nothing else");
    }

    function testIdsAreDenseFromZero() public {
        for (uint256 expected = 0; expected < 5; ++expected) {
            vm.assertEq(_agentOf(expected % 2 == 0 ? ALICE : BOB), expected, "id");
        }
        vm.assertEq(identity.agentCount(), 5, "count");
        vm.assertEq(identity.balanceOf(ALICE), 3, "balance");
    }

    function testRegisterWithoutURI() public {
        vm.recordLogs();
        vm.prank(ALICE);
        uint256 agentId = identity.register();
        string[] memory events = vm.getRecordedLogs().names();
        vm.assertEq(events.length, 3, "events");
        vm.assertEq(events[0], "Transfer", "first");
        vm.assertEq(events[1], "Registered", "second");
        vm.assertEq(events[2], "MetadataSet agentWallet", "third");
        vm.assertEq(identity.tokenURI(agentId), "", "URI");
        vm.assertEq(identity.getAgentWallet(agentId), ALICE, "wallet");
    }

    function testRegisterWithURIAnnouncesTheMetadataToo() public {
        vm.recordLogs();
        vm.prank(ALICE);
        uint256 agentId = identity.register("ipfs://one");
        string[] memory events = vm.getRecordedLogs().names();
        vm.assertEq(events.length, 4, "events");
        vm.assertEq(events[0], "Transfer", "first");
        vm.assertEq(events[1], "MetadataUpdate", "second");
        vm.assertEq(events[2], "Registered", "third");
        vm.assertEq(events[3], "MetadataSet agentWallet", "fourth");
        vm.assertEq(identity.tokenURI(agentId), "ipfs://one", "URI");
    }

    function testRegisterWithMetadataKeepsTheOrderOfEntries() public {
        IIdentityRegistry.MetadataEntry[] memory entries = new IIdentityRegistry.MetadataEntry[](2);
        entries[0] = IIdentityRegistry.MetadataEntry("name", "first");
        entries[1] = IIdentityRegistry.MetadataEntry("role", hex"00ff");
        vm.recordLogs();
        vm.prank(ALICE);
        uint256 agentId = identity.register("ipfs://one", entries);
        string[] memory events = vm.getRecordedLogs().names();
        vm.assertEq(events.length, 6, "events");
        vm.assertEq(events[3], "MetadataSet agentWallet", "wallet first");
        vm.assertEq(events[4], "MetadataSet name", "then the first entry");
        vm.assertEq(events[5], "MetadataSet role", "then the second");
        vm.assertEq(identity.getMetadata(agentId, "role"), hex"00ff", "value");
        vm.assertEq(identity.metadataKeyCount(agentId), 2, "keys");
    }

    function testRegisteredCarriesIdURIAndOwner() public {
        vm.expectEmit(true, true, true, true, address(identity));
        emit IIdentityRegistry.Registered(0, "ipfs://agent", ALICE);
        vm.expectEmit(true, true, true, true, address(identity));
        emit IIdentityRegistry.MetadataSet(0, "agentWallet", "agentWallet", abi.encodePacked(ALICE));
        _agentOf(ALICE);
    }

    function testReservedKeyIsRefusedAtRegistration() public {
        IIdentityRegistry.MetadataEntry[] memory entries = new IIdentityRegistry.MetadataEntry[](1);
        entries[0] = IIdentityRegistry.MetadataEntry("agentWallet", abi.encodePacked(MALLORY));
        vm.expectRevert(IIdentityRegistry.ReservedMetadataKey.selector);
        vm.prank(MALLORY);
        identity.register("", entries);
    }

    function testReservedKeyIsRefusedLater() public {
        uint256 agentId = _agentOf(ALICE);
        vm.expectRevert(IIdentityRegistry.ReservedMetadataKey.selector);
        vm.prank(ALICE);
        identity.setMetadata(agentId, "agentWallet", abi.encodePacked(MALLORY));
    }

    function testOwnerAndOperatorsSetTheURI() public {
        uint256 agentId = _agentOf(ALICE);
        vm.startPrank(ALICE);
        identity.setApprovalForAll(BOB, true);
        identity.approve(CAROL, agentId);
        identity.setAgentURI(agentId, "ipfs://alice");
        vm.stopPrank();
        vm.prank(BOB);
        identity.setAgentURI(agentId, "ipfs://bob");
        vm.expectEmit(true, true, true, true, address(identity));
        emit IERC4906.MetadataUpdate(agentId);
        vm.expectEmit(true, true, true, true, address(identity));
        emit IIdentityRegistry.URIUpdated(agentId, "ipfs://carol", CAROL);
        vm.prank(CAROL);
        identity.setAgentURI(agentId, "ipfs://carol");
        vm.assertEq(identity.tokenURI(agentId), "ipfs://carol", "URI");
    }

    function testStrangersChangeNothing() public {
        uint256 agentId = _agentOf(ALICE);
        bytes memory refusal = abi.encodeWithSelector(IIdentityRegistry.NotAgentOperator.selector, MALLORY, agentId);
        vm.startPrank(MALLORY);
        vm.expectRevert(refusal);
        identity.setAgentURI(agentId, "ipfs://evil");
        vm.expectRevert(refusal);
        identity.setMetadata(agentId, "name", "evil");
        vm.expectRevert(refusal);
        identity.unsetAgentWallet(agentId);
        vm.expectRevert(refusal);
        identity.setAgentWallet(agentId, MALLORY, block.timestamp, "");
        vm.stopPrank();
    }

    function testUnknownAgentsCannotBeChanged() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 7));
        identity.setMetadata(7, "name", "nobody");
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 7));
        identity.isAuthorizedOrOwner(ALICE, 7);
    }

    function testMetadataIsArbitraryBytes() public {
        uint256 agentId = _agentOf(ALICE);
        string memory key = string(abi.encodePacked(hex"fffe00"));
        vm.prank(ALICE);
        identity.setMetadata(agentId, key, hex"00c328");
        vm.assertEq(identity.getMetadata(agentId, key), hex"00c328", "value");
    }

    function testValuesAreBounded() public {
        uint256 agentId = _agentOf(ALICE);
        vm.startPrank(ALICE);
        identity.setMetadata(agentId, "largest", new bytes(MAX_METADATA_VALUE_BYTES));
        vm.expectRevert(
            abi.encodeWithSelector(IIdentityRegistry.MetadataValueTooLong.selector, 10_241, MAX_METADATA_VALUE_BYTES)
        );
        identity.setMetadata(agentId, "larger", new bytes(MAX_METADATA_VALUE_BYTES + 1));
        vm.stopPrank();
    }

    function testURIsAreBounded() public {
        bytes memory refusal = abi.encodeWithSelector(Governed.TextTooLong.selector, 513, MAX_URI_BYTES);
        vm.startPrank(ALICE);
        uint256 agentId = identity.register(_text(MAX_URI_BYTES));
        vm.expectRevert(refusal);
        identity.register(_text(MAX_URI_BYTES + 1));
        vm.expectRevert(refusal);
        identity.setAgentURI(agentId, _text(MAX_URI_BYTES + 1));
        vm.stopPrank();
        vm.assertEq(identity.agentCount(), 1, "a refused registration takes no id");
    }

    function testKeysAreBoundedAndRemovalMakesRoom() public {
        uint256 agentId = _agentOf(ALICE);
        vm.startPrank(ALICE);
        for (uint256 i = 0; i < MAX_METADATA_KEYS; ++i) {
            identity.setMetadata(agentId, string(abi.encodePacked("key", i)), "value");
        }
        vm.expectRevert(
            abi.encodeWithSelector(IIdentityRegistry.TooManyMetadataKeys.selector, agentId, MAX_METADATA_KEYS)
        );
        identity.setMetadata(agentId, "one more", "value");
        identity.setMetadata(agentId, string(abi.encodePacked("key", uint256(0))), "another value");
        identity.setMetadata(agentId, string(abi.encodePacked("key", uint256(0))), "");
        identity.setMetadata(agentId, "one more", "value");
        vm.stopPrank();
        vm.assertEq(identity.metadataKeyCount(agentId), MAX_METADATA_KEYS, "keys");
    }

    function testKeysAreBoundedAtRegistration() public {
        IIdentityRegistry.MetadataEntry[] memory entries = new IIdentityRegistry.MetadataEntry[](MAX_METADATA_KEYS + 1);
        for (uint256 i = 0; i < entries.length; ++i) {
            entries[i] = IIdentityRegistry.MetadataEntry(string(abi.encodePacked(i)), "value");
        }
        vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.TooManyMetadataKeys.selector, 0, MAX_METADATA_KEYS));
        vm.prank(ALICE);
        identity.register("", entries);
    }

    function testTransferClearsTheWalletFirst() public {
        uint256 agentId = _agentOf(ALICE);
        vm.recordLogs();
        vm.prank(ALICE);
        identity.transferFrom(ALICE, BOB, agentId);
        string[] memory events = vm.getRecordedLogs().names();
        vm.assertEq(events.length, 2, "events");
        vm.assertEq(events[0], "MetadataSet agentWallet", "first");
        vm.assertEq(events[1], "Transfer", "second");
        vm.assertEq(identity.getAgentWallet(agentId), address(0), "wallet");
        vm.assertEq(identity.getMetadata(agentId, "agentWallet"), "", "wallet as metadata");
        vm.assertEq(identity.ownerOf(agentId), BOB, "owner");
    }

    function testSelfTransferClearsTheWalletToo() public {
        uint256 agentId = _agentOf(ALICE);
        vm.prank(ALICE);
        identity.transferFrom(ALICE, ALICE, agentId);
        vm.assertEq(identity.getAgentWallet(agentId), address(0), "wallet");
    }

    function testStrangersCannotTransfer() public {
        uint256 agentId = _agentOf(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InsufficientApproval.selector, MALLORY, agentId));
        vm.prank(MALLORY);
        identity.transferFrom(ALICE, MALLORY, agentId);
        vm.assertEq(identity.getAgentWallet(agentId), ALICE, "the wallet stands");
    }

    function testAuthorizedIsOwnerOrOperator() public {
        uint256 agentId = _agentOf(ALICE);
        vm.prank(ALICE);
        identity.approve(BOB, agentId);
        vm.assertTrue(identity.isAuthorizedOrOwner(ALICE, agentId), "owner");
        vm.assertTrue(identity.isAuthorizedOrOwner(BOB, agentId), "approved");
        vm.assertEq(identity.isAuthorizedOrOwner(CAROL, agentId), false, "stranger");
    }

    function testUnsetIsToldEvenWhereNothingWasSet() public {
        uint256 agentId = _agentOf(ALICE);
        vm.startPrank(ALICE);
        identity.unsetAgentWallet(agentId);
        vm.expectEmit(true, true, true, true, address(identity));
        emit IIdentityRegistry.MetadataSet(agentId, "agentWallet", "agentWallet", "");
        identity.unsetAgentWallet(agentId);
        vm.stopPrank();
    }

    function testContractsWithoutAReceiverCannotRegister() public {
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(this)));
        identity.register();
    }

    function testFuzzMetadataReadsBackAsWritten(string memory key, bytes memory value) public {
        vm.assume(keccak256(bytes(key)) != keccak256("agentWallet"));
        vm.assume(value.length <= MAX_METADATA_VALUE_BYTES);
        uint256 agentId = _agentOf(ALICE);
        vm.prank(ALICE);
        identity.setMetadata(agentId, key, value);
        vm.assertEq(identity.getMetadata(agentId, key), value, "value");
        vm.assertEq(identity.metadataKeyCount(agentId), value.length > 0 ? 1 : 0, "keys");
    }
}
