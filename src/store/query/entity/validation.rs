//! Validations: what validators were asked and what they answered last.

use std::sync::LazyLock;

use super::{AT_BEGIN, Cardinality, Choice, Entity, Field, KeyPart, Life, Link, Relation, agent_links, chain_fields};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

static VALIDATION_STATUS: Choice = Choice {
    name: "ValidationStatus",
    doc: "How far a validation is.",
    values: &[
        ("PENDING", "The validator has not answered."),
        ("COMPLETED", "The validator has answered, perhaps not for the last time."),
        (
            "EXPIRED",
            "The validator has not answered for longer than this node waits (`validation_expires_after_seconds`), by the \
             time of the newest block with events of the watched contracts. The registry knows no deadline: an answer may \
             still come.",
        ),
    ],
};

/// SQL of a validation's id as text.
macro_rules! validation_id_text {
    () => {
        "COALESCE((SELECT '0x' || encode(k.address, 'hex') || ':' FROM contract k WHERE k.chain_id = {t}.chain_id \
         AND k.contract_id = {t}.contract_id AND k.ordinal > 0), '') || '0x' || encode({t}.request_hash, 'hex')"
    };
}

/// SQL of how far a validation is.
pub(in crate::store::query) const STATUS: &str = "CASE WHEN {t}.response IS NOT NULL THEN 'COMPLETED' \
     WHEN {t}.created_at + {expires_after} < {clock {t}} THEN 'EXPIRED' ELSE 'PENDING' END";

fn validation_key() -> Vec<KeyPart> {
    vec![
        KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
        KeyPart { sql: "{t}.contract_id", ty: SqlType::Integer },
        KeyPart { sql: "{t}.request_hash", ty: SqlType::Bytes },
    ]
}

fn validation_links() -> Vec<Link> {
    let link = |part: KeyPart| Link { here: part.sql, there: part.sql, ty: part.ty };
    validation_key().into_iter().map(link).collect()
}

/// A validation.
pub(super) static VALIDATION: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            validation_id_text!(),
            "The request's hash; `registry:requestHash` for further validation registries of a network.",
        ),
        Field::bytes("validatorAddress", "{t}.validator", "Who is asked to validate."),
        Field::text("requestUri", "{t}.request_uri", "Where the request is.").nullable(),
        Field::bytes("requestHash", "{t}.request_hash", "The request's hash, unique within its registry."),
        Field::int("response", "{t}.response", "The newest answer, 0 to 100; null until there is one. 0 is an answer.")
            .nullable(),
        Field::text("responseUri", "{t}.response_uri", "Where the newest answer is.").nullable(),
        Field::bytes("responseHash", "{t}.response_hash", "keccak256 of the newest answer; zero when it was not told.")
            .nullable(),
        Field::text("tag", "{t}.tag", "The newest answer's tag.").nullable(),
        Field::choice("status", &VALIDATION_STATUS, STATUS, "How far it is."),
        Field::int("responseCount", "{t}.response_count", "How many answers the validator gave."),
        Field::integer("createdAt", "{t}.created_at", "When it was asked for, in seconds since 1970.")
            .sorted_by_block("{t}.created_block"),
        Field::integer("updatedAt", "{t}.updated_at", "When it last changed, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ];
    fields.extend(chain_fields("The place in the block of the newest answer's event, or of the request's.", AT_BEGIN));
    Entity {
        name: "Validation",
        doc: "A validation that was asked for, with the newest answer to it.",
        singular: "validation",
        plurals: &["validations"],
        fields,
        relations: vec![
            Relation::new("agent", Cardinality::One, || &super::agent::AGENT, agent_links(), "The agent it is about."),
            Relation::new(
                "responses",
                Cardinality::Many,
                || &VALIDATION_RESPONSE,
                validation_links(),
                "Every answer to it, by default from the first to the last.",
            ),
        ],
        derivation: 0,
        table: Some("validation"),
        life: Life::Version,
        only: None,
        key: validation_key(),
        parse_id: id::validation,
        changed: AT_BEGIN,
        changing: &[
            "response",
            "responseUri",
            "responseHash",
            "tag",
            "status",
            "responseCount",
            "updatedAt",
            "blockNumber",
            "logIndex",
            "transactionHash",
        ],
    }
});

/// An answer of a validator.
pub(super) static VALIDATION_RESPONSE: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            concat!(validation_id_text!(), " || ':' || {t}.begin_block || ':' || {t}.log_index"),
            "`validationId:blockNumber:logIndex`: answers of one validation sort in the order of the chain.",
        ),
        Field::bytes("validatorAddress", "{t}.validator", "Who answered."),
        Field::bytes("requestHash", "{t}.request_hash", "The hash of the request that it answers."),
        Field::int("response", "{t}.response", "The answer, 0 to 100."),
        Field::text("responseUri", "{t}.response_uri", "Where the answer is.").nullable(),
        Field::bytes("responseHash", "{t}.response_hash", "keccak256 of the answer; zero when it was not told.")
            .nullable(),
        Field::text("tag", "{t}.tag", "The answer's tag.").nullable(),
        Field::integer("createdAt", "{t}.created_at", "When it was given, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ];
    fields.extend(chain_fields("The place in the block of the event that gave the answer.", AT_BEGIN));
    let mut key = validation_key();
    key.push(KeyPart { sql: "{t}.begin_block", ty: SqlType::Integer });
    key.push(KeyPart { sql: "{t}.log_index", ty: SqlType::Integer });
    Entity {
        name: "ValidationResponse",
        doc: "An answer of a validator. A request may be answered several times; the last answer counts.",
        singular: "validationResponse",
        plurals: &["validationResponses"],
        fields,
        relations: vec![
            Relation::new(
                "validation",
                Cardinality::Optional,
                || &VALIDATION,
                validation_links(),
                "The validation that it answers; null where the request was not seen.",
            ),
            Relation::new(
                "agent",
                Cardinality::Optional,
                || &super::agent::AGENT,
                agent_links(),
                "The agent that the answer names; null where nothing else is known of it.",
            ),
        ],
        derivation: 0,
        table: Some("validation_response"),
        life: Life::Fact,
        only: None,
        key,
        parse_id: id::validation_response,
        changed: AT_BEGIN,
        changing: &[],
    }
});
