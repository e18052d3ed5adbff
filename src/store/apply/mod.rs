//! One transaction of the writer: undo, then facts, totals, raw logs, headers, changes and the cursor, all or nothing.
//!
//! Each noun's file has the same verbs: `load` what the database holds of the keys that a batch touches, `fold` the
//! batch's events into it in memory, `write` the result (ends by one UPDATE, new rows by one binary COPY), and `rewind`,
//! the mirror of `write`. A load looks each key up by itself (`LATERAL … OFFSET 0`): free to choose, the planner joins
//! the wrong way round as long as a new network's tables have no statistics. Rows that nearly always change are taken
//! instead, deleted and written again (`kept`). So no row is touched twice (F54), the number of statements does not depend
//! on the number of rows, and "rewind to N, then apply" leaves what applying alone would have left (F66).
//!
//! What does not build on each other is sent together where rows are few (`sql::together`): at the head, a step is as long
//! as its server is waited for, and it is waited for once for all loads, once for standings, and once for all writes.

mod agents;
mod audit;
mod batch;
mod blocks;
mod change;
mod counters;
mod digest;
mod facts;
mod feedback;
mod files;
mod findings;
mod flips;
mod hours;
mod intents;
mod kept;
mod late;
mod mark;
mod metadata;
mod named;
mod oversight;
mod policies;
mod rankings;
mod standings;
mod stretch;
mod switches;
mod tags;
mod timeline;
mod totals;
mod validations;
mod versions;
mod voices;
mod wallets;
mod watchdog;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use alloy::primitives::Address;

pub(super) use self::batch::check_blocks;
pub use self::batch::{Applied, Batch, Rewound, Tip};
pub(super) use self::change::BlocksAre;
pub use self::change::{ChangeEntity, ChangeOp};
pub(super) use self::feedback::EverGiven;
pub use self::flips::FlipCount;
pub(super) use self::late::{CountedTo, count as count_late, forget as forget_counted};
pub(super) use self::named::{NamedAgents, NamedSoFar};
pub(super) use self::stretch::{Bounds, held_hash, read as read_stretch, replace as replace_raw};
pub(super) use self::totals::{CHANGED_FROM, count_all as count_totals};

use self::agents::AgentNames;
use self::change::{Changes, Told};
use self::digest::Digests;
use self::facts::{Facts, Keys};
use self::standings::Standings;
use self::timeline::Place;
use super::error::StoreError;
use super::network::Contract;
use super::sql::{self, Sql, together};
use super::verification;
use crate::block::{Block, DecodedLog, Log};
use crate::event::Event;
use crate::id::AgentId;

/// The number of what this program derives from logs. Whatever makes it derive more, or otherwise, raises it: then each
/// network is derived anew from its raw logs before anything else (`super::derivation`).
///
/// | number | since then |
/// |---|---|
/// | 1 | networks have a number; standings, and the audit trail as states, with findings |
/// | 2 | standings have milestones, and say what they add to their hour |
/// | 3 | what agents' scores were is held, and milestones say whether they end their hour |
pub const DERIVATION: i16 = 3;

/// The tables whose rows begin with a log, in `begin_block`.
pub(super) const FACT_TABLES: [&str; 18] = [
    "agent",
    "agent_metadata",
    "operator_approval",
    "registration_file",
    "manifest_flip",
    "feedback",
    "feedback_response",
    "validation",
    "validation_response",
    "audit_event",
    "wallet_agent",
    "policy",
    "relayer",
    "halt",
    "intent_counter",
    "intent",
    "finding",
    "undecoded_log",
];

/// An event's place and the contract that emitted it.
struct At<'a> {
    place: Place,
    contract: &'a Contract,
}

/// A network's contracts by address, shared by whoever reads logs.
#[derive(Clone)]
pub(super) struct Contracts(Arc<HashMap<Address, Contract>>);

impl Contracts {
    pub(super) fn new(contracts: &[Contract]) -> Self {
        Self(Arc::new(contracts.iter().map(|contract| (contract.address, *contract)).collect()))
    }

    /// The event of a log, where it is one.
    fn decode(&self, log: &Log) -> Option<Event> {
        self.0.get(&log.address)?.decode(log).ok()
    }

    fn names(&self, sql: &Sql<'_>) -> AgentNames {
        AgentNames::new(sql.chain_id, &self.0.values().copied().collect::<Vec<_>>())
    }

