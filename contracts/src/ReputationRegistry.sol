// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governed} from "./Governed.sol";
import {IReputationRegistry} from "./interfaces/IReputationRegistry.sol";

/// @dev The interface only, so that decoders have the ABI; the implementation follows.
abstract contract ReputationRegistry is IReputationRegistry, Governed {}
