//! What the parameters of events are: drawn by name and type, from few agents, people and keys and near the chain's time,
//! so that events meet.

use alloy::primitives::{Address, B256, I256, U256, keccak256};
use alloy_dyn_abi::DynSolValue;

use super::draw::Draw;
use super::uris::URIS;

/// What the logs of a transaction are about, and when.
#[derive(Debug, Clone)]
pub(super) struct About {
    /// The block's time.
    time: u64,
    agent: U256,
    wallet_agent: DynSolValue,
    intent: DynSolValue,
    client: Address,
}

impl About {
    pub(super) fn draw(draw: &mut Draw, time: u64) -> Self {
        Self {
            time,
            agent: agent_id(draw),
            wallet_agent: word(draw, 1, 4),
            intent: word(draw, 2, 6),
            client: if draw.one_in(2) { Address::with_last_byte(1) } else { somebody(draw) },
        }
    }
}

/// A parameter, by its name, its type and those before it.
pub(super) fn parameter(
    draw: &mut Draw,
    about: &About,
    name: &str,
    ty: &str,
    before: &[(String, String, DynSolValue)],
) -> DynSolValue {
    let small = |draw: &mut Draw, bound| U256::from(draw.below(bound));
    match (name, ty) {
        ("agentId" | "tokenId", "uint256") => DynSolValue::Uint(about.agent, 256),
        ("agentId", "bytes32") => about.wallet_agent.clone(),
        ("intentId", _) => about.intent.clone(),
        ("requestHash", _) => word(draw, 3, 7),
        ("clientAddress", _) => DynSolValue::Address(about.client),
        ("feedbackIndex", _) if draw.one_in(40) => DynSolValue::Uint(U256::from(u64::MAX), 64),
        ("feedbackIndex", _) => DynSolValue::Uint(U256::from(1 + draw.below(4)), 64),
        ("value", "int128") => DynSolValue::Int(value(draw), 128),
        ("value", "int256") if draw.one_in(8) => DynSolValue::Int(I256::MIN, 256),
        ("value", "int256") => DynSolValue::Int(value(draw), 256),
        ("value", "uint256") if draw.one_in(8) => DynSolValue::Uint(U256::MAX, 256),
        ("value", "uint256") => DynSolValue::Uint(small(draw, 1_000), 256),
        ("score", _) if draw.one_in(8) => DynSolValue::Uint(small(draw, 256), 8),
        ("score", _) => DynSolValue::Uint(small(draw, 101), 8),
        ("hashedTag1", _) => DynSolValue::FixedBytes(keccak256(tag(draw)), 32),
        ("tag1" | "tag2" | "tag", "bytes32") => {
            let text = tag(draw);
            DynSolValue::FixedBytes(B256::right_padding_from(&text[..text.len().min(32)]), 32)
        }
        ("tag1", _) => DynSolValue::Bytes(tag(draw)),
        ("valueDecimals", _) => DynSolValue::Uint(U256::from(*draw.pick(&[0, 0, 0, 0, 0, 2, 2, 5, 18, 255])), 8),
        ("response", _) => DynSolValue::Uint(U256::from(*draw.pick(&[0, 1, 50, 100, 255])), 8),
        ("agentUri" | "newUri" | "agentDomain", _) => DynSolValue::Bytes(draw.pick(URIS).uri.to_vec()),
        ("metadataKey", _) => DynSolValue::Bytes(draw.pick(&KEYS).to_vec()),
        ("metadataValue", _) => {
            let key = before.last().and_then(|(.., key)| key.as_bytes()).unwrap_or_default();
            DynSolValue::Bytes(metadata_value(draw, key == b"agentWallet"))
        }
        (_, "address") => DynSolValue::Address(somebody(draw)),
        (_, "bool") => DynSolValue::Bool(draw.one_in(2)),
        (_, "bytes32") => word(draw, 4, 16),
        (_, "string") => DynSolValue::Bytes(text(draw)),
        (_, "uint256") if draw.one_in(20) => DynSolValue::Uint(U256::MAX, 256),
        ("expiry", _) => DynSolValue::Uint(U256::from(expiry(draw, about.time)), 256),
        ("timestamp", _) => DynSolValue::Uint(U256::from(about.time), 256),
        ("nonce", _) => DynSolValue::Uint(small(draw, 5), 256),
        ("destChainId" | "srcChainId", _) => DynSolValue::Uint(small(draw, 4), 256),
        (_, "uint256") => DynSolValue::Uint(small(draw, 1 << 40), 256),
        (_, "uint64") => DynSolValue::Uint(small(draw, 9), 64),
        (_, "uint8") => DynSolValue::Uint(small(draw, 256), 8),
        (_, "tuple") => policy(draw),
        (name, ty) => panic!("nobody has said what {name} of type {ty} may be"),
    }
}

