//! What must be true: what the node holds and answers is what the chain says.

use std::sync::Arc;

use meikan::block::Log;

use super::super::answers::Asker;
use super::super::chain::SimBlock;
use super::super::digest::{self, Digest};
use super::super::dump::held_logs;
use super::super::model::{Model, Rows};
use super::{CHAIN_ID, Story};

impl Story<'_> {
    /// Asserts that a node at the head holds what the chain says.
    pub(super) async fn check_tables(&self) {
        let (rows, logs) = self.expected();
        self.stage.tables.assert_hold(&self.stage.client, rows).await;
        assert_eq!(held_logs(&self.stage.client, CHAIN_ID).await, logs, "the raw logs");
        self.assert_cursor().await;
    }

    /// Asserts that a node at the head answers what the chain says, and told its listener of it.
    pub(super) async fn check_answers(&mut self) {
        let (start, head) = (self.network.start_block, self.net().truth.view.head().number);
        let asker = Asker::new(Arc::clone(&self.node.as_ref().expect("a node is at the head").store));
        for block in [self.draw.between(start, head), head] {
            let (cast, model, digest) = {
                let net = self.net();
                let (cast, view) = (&net.cast, &net.truth.view);
                (cast.clone(), Model::of(cast, view, start, block), Digest::at(cast, view, start, block))
            };
            asker.assert_answers(block, &cast, &model, &digest).await;
        }
        self.listener.assert_knows_all(&self.stage.url).await;
    }

    /// What the tables, and the raw logs, must hold.
    fn expected(&self) -> (Rows, Vec<Log>) {
        let net = self.net();
        let view = &net.truth.view;
        let start = self.network.start_block;
        let finalized = view.finalized.filter(|finalized| *finalized >= start);
        let mut rows = Model::of(&net.cast, view, start, view.head().number).rows(finalized);
        let followed = &view.blocks[usize::try_from(start).expect("starts are low")..];
        let watched = |block: &SimBlock| -> Vec<Log> {
            block.logs.iter().filter(|log| net.cast.watches(log.address)).cloned().collect()
        };
        let kept = followed
            .iter()
            .map(|block| (block, watched(block).len()))
            .filter(|(block, logs)| *logs > 0 || finalized.is_none_or(|finalized| block.number > finalized));
        rows.put_all("block", kept.map(|(block, logs)| block.row(logs)));
        rows.put_all("state_digest", digest::rows(&net.cast, followed, finalized));
        (rows, followed.iter().flat_map(|block| watched(block)).collect())
    }

    /// Asserts that what is verified is true.
    pub(super) async fn assert_raw_logs_to(&self, number: u64) {
        let mut held = held_logs(&self.stage.client, CHAIN_ID).await;
        held.retain(|log| log.block.number <= number);
        let (_, mut logs) = self.expected();
        logs.retain(|log| log.block.number <= number);
        assert_eq!(held, logs, "the raw logs that are verified");
    }

    async fn assert_cursor(&self) {
        let select = "SELECT ARRAY[tip_number::text, encode(tip_hash, 'hex'), tip_at::text, finalized_number::text, \
                      encode(finalized_hash, 'hex')] FROM cursor WHERE chain_id = $1";
        let chain = i64::try_from(CHAIN_ID).expect("chain ids are small");
        let row = self.stage.client.query_one(select, &[&chain]).await.expect("there is a cursor");
        let cursor: Vec<Option<String>> = row.get(0);
        let net = self.net();
        let view = &net.truth.view;
        let head = view.head();
        let finalized = view.finalized.filter(|finalized| *finalized >= self.network.start_block);
        let finalized = finalized.and_then(|number| view.blocks.get(usize::try_from(number).ok()?));
        let hex = |hash: alloy::primitives::B256| Some(alloy::hex::encode(hash));
        let expected = [
            Some(head.number.to_string()),
            hex(head.hash),
            Some(head.timestamp.to_string()),
            finalized.map(|block| block.number.to_string()),
            finalized.and_then(|block| hex(block.hash)),
        ];
        assert_eq!(cursor, expected, "the cursor");
    }
}
