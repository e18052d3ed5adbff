//! Who may do how much: API keys, limits that nodes share, what a query may be, and what browsers may do.

mod browser;
mod keys;
mod queries;
mod redis;
mod shared;
