//! What can be asked: each entity described once, with its fields, its relations and its key.
//!
//! The description drives everything: GraphQL object types, `where` inputs, `orderBy` enums and the SQL. A new entity
//! is a new file here and a line in [`all`]. SQL fragments are templates:
//!
//! | in a template | stands for |
//! |---|---|
//! | `{t}` | the alias of the entity's row |
//! | `{live x}` | the row `x` (with `begin_block` and `end_block`) holds as of the block that is read |
//! | `{begun x}` | the row `x` (with `begin_block` alone) exists as of that block |
//! | `{reached c}` | the block number in column `c` is set and not above that block |
//! | `{clock x}` | the time of the newest block with logs, as of that block, of the network of the row `x` |
//! | `{expires_after}` | the age from which a validation without an answer is called expired, in seconds |
//! | `{interval}` | in the table of an aggregation: how long its intervals are, in seconds |
//!
//! Key columns come first in the table's primary key, so that the default order and its paging need no sort.

mod agent;
mod audit;
mod dispute;
mod document;
mod feedback;
mod field;
mod file;
mod finding;
mod flip;
mod intent;
mod protocol;
mod ranking;
mod relation;
mod reputation;
mod statistics;
mod trust;
pub(in crate::store::query) mod validation;
mod wallet;

use std::sync::LazyLock;

pub(in crate::store::query) use self::field::Template;
pub use self::field::{Choice, Field, Kind};
pub(in crate::store::query) use self::relation::Link;
pub use self::relation::{Cardinality, Relation};
use super::id::ParsedId;
use super::networks::Contracts;
use super::sql::SqlType;

/// A kind of thing that can be asked for.
pub struct Entity {
    /// The GraphQL type's name.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// The root field for one of them by id; an aggregation has none.
    pub singular: &'static str,
    /// The root fields for a list of them: The Graph's name first.
    pub plurals: &'static [&'static str],
    /// What each one tells.
    pub fields: Vec<Field>,
    /// What each one is related to.
    pub relations: Vec<Relation>,
    /// The lowest number of a program that derives its rows: as long as an older one's are held, it is not answered for.
    pub(in crate::store::query) derivation: i16,
    /// The table; none while nothing fills it, and then there are no rows and no statements.
    pub(in crate::store::query) table: Option<&'static str>,
    /// When a row holds.
    pub(in crate::store::query) life: Life,
    /// The condition that a row of the table is one of the entity's; all are where there is none.
    pub(in crate::store::query) only: Option<Template>,
    /// What its id is made of, in the order in which ids sort.
    pub(in crate::store::query) key: Vec<KeyPart>,
    /// Reads an id into its parts; nothing when the text is no such id.
    pub(in crate::store::query) parse_id: fn(&str, &Contracts) -> Option<ParsedId>,
    /// The block of the row's last change.
    pub(in crate::store::query) changed: Template,
    /// Sortable fields whose value can change while the entity stays: an order by one of them moves.
    pub(in crate::store::query) changing: &'static [&'static str],
}

/// When a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::query) enum Life {
    /// From `begin_block` until `end_block`.
    Version,
    /// From `begin_block` on.
    Fact,
    /// From the block in this column on; what it says changes, and is told as of a block by joins.
    Since(&'static str),
    /// Always: it describes the network, not its history.
    Always,
}

/// A column of an entity's key.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::query) struct KeyPart {
    pub(in crate::store::query) sql: &'static str,
    pub(in crate::store::query) ty: SqlType,
}

/// What stands for the length of an interval, in seconds, in the table of an aggregation.
pub(super) const INTERVAL: &str = "{interval}";

/// The block that the row began at.
const AT_BEGIN: Template = Template::plain("{t}.begin_block");

impl Entity {
    /// Whether it is counted by intervals: then lists want to know which, and there is none by id.
    #[must_use]
    pub fn is_aggregation(&self) -> bool {
        self.table.is_some_and(|table| table.contains(INTERVAL))
    }

