//! What blocks did to a feedback, by the rows of its versions and of the responses to it.
//!
//! Rows tell what held at the end of each block, and no more than that is counted: what began and ended within one block never
//! was.

use std::collections::BTreeMap;

use alloy::primitives::Address;

use crate::id::AgentKey;
use crate::store::apply::standings::{Said, Spoken};

/// Feedback from block to block.
pub(super) struct Version {
    pub(super) begin: u64,
    pub(super) end: Option<u64>,
    /// The block that revoked it, with its time.
    pub(super) revoked_at: Option<(u64, u64)>,
    /// Of the block that it began in, in seconds since 1970.
    pub(super) time: u64,
    /// What it says while it is not revoked.
    pub(super) said: Said,
}

impl Version {
    fn holds_at(&self, block: u64) -> bool {
        self.begin <= block && self.end.is_none_or(|end| block < end)
    }
}

/// One feedback, whatever became of it.
#[derive(Default)]
pub(super) struct History {
    pub(super) versions: Vec<Version>,
    /// Responses by block, with its time.
    pub(super) responses: BTreeMap<u64, (u64, i64)>,
}

impl History {
    /// What it says at the end of a block.
    fn said_at(&self, block: u64) -> Option<Said> {
        let version = self.versions.iter().find(|version| version.holds_at(block))?;
        let revoked = version.revoked_at.is_some_and(|(at, _)| at <= block);
        Some(Said { revoked, ..version.said })
    }

    /// What each block did to it.
    pub(super) fn spoken(&self, agent: AgentKey, client: Address) -> impl Iterator<Item = Spoken> + '_ {
        let given = self.versions.iter().map(|version| (version.begin, version.time));
        let revoked = self.versions.iter().filter_map(|version| version.revoked_at);
        let answered = self.responses.iter().map(|(block, (time, _))| (*block, *time));
        let blocks: BTreeMap<u64, u64> = given.chain(revoked).chain(answered).collect();
        blocks.into_iter().map(move |(block, time)| Spoken {
            block,
            time,
            pair: (agent, client),
            before: block.checked_sub(1).and_then(|before| self.said_at(before)),
            after: self.said_at(block),
            given: self.versions.iter().any(|version| version.begin == block),
            taken_back: self.versions.iter().any(|version| {
                version.begin < block && version.revoked_at.is_some_and(|(revoked, _)| revoked == block)
            }),
            responses: self.responses.get(&block).map_or(0, |(_, responses)| *responses),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use alloy::primitives::{Address, U256};

    use super::{History, Version};
    use crate::event::{Tag, Text, Value};
    use crate::id::AgentKey;
    use crate::store::apply::standings::Said;

    fn version(begin: u64, end: Option<u64>, revoked: Option<u64>, value: i128) -> Version {
        let said = Said::new(&Tag::Text(Text::from("starred")), &Value::from(value), 0);
        Version { begin, end, revoked_at: revoked.map(|block| (block, block * 10)), time: begin * 10, said }
    }

    /// Block and time, whether what it said before and after was revoked, whether it was given and taken back, responses.
    type Told = (u64, u64, [Option<bool>; 2], [bool; 2], i64);

    fn spoken(history: &History) -> Vec<Told> {
        let agent = AgentKey { deployment: 0, agent_id: U256::from(1) };
        let revoked = |said: Option<Said>| said.map(|said| said.revoked);
        let told = history
            .spoken(agent, Address::ZERO)
            .map(|is| (is.block, is.time, [is.before, is.after].map(revoked), [is.given, is.taken_back], is.responses));
        told.collect()
    }

    #[test]
    fn each_block_that_did_something_is_told_once() {
        let history = History {
            versions: vec![version(5, Some(9), Some(7), 1), version(9, None, Some(9), 2)],
            responses: BTreeMap::from([(3, (30, 1)), (7, (70, 2))]),
        };
        let expected = [
            (3, 30, [None, None], [false, false], 1),
            (5, 50, [None, Some(false)], [true, false], 0),
            (7, 70, [Some(false), Some(true)], [false, true], 2),
            (9, 90, [Some(true), Some(true)], [true, false], 0),
        ];
        assert_eq!(spoken(&history), expected);
    }

    #[test]
    fn what_a_block_revokes_and_supersedes_is_taken_back() {
        let history = History {
            versions: vec![version(5, Some(9), Some(9), 1), version(9, None, None, 2)],
            responses: BTreeMap::new(),
        };
        assert_eq!(spoken(&history)[1..], [(9, 90, [Some(false), Some(false)], [true, true], 0)]);
    }
}
