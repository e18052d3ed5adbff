//! Rows that do not follow from the raw logs: a row of no log, and a log whose row is not there or says something else.
//!
//! Not every column is held against its log: those that are, are named in `docs/completeness.md`. All of it is a fixed
//! number of statements for a stretch of blocks, each looking its keys up one by one.

use std::collections::{BTreeMap, HashMap};

use alloy::primitives::{Address, B256, U256, keccak256};

use crate::block::Log;
use crate::event::{Event, Fact, IdentityEvent, ReputationEvent, ReputationFact, Tag, Text, ValidationEvent};
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
        events.into_iter().map(move |(contract, event)| Decoded { log, contract, event })
    };
    logs.values().flatten().flat_map(decode).collect()
}

/// An event of an earlier generation as those of today's registries that tell the same. Feedback that none of them could
/// tell stays what it is, and its row is held against the place of its log alone.
fn as_today(event: Event) -> Vec<Event> {
    let Event::Earlier(_) = &event else { return vec![event] };
    let today = match event.fact() {
        Some(Fact::Identity(events)) => Some(events.iter().cloned().map(Event::Identity).collect()),
        Some(Fact::Validation(answer)) => Some(vec![Event::Validation(answer.into_owned())]),
        Some(Fact::Reputation(fact)) => todays_reputation(fact).map(|event| vec![Event::Reputation(event)]),
        None => None,
    };
    today.unwrap_or_else(|| vec![event])
}

