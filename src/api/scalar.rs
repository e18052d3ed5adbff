//! Scalars: The Graph's, in its spelling.
//!
//! Numbers of any size leave as strings and come in as strings or numbers. Bytes are lower-case hex with 0x.

use async_graphql::dynamic::Scalar;
use async_graphql::{Name, Value};

use crate::store::query::Datum;
use crate::store::query::entity::Kind;

/// Most significant digits of a BigDecimal, as in The Graph.
const BIG_DECIMAL_DIGITS: usize = 34;

/// The scalars that GraphQL itself does not have.
pub(super) fn all() -> Vec<Scalar> {
    let number_or_text = |value: &Value| matches!(value, Value::String(_) | Value::Number(_) | Value::Null);
    let text = |value: &Value| matches!(value, Value::String(_) | Value::Null);
    vec![
        Scalar::new("BigInt")
            .description("A whole number of any size: a string of digits. Numbers are taken too.")
            .validator(number_or_text),
        Scalar::new("BigDecimal")
            .description(
                "An exact number: a string, at most 34 significant digits, no trailing zeros. Numbers are taken too.",
            )
            .validator(number_or_text),
        Scalar::new("Bytes").description("Bytes: hex with 0x, in lower case; any case is taken.").validator(text),
        Scalar::new("Int8").description("A whole number of 8 bytes: a string of digits.").validator(number_or_text),
        Scalar::new("Timestamp").description("Microseconds since 1970: a string of digits.").validator(number_or_text),
    ]
}

/// A field's value as GraphQL sends it; nothing for null.
pub(super) fn output(kind: Kind, value: &Datum) -> Option<Value> {
    Some(match value {
        Datum::Null => return None,
        Datum::Integer(number) if kind == Kind::Int => Value::from(*number),
        Datum::Integer(number) => Value::from(number.to_string()),
        Datum::Numeric(number) if kind == Kind::BigDecimal => Value::from(big_decimal(number)),
        Datum::Numeric(number) => Value::from(number.as_str()),
        Datum::Text(text) => match kind {
            Kind::Choice(_) | Kind::Finality => Value::Enum(Name::new(text)),
            _ => Value::from(text.as_str()),
        },
        Datum::Bytes(bytes) => hex(bytes),
        Datum::Boolean(value) => Value::from(*value),
        Datum::Texts(texts) => Value::List(texts.iter().map(|text| Value::from(text.as_str())).collect()),
        Datum::BytesList(list) => Value::List(list.iter().map(|bytes| hex(bytes)).collect()),
    })
}

/// Bytes as GraphQL sends them.
pub(super) fn hex(bytes: &[u8]) -> Value {
    Value::from(alloy::hex::encode_prefixed(bytes))
}

/// A decimal in plain notation, rounded half up (away from zero) to 34 significant digits, without trailing zeros.
pub(super) fn big_decimal(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let point = whole.len();
    let mut all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit.saturating_sub(b'0')).collect();
    let Some(leading) = all.iter().position(|digit| *digit != 0) else { return "0".to_owned() };
    // A place in front takes the carry of the rounding.
    let mut point = point + 1;
    all.insert(0, 0);
    let end = leading + 1 + BIG_DECIMAL_DIGITS;
    if all.len() > end {
        let up = all[end] >= 5;
        for digit in &mut all[end..] {
            *digit = 0;
        }
        if up {
            carry(&mut all[..end]);
        }
    }
    while all.len() > point && all.last() == Some(&0) {
        all.pop();
    }
    while point > 1 && all[0] == 0 {
        all.remove(0);
        point -= 1;
    }
    let text: String = all.iter().map(|digit| char::from(b'0' + digit)).collect();
    let (whole, fraction) = text.split_at(point);
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Adds one to the last of the digits.
fn carry(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::big_decimal;

    #[test]
    fn decimals_have_no_trailing_zeros() {
        for (input, output) in [
            ("0", "0"),
            ("0.000", "0"),
            ("-0.50", "-0.5"),
            ("99.770", "99.77"),
            ("100", "100"),
            ("100.00", "100"),
            ("0.000000000000000001", "0.000000000000000001"),
            ("100000000000000000000000000000000000000", "100000000000000000000000000000000000000"),
        ] {
            assert_eq!(big_decimal(input), output);
        }
    }

    #[test]
    fn decimals_have_at_most_34_significant_digits() {
        assert_eq!(big_decimal("0.33333333333333333333333333333333333333"), format!("0.{}", "3".repeat(34)));
        assert_eq!(big_decimal(&format!("0.{}", "6".repeat(40))), format!("0.{}7", "6".repeat(33)));
        assert_eq!(big_decimal(&"9".repeat(38)), format!("1{}", "0".repeat(38)));
        assert_eq!(big_decimal(&format!("-{}.5", "9".repeat(34))), format!("-1{}", "0".repeat(34)));
        assert_eq!(big_decimal("12345678901234567890123456789012345678"), "12345678901234567890123456789012350000");
    }
}
