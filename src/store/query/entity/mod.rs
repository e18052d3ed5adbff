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
mod feedback;
mod file;
mod finding;
mod flip;
mod intent;
mod protocol;
mod ranking;
mod reputation;
mod statistics;
pub(in crate::store::query) mod validation;
mod wallet;

use std::sync::LazyLock;

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

impl Template {
    /// An expression over the row alone, the same as of any block.
    const fn plain(sql: &'static str) -> Self {
        Self { latest: sql, join: None, pinned: None, pinned_join: None }
    }
}

/// What stands for the length of an interval, in seconds, in the table of an aggregation.
pub(super) const INTERVAL: &str = "{interval}";

/// The block that the row began at.
const AT_BEGIN: Template = Template::plain("{t}.begin_block");

/// What a field is to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ID`.
    Id,
    /// `String`.
    Text,
    /// `BigInt`: a string of digits.
    BigInt,
    /// `BigDecimal`: a string of at most 34 significant digits.
    BigDecimal,
    /// `Bytes`: lower-case hex with 0x.
    Bytes,
    /// `Boolean`.
    Boolean,
    /// `Int`.
    Int,
    /// `Int8`: a string of digits.
    Int8,
    /// `Timestamp`: microseconds since 1970, as a string of digits.
    Timestamp,
    /// An enum.
    Choice(&'static Choice),
    /// A list of `String`.
    Texts,
    /// A list of `Bytes`.
    BytesList,
    /// The enum `Finality`, computed from the last change's block.
    Finality,
    /// The place of a row in the list it is in.
    Cursor,
}

/// An enum of the schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name.
    pub name: &'static str,
    /// What it tells.
    pub doc: &'static str,
    /// Its values with what they mean.
    pub values: &'static [(&'static str, &'static str)],
}

/// A field of an entity.
pub struct Field {
    /// Its GraphQL name.
    pub name: &'static str,
    /// What it tells, with its unit.
    pub doc: &'static str,
    /// Its GraphQL type.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether `where` knows it.
    pub filterable: bool,
    /// Whether `orderBy` knows it.
    pub sortable: bool,
    /// Whether an index has it in front of the key: rows of one value stand side by side in the order of their ids.
    pub(in crate::store::query) leads_key: bool,
    /// The condition that a list holds all of `{v}`, an array that is not empty, where an index can serve it.
    pub(in crate::store::query) contains: Option<&'static str>,
    pub(in crate::store::query) sql: Template,
    pub(in crate::store::query) ty: SqlType,
    pub(in crate::store::query) order: Option<(Template, SqlType)>,
}

/// An expression, which may differ between the newest state and an earlier one.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::query) struct Template {
    /// Of the newest state.
    pub(in crate::store::query) latest: &'static str,
    /// A join that the newest state's expression needs, keyed by its text.
    pub(in crate::store::query) join: Option<&'static str>,
    /// As of an earlier block, where that is another expression.
    pub(in crate::store::query) pinned: Option<&'static str>,
    /// A join that the expression needs as of an earlier block.
    pub(in crate::store::query) pinned_join: Option<&'static str>,
}

impl Field {
    fn new(name: &'static str, kind: Kind, ty: SqlType, sql: &'static str, doc: &'static str) -> Self {
        let single = !matches!(kind, Kind::Texts | Kind::BytesList | Kind::Finality | Kind::Cursor);
        let computed = matches!(kind, Kind::Finality | Kind::Cursor);
        Self {
            name,
            doc,
            kind,
            nullable: false,
            filterable: !computed,
            sortable: single,
            leads_key: false,
            contains: None,
            sql: Template::plain(sql),
            ty,
            order: None,
        }
    }

    fn id(sql: &'static str, doc: &'static str) -> Self {
        Self::new("id", Kind::Id, SqlType::Text, sql, doc)
    }

    fn text(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Text, SqlType::Text, sql, doc)
    }

    /// A BigInt whose column fits 64 bits.
    fn integer(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::BigInt, SqlType::Integer, sql, doc)
    }

    /// A BigInt of any size.
    fn numeric(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::BigInt, SqlType::Numeric, sql, doc)
    }

    fn decimal(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::BigDecimal, SqlType::Numeric, sql, doc)
    }

    fn bytes(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Bytes, SqlType::Bytes, sql, doc)
    }

    fn boolean(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Boolean, SqlType::Boolean, sql, doc)
    }

    fn int(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Int, SqlType::Integer, sql, doc)
    }

    fn choice(name: &'static str, choice: &'static Choice, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Choice(choice), SqlType::Text, sql, doc)
    }

    fn texts(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::Texts, SqlType::Texts, sql, doc)
    }

    fn bytes_list(name: &'static str, sql: &'static str, doc: &'static str) -> Self {
        Self::new(name, Kind::BytesList, SqlType::BytesList, sql, doc)
    }

    fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// Sorts by a block number that rises with the field: its index serves, and equal times stay in the chain's order.
    fn sorted_by_block(self, sql: &'static str) -> Self {
        Self { order: Some((Template::plain(sql), SqlType::Integer)), ..self }
    }

    fn with(self, sql: Template) -> Self {
        Self { sql, ..self }
    }

    fn joined(mut self, join: &'static str) -> Self {
        self.sql.join = Some(join);
        self
    }

    fn pinned(mut self, sql: &'static str) -> Self {
        self.sql.pinned = Some(sql);
        self
    }

    /// Of a joined row, by another join as of an earlier block.
    fn joined_as_of(mut self, join: &'static str, pinned_join: &'static str) -> Self {
        (self.sql.join, self.sql.pinned_join) = (Some(join), Some(pinned_join));
        self
    }

    fn leads_key(self) -> Self {
        Self { leads_key: true, ..self }
    }

    fn contains(self, sql: &'static str) -> Self {
        Self { contains: Some(sql), ..self }
    }
}

/// A relation to another entity.
pub struct Relation {
    /// Its GraphQL name.
    pub name: &'static str,
    /// What it leads to.
    pub doc: &'static str,
    /// To one or to many.
    pub cardinality: Cardinality,
    pub(in crate::store::query) target: fn() -> &'static Entity,
    /// Columns of this row and of the related one that must be equal.
    pub(in crate::store::query) links: Vec<Link>,
}

/// How many rows a relation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// Exactly one.
    One,
    /// One or none.
    Optional,
    /// Any number: a derived list with arguments of its own.
    Many,
}

/// A pair of columns that join two rows.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::query) struct Link {
    /// Of this row; `{t}` is its alias.
    pub(in crate::store::query) here: &'static str,
    /// Of the related row; `{t}` is its alias.
    pub(in crate::store::query) there: &'static str,
    pub(in crate::store::query) ty: SqlType,
}

impl Relation {
    fn new(
        name: &'static str,
        cardinality: Cardinality,
        target: fn() -> &'static Entity,
        links: Vec<Link>,
        doc: &'static str,
    ) -> Self {
        Self { name, doc, cardinality, target, links }
    }

    /// What it leads to.
    #[must_use]
    pub fn target(&self) -> &'static Entity {
        (self.target)()
    }
}

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

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl std::fmt::Debug for Relation {
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
