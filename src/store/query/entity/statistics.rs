//! Statistics by hour and by day: aggregations in The Graph's sense, of agent0's schema, and the churn of manifests.
//!
//! Those of a network are added up from `protocol_hour`; the hour that reaches beyond the block that is read is counted
//! from the facts. Those of an agent are counted from its own facts: they want to be asked for by agent.

use std::sync::LazyLock;

use super::{
    AT_BEGIN, Cardinality, Entity, Field, KeyPart, Kind, Life, Link, Relation, agent_links, cursor_field,
    finality_field,
};
use crate::store::hours::{MEASURES, counted};
use crate::store::query::sql::SqlType;

/// Agents that were registered.
pub(super) static PROTOCOL_AGENT_STATS: LazyLock<Entity> = LazyLock::new(|| Entity {
    name: "ProtocolAgentStats",
    doc: "Registrations of agents, by hour or day in which there were any; counts are cumulative.",
    plurals: &["protocolAgentStats_collection", "protocolAgentStats"],
    derivation: 1,
    table: Some(&PROTOCOL_AGENTS),
    ..of_protocol(vec![Field::new(
        "agentRegistrations",
        Kind::Int8,
        SqlType::Integer,
        "{t}.registrations",
        "Agents registered up to the end of the interval.",
    )])
});

static PROTOCOL_AGENTS: LazyLock<String> =
    LazyLock::new(|| protocol_table(&[("registrations", true)], "registrations"));

/// Feedback of a deployment.
pub(super) static PROTOCOL_FEEDBACK_STATS: LazyLock<Entity> = LazyLock::new(|| Entity {
    name: "ProtocolFeedbackStats",
    doc: "Feedback, by hour or day in which some was given or revoked; counts and sums are cumulative.",
    plurals: &["protocolFeedbackStats_collection", "protocolFeedbackStats"],
    derivation: 1,
    table: Some(&PROTOCOL_FEEDBACK),
    ..of_protocol(feedback_fields())
});

static PROTOCOL_FEEDBACK: LazyLock<String> = LazyLock::new(|| {
    let measures =
        [("feedback_given", true), ("feedback_revoked", true), ("value_given", true), ("value_revoked", true)];
    protocol_table(&measures, "feedback_given + h.feedback_revoked")
});

/// Feedback about an agent.
pub(super) static AGENT_FEEDBACK_STATS: LazyLock<Entity> = LazyLock::new(|| Entity {
    name: "AgentFeedbackStats",
    doc: "Feedback about an agent, by hour or day in which some was given or revoked; counts and sums are cumulative. \
          It is counted from the agent's feedback: ask by `agent`.",
    plurals: &["agentFeedbackStats_collection", "agentFeedbackStats"],
    derivation: 1,
    table: Some(&AGENT_FEEDBACK),
    ..of_agent(feedback_fields())
});

static AGENT_FEEDBACK: LazyLock<String> = LazyLock::new(|| {
    agent_table(
        "SELECT f.chain_id, f.deployment, f.agent_id, f.begin_block AS block, f.log_index, f.created_at AS at, \
             1 AS feedback_given, 0 AS feedback_revoked, f.value AS value_given, 0 AS value_revoked \
         FROM feedback f WHERE {begun f} \
         UNION ALL SELECT f.chain_id, f.deployment, f.agent_id, f.revoked_block, f.revoked_log_index, f.revoked_at, \
             0, 1, 0, f.value FROM feedback f WHERE {reached f.revoked_block}",
        &["feedback_given", "feedback_revoked", "value_given", "value_revoked"],
    )
});

fn feedback_fields() -> Vec<Field> {
    vec![
        Field::numeric("feedbackCreated", "{t}.feedback_given", "Feedback given up to the end of the interval."),
        Field::numeric("feedbackRevoked", "{t}.feedback_revoked", "Feedback revoked up to then."),
        Field::decimal("valueSum", "{t}.value_given", "The values of what was given up to then, revoked or not."),
        Field::decimal(
            "valueDeltaSum",
            "({t}.value_given - {t}.value_revoked)",
            "The same without the values of what was revoked.",
        ),
    ]
}

/// Validations of a deployment.
pub(super) static PROTOCOL_VALIDATION_STATS: LazyLock<Entity> = LazyLock::new(|| Entity {
    name: "ProtocolValidationStats",
    doc: "Validations, by hour or day in which some were asked for or answered; counts and sums are cumulative.",
    plurals: &["protocolValidationStats_collection", "protocolValidationStats"],
    derivation: 1,
    table: Some(&PROTOCOL_VALIDATIONS),
    ..of_protocol(validation_fields())
});

static PROTOCOL_VALIDATIONS: LazyLock<String> = LazyLock::new(|| {
    let measures = [("validation_requests", true), ("validation_responses", true), ("response_sum", true)];
    protocol_table(&measures, "validation_requests + h.validation_responses")
});

