//! Manifest flips, and what those of an agent add up to.

use std::sync::LazyLock;

use super::{
    AT_BEGIN, Cardinality, Choice, Entity, Field, KeyPart, Life, Link, Relation, agent_id_text, agent_key, agent_links,
    cursor_field, finality_field,
};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

pub(super) static FLIP_SOURCE: Choice = Choice {
    name: "FlipSource",
    doc: "Where manifests come from. What is counted or averaged never mixes the two.",
    values: &[
        ("ONCHAIN", "The identity registry: the agent's URI is the endpoint, its `agentWallet` is the key."),
        ("SIGNED", "Documents that the agent's owner or wallet signed (`publishManifest`)."),
    ],
};

/// Flips of both sources. A key on the chain is an address, and documents write theirs as they like. A document has no place
/// in a block: it stands behind all events of the block that was the newest when it came, in the order of the agent's flips.
const TABLE: &str = "(SELECT f.chain_id, f.deployment, f.agent_id, f.begin_block, f.end_block, f.log_index, \
         f.transaction_hash, f.created_at, f.time_delta, f.endpoint, f.previous_endpoint, \
         '0x' || encode(f.pubkey, 'hex') AS pubkey, '0x' || encode(f.previous_pubkey, 'hex') AS previous_pubkey, f.owner, \
         f.previous_owner, f.endpoint_changed, f.pubkey_changed, f.owner_changed, f.score, f.flips, f.rapid, \
         f.endpoint_changes, f.suspicious, f.score_sum, 'ONCHAIN'::text AS source, NULL::bytea AS digest \
     FROM manifest_flip f \
     UNION ALL SELECT s.chain_id, s.deployment, s.agent_id, s.begin_block, s.end_block, (1000000000 + s.flips)::integer, \
         NULL, s.created_at, s.time_delta, s.endpoint, s.previous_endpoint, s.pubkey, s.previous_pubkey, s.owner, \
         s.previous_owner, s.endpoint_changed, s.pubkey_changed, s.owner_changed, s.score, s.flips, s.rapid, \
         s.endpoint_changes, s.suspicious, s.score_sum, 'SIGNED', s.digest \
     FROM signed_flip s)";

/// A change of an agent's manifest.
pub(super) static MANIFEST_FLIP: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = own_fields();
    fields.extend(place_fields("The place in the block of the last event that told the manifest; null of documents."));
    Entity {
        name: "ManifestFlip",
        doc: "A manifest of an agent that took the place of an earlier one. All that one transaction changes is one flip; \
              an agent's first manifest is none.",
        singular: "manifestFlip",
        plurals: &["manifestFlips"],
        fields,
        relations: vec![Relation::new(
            "agent",
            Cardinality::One,
            || &super::agent::AGENT,
            agent_links(),
            "The agent whose manifest it is.",
        )],
        derivation: 1,
        table: Some(TABLE),
        life: Life::Fact,
        only: None,
        key: flip_key(),
        parse_id: id::flip,
        changed: AT_BEGIN,
        changing: &[],
    }
});

fn metrics_key() -> Vec<KeyPart> {
    let mut key = agent_key();
    key.push(KeyPart { sql: "{t}.source", ty: SqlType::Text });
    key
}

fn flip_key() -> Vec<KeyPart> {
    let mut key = agent_key();
    key.push(KeyPart { sql: "{t}.begin_block", ty: SqlType::Integer });
    key.push(KeyPart { sql: "{t}.log_index", ty: SqlType::Integer });
    key
}

/// Where on the chain a flip comes from, or as of which block a document was taken.
fn place_fields(log_index: &'static str) -> Vec<Field> {
    vec![
        Field::integer(
            "blockNumber",
            "{t}.begin_block",
            "The block of that event; of documents the one that was the newest when it was handed in.",
        ),
        Field::int("logIndex", "CASE {t}.source WHEN 'ONCHAIN' THEN {t}.log_index END", log_index).nullable(),
        Field::bytes("transactionHash", "{t}.transaction_hash", "The transaction of that event; null of documents.")
            .nullable(),
        Field::bytes("digest", "{t}.digest", "The digest of the document; null of what is on the chain.").nullable(),
        finality_field(AT_BEGIN),
        cursor_field(),
    ]
}

