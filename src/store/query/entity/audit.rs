//! The audit trail over all contracts.

use std::sync::LazyLock;

use super::finding::entry_links;
use super::intent::intent_links;
use super::wallet::wallet_links;
use super::{AT_BEGIN, Cardinality, Choice, Entity, Field, KeyPart, Life, Relation, chain_fields, emitter};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

static AUDIT_KIND: Choice = Choice {
    name: "AuditKind",
    doc: "What kind of thing an entry of the audit trail tells.",
    values: &[
        ("COMMITMENT", "A commitment to an off-chain record was logged."),
        ("INTENT_CREATED", "An agent stated a cross-chain intent, or its details."),
        ("INTENT_SUBMITTED", "A relayer took an intent up."),
        ("INTENT_EXECUTED", "An intent was reported executed."),
        ("INTENT_DISPUTED", "An intent was disputed."),
        ("CIRCUIT_BREAKER_TRIGGERED", "A circuit breaker was tripped, triggered or reset."),
        ("AGENT_STATUS_CHANGED", "A wallet's agent was registered, changed, paused, or switched on or off."),
        ("POLICY_UPDATED", "An agent's policy was replaced."),
        ("POLICY_CHECKED", "A transaction was checked against a policy."),
        ("RELAYER_CHANGED", "An address may relay from now on, or no longer."),
        ("BRIDGE_MESSAGE", "A bridge message was sent or received."),
        ("GOVERNANCE", "A contract was upgraded, paused, or has other owners or roles."),
    ],
};

/// An entry of the audit trail.
pub(super) static AUDIT_ENTRY: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            "{t}.chain_id || ':' || {t}.begin_block || ':' || {t}.log_index",
            "`chainId:blockNumber:logIndex`: ids sort in the order of the chain.",
        ),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::choice("kind", &AUDIT_KIND, "{t}.kind", "What kind of thing it tells."),
        Field::text("event", "{t}.event", "The contract's own name of the event."),
        Field::bytes("contract", emitter!(), "The contract that emitted it."),
        Field::bytes("walletAgent", "{t}.wallet_agent", "The bytes32 id of the wallet's agent that it names.")
            .nullable()
            .leads_key(),
        Field::bytes("intentId", "{t}.intent_id", "The intent that it names.").nullable().leads_key(),
        Field::bytes("commitmentHash", "{t}.commitment_hash", "The commitment that it names.").nullable().leads_key(),
        Field::bytes("actor", "{t}.actor", "The address that acted.").nullable(),
        Field::text(
            "fields",
            "{t}.fields::text",
            "All parameters of the event by name, as a JSON object: integers as decimal strings, bytes as 0x-hex.",
        ),
        Field::integer("createdAt", "{t}.created_at", "When it happened, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ];
    fields.extend(chain_fields("The place of the event in the block.", AT_BEGIN));
    Entity {
        name: "AuditEntry",
        doc: "An entry of the audit trail: commitments, intents, policies, circuit breakers, relayers, governance.",
        singular: "auditEntry",
        plurals: &["auditEntries"],
        fields,
        relations: vec![
            Relation::new(
                "wallet",
                Cardinality::Optional,
                || &super::wallet::WALLET_AGENT,
                wallet_links(),
                "The wallet's agent that it names; null where it names none, or none that is known.",
            ),
            Relation::new(
                "intent",
                Cardinality::Optional,
                || &super::intent::INTENT,
                intent_links(),
                "The intent that it names; null where it names none, or another chain's.",
            ),
            Relation::new(
                "findings",
                Cardinality::Many,
                || &super::finding::FINDING,
                entry_links(),
                "What the watchdog found wrong with it.",
            ),
        ],
        derivation: 0,
        table: Some("audit_event"),
        life: Life::Fact,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.begin_block", ty: SqlType::Integer },
            KeyPart { sql: "{t}.log_index", ty: SqlType::Integer },
        ],
        parse_id: id::audit_entry,
        changed: AT_BEGIN,
        changing: &[],
    }
});
