//! Feedback against the logs that gave it, in the terms of any generation (`docs/data-model.md`, section 11).
//!
//! A log of an earlier generation may tell no index. The writer counts it then, and so does this: from the newest index
//! below the first such block, event by event, as the logs tell. A row of another index is as wrong as one of another value.

use std::collections::BTreeMap;

use alloy::primitives::{Address, Bytes, U256};

use super::facts::{Decoded, Misfit, tell};
use crate::event::{Feedback, ReputationFact, Tag, Text};
use crate::id::Deployment;
use crate::store::error::StoreError;
use crate::store::network::small;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, Sql, index, signed};

/// What is shown of a tag of which only the hash is known.
static NO_TAG: Text = Text(Bytes::new());

/// A client of an agent.
type Pair = (Deployment, U256, Address);

/// What a log gives, and the index that its row must have.
struct Given<'a, 'b> {
    of: &'a Decoded<'b>,
    feedback: &'a Feedback,
    index: u64,
}

fn given<'a>(of: &'a Decoded<'_>) -> Option<(Pair, &'a Feedback)> {
    let Some(ReputationFact::Given(feedback)) = &of.fact else { return None };
    Some(((of.contract.deployment, feedback.agent_id, feedback.client_address), feedback))
}

/// What these logs give and a block leaves: what one repeats in its block never was.
async fn due<'a, 'b>(sql: &Sql<'_>, events: &'a [Decoded<'b>]) -> Result<Vec<Given<'a, 'b>>, StoreError> {
    let mut newest = newest_below(sql, events).await?;
    let mut last = BTreeMap::new();
    for of in events {
        let Some((pair, feedback)) = given(of) else { continue };
        let counted = newest.get(&pair).map_or(1, |newest| newest.saturating_add(1));
        let index = feedback.feedback_index.unwrap_or(counted);
        if let Some(newest) = newest.get_mut(&pair) {
            *newest = index.max(*newest);
        }
        last.insert((of.log.block.number, pair, index), Given { of, feedback, index });
    }
    let mut due: Vec<_> = last.into_values().collect();
    due.sort_by_key(|due| (due.of.log.block.number, due.of.log.log_index));
    Ok(due)
}

/// The newest index of each client and agent below the first block that gives feedback without one; 0 where there is none.
async fn newest_below(sql: &Sql<'_>, events: &[Decoded<'_>]) -> Result<BTreeMap<Pair, u64>, StoreError> {
    let mut first = BTreeMap::new();
    for of in events {
        if let Some((pair, Feedback { feedback_index: None, .. })) = given(of) {
            first.entry(pair).or_insert(of.log.block.number);
        }
    }
    if first.is_empty() {
        return Ok(BTreeMap::new());
    }
    let deployments: Vec<i16> = first.keys().map(|(deployment, ..)| small(*deployment)).collect();
    let agents: Vec<Numeric> = first.keys().map(|(_, agent, _)| Numeric::from(*agent)).collect();
    let clients: Vec<&[u8]> = first.keys().map(|(.., client)| client.as_slice()).collect();
    let blocks: Vec<i64> = first.values().map(|block| signed(*block)).collect();
    let rows = sql
        .query(
            "SELECT coalesce(below.feedback_index, 0) AS newest \
             FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::bigint[]) \
                 WITH ORDINALITY AS due (deployment, agent_id, client, block, place) \
             LEFT JOIN LATERAL (SELECT f.feedback_index FROM feedback f WHERE f.chain_id = $1 \
                 AND f.deployment = due.deployment AND f.agent_id = due.agent_id AND f.client = due.client \
                 AND f.begin_block < due.block ORDER BY f.feedback_index DESC LIMIT 1) below ON TRUE \
             ORDER BY due.place",
            &[&deployments, &agents, &clients, &blocks],
        )
        .await?;
    let newest = rows.iter().map(|row| {
        let newest: Numeric = sql::column(row, "newest")?;
        newest.to_u64().ok_or_else(|| sql::corrupt("a feedback's index is no uint64"))
    });
    first.into_keys().zip(newest).map(|(pair, newest)| Ok((pair, newest?))).collect()
}

