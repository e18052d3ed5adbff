//! Deterministic traffic: agents that are registered, feedback about them, and a wallet's agent that states intents.
//!
//! Everything is spread evenly over the chain, so that half of it is there at the block half way. What a client says, and
//! to whom, follows from counts and from a hash of a counter: two runs make the same blocks, and no table is kept of pairs.

use alloy::primitives::{Address, B256, U256, keccak256};
use meikan::block::{Block, DecodedLog, Header, Log};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::{
    AgentRegistryEvent, Event, ExecutorEvent, IdentityEvent, PolicyLimits, ReputationEvent, Role, Text,
};

/// The chain.
pub(crate) const CHAIN_ID: u64 = 167_000;
/// Where a node answers for it alone.
pub(crate) const GRAPHQL: &str = "/graphql/167000";
/// The hash of its genesis block.
pub(crate) const GENESIS: B256 = B256::repeat_byte(0x9e);
/// When it began, in seconds since 1970.
const BEGAN_AT: u64 = 1_767_225_600;
/// Seconds from block to block.
const BLOCK_SECONDS: u64 = 12;
/// Logs of a block, about.
const LOGS_PER_BLOCK: u64 = 100;
/// How many of the newest blocks are others on another branch.
pub(crate) const BRANCH_BLOCKS: u64 = 100;
/// What a counter is raised by from branch to branch, so that something else is drawn: no counter comes near it.
const BRANCH: u64 = 1 << 40;

/// The agent with the most feedback.
pub(crate) const HOT_AGENT: u64 = 7;
/// One in so much feedback is about it.
const HOT_ONE_IN: u64 = 10;
/// Of the other feedback one in so much is about one of the busy agents.
const BUSY_ONE_IN: u64 = 20;
/// One in so many agents is busy: the first of them, with more feedback than a page has rows.
const BUSY_AGENTS_ONE_IN: u64 = 10_000;
/// One in so much feedback is taken back later, and one in so much is answered.
const REVOKED_ONE_IN: u64 = 50;
const ANSWERED_ONE_IN: u64 = 30;
/// One in so many agents changes its URI with each block's round.
const FLIPPED_ONE_IN: u64 = 50;
/// Owners have so many agents each.
pub(crate) const AGENTS_PER_OWNER: u64 = 8;

/// How much traffic there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub(crate) struct Size {
    /// Agents.
    #[arg(long)]
    pub(crate) agents: u64,
    /// Feedback about them.
    #[arg(long)]
    pub(crate) feedback: u64,
    /// Intents, nearly all of them by one wallet's agent.
    #[arg(long)]
    pub(crate) intents: u64,
    /// Blocks over which all of it is spread; 0: so many that each has about a hundred logs.
    #[arg(long)]
    pub(crate) blocks: u64,
}

impl Size {
    /// Blocks of the chain.
    pub(crate) fn blocks(self) -> u64 {
        if self.blocks > 0 {
            return self.blocks;
        }
        (self.agents * 2 + self.feedback + self.intents * 4).div_ceil(LOGS_PER_BLOCK)
    }

    /// How many agents are busy; an even number of those that come first.
    pub(crate) fn busy_agents(self) -> u64 {
        (self.agents / BUSY_AGENTS_ONE_IN).max(2)
    }

    /// Agents with some feedback who are there half way: every second one above the busy ones, up to half of all.
    pub(crate) fn early_agents(self) -> u64 {
        (self.agents / 2 - self.busy_agents()) / 2
    }

    /// Clients.
    fn clients(self) -> u64 {
        (self.feedback / 100).max(1_000)
    }

    /// How many of `total` things there are up to a block.
    fn up_to(self, total: u64, block: u64) -> u64 {
        u64::try_from(u128::from(total) * u128::from(block) / u128::from(self.blocks())).expect("a part of it")
    }
}

/// The contract of a role.
pub(crate) fn contract(role: Role) -> Address {
    let number = Role::ALL.iter().position(|other| *other == role).expect("every role is listed");
    Address::with_last_byte(0x80 + u8::try_from(number).expect("there are seven roles"))
}

