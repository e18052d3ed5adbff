//! Arguments of roots and relations, read into what the store takes.

use async_graphql::Value;
use async_graphql::dynamic::ObjectAccessor;
use serde_json::{Map, Value as Json};

use super::error::{Code, error};
use super::session::Session;
use crate::block::Finality;
use crate::store::query::{BlockPin, Interval, Page, When};

/// Rows of a page that does not say how many.
pub(super) const DEFAULT_FIRST: i64 = 100;

/// Arguments by name; those that were not given, or are null, are missing.
pub(super) struct Arguments(Map<String, Json>);

impl Arguments {
    pub(super) fn of(accessor: &ObjectAccessor<'_>) -> Self {
        Self::from_pairs(accessor.as_index_map().iter().map(|(name, value)| (name.to_string(), value.clone())))
    }

    pub(super) fn from_pairs(pairs: impl Iterator<Item = (String, Value)>) -> Self {
        // A GraphQL value is always JSON, except for uploads, which this schema does not have.
        let pairs = pairs.map(|(name, value)| (name, value.into_json().unwrap_or(Json::Null)));
        Self(pairs.filter(|(_, value)| !value.is_null()).collect())
    }

    /// A text, or a number as text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Json::String(text) => Some(text.clone()),
            Json::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A list of texts; one text is a list of one.
    pub(super) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let as_text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        match self.0.get(name)? {
            Json::Array(items) => Some(items.iter().map(as_text).collect()),
            one => Some(vec![as_text(one)]),
        }
    }

    /// A whole number.
    pub(super) fn whole(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    fn integer(&self, name: &str, default: i64) -> i64 {
        // The schema's Int has made sure of a number; one beyond 64 bits is out of every range anyhow.
        self.0.get(name).map_or(default, |value| value.as_i64().unwrap_or(i64::MAX))
    }

    /// Which part of a list.
    pub(super) fn page(&self) -> Page {
        let interval = match self.text("interval").as_deref() {
            Some("day") => Some(Interval::Day),
            Some(_) => Some(Interval::Hour),
            None => None,
        };
        // Aggregations begin with the newest interval, as on The Graph's node.
        let default = if interval.is_some() { "desc" } else { "asc" };
        Page {
            filter: self.0.get("where").cloned().unwrap_or(Json::Null),
            first: self.integer("first", DEFAULT_FIRST),
            skip: self.integer("skip", 0),
            order_by: self.text("orderBy"),
            descending: self.text("orderDirection").as_deref().unwrap_or(default) == "desc",
            after: self.text("after"),
            interval,
            with_current: self.text("current").as_deref() == Some("include"),
        }
    }

    /// Of which network, as of which block.
    ///
    /// # Errors
    /// BAD_INPUT for a network other than the address' own, or a block that is named in two ways.
    pub(super) fn when(&self, session: &Session) -> Result<When, async_graphql::Error> {
        let chain_id = self.chain(session.chain_id)?;
        Ok(When { chain_id, block: self.block()?, min_finality: self.min_finality() })
    }

    /// Of which network, given the one of the address that was asked.
    ///
    /// # Errors
    /// BAD_INPUT for another one than that.
    pub(super) fn chain(&self, own: Option<i64>) -> Result<Option<i64>, async_graphql::Error> {
        let asked = self.0.get("chainId").map(|_| self.integer("chainId", 0));
        if let (Some(asked), Some(own)) = (asked, own)
            && asked != own
        {
            return Err(error(
                Code::BadInput,
                format!("`chainId`: this address answers for chain {own} alone; ask /graphql for others"),
            ));
        }
        Ok(asked.or(own))
    }

    fn block(&self) -> Result<BlockPin, async_graphql::Error> {
        let given: Vec<(&String, &Json)> = match self.0.get("block") {
            Some(Json::Object(members)) => members.iter().filter(|(_, value)| !value.is_null()).collect(),
            _ => Vec::new(),
        };
        let number = |value: &Json| {
            value.as_i64().ok_or_else(|| error(Code::BadInput, "`block` must name a block number of at most 63 bits"))
        };
        match given.as_slice() {
            [] => Ok(BlockPin::Newest),
            [(name, value)] if *name == "number" => Ok(BlockPin::Number(number(value)?)),
            [(name, value)] if *name == "number_gte" => Ok(BlockPin::AtLeast(number(value)?)),
            [(_, value)] => {
                let hex = value.as_str().unwrap_or_default();
                match alloy::hex::decode(hex) {
                    Ok(hash) if hash.len() == 32 => Ok(BlockPin::Hash(hash)),
                    _ => Err(error(Code::BadInput, "`block.hash` must be 32 bytes in hex, such as \"0x12ab…\"")),
                }
            }
            _ => Err(error(Code::BadInput, "`block` must name one of `number`, `hash` and `number_gte`, not several")),
        }
    }

    fn min_finality(&self) -> Option<Finality> {
        Some(match self.text("minFinality")?.as_str() {
            "FINALIZED" => Finality::Finalized,
            "SAFE" => Finality::Safe,
            "PRECONFIRMED" => Finality::Preconfirmed,
            _ => Finality::Unsafe,
        })
    }
}
