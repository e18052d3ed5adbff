//! How many requests an endpoint gets in a second: a token bucket that holds one second's worth. Pure.
//!
//! What is taken beyond what is there is owed: the next request waits longer. So the average holds whatever the size of
//! the batches, and a request is told at once when its turn is.

use std::time::Duration;

use tokio::time::Instant;

/// A second's worth may be sent at once.
const BURST: Duration = Duration::from_secs(1);

/// The requests that an endpoint may still get.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Time that one request takes from the bucket.
    cost: Duration,
    /// When the bucket is full again.
    full_at: Option<Instant>,
}

impl Bucket {
    /// A full bucket; 0 is without limit.
    pub(super) fn new(requests_per_second: u32) -> Self {
        let cost = BURST.checked_div(requests_per_second).unwrap_or_default();
        Self { cost, full_at: None }
    }

    /// From when on one more request may be sent.
    pub(super) fn due(&self, now: Instant) -> Instant {
        self.full_at.and_then(|full_at| (full_at + self.cost).checked_sub(BURST)).map_or(now, |due| due.max(now))
    }

    /// Takes these requests: when they may be sent.
    pub(super) fn take(&mut self, requests: usize, now: Instant) -> Instant {
        if self.cost.is_zero() {
            return now;
        }
        let due = self.due(now);
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        self.full_at = Some(self.full_at.map_or(now, |full_at| full_at.max(now)) + self.cost.saturating_mul(requests));
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Bucket;

    #[test]
    fn a_second_is_sent_at_once_and_then_the_rate_holds() {
        let (mut bucket, now) = (Bucket::new(10), Instant::now());
        let due: Vec<_> = (0..30).map(|_| bucket.take(1, now).duration_since(now).as_millis()).collect();
        assert_eq!(due[..10], [0; 10]);
        assert_eq!(due[10..13], [100, 200, 300]);
        assert_eq!(due[29], 2_000);
    }

    #[test]
    fn a_batch_counts_for_each_of_its_entries() {
        let (mut bucket, now) = (Bucket::new(10), Instant::now());
        assert_eq!(bucket.take(10, now), now);
        assert_eq!(bucket.take(10, now), now + Duration::from_millis(100));
        assert_eq!(bucket.due(now), now + Duration::from_millis(1_100));
    }

    #[test]
    fn an_idle_bucket_fills_up_to_a_second() {
        let (mut bucket, now) = (Bucket::new(10), Instant::now());
        bucket.take(10, now);
        let later = now + Duration::from_secs(60);
        assert_eq!((bucket.due(later), bucket.take(10, later)), (later, later));
        assert!(bucket.due(later) > later);
    }

    #[test]
    fn no_limit_is_no_wait() {
        let (mut bucket, now) = (Bucket::new(0), Instant::now());
        assert_eq!(bucket.take(1_000_000, now), now);
        assert_eq!(bucket.take(1, now), now);
    }
}
