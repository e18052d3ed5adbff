//! A Solidity `string`: any bytes at all, with a readable form.
//!
//! The bytes are the truth and are kept. Postgres refuses NUL in text and GraphQL wants UTF-8, so the readable form
//! replaces what cannot be shown by U+FFFD, and [`Text::is_clean`] tells whether it had to (F45, F46).

use std::borrow::Cow;

use alloy::primitives::Bytes;

/// A string as the chain has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Text(
    /// The bytes, unchanged.
    pub Bytes,
);

impl Text {
    /// The text with everything that is not clean replaced by U+FFFD: invalid UTF-8 and NUL.
    #[must_use]
    pub fn readable(&self) -> Cow<'_, str> {
        let text = String::from_utf8_lossy(&self.0);
        if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text }
    }

    /// Whether the readable form is the bytes themselves: valid UTF-8 without NUL.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        !self.0.contains(&0) && std::str::from_utf8(&self.0).is_ok()
    }

    /// The bytes where the readable form lost something, else nothing: what a store must keep beside the text.
    #[must_use]
    pub fn raw_if_unclean(&self) -> Option<&[u8]> {
        if self.is_clean() { None } else { Some(&self.0) }
    }

    /// Whether the string has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn clean_text_is_itself() {
        let text = Text::from("名鑑");
        assert!(text.is_clean());
        assert_eq!(text.readable(), "名鑑");
        assert_eq!(text.raw_if_unclean(), None);
    }

    #[test]
    fn f45_nul_is_replaced_and_the_bytes_are_kept() {
        let text = Text::from("a\0b");
        assert_eq!(text.readable(), "a\u{fffd}b");
        assert_eq!(text.raw_if_unclean(), Some(&b"a\0b"[..]));
    }

    #[test]
    fn f46_invalid_utf8_is_replaced_and_the_bytes_are_kept() {
        let text = Text::from(vec![b'a', 0xff, b'b']);
        assert_eq!(text.readable(), "a\u{fffd}b");
        assert_eq!(text.raw_if_unclean(), Some(&[b'a', 0xff, b'b'][..]));
    }
}
