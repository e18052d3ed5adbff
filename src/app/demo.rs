//! `meikan demo`: a chain with the contracts, its traffic, and a node that follows it, all on this machine.
//!
//! Everything lives in a temporary folder and ends with the process: the chain starts anew each time, so its database
//! does too.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::config::Config;
use crate::demo;
use crate::embedded::Durability;
use crate::follow::Until;
use crate::store::Store;

use super::signals::Signals;
use super::{AppError, Exit, Parts, bind, open_database_in, run_with, say, until_stopped};

/// Pause between two blocks of the demo's chain.
const BLOCK_INTERVAL: Duration = Duration::from_secs(1);

/// Pause between two lines of progress.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(5);

/// How a demo is played.
#[derive(Debug, Clone, Copy)]
pub struct DemoOptions {
    /// Ends it after that many seconds.
    pub seconds: Option<u64>,
    /// Lets the chain reorganise now and then.
    pub reorgs: bool,
    /// Draws the traffic.
    pub seed: u64,
}

/// Plays a demo until it is interrupted or its time is over.
///
/// # Errors
/// [`AppError`] of any part.
pub async fn demo(mut config: Config, options: &DemoOptions) -> Result<Exit, AppError> {
    let mut signals = Signals::new().map_err(AppError::Serve)?;
    let listener = bind(&config).await?;
    let address = listener.local_addr().map_err(AppError::Serve)?;
    say("Starting a local chain and Postgres ...");
    let scratch = Scratch::new()?;
    let world = demo::Options { seed: options.seed, reorgs: options.reorgs, ..demo::Options::LIVE };
    let (mut world, database) = tokio::select! {
        exit = signals.received() => return Ok(exit),
        started = async {
            let world = demo::start(world).await?;
            let database = open_database_in(&config, &scratch.0, Durability::Fast).await?;
            Ok::<_, AppError>((world, database))
        } => started?,
    };
    config.networks = vec![world.environment.network.clone()];
    config.check()?;
    introduce(&format!("http://{address}"), &world.environment);

    let cancel = CancellationToken::new();
    let work = run_with(&config, &database, Some(listener), Parts::Both, Until::Forever, &cancel);
    let mut transactions = 0;
    let exit = until_stopped(work, &cancel, async {
        tokio::select! {
            exit = signals.received() => Ok(exit),
            () = sleep_or_forever(options.seconds) => Ok(Exit::Done),
            error = database.failed() => Err(error),
            never = tell(&database.store) => match never {},
            played = demo::play(&mut world.traffic, BLOCK_INTERVAL, |step| transactions += step.sent.len()) => {
                match played {
                    Ok(never) => match never {},
                    Err(error) => Err(error.into()),
                }
            }
        }
    });
    let exit = exit.await;
    database.close().await;
    say(&format!("The demo is over; {transactions} transactions were played."));
    exit
}

fn introduce(url: &str, environment: &demo::Environment) {
    say(&format!("\nMeikan answers at {url}/graphql (open it in a browser, or POST to it)."));
    say(&format!("The chain is at {} and {}.\n\nTry:", environment.rpc_url, environment.ws_url));
    for (what, query) in demo::sample_queries() {
        say(&format!("\n# {what}\n{query}"));
    }
    say(&format!(
        "\ncurl -s {url}/graphql -H 'content-type: application/json' -d '{{\"query\": \"{{ agents {{ id }} }}\"}}'"
    ));
    say(&format!("{url}/ready and {url}/metrics tell how the node is. Ctrl-C ends the demo.\n"));
}

/// Says now and then where the node stands.
async fn tell(store: &Store) -> Infallible {
    let mut clock = tokio::time::interval(PROGRESS_INTERVAL);
    // The first tick is immediate and there is nothing to tell yet.
    clock.tick().await;
    loop {
        clock.tick().await;
        match store.tally().await {
            Ok(tally) => say(&format!(
                "block {}: {} agents, {} feedbacks, {} responses, {} validations, {} audit entries",
                tally.block, tally.agents, tally.feedback, tally.responses, tally.validations, tally.audit
            )),
            Err(error) => info!(%error, "the tables cannot be counted now"),
        }
    }
}

async fn sleep_or_forever(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

/// A temporary folder that goes with the process.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, AppError> {
        let path = std::env::temp_dir().join(format!("meikan-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(AppError::Serve)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// What cannot be removed is left to the system's own cleaning of its temporary folder.
fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_dir_all(path) {
        info!(%error, path = %path.display(), "the demo's folder is left behind");
    }
}
