//! Lists and single rows with all that is selected below them: one statement for each relation, whatever the number of
//! rows.
//!
//! A level is read, then each relation selected in it for all its rows at once: their keys go in as arrays, each once,
//! and a lateral join gives every key its own page.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio_postgres::Row;

use super::condition;
use super::cursor::{self, MadeAt};
use super::entity::{Cardinality, Entity, Kind};
use super::error::QueryError;
use super::filter::{self, Filter};
use super::interval::{self, Interval};
use super::order::Order;
use super::pin::{BoundScope, Scope};
use super::select::{Nested, Page, Record, Related, Selection, Shape};
use super::snapshot::Snapshot;
use super::source::Source;
use super::sql::{Columns, Datum, SqlType, Statement};

/// Most rows of one page.
pub const MAX_FIRST: i64 = 1_000;

/// The records of a level, with all below them.
type Records<'a> = Pin<Box<dyn Future<Output = Result<Vec<Arc<Record>>, QueryError>> + Send + 'a>>;

/// How the columns of a statement become records.
struct Plan {
    columns: Columns,
    shape: Arc<Shape>,
    /// For each selected relation, where its keys are.
    links: Vec<Vec<usize>>,
    /// Where the values of a cursor are, when one is selected, and where the cursor goes.
    cursor: Option<(Vec<usize>, usize)>,
    /// Where the finality goes.
    finality: Option<usize>,
    /// Where the network is.
    chain: Option<usize>,
    order: Order,
    entity: &'static Entity,
}

/// What of a list is read: its order, its conditions.
struct Reading {
    order: Order,
    filter: Filter,
    after: Option<Vec<Datum>>,
}

impl Reading {
    /// Whether the rows stand side by side in the table's key, or in an index, in the order that is asked for: all feedback of
    /// an agent, all agents of an owner, by id. Then one plan is the best one for every agent and owner.
    fn is_a_stretch(&self, entity: &Entity) -> bool {
        self.order.follows_key(entity) && self.filter.begins_key(entity)
    }
}

impl Snapshot {
    /// A page of an entity.
    ///
    /// # Errors
    /// [`QueryError`] for arguments that do not fit the entity, and of the statements.
    pub async fn list(
        &self,
        scope: &Scope,
        page: &Page,
        selection: &Selection,
    ) -> Result<Vec<Arc<Record>>, QueryError> {
        self.list_with(scope, page, selection, Statement::default()).await
    }

    /// A page that a statement, empty so far, reads.
    async fn list_with(
        &self,
        scope: &Scope,
        page: &Page,
        selection: &Selection,
        mut statement: Statement,
    ) -> Result<Vec<Arc<Record>>, QueryError> {
        check_range(page)?;
        let reading = self.reading(selection.entity, scope, page).await?;
        if selection.entity.table.is_none() || scope.places().is_empty() {
            return Ok(Vec::new());
        }
        statement.keyed |= reading.is_a_stretch(selection.entity);
        let bound = BoundScope::bind(scope, &mut statement);
        let interval = page.interval.unwrap_or(Interval::Hour);
        let mut source = Source::by(selection.entity, interval, &mut statement);
        let ended = if selection.entity.is_aggregation() && !page.with_current {
            let under_way = self.under_way(scope, interval).await?;
            interval::ended(&under_way, &source.alias, &mut statement)
        } else {
            String::new()
        };
        let (plan, body) = rows_of(&reading, selection, &mut source, &bound, &mut statement);
        let in_scope = source.in_scope(&bound);
        let page = limits(page, &mut statement);
        statement.push(&format!(
            "SELECT {} FROM {} WHERE {in_scope}{ended}{}{page}",
            plan.columns.select_list(),
            source.table_and_joins(&bound),
            body
        ));
        self.check_all_derived(scope, &statement)?;
        let rows = self.query(&statement).await?;
        self.count_rows(rows.len())?;
        let records = rows.iter().map(|row| self.record(row, 0, &plan, scope)).collect::<Result<_, _>>()?;
        self.with_related(records, &plan, scope, selection).await
    }

    /// The entity of an id, if there is one.
    ///
    /// # Errors
    /// As [`Snapshot::list`].
    pub async fn one(&self, scope: &Scope, id: &str, selection: &Selection) -> Result<Option<Arc<Record>>, QueryError> {
        let page = Page { filter: serde_json::json!({ "id": id }), first: 1, ..Page::default() };
        Ok(self.list_with(scope, &page, selection, Statement::by_key()).await?.pop())
    }

    async fn reading(&self, entity: &'static Entity, scope: &Scope, page: &Page) -> Result<Reading, QueryError> {
        let reader = filter::Reader { contracts: self.contracts(), chain_id: scope.only().map(|place| place.chain_id) };
        let order = Order::read(entity, page.order_by.as_deref(), page.descending)?;
        let filter = reader.filter(entity, &page.filter)?;
        let after = match &page.after {
            None => None,
            Some(text) => {
                let (values, made_at) = cursor::read(text, entity, order, &types_of(order, entity))?;
                if let Some(made_at) = made_at {
                    self.check_cursor(&made_at).await?;
                }
                Some(values)
            }
        };
        Ok(Reading { order, filter, after })
    }

