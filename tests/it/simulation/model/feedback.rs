//! Feedback that clients give, take back, and are answered.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};

use super::super::earlier::{self, Amount};
use super::super::traffic::Fact;
use super::agents::Agents;
use super::history::{At, History, Span};
use super::rows::{Row, Rows, bytea, number, of_agent, placed, spanned, text};
use super::standings::Said;
use super::{AgentKey, hash_or_zero};

#[derive(Debug, Clone)]
pub(crate) struct Feedback {
    pub(crate) at: At,
    pub(crate) value: Amount,
    pub(crate) decimals: u32,
    pub(crate) tag1: Vec<u8>,
    /// Of a first tag whose text nobody tells.
    pub(crate) tag1_hash: Option<B256>,
    tag2: Vec<u8>,
    endpoint: Vec<u8>,
    uri: Vec<u8>,
    hash: B256,
    pub(crate) revoked: Option<At>,
    /// What it says, as far as that is summed up.
    pub(super) said: Said,
}

/// Agent, client and index.
pub(crate) type FeedbackKey = (AgentKey, Address, U256);

/// All feedback, and what was answered to it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Feedbacks {
    pub(crate) given: BTreeMap<FeedbackKey, History<Feedback>>,
    responses: Vec<Row>,
    /// What each response answers, and its block.
    pub(super) answers: Vec<(FeedbackKey, u64)>,
}

impl Feedbacks {
    pub(super) fn give(&mut self, agents: &mut Agents, agent: AgentKey, fact: &Fact, at: At) -> &Feedback {
        let client = fact.address("clientAddress");
        let index = match fact.get("feedbackIndex") {
            Some(_) => fact.uint("feedbackIndex"),
            // Those registries counted from 1 and did not say so.
            None => self.newest_index(agent, client).saturating_add(U256::ONE).min(U256::from(u64::MAX)),
        };
        let history = self.given.entry((agent, client, index)).or_default();
        let before = history.now().map(|given| given.revoked.is_some());
        let ((value, decimals), (tag1, tag1_hash)) = (earlier::amount(fact), earlier::first_tag(fact));
        let mut given = Feedback {
            at,
            value,
            decimals,
            tag1,
            tag1_hash,
            tag2: fact.get("tag2").map(earlier::short_text).unwrap_or_default(),
            endpoint: fact.get("endpoint").map(earlier::short_text).unwrap_or_default(),
            uri: fact.bytes("feedbackUri").to_vec(),
            hash: fact.word("feedbackHash"),
            revoked: None,
            said: Said::default(),
        };
        given.said = Said::of(&given);
        history.set(at.block, given);
        agents.count(agent, at, |total| {
            match before {
                None => total.feedback += 1,
                Some(true) => total.revoked -= 1,
                Some(false) => {}
            }
            (total.updated_at, total.last_activity) = (at.time, at.time);
        });
        self.given[&(agent, client, index)].now().expect("it was just given")
    }

    /// The highest index of what a client ever said about an agent; 0 where it said nothing.
    fn newest_index(&self, agent: AgentKey, client: Address) -> U256 {
        let mut said = self.given.range((agent, client, U256::ZERO)..=(agent, client, U256::MAX));
        said.next_back().map_or(U256::ZERO, |((.., index), _)| *index)
    }

    pub(super) fn revoke(&mut self, agents: &mut Agents, agent: AgentKey, fact: &Fact, at: At) {
        let key = (agent, fact.address("clientAddress"), fact.uint("feedbackIndex"));
        let given = self.given.get_mut(&key).and_then(History::now_mut);
        let Some(given) = given.filter(|given| given.revoked.is_none()) else { return };
        given.revoked = Some(at);
        agents.count(agent, at, |total| {
            total.revoked += 1;
            total.updated_at = at.time;
        });
    }

    pub(super) fn respond(&mut self, agents: &mut Agents, agent: AgentKey, fact: &Fact, at: At) {
        let mut row = of_agent(agent, placed(&at));
        row.insert("client", bytea(fact.address("clientAddress")));
        row.insert("feedback_index", number(fact.uint("feedbackIndex")));
        row.insert("responder", bytea(fact.address("responder")));
        text(&mut row, "response_uri", "response_uri_raw", Some(fact.bytes("responseUri")));
        row.insert("response_hash", bytea(hash_or_zero(fact, "responseHash")));
        self.responses.push(row);
        self.answers.push(((agent, fact.address("clientAddress"), fact.uint("feedbackIndex")), at.block));
        agents.count(agent, at, |total| total.responses += 1);
    }

    pub(super) fn rows(&self, rows: &mut Rows) {
        for (key, history) in &self.given {
            rows.put_all("feedback", history.0.iter().map(|span| feedback_row(key, span)));
        }
        rows.put_all("feedback_response", self.responses.iter().cloned());
    }
}

/// A number with so many digits behind the point.
fn decimal(unscaled: Amount, decimals: u32) -> String {
    let places = usize::try_from(decimals).expect("a byte");
    let digits = format!("{:0>width$}", unscaled.magnitude.to_string(), width = places + 1);
    let sign = if unscaled.is_negative { "-" } else { "" };
    let (whole, rest) = digits.split_at(digits.len() - places);
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest}") }
}

fn feedback_row((agent, client, index): &FeedbackKey, span: &Span<Feedback>) -> Row {
    let given = &span.is;
    let mut row = of_agent(*agent, spanned(span, &given.at));
    row.insert("client", bytea(client));
    row.insert("feedback_index", number(index));
    row.insert("created_at", number(given.at.time));
    row.insert("aspect", bytea(&given.said.tag));
    row.insert("value_raw", number(given.value));
    row.insert("value_decimals", number(given.decimals));
    row.insert("value", Some(decimal(given.value, given.decimals)));
    text(&mut row, "tag1", "tag1_raw", Some(&given.tag1));
    row.insert("tag1_hash", given.tag1_hash.and_then(bytea));
    text(&mut row, "tag2", "tag2_raw", Some(&given.tag2));
    text(&mut row, "endpoint", "endpoint_raw", Some(&given.endpoint));
    text(&mut row, "feedback_uri", "feedback_uri_raw", Some(&given.uri));
    row.insert("feedback_hash", bytea(given.hash));
    let revoked = given.revoked;
    row.insert("revoked_block", revoked.and_then(|at| number(at.block)));
    row.insert("revoked_log_index", revoked.and_then(|at| number(at.log_index)));
    row.insert("revoked_at", revoked.and_then(|at| number(at.time)));
    row.insert("revoked_transaction_hash", revoked.and_then(|at| bytea(at.transaction)));
    row
}
