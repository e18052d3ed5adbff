//! Answers that are given again until a commit makes them old, and are worked out once however many ask.
//!
//! An answer is kept under what was asked, to the letter, and the state of the database that this process knows of: of one
//! network where its address was asked, else of all. Every commit makes another state, so nothing has to be found and thrown
//! away: nobody asks for an old one any more, and it goes when room is needed. While commits are not heard of, nothing is
//! kept and nothing is given again. An answer is as old as the news of a commit takes, and says as of which block it is, as
//! any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use axum::http::HeaderValue;
use moka::future::Cache;
use moka::policy::EvictionPolicy;

use super::gate::Asked;
use crate::metrics;

/// What an entry takes beside its texts, in bytes, about.
const ENTRY_BYTES: usize = 400;
const BYTES_PER_MEGABYTE: u64 = 1_000_000;

/// An answer as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) body: Bytes,
    /// As of which blocks it is.
    pub(super) blocks: Option<HeaderValue>,
    /// Whether it is the answer to the same question for as long as no commit comes.
    pub(super) lasts: bool,
    /// What it counts as, each time that it is given.
    pub(super) asked: Asked,
}

/// A question in a state of what it is asked of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// The number of the state of the network, or of all.
    pub(super) state: i64,
    /// The network of the address that was asked; nothing for all.
    pub(super) chain_id: Option<i64>,
    /// The request's body.
    pub(super) body: Bytes,
}

impl Question {
    /// As it is kept: a body is a part of what was read from its connection, and would hold all of that.
    fn to_keep(&self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), ..*self }
    }
}

/// A text that is sent and kept, in no more room than it needs: it grew by doubling.
pub(super) fn to_keep(text: Vec<u8>) -> Bytes {
    text.into_boxed_slice().into()
}

/// The answers that are kept.
#[derive(Clone)]
pub(super) struct Answers(Cache<Question, Arc<Answer>>);

impl Answers {
    /// Room for so many megabytes of them; none: nothing is kept.
    pub(super) fn new(megabytes: u32) -> Self {
        let weigh = |question: &Question, answer: &Arc<Answer>| {
            u32::try_from(question.body.len() + answer.body.len() + ENTRY_BYTES).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(u64::from(megabytes) * BYTES_PER_MEGABYTE)
            .weigher(weigh)
            // A state that is over is not asked for again, however often it was.
            .eviction_policy(EvictionPolicy::lru());
        Self(cache.build())
    }

    /// Whether anything is kept at all.
    pub(super) fn is_on(&self) -> bool {
        self.0.policy().max_capacity() != Some(0)
    }

    /// The answer that is kept.
    pub(super) async fn get(&self, question: &Question) -> Option<Arc<Answer>> {
        let answer = self.0.get(question).await?;
        count("hit");
        Some(answer)
    }

    /// The answer that is kept, that somebody else is working out, or that `work` gives.
    pub(super) async fn get_or(&self, question: &Question, work: impl Future<Output = Answer>) -> Arc<Answer> {
        let is_ours = AtomicBool::new(false);
        let work = async {
            is_ours.store(true, Ordering::Relaxed);
            let answer = Arc::new(work.await);
            if answer.lasts { Ok(answer) } else { Err(answer) }
        };
        let answer = self.0.try_get_with(question.to_keep(), work).await.unwrap_or_else(|passing| Arc::clone(&passing));
        count(if is_ours.load(Ordering::Relaxed) { "miss" } else { "joined" });
        answer
    }
}

/// Counts an answer that was not looked for.
pub(super) fn pass() {
    count("pass");
}

fn count(result: &'static str) {
    ::metrics::counter!(metrics::CACHE_OPERATIONS, "result" => result).increment(1);
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::{Answer, Answers, Arc, Asked, Question, to_keep};

    #[tokio::test]
    async fn what_is_kept_takes_no_more_room_than_it_counts_as() {
        let read = Bytes::from(vec![b'x'; 8_192]);
        let question = Question { state: 1, chain_id: None, body: read.slice(100..200) };
        let mut text = Vec::with_capacity(4_096);
        text.extend(b"an answer");
        let asked = Asked { lookups: 1, searches: 0 };
        let answer = Answer { body: to_keep(text), blocks: None, lasts: true, asked };
        let answers = Answers::new(1);
        answers.get_or(&question, async { answer }).await;
        let kept = answers.get(&question).await.expect("it is kept");
        drop(question);
        assert!(read.is_unique(), "the cache holds all that was read from the connection");
        drop(answers);
        let body = Arc::into_inner(kept).expect("nobody else has it").body;
        assert_eq!(body.try_into_mut().map(|body| body.capacity()), Ok(9));
    }
}
