//! The configuration: a TOML file with flags and environment over it, checked as a whole before any I/O.
//!
//! Unknown keys are refused. Every key has a default that suits a small node, with its unit in its name. URLs may hold
//! credentials: they are shown only through [`redact`].

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use serde::Deserialize;

use crate::event::{Generation, Role};
use crate::id::ChainId;

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where embedded Postgres and other files are kept.
    pub data_dir: Option<PathBuf>,
    /// The database.
    pub database: Database,
    /// The HTTP server.
    pub api: Api,
    /// The networks to follow, at least one.
    #[serde(rename = "network")]
    pub networks: Vec<Network>,
}

/// The database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// A Postgres URL; empty: an embedded Postgres in the data directory.
    pub url: String,
    /// Reads `url` from a file instead (a secret).
    pub url_file: Option<PathBuf>,
    /// A Postgres URL for reading; empty: the same as `url`. It may be a replica.
    pub read_url: String,
    /// Reads `read_url` from a file instead (a secret).
    pub read_url_file: Option<PathBuf>,
    /// Connections for answering queries.
    pub read_connections: usize,
    /// Longest wait for a free connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// Longest time a query of the API may take, in milliseconds.
    pub statement_timeout_ms: u64,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: String::new(),
            url_file: None,
            read_url: String::new(),
            read_url_file: None,
            read_connections: 16,
            acquire_timeout_ms: 5_000,
            statement_timeout_ms: 10_000,
        }
    }
}

/// The HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest time a request may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// Deepest nesting of a query.
    pub max_depth: usize,
    /// Most fields that a query may select, fragments written out.
    pub max_complexity: usize,
    /// Most rows that a query may read, nested lists included.
    pub max_rows: u32,
    /// `/ready` turns red when a network is further behind than this, in blocks.
    pub ready_lag_blocks: u64,
    /// `/ready` turns red when a network is further behind than this, or was not looked at for so long, in seconds.
    pub ready_lag_seconds: u64,
    /// `/ready` turns red when the chain's newest block is older than this by our clock, in seconds.
    pub ready_head_age_seconds: u64,
    /// Longest wait for `block: {number_gte}`, in milliseconds.
    pub wait_for_block_ms: u64,
    /// Room for answers that are given again until the next commit, in megabytes; 0 keeps none.
    pub cache_megabytes: u32,
    /// Most subscriptions that are open at a time, and most WebSockets.
    pub max_subscriptions: u32,
    /// A WebSocket whose client takes nothing for so long is cut off, in milliseconds.
    pub slow_client_ms: u64,
    /// A validation that nobody has answered is EXPIRED once it is older than this, in seconds of the chain's time.
    pub validation_expires_after_seconds: u64,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8004)),
            max_body_bytes: 100_000,
            request_timeout_ms: 30_000,
            max_depth: 16,
            max_complexity: 5_000,
            max_rows: 250_000,
            ready_lag_blocks: 30,
            ready_lag_seconds: 120,
            ready_head_age_seconds: 600,
            wait_for_block_ms: 5_000,
            cache_megabytes: 32,
            max_subscriptions: 2_000,
            slow_client_ms: 10_000,
            validation_expires_after_seconds: 604_800,
        }
    }
}

/// A network to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Its name, unique in the file.
    pub name: String,
    /// Its chain id; every endpoint must answer with it.
    pub chain_id: ChainId,
    /// Its endpoints (http, https, ws, wss): equals, of which the one that fares best is asked. Their order breaks ties.
    #[serde(default)]
    pub rpc_urls: Vec<String>,
    /// Reads `rpc_urls` from a file instead, one a line (a secret).
    #[serde(default)]
    pub rpc_urls_file: Option<PathBuf>,
    /// Endpoints that are asked only while none of `rpc_urls` can be.
    #[serde(default)]
    pub fallback_rpc_urls: Vec<String>,
    /// Reads `fallback_rpc_urls` from a file instead, one a line (a secret).
    #[serde(default)]
    pub fallback_rpc_urls_file: Option<PathBuf>,
    /// The first block to ingest.
    #[serde(default)]
    pub start_block: u64,
    /// The watched contracts.
    #[serde(default)]
    pub contracts: Contracts,
    /// How it is followed.
    #[serde(default)]
    pub follow: Follow,
}

