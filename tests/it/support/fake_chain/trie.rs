//! RLP and the Merkle-Patricia trie in their plainest form, by the words of the yellow paper (appendices B and D): what the
//! fake chain's hashes and receipts roots are made with, and an oracle of the node's own library.

use alloy::primitives::{B256, keccak256};

/// A string.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [byte] if *byte < 0x80 => vec![*byte],
        _ => [prefix(0x80, bytes.len()), bytes.to_vec()].concat(),
    }
}

/// A number: its bytes without leading zeros.
pub(crate) fn number(number: u64) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    string(&bytes[zeros..])
}

/// A list of items that are encoded already.
pub(crate) fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    [prefix(0xc0, payload.len()), payload].concat()
}

fn prefix(base: u8, length: usize) -> Vec<u8> {
    if length < 56 {
        return vec![base + u8::try_from(length).unwrap()];
    }
    let bytes = length.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let width = u8::try_from(bytes.len() - zeros).unwrap();
    [&[base + 55 + width], &bytes[zeros..]].concat()
}

/// The root of the trie that holds each item under the RLP of its place.
pub(crate) fn root(items: &[Vec<u8>]) -> B256 {
    let nibbles = |bytes: Vec<u8>| bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
    let mut entries: Vec<(Vec<u8>, &[u8])> =
        items.iter().enumerate().map(|(place, item)| (nibbles(number(place as u64)), item.as_slice())).collect();
    entries.sort();
    keccak256(node(&entries, 0))
}

/// The node of entries whose keys agree up to `depth`.
fn node(entries: &[(Vec<u8>, &[u8])], depth: usize) -> Vec<u8> {
    let [first, .., last] = entries else {
        let Some((key, value)) = entries.first() else { return string(&[]) };
        return list(&[string(&compact(&key[depth..], true)), string(value)]);
    };
    let shared = first.0[depth..].iter().zip(&last.0[depth..]).take_while(|(one, other)| one == other).count();
    if shared > 0 {
        let path = compact(&first.0[depth..depth + shared], false);
        return list(&[string(&path), reference(node(entries, depth + shared))]);
    }
    let mut children: Vec<Vec<u8>> = (0..16)
        .map(|nibble| {
            let below: Vec<_> = entries.iter().filter(|(key, _)| key.get(depth) == Some(&nibble)).cloned().collect();
            if below.is_empty() { string(&[]) } else { reference(node(&below, depth + 1)) }
        })
        .collect();
    let own = entries.iter().find(|(key, _)| key.len() == depth).map_or(&[][..], |(_, value)| value);
    children.push(string(own));
    list(&children)
}

/// A small node stands for itself, a larger one for its hash.
fn reference(node: Vec<u8>) -> Vec<u8> {
    if node.len() < 32 { node } else { string(keccak256(node).as_slice()) }
}

/// The hex-prefix encoding of a path.
fn compact(path: &[u8], is_leaf: bool) -> Vec<u8> {
    let flag = if is_leaf { 2 } else { 0 };
    let odd = path.len() % 2 == 1;
    let first = if odd { ((flag + 1) << 4) | path[0] } else { flag << 4 };
    let rest = if odd { &path[1..] } else { path };
    std::iter::once(first).chain(rest.chunks(2).map(|pair| (pair[0] << 4) | pair[1])).collect()
}
