//! Validations that were asked for and answered by documents.

use std::sync::LazyLock;

use super::{account, signed_fields, speaks};
use crate::store::query::entity::{
    Cardinality, Choice, Entity, Field, KeyPart, Life, Link, Relation, Template, agent, agent_links, cursor_field,
    validation,
};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

static STATUS: Choice = Choice {
    name: "OffchainValidationStatus",
    doc: "How far a validation is that was asked for by a document.",
    values: &[
        ("PENDING", "The validator has not answered, and still can."),
        ("COMPLETED", "The validator has answered, perhaps not for the last time."),
        ("EXPIRED", "The validator has not answered in time."),
    ],
};

/// Requests with their documents and their last answers.
const TABLE: &str = "(SELECT v.*, d.signature, d.nonce, d.checked_block, r.response, r.response_uri, r.response_hash, r.tag, \
         r.received_at AS responded_at \
     FROM offchain_validation v JOIN document d ON d.chain_id = v.chain_id AND d.digest = v.digest \
     LEFT JOIN offchain_validation_response r ON r.chain_id = v.chain_id AND r.request = v.digest AND r.ordinal = v.answers)";

/// Answers with their documents and the requests.
const RESPONSE_TABLE: &str = "(SELECT r.*, v.validator, d.signature, d.nonce, d.checked_block \
     FROM offchain_validation_response r JOIN offchain_validation v ON v.chain_id = r.chain_id AND v.digest = r.request \
     JOIN document d ON d.chain_id = r.chain_id AND d.digest = r.digest)";

/// A request, with the last answer to it.
pub(in crate::store::query::entity) static OFFCHAIN_VALIDATION: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = request_fields();
    fields.extend(answer_fields().into_iter().map(Field::nullable));
    fields.push(
        Field::integer(
            "respondedAt",
            "{t}.responded_at",
            "When the last answer was handed in; null while there is none.",
        )
        .nullable(),
    );
    fields.extend(signed_fields(account!("{t}.requester")));
    fields.push(cursor_field());
    Entity {
        name: "OffchainValidation",
        doc: "A request to a validator that was handed in, with the validator's last answer.",
        singular: "offchainValidation",
        plurals: &["offchainValidations"],
        fields,
        relations: relations(),
        derivation: 0,
        table: Some(TABLE),
        life: Life::Always,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.digest", ty: SqlType::Bytes },
        ],
        parse_id: id::document,
        changed: Template::plain("0"),
        changing: &[
            "status",
            "answers",
            "response",
            "responseURI",
            "responseHash",
            "tag",
            "respondedAt",
            "isAuthorized",
            "anchored",
        ],
    }
});

fn relations() -> Vec<Relation> {
    vec![
        Relation::new(
            "agent",
            Cardinality::Optional,
            || &agent::AGENT,
            agent_links(),
            "The agent that asked; null where the chain has dropped it since.",
        ),
        Relation::new(
            "responses",
            Cardinality::Many,
            || &OFFCHAIN_VALIDATION_RESPONSE,
            vec![
                Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
                Link { here: "{t}.digest", there: "{t}.request", ty: SqlType::Bytes },
            ],
            "All answers.",
        ),
        Relation::new(
            "anchor",
            Cardinality::Optional,
            || &validation::VALIDATION,
            [
                agent_links(),
                vec![
                    Link { here: "{t}.data_hash", there: "{t}.request_hash", ty: SqlType::Bytes },
                    Link { here: "{t}.validator", there: "{t}.validator", ty: SqlType::Bytes },
                ],
            ]
            .concat(),
            "The request on the chain with the same hash, of the same agent to the same validator; null while there is none.",
        ),
    ]
}

fn request_fields() -> Vec<Field> {
    vec![
        Field::id("{t}.chain_id || ':0x' || encode({t}.digest, 'hex')", "`chainId:digest` of the request's document."),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::bytes("digest", "{t}.digest", "The digest of the document that it came by."),
        Field::numeric("agentId", "{t}.agent_id", "The token id of the agent that asked."),
        Field::bytes("validator", "{t}.validator", "Who is asked."),
        Field::bytes("dataHash", "{t}.data_hash", "The hash of what is to be validated."),
        Field::text("dataURI", "{t}.data_uri", "Where that is."),
        Field::integer("expiresAt", "{t}.expires_at", "Until when it can be answered, in seconds since 1970."),
        Field::integer(
            "receivedAt",
            "{t}.received_at",
            "When it was handed in, in seconds since 1970 by this node's clock.",
        ),
        Field::choice(
            "status",
            &STATUS,
            "CASE WHEN {t}.answers > 0 THEN 'COMPLETED' WHEN {t}.expires_at < extract(epoch FROM now()) THEN 'EXPIRED' \
             ELSE 'PENDING' END",
            "How far it is, by the database's clock.",
        ),
        Field::int("answers", "{t}.answers", "How many answers there are."),
        Field::boolean(
            "isAuthorized",
            speaks!("{t}.requester"),
            "Whether whoever asked owns the agent or is its wallet, as of the block that is read.",
        ),
        Field::boolean(
            "anchored",
            "EXISTS (SELECT FROM validation x WHERE x.chain_id = {t}.chain_id AND x.deployment = {t}.deployment \
             AND x.agent_id = {t}.agent_id AND x.request_hash = {t}.data_hash AND x.validator = {t}.validator AND {live x})",
            "Whether the chain has a request with the same hash, of the same agent to the same validator.",
        ),
    ]
}

fn answer_fields() -> Vec<Field> {
    vec![
        Field::int("response", "{t}.response", "The answer, from 0 (failed) to 100 (passed)."),
        Field::text("responseURI", "{t}.response_uri", "Where more about it is; may be empty."),
        Field::bytes("responseHash", "{t}.response_hash", "The hash of what is there; zeros where none is told."),
        Field::text("tag", "{t}.tag", "What kind of validation it was; may be empty."),
    ]
}

/// An answer to a request.
pub(in crate::store::query::entity) static OFFCHAIN_VALIDATION_RESPONSE: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            "{t}.chain_id || ':0x' || encode({t}.request, 'hex') || ':' || {t}.ordinal",
            "`chainId:digest:ordinal`, by the digest of the request's document.",
        ),
        Field::int("ordinal", "{t}.ordinal", "Which answer to the request it is, from 1."),
        Field::bytes("digest", "{t}.digest", "The digest of the document that it came by."),
    ];
    fields.extend(answer_fields());
    fields.push(Field::integer(
        "receivedAt",
        "{t}.received_at",
        "When it was handed in, in seconds since 1970 by this node's clock.",
    ));
    fields.extend(signed_fields(account!("{t}.validator")));
    fields.push(cursor_field());
    Entity {
        name: "OffchainValidationResponse",
        doc: "An answer of a validator to a request that was handed in.",
        singular: "offchainValidationResponse",
        plurals: &["offchainValidationResponses"],
        fields,
        relations: vec![Relation::new(
            "validation",
            Cardinality::One,
            || &OFFCHAIN_VALIDATION,
            vec![
                Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
                Link { here: "{t}.request", there: "{t}.digest", ty: SqlType::Bytes },
            ],
            "The request that it answers.",
        )],
        derivation: 0,
        table: Some(RESPONSE_TABLE),
        life: Life::Always,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.request", ty: SqlType::Bytes },
            KeyPart { sql: "{t}.ordinal", ty: SqlType::Integer },
        ],
        parse_id: id::document_version,
        changed: Template::plain("0"),
        changing: &[],
    }
});