/// How a network is followed: the table `[network.follow]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Follow {
    /// Pause between looks at the head, in milliseconds; a WebSocket's `newHeads` ends it early.
    pub poll_interval_ms: u64,
    /// Total deadline of one RPC request, in milliseconds.
    pub request_deadline_ms: u64,
    /// Most blocks of one `eth_getLogs` while far below the head.
    pub max_range_blocks: u64,
    /// Blocks below the head whose logs are asked for by block hash.
    pub by_hash_blocks: u64,
    /// Requests to one endpoint at the same time.
    pub concurrent_requests: usize,
    /// Requests in one JSON-RPC batch; 1 turns batches off.
    pub batch_requests: usize,
    /// Most requests to one endpoint in a second, each entry of a batch counted; 0: no limit.
    pub requests_per_second: u32,
    /// Pause between looks at the heads of endpoints that are not asked otherwise, in milliseconds.
    pub head_check_interval_ms: u64,
    /// Endpoints that must agree on the logs of each block; 1: one is believed.
    pub quorum: usize,
    /// Go on with the endpoints that answer when fewer than `quorum` do. Otherwise the writer waits.
    pub quorum_may_shrink: bool,
    /// Whether what is stored is held against the chain in the background.
    pub audit: bool,
    /// Most blocks that the background audit looks at in a second.
    pub audit_blocks_per_second: u32,
    /// Most requests that the background audit sends in a second; the headers of a stretch count as one.
    pub audit_requests_per_second: u32,
    /// Of a hundred blocks with logs, how many are held against their receipts; suspicious ones always are.
    pub audit_receipts_percent: u8,
    /// In each stretch of 500 blocks, of how many agents and clients the registry's own answer is asked.
    pub audit_call_samples: u32,
    /// Raw logs and headers that one transaction of a re-index from the store derives from, at most. What fits is one
    /// swap for readers.
    pub reindex_step_logs: u64,
}

impl Default for Follow {
    fn default() -> Self {
        Self {
            poll_interval_ms: 1_000,
            request_deadline_ms: 20_000,
            max_range_blocks: 10_000,
            by_hash_blocks: 128,
            concurrent_requests: 8,
            batch_requests: 100,
            requests_per_second: 0,
            head_check_interval_ms: 10_000,
            quorum: 1,
            quorum_may_shrink: false,
            audit: true,
            audit_blocks_per_second: 250,
            audit_requests_per_second: 5,
            audit_receipts_percent: 100,
            audit_call_samples: 2,
            reindex_step_logs: 200_000,
        }
    }
}

/// The watched contracts of a network by role: each an address or a list of addresses, those it lacks left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contracts {
    /// Identity registries; the first one is the primary deployment's.
    pub identity: Addresses,
    /// Reputation registries: the n-th names the n-th identity registry.
    pub reputation: Addresses,
    /// Validation registries, all of the primary deployment unless there are as many as identity registries.
    pub validation: Addresses,
    /// Audit logs.
    pub audit_log: Addresses,
    /// Registries of wallets' agents.
    pub agent_registry: Addresses,
    /// Policy engines.
    pub policy_engine: Addresses,
    /// Cross-chain executors.
    pub executor: Addresses,
    /// The generations of addresses whose logs do not tell it: `[network.contracts.generations]`.
    pub generations: Generations,
}

impl Contracts {
    /// The addresses of one role, in the order of the file.
    #[must_use]
    pub fn of(&self, role: Role) -> &[Address] {
        let addresses = match role {
            Role::Identity => &self.identity,
            Role::Reputation => &self.reputation,
            Role::Validation => &self.validation,
            Role::AuditLog => &self.audit_log,
            Role::AgentRegistry => &self.agent_registry,
            Role::PolicyEngine => &self.policy_engine,
            Role::Executor => &self.executor,
        };
        &addresses.0
    }

    /// The generation that is named for an address.
    #[must_use]
    pub fn generation(&self, address: &Address) -> Option<Generation> {
        self.generations.0.get(address).copied()
    }

    /// Every watched address with its role and its place within the role.
    pub fn all(&self) -> impl Iterator<Item = (Role, usize, Address)> {
        Role::ALL
            .into_iter()
            .flat_map(|role| self.of(role).iter().enumerate().map(move |(ordinal, address)| (role, ordinal, *address)))
    }
}

