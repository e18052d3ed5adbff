//! The one place that wires: database, networks, server, signals, and an orderly stop.
//!
//! What must always hold: whatever was started here is stopped here, in reverse order and within [`STOP_LIMIT`], however
//! the work ends; and the first failure is what the caller sees.

mod audit;
mod check;
mod demo;
mod error;
mod key;
mod logging;
mod processors;
mod reindex;
mod signals;
mod threads;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::api::{self, ApiState};
use crate::config::{self, Config};
use crate::embedded::{self, Durability, Embedded};
use crate::follow::{FollowError, Stop, Until, desk, follow_at};
use crate::limit::Limiter;
use crate::metrics;
use crate::store::Store;
use crate::submit::Submitter;

pub use self::audit::{AuditOptions, audit};
pub use self::check::check;
pub use self::demo::{DemoOptions, demo};
pub use self::error::{AppError, Exit};
pub use self::key::{KeyOrder, key};
pub use self::logging::{LogFormat, start_logging};
use self::processors::{Crew, Processors};
pub use self::reindex::reindex;
use self::signals::Signals;
use self::threads::Threads;

/// Longest time that the parts have for their orderly end before they are cut off; a step that is cut off is rolled back.
/// With the 3.5 s that an embedded Postgres has after them it stays below the 5 s that a stop may take.
const STOP_LIMIT: Duration = Duration::from_millis(1_200);

/// Pause between two cleanings of the metrics, whose histograms grow until they are read or cleaned.
const UPKEEP_PAUSE: Duration = Duration::from_secs(5);

/// Pause between two reminders that a network is not written until an operator has looked at it.
const REMINDER_PAUSE: Duration = Duration::from_secs(60);

/// Where embedded Postgres keeps its data when nothing else is configured.
const DEFAULT_DATA_DIR: &str = "meikan-data";

/// What a process is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// The writer and the API.
    Both,
    /// Only the writer.
    Follow,
    /// Only the API.
    Serve,
}

/// Follows and serves until it is done, interrupted, or cannot go on.
///
/// # Errors
/// The first [`AppError`] of any part.
pub async fn run(config: Config, parts: Parts, until: Until) -> Result<Exit, AppError> {
    let mut signals = Signals::new().map_err(AppError::Serve)?;
    // The address is had first: a second node that is started by mistake ends before it touches anything.
    let listener = if parts == Parts::Follow { None } else { Some(bind(&config).await?) };
    let database = tokio::select! {
        database = open_database(&config) => database?,
        exit = signals.received() => return Ok(exit),
    };
    let cancel = CancellationToken::new();
    let work = run_with(&config, &database, listener, parts, until, &cancel);
    let exit = until_stopped(work, &cancel, async {
        tokio::select! {
            exit = signals.received() => Ok(exit),
            error = database.failed() => Err(error),
        }
    });
    let exit = exit.await;
    database.close().await;
    exit
}

/// Lets the work go on until it ends or `stop` says how it is to end; then it ends in order.
async fn until_stopped(
    work: impl Future<Output = Result<Exit, AppError>>,
    cancel: &CancellationToken,
    stop: impl Future<Output = Result<Exit, AppError>>,
) -> Result<Exit, AppError> {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        exit = &mut work => exit,
        stopped = stop => {
            info!("stopping");
            cancel.cancel();
            // What ends the work is told; what its parts say on the way down is a consequence.
            let _ = work.await;
            stopped
        }
    }
}

/// Brings the schema up to date.
///
/// # Errors
/// [`AppError`] of the database.
pub async fn migrate(config: Config) -> Result<Exit, AppError> {
    until_interrupted(async {
        let database = open_database(&config).await?;
        let migrated = database.store.migrate().await;
        database.close().await;
        let applied = migrated?;
        say(&format!("the schema is up to date ({applied} migrations applied now)"));
        Ok(Exit::Done)
    })
    .await
}

