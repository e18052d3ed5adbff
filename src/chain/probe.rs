//! What each endpoint of a network can do, for an operator: one row for each, whatever its state.

use std::sync::Arc;

use alloy::primitives::{Address, Bytes};
use futures_util::future::join_all;
use serde_json::json;

use super::Watched;
use super::classify::Kind;
use super::endpoint::{Call, Endpoint, EndpointRole, Identity};
use super::error::{ChainError, Failure};
use super::finality::{L1Origin, head_l1_origin};
use super::logs::LogReader;
use super::pool::{check_identity, named};
use crate::block::BlockRef;
use crate::config;

/// What an endpoint can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its newest block.
    pub head: BlockRef,
    /// The height of its newest finalized block; nothing when it does not tell.
    pub finalized: Option<u64>,
    /// It announces heads over a WebSocket.
    pub announces_heads: bool,
    /// It answers `eth_getLogs` by block hash, or else why not.
    pub logs_by_hash: Result<(), Failure>,
    /// It serves `eth_getBlockReceipts`, which settle doubts about logs.
    pub receipts: bool,
    /// It forwards `taiko_headL1Origin`, which tells what is proposed on L1.
    pub l1_origin: bool,
    /// Watched contracts that have no code at its head (yet).
    pub without_code: Vec<Address>,
}

/// An endpoint that was asked what it can do.
#[derive(Debug)]
pub struct Probed {
    /// Its URL as it may be shown, with a number where several would look alike.
    pub label: String,
    /// What it is for.
    pub role: EndpointRole,
    /// What it can do, or why it cannot be used.
    pub outcome: Result<Probe, ChainError>,
}

/// Asks every endpoint of the network, in the order of [`config::Network::endpoints`].
pub async fn probe(network: &config::Network) -> Vec<Probed> {
    let probes = named(network).map(|(label, role, url)| async move {
        let outcome = probe_url(network, label.clone(), role, url).await;
        Probed { label, role, outcome }
    });
    join_all(probes).await
}

async fn probe_url(
    network: &config::Network,
    label: String,
    role: EndpointRole,
    url: &str,
) -> Result<Probe, ChainError> {
    let name = &network.name;
    let unusable = |reason| ChainError::Unusable { network: name.clone(), endpoint: label.clone(), reason };
    let endpoint = Endpoint::new(network, label.clone(), role, url).map(Arc::new).map_err(unusable)?;
    let down = |failure| ChainError::NoEndpoint { network: name.clone(), endpoints: 1, failure: Box::new(failure) };
    let found = endpoint.identify().await.map_err(down)?;
    check_identity(name, &endpoint, Identity { chain_id: network.chain_id, ..found }, found)?;
    abilities(&endpoint, &Watched::new(&network.contracts)).await.map_err(down)
}

async fn abilities(endpoint: &Endpoint, watched: &Watched) -> Result<Probe, Failure> {
    let head = endpoint.latest().await?;
    let finalized = endpoint.finalized().await.map(|finalized| finalized.number);
    let reader = LogReader { endpoint, watched };
    let logs_by_hash = reader.by_hash(&head).await.map(drop);
    let receipts = reader.out_of_receipts(&head).await.is_ok();
    let l1_origin = match endpoint.request::<Option<L1Origin>>(&head_l1_origin()).await {
        Ok(_) => true,
        Err(failure) => !matches!(failure.kind, Kind::Unsupported | Kind::Permanent),
    };
    let mut without_code = Vec::new();
    for address in &watched.addresses {
        let call = Call { method: "eth_getCode", params: json!([address, "latest"]) };
        if endpoint.request::<Bytes>(&call).await?.is_empty() {
            without_code.push(*address);
        }
    }
    let announces_heads = endpoint.is_websocket();
    Ok(Probe { head: head.block(), finalized, announces_heads, logs_by_hash, receipts, l1_origin, without_code })
}
