//! What an operator does: re-index, audit, and start a newer program.

use std::sync::Arc;

use meikan::audit::{Auditor, Settings};
use meikan::block::{Block, Method};
use meikan::fault::Fault;
use meikan::follow::Follower;
use meikan::store::StoreError;
use tokio::time::{pause, resume};

use super::node::Node;
use super::{CHAIN_ID, Story};

impl Story<'_> {
    /// An operator re-indexes, from the raw logs or from the chain; it may be left half way, for the follower to go on.
    pub(super) async fn reindex(&mut self) {
        self.ready().await;
        let node = self.node.as_mut().expect("the node is ready");
        let start = self.network.start_block;
        let Some(tip) = node.follower.tip().filter(|tip| tip.number >= start) else { return };
        let from = self.draw.between(start, tip.number);
        let chain = Arc::clone(&node.chain);
        if self.draw.one_in(2) {
            pause();
            let result = node.follower.reingest(from).await;
            resume();
            self.tell(format!("re-index from block {from} of the chain: {:?}", result.as_ref().map(|_| ())));
            if let Err(error) = result {
                self.failed(&error).await;
            }
            return;
        }
        self.die();
        let store = self.connect().await;
        let mut writer = self.writer(&store).await;
        writer.set_reindex_step_logs(*self.draw.pick(&[1, 10, 60, 100_000]));
        let mut result = writer.rederive(from).await.map(Some);
        for _ in 0..self.draw.below(4) {
            if !matches!(result, Ok(Some(_))) {
                break;
            }
            result = writer.resume().await;
        }
        self.tell(format!("re-index from block {from} of the raw logs: {result:?}"));
        if let Err(error) = result {
            // The tip may be lower than it was known to be.
            let is_lower = matches!(error, StoreError::Unreachable { .. });
            assert!(is_lower || error.fault() != Fault::Fatal, "{error}");
        }
        let follower = Follower::new(&self.network, Arc::clone(&chain), writer);
        self.node = Some(Node { chain, store, follower });
    }

    /// A newer program is started where an older one ran that did not derive all that this one does: one of the tables, or
    /// the rest of one.
    pub(super) async fn upgrade(&mut self) {
        self.die();
        let tables = self.stage.tables.derived();
        let (table, share) = (*self.draw.pick(&tables), self.draw.pick(&["TRUE", "hashtext(t::text) % 2 = 0"]));
        // Whoever is still at it ends first.
        let aged = format!(
            "BEGIN; SELECT FROM cursor WHERE chain_id = {CHAIN_ID} FOR UPDATE; \
             UPDATE network SET derivation = 0 WHERE chain_id = {CHAIN_ID}; \
             UPDATE reindex SET derivation = 0 WHERE chain_id = {CHAIN_ID}; \
             DELETE FROM {table} t WHERE chain_id = {CHAIN_ID} AND {share}; COMMIT"
        );
        self.stage.client.batch_execute(&aged).await.expect("the database answers");
        self.told.push(format!("a newer program, which derives {table} where {share}"));
    }

    /// A turn of the audit, with whom it has repair what it finds; tells up to where all is verified.
    pub(super) async fn audit(&mut self) -> Option<u64> {
        self.ready().await;
        let node = self.node.as_mut().expect("the node is ready");
        let (chain, store) = (Arc::clone(&node.chain), Arc::clone(&node.store));
        let auditor = Auditor::new(&self.network, chain, Arc::clone(&store), Settings::thorough(&self.network));
        // Connections are made by the clock of the world.
        if let Err(error) = store.begin_verification(CHAIN_ID).await {
            // It was cut a moment ago; the next look makes another one.
            assert_ne!(error.fault(), Fault::Fatal, "{error}");
            self.told.push(format!("audit: {error}"));
            return None;
        }
        let follower = tokio::sync::Mutex::new(&mut node.follower);
        let (follower, repairs) = (&follower, &std::cell::RefCell::new(Vec::new()));
        let repair = |blocks: Vec<Block>| async move {
            let numbers: Vec<u64> = blocks.iter().map(|block| block.header.number).collect();
            let result = follower.lock().await.repair(&blocks).await;
            repairs.borrow_mut().push(format!("  repair of {numbers:?}: {result:?}"));
            match result {
                Ok(_) => true,
                Err(error) => {
                    assert_ne!(error.fault(), Fault::Fatal, "{error}");
                    false
                }
            }
        };
        pause();
        let audited = Box::pin(auditor.turn(&mut self.pass, &repair)).await;
        resume();
        let repairs = repairs.take();
        self.told.push(format!("audit: {audited:?}"));
        self.told.extend(repairs);
        if let Err(error) = audited {
            assert_ne!(error.fault(), Fault::Fatal, "{error}");
        }
        let verified = match store.standing(CHAIN_ID).await {
            Ok(standing) => standing.verified?,
            // What an older program derived is not audited.
            Err(StoreError::Rederiving { .. }) => return None,
            Err(error) => panic!("{error}"),
        };
        if verified.method == Method::ReceiptsRoot {
            self.assert_raw_logs_to(verified.number).await;
        }
        Some(verified.number)
    }
}
