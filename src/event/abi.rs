//! The ABI of event logs: reading parameters out of topics and data, and writing them back.
//!
//! The reader borrows from the log and checks every word: a value with dirty padding, an offset or a length beyond the
//! data, a missing or a surplus topic make the log malformed instead of half understood. It never allocates more than
//! the data it was given. Strings come back as the bytes they are ([`Text`]), because Solidity puts no bound on them.
//! Source: Solidity ABI specification, "Events" and "Formal Specification of the Encoding".

use alloy::primitives::{Address, B256, Bytes, I256, U256};
use serde_json::Value;

use super::text::Text;

/// Bytes of one ABI word.
const WORD: usize = 32;

/// Why a log whose topic is known cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Malformed {
    /// The event has another number of indexed parameters.
    Topics {
        /// Topics the event needs, topic0 included.
        expected: usize,
        /// Topics the log has.
        found: usize,
    },
    /// A word, an offset or a length points beyond the data.
    OutOfBounds,
    /// A value does not fit its type (padding that is not clean).
    Dirty,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Topics { expected, found } => write!(f, "{found} topics where the event has {expected}"),
            Self::OutOfBounds => f.write_str("an offset or a length points beyond the data"),
            Self::Dirty => f.write_str("a value does not fit its type"),
        }
    }
}

impl std::error::Error for Malformed {}

/// A place in ABI-encoded data from which parameters are read one after the other.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    /// The tuple that the offsets in it are relative to.
    tuple: &'a [u8],
    next: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the start of `tuple`, the encoding of a list of parameters.
    #[must_use]
    pub fn new(tuple: &'a [u8]) -> Self {
        Self { tuple, next: 0 }
    }

    /// The next 32 bytes.
    fn word(&mut self) -> Result<[u8; WORD], Malformed> {
        let end = self.next.checked_add(WORD).ok_or(Malformed::OutOfBounds)?;
        let word = self.tuple.get(self.next..end).ok_or(Malformed::OutOfBounds)?;
        self.next = end;
        Ok(word.try_into().expect("the slice is one word long"))
    }

    /// The next word as an offset or a length: anything beyond the data cannot be one.
    fn size(&mut self) -> Result<usize, Malformed> {
        let size = U256::from_be_bytes(self.word()?);
        let size = usize::try_from(size).map_err(|_| Malformed::OutOfBounds)?;
        if size > self.tuple.len() { Err(Malformed::OutOfBounds) } else { Ok(size) }
    }

    /// Follows the next word's offset to where a dynamic value begins.
    fn tail(&mut self) -> Result<Self, Malformed> {
        let offset = self.size()?;
        Ok(Self::new(&self.tuple[offset..]))
    }
}

/// ABI-encoded data in the making: the heads of a list of parameters, then the tails that they point to.
#[derive(Debug, Default)]
pub struct Writer {
    heads: Vec<Head>,
}

#[derive(Debug)]
enum Head {
    Word([u8; WORD]),
    Tail(Vec<u8>),
}

impl Writer {
    fn word(&mut self, word: [u8; WORD]) {
        self.heads.push(Head::Word(word));
    }

    fn tail(&mut self, tail: Vec<u8>) {
        self.heads.push(Head::Tail(tail));
    }

    /// The encoding of all parameters written so far.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let mut encoded = Vec::new();
        let mut offset = self.heads.len() * WORD;
        for head in &self.heads {
            match head {
                Head::Word(word) => encoded.extend_from_slice(word),
                Head::Tail(tail) => {
                    encoded.extend_from_slice(&size_word(offset));
                    offset += tail.len();
                }
            }
        }
        for head in self.heads {
            if let Head::Tail(tail) = head {
                encoded.extend_from_slice(&tail);
            }
        }
        encoded
    }
}

fn size_word(size: usize) -> [u8; WORD] {
    U256::from(size).to_be_bytes()
}

/// A type that an event parameter can have.
pub trait Param: Sized {
    /// The type's canonical name in a signature.
    const ABI: &'static str;

    /// Reads the parameter at the reader's place.
    ///
    /// # Errors
    /// [`Malformed`] when the bytes are not an encoding of this type.
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed>;

    /// Appends the parameter.
    fn write(&self, writer: &mut Writer);

    /// The value as JSON: numbers beyond 32 bits as decimal strings, bytes as 0x-hex, text readable.
    fn json(&self) -> Value;
}

/// Reads an indexed parameter of a value type out of its topic.
pub(super) fn from_topic<T: Param>(topic: &B256) -> Result<T, Malformed> {
    T::read(&mut Reader::new(topic.as_slice()))
}

/// Writes an indexed parameter of a value type as its topic.
pub(super) fn to_topic<T: Param>(value: &T) -> B256 {
    let mut writer = Writer::default();
    value.write(&mut writer);
    B256::from_slice(&writer.finish()[..WORD])
}