    /// What a log that was kept says to the present decoder.
    fn decoded(&self, log: Log) -> Result<DecodedLog, StoreError> {
        let contract = self.0.get(&log.address).ok_or_else(|| sql::corrupt("a raw log is of no contract"))?;
        Ok(DecodedLog { event: contract.decode(&log), log })
    }

    fn at(&self, block: &Block, decoded: &DecodedLog) -> Result<At<'_>, StoreError> {
        let log = &decoded.log;
        let contract = self.0.get(&log.address).ok_or_else(|| {
            batch::unfit(format!("block {} has a log of {}, which is not watched", log.block.number, log.address))
        })?;
        let place = Place {
            block: log.block.number,
            log_index: log.log_index,
            time: block.header.timestamp,
            transaction: log.transaction_hash,
        };
        Ok(At { place, contract })
    }
}

/// What adding blocks did.
pub(super) struct Added {
    pub(super) events: BTreeMap<&'static str, u64>,
    pub(super) flips: BTreeMap<AgentId, FlipCount>,
    pub(super) undecoded: u64,
    pub(super) rows: u64,
    pub(super) seq: u64,
}

/// Whether standings and totals are kept up with the facts, or counted once a backfill has come to its end.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandingsAre {
    #[default]
    Kept,
    Late,
}

/// How blocks are derived from.
#[derive(Clone)]
pub(super) struct Deriving {
    /// Blocks up to this one are final: nothing is kept to undo them.
    pub(super) finalized: Option<u64>,
    /// The changes of blocks from this one on are told though they are final, because they were taken back.
    pub(super) told_from: Option<u64>,
    /// Whether their headers and raw logs are to be written, too.
    pub(super) blocks_are: BlocksAre,
    pub(super) standings_are: StandingsAre,
    /// What feedback was ever written, where that is known.
    pub(super) ever_given: Option<Arc<EverGiven>>,
    /// Which agents there are, where that is known already.
    pub(super) named: NamedSoFar,
}

impl Deriving {
    /// The last block whose changes nobody waits for.
    fn untold(&self) -> Option<u64> {
        let Some(told_from) = self.told_from else { return self.finalized };
        self.finalized.map(|finalized| finalized.min(told_from.saturating_sub(1)))
    }
}

/// From how many logs on they are folded and hashed on other threads: it takes two milliseconds each.
const MANY_LOGS: usize = 256;

/// Whether blocks have many logs.
fn are_many(blocks: &[Block]) -> bool {
    blocks.iter().map(|block| block.logs.len()).sum::<usize>() >= MANY_LOGS
}

/// Writes what derives from the logs of blocks: facts, totals, changes; of new ones, what they hold, too. `seq` is the newest
/// sequence number before.
///
/// The server and this program are kept busy at once: the digest is computed all the while, the facts are folded while it is
/// looked up what agents stood at and while raw logs are written, and standings are counted while the facts are written.
pub(super) async fn derive(
    sql: &Sql<'_>,
    contracts: &Contracts,
    blocks: &Arc<[Block]>,
    how: &Deriving,
    seq: u64,
) -> Result<Added, StoreError> {
    let keys = Keys::of(contracts, blocks, how.standings_are)?;
    let told = Told { above: how.untold(), blocks: how.blocks_are };
    let digests = async { Ok(Digests::load(sql, blocks, how.finalized).await?.fold(sql.chain_id, blocks)) };
    // Boxed, because the futures of whoever steps would hold those of every noun.
    let facts = Box::pin(Facts::load(sql, &keys, Changes::new(contracts.names(sql), told), how));
    let (digests, (facts, voices)) = together!(sql, digests, facts)?;
    let standings = facts.standings(&keys);
    let facts = facts.fold(contracts, blocks);
    let standings = Standings::load(sql, &standings, voices, how.finalized).await?;
    let held = async {
        match how.blocks_are {
            BlocksAre::New => blocks::write(sql, blocks, how.finalized).await,
            BlocksAre::Held => Ok(0),
        }
    };
    let derived = Box::pin(async {
        let (facts, spoken) = facts.end().await?;
        let standings = standings.count_all(match how.standings_are {
            StandingsAre::Kept => spoken,
            StandingsAre::Late => Vec::new(),
        });
        let rows = async {
            let rows = facts.write(sql).await?;
            // Behind them, because they are counted from what the others wrote.
            hours::add(sql, blocks).await?;
            Ok(rows)
        };
        let standings = async { standings.end().await.write(sql).await };
        let digests = async { digests.end().await.write(sql).await };
        let (rows, standings, digests, seq) = together!(sql, rows, standings, digests, facts.changes.write(sql, seq))?;
        Ok((facts, rows + standings + digests, seq))
    });
    let (held, (facts, rows, seq)) = together!(sql, held, derived)?;
    let flips = facts.flips.counts(&facts.changes.names);
    if let Some(named) = facts.totals.named() {
        how.named.put(named);
    }
    Ok(Added { undecoded: facts.undecoded.count(), events: facts.events, flips, rows: held + rows, seq })
}

