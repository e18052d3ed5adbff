//! Reading a chain: from endpoints that lag, limit, lie and break, and from a real anvil.

mod anvil;
mod blocks;
mod connection;
mod doubts;
mod head;
mod headers;
mod ranges;
mod requests;
pub(crate) mod support;
mod transactions;
mod websocket;
