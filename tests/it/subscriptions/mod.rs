//! Subscriptions through the door: what is told of changes, to those who are there and to those who were away.

mod entities;
mod follow;
mod javascript;
mod limits;
mod program;
mod protocol;
mod random;
pub(crate) mod support;
