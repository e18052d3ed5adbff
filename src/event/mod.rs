//! The events of the watched contracts: one value per event, read from a log and written back without loss.
//!
//! [`Event::decode`] is pure and total: it returns an event, or tells that the topic is unknown to the contract's role,
//! or why the log is malformed. A decoder is chosen by role and topic0, never by topic0 alone, because contracts share
//! topics; a log of another number of topics than its event has is malformed. Where two generations share even that, the
//! log itself or the configuration tells ([`Earlier`]). Names, order and types of the parameters are those of the ABIs in
//! `abi/`; a test compares them. Each noun's events are in its own file.

pub mod abi;
mod audit;
mod earlier;
mod governance;
mod identity;
mod kind;
mod reputation;
mod tag;
#[cfg(test)]
mod tests;
mod text;
mod validation;

use std::borrow::Cow;

use alloy::primitives::{B256, Bytes};

pub use self::audit::{AgentRegistryEvent, AuditLogEvent, ExecutorEvent, PolicyEvent, PolicyLimits};
pub use self::earlier::{
    DescribedFeedback, Earlier, EarlierIdentityEvent, EarlierReputationEvent, EarlierValidationEvent, Generation,
};
pub use self::governance::GovernanceEvent;
pub use self::identity::IdentityEvent;
pub use self::kind::{Audit, AuditKind};
pub use self::reputation::{Feedback, ReputationEvent, ReputationFact, Value};
pub use self::tag::Tag;
pub use self::text::Text;
pub use self::validation::ValidationEvent;

/// What a watched contract is for. An address has one role on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The ERC-721 of agents (ERC-8004 Identity Registry).
    Identity,
    /// Feedback about agents (ERC-8004 Reputation Registry).
    Reputation,
    /// Requests to and answers of validators (ERC-8004 Validation Registry).
    Validation,
    /// Commitments to off-chain audit records.
    AuditLog,
    /// Wallets' agents and their policies.
    AgentRegistry,
    /// Policy checks and circuit breakers.
    PolicyEngine,
    /// Cross-chain intents.
    Executor,
}

impl Role {
    /// Every role, in the order of the configuration file.
    pub const ALL: [Self; 7] = [
        Self::Identity,
        Self::Reputation,
        Self::Validation,
        Self::AuditLog,
        Self::AgentRegistry,
        Self::PolicyEngine,
        Self::Executor,
    ];

    /// The role's name in configuration, database and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Reputation => "reputation",
            Self::Validation => "validation",
            Self::AuditLog => "audit_log",
            Self::AgentRegistry => "agent_registry",
            Self::PolicyEngine => "policy_engine",
            Self::Executor => "executor",
        }
    }

    /// The role of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// One event of a watched contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Of the identity registry.
    Identity(IdentityEvent),
    /// Of the reputation registry.
    Reputation(ReputationEvent),
    /// Of a validation registry.
    Validation(ValidationEvent),
    /// Of the audit log.
    AuditLog(AuditLogEvent),
    /// Of the wallets' agent registry.
    AgentRegistry(AgentRegistryEvent),
    /// Of the policy engine.
    Policy(PolicyEvent),
    /// Of the cross-chain executor.
    Executor(ExecutorEvent),
    /// Of any of them: upgrades, roles, pauses.
    Governance(GovernanceEvent),
    /// Of a registry's earlier generation.
    Earlier(Earlier),
}

/// What an event says of agents, feedback and validations, in terms of today's registries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<'a> {
    /// Of agents: the events of today's registry that tell the same, in order.
    Identity(Cow<'a, [IdentityEvent]>),
    /// Of feedback.
    Reputation(ReputationFact),
    /// Of validations: the event of today's registry that tells the same.
    Validation(Cow<'a, ValidationEvent>),
}

/// Why a log of a watched contract is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecoded {
    /// The log has no topic0, or one that contracts of this role are not known to emit.
    Unknown,
    /// The event is known, the log is not an encoding of it.
    Malformed {
        /// The event's name.
        event: &'static str,
        /// What is wrong with it.
        reason: abi::Malformed,
    },
    /// The event is known, and holds no fact of this node's model.
    Unused {
        /// The event's name.
        event: &'static str,
        /// Why it is not used.
        reason: &'static str,
    },
}

impl std::fmt::Display for Undecoded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown => f.write_str("unknown topic"),
            Self::Malformed { event, reason } => write!(f, "malformed {event}: {reason}"),
            Self::Unused { event, reason } => write!(f, "{event} {reason}"),
        }
    }
}

impl std::error::Error for Undecoded {}

impl Event {
    /// Reads the log of a contract of that role, whatever its generation.
    ///
    /// # Errors
    /// [`Undecoded`] for a log that is to be kept raw and counted.
    pub fn decode(role: Role, topics: &[B256], data: &[u8]) -> Result<Self, Undecoded> {
        Self::decode_of(role, None, topics, data)
    }

