//! A registry that the configuration gives another generation than its logs were read by.
//!
//! What is indexed of it derives from the old one, so the name alone is never changed under it. A re-index from the store
//! that begins at or below the first log of the registry reads all of it anew: the name is changed in the transaction that
//! it begins with, so that no state is committed in which some logs were read by one generation and some by the other.

use tokio_postgres::GenericClient;

use super::Store;
use super::error::StoreError;
use super::network::{Contract, contracts};
use super::sql::{self, signed};
use super::writer::Writer;
use super::{apply::Contracts, raw};
use crate::config::Network;
use crate::event::Generation;
use crate::id::ChainId;

/// Segments of raw logs that are read at a time.
const SEGMENTS: i64 = 64;

/// Registries whose logs are to be read by another generation.
pub(super) struct Misread {
    /// The registries, as configured.
    pub(super) contracts: Vec<Contract>,
    /// The one with the lowest first log, as it is stored.
    of: Contract,
    /// Where that log is; nothing where none of them has one.
    pub(super) first_log: Option<u64>,
}

impl Misread {
    /// What is wrong, and which re-index cures it, in words behind the network's name.
    pub(super) fn refusal(&self, network: &Network, tip: u64) -> String {
        let from = self.first_log.unwrap_or(tip);
        format!(
            "{} was indexed with {} as its generation in contracts.generations; put that back, or have its logs read anew \
             with `meikan reindex --network {} --source store --from-block {from}` (that block or a lower one)",
            self.of.address,
            named(self.of.generation),
            network.name,
        )
    }

    /// Makes sure that a re-index from that block reads all of them anew.
    fn check(&self, from: u64) -> Result<(), StoreError> {
        let Some(first) = self.first_log.filter(|first| from > *first) else { return Ok(()) };
        let reason = format!(
            "{} has another generation in contracts.generations than its logs were read by ({}), and the first of them is \
             in block {first}: from block {from} on only some would be read anew; name block {first} or a lower one",
            self.of.address,
            named(self.of.generation),
        );
        Err(StoreError::Unreachable { reason })
    }
}

fn named(generation: Option<Generation>) -> &'static str {
    generation.map_or("none", Generation::name)
}

impl Store {
    /// Makes sure that a re-index from the store that begins at that block reads by the generations of the configuration.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] when a lower block is to be named, or what the database says.
    pub async fn check_generations(&self, network: &Network, from: u64) -> Result<(), StoreError> {
        let client = self.write().await?;
        misread(&**client, network).await?.map_or(Ok(()), |misread| misread.check(from))
    }
}

impl Writer {
    /// Takes up the generations that the configuration names now. They are entered in the transaction of the next
    /// [`Writer::rederive`], which must begin at `from`.
    ///
    /// # Errors
    /// As [`Store::check_generations`].
    pub async fn name_generations(&mut self, network: &Network, from: u64) -> Result<(), StoreError> {
        let (client, chain_id) = self.connection();
        let Some(misread) = misread(client, network).await? else { return Ok(()) };
        misread.check(from)?;
        let mut all = contracts(client, chain_id).await?;
        for contract in &mut all {
            let renamed = misread.contracts.iter().find(|renamed| renamed.id == contract.id);
            contract.generation = renamed.map_or(contract.generation, |renamed| renamed.generation);
        }
        self.rename(Contracts::new(&all), misread.contracts);
        Ok(())
    }
}

/// Enters the generation of a contract.
pub(super) async fn enter(
    client: &impl GenericClient,
    chain_id: ChainId,
    contract: &Contract,
) -> Result<(), tokio_postgres::Error> {
    let update = "UPDATE contract SET generation = $3 WHERE chain_id = $1 AND contract_id = $2";
    let name = contract.generation.map(Generation::name);
    client.execute(update, &[&signed(chain_id), &contract.id, &name]).await.map(drop)
}

/// The registries that the configuration gives another generation than the database has; nothing where there are none.
pub(super) async fn misread(client: &impl GenericClient, network: &Network) -> Result<Option<Misread>, StoreError> {
    let stored = contracts(client, network.chain_id).await?;
    let configured: Vec<_> = network.contracts.all().map(|(_, _, address)| address).collect();
    let wanted = |contract: &Contract| network.contracts.generation(&contract.address);
    let changed =
        |contract: &&Contract| configured.contains(&contract.address) && wanted(contract) != contract.generation;
    let old: Vec<Contract> = stored.iter().filter(changed).copied().collect();
    let Some(first) = old.first().copied() else { return Ok(None) };
    let found = first_log(client, network.chain_id, &old).await?;
    Ok(Some(Misread {
        contracts: old.iter().map(|contract| Contract { generation: wanted(contract), ..*contract }).collect(),
        of: found.map_or(first, |(contract, _)| contract),
        first_log: found.map(|(_, number)| number),
    }))
}

/// The lowest stored log of these contracts: whose it is, and its block.
async fn first_log(
    client: &impl GenericClient,
    chain_id: ChainId,
    of: &[Contract],
) -> Result<Option<(Contract, u64)>, StoreError> {
    let select = "SELECT from_block, codec, logs FROM raw_logs WHERE chain_id = $1 AND from_block >= $2 \
                  ORDER BY from_block LIMIT $3";
    let mut next = 0;
    loop {
        let rows = client
            .query(select, &[&signed(chain_id), &signed(next), &SEGMENTS])
            .await
            .map_err(StoreError::database("read raw logs"))?;
        for row in &rows {
            let first = sql::number(row, "from_block")?;
            // Each turn reads at least one segment more.
            next = first + 1;
            let Ok(logs) = raw::decode(sql::column(row, "codec")?, sql::column(row, "logs")?) else {
                // It may be in what cannot be read.
                return Ok(of.first().map(|contract| (*contract, first)));
            };
            let found = logs.iter().find_map(|log| {
                let contract = of.iter().find(|contract| contract.address == log.address)?;
                Some((*contract, log.block.number))
            });
            if found.is_some() {
                return Ok(found);
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
    }
}
