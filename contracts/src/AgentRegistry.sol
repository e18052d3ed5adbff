// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";

import {Governed} from "./Governed.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";

/// @dev The interface only, so that decoders have the ABI; the implementation follows.
abstract contract AgentRegistry is IAgentRegistry, EIP712Upgradeable, Governed {}
