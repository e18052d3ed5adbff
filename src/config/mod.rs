//! The configuration: a TOML file with flags and environment over it, checked as a whole before any I/O.
//!
//! Unknown keys are refused. Every key has a default that suits a small node, with its unit in its name. URLs may hold
//! credentials: they are shown only through [`redact`].

mod contracts;
mod documents;
mod error;
mod limits;
mod network;
mod origin;
mod redact;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::id::AgentId;

pub use self::contracts::{Addresses, Contracts, Generations};
pub use self::documents::Documents;
pub use self::error::ConfigError;
use self::error::invalid;
pub use self::limits::{Limits, Quota, Tiers, TrustedProxies};
pub use self::network::{Follow, Network};
pub use self::origin::Origins;
pub use self::redact::{redact, redact_within};

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
    /// Signed documents.
    pub documents: Documents,
    /// How much anybody may do.
    pub limits: Limits,
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
    /// Where others reach this server, such as `https://node.example`; empty: as it is asked.
    pub public_url: String,
    /// The id of the agent whose card is served at `/.well-known/agent-card.json`; empty: none.
    pub served_agent: String,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
    /// Longest time a request may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// Deepest nesting of a query.
    pub max_depth: usize,
    /// Most fields that a query may select, fragments written out.
    pub max_complexity: usize,
    /// Most names, numbers, texts and signs that a query is written with.
    pub max_tokens: usize,
    /// Most fields that a query renames, fragments written out.
    pub max_aliases: u64,
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
    /// The origins whose pages may ask and open WebSockets, such as `"https://app.example"`; none: any.
    pub allowed_origins: Origins,
    /// A validation that nobody has answered is EXPIRED once it is older than this, in seconds of the chain's time.
    pub validation_expires_after_seconds: u64,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8004)),
            public_url: String::new(),
            served_agent: String::new(),
            max_body_bytes: 100_000,
            request_timeout_ms: 30_000,
            max_depth: 16,
            max_complexity: 5_000,
            max_tokens: 10_000,
            max_aliases: 100,
            max_rows: 250_000,
            ready_lag_blocks: 30,
            ready_lag_seconds: 120,
            ready_head_age_seconds: 600,
            wait_for_block_ms: 5_000,
            cache_megabytes: 32,
            max_subscriptions: 2_000,
            slow_client_ms: 10_000,
            allowed_origins: Origins::default(),
            validation_expires_after_seconds: 604_800,
        }
    }
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
        if let Some(path) = &self.limits.redis_url_file {
            self.limits.redis_url = read_secret(path)?.trim().into();
        }
        if let Some(path) = &self.documents.pinning_token_file {
            self.documents.pinning_token = read_secret(path)?.trim().into();
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
        let api = &self.api;
        if !api.served_agent.is_empty() && api.served_agent.parse::<AgentId>().is_err() {
            return Err(invalid(format!(
                "api.served_agent is {:?}; an agent's id is such as 167000:42",
                api.served_agent
            )));
        }
        let is_url = ["http://", "https://"].iter().any(|scheme| api.public_url.starts_with(scheme));
        if !api.public_url.is_empty() && (!is_url || api.public_url.ends_with('/')) {
            return Err(invalid(format!(
                "api.public_url is {:?}; write it with its scheme and without a / at its end",
                api.public_url
            )));
        }
        self.documents.check()?;
        self.limits.check()
    }
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
    use super::Config;

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
        for text in [include_str!("../../config/hoodi.toml"), include_str!("../../config/production.toml")] {
            Config::parse(text).expect("it parses").check().expect("it is consistent");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        for (text, key) in [
            ("[database]\nurll = ''", "urll"),
            ("[api]\nport = 1", "port"),
            ("[limits]\nper_minute = 1", "per_minute"),
            ("[limits.public]\nlookups_per_minute = 1", "lookups_per_minute"),
            ("[limits.tier.gold]\nrequests_per_minute = 1", "gold"),
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
            (format!("[api]\nserved_agent = '42'\n{NETWORK}"), "an agent's id is such as 167000:42"),
            (format!("[api]\npublic_url = 'node.example'\n{NETWORK}"), "write it with its scheme"),
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
            (format!("[api]\nallowed_origins = ['app.example']\n{NETWORK}"), "\"app.example\" is no origin"),
            (format!("[api]\nallowed_origins = ['https://a.example/']\n{NETWORK}"), "is no origin"),
            (format!("[limits]\ntrusted_proxies = ['10.0.0.0/33']\n{NETWORK}"), "is no address or network"),
            (format!("[limits]\nredis_url = 'rediss://u:p@db'\n{NETWORK}"), "rediss://db does not begin with"),
            (format!("[limits]\nredis_timeout_ms = 0\n{NETWORK}"), "redis_timeout_ms is 0"),
            (format!("[limits.signer]\nlookups_per_hour = 1\n{NETWORK}"), "queries are not"),
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
    fn a_url_at_a_wrong_place_is_refused_without_its_secrets() {
        let refusal =
            refusal(&NETWORK.replace("[\"https://rpc", "\"https://user:secret@rpc").replace("xyz\"]", "xyz/secret\""));
        assert!(refusal.contains("expected a sequence") && !refusal.contains("secret"), "{refusal}");
    }
}
