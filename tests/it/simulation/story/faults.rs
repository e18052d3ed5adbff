//! What goes wrong around the process: its connection, its life, its lock.

use std::sync::Arc;

use meikan::follow::Follower;
use tokio::time::{pause, resume};

use super::super::draw::Draw;
use super::super::wire::Cut;
use super::Story;
use super::node::Node;

/// Most await points of a step at which it may end.
const CRASH_POINTS: u64 = 60;

impl Story<'_> {
    /// A node at the head, a fork, and a step that ends at the await point `at` of following it, if it has as many;
    /// then all is well. Whether the step came there.
    pub(crate) async fn end_a_step_at(&mut self, at: u64) -> bool {
        let cuts = [None, Some(Cut::Unheard), Some(Cut::Heard), Some(Cut::Untold)];
        let cut = cuts[usize::try_from(at).expect("steps are short") % cuts.len()];
        for _ in 0..100 {
            self.step().await;
            let tip = self.node.as_ref().and_then(|node| node.follower.tip());
            if tip.is_some_and(|tip| tip.block() == self.net().truth.view.head().block()) {
                break;
            }
        }
        let (cast, mut draw) = (self.net().cast.clone(), Draw::of(at, &[b"branch"]));
        {
            let net = &mut *self.net();
            net.truth.cut(8);
            for _ in 0..10 {
                let time = net.truth.view.head().timestamp + 1;
                let emitted = cast.block(&mut draw, 6, time);
                net.truth.mine(&cast, emitted, 1);
            }
        }
        self.relay.crash_with(cut);
        self.crash.arm(at);
        let whole = self.step().await;
        assert!(whole || self.crash.passed() >= at, "it ended where it was told to");
        self.crash.arm(0);
        self.relay.crash_with(None);
        if at.is_multiple_of(2) {
            self.die();
        }
        self.settle().await;
        self.check_tables().await;
        // Answers follow from the tables, whatever ended; a few of them will do.
        if at.is_multiple_of(5) {
            self.check_answers().await;
        }
        !whole
    }

    /// The connection to the database breaks, or the database refuses, at one statement of the next steps.
    pub(super) async fn cut(&mut self) {
        let (at, cut) = (self.draw.between(1, CRASH_POINTS), *self.draw.pick(&Cut::ALL));
        self.tell(format!("{cut:?} at statement {at}"));
        self.ready().await;
        self.relay.arm(at, cut);
        for _ in 0..3 {
            self.step().await;
        }
        self.faults += u64::from(self.relay.disarm());
    }

    /// A step ends in the middle, with its process or without.
    pub(super) async fn crash(&mut self) {
        let at = self.draw.between(1, CRASH_POINTS);
        let cut = *self.draw.pick(&[None, Some(Cut::Unheard), Some(Cut::Heard), Some(Cut::Untold)]);
        let dies = self.draw.one_in(2);
        self.tell(format!("crash at await point {at}, {cut:?}, the process dies: {dies}"));
        self.ready().await;
        self.relay.crash_with(cut);
        self.crash.arm(at);
        for _ in 0..3 {
            if !self.step().await {
                self.faults += 1;
                break;
            }
        }
        self.crash.arm(0);
        self.relay.crash_with(None);
        if dies {
            self.die();
        }
    }

    /// The writer loses its lock without knowing, and another process takes over: whatever the first one still does, it
    /// commits nothing.
    pub(super) async fn lose_the_lock(&mut self) {
        self.tell("the lock is lost".into());
        self.ready().await;
        self.relay.inject("SELECT pg_advisory_unlock_all()");
        let store = self.connect().await;
        let writer = self.writer(&store).await;
        let old = self.node.as_mut().expect("the node is ready");
        let chain = Arc::clone(&old.chain);
        pause();
        let result = old.follower.step().await;
        resume();
        if let Ok(outcome) = result {
            panic!("a writer that lost its lock did something: {outcome:?}");
        }
        let follower = Follower::new(&self.network, Arc::clone(&chain), writer);
        self.node = Some(Node { chain, store, follower });
    }
}
