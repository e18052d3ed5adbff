//! The codec of raw logs: every log of a stretch of blocks in one compressed piece of bytes, without loss.
//!
//! A segment is what all other chain data can be derived from again, so its encoding has a number ([`CODEC`]) that is
//! stored beside it: an encoding that was ever written stays readable. Codec 1 is, for each block that has logs: number
//! (varint), hash, count of logs (varint); for each log: address, count of topics (one byte), topics, length of the data
//! (varint), data, transaction hash, transaction index (varint), log index (varint); all of it as one LZ4 block behind
//! its length (four bytes, little-endian). A varint is LEB128. ABI data is mostly zeros, which LZ4 takes to a third at
//! a speed that no ingest notices; Zstandard would win a little more and bring a C library.
//!
//! Whoever reads segments finds those of a range of blocks by one statement, [`select`].

use alloy::primitives::{Address, B256, Bytes};

use crate::block::{BlockRef, Log};

/// The codec that is written.
pub const CODEC: i16 = 1;

/// Logs are put into one segment up to this many bytes before compression; a single block is never split.
pub(super) const MAX_SEGMENT_BYTES: usize = 1 << 20;

/// A segment that says it is longer than this, decompressed, is not believed.
const MAX_DECODED_BYTES: usize = 1 << 30;

/// Bytes of a log besides topics and data, at most.
const LOG_OVERHEAD_BYTES: usize = 20 + 1 + 5 + 32 + 5 + 5;

/// Why a segment cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawError {
    /// It was written by a codec that this binary does not know.
    Codec(i16),
    /// It is not what the codec writes.
    Damaged,
}

impl std::fmt::Display for RawError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Codec(codec) => write!(f, "raw logs have codec {codec}, this program knows up to {CODEC}"),
            Self::Damaged => f.write_str(
                "a segment of raw logs is damaged; `meikan audit` tells which blocks, and \
                 `meikan reindex --source rpc` from the first of them fetches them again",
            ),
        }
    }
}

impl std::error::Error for RawError {}

/// The statement that reads the segments with logs of blocks `from` to `to`, in their order; they may reach beyond both. The
/// other arguments are the columns, and what stands for the network and the two heights.
///
/// Segments do not overlap: only the newest one that begins at or below `from` can reach it, so none below that is looked at.
pub(super) fn select(columns: &str, chain: &str, from: &str, to: &str) -> String {
    format!(
        "SELECT {columns} FROM raw_logs WHERE chain_id = {chain} AND from_block BETWEEN coalesce( \
             (SELECT max(from_block) FROM raw_logs WHERE chain_id = {chain} AND from_block <= {from}), {from}) AND {to} \
         AND to_block >= {from} ORDER BY from_block"
    )
}

/// Encodes logs in the order of the chain.
#[must_use]
pub fn encode<'a>(logs: impl IntoIterator<Item = &'a Log>) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut logs = logs.into_iter().peekable();
    while let Some(first) = logs.next() {
        let mut body = Vec::new();
        let mut count = 0;
        let mut next = Some(first);
        while let Some(log) = next {
            write_log(&mut body, log);
            count += 1;
            next = logs.next_if(|log| log.block == first.block);
        }
        write_varint(&mut plain, first.block.number);
        plain.extend_from_slice(first.block.hash.as_slice());
        write_varint(&mut plain, count);
        plain.append(&mut body);
    }
    lz4_flex::block::compress_prepend_size(&plain)
}

/// Decodes a segment.
///
/// # Errors
/// [`RawError`] when the bytes are no segment of that codec.
pub fn decode(codec: i16, segment: &[u8]) -> Result<Vec<Log>, RawError> {
    if codec != CODEC {
        return Err(RawError::Codec(codec));
    }
    let (size, compressed) = lz4_flex::block::uncompressed_size(segment).map_err(|_| RawError::Damaged)?;
    // LZ4 gains 255 bytes per byte at most: a size beyond that is a lie, not a reason to reserve memory.
    if size > MAX_DECODED_BYTES.min(compressed.len().saturating_mul(256)) {
        return Err(RawError::Damaged);
    }
    let plain = lz4_flex::block::decompress(compressed, size).map_err(|_| RawError::Damaged)?;
    let mut rest = Rest(&plain);
    let mut logs = Vec::new();
    while !rest.0.is_empty() {
        let block = BlockRef { number: rest.varint()?, hash: rest.word()? };
        for _ in 0..rest.varint()? {
            logs.push(rest.log(block)?);
        }
    }
    Ok(logs)
}

