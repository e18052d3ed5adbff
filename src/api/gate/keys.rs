//! The API keys that callers show, looked up once and remembered for a while.
//!
//! What must always hold: a key is believed because the database said so, at most `limits.key_cache_seconds` ago. While the
//! database does not answer, nobody is taken at their word.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, header::AUTHORIZATION};
use moka::future::Cache;
use tokio::time::timeout;

use crate::key::Token;
use crate::store::{ApiKey, Store};

/// Most keys that are remembered, those that are none included.
const MOST_KEYS: u64 = 10_000;

/// Longest time that a look-up may take.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// What a caller shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing.
    Nothing,
    /// Something that cannot be a key.
    Malformed,
    /// What may be one.
    Token(Token),
}

impl Shown {
    /// In a request's headers.
    pub(super) fn in_headers(headers: &HeaderMap) -> Self {
        match headers.get(AUTHORIZATION).map(|value| value.to_str()) {
            None => Self::Nothing,
            Some(Ok(text)) => Self::in_text(text),
            Some(Err(_)) => Self::Malformed,
        }
    }

    /// In the value of such a header.
    pub(super) fn in_text(text: &str) -> Self {
        let (scheme, rest) = text.trim().split_once(' ').unwrap_or_default();
        let token = scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(rest.trim())).flatten();
        token.map_or(Self::Malformed, Self::Token)
    }
}

/// The database did not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untold;

/// The keys that are remembered, by id and hash; nothing for what is none.
pub(super) struct Keys {
    store: Arc<Store>,
    known: Cache<(String, [u8; 32]), Option<Arc<ApiKey>>>,
}

impl Keys {
    pub(super) fn new(store: Arc<Store>, remembered_for: Duration) -> Self {
        let known = Cache::builder().max_capacity(MOST_KEYS).time_to_live(remembered_for);
        Self { store, known: known.build() }
    }

    /// What is remembered of a key; nothing when it must be looked up.
    pub(super) async fn remembered(&self, token: &Token) -> Option<Option<Arc<ApiKey>>> {
        self.known.get(&name(token)).await
    }

    /// Looks a key up; those that show it at the same time share one look-up.
    pub(super) async fn look_up(&self, token: &Token) -> Result<Option<Arc<ApiKey>>, Untold> {
        self.known.try_get_with(name(token), self.ask(token)).await.map_err(|untold| *untold)
    }

    async fn ask(&self, token: &Token) -> Result<Option<Arc<ApiKey>>, Untold> {
        match timeout(LOOK_UP_TIMEOUT, self.store.find_key(token)).await {
            Ok(Ok(found)) => Ok(found.map(Arc::new)),
            Ok(Err(reason)) => {
                tracing::warn!(%reason, "an API key could not be looked up");
                Err(Untold)
            }
            Err(_) => {
                tracing::warn!("an API key could not be looked up in time");
                Err(Untold)
            }
        }
    }
}

fn name(token: &Token) -> (String, [u8; 32]) {
    (token.id().to_owned(), token.secret_sha256())
}

#[cfg(test)]
mod tests {
    use super::Shown;
    use crate::key::Token;

    #[test]
    fn a_key_comes_as_a_bearers() {
        let token = Token::draw().expect("the system has random numbers");
        let text = token.reveal();
        for value in [format!("Bearer {text}"), format!("bearer  {text} ")] {
            assert_eq!(Shown::in_text(&value), Shown::Token(token.clone()), "{value}");
        }
        for value in ["", "Bearer", "Bearer x", &text, &format!("Basic {text}"), &format!("Bearer {text} x")] {
            assert_eq!(Shown::in_text(value), Shown::Malformed, "{value}");
        }
    }
}
