// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

// Compiled so that a deployer finds the proxy's bytecode beside the contracts that stand behind it.
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
