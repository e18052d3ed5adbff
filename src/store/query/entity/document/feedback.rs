//! Feedback that was handed in, and its versions.

use std::sync::LazyLock;

use super::{account, signed_fields};
use crate::store::query::entity::{
    Cardinality, Entity, Field, KeyPart, Life, Link, Relation, Template, agent, agent_links, cursor_field, feedback,
};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

/// SQL of a list of texts in the file.
macro_rules! texts {
    ($path:literal) => {
        concat!(
            "(SELECT array_agg(x.entry ORDER BY x.place) FROM jsonb_array_elements_text({t}.content #> '",
            $path,
            "') WITH ORDINALITY x (entry, place))"
        )
    };
}
/// Versions of feedback, with the document that each came by, and the newest feedback of the same agent and client on the
/// chain that names the same file.
const FEEDBACK_TABLE: &str = "(SELECT o.*, d.signature, d.nonce, d.checked_block, \
     (SELECT f.feedback_index FROM feedback f WHERE f.chain_id = o.chain_id AND f.deployment = o.deployment \
         AND f.agent_id = o.agent_id AND f.client = o.client AND {live f} \
         AND (f.feedback_hash = o.file_hash OR strpos(f.feedback_uri, o.cid) > 0) \
         ORDER BY f.feedback_index DESC LIMIT 1) AS anchor \
     FROM offchain_feedback o JOIN document d ON d.chain_id = o.chain_id AND d.digest = o.digest)";

/// Feedback that was handed in, as it is now.
pub(in crate::store::query::entity) static OFFCHAIN_FEEDBACK: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![Field::id(
        "{t}.chain_id || ':0x' || encode({t}.original, 'hex')",
        "`chainId:digest` of the document that gave it first.",
    )];
    fields.extend(feedback_fields());
    fields.push(cursor_field());
    let mut relations = feedback_relations();
    relations.push(Relation::new(
        "versions",
        Cardinality::Many,
        || &OFFCHAIN_FEEDBACK_VERSION,
        vec![
            Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
            Link { here: "{t}.original", there: "{t}.original", ty: SqlType::Bytes },
        ],
        "All versions, this one among them.",
    ));
    Entity {
        name: "OffchainFeedback",
        doc: "Feedback that its client signed and handed in here, as its newest version says it.",
        singular: "offchainFeedback",
        plurals: &["offchainFeedbacks"],
        fields,
        relations,
        derivation: 0,
        table: Some(FEEDBACK_TABLE),
        life: Life::Always,
        only: Some(Template::plain("{t}.is_current")),
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.original", ty: SqlType::Bytes },
        ],
        parse_id: id::document,
        changed: Template::plain("0"),
        changing: &[
            "version",
            "digest",
            "value",
            "valueRaw",
            "valueDecimals",
            "tag1",
            "tag2",
            "endpoint",
            "text",
            "createdAt",
            "receivedAt",
            "isRevoked",
            "revokedAt",
            "fileHash",
            "cid",
            "fileURI",
            "anchored",
            "nonce",
            "signature",
            "checkedBlock",
        ],
    }
});

/// One version of such feedback.
pub(in crate::store::query::entity) static OFFCHAIN_FEEDBACK_VERSION: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![Field::id(
        "{t}.chain_id || ':0x' || encode({t}.original, 'hex') || ':' || {t}.version",
        "`chainId:digest:version`, by the digest of the document that gave it first.",
    )];
    fields.push(Field::boolean("isCurrent", "{t}.is_current", "Whether no later version took its place."));
    fields.extend(feedback_fields());
    fields.push(cursor_field());
    let mut relations = feedback_relations();
    relations.push(Relation::new(
        "feedback",
        Cardinality::One,
        || &OFFCHAIN_FEEDBACK,
        vec![
            Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
            Link { here: "{t}.original", there: "{t}.original", ty: SqlType::Bytes },
        ],
        "The feedback that it is a version of.",
    ));
    Entity {
        name: "OffchainFeedbackVersion",
        doc: "One version of feedback that was handed in. None is ever changed or deleted.",
        singular: "offchainFeedbackVersion",
        plurals: &["offchainFeedbackVersions"],
        fields,
        relations,
        derivation: 0,
        table: Some(FEEDBACK_TABLE),
        life: Life::Always,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.original", ty: SqlType::Bytes },
            KeyPart { sql: "{t}.version", ty: SqlType::Integer },
        ],
        parse_id: id::document_version,
        changed: Template::plain("0"),
        changing: &["isCurrent", "isRevoked", "revokedAt", "anchored"],
    }
});

