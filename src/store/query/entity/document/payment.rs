//! Payments that were linked to agents, each and summed up.

use std::sync::LazyLock;

use super::{account, signed_fields};
use crate::store::query::entity::{
    AT_BEGIN, Cardinality, Choice, Entity, Field, KeyPart, Life, Relation, Template, agent, agent_id_text, agent_key,
    agent_links, cursor_field, finality_field,
};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

static STATUS: Choice = Choice {
    name: "PaymentStatus",
    doc: "What became of a payment.",
    values: &[
        ("CONFIRMED", "It was made."),
        ("FAILED", "The transaction that should have made it was undone."),
        (
            "DROPPED",
            "The chain has it no more: not the transaction, or not in the block where it was, or the agent had another \
             wallet then. It does not count, unless the chain shows it again.",
        ),
    ],
};

static MEANS: Choice = Choice {
    name: "PaymentMeans",
    doc: "How something was paid.",
    values: &[
        ("COIN", "By a transaction's own value, in the chain's own coin."),
        ("TRANSFER", "By a transfer of a token (ERC-20)."),
        (
            "AUTHORIZATION",
            "By a transfer of a token that the payer authorised and another one sent (EIP-3009, as x402 does it).",
        ),
    ],
};

/// The condition that payment `p` is of the chain as it is held: its transaction was not missing when it was looked at, its
/// block is held, and the agent's wallet was paid.
macro_rules! is_paid {
    () => {
        "p.status <> 'DROPPED' \
         AND p.begin_block <= (SELECT c.tip_number FROM cursor c WHERE c.chain_id = p.chain_id) \
         AND NOT EXISTS (SELECT FROM block b WHERE b.chain_id = p.chain_id AND b.number = p.begin_block \
             AND b.hash <> p.block_hash) \
         AND EXISTS (SELECT FROM agent a WHERE a.chain_id = p.chain_id AND a.deployment = p.deployment \
             AND a.agent_id = p.agent_id AND a.begin_block <= p.begin_block \
             AND (a.end_block IS NULL OR a.end_block > p.begin_block) AND a.agent_wallet = p.recipient)"
    };
}

/// The payments `p` to the agent of `{t}` that count, as of the block that is read.
macro_rules! paid {
    () => {
        concat!(
            "FROM payment_link p WHERE p.chain_id = {t}.chain_id AND p.deployment = {t}.deployment \
             AND p.agent_id = {t}.agent_id AND {begun p} AND ",
            $crate::store::query::entity::document::payment::is_paid!()
        )
    };
}
pub(in crate::store::query::entity) use {is_paid, paid};

const TABLE: &str = concat!(
    "(SELECT p.*, d.signature, d.nonce, d.checked_block, CASE WHEN ",
    is_paid!(),
    " THEN p.status ELSE 'DROPPED' END AS state \
     FROM payment_link p JOIN document d ON d.chain_id = p.chain_id AND d.digest = p.digest)"
);

const TOTALS: &str = concat!(
    "(SELECT p.chain_id, p.deployment, p.agent_id, p.token, count(*) FILTER (WHERE p.status = 'CONFIRMED') AS payments, \
         count(*) FILTER (WHERE p.status = 'FAILED') AS failed, count(*) AS tried, \
         coalesce(sum(p.amount) FILTER (WHERE p.status = 'CONFIRMED'), 0) AS total, \
         max(p.paid_at) FILTER (WHERE p.status = 'CONFIRMED') AS last_at, max(p.begin_block) AS begin_block, \
         count(DISTINCT p.payer) FILTER (WHERE p.status = 'CONFIRMED') AS payers, \
         array_agg(DISTINCT p.endpoint) FILTER (WHERE p.endpoint <> '') AS endpoints \
     FROM payment_link p WHERE {begun p} AND ",
    is_paid!(),
    " GROUP BY p.chain_id, p.deployment, p.agent_id, p.token)"
);

/// A payment.
pub(in crate::store::query::entity) static PAYMENT_LINK: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = payment_fields();
    fields.extend(signed_fields(account!("{t}.signer")));
    fields.extend([finality_field(AT_BEGIN), cursor_field()]);
    Entity {
        name: "PaymentLink",
        doc: "A payment to an agent, as whoever paid, the agent's owner or its wallet linked it, and as the chain has it.",
        singular: "paymentLink",
        plurals: &["paymentLinks"],
        fields,
        relations: vec![agent_relation()],
        derivation: 0,
        table: Some(TABLE),
        life: Life::Fact,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.digest", ty: SqlType::Bytes },
        ],
        parse_id: id::document,
        changed: AT_BEGIN,
        changing: &["status", "blockNumber", "blockHash", "logIndex", "paidAt"],
    }
});

