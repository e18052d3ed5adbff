//! What is not derived yet: a question about it is refused, never answered from what an older program left.
//!
//! An entity says which number its rows need ([`Entity::derivation`]), and each statement that reads them, also for a
//! condition or an order of another entity, is held against the numbers of its networks. A root that writes statements of
//! its own asks [`Snapshot::check_derived`] first.

use super::entity::Entity;
use super::error::QueryError;
use super::networks::Network;
use super::pin::Scope;
use super::snapshot::Snapshot;
use super::sql::Statement;

/// What tells that a statement reads standings, whatever entity it is of: the tables' names, those of versions too. What
/// clients say is bound, and not in the text.
const STANDINGS: [&str; 2] = ["standing", "ranking_version"];

impl Statement {
    /// Notes that it reads an entity's rows.
    pub(super) fn reads(&mut self, entity: &'static Entity) {
        if self.newest.is_none_or(|newest| newest.derivation < entity.derivation) {
            self.newest = Some(entity);
        }
    }
}

impl Snapshot {
    /// Makes sure that a program of at least that number derived all rows of every network of a scope; `what` is the entity
    /// or the root that needs it.
    ///
    /// # Errors
    /// [`QueryError::NotDerived`], with how far that is.
    pub(super) fn check_derived(&self, scope: &Scope, what: &str, needed: i16) -> Result<(), QueryError> {
        self.check(scope, what, |network| network.lacks_derivation(needed))
    }

    /// Makes sure that no network of a scope is backfilled without its standings.
    ///
    /// # Errors
    /// [`QueryError::NotDerived`], with how far that is.
    pub(super) fn check_standings(&self, scope: &Scope, what: &str) -> Result<(), QueryError> {
        self.check(scope, what, Network::lacks_standings)
    }

    fn check(&self, scope: &Scope, what: &str, lacks: impl Fn(&Network) -> Option<String>) -> Result<(), QueryError> {
        for place in scope.places() {
            let Some(network) = self.network(place.chain_id) else { continue };
            if let Some(reason) = lacks(network) {
                let (name, chain_id) = (&network.name, network.chain_id);
                let others = if scope.only().is_some() { "" } else { ", or ask for another network with `chainId`" };
                return Err(QueryError::NotDerived(format!(
                    "{what} of network {name} (chain {chain_id}) cannot be answered for yet: {reason}; ask again \
                     then{others}"
                )));
            }
        }
        Ok(())
    }

    /// [`Snapshot::check_derived`] of every entity that a statement reads, and [`Snapshot::check_standings`] where it reads
    /// those.
    pub(super) fn check_all_derived(&self, scope: &Scope, statement: &Statement) -> Result<(), QueryError> {
        let reads_standings = STANDINGS.iter().any(|table| statement.text.contains(table));
        if reads_standings {
            self.check_standings(scope, statement.newest.map_or("this", |entity| entity.name))?;
        }
        statement.newest.map_or(Ok(()), |entity| self.check_derived(scope, entity.name, entity.derivation))
    }
}

#[cfg(test)]
mod tests {
    use super::{Entity, Statement};
    use crate::store::query::entity::{Life, Template};
    use crate::store::query::source::Source;

    fn entity(name: &'static str, derivation: i16) -> &'static Entity {
        Box::leak(Box::new(Entity {
            name,
            doc: "",
            singular: "",
            plurals: &[],
            fields: vec![],
            relations: vec![],
            derivation,
            table: Some("agent"),
            life: Life::Fact,
            key: vec![],
            parse_id: |_, _| None,
            only: None,
            changed: Template { latest: "{t}.begin_block", join: None, pinned: None, pinned_join: None },
            changing: &[],
        }))
    }

    #[test]
    fn a_statement_needs_what_the_newest_of_its_entities_needs() {
        let (old, new) = (entity("Old", 1), entity("New", 3));
        for order in [[old, new], [new, old]] {
            let mut statement = Statement::default();
            assert!(statement.newest.is_none());
            for entity in order {
                Source::new(entity, &mut statement);
            }
            assert_eq!(statement.newest.map(|entity| entity.name), Some("New"));
        }
    }
}
