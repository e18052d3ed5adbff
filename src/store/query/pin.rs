//! Of which networks and as of which block a question is answered.
//!
//! A [`Scope`] holds the networks and, for those that are read as of an earlier block, its height. A pin at the newest
//! block is no pin: then the indexes of what currently holds serve. A network that is backfilled without its totals is
//! read as of its newest block all the same: totals are counted from the facts then.

use std::time::Duration;

use super::error::QueryError;
use super::networks::Network;
use super::snapshot::Snapshot;
use super::sql::Statement;
use crate::block::Finality;
use crate::store::Store;
use crate::store::aspect::Aspect;

/// The block that a client asks to read as of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BlockPin {
    /// The newest one.
    #[default]
    Newest,
    /// The one of a height.
    Number(i64),
    /// The one of a hash, which must be held.
    Hash(Vec<u8>),
    /// The newest one, if it is at least that high.
    AtLeast(i64),
}

/// What a client says about where and when.
#[derive(Debug, Clone, Default)]
pub struct When {
    /// The network; nothing for all.
    pub chain_id: Option<i64>,
    /// The block.
    pub block: BlockPin,
    /// At least this final.
    pub min_finality: Option<Finality>,
}

/// The networks that are read, each as of its newest block or as of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    places: Vec<Place>,
    /// Age in seconds from which a validation without an answer is called expired.
    validation_expires_after: i64,
    /// What a leaderboard is of.
    aspect: Aspect,
}

/// A network and the block it is read as of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The chain's id.
    pub chain_id: i64,
    /// The block; nothing for the newest.
    pub block: Option<i64>,
    /// The block that rows are read as of: the newest one, too, where a backfill keeps no totals that tell what is now.
    read_as_of: Option<i64>,
}

impl Scope {
    /// The networks with the blocks they are read as of.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The only network, when there is one.
    #[must_use]
    pub fn only(&self) -> Option<Place> {
        match self.places.as_slice() {
            [place] => Some(*place),
            _ => None,
        }
    }

    /// The same, of a leaderboard of an aspect.
    pub(super) fn ranked_by(&self, aspect: Aspect) -> Self {
        Self { aspect, ..self.clone() }
    }

    /// Whether what is now is read of every network.
    pub(super) fn is_newest(&self) -> bool {
        self.places.iter().all(|place| place.read_as_of.is_none())
    }
}

impl Snapshot {
    /// Resolves where and when.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] for a height on several networks, [`QueryError::NotFound`] for an unknown network or a
    /// hash that is not held, [`QueryError::NotYetIndexed`] for a block beyond the newest.
    pub async fn scope(&self, when: &When) -> Result<Scope, QueryError> {
        let networks: Vec<&Network> = match when.chain_id {
            Some(chain_id) => vec![self.network(chain_id).ok_or_else(|| no_network(chain_id))?],
            None => self.networks().iter().collect(),
        };
        if let BlockPin::Hash(hash) = &when.block {
            return self.scope_of_hash(hash, &networks, when.min_finality).await;
        }
        if when.block != BlockPin::Newest && networks.len() != 1 {
            return Err(QueryError::BadInput(
                "several networks are indexed here: give `chainId` with `block.number` or `block.number_gte`"
                    .to_owned(),
            ));
        }
        let places = networks.iter().map(|network| place(network, &when.block, when.min_finality));
        Ok(self.scope_of(places.collect::<Result<_, _>>()?))
    }

    fn scope_of(&self, places: Vec<Place>) -> Scope {
        Scope { places, validation_expires_after: self.validation_expires_after(), aspect: Aspect::Ratings }
    }

    async fn scope_of_hash(
        &self,
        hash: &[u8],
        networks: &[&Network],
        min_finality: Option<Finality>,
    ) -> Result<Scope, QueryError> {
        let held = self.block_of_hash(hash).await?;
        let found = held.and_then(|(chain_id, number)| {
            networks.iter().find(|network| network.chain_id == chain_id).map(|network| (network, number))
        });
        let Some((network, number)) = found else {
            return Err(QueryError::NotFound("`block.hash`: no block with that hash is held".to_owned()));
        };
        Ok(self.scope_of(vec![place(network, &BlockPin::Number(number), min_finality)?]))
    }
}

