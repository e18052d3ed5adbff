//! Queries that were read already: clients send few texts, each many times with other variables.
//!
//! A client may leave a text out and name it by its SHA-256, as Apollo's automatic persisted queries do: it sends the hash
//! alone, is told that it is not known, and sends both once. A text is kept under its own hash, so nobody can give another's
//! hash a meaning, and only once it was found to be answerable.

use std::sync::Arc;

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Request, Value};
use moka::future::Cache;
use sha2::{Digest, Sha256};

use super::document::{Bounds, check, lasts};
use super::error::Code;
use super::gate::Asked;
use crate::config::Api;

/// What a query that was read takes for each byte of its text, about.
const BYTES_PER_BYTE: usize = 16;
/// Room for queries that were read, in bytes.
const ROOM_BYTES: u64 = 8_000_000;
/// Room for texts that are asked for by their hash, in bytes.
const PERSISTED_BYTES: u64 = 8_000_000;

/// The words that Apollo's clients wait for before they send the text.
const NOT_PERSISTED: &str = "PersistedQueryNotFound";

/// A query that was read and found to be answerable.
struct Read {
    document: ExecutableDocument,
    lasts: bool,
}

/// The queries that were read, by their texts; those that are asked often stay.
#[derive(Clone)]
pub(super) struct Documents {
    bounds: Bounds,
    read: Cache<String, Arc<Read>>,
    persisted: Cache<[u8; 32], Arc<str>>,
}

impl Documents {
    pub(super) fn new(config: &Api) -> Self {
        let weigh = |text: &String, _: &Arc<Read>| u32::try_from(text.len() * BYTES_PER_BYTE).unwrap_or(u32::MAX);
        let weigh_text = |_: &[u8; 32], text: &Arc<str>| u32::try_from(32 + text.len()).unwrap_or(u32::MAX);
        Self {
            bounds: Bounds { max_tokens: config.max_tokens, max_aliases: config.max_aliases },
            read: Cache::builder().max_capacity(ROOM_BYTES).weigher(weigh).build(),
            persisted: Cache::builder().max_capacity(PERSISTED_BYTES).weigher(weigh_text).build(),
        }
    }

    /// Reads a request's query, once for each text, and tells whether its answer lasts and what it counts as. One that does
    /// not parse is told of by the schema, as every other mistake of a query.
    ///
    /// # Errors
    /// As [`check`], and of a hash that is no text's.
    pub(super) async fn read(&self, request: &mut Request) -> Result<(bool, Asked), (Code, String)> {
        let hash = self.find_text(request).await?;
        if let Some(read) = self.read.get(&request.query).await {
            request.set_parsed_query(read.document.clone());
            self.persist(hash, &request.query).await;
            return Ok((read.lasts, Asked::of(&read.document, request.operation_name.as_deref())));
        }
        self.bounds.measure(&request.query)?;
        let name = request.operation_name.clone();
        let Ok(document) = request.parsed_query() else { return Ok((false, Asked::default())) };
        check(document, self.bounds)?;
        let read = Arc::new(Read { document: document.clone(), lasts: lasts(document) });
        let (lasts, asked) = (read.lasts, Asked::of(document, name.as_deref()));
        self.read.insert(request.query.clone(), read).await;
        self.persist(hash, &request.query).await;
        Ok((lasts, asked))
    }

    /// Puts in the text that a request names by its hash, and tells the hash if one is given.
    async fn find_text(&self, request: &mut Request) -> Result<Option<[u8; 32]>, (Code, String)> {
        let Some(hash) = persisted_hash(request)? else { return Ok(None) };
        if request.query.is_empty() {
            let text = self.persisted.get(&hash).await.ok_or_else(|| (Code::NotFound, NOT_PERSISTED.to_owned()))?;
            request.query = text.as_ref().to_owned();
        } else if hash != <[u8; 32]>::from(Sha256::digest(&request.query)) {
            let message = "`extensions.persistedQuery.sha256Hash` is not the SHA-256 of `query`".to_owned();
            return Err((Code::BadInput, message));
        }
        Ok(Some(hash))
    }

    async fn persist(&self, hash: Option<[u8; 32]>, text: &str) {
        if let Some(hash) = hash
            && !self.persisted.contains_key(&hash)
        {
            self.persisted.insert(hash, text.into()).await;
        }
    }
}

/// The hash in `extensions.persistedQuery`, if it is there.
fn persisted_hash(request: &Request) -> Result<Option<[u8; 32]>, (Code, String)> {
    let wrong = || {
        let message =
            "`extensions.persistedQuery` must be `{version: 1, sha256Hash}` with 64 hexadecimal digits".to_owned();
        (Code::BadInput, message)
    };
    let Some(named) = request.extensions.get("persistedQuery") else { return Ok(None) };
    let Value::Object(members) = named else { return Err(wrong()) };
    let is_first = matches!(members.get("version"), Some(Value::Number(version)) if version.as_u64() == Some(1));
    let Some(Value::String(digits)) = members.get("sha256Hash").filter(|_| is_first) else { return Err(wrong()) };
    let mut hash = [0; 32];
    alloy::hex::decode_to_slice(digits, &mut hash).map_err(|_| wrong())?;
    Ok(Some(hash))
}
