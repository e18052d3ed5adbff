//! A contract that emits whatever it is told: events that ours never emit, and logs that no event encodes to.

use alloy::primitives::{Address, B256, Bytes, U256};
use meikan::demo::{Call, Log, Rpc};

/// Calldata: a word with the number of topics, four words of topics, the data.
const HEADER_BYTES: u8 = 5 * 32;

/// The contract on a local chain.
#[derive(Debug, Clone)]
pub(crate) struct Emitter {
    rpc: Rpc,
    from: Address,
    /// Where it is: to be watched like any contract.
    pub(crate) address: Address,
}

impl Emitter {
    /// Deploys it from the chain's first account.
    pub(crate) async fn deploy(rpc: &Rpc) -> Self {
        let from = rpc.accounts().await.unwrap()[0];
        let receipt = rpc.execute("the creation of the emitter", &Call::create(from, creation_code())).await.unwrap();
        Self { rpc: rpc.clone(), from, address: receipt.contract_address.unwrap() }
    }

    /// Emits a log in a block of its own; returns it as the chain has it.
    pub(crate) async fn emit(&self, topics: &[B256], data: &Bytes) -> Log {
        let mut calldata = B256::from(U256::from(topics.len())).to_vec();
        calldata.extend(topics.iter().flatten());
        calldata.resize(usize::from(HEADER_BYTES), 0);
        calldata.extend_from_slice(data);
        let call = Call::new(self.from, self.address, calldata);
        self.rpc.execute("the emission of a log", &call).await.unwrap().logs.remove(0)
    }
}

/// Copies its other end to memory and returns it (EVM assembly; numbers are opcodes).
fn creation_code() -> Vec<u8> {
    let code = runtime_code();
    let length = u8::try_from(code.len()).unwrap();
    // PUSH1 length, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN
    [&[0x60, length, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3], code.as_slice()].concat()
}

fn runtime_code() -> Vec<u8> {
    let size = [0x60, HEADER_BYTES, 0x36, 0x03]; // PUSH1 header, CALLDATASIZE, SUB
    let mut code = size.to_vec();
    code.extend([0x60, HEADER_BYTES, 0x5f, 0x37]); // PUSH1 header, PUSH0, CALLDATACOPY
    let blocks: Vec<Vec<u8>> = (0..=4_u8).map(|topics| log_block(topics, size)).collect();
    let mut destination = code.len() + blocks.len() * 8 + 1;
    for (topics, block) in (0..).zip(&blocks) {
        // PUSH0, CALLDATALOAD, PUSH1 topics, EQ, PUSH1 destination, JUMPI
        code.extend([0x5f, 0x35, 0x60, topics, 0x14, 0x60, u8::try_from(destination).unwrap(), 0x57]);
        destination += block.len();
    }
    code.push(0xfe); // INVALID
    code.extend(blocks.concat());
    code
}

/// JUMPDEST, the topics from the last to the first, the data's size, PUSH0, LOGn, STOP.
fn log_block(topics: u8, size: [u8; 4]) -> Vec<u8> {
    let mut block = vec![0x5b];
    block.extend((1..=topics).rev().flat_map(|topic| [0x60, 32 * topic, 0x35]));
    block.extend(size);
    block.extend([0x5f, 0xa0 + topics, 0x00]);
    block
}
