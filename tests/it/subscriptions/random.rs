//! A listener that joins, leaves and goes on at random, while blocks come and are replaced at random, knows in the end
//! exactly what the plural roots give.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use meikan::event::{AuditLogEvent, Event, IdentityEvent, Text};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::support::{Client, Said};
use crate::graphql::support::{
    CHAIN, FIRST_BLOCK, History, Node, account, feedback, hex, metadata, registered, requested, responded, revoked,
    validated,
};

const HISTORIES: u64 = 6;
const TURNS: u64 = 60;

/// An agent that only the last block registers: who hears of it has heard of all.
const LAST_AGENT: u64 = 99;

/// Root, `where`, and what is told of each: nothing that changes without being told.
const FOLLOWED: [(&str, &str, &str); 7] = [
    ("agents", "{}", "id owner agentURI agentWallet totalFeedback lastActivity updatedAt blockNumber logIndex"),
    ("agents", "{owner: \"OWNER\"}", "id owner totalFeedback"),
    ("feedbacks", "{}", "id value tag1 isRevoked revokedAt createdAt agent { id }"),
    ("feedbacks", "{isRevoked: false, agent_not: \"CHAIN:1\"}", "id value isRevoked"),
    ("validations", "{}", "id status response updatedAt"),
    ("manifestFlips", "{suspicious: true}", "id endpoint previousEndpoint suspicionScore agent { id }"),
    ("auditEntries", "{}", "id kind commitmentHash"),
];

/// Numbers drawn from a seed (xorshift).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn small(&mut self, limit: u8) -> u8 {
        u8::try_from(self.below(limit.into())).unwrap()
    }

    /// Events of a block: few agents, clients and hashes, so that they meet.
    fn events(&mut self) -> Vec<Event> {
        (0..self.below(5)).flat_map(|_| self.event()).collect()
    }

    fn event(&mut self) -> Vec<Event> {
        let (agent, client, index) = (self.below(4), 10 + self.small(2), 1 + self.below(3));
        let salt = self.below(1_000);
        match self.below(9) {
            0 => registered(agent, 1 + self.small(3), &format!("ipfs://{salt}")),
            1 | 2 => vec![feedback(agent, client, index, (i128::from(salt), 1), &format!("tag{}", salt % 3))],
            3 => vec![revoked(agent, client, index)],
            4 => vec![responded(agent, client, index, 3)],
            5 => vec![requested(agent, 5, self.small(4))],
            6 => vec![validated(agent, 5, self.small(4), self.small(100))],
            7 => vec![metadata(agent, "agentWallet", account(self.small(5)).as_slice())],
            _ => {
                let to = if salt.is_multiple_of(2) { account(1 + self.small(3)) } else { Address::repeat_byte(2) };
                let moved = IdentityEvent::Transfer { from: account(1), to, token_id: U256::from(agent) };
                vec![Event::Identity(moved), audit(salt)]
            }
        }
    }
}

fn audit(salt: u64) -> Event {
    Event::AuditLog(AuditLogEvent::CommitmentLogged {
        agent_id: B256::repeat_byte(1),
        commitment_hash: B256::from(U256::from(salt)),
        ipfs_cid: Text::from("bafy"),
        submitter: account(9),
        entry_index: U256::ZERO,
    })
}

/// Who follows one root of one network.
struct Listener {
    path: String,
    root: &'static str,
    filter: String,
    fields: &'static str,
    known: BTreeMap<String, Value>,
    place: Option<String>,
    client: Option<Client>,
}

