//! The networks: how far each is, how final, and which contracts it has. Every answer begins with them.

use tokio_postgres::Row;

use crate::block::Finality;

/// A block as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its height.
    pub number: i64,
    /// Its hash, where the header is held.
    pub hash: Option<Vec<u8>>,
    /// Seconds since 1970, where the header is held.
    pub timestamp: Option<i64>,
    /// The hash of the block below it, where the header is held and was read.
    pub parent_hash: Option<Vec<u8>>,
}

/// A network's state.
#[derive(Debug, Clone)]
pub struct Network {
    /// The chain's id.
    pub chain_id: i64,
    /// Its name in the configuration.
    pub name: String,
    /// The first block that is indexed.
    pub start_block: i64,
    /// The number of its newest commit, and of the newest change.
    pub seq: i64,
    /// The newest block whose data is committed.
    pub indexed: Option<BlockInfo>,
    /// The newest block that is safe, where the network tells.
    pub safe_number: Option<i64>,
    /// The newest block that is final.
    pub finalized_number: Option<i64>,
    /// The number of the program that derived all of its rows.
    pub derivation: i16,
    /// Whether its standings are there: not while a backfill leaves them for its end.
    pub has_standings: bool,
    /// The block that a re-index from the store which is under way ends at.
    pub rederived_to: Option<i64>,
}

impl Network {
    /// How final a block of the network is.
    #[must_use]
    pub fn finality(&self, block: i64) -> Finality {
        let at_most = |limit: Option<i64>| limit.is_some_and(|limit| block <= limit);
        if at_most(self.finalized_number) {
            Finality::Finalized
        } else if at_most(self.safe_number) {
            Finality::Safe
        } else if self.safe_number.is_some() {
            Finality::Preconfirmed
        } else {
            Finality::Unsafe
        }
    }

    /// What is left to derive where the rows are of an older program than one of that number, in words behind the network's
    /// name; nothing where they are not.
    #[must_use]
    pub fn lacks_derivation(&self, needed: i16) -> Option<String> {
        let tip = self.indexed.as_ref().map(|block| block.number);
        let (Some(tip), true) = (tip, self.derivation < needed) else { return None };
        let done = match self.rederived_to {
            Some(target) => format!("up to block {tip} of {target} by now"),
            None => "once a follower of this version runs".to_owned(),
        };
        Some(format!("an older version derived what is stored; it is derived anew from the stored logs, {done}"))
    }

    /// Where standings are still to be counted, in words behind the network's name; nothing where they are there.
    #[must_use]
    pub fn lacks_standings(&self) -> Option<String> {
        let tip = self.indexed.as_ref().filter(|_| !self.has_standings)?.number;
        Some(format!("standings are counted at the end of its backfill, which is at block {tip}"))
    }

    /// The newest indexed block of at least that finality.
    #[must_use]
    pub fn newest_of(&self, finality: Finality) -> Option<i64> {
        let tip = self.indexed.as_ref()?.number;
        let known = match finality {
            Finality::Unsafe | Finality::Preconfirmed => Some(tip),
            Finality::Safe => self.safe_number.max(self.finalized_number),
            Finality::Finalized => self.finalized_number,
        };
        known.map(|number| number.min(tip))
    }
}

/// A watched contract.
#[derive(Debug, Clone)]
pub(super) struct Contract {
    pub(super) chain_id: i64,
    pub(super) contract_id: i64,
    pub(super) role: String,
    pub(super) address: Vec<u8>,
    pub(super) deployment: i64,
    pub(super) ordinal: i64,
    pub(super) generation: Option<String>,
}

/// The watched contracts of all networks.
#[derive(Debug, Clone, Default)]
pub struct Contracts(Vec<Contract>);

impl Contracts {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.0.iter()
    }

    /// The identity registry of a further deployment, which its agents' ids name.
    pub(super) fn registry_of(&self, chain_id: i64, deployment: i64) -> Option<&[u8]> {
        let of = |contract: &&Contract| {
            contract.chain_id == chain_id
                && contract.deployment == deployment
                && contract.role == crate::event::Role::Identity.name()
        };
        self.0.iter().find(of).filter(|_| deployment > 0).map(|contract| contract.address.as_slice())
    }

    /// The deployment that an identity registry is of.
    pub(super) fn deployment_of(&self, chain_id: i64, address: &[u8]) -> Option<i64> {
        let registry = self.0.iter().find(|contract| contract.chain_id == chain_id && contract.address == address)?;
        (registry.role == crate::event::Role::Identity.name()).then_some(registry.deployment)
    }
}

/// All networks, as one state of the database has them.
#[derive(Debug, Default)]
pub(in crate::store) struct Networks {
    /// The state's number, by which it is known again: see [`NUMBER`].
    pub(super) number: i64,
    /// In the order of their chain ids.
    pub(super) all: Vec<Network>,
    pub(super) contracts: Contracts,
}

/// The number of the state that a statement reads: it rises with every commit of any network, and when one is registered.
pub(super) const NUMBER: &str = "SELECT sum(seq + 1)::bigint FROM cursor";

/// The networks with their contracts, a row for each. It reads no more than every answer needs, in one round trip;
/// [`super::Snapshot::observed`] reads the rest.
pub(super) const NETWORKS: &str = "SELECT n.chain_id, n.name, n.start_block, coalesce(c.seq, 0), c.tip_number, c.tip_hash, c.tip_at, \
     c.safe_number, c.finalized_number, n.derivation, CASE WHEN r.source = 'store' THEN r.target_number END, \
     k.contract_id::bigint, k.role, k.address, k.deployment::bigint, k.ordinal::bigint, k.generation, n.has_standings \
     FROM network n LEFT JOIN cursor c USING (chain_id) LEFT JOIN reindex r USING (chain_id) \
     LEFT JOIN contract k USING (chain_id) ORDER BY n.chain_id, k.contract_id";

impl Networks {
    /// Reads the rows of [`NETWORKS`] in the state of a number.
    pub(super) fn read(number: i64, rows: &[Row]) -> Result<Self, tokio_postgres::Error> {
        let mut networks = Self { number, ..Self::default() };
        for row in rows {
            let chain_id: i64 = row.try_get(0)?;
            if networks.all.last().is_none_or(|network| network.chain_id != chain_id) {
                networks.all.push(read_network(row)?);
            }
            if let Some(contract_id) = row.try_get(11)? {
                networks.contracts.0.push(read_contract(row, contract_id)?);
            }
        }
        Ok(networks)
    }
}

fn read_network(row: &Row) -> Result<Network, tokio_postgres::Error> {
    let tip: Option<i64> = row.try_get(4)?;
    let (hash, timestamp) = (row.try_get(5)?, row.try_get(6)?);
    Ok(Network {
        chain_id: row.try_get(0)?,
        name: row.try_get(1)?,
        start_block: row.try_get(2)?,
        seq: row.try_get(3)?,
        indexed: tip.map(|number| BlockInfo { number, hash, timestamp, parent_hash: None }),
        safe_number: row.try_get(7)?,
        finalized_number: row.try_get(8)?,
        derivation: row.try_get(9)?,
        rederived_to: row.try_get(10)?,
        has_standings: row.try_get(17)?,
    })
}

fn read_contract(row: &Row, contract_id: i64) -> Result<Contract, tokio_postgres::Error> {
    Ok(Contract {
        chain_id: row.try_get(0)?,
        contract_id,
        role: row.try_get(12)?,
        address: row.try_get(13)?,
        deployment: row.try_get(14)?,
        ordinal: row.try_get(15)?,
        generation: row.try_get(16)?,
    })
}
