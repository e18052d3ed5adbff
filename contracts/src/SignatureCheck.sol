// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title Whether a wallet takes a signature as its own, told by one call that deploys nothing
/// @notice The constructor is the whole program: a node runs it by an `eth_call` without a recipient, and what comes back
/// in the place of code is one word, 1 for yes and 0 for no. It asks contracts (ERC-1271), accounts that delegated their
/// code (EIP-7702), and wallets that the signature itself deploys first (ERC-6492). Signatures by keys are not looked at:
/// whoever asks recovers them without a node.
/// @dev It never reverts, so that a call that fails means a node that fails. Hence what the signature brings along is
/// decoded by hand, each call leaves enough gas to answer, and of an answer one word is copied, however long it is.
contract SignatureCheck {
    /// @dev What ends a signature that brings along how to deploy or prepare its wallet.
    bytes32 private constant WRAPPED = 0x6492649264926492649264926492649264926492649264926492649264926492;

    /// @dev The answer that means yes. A contract that gives back what it is sent does not happen to give it.
    bytes32 private constant YES = bytes32(IERC1271.isValidSignature.selector);

    /// @dev Gas that no call gets. After the first call three more may touch cold accounts (2,600 each), and the answer
    /// is paid for like code (6,400).
    uint256 private constant RESERVE = 50_000;

    /// @param signer the wallet
    /// @param hash what was signed
    /// @param signature as ERC-1271 or ERC-6492 has it
    constructor(address signer, bytes32 hash, bytes memory signature) {
        bool valid =
            _isWrapped(signature) ? _checkWrapped(signer, hash, signature) : _ask(signer, _question(hash, signature));
        assembly ("memory-safe") {
            mstore(0, valid)
            return(0, 32)
        }
    }

    function _isWrapped(bytes memory signature) private pure returns (bool wrapped) {
        uint256 length = signature.length;
        if (length < 32) return false;
        assembly ("memory-safe") {
            wrapped := eq(mload(add(signature, length)), WRAPPED)
        }
    }

    /// @dev A wallet that is there is asked first: it may be deployed since the signature was made. If it says no it may
    /// need to be prepared, by the same call that would deploy it.
    function _checkWrapped(address signer, bytes32 hash, bytes memory signature) private returns (bool) {
        (bool readable, address factory, bytes memory deployment, bytes memory inner) = _unwrap(signature);
        if (!readable) return false;
        bytes memory question = _question(hash, inner);
        if (_ask(signer, question)) return true;
        _call(factory, deployment);
        return _ask(signer, question);
    }

    /// @dev Reads `abi.encode(address factory, bytes deployment, bytes inner)` in front of the suffix, as strictly as
    /// `abi.decode` does. That one reverts, and a constructor has no way to catch it.
    function _unwrap(bytes memory signature)
        private
        pure
        returns (bool readable, address factory, bytes memory deployment, bytes memory inner)
    {
        uint256 end = signature.length - 32;
        if (end < 96) return (false, factory, deployment, inner);
        uint256 word = _word(signature, 0);
        bool found;
        (readable, deployment) = _part(signature, end, _word(signature, 32));
        (found, inner) = _part(signature, end, _word(signature, 64));
        readable = readable && found && word <= type(uint160).max;
        factory = address(uint160(word));
    }

    /// @dev The bytes that begin with their length at an offset. They stay where they are: in memory they are `bytes`.
    function _part(bytes memory signature, uint256 end, uint256 offset)
        private
        pure
        returns (bool found, bytes memory part)
    {
        if (offset > end - 32) return (false, part);
        if (_word(signature, offset) > end - 32 - offset) return (false, part);
        assembly ("memory-safe") {
            part := add(add(signature, 32), offset)
        }
        return (true, part);
    }

    function _word(bytes memory data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(data, 32), offset))
        }
    }

    function _question(bytes32 hash, bytes memory signature) private pure returns (bytes memory) {
        return abi.encodeCall(IERC1271.isValidSignature, (hash, signature));
    }

    /// @dev Without code nobody says yes, not even where a precompile would give back what it is sent.
    function _ask(address signer, bytes memory question) private view returns (bool) {
        if (signer.code.length == 0) return false;
        uint256 allowance = _allowance();
        bool answered;
        bytes32 answer;
        assembly ("memory-safe") {
            let success := staticcall(allowance, signer, add(question, 32), mload(question), 0, 32)
            answered := and(success, gt(returndatasize(), 31))
            answer := mload(0)
        }
        return answered && answer == YES;
    }

    /// @dev Whether it succeeds does not matter: afterwards the wallet is asked, or there is none.
    function _call(address target, bytes memory data) private {
        uint256 allowance = _allowance();
        assembly ("memory-safe") {
            pop(call(allowance, target, 0, add(data, 32), mload(data), 0, 0))
        }
    }

    /// @dev The machine keeps one more part in 64 back (EIP-150), which is little where little is left.
    function _allowance() private view returns (uint256) {
        uint256 left = gasleft();
        return left > RESERVE ? left - RESERVE : 0;
    }
}
