//! What Taiko tells about L1: `taiko_headL1Origin` names the newest L2 block that is proposed on L1 (domain paper §3).
//!
//! At or below it a block is safe from preconfirmation reorgs. Keys come in two spellings and numbers as hex or
//! integer, depending on the client. A missing row means unknown, never unconfirmed. Pure.

use alloy::primitives::{B256, U64};
use serde::Deserialize;

use super::endpoint::Call;
use crate::block::{BlockRef, Header};

/// The row of the newest proposed block.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct L1Origin {
    #[serde(alias = "blockID")]
    block_id: Option<U64>,
    #[serde(default)]
    l2_block_hash: Option<B256>,
    #[serde(default)]
    l1_block_height: Option<U64>,
}

impl L1Origin {
    /// The proposed block; nothing while it is only preconfirmed, or when the row is incomplete.
    pub(super) fn proposed(&self) -> Option<BlockRef> {
        self.l1_block_height.filter(|height| !height.is_zero())?;
        let hash = self.l2_block_hash.filter(|hash| !hash.is_zero())?;
        Some(BlockRef { number: self.block_id?.to(), hash })
    }
}

pub(super) fn head_l1_origin() -> Call {
    Call { method: "taiko_headL1Origin", params: serde_json::json!([]) }
}

/// The safe block, if `head` reaches it. One above the head does not make the head safe: the head may be a lagging
/// backend's, of a branch that is gone (F13, F16).
pub(super) fn clamp_safe(safe: BlockRef, head: &Header) -> Option<BlockRef> {
    match safe.number.cmp(&head.number) {
        std::cmp::Ordering::Less => Some(safe),
        // Two blocks at one height: the answers are of different moments, so neither is claimed.
        std::cmp::Ordering::Equal => (safe.hash == head.hash).then_some(safe),
        std::cmp::Ordering::Greater => None,
    }
}

/// The finalized block, if `head` reaches it. That a block above the head is final does not make the head final: it may be
/// a lagging backend's, of a branch that is gone (F13, F16), and a false finality cannot be taken back.
pub(super) fn clamp_finalized(finalized: Header, head: &Header) -> Option<Header> {
    match finalized.number.cmp(&head.number) {
        std::cmp::Ordering::Less => Some(finalized),
        std::cmp::Ordering::Equal => (finalized.hash == head.hash).then_some(finalized),
        std::cmp::Ordering::Greater => None,
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::{L1Origin, clamp_finalized, clamp_safe};
    use crate::block::{BlockRef, Header};

    fn proposed(json: &str) -> Option<BlockRef> {
        serde_json::from_str::<L1Origin>(json).expect("the row is read").proposed()
    }

    fn header(number: u64) -> Header {
        let hash = B256::with_last_byte(u8::try_from(number).expect("small"));
        Header { number, hash, parent_hash: B256::ZERO, timestamp: 0, logs_bloom: None }
    }

    const HASH: &str = "0x0000000000000000000000000000000000000000000000000000000000000007";

    #[test]
    fn both_spellings_are_read() {
        let block = Some(header(7).block());
        assert_eq!(proposed(&format!(r#"{{"blockID":"0x7","l2BlockHash":"{HASH}","l1BlockHeight":"0x64"}}"#)), block);
        assert_eq!(proposed(&format!(r#"{{"blockId":7,"l2BlockHash":"{HASH}","l1BlockHeight":100}}"#)), block);
    }

    #[test]
    fn a_preconfirmed_or_incomplete_row_claims_nothing() {
        assert_eq!(proposed(&format!(r#"{{"blockID":7,"l2BlockHash":"{HASH}","l1BlockHeight":null}}"#)), None);
        assert_eq!(proposed(&format!(r#"{{"blockID":7,"l2BlockHash":"{HASH}","l1BlockHeight":"0x0"}}"#)), None);
        assert_eq!(proposed(&format!(r#"{{"blockID":7,"l2BlockHash":"{HASH}"}}"#)), None);
        assert_eq!(proposed(r#"{"blockID":7,"l1BlockHeight":100}"#), None);
        assert_eq!(proposed(&format!(r#"{{"blockID":null,"l2BlockHash":"{HASH}","l1BlockHeight":1}}"#)), None);
    }

    #[test]
    fn f16_a_safe_block_above_the_head_makes_no_block_safe() {
        let head = header(9);
        assert_eq!(clamp_safe(header(12).block(), &head), None);
        assert_eq!(clamp_safe(header(7).block(), &head), Some(header(7).block()));
        assert_eq!(clamp_safe(BlockRef { number: 9, hash: B256::ZERO }, &head), None);
    }

    #[test]
    fn f16_a_finality_above_the_head_makes_no_block_final() {
        let head = header(9);
        assert_eq!(clamp_finalized(header(12), &head), None);
        assert_eq!(clamp_finalized(Header { hash: B256::ZERO, ..header(9) }, &head), None);
        assert_eq!(clamp_finalized(header(9), &head), Some(header(9)));
        assert_eq!(clamp_finalized(header(3), &head), Some(header(3)));
    }
}
