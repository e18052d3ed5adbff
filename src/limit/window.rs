//! A sliding window: how much was taken in the last while. Pure; the time is the caller's.
//!
//! The window is cut into [`SLOTS`] slots, and what was taken is counted by slot. A slot counts until the last moment of it
//! is as long ago as the window is, so **no stretch of time as long as the window ever holds more than the limit**, at
//! 61 numbers for each subject, however large the limit is; what was taken is given back at most a slot late. What is
//! refused is not counted. The script for Redis ([`super::shared`]) takes by the same rule.

use std::collections::VecDeque;
use std::time::Duration;

/// Slots of a window.
pub(super) const SLOTS: u64 = 60;

/// How much may be taken in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Most that may be taken in any stretch of that time; 0: no limit.
    pub most: u32,
    /// The time, at least [`SLOTS`] milliseconds.
    pub window: Duration,
}

impl Rule {
    /// So many a minute.
    #[must_use]
    pub fn per_minute(most: u32) -> Self {
        Self { most, window: Duration::from_secs(60) }
    }

    /// So many an hour.
    #[must_use]
    pub fn per_hour(most: u32) -> Self {
        Self { most, window: Duration::from_secs(3_600) }
    }

    /// The length of a slot, in milliseconds.
    pub(super) fn slot_ms(self) -> u64 {
        (u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX) / SLOTS).max(1)
    }

    /// What is counted of a request for so many: one for more than the limit could never be granted, and is taken as
    /// one for all of it.
    pub(super) fn counted(self, count: u32) -> u32 {
        count.min(self.most)
    }
}

/// What is told of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The limit.
    pub limit: u32,
    /// What is left of it.
    pub remaining: u32,
    /// Seconds until something of what was taken is given back; 0 when nothing was.
    pub reset_seconds: u64,
    /// When refused: seconds until the same would be granted, at least 1.
    pub retry_after_seconds: Option<u64>,
}

/// What was taken, by slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// Number of the slot since the beginning of time, and what was taken in it; ascending.
    slots: VecDeque<(u64, u32)>,
}

impl Window {
    /// The window that holds these slots.
    pub(super) fn of(slots: impl IntoIterator<Item = (u64, u32)>) -> Self {
        let mut slots: Vec<_> = slots.into_iter().collect();
        slots.sort_unstable();
        Self { slots: slots.into() }
    }

    /// Takes so many, if the rule grants it.
    pub(super) fn take(&mut self, rule: Rule, count: u32, now_ms: u64) -> Verdict {
        let now = now_ms / rule.slot_ms();
        while self.slots.front().is_some_and(|(slot, _)| slot + SLOTS < now) {
            self.slots.pop_front();
        }
        let count = rule.counted(count);
        let is_granted = self.used() + u64::from(count) <= u64::from(rule.most);
        if is_granted {
            match self.slots.back_mut() {
                // A clock that went back takes in the newest slot.
                Some((slot, taken)) if *slot >= now => *taken += count,
                _ => self.slots.push_back((now, count)),
            }
        }
        self.verdict(rule, count, now_ms, is_granted)
    }

    /// What is told once it is decided.
    pub(super) fn verdict(&self, rule: Rule, count: u32, now_ms: u64, is_granted: bool) -> Verdict {
        let oldest = self.slots.front().map_or(0, |(slot, _)| seconds_until_gone(rule, *slot, now_ms));
        let remaining = u64::from(rule.most).saturating_sub(self.used());
        Verdict {
            limit: rule.most,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset_seconds: oldest,
            retry_after_seconds: (!is_granted).then(|| self.retry_after(rule, rule.counted(count), now_ms)),
        }
    }

    fn used(&self) -> u64 {
        self.slots.iter().map(|(_, taken)| u64::from(*taken)).sum()
    }

    /// Seconds until enough of the oldest slots is gone.
    fn retry_after(&self, rule: Rule, count: u32, now_ms: u64) -> u64 {
        let mut too_many = (self.used() + u64::from(count)).saturating_sub(u64::from(rule.most));
        for (slot, taken) in &self.slots {
            too_many = too_many.saturating_sub(u64::from(*taken));
            if too_many == 0 {
                return seconds_until_gone(rule, *slot, now_ms);
            }
        }
        1
    }
}