    /// The field of a name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The relation of a name.
    #[must_use]
    pub fn relation(&self, name: &str) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == name)
    }
}

impl std::fmt::Debug for Entity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The rows of leaderboards, which have a root of their own.
#[must_use]
pub fn leaderboard() -> &'static Entity {
    &ranking::LEADERBOARD_ROW
}

/// [`leaderboard`] as of an earlier block, in the order of scores.
pub(super) fn scored_then() -> &'static Entity {
    &ranking::SCORED_THEN
}

/// [`leaderboard`] as of an earlier block in any other order, where only who is on a page is wanted.
pub(super) fn ranked_then() -> &'static Entity {
    &ranking::RANKED_THEN
}

pub(in crate::store::query) use self::reputation::standing_join;

/// Every entity, in the order of the schema.
#[must_use]
pub fn all() -> &'static [&'static Entity] {
    static ALL: LazyLock<Vec<&'static Entity>> = LazyLock::new(|| {
        vec![
            &agent::AGENT,
            &feedback::FEEDBACK,
            &feedback::FEEDBACK_RESPONSE,
            &reputation::AGENT_REPUTATION,
            &reputation::TAG_REPUTATION,
            &validation::VALIDATION,
            &validation::VALIDATION_RESPONSE,
            &agent::AGENT_METADATA,
            &file::AGENT_REGISTRATION_FILE,
            &file::FEEDBACK_FILE,
            &protocol::PROTOCOL,
            &flip::MANIFEST_FLIP,
            &flip::AGENT_FLIP_METRICS,
            &statistics::FLIP_CHURN,
            &statistics::PROTOCOL_AGENT_STATS,
            &statistics::PROTOCOL_FEEDBACK_STATS,
            &statistics::AGENT_FEEDBACK_STATS,
            &statistics::PROTOCOL_VALIDATION_STATS,
            &statistics::AGENT_VALIDATION_STATS,
            &audit::AUDIT_ENTRY,
            &wallet::WALLET_AGENT,
            &wallet::POLICY,
            &intent::INTENT,
            &finding::FINDING,
            &dispute::DISPUTE,
            &document::OFFCHAIN_FEEDBACK,
            &document::OFFCHAIN_FEEDBACK_VERSION,
            &document::AGENT_CARD,
            &document::AGENT_CARD_VERSION,
            &document::OFFCHAIN_VALIDATION,
            &document::OFFCHAIN_VALIDATION_RESPONSE,
            &document::ENDPOINT_MANIFEST,
            &document::FORWARD_RECEIPT,
            &document::CYCLE_REPORT,
            &document::PAYMENT_LINK,
            &document::PAYMENT_TOTAL,
        ]
    });
    &ALL
}

/// The entity of a GraphQL type's name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Entity> {
    all().iter().copied().find(|entity| entity.name == name)
}

/// Columns that join a row to its agent, or to the rows of its agent.
fn agent_links() -> Vec<Link> {
    vec![
        Link { here: "{t}.chain_id", there: "{t}.chain_id", ty: SqlType::Integer },
        Link { here: "{t}.deployment", there: "{t}.deployment", ty: SqlType::Integer },
        Link { here: "{t}.agent_id", there: "{t}.agent_id", ty: SqlType::Numeric },
    ]
}

/// The parts of an agent's id, with which the ids of what belongs to it begin.
fn agent_key() -> Vec<KeyPart> {
    vec![
        KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
        KeyPart { sql: "{t}.deployment", ty: SqlType::Integer },
        KeyPart { sql: "{t}.agent_id", ty: SqlType::Numeric },
    ]
}

/// The fields that tell where on the chain an entity comes from.
fn chain_fields(entity_event: &'static str, changed: Template) -> Vec<Field> {
    vec![
        Field::integer(
            "blockNumber",
            "{t}.begin_block",
            "The block of the event that `logIndex` and `transactionHash` name.",
        ),
        Field::int("logIndex", "{t}.log_index", entity_event),
        Field::bytes("transactionHash", "{t}.transaction_hash", "The transaction of that event."),
        finality_field(changed),
        cursor_field(),
    ]
}

