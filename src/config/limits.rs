//! How much anybody may do: limits by IP address, API key and signer. Everything is off unless configured.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::Deserialize;

use super::error::{ConfigError, invalid};
use super::redact;
use crate::key::Tier;

/// What the URL of a server of counts begins with.
const REDIS_SCHEMES: [&str; 4] = ["redis://", "valkey://", "redis+unix://", "unix://"];

/// How much anybody may do: `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Proxies whose `x-forwarded-for` is believed: addresses or networks, such as `"10.0.0.0/8"`.
    pub trusted_proxies: TrustedProxies,
    /// A Redis or Valkey where the nodes of one service count together; empty: each process counts for itself.
    pub redis_url: String,
    /// Reads `redis_url` from a file instead (a secret).
    pub redis_url_file: Option<PathBuf>,
    /// Longest wait for its answer, in milliseconds; then this process counts for itself for a while.
    pub redis_timeout_ms: u64,
    /// A key that was looked up is believed for so long, in seconds: a revoked one holds at most that much longer.
    pub key_cache_seconds: u64,
    /// What whoever shows no key may do, by IP address.
    pub public: Quota,
    /// What a signer of documents may do, whichever address they come from.
    pub signer: Quota,
    /// What the holder of a key may do, by the key's tier.
    pub tier: Tiers,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            trusted_proxies: TrustedProxies::default(),
            redis_url: String::new(),
            redis_url_file: None,
            redis_timeout_ms: 100,
            key_cache_seconds: 10,
            public: Quota::default(),
            signer: Quota::default(),
            tier: Tiers::default(),
        }
    }
}

/// The quotas of the tiers: `[limits.tier.free]` and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tiers {
    /// Of keys of the tier `free`.
    pub free: Quota,
    /// Of keys of the tier `pro`.
    pub pro: Quota,
    /// Of keys of the tier `enterprise`.
    pub enterprise: Quota,
}

impl Tiers {
    /// The quota of a tier.
    #[must_use]
    pub fn of(&self, tier: Tier) -> &Quota {
        match tier {
            Tier::Free => &self.free,
            Tier::Pro => &self.pro,
            Tier::Enterprise => &self.enterprise,
        }
    }
}

/// What one address, key or signer may do. Each is 0 for no limit, as all are unless configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quota {
    /// Requests in any minute; for a signer, documents.
    pub requests_per_minute: u32,
    /// Registrations in any hour: agent cards.
    pub registrations_per_hour: u32,
    /// Feedback in any hour.
    pub feedback_per_hour: u32,
    /// Payment links in any hour.
    pub payment_links_per_hour: u32,
    /// Root fields of queries in any hour, searches apart.
    pub lookups_per_hour: u32,
    /// Root fields of queries that search, in any hour.
    pub searches_per_hour: u32,
}

impl Limits {
    /// Checks what one key alone cannot tell.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.signer.lookups_per_hour != 0 || self.signer.searches_per_hour != 0 {
            return Err(invalid(
                "limits.signer limits what is signed, and queries are not; put lookups_per_hour and searches_per_hour \
                 into limits.public or limits.tier",
            ));
        }
        if self.redis_timeout_ms == 0 {
            return Err(invalid("limits.redis_timeout_ms is 0; at least 1 is needed"));
        }
        if !self.redis_url.is_empty() && !REDIS_SCHEMES.iter().any(|scheme| self.redis_url.starts_with(scheme)) {
            return Err(invalid(format!(
                "limits.redis_url {} does not begin with redis://, valkey://, redis+unix:// or unix://; TLS is not spoken",
                redact(&self.redis_url)
            )));
        }
        Ok(())
    }
}

/// Networks whose proxies are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether an address is one of theirs.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl TryFrom<Vec<String>> for TrustedProxies {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        let network = |text: &String| {
            let alone = text.parse::<IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().or(alone).map_err(|_| {
                format!("{text:?} is no address or network; write such as \"10.0.0.0/8\", \"fd00::/8\" or \"10.0.0.7\"")
            })
        };
        texts.iter().map(network).collect::<Result<_, _>>().map(Self)
    }
}
