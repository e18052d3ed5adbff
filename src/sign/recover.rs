//! Whose key made a signature.

use alloy::primitives::{Address, B256, Signature};

/// Why bytes are not a signature of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotASignature {
    /// They are not 65 bytes: r, s, and v of 0, 1, 27 or 28.
    Form,
    /// `s` is in the upper half (EIP-2): somebody turned another signature into this one.
    HighS,
    /// No key makes it.
    NoKey,
}

impl std::fmt::Display for NotASignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Form => "it is not 65 bytes (r, s, and v of 0, 1, 27 or 28)",
            Self::HighS => "its s is in the upper half of the curve's order (EIP-2): send the other form of it",
            Self::NoKey => "no key makes it",
        })
    }
}

impl std::error::Error for NotASignature {}

/// The address whose key signed a hash.
///
/// # Errors
/// [`NotASignature`].
pub fn recover(hash: &B256, signature: &[u8]) -> Result<Address, NotASignature> {
    let bytes: &[u8; 65] = signature.try_into().map_err(|_| NotASignature::Form)?;
    if !matches!(bytes[64], 0 | 1 | 27 | 28) {
        return Err(NotASignature::Form);
    }
    let signature = Signature::from_raw_array(bytes).map_err(|_| NotASignature::Form)?;
    if signature.normalize_s().is_some() {
        return Err(NotASignature::HighS);
    }
    signature.recover_address_from_prehash(hash).map_err(|_| NotASignature::NoKey)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Signature, U256, address, b256, hex};

    use super::{NotASignature, recover};

    /// The order of secp256k1.
    const ORDER: U256 = U256::from_be_bytes(hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));

    /// Made by eth-account: the text "hello", signed by the first account of Anvil.
    const HASH: &str = "50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750";
    const SIGNATURE: &str = "f16ea9a3478698f695fd1401bfe27e9e4a7e8e3da94aa72b021125e31fa899cc573c48ea3fe1d4ab61a9db10c19032026e3ed2dbccba5a178235ac27f94504311c";

    #[test]
    fn of_the_two_forms_of_a_signature_one_is_taken() {
        let hash = HASH.parse().expect("a hash");
        let bytes: [u8; 65] = hex::decode(SIGNATURE).expect("hex").try_into().expect("65 bytes");
        let signer = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(recover(&hash, &bytes), Ok(signer));
        for v in [0x1c, 0x01] {
            let mut other = bytes;
            other[64] = v;
            assert_eq!(recover(&hash, &other), Ok(signer));
        }
        let signature = Signature::from_raw_array(&bytes).expect("a signature");
        let turned = Signature::new(signature.r(), ORDER - signature.s(), !signature.v()).as_bytes();
        assert_eq!(recover(&hash, &turned), Err(NotASignature::HighS));
        for (length, v) in [(64, 0x1b), (65, 2), (65, 29), (65, 0xff), (66, 0x1b), (0, 0)] {
            let mut other = bytes.to_vec();
            other[64] = v;
            other.resize(length, 0);
            assert_eq!(recover(&hash, &other), Err(NotASignature::Form), "{length} bytes, v {v}");
        }
        let mut none = [0; 65];
        assert_eq!(recover(&hash, &none), Err(NotASignature::NoKey));
        none[..32].copy_from_slice(&[0xff; 32]);
        none[63] = 1;
        assert_eq!(recover(&hash, &none), Err(NotASignature::NoKey));
        let another = b256!("0000000000000000000000000000000000000000000000000000000000000001");
        assert_ne!(recover(&another, &bytes), Ok(signer));
    }
}
