// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";

/// @title A small multi-signature wallet, for tests only
/// @notice Members propose and confirm calls; the confirmation that completes the threshold makes the call. It signs
/// by ERC-1271 with its members' signatures put end to end, in ascending order of their addresses.
contract Multisig is IERC1271, IERC721Receiver {
    struct Call {
        address target;
        bytes data;
        uint256 confirmations;
        bool done;
    }

    uint256 private constant SIGNATURE_BYTES = 65;

    uint256 public immutable THRESHOLD;
    mapping(address account => bool) public isMember;
    mapping(uint256 callId => mapping(address member => bool)) public hasConfirmed;
    Call[] private _calls;

    error NotMember(address caller);
    error AlreadyConfirmed(uint256 callId, address member);
    error AlreadyDone(uint256 callId);

    constructor(address[] memory members, uint256 threshold) {
        require(threshold > 0 && threshold <= members.length, "threshold out of range");
        THRESHOLD = threshold;
        for (uint256 i = 0; i < members.length; ++i) {
            isMember[members[i]] = true;
        }
    }

    /// @notice Proposes a call and confirms it.
    function propose(address target, bytes calldata data) external returns (uint256 callId) {
        callId = _calls.length;
        _calls.push(Call({target: target, data: data, confirmations: 0, done: false}));
        confirm(callId);
    }

    /// @notice Confirms a call; the last confirmation needed makes it, and passes on why it fails.
    function confirm(uint256 callId) public {
        if (!isMember[msg.sender]) revert NotMember(msg.sender);
        if (hasConfirmed[callId][msg.sender]) revert AlreadyConfirmed(callId, msg.sender);
        Call storage call = _calls[callId];
        if (call.done) revert AlreadyDone(callId);
        hasConfirmed[callId][msg.sender] = true;
        if (++call.confirmations < THRESHOLD) return;
        call.done = true;
        (bool success, bytes memory result) = call.target.call(call.data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(result, 32), mload(result))
            }
        }
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (signature.length != THRESHOLD * SIGNATURE_BYTES) return bytes4(0);
        address last = address(0);
        for (uint256 i = 0; i < THRESHOLD; ++i) {
            bytes calldata part = signature[i * SIGNATURE_BYTES:(i + 1) * SIGNATURE_BYTES];
            (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, part);
            if (failure != ECDSA.RecoverError.NoError || !isMember[signer] || signer <= last) return bytes4(0);
            last = signer;
        }
        return IERC1271.isValidSignature.selector;
    }

    /// @inheritdoc IERC721Receiver
    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return IERC721Receiver.onERC721Received.selector;
    }
}
