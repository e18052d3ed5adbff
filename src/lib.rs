//! Meikan (名鑑, a who's-who): an indexer and query node for trustless agents (ERC-8004) on Taiko.
//!
//! A file imports only from lower floors, and folders on one floor never import each other:
//!
//! | floor | rooms | what |
//! |---|---|---|
//! | 6 | [`cli`] | the command line |
//! | 5 | [`app`] | the one place that wires: database, networks, server, signals |
//! | 4 | [`api`], [`demo`] | what the node answers over HTTP; never talks to the chain · a local chain with traffic |
//! | 3 | [`follow`], [`audit`], [`submit`] | the loop that makes the database converge on the chain · what is stored held against the chain · the acceptance of signed documents |
//! | 2 | [`chain`], [`store`], [`sign`], [`embedded`], [`limit`] | RPC endpoints and their checks · every line of SQL · what is signed of a document, and by whom · a Postgres of our own · who may do how much |
//! | 1 | [`block`], [`config`], [`metrics`], [`document`], [`file`], [`manifest`], [`digest`], [`dispute`] | plain values with their invariants, what a transaction paid among them · signed documents as they are written · documents that URIs hold · how suspicious a change of an endpoint is · sums of histories · what endpoints disagreed about |
//! | 0 | [`event`], [`id`], [`fault`], [`key`], [`task`] | one variant per contract event · identities · what a failure means · API keys as text · work beside other work, and without a change of threads |

pub mod api;
pub mod app;
pub mod audit;
pub mod block;
pub mod chain;
pub mod cli;
pub mod config;
pub mod demo;
pub mod digest;
pub mod dispute;
pub mod document;
pub mod embedded;
pub mod event;
pub mod fault;
pub mod file;
pub mod follow;
pub mod id;
pub mod key;
pub mod limit;
pub mod manifest;
pub mod metrics;
pub mod sign;
pub mod store;
pub mod submit;
pub mod task;
