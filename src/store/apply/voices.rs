//! What each client of a batch says of an agent, aspect by aspect: its voice is the average of it.

use std::collections::{BTreeMap, BTreeSet};

use super::agents::{agent_key, arrays};
use super::feedback::Pair;
use super::standings::{Said, fixed};
use crate::store::aspect::{Aspect, is_rating};
use crate::store::error::StoreError;
use crate::store::fixed::Fixed;
use crate::store::sql::{self, Parameter, Sql, signed};

/// The sum of what a client says of one aspect.
#[derive(Debug, Clone, Copy, Default)]
struct Voice {
    count: i64,
    total: Fixed,
}

impl Voice {
    fn add(&mut self, count: i64, total: Fixed) {
        self.count += count;
        self.total += total;
    }
}

/// SELECT of what clients say in feedback that holds, summed up where it stands.
fn said(holds: &str, stands: &str) -> String {
    let is_rating = is_rating!();
    format!(
        "SELECT key.deployment, key.agent_id, key.client, f.aspect, f.is_rating, f.count, f.total \
         FROM unnest($2::smallint[], $3::numeric[], $4::bytea[]) AS key (deployment, agent_id, client) \
         CROSS JOIN LATERAL (SELECT f.aspect, {is_rating} AS is_rating, count(*) FILTER (WHERE {stands}) AS count, \
                 coalesce(sum(trunc(f.value, 60)) FILTER (WHERE {stands}), 0) AS total FROM feedback f \
             WHERE f.chain_id = $1 AND f.deployment = key.deployment AND f.agent_id = key.agent_id \
             AND f.client = key.client AND {holds} GROUP BY 1, 2 OFFSET 0) f"
    )
}

/// How a voice changed.
pub(super) struct Change {
    /// Clients that have a voice more, or less.
    pub(super) clients: i64,
    pub(super) mean_before: Fixed,
    pub(super) mean: Fixed,
}

/// What clients say of agents.
#[derive(Default)]
pub(super) struct Voices {
    of: BTreeMap<(Pair, Aspect), Voice>,
    /// Those whose feedback was asked for, and those of whom some is held, revoked or not.
    asked: BTreeSet<Pair>,
    spoken: BTreeSet<Pair>,
}

impl Voices {
    /// What they say now.
    pub(super) async fn load(sql: &Sql<'_>, pairs: &BTreeSet<Pair>) -> Result<Self, StoreError> {
        Self::said(sql, pairs, &said("f.end_block IS NULL", "f.revoked_block IS NULL"), None).await
    }

    /// What they said at the end of a block.
    pub(super) async fn load_as_of(sql: &Sql<'_>, pairs: &BTreeSet<Pair>, block: u64) -> Result<Self, StoreError> {
        // Kept from the index by agents and blocks: rows are found by agent and client, and an agent has many.
        let holds = "f.begin_block + 0 <= $5::bigint AND (f.end_block IS NULL OR f.end_block > $5)";
        let stands = "(f.revoked_block IS NULL OR f.revoked_block > $5)";
        Self::said(sql, pairs, &said(holds, stands), Some(signed(block))).await
    }

    async fn said(sql: &Sql<'_>, pairs: &BTreeSet<Pair>, select: &str, block: Option<i64>) -> Result<Self, StoreError> {
        if pairs.is_empty() {
            return Ok(Self::default());
        }
        let (deployments, ids) = arrays(pairs.iter().map(|(agent, _)| agent));
        let clients: Vec<&[u8]> = pairs.iter().map(|(_, client)| client.as_slice()).collect();
        let mut parameters: Vec<Parameter<'_>> = vec![&deployments, &ids, &clients];
        parameters.extend(block.as_ref().map(|block| block as Parameter<'_>));
        let rows = sql.query(select, &parameters).await?;
        let mut voices = Self { asked: pairs.clone(), ..Self::default() };
        for row in rows {
            let pair = (agent_key(&row)?, sql::address(&row, "client")?);
            let tag =
                Aspect::read(sql::column(&row, "aspect")?).ok_or_else(|| sql::corrupt("feedback is of no aspect"))?;
            let (count, total) = (sql::column(&row, "count")?, fixed(&row, "total")?);
            let ratings = sql::column::<bool>(&row, "is_rating")?.then_some(Aspect::Ratings);
            voices.spoken.insert(pair);
            for aspect in [Aspect::All, tag].into_iter().chain(ratings) {
                voices.of.entry((pair, aspect)).or_default().add(count, total);
            }
        }
        Ok(voices)
    }

    /// Whether no feedback of a client about an agent is held: then none of it has to be looked for.
    pub(super) fn was_silent(&self, pair: &Pair) -> bool {
        self.asked.contains(pair) && !self.spoken.contains(pair)
    }

    /// Takes away what feedback of a client said of an aspect, and adds what it says.
    pub(super) fn change(&mut self, pair: Pair, aspect: Aspect, before: Option<Said>, after: Option<Said>) -> Change {
        let voice = self.of.entry((pair, aspect)).or_default();
        let old = *voice;
        if let Some(said) = before.filter(|said| !said.revoked) {
            voice.count -= 1;
            voice.total -= said.value;
        }
        if let Some(said) = after.filter(|said| !said.revoked) {
            voice.add(1, said.value);
        }
        let clients = i64::from(voice.count > 0) - i64::from(old.count > 0);
        Change { clients, mean_before: old.total.mean(old.count), mean: voice.total.mean(voice.count) }
    }
}
