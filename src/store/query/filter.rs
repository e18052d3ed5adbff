//! `where`: The Graph's operators, read into a tree of typed conditions.
//!
//! Reading is pure and total: every value is checked against its field's type here, so that what reaches SQL is typed
//! and bound. A null never stands for "no condition": it is a test for null, or an error.

use serde_json::{Map, Value};

use super::condition::own_columns;
use super::entity::{Cardinality, Entity, Field, Kind, Relation};
use super::error::{QueryError, bad_input};
use super::id::ParsedId;
use super::networks::Contracts;
use super::sql::{Datum, SqlType};
use super::value;

/// Deepest nesting of `and`, `or` and related filters.
const MAX_DEPTH: usize = 12;

/// An operator: what stands behind a field's name in a `where` key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// Equal; null tests for null.
    Is,
    /// Not equal; null tests for a value.
    Not,
    /// Greater.
    Gt,
    /// Less.
    Lt,
    /// Greater or equal.
    Gte,
    /// Less or equal.
    Lte,
    /// One of a list; of an empty one, nothing (F68).
    In,
    /// None of a list.
    NotIn,
    /// A pattern in a text, a piece of bytes, or all of a list.
    Match(Pattern),
}

/// A containment test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pattern {
    /// Where the text is looked for.
    pub place: Anchor,
    /// Whether it must not be there.
    pub negated: bool,
    /// Whether upper and lower case are one.
    pub ignore_case: bool,
}

/// Where in a text something is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// Anywhere.
    Anywhere,
    /// At its start.
    Start,
    /// At its end.
    End,
}

const fn matching(place: Anchor, negated: bool, ignore_case: bool) -> Operator {
    Operator::Match(Pattern { place, negated, ignore_case })
}

const CONTAINS: Operator = matching(Anchor::Anywhere, false, false);
const NOT_CONTAINS: Operator = matching(Anchor::Anywhere, true, false);
const CONTAINS_NOCASE: Operator = matching(Anchor::Anywhere, false, true);
const NOT_CONTAINS_NOCASE: Operator = matching(Anchor::Anywhere, true, true);

const EQUAL: &[Operator] = &[Operator::Is, Operator::Not, Operator::In, Operator::NotIn];
const ORDERED: &[Operator] = &[
    Operator::Is,
    Operator::Not,
    Operator::Gt,
    Operator::Lt,
    Operator::Gte,
    Operator::Lte,
    Operator::In,
    Operator::NotIn,
];
const BYTES: &[Operator] = &[
    Operator::Is,
    Operator::Not,
    Operator::Gt,
    Operator::Lt,
    Operator::Gte,
    Operator::Lte,
    Operator::In,
    Operator::NotIn,
    CONTAINS,
    NOT_CONTAINS,
];
const TEXT: &[Operator] = &[
    Operator::Is,
    Operator::Not,
    Operator::Gt,
    Operator::Lt,
    Operator::Gte,
    Operator::Lte,
    Operator::In,
    Operator::NotIn,
    CONTAINS,
    CONTAINS_NOCASE,
    NOT_CONTAINS,
    NOT_CONTAINS_NOCASE,
    matching(Anchor::Start, false, false),
    matching(Anchor::Start, false, true),
    matching(Anchor::Start, true, false),
    matching(Anchor::Start, true, true),
    matching(Anchor::End, false, false),
    matching(Anchor::End, false, true),
    matching(Anchor::End, true, false),
    matching(Anchor::End, true, true),
];
const TEXTS: &[Operator] = &[Operator::Is, Operator::Not, CONTAINS, CONTAINS_NOCASE, NOT_CONTAINS, NOT_CONTAINS_NOCASE];
const BYTES_LIST: &[Operator] = &[Operator::Is, Operator::Not, CONTAINS, NOT_CONTAINS];

