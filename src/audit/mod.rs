//! The audit: what is stored, held against the chain, stretch by stretch, by the strongest way that endpoints serve (F5).
//!
//! An endpoint that lost a log answers a range without it, and nobody notices: below finality ingestion reads no headers
//! between. So each final block is looked at once more: headers that hash to linked hashes, their blooms against what is
//! stored, receipts that hash to the receipts root where there is something to compare, and the registries' own counters.
//!
//! [`Auditor::verify`] looks at one stretch and says what it found; it changes nothing. [`watch`] is the loop around it in
//! a process that writes: it goes gently, records, and asks for repairs. Both are told apart from ingestion: nothing here
//! delays a step of the follower.

mod call;
mod census;
mod compare;
mod cure;
mod run;
mod stretch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::chain::{Chain, ChainError};
use crate::config;
use crate::fault::Fault;
use crate::id::ChainId;
use crate::store::{Store, StoreError};

pub use self::run::{Audit, Pass, watch};
pub use self::stretch::{STRETCH_BLOCKS, Stretch, Verdict};

/// Looks at what is stored of one network.
pub struct Auditor {
    network: String,
    chain_id: ChainId,
    chain: Arc<Chain>,
    store: Arc<Store>,
    settings: Settings,
    /// An operator has heard that this chain's headers do not hash to their hashes.
    unproven_told: AtomicBool,
}

/// How thoroughly and how gently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Of a hundred blocks with logs, how many are held against their receipts; suspicious ones always are.
    pub receipts_percent: u8,
    /// Feedback of so many agents and clients is held against the registry's own answer, in each stretch.
    pub call_samples: u32,
    /// Chooses the blocks and the samples.
    pub seed: u64,
    /// Pause between two requests.
    pub request_pause: Duration,
    /// Pause that each block of a stretch is worth.
    pub block_pause: Duration,
}

impl Settings {
    /// Everything, as fast as it goes.
    #[must_use]
    pub fn thorough(network: &config::Network) -> Self {
        Self {
            receipts_percent: 100,
            call_samples: network.follow.audit_call_samples,
            seed: 0,
            request_pause: Duration::ZERO,
            block_pause: Duration::ZERO,
        }
    }

    /// As configured, for the background.
    #[must_use]
    pub fn gentle(network: &config::Network) -> Self {
        let follow = &network.follow;
        let each = |per_second: u32| Duration::from_secs(1) / per_second.max(1);
        Self {
            receipts_percent: follow.audit_receipts_percent,
            call_samples: follow.audit_call_samples,
            seed: u64::from(std::process::id()),
            request_pause: each(follow.audit_requests_per_second),
            block_pause: each(follow.audit_blocks_per_second),
        }
    }
}

/// Why a stretch could not be audited.
#[derive(Debug)]
pub enum AuditError {
    /// The chain's side.
    Chain(ChainError),
    /// The store's side.
    Store(StoreError),
}

impl std::fmt::Display for AuditError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Chain(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AuditError {}

impl From<ChainError> for AuditError {
    fn from(error: ChainError) -> Self {
        Self::Chain(error)
    }
}

impl From<StoreError> for AuditError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl AuditError {
    /// Whether to try again.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Chain(error) => error.fault(),
            Self::Store(error) => error.fault(),
        }
    }
}

impl Auditor {
    /// Prepares to audit a network that is registered.
    #[must_use]
    pub fn new(network: &config::Network, chain: Arc<Chain>, store: Arc<Store>, settings: Settings) -> Self {
        Self {
            network: network.name.clone(),
            chain_id: network.chain_id,
            chain,
            store,
            settings,
            unproven_told: AtomicBool::new(false),
        }
    }
}
