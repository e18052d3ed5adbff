//! Who asks: ingestion goes first, and what is done in the background takes what it leaves.
//!
//! Between whoever asks and an endpoint's limits lie a dozen functions to which that means nothing. So it is told by the
//! task, and read only where a request waits for its turn.

tokio::task_local! {
    static IN_BACKGROUND: ();
}

/// Does the work with requests that stand behind those of others at every endpoint. They never starve: where the others
/// leave nothing, they have a small share. Tasks that the work spawns are not part of it.
pub async fn in_background<F: Future>(work: F) -> F::Output {
    IN_BACKGROUND.scope((), work).await
}

/// Whether who asks stands behind the others.
pub(super) fn is_in_background() -> bool {
    IN_BACKGROUND.try_with(|()| ()).is_ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::{join, join_all};
    use serde_json::json;
    use tokio::time::{Instant, sleep};

    use super::in_background;
    use crate::chain::endpoint::{Call, Endpoint, EndpointRole};
    use crate::config::Network;

    /// An endpoint that takes so many requests in a second, 0 without limit, and so many at a time.
    fn endpoint(requests_per_second: u32, concurrent_requests: usize) -> Endpoint {
        let mut network: Network = toml::from_str("name = \"test\"\nchain_id = 1").expect("the network is valid");
        network.follow.requests_per_second = requests_per_second;
        network.follow.concurrent_requests = concurrent_requests;
        Endpoint::new(&network, "test".into(), EndpointRole::Primary, "http://127.0.0.1:1").expect("the URL is valid")
    }

    /// A batch of so many entries whose answer takes that long; how long it had to wait before it was sent.
    async fn batch(endpoint: &Endpoint, entries: usize, takes: Duration) -> Duration {
        let (asked, mut sent) = (Instant::now(), None);
        let call = Call { method: "eth_blockNumber", params: json!([]) };
        let answer = async {
            sent = Some(Instant::now());
            sleep(takes).await;
            Ok(())
        };
        endpoint.within_deadline("batch", entries, &call, answer).await.expect("it is answered");
        sent.expect("it was sent").duration_since(asked)
    }

    /// A follower near the head: three requests in each second. The longest that one of them waited.
    async fn near_the_head(endpoint: &Endpoint, seconds: u32) -> Duration {
        let mut longest = Duration::ZERO;
        for _ in 0..seconds {
            for _ in 0..3 {
                longest = longest.max(batch(endpoint, 1, Duration::ZERO).await);
            }
            sleep(Duration::from_secs(1)).await;
        }
        longest
    }

    /// So many batches of the audit at once; when the last was answered.
    async fn audit(endpoint: &Endpoint, batches: usize, entries: usize, takes: Duration) -> Duration {
        let began = Instant::now();
        in_background(join_all((0..batches).map(|_| batch(endpoint, entries, takes)))).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_follower_near_the_head_waits_for_no_audit() {
        let endpoint = endpoint(10, 8);
        let (audited, longest) = join(audit(&endpoint, 100, 5, Duration::ZERO), near_the_head(&endpoint, 100)).await;
        assert_eq!(longest, Duration::ZERO);
        // Seven in a second are left for its 500.
        assert!((65..80).contains(&audited.as_secs()), "{audited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_audit_goes_on_beside_a_backfill_that_takes_all() {
        let endpoint = endpoint(10, 8);
        let backfill = async {
            let began = Instant::now();
            for _ in 0..60 {
                batch(&endpoint, 10, Duration::ZERO).await;
            }
            began.elapsed()
        };
        let (audited, filled) = join(audit(&endpoint, 10, 5, Duration::ZERO), backfill).await;
        assert!((40..60).contains(&audited.as_secs()), "{audited:?}");
        // 600 entries take a minute, and what the audit had a tenth of that.
        assert!((59..66).contains(&filled.as_secs()), "{filled:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_audit_leaves_connections_to_the_follower() {
        let slow = Duration::from_secs(1);
        let endpoint = endpoint(0, 8);
        let (audited, longest) = join(audit(&endpoint, 100, 100, slow), near_the_head(&endpoint, 25)).await;
        assert_eq!((audited, longest), (Duration::from_secs(25), Duration::ZERO));
        let narrow = self::endpoint(0, 1);
        let (_, longest) = join(audit(&narrow, 20, 100, slow), near_the_head(&narrow, 20)).await;
        assert_eq!(longest, slow, "it waits for the one that is under way, not for those behind it");
    }
}
