//! A local chain with our contracts, and people who call them one block at a time.

use std::path::Path;

use alloy::primitives::{Address, B256, U64, U256, hex, keccak256};
use alloy::sol_types::SolCall;
use meikan::config::{Follow, Network};
use meikan::demo::abi::{Governed, Identity, Reputation, Validation};
use meikan::demo::{Anvil, CHAIN_ID, Call, Contracts, Deployment, Limits, Receipt, Rpc};
use serde_json::{Value, json};

/// Agents that [`Stage::populate`] registers.
pub(crate) const AGENTS: u64 = 8;

/// Blocks whose states the chain keeps: more than the deepest reorg, and enough for calls of the past.
const HISTORY_BLOCKS: u64 = 256;

/// A chain without any traffic but what a test sends.
pub(crate) struct Stage {
    pub(crate) rpc: Rpc,
    pub(crate) deployment: Deployment,
    pub(crate) network: Network,
    accounts: Vec<Address>,
    anvil: Anvil,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        let anvil = Anvil::start(HISTORY_BLOCKS).await.unwrap();
        let rpc = Rpc::connect(&anvil.rpc_url()).unwrap();
        let deployment = Deployment::deploy(&rpc, Limits::WIDE).await.unwrap();
        let network = Network {
            name: "local".into(),
            chain_id: CHAIN_ID,
            rpc_urls: vec![anvil.rpc_url()],
            start_block: 0,
            contracts: deployment.contracts(),
            follow: Follow::default(),
            ..Network::default()
        };
        let accounts = rpc.accounts().await.unwrap();
        Self { rpc, deployment, network, accounts, anvil }
    }

    /// The chain's WebSocket.
    pub(crate) fn ws_url(&self) -> String {
        self.anvil.ws_url()
    }

    /// Registers the first agents, each with its owner.
    pub(crate) async fn populate(&self) {
        self.mine((0..AGENTS).map(|agent| self.register(agent, 0))).await;
    }

    /// The contracts, to be asked.
    pub(crate) fn contracts(&self) -> Contracts {
        Contracts::new(self.rpc.clone(), self.deployment.clone())
    }

    /// The owner of one of the first agents.
    pub(crate) fn owner(&self, agent: u64) -> Address {
        self.accounts[1 + at(agent % AGENTS)]
    }

    /// Somebody who owns no agent.
    pub(crate) fn client(&self, number: u64) -> Address {
        self.accounts[9 + at(number % 8)]
    }

    /// Mines these calls in one block, in their order.
    pub(crate) async fn mine(&self, calls: impl IntoIterator<Item = Call>) -> Vec<Receipt> {
        for call in calls {
            self.rpc.send(&call).await.unwrap();
        }
        let (block, _) = self.rpc.mine().await.unwrap();
        self.rpc.receipts(block).await.unwrap()
    }

    /// Replaces the newest blocks by as many others with these calls, each in the block of its place.
    pub(crate) async fn reorganise(&self, blocks: Vec<Vec<Call>>) {
        let transaction =
            |call: &Call| json!({"from": call.from, "to": call.to, "data": call.data, "gas": U64::from(call.gas)});
        let placed = blocks.iter().enumerate();
        let calls: Vec<Value> =
            placed.flat_map(|(place, calls)| calls.iter().map(move |call| json!([transaction(call), place]))).collect();
        self.rpc.request::<Value>("anvil_reorg", json!([blocks.len(), calls])).await.unwrap();
    }

    /// Deploys one of the example contracts, in a block of its own.
    pub(crate) async fn deploy(&self, name: &str, arguments: Vec<u8>) -> Address {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("contracts/out/{name}.sol/{name}.json"));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; make contracts", path.display()));
        let artifact: Value = serde_json::from_str(&text).unwrap();
        let code = hex::decode(artifact["bytecode"]["object"].as_str().unwrap()).unwrap();
        let creation = Call::create(self.client(0), [code, arguments].concat());
        let receipts = self.mine([creation]).await;
        receipts[0].contract_address.expect("a contract was created")
    }

    pub(crate) async fn head(&self) -> u64 {
        self.rpc.head().await.unwrap().0
    }

    pub(crate) fn register(&self, number: u64, branch: u8) -> Call {
        let file = format!(r#"{{"name": "Agent {number} of branch {branch}", "mcp": "no"}}"#);
        let uri = format!("data:application/json,{}", file.replace(' ', "%20"));
        self.identity(self.owner(number), &Identity::register_1Call { agentURI: uri })
    }

    pub(crate) fn give(&self, client: Address, agent: u64, value: i128, decimals: u8, tags: [&str; 2]) -> Call {
        let give = Reputation::giveFeedbackCall {
            agentId: U256::from(agent),
            value,
            valueDecimals: decimals,
            tag1: tags[0].into(),
            tag2: tags[1].into(),
            endpoint: "https://endpoint.example".into(),
            feedbackURI: "ipfs://feedback".into(),
            feedbackHash: keccak256(value.to_be_bytes()),
        };
        self.reputation(client, &give)
    }

    pub(crate) fn revoke(&self, client: Address, agent: u64, index: u64) -> Call {
        self.reputation(client, &Reputation::revokeFeedbackCall { agentId: U256::from(agent), feedbackIndex: index })
    }

    /// What happens in a block of a branch: everything that changes a table, and different in each branch. Some calls
    /// are reverted, because another branch or an earlier block took what they need.
    pub(crate) fn busy_block(&self, number: u64, branch: u8) -> Vec<Call> {
        let turn = number + u64::from(branch);
        let agent = number % AGENTS;
        let (owner, client) = (self.owner(agent), self.client(turn));
        let hash = keccak256([number.to_be_bytes().as_slice(), &[branch]].concat());
        let mut calls = vec![
            self.give(client, agent, i128::from(number) * i128::from(branch) - 50, 2, ["starred", "day"]),
            self.identity(
                owner,
                &Identity::setMetadataCall {
                    agentId: U256::from(agent),
                    metadataKey: format!("key {}", turn % 3),
                    metadataValue: hash.into(),
                },
            ),
        ];
        match turn % 4 {
            0 => calls.push(self.register(number, branch)),
            1 => calls.extend([self.revoke(client, agent, 1), self.respond(owner, agent, client)]),
            2 => calls.extend(self.validate(agent, hash)),
            _ => calls.extend(self.change_hands(agent, turn)),
        }
        calls
    }

    fn respond(&self, owner: Address, agent: u64, client: Address) -> Call {
        let respond = Reputation::appendResponseCall {
            agentId: U256::from(agent),
            clientAddress: client,
            feedbackIndex: 1,
            responseURI: "ipfs://response".into(),
            responseHash: B256::repeat_byte(1),
        };
        self.reputation(owner, &respond)
    }

    fn validate(&self, agent: u64, hash: B256) -> [Call; 2] {
        let validator = self.accounts[17];
        let request = Validation::validationRequestCall {
            validatorAddress: validator,
            agentId: U256::from(agent),
            requestURI: "ipfs://request".into(),
            requestHash: hash,
        };
        let answer = Validation::validationResponseCall {
            requestHash: hash,
            response: hash[0] % 101,
            responseURI: String::new(),
            responseHash: B256::ZERO,
            tag: "soft".into(),
        };
        let call = |from, data| Call::new(from, self.deployment.validation, data);
        [call(self.owner(agent), request.abi_encode()), call(validator, answer.abi_encode())]
    }

    /// An agent goes to its owner's friend and back by turns; a role and an operator come and go.
    fn change_hands(&self, agent: u64, turn: u64) -> [Call; 4] {
        let (owner, friend) = (self.owner(agent), self.accounts[18]);
        let token = U256::from(agent);
        let role = B256::with_last_byte(u8::try_from(turn % 5).unwrap());
        let grant = Governed::grantRoleCall { role, account: friend };
        [
            self.identity(friend, &Identity::transferFromCall { from: friend, to: owner, tokenId: token }),
            self.identity(owner, &Identity::transferFromCall { from: owner, to: friend, tokenId: token }),
            self.identity(
                owner,
                &Identity::setApprovalForAllCall { operator: self.client(turn), approved: turn.is_multiple_of(2) },
            ),
            Call::new(self.deployment.owner, self.deployment.identity, grant.abi_encode()),
        ]
    }

    pub(crate) fn identity(&self, from: Address, call: &impl SolCall) -> Call {
        Call::new(from, self.deployment.identity, call.abi_encode())
    }

    fn reputation(&self, from: Address, call: &impl SolCall) -> Call {
        Call::new(from, self.deployment.reputation, call.abi_encode())
    }
}

fn at(number: u64) -> usize {
    usize::try_from(number).expect("there are few accounts")
}