/// Does what ends by itself, unless a signal ends it: what it holds, an embedded Postgres too, is then dropped in order.
async fn until_interrupted(work: impl Future<Output = Result<Exit, AppError>>) -> Result<Exit, AppError> {
    let mut signals = Signals::new().map_err(AppError::Serve)?;
    tokio::select! {
        exit = work => exit,
        exit = signals.received() => Ok(exit),
    }
}

/// Prints a line. A reader that has seen enough (`| head`) closes the pipe, which is no failure.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// A database that is ours to stop where it is embedded.
struct Database {
    store: Arc<Store>,
    embedded: Option<Embedded>,
}

/// Connects to the configured Postgres, or starts the embedded one in the configured folder.
async fn open_database(config: &Config) -> Result<Database, AppError> {
    let data_dir = config.data_dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
    open_database_in(config, &data_dir, Durability::Safe).await
}

/// Connects to the configured Postgres, or starts the embedded one in that folder.
async fn open_database_in(config: &Config, data_dir: &Path, durability: Durability) -> Result<Database, AppError> {
    if !config.database.url.is_empty() {
        return Ok(Database { store: Arc::new(Store::connect(&config.database).await?), embedded: None });
    }
    let options = embedded::Options { durability, ..embedded::Options::new(data_dir) };
    let embedded = Embedded::start(&options).await?;
    let mut settings = config.database.clone();
    settings.url = embedded.url();
    match Store::connect(&settings).await {
        Ok(store) => Ok(Database { store: Arc::new(store), embedded: Some(embedded) }),
        Err(error) => {
            embedded.stop().await;
            Err(error.into())
        }
    }
}

impl Database {
    /// Resolves when the embedded Postgres ends by itself; never otherwise.
    async fn failed(&self) -> AppError {
        match &self.embedded {
            Some(embedded) => embedded.exited().await.into(),
            None => std::future::pending().await,
        }
    }

    async fn close(self) {
        self.store.close();
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

async fn run_with(
    config: &Config,
    database: &Database,
    listener: Option<TcpListener>,
    parts: Parts,
    until: Until,
    cancel: &CancellationToken,
) -> Result<Exit, AppError> {
    let store = &database.store;
    let prepared = async {
        if parts == Parts::Serve { store.check_schema().await } else { store.migrate().await.map(|_applied| ()) }
    };
    // Another process' migrations may take minutes, which who asks for the end does not wait for.
    tokio::select! {
        prepared = prepared => prepared?,
        () = cancel.cancelled() => return Ok(Exit::Done),
    }
    let mut tasks = JoinSet::new();
    let is_beside = listener.is_some() && parts != Parts::Serve;
    let threads = if is_beside { Threads::of_their_own().map_err(AppError::Serve)? } else { Threads::shared() };
    if let Some(listener) = listener {
        let state = serve(config, store, listener, cancel, &mut tasks)?;
        if let Some(processors) = Processors::of_this_process().filter(|_| is_beside) {
            tasks.spawn(give_way(processors, state, threads.crew.clone(), database, cancel));
        }
    }
    let mut following = 0;
    if parts != Parts::Serve {
        following = config.networks.len();
        for network in config.networks.clone() {
            tasks.spawn_on(follow_one(Arc::clone(store), network, parts, until, cancel.clone()), &threads.handle);
        }
    }
    let result = tokio::select! {
        result = until_done(&mut tasks, following, until) => result,
        () = cancel.cancelled() => Ok(()),
    };
    cancel.cancel();
    if tokio::time::timeout(STOP_LIMIT, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
        warn!("some requests did not end in time and are cut off");
    }
    result.map(|()| Exit::Done)
}

/// Takes the address to serve at.
async fn bind(config: &Config) -> Result<TcpListener, AppError> {
    let address = config.api.listen;
    TcpListener::bind(address).await.map_err(|source| AppError::Listen { address, source })
}

/// Leaves processors to who asks.
fn give_way(
    processors: Processors,
    state: ApiState,
    crew: Crew,
    database: &Database,
    cancel: &CancellationToken,
) -> impl Future<Output = Result<(), AppError>> + use<> {
    let server = database.embedded.as_ref().map(Embedded::family);
    let cancelled = cancel.clone().cancelled_owned();
    async move {
        tokio::select! {
            never = processors.give_way(|| state.requests(), &crew, state.store(), server) => never,
            () = cancelled => Ok(()),
        }
    }
}

/// Starts the server; what it is asked is told by what this returns.
fn serve(
    config: &Config,
    store: &Arc<Store>,
    listener: TcpListener,
    cancel: &CancellationToken,
    tasks: &mut JoinSet<Result<(), AppError>>,
) -> Result<ApiState, AppError> {
    let address = listener.local_addr().map_err(AppError::Serve)?;
    // A second recorder in one process is refused; only tests come here twice, and they read no metrics then.
    let recorder = metrics::install().ok();
    if let Some(recorder) = recorder.clone() {
        tasks.spawn(keep_metrics_small(recorder, cancel.clone()));
    }
    let limiter = Limiter::new(&config.limits)?;
    let submitter = Submitter::new(store, config.documents.clone(), &config.networks);
    let state = ApiState::until(cancel.clone(), Arc::clone(store), config.api.clone()).taking(Arc::new(submitter));
    let state = state.limited(config.limits.clone(), limiter);
    let router = api::router(state.clone(), recorder).into_make_service_with_connect_info::<SocketAddr>();
    info!("serving GraphQL at http://{address}/graphql");
    let stop = cancel.clone().cancelled_owned();
    // A message of a subscription leaves at once, and does not wait until the one before it is acknowledged.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "Nagle's algorithm stays on for a connection");
        }
    });
    let served = state.clone();
    tasks.spawn(async move {
        axum::serve(listener, router).with_graceful_shutdown(stop).await.map_err(AppError::Serve)?;
        served.sockets_closed().await;
        Ok(())
    });
    Ok(state)
}