impl Operator {
    /// The operators that graph-node generates for a kind of field.
    #[must_use]
    pub fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Boolean | Kind::Choice(_) => EQUAL,
            Kind::Id | Kind::BigInt | Kind::BigDecimal | Kind::Int | Kind::Int8 | Kind::Timestamp => ORDERED,
            Kind::Bytes => BYTES,
            Kind::Text => TEXT,
            Kind::Texts => TEXTS,
            Kind::BytesList => BYTES_LIST,
            Kind::Finality | Kind::Cursor => &[],
        }
    }

    /// The operators on the id of a related entity.
    #[must_use]
    pub fn of_relation() -> &'static [Self] {
        TEXT
    }

    /// What stands behind the field's name, with its underscore.
    #[must_use]
    pub fn suffix(self) -> String {
        match self {
            Self::Is => String::new(),
            Self::Not => "_not".into(),
            Self::Gt => "_gt".into(),
            Self::Lt => "_lt".into(),
            Self::Gte => "_gte".into(),
            Self::Lte => "_lte".into(),
            Self::In => "_in".into(),
            Self::NotIn => "_not_in".into(),
            Self::Match(pattern) => {
                let negated = if pattern.negated { "_not" } else { "" };
                let place = match pattern.place {
                    Anchor::Anywhere => "_contains",
                    Anchor::Start => "_starts_with",
                    Anchor::End => "_ends_with",
                };
                let case = if pattern.ignore_case { "_nocase" } else { "" };
                format!("{negated}{place}{case}")
            }
        }
    }

    /// Whether it takes a list of values where the field has one.
    #[must_use]
    pub fn takes_list(self) -> bool {
        matches!(self, Self::In | Self::NotIn)
    }
}

