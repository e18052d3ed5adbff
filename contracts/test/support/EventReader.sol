// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC4906} from "@openzeppelin/contracts/interfaces/IERC4906.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";

import {IIdentityRegistry} from "../../src/interfaces/IIdentityRegistry.sol";
import {IReputationRegistry} from "../../src/interfaces/IReputationRegistry.sol";
import {Vm} from "./Vm.sol";

/// @title Recorded logs as words, so that a test can state an order of events
library EventReader {
    /// @notice The name of each event, with the key behind MetadataSet.
    function names(Vm.Log[] memory logs) internal pure returns (string[] memory list) {
        list = new string[](logs.length);
        for (uint256 i = 0; i < logs.length; ++i) {
            list[i] = _name(logs[i]);
        }
    }

    function _name(Vm.Log memory log) private pure returns (string memory) {
        bytes32 topic = log.topics[0];
        if (topic == IERC721.Transfer.selector) return "Transfer";
        if (topic == IERC4906.MetadataUpdate.selector) return "MetadataUpdate";
        if (topic == IIdentityRegistry.Registered.selector) return "Registered";
        if (topic == IIdentityRegistry.URIUpdated.selector) return "URIUpdated";
        if (topic == IReputationRegistry.NewFeedback.selector) return "NewFeedback";
        if (topic == IIdentityRegistry.MetadataSet.selector) {
            (string memory key,) = abi.decode(log.data, (string, bytes));
            return string.concat("MetadataSet ", key);
        }
        return "another event";
    }
}
