//! Stories of the store: what the chain says is what the tables hold, through rewinds, rivals and hostile content.

mod agents;
mod audit_trail;
pub(crate) mod chain;
mod changes;
mod content;
mod database;
mod derivation;
mod events;
mod finality;
mod flips;
mod history;
mod names;
mod network;
mod oversight;
pub(crate) mod random;
mod reindex;
mod rewind;
mod standings;
pub(crate) mod support;
mod tls;
mod totals;
mod writer;
