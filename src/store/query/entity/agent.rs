//! Agents and their metadata entries.

use std::sync::LazyLock;

use super::wallet::shared_wallet;
use super::{
    AT_BEGIN, Cardinality, Entity, Field, KeyPart, Life, Link, Relation, Template, agent_id_text, agent_key,
    agent_links, chain_fields, uri_type,
};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

/// The current totals; every agent has a row, where they are read.
const TOTAL_JOIN: &str = " JOIN agent_total {t}_total ON {t}_total.chain_id = {t}.chain_id \
     AND {t}_total.deployment = {t}.deployment AND {t}_total.agent_id = {t}.agent_id";

/// Totals as of an earlier block: the current ones where they have not changed since, else a kept version, else what the
/// facts say.
macro_rules! total_as_of {
    ($column:literal, $counted:expr) => {
        concat!(
            "COALESCE((SELECT x.",
            $column,
            " FROM agent_total x WHERE ",
            of_agent!("x"),
            " AND {begun x}), (SELECT x.",
            $column,
            " FROM agent_total_version x WHERE ",
            of_agent!("x"),
            " AND {live x}), ",
            $counted,
            ")"
        )
    };
}

macro_rules! of_agent {
    ($alias:literal) => {
        concat!(
            $alias,
            ".chain_id = {t}.chain_id AND ",
            $alias,
            ".deployment = {t}.deployment AND ",
            $alias,
            ".agent_id = {t}.agent_id"
        )
    };
}

macro_rules! newest {
    ($column:literal, $table:literal, $condition:literal) => {
        concat!("(SELECT max(x.", $column, ") FROM ", $table, " x WHERE ", of_agent!("x"), " AND ", $condition, ")")
    };
}

/// When feedback was last given: an index has it in the order of the chain.
macro_rules! last_given {
    () => {
        concat!(
            "(SELECT x.created_at FROM feedback x WHERE ",
            of_agent!("x"),
            " AND {begun x} ORDER BY x.begin_block DESC LIMIT 1)"
        )
    };
}

/// When feedback was last revoked: an index has what fell, and the block's header the time.
macro_rules! last_revoked {
    () => {
        concat!(
            "(SELECT b.block_at FROM block b WHERE b.chain_id = {t}.chain_id AND b.number = (SELECT max(x.revoked_block) \
             FROM feedback x WHERE ",
            of_agent!("x"),
            " AND (x.end_block IS NOT NULL OR x.revoked_block IS NOT NULL) AND {reached x.revoked_block}))"
        )
    };
}

/// Feedback that stood when the version `b` of a standing held, and fell in this column's block, from the version's end to
/// the block that is read. That is an hour of the network at most; the planner does not know that (`OFFSET 0`).
macro_rules! fell_since {
    ($column:literal, $other:literal) => {
        concat!(
            "(SELECT count(*) FROM (SELECT * FROM feedback f WHERE f.chain_id = {t}.chain_id AND f.",
            $column,
            " BETWEEN b.end_block AND {block f} OFFSET 0) x WHERE ",
            of_agent!("x"),
            " AND x.begin_block < b.end_block AND (x.",
            $other,
            "))"
        )
    };
}

/// How much feedback stood, from what the newest milestone says and what has moved since; of an agent without one from all.
macro_rules! total_stood {
    () => {
        concat!(
            "(SELECT b.given - b.revoked + (SELECT count(*) FROM feedback x WHERE ",
            of_agent!("x"),
            " AND x.begin_block BETWEEN b.end_block AND {block x} AND {live x} AND NOT {reached x.revoked_block}) - ",
            fell_since!("revoked_block", "end_block IS NULL OR x.end_block >= b.end_block"),
            " - ",
            fell_since!("end_block", "revoked_block IS NULL OR x.revoked_block > {block x}"),
            " FROM (SELECT * FROM agent_milestone s WHERE ",
            of_agent!("s"),
            " AND {begun s} ORDER BY s.begin_block DESC LIMIT 1) b), \
             (SELECT count(*) FROM feedback x WHERE ",
            of_agent!("x"),
            " AND {live x} AND NOT {reached x.revoked_block})"
        )
    };
}

