//! Queries as written, before they are validated: how large they are once their fragments are written out, and whether
//! fields of one name in the answer are the same field.
//!
//! async-graphql compares only fields that stand side by side. Two lists of one name with different arguments, one of
//! them in a fragment, would be merged into an answer to neither, so they are compared here through the whole query.
//!
//! A fragment that spreads another one twice doubles it: thirty such fragments in a kilobyte stand for a thousand
//! million selections, and validation would walk them all, on a thread that no deadline can stop. So a query is
//! measured before it is validated: each fragment once, in time that grows with the query's text alone.

use std::collections::HashMap;

use async_graphql::Name;
use async_graphql::parser::types::{ExecutableDocument, Field, OperationType, Selection, SelectionSet};

use super::error::Code;
use super::lexer;

/// How much of a query is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most names, numbers, texts and signs of its text.
    pub(super) max_tokens: usize,
    /// Most fields that it renames, its fragments written out.
    pub(super) max_aliases: u64,
}

impl Bounds {
    /// Makes sure that a text is worth parsing, which takes many times what it takes to count.
    ///
    /// # Errors
    /// Code and sentence for the client.
    pub(super) fn measure(self, text: &str) -> Result<(), (Code, String)> {
        if lexer::has_more_tokens_than(text, self.max_tokens) {
            let message = format!("the query has more than {} tokens; put values into variables", self.max_tokens);
            return Err((Code::TooComplex, message));
        }
        Ok(())
    }
}

/// Most selections of a query, its fragments written out: more than a body of 100 kB holds without fragments.
const MAX_SELECTIONS: u64 = 50_000;

/// Deepest nesting of selections and fragments that is measured; async-graphql refuses 32.
const MAX_DEPTH: usize = 64;

/// Fields that tell what no commit tells: how far the chain is, what endpoints said, what a restart configured, what is over.
const OBSERVED: [&str; 14] = [
    "_meta",
    "networks",
    "stateDigest",
    "dispute",
    "disputes",
    "protocol",
    "protocols",
    "offchainValidation",
    "offchainValidations",
    "endpointManifest",
    "endpointManifests",
    "manifest",
    "verifyForward",
    "verifySignature",
];

/// Whether a query has one answer for as long as no commit comes.
pub(super) fn lasts(document: &ExecutableDocument) -> bool {
    let is_query = document.operations.iter().all(|(_, operation)| operation.node.ty == OperationType::Query);
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    let mut open: Vec<&SelectionSet> = operations.chain(fragments).collect();
    while let Some(set) = open.pop() {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) if OBSERVED.contains(&field.node.name.node.as_str()) => return false,
                Selection::Field(field) => open.push(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => open.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    is_query
}

/// Makes sure that a query can be validated in time, and that no two of its fields share a name in the answer unless
/// they are the same.
///
/// # Errors
/// Code and sentence for the client.
pub(super) fn check(document: &ExecutableDocument, bounds: Bounds) -> Result<(), (Code, String)> {
    let size = size(document);
    if size.selections > MAX_SELECTIONS {
        let message = "the query's fragments stand for too many fields; ask for fewer".to_owned();
        return Err((Code::TooComplex, message));
    }
    if size.aliases > bounds.max_aliases {
        let message = format!("the query has more than {} aliases; ask for fewer fields anew", bounds.max_aliases);
        return Err((Code::TooComplex, message));
    }
    let operations = document.operations.iter();
    let conflict =
        operations.into_iter().find_map(|(_, operation)| conflict(document, &[&operation.node.selection_set.node]));
    match conflict {
        None => Ok(()),
        Some(name) => Err((
            Code::BadInput,
            format!(
                "Fields \"{name}\" conflict: they are different fields or have different arguments; give one of them \
                 another alias"
            ),
        )),
    }
}

/// The name in the answer of two fields that differ, somewhere below these selections of one object. No type of this
/// schema has subtypes, so fields of one object meet whatever type their fragment names.
fn conflict<'a>(document: &'a ExecutableDocument, sets: &[&'a SelectionSet]) -> Option<&'a Name> {
    let mut fields: HashMap<&Name, Vec<&Field>> = HashMap::new();
    let mut open: Vec<&SelectionSet> = sets.to_vec();
    while let Some(set) = open.pop() {
        for item in &set.items {
            match &item.node {
                Selection::Field(field) => {
                    fields.entry(&field.node.response_key().node).or_default().push(&field.node);
                }
                Selection::InlineFragment(fragment) => open.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let fragment = document.fragments.get(&spread.node.fragment_name.node);
                    open.extend(fragment.map(|fragment| &fragment.node.selection_set.node));
                }
            }
        }
    }
    fields.into_iter().find_map(|(name, same)| {
        if !same.windows(2).all(|pair| is_same(pair[0], pair[1])) {
            return Some(name);
        }
        let below: Vec<&SelectionSet> = same.iter().map(|field| &field.selection_set.node).collect();
        if below.iter().all(|set| set.items.is_empty()) { None } else { conflict(document, &below) }
    })
}

fn is_same(one: &Field, other: &Field) -> bool {
    one.name.node == other.name.node
        && one.arguments.len() == other.arguments.len()
        && one
            .arguments
            .iter()
            .all(|(name, value)| other.get_argument(&name.node).is_some_and(|same| same.node == value.node))
}

/// What a query selects, written out.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    selections: u64,
    /// Fields that are renamed: the way to ask one thing many times.
    aliases: u64,
}

