//! Members of documents that are more than texts.

use std::fmt;
use std::str::FromStr;

use alloy::primitives::{I256, U256};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::json::MAX_EXACT;

/// A whole number from 0 to 2^256 - 1: a number in JSON up to 2^53, a string of digits beyond, and read from either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Uint(pub U256);

/// A whole number of 256 bits with a sign, written as [`Uint`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Int(pub I256);

impl Uint {
    /// Its value as a number of seconds, or any other that a clock has.
    #[must_use]
    pub fn as_u64(&self) -> u64 {
        self.0.saturating_to()
    }
}

impl From<u64> for Uint {
    fn from(value: u64) -> Self {
        Self(U256::from(value))
    }
}

impl fmt::Display for Uint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Int {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Uint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u64::try_from(self.0) {
            Ok(value) if value <= MAX_EXACT => serializer.serialize_u64(value),
            _ => serializer.collect_str(self),
        }
    }
}

impl Serialize for Int {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match i64::try_from(self.0) {
            Ok(value) if value.unsigned_abs() <= MAX_EXACT => serializer.serialize_i64(value),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Uint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Digits("a whole number from 0 to 2^256 - 1")).and_then(|digits| {
            let number =
                digits.parse().map_err(|_| D::Error::custom("a whole number from 0 to 2^256 - 1 is expected"))?;
            Ok(Self(number))
        })
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Digits("a whole number of 256 bits")).and_then(|digits| {
            let number =
                I256::from_str(&digits).map_err(|_| D::Error::custom("a whole number of 256 bits is expected"))?;
            Ok(Self(number))
        })
    }
}

/// Decimal digits, from a number or a string, spelled in the only way.
struct Digits(&'static str);

impl Visitor<'_> for Digits {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_padded = digits.len() > 1 && digits.starts_with('0') || text == "-0";
        if is_plain && !is_padded && digits.len() <= 78 {
            Ok(text.to_owned())
        } else {
            Err(E::custom(format!("{} is expected, in plain decimal digits", self.0)))
        }
    }
}

/// A text of at most so many bytes.
pub(super) fn is_at_most(text: &str, bytes: usize) -> bool {
    text.len() <= bytes
}

/// Reads a time in UTC as RFC 3339 writes it, into seconds since 1970.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let time = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    // RFC 3339 lets anything stand between date and time that both sides agree about; here that is a T.
    (text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T')).then(|| time.unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::{Int, Uint, seconds};

    #[test]
    fn whole_numbers_are_read_from_numbers_and_digits_and_written_so_that_nobody_rounds_them() {
        for (read, written) in [
            ("0", "0"),
            ("\"0\"", "0"),
            ("42", "42"),
            ("\"9007199254740992\"", "9007199254740992"),
            ("\"9007199254740993\"", "\"9007199254740993\""),
            (
                "\"115792089237316195423570985008687907853269984665640564039457584007913129639935\"",
                "\"115792089237316195423570985008687907853269984665640564039457584007913129639935\"",
            ),
        ] {
            let number: Uint = serde_json::from_str(read).expect(read);
            assert_eq!(serde_json::to_string(&number).expect("it is written"), written);
            let number: Int = serde_json::from_str(&format!("\"-{}\"", read.trim_matches('"'))).unwrap_or_default();
            let back: Int =
                serde_json::from_str(&serde_json::to_string(&number).expect("it is written")).expect("read");
            assert_eq!(back, number);
        }
        for text in [
            "-1",
            "1.0",
            "\"01\"",
            "\"\"",
            "\"0x1\"",
            "\"1_0\"",
            "\" 1\"",
            "\"+1\"",
            "true",
            "null",
            "\"115792089237316195423570985008687907853269984665640564039457584007913129639936\"",
        ] {
            assert!(serde_json::from_str::<Uint>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Int>("\"-0\"").is_err());
    }

    #[test]
    fn times_are_in_utc() {
        assert_eq!(seconds("1970-01-01T00:01:00Z"), Some(60));
        assert_eq!(seconds("2026-01-31T23:59:59.5Z"), Some(1_769_903_999));
        for text in ["", "2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31T00:00:00+01:00", "2026-01-31 00:00:00Z"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
