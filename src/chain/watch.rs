//! What should rise and does not: the head of a chain, and its finality (F16, F28). Pure, but for telling.
//!
//! Nothing is decided here: a head that stands may be a chain that stands. It is told once, counted, and shown.

use std::time::Duration;

use ::metrics::{counter, gauge};
use tokio::time::Instant;

use super::head::Head;
use crate::metrics;

/// A head that has not risen for so long is told: two minutes are sixty blocks of Taiko.
const HEAD_PATIENCE: Duration = Duration::from_secs(120);

/// Finality that has not risen for so long is told: on Taiko it is hours behind and comes in leaps.
const FINALITY_PATIENCE: Duration = Duration::from_secs(6 * 3_600);

/// Looks without finality before it counts as vanished: one answer may be missing by chance.
const MISSING_LOOKS: u32 = 3;

/// The head and finality of a network, as they were seen so far.
#[derive(Debug, Default)]
pub(super) struct Watches {
    head: Watch,
    finality: Watch,
}

impl Watches {
    /// Takes in a head, and tells what is unusual about it.
    pub(super) fn see(&mut self, network: &str, head: &Head, now: Instant) {
        let label = || network.to_owned();
        let number = head.header.number;
        gauge!(metrics::HEAD_STANDING, "network" => label()).set(self.head.standing(now).as_secs_f64());
        match self.head.see(Some(number), now, HEAD_PATIENCE) {
            Some(Sign::Stands(for_time)) => tracing::warn!(
                network,
                head = number,
                seconds = for_time.as_secs(),
                "the chain's head has not risen for long: the chain stands, or the endpoints \
                 are stuck that must agree on it"
            ),
            Some(Sign::Rises) => tracing::info!(network, head = number, "the chain's head rises again"),
            // A lower head is a lagging endpoint's, which its score tells (F13).
            Some(Sign::Fell { .. } | Sign::Vanished) | None => {}
        }
        let finalized = head.finalized.as_ref().map(|finalized| finalized.number);
        gauge!(metrics::FINALITY_STANDING, "network" => label()).set(self.finality.standing(now).as_secs_f64());
        let sign = self.finality.see(finalized, now, FINALITY_PATIENCE);
        let kind = match sign {
            Some(Sign::Stands(for_time)) => {
                let hours = for_time.as_secs() / 3_600;
                tracing::warn!(network, hours, "finality stalls: what came since can still be undone, and is kept so");
                "stalled"
            }
            Some(Sign::Vanished) => {
                tracing::warn!(network, "finality is no longer told; what was final stays so");
                "vanished"
            }
            Some(Sign::Fell { from, to }) => {
                tracing::warn!(network, from, to, "finality moved back; what was final stays so");
                "moved_back"
            }
            Some(Sign::Rises) => return tracing::info!(network, finalized, "finality rises again"),
            None => return,
        };
        counter!(metrics::FINALITY_FAULTS, "network" => label(), "kind" => kind).increment(1);
    }
}

/// A number that should rise.
#[derive(Debug, Default)]
struct Watch {
    last: Option<u64>,
    highest: Option<(u64, Instant)>,
    missing: u32,
    told: bool,
}

/// What is unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It has not risen for so long.
    Stands(Duration),
    /// It was told, and is no longer.
    Vanished,
    /// It was higher.
    Fell {
        /// Before.
        from: u64,
        /// Now.
        to: u64,
    },
    /// It rises, after it did not.
    Rises,
}

impl Watch {
    /// How long it has not risen.
    fn standing(&self, now: Instant) -> Duration {
        self.highest.map_or(Duration::ZERO, |(_, since)| now.duration_since(since))
    }

    fn see(&mut self, value: Option<u64>, now: Instant, patience: Duration) -> Option<Sign> {
        let Some(value) = value else {
            self.missing = self.missing.saturating_add(u32::from(self.last.is_some()));
            let vanished = self.missing == MISSING_LOOKS;
            self.told |= vanished;
            return vanished.then_some(Sign::Vanished);
        };
        self.missing = 0;
        let last = self.last.replace(value);
        if self.highest.is_none_or(|(highest, _)| value > highest) {
            self.highest = Some((value, now));
            return std::mem::take(&mut self.told).then_some(Sign::Rises);
        }
        if let Some(from) = last.filter(|last| value < *last) {
            return Some(Sign::Fell { from, to: value });
        }
        let standing = self.standing(now);
        if standing >= patience && !self.told {
            self.told = true;
            return Some(Sign::Stands(standing));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Sign, Watch};

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn f16_finality_that_stalls_is_told_once_until_it_rises() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        assert_eq!(watch.see(Some(5), start, PATIENCE), None);
        assert_eq!(watch.see(Some(5), start + PATIENCE / 2, PATIENCE), None);
        assert_eq!(watch.see(Some(5), start + PATIENCE, PATIENCE), Some(Sign::Stands(PATIENCE)));
        assert_eq!(watch.see(Some(5), start + PATIENCE * 2, PATIENCE), None);
        assert_eq!(watch.see(Some(6), start + PATIENCE * 2, PATIENCE), Some(Sign::Rises));
        assert_eq!(watch.standing(start + PATIENCE * 3), PATIENCE);
    }

    #[test]
    fn f16_finality_that_vanishes_is_told_once_and_a_missing_answer_is_not() {
        let (mut watch, now) = (Watch::default(), Instant::now());
        assert_eq!((0..9).filter_map(|_| watch.see(None, now, PATIENCE)).count(), 0, "it never was there");
        watch.see(Some(5), now, PATIENCE);
        assert_eq!(watch.see(None, now, PATIENCE), None);
        assert_eq!(watch.see(Some(5), now, PATIENCE), None);
        let told: Vec<_> = (0..9).filter_map(|_| watch.see(None, now, PATIENCE)).collect();
        assert_eq!(told, [Sign::Vanished]);
        assert_eq!(watch.see(Some(6), now, PATIENCE), Some(Sign::Rises));
    }

    #[test]
    fn f16_finality_that_moves_back_is_told() {
        let (mut watch, now) = (Watch::default(), Instant::now());
        watch.see(Some(9), now, PATIENCE);
        assert_eq!(watch.see(Some(7), now, PATIENCE), Some(Sign::Fell { from: 9, to: 7 }));
        assert_eq!(watch.see(Some(7), now, PATIENCE), None);
        assert_eq!(watch.see(Some(9), now, PATIENCE), None, "where it was");
    }

    #[test]
    fn f28_a_head_that_stands_for_long_is_told_where_no_other_endpoint_could() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        for seconds in 0..super::HEAD_PATIENCE.as_secs() {
            assert_eq!(watch.see(Some(9), start + Duration::from_secs(seconds), super::HEAD_PATIENCE), None);
        }
        let sign = watch.see(Some(9), start + super::HEAD_PATIENCE, super::HEAD_PATIENCE);
        assert_eq!(sign, Some(Sign::Stands(super::HEAD_PATIENCE)));
    }
}
