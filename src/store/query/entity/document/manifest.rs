//! Manifests and receipts that were handed in.

use std::sync::LazyLock;

use super::{account, signed_fields, speaks};
use crate::store::query::entity::{
    Cardinality, Choice, Entity, Field, KeyPart, Life, Link, Relation, Template, agent, agent_links, cursor_field,
};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

static STATUS: Choice = Choice {
    name: "ManifestStatus",
    doc: "Whether a manifest is in force.",
    values: &[
        ("PENDING", "Its time has not come."),
        ("ACTIVE", "It is in force."),
        ("SUPERSEDED", "A manifest of a higher nonce took its place."),
        ("EXPIRED", "Its time is over."),
        ("REVOKED", "The agent revoked it."),
    ],
};

const TABLE: &str = "(SELECT m.*, d.signature, d.checked_block \
     FROM endpoint_manifest m JOIN document d ON d.chain_id = m.chain_id AND d.digest = m.digest)";

const RECEIPTS: &str = "(SELECT r.*, d.signature, d.nonce, d.checked_block \
     FROM forward_receipt r JOIN document d ON d.chain_id = r.chain_id AND d.digest = r.digest)";

/// A manifest.
pub(in crate::store::query::entity) static ENDPOINT_MANIFEST: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id("{t}.chain_id || ':0x' || encode({t}.digest, 'hex')", "`chainId:hash` of the manifest."),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::bytes("hash", "{t}.digest", "SHA-256 of the manifest in its canonical form: its digest."),
        Field::numeric("agentId", "{t}.agent_id", "The agent's token id."),
        Field::text("endpointUri", "{t}.endpoint", "Where the agent is."),
        Field::text("pubkey", "{t}.pubkey", "The key that its answers are signed with."),
        Field::integer("validFrom", "{t}.valid_from", "From when on it holds, in seconds since 1970."),
        Field::integer("validUntil", "{t}.valid_until", "Until when it holds, that second included."),
        Field::choice(
            "status",
            &STATUS,
            "CASE WHEN {t}.revoked_at IS NOT NULL THEN 'REVOKED' WHEN NOT {t}.is_current THEN 'SUPERSEDED' \
             WHEN {t}.valid_until < extract(epoch FROM now()) THEN 'EXPIRED' \
             WHEN {t}.valid_from > extract(epoch FROM now()) THEN 'PENDING' ELSE 'ACTIVE' END",
            "Whether it is in force, by the database's clock.",
        ),
        Field::boolean("isCurrent", "{t}.is_current", "Whether no manifest of a higher nonce took its place."),
        Field::integer(
            "receivedAt",
            "{t}.received_at",
            "When it was handed in, in seconds since 1970 by this node's clock.",
        ),
        Field::integer("revokedAt", "{t}.revoked_at", "When it was revoked; null while it was not.").nullable(),
        Field::boolean(
            "isAuthorized",
            speaks!("{t}.signer"),
            "Whether whoever signed it owns the agent or is its wallet, as of the block that is read.",
        ),
    ];
    fields.extend(signed_fields(account!("{t}.signer")));
    fields.push(cursor_field());
    Entity {
        name: "EndpointManifest",
        doc: "Where an agent is for a while and by which key, as its owner or its wallet signed it.",
        singular: "endpointManifest",
        plurals: &["endpointManifests"],
        fields,
        relations: vec![Relation::new(
            "agent",
            Cardinality::Optional,
            || &agent::AGENT,
            agent_links(),
            "The agent; null where the chain has dropped it since.",
        )],
        derivation: 0,
        table: Some(TABLE),
        life: Life::Always,
        only: None,
        key: document_key(),
        parse_id: id::document,
        changed: Template::plain("0"),
        changing: &["status", "isCurrent", "revokedAt", "isAuthorized"],
    }
});

