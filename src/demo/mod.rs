//! The demo's world: a local chain (Anvil), our contracts on it, and traffic that never ends.
//!
//! [`start`] makes all of it from what the machine has: Anvil from the npm packages of `contracts/`, bytecode from its
//! build. Nothing is downloaded. The chain's blocks are mined by the traffic, one per [`Traffic::step`], so that a seed
//! decides what happens in each of them and tests need no clock. The chain ends with the [`Demo`] that owns it.

mod anvil;
mod artifacts;
mod contracts;
mod deploy;
mod rpc;
mod traffic;

use std::path::PathBuf;
use std::time::Duration;

pub use self::anvil::{Anvil, CHAIN_ID};
pub use self::contracts::{Contracts, Summary, abi};
pub use self::deploy::{Deployment, Limits};
pub use self::rpc::{Call, Log, Receipt, Rpc};
pub use self::traffic::{Sent, Step, Traffic};

use crate::config;

/// What a demo is started with.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Draws the traffic: the same seed, the same actions in the same blocks.
    pub seed: u64,
    /// Whether the chain reorganises now and then.
    pub reorgs: bool,
    /// The limits of the contracts.
    pub limits: Limits,
    /// How many blocks' states the chain keeps: as deep can a reorg or a call of the past be. Each costs memory.
    pub history_blocks: u64,
}

impl Options {
    /// For people who watch: a timelock that can be seen, and a chain that stays small for hours.
    pub const LIVE: Self = Self { seed: 8004, reorgs: false, limits: Limits::DEMO, history_blocks: 32 };

    /// For tests: nothing to wait for, and a long past.
    pub const TEST: Self = Self { seed: 8004, reorgs: false, limits: Limits::WIDE, history_blocks: 128 };
}

/// A running chain with our contracts, and its traffic.
#[derive(Debug)]
pub struct Demo {
    /// Where the chain is, and how it is followed.
    pub environment: Environment,
    /// What happens on it.
    pub traffic: Traffic,
    /// Holds the chain: it stops when this is dropped.
    pub anvil: Anvil,
}

impl Demo {
    /// The contracts, to be asked.
    #[must_use]
    pub fn contracts(&self) -> Contracts {
        self.traffic.contracts()
    }
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

/// Starts a chain and deploys the contracts; the first agents appear with the first steps of the traffic.
///
/// # Errors
/// [`DemoError`] when Anvil or the contracts' build are not there, or when the chain refuses what it is asked.
pub async fn start(options: Options) -> Result<Demo, DemoError> {
    let anvil = Anvil::start(options.history_blocks).await?;
    let rpc = Rpc::connect(&anvil.rpc_url())?;
    let deployment = Deployment::deploy(&rpc, options.limits).await?;
    let network = network(&anvil, &deployment);
    let mut traffic = Traffic::connect(&anvil.rpc_url(), deployment, options.seed).await?;
    if options.reorgs {
        traffic.allow_reorgs();
    }
    let environment = Environment { rpc_url: anvil.rpc_url(), ws_url: anvil.ws_url(), network };
    Ok(Demo { environment, traffic, anvil })
}

/// Plays traffic for ever: a block each interval. `report` is told what each of them brought.
///
/// # Errors
/// [`DemoError`] when the chain no longer answers.
pub async fn play(
    traffic: &mut Traffic,
    block_interval: Duration,
    mut report: impl FnMut(&Step),
) -> Result<std::convert::Infallible, DemoError> {
    let mut clock = tokio::time::interval(block_interval);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        report(&traffic.step().await?);
    }
}

fn network(anvil: &Anvil, deployment: &Deployment) -> config::Network {
    config::Network {
        name: "demo".into(),
        chain_id: CHAIN_ID,
        rpc_urls: vec![anvil.rpc_url(), anvil.ws_url()],
        contracts: deployment.contracts(),
        // Half of the demo's block interval, for when the WebSocket's news is missed.
        follow: config::Follow { poll_interval_ms: 500, ..config::Follow::default() },
        ..config::Network::default()
    }
}

/// Queries worth trying on the demo: what they show, and their text. Once the traffic's tour is over, each has an answer
/// that shows it.
#[must_use]
pub fn sample_queries() -> &'static [(&'static str, &'static str)] {
    &[
        (
            "the newest agents, with what their files say",
            "{ agents(first: 5, orderBy: createdAt, orderDirection: desc, where: { registrationFile_not: null }) \
             { id owner agentURIType totalFeedback registrationFile { name mcpEndpoint a2aEndpoint } } }",
        ),
        (
            "the agents with the most feedback, and the newest of it",
            "{ agents(first: 5, orderBy: totalFeedback, orderDirection: desc) { id totalFeedback lastActivity \
             feedback(first: 3, orderBy: createdAt, orderDirection: desc) { value tag1 tag2 isRevoked finality } } }",
        ),
        (
            "an agent's reputation for one tag, as the contract's getSummary computes it, and exactly",
            "{ reputationSummary(agent: \"31337:0\", tag1: \"starred\") \
             { count summaryValue summaryValueDecimals average perClientAverage clientCount min max } }",
        ),
        (
            "feedback that was answered",
            "{ feedbacks(first: 5, orderBy: createdAt, orderDirection: desc, \
             where: { responses_: { responder_not: null } }) \
             { id value tag1 tag2 clientAddress responses(first: 3) { responder responseUri } } }",
        ),
        (
            "agents that speak MCP",
            "{ agents(first: 5, where: { registrationFile_: { mcpEndpoint_not: null } }) \
             { id registrationFile { name mcpEndpoint mcpTools } } }",
        ),
        (
            "the newest of what is audited: policies, intents, commitments, wallets' agents",
            "{ auditEntries(first: 5, orderBy: blockNumber, orderDirection: desc) \
             { id kind blockNumber transactionHash } }",
        ),
        (
            "wallets' agents with their agents, their intents, and what the watchdog found wrong with them",
            "{ walletAgents(first: 3, where: { intents_: { nonce: 0 } }) { id wallet active paused agents(first: 3) { id } \
             intents(first: 3, orderBy: createdAt, orderDirection: desc) { status value secondsToExecution \
             findings { rule details } } } }",
        ),
        ("how far the node is", "{ networks { name head { number } indexed { number } lagBlocks synced } }"),
    ]
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
    /// Parts of the traffic's opening could not be played for too many blocks.
    Stuck {
        /// The actions that wait.
        actions: Vec<&'static str>,
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
            Self::Stuck { actions } => {
                write!(f, "the traffic cannot go on with {}; build the contracts again", actions.join(", "))
            }
        }
    }
}

impl std::error::Error for DemoError {}