impl Size {
    /// More than anything.
    const ENDLESS: Self = Self { selections: u64::MAX, aliases: u64::MAX };

    fn and(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
        }
    }
}

/// The size of a query, written out. A fragment that leads to itself has no end.
fn size(document: &ExecutableDocument) -> Size {
    let mut measure = Measure { document, known: HashMap::new() };
    let operations = document.operations.iter();
    let all = operations.map(|(_, operation)| measure.selections(&operation.node.selection_set.node, 0));
    all.fold(Size::default(), Size::and)
}

struct Measure<'a> {
    document: &'a ExecutableDocument,
    /// What is known of fragments; nothing of one that is being measured.
    known: HashMap<&'a Name, Option<Size>>,
}

impl<'a> Measure<'a> {
    fn selections(&mut self, set: &'a SelectionSet, depth: usize) -> Size {
        if depth > MAX_DEPTH {
            return Size::ENDLESS;
        }
        let mut sum = Size::default();
        for item in &set.items {
            let mut itself = Size { selections: 1, aliases: 0 };
            let below = match &item.node {
                Selection::Field(field) => {
                    itself.aliases = u64::from(field.node.alias.is_some());
                    self.selections(&field.node.selection_set.node, depth + 1)
                }
                Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set.node, depth + 1),
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, depth + 1),
            };
            sum = sum.and(below).and(itself);
        }
        sum
    }

    fn fragment(&mut self, name: &Name, depth: usize) -> Size {
        // Validation tells of a fragment that does not exist.
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else { return Size::default() };
        if let Some(known) = self.known.get(name) {
            return known.unwrap_or(Size::ENDLESS);
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

    use super::{Bounds, MAX_SELECTIONS, size};

    const BOUNDS: Bounds = Bounds { max_tokens: 1_000, max_aliases: 4 };

    fn check(document: &async_graphql::parser::types::ExecutableDocument) -> bool {
        super::check(document, BOUNDS).is_ok()
    }

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
        size(&parse_query(query).expect("this is a query")).selections > MAX_SELECTIONS
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

    #[test]
    fn aliases_count_as_often_as_they_are_written_out() {
        for (query, aliases) in [
            ("{ agents { id owner } }", 0),
            ("{ a: agents { b: id owner } agents { id } }", 2),
            ("{ agents { ...F } feedbacks { agent { ...F } } } fragment F on Agent { a: id b: owner }", 4),
        ] {
            assert_eq!(size(&parse_query(query).expect("this is a query")).aliases, aliases, "{query}");
        }
        let many = |count: usize| (0..count).map(|number| format!("a{number}: agents {{ id }} ")).collect::<String>();
        let is_taken = |count| check(&parse_query(format!("{{ {} }}", many(count))).expect("this is a query"));
        assert!(is_taken(4) && !is_taken(5));
    }

    #[test]
    fn what_no_commit_tells_does_not_last() {
        let lasts = |query: &str| super::lasts(&parse_query(query).expect("this is a query"));
        assert!(lasts("{ agents { id feedback { value } } x: reputationSummary(agent: \"1:2\") { count } }"));
        for query in [
            "{ agents { id } _meta { block { number } } }",
            "{ ...Rest } fragment Rest on Query { ... on Query { head: networks { head { number } } } }",
            "query A { agents { id } } query B { disputes { id } }",
            "subscription { agents { op } }",
        ] {
            assert!(!lasts(query), "{query}");
        }
    }

    #[test]
    fn fields_of_one_name_must_be_the_same_wherever_they_stand() {
        let is_refused = |query: &str| !check(&parse_query(query).expect("this is a query"));
        for query in [
            "{ agents { feedback(first: 1) { id } ... on Agent { feedback(first: 2) { id } } } }",
            "{ agents { x: feedback { id } ...More } } fragment More on Agent { x: metadata { id } }",
            "{ a: agents { f: feedback(first: 1) { id } } a: agents { f: feedback { id } } }",
            "{ agents(first: 1) { id } ... on Query { agents(first: 2) { id } } }",
            "query($n: Int) { agents(first: $n) { id } ... { agents(first: 1) { id } } }",
        ] {
            assert!(is_refused(query), "{query}");
        }
        for query in [
            "{ agents { a: feedback(first: 1) { id } b: feedback(first: 2) { id } } }",
            "{ agents(first: 1) { id } ... on Query { agents(first: 1) { owner } } }",
            "query($n: Int) { agents(first: $n, skip: 1) { id id } agents(skip: 1, first: $n) { owner } }",
        ] {
            assert!(!is_refused(query), "{query}");
        }
    }
}
