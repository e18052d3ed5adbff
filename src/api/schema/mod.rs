//! The GraphQL schema, generated from the entities' description in The Graph's dialect.
//!
//! Validation is strict: the standard's clients rely on unknown `where` keys being refused, and in async-graphql's fast
//! mode they would pass and return unfiltered rows.

mod client;
mod digest;
mod entity;
mod forward;
mod input;
mod intent;
mod leaderboard;
mod meta;
mod mutation;
mod network;
mod reputation;
mod series;
mod signing;
mod subscription;
mod validation;

use std::any::Any;
use std::sync::Arc;

use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, InputObject, InputValue, Object, Schema, SchemaBuilder, TypeRef,
};
use async_graphql::{SDLExportOptions, ValidationMode, Value};

use super::error::Codes;
use super::scalar;
use crate::config::Api;
use crate::store::query::entity::all;
use crate::submit::Submitter;

/// The schema that this configuration serves: its limits are part of it. Documents are handed to the submitter; without one
/// none are taken.
///
/// # Panics
/// When the description of the entities contradicts itself; a test builds the schema.
#[must_use]
pub fn build(config: &Api, submitter: Option<Arc<Submitter>>) -> Schema {
    let query = Object::new("Query").description("Everything that can be asked.");
    let query = all().iter().fold(query, |query, entity| entity::add_roots(query, entity));
    let query = meta::add_root(query);
    let query = network::add_root(query);
    let query = reputation::add_root(query);
    let query = leaderboard::add_root(query);
    let query = series::add_root(query);
    let query = client::add_roots(query);
    let query = validation::add_root(query);
    let query = intent::add_root(query);
    let query = forward::add_root(signing::add_roots(digest::add_root(query)));
    let mut builder = Schema::build("Query", Some("Mutation"), Some("Subscription"))
        .validation_mode(ValidationMode::Strict)
        .limit_depth(config.max_depth)
        .limit_complexity(config.max_complexity)
        .extension(Codes)
        .register(query);
    for scalar in scalar::all() {
        builder = builder.register(scalar);
    }
    builder = common(builder);
    builder = all().iter().fold(builder, |builder, entity| entity::register(builder, entity));
    for choice in entity::choices() {
        let values = choice.values.iter().map(|(name, doc)| EnumItem::new(*name).description(*doc));
        builder = builder.register(Enum::new(choice.name).description(choice.doc).items(values));
    }
    let builder = digest::register(reputation::register(network::register(meta::register(builder))));
    let builder = client::register(series::register(leaderboard::register(builder)));
    let mut builder = subscription::register(intent::register(validation::register(builder)));
    builder = forward::register(signing::register(mutation::register(builder)));
    if let Some(submitter) = submitter {
        builder = builder.data(submitter);
    }
    builder.finish().expect("the entities describe a schema without contradictions")
}

/// The schema's definition, as `schema.graphql` has it.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().prefer_single_line_descriptions();
    let mut sdl = build(&Api::default(), None).sdl_with_options(options).trim().to_owned();
    sdl.push('\n');
    sdl
}

/// Types that several entities share.
fn common(builder: SchemaBuilder) -> SchemaBuilder {
    let item = |name: &str, doc: &str| EnumItem::new(name).description(doc);
    builder
        .register(
            Enum::new("OrderDirection")
                .description("The direction of an order; the id, which breaks ties, has the same.")
                .item(item("asc", "From the least up."))
                .item(item("desc", "From the greatest down.")),
        )
        .register(
            Enum::new("Finality")
                .description("How sure it is that a block stays.")
                .item(item("UNSAFE", "Above the finalized block of a network that tells no more."))
                .item(item("PRECONFIRMED", "Sequenced on L2, not yet proposed on L1."))
                .item(item("SAFE", "Proposed on L1: only a reorganisation of L1 moves it."))
                .item(item("FINALIZED", "Final: it does not move.")),
        )
        .register(
            Enum::new("Aggregation_interval")
                .description("How long the intervals of an aggregation are.")
                .item(item("hour", "Hours, in UTC."))
                .item(item("day", "Days, in UTC.")),
        )
        .register(
            Enum::new("Aggregation_current")
                .description(
                    "Whether an aggregation tells the interval under way: the one that holds the network's newest event.",
                )
                .item(item("exclude", "Only intervals that have ended."))
                .item(item("include", "The one under way too, as far as it has come.")),
        )
        .register(
            Enum::new("_SubgraphErrorPolicy_")
                .description(
                    "What to do about indexing errors. Taken for The Graph's clients: this node has none to skip.",
                )
                .item(item("allow", "Answer all the same."))
                .item(item("deny", "Answer only without them.")),
        )
        .register(
            InputObject::new("Block_height")
                .description("The block to answer as of: name it in one way.")
                .field(described("hash", TypeRef::named("Bytes"), "The block of this hash, which must be held."))
                .field(described("number", TypeRef::named(TypeRef::INT), "The block of this height."))
                .field(described(
                    "number_gte",
                    TypeRef::named(TypeRef::INT),
                    "The newest block, once it is at least this high: the node waits for it a little.",
                )),
        )
        .register(
            InputObject::new("BlockChangedFilter")
                .description("Which block an entity last changed at.")
                .field(described("number_gte", TypeRef::named_nn(TypeRef::INT), "At this height or above.")),
        )
}