/// What undoing blocks did.
pub(super) struct Undone {
    pub(super) agents: u64,
    pub(super) seq: u64,
}

/// How blocks are undone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Undoing {
    /// The newest block that is kept.
    pub(super) to: u64,
    /// Whether that is below finality, of which no versions of totals are kept: they are counted anew.
    pub(super) below_finality: bool,
    /// Whether what is undone is trusted: then it is held against the digest. Who re-indexes may do so because it is
    /// damaged.
    pub(super) is_trusted: bool,
    pub(super) standings_are: StandingsAre,
}

/// Undoes every block above one: rows that began there go, rows that ended there hold again.
pub(super) async fn undo(
    sql: &Sql<'_>,
    contracts: &Contracts,
    undoing: &Undoing,
    seq: u64,
) -> Result<Undone, StoreError> {
    let undone = underive(sql, contracts, undoing, BlocksAre::New, seq).await?;
    blocks::rewind(sql, undoing.to).await?;
    Ok(undone)
}

/// Undoes all that derives from the blocks above one; their headers and raw logs stay.
pub(super) async fn underive(
    sql: &Sql<'_>,
    contracts: &Contracts,
    undoing: &Undoing,
    blocks_are: BlocksAre,
    seq: u64,
) -> Result<Undone, StoreError> {
    let to = undoing.to;
    let touched = match undoing.standings_are {
        StandingsAre::Kept => None,
        // No totals tell it.
        StandingsAre::Late => Some(totals::changed_above(sql, to).await?),
    };
    // Before the rows go: it reads what tells events from logs that could not be decoded.
    digest::rewind(sql, contracts, to, undoing.is_trusted).await?;
    let seq = change::rewind(sql, to, blocks_are, seq).await?;
    agents::rewind(sql, to).await?;
    metadata::rewind(sql, to).await?;
    files::rewind(sql, to).await?;
    flips::rewind(sql, to).await?;
    feedback::rewind(sql, to).await?;
    tags::rewind(sql, to).await?;
    validations::rewind(sql, to).await?;
    audit::rewind(sql, to).await?;
    oversight::rewind(sql, to).await?;
    blocks::rewind_undecoded(sql, to).await?;
    // Last, because they are counted from what the others leave.
    hours::rewind(sql, to).await?;
    let agents = match touched {
        Some(touched) => {
            late::forget(sql).await?;
            touched
        }
        None if undoing.below_finality => {
            standings::recount(sql, to).await?;
            totals::recount(sql, to).await?
        }
        None => {
            standings::rewind(sql, to).await?;
            totals::rewind(sql, to).await?
        }
    };
    // Rows that are derived again are to be looked at again, whether or not their raw logs stay.
    verification::rewind(sql, to).await?;
    Ok(Undone { agents, seq })
}

/// The lowest block above `to` of which a change was told.
pub(super) async fn told_from(sql: &Sql<'_>, to: u64) -> Result<Option<u64>, StoreError> {
    change::told_from(sql, to).await
}

/// Forgets what finality makes superfluous, once it rose from `before` to `finalized` while blocks up to `held_to` were
/// held already.
pub(super) async fn prune(
    sql: &Sql<'_>,
    before: Option<u64>,
    held_to: Option<u64>,
    finalized: u64,
) -> Result<(), StoreError> {
    together!(
        sql,
        totals::prune(sql, finalized),
        standings::prune(sql, finalized),
        change::prune(sql, finalized),
        digest::prune(sql, finalized),
        blocks::prune(sql, before, held_to, finalized),
    )?;
    Ok(())
}

/// Computes digests of stored logs that have none, a bounded piece at a time; returns whether there may be more.
pub(super) async fn catch_up_digest(
    sql: &Sql<'_>,
    contracts: &Contracts,
    finalized: Option<u64>,
) -> Result<bool, StoreError> {
    digest::catch_up(sql, contracts, finalized).await
}
