//! FROM: an entity's rows in a statement, and expressions over them.

use super::entity::{Entity, Field, INTERVAL, Life, Link, Template};
use super::interval::Interval;
use super::pin::BoundScope;
use super::sql::{SqlType, Statement};

/// An entity's rows under an alias, with the joins that its expressions turned out to need.
pub(super) struct Source {
    pub(super) entity: &'static Entity,
    pub(super) alias: String,
    joins: Vec<String>,
    /// The intervals that an aggregation counts.
    interval: Interval,
}

impl Source {
    pub(super) fn new(entity: &'static Entity, statement: &mut Statement) -> Self {
        Self::by(entity, Interval::Hour, statement)
    }

    /// Rows of an aggregation that counts such intervals.
    pub(super) fn by(entity: &'static Entity, interval: Interval, statement: &mut Statement) -> Self {
        statement.reads(entity);
        Self { entity, alias: statement.alias(), joins: Vec::new(), interval }
    }

    /// `table alias` with the joins so far.
    pub(super) fn table_and_joins(&self, scope: &BoundScope) -> String {
        let table = self.entity.table.expect("an entity without a table is answered without a statement");
        let table = expand(table, &self.alias, scope).replace(INTERVAL, &self.interval.seconds().to_string());
        format!("{table} {}{}", self.alias, self.joins.concat())
    }

    /// The condition that a row is of the scope.
    pub(super) fn in_scope(&mut self, scope: &BoundScope) -> String {
        format!("{}{}", scope.of_networks(&self.alias), self.and_holds(scope))
    }

    /// The condition that a row holds, to be appended to another one.
    pub(super) fn and_holds(&mut self, scope: &BoundScope) -> String {
        let holds = match self.entity.life {
            Life::Version => format!(" AND {}", scope.live(&self.alias)),
            Life::Fact if scope.is_pinned() => format!(" AND {}", scope.begun(&self.alias)),
            Life::Since(column) if scope.is_pinned() => {
                format!(" AND {}", scope.reached(&format!("{}.{column}", self.alias)))
            }
            // Every bound parameter must stand in the text, or Postgres cannot tell its type.
            Life::Always if scope.is_pinned() => format!(" AND {}", scope.any_block(&self.alias)),
            Life::Fact | Life::Since(_) | Life::Always => String::new(),
        };
        let only = self.entity.only.map(|only| format!(" AND {}", self.template(only, scope)));
        holds + &only.unwrap_or_default()
    }

    /// A field's value.
    pub(super) fn field(&mut self, field: &Field, scope: &BoundScope) -> String {
        self.template(field.sql, scope)
    }

    /// What a field sorts by, and its type.
    pub(super) fn order_of(&mut self, field: &Field, scope: &BoundScope) -> (String, SqlType) {
        let (template, ty) = field.order.unwrap_or((field.sql, field.ty));
        let sql = self.template(template, scope);
        match ty {
            // Texts of any length must fit a cursor: their beginning decides, then the id.
            SqlType::Text => (format!("left({sql}, 256) COLLATE \"C\""), ty),
            _ => (sql, ty),
        }
    }

    /// The columns of the key, in order.
    pub(super) fn key(&self) -> Vec<(String, SqlType)> {
        self.entity.key.iter().map(|part| (part.sql.replace("{t}", &self.alias), part.ty)).collect()
    }

    /// The block of the row's last change.
    pub(super) fn changed(&mut self, scope: &BoundScope) -> String {
        self.template(self.entity.changed, scope)
    }

    /// The condition that a row is related to the row of another alias.
    pub(super) fn joined_to(&self, links: &[Link], other: &str) -> String {
        let pairs: Vec<String> = links
            .iter()
            .map(|link| format!("{} = {}", link.there.replace("{t}", &self.alias), link.here.replace("{t}", other)))
            .collect();
        pairs.join(" AND ")
    }

    /// Expands a template of the entity.
    pub(super) fn template(&mut self, template: Template, scope: &BoundScope) -> String {
        let (sql, join) = match (scope.is_pinned(), template.pinned, template.pinned_join) {
            (true, Some(pinned), join) => (pinned, join),
            (true, None, Some(join)) => (template.latest, Some(join)),
            _ => (template.latest, template.join),
        };
        if let Some(join) = join {
            let join = expand(join, &self.alias, scope);
            if !self.joins.contains(&join) {
                self.joins.push(join);
            }
        }
        expand(sql, &self.alias, scope)
    }
}

/// The form that stands for the age from which a validation is called expired.
const EXPIRES_AFTER: &str = "{expires_after}";

/// The form that stands for what a leaderboard is of.
const ASPECT: &str = "{aspect}";

/// What writes the SQL of one form of a template, given its argument.
type Write<'a> = &'a dyn Fn(&str) -> String;

/// Puts the alias and the block into a template.
pub(super) fn expand(template: &str, alias: &str, scope: &BoundScope) -> String {
    let mut sql = template.replace("{t}", alias);
    if sql.contains(EXPIRES_AFTER) {
        // A number of the configuration's, no client's: it may stand in the text.
        sql = sql.replace(EXPIRES_AFTER, &format!("{}::bigint", scope.validation_expires_after));
    }
    if sql.contains(ASPECT) {
        sql = sql.replace(ASPECT, &scope.aspect());
    }
    let networks = |row: &str| scope.of_networks(row);
    let live = |row: &str| scope.live(row);
    let begun = |row: &str| scope.begun(row);
    let reached = |column: &str| scope.reached(column);
    let clock = |row: &str| scope.clock(row);
    let block = |row: &str| scope.block(row);
    let forms: [(&str, Write<'_>); 6] = [
        ("{live ", &live),
        ("{begun ", &begun),
        ("{reached ", &reached),
        ("{clock ", &clock),
        ("{block ", &block),
        ("{networks ", &networks),
    ];
    for (opening, write) in forms {
        while let Some(start) = sql.find(opening) {
            let Some(length) = sql[start..].find('}') else { break };
            let argument = sql[start + opening.len()..start + length].to_owned();
            sql.replace_range(start..=start + length, &write(&argument));
        }
    }
    sql
}
