//! Disputes between endpoints.

use std::sync::LazyLock;

use super::{Choice, Entity, Field, KeyPart, Life, Template};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

static SETTLEMENT: Choice = Choice {
    name: "DisputeSettlement",
    doc: "How a dispute between endpoints was settled.",
    values: &[
        ("RECEIPTS", "By receipts that hash to the block's receipts root: a proof."),
        ("BLOOM", "By the block's bloom, which does not hold what the others told."),
        ("MAJORITY", "By the word of most endpoints."),
        ("UNSETTLED", "Not at all: the blocks are not taken until it is."),
    ],
};

/// What endpoints of a network told differently.
pub(super) static DISPUTE: LazyLock<Entity> = LazyLock::new(|| Entity {
    name: "Dispute",
    doc: "A dispute between endpoints: they told different logs of the same blocks. It survives reorganisations.",
    singular: "dispute",
    plurals: &["disputes"],
    fields: vec![
        Field::id("{t}.chain_id || ':' || {t}.dispute_id", "`chainId:number`: ids sort in the order of their making."),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::integer("fromBlock", "{t}.from_block", "The first block that was told differently."),
        Field::integer("toBlock", "{t}.to_block", "The last block that was told differently."),
        Field::texts("endpoints", "{t}.endpoints", "The endpoints that were asked, without credentials."),
        Field::texts(
            "logCounts",
            "{t}.log_counts::text[]",
            "How many logs of these blocks each endpoint told, in the order of `endpoints`.",
        ),
        Field::texts(
            "wrongEndpoints",
            "{t}.wrong",
            "The endpoints whose word was not taken; none while nothing is settled.",
        ),
        Field::text("difference", "{t}.difference", "The first difference, in words."),
        Field::choice("settlement", &SETTLEMENT, "{t}.settlement", "How it was settled."),
        Field::integer("times", "{t}.times", "How often the same was seen."),
        Field::integer(
            "createdAt",
            "extract(epoch FROM {t}.first_at)::bigint",
            "When it was first seen, in seconds since 1970 by this node's clock.",
        ),
        Field::integer(
            "updatedAt",
            "extract(epoch FROM {t}.last_at)::bigint",
            "When it was last seen, in seconds since 1970 by this node's clock.",
        ),
    ],
    relations: Vec::new(),
    derivation: 0,
    table: Some("dispute"),
    life: Life::Always,
    only: None,
    key: vec![
        KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
        KeyPart { sql: "{t}.dispute_id", ty: SqlType::Integer },
    ],
    parse_id: id::dispute,
    changed: Template::plain("0"),
    changing: &["times", "updatedAt"],
});
