//! Wallets that are contracts (ERC-1271), accounts with code (EIP-7702), and wallets that are not deployed yet (ERC-6492):
//! whether they take a signature as theirs is asked by one call that deploys nothing.
//!
//! The call runs the constructor of `contracts/src/SignatureCheck.sol`, which answers 1 or 0 and never reverts.

use std::sync::LazyLock;

use alloy::primitives::{Address, B256, Bytes, b256, hex};
use alloy::sol_types::SolValue;

/// The validator's creation code.
pub static VALIDATOR: LazyLock<Bytes> = LazyLock::new(|| {
    let code = hex::decode(include_str!("../../abi/SignatureCheck.hex").trim());
    code.expect("the file is hex, which a test compares with the contract").into()
});

/// Gas that the call is given: a wallet that burns more says no.
pub const GAS: u64 = 3_000_000;

/// What ends a signature of a wallet that is not deployed yet (ERC-6492).
const WRAPPED: B256 = b256!("6492649264926492649264926492649264926492649264926492649264926492");

/// Whether a signature brings with it what deploys its wallet.
#[must_use]
pub fn is_wrapped(signature: &[u8]) -> bool {
    signature.ends_with(WRAPPED.as_slice())
}

/// The data of the call, which has no recipient.
#[must_use]
pub fn question(signer: Address, hash: B256, signature: &[u8]) -> Bytes {
    let arguments = (signer, hash, Bytes::copy_from_slice(signature)).abi_encode_params();
    [VALIDATOR.as_ref(), &arguments].concat().into()
}

/// Whether the answer to [`question`] is yes.
#[must_use]
pub fn says_yes(answer: &[u8]) -> bool {
    answer.len() == 32 && answer[..31].iter().all(|byte| *byte == 0) && answer[31] == 1
}
