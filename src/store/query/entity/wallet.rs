//! Wallets' agents and the policies that bind them.

use std::sync::LazyLock;

use super::{AT_BEGIN, Cardinality, Entity, Field, KeyPart, Life, Link, Relation, Template, chain_fields, emitter};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

/// Columns that join a row to the wallet's agent that it names, or to the rows that name it.
pub(super) fn wallet_links() -> Vec<Link> {
    vec![
        Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
        Link { here: "{t}.wallet_agent", there: "{t}.wallet_agent", ty: SqlType::Bytes },
    ]
}

/// The agents of the wallet behind a wallet's agent, or the other way round, by their columns of wallets.
pub(super) fn shared_wallet(here: &'static str, there: &'static str) -> Vec<Link> {
    vec![
        Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
        Link { here, there, ty: SqlType::Bytes },
    ]
}

/// A wallet's agent.
pub(super) static WALLET_AGENT: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = own_fields();
    fields.extend(chain_fields("The place in the block of the last event that changed it.", AT_BEGIN));
    Entity {
        name: "WalletAgent",
        doc: "An agent of a wallet: what the audit trail speaks of, joined to agents of the identity registry by wallet.",
        singular: "walletAgent",
        plurals: &["walletAgents"],
        fields,
        relations: relations(),
        derivation: 1,
        table: Some("wallet_agent"),
        life: Life::Version,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.wallet_agent", ty: SqlType::Bytes },
        ],
        parse_id: id::wallet_agent,
        changed: AT_BEGIN,
        changing: &[
            "owner",
            "wallet",
            "metadataCid",
            "registered",
            "contract",
            "active",
            "paused",
            "updatedAt",
            "blockNumber",
            "logIndex",
            "transactionHash",
        ],
    }
});

fn own_fields() -> Vec<Field> {
    vec![
        Field::id("{t}.chain_id || ':0x' || encode({t}.wallet_agent, 'hex')", "`chainId:walletAgent`."),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::bytes("walletAgent", "{t}.wallet_agent", "Its bytes32 id in the registry of wallets' agents."),
        Field::bytes("owner", "{t}.owner", "Who owns it; null while no registration was seen.").nullable(),
        Field::bytes("wallet", "{t}.wallet", "The wallet that acts for it; null while no registration was seen.")
            .nullable(),
        Field::text("metadataCid", "{t}.metadata_cid", "Where its metadata is; null while no registration was seen.")
            .nullable(),
        Field::boolean("registered", "({t}.contract_id IS NOT NULL)", "Whether its registration was seen."),
        Field::bytes("contract", emitter!(), "The registry that it is registered in.").nullable(),
        Field::boolean("active", "{t}.is_active", "Whether the registry has it switched on."),
        Field::boolean("paused", "{t}.is_paused", "Whether a policy engine has it paused."),
        Field::integer("createdAt", "{t}.created_at", "When an event first changed it, in seconds since 1970.")
            .sorted_by_block("{t}.created_block"),
        Field::integer("updatedAt", "{t}.updated_at", "When an event last changed it, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ]
}

fn relations() -> Vec<Relation> {
    vec![
        Relation::new(
            "agents",
            Cardinality::Many,
            || &super::agent::AGENT,
            shared_wallet("{t}.wallet", "{t}.agent_wallet"),
            "The agents of the identity registries that name its wallet as theirs, as of the same block.",
        ),
        Relation::new("policies", Cardinality::Many, || &POLICY, wallet_links(), "Its policies, past ones too."),
        Relation::new(
            "intents",
            Cardinality::Many,
            || &super::intent::INTENT,
            wallet_links(),
            "The cross-chain intents that it stated.",
        ),
        Relation::new(
            "auditEntries",
            Cardinality::Many,
            || &super::audit::AUDIT_ENTRY,
            wallet_links(),
            "All that the audit trail tells of it.",
        ),
        Relation::new(
            "findings",
            Cardinality::Many,
            || &super::finding::FINDING,
            wallet_links(),
            "What the watchdog found wrong with what it did.",
        ),
    ]
}

/// The block in which it was replaced, or set while it is in force.
const SET_OR_REPLACED: Template =
    Template::plain("CASE WHEN {reached {t}.end_block} THEN {t}.end_block ELSE {t}.begin_block END");

/// A policy, in force or past.
pub(super) static POLICY: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            "{t}.chain_id || ':0x' || encode({t}.wallet_agent, 'hex') || ':' || {t}.begin_block",
            "`chainId:walletAgent:blockNumber`: policies of one agent sort by age.",
        ),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::bytes("walletAgent", "{t}.wallet_agent", "The wallet's agent that it binds."),
        Field::numeric(
            "maxSpendPerDay",
            "{t}.max_spend_per_day",
            "Most that it may spend in a day, in the chain's smallest unit.",
        ),
        Field::numeric("maxTxPerDay", "{t}.max_tx_per_day", "Most transactions in a day."),
        Field::numeric("maxTxPerHour", "{t}.max_tx_per_hour", "Most transactions in an hour."),
        Field::numeric(
            "maxValuePerTx",
            "{t}.max_value_per_tx",
            "Most that it may spend in one transaction, in the chain's smallest unit.",
        ),
        Field::texts(
            "allowedChains",
            "{t}.allowed_chains::text[]",
            "The chains that it may act on, by their ids in decimal digits; empty: all.",
        ),
        Field::bytes_list("whitelist", "{t}.whitelist", "The addresses that it may deal with; empty: all."),
        Field::int("riskLevel", "{t}.risk_level", "How risky it is held to be, 0 to 255."),
        Field::boolean("inForce", "{live {t}}", "Whether it is the agent's policy as of the block that is read."),
        Field::integer(
            "replacedBlock",
            "CASE WHEN {reached {t}.end_block} THEN {t}.end_block END",
            "The block in which another one replaced it; null while it is in force.",
        )
        .nullable(),
        Field::integer("createdAt", "{t}.updated_at", "When it was set, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ];
    fields.extend(chain_fields("The place in the block of the event that set it.", SET_OR_REPLACED));
    Entity {
        name: "Policy",
        doc: "A policy of a wallet's agent, as a block left it: one in force, or one that was. Of several in one block the \
              last counts.",
        singular: "policy",
        plurals: &["policies"],
        fields,
        relations: vec![Relation::new(
            "wallet",
            Cardinality::Optional,
            || &WALLET_AGENT,
            wallet_links(),
            "The wallet's agent that it binds; null while none of that id is known.",
        )],
        derivation: 1,
        table: Some("policy"),
        life: Life::Fact,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.wallet_agent", ty: SqlType::Bytes },
            KeyPart { sql: "{t}.begin_block", ty: SqlType::Integer },
        ],
        parse_id: id::policy,
        changed: SET_OR_REPLACED,
        changing: &["inForce", "replacedBlock"],
    }
});
