//! Who may do how much: API keys.

mod keys;