/// Generations by address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Generations(pub BTreeMap<Address, Generation>);

impl TryFrom<BTreeMap<String, String>> for Generations {
    type Error = String;

    fn try_from(named: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        let generation = |(address, name): (String, String)| {
            let known = Generation::ALL.map(|generation| format!("{:?}", generation.name())).join(" or ");
            let generation = Generation::from_name(&name).ok_or_else(|| {
                format!("{name:?} is no generation that can be named; write {known}, or leave it out")
            })?;
            Ok((parse_address(&address)?, generation))
        };
        named.into_iter().map(generation).collect::<Result<_, _>>().map(Self)
    }
}

/// One address or several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "OneOrMany")]
pub struct Addresses(pub Vec<Address>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected an address or a list of addresses, as strings")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl TryFrom<OneOrMany> for Addresses {
    type Error = String;

    fn try_from(addresses: OneOrMany) -> Result<Self, Self::Error> {
        match addresses {
            OneOrMany::One(address) => Ok(Self(vec![parse_address(&address)?])),
            OneOrMany::Many(addresses) => addresses.iter().map(|address| parse_address(address)).collect(),
        }
    }
}

impl FromIterator<Address> for Addresses {
    fn from_iter<T: IntoIterator<Item = Address>>(addresses: T) -> Self {
        Self(addresses.into_iter().collect())
    }
}

/// An address; one in mixed case must have the checksum of EIP-55, which finds a mistyped digit.
fn parse_address(text: &str) -> Result<Address, String> {
    let address: Address = text.parse().map_err(|_| {
        format!("{text:?} is not an address; one looks like \"0x8004A169FB4a3325136EB29fA0ceB6D2e539a432\"")
    })?;
    let digits = text.trim_start_matches("0x");
    let mixed = digits.bytes().any(|digit| digit.is_ascii_uppercase())
        && digits.bytes().any(|digit| digit.is_ascii_lowercase());
    if mixed && address.to_checksum(None).trim_start_matches("0x") != digits {
        return Err(format!("{text:?} has a wrong checksum (EIP-55); look for a mistyped digit"));
    }
    Ok(address)
}

/// What is wrong with the configuration, each in one sentence that says what to do.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that holds a secret cannot be read.
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    Parse {
        /// The file.
        path: PathBuf,
        /// Line and reason, in one line.
        reason: String,
    },
    /// The keys contradict each other or the world.
    Invalid(String),
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(f, "cannot read the configuration {}: {source}; name a file with --config", path.display())
            }
            Self::Secret { path, source } => {
                write!(f, "cannot read the secret in {}: {source}; check the file's name and rights", path.display())
            }
            Self::Parse { path, reason } => write!(f, "the configuration {} is not valid: {reason}", path.display()),
            Self::Invalid(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for ConfigError {}

fn invalid(reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid(reason.into())
}

impl Config {
    /// Reads a file. [`Config::read_secrets`] and [`Config::check`] are the caller's, once flags are laid over it.
    ///
    /// # Errors
    /// [`ConfigError`] when the file cannot be read, is not TOML, or has unknown keys.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = read_file(path)?;
        Self::parse(&text).map_err(|error| match error {
            ConfigError::Invalid(reason) => ConfigError::Parse { path: path.into(), reason },
            other => other,
        })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is not TOML, or has unknown keys: line and reason.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError::Invalid(one_line(&error, text)))
    }

    /// Reads the secrets whose files are named.
    ///
    /// # Errors
    /// [`ConfigError::Secret`] when one cannot be read.
    pub fn read_secrets(&mut self) -> Result<(), ConfigError> {
        if let Some(path) = &self.database.url_file {
            self.database.url = read_secret(path)?.trim().into();
        }
        if let Some(path) = &self.database.read_url_file {
            self.database.read_url = read_secret(path)?.trim().into();
        }
        for network in &mut self.networks {
            for (urls, path) in [
                (&mut network.rpc_urls, &network.rpc_urls_file),
                (&mut network.fallback_rpc_urls, &network.fallback_rpc_urls_file),
            ] {
                let Some(path) = path else { continue };
                let lines = read_secret(path)?;
                *urls = lines.lines().map(str::trim).filter(|url| !url.is_empty()).map(Into::into).collect();
            }
        }
        Ok(())
    }

    /// Checks what one key alone cannot tell.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with the first contradiction.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.networks.is_empty() {
            return Err(invalid("no network is configured; add a [[network]] to the configuration file"));
        }
        let mut names = HashMap::new();
        let mut chains = HashMap::new();
        for network in &self.networks {
            if names.insert(&network.name, ()).is_some() {
                return Err(invalid(format!("two networks are named {:?}; give each its own name", network.name)));
            }
            if let Some(other) = chains.insert(network.chain_id, &network.name) {
                return Err(invalid(format!(
                    "the networks {other:?} and {:?} both have chain_id {}; list the contracts of both in one network",
                    network.name, network.chain_id
                )));
            }
            network.check()?;
        }
        if self.database.read_connections == 0 {
            return Err(invalid("database.read_connections is 0; at least one connection is needed"));
        }
        if self.api.max_subscriptions == 0 || self.api.slow_client_ms == 0 {
            return Err(invalid("api.max_subscriptions and api.slow_client_ms must be at least 1"));
        }
        Ok(())
    }
}

