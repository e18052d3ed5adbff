//! What the watchdog found.

use std::sync::LazyLock;

use super::intent::intent_links;
use super::wallet::wallet_links;
use super::{AT_BEGIN, Cardinality, Choice, Entity, Field, KeyPart, Life, Link, Relation, chain_fields, emitter};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

static FINDING_RULE: Choice = Choice {
    name: "FindingRule",
    doc: "A rule of the watchdog. Executions are held against the policy that is in force when they happen.",
    values: &[
        ("EXECUTED_BEFORE_TIMELOCK", "Executed less than 60 seconds after its submission."),
        ("EXECUTED_WITHOUT_SUBMISSION", "Executed though no relayer had submitted it."),
        ("EXECUTED_TWICE", "Executed again."),
        ("EXECUTED_AFTER_EXPIRY", "Executed after its expiry."),
        ("EXECUTED_AFTER_DISPUTE", "Executed though it had been disputed."),
        ("NONCE_GAP", "Stated with a nonce that leaves some out."),
        ("NONCE_REPEATED", "Stated with a nonce that was used before."),
        ("RELAYER_UNAUTHORISED", "Submitted, executed or received by who was not authorised at that executor."),
        ("AGENT_INACTIVE", "Stated or executed for an agent that was switched off."),
        ("AGENT_PAUSED", "Stated or executed for an agent that was paused."),
        ("SYSTEM_PAUSED", "Stated or executed while the breaker was tripped, or the engine or the executor paused."),
        ("DAILY_SPEND", "With it the agent's intents of the day add up to more than its policy allows."),
        ("DAILY_COUNT", "More intents in a day than the policy allows."),
        ("HOURLY_COUNT", "More intents in an hour than the policy allows."),
        ("VALUE_PER_TX", "More at once than the policy allows."),
        ("CHAIN_NOT_ALLOWED", "To a chain that the policy does not allow."),
        ("RECIPIENT_NOT_ALLOWED", "To somebody who is not on the policy's whitelist."),
        ("OPEN_BEYOND_EXPIRY", "Neither executed nor disputed when its time was over."),
        ("DUPLICATE_COMMITMENT", "A commitment to a hash that was committed to before, by whomever."),
    ],
};

/// A finding.
pub(super) static FINDING: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            "{t}.chain_id || ':' || {t}.begin_block || ':' || {t}.log_index || ':' || {t}.rule || ':0x' || \
             encode({t}.subject, 'hex')",
            "`chainId:blockNumber:logIndex:rule:subject`: ids sort in the order of the chain.",
        ),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::choice("rule", &FINDING_RULE, "{t}.rule", "The rule that was broken."),
        Field::bytes("subject", "{t}.subject", "What broke it: the intent's id, or the commitment's hash."),
        Field::bytes("walletAgent", "{t}.wallet_agent", "The wallet's agent that it is about.").nullable().leads_key(),
        Field::bytes("intentId", "{t}.intent_id", "The intent that it is about.").nullable().leads_key(),
        Field::bytes("contract", emitter!(), "The contract that emitted the event."),
        Field::integer(
            "relatedBlock",
            "{t}.related_block",
            "With `relatedLogIndex` the other event that makes it wrong, such as the submission, the policy, the first \
             execution.",
        )
        .nullable(),
        Field::int("relatedLogIndex", "{t}.related_log_index", "The place of that event in its block.").nullable(),
        Field::text("details", "{t}.details::text", "The figures that were compared, as a JSON object of texts."),
        Field::integer("createdAt", "{t}.created_at", "The time of the event, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ];
    fields.extend(chain_fields(
        "The place in the block of the event that was judged; of OPEN_BEYOND_EXPIRY the first log of the block whose time \
         was beyond the expiry.",
        AT_BEGIN,
    ));
    Entity {
        name: "Finding",
        doc: "What the watchdog found wrong when it held an event against the state before it. Findings are derived from \
              the chain alone.",
        singular: "finding",
        plurals: &["findings"],
        fields,
        relations: relations(),
        derivation: 1,
        table: Some("finding"),
        life: Life::Fact,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.begin_block", ty: SqlType::Integer },
            KeyPart { sql: "{t}.log_index", ty: SqlType::Integer },
            KeyPart { sql: "{t}.rule", ty: SqlType::Text },
            KeyPart { sql: "{t}.subject", ty: SqlType::Bytes },
        ],
        parse_id: id::finding,
        changed: AT_BEGIN,
        changing: &[],
    }
});

/// Columns that join a finding to an entry of the audit trail.
fn entry(block: &'static str, log_index: &'static str) -> Vec<Link> {
    vec![
        Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
        Link { here: block, there: "{t}.begin_block", ty: SqlType::Integer },
        Link { here: log_index, there: "{t}.log_index", ty: SqlType::Integer },
    ]
}

/// Columns that join an entry of the audit trail to what was found wrong with it: the same ones.
pub(super) fn entry_links() -> Vec<Link> {
    entry("{t}.begin_block", "{t}.log_index")
}

fn relations() -> Vec<Relation> {
    vec![
        Relation::new(
            "auditEntry",
            Cardinality::Optional,
            || &super::audit::AUDIT_ENTRY,
            entry_links(),
            "The event that was judged; null where the block's first log, under which a lapse is told, is none of the \
             trail.",
        ),
        Relation::new(
            "relatedEntry",
            Cardinality::Optional,
            || &super::audit::AUDIT_ENTRY,
            entry("{t}.related_block", "{t}.related_log_index"),
            "The other event that makes it wrong.",
        ),
        Relation::new(
            "wallet",
            Cardinality::Optional,
            || &super::wallet::WALLET_AGENT,
            wallet_links(),
            "The wallet's agent that it is about.",
        ),
        Relation::new(
            "intent",
            Cardinality::Optional,
            || &super::intent::INTENT,
            intent_links(),
            "The intent that it is about.",
        ),
    ]
}