/// An agent.
pub(super) static AGENT: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = own_fields();
    fields.extend(chain_fields("The place in the block of the last event that changed the agent itself.", changed()));
    Entity {
        name: "Agent",
        doc: "An agent: a token of the identity registry, with what its owner says about it.",
        singular: "agent",
        plurals: &["agents"],
        fields,
        relations: relations(),
        derivation: 0,
        table: Some("agent"),
        life: Life::Version,
        only: None,
        key: agent_key(),
        parse_id: id::agent,
        changed: changed(),
        changing: &[
            "agentURI",
            "agentURIType",
            "owner",
            "agentWallet",
            "updatedAt",
            "totalFeedback",
            "lastActivity",
            "blockNumber",
            "logIndex",
            "transactionHash",
        ],
    }
});

/// The block in which the agent or what is counted of it last changed.
fn changed() -> Template {
    Template {
        latest: "{t}_total.begin_block",
        join: Some(TOTAL_JOIN),
        pinned: Some(total_as_of!("begin_block", "{t}.begin_block")),
        pinned_join: None,
    }
}

fn own_fields() -> Vec<Field> {
    vec![
        Field::id(
            agent_id_text!(),
            "`chainId:agentId`; `chainId:registry:agentId` for further registries of a network.",
        ),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::numeric("agentId", "{t}.agent_id", "The token id: dense from 0 within its registry."),
        Field::text("agentURI", "{t}.agent_uri", "Where the registration file is, or the file itself as a data: URI.")
            .nullable(),
        Field::text(
            "agentURIType",
            uri_type!("{t}.agent_uri"),
            "What kind of URI that is: data, ipfs, https, http, ar, json or unknown.",
        )
        .nullable(),
        Field::boolean(
            "registered",
            "{t}.registered",
            "Whether its registration was seen; false where the node follows the chain from a later block only, or \
             where nothing but another registry named it.",
        ),
        Field::bytes(
            "owner",
            "{t}.owner",
            "Who owns the agent; the zero address once it is burned, and while no event told.",
        )
        .leads_key(),
        Field::bytes("agentWallet", "{t}.agent_wallet", "The wallet that acts for the agent; null while none is set.")
            .nullable()
            .leads_key(),
        Field::bytes_list(
            "operators",
            "ARRAY(SELECT o.operator FROM (SELECT {t}.approved AS operator WHERE {t}.approved IS NOT NULL UNION \
             SELECT p.operator FROM operator_approval p WHERE p.chain_id = {t}.chain_id \
             AND p.deployment = {t}.deployment AND p.owner = {t}.owner AND {live p}) o ORDER BY o.operator)",
            "Who may act for the agent: its approved address and the operators of its owner, sorted.",
        )
        .contains(
            "NOT EXISTS (SELECT FROM unnest({v}) AS wanted (operator) WHERE {t}.approved IS DISTINCT FROM \
             wanted.operator AND ({t}.chain_id, {t}.deployment, {t}.owner) NOT IN (SELECT p.chain_id, p.deployment, \
             p.owner FROM operator_approval p WHERE p.operator = wanted.operator AND {live p})) \
             AND ({t}.chain_id, {t}.deployment, {t}.agent_id) IN (SELECT q.chain_id, q.deployment, q.agent_id \
             FROM operator_approval p JOIN agent q ON q.chain_id = p.chain_id AND q.deployment = p.deployment \
             AND q.owner = p.owner AND {live q} WHERE p.operator = ANY({v}) AND {live p} UNION ALL \
             SELECT q.chain_id, q.deployment, q.agent_id FROM agent q WHERE q.approved = ANY({v}) AND {live q})",
        ),
        Field::integer("createdAt", "{t}.created_at", "When the agent appeared, in seconds since 1970.")
            .sorted_by_block("{t}.created_block"),
        Field::integer(
            "updatedAt",
            "{t}_total.updated_at",
            "When an event last named the agent, responses to feedback left out, in seconds since 1970.",
        )
        .joined(TOTAL_JOIN)
        .pinned(total_as_of!(
            "updated_at",
            concat!(
                "GREATEST({t}.updated_at, ",
                newest!("updated_at", "agent_metadata", "{begun x}"),
                ", ",
                last_given!(),
                ", ",
                last_revoked!(),
                ", ",
                newest!("updated_at", "validation", "{begun x}"),
                ")"
            )
        )),
        Field::integer(
            "totalFeedback",
            "({t}_total.total_feedback - {t}_total.revoked)",
            "How much feedback about it stands: given and not revoked.",
        )
        .joined(TOTAL_JOIN)
        .pinned(total_as_of!("total_feedback - x.revoked", total_stood!())),
        Field::integer(
            "lastActivity",
            "{t}_total.last_activity",
            "When it was registered, or last given feedback or a validation if that is later, in seconds since 1970.",
        )
        .joined(TOTAL_JOIN)
        .pinned(total_as_of!(
            "last_activity",
            concat!(
                "GREATEST({t}.created_at, ",
                last_given!(),
                ", ",
                newest!("updated_at", "validation", "{begun x}"),
                ")"
            )
        )),
    ]
}

