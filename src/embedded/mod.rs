//! An embedded Postgres for whoever gives no database URL: found on the machine, initialised once in the data directory,
//! started, watched, and stopped in order.
//!
//! What must always hold: one Meikan at a time holds a data directory (a locked file, released by the kernel however the
//! process ends); no server outlives its Meikan for long (a guard process stops it, and the next start stops what is
//! left); nothing that was committed is lost, whichever of the two is killed and when; and only the user who runs it can
//! connect (a Unix socket in a folder of mode 0700, no TCP).
//!
//! The story, one file each: `find` the binaries, choose the `identity` they run under (Postgres refuses root),
//! lock and clear what a crash left over (`leftover`), `init` the cluster, choose a folder for the `socket`, and
//! start the `server` with our `settings`.

mod command;
mod error;
mod find;
mod identity;
mod init;
mod leftover;
mod server;
mod settings;
mod socket;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{NoTls, error::SqlState};
use tracing::info;

pub use error::EmbeddedError;
use find::Places;
use identity::Identity;
use leftover::Lock;
use server::Server;
use socket::SocketDir;

/// The superuser of the cluster and owner of everything in it. It has no password: the socket's folder is the key.
const USER: &str = "meikan";
/// The database that [`Embedded::url`] names.
const DATABASE: &str = "meikan";
/// The longest that a start may take. Only a crash recovery comes near: it replays up to `max_wal_size` of log.
const START_LIMIT_S: u64 = 600;
/// How often a starting server is asked whether it is ready.
const READY_POLL_MS: u64 = 20;
/// The longest that one such question may take.
const CONNECT_LIMIT_MS: u64 = 5_000;
/// How often a start that takes long says so.
const START_NEWS_S: u64 = 10;

/// How much a commit is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A commit survives a power cut. The only right choice for data that anybody needs again.
    Safe,
    /// No `fsync` at all: a commit survives the death of any process, but not of the machine. For tests and demos.
    Fast,
}

/// Where the embedded Postgres lives and how it is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// Meikan's data directory; Postgres gets the folder `postgres` below it. It is made when it is missing.
    pub data_dir: PathBuf,
    /// The folder that holds `initdb` and `postgres`; when given, no other place is searched.
    pub bin_dir: Option<PathBuf>,
    /// See [`Durability`].
    pub durability: Durability,
}

impl Options {
    /// The options for a node: full durability, and the binaries from `MEIKAN_POSTGRES_BIN` if that is set.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let bin_dir = std::env::var_os("MEIKAN_POSTGRES_BIN").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        Self { data_dir: data_dir.into(), bin_dir, durability: Durability::Safe }
    }
}

/// A running Postgres that belongs to this process. Dropping it stops it too, blocking for as long as [`Self::stop`]
/// takes.
///
/// It is not tied to the tokio runtime that started it: threads of its own read its messages and wait for its end.
#[derive(Debug)]
pub struct Embedded {
    // Declared in the order in which they must go: the server, its socket's folder, then the lock.
    server: Server,
    socket: SocketDir,
    url: String,
    version: String,
    _lock: Lock,
}

impl Embedded {
    /// Starts the Postgres of a data directory and returns when it takes connections: a new cluster takes about two
    /// seconds, an existing one a few tenths, and one that crashed as long as its recovery.
    ///
    /// # Errors
    /// Every [`EmbeddedError`] says what to do next. Whatever was started is stopped again.
    pub async fn start(options: &Options) -> Result<Self, EmbeddedError> {
        let its_options = options.clone();
        let launched = tokio::task::spawn_blocking(move || Self::launch(&its_options)).await;
        let embedded = launched.map_err(|interrupted| {
            EmbeddedError::io("start Postgres in", &options.data_dir)(io::Error::other(interrupted))
        })??;
        embedded.ready().await?;
        info!(postgres = embedded.version, url = embedded.url, "embedded Postgres is ready");
        Ok(embedded)
    }

    /// The URL of the database, for tokio-postgres, `psql` and all that is built on libpq. It holds no secret.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The version of the server, such as `18.4`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The process id of the server (its postmaster).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// What tells the server's own processes from others.
    #[must_use]
    pub fn family(&self) -> Family {
        Family(self.pid())
    }