/// A condition on an entity's rows.
#[derive(Debug, Clone)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Constant(bool),
    /// A field's value.
    Field(&'static Field, Test),
    /// The entity's own id, by its parts.
    Id(IdTest),
    /// A related row exists that passes.
    Related(&'static Relation, Box<Filter>),
    /// The row's last change is at or above a block.
    ChangedSince(i64),
    Not(Box<Filter>),
}

impl Filter {
    /// Whether it is nothing but one value of a field that stands in front of the key in an index, or the id of one related
    /// entity, whose key this entity's key begins with.
    pub(super) fn begins_key(&self, entity: &Entity) -> bool {
        match self {
            Self::All(filters) => matches!(filters.as_slice(), [only] if only.begins_key(entity)),
            Self::Field(field, Test::Compare("=", value)) => field.leads_key && *value != Datum::Null,
            Self::Related(relation, inner) => {
                let is_one = matches!(&**inner, Self::Id(IdTest::In(ids))
                    if matches!(ids.as_slice(), [id] if id.iter().all(Option::is_some)));
                let key = entity.key.iter().map(|part| part.sql);
                is_one && own_columns(relation).is_some_and(|columns| key.take(columns.len()).eq(columns))
            }
            _ => false,
        }
    }
}

/// A test of a field's value.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Null,
    NotNull,
    Compare(&'static str, Datum),
    In(Vec<Datum>),
    NotIn(Vec<Datum>),
    Like { text: String, pattern: Pattern },
    BytesContain { bytes: Vec<u8>, negated: bool },
    ListContains { wanted: Datum, pattern: Pattern },
}

/// A test of an id; ids that cannot exist are already left out.
#[derive(Debug, Clone)]
pub(super) enum IdTest {
    In(Vec<ParsedId>),
    Compare(&'static str, Vec<Datum>),
}

/// What reading a filter needs to know.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) contracts: &'a Contracts,
    /// The network, where only one is read.
    pub(super) chain_id: Option<i64>,
}

impl Reader<'_> {
    /// Reads a `where` object.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] that names the key.
    pub(super) fn filter(self, entity: &'static Entity, input: &Value) -> Result<Filter, QueryError> {
        self.object(entity, input, 0)
    }

    fn object(self, entity: &'static Entity, input: &Value, depth: usize) -> Result<Filter, QueryError> {
        if depth > MAX_DEPTH {
            return Err(QueryError::TooComplex(format!("`where` is nested deeper than {MAX_DEPTH} levels")));
        }
        let empty = Map::new();
        let members = match input {
            Value::Null => &empty,
            Value::Object(members) => members,
            _ => return Err(bad_input("where", "an object")),
        };
        let mut all = Vec::with_capacity(members.len());
        for (key, value) in members {
            all.push(self.member(entity, key, value, depth)?);
        }
        Ok(Filter::All(all))
    }

    fn member(self, entity: &'static Entity, key: &str, input: &Value, depth: usize) -> Result<Filter, QueryError> {
        match key {
            "and" => return Ok(Filter::All(self.objects(entity, input, depth)?)),
            "or" if input.is_null() => return Ok(Filter::Constant(true)),
            "or" => return Ok(Filter::Any(self.objects(entity, input, depth)?)),
            "_change_block" => return changed_since(input),
            _ => {}
        }
        let (name, suffix) = key.split_at(key.find('_').unwrap_or(key.len()));
        let unknown = || QueryError::BadInput(format!("`where`: {} has no filter `{key}`", entity.name));
        if let Some(relation) = entity.relation(name) {
            if suffix == "_" {
                let inner = self.object(relation.target(), input, depth + 1)?;
                return Ok(Filter::Related(relation, Box::new(inner)));
            }
            let operator = find(Operator::of_relation(), suffix).ok_or_else(unknown)?;
            if relation.cardinality == Cardinality::Many {
                return Err(unknown());
            }
            return self.related_id(relation, key, operator, input);
        }
        let field = entity.field(name).filter(|field| field.filterable).ok_or_else(unknown)?;
        let operator = find(Operator::of(field.kind), suffix).ok_or_else(unknown)?;
        if field.kind == Kind::Id { self.id(entity, key, operator, input) } else { test(field, key, operator, input) }
    }

    fn objects(self, entity: &'static Entity, input: &Value, depth: usize) -> Result<Vec<Filter>, QueryError> {
        match input {
            Value::Null => Ok(Vec::new()),
            Value::Array(items) => items.iter().map(|item| self.object(entity, item, depth + 1)).collect(),
            item => Ok(vec![self.object(entity, item, depth + 1)?]),
        }
    }

    fn related_id(
        self,
        relation: &'static Relation,
        key: &str,
        operator: Operator,
        input: &Value,
    ) -> Result<Filter, QueryError> {
        let target = relation.target();
        let any = Filter::Related(relation, Box::new(Filter::Constant(true)));
        match (operator, input) {
            (Operator::Is, Value::Null) => return Ok(Filter::Not(Box::new(any))),
            (Operator::Not, Value::Null) => return Ok(any),
            _ => {}
        }
        let inner = match operator {
            Operator::Match(pattern) => {
                let field = target.field("id").expect("every entity has an id");
                Filter::Field(field, Test::Like { text: value::text(key, input)?, pattern })
            }
            _ => self.id(target, key, operator, input)?,
        };
        Ok(Filter::Related(relation, Box::new(inner)))
    }

    fn id(self, entity: &'static Entity, key: &str, operator: Operator, input: &Value) -> Result<Filter, QueryError> {
        let read = |input: &Value| -> Result<Option<ParsedId>, QueryError> {
            Ok((entity.parse_id)(&value::text(key, input)?, self.contracts))
        };
        Ok(match (operator, input) {
            (Operator::Is, Value::Null) => Filter::Constant(false),
            (Operator::Not, Value::Null) => Filter::Constant(true),
            (Operator::Is, _) => id_in(read(input)?.into_iter().collect()),
            (Operator::Not, _) => Filter::Not(Box::new(id_in(read(input)?.into_iter().collect()))),
            (Operator::In | Operator::NotIn, _) => {
                let ids: Vec<Option<ParsedId>> = value::list(key, input)?.iter().map(read).collect::<Result<_, _>>()?;
                let among = id_in(ids.into_iter().flatten().collect());
                if operator == Operator::In { among } else { Filter::Not(Box::new(among)) }
            }
            _ => self.id_order(entity, key, operator, input)?,
        })
    }

    /// `id_gt` and the like: by the parts, numbers as numbers; the empty text is before all ids.
    fn id_order(
        self,
        entity: &'static Entity,
        key: &str,
        operator: Operator,
        input: &Value,
    ) -> Result<Filter, QueryError> {
        let text = value::text(key, input)?;
        let sign = comparison(operator);
        if text.is_empty() {
            return Ok(Filter::Constant(sign.starts_with('>')));
        }
        if entity.table.is_none() {
            return Ok(Filter::Constant(false));
        }
        let parts = (entity.parse_id)(&text, self.contracts)
            .ok_or_else(|| bad_input(key, &format!("the id of one {}, or empty", entity.name)))?;
        let parts: Option<Vec<Datum>> =
            parts.into_iter().map(|part| part.or(self.chain_id.map(Datum::Integer))).collect();
        let parts = parts.ok_or_else(|| {
            QueryError::BadInput(format!("`{key}`: this id does not name its network; give `chainId` too"))
        })?;
        Ok(Filter::Id(IdTest::Compare(sign, parts)))
    }
}

