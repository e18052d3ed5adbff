//! Networks and their contracts as the database knows them: entered once, verified at every start after that.
//!
//! What was indexed binds the configuration: another genesis, another start block, a contract that is gone, plays another
//! role, is of another generation or comes late would make the tables a mixture of two truths. Contracts may be added until
//! blocks are indexed; after that only by a re-index from the chain, which enters them in the transaction that begins to
//! bring their logs. A generation may be changed until then, and after that by a re-index from the store ([`generation`]).

use std::collections::HashMap;

use alloy::primitives::{Address, B256};
use tokio_postgres::GenericClient;
use tokio_postgres::types::ToSql;

use super::Store;
use super::apply::DERIVATION;
use super::error::StoreError;
use super::generation;
use super::sql::{self, signed};
use crate::block::Log;
use crate::config::Network;
use crate::event::{Event, Generation, Role, Undecoded};
use crate::id::{ChainId, Deployment};

/// A watched contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Contract {
    /// Its number within the network; never given to another one.
    pub(super) id: i16,
    pub(super) role: Role,
    pub(super) address: Address,
    /// The set of registries that it belongs to.
    pub(super) deployment: Deployment,
    /// Its place within its role in the configuration.
    pub(super) ordinal: u16,
    /// The generation that the configuration names for it.
    pub(super) generation: Option<Generation>,
}

impl Contract {
    /// What one of its logs says.
    pub(super) fn decode(&self, log: &Log) -> Result<Event, Undecoded> {
        Event::decode_of(self.role, self.generation, &log.topics, &log.data)
    }

    /// The deployment as SMALLINT.
    pub(super) fn deployment(&self) -> i16 {
        small(self.deployment)
    }
}

/// A deployment or an ordinal as SMALLINT.
pub(super) fn small(value: u16) -> i16 {
    i16::try_from(value).expect("a configuration file has fewer than 2^15 contracts")
}

impl Store {
    /// Enters a network with its contracts and partitions, or verifies that it is the one that was entered.
    ///
    /// # Errors
    /// [`StoreError::OtherGenesis`] (F31); [`StoreError::Network`] when the start block or a generation changed or a contract
    /// was added although blocks are indexed, or a contract was removed, moved or given another role; or what the database
    /// says.
    pub async fn register(&self, network: &Network, genesis_hash: B256) -> Result<(), StoreError> {
        let late = self.register_but_late(network, genesis_hash).await?;
        let Some(first) = late.first() else { return Ok(()) };
        let client = self.write().await?;
        let tip = indexed_to(&**client, network).await?.unwrap_or_default();
        // Its logs up to there would be missing, and nothing would tell.
        let reason = format!(
            "{first} is new, and blocks up to {tip} are indexed without its logs; take it out, or bring them in with \
             `meikan reindex --network {} --from-block N`, where N is the block of its deployment or a lower one",
            network.name
        );
        Err(refused(network, reason))
    }

    /// As [`Store::register`], but contracts that come late, after blocks were indexed, are left out and returned.
    ///
    /// # Errors
    /// As [`Store::register`].
    pub async fn register_but_late(&self, network: &Network, genesis_hash: B256) -> Result<Vec<Address>, StoreError> {
        let failed = || StoreError::database("register");
        let mut client = self.write().await?;
        let transaction = client.transaction().await.map_err(failed())?;
        // Two processes may start with the same new network.
        transaction
            .execute("SELECT pg_advisory_xact_lock(hashtextextended('meikan register', 0))", &[])
            .await
            .map_err(failed())?;
        enter_network(&*transaction, network, genesis_hash).await?;
        let late = enter_contracts(&*transaction, network).await?;
        let chain = signed(network.chain_id);
        transaction.execute("SELECT ensure_network_partitions($1)", &[&chain]).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(late)
    }
}

