//! The moment at which a step ends for good: a count of everything that a step waits for.
//!
//! Each answer of an endpoint and each round trip to the database is one await point. A crash is set to one of them; who
//! comes there asks [`Crash::passes`], and the step's future is dropped while it waits for an answer that does not come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// A count of await points, and one of them at which it ends. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Crash(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Await points so far, since it was armed.
    passed: AtomicU64,
    /// The one at which it ends; 0 is never.
    at: AtomicU64,
    now: Notify,
}

impl Crash {
    /// Counts from 0 again, to end at that await point; 0 is never.
    pub(super) fn arm(&self, at: u64) {
        self.0.passed.store(0, Ordering::Relaxed);
        self.0.at.store(at, Ordering::Relaxed);
    }

    /// How many await points were passed since it was armed.
    pub(super) fn passed(&self) -> u64 {
        self.0.passed.load(Ordering::Relaxed)
    }

    /// Passes an await point; whether it all ends here.
    pub(super) fn passes(&self) -> bool {
        let passed = self.0.passed.fetch_add(1, Ordering::Relaxed) + 1;
        let ends = passed == self.0.at.load(Ordering::Relaxed);
        if ends {
            self.0.now.notify_one();
        }
        ends
    }

    /// Resolves when it is time to end.
    pub(super) async fn comes(&self) {
        self.0.now.notified().await;
    }
}
