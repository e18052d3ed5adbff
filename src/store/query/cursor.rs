//! Cursors: the place of a row in an ordered list, as an opaque text.
//!
//! A cursor holds the values that the row is sorted by, not its offset, so that it stays where it is when rows come or
//! go (F67). Where rows can move in the order, it also holds the newest block it was made at: once that block is
//! replaced, the pages before it may have shown what is no longer so, and the cursor is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::entity::Entity;
use super::error::QueryError;
use super::order::Order;
use super::snapshot::Snapshot;
use super::sql::{Datum, SqlType};

/// A cursor's version: cursors of another one are refused.
const VERSION: u64 = 1;

/// Longest cursor, in characters: twice what the longest one of this node needs.
const MAX_LENGTH: usize = 8_192;

/// The newest block of the row's network when the cursor was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MadeAt {
    pub(super) chain_id: i64,
    pub(super) number: i64,
    pub(super) hash: Vec<u8>,
}

/// Writes a cursor.
pub(super) fn write(entity: &Entity, order: Order, values: &[&Datum], made_at: Option<&MadeAt>) -> String {
    let values: Vec<Value> = values.iter().map(|value| to_json(value)).collect();
    let made_at = made_at.map(|block| json!([block.chain_id, block.number, alloy::hex::encode(&block.hash)]));
    let cursor = json!([VERSION, entity.name, order.name(), order.descending, values, made_at]);
    URL_SAFE_NO_PAD.encode(cursor.to_string())
}

/// Reads a cursor of the same list.
///
/// # Errors
/// [`QueryError::BadInput`] for a text that is no cursor, or one of another list.
pub(super) fn read(
    text: &str,
    entity: &Entity,
    order: Order,
    types: &[SqlType],
) -> Result<(Vec<Datum>, Option<MadeAt>), QueryError> {
    parse(text, entity, order, types).ok_or_else(|| {
        QueryError::BadInput(
            "`after` must be the `cursor` of a row of the same list, with the same `orderBy` and `orderDirection`"
                .to_owned(),
        )
    })
}

fn parse(text: &str, entity: &Entity, order: Order, types: &[SqlType]) -> Option<(Vec<Datum>, Option<MadeAt>)> {
    if text.len() > MAX_LENGTH {
        return None;
    }
    let cursor: Vec<Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let [version, name, order_name, descending, values, made_at] = cursor.as_slice() else { return None };
    let same = version == &json!(VERSION)
        && name == entity.name
        && order_name.as_str() == Some(&order.name())
        && descending == &json!(order.descending);
    let values = values.as_array().filter(|values| same && values.len() == types.len())?;
    let values = values.iter().zip(types).map(|(value, ty)| from_json(value, *ty)).collect::<Option<Vec<_>>>()?;
    // Only the field's own value may be null; the key's never are.
    let key_from = types.len() - entity.key.len();
    if values[key_from..].contains(&Datum::Null) {
        return None;
    }
    let made_at = match made_at {
        Value::Null => None,
        block => {
            let (chain_id, number, hash): (i64, i64, String) = serde_json::from_value(block.clone()).ok()?;
            Some(MadeAt { chain_id, number, hash: alloy::hex::decode(hash).ok()? })
        }
    };
    Some((values, made_at))
}

fn to_json(value: &Datum) -> Value {
    match value {
        Datum::Integer(number) => json!(number),
        Datum::Numeric(text) | Datum::Text(text) => json!(text),
        Datum::Bytes(bytes) => json!(alloy::hex::encode(bytes)),
        Datum::Boolean(value) => json!(value),
        Datum::Null | Datum::Texts(_) | Datum::BytesList(_) => Value::Null,
    }
}

fn from_json(value: &Value, ty: SqlType) -> Option<Datum> {
    Some(match (ty, value) {
        (_, Value::Null) => Datum::Null,
        (SqlType::Integer, value) => Datum::Integer(value.as_i64()?),
        (SqlType::Numeric, Value::String(text)) if is_number(text) => Datum::Numeric(text.clone()),
        (SqlType::Text, Value::String(text)) if !text.contains('\0') => Datum::Text(text.clone()),
        (SqlType::Bytes, Value::String(text)) => Datum::Bytes(alloy::hex::decode(text).ok()?),
        (SqlType::Boolean, Value::Bool(value)) => Datum::Boolean(*value),
        _ => return None,
    })
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).replacen('.', "", 1);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

impl Snapshot {
    /// Makes sure that the history a cursor was made in is still the one that is held.
    ///
    /// # Errors
    /// [`QueryError::CursorExpired`] when the cursor's block was replaced.
    pub(super) async fn check_cursor(&self, made_at: &MadeAt) -> Result<(), QueryError> {
        let held = self.block(made_at.chain_id, made_at.number).await?;
        let finalized = self.network(made_at.chain_id).and_then(|network| network.finalized_number);
        let same = match &held.hash {
            Some(hash) => *hash == made_at.hash,
            // Headers without events are let go below finality, where nothing is replaced.
            None => finalized.is_some_and(|finalized| made_at.number <= finalized),
        };
        if same {
            return Ok(());
        }
        Err(QueryError::CursorExpired(
            "`after`: the chain was reorganised below this cursor, and rows may have moved; start again without it"
                .to_owned(),
        ))
    }
}
