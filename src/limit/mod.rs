//! Who may do how much: sliding windows in this process or, where nodes share them, in Redis.
//!
//! What must always hold: whatever becomes of the shared server, a request is judged; it is then counted by this process
//! alone, and that is counted too ([`metrics::RATE_LIMIT_FALLBACKS`]).

mod local;
mod shared;
mod window;

use std::time::Duration;

use tokio::time::Instant;

use self::local::Local;
use self::shared::Shared;
pub use self::window::{Rule, Verdict};
use crate::config::{Limits, redact};
use crate::metrics;

/// What a limit is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests from an IP address.
    Ip,
    /// Requests with an API key.
    Key,
    /// Documents of a signer.
    Signer,
    /// An operation of any of them.
    Operation,
}

impl Kind {
    /// Its spelling in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Key => "key",
            Self::Signer => "signer",
            Self::Operation => "operation",
        }
    }
}

/// The server of shared limits cannot be used.
#[derive(Debug)]
pub struct LimitError {
    /// Its URL, redacted.
    pub url: String,
    /// Why not.
    pub reason: String,
}

impl std::fmt::Display for LimitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, reason } = self;
        write!(f, "the server of shared limits {url} cannot be used: {reason}; look at limits.redis_url")
    }
}

impl std::error::Error for LimitError {}

/// The windows of all subjects.
pub struct Limiter {
    local: Local,
    shared: Option<Shared>,
    started: Instant,
}

impl Limiter {
    /// Windows in this process, and in a shared server if one is configured. It is connected to when it is needed.
    ///
    /// # Errors
    /// [`LimitError`] when the server's URL is not one.
    pub fn new(config: &Limits) -> Result<Self, LimitError> {
        let shared = (!config.redis_url.is_empty()).then(|| connect(config)).transpose()?;
        Ok(Self { shared, ..Self::alone() })
    }

    /// Windows in this process alone.
    #[must_use]
    pub fn alone() -> Self {
        Self { local: Local::new(), shared: None, started: Instant::now() }
    }

    /// Takes so many of what a subject may do, if the rule grants it; nothing is told where there is no limit.
    pub async fn take(&self, kind: Kind, subject: &str, rule: Rule, count: u32) -> Option<Verdict> {
        if rule.most == 0 || count == 0 {
            return None;
        }
        let verdict = match self.take_shared(subject, rule, count).await {
            Some(verdict) => verdict,
            None => {
                let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.local.take(subject, rule, count, now_ms).await
            }
        };
        if verdict.retry_after_seconds.is_some() {
            ::metrics::counter!(metrics::RATE_LIMIT_HITS, "kind" => kind.name()).increment(1);
        }
        Some(verdict)
    }

    async fn take_shared(&self, subject: &str, rule: Rule, count: u32) -> Option<Verdict> {
        let verdict = self.shared.as_ref()?.take(subject, rule, count).await;
        if verdict.is_err() {
            ::metrics::counter!(metrics::RATE_LIMIT_FALLBACKS).increment(1);
        }
        verdict.ok()
    }
}

/// Asks the configured server of shared limits whether it is there; tells what it is.
///
/// # Errors
/// [`LimitError`] when it is not.
pub async fn probe(config: &Limits) -> Result<String, LimitError> {
    let patient = Limits { redis_timeout_ms: config.redis_timeout_ms.max(PROBE_MS), ..config.clone() };
    connect(&patient)?.version().await.map_err(|reason| LimitError { url: redact(&config.redis_url), reason })
}

/// Longest time that an operator's question may take, at least.
const PROBE_MS: u64 = 5_000;

fn connect(config: &Limits) -> Result<Shared, LimitError> {
    Shared::new(&config.redis_url, Duration::from_millis(config.redis_timeout_ms))
        .map_err(|reason| LimitError { url: redact(&config.redis_url), reason: reason.to_string() })
}