/// The network as the node is told of it.
pub(crate) fn network() -> Network {
    let one = |role| Addresses(vec![contract(role)]);
    Network {
        name: "bench".into(),
        chain_id: CHAIN_ID,
        rpc_urls: vec!["http://127.0.0.1:1".into()],
        start_block: 1,
        contracts: Contracts {
            identity: one(Role::Identity),
            reputation: one(Role::Reputation),
            validation: one(Role::Validation),
            audit_log: one(Role::AuditLog),
            agent_registry: one(Role::AgentRegistry),
            policy_engine: one(Role::PolicyEngine),
            executor: one(Role::Executor),
            ..Contracts::default()
        },
        follow: Follow::default(),
        ..Network::default()
    }
}

/// When a block was made, in seconds since 1970.
pub(crate) fn timestamp(block: u64) -> u64 {
    BEGAN_AT + block * BLOCK_SECONDS
}

/// A configuration by which a network with the traffic is followed, from an endpoint at this address.
pub(crate) fn config(chain_id: u64, address: &str) -> String {
    let contracts: String =
        Role::ALL.iter().map(|role| format!("{} = \"{:#x}\"\n", role.name(), contract(*role))).collect();
    format!(
        "[[network]]\nname = \"bench-{chain_id}\"\nchain_id = {chain_id}\nrpc_urls = [\"http://{address}\"]\n\
         start_block = 1\n[network.contracts]\n{contracts}[network.follow]\naudit = false\n"
    )
}

/// A number that looks drawn: the finaliser of splitmix64.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn address(kind: &str, number: u64) -> Address {
    Address::from_slice(&keccak256(format!("{kind} {number}"))[12..])
}

/// Who owns an agent.
pub(crate) fn owner(agent: u64) -> Address {
    address("owner", agent / AGENTS_PER_OWNER)
}

/// An agent with some ten to twenty feedback rows: every second one has them, the others none.
fn ordinary_agent(size: Size, number: u64) -> u64 {
    (number % ((size.agents - size.busy_agents()) / 2)) * 2 + size.busy_agents()
}

/// Such an agent, of those that are there half way.
pub(crate) fn early_agent(size: Size, number: u64) -> u64 {
    ordinary_agent(size, number % size.early_agents())
}

/// The wallet's agent that states nearly all intents.
pub(crate) fn busy_wallet_agent() -> B256 {
    keccak256("wallet agent 0")
}

/// The blocks of the chain, one after the other.
#[derive(Clone)]
pub(crate) struct Traffic {
    size: Size,
    /// Which branch the newest blocks are of.
    branch: u64,
    number: u64,
    parent: B256,
    /// How much feedback there is about each agent.
    about: Vec<u32>,
    clients: Vec<Address>,
}

/// A block in the making.
struct Making {
    header: Header,
    logs: Vec<DecodedLog>,
}

impl Making {
    fn say(&mut self, role: Role, event: Event) {
        let (topics, data) = event.encode();
        let index = u32::try_from(self.logs.len()).expect("a block has few logs");
        let mut transaction = self.header.hash;
        transaction.0[28..].copy_from_slice(&index.to_be_bytes());
        let log = Log {
            address: contract(role),
            topics,
            data,
            block: self.header.block(),
            transaction_hash: transaction,
            transaction_index: index,
            log_index: index,
        };
        self.logs.push(DecodedLog { log, event: Ok(event) });
    }
}

impl Traffic {
    /// The chain's beginning.
    pub(crate) fn new(size: Size) -> Self {
        let agents = usize::try_from(size.agents).expect("agents fit into memory");
        let clients = (0..size.clients()).map(|number| address("client", number)).collect();
        Self { size, branch: 0, number: 0, parent: GENESIS, about: vec![0; agents], clients }
    }

