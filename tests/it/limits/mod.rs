//! Who may do how much: API keys, and limits that nodes share.

mod keys;
mod redis;
mod shared;