/// Nothing for feedback without an index, of which only the hash of a tag is known, or with a value beyond 128 bits.
fn todays_reputation(fact: ReputationFact) -> Option<ReputationEvent> {
    Some(match fact {
        ReputationFact::Given(given) => {
            let Tag::Text(tag1) = given.tag1 else { return None };
            let magnitude = i128::try_from(given.value.magnitude).ok()?;
            ReputationEvent::NewFeedback {
                agent_id: given.agent_id,
                client_address: given.client_address,
                feedback_index: given.feedback_index?,
                value: if given.value.is_negative { -magnitude } else { magnitude },
                value_decimals: given.value_decimals,
                indexed_tag1: keccak256(&tag1.0),
                tag1,
                tag2: given.tag2,
                endpoint: given.endpoint,
                feedback_uri: given.feedback_uri,
                feedback_hash: given.feedback_hash,
            }
        }
        ReputationFact::Revoked { agent_id, client_address, feedback_index } => {
            ReputationEvent::FeedbackRevoked { agent_id, client_address, feedback_index }
        }
        ReputationFact::Answered {
            agent_id,
            client_address,
            feedback_index,
            responder,
            response_uri,
            response_hash,
        } => ReputationEvent::ResponseAppended {
            agent_id,
            client_address,
            feedback_index,
            responder,
            response_uri,
            response_hash,
        },
    })
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
    feedback(sql, events, &mut misfits).await?;
    revocations(sql, events, &mut misfits).await?;
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
fn has_row(table: &str, event: Option<&Event>) -> bool {
    match event {
        None => table == "undecoded_log",
        Some(Event::Reputation(ReputationEvent::ResponseAppended { .. })) => table == "feedback_response",
        Some(Event::Validation(ValidationEvent::ValidationResponse { .. })) => table == "validation_response",
        Some(Event::Identity(_) | Event::Reputation(_) | Event::Validation(_)) => false,
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
    let (blocks, places, transactions) = names(events.iter().filter(|of| has_row(table, of.event.as_ref())));
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
fn tell(
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

/// Feedback as it was given.
async fn feedback(sql: &Sql<'_>, events: &[Decoded<'_>], misfits: &mut Vec<Misfit>) -> Result<(), StoreError> {
    let due = last_of_block(events, |of| match &of.event {
        Some(Event::Reputation(ReputationEvent::NewFeedback { agent_id, client_address, feedback_index, .. })) => {
            Some((of.contract.deployment, *agent_id, *client_address, *feedback_index))
        }
        _ => None,
    });
    if due.is_empty() {
        return Ok(());
    }
    let mut rows = FeedbackColumns::default();
    due.iter().for_each(|of| rows.push(of));
    let rows = sql
        .query(
            "SELECT due.place FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::numeric[], $6::bigint[], \
                 $7::integer[], $8::numeric[], $9::smallint[], $10::text[], $11::text[], $12::text[], $13::text[], \
                 $14::bytea[], $15::numeric[]) WITH ORDINALITY \
                 AS due (deployment, agent_id, client, feedback_index, begin_block, log_index, value_raw, \
                         value_decimals, tag1, tag2, endpoint, feedback_uri, feedback_hash, value, place) \
             LEFT JOIN LATERAL (SELECT TRUE AS fits FROM feedback f WHERE f.chain_id = $1 \
                 AND f.deployment = due.deployment AND f.agent_id = due.agent_id AND f.client = due.client \
                 AND f.feedback_index = due.feedback_index AND f.begin_block = due.begin_block \
                 AND f.log_index = due.log_index AND f.value_raw = due.value_raw \
                 AND f.value_decimals = due.value_decimals AND f.value = due.value \
                 AND f.tag1 = due.tag1 AND f.tag2 = due.tag2 AND f.endpoint = due.endpoint \
                 AND f.feedback_uri = due.feedback_uri AND f.feedback_hash = due.feedback_hash OFFSET 0) f ON TRUE \
             WHERE f.fits IS NULL ORDER BY due.place LIMIT 100",
            &[
                &rows.deployments,
                &rows.agents,
                &rows.clients,
                &rows.indexes,
                &rows.blocks,
                &rows.places,
                &rows.values,
                &rows.decimals,
                &rows.texts[0],
                &rows.texts[1],
                &rows.texts[2],
                &rows.texts[3],
                &rows.hashes,
                // Not computed by the server: its division keeps sixteen digits (F48).
                &rows.scaled,
            ],
        )
        .await?;
    misfits.extend(tell("feedback", "the row is not what the raw log says, or not there", &due, &rows)?);
    Ok(())
}

#[derive(Default)]
struct FeedbackColumns<'a> {
    deployments: Vec<i16>,
    agents: Vec<Numeric>,
    clients: Vec<&'a [u8]>,
    indexes: Vec<Numeric>,
    blocks: Vec<i64>,
    places: Vec<i32>,
    values: Vec<Numeric>,
    scaled: Vec<Numeric>,
    decimals: Vec<i16>,
    texts: [Vec<String>; 4],
    hashes: Vec<&'a [u8]>,
}

impl<'a> FeedbackColumns<'a> {
    fn push(&mut self, of: &'a Decoded<'_>) {
        let Some(Event::Reputation(ReputationEvent::NewFeedback {
            agent_id,
            client_address,
            feedback_index,
            value,
            value_decimals,
            tag1,
            tag2,
            endpoint,
            feedback_uri,
            feedback_hash,
            ..
        })) = &of.event
        else {
            return;
        };
        self.deployments.push(small(of.contract.deployment));
        self.agents.push((*agent_id).into());
        self.clients.push(client_address.as_slice());
        self.indexes.push((*feedback_index).into());
        self.blocks.push(signed(of.log.block.number));
        self.places.push(index(of.log.log_index));
        self.values.push(Numeric::from_decimal(*value, 0));
        self.scaled.push(Numeric::from_decimal(*value, *value_decimals));
        self.decimals.push((*value_decimals).into());
        for (column, text) in self.texts.iter_mut().zip([tag1, tag2, endpoint, feedback_uri]) {
            column.push(text.readable().into_owned());
        }
        self.hashes.push(feedback_hash.as_slice());
    }
}

/// Feedback that was revoked and still stands.
async fn revocations(sql: &Sql<'_>, events: &[Decoded<'_>], misfits: &mut Vec<Misfit>) -> Result<(), StoreError> {
    let mut due = Vec::new();
    let (mut deployments, mut agents, mut clients, mut indexes, mut blocks) = (vec![], vec![], vec![], vec![], vec![]);
    for of in events {
        let Some(Event::Reputation(ReputationEvent::FeedbackRevoked { agent_id, client_address, feedback_index })) =
            &of.event
        else {
            continue;
        };
        due.push(of);
        deployments.push(small(of.contract.deployment));
        agents.push(Numeric::from(*agent_id));
        clients.push(client_address.as_slice());
        indexes.push(Numeric::from(*feedback_index));
        blocks.push(signed(of.log.block.number));
    }
    if due.is_empty() {
        return Ok(());
    }
    let rows = sql
        .query(
            "SELECT due.place FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::numeric[], $6::bigint[]) \
                 WITH ORDINALITY AS due (deployment, agent_id, client, feedback_index, block, place) \
             JOIN LATERAL (SELECT TRUE FROM feedback f WHERE f.chain_id = $1 AND f.deployment = due.deployment \
                 AND f.agent_id = due.agent_id AND f.client = due.client AND f.feedback_index = due.feedback_index \
                 AND f.begin_block < due.block AND (f.end_block IS NULL OR f.end_block > due.block) \
                 AND (f.revoked_block IS NULL OR f.revoked_block > due.block) OFFSET 0) f ON TRUE \
             ORDER BY due.place LIMIT 100",
            &[&deployments, &agents, &clients, &indexes, &blocks],
        )
        .await?;
    misfits.extend(tell("feedback", "it was revoked, and the row does not say so", &due, &rows)?);
    Ok(())
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

/// Owner and URI of each agent as the block left them.
async fn agents(sql: &Sql<'_>, events: &[Decoded<'_>], misfits: &mut Vec<Misfit>) -> Result<(), StoreError> {
    let due = last_of_block(events, |of| {
        let (agent_id, what) = trait_of(of)?;
        Some((of.contract.deployment, agent_id, matches!(what, Trait::Owner(_))))
    });
    if due.is_empty() {
        return Ok(());
    }
    let (mut deployments, mut ids, mut blocks) = (vec![], vec![], vec![]);
    let (mut owners, mut uris): (Vec<Option<&[u8]>>, Vec<Option<String>>) = (vec![], vec![]);
    for of in &due {
        let Some((agent_id, what)) = trait_of(of) else { continue };
        deployments.push(small(of.contract.deployment));
        ids.push(Numeric::from(agent_id));
        blocks.push(signed(of.log.block.number));
        match what {
            Trait::Owner(owner) => (owners.push(Some(owner.as_slice())), uris.push(None)),
            Trait::Uri(uri) => (owners.push(None), uris.push(Some(uri.readable().into_owned()))),
        };
    }
    let rows = sql
        .query(
            "SELECT due.place FROM unnest($2::smallint[], $3::numeric[], $4::bigint[], $5::bytea[], $6::text[]) \
                 WITH ORDINALITY AS due (deployment, agent_id, block, owner, uri, place) \
             LEFT JOIN LATERAL (SELECT TRUE AS fits FROM agent a WHERE a.chain_id = $1 \
                 AND a.deployment = due.deployment AND a.agent_id = due.agent_id \
                 AND a.begin_block <= due.block AND (a.end_block IS NULL OR a.end_block > due.block) \
                 AND (due.owner IS NULL OR a.owner = due.owner) AND (due.uri IS NULL OR a.agent_uri = due.uri) \
                 OFFSET 0) a ON TRUE \
             WHERE a.fits IS NULL ORDER BY due.place LIMIT 100",
            &[&deployments, &ids, &blocks, &owners, &uris],
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