/// Validations of an agent.
pub(super) static AGENT_VALIDATION_STATS: LazyLock<Entity> = LazyLock::new(|| Entity {
    name: "AgentValidationStats",
    doc: "Validations of an agent, by hour or day in which some were asked for or answered; counts and sums are \
          cumulative.",
    plurals: &["agentValidationStats_collection", "agentValidationStats"],
    derivation: 1,
    table: Some(&AGENT_VALIDATIONS),
    ..of_agent(validation_fields())
});

/// An answer is its request's agent's, whichever it names itself, as totals are.
static AGENT_VALIDATIONS: LazyLock<String> = LazyLock::new(|| {
    agent_table(
        "SELECT f.chain_id, f.deployment, f.agent_id, f.begin_block AS block, f.log_index, f.created_at AS at, \
             1 AS validation_requests, 0 AS validation_responses, 0 AS response_sum \
         FROM validation f WHERE f.created_block = f.begin_block AND {begun f} \
         UNION ALL SELECT v.chain_id, v.deployment, v.agent_id, f.begin_block, f.log_index, f.created_at, 0, 1, f.response \
         FROM validation v JOIN validation_response f ON f.chain_id = v.chain_id AND f.contract_id = v.contract_id \
             AND f.request_hash = v.request_hash AND f.begin_block >= v.begin_block \
             AND (v.end_block IS NULL OR v.end_block > f.begin_block) WHERE {begun f}",
        &["validation_requests", "validation_responses", "response_sum"],
    )
});

fn validation_fields() -> Vec<Field> {
    vec![
        Field::numeric(
            "validationRequests",
            "{t}.validation_requests",
            "Validations asked for up to the end of the interval.",
        ),
        Field::numeric(
            "validationResponses",
            "{t}.validation_responses",
            "Answers up to then; a request may have many.",
        ),
        Field::numeric("scoreSum", "{t}.response_sum", "These answers, 0 to 100 each, added."),
    ]
}

/// Changes of manifests.
pub(super) static FLIP_CHURN: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::choice("source", &super::flip::FLIP_SOURCE, "{t}.source", "Where the manifests come from."),
        Field::integer("flips", "{t}.flips", "Changes of manifests in the interval."),
        Field::integer("suspiciousFlips", "{t}.suspicious_flips", "Those with a score of at least 70."),
        Field::integer("endpointChanges", "{t}.endpoint_changes", "Those that changed the endpoint."),
    ];
    fields.push(Field::decimal(
        "averageInterval",
        "round({t}.flip_seconds / {t}.flips, 2)",
        "Mean seconds between a manifest that changed and the one before it, to two decimal places.",
    ));
    Entity {
        name: "FlipChurn",
        doc: "How often manifests changed, by hour or day in which any did; nothing is cumulative.",
        plurals: &["flipChurns", "flipChurn_collection"],
        derivation: 1,
        table: Some(&FLIPS),
        ..aggregation(fields, vec![protocol()], vec![KeyPart { sql: "{t}.source", ty: SqlType::Text }])
    }
});

static FLIPS: LazyLock<String> = LazyLock::new(|| {
    let measures =
        [("flips", false), ("suspicious_flips", false), ("endpoint_changes", false), ("flip_seconds", false)];
    // Numbers of what is on the chain are a block's, times a million, and a deployment's; those of documents lie between.
    format!(
        "(SELECT 'ONCHAIN'::text AS source, p.* FROM {} p UNION ALL SELECT 'SIGNED', f.chain_id, f.deployment, \
             f.created_at / {{interval}} * {{interval}} * 1000000 AS micros, max(f.begin_block), \
             max(f.begin_block) * 1000000 + 500000 + f.deployment, count(*), sum((f.score >= 70)::integer)::bigint, \
             sum(f.endpoint_changed::integer)::bigint, sum(f.time_delta) \
         FROM signed_flip f WHERE {{begun f}} GROUP BY f.chain_id, f.deployment, micros)",
        protocol_table(&measures, "flips")
    )
});

/// The hours as of the block that is read: those that lie below it whole, and what is below it of those that reach beyond.
static HOURS: LazyLock<String> = LazyLock::new(|| {
    let names = MEASURES.map(|(name, _)| name);
    let of = |alias: &str| names.map(|name| format!("{alias}.{name}")).join(", ");
    let counted = counted("x.chain_id", "x.first_block", "x.begin_block", |block| {
        let reached = if block == "f.begin_block" { "{begun f}".to_owned() } else { format!("{{reached {block}}}") };
        format!(" AND {reached}")
    });
    format!(
        "SELECT x.chain_id, x.deployment, x.hour, x.begin_block, {} FROM protocol_hour x WHERE {{begun x}} \
         UNION ALL SELECT x.chain_id, x.deployment, x.hour, c.begin_block, {} FROM protocol_hour x \
         CROSS JOIN LATERAL ({counted}) c \
         WHERE NOT {{begun x}} AND {{reached x.first_block}} AND c.deployment = x.deployment AND c.hour = x.hour",
        of("x"),
        of("c")
    )
});

