//! Every integration test, in one binary: linking is the expensive part.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

mod abi;
mod analytics;
mod audit;
mod chain;
mod cli;
mod cli_reindex;
mod decode;
mod demo;
mod demo_queries;
mod derivation;
mod digest;
mod documents;
mod economy;
mod embedded;
mod end_to_end;
mod endpoints;
mod floors;
mod follow;
mod generations;
mod generations_reindex;
mod graphiql;
mod graphql;
mod late_standings;
mod limits;
mod one_writer;
mod ops;
mod quorum;
mod reindex;
mod repair;
mod simulation;
mod store;
mod subscriptions;
mod support;
