//! What a failed step means to the loop that called it.
//!
//! Each module below has its own error type with its own fields; at the loop there are only three things to do: try
//! again, look at the chain again, or stop.

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Something passing: wait a little, then repeat the step.
    Retry,
    /// What we hold and what the chain says no longer fit: decide again from the head.
    Reorg,
    /// Repeating cannot help: stop, and tell the operator what to do.
    Fatal,
}