/// A receipt.
pub(in crate::store::query::entity) static FORWARD_RECEIPT: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id("{t}.chain_id || ':0x' || encode({t}.digest, 'hex')", "`chainId:hash` of the receipt."),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::bytes("hash", "{t}.digest", "SHA-256 of the receipt in its canonical form: its digest."),
        Field::bytes("rootTxHash", "{t}.root_tx_hash", "The transaction that the path begins with."),
        Field::int("hop", "{t}.hop", "Which step of the path it is, from 0 to 10."),
        Field::numeric("sourceAgentId", "{t}.source", "The token id of the agent that passed the request on."),
        Field::numeric("destinationAgentId", "{t}.destination", "The token id of the agent that took it over."),
        Field::bytes("manifestHash", "{t}.manifest", "The destination's manifest that was in force."),
        Field::bytes("nextHopHash", "{t}.next_hop_hash", "The hash of what is passed on next; zeros at the end."),
        Field::bytes("previousHash", "{t}.previous", "The receipt by which the source had the request; null at hop 0.")
            .nullable(),
        Field::integer(
            "receivedAt",
            "{t}.received_at",
            "When it was handed in, in seconds since 1970 by this node's clock.",
        ),
    ];
    fields.extend(signed_fields(account!("{t}.signer")));
    fields.push(cursor_field());
    Entity {
        name: "ForwardReceipt",
        doc: "That an agent took over a request that another one passed on. Those of one `rootTxHash`, by `hop`, are its path.",
        singular: "forwardReceipt",
        plurals: &["forwardReceipts"],
        fields,
        relations: vec![
            agent_at(
                "source",
                "{t}.source",
                "The agent that passed the request on; null where the chain has dropped it.",
            ),
            agent_at(
                "destination",
                "{t}.destination",
                "The agent that took it over; null where the chain has dropped it.",
            ),
            Relation::new(
                "manifest",
                Cardinality::One,
                || &ENDPOINT_MANIFEST,
                vec![
                    Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
                    Link { here: "{t}.manifest", there: "{t}.digest", ty: SqlType::Bytes },
                ],
                "The destination's manifest that was in force.",
            ),
            Relation::new(
                "previous",
                Cardinality::Optional,
                || &FORWARD_RECEIPT,
                vec![
                    Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
                    Link { here: "{t}.previous", there: "{t}.digest", ty: SqlType::Bytes },
                ],
                "The receipt by which the source had the request; null at hop 0.",
            ),
        ],
        derivation: 0,
        table: Some(RECEIPTS),
        life: Life::Always,
        only: None,
        key: document_key(),
        parse_id: id::document,
        changed: Template::plain("0"),
        changing: &[],
    }
});

fn agent_at(name: &'static str, column: &'static str, doc: &'static str) -> Relation {
    let links = vec![
        Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
        Link { here: "{t}.deployment", there: "{t}.deployment", ty: SqlType::Integer },
        Link { here: column, there: "{t}.agent_id", ty: SqlType::Numeric },
    ];
    Relation::new(name, Cardinality::Optional, || &agent::AGENT, links, doc)
}

fn document_key() -> Vec<KeyPart> {
    vec![KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer }, KeyPart { sql: "{t}.digest", ty: SqlType::Bytes }]
}

const REPORTS: &str = "(SELECT r.*, d.signature, d.nonce, d.checked_block, \
     (d.body::jsonb -> 'receipt')::text AS receipt, d.body::jsonb ->> 'receiptSignature' AS receipt_signature, \
     (SELECT array_agg(r.chain_id || ':' || coalesce('0x' || encode(k.address, 'hex') || ':', '') || a.agent_id \
          ORDER BY a.place) FROM unnest(r.agents) WITH ORDINALITY a (agent_id, place) \
          LEFT JOIN contract k ON r.deployment <> 0 AND k.chain_id = r.chain_id AND k.role = 'identity' \
              AND k.deployment = r.deployment) AS ids \
     FROM cycle_report r JOIN document d ON d.chain_id = r.chain_id AND d.digest = r.digest)";

/// A circle that was reported.
pub(in crate::store::query::entity) static CYCLE_REPORT: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id("{t}.chain_id || ':0x' || encode({t}.digest, 'hex')", "`chainId:hash` of the report."),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::bytes("hash", "{t}.digest", "SHA-256 of the report in its canonical form: its digest."),
        Field::bytes("rootTxHash", "{t}.root_tx_hash", "The transaction that the path begins with."),
        Field::int("depth", "cardinality({t}.agents)", "How many agents the circle has."),
        Field::texts(
            "agents",
            "{t}.ids",
            "The ids of the agents of the circle, in the order of the path, beginning with the one that it leads back to.",
        ),
        Field::int("hop", "{t}.hop", "The hop of the receipt that closes the circle."),
        Field::text("receipt", "{t}.receipt", "The receipt that closes the circle, as JSON."),
        Field::text("receiptSigner", account!("{t}.receipt_signer"), "Who signed that receipt (CAIP-10)."),
        Field::text("receiptSignature", "{t}.receipt_signature", "What they signed it with."),
        Field::integer(
            "receivedAt",
            "{t}.received_at",
            "When it was handed in, in seconds since 1970 by this node's clock.",
        ),
    ];
    fields.extend(signed_fields(account!("{t}.signer")));
    fields.push(cursor_field());
    Entity {
        name: "CycleReport",
        doc: "That a request went in a circle, shown by the receipt of the agent that had it before and took it again. The \
              agents that it names are UNTRUSTED.",
        singular: "cycleReport",
        plurals: &["cycleReports"],
        fields,
        relations: vec![],
        derivation: 0,
        table: Some(REPORTS),
        life: Life::Always,
        only: None,
        key: document_key(),
        parse_id: id::document,
        changed: Template::plain("0"),
        changing: &[],
    }
});
