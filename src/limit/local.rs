//! Windows in the memory of this process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::window::{Rule, Verdict, Window};

/// Most subjects that are counted at a time; beyond that, who was quiet for longest is forgotten. Each takes up to a
/// kilobyte.
const MAX_SUBJECTS: u64 = 100_000;

/// A subject that is quiet for so long has nothing in any window any more: the longest one, and a slot.
const FORGET_AFTER: Duration = Duration::from_secs(62 * 60);

/// The windows, by subject.
pub(super) struct Local(Cache<String, Arc<Mutex<Window>>>);

impl Local {
    pub(super) fn new() -> Self {
        let windows = Cache::builder()
            .max_capacity(MAX_SUBJECTS)
            .time_to_idle(FORGET_AFTER)
            // Whoever comes is counted, also while many new ones come.
            .eviction_policy(EvictionPolicy::lru());
        Self(windows.build())
    }

    /// Takes so many of a subject's limit.
    pub(super) async fn take(&self, subject: &str, rule: Rule, count: u32, now_ms: u64) -> Verdict {
        let window = match self.0.get(subject).await {
            Some(window) => window,
            None => self.0.get_with(subject.to_owned(), async { Arc::default() }).await,
        };
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        window.take(rule, count, now_ms)
    }
}
