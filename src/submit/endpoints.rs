//! A network's endpoints, which are connected to once there is something to ask.

use tokio::sync::OnceCell;

use crate::chain::{Chain, ChainError};
use crate::config;

/// The endpoints of a network.
pub(super) struct Endpoints {
    pub(super) network: config::Network,
    chain: OnceCell<Chain>,
}

impl Endpoints {
    pub(super) fn new(network: config::Network) -> Self {
        Self { network, chain: OnceCell::new() }
    }

    /// The chain as they tell it.
    pub(super) async fn chain(&self) -> Result<&Chain, ChainError> {
        self.chain.get_or_try_init(|| Chain::connect(&self.network)).await
    }
}
