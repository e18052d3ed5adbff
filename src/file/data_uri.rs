//! `data:` URIs (RFC 2397), read as they are written on chain rather than as they should be.
//!
//! Percent-encoding comes off first, then base64 (either alphabet, padded or not, white space ignored), then gzip,
//! which is known by its magic number whatever the parameters call it (`enc=gzip;level=6`). A `#` is content, not the
//! start of a fragment: raw JSON has it in the standard's own type URL. Inflation stops at a named size.

use std::borrow::Cow;
use std::io::Read;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::bufread::GzDecoder;
use percent_encoding::percent_decode;

use super::uri::starts_with;

/// The longest URI that is looked into, in bytes. A block's gas does not pay for one as long.
pub const MAX_URI_BYTES: usize = 4 << 20;

/// The most content of a URI once it is decoded and inflated, in bytes. Real files are below 20 kB; a gzip bomb is not.
pub const MAX_CONTENT_BYTES: usize = 1 << 20;

/// The first bytes of every gzip stream (RFC 1952); no JSON begins with them.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Base64 that forgives missing padding and unclean last bits, as decoders of data: URIs do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A `data:` URI, taken apart but not decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct DataUri<'a> {
    is_base64: bool,
    payload: &'a [u8],
}

impl<'a> DataUri<'a> {
    /// Takes a URI apart; nothing when it is no data: URI, lacks the comma before its data, or is too long.
    pub(super) fn parse(uri: &'a [u8]) -> Option<Self> {
        let uri = uri.trim_ascii();
        if uri.len() > MAX_URI_BYTES || !starts_with(uri, "data:") {
            return None;
        }
        let rest = &uri["data:".len()..];
        let comma = rest.iter().position(|byte| *byte == b',')?;
        let (head, payload) = (&rest[..comma], &rest[comma + 1..]);
        let is_base64 = head.split(|byte| *byte == b';').any(|part| part.trim_ascii().eq_ignore_ascii_case(b"base64"));
        Some(Self { is_base64, payload })
    }

    /// The data, decoded and inflated.
    pub(super) fn content(self) -> Option<Cow<'a, [u8]>> {
        let decoded: Cow<'a, [u8]> = percent_decode(self.payload).into();
        let decoded = if self.is_base64 { Cow::Owned(decode_base64(&decoded)?) } else { decoded };
        if decoded.starts_with(&GZIP_MAGIC) {
            return inflate(&decoded).map(Cow::Owned);
        }
        (decoded.len() <= MAX_CONTENT_BYTES).then_some(decoded)
    }

    /// The data as it stands in the URI, for content that was not encoded although the URI says so.
    pub(super) fn literal(self) -> Option<&'a [u8]> {
        (self.payload.len() <= MAX_CONTENT_BYTES).then_some(self.payload)
    }
}

fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let standard: Vec<u8> = text
        .iter()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => *other,
        })
        .collect();
    BASE64.decode(standard).ok()
}

/// Reads one byte beyond the limit, so that content of exactly the limit is told from content that was cut.
fn inflate(compressed: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    GzDecoder::new(compressed).take(MAX_CONTENT_BYTES as u64 + 1).read_to_end(&mut content).ok()?;
    (content.len() <= MAX_CONTENT_BYTES).then_some(content)
}