/// Waits until the newest block of a network (of the only one, when none is named) that readers see is at least this one,
/// or the time is up. Lower than that it is no error: the caller's snapshot will tell.
pub async fn wait_for_block(store: &Store, chain_id: Option<i64>, number: i64, longest: Duration) {
    let mut heads = store.feed().heads();
    let reached = heads.wait_for(|heads| {
        let Some(heads) = heads else { return false };
        let mut wanted = heads.iter().filter(|(known, _)| chain_id.is_none_or(|chain_id| chain_id == **known));
        match (wanted.next(), wanted.next()) {
            (Some((_, only)), None) => only.tip.is_some_and(|tip| tip >= number),
            _ => true,
        }
    });
    // No connection is held meanwhile: many may wait (F72).
    let _ = tokio::time::timeout(longest, reached).await;
}

/// Waits until readers see a commit of a network, at most as long as that.
pub async fn wait_for_commit(store: &Store, chain_id: i64, seq: i64, longest: Duration) {
    let mut heads = store.feed().heads();
    let reached = heads
        .wait_for(|heads| heads.as_ref().and_then(|heads| heads.get(&chain_id)).is_some_and(|head| head.seq >= seq));
    let _ = tokio::time::timeout(longest, reached).await;
}

/// The sentence of a network that is not here.
pub(super) fn no_network(chain_id: i64) -> QueryError {
    QueryError::NotFound(format!("no network with `chainId` {chain_id} is indexed here"))
}

fn place(network: &Network, pin: &BlockPin, min_finality: Option<Finality>) -> Result<Place, QueryError> {
    let chain_id = network.chain_id;
    let tip = network.indexed.as_ref().map(|block| block.number);
    let (asked, argument) = match pin {
        BlockPin::Number(number) => (Some(*number), "block.number"),
        BlockPin::AtLeast(number) => (Some(*number), "block.number_gte"),
        BlockPin::Newest | BlockPin::Hash(_) => (None, "block"),
    };
    if let Some(asked) = asked {
        if asked < 0 {
            return Err(QueryError::BadInput(format!("`{argument}` must be a block number, at least 0")));
        }
        let reached = tip.unwrap_or(-1);
        if asked > reached {
            return Err(not_yet(argument, chain_id, reached, asked));
        }
    }
    let newest = match min_finality {
        None => tip,
        Some(finality) => match network.newest_of(finality) {
            Some(number) => Some(number),
            None => {
                return Err(QueryError::NotYetIndexed(format!(
                    "`minFinality`: no block of chain {chain_id} is known to be that final yet"
                )));
            }
        },
    };
    let wanted = if matches!(pin, BlockPin::Number(_)) { asked } else { newest };
    if wanted > newest {
        let newest = newest.unwrap_or_default();
        return Err(QueryError::NotYetIndexed(format!(
            "`minFinality`: block {} of chain {chain_id} is not that final yet, only up to {newest}",
            wanted.unwrap_or_default()
        )));
    }
    let block = wanted.filter(|number| Some(*number) != tip);
    Ok(Place { chain_id, block, read_as_of: block.or(tip.filter(|_| !network.has_standings)) })
}

/// Worded as graph-node words it, because clients look for it.
pub(super) fn not_yet(argument: &str, chain_id: i64, reached: i64, asked: i64) -> QueryError {
    QueryError::NotYetIndexed(format!(
        "Failed to decode `{argument}` value: `subgraph eip155:{chain_id} has only indexed up to block number {reached} \
         and data for block number {asked} is therefore not yet available`"
    ))
}

/// A scope whose values are bound to one statement.
pub(super) struct BoundScope {
    /// The networks, in the text itself: a plan that is kept for all values of its parameters is then one for their
    /// partitions, and not for those of every network.
    chains: String,
    /// The block that a row's network is read as of, by the row's alias; nothing for the newest.
    block: Option<BoundBlock>,
    /// Age in seconds from which a validation without an answer is called expired.
    pub(super) validation_expires_after: i64,
    aspect: Aspect,
}

enum BoundBlock {
    One(String),
    /// Pairs of chain and block.
    Each(Vec<(String, String)>),
}

