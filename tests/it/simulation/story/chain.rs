//! What happens to the chain: it grows, forks, and becomes final.

use super::super::draw::Draw;
use super::super::endpoint::{Net, Turn};
use super::Story;

/// Most requests of a step before which something may happen to the chain.
const TURN_REQUESTS: u64 = 30;

/// Seconds without a block: within an hour, around hours, days and a week.
const PAUSES: [u64; 8] = [20, 60, 60, 1_800, 3_600, 7_200, 86_400, 700_000];

impl Story<'_> {
    pub(super) fn mine(&mut self, blocks: u64) {
        self.tell(format!("mine {blocks}"));
        mine(&mut self.net.lock().unwrap(), &mut self.draw, blocks, self.logs_per_block);
    }

    /// A branch that is shorter, as long, or longer; sometimes another one right behind it.
    pub(super) fn fork(&mut self) {
        for _ in 0..self.draw.between(1, 2) {
            let fork = self.drawn_fork();
            fork(&mut self.net.lock().unwrap());
        }
    }

    fn drawn_fork(&mut self) -> Turn {
        let depth = if self.draw.one_in(6) { self.draw.between(1, 700) } else { self.draw.between(1, 12) };
        let blocks = (depth + self.draw.below(6)).saturating_sub(self.draw.below(4));
        self.tell(format!("fork of depth {depth} with {blocks} new blocks"));
        let (mut draw, logs) = (Draw::of(self.draw.next(), &[]), self.logs_per_block);
        Box::new(move |net| {
            let before = net.truth.view.clone();
            net.truth.cut(depth);
            let depth = before.head().number - net.truth.view.head().number;
            mine(net, &mut draw, blocks.min(depth + 6), logs);
            // Who is told to stay on an old branch stays on this one.
            for manners in net.manners.iter_mut().filter(|manners| manners.stale.is_some()) {
                manners.stale = Some(before.clone());
            }
        })
    }

    /// The chain changes while the next step reads it.
    pub(super) fn turn_within_a_step(&mut self) {
        let requests = self.draw.between(1, TURN_REQUESTS);
        self.tell(format!("in {requests} requests:"));
        let turn = self.drawn_fork();
        self.net().turns.push((requests, turn));
    }

    /// Finality rises, stalls, vanishes or moves back; what was once called final stays.
    pub(super) fn finalize(&mut self) {
        let choice = self.draw.below(8);
        let (share, below) = (self.draw.below(100), self.draw.below(8));
        let net = &mut *self.net.lock().unwrap();
        let truth = &mut net.truth;
        let head = truth.view.head().number;
        match choice {
            0 => truth.view.finalized = None,
            1 => truth.view.finalized = truth.view.finalized.map(|finalized| finalized.saturating_sub(below)),
            2 => truth.view.proposed = Some(head - (head - truth.settled) * share / 100),
            3 => truth.view.proposed = None,
            _ => {
                let finalized = truth.settled + (head - truth.settled) * share / 100;
                truth.settled = finalized;
                self.final_once = true;
                truth.view.finalized = Some(finalized);
                // A fork that is still to come stays above; and nobody stays on a branch that is ruled out.
                for (endpoint, manners) in net.manners.iter_mut().enumerate() {
                    match &mut manners.stale {
                        // But for one that is outvoted, which takes its own branch for final.
                        Some(stale) if self.liar == Some(endpoint) => {
                            stale.finalized = Some(finalized.min(stale.head().number));
                        }
                        stale => *stale = None,
                    }
                }
            }
        }
        let view = &net.truth.view;
        let line = format!("finalized {:?}, proposed {:?}, head {head}", view.finalized, view.proposed);
        self.told.push(line);
    }
}

/// Appends blocks with drawn logs.
fn mine(net: &mut Net, draw: &mut Draw, blocks: u64, logs: u64) {
    for _ in 0..blocks {
        // Some blocks share a time, and some are hours apart.
        let seconds = if draw.one_in(16) { *draw.pick(&PAUSES) } else { draw.below(4) };
        let emitted = net.cast.block(draw, logs, net.truth.view.head().timestamp + seconds);
        let cast = net.cast.clone();
        net.truth.mine(&cast, emitted, seconds);
    }
}
