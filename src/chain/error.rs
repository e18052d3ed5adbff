//! What goes wrong between this node and a chain, each in one sentence that says what to do.

use alloy::primitives::B256;

use super::classify::Kind;
use crate::dispute::Dispute;
use crate::fault::Fault;
use crate::id::ChainId;

/// A request that one endpoint did not answer as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The endpoint, without credentials.
    pub endpoint: String,
    /// The request: method and parameters, shortened.
    pub request: String,
    /// What it means.
    pub kind: Kind,
    /// The endpoint's own words, or ours about its answer; where two answers disagree, it names the other request.
    pub message: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} failed {} ({}): {}", self.endpoint, self.request, self.kind.name(), self.message)
    }
}

impl std::error::Error for Failure {}

/// Why the chain could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainError {
    /// An endpoint cannot even be asked: its URL is not one, or https finds no root certificates.
    Unusable {
        /// The network.
        network: String,
        /// The endpoint, without credentials.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// An endpoint belongs to another chain.
    WrongChain {
        /// The network.
        network: String,
        /// The endpoint, without credentials.
        endpoint: String,
        /// The configured chain id.
        expected: ChainId,
        /// The chain id that the endpoint answers.
        found: ChainId,
    },
    /// Two endpoints have different genesis blocks.
    WrongGenesis {
        /// The network.
        network: String,
        /// The endpoint, without credentials.
        endpoint: String,
        /// The hash that the first endpoint answered.
        expected: B256,
        /// The hash that this one answers.
        found: B256,
    },
    /// At the start no endpoint can be reached.
    NoEndpoint {
        /// The network.
        network: String,
        /// How many are configured.
        endpoints: usize,
        /// What the last one said.
        failure: Box<Failure>,
    },
    /// After all retries every endpoint fails.
    Failed {
        /// The network.
        network: String,
        /// The last failure.
        failure: Box<Failure>,
    },
    /// A block's logs are too large for every way to ask for them.
    TooLarge {
        /// The network.
        network: String,
        /// The last failure.
        failure: Box<Failure>,
    },
    /// Answers contradict each other: the endpoints disagree, or the chain just changed.
    Inconsistent {
        /// The network.
        network: String,
        /// The last failure; it names both requests.
        failure: Box<Failure>,
    },
    /// Fewer endpoints answer than the quorum wants (F12).
    Quorum {
        /// The network.
        network: String,
        /// The quorum.
        wanted: usize,
        /// How many answered.
        answered: usize,
        /// What the last of the others said.
        failure: Box<Failure>,
    },
    /// Endpoints tell different logs of a block, and nothing settles who is right (F12).
    Disputed {
        /// The network.
        network: String,
        /// What they disagree about.
        dispute: Box<Dispute>,
    },
    /// No endpoint has the block, or has it any more (F24).
    Gone {
        /// The network.
        network: String,
        /// The last failure.
        failure: Box<Failure>,
    },
}

impl ChainError {
    /// What is left when the retries are used up.
    pub(super) fn after_retries(network: &str, failure: Failure) -> Self {
        let (network, failure) = (network.to_owned(), Box::new(failure));
        match failure.kind {
            Kind::TooLarge(_) => Self::TooLarge { network, failure },
            Kind::Inconsistent => Self::Inconsistent { network, failure },
            Kind::UnknownBlock => Self::Gone { network, failure },
            _ => Self::Failed { network, failure },
        }
    }

    /// What the loop is to do about it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unusable { .. } | Self::WrongChain { .. } | Self::WrongGenesis { .. } | Self::NoEndpoint { .. } => {
                Fault::Fatal
            }
            Self::Failed { .. } | Self::TooLarge { .. } | Self::Quorum { .. } | Self::Disputed { .. } => Fault::Retry,
            Self::Inconsistent { .. } | Self::Gone { .. } => Fault::Reorg,
        }
    }
}

impl std::fmt::Display for ChainError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unusable { network, endpoint, reason } => {
                write!(f, "network {network}: the endpoint {endpoint} cannot be used ({reason}); correct rpc_urls")
            }
            Self::WrongChain { network, endpoint, expected, found } => write!(
                f,
                "network {network}: {endpoint} answers chain id {found} where {expected} is configured; correct \
                 chain_id or rpc_urls"
            ),
            Self::WrongGenesis { network, endpoint, expected, found } => write!(
                f,
                "network {network}: {endpoint} has the genesis block {found} where the others have {expected}; remove \
                 the endpoint that is of another chain from rpc_urls"
            ),
            Self::NoEndpoint { network, endpoints, failure } => write!(
                f,
                "network {network}: none of {endpoints} endpoint(s) can be used ({failure}); check rpc_urls and the \
                 connection to them"
            ),
            Self::Failed { network, failure } => {
                write!(f, "network {network}: {failure}; trying again, add another endpoint to rpc_urls if this stays")
            }
            Self::TooLarge { network, failure } => write!(
                f,
                "network {network}: {failure}; a single block is too large for every endpoint, add one with larger \
                 limits to rpc_urls"
            ),
            Self::Quorum { network, wanted, answered, failure } => write!(
                f,
                "network {network}: {answered} of the {wanted} endpoints answer that must agree ({failure}); trying again, \
                 add endpoints to rpc_urls or lower quorum if this stays"
            ),
            Self::Disputed { network, dispute } => write!(
                f,
                "network {network}: {}, and nothing tells who is right; these blocks are not taken until it does, add \
                 another endpoint to rpc_urls if this stays",
                dispute.difference
            ),
            Self::Inconsistent { network, failure } | Self::Gone { network, failure } => {
                write!(f, "network {network}: {failure}; looking at the chain again from its head")
            }
        }
    }
}

impl std::error::Error for ChainError {}