    /// Makes a record of a row whose columns begin at `offset`.
    fn record(&self, row: &Row, offset: usize, plan: &Plan, scope: &Scope) -> Result<Record, QueryError> {
        let mut values = plan.columns.read(row, offset)?;
        let network = match plan.chain.map(|place| &values[place]) {
            Some(Datum::Integer(chain_id)) => self.network(*chain_id),
            _ => None,
        };
        if let (Some((sorted_by, place)), Some(network)) = (&plan.cursor, network) {
            let newest = scope.places().iter().any(|at| at.chain_id == network.chain_id && at.block.is_none());
            let made_at = network.indexed.as_ref().filter(|_| newest).and_then(|block| {
                Some(MadeAt { chain_id: network.chain_id, number: block.number, hash: block.hash.clone()? })
            });
            let entity = plan.entity;
            let made_at = made_at.filter(|_| plan.order.moves(entity));
            let sorted_by: Vec<&Datum> = sorted_by.iter().map(|place| &values[*place]).collect();
            values[*place] = Datum::Text(cursor::write(entity, plan.order, &sorted_by, made_at.as_ref()));
        }
        if let (Some(place), Some(network)) = (plan.finality, network)
            && let Datum::Integer(block) = values[place]
        {
            values[place] = Datum::Text(finality_name(network.finality(block)).to_owned());
        }
        Ok(Record { shape: Arc::clone(&plan.shape), values, related: Vec::new() })
    }

    /// Reads what the records of a level are related to, and gives it to them.
    fn with_related<'a>(
        &'a self,
        mut records: Vec<Record>,
        plan: &'a Plan,
        scope: &'a Scope,
        selection: &'a Selection,
    ) -> Records<'a> {
        Box::pin(async move {
            for (nested, links) in selection.relations.iter().zip(&plan.links) {
                let keys: Vec<Vec<Datum>> = records
                    .iter()
                    .map(|record| links.iter().map(|place| record.values[*place].clone()).collect())
                    .collect();
                let mut related = self.related(&keys, scope, nested).await?.into_iter();
                for record in &mut records {
                    record.related.push(related.next().unwrap_or(Related::One(None)));
                }
            }
            Ok(records.into_iter().map(Arc::new).collect())
        })
    }

    /// The rows that a relation leads to, for each of the keys.
    async fn related(&self, keys: &[Vec<Datum>], scope: &Scope, nested: &Nested) -> Result<Vec<Related>, QueryError> {
        let many = nested.relation.cardinality == Cardinality::Many;
        if many {
            check_range(&nested.page)?;
        }
        let target = nested.relation.target();
        let reading = self.reading(target, scope, &nested.page).await?;
        let mut distinct: HashMap<&Vec<Datum>, usize> = HashMap::new();
        let mut asked: Vec<&Vec<Datum>> = Vec::new();
        for key in keys.iter().filter(|key| !key.contains(&Datum::Null)) {
            distinct.entry(key).or_insert_with(|| {
                asked.push(key);
                asked.len() - 1
            });
        }
        let mut groups: Vec<Vec<Arc<Record>>> = Vec::new();
        if !asked.is_empty() && target.table.is_some() {
            groups = self.groups(&asked, scope, nested, &reading).await?;
        }
        Ok(keys
            .iter()
            .map(|key| {
                let group = distinct.get(key).and_then(|place| groups.get(*place));
                if many {
                    Related::Many(group.cloned().unwrap_or_default())
                } else {
                    Related::One(group.and_then(|group| group.first().cloned()))
                }
            })
            .collect())
    }

    /// One statement for all keys: each key's rows, in the order of the keys.
    async fn groups(
        &self,
        keys: &[&Vec<Datum>],
        scope: &Scope,
        nested: &Nested,
        reading: &Reading,
    ) -> Result<Vec<Vec<Arc<Record>>>, QueryError> {
        let keyed = nested.page.filter.is_null() && nested.page.after.is_none();
        let mut statement = if keyed { Statement::by_key() } else { Statement::default() };
        let bound = BoundScope::bind(scope, &mut statement);
        let mut source = Source::new(nested.relation.target(), &mut statement);
        let links = &nested.relation.links;
        let arrays: Vec<String> = (0..links.len())
            .map(|place| statement.bind_array(links[place].ty, keys.iter().map(|key| &key[place])))
            .collect();
        let names: Vec<String> = (0..links.len()).map(|place| format!("k{place}")).collect();
        let joined: Vec<String> = links
            .iter()
            .zip(&names)
            .map(|(link, name)| format!("{} = parent.{name}", link.there.replace("{t}", &source.alias)))
            .collect();
        let (plan, body) = rows_of(reading, &nested.selection, &mut source, &bound, &mut statement);
        let in_scope = source.in_scope(&bound);
        let page = match nested.relation.cardinality {
            Cardinality::Many => limits(&nested.page, &mut statement),
            Cardinality::One | Cardinality::Optional => String::new(),
        };
        let budget = statement.bind(self.rows_left() + 1);
        statement.push(&format!(
            "SELECT parent.place, child.* FROM unnest({}) WITH ORDINALITY AS parent ({}, place) CROSS JOIN LATERAL \
             (SELECT {} FROM {} WHERE {} AND {in_scope}{body}{page}) AS child LIMIT {budget}::bigint",
            arrays.join(", "),
            names.join(", "),
            plan.columns.select_list(),
            source.table_and_joins(&bound),
            joined.join(" AND "),
        ));
        self.check_all_derived(scope, &statement)?;
        let rows = self.query(&statement).await?;
        self.count_rows(rows.len())?;
        let records = rows.iter().map(|row| self.record(row, 1, &plan, scope)).collect::<Result<_, _>>()?;
        let records = self.with_related(records, &plan, scope, &nested.selection).await?;
        let mut groups = vec![Vec::new(); keys.len()];
        for (row, record) in rows.iter().zip(records) {
            let place: i64 = row.try_get(0)?;
            let group = usize::try_from(place - 1).ok().and_then(|place| groups.get_mut(place));
            group.expect("the database counts the keys it was given from 1").push(record);
        }
        Ok(groups)
    }
}