impl Param for U256 {
    const ABI: &'static str = "uint256";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self::from_be_bytes(reader.word()?))
    }

    fn write(&self, writer: &mut Writer) {
        writer.word(self.to_be_bytes());
    }

    fn json(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl Param for u64 {
    const ABI: &'static str = "uint64";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::try_from(U256::read(reader)?).map_err(|_| Malformed::Dirty)
    }

    fn write(&self, writer: &mut Writer) {
        U256::from(*self).write(writer);
    }

    fn json(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl Param for u8 {
    const ABI: &'static str = "uint8";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Self::try_from(U256::read(reader)?).map_err(|_| Malformed::Dirty)
    }

    fn write(&self, writer: &mut Writer) {
        U256::from(*self).write(writer);
    }

    fn json(&self) -> Value {
        Value::from(*self)
    }
}

impl Param for i128 {
    const ABI: &'static str = "int128";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let word = reader.word()?;
        let value = Self::from_be_bytes(word[16..].try_into().expect("half a word is 16 bytes"));
        let sign = if value < 0 { 0xff } else { 0 };
        if word[..16].iter().all(|byte| *byte == sign) { Ok(value) } else { Err(Malformed::Dirty) }
    }

    fn write(&self, writer: &mut Writer) {
        let mut word = [if *self < 0 { 0xff } else { 0 }; WORD];
        word[16..].copy_from_slice(&self.to_be_bytes());
        writer.word(word);
    }

    fn json(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl Param for I256 {
    const ABI: &'static str = "int256";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self::from_raw(U256::read(reader)?))
    }

    fn write(&self, writer: &mut Writer) {
        self.into_raw().write(writer);
    }

    fn json(&self) -> Value {
        Value::String(self.to_string())
    }
}

impl Param for bool {
    const ABI: &'static str = "bool";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match u8::read(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Dirty),
        }
    }

    fn write(&self, writer: &mut Writer) {
        u8::from(*self).write(writer);
    }

    fn json(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Param for Address {
    const ABI: &'static str = "address";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let word = reader.word()?;
        if word[..12].iter().any(|byte| *byte != 0) {
            return Err(Malformed::Dirty);
        }
        Ok(Self::from_slice(&word[12..]))
    }

    fn write(&self, writer: &mut Writer) {
        writer.word(self.into_word().0);
    }

    fn json(&self) -> Value {
        // Lower case, as The Graph writes bytes; the checksummed form is for people.
        Value::String(alloy::hex::encode_prefixed(self))
    }
}

impl Param for B256 {
    const ABI: &'static str = "bytes32";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self(reader.word()?))
    }

    fn write(&self, writer: &mut Writer) {
        writer.word(self.0);
    }

    fn json(&self) -> Value {
        Value::String(alloy::hex::encode_prefixed(self))
    }
}

impl Param for Bytes {
    const ABI: &'static str = "bytes";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut tail = reader.tail()?;
        let length = tail.size()?;
        let end = tail.next.checked_add(length).ok_or(Malformed::OutOfBounds)?;
        let bytes = tail.tuple.get(tail.next..end).ok_or(Malformed::OutOfBounds)?;
        Ok(Self::copy_from_slice(bytes))
    }

    fn write(&self, writer: &mut Writer) {
        let mut tail = size_word(self.len()).to_vec();
        tail.extend_from_slice(self);
        tail.resize(tail.len().next_multiple_of(WORD), 0);
        writer.tail(tail);
    }

    fn json(&self) -> Value {
        Value::String(alloy::hex::encode_prefixed(self))
    }
}

impl Param for Text {
    const ABI: &'static str = "string";

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self(Bytes::read(reader)?))
    }

    fn write(&self, writer: &mut Writer) {
        self.0.write(writer);
    }

    fn json(&self) -> Value {
        Value::String(self.readable().into_owned())
    }
}

/// An array of value types (one word each).
impl<T: Word> Param for Vec<T> {
    const ABI: &'static str = T::ARRAY_ABI;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut tail = reader.tail()?;
        let length = tail.size()?;
        // The length is checked against the data before anything is reserved for it.
        if length > tail.tuple.len() / WORD {
            return Err(Malformed::OutOfBounds);
        }
        (0..length).map(|_| T::read(&mut tail)).collect()
    }

    fn write(&self, writer: &mut Writer) {
        let mut words = Writer::default();
        for value in self {
            value.write(&mut words);
        }
        let mut tail = size_word(self.len()).to_vec();
        tail.extend(words.finish());
        writer.tail(tail);
    }

    fn json(&self) -> Value {
        Value::Array(self.iter().map(Param::json).collect())
    }
}

/// A type whose encoding is one word, so that an array of it is a length and words.
pub trait Word: Param {
    /// The canonical name of an array of this type.
    const ARRAY_ABI: &'static str;
}

impl Word for U256 {
    const ARRAY_ABI: &'static str = "uint256[]";
}

impl Word for Address {
    const ARRAY_ABI: &'static str = "address[]";
}

/// A dynamic tuple: its members are encoded in a tail of their own.
macro_rules! tuple_param {
    ($name:ident = $abi:literal { $($field:ident),+ $(,)? }) => {
        impl $crate::event::abi::Param for $name {
            const ABI: &'static str = $abi;

            fn read(reader: &mut $crate::event::abi::Reader<'_>) -> Result<Self, $crate::event::abi::Malformed> {
                let mut members = reader.tail_of_tuple()?;
                Ok(Self { $($field: $crate::event::abi::Param::read(&mut members)?),+ })
            }

            fn write(&self, writer: &mut $crate::event::abi::Writer) {
                let mut members = $crate::event::abi::Writer::default();
                $(self.$field.write(&mut members);)+
                writer.tuple(members);
            }

            fn json(&self) -> serde_json::Value {
                let mut object = serde_json::Map::new();
                $(object.insert(
                    $crate::event::camel_case(stringify!($field)),
                    $crate::event::abi::Param::json(&self.$field),
                );)+
                serde_json::Value::Object(object)
            }
        }
    };
}
pub(super) use tuple_param;

impl Reader<'_> {
    /// Enters the dynamic tuple that the next word points to.
    pub(super) fn tail_of_tuple(&mut self) -> Result<Self, Malformed> {
        self.tail()
    }
}

impl Writer {
    /// Appends a dynamic tuple.
    pub(super) fn tuple(&mut self, members: Self) {
        self.tail(members.finish());
    }
}
