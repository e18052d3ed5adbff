//! Values of clients: read into the type of the field they are compared with.
//!
//! Numbers are taken as JSON numbers and as strings, because clients in TypeScript send the one and in Python the other.

use serde_json::Value;

use super::entity::{Field, Kind};
use super::error::{QueryError, bad_input};
use super::sql::{Datum, SqlType};

/// Most digits of a number: more than any integer or value of a contract has.
const MAX_DIGITS: usize = 200;

/// Reads a value for a field.
pub(super) fn read(name: &str, field: &Field, input: &Value) -> Result<Datum, QueryError> {
    match field.kind {
        Kind::BigInt | Kind::Int | Kind::Int8 | Kind::Timestamp => whole_number(name, field.ty, input),
        Kind::BigDecimal => decimal(name, input),
        Kind::Bytes => bytes(name, input).map(Datum::Bytes),
        Kind::Boolean => input.as_bool().map(Datum::Boolean).ok_or_else(|| bad_input(name, "true or false")),
        Kind::Texts => {
            list(name, input)?.iter().map(|item| text(name, item)).collect::<Result<_, _>>().map(Datum::Texts)
        }
        Kind::BytesList => {
            list(name, input)?.iter().map(|item| bytes(name, item)).collect::<Result<_, _>>().map(Datum::BytesList)
        }
        Kind::Choice(choice) => {
            let value = text(name, input)?;
            if choice.values.iter().any(|(known, _)| *known == value) {
                Ok(Datum::Text(value))
            } else {
                Err(bad_input(name, &format!("a value of {}", choice.name)))
            }
        }
        Kind::Id | Kind::Text | Kind::Finality | Kind::Cursor => text(name, input).map(Datum::Text),
    }
}

/// Reads a list; a single value is a list of one, as in GraphQL.
pub(super) fn list<'a>(name: &str, input: &'a Value) -> Result<&'a [Value], QueryError> {
    match input {
        Value::Array(items) => Ok(items),
        Value::Null => Err(bad_input(name, "a list, not null")),
        one => Ok(std::slice::from_ref(one)),
    }
}

/// Reads a text. Postgres has no NUL in text, so a text with one equals nothing and is refused by name.
pub(super) fn text(name: &str, input: &Value) -> Result<String, QueryError> {
    match input {
        Value::String(text) if text.contains('\0') => Err(bad_input(name, "a text without NUL")),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(bad_input(name, "a text")),
    }
}

/// Reads hex, in any case, with or without 0x.
pub(super) fn bytes(name: &str, input: &Value) -> Result<Vec<u8>, QueryError> {
    let hex = input.as_str().map(|text| text.strip_prefix("0x").or(text.strip_prefix("0X")).unwrap_or(text));
    hex.and_then(|hex| alloy::hex::decode(hex).ok()).ok_or_else(|| bad_input(name, "bytes in hex, such as \"0x12ab\""))
}

/// Reads a whole number for a column of a type. One that the column cannot hold is compared as an exact number.
pub(super) fn whole_number(name: &str, ty: SqlType, input: &Value) -> Result<Datum, QueryError> {
    let text = number_text(input).filter(|text| is_whole(text)).ok_or_else(|| bad_input(name, "a whole number"))?;
    Ok(match text.parse() {
        Ok(number) if ty == SqlType::Integer => Datum::Integer(number),
        _ => Datum::Numeric(text),
    })
}

fn decimal(name: &str, input: &Value) -> Result<Datum, QueryError> {
    let text = number_text(input).filter(|text| is_decimal(text)).ok_or_else(|| bad_input(name, "a number"))?;
    Ok(Datum::Numeric(text))
}

/// A number as it was written. A JSON number beyond 64 bits has lost digits on its way here, unless it is a fraction.
fn number_text(input: &Value) -> Option<String> {
    let text = match input {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (text.len() <= MAX_DIGITS).then_some(text)
}

fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits with an optional sign, point and small exponent.
fn is_decimal(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix('+').unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let small = |exponent: &str| is_whole(exponent) && exponent.parse::<i32>().is_ok_and(|value| value.abs() <= 200);
    is_whole(whole) && is_whole(fraction) && !fraction.starts_with('-') && exponent.is_none_or(small)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Datum, SqlType, bytes, decimal, whole_number};

    #[test]
    fn numbers_are_taken_as_numbers_and_as_strings() {
        let read = |input| whole_number("x", SqlType::Integer, &input).expect("this is a whole number");
        assert_eq!(read(json!(5)), Datum::Integer(5));
        assert_eq!(read(json!("5")), Datum::Integer(5));
        assert_eq!(read(json!("-99999999999999999999")), Datum::Numeric("-99999999999999999999".into()));
        for input in [json!(80), json!(1.5), json!("1.5"), json!("-0.25"), json!("1e38")] {
            assert!(decimal("x", &input).is_ok(), "{input}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_by_name() {
        for input in [json!("1; DROP TABLE agent"), json!("NaN"), json!("0x10"), json!(""), json!("1e999"), json!([1])]
        {
            let error =
                whole_number("createdAt_gt", SqlType::Integer, &input).expect_err("no whole number").to_string();
            assert!(error.contains("`createdAt_gt`"), "{error}");
            assert!(decimal("value_gte", &input).is_err(), "{input}");
        }
        assert!(decimal("x", &json!("1".repeat(1000))).is_err());
    }

    #[test]
    fn hex_is_taken_in_any_case() {
        assert_eq!(bytes("x", &json!("0xABcd")).expect("this is hex"), vec![0xab, 0xcd]);
        assert_eq!(bytes("x", &json!("abCD")).expect("this is hex"), vec![0xab, 0xcd]);
        assert!(bytes("x", &json!("0xabc")).is_err());
    }
}
