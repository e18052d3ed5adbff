//! Why a step failed, and what the loop does about it.

use alloy::primitives::B256;

use crate::chain::ChainError;
use crate::fault::Fault;
use crate::store::StoreError;

/// Why a step failed.
#[derive(Debug)]
pub enum FollowError {
    /// The chain's side.
    Chain(ChainError),
    /// The store's side.
    Store(StoreError),
    /// Two answers of the chain do not fit together; another look will tell.
    Unstable {
        /// What did not fit.
        reason: String,
    },
    /// A block that we verified as final has another hash now (F15).
    FinalizedReplaced {
        /// The network's name.
        network: String,
        /// Its height.
        number: u64,
        /// The hash that we hold.
        held: B256,
        /// The hash that the chain shows.
        shown: B256,
    },
}

impl std::fmt::Display for FollowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Chain(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Unstable { reason } => write!(
                f,
                "the chain changed while it was read: {reason}; trying again, look for an endpoint of another fork in \
                 rpc_urls if this stays"
            ),
            Self::FinalizedReplaced { network, number, held, shown } => write!(
                f,
                "the finalized block {number} was replaced: we hold {held}, the chain shows {shown}; nothing is written \
                 until an operator accepts it with `meikan reindex --network {network} --accept-deep-reorg`, which \
                 tells with --dry-run what it would undo"
            ),
        }
    }
}

impl std::error::Error for FollowError {}

impl From<ChainError> for FollowError {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl From<StoreError> for FollowError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl FollowError {
    /// What the loop does about it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Chain(error) => error.fault(),
            Self::Store(error) => error.fault(),
            Self::Unstable { .. } => Fault::Retry,
            Self::FinalizedReplaced { .. } => Fault::Fatal,
        }
    }
}

pub(super) fn unstable(reason: String) -> FollowError {
    FollowError::Unstable { reason }
}