fn id_in(ids: Vec<ParsedId>) -> Filter {
    if ids.is_empty() { Filter::Constant(false) } else { Filter::Id(IdTest::In(ids)) }
}

fn changed_since(input: &Value) -> Result<Filter, QueryError> {
    let number = match input {
        Value::Null => return Ok(Filter::Constant(true)),
        Value::Object(members) => members.get("number_gte").and_then(Value::as_i64),
        _ => None,
    };
    number.map(Filter::ChangedSince).ok_or_else(|| bad_input("_change_block", "an object with a `number_gte`"))
}

fn find(operators: &'static [Operator], suffix: &str) -> Option<Operator> {
    operators.iter().copied().find(|operator| operator.suffix() == suffix)
}

fn comparison(operator: Operator) -> &'static str {
    match operator {
        Operator::Gt => ">",
        Operator::Lt => "<",
        Operator::Gte => ">=",
        Operator::Lte => "<=",
        Operator::Not => "<>",
        _ => "=",
    }
}

fn test(field: &'static Field, key: &str, operator: Operator, input: &Value) -> Result<Filter, QueryError> {
    let one = |input: &Value| value::read(key, field, input);
    let test = match (operator, input) {
        (Operator::Is, Value::Null) => Test::Null,
        (Operator::Not, Value::Null) => Test::NotNull,
        (Operator::In, _) => Test::In(value::list(key, input)?.iter().map(one).collect::<Result<_, _>>()?),
        (Operator::NotIn, _) => Test::NotIn(value::list(key, input)?.iter().map(one).collect::<Result<_, _>>()?),
        (Operator::Match(pattern), _) => match field.ty {
            SqlType::Bytes => match one(input)? {
                Datum::Bytes(bytes) => Test::BytesContain { bytes, negated: pattern.negated },
                _ => return Err(bad_input(key, "hex")),
            },
            SqlType::Texts | SqlType::BytesList => match one(input)? {
                // Every list holds nothing.
                Datum::Texts(wanted) if wanted.is_empty() => return Ok(Filter::Constant(!pattern.negated)),
                Datum::BytesList(wanted) if wanted.is_empty() => return Ok(Filter::Constant(!pattern.negated)),
                wanted => Test::ListContains { wanted, pattern },
            },
            _ => Test::Like { text: value::text(key, input)?, pattern },
        },
        _ => Test::Compare(comparison(operator), one(input)?),
    };
    Ok(Filter::Field(field, test))
}
