//! `meikan check`: looks at configuration, database, endpoints and contracts, and says of each what works, what does not,
//! and what to do. It changes nothing.

use std::time::Instant;

use crate::chain::Chain;
use crate::config::{self, Config, redact};
use crate::event::Role;
use crate::store::StoreError;

use super::{AppError, Exit, open_database};

/// What has been found so far: printed line by line, the first failure kept for the exit code.
#[derive(Default)]
struct Findings {
    failed: Option<AppError>,
}

impl Findings {
    fn good(&self, what: &str, detail: &str) {
        println!("ok      {what}: {detail}");
    }

    fn bad(&mut self, what: &str, error: AppError) {
        println!("failed  {what}: {error}");
        self.failed.get_or_insert(error);
    }
}

/// Checks everything that the configuration names.
///
/// # Errors
/// The first thing that does not work, once all have been looked at.
pub async fn check(config: Config) -> Result<Exit, AppError> {
    let mut findings = Findings::default();
    findings.good("configuration", &format!("{} network(s)", config.networks.len()));
    check_database(&config, &mut findings).await;
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

/// Each endpoint by itself, so that one that is down does not hide behind the others.
async fn check_network(network: &config::Network, findings: &mut Findings) {
    for (place, url) in network.rpc_urls.iter().enumerate() {
        let role = if place == 0 { "preferred endpoint" } else { "fallback endpoint" };
        let what = format!("{} {role} {}", network.name, redact(url));
        let alone = config::Network { rpc_urls: vec![url.clone()], ..network.clone() };
        match check_endpoint(&alone).await {
            Ok(detail) => findings.good(&what, &detail),
            Err(source) => {
                findings
                    .bad(&what, AppError::Follow { network: network.name.clone(), source: Box::new(source.into()) });
            }
        }
    }
    check_contracts(network, findings).await;
}

async fn check_endpoint(network: &config::Network) -> Result<String, crate::chain::ChainError> {
    let began = Instant::now();
    let chain = Chain::connect(network).await?;
    let head = chain.head().await?;
    let took = began.elapsed().as_millis();
    let finality = match (head.promises.safe, head.promises.finalized) {
        (true, true) => "tells what is proposed on L1 and what is final",
        (true, false) => "tells what is proposed on L1, but not what is final: everything can be undone",
        (false, true) => "tells what is final",
        (false, false) => "tells nothing about finality: everything can be undone",
    };
    Ok(format!("chain {}, block {}, {finality}, {took} ms", chain.chain_id(), head.header.number))
}

/// An address without code may get it later, so that is worth a word and no failure.
async fn check_contracts(network: &config::Network, findings: &mut Findings) {
    let Ok(chain) = Chain::connect(network).await else { return };
    for (role, _, address) in network.contracts.all() {
        let what = format!("{} {} {address}", network.name, Role::name(role));
        match chain.has_code(address).await {
            Ok(true) => findings.good(&what, "is a contract"),
            Ok(false) => findings.good(&what, "has no code yet; its events are picked up once it has"),
            Err(source) => {
                findings
                    .bad(&what, AppError::Follow { network: network.name.clone(), source: Box::new(source.into()) });
            }
        }
    }
}
