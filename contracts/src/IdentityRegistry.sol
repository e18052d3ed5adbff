// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControlUpgradeable} from "@openzeppelin/contracts-upgradeable/access/AccessControlUpgradeable.sol";
import {ERC721URIStorageUpgradeable} from
    "@openzeppelin/contracts-upgradeable/token/ERC721/extensions/ERC721URIStorageUpgradeable.sol";
import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";

import {Governed} from "./Governed.sol";
import {IIdentityRegistry} from "./interfaces/IIdentityRegistry.sol";

/// @dev The interface only, so that decoders have the ABI; the implementation follows.
abstract contract IdentityRegistry is IIdentityRegistry, ERC721URIStorageUpgradeable, EIP712Upgradeable, Governed {
    function supportsInterface(bytes4 interfaceId)
        public
        view
        override(ERC721URIStorageUpgradeable, AccessControlUpgradeable)
        returns (bool)
    {
        return super.supportsInterface(interfaceId);
    }
}
