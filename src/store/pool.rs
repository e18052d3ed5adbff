//! Connections to the database: where a URL leads, and the pools for reading and for writing.
//!
//! The pools are apart, so that queries never starve the writer (F56, F72). A reading connection cannot write and cannot
//! run for ever: the server itself refuses, whatever the query is.

use std::time::Duration;

use deadpool::managed::QueueMode;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use tokio_postgres::config::Host;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{CancelToken, Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::StoreError;
use super::tls::{self, SslMode};
use crate::config::redact;

/// A connection that was silent for this long is probed, this often, this many times; then it is dead. The defaults of
/// driver and server are two hours, in which a follower would stand still behind a server that is gone, and a server
/// would keep the lock of a writer that is gone from its standby.
const KEEPALIVE_IDLE_S: u64 = 10;
const KEEPALIVE_INTERVAL_S: u64 = 5;
const KEEPALIVE_PROBES: u32 = 3;

/// What connections call themselves in `pg_stat_activity`, unless the URL names something.
const READERS_NAME: &str = "meikan";
pub(super) const WRITERS_NAME: &str = "meikan writer";

/// How long the server keeps a writer's transaction open, and its locks, while the writer says nothing.
const IDLE_TRANSACTION_MS: u64 = 60_000;

/// The `plan_cache_mode` of look-ups by keys, and of what has no parameters. Left to itself, the server would compare guesses of
/// what plans cost, and make most of them anew each time: five times the work of a look-up.
pub(super) const KEPT_PLANS: &str = "force_generic_plan";

/// The `plan_cache_mode` of everything else: plans are made for the values of each statement. A writer fills tables that grow, and
/// what clients filter by is rare or is on every row.
pub(super) const PLANS_FOR_VALUES: &str = "force_custom_plan";

/// A connection's stream within TLS.
type Encrypted = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Longest wait for a connection of its own, where the URL names none.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a database is and how it is reached.
#[derive(Clone)]
pub(super) struct Target {
    /// The URL as it may be shown.
    shown: String,
    config: tokio_postgres::Config,
    /// Whether the URL gives its connections a name.
    is_named: bool,
    tls: MakeRustlsConnect,
}

impl Target {
    /// Reads a database URL; the parameters `sslmode` and `sslrootcert` are libpq's.
    ///
    /// # Errors
    /// [`StoreError::Url`], or [`StoreError::Certificates`].
    pub(super) fn from_url(url: &str) -> Result<Self, StoreError> {
        let invalid = |reason: String| StoreError::Url { reason };
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(invalid("it does not begin with postgres://".into()));
        }
        let (url, ssl) = take_ssl_parameters(url)?;
        let mut config: tokio_postgres::Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let reason = std::error::Error::source(&error).map(ToString::to_string);
            invalid(reason.unwrap_or_else(|| error.to_string()))
        })?;
        // As in libpq, a Unix socket has no TLS.
        let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
        let mode = if local { SslMode::Disable } else { ssl.mode };
        config.ssl_mode(mode.driver());
        let is_named = config.get_application_name().is_some();
        if !is_named {
            config.application_name(READERS_NAME);
        }
        Ok(Self { shown: redact(&url), config, is_named, tls: tls::connector(mode, ssl.root_file.as_deref())? })
    }

    /// A connection of its own, beside all pools, which its owner drives.
    ///
    /// # Errors
    /// What the server or the network says.
    pub(super) async fn connect(&self) -> Result<(Client, Connection<Socket, Encrypted>), tokio_postgres::Error> {
        let mut target = self.clone();
        if target.config.get_connect_timeout().is_none() {
            target.config.connect_timeout(CONNECT_TIMEOUT);
        }
        target.probe_when_silent();
        target.config.connect(target.tls).await
    }

    /// Both ends notice within half a minute that the other one is gone without a word.
    fn probe_when_silent(&mut self) {
        self.set("tcp_keepalives_idle", &KEEPALIVE_IDLE_S.to_string());
        self.set("tcp_keepalives_interval", &KEEPALIVE_INTERVAL_S.to_string());
        self.set("tcp_keepalives_count", &KEEPALIVE_PROBES.to_string());
        let probed = KEEPALIVE_IDLE_S + KEEPALIVE_INTERVAL_S * u64::from(KEEPALIVE_PROBES);
        self.config
            .keepalives_idle(Duration::from_secs(KEEPALIVE_IDLE_S))
            .keepalives_interval(Duration::from_secs(KEEPALIVE_INTERVAL_S))
            .keepalives_retries(KEEPALIVE_PROBES)
            .tcp_user_timeout(Duration::from_secs(probed));
    }

    /// Adds `-c name=value` to what every connection starts with.
    fn set(&mut self, name: &str, value: &str) {
        let before = self.config.get_options().map(|options| format!("{options} ")).unwrap_or_default();
        self.config.options(format!("{before}-c {name}={value}"));
    }
}