fn agent_relation() -> Relation {
    Relation::new(
        "agent",
        Cardinality::Optional,
        || &agent::AGENT,
        agent_links(),
        "The agent that was paid; null where the chain has dropped it since.",
    )
}

fn payment_fields() -> Vec<Field> {
    vec![
        Field::id("{t}.chain_id || ':0x' || encode({t}.digest, 'hex')", "`chainId:digest` of the link's document."),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::bytes("digest", "{t}.digest", "The digest of the document that it came by."),
        Field::numeric("agentId", "{t}.agent_id", "The token id of the agent that was paid."),
        Field::bytes("transactionHash", "{t}.tx_hash", "The transaction that paid."),
        Field::bytes("token", "{t}.token", "The token that was paid with (ERC-20); zeros for the chain's own coin."),
        Field::numeric("amount", "{t}.amount", "How much was paid, in the token's smallest unit."),
        Field::bytes("payer", "{t}.payer", "Who paid; of a failed payment, who sent the transaction."),
        Field::bytes("recipient", "{t}.recipient", "Who was paid: the agent's wallet at that block."),
        Field::choice("means", &MEANS, "{t}.means", "How it was paid."),
        Field::bytes(
            "authorizationNonce",
            "{t}.authorization_nonce",
            "The nonce of the payer's authorisation (EIP-3009); null where the payer sent it.",
        )
        .nullable(),
        Field::text("endpoint", "{t}.endpoint", "The endpoint that was paid for; may be empty."),
        Field::choice("status", &STATUS, "{t}.state", "What became of it, as the chain is held now."),
        Field::integer("blockNumber", "{t}.begin_block", "The block of the payment."),
        Field::bytes("blockHash", "{t}.block_hash", "That block's hash."),
        Field::int(
            "logIndex",
            "{t}.log_index",
            "The place in the block of the log that tells it; null where none does.",
        )
        .nullable(),
        Field::integer("paidAt", "{t}.paid_at", "When that block was made, in seconds since 1970."),
        Field::integer(
            "receivedAt",
            "{t}.received_at",
            "When it was handed in, in seconds since 1970 by this node's clock.",
        ),
    ]
}

/// What an agent was paid with a token.
pub(in crate::store::query::entity) static PAYMENT_TOTAL: LazyLock<Entity> = LazyLock::new(|| {
    let mut key = agent_key();
    key.push(KeyPart { sql: "{t}.token", ty: SqlType::Bytes });
    let mean = "CASE WHEN {t}.payments > 0 THEN div({t}.total * 1e18, {t}.payments) * 1e-18 END";
    let success = "div({t}.payments * 1e20, {t}.tried) * 1e-18";
    Entity {
        name: "PaymentTotal",
        doc: "What the payments to an agent with one token sum up to. Only those count that were linked.",
        singular: "paymentTotal",
        plurals: &["paymentTotals"],
        fields: vec![
            Field::id(
                concat!(agent_id_text!(), " || ':0x' || encode({t}.token, 'hex')"),
                "`agentId:token`; the token is zeros for the chain's own coin.",
            ),
            Field::numeric("agentId", "{t}.agent_id", "The token id of the agent."),
            Field::bytes("token", "{t}.token", "The token (ERC-20); zeros for the chain's own coin."),
            Field::integer("count", "{t}.payments", "Payments that were made."),
            Field::integer("failed", "{t}.failed", "Payments that failed."),
            Field::decimal("success", success, "How many of both were made, in percent."),
            Field::numeric("total", "{t}.total", "How much was paid, in the token's smallest unit."),
            Field::decimal("mean", mean, "How much a payment was on average; null where all failed.").nullable(),
            Field::integer("payers", "{t}.payers", "Accounts that paid."),
            Field::integer("lastAt", "{t}.last_at", "When the last payment was made, in seconds since 1970.")
                .nullable(),
            Field::texts("endpoints", "{t}.endpoints", "The endpoints that were paid for.").nullable(),
            finality_field(AT_BEGIN),
            cursor_field(),
        ],
        relations: vec![agent_relation()],
        derivation: 0,
        table: Some(TOTALS),
        life: Life::Always,
        only: None,
        key,
        parse_id: id::payment_total,
        changed: Template::plain("{t}.begin_block"),
        changing: &["count", "failed", "success", "total", "mean", "payers", "lastAt"],
    }
});