/// The select list of a selection, and the conditions and the order that come behind the join or the scope.
fn rows_of(
    reading: &Reading,
    selection: &Selection,
    source: &mut Source,
    scope: &BoundScope,
    statement: &mut Statement,
) -> (Plan, String) {
    let sorted_by = reading.order.columns(source, scope, statement);
    let plan = plan(selection, reading.order, &sorted_by, source, scope);
    let condition = condition::write(&reading.filter, source, scope, statement);
    let behind = match &reading.after {
        Some(values) => format!(" AND {}", reading.order.behind(&sorted_by, values, statement)),
        None => String::new(),
    };
    let condition = if condition == "TRUE" { String::new() } else { format!(" AND {condition}") };
    (plan, format!("{condition}{behind} ORDER BY {}", reading.order.list(&sorted_by)))
}

fn plan(
    selection: &Selection,
    order: Order,
    sorted_by: &[(String, SqlType)],
    source: &mut Source,
    scope: &BoundScope,
) -> Plan {
    let mut columns = Columns::default();
    let mut shape = Shape::default();
    let (mut wants_cursor, mut finality) = (None, None);
    for field in &selection.fields {
        let sql = source.field(field, scope);
        // What is written into the record afterwards has a column of its own.
        let sql = if matches!(field.kind, Kind::Finality | Kind::Cursor) { format!("({sql})") } else { sql };
        let place = columns.place(&sql, field.ty);
        match field.kind {
            Kind::Cursor => wants_cursor = Some(place),
            Kind::Finality => finality = Some(place),
            _ => {}
        }
        shape.fields.push((field.name, place));
    }
    let cursor = wants_cursor.map(|to| {
        let from = sorted_by.iter().map(|(sql, ty)| columns.place(sql, *ty)).collect();
        (from, to)
    });
    let chain = (cursor.is_some() || finality.is_some())
        .then(|| columns.place(&format!("{}.chain_id", source.alias), SqlType::Integer));
    let mut links = Vec::new();
    for nested in &selection.relations {
        shape.relations.push(nested.key.clone());
        let places = nested.relation.links.iter();
        links.push(places.map(|link| columns.place(&link.here.replace("{t}", &source.alias), link.ty)).collect());
    }
    if columns.is_empty() {
        columns.place("TRUE", SqlType::Boolean);
    }
    Plan { columns, shape: Arc::new(shape), links, cursor, finality, chain, order, entity: selection.entity }
}

fn limits(page: &Page, statement: &mut Statement) -> String {
    let limit = format!(" LIMIT {}::bigint", statement.bind(page.first));
    if page.skip == 0 { limit } else { format!("{limit} OFFSET {}::bigint", statement.bind(page.skip)) }
}

/// The types of the values that a cursor of this order holds.
fn types_of(order: Order, entity: &Entity) -> Vec<SqlType> {
    let mut types = order.field_type().into_iter().collect::<Vec<_>>();
    types.extend(entity.key.iter().map(|part| part.ty));
    types
}

fn check_range(page: &Page) -> Result<(), QueryError> {
    if !(1..=MAX_FIRST).contains(&page.first) {
        let first = page.first;
        return Err(QueryError::BadInput(format!(
            "The `first` argument must be between 1 and {MAX_FIRST}, but is {first}"
        )));
    }
    if page.skip < 0 {
        let skip = page.skip;
        return Err(QueryError::BadInput(format!(
            "The `skip` argument must be between 0 and {}, but is {skip}",
            i32::MAX
        )));
    }
    Ok(())
}

/// The name of a finality in the schema.
#[must_use]
pub fn finality_name(finality: crate::block::Finality) -> &'static str {
    match finality {
        crate::block::Finality::Unsafe => "UNSAFE",
        crate::block::Finality::Preconfirmed => "PRECONFIRMED",
        crate::block::Finality::Safe => "SAFE",
        crate::block::Finality::Finalized => "FINALIZED",
    }
}
