// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Governed} from "./Governed.sol";
import {IAuditLog} from "./interfaces/IAuditLog.sol";

/// @dev The interface only, so that decoders have the ABI; the implementation follows.
abstract contract AuditLog is IAuditLog, Governed {}
