//! What the node answers over HTTP.
//!
//! GraphQL in The Graph's dialect: a thin layer over the store's questions. The schema is generated from the store's
//! description of the entities; a resolver reads what a query selects, asks the store for the whole tree, and hands out
//! what came back.

mod argument;
mod error;
pub mod graphiql;
mod ops;
mod router;
mod scalar;
mod schema;
mod selection;
mod session;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

pub use self::error::Code;
pub use self::router::{ApiState, router};
pub use self::schema::{build as build_schema, sdl};

/// Everything that the node answers: GraphQL and its page, liveness, readiness, metrics.
pub fn server(state: ApiState, recorder: Option<PrometheusHandle>) -> Router {
    let page = Router::new()
        .route("/graphql", get(graphiql::page))
        .route("/graphql/{chain_id}", get(graphiql::page))
        .merge(graphiql::routes());
    router(state.clone()).merge(page).merge(ops::routes(state, recorder)).layer(from_fn(ops::measure))
}
