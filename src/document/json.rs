//! JSON, read so that no two readers could understand it differently, and written in its canonical form (RFC 8785).

use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{MAX_BYTES, Unreadable};

/// How deep objects and lists may stand in each other.
const MAX_DEPTH: usize = 32;

/// The largest whole number that every reader of JSON keeps as it is: 2^53.
pub(super) const MAX_EXACT: u64 = 1 << 53;

/// Reads a text that is one JSON object. Names that are said twice are refused, and whole numbers beyond 2^53: readers
/// disagree about what they mean. So is NUL, which no text column of a database takes.
pub(super) fn strict(text: &str) -> Result<Value, Unreadable> {
    if text.len() > MAX_BYTES {
        return Err(Unreadable(format!("the document is larger than {MAX_BYTES} bytes")));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err(Unreadable("the document must be a JSON object".to_owned())),
        Err(error) => Err(Unreadable(format!("the document is not JSON that can be taken: {error}"))),
    }
}

/// Writes a value in its canonical form.
///
/// # Errors
/// [`Unreadable`] where it has a form that JSON lacks.
pub fn canonical(value: &impl Serialize) -> Result<String, Unreadable> {
    serde_json_canonicalizer::to_string(value).map_err(|error| Unreadable(format!("the document has no JSON: {error}")))
}

/// A value within so many others.
struct Strict {
    depth: usize,
}

impl Strict {
    fn inner<E: Error>(&self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn text<E: Error>(text: &str) -> Result<String, E> {
    if text.contains('\0') { Err(E::custom("a text has NUL in it")) } else { Ok(text.to_owned()) }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        exact(value.unsigned_abs()).map(|_| Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        exact(value).map(|_| Value::Number(value.into()))
    }

    /// serde_json reads whole numbers beyond 64 bits as fractions.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "a power of two is kept as it is")]
        let limit = MAX_EXACT as f64;
        if value.fract() == 0.0 && value.abs() > limit {
            return Err(too_large());
        }
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        text(value).map(Value::String)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(self.inner()?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let name: String = text(&name)?;
            let value = object.next_value_seed(self.inner()?)?;
            if members.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!("`{name}` is said twice")));
            }
        }
        Ok(Value::Object(members))
    }
}

fn exact<E: Error>(magnitude: u64) -> Result<u64, E> {
    if magnitude > MAX_EXACT { Err(too_large()) } else { Ok(magnitude) }
}

fn too_large<E: Error>() -> E {
    E::custom("a whole number beyond 2^53 must be a string of digits")
}

#[cfg(test)]
mod tests {
    use super::{canonical, strict};

    #[test]
    fn what_readers_understand_differently_is_refused() {
        for (text, said) in [
            (r#"{"a":1,"a":1}"#, "`a` is said twice"),
            (r#"{"a":{"b":1,"b":2}}"#, "`b` is said twice"),
            (r#"{"a":9007199254740993}"#, "beyond 2^53"),
            (r#"{"a":-9007199254740993}"#, "beyond 2^53"),
            (r#"{"a":123456789012345678901234567890}"#, "beyond 2^53"),
            (r#"{"a":1e30}"#, "beyond 2^53"),
            (r#"{"a":1e999}"#, "number out of range"),
            (r#"{"a":NaN}"#, "not JSON"),
            ("{\"a\":\"\\u0000\"}", "NUL"),
            ("{\"\\u0000\":1}", "NUL"),
            (r#"{"a":1}{"#, "trailing"),
            (r#"{"a":1,}"#, "trailing comma"),
            (r#"{"a":"\ud800"}"#, "not JSON"),
            ("[]", "must be a JSON object"),
            ("", "not JSON"),
            (r#""text""#, "must be a JSON object"),
        ] {
            let refusal = strict(text).expect_err(text).to_string();
            assert!(refusal.contains(said), "{text}: {refusal}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(32), "]".repeat(32));
        assert!(strict(&deep).expect_err("it is deep").to_string().contains("nested deeper"));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(100_000));
        assert!(strict(&large).expect_err("it is large").to_string().contains("larger than"));
        assert!(strict(r#"{"a":9007199254740992,"b":[{}],"c":0.5,"d":null}"#).is_ok());
    }

    /// The example of RFC 8785, section 3.2.2 and 3.2.3.
    #[test]
    fn the_canonical_form_is_that_of_rfc_8785() {
        let value: serde_json::Value = serde_json::from_str(
            "{\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\
             \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\
             \"literals\": [null, true, false]}",
        )
        .expect("it is JSON");
        assert_eq!(
            canonical(&value).expect("it has a form"),
            "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
             \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
        );
        // Names are sorted by their UTF-16 code units: U+1F600 (a pair that begins with D83D) before U+FB33.
        let value: serde_json::Value =
            serde_json::from_str("{\"\\ufb33\":1,\"\\ud83d\\ude00\":2,\"1\":3}").expect("JSON");
        assert_eq!(canonical(&value).expect("it has a form"), "{\"1\":3,\"😀\":2,\"\u{fb33}\":1}");
    }
}