    /// The same up to the newest blocks, which are those of another branch: other hashes, and other feedback.
    pub(crate) fn on_branch(self, branch: u64) -> Self {
        Self { branch, ..self }
    }

    /// Whether the next block is the first one that another branch has not.
    pub(crate) fn is_at_fork(&self) -> bool {
        self.number == self.size.blocks().saturating_sub(BRANCH_BLOCKS)
    }

    /// A counter as it is drawn from: another one in what a branch has for itself.
    fn counted(&self, number: u64) -> u64 {
        let is_shared = self.number + BRANCH_BLOCKS <= self.size.blocks();
        if is_shared { number } else { number + self.branch * BRANCH }
    }

    /// The next block; nothing behind the last one.
    pub(crate) fn next_block(&mut self) -> Option<Block> {
        if self.number == self.size.blocks() {
            return None;
        }
        self.number += 1;
        let timestamp = timestamp(self.number);
        let hash = keccak256([self.parent.as_slice(), &self.counted(self.number).to_be_bytes()].concat());
        let header = Header { number: self.number, hash, parent_hash: self.parent, timestamp, logs_bloom: None };
        self.parent = hash;
        let mut block = Making { header, logs: Vec::new() };
        if self.number == 1 {
            self.begin(&mut block);
        }
        let size = self.size;
        let of = |total| (size.up_to(total, self.number - 1), size.up_to(total, self.number));
        let (agents, feedback, intents) = (of(size.agents), of(size.feedback), of(size.intents));
        for agent in agents.0..agents.1 {
            register(&mut block, agent);
        }
        for number in feedback.0..feedback.1 {
            self.give(&mut block, number, agents.1);
        }
        for intent in intents.0..intents.1 {
            state_intent(&mut block, intent, timestamp);
        }
        Some(Block { header: block.header, logs: block.logs })
    }

    /// Wallets' agents, their policy, a relayer.
    fn begin(&self, block: &mut Making) {
        for number in 0..100 {
            let event = AgentRegistryEvent::AgentRegistered {
                agent_id: keccak256(format!("wallet agent {number}")),
                owner: owner(number),
                wallet: address("wallet", number),
                metadata_cid: Text::from("bafkreigh2akiscaildc"),
            };
            block.say(Role::AgentRegistry, Event::AgentRegistry(event));
        }
        let policy = PolicyLimits {
            max_spend_per_day: U256::from(1_000_000),
            max_tx_per_day: U256::from(10),
            max_tx_per_hour: U256::from(10),
            max_value_per_tx: U256::from(100_000),
            allowed_chains: vec![],
            whitelist: vec![],
            risk_level: 1,
        };
        let event = AgentRegistryEvent::PolicyUpdated { agent_id: busy_wallet_agent(), policy };
        block.say(Role::AgentRegistry, Event::AgentRegistry(event));
        let event = ExecutorEvent::RelayerAuthorized { relayer: address("relayer", 0) };
        block.say(Role::Executor, Event::Executor(event));
    }

