//! The connection that listens for commits, made again whenever it breaks.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::watch;
use tokio_postgres::AsyncMessage;

use crate::store::pool::Target;
use crate::store::step::CHANNEL;

/// Pause before the connection is made again, doubled with each failure up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What was heard: a reason to look, no more.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The newest commit of each network that was told of.
    pub(super) commits: BTreeMap<i64, i64>,
    /// How often the connection was made: what was told before that was not heard.
    connections: u64,
    /// Whether it stands.
    pub(super) is_listening: bool,
}

/// Listens until it is dropped.
pub(super) async fn keep_listening(target: Target, heard: watch::Sender<Heard>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let ended = listen(&target, &heard, &mut pause).await;
        heard.send_if_modified(|heard| std::mem::take(&mut heard.is_listening));
        match ended {
            Ok(()) => tracing::debug!("the database closed the connection that listens for commits"),
            Err(error) => tracing::warn!(%error, "commits are not heard of at the moment, only looked for"),
        }
        tokio::time::sleep(pause).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Listens on one connection until it ends.
async fn listen(
    target: &Target,
    heard: &watch::Sender<Heard>,
    pause: &mut Duration,
) -> Result<(), tokio_postgres::Error> {
    let (client, mut connection) = target.connect().await?;
    let statement = format!("LISTEN {CHANNEL}");
    let mut messages = stream::poll_fn(|context| connection.poll_message(context));
    let mut listening = std::pin::pin!(client.batch_execute(&statement));
    let mut is_listening = false;
    loop {
        tokio::select! {
            begun = &mut listening, if !is_listening => {
                begun?;
                is_listening = true;
                *pause = FIRST_PAUSE;
                heard.send_modify(|heard| {
                    heard.connections += 1;
                    heard.is_listening = true;
                });
            }
            message = messages.next() => match message {
                Some(Ok(AsyncMessage::Notification(note))) => {
                    if let Some((chain_id, seq)) = read(note.payload()) {
                        heard.send_modify(|heard| { heard.commits.insert(chain_id, seq); });
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(()),
            }
        }
    }
}

/// The payload `chain_id seq`.
fn read(payload: &str) -> Option<(i64, i64)> {
    let (chain_id, seq) = payload.split_once(' ')?;
    Some((chain_id.parse().ok()?, seq.parse().ok()?))
}
