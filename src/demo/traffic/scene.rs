//! What an action is planned from, and what a plan is.

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolCall;

use super::draw::Draw;
use super::world::{Agent, WalletAgent, World};
use crate::demo::{Call, Contracts, DemoError, Deployment, Rpc};

/// The longest that a signed consent holds, in seconds; the identity registry allows five minutes.
const CONSENT_SECONDS: u64 = 240;

/// Who plays what: accounts of the chain, each with one kind of part, so that no plan can spoil another's.
#[derive(Debug)]
pub(super) struct Cast {
    /// Owns and governs the contracts.
    pub(super) admin: Address,
    /// Report intents.
    pub(super) relayers: [Address; 2],
    /// Answer requests for validation.
    pub(super) validators: [Address; 2],
    /// Are approved by owners; they own nothing and rate nobody.
    pub(super) operators: [Address; 2],
    /// Own agents, are wallets, rate others' agents.
    pub(super) people: Vec<Address>,
}

impl Cast {
    /// Gives out the parts.
    pub(super) fn of(accounts: &[Address]) -> Result<Self, DemoError> {
        match accounts {
            [admin, r1, r2, v1, v2, o1, o2, people @ ..] if people.len() >= 2 => Ok(Self {
                admin: *admin,
                relayers: [*r1, *r2],
                validators: [*v1, *v2],
                operators: [*o1, *o2],
                people: people.to_vec(),
            }),
            _ => Err(DemoError::Rpc {
                method: "eth_accounts",
                reason: format!("{} accounts where the traffic needs 9", accounts.len()),
            }),
        }
    }
}

/// What an action is planned from.
pub(super) struct Scene<'a> {
    pub(super) rpc: &'a Rpc,
    pub(super) deployment: &'a Deployment,
    pub(super) cast: &'a Cast,
    pub(super) world: &'a World,
    pub(super) draw: &'a mut Draw,
    /// The time of the newest block, in seconds since 1970; the next one is no earlier.
    pub(super) now: u64,
}

impl Scene<'_> {
    pub(super) fn person(&mut self) -> Option<Address> {
        self.draw.pick(&self.cast.people)
    }

    /// An agent of somebody with that part for which something holds; new ones are as likely as all the old ones together.
    /// Whoever watches the demo may register agents too, for whom the traffic cannot speak.
    pub(super) fn agent(&mut self, fits: impl Fn(&Agent) -> bool) -> Option<Agent> {
        const NEWEST: usize = 8;
        let ours = self.world.agents.values().filter(|agent| self.cast.people.contains(&agent.owner));
        let fitting: Vec<&Agent> = ours.filter(|agent| fits(agent)).collect();
        let from = if self.draw.one_in(2) { fitting.len().saturating_sub(NEWEST) } else { 0 };
        self.draw.pick(&fitting[from..]).cloned()
    }

    /// A wallet's agent for which something holds.
    pub(super) fn wallet_agent(&mut self, fits: impl Fn(&WalletAgent) -> bool) -> Option<WalletAgent> {
        let fitting: Vec<&WalletAgent> = self.world.wallet_agents.values().filter(|agent| fits(agent)).collect();
        self.draw.pick(&fitting).cloned()
    }

    /// Until when a consent that is signed now holds.
    pub(super) fn consent_deadline(&self) -> U256 {
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        U256::from(self.now.max(clock.as_secs()) + CONSENT_SECONDS)
    }

    pub(super) fn contracts(&self) -> Contracts {
        Contracts::new(self.rpc.clone(), self.deployment.clone())
    }
}

/// What a plan's success depends on or changes: two plans with a subject in common do not share a block, because the
/// second one was made without knowing of the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Agent(U256),
    OwnerOfAgents(Address),
    Feedback(U256, Address, u64),
    Request(B256),
    /// A wallet that may or may not have an agent.
    Wallet(Address),
    WalletAgent(B256),
    Relayer(Address),
    /// All other plans of the block.
    Everything,
}

/// Transactions that belong together, in their order.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) calls: Vec<Call>,
    pub(super) subjects: Vec<Subject>,
}

impl Plan {
    pub(super) fn call(from: Address, to: Address, call: &impl SolCall, subject: Subject) -> Self {
        Self { calls: vec![Call::new(from, to, call.abi_encode())], subjects: vec![subject] }
    }

    pub(super) fn and(mut self, subject: Subject) -> Self {
        self.subjects.push(subject);
        self
    }

    pub(super) fn then(mut self, from: Address, to: Address, call: &impl SolCall) -> Self {
        self.calls.push(Call::new(from, to, call.abi_encode()));
        self
    }

    /// Whether the plan can share a block with what is in it already.
    pub(super) fn fits(&self, block: &[Subject]) -> bool {
        let is_alone = self.subjects.contains(&Subject::Everything) && !block.is_empty();
        let is_shut_out = block.contains(&Subject::Everything);
        !is_alone && !is_shut_out && !self.subjects.iter().any(|subject| block.contains(subject))
    }
}