/// Feedback as it was given.
pub(super) async fn as_given(
    sql: &Sql<'_>,
    events: &[Decoded<'_>],
    misfits: &mut Vec<Misfit>,
) -> Result<(), StoreError> {
    let due = due(sql, events).await?;
    if due.is_empty() {
        return Ok(());
    }
    let mut rows = Columns::default();
    due.iter().for_each(|due| rows.push(due));
    let [tag1, tag2, endpoint, uri] = &rows.texts;
    let [tag1_raw, tag2_raw, endpoint_raw, uri_raw] = &rows.raws;
    let rows = sql
        .query(
            AS_GIVEN,
            &[
                &rows.deployments,
                &rows.agents,
                &rows.clients,
                &rows.indexes,
                &rows.blocks,
                &rows.places,
                &rows.values,
                &rows.decimals,
                // Not computed by the server: its division keeps sixteen digits (F48).
                &rows.scaled,
                tag1,
                tag1_raw,
                &rows.tag_hashes,
                tag2,
                tag2_raw,
                endpoint,
                endpoint_raw,
                uri,
                uri_raw,
                &rows.hashes,
            ],
        )
        .await?;
    let due: Vec<&Decoded<'_>> = due.iter().map(|due| due.of).collect();
    misfits.extend(tell("feedback", "the row is not what the raw log says, or not there", &due, &rows)?);
    Ok(())
}

/// Which of these have no row that fits.
const AS_GIVEN: &str = "SELECT due.place FROM unnest($2::smallint[], $3::numeric[], $4::bytea[], $5::numeric[], \
         $6::bigint[], $7::integer[], $8::numeric[], $9::smallint[], $10::numeric[], $11::text[], $12::bytea[], \
         $13::bytea[], $14::text[], $15::bytea[], $16::text[], $17::bytea[], $18::text[], $19::bytea[], $20::bytea[]) \
         WITH ORDINALITY AS due (deployment, agent_id, client, feedback_index, begin_block, log_index, value_raw, \
             value_decimals, value, tag1, tag1_raw, tag1_hash, tag2, tag2_raw, endpoint, endpoint_raw, feedback_uri, \
             feedback_uri_raw, feedback_hash, place) \
     LEFT JOIN LATERAL (SELECT TRUE AS fits FROM feedback f WHERE f.chain_id = $1 \
         AND f.deployment = due.deployment AND f.agent_id = due.agent_id AND f.client = due.client \
         AND f.feedback_index = due.feedback_index AND f.begin_block = due.begin_block \
         AND (f.log_index, f.value_raw, f.value_decimals, f.value, f.tag1, f.tag2, f.endpoint, f.feedback_uri, \
              f.feedback_hash) = (due.log_index, due.value_raw, due.value_decimals, due.value, due.tag1, due.tag2, \
              due.endpoint, due.feedback_uri, due.feedback_hash) \
         AND (f.tag1_raw, f.tag1_hash, f.tag2_raw, f.endpoint_raw, f.feedback_uri_raw) IS NOT DISTINCT FROM \
             (due.tag1_raw, due.tag1_hash, due.tag2_raw, due.endpoint_raw, due.feedback_uri_raw) OFFSET 0) f ON TRUE \
     WHERE f.fits IS NULL ORDER BY due.place LIMIT 100";

/// What is given, as the columns that the statement takes.
#[derive(Default)]
struct Columns<'a> {
    deployments: Vec<i16>,
    agents: Vec<Numeric>,
    clients: Vec<&'a [u8]>,
    indexes: Vec<Numeric>,
    blocks: Vec<i64>,
    places: Vec<i32>,
    values: Vec<Numeric>,
    scaled: Vec<Numeric>,
    decimals: Vec<i16>,
    tag_hashes: Vec<Option<&'a [u8]>>,
    texts: [Vec<String>; 4],
    raws: [Vec<Option<&'a [u8]>>; 4],
    hashes: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn push(&mut self, due: &Given<'a, '_>) {
        let Given { of, feedback, index: feedback_index } = due;
        self.deployments.push(small(of.contract.deployment));
        self.agents.push(feedback.agent_id.into());
        self.clients.push(feedback.client_address.as_slice());
        self.indexes.push((*feedback_index).into());
        self.blocks.push(signed(of.log.block.number));
        self.places.push(index(of.log.log_index));
        self.values.push(Numeric::from_value(&feedback.value, 0));
        self.scaled.push(Numeric::from_value(&feedback.value, feedback.value_decimals));
        self.decimals.push(feedback.value_decimals.into());
        let (tag1, tag_hash) = match &feedback.tag1 {
            Tag::Text(text) => (text, None),
            Tag::Hash(hash) => (&NO_TAG, Some(hash.as_slice())),
        };
        self.tag_hashes.push(tag_hash);
        let texts = [tag1, &feedback.tag2, &feedback.endpoint, &feedback.feedback_uri];
        for ((column, raw), text) in self.texts.iter_mut().zip(&mut self.raws).zip(texts) {
            column.push(text.readable().into_owned());
            raw.push(text.raw_if_unclean());
        }
        self.hashes.push(feedback.feedback_hash.as_slice());
    }
}

/// Feedback that was revoked and still stands.
pub(super) async fn revocations(
    sql: &Sql<'_>,
    events: &[Decoded<'_>],
    misfits: &mut Vec<Misfit>,
) -> Result<(), StoreError> {
    let mut due = Vec::new();
    let (mut deployments, mut agents, mut clients, mut indexes, mut blocks) = (vec![], vec![], vec![], vec![], vec![]);
    for of in events {
        let Some(ReputationFact::Revoked { agent_id, client_address, feedback_index }) = &of.fact else { continue };
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
