//! When must the canary go without waiting for a look? After failures that nobody need compare.
//!
//! Each canary answer shifts a bit into the last 64 outcomes. A canary that never fails writes nothing, so
//! the workers do not wait for each other's cache. Once tripped, the wire stays so: the lane gets no further
//! request, and whoever drives the rollout is woken to take it back for good.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Condvar;
use parking_lot::Mutex;

use crate::canary::Rollout;
use crate::canary::plan::Triggers;
use crate::canary::plan::WINDOW;
use crate::canary::policy::Mode;

/// The last outcomes of a rollout's canary.
pub struct Tripwire {
    triggers: Triggers,
    /// The newest in the lowest bit; 1 is a failure. Written by any worker whose canary request has failed,
    /// or answered within 64 of one that has.
    recent: AtomicU64,
    /// Set once.
    tripped: AtomicBool,
    alarm: Arc<Alarm>,
}

impl Tripwire {
    /// That of a rollout; `None` if only a person takes its canary back.
    pub fn of(rollout: &Rollout, alarm: &Arc<Alarm>) -> Option<Arc<Tripwire>> {
        match rollout.mode() {
            Mode::Manual => None,
            Mode::Automatic => {
                let triggers = rollout.policy.plan.triggers;
                Some(Arc::new(Tripwire::new(triggers, alarm.clone())))
            }
        }
    }

    /// A wire that has seen nothing.
    pub fn new(triggers: Triggers, alarm: Arc<Alarm>) -> Tripwire {
        Tripwire { triggers, recent: AtomicU64::new(0), tripped: AtomicBool::new(false), alarm }
    }

    /// Whether it is tripped: then the canary gets no request.
    pub fn is_tripped(&self) -> bool {
        // A request that comes a moment too early is the shield's.
        self.tripped.load(Ordering::Relaxed)
    }

    /// What has tripped it, in a sentence.
    pub fn reason(&self) -> Option<String> {
        self.is_tripped().then(|| {
            let recent = self.recent.load(Ordering::Relaxed);
            format!(
                "a trigger fired: {} of the canary's last {WINDOW} requests failed, {} of them in a row at \
                 the end",
                recent.count_ones(),
                recent.trailing_ones(),
            )
        })
    }

    /// The canary has answered.
    pub fn answered(&self) {
        // Shifting a zero into zeros changes nothing; what another worker shifts in meanwhile stays.
        if self.recent.load(Ordering::Relaxed) != 0 && !self.is_tripped() {
            self.shift(0);
        }
    }

    /// It has failed.
    pub fn failed(&self) {
        if self.is_tripped() {
            return;
        }
        let recent = self.shift(1);
        let Triggers { consecutive_failures, failures_in_window, .. } = self.triggers;
        let beyond = |limit: u32, failures: u32| limit > 0 && failures >= limit;
        if beyond(consecutive_failures, recent.trailing_ones())
            || beyond(failures_in_window, recent.count_ones())
        {
            self.tripped.store(true, Ordering::Relaxed);
            self.alarm.raise();
        }
    }

    fn shift(&self, bit: u64) -> u64 {
        let shifted = |recent: u64| recent << 1 | bit;
        let relaxed = Ordering::Relaxed;
        let before = self.recent.fetch_update(relaxed, relaxed, |recent| Some(shifted(recent)));
        shifted(before.unwrap_or_else(|unchanged| unchanged))
    }
}

/// Wakes whoever drives rollouts.
#[derive(Default)]
pub struct Alarm {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Alarm {
    /// Wakes them now, or keeps them from falling asleep.
    pub fn raise(&self) {
        *self.raised.lock() = true;
        self.changed.notify_all();
    }

    /// Sleeps until it is raised, or for so long.
    pub fn wait(&self, most: Duration) {
        let mut raised = self.raised.lock();
        if !*raised {
            self.changed.wait_for(&mut raised, most);
        }
        *raised = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tripped_by(consecutive: u32, in_window: u32, outcomes: &str) -> Option<usize> {
        let triggers = Triggers {
            consecutive_failures: consecutive,
            failures_in_window: in_window,
            p99_ceiling: None,
        };
        let wire = Tripwire::new(triggers, Arc::default());
        for (n, outcome) in outcomes.chars().enumerate() {
            if outcome == 'x' {
                wire.failed()
            } else {
                wire.answered()
            }
            if wire.is_tripped() {
                assert!(wire.reason().is_some());
                return Some(n + 1);
            }
        }
        None
    }

    #[test]
    fn failures_in_a_row_and_failures_among_the_last_trip_it() {
        assert_eq!(tripped_by(3, 0, "xx.xx.xxx"), Some(9));
        assert_eq!(tripped_by(0, 4, "x.x...x..x"), Some(10));
        assert_eq!(tripped_by(0, 0, &"x".repeat(200)), None);
        assert_eq!(tripped_by(64, 0, &"x".repeat(200)), Some(64));
        // What is longer ago than the window is forgotten.
        let apart = format!("x{}x", ".".repeat(63));
        assert_eq!(tripped_by(0, 2, &apart), None);
        let close = format!("x{}x", ".".repeat(62));
        assert_eq!(tripped_by(0, 2, &close), Some(64));
    }

    #[test]
    fn an_alarm_raised_before_the_sleep_keeps_one_awake() {
        let alarm = Alarm::default();
        alarm.raise();
        alarm.wait(Duration::from_secs(3600));
        assert!(!*alarm.raised.lock());
    }
}
