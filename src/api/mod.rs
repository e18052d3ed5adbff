//! What the node answers over HTTP.

pub mod graphiql;
