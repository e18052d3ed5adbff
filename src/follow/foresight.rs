//! The block that an endpoint announced, fetched while it is looked whether it is the chain's: at the head nothing else is
//! waited for after the look. What was announced is no fact (F26): the block is taken only if the head turns out to be the
//! very header that it was asked for, and its logs were held against that header as always.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::Follower;
use crate::block::{Block, Header};
use crate::chain::{Chain, ChainError};
use crate::task::joined;

/// A block that is fetched; that ends when it is dropped.
pub(super) struct Foreseen {
    header: Header,
    fetching: JoinHandle<Result<Block, ChainError>>,
}

impl Foreseen {
    fn begin(chain: Arc<Chain>, header: Header) -> Self {
        let asked = header.clone();
        Self { header, fetching: tokio::spawn(async move { chain.block(&asked).await }) }
    }
}

impl Drop for Foreseen {
    fn drop(&mut self) {
        self.fetching.abort();
    }
}

impl Follower {
    /// Begins to fetch the block of a head that was announced, where it is the one after our tip; the next step takes it in if
    /// it is the chain's, and asks for nothing twice.
    pub fn foresee(&mut self, head: Header) {
        let is_next = self.tip().is_some_and(|tip| tip.number + 1 == head.number && tip.hash == head.parent_hash);
        self.foreseen = is_next.then(|| Foreseen::begin(Arc::clone(&self.chain), head));
    }

    /// The block behind the only one of these headers, if it was foreseen and could be had.
    pub(super) async fn foreseen(&mut self, headers: &[Header]) -> Option<Block> {
        let [header] = headers else { return None };
        let mut foreseen = self.foreseen.take().filter(|foreseen| foreseen.header == *header)?;
        joined(&mut foreseen.fetching).await.ok()
    }
}
