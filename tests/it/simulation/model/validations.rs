//! Validations that are asked for and answered.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, B256};
use serde_json::{Value, json};

use super::super::earlier;
use super::super::traffic::Fact;
use super::agents::Agents;
use super::history::{At, History, Span};
use super::rows::{Row, Rows, bytea, number, of_agent, placed, spanned, text};
use super::{AgentKey, hash_or_zero};

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) response: u64,
    uri: Vec<u8>,
    hash: B256,
    tag: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(crate) struct Validation {
    at: At,
    pub(crate) agent: AgentKey,
    validator: Address,
    uri: Vec<u8>,
    pub(crate) created: At,
    pub(crate) answers: u32,
    pub(crate) answer: Option<Answer>,
}

/// The number of a contract and a request's hash.
pub(crate) type ValidationKey = (usize, B256);

/// All validations, and each answer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Validations {
    pub(crate) asked: BTreeMap<ValidationKey, History<Validation>>,
    /// Those that the block under way asked for or answered.
    touched: BTreeMap<ValidationKey, At>,
    responses: Vec<Row>,
    /// Which request each of them answers, where, and what.
    pub(super) given: Vec<(ValidationKey, At, u64)>,
}

impl Validation {
    /// How far it is by the clock, where one that is older than that without an answer has expired.
    pub(crate) fn status(&self, clock: Option<u64>, expires_after: u64) -> &'static str {
        if self.answer.is_some() {
            "COMPLETED"
        } else if clock.is_some_and(|clock| clock > self.created.time + expires_after) {
            "EXPIRED"
        } else {
            "PENDING"
        }
    }
}

impl Validations {
    pub(super) fn request(&mut self, agents: &mut Agents, agent: AgentKey, fact: &Fact, at: At) {
        let validation = Validation {
            at,
            agent,
            validator: fact.address("validatorAddress"),
            uri: fact.bytes("requestUri").to_vec(),
            created: at,
            answers: 0,
            answer: None,
        };
        let key = (fact.contract, fact.word("requestHash"));
        self.asked.entry(key).or_default().set(at.block, validation);
        self.touched.insert(key, at);
        if agents.totals.of(agent).is_none() {
            agents.count(agent, at, |_| {});
        }
    }

    pub(super) fn answer(&mut self, agent: AgentKey, fact: &Fact, at: At) {
        let answer = Answer {
            response: fact.uint("response").to(),
            uri: fact.bytes("responseUri").to_vec(),
            hash: hash_or_zero(fact, "responseHash"),
            tag: fact.get("tag").map(earlier::short_text).unwrap_or_default(),
        };
        let key = (fact.contract, fact.word("requestHash"));
        let mut row = of_agent(agent, placed(&at));
        row.insert("contract_id", number(fact.contract + 1));
        row.insert("request_hash", bytea(key.1));
        row.insert("validator", bytea(fact.address("validatorAddress")));
        answer_cells(&mut row, Some(&answer));
        self.responses.push(row);
        self.given.push((key, at, answer.response));
        let history = self.asked.entry(key).or_default();
        let Some(mut validation) = history.now().cloned() else { return };
        validation.at = at;
        validation.answers += 1;
        validation.answer = Some(answer);
        history.set(at.block, validation);
        self.touched.insert(key, at);
    }

    /// Totals follow the validations as the block leaves them.
    pub(super) fn end_block(&mut self, agents: &mut Agents) {
        for (key, at) in std::mem::take(&mut self.touched) {
            let agent = self.asked[&key].now().expect("what was touched stands").agent;
            agents.count(agent, at, |total| (total.updated_at, total.last_activity) = (at.time, at.time));
        }
    }

    /// Every answer to a request, from the first.
    pub(crate) fn responses_to(&self, key: ValidationKey) -> impl Iterator<Item = (At, u64)> {
        self.given.iter().filter(move |(of, ..)| *of == key).map(|(_, at, response)| (*at, *response))
    }

    /// The validations of an agent, summed up as GraphQL does it.
    pub(crate) fn summary(&self, agent: AgentKey, clock: Option<u64>, expires_after: u64) -> Value {
        let of: Vec<&Validation> =
            self.asked.values().filter_map(History::now).filter(|validation| validation.agent == agent).collect();
        let with = |status: &str| {
            of.iter().filter(|validation| validation.status(clock, expires_after) == status).count().to_string()
        };
        let answers: Vec<u64> = of.iter().filter_map(|validation| Some(validation.answer.as_ref()?.response)).collect();
        let validators: BTreeSet<Address> = of.iter().map(|validation| validation.validator).collect();
        json!({
            "count": answers.len().to_string(),
            "averageResponse": answers.iter().sum::<u64>().checked_div(answers.len() as u64).unwrap_or(0),
            "requested": of.len().to_string(), "completed": with("COMPLETED"), "pending": with("PENDING"),
            "expired": with("EXPIRED"), "validatorCount": validators.len().to_string(),
        })
    }

    pub(super) fn rows(&self, rows: &mut Rows) {
        for ((contract, hash), history) in &self.asked {
            for span in &history.0 {
                let mut row = of_agent(span.is.agent, validation_row(span));
                row.insert("contract_id", number(contract + 1));
                row.insert("request_hash", bytea(hash));
                rows.put("validation", row);
            }
        }
        rows.put_all("validation_response", self.responses.iter().cloned());
    }
}

fn validation_row(span: &Span<Validation>) -> Row {
    let validation = &span.is;
    let mut row = spanned(span, &validation.at);
    row.insert("updated_at", number(validation.at.time));
    row.insert("validator", bytea(validation.validator));
    text(&mut row, "request_uri", "request_uri_raw", Some(&validation.uri));
    row.insert("created_block", number(validation.created.block));
    row.insert("created_at", number(validation.created.time));
    row.insert("response_count", number(validation.answers));
    answer_cells(&mut row, validation.answer.as_ref());
    row
}

fn answer_cells(row: &mut Row, answer: Option<&Answer>) {
    row.insert("response", answer.and_then(|answer| number(answer.response)));
    text(row, "response_uri", "response_uri_raw", answer.map(|answer| answer.uri.as_slice()));
    row.insert("response_hash", answer.and_then(|answer| bytea(answer.hash)));
    text(row, "tag", "tag_raw", answer.map(|answer| answer.tag.as_slice()));
}
