//! How a story ends: nothing goes wrong any more, and the node must get there.

use std::time::Duration;

use tokio::time::{pause, resume, sleep};

use super::super::endpoint::Manners;
use super::Story;

/// Looks of an audit until all is verified, when everybody tells the truth.
const MOST_AUDITS: u32 = 100;

/// Pause between two of them, as the loop around an audit makes it.
const AUDIT_PAUSE: Duration = Duration::from_secs(30);

impl Story<'_> {
    /// Nothing happens any more, and everybody tells the truth: the node converges, and holds and answers what the chain says.
    pub(super) async fn end_well(&mut self) {
        self.settle().await;
        self.check_tables().await;
        self.check_answers().await;
    }

    /// Nothing happens any more, and everybody tells the truth, until the node is at the head.
    pub(super) async fn settle(&mut self) {
        self.tell("all is well".into());
        let final_once = self.final_once;
        {
            let mut net = self.net();
            net.turns.clear();
            net.manners.iter_mut().for_each(|manners| *manners = Manners::default());
            let settled = net.truth.settled;
            // What was once told final stays so; it may have been the first block.
            net.truth.view.finalized = final_once.then_some(settled);
        }
        // A chain that stays lower than one that was held looks like a lagging endpoint for ever.
        let missing = {
            let truth = &self.net().truth;
            (truth.highest + 1).saturating_sub(truth.view.head().number).max(1)
        };
        self.mine(missing);
        if self.draw.one_in(2) {
            self.die();
        }
        let head = self.net().truth.view.head().block();
        if self.audited {
            // What is not final is not audited.
            let truth = &mut self.net().truth;
            (truth.settled, truth.view.finalized) = (head.number, Some(head.number));
        }
        let most = 200 + 3 * head.number;
        for steps in 0.. {
            assert!(steps < most, "not at the head after {most} steps");
            self.step().await;
            let Some(follower) = self.node.as_ref().map(|node| &node.follower) else { continue };
            if follower.tip().is_some_and(|tip| tip.block() == head) && !follower.is_without_standings() {
                break;
            }
        }
        // One more look, which brings finality.
        self.step().await;
        if self.audited {
            let mut turns = 0;
            while self.audit().await < Some(head.number) {
                turns += 1;
                assert!(turns < MOST_AUDITS, "not verified after {turns} looks");
                // An endpoint that failed rests, and is needed to confirm that the head is final.
                pause();
                sleep(AUDIT_PAUSE).await;
                resume();
                self.step().await;
            }
        }
    }
}
