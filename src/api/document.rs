//! Queries as written, before they are validated: how large they are once their fragments are written out.
//!
//! A fragment that spreads another one twice doubles it: thirty such fragments in a kilobyte stand for a thousand
//! million selections, and validation would walk them all, on a thread that no deadline can stop. So a query is
//! measured before it is validated: each fragment once, in time that grows with the query's text alone.

use std::collections::HashMap;

use async_graphql::Name;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// Most selections of a query, its fragments written out: more than a body of 100 kB holds without fragments.
const MAX_SELECTIONS: u64 = 50_000;

/// Deepest nesting of selections and fragments that is measured; async-graphql refuses 32.
const MAX_DEPTH: usize = 64;

/// Whether the query, written out, is larger than this node reads. A fragment that leads to itself is.
pub(super) fn is_too_large(document: &ExecutableDocument) -> bool {
    let mut measure = Measure { document, known: HashMap::new() };
    let operations = document.operations.iter();
    let all = operations.map(|(_, operation)| measure.selections(&operation.node.selection_set.node, 0));
    all.fold(0_u64, u64::saturating_add) > MAX_SELECTIONS
}

struct Measure<'a> {
    document: &'a ExecutableDocument,
    /// What is known of fragments; nothing of one that is being measured.
    known: HashMap<&'a Name, Option<u64>>,
}

impl<'a> Measure<'a> {
    fn selections(&mut self, set: &'a SelectionSet, depth: usize) -> u64 {
        if depth > MAX_DEPTH {
            return u64::MAX;
        }
        let mut sum = 0_u64;
        for item in &set.items {
            let below = match &item.node {
                Selection::Field(field) => self.selections(&field.node.selection_set.node, depth + 1),
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set.node, depth + 1),
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, depth + 1),
            };
            sum = sum.saturating_add(below).saturating_add(1);
        }
        sum
    }

    fn fragment(&mut self, name: &Name, depth: usize) -> u64 {
        // Validation tells of a fragment that does not exist.
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else { return 0 };
        if let Some(known) = self.known.get(name) {
            return known.unwrap_or(u64::MAX);
        }
        self.known.insert(name, None);
        let sum = self.selections(&fragment.node.selection_set.node, depth);
        self.known.insert(name, Some(sum));
        sum
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use async_graphql::parser::parse_query;

    use super::is_too_large;

    /// Fragments each of which spreads the next one so many times.
    fn chain(fragments: usize, times: usize) -> String {
        let mut query = "{ ...F0 } ".to_owned();
        for number in 0..fragments {
            let spreads = format!("...F{} ", number + 1).repeat(times);
            write!(query, "fragment F{number} on Query {{ {spreads}}} ").expect("writing to a String cannot fail");
        }
        query + &format!("fragment F{fragments} on Query {{ __typename }}")
    }

    fn refused(query: &str) -> bool {
        is_too_large(&parse_query(query).expect("this is a query"))
    }

    #[test]
    fn fragments_count_as_often_as_they_are_spread() {
        assert!(!refused(&chain(10, 2)));
        assert!(refused(&chain(16, 2)));
        assert!(refused(&chain(60, 2)));
        assert!(refused(&chain(2_000, 1)), "deeper than anything that is answered");
    }

    #[test]
    fn a_fragment_that_leads_to_itself_is_refused() {
        assert!(refused("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A ...A }"));
    }

    #[test]
    fn a_query_without_fragments_is_as_large_as_its_text() {
        assert!(!refused(&format!("{{ {} }}", "agents { id } ".repeat(7_000))));
        assert!(!refused("{ agents { ...Missing } }"));
    }
}
