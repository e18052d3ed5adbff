//! The API over HTTP, on a history made by hand: what is answered, filtered, pinned to a block and refused.

mod analysis;
mod cache;
mod entities;
mod filter;
mod flips;
mod pin;
mod reputation;
mod request;
mod statistics;
pub(crate) mod support;
mod trail;
mod tree;
