//! What a query selects, read ahead of any statement.

use async_graphql::SelectionField;

use super::argument::Arguments;
use crate::store::query::entity::Entity;
use crate::store::query::{Nested, Selection};

/// Everything selected of an entity below these fields, which have one name in the answer.
pub(super) fn of(
    entity: &'static Entity,
    fields: &[SelectionField<'_>],
) -> Result<Selection, async_graphql::ServerError> {
    let mut selection = Selection { entity, fields: Vec::new(), relations: Vec::new() };
    // Fields of one name in the answer have the same arguments (`document` sees to it), and their selections add up.
    let mut relations: Vec<(String, Vec<SelectionField<'_>>)> = Vec::new();
    for selected in fields.iter().flat_map(SelectionField::selection_set) {
        if let Some(field) = entity.field(selected.name()) {
            if !selection.fields.iter().any(|known| known.name == field.name) {
                selection.fields.push(field);
            }
        } else if entity.relation(selected.name()).is_some() {
            let key = selected.alias().unwrap_or(selected.name());
            match relations.iter_mut().find(|(known, _)| known == key) {
                Some((_, same)) => same.push(selected),
                None => relations.push((key.to_owned(), vec![selected])),
            }
        }
    }
    for (key, same) in relations {
        let Some(relation) = entity.relation(same[0].name()) else { continue };
        let arguments = same[0].arguments()?.into_iter().map(|(name, value)| (name.to_string(), value));
        selection.relations.push(Nested {
            key,
            relation,
            page: Arguments::from_pairs(arguments).page(),
            selection: of(relation.target(), &same)?,
        });
    }
    Ok(selection)
}