impl Network {
    /// Its endpoints, those for better days before those for worse ones.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.rpc_urls.iter().chain(&self.fallback_rpc_urls).map(String::as_str)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
            return Err(invalid(format!("the network name {name:?} is not made of letters, digits, - and _")));
        }
        if i64::try_from(self.chain_id).is_err() || i64::try_from(self.start_block).is_err() {
            return Err(invalid(format!("network {name}: chain_id and start_block must be below 2^63")));
        }
        if self.rpc_urls.is_empty() {
            return Err(invalid(format!("network {name} has no endpoint; set rpc_urls or pass --rpc-url")));
        }
        for url in self.endpoints() {
            if !["http://", "https://", "ws://", "wss://"].iter().any(|scheme| url.starts_with(scheme)) {
                return Err(invalid(format!(
                    "network {name}: the endpoint {} does not begin with http://, https://, ws:// or wss://",
                    redact(url)
                )));
            }
        }
        let endpoints = self.endpoints().count();
        if self.follow.quorum > endpoints {
            return Err(invalid(format!(
                "network {name}: quorum is {}, but there are {endpoints} endpoint(s); add endpoints to rpc_urls or lower it",
                self.follow.quorum
            )));
        }
        let mut watched = HashMap::new();
        for (role, _, address) in self.contracts.all() {
            if let Some(other) = watched.insert(address, role) {
                return Err(invalid(format!(
                    "network {name}: {address} is listed as {} and as {}; an address has one role",
                    Role::name(other),
                    role.name()
                )));
            }
        }
        for address in self.contracts.generations.0.keys() {
            if watched.get(address) != Some(&Role::Reputation) {
                return Err(invalid(format!(
                    "network {name}: a generation is named for {address}, which is no reputation registry of it; only \
                     feedback has layouts that logs do not tell apart"
                )));
            }
        }
        if watched.is_empty() {
            return Err(invalid(format!("network {name} watches no contract; fill [network.contracts]")));
        }
        if self.contracts.reputation.0.len() > self.contracts.identity.0.len() {
            return Err(invalid(format!(
                "network {name} lists more reputation than identity registries; the n-th of one belongs to the n-th of \
                 the other"
            )));
        }
        self.follow.check(name)
    }
}

impl Follow {
    fn check(&self, network: &str) -> Result<(), ConfigError> {
        let positive = [
            ("poll_interval_ms", self.poll_interval_ms),
            ("request_deadline_ms", self.request_deadline_ms),
            ("max_range_blocks", self.max_range_blocks),
            ("by_hash_blocks", self.by_hash_blocks),
            ("concurrent_requests", self.concurrent_requests as u64),
            ("batch_requests", self.batch_requests as u64),
            ("head_check_interval_ms", self.head_check_interval_ms),
            ("quorum", self.quorum as u64),
            ("audit_blocks_per_second", self.audit_blocks_per_second.into()),
            ("audit_requests_per_second", self.audit_requests_per_second.into()),
            ("reindex_step_logs", self.reindex_step_logs),
        ];
        if self.audit_receipts_percent > 100 {
            return Err(invalid(format!("network {network}: audit_receipts_percent is above 100")));
        }
        match positive.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(invalid(format!("network {network}: {key} is 0; it must be at least 1"))),
            None => Ok(()),
        }
    }
}

