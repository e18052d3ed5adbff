//! Deployments of the registries.

use std::sync::LazyLock;

use super::{Entity, Field, KeyPart, Life, Template};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

/// SQL of the address of the deployment's first contract of a role; the zero address where it has none.
macro_rules! registry {
    ($role:literal) => {
        concat!(
            "COALESCE((SELECT k.address FROM contract k WHERE k.chain_id = {t}.chain_id AND k.deployment = \
             {t}.deployment AND k.role = '",
            $role,
            "' ORDER BY k.ordinal LIMIT 1), '\\x0000000000000000000000000000000000000000'::bytea)"
        )
    };
}

/// A set of registries on a network.
pub(super) static PROTOCOL: LazyLock<Entity> = LazyLock::new(|| Entity {
    name: "Protocol",
    doc: "A deployment of the registries: an identity registry with those that belong to it.",
    singular: "protocol",
    plurals: &["protocols"],
    fields: vec![
        Field::id(
            "{t}.chain_id || CASE {t}.deployment WHEN 0 THEN '' ELSE ':0x' || encode({t}.address, 'hex') END",
            "`chainId`; `chainId:registry` for further deployments of a network.",
        ),
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::text(
            "name",
            "(SELECT n.name FROM network n WHERE n.chain_id = {t}.chain_id)",
            "The network's name in this node's configuration.",
        ),
        Field::bytes("identityRegistry", "{t}.address", "The identity registry's address."),
        Field::bytes(
            "reputationRegistry",
            registry!("reputation"),
            "The reputation registry's address; zero when there is none.",
        ),
        Field::bytes(
            "validationRegistry",
            registry!("validation"),
            "The first validation registry's address; zero when there is none.",
        ),
        Field::integer(
            "createdAt",
            "COALESCE((SELECT b.block_at FROM block b WHERE b.chain_id = {t}.chain_id AND b.log_count > 0 \
             ORDER BY b.number LIMIT 1), 0)",
            "The time of the network's first block with an event, in seconds since 1970; 0 before it.",
        ),
        Field::integer(
            "updatedAt",
            "COALESCE((SELECT b.block_at FROM block b WHERE b.chain_id = {t}.chain_id AND b.log_count > 0 \
             ORDER BY b.number DESC LIMIT 1), 0)",
            "The time of the network's newest block with an event, in seconds since 1970; 0 before the first.",
        )
        .pinned(
            "COALESCE((SELECT b.block_at FROM block b WHERE b.chain_id = {t}.chain_id AND b.log_count > 0 \
             AND {reached b.number} ORDER BY b.number DESC LIMIT 1), 0)",
        ),
    ],
    relations: Vec::new(),
    derivation: 0,
    table: Some("(SELECT * FROM contract WHERE role = 'identity')"),
    life: Life::Always,
    only: None,
    key: vec![
        KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
        KeyPart { sql: "{t}.deployment", ty: SqlType::Integer },
    ],
    parse_id: id::protocol,
    changed: Template::plain("0"),
    changing: &["createdAt", "updatedAt"],
});
