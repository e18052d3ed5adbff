//! Rows that do not follow from the raw logs: a row of no log, and a log whose row is not there or says something else.
//!
//! Not every column is held against its log: those that are, are named in `docs/completeness.md`. All of it is a fixed
//! number of statements for a stretch of blocks, each looking its keys up one by one.

use std::collections::{BTreeMap, HashMap};

use alloy::primitives::{Address, B256, U256, keccak256};

use super::feedback;
use crate::block::Log;
use crate::event::{Event, Fact, IdentityEvent, ReputationFact, Text, ValidationEvent};
use crate::store::apply::FACT_TABLES;
use crate::store::error::StoreError;
use crate::store::network::{Contract, small};
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, index, signed};

/// Rows that are told of one table and stretch; the rest differs in the same way.
const MAX_TOLD: i64 = 100;

/// A row that does not follow from the raw logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The table.
    pub table: &'static str,
    /// The block that the row begins in, or that should have begun it.
    pub block: u64,
    /// The log's place in it.
    pub log_index: u32,
    /// What does not fit.
    pub reason: &'static str,
}

impl Misfit {
    /// Which row of the block it is.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{} log {}", self.table, self.log_index)
    }
}

/// A log that was decoded, and the contract that it is of.
pub(super) struct Decoded<'a> {
    pub(super) log: &'a Log,
    pub(super) contract: Contract,
    pub(super) event: Option<Event>,
    /// What it says of feedback, whichever generation says it.
    pub(super) fact: Option<ReputationFact>,
}

/// What the logs say.
pub(super) fn decode<'a>(contracts: &[Contract], logs: &'a BTreeMap<u64, Vec<Log>>) -> Vec<Decoded<'a>> {
    let by_address: HashMap<Address, Contract> =
        contracts.iter().map(|contract| (contract.address, *contract)).collect();
    let decode = |log: &'a Log| {
        let contract = by_address.get(&log.address).copied();
        let events = contract.map_or_else(Vec::new, |contract| match contract.decode(log) {
            Ok(event) => as_today(event).into_iter().map(|event| (contract, Some(event))).collect(),
            Err(_) => vec![(contract, None)],
        });
        events.into_iter().map(move |(contract, event)| {
            let fact = event.as_ref().and_then(reputation);
            Decoded { log, contract, event, fact }
        })
    };
    logs.values().flatten().flat_map(decode).collect()
}

/// An event of an earlier generation as those of today's registries that tell the same; of feedback the fact does.
fn as_today(event: Event) -> Vec<Event> {
    if !matches!(event, Event::Earlier(_)) {
        return vec![event];
    }
    match event.fact() {
        Some(Fact::Identity(events)) => events.iter().cloned().map(Event::Identity).collect(),
        Some(Fact::Validation(answer)) => vec![Event::Validation(answer.into_owned())],
        Some(Fact::Reputation(_)) | None => vec![event],
    }
}

fn reputation(event: &Event) -> Option<ReputationFact> {
    match event.fact()? {
        Fact::Reputation(fact) => Some(fact),
        Fact::Identity(_) | Fact::Validation(_) => None,
    }
}

