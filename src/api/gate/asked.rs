//! What a query is counted as: its root fields, those that search apart. Pure.
//!
//! Each root counts, so that a query with ten of them is worth ten queries. What tells of the schema and of the node itself
//! (`__schema`, `_meta`) is free.

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};

/// How many root fields of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::api) struct Asked {
    pub(in crate::api) lookups: u32,
    pub(in crate::api) searches: u32,
}

impl Asked {
    /// Of the operation of a document that is meant, once the document is known to be of a measured size. Mutations count
    /// for themselves, by what they do.
    pub(in crate::api) fn of(document: &ExecutableDocument, operation_name: Option<&str>) -> Self {
        let mut asked = Self::default();
        let Some(operation) = meant(document, operation_name) else { return asked };
        if operation.ty == OperationType::Mutation {
            return asked;
        }
        let mut open: Vec<&SelectionSet> = vec![&operation.selection_set.node];
        while let Some(set) = open.pop() {
            for item in &set.items {
                match &item.node {
                    Selection::Field(field) => asked.add(&field.node.name.node),
                    Selection::InlineFragment(fragment) => open.push(&fragment.node.selection_set.node),
                    Selection::FragmentSpread(spread) => {
                        let fragment = document.fragments.get(&spread.node.fragment_name.node);
                        open.extend(fragment.map(|fragment| &fragment.node.selection_set.node));
                    }
                }
            }
        }
        asked
    }

    fn add(&mut self, root: &str) {
        if root.starts_with('_') {
            return;
        }
        let is_search = root.ends_with("Search");
        let count = if is_search { &mut self.searches } else { &mut self.lookups };
        *count = count.saturating_add(1);
    }
}

/// The operation that is executed; nothing where validation will tell that there is none.
fn meant<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Option<&'a OperationDefinition> {
    let operation = match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) => {
            operations.values().next().filter(|_| operations.len() == 1)
        }
    };
    operation.map(|operation| &operation.node)
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::Asked;

    #[test]
    fn each_root_counts() {
        for (query, name, lookups, searches) in [
            ("{ agents { id } }", None, 1, 0),
            ("{ a: agents { id } b: agents { id } agentSearch(text: \"x\") { id } }", None, 2, 1),
            ("{ _meta { cursor } __schema { types { name } } __typename }", None, 0, 0),
            (
                "{ ...R ...R ... { agents { id } } } fragment R on Query { s: agentSearch { id } agent { id } }",
                None,
                3,
                2,
            ),
            ("query A { agents { id } } query B { agentSearch { id } }", Some("B"), 0, 1),
            ("query A { agents { id } } query B { agentSearch { id } }", Some("C"), 0, 0),
            ("query A { agents { id } }", None, 1, 0),
            ("query A { agents { id } } query B { agents { id } }", None, 0, 0),
            ("subscription { agents { id } }", None, 1, 0),
            ("mutation { submitFeedback { id } }", None, 0, 0),
        ] {
            let document = parse_query(query).expect("this is a query");
            assert_eq!(Asked::of(&document, name), Asked { lookups, searches }, "{query}");
        }
    }
}