fn word(draw: &mut Draw, kind: u8, bound: u64) -> DynSolValue {
    let number = u8::try_from(draw.below(bound)).unwrap();
    DynSolValue::FixedBytes(B256::right_padding_from(&[kind, 0, number]), 32)
}

/// Few, two of which are most talked of, and the extremes.
fn agent_id(draw: &mut Draw) -> U256 {
    match draw.below(60) {
        0 => U256::MAX,
        1 => U256::from(u64::MAX),
        2 => U256::from(10_000_u64) << 64,
        3..=30 => U256::from(draw.below(2)),
        _ => U256::from(draw.below(7)),
    }
}

/// Mostly a rating.
fn value(draw: &mut Draw) -> I256 {
    let value = match draw.below(30) {
        0 => i128::MAX,
        1 => i128::MIN,
        2 => 10_i128.pow(38),
        3 => -1,
        4 => 101,
        5..=10 => i128::from(draw.below(20_001)) - 10_000,
        _ => i128::from(draw.below(101)),
    };
    I256::try_from(value).expect("128 bits fit 256")
}

fn somebody(draw: &mut Draw) -> Address {
    if draw.one_in(12) { Address::ZERO } else { Address::with_last_byte(u8::try_from(1 + draw.below(4)).unwrap()) }
}

/// Already past, soon, or as far as a day.
fn expiry(draw: &mut Draw, time: u64) -> u64 {
    let until = *draw.pick(&[0, 10, 30, 90, 3_700, 86_500]);
    time + until + draw.below(4) - 8
}

/// Limits that are soon reached.
fn policy(draw: &mut Draw) -> DynSolValue {
    let mut limit = |of: &[u64]| DynSolValue::Uint(U256::from(*draw.pick(of)), 256);
    let amounts = [0, 500, 1_000, 3_000, 1 << 50];
    let mut members = vec![limit(&amounts), limit(&[0, 1, 2, 5]), limit(&[0, 1, 2]), limit(&amounts)];
    let chains = (0..draw.below(3)).map(|chain| DynSolValue::Uint(U256::from(chain), 256));
    members.push(DynSolValue::Array(chains.collect()));
    members.push(DynSolValue::Array((0..draw.below(3)).map(|_| DynSolValue::Address(somebody(draw))).collect()));
    members.push(DynSolValue::Uint(U256::from(draw.below(4)), 8));
    DynSolValue::Tuple(members)
}

/// Keys that are alike, unreadable, reserved, or longer than an index takes.
const KEYS: [&[u8]; 8] =
    [b"agentWallet", b"agentWallet", b"color", b"", b"a\0b", b"a\xffb", "a\u{fffd}b".as_bytes(), &[b'k'; 9_000]];

fn metadata_value(draw: &mut Draw, is_wallet: bool) -> Vec<u8> {
    let size = if is_wallet { *draw.pick(&[20, 20, 20, 0, 32, 33]) } else { *draw.pick(&[0, 1, 31, 32, 64, 300]) };
    let mut value = vec![0; size];
    for byte in value.iter_mut().rev().take(20) {
        *byte = u8::try_from(draw.below(4)).unwrap();
    }
    // Of 32 bytes some are no word of an address.
    if size == 32 && draw.one_in(3) {
        value[0] = 1;
    }
    value
}

/// What feedback is filed under: often that it is a rating.
fn tag(draw: &mut Draw) -> Vec<u8> {
    match draw.below(6) {
        0 | 1 => Vec::new(),
        2 | 3 => b"starred".to_vec(),
        4 => format!("tag {}", draw.below(2)).into_bytes(),
        _ => text(draw),
    }
}

/// Texts as strangers write them (F45, F46, F47).
fn text(draw: &mut Draw) -> Vec<u8> {
    match draw.below(24) {
        0 => b"nul\0l".to_vec(),
        1 => vec![0xff, 0xfe, b'x', 0xc3],
        2 => vec![0],
        3 => vec![b'l'; 3_000],
        4 => "名鑑 \u{1f600}".into(),
        5 => vec![0xed, 0xa0, 0x80],
        6 => b"'; DROP TABLE agent; --".to_vec(),
        7 => b"\\N\t\n{}\"".to_vec(),
        number if number % 3 == 0 => Vec::new(),
        number if number % 3 == 1 => b"starred".to_vec(),
        number => format!("text {}", number % 4).into_bytes(),
    }
}
