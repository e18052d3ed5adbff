//! The whole way, from a transaction on a real EVM (or a log of a chain in memory) through the follower and Postgres to
//! the answer over HTTP.

mod audit;
mod bad_content;
mod chaos;
mod conformance;
mod draw;
mod events;
mod files;
mod finality;
mod hints;
mod intents;
mod kill;
mod model;
mod networks;
mod real_logs;
mod reorgs;
pub(crate) mod stage;
mod validations;
mod witness;