/// The bytes that a log takes before compression, or a few more.
pub(super) fn encoded_bytes(log: &Log) -> usize {
    LOG_OVERHEAD_BYTES + log.topics.len() * 32 + log.data.len()
}

fn write_log(out: &mut Vec<u8>, log: &Log) {
    out.extend_from_slice(log.address.as_slice());
    out.push(u8::try_from(log.topics.len()).expect("the EVM has logs of up to four topics"));
    for topic in &log.topics {
        out.extend_from_slice(topic.as_slice());
    }
    write_varint(out, log.data.len() as u64);
    out.extend_from_slice(&log.data);
    out.extend_from_slice(log.transaction_hash.as_slice());
    write_varint(out, u64::from(log.transaction_index));
    write_varint(out, u64::from(log.log_index));
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits fit a byte");
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// What is left of a segment to read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], RawError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(RawError::Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, RawError> {
        Ok(self.take(1)?[0])
    }

    fn word(&mut self) -> Result<B256, RawError> {
        Ok(B256::from_slice(self.take(32)?))
    }

    fn varint(&mut self) -> Result<u64, RawError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            if low << shift >> shift != low {
                return Err(RawError::Damaged);
            }
            value |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RawError::Damaged)
    }

    fn small(&mut self) -> Result<u32, RawError> {
        self.varint()?.try_into().map_err(|_| RawError::Damaged)
    }

    fn log(&mut self, block: BlockRef) -> Result<Log, RawError> {
        let address = Address::from_slice(self.take(20)?);
        let topics = (0..self.byte()?).map(|_| self.word()).collect::<Result<_, _>>()?;
        let length = usize::try_from(self.varint()?).map_err(|_| RawError::Damaged)?;
        let data = Bytes::copy_from_slice(self.take(length)?);
        let transaction_hash = self.word()?;
        let (transaction_index, log_index) = (self.small()?, self.small()?);
        Ok(Log { address, topics, data, block, transaction_hash, transaction_index, log_index })
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256};
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

    use super::{CODEC, RawError, decode, encode, encoded_bytes};
    use crate::block::{BlockRef, Log};

    fn logs() -> impl Strategy<Value = Vec<Log>> {
        let log = (
            any::<[u8; 20]>(),
            vec(any::<[u8; 32]>(), 0..=4),
            vec(any::<u8>(), 0..300),
            (0_u64..4, any::<bool>()),
            any::<[u8; 32]>(),
            any::<(u32, u32)>(),
        );
        let log = log.prop_map(|(address, topics, data, (number, high), transaction, (index, log_index))| Log {
            address: address.into(),
            topics: topics.into_iter().map(Into::into).collect(),
            data: data.into(),
            block: BlockRef {
                number: if high { u64::MAX - number } else { number },
                hash: B256::repeat_byte(number.to_le_bytes()[0]),
            },
            transaction_hash: transaction.into(),
            transaction_index: index,
            log_index,
        });
        vec(log, 0..20)
    }

    proptest! {
        #[test]
        fn logs_come_back_as_they_were(logs in logs()) {
            prop_assert_eq!(decode(CODEC, &encode(&logs)), Ok(logs));
        }

        #[test]
        fn random_bytes_are_no_reason_to_panic(bytes in vec(any::<u8>(), 0..200), logs in logs(), flip in any::<(usize, u8)>()) {
            let _ = decode(CODEC, &bytes);
            let mut segment = encode(&logs);
            let place = flip.0 % segment.len();
            segment[place] ^= flip.1;
            let _ = decode(CODEC, &segment);
        }

        #[test]
        fn the_size_of_a_log_is_not_guessed_too_low(logs in logs()) {
            let bytes: usize = logs.iter().map(encoded_bytes).sum();
            let segment = encode(&logs);
            let (size, _) = lz4_flex::block::uncompressed_size(&segment).expect("it has a size");
            // Each block's own head comes on top.
            assert!(size <= bytes + logs.len() * 52);
        }
    }

    #[test]
    fn f47_large_data_is_kept_whole() {
        let log = Log {
            address: Address::ZERO,
            topics: vec![],
            data: vec![7; 3_000_000].into(),
            block: BlockRef { number: 1, hash: B256::ZERO },
            transaction_hash: B256::ZERO,
            transaction_index: 0,
            log_index: 0,
        };
        let segment = encode([&log]);
        assert!(segment.len() < 100_000, "what repeats is compressed");
        assert_eq!(decode(CODEC, &segment), Ok(vec![log]));
    }

    #[test]
    fn an_unknown_codec_is_named() {
        assert_eq!(decode(2, &[]), Err(RawError::Codec(2)));
    }
}
