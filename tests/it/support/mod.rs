//! What the tests of several rooms share: what stories need before they begin.

pub(crate) mod anvil;
pub(crate) mod chromium;
pub(crate) mod emitter;
pub(crate) mod fake_chain;
pub(crate) mod folder;
pub(crate) mod node;
pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod tables;
pub(crate) mod tcp_postgres;