    /// The next feedback, now and then taken back or answered, where `known` agents are registered.
    fn give(&mut self, block: &mut Making, number: u64, known: u64) {
        let drawn = mixed(self.counted(number));
        let agent = if drawn.is_multiple_of(HOT_ONE_IN) {
            HOT_AGENT
        } else if (drawn >> 8).is_multiple_of(BUSY_ONE_IN) {
            (drawn >> 16) % self.size.busy_agents()
        } else {
            // What is drawn too early goes to an agent that is there.
            let agent = ordinary_agent(self.size, drawn >> 16);
            if agent < known { agent } else { (agent % known.max(1)) & !1 }
        };
        let agent = if agent < known { agent } else { 0 };
        let slot = usize::try_from(agent).expect("agents fit into memory");
        let nth = u64::from(self.about[slot]);
        self.about[slot] += 1;
        // One client after the other, from a first one that the agent's number draws: each pair's index is known.
        let clients = self.clients.len() as u64;
        let client = (mixed(agent) + nth) % clients;
        let client = self.clients[usize::try_from(client).expect("clients fit into memory")];
        let index = nth / clients + 1;
        let (tag1, value, value_decimals) = match (drawn >> 32) % 10 {
            0 => ("uptime", i128::from((drawn >> 40) % 10_000), 2),
            1 => ("responseTime", i128::from((drawn >> 40) % 3_000), 0),
            _ => ("starred", i128::from((drawn >> 40) % 101), 0),
        };
        let event = ReputationEvent::NewFeedback {
            agent_id: U256::from(agent),
            client_address: client,
            feedback_index: index,
            value,
            value_decimals,
            indexed_tag1: keccak256(tag1),
            tag1: Text::from(tag1),
            tag2: Text::default(),
            endpoint: Text::from("https://agent.example/a2a"),
            feedback_uri: Text::default(),
            feedback_hash: B256::ZERO,
        };
        block.say(Role::Reputation, Event::Reputation(event));
        if (drawn >> 48).is_multiple_of(REVOKED_ONE_IN) {
            let event = ReputationEvent::FeedbackRevoked {
                agent_id: U256::from(agent),
                client_address: client,
                feedback_index: index,
            };
            block.say(Role::Reputation, Event::Reputation(event));
        } else if (drawn >> 48).is_multiple_of(ANSWERED_ONE_IN) {
            let event = ReputationEvent::ResponseAppended {
                agent_id: U256::from(agent),
                client_address: client,
                feedback_index: index,
                responder: owner(agent),
                response_uri: Text::from("ipfs://bafkreigh2akiscaildc"),
                response_hash: B256::ZERO,
            };
            block.say(Role::Reputation, Event::Reputation(event));
        }
    }
}

/// An agent enters; of some earlier one the URI changes.
fn register(block: &mut Making, agent: u64) {
    let (agent_id, owner_of_it) = (U256::from(agent), owner(agent));
    let minted = IdentityEvent::Transfer { from: Address::ZERO, to: owner_of_it, token_id: agent_id };
    block.say(Role::Identity, Event::Identity(minted));
    let agent_uri = Text::from(format!("https://agent.example/{agent}.json").as_str());
    let registered = IdentityEvent::Registered { agent_id, agent_uri, owner: owner_of_it };
    block.say(Role::Identity, Event::Identity(registered));
    if agent > 0 && agent.is_multiple_of(FLIPPED_ONE_IN) {
        let other = mixed(agent) % agent;
        let new_uri = Text::from(format!("https://moved.example/{other}.json").as_str());
        let event = IdentityEvent::URIUpdated { agent_id: U256::from(other), new_uri, updated_by: owner(other) };
        block.say(Role::Identity, Event::Identity(event));
    }
}

/// An intent is stated, taken up and executed in one block, which is before its timelock is over.
fn state_intent(block: &mut Making, number: u64, timestamp: u64) {
    let is_busy = !number.is_multiple_of(20);
    let agent_id =
        if is_busy { busy_wallet_agent() } else { keccak256(format!("wallet agent {}", mixed(number) % 100)) };
    let (intent_id, relayer) = (keccak256(format!("intent {number}")), address("relayer", 0));
    let timestamp = U256::from(timestamp);
    let events = [
        ExecutorEvent::IntentEmitted {
            intent_id,
            agent_id,
            dest_chain_id: U256::from(1),
            action_hash: keccak256(intent_id),
            nonce: U256::from(number),
            expiry: timestamp + U256::from(3_600),
        },
        ExecutorEvent::IntentDetails {
            intent_id,
            src_chain_id: U256::from(CHAIN_ID),
            value: U256::from(mixed(number) % 100_000),
            recipient: owner(number),
            action: Text::from("swap"),
        },
        ExecutorEvent::IntentSubmitted { intent_id, relayer, timestamp },
        ExecutorEvent::IntentExecuted { intent_id, executor: relayer, timestamp },
    ];
    for event in events {
        block.say(Role::Executor, Event::Executor(event));
    }
}