/// How final an entity is.
fn finality_field(changed: Template) -> Field {
    Field::new(
        "finality",
        Kind::Finality,
        SqlType::Integer,
        changed.latest,
        "How final the block of the entity's last change is, as of now.",
    )
    .with(changed)
}

/// Where an entity is in its list.
fn cursor_field() -> Field {
    Field::new(
        "cursor",
        Kind::Cursor,
        SqlType::Text,
        "''",
        "The entity's place in the list it is in: pass it as `after` to go on behind it. Opaque.",
    )
}

/// SQL of an agent's id as text.
macro_rules! agent_id_text {
    () => {
        "{t}.chain_id || ':' || CASE {t}.deployment WHEN 0 THEN '' ELSE (SELECT '0x' || encode(k.address, 'hex') || ':' \
         FROM contract k WHERE k.chain_id = {t}.chain_id AND k.role = 'identity' AND k.deployment = {t}.deployment) END \
         || {t}.agent_id"
    };
}
use agent_id_text;

/// SQL of the address of the contract that a row names.
macro_rules! emitter {
    () => {
        "(SELECT k.address FROM contract k WHERE k.chain_id = {t}.chain_id AND k.contract_id = {t}.contract_id)"
    };
}
use emitter;

/// SQL of the kind of a URI, as agent0's subgraph names them, with `ar` and `json` told apart too.
macro_rules! uri_type {
    ($column:literal) => {
        concat!(
            "CASE WHEN ",
            $column,
            " LIKE 'data:%' THEN 'data' WHEN ",
            $column,
            " LIKE 'ipfs://%' OR left(",
            $column,
            ", 2048) ~ '^https?://[^?#]*(/ipfs/|[.]ipfs[.])' OR left(",
            $column,
            ", 2048) ~ '^(Qm[1-9A-HJ-NP-Za-km-z]{44}|b[a-z2-7]{58,})$' THEN 'ipfs' WHEN ",
            $column,
            " LIKE 'https://%' THEN 'https' WHEN ",
            $column,
            " LIKE 'http://%' THEN 'http' WHEN ",
            $column,
            " LIKE 'ar://%' THEN 'ar' WHEN left(ltrim(",
            $column,
            "), 1) = '{' THEN 'json' ELSE 'unknown' END"
        )
    };
}
use uri_type;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Cardinality, Kind, all};

    #[test]
    fn names_are_unique_and_documented() {
        let mut names = HashSet::new();
        for entity in all() {
            assert!(names.insert(entity.name), "{entity:?} twice");
            assert!(entity.doc.ends_with('.'), "{entity:?}");
            let mut members = HashSet::new();
            for (name, doc) in entity
                .fields
                .iter()
                .map(|field| (field.name, field.doc))
                .chain(entity.relations.iter().map(|relation| (relation.name, relation.doc)))
            {
                assert!(members.insert(name), "{entity:?}.{name} twice");
                assert!(doc.ends_with('.'), "{entity:?}.{name} has no sentence");
            }
        }
    }

    #[test]
    fn every_entity_has_an_id_and_relations_that_join() {
        for entity in all() {
            let id = if entity.is_aggregation() { Kind::Int8 } else { Kind::Id };
            assert_eq!(entity.field("id").map(|field| field.kind), Some(id), "{entity:?}");
            assert_eq!(entity.key.is_empty(), entity.table.is_none(), "{entity:?}");
            for relation in &entity.relations {
                assert!(!relation.links.is_empty() || relation.target().table.is_none(), "{entity:?}.{relation:?}");
                assert!(relation.cardinality != Cardinality::Many || relation.target().table.is_some());
            }
        }
    }
}
