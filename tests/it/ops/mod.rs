//! What operators and their machines rely on: signals, readiness, metrics, headers, secrets that stay secret, databases
//! over TLS, and every Postgres that is supported.

mod demo;
mod http;
mod metrics;
mod postgres;
mod processors;
mod ready;
mod secrets;
mod signals;
pub(crate) mod support;