    /// Reads the log of a contract of that role; `generation` tells where the log does not.
    ///
    /// # Errors
    /// [`Undecoded`] for a log that is to be kept raw and counted.
    pub fn decode_of(
        role: Role,
        generation: Option<Generation>,
        topics: &[B256],
        data: &[u8],
    ) -> Result<Self, Undecoded> {
        let Some((topic0, indexed)) = topics.split_first() else { return Err(Undecoded::Unknown) };
        let decoded = match role {
            Role::Identity => IdentityEvent::decode(topic0, indexed, data).map(|event| event.map(Self::Identity)),
            Role::Reputation => ReputationEvent::decode(topic0, indexed, data).map(|event| event.map(Self::Reputation)),
            Role::Validation => ValidationEvent::decode(topic0, indexed, data).map(|event| event.map(Self::Validation)),
            Role::AuditLog => AuditLogEvent::decode(topic0, indexed, data).map(|event| event.map(Self::AuditLog)),
            Role::AgentRegistry => {
                AgentRegistryEvent::decode(topic0, indexed, data).map(|event| event.map(Self::AgentRegistry))
            }
            Role::PolicyEngine => PolicyEvent::decode(topic0, indexed, data).map(|event| event.map(Self::Policy)),
            Role::Executor => ExecutorEvent::decode(topic0, indexed, data).map(|event| event.map(Self::Executor)),
        };
        decoded
            .or_else(|| Earlier::decode(role, generation, topic0, indexed, data).map(|event| event.map(Self::Earlier)))
            .or_else(|| GovernanceEvent::decode(topic0, indexed, data).map(|event| event.map(Self::Governance)))
            .unwrap_or(Err(Undecoded::Unknown))
    }

    /// Every topic0 that contracts of that role are known to emit.
    pub fn topics(role: Role) -> impl Iterator<Item = B256> {
        let own = match role {
            Role::Identity => IdentityEvent::ALL,
            Role::Reputation => ReputationEvent::ALL,
            Role::Validation => ValidationEvent::ALL,
            Role::AuditLog => AuditLogEvent::ALL,
            Role::AgentRegistry => AgentRegistryEvent::ALL,
            Role::PolicyEngine => PolicyEvent::ALL,
            Role::Executor => ExecutorEvent::ALL,
        };
        own.iter().chain(Earlier::topics(role)).chain(GovernanceEvent::ALL).map(|(_, _, topic0)| *topic0)
    }

    /// What the event says of agents, feedback or validations; nothing for events of the other contracts.
    #[must_use]
    pub fn fact(&self) -> Option<Fact<'_>> {
        Some(match self {
            Self::Identity(event) => Fact::Identity(Cow::Borrowed(std::slice::from_ref(event))),
            Self::Reputation(event) => Fact::Reputation(event.fact()),
            Self::Validation(event) => Fact::Validation(Cow::Borrowed(event)),
            Self::Earlier(Earlier::Identity(event)) => Fact::Identity(Cow::Owned(event.as_today())),
            Self::Earlier(Earlier::Reputation(event)) => Fact::Reputation(event.fact()),
            Self::Earlier(Earlier::Described(event)) => Fact::Reputation(event.fact()),
            Self::Earlier(Earlier::Validation(event)) => Fact::Validation(Cow::Owned(event.as_today())),
            Self::AuditLog(_) | Self::AgentRegistry(_) | Self::Policy(_) | Self::Executor(_) | Self::Governance(_) => {
                return None;
            }
        })
    }

    /// The event's name in the ABI.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Identity(event) => event.name(),
            Self::Reputation(event) => event.name(),
            Self::Validation(event) => event.name(),
            Self::AuditLog(event) => event.name(),
            Self::AgentRegistry(event) => event.name(),
            Self::Policy(event) => event.name(),
            Self::Executor(event) => event.name(),
            Self::Governance(event) => event.name(),
            Self::Earlier(event) => event.name(),
        }
    }

    /// The topics and the data of the log that the contract emits for this event.
    #[must_use]
    pub fn encode(&self) -> (Vec<B256>, Bytes) {
        match self {
            Self::Identity(event) => event.encode(),
            Self::Reputation(event) => event.encode(),
            Self::Validation(event) => event.encode(),
            Self::AuditLog(event) => event.encode(),
            Self::AgentRegistry(event) => event.encode(),
            Self::Policy(event) => event.encode(),
            Self::Executor(event) => event.encode(),
            Self::Governance(event) => event.encode(),
            Self::Earlier(event) => event.encode(),
        }
    }

    /// The parameters as a JSON object, named as in the ABI but in plain camelCase (see [`abi::Param::json`]).
    #[must_use]
    pub fn fields(&self) -> serde_json::Map<String, serde_json::Value> {
        match self {
            Self::Identity(event) => event.fields(),
            Self::Reputation(event) => event.fields(),
            Self::Validation(event) => event.fields(),
            Self::AuditLog(event) => event.fields(),
            Self::AgentRegistry(event) => event.fields(),
            Self::Policy(event) => event.fields(),
            Self::Executor(event) => event.fields(),
            Self::Governance(event) => event.fields(),
            Self::Earlier(event) => event.fields(),
        }
    }
}