impl Listener {
    fn new(chain_id: u64, (root, filter, fields): (&'static str, &'static str, &'static str)) -> Self {
        let filter = filter.replace("OWNER", &hex(2)).replace("CHAIN", &chain_id.to_string());
        let path = format!("/graphql/{chain_id}");
        Self { path, root, filter, fields, known: BTreeMap::new(), place: None, client: None }
    }

    /// Everything that it follows, and the place that it is of.
    async fn all(&self, node: &Node) -> (BTreeMap<String, Value>, String) {
        let (root, filter, fields) = (self.root, &self.filter, self.fields);
        let query = format!("{{ _meta {{ cursor }} {root}(first: 1000, where: {filter}) {{ {fields} }} }}");
        let data = node.post(&self.path, json!({ "query": query }).to_string()).await.data();
        let rows = data[root].as_array().unwrap().iter();
        let all = rows.map(|row| (row["id"].as_str().unwrap().to_owned(), row.clone())).collect();
        (all, data["_meta"]["cursor"].as_str().unwrap().to_owned())
    }

    /// Comes, or comes back.
    async fn join(&mut self, node: &Node) {
        if self.place.is_none() {
            let (known, place) = self.all(node).await;
            (self.known, self.place) = (known, Some(place));
        }
        let mut client = Client::connect(&node.address, &self.path).await;
        let (root, filter, fields) = (self.root, &self.filter, self.fields);
        let after = self.place.as_ref().unwrap();
        let query = format!(
            "subscription {{ {root}(after: \"{after}\", where: {filter}) {{ op id cursor node {{ {fields} }} }} }}"
        );
        client.subscribe("1", &query).await;
        self.client = Some(client);
    }

    /// Takes in what it hears next; nothing where nothing comes for a moment.
    async fn listen(&mut self, patience: Duration) -> bool {
        let Some(client) = &mut self.client else { return false };
        let Ok(said) = timeout(patience, client.heard()).await else { return false };
        let Said::Json(message) = said else { panic!("{} hung up: {said:?}", self.root) };
        assert_eq!(message["type"], "next", "{message}");
        let change = &message["payload"]["data"][self.root];
        let (id, place) = (change["id"].as_str().unwrap().to_owned(), change["cursor"].as_str().unwrap());
        let before = self.place.as_ref().unwrap().parse::<u64>().unwrap();
        assert!(before < place.parse().unwrap(), "in order: {change} behind {before}");
        self.place = Some(place.to_owned());
        match &change["node"] {
            Value::Null => self.known.remove(&id),
            node => self.known.insert(id, node.clone()),
        };
        true
    }

    async fn happen(&mut self, draw: &mut Draw, node: &Node) {
        match draw.below(8) {
            0 if self.client.is_some() => self.client = None,
            // It forgot all, and begins anew.
            1 if draw.below(6) == 0 => (self.client, self.place) = (None, None),
            2 | 3 if self.client.is_none() => self.join(node).await,
            _ => {
                for _ in 0..draw.below(6) {
                    if !self.listen(Duration::from_millis(20)).await {
                        break;
                    }
                }
            }
        }
    }

    /// Hears the rest: everything up to what a commit behind the last one tells.
    async fn end(&mut self, node: &Node) {
        if self.client.is_none() {
            self.join(node).await;
        }
        let (all, _) = self.all(node).await;
        let knows = |known: &BTreeMap<String, Value>| *known == all;
        while !knows(&self.known) {
            let heard = self.listen(crate::support::node::DEADLINE).await;
            assert!(heard, "{} {}: knows {:#?}\nbut there is {all:#?}", self.root, self.filter, self.known);
        }
    }
}

/// Blocks come, or are replaced; sometimes finality rises.
async fn happen(draw: &mut Draw, history: &mut History, tip: &mut u64) {
    match draw.below(4) {
        0 if *tip > FIRST_BLOCK => {
            let lowest = history.finalized.unwrap_or(FIRST_BLOCK);
            let keep = tip.saturating_sub(1 + draw.below(5)).max(lowest);
            if keep < *tip {
                *tip = history.reorg(keep, draw.events()).await;
            }
        }
        1 if draw.below(4) == 0 => {
            let before = history.finalized.unwrap_or(FIRST_BLOCK);
            history.finalized = Some(before + draw.below(*tip - before + 1));
            *tip = history.block(draw.events()).await;
        }
        _ => *tip = history.block(draw.events()).await,
    }
}

#[tokio::test]
async fn f73_who_joins_leaves_and_goes_on_at_random_ends_with_what_the_roots_give() {
    let node = Node::start().await;
    for seed in 1..=HISTORIES {
        // A network for each, on one node: what is told of one is told of no other.
        println!("history {seed}");
        let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let chain_id = CHAIN + seed;
        let mut history = node.history(chain_id).await;
        let mut tip = history.block(registered(0, 1, "first")).await;
        let mut listeners: Vec<Listener> =
            FOLLOWED.into_iter().map(|followed| Listener::new(chain_id, followed)).collect();
        for _ in 0..TURNS {
            happen(&mut draw, &mut history, &mut tip).await;
            let who = usize::try_from(draw.below(listeners.len() as u64)).unwrap();
            listeners[who].happen(&mut draw, &node).await;
        }
        // Something of everything, so that the last message of each root is one that comes.
        let last = [
            registered(LAST_AGENT, 2, "last"),
            vec![feedback(LAST_AGENT, 10, 1, (1, 0), "last"), requested(LAST_AGENT, 5, 0x99), audit(7)],
        ];
        history.block(last.concat()).await;
        for listener in &mut listeners {
            listener.end(&node).await;
        }
    }
}
