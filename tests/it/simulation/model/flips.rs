//! What each transaction changed of an agent's endpoint, key and owner: recounted from all that was ever told of them.

use std::collections::BTreeMap;

use alloy::primitives::Address;

use super::AgentKey;
use super::agents::Agent;
use super::history::At;
use super::rows::{Row, Rows, bytea, number, of_agent, placed, text};

/// What an event left of an agent's manifest.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    pub(crate) at: At,
    pub(crate) endpoint: Vec<u8>,
    key: Option<Address>,
    owner: Address,
}

/// What every event left, by agent.
#[derive(Debug, Default, Clone)]
pub(crate) struct Flips(BTreeMap<AgentKey, Vec<Manifest>>);

/// A manifest, the one before, and how they differ.
#[derive(Debug, Clone)]
pub(crate) struct Flip {
    pub(crate) before: Manifest,
    pub(crate) after: Manifest,
}

impl Flip {
    pub(crate) fn seconds(&self) -> u64 {
        self.after.at.time - self.before.at.time
    }

    pub(crate) fn endpoint_changed(&self) -> bool {
        self.before.endpoint != self.after.endpoint
    }

    fn key_changed(&self) -> bool {
        self.before.key != self.after.key
    }

    pub(crate) fn owner_changed(&self) -> bool {
        self.before.owner != self.after.owner
    }

    pub(crate) fn is_rapid(&self) -> bool {
        self.seconds() < 60
    }

    pub(crate) fn score(&self) -> usize {
        let points = [(self.endpoint_changed(), 50), (self.key_changed(), 30), (self.is_rapid(), 20)];
        points.into_iter().filter(|(is_so, _)| *is_so).map(|(_, points)| points).sum()
    }

    pub(crate) fn is_suspicious(&self) -> bool {
        self.score() >= 70
    }
}

impl Flips {
    /// An event told the agent's URI, wallet or owner.
    pub(super) fn tell(&mut self, key: AgentKey, at: At, agent: &Agent) {
        let manifest = Manifest { at, endpoint: agent.uri.clone(), key: agent.wallet, owner: agent.owner };
        self.0.entry(key).or_default().push(manifest);
    }

    /// Each agent's flips in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = (AgentKey, Vec<Flip>)> {
        self.0.iter().map(|(key, told)| {
            let mut manifests: Vec<&Manifest> = Vec::new();
            for manifest in told {
                // The last word of a transaction counts.
                let place = |of: &Manifest| (of.at.block, of.at.transaction);
                manifests.pop_if(|last| place(last) == place(manifest));
                manifests.push(manifest);
            }
            let flip = |pair: &[&Manifest]| Flip { before: pair[0].clone(), after: pair[1].clone() };
            (*key, manifests.windows(2).map(flip).collect())
        })
    }

    pub(super) fn rows(&self, rows: &mut Rows) {
        for (key, flips) in self.all() {
            for place in 0..flips.len() {
                let next = flips.get(place + 1).map(|next| next.after.at.block);
                let mut row = of_agent(key, flip_row(&flips[..=place]));
                row.insert("end_block", next.and_then(number));
                rows.put("manifest_flip", row);
            }
        }
    }
}

/// The row of the last of an agent's flips so far.
fn flip_row(flips: &[Flip]) -> Row {
    let flip = flips.last().expect("one of them is told");
    let (before, after) = (&flip.before, &flip.after);
    let mut row = placed(&after.at);
    row.insert("time_delta", number(flip.seconds()));
    text(&mut row, "endpoint", "endpoint_raw", Some(&after.endpoint));
    let previous = Some(before.endpoint.as_slice()).filter(|_| flip.endpoint_changed());
    text(&mut row, "previous_endpoint", "previous_endpoint_raw", previous);
    row.insert("pubkey", after.key.and_then(bytea));
    row.insert("previous_pubkey", before.key.and_then(bytea));
    row.insert("owner", bytea(after.owner));
    row.insert("previous_owner", bytea(before.owner));
    row.insert("endpoint_changed", number(flip.endpoint_changed()));
    row.insert("pubkey_changed", number(flip.key_changed()));
    row.insert("owner_changed", number(flip.owner_changed()));
    row.insert("score", number(flip.score()));
    let count = |which: fn(&Flip) -> bool| number(flips.iter().filter(|flip| which(flip)).count());
    row.insert("flips", number(flips.len()));
    row.insert("rapid", count(Flip::is_rapid));
    row.insert("endpoint_changes", count(Flip::endpoint_changed));
    row.insert("suspicious", count(Flip::is_suspicious));
    row.insert("score_sum", number(flips.iter().map(Flip::score).sum::<usize>()));
    row
}
