//! `leaderboard`: agents in the order of what is said of them.

use std::sync::Arc;

use async_graphql::dynamic::{Field, FieldFuture, FieldValue, Object, ResolverContext, SchemaBuilder, TypeRef};

use super::{block_argument, chain_argument, described, entity as entities, finality_argument, input};
use crate::api::argument::Arguments;
use crate::api::error::from_query;
use crate::api::selection;
use crate::api::session::Session;
use crate::api::tree::{Tree, hand_out};
use crate::store::query::entity::leaderboard;
use crate::store::query::{LeaderboardQuestion, Page};

/// Adds the root.
pub(super) fn add_root(query: Object) -> Object {
    let least = |name, doc| described(name, TypeRef::named("BigInt"), doc);
    let field = Field::new("leaderboard", TypeRef::named_nn_list_nn("LeaderboardRow"), |ctx| {
        FieldFuture::new(async move { rows(&ctx).await })
    })
    .description(
        "Agents in the order of what feedback says of them: their ratings, or the feedback of one first tag. Agents of whom \
         nothing such stands are not in it. The best come first, by `score`, where nothing else is asked.",
    )
    .argument(described(
        "tag1",
        TypeRef::named(TypeRef::STRING),
        "Rank by the feedback with exactly this first tag; without it, or empty: by ratings.",
    ))
    .argument(least("minFeedback", "Only agents with at least so much of that feedback."))
    .argument(least("minClients", "Only agents with that feedback by at least so many clients."))
    .argument(least("activeSince", "Only agents who were given such feedback at this time or later, in seconds since 1970."));
    query.field(
        input::with_page_in_order(field, leaderboard(), "score", "desc")
            .argument(block_argument())
            .argument(chain_argument())
            .argument(finality_argument()),
    )
}

/// Adds the types.
pub(super) fn register(builder: SchemaBuilder) -> SchemaBuilder {
    entities::register(builder, leaderboard())
}

async fn rows(ctx: &ResolverContext<'_>) -> async_graphql::Result<Option<FieldValue<'static>>> {
    let session = ctx.data::<Arc<Session>>()?;
    let arguments = Arguments::of(&ctx.args);
    let descending = arguments.text("orderDirection").as_deref() != Some("asc");
    let question = LeaderboardQuestion {
        tag1: arguments.text("tag1"),
        min_feedback: arguments.text("minFeedback"),
        min_clients: arguments.text("minClients"),
        active_since: arguments.text("activeSince"),
        page: Page { descending, ..arguments.page() },
    };
    let when = arguments.when(session)?;
    let selection = selection::of(leaderboard(), &[ctx.field()])?;
    let snapshot = session.snapshot(ctx.ctx).await?;
    let scope = snapshot.scope(&when).await.map_err(from_query)?;
    let records = snapshot.leaderboard(&scope, &question, &selection).await.map_err(from_query)?;
    Ok(hand_out(Tree::of(leaderboard(), &[ctx.field()]).all(&records)?))
}
