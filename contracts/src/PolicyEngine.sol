// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governed} from "./Governed.sol";
import {IPolicyEngine} from "./interfaces/IPolicyEngine.sol";

/// @dev The interface only, so that decoders have the ABI; the implementation follows.
abstract contract PolicyEngine is IPolicyEngine, Governed {}