/// Whole seconds until a slot counts no more, at least 1.
fn seconds_until_gone(rule: Rule, slot: u64, now_ms: u64) -> u64 {
    let gone_at = (slot + SLOTS + 1).saturating_mul(rule.slot_ms());
    gone_at.saturating_sub(now_ms).div_ceil(1_000).max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Rule, SLOTS, Verdict, Window};

    /// Three in a minute, whose slots are a second long.
    const RULE: Rule = Rule { most: 3, window: Duration::from_secs(60) };

    fn granted(limit: u32, remaining: u32, reset_seconds: u64) -> Verdict {
        Verdict { limit, remaining, reset_seconds, retry_after_seconds: None }
    }

    #[test]
    fn what_is_taken_counts_for_a_whole_window() {
        let mut window = Window::default();
        assert_eq!(window.take(RULE, 1, 500), granted(3, 2, 61));
        assert_eq!(window.take(RULE, 1, 30_000), granted(3, 1, 31));
        assert_eq!(window.take(RULE, 1, 59_999), granted(3, 0, 2));
        for now in [59_999, 60_000, 60_500, 60_999] {
            let refused = window.take(RULE, 1, now);
            assert_eq!((refused.remaining, refused.retry_after_seconds.is_some()), (0, true), "{now}");
        }
        // The first is given back, and no more.
        assert_eq!(window.take(RULE, 1, 61_000).retry_after_seconds, None);
        assert_eq!(window.take(RULE, 1, 61_000).retry_after_seconds, Some(30));
        assert_eq!(window.take(RULE, 1, 91_000).retry_after_seconds, None);
    }

    #[test]
    fn whoever_waits_as_long_as_told_is_granted() {
        for count in 1..=3 {
            let mut window = Window::default();
            for now in [0, 700, 12_300] {
                assert_eq!(window.take(RULE, 1, now).retry_after_seconds, None);
            }
            let wait = window.take(RULE, count, 20_000).retry_after_seconds.expect("it is full");
            let early = 20_000 + (wait - 1) * 1_000;
            assert!(window.take(RULE, count, early).retry_after_seconds.is_some(), "{count} after {wait} s");
            assert_eq!(window.take(RULE, count, 20_000 + wait * 1_000).retry_after_seconds, None, "{count}");
        }
    }

    #[test]
    fn more_than_the_limit_is_all_of_it() {
        let mut window = Window::default();
        assert_eq!(window.take(RULE, 10, 0), granted(3, 0, 61));
        assert_eq!(window.take(RULE, 10, 61_000), granted(3, 0, 61));
    }

    #[test]
    fn a_clock_that_goes_back_grants_nothing_more() {
        let mut window = Window::default();
        for now in [90_000, 80_000, 1_000] {
            assert_eq!(window.take(RULE, 1, now).retry_after_seconds, None);
        }
        assert!(window.take(RULE, 1, 0).retry_after_seconds.is_some());
    }

    /// The rule itself, against a list of every moment at which something was taken.
    #[test]
    fn no_window_holds_more_than_the_limit_and_little_is_refused_that_need_not_be() {
        let rule = Rule { most: 20, window: Duration::from_secs(60) };
        let (mut window, mut taken, mut now) = (Window::default(), Vec::new(), 0);
        for step in 0_u64..5_000 {
            now += step.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) % 4_000;
            let since = |length: u64| taken.iter().filter(|at: &&u64| **at + length > now).count();
            let (in_window, in_longer) = (since(60_000), since(60_000 + rule.slot_ms()));
            if window.take(rule, 1, now).retry_after_seconds.is_none() {
                assert!(in_window < 20, "at {now}");
                taken.push(now);
            } else {
                assert!(in_longer >= 20, "at {now}");
            }
            assert!(window.slots.len() <= usize::try_from(SLOTS).expect("it is small") + 1);
        }
        assert!(taken.len() > 1_000);
    }
}
