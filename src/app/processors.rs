//! Which processors ingestion has: all of them, or half of them while somebody asks.
//!
//! A backfill keeps more than one processor busy, with its own threads and with those processes of the server that write. Where
//! none is left, whoever is woken to work an answer out waits until the system takes one from somebody, which lasts
//! milliseconds, and there are a dozen such turns in an answer. On half of them a backfill is a tenth slower, and answers come
//! nearly as quickly as if nothing were indexed.
//!
//! Of the server's processes this steers those of a server of our own, and no others: elsewhere their numbers mean nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Pid;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::debug;

use self::system::Set;
use crate::embedded::Family;
use crate::store::Store;

/// Pause between two looks at whether somebody has asked.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// How long after the last request ingestion has all processors again.
const CALM_AFTER: Duration = Duration::from_secs(1);

/// Pause between two looks for processes of the server that have come since.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// The threads that ingestion runs on, and where they may run. A clone is the same crew.
#[derive(Clone, Default)]
pub(super) struct Crew(Arc<Mutex<Members>>);

#[derive(Default)]
struct Members {
    threads: HashSet<Pid>,
    /// Where they may run, once that was said: a thread begins with what was said to the one that starts it, and before it
    /// is a member.
    allowed: Option<Set>,
}

impl Crew {
    /// The current thread becomes a member.
    pub(super) fn join(&self) {
        let Some(thread) = system::this_thread() else { return };
        let mut members = self.members();
        members.threads.insert(thread);
        if let Some(allowed) = &members.allowed {
            system::allow(thread, allowed);
        }
    }

    /// The current thread is none any more.
    pub(super) fn leave(&self) {
        if let Some(thread) = system::this_thread() {
            self.members().threads.remove(&thread);
        }
    }

    fn allow(&self, set: Set) {
        let mut members = self.members();
        members.allowed = Some(set);
        for thread in &members.threads {
            system::allow(*thread, &set);
        }
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The processors of this process, and those of them that are left to ingestion while somebody asks.
#[derive(Clone, Copy)]
pub(super) struct Processors {
    all: Set,
    half: Set,
}

impl Processors {
    /// Nothing where there is only one, or the system does not tell.
    pub(super) fn of_this_process() -> Option<Self> {
        let all = system::own()?;
        system::upper_half(&all).map(|half| Self { all, half })
    }

    /// Gives half of them to ingestion while `requests`, the number of those that came so far, grows; for ever.
    pub(super) async fn give_way(
        self,
        requests: impl Fn() -> u64,
        crew: &Crew,
        store: &Store,
        server: Option<Family>,
    ) -> ! {
        let mut clock = interval(LOOK_PAUSE);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut asked_at) = (requests(), None::<Instant>);
        let (mut gives_way, mut renewed_at) = (false, Instant::now());
        loop {
            clock.tick().await;
            let (before, now) = (seen, Instant::now());
            seen = requests();
            if seen != before {
                asked_at = Some(now);
            }
            let is_asked = asked_at.is_some_and(|at| now - at < CALM_AFTER);
            if is_asked != gives_way {
                debug!(is_asked, "ingestion has {} processors", if is_asked { "half of the" } else { "all" });
            } else if !is_asked || now - renewed_at < RENEWAL_PAUSE {
                continue;
            }
            renewed_at = now;
            // What was not said to all is said again: nobody is left on half of the processors when it is calm.
            if self.allow(is_asked, crew, store, server).await {
                gives_way = is_asked;
            }
        }
    }

    /// Says it to all of them; false where the server's processes could not be told.
    async fn allow(&self, only_half: bool, crew: &Crew, store: &Store, server: Option<Family>) -> bool {
        let set = if only_half { self.half } else { self.all };
        crew.allow(set);
        let Some(server) = server else { return true };
        match store.writing_processes().await {
            Ok(processes) => processes
                .into_iter()
                .filter(|process| server.has(*process))
                .filter_map(|process| Pid::from_raw(process.cast_signed()))
                .for_each(|process| system::allow(process, &set)),
            Err(error) => {
                debug!(%error, "the server's processes that write cannot be told");
                return false;
            }
        }
        true
    }
}

/// What Linux takes.
#[cfg(target_os = "linux")]
mod system {
    use rustix::process::Pid;
    pub(super) use rustix::thread::CpuSet as Set;
    use rustix::thread::{gettid, sched_getaffinity, sched_setaffinity};
    use tracing::debug;

    pub(super) fn this_thread() -> Option<Pid> {
        Some(gettid())
    }

    /// Where the current thread may run.
    pub(super) fn own() -> Option<Set> {
        sched_getaffinity(None).ok()
    }

    /// The upper half of some processors, rounded down; nothing of a single one.
    pub(super) fn upper_half(all: &Set) -> Option<Set> {
        let mut half = Set::new();
        let places = (0..Set::MAX_CPU).rev().filter(|place| all.is_set(*place));
        places.take(all.count() as usize / 2).for_each(|place| half.set(place));
        (half.count() > 0).then_some(half)
    }

    /// Lets a thread or process run there. One that has ended needs nothing, and one that is not ours to steer goes on.
    pub(super) fn allow(thread: Pid, set: &Set) {
        if let Err(reason) = sched_setaffinity(Some(thread), set) {
            debug!(%reason, ?thread, "it runs where it did");
        }
    }
}

/// Elsewhere all have all.
#[cfg(not(target_os = "linux"))]
mod system {
    use rustix::process::Pid;

    #[derive(Clone, Copy)]
    pub(super) struct Set;

    pub(super) fn this_thread() -> Option<Pid> {
        None
    }

    pub(super) fn own() -> Option<Set> {
        None
    }

    pub(super) fn upper_half(_: &Set) -> Option<Set> {
        None
    }

    pub(super) fn allow(_: Pid, _: &Set) {}
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use rustix::thread::{CpuSet, sched_getaffinity};

    use super::system::upper_half;
    use super::{Crew, Processors};

    fn of(places: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        places.iter().for_each(|place| set.set(*place));
        set
    }

    #[test]
    fn ingestion_is_left_the_upper_half_rounded_down() {
        let half = |places: &[usize]| upper_half(&of(places));
        assert_eq!(half(&[0, 1]), Some(of(&[1])));
        assert_eq!(half(&[3, 5, 9]), Some(of(&[9])));
        assert_eq!(half(&[0, 1, 2, 3]), Some(of(&[2, 3])));
        assert_eq!((half(&[4]), half(&[])), (None, None));
    }

    #[test]
    fn a_member_runs_where_its_crew_may_whenever_it_joined_and_whoever_started_it() {
        let Some(Processors { all, half }) = Processors::of_this_process() else { return };
        let crew = Crew::default();
        let runs = || sched_getaffinity(None).expect("Linux tells");
        let joins = || {
            crew.join();
            runs()
        };
        crew.allow(half);
        let started_by_member = || thread::scope(|scope| scope.spawn(joins).join().expect("it ends"));
        thread::scope(|scope| {
            let member = scope.spawn(|| {
                assert_eq!(joins(), half);
                crew.allow(all);
                // It began on half, and became a member when all was allowed again.
                let is_late = {
                    rustix::thread::sched_setaffinity(None, &half).expect("it is ours");
                    started_by_member()
                };
                (is_late, runs())
            });
            assert_eq!(member.join().expect("it ends"), (all, half));
        });
        assert_eq!(runs(), all, "who is no member runs where it did");
    }
}