impl BoundScope {
    pub(super) fn bind(scope: &Scope, statement: &mut Statement) -> Self {
        let chain_ids: Vec<i64> = scope.places.iter().map(|place| place.chain_id).collect();
        let single = chain_ids.len() == 1;
        let chains = chain_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let block = if scope.is_newest() {
            None
        } else if single {
            Some(BoundBlock::One(format!("{}::bigint", statement.bind(scope.places[0].read_as_of.unwrap_or(i64::MAX)))))
        } else {
            Some(BoundBlock::Each(
                scope
                    .places
                    .iter()
                    .map(|place| (statement.bind(place.chain_id), statement.bind(place.read_as_of.unwrap_or(i64::MAX))))
                    .collect(),
            ))
        };
        Self { chains, block, validation_expires_after: scope.validation_expires_after, aspect: scope.aspect }
    }

    /// The condition that a row is of one of the networks.
    pub(super) fn of_networks(&self, alias: &str) -> String {
        if self.chains.is_empty() { "FALSE".to_owned() } else { format!("{alias}.chain_id IN ({})", self.chains) }
    }

    /// What a leaderboard is of: bytes that this node hashed or chose, so they may stand in the text.
    pub(super) fn aspect(&self) -> String {
        format!("'\\x{}'::bytea", alloy::hex::encode(self.aspect.bytes()))
    }

    /// Whether an earlier block than the newest is read.
    pub(super) fn is_pinned(&self) -> bool {
        self.block.is_some()
    }

    /// The condition that a row with `begin_block` and `end_block` holds.
    pub(super) fn live(&self, alias: &str) -> String {
        match self.block_of(alias) {
            None => format!("{alias}.end_block IS NULL"),
            Some(block) => format!(
                "({alias}.begin_block <= {block} AND ({alias}.end_block IS NULL OR {alias}.end_block > {block}))"
            ),
        }
    }

    /// The condition that a row with `begin_block` exists.
    pub(super) fn begun(&self, alias: &str) -> String {
        match self.block_of(alias) {
            None => "TRUE".to_owned(),
            Some(block) => format!("{alias}.begin_block <= {block}"),
        }
    }

    /// The condition that an earlier block is read at all, which is always so.
    pub(super) fn any_block(&self, alias: &str) -> String {
        self.block_of(alias).map_or_else(|| "TRUE".to_owned(), |block| format!("{block} IS NOT NULL"))
    }

    /// The block that a row's network is read as of; of the newest one NULL.
    pub(super) fn block(&self, alias: &str) -> String {
        self.block_of(alias).unwrap_or_else(|| "NULL::bigint".to_owned())
    }

    /// The condition that a block number in a column (`alias.column`) is reached.
    pub(super) fn reached(&self, column: &str) -> String {
        let alias = column.split('.').next().unwrap_or(column);
        match self.block_of(alias) {
            None => format!("({column} IS NOT NULL)"),
            Some(block) => format!("COALESCE({column} <= {block}, FALSE)"),
        }
    }

    /// The clock of a row's network: the time of the newest block with logs that is not above the block that is read.
    /// Headers of other final blocks are not kept, so only this clock tells the same whenever it is asked for.
    pub(super) fn clock(&self, alias: &str) -> String {
        let single = !self.chains.is_empty() && !self.chains.contains(',');
        let chain = if single { self.chains.clone() } else { format!("{alias}.chain_id") };
        // While blocks are derived again from the store, headers beyond the tip are held too.
        let newest = format!("(SELECT c.tip_number FROM cursor c WHERE c.chain_id = {chain})");
        let block = self.block_of(alias).unwrap_or(newest);
        format!(
            "(SELECT b.block_at FROM block b WHERE b.chain_id = {chain} AND b.log_count > 0 AND b.number <= {block} \
             ORDER BY b.number DESC LIMIT 1)"
        )
    }

    fn block_of(&self, alias: &str) -> Option<String> {
        Some(match self.block.as_ref()? {
            BoundBlock::One(block) => block.clone(),
            BoundBlock::Each(pairs) => {
                let cases: String =
                    pairs.iter().map(|(chain, block)| format!(" WHEN {chain}::bigint THEN {block}::bigint")).collect();
                format!("(CASE {alias}.chain_id{cases} END)")
            }
        })
    }
}