struct Ssl {
    mode: SslMode,
    root_file: Option<String>,
}

/// Takes out of a URL the parameters that the driver does not know.
fn take_ssl_parameters(url: &str) -> Result<(String, Ssl), StoreError> {
    let mut ssl = Ssl { mode: SslMode::default(), root_file: None };
    let Some((base, query)) = url.split_once('?') else { return Ok((url.into(), ssl)) };
    let mut kept = Vec::new();
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", name)) => {
                ssl.mode = SslMode::from_name(name).ok_or_else(|| StoreError::Url {
                    reason: "sslmode is none of disable, prefer, require, verify-ca and verify-full".into(),
                })?;
            }
            Some(("sslrootcert", path)) => ssl.root_file = Some(percent_decode(path)?),
            _ => kept.push(parameter),
        }
    }
    let query = kept.join("&");
    Ok((if query.is_empty() { base.into() } else { format!("{base}?{query}") }, ssl))
}

fn percent_decode(text: &str) -> Result<String, StoreError> {
    let invalid = || StoreError::Url { reason: "sslrootcert has a % that begins no UTF-8 byte in hex".into() };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next().ok_or_else(invalid)?, rest.next().ok_or_else(invalid)?];
            let hex = std::str::from_utf8(&hex).map_err(|_| invalid())?;
            bytes.push(u8::from_str_radix(hex, 16).map_err(|_| invalid())?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid())
}

/// A bounded set of connections to one database; a clone is the same set.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    tls: MakeRustlsConnect,
    shown: String,
    acquire_timeout: Duration,
}

impl Connections {
    /// Connections that may write.
    pub(super) fn for_writing(mut target: Target, size: usize, acquire_timeout: Duration) -> Self {
        if !target.is_named {
            target.config.application_name(WRITERS_NAME);
        }
        target.set("idle_in_transaction_session_timeout", &format!("{IDLE_TRANSACTION_MS}ms"));
        target.set("plan_cache_mode", PLANS_FOR_VALUES);
        Self::new(target, size, acquire_timeout)
    }

    /// Connections on which the server refuses to write and ends what takes too long.
    pub(super) fn for_reading(
        mut target: Target,
        size: usize,
        acquire_timeout: Duration,
        statement_timeout: Duration,
    ) -> Self {
        target.set("default_transaction_read_only", "on");
        target.set("plan_cache_mode", KEPT_PLANS);
        target.set("statement_timeout", &format!("{}ms", statement_timeout.as_millis()));
        Self::new(target, size, acquire_timeout)
    }

