//! Events that are known and hold no fact of this node's model: kept raw, listed with the reason in the place of "unknown".

use alloy::primitives::{B256, b256};

use crate::event::{Role, Undecoded};

/// An event without a fact.
struct Unused {
    role: Role,
    topic0: B256,
    name: &'static str,
    reason: &'static str,
}

const UNUSED: [Unused; 3] = [
    Unused {
        role: Role::Reputation,
        topic0: b256!("0x875b92862bcb577e19434ed5238b2e5a1b58bd8606a26d1a414edf00eee18fd8"),
        name: "AuthFeedback",
        reason: "of August 2025: it allows feedback that is given off the chain, and holds none",
    },
    Unused {
        role: Role::Validation,
        topic0: b256!("0x3fcaa5f72d6fb1deb76744afac4fbc92c823e52ffcf39ad2cdd9da66a80b5196"),
        name: "ValidationRequestEvent",
        reason: "of August 2025: validators were agents, not addresses",
    },
    Unused {
        role: Role::Validation,
        topic0: b256!("0x2f1d7a4e773d3a02a2db8d4ba16df1476ec97974bbc93c41427689f236664f1b"),
        name: "ValidationResponseEvent",
        reason: "of August 2025: validators were agents, not addresses",
    },
];

/// What there is to say of such an event's log; nothing when the topic is of none.
pub(super) fn decode<T>(role: Role, topic0: &B256) -> Option<Result<T, Undecoded>> {
    let unused = UNUSED.iter().find(|unused| unused.role == role && unused.topic0 == *topic0)?;
    Some(Err(Undecoded::Unused { event: unused.name, reason: unused.reason }))
}
