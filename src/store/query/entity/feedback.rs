//! Feedback and the responses to it.

use std::sync::LazyLock;

use super::{
    AT_BEGIN, Cardinality, Entity, Field, KeyPart, Life, Link, Relation, Template, agent_id_text, agent_key,
    agent_links, chain_fields, uri_type,
};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

/// SQL of a feedback's id as text.
macro_rules! feedback_id_text {
    () => {
        concat!(agent_id_text!(), " || ':0x' || encode({t}.client, 'hex') || ':' || {t}.feedback_index")
    };
}

/// The block of the revocation, or of the feedback while it stands.
const REVOKED_OR_GIVEN: Template =
    Template::plain("CASE WHEN {reached {t}.revoked_block} THEN {t}.revoked_block ELSE {t}.begin_block END");

fn feedback_key() -> Vec<KeyPart> {
    let mut key = agent_key();
    key.push(KeyPart { sql: "{t}.client", ty: SqlType::Bytes });
    key.push(KeyPart { sql: "{t}.feedback_index", ty: SqlType::Numeric });
    key
}

fn feedback_links() -> Vec<Link> {
    let mut links = agent_links();
    links.push(Link { here: "{t}.client", there: "{t}.client", ty: SqlType::Bytes });
    links.push(Link { here: "{t}.feedback_index", there: "{t}.feedback_index", ty: SqlType::Numeric });
    links
}

/// Feedback about an agent.
pub(super) static FEEDBACK: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = own_fields();
    fields.extend(chain_fields("The place in the block of the event that gave the feedback.", REVOKED_OR_GIVEN));
    Entity {
        name: "Feedback",
        doc: "Feedback that a client gave about an agent.",
        singular: "feedback",
        plurals: &["feedbacks"],
        fields,
        relations: vec![
            Relation::new("agent", Cardinality::One, || &super::agent::AGENT, agent_links(), "The agent it is about."),
            Relation::new(
                "feedbackFile",
                Cardinality::Optional,
                || &super::file::FEEDBACK_FILE,
                Vec::new(),
                "What the file behind `feedbackURI` says; null while none has been read.",
            ),
            Relation::new(
                "responses",
                Cardinality::Many,
                || &FEEDBACK_RESPONSE,
                feedback_links(),
                "The responses to it.",
            ),
        ],
        derivation: 0,
        table: Some("feedback"),
        life: Life::Version,
        only: None,
        key: feedback_key(),
        parse_id: id::feedback,
        changed: REVOKED_OR_GIVEN,
        changing: &["isRevoked", "revokedAt"],
    }
});

fn own_fields() -> Vec<Field> {
    vec![
        Field::id(feedback_id_text!(), "`chainId:agentId:clientAddress:feedbackIndex`."),
        Field::bytes("clientAddress", "{t}.client", "Who gave it."),
        Field::numeric("feedbackIndex", "{t}.feedback_index", "Counts from 1 per agent and client."),
        Field::decimal("value", "{t}.value", "The value: `valueRaw` divided by ten to the power of `valueDecimals`."),
        Field::numeric("valueRaw", "{t}.value_raw", "The value as the contract has it, in units of 10^-valueDecimals."),
        Field::int("valueDecimals", "{t}.value_decimals", "The decimal places of the value, 0 to 18."),
        Field::text("tag1", "{t}.tag1", "What the value measures, such as `starred`; may be empty.").nullable(),
        Field::bytes(
            "tag1Hash",
            "{t}.tag1_hash",
            "keccak256 of the first tag, where an earlier registry told no more of it; `tag1` is empty then.",
        )
        .nullable(),
        Field::text("tag2", "{t}.tag2", "Refines `tag1`, such as `day`; may be empty.").nullable(),
        Field::text("endpoint", "{t}.endpoint", "The agent's endpoint that was used; may be empty.").nullable(),
        Field::text("feedbackURI", "{t}.feedback_uri", "Where the feedback file is; may be empty.").nullable(),
        Field::text(
            "feedbackURIType",
            uri_type!("{t}.feedback_uri"),
            "What kind of URI that is: data, ipfs, https, http, ar, json or unknown.",
        )
        .nullable(),
        Field::bytes("feedbackHash", "{t}.feedback_hash", "keccak256 of that file; zero when it was not told.")
            .nullable(),
        Field::boolean("isRevoked", "{reached {t}.revoked_block}", "Whether the client took it back."),
        Field::integer("createdAt", "{t}.created_at", "When it was given, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
        Field::integer(
            "revokedAt",
            "CASE WHEN {reached {t}.revoked_block} THEN {t}.revoked_at END",
            "When it was taken back, in seconds since 1970; null while it stands.",
        )
        .nullable(),
    ]
}

/// A response to feedback.
pub(super) static FEEDBACK_RESPONSE: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            concat!(feedback_id_text!(), " || ':0x' || encode({t}.transaction_hash, 'hex') || ':' || {t}.log_index"),
            "`feedbackId:transactionHash:logIndex`.",
        ),
        Field::bytes("responder", "{t}.responder", "Who responded; anybody may."),
        Field::text("responseUri", "{t}.response_uri", "Where the response is.").nullable(),
        Field::bytes("responseHash", "{t}.response_hash", "keccak256 of the response; zero when it was not told.")
            .nullable(),
        Field::integer("createdAt", "{t}.created_at", "When it was given, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ];
    fields.extend(chain_fields("The place in the block of the event that gave the response.", AT_BEGIN));
    let mut key = feedback_key();
    key.push(KeyPart { sql: "{t}.transaction_hash", ty: SqlType::Bytes });
    key.push(KeyPart { sql: "{t}.log_index", ty: SqlType::Integer });
    Entity {
        name: "FeedbackResponse",
        doc: "A response to feedback.",
        singular: "feedbackResponse",
        plurals: &["feedbackResponses"],
        fields,
        relations: vec![Relation::new(
            "feedback",
            Cardinality::One,
            || &FEEDBACK,
            feedback_links(),
            "The feedback that it answers.",
        )],
        derivation: 0,
        table: Some("feedback_response"),
        life: Life::Fact,
        only: None,
        key,
        parse_id: id::response,
        changed: AT_BEGIN,
        changing: &[],
    }
});
