//! How many requests an endpoint gets in a second: a token bucket that holds one second's worth. Pure.
//!
//! What is taken beyond what is there is owed: the next request waits longer. So the average holds whatever the size of
//! the batches, and a request is told at once when its turn is.
//!
//! The background stands behind: it owes nothing, and takes what ingestion has left for a while. Where nothing is left it
//! has a share all the same, after a wait that pays for it.

use std::time::Duration;

use tokio::time::Instant;

/// A second's worth may be sent at once.
const BURST: Duration = Duration::from_secs(1);

/// What the background leaves in the bucket, so that ingestion finds it whenever it comes; its batches are at most the
/// rest.
const LEFT: Duration = Duration::from_millis(500);

/// Where nothing is left, the background waits so many times what it takes, and has one part in so many.
const SHARE: u32 = 10;

/// Entries of the smallest batch that the background sends: a range is asked for with the header of its end (F1).
const PAIR: usize = 2;

/// The requests that an endpoint may still get.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Time that one request takes from the bucket.
    cost: Duration,
    /// When the bucket is full again.
    full_at: Option<Instant>,
    /// When the background last took from it.
    background_at: Option<Instant>,
}

impl Bucket {
    /// A full bucket; 0 is without limit.
    pub(super) fn new(requests_per_second: u32) -> Self {
        let cost = BURST.checked_div(requests_per_second).unwrap_or_default();
        Self { cost, full_at: None, background_at: None }
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
        self.full_at = Some(self.full_at.map_or(now, |full_at| full_at.max(now)) + self.worth(requests));
        due
    }

    /// Most requests of a batch of the background.
    pub(super) fn background_batch(&self) -> usize {
        let most = (BURST - LEFT).as_nanos().checked_div(self.cost.as_nanos());
        most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX).max(PAIR))
    }

    /// From when on the background, which has waited since `since`, may take these: once enough is left behind them, or
    /// the bucket is full, or at the latest when it has waited for its share.
    pub(super) fn due_in_background(&self, requests: usize, since: Instant, now: Instant) -> Instant {
        let Some(full_at) = self.full_at else { return now };
        let worth = self.worth(requests);
        let leaves_enough = (full_at + worth).checked_sub(BURST - LEFT).unwrap_or(now);
        let share = self.background_at.map_or(since, |last| last.max(since)) + worth.saturating_mul(SHARE);
        leaves_enough.min(full_at).min(share).max(now)
    }

    /// Takes these requests for the background.
    ///
    /// # Errors
    /// When to ask again, because ingestion may need what is there until then. Nothing is taken.
    pub(super) fn take_in_background(
        &mut self,
        requests: usize,
        since: Instant,
        now: Instant,
    ) -> Result<Instant, Instant> {
        let due = self.due_in_background(requests, since, now);
        if due > now {
            return Err(due);
        }
        self.background_at = Some(now);
        Ok(self.take(requests, now))
    }

    fn worth(&self, requests: usize) -> Duration {
        self.cost.saturating_mul(u32::try_from(requests).unwrap_or(u32::MAX))
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
    fn the_background_leaves_half_a_second_s_worth() {
        let (mut bucket, now) = (Bucket::new(10), Instant::now());
        let after = |milliseconds| now + Duration::from_millis(milliseconds);
        assert_eq!(bucket.background_batch(), 5);
        assert_eq!(bucket.take_in_background(5, now, now), Ok(now));
        // Ingestion finds the rest at once, the background does not.
        assert_eq!(bucket.take_in_background(5, now, now), Err(after(500)));
        assert_eq!((0..5).map(|_| bucket.take(1, now)).collect::<Vec<_>>(), [now; 5]);
        assert_eq!(bucket.take_in_background(5, now, after(500)), Err(after(1_000)));
        assert_eq!(bucket.take_in_background(5, now, after(1_000)), Ok(after(1_000)));
    }

    #[test]
    fn the_background_has_a_share_where_ingestion_leaves_nothing() {
        let (mut bucket, now) = (Bucket::new(10), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        bucket.take(1_000, now);
        assert_eq!(bucket.take_in_background(5, now, now), Err(after(5)));
        assert_eq!(bucket.take_in_background(5, now, after(5)), Ok(after(99) + Duration::from_millis(100)));
        // Whoever waited beside it does not get another one.
        assert_eq!(bucket.take_in_background(5, now, after(5)), Err(after(10)));
    }

    #[test]
    fn the_background_goes_on_under_a_limit_that_is_less_than_its_smallest_batch() {
        let (mut bucket, now) = (Bucket::new(1), Instant::now());
        assert_eq!(bucket.background_batch(), 2);
        assert_eq!(bucket.take_in_background(2, now, now), Ok(now));
        let full = now + Duration::from_secs(2);
        assert_eq!(bucket.take_in_background(2, now, now), Err(full));
        assert_eq!(bucket.take_in_background(2, now, full), Ok(full));
    }

    #[test]
    fn no_limit_is_no_wait() {
        let (mut bucket, now) = (Bucket::new(0), Instant::now());
        assert_eq!((bucket.background_batch(), bucket.take_in_background(1_000, now, now)), (usize::MAX, Ok(now)));
        assert_eq!(bucket.take(1_000_000, now), now);
        assert_eq!(bucket.take(1, now), now);
    }
}
