//! What the node answers over HTTP.
//!
//! GraphQL in The Graph's dialect: a thin layer over the store's questions. The schema is generated from the store's
//! description of the entities; a resolver reads what a query selects, asks the store for the whole tree, and writes out what
//! came back.

mod argument;
mod cache;
mod document;
mod documents;
mod error;
mod files;
mod gate;
pub mod graphiql;
mod headers;
mod lexer;
mod ops;
mod router;
mod scalar;
mod schema;
mod selection;
mod session;
mod socket;
mod tree;

pub use self::error::Code;
pub use self::router::{ApiState, router};
pub use self::schema::{build as build_schema, sdl};
