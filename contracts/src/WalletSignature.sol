// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title A wallet's consent to a digest
library WalletSignature {
    /// @notice Whether the wallet signed the digest.
    /// @dev ECDSA comes first, whether or not the wallet has code: an account that delegated its code (EIP-7702) still
    /// signs with its key. Only then the wallet is asked as a contract (ERC-1271).
    function isSignedBy(bytes32 digest, address wallet, bytes calldata signature) internal view returns (bool) {
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && signer == wallet) return true;
        return SignatureChecker.isValidERC1271SignatureNowCalldata(wallet, digest, signature);
    }
}
