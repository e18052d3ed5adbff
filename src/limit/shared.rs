//! Windows that several nodes share, in Redis or Valkey.
//!
//! One script takes from a window in one step, by that server's clock, so that nodes need not agree on theirs. A server that
//! does not answer in time is left alone for [`PAUSE`]: nobody waits for it meanwhile, and the caller counts for itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, RedisError, Script};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::window::{Rule, SLOTS, Verdict, Window};
use crate::config::redact_within;

/// Pause before a server that did not answer is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// What the names of our keys begin with.
const PREFIX: &str = "meikan:limit:";

/// The server was not asked, or did not answer.
#[derive(Debug)]
pub(super) struct Away;

pub(super) struct Shared {
    client: Client,
    take: Script,
    longest_wait: Duration,
    connection: Mutex<Option<MultiplexedConnection>>,
    started: Instant,
    /// When it is asked again, in milliseconds since the start; 0: at once.
    ask_again_ms: AtomicU64,
    is_away: AtomicBool,
}

impl Shared {
    /// A server that is not connected to yet.
    ///
    /// # Errors
    /// When the URL is not one.
    pub(super) fn new(url: &str, longest_wait: Duration) -> Result<Self, RedisError> {
        Ok(Self {
            client: Client::open(url)?,
            take: Script::new(include_str!("take.lua")),
            longest_wait,
            connection: Mutex::default(),
            started: Instant::now(),
            ask_again_ms: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
        })
    }

    /// Takes so many of a subject's limit.
    pub(super) async fn take(&self, subject: &str, rule: Rule, count: u32) -> Result<Verdict, Away> {
        if self.now_ms() < self.ask_again_ms.load(Ordering::Relaxed) {
            return Err(Away);
        }
        match timeout(self.longest_wait, self.ask(subject, rule, count)).await {
            Ok(Ok(answer)) => {
                let verdict = read(&answer, rule, count).ok_or(Away)?;
                if self.is_away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the server of shared limits answers again");
                }
                Ok(verdict)
            }
            Ok(Err(reason)) => Err(self.leave_alone(&reason.to_string()).await),
            Err(_) => Err(self.leave_alone("it did not answer in time").await),
        }
    }

    /// Asks whether it is there; tells its version.
    pub(super) async fn version(&self) -> Result<String, String> {
        let asked = async {
            let mut connection = self.client.get_multiplexed_async_connection().await?;
            redis::cmd("INFO").arg("server").query_async::<String>(&mut connection).await
        };
        let info = timeout(self.longest_wait, asked).await;
        let info = info.map_err(|_| "it did not answer in time".to_owned())?.map_err(|reason| reason.to_string())?;
        let version = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        // Valkey tells the version of Redis that it is like, too.
        Ok(match (version("valkey_version:"), version("redis_version:")) {
            (Some(version), _) => format!("Valkey {version}"),
            (None, Some(version)) => format!("Redis {version}"),
            (None, None) => "a server without a version".to_owned(),
        })
    }

    async fn ask(&self, subject: &str, rule: Rule, count: u32) -> Result<Vec<u64>, RedisError> {
        let mut connection = self.connected().await?;
        let mut call = self.take.key(format!("{PREFIX}{subject}"));
        call.arg(rule.most).arg(rule.slot_ms()).arg(SLOTS).arg(rule.counted(count));
        call.invoke_async(&mut connection).await
    }

    /// The connection, which all requests share.
    async fn connected(&self) -> Result<MultiplexedConnection, RedisError> {
        let mut held = self.connection.lock().await;
        if let Some(connection) = &*held {
            return Ok(connection.clone());
        }
        let connection = self.client.get_multiplexed_async_connection().await?;
        *held = Some(connection.clone());
        Ok(connection)
    }

    async fn leave_alone(&self, reason: &str) -> Away {
        let again = self.now_ms() + u64::try_from(PAUSE.as_millis()).unwrap_or(u64::MAX);
        self.ask_again_ms.store(again, Ordering::Relaxed);
        if !self.is_away.swap(true, Ordering::Relaxed) {
            let reason = redact_within(reason);
            tracing::warn!(reason, "the server of shared limits is away; this node counts for itself meanwhile");
        }
        *self.connection.lock().await = None;
        Away
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Reads the script's answer.
fn read(answer: &[u64], rule: Rule, count: u32) -> Option<Verdict> {
    let [is_granted, now_ms, slots @ ..] = answer else { return None };
    let (pairs, []) = slots.as_chunks::<2>() else { return None };
    let window = Window::of(pairs.iter().map(|[slot, taken]| (*slot, u32::try_from(*taken).unwrap_or(u32::MAX))));
    Some(window.verdict(rule, count, *now_ms, *is_granted == 1))
}

#[cfg(test)]
mod tests {
    use super::{Rule, read};

    #[test]
    fn the_scripts_answer_is_read_as_a_window() {
        let rule = Rule::per_minute(5);
        let verdict = read(&[1, 70_500, 70, 2, 12, 1], rule, 1).expect("it is one");
        assert_eq!((verdict.remaining, verdict.reset_seconds, verdict.retry_after_seconds), (2, 3, None));
        let verdict = read(&[0, 70_500, 70, 3, 12, 2], rule, 3).expect("it is one");
        assert_eq!((verdict.remaining, verdict.retry_after_seconds), (0, Some(61)));
        for wrong in [&[][..], &[1], &[1, 70_500, 70]] {
            assert_eq!(read(wrong, rule, 1), None);
        }
    }
}
