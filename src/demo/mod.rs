//! The demo's world: a local chain (Anvil) and our contracts on it.
//!
//! [`start`] makes all of it from what the machine has: Anvil from the npm packages of `contracts/`, bytecode from its
//! build. Nothing is downloaded. Blocks are mined on demand, so that whoever drives the chain decides what is in them
//! and tests need no clock. The chain ends with the [`Demo`] that owns it.

mod anvil;
mod artifacts;
mod contracts;
mod deploy;
mod rpc;

use std::path::PathBuf;

pub use self::anvil::{Anvil, CHAIN_ID};
pub use self::contracts::{Contracts, Summary, abi};
pub use self::deploy::{Deployment, Limits};
pub use self::rpc::{Call, Log, Receipt, Rpc};

use crate::config;

/// What a demo is started with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The limits of the contracts.
    pub limits: Limits,
    /// How many blocks' states the chain keeps: as deep can a reorg or a call of the past be. Each costs memory.
    pub history_blocks: u64,
}

impl Options {
    /// For people who watch: a timelock that can be seen, and a chain that stays small for hours.
    pub const LIVE: Self = Self { limits: Limits::DEMO, history_blocks: 32 };

    /// For tests: nothing to wait for, and a long past.
    pub const TEST: Self = Self { limits: Limits::WIDE, history_blocks: 128 };
}

/// A running chain with our contracts.
#[derive(Debug)]
pub struct Demo {
    /// Where the chain is, and how it is followed.
    pub environment: Environment,
    /// Our contracts, to be asked.
    pub contracts: Contracts,
    /// Holds the chain: it stops when this is dropped.
    pub anvil: Anvil,
}

/// Where the chain is, and how it is followed.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Its JSON-RPC over HTTP.
    pub rpc_url: String,
    /// Its JSON-RPC over WebSocket.
    pub ws_url: String,
    /// The network as it would stand in a configuration file, with both endpoints and our contracts.
    pub network: config::Network,
}

/// Starts a chain and deploys the contracts.
///
/// # Errors
/// [`DemoError`] when Anvil or the contracts' build are not there, or when the chain refuses what it is asked.
pub async fn start(options: Options) -> Result<Demo, DemoError> {
    let anvil = Anvil::start(options.history_blocks).await?;
    let rpc = Rpc::connect(&anvil.rpc_url())?;
    let deployment = Deployment::deploy(&rpc, options.limits).await?;
    let network = network(&anvil, &deployment);
    let environment = Environment { rpc_url: anvil.rpc_url(), ws_url: anvil.ws_url(), network };
    let contracts = Contracts::new(rpc, deployment);
    Ok(Demo { environment, contracts, anvil })
}

fn network(anvil: &Anvil, deployment: &Deployment) -> config::Network {
    config::Network {
        name: "demo".into(),
        chain_id: CHAIN_ID,
        rpc_urls: vec![anvil.rpc_url(), anvil.ws_url()],
        rpc_urls_file: None,
        start_block: 0,
        contracts: deployment.contracts(),
        // Half of the demo's block interval, for when the WebSocket's news is missed.
        follow: config::Follow { poll_interval_ms: 500, ..config::Follow::default() },
    }
}

/// Why the demo cannot start or go on, each in one sentence that says what to do.
#[derive(Debug)]
pub enum DemoError {
    /// No Anvil on this machine.
    AnvilMissing,
    /// Anvil is there and does not start.
    AnvilStart {
        /// The program.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// The contracts are not built.
    ContractsMissing,
    /// A contract's build cannot be read.
    Artifact {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The chain did not answer, or answered with an error.
    Rpc {
        /// What it was asked.
        method: &'static str,
        /// What went wrong.
        reason: String,
    },
    /// A transaction that everything after it needs was reverted.
    Reverted {
        /// What it was to do.
        what: String,
    },
}

impl std::fmt::Display for DemoError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AnvilMissing => f.write_str(
                "Anvil is not on this machine; run `make demo` in the repository, which installs it into contracts/, \
                 or name the program in MEIKAN_ANVIL_BIN",
            ),
            Self::AnvilStart { path, reason } => {
                let path = path.display();
                write!(
                    f,
                    "Anvil ({path}) does not start: {reason}; try it by hand, or name another in MEIKAN_ANVIL_BIN"
                )
            }
            Self::ContractsMissing => f.write_str(
                "the contracts are not built; run `make demo` in the repository, which builds them into \
                 contracts/out, or name the folder contracts in MEIKAN_CONTRACTS_DIR",
            ),
            Self::Artifact { path, reason } => {
                write!(f, "the contract's build {} is not usable: {reason}; build the contracts again", path.display())
            }
            Self::Rpc { method, reason } => {
                write!(f, "the local chain failed at {method}: {reason}; start the demo again")
            }
            Self::Reverted { what } => {
                write!(f, "the local chain reverted {what}; build the contracts again, they may be another version's")
            }
        }
    }
}

impl std::error::Error for DemoError {}
