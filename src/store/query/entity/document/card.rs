//! Agent cards that were handed in.

use std::sync::LazyLock;

use super::{account, signed_fields, speaks};
use crate::store::query::entity::{
    Cardinality, Entity, Field, KeyPart, Life, Relation, Template, agent, agent_id_text, agent_key, agent_links,
    cursor_field,
};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

/// Cards with the documents that they came by.
const TABLE: &str = "(SELECT c.*, d.signature, d.nonce, d.checked_block \
     FROM agent_card c JOIN document d ON d.chain_id = c.chain_id AND d.digest = c.digest)";

/// An agent's newest card.
pub(in crate::store::query::entity) static AGENT_CARD: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![Field::id(agent_id_text!(), "The agent's id.")];
    fields.extend(own_fields());
    fields.push(cursor_field());
    let mut relations = relations();
    relations.push(Relation::new(
        "versions",
        Cardinality::Many,
        || &AGENT_CARD_VERSION,
        agent_links(),
        "All versions, this one among them.",
    ));
    Entity {
        name: "AgentCard",
        doc: "What an agent says of itself (A2A), as its owner or its wallet signed it last.",
        singular: "agentCard",
        plurals: &["agentCards"],
        fields,
        relations,
        derivation: 0,
        table: Some(TABLE),
        life: Life::Always,
        only: Some(Template::plain("{t}.is_current")),
        key: agent_key(),
        parse_id: id::agent,
        changed: Template::plain("0"),
        changing: &[
            "version",
            "digest",
            "name",
            "description",
            "cardVersion",
            "url",
            "card",
            "cardHash",
            "cid",
            "receivedAt",
            "isAuthorized",
            "signer",
            "signature",
            "nonce",
            "checkedBlock",
        ],
    }
});

/// One version of a card.
pub(in crate::store::query::entity) static AGENT_CARD_VERSION: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = vec![
        Field::id(
            concat!(agent_id_text!(), " || ':' || {t}.version"),
            "`agentId:version`: ids of one agent sort in the order of its cards.",
        ),
        Field::boolean("isCurrent", "{t}.is_current", "Whether no later version took its place."),
    ];
    fields.extend(own_fields());
    fields.push(cursor_field());
    let mut key = agent_key();
    key.push(KeyPart { sql: "{t}.version", ty: SqlType::Integer });
    Entity {
        name: "AgentCardVersion",
        doc: "One version of an agent's card. None is ever changed or deleted.",
        singular: "agentCardVersion",
        plurals: &["agentCardVersions"],
        fields,
        relations: relations(),
        derivation: 0,
        table: Some(TABLE),
        life: Life::Always,
        only: None,
        key,
        parse_id: id::card_version,
        changed: Template::plain("0"),
        changing: &["isCurrent", "isAuthorized"],
    }
});

fn relations() -> Vec<Relation> {
    vec![Relation::new(
        "agent",
        Cardinality::Optional,
        || &agent::AGENT,
        agent_links(),
        "The agent whose card it is; null where the chain has dropped it since.",
    )]
}

fn own_fields() -> Vec<Field> {
    let mut fields = vec![
        Field::integer("chainId", "{t}.chain_id", "The network's chain id (EIP-155)."),
        Field::numeric("agentId", "{t}.agent_id", "The agent's token id."),
        Field::int("version", "{t}.version", "Which card of the agent it is, from 1."),
        Field::bytes("digest", "{t}.digest", "The digest of the document that it came by."),
        Field::text("name", "{t}.name", "The agent's name."),
        Field::text("description", "{t}.description", "What the agent does."),
        Field::text("cardVersion", "{t}.own_version", "The version that the card names for the agent."),
        Field::text("url", "{t}.url", "Where the agent is: its first interface."),
        Field::text(
            "card",
            "(SELECT x.content FROM served_file x WHERE x.sha256 = {t}.file_sha256)",
            "The whole card in its canonical form (RFC 8785), as JSON.",
        ),
        Field::bytes("cardHash", "{t}.card_hash", "Keccak-256 of the card in its canonical form: what was signed."),
        Field::text("cid", "{t}.cid", "The card's content identifier (CIDv1, raw, SHA-256): served at `/files/{cid}`."),
        Field::integer(
            "receivedAt",
            "{t}.received_at",
            "When it was handed in, in seconds since 1970 by this node's clock.",
        ),
        Field::boolean(
            "isAuthorized",
            speaks!("{t}.signer"),
            "Whether whoever signed it owns the agent or is its wallet, as of the block that is read.",
        ),
    ];
    fields.extend(signed_fields(account!("{t}.signer")));
    fields
}