fn relations() -> Vec<Relation> {
    let mut file_links = agent_links();
    file_links.push(Link { here: "{t}.uri_block", there: "{t}.begin_block", ty: SqlType::Integer });
    file_links.push(Link { here: "{t}.uri_log_index", there: "{t}.log_index", ty: SqlType::Integer });
    vec![
        Relation::new(
            "registrationFile",
            Cardinality::Optional,
            || &super::file::AGENT_REGISTRATION_FILE,
            file_links,
            "What the file behind the current `agentURI` says; null when it gives no valid file.",
        ),
        Relation::new(
            "feedback",
            Cardinality::Many,
            || &super::feedback::FEEDBACK,
            agent_links(),
            "The feedback about the agent.",
        ),
        Relation::new(
            "reputation",
            Cardinality::One,
            || &super::reputation::AGENT_REPUTATION,
            agent_links(),
            "What the feedback about the agent sums up to.",
        ),
        Relation::new(
            "tagReputations",
            Cardinality::Many,
            || &super::reputation::TAG_REPUTATION,
            agent_links(),
            "What the feedback about the agent sums up to under each first tag.",
        ),
        Relation::new(
            "validations",
            Cardinality::Many,
            || &super::validation::VALIDATION,
            agent_links(),
            "The validations that were asked for the agent.",
        ),
        Relation::new(
            "metadata",
            Cardinality::Many,
            || &AGENT_METADATA,
            agent_links(),
            "The agent's metadata entries.",
        ),
        Relation::new(
            "walletAgents",
            Cardinality::Many,
            || &super::wallet::WALLET_AGENT,
            shared_wallet("{t}.agent_wallet", "{t}.wallet"),
            "The agents of its wallet in the registry of wallets' agents, as of the same block: through them its audit \
             trail.",
        ),
        Relation::new(
            "flips",
            Cardinality::Many,
            || &super::flip::MANIFEST_FLIP,
            agent_links(),
            "The changes of the agent's manifest: of its endpoint, its key or its owner.",
        ),
        Relation::new(
            "flipMetrics",
            Cardinality::Many,
            || &super::flip::AGENT_FLIP_METRICS,
            agent_links(),
            "What these changes add up to: one for each source of manifests in which there is any.",
        ),
    ]
}

/// An entry of an agent's metadata.
pub(super) static AGENT_METADATA: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            concat!(
                agent_id_text!(),
                " || ':' || CASE WHEN {t}.key_raw IS NULL THEN {t}.key ELSE 'keccak256:0x' || encode({t}.key_hash, \
                 'hex') END"
            ),
            "`chainId:agentId:key`; `chainId:agentId:keccak256:hash` of a key that is no clean text. Ids of one agent \
             sort by the hash of the key.",
        ),
        Field::text("key", "{t}.key", "The key, in its readable form."),
        Field::bytes("value", "{t}.value", "The value as set last; empty once it is cleared."),
        Field::integer("updatedAt", "{t}.updated_at", "When it was set last, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ];
    fields.extend(chain_fields("The place in the block of the event that set the value.", AT_BEGIN));
    let mut key = agent_key();
    key.push(KeyPart { sql: "{t}.key_hash", ty: SqlType::Bytes });
    Entity {
        name: "AgentMetadata",
        doc: "A metadata entry of an agent, as set last.",
        singular: "agentMetadata",
        plurals: &["agentMetadata_collection", "agentMetadatas"],
        fields,
        relations: vec![Relation::new(
            "agent",
            Cardinality::One,
            || &AGENT,
            agent_links(),
            "The agent that the entry belongs to.",
        )],
        derivation: 0,
        table: Some("agent_metadata"),
        life: Life::Version,
        only: None,
        key,
        parse_id: id::metadata,
        changed: AT_BEGIN,
        changing: &["value", "updatedAt", "blockNumber", "logIndex", "transactionHash"],
    }
});
