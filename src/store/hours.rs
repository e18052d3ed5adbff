//! What an hour adds, counted from the facts: the text that ingestion, rewinds and questions about earlier blocks share.
//!
//! Each of them counts the same rows, so an hour's row says what the facts say, at whatever block it is looked at. The
//! parts are added up in any order: nothing depends on the order within a block, on batches, or on times that fall.

/// What an hour's row counts: a column of `protocol_hour` and its SQL type.
pub(super) const MEASURES: [(&str, &str); 12] = [
    ("registrations", "bigint"),
    ("feedback_given", "bigint"),
    ("feedback_revoked", "bigint"),
    ("value_given", "numeric"),
    ("value_revoked", "numeric"),
    ("validation_requests", "bigint"),
    ("validation_responses", "bigint"),
    ("response_sum", "bigint"),
    ("flips", "bigint"),
    ("suspicious_flips", "bigint"),
    ("endpoint_changes", "bigint"),
    ("flip_seconds", "numeric"),
];

/// A kind of fact that hours count. What a condition looks up it looks up for each row, behind a LIMIT: free to choose, the
/// planner joins the wrong way round while a new network's tables have no statistics.
struct Counted {
    /// The table, under the alias `f`.
    table: &'static str,
    /// The block and the time that it is counted at.
    block: &'static str,
    at: &'static str,
    /// Which rows.
    condition: &'static str,
    /// What a row adds to which measure.
    adds: &'static [(&'static str, &'static str)],
}

const COUNTED: [Counted; 6] = [
    Counted {
        table: "agent",
        block: "f.begin_block",
        at: "f.updated_at",
        // The version that is the first one to be registered: by the one before it.
        condition: " AND f.registered AND NOT coalesce((SELECT e.registered FROM agent e WHERE e.chain_id = f.chain_id \
                    AND e.deployment = f.deployment AND e.agent_id = f.agent_id AND e.begin_block < f.begin_block \
                    ORDER BY e.begin_block DESC LIMIT 1), FALSE)",
        adds: &[("registrations", "1")],
    },
    Counted {
        table: "feedback",
        block: "f.begin_block",
        at: "f.created_at",
        condition: "",
        adds: &[("feedback_given", "1"), ("value_given", "f.value")],
    },
    Counted {
        table: "feedback",
        block: "f.revoked_block",
        at: "f.revoked_at",
        condition: "",
        adds: &[("feedback_revoked", "1"), ("value_revoked", "f.value")],
    },
    Counted {
        table: "validation",
        block: "f.begin_block",
        at: "f.created_at",
        condition: " AND f.created_block = f.begin_block",
        adds: &[("validation_requests", "1")],
    },
    Counted {
        table: "validation_response",
        block: "f.begin_block",
        at: "f.created_at",
        condition: " AND (SELECT TRUE FROM validation v WHERE v.chain_id = f.chain_id \
                    AND v.contract_id = f.contract_id AND v.request_hash = f.request_hash \
                    AND v.begin_block <= f.begin_block LIMIT 1)",
        adds: &[("validation_responses", "1"), ("response_sum", "f.response")],
    },
    Counted {
        table: "manifest_flip",
        block: "f.begin_block",
        at: "f.created_at",
        condition: "",
        adds: &[
            ("flips", "1"),
            ("suspicious_flips", "(f.score >= 70)::integer"),
            ("endpoint_changes", "f.endpoint_changed::integer"),
            ("flip_seconds", "f.time_delta"),
        ],
    },
];

/// SELECT of `deployment, hour, first_block, begin_block` and the measures, of facts from one block to another. The
/// arguments are expressions; `further` is one more condition, of a fact's block.
pub(super) fn counted(chain: &str, from: &str, to: &str, further: impl Fn(&str) -> String) -> String {
    let parts: Vec<String> = COUNTED.iter().map(|counted| part(counted, chain, from, to, &further)).collect();
    let sums: Vec<String> = MEASURES.iter().map(|(name, ty)| format!("sum(p.{name})::{ty} AS {name}")).collect();
    format!(
        "SELECT p.deployment, p.at / 3600 AS hour, min(p.block) AS first_block, max(p.block) AS begin_block, {} \
         FROM ({}) p GROUP BY 1, 2",
        sums.join(", "),
        parts.join(" UNION ALL ")
    )
}

fn part(counted: &Counted, chain: &str, from: &str, to: &str, further: &impl Fn(&str) -> String) -> String {
    let Counted { table, block, at, condition, adds } = counted;
    let measures: Vec<String> = MEASURES
        .iter()
        .map(|(name, ty)| {
            let added = adds.iter().find(|(measure, _)| measure == name).map_or("0", |(_, added)| added);
            format!("({added})::{ty} AS {name}")
        })
        .collect();
    format!(
        "SELECT f.deployment, {at} AS at, {block} AS block, {} FROM {table} f \
         WHERE f.chain_id = {chain} AND {block} BETWEEN {from} AND {to}{condition}{}",
        measures.join(", "),
        further(block)
    )
}
