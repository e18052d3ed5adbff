//! A seed draws a chain, what is told of it, and what happens to the node that follows it; in the end every table and
//! every answer is what a plain model says of the final chain.
//!
//! All of it is within the process and on a clock of its own, but for Postgres, which is a real one behind a relay that
//! knows where a statement ends. The same seed is the same story: `make simulate SEED=123` plays it again.

mod answers;
mod chain;
mod crash;
mod decimal;
mod digest;
mod draw;
mod dump;
mod earlier;
mod endpoint;
mod listener;
mod model;
mod run;
mod seal;
mod story;
mod traffic;
mod uris;
mod values;
mod wire;
