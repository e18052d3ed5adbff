//! Statistics by hour and by day, as the model's points say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::decimal::Decimal;
use super::super::model::{AgentKey, Measure, Model, Point};
use super::super::traffic::Cast;
use super::agent_id;

/// A root, the measures of which one must have happened in an interval that it tells, and whether it is told by agent.
type Root = (&'static str, &'static [Measure], bool);

const ROOTS: [Root; 6] = [
    ("protocolAgentStats", &[Measure::Registrations], false),
    ("protocolFeedbackStats", FEEDBACK, false),
    ("agentFeedbackStats", FEEDBACK, true),
    ("protocolValidationStats", VALIDATIONS, false),
    ("agentValidationStats", VALIDATIONS, true),
    ("flipChurns", &[Measure::Flips], false),
];
const FEEDBACK: &[Measure] = &[Measure::Given, Measure::Revoked];
const VALIDATIONS: &[Measure] = &[Measure::Requests, Measure::Responses];

/// The intervals, with their seconds.
const INTERVALS: [(&str, u64); 2] = [("hour", 3_600), ("day", 86_400)];

/// What is asked as of block `$at`.
pub(super) fn question() -> String {
    let mut question = String::new();
    for (root, measures, by_agent) in ROOTS {
        let fields = match measures[0] {
            Measure::Registrations => "agentRegistrations",
            Measure::Given => "feedbackCreated feedbackRevoked valueSum valueDeltaSum",
            Measure::Requests => "validationRequests validationResponses scoreSum",
            _ => "flips suspiciousFlips endpointChanges averageInterval",
        };
        let agent = if by_agent { "agent { id }" } else { "" };
        for (interval, _) in INTERVALS {
            question += &format!(
                "{interval}_{root}: {root}(interval: {interval}, current: include, first: 1000, block: {{ number: $at }}) \
                 {{ timestamp protocol {{ id }} {agent} {fields} }} "
            );
        }
    }
    question
}

/// Asserts that an answer tells what happened.
pub(super) fn assert_told(block: u64, answer: &Value, cast: &Cast, model: &Model) {
    let points = model.points();
    for (root, measures, by_agent) in ROOTS {
        for (interval, seconds) in INTERVALS {
            let name = format!("{interval}_{root}");
            let told: BTreeSet<String> =
                answer[&name].as_array().expect("a list").iter().map(ToString::to_string).collect();
            let mut expected = BTreeSet::new();
            for ((deployment, agent), points) in series(&points, by_agent) {
                let starts: BTreeSet<u64> = points
                    .iter()
                    .filter(|point| measures.contains(&point.measure))
                    .map(|point| point.time / seconds * seconds)
                    .collect();
                for start in starts {
                    let mut row = fields(measures[0], &points, start, start + seconds);
                    row.insert("timestamp".into(), json!((start * 1_000_000).to_string()));
                    let protocol = agent_id(cast, (deployment, Default::default()));
                    let protocol = protocol.rsplit_once(':').expect("an agent's id has parts").0;
                    row.insert("protocol".into(), json!({ "id": protocol }));
                    if let Some(agent) = agent {
                        row.insert("agent".into(), json!({ "id": agent_id(cast, agent) }));
                    }
                    expected.insert(Value::Object(row).to_string());
                }
            }
            let lacking: Vec<_> = expected.difference(&told).collect();
            let invented: Vec<_> = told.difference(&expected).collect();
            assert!(told == expected, "{name} as of block {block}: lacking {lacking:#?}, invented {invented:#?}");
        }
    }
}

type Series<'a> = BTreeMap<(u16, Option<AgentKey>), Vec<&'a Point>>;

/// The points of each deployment, or of each agent.
fn series(points: &[Point], by_agent: bool) -> Series<'_> {
    let mut series = Series::new();
    for point in points {
        series.entry((point.agent.0, Some(point.agent).filter(|_| by_agent))).or_default().push(point);
    }
    series
}

fn fields(first: Measure, points: &[&Point], start: u64, end: u64) -> Map<String, Value> {
    let sum = |measure: Measure, from: u64| -> Decimal {
        let within = |point: &&&Point| point.measure == measure && (from..end).contains(&point.time);
        points.iter().filter(within).map(|point| &point.amount).sum()
    };
    let so_far = |measure| sum(measure, 0);
    let shown = match first {
        Measure::Registrations => json!({ "agentRegistrations": so_far(Measure::Registrations).to_string() }),
        Measure::Given => {
            let given = so_far(Measure::ValueGiven);
            let standing: Decimal = [given.clone(), so_far(Measure::ValueRevoked).negated()].iter().sum();
            json!({
                "feedbackCreated": so_far(Measure::Given).to_string(),
                "feedbackRevoked": so_far(Measure::Revoked).to_string(),
                "valueSum": given.shown(),
                "valueDeltaSum": standing.shown(),
            })
        }
        Measure::Requests => json!({
            "validationRequests": so_far(Measure::Requests).to_string(),
            "validationResponses": so_far(Measure::Responses).to_string(),
            "scoreSum": so_far(Measure::ResponseSum).to_string(),
        }),
        _ => {
            let flips = points
                .iter()
                .filter(|point| point.measure == Measure::Flips && (start..end).contains(&point.time))
                .count();
            json!({
                "flips": flips.to_string(),
                "suspiciousFlips": sum(Measure::SuspiciousFlips, start).to_string(),
                "endpointChanges": sum(Measure::EndpointChanges, start).to_string(),
                "averageInterval": sum(Measure::FlipSeconds, start).per(flips).shown(),
            })
        }
    };
    let Value::Object(fields) = shown else { unreachable!("it is an object") };
    fields
}
