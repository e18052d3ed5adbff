// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governed} from "./Governed.sol";
import {ICrossChainExecutor} from "./interfaces/ICrossChainExecutor.sol";

/// @dev The interface only, so that decoders have the ABI; the implementation follows.
abstract contract CrossChainExecutor is ICrossChainExecutor, Governed {}
