//! What a key alone says about a filter: a change that cannot concern a subscriber costs no statement.

use crate::store::query::condition::own_columns;
use crate::store::query::entity::Entity;
use crate::store::query::filter::{Filter, IdTest};
use crate::store::query::id::ParsedId;

/// Whether no row of this key can pass, whatever else it holds.
pub(super) fn is_outside(filter: &Filter, entity: &Entity, key: &ParsedId) -> bool {
    passes(filter, entity, key) == Some(false)
}

/// Whether a row of this key passes; nothing where that takes more than the key.
fn passes(filter: &Filter, entity: &Entity, key: &ParsedId) -> Option<bool> {
    match filter {
        Filter::Constant(constant) => Some(*constant),
        Filter::Not(inner) => passes(inner, entity, key).map(|passes| !passes),
        Filter::All(inner) => all(inner.iter().map(|filter| passes(filter, entity, key))),
        Filter::Any(inner) => {
            all(inner.iter().map(|filter| passes(filter, entity, key).map(|passes| !passes))).map(|none| !none)
        }
        Filter::Id(test) => is_one_of(test, key),
        Filter::Related(relation, inner) => {
            let columns = own_columns(relation)?;
            let places = columns.iter().map(|column| entity.key.iter().position(|part| part.sql == *column));
            let related: ParsedId = places.map(|place| Some(key.get(place?)?.clone())).collect::<Option<_>>()?;
            match inner.as_ref() {
                Filter::Id(test) => is_one_of(test, &related),
                // As in SQL: not to be related to any of these.
                Filter::Not(inner) => match inner.as_ref() {
                    Filter::Id(test) => is_one_of(test, &related).map(|is_one| !is_one),
                    _ => None,
                },
                _ => None,
            }
        }
        Filter::Field(..) | Filter::ChangedSince(_) => None,
    }
}

/// Whether all hold: a single no decides, whatever is not known.
fn all(parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let parts: Vec<Option<bool>> = parts.collect();
    if parts.contains(&Some(false)) { Some(false) } else { parts.into_iter().collect::<Option<Vec<_>>>().map(|_| true) }
}

fn is_one_of(test: &IdTest, key: &ParsedId) -> Option<bool> {
    let IdTest::In(ids) = test else { return None };
    // A part that an id does not tell is left open.
    let is_same = |id: &ParsedId| {
        id.len() == key.len() && id.iter().zip(key).all(|(one, other)| one.is_none() || other.is_none() || one == other)
    };
    Some(ids.iter().any(is_same))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::is_outside;
    use crate::store::query::entity::named;
    use crate::store::query::filter::Reader;
    use crate::store::query::networks::Contracts;

    fn outside(entity: &str, filter: &Value, key: &str) -> bool {
        let (entity, contracts) = (named(entity).expect("an entity"), Contracts::default());
        let reader = Reader { contracts: &contracts, chain_id: Some(167_000) };
        let filter = reader.filter(entity, filter).expect("a filter");
        is_outside(&filter, entity, &(entity.parse_id)(key, &contracts).expect("an id"))
    }

    #[test]
    fn an_id_rules_out_all_others() {
        for (filter, is_in, is_out) in [
            (json!({"id": "167000:7"}), "167000:7", "167000:8"),
            (json!({"id_in": ["167000:7", "167000:9"], "owner": "0x12"}), "167000:9", "167000:8"),
            (json!({"id_not": "167000:7"}), "167000:8", "167000:7"),
            (json!({"or": [{"id": "167000:7"}, {"id": "167000:9"}]}), "167000:9", "167000:8"),
            (json!({"and": [{"id_in": []}, {"owner": "0x12"}, {"or": []}]}), "none", "167000:8"),
        ] {
            assert!(is_in == "none" || !outside("Agent", &filter, is_in), "{filter}");
            assert!(outside("Agent", &filter, is_out), "{filter}");
        }
    }

    #[test]
    fn what_takes_the_row_is_not_ruled_out() {
        for filter in [json!({}), json!({"owner": "0x12"}), json!({"or": [{"id": "167000:7"}, {"owner": "0x12"}]})] {
            assert!(!outside("Agent", &filter, "167000:8"), "{filter}");
        }
    }

    #[test]
    fn the_id_of_what_it_belongs_to_rules_out_too() {
        let (seven, eight) = (format!("167000:7:0x{}:1", "ab".repeat(20)), format!("167000:8:0x{}:1", "ab".repeat(20)));
        for filter in [json!({"agent": "167000:7"}), json!({"agent_in": ["167000:7"], "tag1": "a"})] {
            assert!(outside("Feedback", &filter, &eight) && !outside("Feedback", &filter, &seven), "{filter}");
        }
        assert!(outside("Feedback", &json!({"agent_not": "167000:7"}), &seven));
        assert!(!outside("Feedback", &json!({"agent_": {"owner": "0x12"}}), &seven));
    }
}
