//! The versions of one key while a batch is folded in memory.
//!
//! A key has at most one version that holds. In one block it has at most one version too: what a block sets twice, it
//! sets to the last. So the tables get each row once, complete, whatever happens within a batch (F54), and they do not
//! depend on how a history is cut into batches.

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) block: u64,
    pub(super) log_index: u32,
    /// Seconds since 1970, of the block.
    pub(super) time: u64,
    pub(super) transaction: alloy::primitives::B256,
}

/// A version that began in the batch.
#[derive(Debug, Clone)]
pub(super) struct Version<R> {
    pub(super) begin: u64,
    pub(super) end: Option<u64>,
    pub(super) row: R,
}

/// The versions of one key: the stored one that held before the batch, if it is known, and those of the batch.
#[derive(Debug)]
pub(super) struct Timeline<R> {
    /// Boxed, because most keys of a batch are new, and a tree moves its neighbours for each.
    stored: Option<Box<(u64, R)>>,
    /// The first block of the batch that changed the key: it ends the stored version.
    first_change: Option<u64>,
    versions: Vec<Version<R>>,
}

impl<R> Default for Timeline<R> {
    fn default() -> Self {
        Self { stored: None, first_change: None, versions: Vec::new() }
    }
}

impl<R> Timeline<R> {
    /// Begins with the version that the database holds.
    pub(super) fn stored(begin: u64, row: R) -> Self {
        Self { stored: Some(Box::new((begin, row))), ..Self::default() }
    }

    /// The version that holds now.
    pub(super) fn current(&self) -> Option<&R> {
        match self.first_change {
            None => self.stored.as_deref().map(|(_, row)| row),
            Some(_) => self.versions.last().filter(|version| version.end.is_none()).map(|version| &version.row),
        }
    }

    /// The version that holds now, if it began in the batch.
    pub(super) fn current_mut(&mut self) -> Option<&mut R> {
        self.versions.last_mut().filter(|version| version.end.is_none()).map(|version| &mut version.row)
    }

    /// Begins a version and ends the one that held.
    pub(super) fn set(&mut self, block: u64, row: R) {
        self.end(block);
        if self.versions.is_empty() {
            // Most keys change once in a batch, and room for four large rows is taken otherwise.
            self.versions.reserve_exact(1);
        }
        self.versions.push(Version { begin: block, end: None, row });
    }

    /// Ends the version that holds. One that began in the same block never was.
    pub(super) fn end(&mut self, block: u64) {
        self.first_change.get_or_insert(block);
        if let Some(last) = self.versions.last_mut().filter(|version| version.end.is_none()) {
            if last.begin == block {
                self.versions.pop();
            } else {
                last.end = Some(block);
            }
        }
    }

    /// The stored version and the block that ended it.
    pub(super) fn ended(&self) -> Option<(&(u64, R), u64)> {
        self.stored.as_deref().zip(self.first_change)
    }

    /// The first block of the batch that changed the key.
    pub(super) fn first_change(&self) -> Option<u64> {
        self.first_change
    }

    /// The versions that began in the batch.
    pub(super) fn versions(&self) -> &[Version<R>] {
        &self.versions
    }
}

#[cfg(test)]
mod tests {
    use super::Timeline;

    fn spans(timeline: &Timeline<char>) -> Vec<(u64, Option<u64>, char)> {
        timeline.versions().iter().map(|version| (version.begin, version.end, version.row)).collect()
    }

    #[test]
    fn each_block_has_one_version() {
        let mut timeline = Timeline::stored(1, 'a');
        assert_eq!(timeline.current(), Some(&'a'));
        for (block, row) in [(5, 'b'), (5, 'c'), (7, 'd')] {
            timeline.set(block, row);
        }
        assert_eq!(timeline.ended(), Some((&(1, 'a'), 5)));
        assert_eq!(spans(&timeline), [(5, Some(7), 'c'), (7, None, 'd')]);
        assert_eq!(timeline.current(), Some(&'d'));
    }

    #[test]
    fn what_begins_and_ends_in_one_block_never_was() {
        let mut timeline = Timeline::default();
        timeline.set(5, 'a');
        timeline.end(5);
        assert_eq!((timeline.current(), spans(&timeline)), (None, vec![]));
        timeline.set(6, 'b');
        timeline.end(8);
        assert_eq!((timeline.current(), spans(&timeline)), (None, vec![(6, Some(8), 'b')]));
    }
}
