//! Metadata entries of agents; one of them is the wallet.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, keccak256};

use super::super::traffic::Fact;
use super::AgentKey;
use super::agents::Agents;
use super::history::{At, History};
use super::rows::{Rows, bytea, number, of_agent, spanned, text};

/// Where an entry was set, its key and its value.
type Entry = (At, Vec<u8>, Vec<u8>);

/// By agent and the key's hash.
#[derive(Debug, Default, Clone)]
pub(crate) struct Metadata(BTreeMap<(AgentKey, B256), History<Entry>>);

impl Metadata {
    pub(super) fn fold(&mut self, agents: &mut Agents, key: AgentKey, fact: &Fact, at: At) {
        let (name, value) = (fact.bytes("metadataKey"), fact.bytes("metadataValue"));
        if name == b"agentWallet" {
            let wallet = match value.len() {
                20 => Some(Address::from_slice(value)),
                32 if value[..12] == [0; 12] => Some(Address::from_slice(&value[12..])),
                _ => None,
            };
            agents.tell(key, at, |agent| agent.wallet = wallet);
        }
        let entry = (at, name.to_vec(), value.to_vec());
        self.0.entry((key, keccak256(name))).or_default().set(at.block, entry);
        agents.name(key, at);
    }

    pub(super) fn rows(&self, rows: &mut Rows) {
        for ((agent, hash), history) in &self.0 {
            for span in &history.0 {
                let (at, key, value) = &span.is;
                let mut row = of_agent(*agent, spanned(span, at));
                row.insert("key_hash", bytea(hash));
                row.insert("updated_at", number(at.time));
                text(&mut row, "key", "key_raw", Some(key));
                row.insert("value", bytea(value));
                rows.put("agent_metadata", row);
            }
        }
    }
}
