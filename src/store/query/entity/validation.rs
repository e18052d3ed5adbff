//! Validations: what validators were asked and what they answered last.

use std::sync::LazyLock;

use super::{AT_BEGIN, Cardinality, Choice, Entity, Field, KeyPart, Life, Relation, agent_links, chain_fields};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

static VALIDATION_STATUS: Choice = Choice {
    name: "ValidationStatus",
    doc: "How far a validation is.",
    values: &[
        ("PENDING", "The validator has not answered."),
        ("COMPLETED", "The validator has answered, perhaps not for the last time."),
        ("EXPIRED", "Never used: the registry knows no deadline. The standard's clients list it."),
    ],
};

/// A validation.
pub(super) static VALIDATION: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            "COALESCE((SELECT '0x' || encode(k.address, 'hex') || ':' FROM contract k WHERE k.chain_id = {t}.chain_id \
             AND k.contract_id = {t}.contract_id AND k.ordinal > 0), '') || '0x' || encode({t}.request_hash, 'hex')",
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
        Field::choice(
            "status",
            &VALIDATION_STATUS,
            "CASE WHEN {t}.response IS NULL THEN 'PENDING' ELSE 'COMPLETED' END",
            "How far it is.",
        ),
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
        relations: vec![Relation::new(
            "agent",
            Cardinality::One,
            || &super::agent::AGENT,
            agent_links(),
            "The agent it is about.",
        )],
        derivation: 0,
        table: Some("validation"),
        life: Life::Version,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.contract_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.request_hash", ty: SqlType::Bytes },
        ],
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
