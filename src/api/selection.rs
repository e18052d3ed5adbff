//! What a query selects, read ahead of any statement.

use async_graphql::SelectionField;
use async_graphql::indexmap::IndexMap;

use super::argument::Arguments;
use crate::store::query::entity::Entity;
use crate::store::query::{Nested, Selection};

/// What is selected below fields that have one name in the answer, by its own names there, in the order of the query.
///
/// Fields of one name in the answer have the same arguments (`document` sees to it), and their selections add up.
pub(super) fn by_name<'a>(fields: &[SelectionField<'a>]) -> IndexMap<&'a str, Vec<SelectionField<'a>>> {
    let mut selected: IndexMap<&str, Vec<SelectionField<'_>>> = IndexMap::new();
    for field in fields.iter().flat_map(SelectionField::selection_set) {
        selected.entry(field.alias().unwrap_or(field.name())).or_default().push(field);
    }
    selected
}

/// Everything selected of an entity below these fields, which have one name in the answer.
pub(super) fn of(
    entity: &'static Entity,
    fields: &[SelectionField<'_>],
) -> Result<Selection, async_graphql::ServerError> {
    let mut selection = Selection { entity, fields: Vec::new(), relations: Vec::new() };
    for (key, same) in by_name(fields) {
        if let Some(field) = entity.field(same[0].name()) {
            if !selection.fields.iter().any(|known| known.name == field.name) {
                selection.fields.push(field);
            }
        } else if let Some(relation) = entity.relation(same[0].name()) {
            let arguments = same[0].arguments()?.into_iter().map(|(name, value)| (name.to_string(), value));
            selection.relations.push(Nested {
                key: key.to_owned(),
                relation,
                page: Arguments::from_pairs(arguments).page(),
                selection: of(relation.target(), &same)?,
            });
        }
    }
    Ok(selection)
}
