//! When must the canary go without waiting for a look? After failures that nobody need compare, or answers
//! that are too slow whatever stable does.
//!
//! Each canary answer shifts a bit into the last 64 outcomes, and where its latency has a ceiling into the last
//! 64 answers. A canary that never fails and stays below the ceiling writes nothing, so the workers do not wait
//! for each other's cache. Once tripped, the wire stays so: the canary_slot gets no further request, and whoever
//! drives the rollout is woken to take it back for good.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::canary::Rollout;
use crate::canary::policy::Mode;
use crate::canary::policy::plan::MAX_ABOVE_CEILING;
use crate::canary::policy::plan::Triggers;
use crate::canary::policy::plan::WINDOW;
use crate::service::wakeup::Wakeup;
use crate::text::durations::words;

/// The last outcomes of a rollout's canary.
pub struct Tripwire {
    triggers: Triggers,
    /// The newest in the lowest bit; 1 is a failure. Written by any worker whose canary request has failed,
    /// or answered within 64 of one that has.
    recent: AtomicU64,
    /// The same of the answers; 1 is one above the ceiling of the p99. Stays 0 without a ceiling.
    slow: AtomicU64,
    /// Set once.
    fired: OnceLock<Fired>,
    wakeup: Arc<Wakeup>,
}

/// What has tripped a wire: the window as it was then.
#[derive(Clone, Copy, Debug)]
enum Fired {
    /// The failures among the last outcomes.
    Failures(u64),
    /// Those of the last answers that were slower than this ceiling.
    Slow(u64, Duration),
}

impl Tripwire {
    /// That of a rollout; `None` if only a person takes its canary back.
    pub fn of(rollout: &Rollout, wakeup: &Arc<Wakeup>) -> Option<Arc<Tripwire>> {
        match rollout.mode() {
            Mode::Manual => None,
            Mode::Automatic => {
                let triggers = rollout.policy.plan.triggers;
                Some(Arc::new(Tripwire::new(triggers, wakeup.clone())))
            }
        }
    }

    /// A wire that has seen nothing.
    pub fn new(triggers: Triggers, wakeup: Arc<Wakeup>) -> Tripwire {
        let (recent, slow) = (AtomicU64::new(0), AtomicU64::new(0));
        Tripwire { triggers, recent, slow, fired: OnceLock::new(), wakeup }
    }

    /// Whether it is tripped: then the canary gets no request.
    pub fn is_tripped(&self) -> bool {
        // A request that comes a moment too early is the shield's.
        self.fired.get().is_some()
    }

    /// What has tripped it, in a sentence.
    pub fn reason(&self) -> Option<String> {
        self.fired.get().map(|fired| match *fired {
            Fired::Failures(recent) => format!(
                "a trigger fired: {} of the canary's last {WINDOW} requests failed, {} of them in a row at \
                 the end",
                recent.count_ones(),
                recent.trailing_ones(),
            ),
            Fired::Slow(slow, ceiling) => format!(
                "a trigger fired: {} of the canary's last {WINDOW} answers took longer than {}, the ceiling \
                 of its p99 latency",
                slow.count_ones(),
                words(ceiling),
            ),
        })
    }

    /// The canary has answered in shadow, where its latency is not that of its users.
    pub fn answered_in_shadow(&self) {
        // Shifting a zero into zeros changes nothing; what another worker shifts in meanwhile stays.
        if self.recent.load(Ordering::Relaxed) != 0 {
            shift(&self.recent, 0);
        }
    }

    /// The canary has answered after so many seconds a row.
    pub fn answered(&self, latency_seconds: f64) {
        if self.is_tripped() {
            return;
        }
        self.answered_in_shadow();
        let Some(ceiling) = self.triggers.p99_ceiling else { return };
        let is_slow = latency_seconds > ceiling.as_secs_f64();
        if is_slow || self.slow.load(Ordering::Relaxed) != 0 {
            let slow = shift(&self.slow, u64::from(is_slow));
            if slow.count_ones() >= MAX_ABOVE_CEILING {
                self.fire(Fired::Slow(slow, ceiling));
            }
        }
    }

    /// It has failed.
    pub fn failed(&self) {
        if self.is_tripped() {
            return;
        }
        let recent = shift(&self.recent, 1);
        let Triggers { consecutive_failures, failures_in_window, .. } = self.triggers;
        let beyond = |limit: u32, failures: u32| limit > 0 && failures >= limit;
        if beyond(consecutive_failures, recent.trailing_ones())
            || beyond(failures_in_window, recent.count_ones())
        {
            self.fire(Fired::Failures(recent));
        }
    }

    fn fire(&self, fired: Fired) {
        // Whoever comes second has nothing to add.
        if self.fired.set(fired).is_ok() {
            self.wakeup.wake();
        }
    }
}

/// Shifts a bit into a window; the window with it.
fn shift(window: &AtomicU64, bit: u64) -> u64 {
    let shifted = |recent: u64| recent << 1 | bit;
    let relaxed = Ordering::Relaxed;
    let before = window.fetch_update(relaxed, relaxed, |recent| Some(shifted(recent)));
    shifted(before.unwrap_or_else(|unchanged| unchanged))
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
                wire.answered(60.0)
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

    /// After how many answers, of so many milliseconds each, a ceiling of 20 ms trips a wire; and why.
    fn slowed(latencies_ms: impl Iterator<Item = u32>) -> Option<(usize, String)> {
        let ceiling = Some(Duration::from_millis(20));
        let wire =
            Tripwire::new(Triggers { p99_ceiling: ceiling, ..Triggers::default() }, Arc::default());
        for (n, latency) in latencies_ms.enumerate() {
            wire.answered(f64::from(latency) / 1e3);
            if let Some(reason) = wire.reason() {
                assert_eq!(wire.wakeup.signals(), 1, "nobody was woken");
                return Some((n + 1, reason));
            }
        }
        assert!(!wire.is_tripped());
        None
    }

    #[test]
    fn eight_answers_of_sixty_four_above_the_ceiling_trip_it() {
        let (answers, reason) = slowed([21; 100].into_iter()).unwrap();
        assert_eq!(answers, 8);
        assert_eq!(
            reason,
            "a trigger fired: 8 of the canary's last 64 answers took longer than 20ms, the ceiling of its \
             p99 latency"
        );
        // At the ceiling is not above it.
        assert_eq!(slowed([20; 1000].into_iter()), None);
        let every = |n: u32| (0..1000).map(move |at| if at % n == 0 { 500 } else { 1 });
        assert_eq!(slowed(every(9)).map(|(answers, _)| answers), Some(64));
        assert_eq!(slowed(every(10)), None, "seven of any sixty-four");
        assert_eq!(slowed(every(100)), None, "one of a hundred, as a p99 at the ceiling allows");
    }

    #[test]
    fn a_p99_at_the_ceiling_trips_hardly_any_window() {
        // The chance of 8 or more of 64 if each is above with a chance of 1 %.
        let chance = |above: u32| {
            let ways: f64 = (0..above).map(|k| f64::from(WINDOW - k) / f64::from(k + 1)).product();
            ways * 0.01_f64.powi(above as i32) * 0.99_f64.powi((WINDOW - above) as i32)
        };
        let all: f64 = (MAX_ABOVE_CEILING..=WINDOW).map(chance).sum();
        assert!((2.6e-7..2.8e-7).contains(&all), "{all:e}");
    }
}