async fn enter_network(client: &impl GenericClient, network: &Network, genesis: B256) -> Result<(), StoreError> {
    let failed = || StoreError::database("register");
    let (chain, start) = (signed(network.chain_id), signed(network.start_block));
    let taken = client
        .query_opt("SELECT chain_id FROM network WHERE name = $1 AND chain_id <> $2", &[&network.name, &chain])
        .await
        .map_err(failed())?;
    if let Some(row) = taken {
        let other = sql::number(&row, "chain_id")?;
        return Err(refused(network, format!("the name is taken by chain {other} in this database; choose another")));
    }
    let known = client
        .query_opt(
            "SELECT genesis_hash, start_block, tip_number IS NOT NULL AS indexed \
             FROM network JOIN cursor USING (chain_id) WHERE chain_id = $1",
            &[&chain],
        )
        .await
        .map_err(failed())?;
    let Some(row) = known else {
        let insert = "INSERT INTO network (chain_id, name, genesis_hash, start_block, derivation) \
                      VALUES ($1, $2, $3, $4, $5)";
        let values: [&(dyn ToSql + Sync); 5] = [&chain, &network.name, &genesis.as_slice(), &start, &DERIVATION];
        client.execute(insert, &values).await.map_err(failed())?;
        client.execute("INSERT INTO cursor (chain_id) VALUES ($1)", &[&chain]).await.map_err(failed())?;
        return Ok(());
    };
    let stored = sql::hash(&row, "genesis_hash")?;
    if stored != genesis {
        return Err(StoreError::OtherGenesis { chain_id: network.chain_id, stored, found: genesis });
    }
    let stored_start = sql::number(&row, "start_block")?;
    if stored_start != network.start_block && sql::column(&row, "indexed")? {
        return Err(refused(
            network,
            format!("it is indexed from block {stored_start}; set start_block back to that, or use another database"),
        ));
    }
    let update =
        "UPDATE network SET name = $2, start_block = $3 WHERE chain_id = $1 AND (name, start_block) <> ($2, $3)";
    if client.execute(update, &[&chain, &network.name, &start]).await.map_err(failed())? > 0 {
        // Readers know a state by its number.
        let another = "UPDATE cursor SET seq = seq + 1 WHERE chain_id = $1";
        client.execute(another, &[&chain]).await.map_err(failed())?;
    }
    Ok(())
}

/// Enters the contracts of the configuration that are new; those that come late are returned instead.
async fn enter_contracts(client: &impl GenericClient, network: &Network) -> Result<Vec<Address>, StoreError> {
    let stored = contracts(client, network.chain_id).await?;
    let wanted = wanted_contracts(network);
    let configured: HashMap<Address, &Contract> = wanted.iter().map(|contract| (contract.address, contract)).collect();
    for old in &stored {
        let role = old.role.name();
        let Some(new) = configured.get(&old.address) else {
            let reason = format!("{} was indexed as {role} and is no longer listed; list it again", old.address);
            return Err(refused(network, reason));
        };
        if (new.role, new.ordinal, new.deployment) != (old.role, old.ordinal, old.deployment) {
            let reason = format!(
                "{} was indexed as number {} of {role} in deployment {}, and is now number {} of {} in deployment {}; \
                 put it back, or use another database",
                old.address,
                old.ordinal,
                old.deployment,
                new.ordinal,
                new.role.name(),
                new.deployment
            );
            return Err(refused(network, reason));
        }
    }
    if let Some(misread) = generation::misread(client, network).await? {
        if let Some(tip) = indexed_to(client, network).await? {
            return Err(refused(network, misread.refusal(network, tip)));
        }
        for contract in &misread.contracts {
            generation::enter(client, network.chain_id, contract).await.map_err(StoreError::database("register"))?;
        }
    }
    let new = new_contracts(&stored, network);
    if indexed_to(client, network).await?.is_some() {
        return Ok(new.iter().map(|contract| contract.address).collect());
    }
    for contract in &new {
        enter(client, network.chain_id, contract).await.map_err(StoreError::database("register"))?;
    }
    Ok(vec![])
}

