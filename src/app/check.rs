//! `meikan check`: looks at configuration, database, endpoints and contracts, and says of each what works, what does not,
//! and what to do. It changes nothing.

use alloy::primitives::Address;

use crate::chain::{Chain, ChainError, EndpointRole, Probe, probe};
use crate::config::{self, Config, redact};
use crate::event::Role;
use crate::id::ChainId;
use crate::limit;
use crate::store::StoreError;

use super::{AppError, Exit, open_database, say, until_interrupted};

/// What has been found so far: printed line by line, the first failure kept for the exit code.
#[derive(Default)]
struct Findings {
    failed: Option<AppError>,
}

impl Findings {
    fn good(&self, what: &str, detail: &str) {
        say(&format!("ok      {what}: {detail}"));
    }

    fn bad(&mut self, what: &str, error: AppError) {
        say(&format!("failed  {what}: {error}"));
        self.failed.get_or_insert(error);
    }
}

/// Checks everything that the configuration names.
///
/// # Errors
/// The first thing that does not work, once all have been looked at.
pub async fn check(config: Config) -> Result<Exit, AppError> {
    until_interrupted(look(&config)).await
}

async fn look(config: &Config) -> Result<Exit, AppError> {
    let mut findings = Findings::default();
    findings.good("configuration", &format!("{} network(s)", config.networks.len()));
    check_database(config, &mut findings).await;
    check_limits(&config.limits, &mut findings).await;
    for network in &config.networks {
        check_network(network, &mut findings).await;
    }
    match findings.failed {
        None => Ok(Exit::Done),
        Some(error) => Err(error),
    }
}

async fn check_database(config: &Config, findings: &mut Findings) {
    let database = match open_database(config).await {
        Ok(database) => database,
        Err(error) => return findings.bad("database", error),
    };
    let url = match &database.embedded {
        Some(embedded) => format!("embedded Postgres {}", embedded.version()),
        None => redact(&config.database.url),
    };
    match database.store.check_schema().await {
        Ok(()) => findings.good("database", &format!("{url}, its schema is up to date")),
        Err(StoreError::DatabaseOlder { .. }) => {
            findings.good("database", &format!("{url}, its schema is not up to date; run and follow bring it there"));
        }
        Err(error) => findings.bad("database", error.into()),
    }
    database.close().await;
}

/// A node without its server of shared limits serves all the same, and counts for itself: that is a failure to be told of.
async fn check_limits(limits: &config::Limits, findings: &mut Findings) {
    if limits.redis_url.is_empty() {
        return;
    }
    match limit::probe(limits).await {
        Ok(what) => findings.good("shared limits", &format!("{} is {what}", redact(&limits.redis_url))),
        Err(error) => findings.bad("shared limits", error.into()),
    }
}

/// Each endpoint by itself, so that one that is down does not hide behind the others; then whether those that work are
/// of one chain; then the contracts, as the first of them sees them.
async fn check_network(network: &config::Network, findings: &mut Findings) {
    let mut working = config::Network { rpc_urls: Vec::new(), fallback_rpc_urls: Vec::new(), ..network.clone() };
    let mut without_code = None;
    for (probed, url) in probe(network).await.into_iter().zip(network.endpoints()) {
        let role = match probed.role {
            EndpointRole::Primary => "primary endpoint",
            EndpointRole::Fallback => "fallback endpoint",
        };
        let what = format!("{} {role} {}", network.name, probed.label);
        match probed.outcome {
            Ok(probe) => {
                findings.good(&what, &abilities(network.chain_id, &probe));
                working.rpc_urls.push(url.to_owned());
                without_code.get_or_insert(probe.without_code);
            }
            Err(source) => findings.bad(&what, of_chain(network, source)),
        }
    }
    if working.rpc_urls.len() > 1
        && let Err(source) = Chain::connect(&working).await
    {
        findings.bad(&format!("{} endpoints together", network.name), of_chain(network, source));
    }
    if let Some(without_code) = without_code {
        check_contracts(network, &without_code, findings);
    }
}

/// What an endpoint can do, and what its lacks cost.
fn abilities(chain_id: ChainId, probe: &Probe) -> String {
    let mut said = vec![format!("chain {chain_id}, block {}", probe.head.number)];
    said.push(match probe.finalized {
        Some(finalized) => format!("final up to {finalized}"),
        None => "does not tell what is final, so all blocks can be undone".into(),
    });
    said.push(match &probe.logs_by_hash {
        Ok(()) => "logs by block hash".into(),
        Err(failure) => format!("no logs by block hash ({failure}), so they are asked for by height and checked"),
    });
    let or = |able: bool, yes: &str, no: &str| if able { yes.to_owned() } else { no.to_owned() };
    said.push(or(probe.receipts, "receipts", "no receipts, so doubts about logs cannot be settled"));
    said.push(or(probe.l1_origin, "tells what is proposed on L1", "does not tell what is proposed on L1"));
    said.push(or(probe.announces_heads, "announces blocks", "is polled"));
    said.join("; ")
}

/// An address without code may get it later, so that is worth a word and no failure.
fn check_contracts(network: &config::Network, without_code: &[Address], findings: &Findings) {
    for (role, _, address) in network.contracts.all() {
        let what = format!("{} {} {address}", network.name, Role::name(role));
        let lacks = without_code.contains(&address);
        let detail = if lacks { "has no code yet; its events are picked up once it has" } else { "is a contract" };
        findings.good(&what, detail);
    }
}

fn of_chain(network: &config::Network, source: ChainError) -> AppError {
    AppError::Follow { network: network.name.clone(), source: Box::new(source.into()) }
}