    fn new(mut target: Target, size: usize, acquire_timeout: Duration) -> Self {
        // Compiling a plan costs more than it wins for queries of milliseconds.
        target.set("jit", "off");
        if target.config.get_connect_timeout().is_none() {
            target.config.connect_timeout(acquire_timeout);
        }
        target.probe_when_silent();
        let tls = target.tls.clone();
        let manager =
            Manager::from_config(target.config, target.tls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(size)
            .wait_timeout(Some(acquire_timeout))
            .create_timeout(Some(acquire_timeout))
            .runtime(Runtime::Tokio1)
            // Who was last at work is next: the server's process has what it needs at hand, and others rest.
            .queue_mode(QueueMode::Lifo)
            .build()
            .expect("a runtime is given, which is all that building a pool asks for");
        Self { pool, tls, shown: target.shown, acquire_timeout }
    }

    /// A connection, for as long as it is held.
    ///
    /// # Errors
    /// [`StoreError::Connect`], or [`StoreError::Busy`] when none was free in time.
    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(source) => StoreError::Connect { url: self.shown.clone(), source },
            PoolError::Timeout(TimeoutType::Create) => {
                StoreError::Unanswered { url: self.shown.clone(), waited: self.acquire_timeout }
            }
            _ => StoreError::Busy { url: self.shown.clone(), waited: self.acquire_timeout },
        })
    }

    /// Most connections.
    pub(super) fn limit(&self) -> usize {
        self.pool.status().max_size
    }

    /// What ends a statement that runs on a connection, from another one.
    pub(super) fn canceller(&self, connection: &Object) -> Canceller {
        Canceller { token: connection.cancel_token(), tls: self.tls.clone() }
    }

    /// Closes the connections that are not in use, and the others as they come back.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// Ends what runs on one connection.
#[derive(Clone)]
pub(super) struct Canceller {
    token: CancelToken,
    tls: MakeRustlsConnect,
}

impl Canceller {
    /// Asks the server to end the statement; whether it did, or there was none, is not told.
    pub(super) async fn cancel(self) {
        if let Err(error) = self.token.cancel_query(self.tls).await {
            tracing::debug!(%error, "a statement could not be cancelled; its time-out will end it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{StoreError, Target, take_ssl_parameters};
    use crate::store::tls::SslMode;

    #[test]
    fn ssl_parameters_are_taken_out_of_the_url() {
        let url = "postgres://u:p@db/n?sslmode=verify-full&connect_timeout=3&sslrootcert=%2Fetc%2Fmy%20ca.pem";
        let (rest, ssl) = take_ssl_parameters(url).expect("the URL is valid");
        assert_eq!(rest, "postgres://u:p@db/n?connect_timeout=3");
        assert_eq!((ssl.mode, ssl.root_file.as_deref()), (SslMode::VerifyFull, Some("/etc/my ca.pem")));
    }

    #[test]
    fn a_unix_socket_is_reached_without_tls() {
        for url in ["postgres://u@%2Ftmp%2Fsocket/n?sslmode=verify-full", "postgres:///n?host=/tmp/socket&user=u"] {
            let target = Target::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(target.config.get_ssl_mode(), tokio_postgres::config::SslMode::Disable, "{url}");
        }
    }

    #[test]
    fn a_peer_that_is_gone_is_noticed_at_both_ends() {
        let mut target = Target::from_url("postgres://db/n").expect("the URL is valid");
        target.probe_when_silent();
        assert_eq!(target.config.get_keepalives_idle().as_secs(), 10);
        let server = target.config.get_options().expect("the server is told");
        assert!(server.contains("-c tcp_keepalives_idle=10 "), "{server}");
    }

    #[test]
    fn an_invalid_url_is_refused_without_showing_it() {
        let urls = [
            "mysql://user:secret@db/n",
            "host=db password=secret",
            "postgres://user:secret@db:notaport/n",
            "postgres://user:secret@db/n?sslmode=maybe",
            "postgres://user:secret@db/n?unknown=secret",
        ];
        for url in urls {
            let error = Target::from_url(url).err().unwrap_or_else(|| panic!("{url} was taken"));
            assert!(matches!(error, StoreError::Url { .. }), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{url}: {error}");
        }
    }

    #[test]
    fn missing_root_certificates_are_named() {
        let error = Target::from_url("postgres://db/n?sslmode=verify-ca&sslrootcert=/no/such.pem").err();
        let error = error.expect("there is no such file").to_string();
        assert!(error.contains("/no/such.pem") && error.contains("sslrootcert"), "{error}");
    }
}
