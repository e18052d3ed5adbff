//! Queries that were read already: clients send few texts, each many times with other variables.

use std::sync::Arc;

use async_graphql::Request;
use async_graphql::parser::types::ExecutableDocument;
use moka::future::Cache;

use super::document::{check, lasts};
use super::error::Code;

/// What a query that was read takes for each byte of its text, about.
const BYTES_PER_BYTE: usize = 16;
/// Room for queries that were read, in bytes.
const ROOM_BYTES: u64 = 8_000_000;

/// A query that was read and found to be answerable.
struct Read {
    document: ExecutableDocument,
    lasts: bool,
}

/// The queries that were read, by their texts; those that are asked often stay.
#[derive(Clone)]
pub(super) struct Documents(Cache<String, Arc<Read>>);

impl Documents {
    pub(super) fn new() -> Self {
        let weigh = |text: &String, _: &Arc<Read>| u32::try_from(text.len() * BYTES_PER_BYTE).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(ROOM_BYTES).weigher(weigh).build())
    }

    /// Reads a request's query, once for each text, and tells whether its answer lasts. One that does not parse is told of by
    /// the schema, as every other mistake of a query.
    ///
    /// # Errors
    /// As [`check`].
    pub(super) async fn read(&self, request: &mut Request) -> Result<bool, (Code, String)> {
        if let Some(read) = self.0.get(&request.query).await {
            request.set_parsed_query(read.document.clone());
            return Ok(read.lasts);
        }
        let Ok(document) = request.parsed_query() else { return Ok(false) };
        check(document)?;
        let read = Arc::new(Read { document: document.clone(), lasts: lasts(document) });
        let lasts = read.lasts;
        self.0.insert(request.query.clone(), read).await;
        Ok(lasts)
    }
}