/// Folds what the histograms took in, whether or not somebody reads `/metrics`.
async fn keep_metrics_small(recorder: PrometheusHandle, cancel: CancellationToken) -> Result<(), AppError> {
    let mut clock = tokio::time::interval(UPKEEP_PAUSE);
    let clean = async {
        loop {
            clock.tick().await;
            recorder.run_upkeep();
        }
    };
    tokio::select! {
        () = clean => Ok(()),
        () = cancel.cancelled() => Ok(()),
    }
}

async fn follow_one(
    store: Arc<Store>,
    network: config::Network,
    parts: Parts,
    until: Until,
    cancel: CancellationToken,
) -> Result<(), AppError> {
    let (desk, counter) = desk();
    let _auditing = audit::in_background(&network, &store, counter);
    match follow_at(desk, &store, &network, until, &cancel).await {
        Ok(Stop::Reached(tip)) => {
            info!(network = network.name, block = tip, "the wanted block is committed");
            Ok(())
        }
        Ok(Stop::Cancelled) => Ok(()),
        Err(source @ FollowError::FinalizedReplaced { .. }) if parts == Parts::Both && until == Until::Forever => {
            remind(&network.name, &source, &cancel).await;
            Ok(())
        }
        Err(source) => Err(AppError::Follow { network: network.name, source: Box::new(source) }),
    }
}

/// A final block that was replaced is for an operator to judge: nothing is written any more, loudly, and what is there is
/// served (F15). `/ready` turns red meanwhile, because nobody looks at the chain.
async fn remind(network: &str, reason: &FollowError, cancel: &CancellationToken) {
    while !cancel.is_cancelled() {
        error!(network, %reason, "writing has stopped; what is stored is still served");
        // Either the pause is over or it is asked to end, which the loop's condition tells apart.
        let _ = tokio::time::timeout(REMINDER_PAUSE, cancel.cancelled()).await;
    }
}

/// Waits until every followed network is done, or for the first failure.
async fn until_done(
    tasks: &mut JoinSet<Result<(), AppError>>,
    mut following: usize,
    until: Until,
) -> Result<(), AppError> {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(result) => result?,
            Err(panic) => return Err(AppError::Serve(io::Error::other(panic))),
        }
        following = following.saturating_sub(1);
        if following == 0 && until != Until::Forever {
            return Ok(());
        }
    }
    Ok(())
}
