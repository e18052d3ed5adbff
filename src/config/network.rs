//! A network: its endpoints, where it begins, how it is followed.

use std::collections::HashMap;
use std::path::PathBuf;

use alloy::primitives::Address;
use serde::Deserialize;

use super::contracts::Contracts;
use super::error::{ConfigError, invalid};
use super::redact::redact;
use crate::event::Role;
use crate::id::ChainId;

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
    /// The tokens (ERC-20) that agents may be paid with, besides the chain's own coin.
    #[serde(default)]
    pub payment_tokens: Vec<Address>,
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
    /// A new network that is at least so many final blocks behind is filled without standings and without the indexes that
    /// only questions need; they are counted and built once it has them all. 0: it has them from the beginning.
    pub postpone_indexes_blocks: u64,
    /// Further connections to the database by which such indexes are built, the first one while standings are counted. 0: one
    /// index after the other by the writer's own, once they are.
    pub index_connections: usize,
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
            postpone_indexes_blocks: 5_000,
            index_connections: 2,
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

impl Network {
    /// Its endpoints, those for better days before those for worse ones.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.rpc_urls.iter().chain(&self.fallback_rpc_urls).map(String::as_str)
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
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
