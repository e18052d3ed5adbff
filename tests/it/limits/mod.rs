//! Who may do how much: API keys, limits by address, key and operation, what a query may be, and what browsers may do.

mod browser;
mod keys;
mod queries;
mod rates;
mod redis;
mod shared;