/// Every row of these blocks that does not follow from their logs, as far as it is told.
pub(super) async fn misfits(
    sql: &Sql<'_>,
    events: &[Decoded<'_>],
    from: u64,
    to: u64,
) -> Result<Vec<Misfit>, StoreError> {
    let mut misfits = Vec::new();
    for table in FACT_TABLES {
        invented(sql, table, events, from, to, &mut misfits).await?;
    }
    for table in ["feedback_response", "validation_response", "audit_event", "undecoded_log"] {
        lost(sql, table, events, &mut misfits).await?;
    }
    feedback::as_given(sql, events, &mut misfits).await?;
    feedback::revocations(sql, events, &mut misfits).await?;
    agents(sql, events, &mut misfits).await?;
    metadata(sql, events, &mut misfits).await?;
    Ok(misfits)
}

/// Rows that name a log which is not there.
async fn invented(
    sql: &Sql<'_>,
    table: &'static str,
    events: &[Decoded<'_>],
    from: u64,
    to: u64,
    misfits: &mut Vec<Misfit>,
) -> Result<(), StoreError> {
    let (blocks, places, transactions) = names(events.iter());
    let select = format!(
        "SELECT begin_block, log_index FROM {table} WHERE chain_id = $1 AND begin_block BETWEEN $2 AND $3 \
         AND (begin_block, log_index, transaction_hash) NOT IN \
             (SELECT * FROM unnest($4::bigint[], $5::integer[], $6::bytea[])) \
         ORDER BY begin_block, log_index LIMIT {MAX_TOLD}"
    );
    let rows = sql.query(&select, &[&signed(from), &signed(to), &blocks, &places, &transactions]).await?;
    for row in &rows {
        misfits.push(Misfit {
            table,
            block: sql::number(row, "begin_block")?,
            log_index: sql::unsigned_index(sql::column(row, "log_index")?)?,
            reason: "a row names a log that is not among the raw logs",
        });
    }
    Ok(())
}

type Names<'a> = (Vec<i64>, Vec<i32>, Vec<&'a [u8]>);

/// Block, place and transaction of logs, as columns.
fn names<'a, 'b: 'a>(events: impl Iterator<Item = &'a Decoded<'b>>) -> Names<'a> {
    let mut names = Names::default();
    for Decoded { log, .. } in events {
        names.0.push(signed(log.block.number));
        names.1.push(index(log.log_index));
        names.2.push(log.transaction_hash.as_slice());
    }
    names
}

/// Whether each log of that kind has a row of its own in the table.
fn has_row(table: &str, of: &Decoded<'_>) -> bool {
    match &of.event {
        None => table == "undecoded_log",
        Some(_) if matches!(of.fact, Some(ReputationFact::Answered { .. })) => table == "feedback_response",
        Some(Event::Validation(ValidationEvent::ValidationResponse { .. })) => table == "validation_response",
        Some(Event::Identity(_) | Event::Reputation(_) | Event::Validation(_) | Event::Earlier(_)) => false,
        Some(event) => table == "audit_event" && event.audit().is_some(),
    }
}

/// Logs that should have a row of their own and have none.
async fn lost(
    sql: &Sql<'_>,
    table: &'static str,
    events: &[Decoded<'_>],
    misfits: &mut Vec<Misfit>,
) -> Result<(), StoreError> {
    let (blocks, places, transactions) = names(events.iter().filter(|of| has_row(table, of)));
    if blocks.is_empty() {
        return Ok(());
    }
    // The whole stretch at once: by these tables' indexes on the block.
    let select = format!(
        "SELECT * FROM unnest($2::bigint[], $3::integer[], $4::bytea[]) \
             AS due (begin_block, log_index, transaction_hash) \
         EXCEPT SELECT begin_block, log_index, transaction_hash FROM {table} \
             WHERE chain_id = $1 AND begin_block BETWEEN $5 AND $6 \
         ORDER BY 1, 2 LIMIT {MAX_TOLD}"
    );
    let (first, last) = (blocks[0], blocks[blocks.len() - 1]);
    let rows = sql.query(&select, &[&blocks, &places, &transactions, &first, &last]).await?;
    for row in &rows {
        misfits.push(Misfit {
            table,
            block: sql::number(row, "begin_block")?,
            log_index: sql::unsigned_index(sql::column(row, "log_index")?)?,
            reason: "a raw log has no row",
        });
    }
    Ok(())
}

/// The logs of those ordinals, which the statement said have no fitting row.
pub(super) fn tell(
    table: &'static str,
    reason: &'static str,
    due: &[&Decoded<'_>],
    rows: &[tokio_postgres::Row],
) -> Result<Vec<Misfit>, StoreError> {
    let misfit = |row: &tokio_postgres::Row| {
        let place = usize::try_from(sql::number(row, "place")?).unwrap_or(usize::MAX);
        let of = due.get(place.wrapping_sub(1)).ok_or_else(|| sql::corrupt("an ordinal is out of range"))?;
        Ok(Misfit { table, block: of.log.block.number, log_index: of.log.log_index, reason })
    };
    rows.iter().map(misfit).collect()
}

/// The last of several that share a key within a block: the tables hold what a block leaves.
fn last_of_block<'a, 'b, K: std::hash::Hash + Eq>(
    events: &'a [Decoded<'b>],
    key: impl Fn(&Decoded<'b>) -> Option<K>,
) -> Vec<&'a Decoded<'b>> {
    let mut last: HashMap<(u64, K), &Decoded<'b>> = HashMap::new();
    for event in events {
        if let Some(key) = key(event) {
            last.insert((event.log.block.number, key), event);
        }
    }
    let mut last: Vec<_> = last.into_values().collect();
    last.sort_by_key(|event| (event.log.block.number, event.log.log_index));
    last
}

/// What one event leaves of an agent: its owner, or its URI.
enum Trait<'a> {
    Owner(&'a Address),
    Uri(&'a Text),
}

fn trait_of<'a>(of: &'a Decoded<'_>) -> Option<(U256, Trait<'a>)> {
    match of.event.as_ref()? {
        Event::Identity(IdentityEvent::Transfer { to, token_id, .. }) => Some((*token_id, Trait::Owner(to))),
        Event::Identity(
            IdentityEvent::Registered { agent_id, agent_uri: uri, .. }
            | IdentityEvent::URIUpdated { agent_id, new_uri: uri, .. },
        ) => Some((*agent_id, Trait::Uri(uri))),
        _ => None,
    }
}

/// Whether an event registers that agent in the same block as another one, and behind it.
fn is_registered_after(of: &Decoded<'_>, later: &Decoded<'_>, agent: U256) -> bool {
    let (at, then) = (of.log, later.log);
    let is_later = then.block.number == at.block.number && then.log_index > at.log_index;
    let is_of_it =
        matches!(&later.event, Some(Event::Identity(IdentityEvent::Registered { agent_id, .. })) if *agent_id == agent);
    is_later && later.contract.deployment == of.contract.deployment && is_of_it
}

/// Owner and URI of each agent as the block left them.
async fn agents(sql: &Sql<'_>, events: &[Decoded<'_>], misfits: &mut Vec<Misfit>) -> Result<(), StoreError> {
    let mut due = last_of_block(events, |of| {
        let (agent_id, what) = trait_of(of)?;
        Some((of.contract.deployment, agent_id, matches!(what, Trait::Owner(_))))
    });
    // Whom a registration finds without an owner, it may give one, and tells no transfer.
    due.retain(|of| {
        let Some((agent_id, Trait::Owner(owner))) = trait_of(of) else { return true };
        !owner.is_zero() || !events.iter().any(|later| is_registered_after(of, later, agent_id))
    });
    if due.is_empty() {
        return Ok(());
    }
    let (mut deployments, mut ids, mut blocks) = (vec![], vec![], vec![]);
    let (mut owners, mut uris): (Vec<Option<&[u8]>>, Vec<Option<String>>) = (vec![], vec![]);
    let mut raw_uris: Vec<Option<&[u8]>> = vec![];
    for of in &due {
        let Some((agent_id, what)) = trait_of(of) else { continue };
        deployments.push(small(of.contract.deployment));
        ids.push(Numeric::from(agent_id));
        blocks.push(signed(of.log.block.number));
        match what {
            Trait::Owner(owner) => {
                owners.push(Some(owner.as_slice()));
                uris.push(None);
                raw_uris.push(None);
            }
            Trait::Uri(uri) => {
                owners.push(None);
                uris.push(Some(uri.readable().into_owned()));
                raw_uris.push(uri.raw_if_unclean());
            }
        }
    }
    let rows = sql
        .query(
            "SELECT due.place FROM unnest($2::smallint[], $3::numeric[], $4::bigint[], $5::bytea[], $6::text[], \
                 $7::bytea[]) WITH ORDINALITY AS due (deployment, agent_id, block, owner, uri, uri_raw, place) \
             LEFT JOIN LATERAL (SELECT TRUE AS fits FROM agent a WHERE a.chain_id = $1 \
                 AND a.deployment = due.deployment AND a.agent_id = due.agent_id \
                 AND a.begin_block <= due.block AND (a.end_block IS NULL OR a.end_block > due.block) \
                 AND (due.owner IS NULL OR a.owner = due.owner) AND (due.uri IS NULL OR (a.agent_uri = due.uri \
                     AND a.agent_uri_raw IS NOT DISTINCT FROM due.uri_raw)) OFFSET 0) a ON TRUE \
             WHERE a.fits IS NULL ORDER BY due.place LIMIT 100",
            &[&deployments, &ids, &blocks, &owners, &uris, &raw_uris],
        )
        .await?;
    misfits.extend(tell("agent", "owner or URI is not what the raw log says", &due, &rows)?);
    Ok(())
}

fn entry_of<'a>(of: &'a Decoded<'_>) -> Option<(U256, B256, &'a [u8])> {
    match of.event.as_ref()? {
        Event::Identity(IdentityEvent::MetadataSet { agent_id, metadata_key, metadata_value, .. }) => {
            Some((*agent_id, keccak256(&metadata_key.0), metadata_value))
        }
        _ => None,
    }
}

/// Metadata entries as the block left them.
async fn metadata(sql: &Sql<'_>, events: &[Decoded<'_>], misfits: &mut Vec<Misfit>) -> Result<(), StoreError> {
    let due = last_of_block(events, |of| {
        let (agent_id, key, _) = entry_of(of)?;
        Some((of.contract.deployment, agent_id, key))
    });
    let entries: Vec<_> = due.iter().filter_map(|of| entry_of(of)).collect();
    if entries.is_empty() {
        return Ok(());
    }
    let deployments: Vec<i16> = due.iter().map(|of| small(of.contract.deployment)).collect();
    let ids: Vec<Numeric> = entries.iter().map(|(agent_id, ..)| Numeric::from(*agent_id)).collect();
    let keys: Vec<&[u8]> = entries.iter().map(|(_, key, _)| key.as_slice()).collect();
    let values: Vec<&[u8]> = entries.iter().map(|(.., value)| *value).collect();
    let blocks: Vec<i64> = due.iter().map(|of| signed(of.log.block.number)).collect();
    let rows = sql
        .query(
            "SELECT due.place FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::bytea[], $6::bigint[]) \
                 WITH ORDINALITY AS due (deployment, agent_id, key_hash, value, block, place) \
             LEFT JOIN LATERAL (SELECT TRUE AS fits FROM agent_metadata m WHERE m.chain_id = $1 \
                 AND m.deployment = due.deployment AND m.agent_id = due.agent_id AND m.key_hash = due.key_hash \
                 AND m.begin_block = due.block AND m.value = due.value OFFSET 0) m ON TRUE \
             WHERE m.fits IS NULL ORDER BY due.place LIMIT 100",
            &[&deployments, &ids, &keys, &values, &blocks],
        )
        .await?;
    misfits.extend(tell("agent_metadata", "the value is not what the raw log says, or not there", &due, &rows)?);
    Ok(())
}