fn own_fields() -> Vec<Field> {
    vec![
        Field::id(
            concat!(agent_id_text!(), " || ':' || {t}.begin_block || ':' || {t}.log_index"),
            "`agentId:blockNumber:logIndex`: ids of one agent sort in the order of the chain. Of documents the last number is a \
             billion and which flip of the agent it is.",
        ),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::choice("source", &FLIP_SOURCE, "{t}.source", "Where the manifest comes from."),
        Field::text("endpoint", "{t}.endpoint", "The endpoint since then; on the chain the agent's URI."),
        Field::text("previousEndpoint", "{t}.previous_endpoint", "The endpoint before; null where it is the same.")
            .nullable(),
        Field::text(
            "pubkey",
            "{t}.pubkey",
            "The key since then; on the chain the `agentWallet`, in lower case. Null when there is none.",
        )
        .nullable(),
        Field::text("previousPubkey", "{t}.previous_pubkey", "The key before; null when there was none.").nullable(),
        Field::bytes("owner", "{t}.owner", "The agent's owner since then; the zero address when it is burned."),
        Field::bytes("previousOwner", "{t}.previous_owner", "The agent's owner before."),
        Field::boolean("endpointChanged", "{t}.endpoint_changed", "Whether the endpoint is another one."),
        Field::boolean("pubkeyChanged", "{t}.pubkey_changed", "Whether the key is another one, or gone."),
        Field::boolean("ownerChanged", "{t}.owner_changed", "Whether the owner is another one; it does not score."),
        Field::integer("timeDelta", "{t}.time_delta", "Seconds since the manifest before."),
        Field::int(
            "suspicionScore",
            "{t}.score",
            "0 to 100: 50 for another endpoint, 30 for another key, 20 for less than 60 seconds.",
        ),
        Field::boolean("suspicious", "({t}.score >= 70)", "Whether the score is at least 70."),
        Field::boolean("rapid", "({t}.time_delta < 60)", "Whether it came within less than 60 seconds."),
        Field::integer("createdAt", "{t}.created_at", "When the manifest changed, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ]
}

/// What the flips of an agent add up to.
pub(super) static AGENT_FLIP_METRICS: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(concat!(agent_id_text!(), " || ':' || {t}.source"), "`agentId:source`; only of agents that flipped."),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::choice("source", &FLIP_SOURCE, "{t}.source", "The source of the manifests that it counts."),
        Field::integer("totalFlips", "{t}.flips", "How often the agent's manifest changed."),
        Field::integer("rapidFlips", "{t}.rapid", "How often within less than 60 seconds."),
        Field::integer("endpointChanges", "{t}.endpoint_changes", "How often to another endpoint."),
        Field::integer("highSuspicionFlips", "{t}.suspicious", "How often with a score of at least 70."),
        Field::decimal(
            "averageSuspicionScore",
            "round({t}.score_sum::numeric / {t}.flips, 2)",
            "The mean score, to two decimal places.",
        ),
        Field::integer("lastFlipAt", "{t}.created_at", "When it changed last, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ];
    fields.extend(place_fields("The place in the block of the last flip's last event; null of documents."));
    let mut last_flip = agent_links();
    last_flip.push(Link { here: "{t}.begin_block", there: "{t}.begin_block", ty: SqlType::Integer });
    last_flip.push(Link { here: "{t}.log_index", there: "{t}.log_index", ty: SqlType::Integer });
    Entity {
        name: "AgentFlipMetrics",
        doc: "What the changes of an agent's manifest add up to.",
        singular: "agentFlipMetrics",
        plurals: &["agentFlipMetrics_collection"],
        fields,
        relations: vec![
            Relation::new(
                "agent",
                Cardinality::One,
                || &super::agent::AGENT,
                agent_links(),
                "The agent whose manifests they are.",
            ),
            Relation::new("lastFlip", Cardinality::One, || &MANIFEST_FLIP, last_flip, "The last of the changes."),
        ],
        derivation: 1,
        table: Some(TABLE),
        life: Life::Version,
        only: None,
        key: metrics_key(),
        parse_id: id::flip_metrics,
        changed: AT_BEGIN,
        changing: &[
            "totalFlips",
            "rapidFlips",
            "endpointChanges",
            "highSuspicionFlips",
            "averageSuspicionScore",
            "lastFlipAt",
            "blockNumber",
            "logIndex",
            "transactionHash",
            "digest",
        ],
    }
});
