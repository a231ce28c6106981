//! When is a canary asked no more? After so many failures in a row, so that its users do not wait for
//! answers that do not come. One request now and then finds out whether it is well again.
//!
//! ```text
//!            failures in a row
//!   closed ────────────────────▶ open ──┐ a probe fails, at most one each interval
//!     ▲                           │  ▲──┘
//!     └───── it has answered ─────┘
//! ```
//!
//! A canary that never fails writes nothing here, so the workers do not wait for each other's cache. What
//! was the canary's and is not asked stays the canary's: stable answers, and it counts as a failure of
//! the canary, so that one that is off does not look good.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::canary::Rollout;
use crate::canary::policy::BreakerPolicy;

/// The breaker of a rollout's canary. All of it is relaxed: a request that comes a moment too early or too
/// late is the shield's.
pub struct Breaker {
    policy: BreakerPolicy,
    /// Failures since the last answer. Written by whoever fails, and by the first answer after that.
    failures: AtomicU32,
    /// From when on the next probe may go, in nanoseconds of the steady clock; [`CLOSED`] while everybody
    /// may.
    probe_at: AtomicU64,
    /// How often it has opened.
    opened: AtomicU64,
}

/// No time of the steady clock: it would be 584 years after its beginning.
const CLOSED: u64 = u64::MAX;

/// What a breaker does now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerStatus {
    /// Whether the canary gets requests.
    pub state: BreakerState,
    /// Failures of the canary since it last answered.
    pub failures_in_a_row: u32,
    /// How often the breaker has opened in this rollout, since the last restart.
    pub opened: u64,
}

/// Whether the canary gets requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// It gets its share.
    Closed,
    /// It gets probes only.
    Open,
}

impl Breaker {
    /// That of a rollout; `None` if it is turned off.
    pub fn of(rollout: &Rollout) -> Option<Arc<Breaker>> {
        let policy = rollout.policy.breaker;
        (policy.failures > 0).then(|| Arc::new(Breaker::new(policy)))
    }

    /// A breaker that has seen nothing.
    pub fn new(policy: BreakerPolicy) -> Breaker {
        let (failures, opened) = (AtomicU32::new(0), AtomicU64::new(0));
        Breaker { policy, failures, probe_at: AtomicU64::new(CLOSED), opened }
    }

    /// Whether a request may go to the canary at this time of the steady clock, which is only read where it
    /// matters.
    pub fn admits(&self, now: impl FnOnce() -> Duration) -> bool {
        let probe_at = self.probe_at.load(Ordering::Relaxed);
        if probe_at == CLOSED {
            return true;
        }
        let now = now();
        // Of those who come at once one probes.
        let next = self.next_probe(now);
        let relaxed = Ordering::Relaxed;
        nanoseconds(now) >= probe_at
            && self.probe_at.compare_exchange(probe_at, next, relaxed, relaxed).is_ok()
    }

    /// The canary has answered.
    pub fn answered(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.probe_at.load(Ordering::Relaxed) != CLOSED {
            self.probe_at.store(CLOSED, Ordering::Relaxed);
        }
    }

    /// It was asked and has failed, at this time of the steady clock.
    pub fn failed(&self, now: impl FnOnce() -> Duration) {
        let relaxed = Ordering::Relaxed;
        let one_more = |failures: u32| failures.checked_add(1);
        // Beyond four billion it stays there.
        let before = self.failures.fetch_update(relaxed, relaxed, one_more);
        let failures = before.map_or(u32::MAX, |before| before.saturating_add(1));
        if failures < self.policy.failures {
            return;
        }
        let next = self.next_probe(now());
        // It may be open already: then this was a probe, or was under way when it opened.
        if self.probe_at.compare_exchange(CLOSED, next, relaxed, relaxed).is_ok() {
            self.opened.fetch_add(1, relaxed);
        }
    }

    /// What it does now.
    pub fn status(&self) -> BreakerStatus {
        let is_closed = self.probe_at.load(Ordering::Relaxed) == CLOSED;
        BreakerStatus {
            state: if is_closed { BreakerState::Closed } else { BreakerState::Open },
            failures_in_a_row: self.failures.load(Ordering::Relaxed),
            opened: self.opened.load(Ordering::Relaxed),
        }
    }

    fn next_probe(&self, now: Duration) -> u64 {
        nanoseconds(now.saturating_add(self.policy.probe_every))
    }
}

/// Of a time that comes before [`CLOSED`].
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(CLOSED).min(CLOSED - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn breaker(failures: u32) -> Breaker {
        Breaker::new(BreakerPolicy { failures, probe_every: SECOND })
    }

    /// What the breaker does to requests a tenth of a second apart that end like this: `.` answered,
    /// `x` failed, `-` not asked.
    fn lived_through(breaker: &Breaker, outcomes: &str) -> String {
        let outcome = |(n, outcome): (u32, char)| {
            let now = SECOND + n * SECOND / 10;
            if !breaker.admits(|| now) {
                return '-';
            }
            if outcome == 'x' {
                breaker.failed(|| now);
            } else {
                breaker.answered();
            }
            outcome
        };
        (0..).zip(outcomes.chars()).map(outcome).collect()
    }

    #[test]
    fn failures_in_a_row_open_it_and_others_do_not() {
        let breaker = breaker(3);
        assert_eq!(lived_through(&breaker, "xx.xx.x.xx."), "xx.xx.x.xx.");
        assert_eq!(
            breaker.status(),
            BreakerStatus { state: BreakerState::Closed, failures_in_a_row: 0, opened: 0 }
        );
        assert_eq!(lived_through(&breaker, "xxxxxx"), "xxx---");
        assert_eq!(
            breaker.status(),
            BreakerStatus { state: BreakerState::Open, failures_in_a_row: 3, opened: 1 }
        );
    }

    #[test]
    fn one_probe_an_interval_goes_until_one_is_answered() {
        let breaker = breaker(2);
        // Opens at 0.1 s: probes at 1.1 and 2.1 s.
        let seen = lived_through(&breaker, "xxxxxxxxxxxxxxxxxxxxx....");
        assert_eq!(seen, "xx---------x---------....");
        assert_eq!(
            breaker.status(),
            BreakerStatus { state: BreakerState::Closed, failures_in_a_row: 0, opened: 1 }
        );
    }

    #[test]
    fn of_many_who_come_at_once_one_probes() {
        let breaker = breaker(1);
        breaker.failed(|| SECOND);
        let probes: usize = std::thread::scope(|scope| {
            let asking = || (0..1000).filter(|_| breaker.admits(|| 2 * SECOND)).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(asking)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(probes, 1);
    }

    #[test]
    fn while_it_is_closed_nobody_asks_for_the_time() {
        let breaker = breaker(5);
        assert!(breaker.admits(|| unreachable!("the clock was read")));
        breaker.failed(|| unreachable!("the clock was read"));
        breaker.answered();
        assert!(breaker.admits(|| unreachable!("the clock was read")));
    }
}