/// Intervals with these measures, cumulative or not, of which `any` is not zero.
fn protocol_table(measures: &[(&str, bool)], any: &str) -> String {
    let start = "(h.hour * 3600 / {interval} * {interval} * 1000000)";
    let sums: Vec<String> = measures
        .iter()
        .map(|(name, is_cumulative)| {
            let ty = MEASURES.iter().find(|(measure, _)| measure == name).map_or("numeric", |(_, ty)| ty);
            let over = if *is_cumulative {
                format!("sum(sum(h.{name})) OVER (PARTITION BY h.chain_id, h.deployment ORDER BY {start})")
            } else {
                format!("sum(h.{name})")
            };
            format!("{over}::{ty} AS {name}")
        })
        .collect();
    format!(
        "(SELECT h.chain_id, h.deployment, {start} AS micros, max(h.begin_block) AS begin_block, \
             max(h.begin_block) * 1000000 + h.deployment AS point, {} \
         FROM ({}) h WHERE h.{any} > 0 GROUP BY h.chain_id, h.deployment, {start})",
        sums.join(", "),
        HOURS.as_str()
    )
}

/// Intervals of each agent with these measures, cumulative, of `points`: one row for each of its facts.
fn agent_table(points: &str, measures: &[&str]) -> String {
    let start = "(p.at / {interval} * {interval} * 1000000)";
    let sums: Vec<String> = measures
        .iter()
        .map(|name| {
            let agent = "p.chain_id, p.deployment, p.agent_id";
            format!("sum(sum(p.{name})) OVER (PARTITION BY {agent} ORDER BY {start}) AS {name}")
        })
        .collect();
    format!(
        "(SELECT p.chain_id, p.deployment, p.agent_id, {start} AS micros, max(p.block) AS begin_block, \
             max(p.block * 1000000 + p.log_index) AS point, {} \
         FROM ({points}) p GROUP BY p.chain_id, p.deployment, p.agent_id, {start})",
        sums.join(", ")
    )
}

fn of_protocol(measures: Vec<Field>) -> Entity {
    aggregation(measures, vec![protocol()], Vec::new())
}

fn of_agent(measures: Vec<Field>) -> Entity {
    let (target, links) = (|| -> &'static Entity { &super::agent::AGENT }, agent_links());
    let agent = Relation::new("agent", Cardinality::One, target, links, "The agent that it is about.");
    let key = KeyPart { sql: "{t}.agent_id", ty: SqlType::Numeric };
    aggregation(measures, vec![protocol(), agent], vec![key])
}

fn protocol() -> Relation {
    let links = vec![
        Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
        Link { here: "{t}.deployment", there: "{t}.deployment", ty: SqlType::Integer },
    ];
    let doc = "The deployment of the registries that it is about.";
    Relation::new("protocol", Cardinality::One, || &super::protocol::PROTOCOL, links, doc)
}

/// An aggregation: it has no name and no table yet.
fn aggregation(measures: Vec<Field>, relations: Vec<Relation>, further_key: Vec<KeyPart>) -> Entity {
    let mut fields = vec![
        Field::new(
            "id",
            Kind::Int8,
            SqlType::Integer,
            "{t}.point",
            "A number of its own within its network and interval. Sort and page by `timestamp`.",
        ),
        Field::new(
            "timestamp",
            Kind::Timestamp,
            SqlType::Integer,
            "{t}.micros",
            "When the interval begins, in microseconds since 1970.",
        ),
    ];
    fields.extend(measures);
    fields.extend([finality_field(AT_BEGIN), cursor_field()]);
    let mut key = vec![
        KeyPart { sql: "{t}.micros", ty: SqlType::Integer },
        KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
        KeyPart { sql: "{t}.deployment", ty: SqlType::Integer },
    ];
    key.extend(further_key);
    Entity {
        name: "",
        doc: "",
        singular: "",
        plurals: &[],
        fields,
        relations,
        derivation: 1,
        table: None,
        life: Life::Always,
        only: None,
        key,
        parse_id: |_, _| None,
        changed: AT_BEGIN,
        changing: &[
            "id",
            "agentRegistrations",
            "feedbackCreated",
            "feedbackRevoked",
            "valueSum",
            "valueDeltaSum",
            "validationRequests",
            "validationResponses",
            "scoreSum",
            "flips",
            "suspiciousFlips",
            "endpointChanges",
            "averageInterval",
        ],
    }
}
