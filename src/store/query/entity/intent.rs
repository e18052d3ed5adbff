//! Cross-chain intents: their life and how far they are.

use std::sync::LazyLock;

use super::wallet::wallet_links;
use super::{AT_BEGIN, Cardinality, Choice, Entity, Field, KeyPart, Life, Link, Relation, chain_fields, emitter};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

static INTENT_STATUS: Choice = Choice {
    name: "IntentStatus",
    doc: "How far an intent is, by what its events tell: an execution counts more than a dispute, a dispute more than the \
          clock.",
    values: &[
        ("CREATED", "It was stated."),
        ("SUBMITTED", "A relayer took it up; its timelock runs."),
        ("EXECUTED", "A relayer reported it executed."),
        ("DISPUTED", "It was stopped before its execution."),
        ("EXPIRED", "It was still open when a block with events of the watched contracts was beyond its expiry."),
    ],
};

/// Columns that join a row to the intent that it names, or to the rows that name it.
pub(super) fn intent_links() -> Vec<Link> {
    vec![
        Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
        Link { here: "{t}.intent_id", there: "{t}.intent_id", ty: SqlType::Bytes },
    ]
}

/// An intent.
pub(super) static INTENT: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = stated_fields();
    fields.extend(life_fields());
    fields.extend(chain_fields(
        "The place in the block of the last event that told of it; of one that expired the block's first.",
        AT_BEGIN,
    ));
    Entity {
        name: "Intent",
        doc: "A cross-chain intent of a wallet's agent, with its life. What no event told is null.",
        singular: "intent",
        plurals: &["intents"],
        fields,
        relations: vec![
            Relation::new(
                "wallet",
                Cardinality::Optional,
                || &super::wallet::WALLET_AGENT,
                wallet_links(),
                "The wallet's agent that stated it; null where that is not known.",
            ),
            Relation::new(
                "auditEntries",
                Cardinality::Many,
                || &super::audit::AUDIT_ENTRY,
                intent_links(),
                "All that the audit trail tells of it.",
            ),
            Relation::new(
                "findings",
                Cardinality::Many,
                || &super::finding::FINDING,
                intent_links(),
                "What the watchdog found wrong with it.",
            ),
        ],
        derivation: 1,
        table: Some("intent"),
        life: Life::Version,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.intent_id", ty: SqlType::Bytes },
        ],
        parse_id: id::intent,
        changed: AT_BEGIN,
        // Whoever states an intent anew changes all of it.
        changing: &[
            "contract",
            "walletAgent",
            "destChainId",
            "actionHash",
            "nonce",
            "expiry",
            "createdAt",
            "dayCount",
            "hourCount",
            "srcChainId",
            "value",
            "recipient",
            "action",
            "daySpend",
            "status",
            "submittedAt",
            "submittedBy",
            "executedAt",
            "executedBy",
            "executionCount",
            "secondsToExecution",
            "disputedAt",
            "disputedBy",
            "disputeReason",
            "expiredAt",
            "updatedAt",
            "blockNumber",
            "logIndex",
            "transactionHash",
        ],
    }
});

fn stated_fields() -> Vec<Field> {
    vec![
        Field::id("{t}.chain_id || ':0x' || encode({t}.intent_id, 'hex')", "`chainId:intentId`."),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::bytes("intentId", "{t}.intent_id", "Its bytes32 id at the executor."),
        Field::bytes("contract", emitter!(), "The executor that it was stated at."),
        Field::bytes("walletAgent", "{t}.wallet_agent", "The wallet's agent that stated it.").nullable(),
        Field::numeric("destChainId", "{t}.dest_chain_id", "The chain to act on.").nullable(),
        Field::bytes("actionHash", "{t}.action_hash", "The hash of value, recipient and action.").nullable(),
        Field::numeric("nonce", "{t}.nonce", "The agent's counter at the executor, from 0.").nullable(),
        Field::numeric("expiry", "{t}.expiry", "When it lapses, in seconds since 1970; that second is still good.")
            .nullable(),
        Field::integer("createdAt", "{t}.created_at", "When it was stated, in seconds since 1970.")
            .nullable()
            .sorted_by_block("{t}.created_block"),
        Field::integer("dayCount", "{t}.day_count", "The agent's intents on that day up to and with this one.")
            .nullable(),
        Field::integer("hourCount", "{t}.hour_count", "The agent's intents in that hour up to and with this one.")
            .nullable(),
        Field::numeric("srcChainId", "{t}.src_chain_id", "The chain that it was stated on.").nullable(),
        Field::numeric("value", "{t}.value", "The amount, in the chain's smallest unit.").nullable(),
        Field::bytes("recipient", "{t}.recipient", "Who is to get it.").nullable(),
        Field::text("action", "{t}.action", "What is to be done; free text.").nullable(),
        Field::numeric(
            "daySpend",
            "{t}.day_spend",
            "What the agent's intents of that day add up to, with this one, in the chain's smallest unit.",
        )
        .nullable(),
    ]
}

fn life_fields() -> Vec<Field> {
    vec![
        Field::choice("status", &INTENT_STATUS, "{t}.status", "How far it is."),
        Field::integer("submittedAt", "{t}.submitted_at", "When a relayer first took it up, in seconds since 1970.")
            .nullable(),
        Field::bytes("submittedBy", "{t}.submitted_by", "That relayer.").nullable(),
        Field::integer("executedAt", "{t}.executed_at", "When it was first executed, in seconds since 1970.")
            .nullable(),
        Field::bytes("executedBy", "{t}.executed_by", "Who executed it.").nullable(),
        Field::int(
            "executionCount",
            "{t}.execution_count",
            "How often it was reported executed; more than once is wrong.",
        ),
        Field::integer(
            "secondsToExecution",
            "({t}.executed_at - {t}.created_at)",
            "Seconds from its statement to its first execution.",
        )
        .nullable(),
        Field::integer("disputedAt", "{t}.disputed_at", "When it was first disputed, in seconds since 1970.")
            .nullable(),
        Field::bytes("disputedBy", "{t}.disputed_by", "Who disputed it.").nullable(),
        Field::text("disputeReason", "{t}.dispute_reason", "Why; free text.").nullable(),
        Field::integer(
            "expiredAt",
            "{t}.expired_at",
            "The time of the first block with events of the watched contracts that found it open beyond its expiry.",
        )
        .nullable(),
        Field::integer("updatedAt", "{t}.updated_at", "When it last changed, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ]
}
