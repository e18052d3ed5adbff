// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title A wallet contract that answers ERC-1271 with bytes of its choice
contract AnsweringWallet {
    bytes private _answer;

    constructor(bytes memory answer) {
        _answer = answer;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        bytes memory answer = _answer;
        assembly ("memory-safe") {
            return(add(answer, 32), mload(answer))
        }
    }
}
