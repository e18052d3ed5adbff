//! Content identifiers: the name of a file's bytes, the same everywhere (CIDv1, raw, SHA-256, base32).

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Version 1, the codec `raw` (0x55), SHA-256 (0x12) of 32 bytes.
const PREFIX: [u8; 4] = [0x01, 0x55, 0x12, 0x20];

/// RFC 4648's base32 in lower case without padding, which multibase calls `b`.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification.encoding().expect("32 symbols make an encoding")
});

/// The name of a file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cid(pub [u8; 32]);

impl Cid {
    /// That of these bytes.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", BASE32.encode(&[&PREFIX[..], &self.0].concat()))
    }
}

/// The text is no name of the only sort that is made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotACid;

impl FromStr for Cid {
    type Err = NotACid;

    fn from_str(text: &str) -> Result<Self, NotACid> {
        let encoded = text.strip_prefix('b').ok_or(NotACid)?;
        let bytes = BASE32.decode(encoded.as_bytes()).map_err(|_| NotACid)?;
        let hash = bytes.strip_prefix(&PREFIX).ok_or(NotACid)?;
        hash.try_into().map(Self).map_err(|_| NotACid)
    }
}

#[cfg(test)]
mod tests {
    use super::Cid;

    /// As `ipfs add --cid-version 1 --raw-leaves` names them.
    #[test]
    fn names_are_those_of_ipfs() {
        for (content, name) in [
            ("", "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
            ("hello world", "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"),
        ] {
            assert_eq!(Cid::of(content.as_bytes()).to_string(), name);
            assert_eq!(name.parse(), Ok(Cid::of(content.as_bytes())));
        }
        for text in [
            "",
            "b",
            "bafkrei",
            "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG",
            "BAFKREIHDWDCEFGH4DQKJV67UZCMW7OJEE6XEDZDETOJUZJEVTENXQUVYKU",
        ] {
            assert!(text.parse::<Cid>().is_err(), "{text}");
        }
    }
}
