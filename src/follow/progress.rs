//! Telling how far a backfill is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use tracing::info;

use super::Outcome;
use crate::store::{Counted, MadeUp, Rederived};

/// Blocks behind the head from which on it is a backfill and worth telling.
const BACKFILL_BLOCKS: u64 = 500;

/// Pause between lines where there is no terminal.
const LINE_PAUSE: Duration = Duration::from_secs(5);

/// The bars of all networks. Whoever else writes to the terminal does it inside `suspend`, or the lines mix.
pub static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// The tale of one network's backfills.
pub(super) struct Progress {
    network: String,
    /// When the step began that is told of next.
    step_began: Instant,
    backfill: Option<Backfill>,
    /// When it was last told how far standings are counted.
    told_counting: Option<Instant>,
}

/// A backfill that is under way.
struct Backfill {
    bar: Option<ProgressBar>,
    began: Instant,
    first: u64,
    events: u64,
    told: Option<Instant>,
}

impl Progress {
    pub(super) fn new(network: &str) -> Self {
        Self { network: network.into(), step_began: Instant::now(), backfill: None, told_counting: None }
    }

    /// Takes in what a step did.
    pub(super) fn show(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Advanced { from, to, head, applied } => {
                let events = applied.events.values().sum();
                self.moved(*from, *to, *head, events, head.saturating_sub(*to) >= BACKFILL_BLOCKS);
            }
            Outcome::Rederived(step) => self.rederived(step),
            Outcome::MadeUp(made_up) => self.made_up(made_up),
            Outcome::AtHead | Outcome::Reorganised { .. } => self.step_began = Instant::now(),
        }
    }

    fn made_up(&mut self, MadeUp { counted, built, missing }: &MadeUp) {
        let network = &self.network;
        let took = HumanDuration(self.step_began.elapsed());
        if !built.is_empty() {
            let indexes = built.join(", ");
            info!(network, indexes, missing, %took, "built indexes that the backfill postponed");
        }
        match counted {
            Some(Counted { to: Some(agent) }) if self.told_counting.is_none_or(|told| told.elapsed() >= LINE_PAUSE) => {
                self.told_counting = Some(Instant::now());
                info!(network, agent = %agent.agent_id, "counting the standings that the backfill postponed");
            }
            Some(Counted { to: None }) => {
                self.told_counting = None;
                info!(network, "counted the standings that the backfill postponed");
            }
            _ => {}
        }
        self.step_began = Instant::now();
    }

    /// Takes in a step of a re-index from the store.
    pub(super) fn rederived(&mut self, step: &Rederived) {
        self.moved(step.from, step.to, step.target, step.events.values().sum(), !step.is_done());
    }

    fn moved(&mut self, from: u64, to: u64, goal: u64, events: u64, is_behind: bool) {
        let began = std::mem::replace(&mut self.step_began, Instant::now());
        if self.backfill.is_none() && is_behind {
            // Each backfill is told by itself: a rate since the start would be that of a quiet week.
            self.backfill = Some(Backfill { bar: None, began, first: from, events: 0, told: None });
        }
        let Some(backfill) = &mut self.backfill else { return };
        // A reorganisation on the way may have gone back behind its beginning.
        backfill.first = backfill.first.min(from);
        backfill.events += events;
        if is_behind {
            backfill.tell(&self.network, to, goal);
        } else if let Some(backfill) = self.backfill.take() {
            backfill.finish(&self.network, to);
        }
    }
}

impl Backfill {
    fn tell(&mut self, network: &str, to: u64, head: u64) {
        let first = self.first;
        if std::io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| bar(network));
            bar.set_length(head - first + 1);
            bar.set_position(to - first + 1);
            bar.set_message(format!("{} events", self.events));
            return;
        }
        if self.told.is_some_and(|told| told.elapsed() < LINE_PAUSE) {
            return;
        }
        self.told = Some(Instant::now());
        let elapsed = self.began.elapsed();
        let done = to - first + 1;
        let rate = per_second(done, elapsed);
        let remaining = Duration::from_secs((head - to) / rate.max(1));
        info!(
            network,
            block = to,
            head,
            blocks_per_second = rate,
            events = self.events,
            remaining = %HumanDuration(remaining),
            "backfilling"
        );
    }

    fn finish(self, network: &str, to: u64) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let elapsed = self.began.elapsed();
        info!(
            network,
            blocks = to - self.first + 1,
            events = self.events,
            events_per_second = per_second(self.events, elapsed),
            took = %HumanDuration(elapsed),
            "backfill done"
        );
    }
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / milliseconds
}

fn bar(network: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} blocks · {per_sec} · {eta} left · {msg}")
        .expect("the template is constant and valid");
    BARS.add(ProgressBar::new(0)).with_style(style).with_prefix(network.to_owned())
}