/// The name in front of a signature's parameters.
const fn name_of(signature: &'static str) -> &'static str {
    let mut end = 0;
    while end < signature.len() && signature.as_bytes()[end] != b'(' {
        end += 1;
    }
    signature.split_at(end).0
}

/// `agent_id` as `agentId`: the ABI's spelling of a field's name.
fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            camel.extend(letter.to_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

/// Declares the events of one kind of contract as an enum: each with its signature, its topic0 (a test recomputes it)
/// and its parameters in the ABI's order, each in a topic or in the data.
macro_rules! events {
    (
        $(#[$enum_doc:meta])*
        $enum:ident {
            $(
                $(#[$doc:meta])*
                $name:ident = $signature:literal, $topic0:literal {
                    $( $(#[$field_doc:meta])* $field:ident: $ty:ty = $place:ident, )*
                }
            )+
        }
    ) => {
        $(#[$enum_doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $enum {
            $(
                $(#[$doc])*
                $name {
                    $( $(#[$field_doc])* $field: $ty, )*
                },
            )+
        }

        impl $enum {
            /// Every event of this kind: name, canonical signature, topic0.
            pub const ALL: &'static [(&'static str, &'static str, alloy::primitives::B256)] = &[
                $( ($crate::event::name_of($signature), $signature, alloy::primitives::b256!($topic0)), )+
            ];

            /// The parameters of every event in [`Self::ALL`], in its order, for the comparison with the ABIs.
            #[cfg(test)]
            pub(in crate::event) const PARAMS: &'static [&'static [$crate::event::tests::Declared]] = &[
                $( &[ $( $crate::event::tests::Declared {
                    name: stringify!($field),
                    ty: <$ty as $crate::event::abi::Param>::ABI,
                    indexed: $crate::event::events!(@count $place) == 1,
                }, )* ], )+
            ];

            /// Reads a log with this topic0; nothing when these contracts do not emit it.
            #[allow(unused_variables, unused_mut, unused_assignments)]
            pub(in crate::event) fn decode(
                topic0: &alloy::primitives::B256,
                indexed: &[alloy::primitives::B256],
                data: &[u8],
            ) -> Option<Result<Self, $crate::event::Undecoded>> {
                $(
                    if *topic0 == alloy::primitives::b256!($topic0) {
                        let read = || {
                            let expected = 0 $( + $crate::event::events!(@count $place) )*;
                            if indexed.len() != expected {
                                return Err($crate::event::abi::Malformed::Topics {
                                    expected: expected + 1,
                                    found: indexed.len() + 1,
                                });
                            }
                            let mut topics = indexed.iter();
                            let mut data = $crate::event::abi::Reader::new(data);
                            Ok(Self::$name {
                                $( $field: $crate::event::events!(@read $place, topics, data), )*
                            })
                        };
                        return Some(read().map_err(|reason| $crate::event::Undecoded::Malformed {
                            event: $crate::event::name_of($signature),
                            reason,
                        }));
                    }
                )+
                None
            }

            /// The event's name in the ABI.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self {
                    $( Self::$name { .. } => const { $crate::event::name_of($signature) }, )+
                }
            }

            /// The topics and the data of the log that the contract emits for this event.
            #[must_use]
            #[allow(unused_mut)]
            pub fn encode(&self) -> (Vec<alloy::primitives::B256>, alloy::primitives::Bytes) {
                match self {
                    $(
                        Self::$name { $( $field, )* } => {
                            let mut topics = vec![alloy::primitives::b256!($topic0)];
                            let mut data = $crate::event::abi::Writer::default();
                            $( $crate::event::events!(@write $place, $field, topics, data); )*
                            (topics, data.finish().into())
                        }
                    )+
                }
            }

            /// The parameters as a JSON object, named as in the ABI but in plain camelCase.
            #[must_use]
            #[allow(unused_mut)]
            pub fn fields(&self) -> serde_json::Map<String, serde_json::Value> {
                let mut object = serde_json::Map::new();
                match self {
                    $(
                        Self::$name { $( $field, )* } => {
                            $( object.insert(
                                $crate::event::camel_case(stringify!($field)),
                                $crate::event::abi::Param::json($field),
                            ); )*
                        }
                    )+
                }
                object
            }
        }
    };
    (@count topic) => { 1 };
    (@count data) => { 0 };
    (@read topic, $topics:ident, $data:ident) => {
        $crate::event::abi::from_topic($topics.next().expect("the number of topics was checked"))?
    };
    (@read data, $topics:ident, $data:ident) => { $crate::event::abi::Param::read(&mut $data)? };
    (@write topic, $field:ident, $topics:ident, $data:ident) => {
        $topics.push($crate::event::abi::to_topic($field));
    };
    (@write data, $field:ident, $topics:ident, $data:ident) => {
        $crate::event::abi::Param::write($field, &mut $data);
    };
}
use events;
