//! Where events stand, and what a key was over time.

use alloy::primitives::B256;

/// Where an event stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) block: u64,
    pub(crate) log_index: u32,
    pub(crate) time: u64,
    pub(crate) transaction: B256,
}

/// From the block of its making to the block that ended it.
#[derive(Debug, Clone)]
pub(crate) struct Span<T> {
    pub(crate) begin: u64,
    pub(crate) end: Option<u64>,
    pub(crate) is: T,
}

/// What a key was over time; in one block it was only what the block left.
#[derive(Debug, Clone)]
pub(crate) struct History<T>(pub(crate) Vec<Span<T>>);

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> History<T> {
    pub(crate) fn now(&self) -> Option<&T> {
        self.0.last().filter(|span| span.end.is_none()).map(|span| &span.is)
    }

    pub(super) fn now_mut(&mut self) -> Option<&mut T> {
        self.0.last_mut().filter(|span| span.end.is_none()).map(|span| &mut span.is)
    }

    pub(super) fn end(&mut self, block: u64) {
        if self.0.last().is_some_and(|span| span.end.is_none() && span.begin == block) {
            self.0.pop();
        } else if let Some(span) = self.0.last_mut() {
            span.end.get_or_insert(block);
        }
    }

    pub(super) fn set(&mut self, block: u64, is: T) {
        self.end(block);
        self.0.push(Span { begin: block, end: None, is });
    }

    /// Of a key that is always something: what it is, and what it was that a fork may still bring back, where blocks up
    /// to `finalized` are final.
    pub(super) fn kept(&self, finalized: Option<u64>) -> (&Span<T>, impl Iterator<Item = &Span<T>>) {
        let (last, past) = self.0.split_last().expect("the key was set");
        (last, past.iter().filter(move |span| finalized.is_none_or(|finalized| span.end > Some(finalized))))
    }
}