/// A URL as it may be shown: scheme, host, port; no user, password, path or query, because endpoints put keys there.
///
/// A database URL keeps its database's name, which is its whole path.
#[must_use]
pub fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(not a URL)".into() };
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = match scheme {
        "postgres" | "postgresql" => path.split(['?', '#']).next().unwrap_or_default(),
        _ if path.len() > 1 => "/…",
        _ => "",
    };
    format!("{scheme}://{host}{path}")
}

/// A text of somebody else's with every URL in it as it may be shown.
#[must_use]
pub fn redact_within(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let scheme = rest[..at].rfind(|c: char| !c.is_ascii_alphanumeric()).map_or(0, |end| {
            let width = rest[end..].chars().next().map_or(1, char::len_utf8);
            end + width
        });
        let end =
            rest[at..].find(|c: char| c.is_whitespace() || "\"'`<>\\".contains(c)).map_or(rest.len(), |end| at + end);
        shown.push_str(&rest[..scheme]);
        shown.push_str(&redact(&rest[scheme..end]));
        rest = &rest[end..];
    }
    shown + rest
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })
}

fn read_secret(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Secret { path: path.into(), source })
}

/// The TOML parser draws the place over several lines; the reason and the line's number say it in one.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    // What the parser did not expect it repeats, and that may be a URL at a wrong place.
    let message = redact_within(&error.message().lines().collect::<Vec<_>>().join(", "));
    match error.span() {
        Some(span) => {
            let line = text[..span.start.min(text.len())].lines().count().max(1);
            format!("line {line}: {message}")
        }
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, redact, redact_within};

    const NETWORK: &str = r#"
        [[network]]
        name = "taiko"
        chain_id = 167000
        rpc_urls = ["https://rpc.mainnet.taiko.xyz"]
        [network.contracts]
        identity = "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432"
    "#;

    /// The sentence that refuses a configuration.
    fn refusal(text: &str) -> String {
        match Config::parse(text).and_then(|config| config.check()) {
            Ok(()) => panic!("this configuration is accepted: {text}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_small_file_is_enough() {
        let config = Config::parse(NETWORK).expect("it parses");
        config.check().expect("it is consistent");
        assert_eq!(config.networks[0].follow.by_hash_blocks, 128);
        assert_eq!(config.networks[0].contracts.all().count(), 1);
    }

    #[test]
    fn the_committed_files_are_valid() {
        for text in [include_str!("../config/hoodi.toml"), include_str!("../config/production.toml")] {
            Config::parse(text).expect("it parses").check().expect("it is consistent");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        for (text, key) in [
            ("[database]\nurll = ''", "urll"),
            ("[api]\nport = 1", "port"),
            ("[[network]]\nname = 'a'\nchain_id = 1\nspeed = 2", "speed"),
            ("[[network]]\nname = 'a'\nchain_id = 1\n[network.follow]\npoll = 2", "poll"),
            ("[[network]]\nname = 'a'\nchain_id = 1\n[network.contracts]\nregistry = '0x'", "registry"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains("line ") && refusal.contains(key), "{refusal}");
        }
    }

    #[test]
    fn a_malformed_address_is_refused_with_an_example() {
        let refused = refusal(&NETWORK.replace("0x8004A169", "0x80"));
        assert!(refused.contains("is not an address; one looks like"), "{refused}");
        let refused = refusal(&NETWORK.replace("e539a432", "e539a433"));
        assert!(refused.contains("wrong checksum"), "{refused}");
        let refused = refusal(&NETWORK.replace("\"0x8004A169FB4a3325136EB29fA0ceB6D2e539a432\"", "7"));
        assert!(refused.contains("expected an address or a list"), "{refused}");
    }

    #[test]
    fn contradictions_are_refused() {
        let registry = "0x8004A169FB4a3325136EB29fA0ceB6D2e539a432";
        for (text, said) in [
            (String::new(), "no network is configured"),
            (NETWORK.replace("https://", "ftp://"), "does not begin with"),
            (NETWORK.replace("rpc_urls", "#"), "no endpoint"),
            (NETWORK.replace("identity", "#"), "watches no contract"),
            (format!("{NETWORK}\n{NETWORK}"), "two networks are named"),
            (format!("{NETWORK}\n{}", NETWORK.replace("taiko\"", "other\"")), "both have chain_id 167000"),
            (format!("{NETWORK}\nreputation = '{registry}'"), "an address has one role"),
            (format!("{NETWORK}\n[network.follow]\nmax_range_blocks = 0"), "max_range_blocks is 0"),
            (format!("{NETWORK}\n[network.follow]\nquorum = 0"), "quorum is 0"),
            (format!("{NETWORK}\n[network.follow]\nquorum = 2"), "quorum is 2, but there are 1 endpoint(s)"),
            (NETWORK.replace("chain_id", "fallback_rpc_urls = ['ftp://a']\nchain_id"), "ftp://a does not begin with"),
            (
                format!("{NETWORK}\n[network.follow]\naudit_receipts_percent = 101"),
                "audit_receipts_percent is above 100",
            ),
            (format!("{NETWORK}\n[network.follow]\naudit_blocks_per_second = 0"), "audit_blocks_per_second is 0"),
            (NETWORK.replace("identity", "reputation"), "more reputation than identity"),
            (NETWORK.replace("= \"taiko\"", "= \"t a\""), "is not made of letters"),
            (format!("[api]\nmax_subscriptions = 0\n{NETWORK}"), "api.max_subscriptions and"),
            (format!("[api]\nslow_client_ms = 0\n{NETWORK}"), "api.slow_client_ms must be at least 1"),
        ] {
            let refusal = refusal(&text);
            assert!(refusal.contains(said), "{refusal}");
        }
    }

    #[test]
    fn f50_a_generation_is_named_for_a_reputation_registry() {
        let registry = "0x59f8f15002d586a0912225d3437da46ba5641f61";
        let network = format!("{NETWORK}\nreputation = '{registry}'\n[network.contracts.generations]\n");
        let config = Config::parse(&format!("{network}'{registry}' = '2025-11'")).expect("it parses");
        config.check().expect("it is consistent");
        let named = config.networks[0].contracts.generation(&registry.parse().expect("an address"));
        assert_eq!(named, Some(crate::event::Generation::November2025));
        for (entry, said) in [
            (format!("'{registry}' = '2024'"), "\"2024\" is no generation that can be named; write \"2025-11\" or"),
            ("'0x12' = '2025-11'".to_owned(), "is not an address"),
            ("'0x8004A169FB4a3325136EB29fA0ceB6D2e539a432' = '2025-11'".to_owned(), "which is no reputation registry"),
        ] {
            let refusal = refusal(&format!("{network}{entry}"));
            assert!(refusal.contains(said), "{refusal}");
        }
    }

    #[test]
    fn a_redacted_url_has_no_secret() {
        for (url, shown) in [
            ("https://user:secret@rpc.example:8545/v3/secret?key=secret#secret", "https://rpc.example:8545/…"),
            ("https://rpc.example", "https://rpc.example"),
            ("wss://rpc.example/", "wss://rpc.example"),
            ("postgres://me:secret@db.example/meikan?password=secret", "postgres://db.example/meikan"),
            ("https://a@b:secret@rpc.example", "https://rpc.example"),
            ("secret", "(not a URL)"),
        ] {
            assert_eq!(redact(url), shown);
        }
    }

    #[test]
    fn urls_within_a_text_are_redacted() {
        for (text, shown) in [
            ("nothing to hide", "nothing to hide"),
            (
                "invalid type: string \"https://u:secret@rpc/secret\", expected",
                "invalid type: string \"https://rpc/…\", expected",
            ),
            ("'postgres://u:secret@db/name' and wss://secret@rpc", "'postgres://db/name' and wss://rpc"),
            ("名://secret@host", "名://host"),
        ] {
            assert_eq!(redact_within(text), shown);
        }
    }

    #[test]
    fn a_url_at_a_wrong_place_is_refused_without_its_secrets() {
        let refusal =
            refusal(&NETWORK.replace("[\"https://rpc", "\"https://user:secret@rpc").replace("xyz\"]", "xyz/secret\""));
        assert!(refusal.contains("expected a sequence") && !refusal.contains("secret"), "{refusal}");
    }
}