fn feedback_relations() -> Vec<Relation> {
    let mut anchor = agent_links();
    anchor.push(Link { here: "{t}.client", there: "{t}.client", ty: SqlType::Bytes });
    anchor.push(Link { here: "{t}.anchor", there: "{t}.feedback_index", ty: SqlType::Numeric });
    vec![
        Relation::new(
            "agent",
            Cardinality::Optional,
            || &agent::AGENT,
            agent_links(),
            "The agent that it is about; null where the chain has dropped it since.",
        ),
        Relation::new(
            "anchor",
            Cardinality::Optional,
            || &feedback::FEEDBACK,
            anchor,
            "The feedback on the chain that names the same file, by its hash or its CID; null while there is none.",
        ),
    ]
}

fn feedback_fields() -> Vec<Field> {
    let mut fields = vec![
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::int("version", "{t}.version", "Which version it is, from 1."),
        Field::bytes("digest", "{t}.digest", "The digest of the document that this version came by."),
        Field::numeric("agentId", "{t}.agent_id", "The token id of the agent that it is about."),
        Field::bytes("clientAddress", "{t}.client", "Who gave and signed it."),
        Field::decimal("value", "{t}.value", "The value."),
        Field::numeric("valueRaw", "{t}.value_raw", "The value in units of 10^-`valueDecimals`."),
        Field::int("valueDecimals", "{t}.value_decimals", "Decimal places of the value, 0 to 18."),
        Field::text("tag1", "{t}.tag1", "The first tag; empty where there is none."),
        Field::text("tag2", "{t}.tag2", "The second tag; empty where there is none."),
        Field::text("endpoint", "{t}.endpoint", "The endpoint that it is about; empty where none is named."),
        Field::text("text", "coalesce({t}.content ->> 'text', '')", "What the client says in words; may be empty."),
        Field::integer("createdAt", "{t}.created_at", "When it was given, in seconds since 1970, as the client says."),
        Field::integer(
            "receivedAt",
            "{t}.received_at",
            "When it was handed in, in seconds since 1970 by this node's clock.",
        ),
        Field::boolean("isRevoked", "({t}.revoked_at IS NOT NULL)", "Whether its client revoked it."),
        Field::integer(
            "revokedAt",
            "{t}.revoked_at",
            "When its client revoked it, in seconds since 1970; null while it stands.",
        )
        .nullable(),
        Field::boolean("anchored", "({t}.anchor IS NOT NULL)", "Whether feedback on the chain names the same file."),
    ];
    fields.extend(file_fields());
    fields.extend(signed_fields(account!("{t}.client")));
    fields
}

/// What the standard's file says more, and what it is called.
fn file_fields() -> Vec<Field> {
    let list = |name, sql, doc| Field::texts(name, sql, doc).nullable();
    vec![
        Field::bytes("fileHash", "{t}.file_hash", "Keccak-256 of the feedback file: `feedbackHash` on the chain."),
        Field::text("cid", "{t}.cid", "The file's content identifier (CIDv1, raw, SHA-256): served at `/files/{cid}`."),
        Field::text("fileURI", "'ipfs://' || {t}.cid", "The file's URI: `feedbackURI` on the chain."),
        Field::text("mcpTool", "({t}.content #>> '{mcp,tool}')", "The tool of an MCP server that was used.").nullable(),
        Field::text("mcpPrompt", "({t}.content #>> '{mcp,prompt}')", "The prompt of an MCP server.").nullable(),
        Field::text("mcpResource", "({t}.content #>> '{mcp,resource}')", "The resource of an MCP server.").nullable(),
        list("a2aSkills", texts!("{a2a,skills}"), "The skills of an A2A agent that were used."),
        Field::text("a2aContextId", "({t}.content #>> '{a2a,contextId}')", "The conversation with an A2A agent.")
            .nullable(),
        Field::text("a2aTaskId", "({t}.content #>> '{a2a,taskId}')", "The task of an A2A agent.").nullable(),
        list("oasfSkills", texts!("{oasf,skills}"), "Skills by the Open Agentic Schema Framework."),
        list("oasfDomains", texts!("{oasf,domains}"), "Domains by the Open Agentic Schema Framework."),
        Field::text(
            "proofOfPaymentTxHash",
            "({t}.content #>> '{proofOfPayment,txHash}')",
            "The payment's transaction.",
        )
        .nullable(),
    ]
}
