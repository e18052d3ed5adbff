//! What happened in each interval: every point in time at which something is counted, in one list, and sums over it.

use std::collections::BTreeMap;

use super::super::decimal::Decimal;
use super::rows::{Row, Rows, number};
use super::{AgentKey, Model};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    Registrations,
    Given,
    Revoked,
    ValueGiven,
    ValueRevoked,
    Requests,
    Responses,
    ResponseSum,
    Flips,
    SuspiciousFlips,
    EndpointChanges,
    FlipSeconds,
}

/// The columns of `protocol_hour`.
const COLUMNS: [(&str, Measure); 12] = [
    ("registrations", Measure::Registrations),
    ("feedback_given", Measure::Given),
    ("feedback_revoked", Measure::Revoked),
    ("value_given", Measure::ValueGiven),
    ("value_revoked", Measure::ValueRevoked),
    ("validation_requests", Measure::Requests),
    ("validation_responses", Measure::Responses),
    ("response_sum", Measure::ResponseSum),
    ("flips", Measure::Flips),
    ("suspicious_flips", Measure::SuspiciousFlips),
    ("endpoint_changes", Measure::EndpointChanges),
    ("flip_seconds", Measure::FlipSeconds),
];

/// Something that is counted.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) agent: AgentKey,
    pub(crate) block: u64,
    pub(crate) time: u64,
    pub(crate) measure: Measure,
    pub(crate) amount: Decimal,
}

impl Model {
    /// All that is counted, in no order.
    pub(crate) fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        let mut put = |agent, (block, time), measure, amount| {
            points.push(Point { agent, block, time, measure, amount });
        };
        for (key, history) in &self.agents.known {
            if let Some(first) = history.0.iter().find(|span| span.is.registered) {
                put(*key, (first.begin, first.is.at.time), Measure::Registrations, Decimal::from(1));
            }
        }
        for ((agent, ..), history) in &self.feedback.given {
            for given in history.0.iter().map(|span| &span.is) {
                let value = Decimal::new(given.value, given.decimals);
                put(*agent, (given.at.block, given.at.time), Measure::Given, Decimal::from(1));
                put(*agent, (given.at.block, given.at.time), Measure::ValueGiven, value.clone());
                if let Some(at) = given.revoked {
                    put(*agent, (at.block, at.time), Measure::Revoked, Decimal::from(1));
                    put(*agent, (at.block, at.time), Measure::ValueRevoked, value);
                }
            }
        }
        for history in self.validations.asked.values() {
            for span in history.0.iter().filter(|span| span.is.created.block == span.begin) {
                put(span.is.agent, (span.begin, span.is.created.time), Measure::Requests, Decimal::from(1));
            }
        }
        for (key, at, response) in &self.validations.given {
            // Whoever is named: an answer is that of the request which stands once the block is over.
            let asked = &self.validations.asked[key].0;
            let Some(request) = asked.iter().rfind(|span| span.begin <= at.block) else { continue };
            put(request.is.agent, (at.block, at.time), Measure::Responses, Decimal::from(1));
            put(request.is.agent, (at.block, at.time), Measure::ResponseSum, Decimal::from(*response));
        }
        for (agent, flips) in self.agents.flips.all() {
            for flip in flips {
                let at = (flip.after.at.block, flip.after.at.time);
                put(agent, at, Measure::Flips, Decimal::from(1));
                put(agent, at, Measure::SuspiciousFlips, Decimal::from(u64::from(flip.is_suspicious())));
                put(agent, at, Measure::EndpointChanges, Decimal::from(u64::from(flip.endpoint_changed())));
                put(agent, at, Measure::FlipSeconds, Decimal::from(flip.seconds()));
            }
        }
        points
    }

    pub(super) fn hour_rows(&self, rows: &mut Rows) {
        let mut hours: BTreeMap<(u16, u64), Vec<Point>> = BTreeMap::new();
        for point in self.points() {
            hours.entry((point.agent.0, point.time / 3_600)).or_default().push(point);
        }
        for ((deployment, hour), points) in hours {
            let blocks = || points.iter().map(|point| point.block);
            let mut row = Row::from([
                ("deployment", number(deployment)),
                ("hour", number(hour)),
                ("first_block", blocks().min().and_then(number)),
                ("begin_block", blocks().max().and_then(number)),
            ]);
            for (column, measure) in COLUMNS {
                let amounts = points.iter().filter(|point| point.measure == measure).map(|point| &point.amount);
                row.insert(column, number(amounts.sum::<Decimal>()));
            }
            rows.put("protocol_hour", row);
        }
    }
}