/// A field that an answer of a type holds.
fn told<T: Any + Send + Sync>(
    name: &str,
    ty: TypeRef,
    doc: &str,
    read: impl Fn(&T) -> Option<Value> + Send + Sync + 'static,
) -> Field {
    Field::new(name, ty, move |ctx| FieldFuture::from_value(ctx.parent_value.downcast_ref::<T>().and_then(&read)))
        .description(doc)
}

/// A whole number of an answer.
fn told_number<T: Any + Send + Sync>(name: &str, doc: &str, read: fn(&T) -> i64) -> Field {
    told(name, TypeRef::named_nn("BigInt"), doc, move |held| Some(Value::from(read(held).to_string())))
}

/// A decimal of an answer, which may be null.
fn told_decimal<T: Any + Send + Sync>(name: &str, doc: &str, read: fn(&T) -> &Option<String>) -> Field {
    told(name, TypeRef::named("BigDecimal"), doc, move |held| {
        read(held).as_deref().map(|text| Value::from(scalar::big_decimal(text)))
    })
}

/// An argument or input field with its description.
fn described(name: impl Into<String>, ty: TypeRef, doc: impl Into<String>) -> InputValue {
    InputValue::new(name, ty).description(doc)
}

/// The argument for one network.
fn chain_argument() -> InputValue {
    described(
        "chainId",
        TypeRef::named(TypeRef::INT),
        "Only of this network; without it, of all that this address answers for.",
    )
}

/// The argument for a block.
fn block_argument() -> InputValue {
    described(
        "block",
        TypeRef::named("Block_height"),
        "Answer as of this block. With several networks a number needs `chainId` too.",
    )
}

/// The argument for a finality.
fn finality_argument() -> InputValue {
    described("minFinality", TypeRef::named("Finality"), "Answer as of the newest block that is at least this final.")
}

#[cfg(test)]
mod tests {
    use async_graphql::dynamic::Schema;

    use super::build;
    use crate::config::Api;

    #[test]
    fn every_type_field_and_argument_is_described() {
        let schema: Schema = build(&Api::default(), None);
        let query = "{ __schema { types { name description fields { name description args { name description } } \
             inputFields { name description } enumValues { name description } } } }";
        let response = futures_util::FutureExt::now_or_never(schema.execute(query)).expect("introspection never waits");
        let data = response.data.into_json().expect("the answer is JSON");
        let mut missing = Vec::new();
        for ty in data["__schema"]["types"].as_array().expect("a list of types") {
            let name = ty["name"].as_str().unwrap_or_default();
            // GraphQL's own types are described by async-graphql, which has no words for ID and takes none.
            if name.starts_with("__") || name == "ID" {
                continue;
            }
            describe(name, ty, &mut missing);
            for list in ["fields", "inputFields", "enumValues"] {
                for member in ty[list].as_array().into_iter().flatten() {
                    let member_name = format!("{name}.{}", member["name"].as_str().unwrap_or_default());
                    describe(&member_name, member, &mut missing);
                    for argument in member["args"].as_array().into_iter().flatten() {
                        let argument_name = argument["name"].as_str().unwrap_or_default();
                        describe(&format!("{member_name}({argument_name})"), argument, &mut missing);
                    }
                }
            }
        }
        assert!(missing.is_empty(), "without a description: {missing:?}");
    }

    fn describe(name: &str, item: &serde_json::Value, missing: &mut Vec<String>) {
        if item["description"].as_str().unwrap_or_default().is_empty() {
            missing.push(name.to_owned());
        }
    }
}