/// The contracts of the configuration that are not stored, each with a number of its own.
pub(super) fn new_contracts(stored: &[Contract], network: &Network) -> Vec<Contract> {
    let next = stored.iter().map(|contract| contract.id + 1).max().unwrap_or(1);
    let new = wanted_contracts(network);
    let new = new.into_iter().filter(|contract| stored.iter().all(|old| old.address != contract.address));
    (next..).zip(new).map(|(id, contract)| Contract { id, ..contract }).collect()
}

/// Enters a contract.
pub(super) async fn enter(
    client: &impl GenericClient,
    chain_id: ChainId,
    contract: &Contract,
) -> Result<(), tokio_postgres::Error> {
    client
        .execute(
            "INSERT INTO contract (chain_id, contract_id, role, address, deployment, ordinal, generation) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &signed(chain_id),
                &contract.id,
                &contract.role.name(),
                &contract.address.as_slice(),
                &contract.deployment(),
                &small(contract.ordinal),
                &contract.generation.map(Generation::name),
            ],
        )
        .await
        .map(drop)
}

/// The newest block that is indexed, if there is one.
async fn indexed_to(client: &impl GenericClient, network: &Network) -> Result<Option<u64>, StoreError> {
    let select = "SELECT tip_number FROM cursor WHERE chain_id = $1";
    let row = client.query_one(select, &[&signed(network.chain_id)]).await.map_err(StoreError::database("register"))?;
    sql::column::<Option<i64>>(&row, "tip_number")?.map(sql::unsigned).transpose()
}

fn refused(network: &Network, reason: String) -> StoreError {
    StoreError::Network { reason: format!("network {}: {reason}", network.name) }
}

/// The contracts as configured, without their numbers.
fn wanted_contracts(network: &Network) -> Vec<Contract> {
    let identities = network.contracts.of(Role::Identity).len();
    let wanted = network.contracts.all().map(|(role, ordinal, address)| {
        let ordinal = u16::try_from(ordinal).expect("a configuration file has fewer than 2^15 contracts");
        // The n-th registry of one kind belongs to the n-th of the other; validation registries only if they pair up.
        let pairs = match role {
            Role::Identity | Role::Reputation => true,
            Role::Validation => network.contracts.of(Role::Validation).len() == identities,
            Role::AuditLog | Role::AgentRegistry | Role::PolicyEngine | Role::Executor => false,
        };
        Contract {
            id: 0,
            role,
            address,
            deployment: if pairs { ordinal } else { 0 },
            ordinal,
            generation: network.contracts.generation(&address),
        }
    });
    wanted.collect()
}

/// The contracts of a network as they were entered.
pub(super) async fn contracts(client: &impl GenericClient, chain_id: ChainId) -> Result<Vec<Contract>, StoreError> {
    let select = "SELECT contract_id, role, address, deployment, ordinal, generation FROM contract WHERE chain_id = $1 \
                  ORDER BY contract_id";
    let rows = client.query(select, &[&signed(chain_id)]).await.map_err(StoreError::database("read contracts"))?;
    rows.iter().map(contract_of).collect()
}

fn contract_of(row: &tokio_postgres::Row) -> Result<Contract, StoreError> {
    let unsigned = |name| {
        let value: i16 = sql::column(row, name)?;
        u16::try_from(value).map_err(|_| sql::corrupt("a contract's place is negative"))
    };
    Ok(Contract {
        id: sql::column(row, "contract_id")?,
        role: Role::from_name(sql::column(row, "role")?).ok_or_else(|| sql::corrupt("a contract's role is unknown"))?,
        address: sql::address(row, "address")?,
        deployment: unsigned("deployment")?,
        ordinal: unsigned("ordinal")?,
        generation: match sql::column::<Option<&str>>(row, "generation")? {
            None => None,
            Some(name) => {
                Some(Generation::from_name(name).ok_or_else(|| sql::corrupt("a contract's generation is unknown"))?)
            }
        },
    })
}