    /// Waits until the server has ended, and returns the error that says how. Meant for a `select!` beside the work
    /// that needs the server; it may be called again and again.
    pub async fn exited(&self) -> EmbeddedError {
        self.server.exited().await
    }

    /// Stops the server in order: connections are closed, everything is written, and the next start needs no recovery.
    /// A server that takes more than about four seconds is cut short, which costs a recovery but no data.
    pub async fn stop(self) {
        // The only failure is a panic in the drop, which the hook has then printed.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    /// Everything that blocks: from the search for binaries to a server process that is not ready yet.
    fn launch(options: &Options) -> Result<Self, EmbeddedError> {
        let home = Home::make(&options.data_dir)?;
        let lock = Lock::take(&home)?;
        let binaries = Places::of_machine(options.bin_dir.as_deref()).find(&home.cluster(), home.major()?)?;
        let identity = Identity::choose(home.path(), &binaries)?;
        leftover::clear(&home)?;
        init::ensure_cluster(&home, &identity, &binaries, options.durability)?;
        settings::write(&home.cluster(), &identity)?;
        let socket = SocketDir::prepare(&home, &identity)?;
        let url = socket.url(USER, DATABASE);
        lock.tell(&url)?;
        let server = Server::spawn(&home.cluster(), &identity, &binaries, options.durability, &socket)?;
        Ok(Self { server, socket, url, version: binaries.version, _lock: lock })
    }

    /// Waits until a connection is accepted.
    async fn ready(&self) -> Result<(), EmbeddedError> {
        let started = Instant::now();
        let mut news_due = Duration::from_secs(START_NEWS_S);
        while started.elapsed() < Duration::from_secs(START_LIMIT_S) {
            if let Some(error) = self.server.ended() {
                return Err(error);
            }
            match timeout(Duration::from_millis(CONNECT_LIMIT_MS), tokio_postgres::connect(&self.url, NoTls)).await {
                Ok(Ok(_connection)) => return Ok(()),
                Ok(Err(refused)) => {
                    // Anything but "starting up" from a server that speaks will not change by waiting.
                    if refused.code().is_some_and(|code| *code != SqlState::CANNOT_CONNECT_NOW) {
                        return Err(EmbeddedError::Connect { url: self.url.clone(), reason: refused.to_string() });
                    }
                }
                Err(_elapsed) => {}
            }
            if started.elapsed() >= news_due {
                info!(seconds = started.elapsed().as_secs(), "embedded Postgres is still starting (crash recovery?)");
                news_due += Duration::from_secs(START_NEWS_S);
            }
            sleep(Duration::from_millis(READY_POLL_MS)).await;
        }
        Err(EmbeddedError::NotReady { limit_s: START_LIMIT_S, last_lines: self.server.last_lines() })
    }
}

/// The processes of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family(u32);

impl Family {
    /// Whether a process is a child of the server, one for each connection among them; never where there is no `/proc`.
    #[must_use]
    pub fn has(self, pid: u32) -> bool {
        // The name, which is in brackets, may hold anything; behind it come the state and the parent.
        let parent = |stat: String| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok();
        fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(parent) == Some(self.0)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.server.halt();
        self.socket.remove();
    }
}

/// The folder `postgres` of a data directory: `lock`, `cluster` (what Postgres calls PGDATA) and `run` (the socket).
#[derive(Debug)]
struct Home(PathBuf);

impl Home {
    fn make(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let wanted = data_dir.join("postgres");
        fs::create_dir_all(&wanted).map_err(EmbeddedError::io("make the folder", &wanted))?;
        // The full path: the server changes its folder, and the URL is used elsewhere.
        let path = fs::canonicalize(&wanted).map_err(EmbeddedError::io("enter the folder", &wanted))?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }

    fn cluster(&self) -> PathBuf {
        self.0.join("cluster")
    }

    /// The major version that the cluster was made with; `None` before there is one.
    fn major(&self) -> Result<Option<u32>, EmbeddedError> {
        let file = self.cluster().join("PG_VERSION");
        match fs::read_to_string(&file) {
            Ok(text) => match text.trim().parse() {
                Ok(major) => Ok(Some(major)),
                Err(_) => Err(EmbeddedError::NotACluster { path: self.cluster() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EmbeddedError::io("read", &file)(error)),
        }
    }
}
